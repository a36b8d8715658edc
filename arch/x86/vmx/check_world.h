/*
 * A VMCS that enters, and ways to turn it into other kinds of guest, host and processor: where the
 * cases of check_cases.h start from, for the unit tests (on a processor that has everything) and for
 * the comparison with the processor that is there (explain_run.c). Header-only; no lock.
 */
#ifndef ARCH_X86_VMX_CHECK_WORLD_H
#define ARCH_X86_VMX_CHECK_WORLD_H

#include "hv/string.h"
#include "x86/regs.h"
#include "x86/vmx_check.h"

struct world {
    struct vmx_caps caps;
    uint64_t v[VMCS_FIELD_COUNT];
    struct vmx_check_input input;
    uint8_t memory[0x1000];     /* what lies at memory_at */
    uint64_t memory_at;
    bool memory_broken;
    bool masks_known;           /* the bits of MSRs in `input` are this processor's */
    /* The base's controls, as far as the processor can. */
    uint64_t pin, cpu, cpu2, exit, entry;
    uint64_t ept_root;
};

/* The words of the cases; all of them are said of a `struct world *w`. */
#define WORLD_MEMORY (w->memory_at)
#define WORLD_END (1ull << w->caps.physical_address_bits)
#define WORLD_VMCS (w->input.current_vmcs)
#define WORLD_REVISION (vmx_caps_revision(&w->caps))
#define BASE_PIN (w->pin)
#define BASE_CPU (w->cpu)
#define BASE_CPU2 (w->cpu2)
#define BASE_EXIT (w->exit)
#define BASE_ENTRY (w->entry)
#define BASE_EPTP (w->ept_root)
#define BASE_EFER (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define BASE_CR0 (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG)
#define BASE_CR4 (CR4_PAE | CR4_VMXE)
#define BASE_PAT 0x0007040600070406ull
/* Access rights. */
#define AR_CODE64 0xa09bull
#define AR_CODE32 0xc09bull
#define AR_DATA 0xc093ull
#define AR_TSS 0x008bull
#define AR_LDT 0x0082ull
#define AR_UNUSABLE 0x10000ull

static inline void world_base_caps(struct world *w)
{
    struct vmx_caps *caps = &w->caps;
    memset(caps, 0, sizeof(*caps));
    caps->basic = 0x12 | 6ull << VMX_BASIC_MEMORY_TYPE_SHIFT | VMX_BASIC_TRUE_CONTROLS;
    caps->true_pinbased = 0x000000ff00000016ull;
    caps->true_procbased = 0xfffbfffe04006172ull;
    caps->true_exit = 0xffffffff00036dfbull;
    caps->true_entry = 0x01ffffff000011fbull;
    caps->procbased2 = 0xffffffff00000000ull;
    caps->procbased3 = 0x1ff;
    caps->exit2 = 0xf;
    caps->vmfunc = VMX_VMFUNC_EPTP_SWITCHING;
    caps->misc = VMX_MISC_SAVE_EFER_LMA | VMX_MISC_ACTIVITY_HLT | VMX_MISC_ACTIVITY_SHUTDOWN |
                 VMX_MISC_ACTIVITY_WAIT_FOR_SIPI | 4ull << VMX_MISC_CR3_TARGETS_SHIFT |
                 VMX_MISC_ZERO_LENGTH;
    caps->cr0_fixed0 = 0x80000021;
    caps->cr0_fixed1 = 0xffffffff;
    caps->cr4_fixed0 = 0x2000;
    caps->cr4_fixed1 = 0x1ffffffff & ~0x8000ull;
    caps->ept_vpid_cap = VMX_EPT_CAP_WALK_4 | VMX_EPT_CAP_WB | VMX_EPT_CAP_ACCESSED_DIRTY |
                         VMX_EPT_CAP_SHADOW_STACK;
    caps->physical_address_bits = 46;
    caps->linear_address_bits = 48;
    caps->rtm = true;
    caps->cet = true;
    caps->sgx = true;
}

