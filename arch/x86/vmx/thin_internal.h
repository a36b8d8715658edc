/*
 * What the files of thin mode share: arch/x86/vmx/thin_*.c. Not for others.
 */
#ifndef ARCH_X86_VMX_THIN_INTERNAL_H
#define ARCH_X86_VMX_THIN_INTERNAL_H

#include "arch/x86/vmx/thin_run.h"
#include "hv/drv_serial_key.h"
#include "hv/spinlock.h"
#include "x86/kept.h"
#include "x86/mtrr.h"
#include "x86/percpu.h"
#include "x86/thin.h"

/* What a core's registers held when it was taken. Segments in the order of the VMCS. */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, THIN_SEGMENTS };

#define SELECTOR_TI 4u /* the descriptor is in the LDT */

struct thin_segment {
    uint16_t selector;
    uint32_t limit;
    uint32_t rights;    /* as in the VMCS */
    uint64_t base;
};

struct thin_state {
    struct kept_core kept; /* what a core that cannot be taken gets back */
    struct thin_segment segment[THIN_SEGMENTS];
    struct thin_return where;
};

/* What a core takes with it when it leaves: thin_off.c, thin_leave.asm. */
struct thin_leave {
    struct x86_gprs gprs;
    uint64_t cr0, cr4, dr7, rflags, fs_base, gs_base;
    uint64_t cr3;                   /* our tables, and the guest's PCID */
    uint64_t guest_cr3, target;
    uint32_t selector[THIN_SEGMENTS];
    struct x86_table_register own_gdtr, gdtr, idtr;
};

/* One core. */
struct thin_core {
    struct vmx_vcpu v;
    struct vmx_controls controls;   /* by the core's own capabilities: cores may differ */
    struct vmx_caps caps;
    struct thin_state state;        /* as firmware had it: only while the core is being taken */
    uint64_t nmis_seen;             /* when this exit began: thin_event.c */
    uint32_t step;                  /* the control "monitor trap flag", or 0: thin_key.c */
    uint64_t ring_word;             /* THIN_MSR_SELECT */
    bool armed;                     /* THIN_CONTROL_ARM has come */
    volatile bool nmi_sent;         /* our own, to leave in its handler */
    struct thin_leave *leave;
};

/* The machine, once. Lock: `memory_lock` guards `x.ept` and `mtrr`; everything else is built by the
 * boot core before others come. */
struct thin_machine {
    struct vm vm;
    struct config_vm config;
    struct vmx_vm x;
    struct thin_setup setup;
    hpa_t blank;                    /* what the guest finds where we are */
    struct spinlock memory_lock;
    struct mtrr_state mtrr;         /* the types that the EPT have */
    uint64_t top;                   /* guest-physical addresses end here */
    struct serial_key key;          /* hot-key = serial; no lock: thin_key.c */
};

static inline struct thin_core *thin_core_of_vcpu(struct vmx_vcpu *v)
{
    return HV_CONTAINER_OF(v, struct thin_core, v);
}

static inline struct thin_machine *thin_machine_of(struct vmx_vcpu *v)
{
    return HV_CONTAINER_OF(v->vm, struct thin_machine, x);
}

/* --- thin_state.c --- */

/* Reads what the core has. Firmware's tables are in use; descriptors are read from its GDT. */
void thin_state_capture(struct thin_state *state, const struct thin_return *where);
/* Puts it into the current VMCS as the guest's. */
void thin_state_to_vmcs(struct vmx_vcpu *v, const struct thin_state *state);

/* --- thin_memory.c --- */

/* Maps every address that the processor can form to itself, but the block. */
enum hv_err thin_memory_create(struct thin_machine *machine) HV_MUST_CHECK;
/* The core's MTRRs have been written: gives the EPT the types that they say now. */
void thin_memory_retype(struct vmx_vcpu *v);
/* Maps what could not be mapped beforehand. False: nothing can be there. */
bool thin_memory_map_more(struct vmx_vcpu *v, gpa_t gpa);

/* --- thin_msrs.c --- */
void thin_msr_bitmap_fill(uint8_t *bitmap);
unsigned thin_rdmsr(struct vmx_vcpu *v);
unsigned thin_wrmsr(struct vmx_vcpu *v);

/* --- thin_call.c --- */
static inline bool thin_is_ours(uint32_t number)
{
    return number - THIN_MSR_SIGNATURE <= THIN_MSR_LAST - THIN_MSR_SIGNATURE;
}

/* The functions of x86/thin.h, by the numbers of their MSRs. False: refused; nothing has changed. */
bool thin_ours_read(struct vmx_vcpu *v, uint32_t number, uint64_t *value);
bool thin_ours_write(struct vmx_vcpu *v, uint32_t number, uint64_t value);
unsigned thin_vmcall(struct vmx_vcpu *v);

/* --- thin_event.c --- */

/* An NMI has come while the hypervisor runs: it is the guest's. */
void thin_take_nmi(struct percpu *cpu);

/* --- thin_apic.c --- */
void thin_apic_prepare(void);
void thin_apic_init(void);
/* To the core that executes. */
void thin_apic_send_nmi(void);

/* --- thin_key.c --- */

/* Finds the port and makes the I/O bitmaps, if the operator wants a hot key. False: *why. */
bool thin_key_prepare(struct thin_machine *machine, const char **why);
unsigned thin_io(struct vmx_vcpu *v);
unsigned thin_trap_flag(struct vmx_vcpu *v);

/* --- thin_off.c --- */

/* The core leaves VMX operation and does not come back. False: it was not armed, or its guest is in
 * a state that it cannot be left in. */
bool thin_off(struct vmx_vcpu *v);

/* --- thin_exits.c --- */

/* Of all other leaves of CPUID the processor's own answer is the guest's: thin_hot.c. */
static inline bool thin_changes_leaf(uint32_t leaf)
{
    return leaf == CPUID_LEAF_FEATURES || leaf == CPUID_LEAF_EXTENDED_FEATURES ||
           leaf == CPUID_LEAF_PT || leaf == CPUID_LEAF_KEY_LOCKER || leaf == CPUID_LEAF_PMU_V2;
}

extern unsigned (*const thin_handlers[VMEXIT_COUNT])(struct vmx_vcpu *v);

#endif
