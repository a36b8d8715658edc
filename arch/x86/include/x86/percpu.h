/*
 * What each core has of its own. GS points to it as long as the hypervisor runs (a VM exit loads
 * the base from the host-state area).
 *
 * A core's block is a run of pages: stacks with an unmapped guard page below each, then this
 * structure. It is allocated before the core is started and never freed.
 *
 * Lock: none. Fields are the core's own; `state`, `stopped` and the NMI fields are atomic words
 * that others read. `index`, `apic_id` and the addresses do not change once the core has started.
 */
#ifndef X86_PERCPU_H
#define X86_PERCPU_H

#include "hv/types.h"
#include "hv/vm.h"
#include "x86/descriptors.h"
#include "x86/insn.h"

enum core_state {
    CORE_ABSENT = 0,
    CORE_STARTING, /* INIT and SIPI are on their way */
    CORE_ONLINE,   /* runs our code with our tables */
    CORE_READY,    /* can run vCPUs: reported by arch_core_main */
    CORE_PARKED,   /* came up and cannot be used: `failure` says why; halted */
    CORE_SILENT,   /* did not answer in time; halts itself should it come later */
    CORE_HOME,     /* firmware has it back (x86/kept.h) */
};

#define HOST_STACK_BYTES 0x8000u
#define HOST_IST_STACK_BYTES 0x2000u

struct percpu {
    struct percpu *self; /* GS:0 */
    unsigned index;      /* 0: the core that firmware booted */
    uint32_t apic_id;
    uint32_t state;      /* enum core_state, atomic */
    const char *failure; /* one phrase, for CORE_PARKED and CORE_SILENT */
    struct core *core;   /* the scheduler's */
    void *vmx;           /* arch/x86/vmx's */
    uint32_t spec_actions;   /* SPEC_: vmx/mitigate.c */
    uint32_t spec_last_vpid; /* the vCPU whose training is in the predictors; 0: none */
    uint64_t spec_ctrl;      /* IA32_SPEC_CTRL in root operation; 0: left alone */
    uint64_t spec_ctrl_before, tsx_ctrl_before; /* as firmware left them */
    void *vmxon_region;  /* one page, zeroed */
    bool in_vmx;         /* VMXON has been done */
    struct kept_core *kept; /* what firmware wants back; NULL: nothing, or the boot core's */
    uint64_t stack_bottom, stack_top;
    uint64_t start_tsc;  /* when the core reached C */
    uint64_t nmi_count;
    void (*on_nmi)(struct percpu *cpu); /* who else wants to know; NULL: nobody */
    uint32_t nmi_pending; /* set by each NMI, cleared by whoever looks: percpu_take_nmi */
    uint32_t stopped;     /* halted for a panic on another core */
    uint64_t stopped_rip; /* where it was then; 0: not known */
    uint32_t apic_lent;   /* the local APIC is a guest's: host_apic_lend */
    uint32_t fault_depth; /* exceptions that are being reported; more than one: just stop */
    uint64_t spurious_count;
    uint64_t unexpected_count; /* interrupts without a handler */
    _Alignas(16) uint64_t gdt[HOST_GDT_ENTRIES];
    _Alignas(16) struct x86_tss tss;
};

_Static_assert(sizeof(struct percpu) <= HV_PAGE_BYTES, "one page");
_Static_assert(offsetof(struct percpu, self) == 0, "gs_self reads GS:0");

static inline struct percpu *this_cpu(void)
{
    return gs_self();
}

/* The core with an index below percpu_count(); index 0 is the boot core. */
struct percpu *percpu_at(unsigned index);
unsigned percpu_count(void);

/* Allocates the block of one more core, with guard pages, and gives it the next index. Boot core
 * only, and before the first other core runs, since it takes pages out of the live page tables.
 * HV_ERR_NO_MEMORY: no memory, or HV_MAX_CORES reached. */
enum hv_err percpu_add(uint32_t apic_id, struct percpu **made) HV_MUST_CHECK;

/* Forgets the cores from `count` on: blocks that were made for cores that do not exist. Boot core
 * only, when nobody can claim one of them any more. */
void percpu_trim(unsigned count);

/* Was there an NMI since the last call? For the check before VM entry; interrupts may be on. */
static inline bool percpu_take_nmi(struct percpu *cpu)
{
    return __atomic_exchange_n(&cpu->nmi_pending, 0, __ATOMIC_ACQ_REL) != 0;
}

#endif