static inline void world_segment(struct world *w, unsigned segment, uint16_t selector,
                                 uint32_t limit, uint64_t rights)
{
    w->v[VMCS_INDEX_GUEST_ES_SELECTOR + segment] = selector;
    w->v[VMCS_INDEX_GUEST_ES_BASE + segment] = 0;
    w->v[VMCS_INDEX_GUEST_ES_LIMIT + segment] = limit;
    w->v[VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS + segment] = rights;
}

static inline void world_base_host(struct world *w)
{
    uint64_t *v = w->v;
    v[VMCS_INDEX_HOST_CR0] = BASE_CR0;
    v[VMCS_INDEX_HOST_CR3] = 0x1000;
    v[VMCS_INDEX_HOST_CR4] = BASE_CR4;
    v[VMCS_INDEX_HOST_CS_SELECTOR] = 0x08;
    v[VMCS_INDEX_HOST_SS_SELECTOR] = 0x10;
    v[VMCS_INDEX_HOST_TR_SELECTOR] = 0x18;
    v[VMCS_INDEX_HOST_IA32_PAT] = BASE_PAT;
    v[VMCS_INDEX_HOST_IA32_EFER] = BASE_EFER;
    v[VMCS_INDEX_HOST_RIP] = 0x100000;
    v[VMCS_INDEX_HOST_RSP] = 0x200000;
}

static inline void world_base_guest(struct world *w)
{
    uint64_t *v = w->v;
    v[VMCS_INDEX_GUEST_CR0] = BASE_CR0;
    v[VMCS_INDEX_GUEST_CR3] = 0x2000;
    v[VMCS_INDEX_GUEST_CR4] = BASE_CR4;
    v[VMCS_INDEX_GUEST_DR7] = 0x400;
    v[VMCS_INDEX_GUEST_IA32_PAT] = BASE_PAT;
    v[VMCS_INDEX_GUEST_IA32_EFER] = BASE_EFER;
    v[VMCS_INDEX_GUEST_RFLAGS] = RFLAGS_FIXED1 | RFLAGS_IF;
    v[VMCS_INDEX_GUEST_RIP] = 0xffffffff81000000ull;
    v[VMCS_INDEX_VMCS_LINK_POINTER] = UINT64_MAX;
    for (unsigned segment = 0; segment < 6; segment++)
        world_segment(w, segment, 0x10, 0xffffffff, AR_DATA);
    world_segment(w, X86_CS, 0x08, 0xffffffff, AR_CODE64);
    world_segment(w, 6, 0x18, 0xffff, AR_LDT);
    world_segment(w, 7, 0x20, 0x67, AR_TSS);
    v[VMCS_INDEX_GUEST_GDTR_LIMIT] = 0xffff;
    v[VMCS_INDEX_GUEST_IDTR_LIMIT] = 0xfff;
}

/* The value of a control word: what must be 1, and of `wanted` what can be. */
static inline uint64_t world_controls(const struct world *w, enum vmx_word word, uint64_t wanted)
{
    struct vmx_allowed allowed = vmx_caps_allowed(&w->caps, word);
    return allowed.must_be_1 | (wanted & allowed.may_be_1);
}

static inline void world_base_controls(struct world *w)
{
    w->pin = world_controls(w, VMX_WORD_PIN,
                            PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS |
                                PIN_ACTIVATE_PREEMPTION_TIMER);
    w->cpu = world_controls(w, VMX_WORD_CPU, CPU_HLT_EXITING | CPU_ACTIVATE_SECONDARY_CONTROLS);
    w->cpu2 = world_controls(w, VMX_WORD_CPU2, CPU2_ENABLE_EPT | CPU2_ENABLE_VPID);
    w->exit = world_controls(w, VMX_WORD_EXIT,
                             EXIT_HOST_ADDRESS_SPACE_SIZE | EXIT_ACKNOWLEDGE_INTERRUPT |
                                 EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER);
    w->entry = world_controls(w, VMX_WORD_ENTRY,
                              ENTRY_LOAD_DEBUG_CONTROLS | ENTRY_IA32E_MODE_GUEST | ENTRY_LOAD_PAT |
                                  ENTRY_LOAD_EFER);
    w->v[VMCS_INDEX_PIN_BASED_CONTROLS] = w->pin;
    w->v[VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS] = w->cpu;
    w->v[VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS] = w->cpu2;
    w->v[VMCS_INDEX_EXIT_CONTROLS] = w->exit;
    w->v[VMCS_INDEX_ENTRY_CONTROLS] = w->entry;
    w->v[VMCS_INDEX_VPID] = 1;
    w->v[VMCS_INDEX_EPT_POINTER] = w->ept_root | 0x1e;
    w->v[VMCS_INDEX_TSC_MULTIPLIER] = 1ull << 48;
}

/* The base on the processor of w->caps, with w->memory_at, w->ept_root and w->input filled in. */
static inline void world_base_on(struct world *w)
{
    memset(w->v, 0, sizeof(w->v));
    memset(w->memory, 0, sizeof(w->memory));
    world_base_controls(w);
    world_base_host(w);
    world_base_guest(w);
}

/* The base on a processor that has everything. */
static inline void world_base(struct world *w)
{
    world_base_caps(w);
    w->memory_at = 0x10000000;
    w->ept_root = 0x2000000000;
    w->input.ia32e_mode = true;
    w->input.current_vmcs = 0x5000;
    world_base_on(w);
}

/* --- other starting points --- */

/* A 32-bit guest in protected mode with PAE paging. */
static inline void tweak_pae_guest(struct world *w)
{
    w->v[VMCS_INDEX_ENTRY_CONTROLS] &= ~(uint64_t)ENTRY_IA32E_MODE_GUEST;
    w->v[VMCS_INDEX_GUEST_IA32_EFER] = EFER_NXE;
    w->v[VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS] = AR_CODE32;
    w->v[VMCS_INDEX_GUEST_RIP] = 0x80000000;
}

static inline void tweak_v86_guest(struct world *w)
{
    tweak_pae_guest(w);
    w->v[VMCS_INDEX_GUEST_RFLAGS] |= RFLAGS_VM;
    for (unsigned segment = 0; segment < 6; segment++) {
        world_segment(w, segment, 0x1000, 0xffff, 0xf3);
        w->v[VMCS_INDEX_GUEST_ES_BASE + segment] = 0x10000;
    }
    w->v[VMCS_INDEX_GUEST_RIP] = 0x100;
}

/* A real-mode guest: unrestricted. */
static inline void tweak_real_guest(struct world *w)
{
    tweak_pae_guest(w);
    w->v[VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS] |= CPU2_UNRESTRICTED_GUEST;
    w->v[VMCS_INDEX_GUEST_CR0] &= ~(CR0_PE | CR0_PG);
    w->v[VMCS_INDEX_GUEST_RIP] = 0x100;
}

/* The hypervisor is 32-bit. */
static inline void tweak_legacy_host(struct world *w)
{
    tweak_pae_guest(w);
    w->input.ia32e_mode = false;
    w->v[VMCS_INDEX_EXIT_CONTROLS] &= ~(uint64_t)EXIT_HOST_ADDRESS_SPACE_SIZE;
    w->v[VMCS_INDEX_HOST_IA32_EFER] = EFER_NXE;
}

static inline void tweak_in_smm(struct world *w)
{
    w->input.in_smm = true;
}

/* In SMM an MSR of its own may be loaded. */
static inline void tweak_in_smm_with_smm_msr(struct world *w)
{
    w->input.in_smm = true;
    w->memory[0] = 0x9b;
}

static inline void tweak_masks(struct world *w)
{
    if (w->masks_known)
        return;
    w->input.efer_valid = EFER_DEFINED;
    w->input.debugctl_valid = 0x1;
    w->input.perf_global_valid = 0x70000000full;
    w->input.spec_ctrl_valid = 0x7;
    w->input.rtit_ctl_valid = 0x2fff;
    w->input.lbr_ctl_valid = 0x7f000f;
}

static inline void tweak_fred(struct world *w)
{
    w->caps.fred = true;
    w->caps.basic |= VMX_BASIC_NESTED_EXCEPTION;
}

static inline void tweak_no_vector_check(struct world *w)
{
    w->caps.basic |= VMX_BASIC_NO_ERROR_CODE_CHECK;
}

static inline void tweak_no_mtf(struct world *w)
{
    w->caps.true_procbased &= ~((uint64_t)CPU_MONITOR_TRAP_FLAG << 32);
}

static inline void tweak_no_zero_length(struct world *w)
{
    w->caps.misc &= ~VMX_MISC_ZERO_LENGTH;
}

static inline void tweak_no_ept_flags(struct world *w)
{
    w->caps.ept_vpid_cap &= ~(VMX_EPT_CAP_ACCESSED_DIRTY | VMX_EPT_CAP_SHADOW_STACK);
}

static inline void tweak_walk_5_and_uc(struct world *w)
{
    w->caps.ept_vpid_cap |= VMX_EPT_CAP_WALK_5 | VMX_EPT_CAP_UC;
    w->caps.ept_vpid_cap &= ~VMX_EPT_CAP_WALK_4;
}

static inline void tweak_lam(struct world *w)
{
    w->caps.lam = true;
}

static inline void tweak_no_bus_lock(struct world *w)
{
    w->caps.procbased2 &= ~((uint64_t)CPU2_VMM_BUS_LOCK_DETECTION << 32);
}

static inline void tweak_no_sgx(struct world *w)
{
    w->caps.sgx = false;
}

static inline void tweak_no_rtm(struct world *w)
{
    w->caps.rtm = false;
}

static inline void tweak_no_hlt_state(struct world *w)
{
    w->caps.misc &= ~VMX_MISC_ACTIVITY_HLT;
}

static inline void tweak_no_shutdown_state(struct world *w)
{
    w->caps.misc &= ~VMX_MISC_ACTIVITY_SHUTDOWN;
}

static inline void tweak_no_sipi_state(struct world *w)
{
    w->caps.misc &= ~VMX_MISC_ACTIVITY_WAIT_FOR_SIPI;
}

static inline void tweak_tracing(struct world *w)
{
    w->input.pt_tracing = true;
}

static inline void tweak_vtpr(struct world *w)
{
    w->memory[0x80] = 0x55;
}

static inline void tweak_vtpr_high(struct world *w)
{
    w->memory[0x80] = 0xff;
}

static inline void tweak_cr0_bit(struct world *w)
{
    w->caps.cr0_fixed1 &= ~CR0_AM;
}

static inline void tweak_linked(struct world *w)
{
    w->v[VMCS_INDEX_VMCS_LINK_POINTER] = WORLD_MEMORY;
    uint32_t revision = WORLD_REVISION;
    memcpy(w->memory, &revision, sizeof(revision));
}

/* MSR areas anywhere in the memory have entries that can be loaded and stored. */
static inline void tweak_msr_memory(struct world *w)
{
    const uint64_t sysenter_cs = 0x174;
    for (unsigned at = 0; at < sizeof(w->memory); at += 16)
        memcpy(w->memory + at, &sysenter_cs, sizeof(sysenter_cs));
}

static inline void tweak_msr_entry(struct world *w)
{
    w->v[VMCS_INDEX_ENTRY_MSR_LOAD_COUNT] = 1;
    w->v[VMCS_INDEX_ENTRY_MSR_LOAD_ADDRESS] = WORLD_MEMORY;
}

#endif
