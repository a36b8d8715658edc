/*
 * What a thin guest leaves its own world for, and how little is done then: the table of handlers
 * that stands in place of those of exits.def. What has no handler here cannot occur with the policy
 * (thin_core.c), and stops the machine loudly.
 *
 * INIT is answered in two halves. On a machine a start-up message may follow INIT at once, and one
 * that finds the processor outside of the wait-for-SIPI state is dropped; so the exit for INIT
 * only puts the guest into that state, and the registers are reset when the message has come. INIT
 * at the boot core would run firmware's first code as a guest; what asked for it wanted a reset, and
 * gets one.
 * No lock: a core's own.
 * SDM volume 3 "VM Exits Due to INIT/SIPI", "Processor State After Reset", "Mode Transitions".
 */
#include "arch/x86/vmx/thin_internal.h"
#include "hv/arch_ops.h"
#include "hv/log.h"
#include "x86/msr.h"
#include "x86/trap.h"

/* --- instructions --------------------------------------------------------------------------- */

/* What the processor writes by itself to a linear address (the debug store, for PEBS and BTS) would
 * be written by our page tables while we run; what it writes to physical addresses (Processor Trace)
 * does not go through the EPT. */
#define HIDDEN_1_ECX \
    (CPUID_1_ECX_VMX | CPUID_1_ECX_SMX | CPUID_1_ECX_DTES64 | CPUID_1_ECX_DS_CPL)

/* AESKLE says whether CR4.KL is set and there is a key: the second half only the processor knows. */
static struct cpuid_regs cpuid_key_locker(uint64_t cr4, uint32_t subleaf)
{
    uint64_t own = read_cr4();
    struct cpuid_regs regs;

    write_cr4(own | (cr4 & CR4_KL));
    regs = cpuid(CPUID_LEAF_KEY_LOCKER, subleaf);
    write_cr4(own);
    return regs;
}

static struct cpuid_regs change_leaf(struct cpuid_regs regs, uint32_t leaf, uint32_t subleaf)
{
    uint64_t cr4 = vmcs_read(VMCS_GUEST_CR4);

    if (leaf == CPUID_LEAF_FEATURES) {
        regs.ecx &= ~(HIDDEN_1_ECX | CPUID_1_ECX_OSXSAVE);
        regs.edx &= ~CPUID_1_EDX_DS;
        regs.ecx |= cr4 & CR4_OSXSAVE ? CPUID_1_ECX_OSXSAVE : 0;
    } else if (leaf == CPUID_LEAF_EXTENDED_FEATURES && subleaf == 0) {
        regs.ecx &= ~CPUID_7_ECX_OSPKE;
        regs.ecx |= cr4 & CR4_PKE ? CPUID_7_ECX_OSPKE : 0;
        regs.ebx &= ~CPUID_7_EBX_PT;
        regs.edx &= ~CPUID_7_EDX_PCONFIG;
    } else if (leaf == CPUID_LEAF_EXTENDED_FEATURES && subleaf == 1) {
        regs.eax &= ~CPUID_7_1_EAX_MSRLIST;
        regs.ecx &= ~CPUID_7_1_ECX_MSR_IMM;
        regs.edx &= ~CPUID_7_1_EDX_USER_MSR;
    } else if (leaf == CPUID_LEAF_PMU_V2 && subleaf == 0) {
        regs.eax &= ~CPUID_23_EAX_PEBS;
    } else if (leaf == CPUID_LEAF_KEY_LOCKER) {
        regs = cpuid_key_locker(cr4, subleaf);
    } else if (leaf == CPUID_LEAF_PT) {
        regs = (struct cpuid_regs){ 0 };
    }
    return regs;
}

/* The processor's own answer, but for VT-x, SMX, the above, the keys of memory encryption
 * (thin_memory.c) and accesses to MSRs whose exits are not known here; and for what it takes from
 * CR4, which is ours while we run. XCR0 and IA32_XSS are the guest's, so that the sizes of leaf
 * 0DH are right. Most of it is answered in thin_hot.c already. */
static unsigned thin_cpuid(struct vmx_vcpu *v)
{
    uint64_t *r = v->gprs.r;
    uint32_t leaf = (uint32_t)r[X86_RAX], subleaf = (uint32_t)r[X86_RCX];
    struct cpuid_regs regs = cpuid(leaf, subleaf);

    if (thin_changes_leaf(leaf))
        regs = change_leaf(regs, leaf, subleaf);
    r[X86_RAX] = regs.eax;
    r[X86_RBX] = regs.ebx;
    r[X86_RCX] = regs.ecx;
    r[X86_RDX] = regs.edx;
    return EXIT_NEXT | VCPU_RUN;
}

/* Into the core's own XCR0, with the processor's own checks. */
static unsigned thin_xsetbv(struct vmx_vcpu *v)
{
    uint64_t value = (uint32_t)v->gprs.r[X86_RAX] | v->gprs.r[X86_RDX] << 32;

    if (!xsetbv_safe((uint32_t)v->gprs.r[X86_RCX], value))
        return vmx_answer_gp(v);
    return EXIT_NEXT | VCPU_RUN;
}

/* INVD throws modified lines away, also ours: what is written back instead does no harm. */
static unsigned thin_invd(struct vmx_vcpu *v)
{
    (void)v;
    wbinvd();
    return EXIT_NEXT | VCPU_RUN;
}

/* --- control registers ---------------------------------------------------------------------- */

/* CR4: only VMXE, SMXE and what the processor does not have come here: all of them are reserved in
 * a machine without VT-x and SMX.
 * CR0: NE, which VMX operation wants to be 1, and reserved bits. NE takes the value that was asked for
 * where the guest looks for it; then the instruction does not differ from that any more, and does
 * everything else itself when it is run once more, with all the processor's checks. */
static unsigned thin_cr_access(struct vmx_vcpu *v)
{
    struct vmx_cr_access access = vmx_cr_access_decode(v->exit.qualification);
    uint64_t value = access.gpr == X86_RSP ? vmcs_read(VMCS_GUEST_RSP) : v->gprs.r[access.gpr];
    uint64_t shadow = vmcs_read(VMCS_CR0_READ_SHADOW);

    if (access.type != VMX_CR_MOV_TO || (access.cr != 0 && access.cr != 4))
        return vmx_crash(v, "an access to CR%u exited", access.cr);
    if (vmx_guest_mode(v) != EMUL_MODE_64)
        value = (uint32_t)value;
    if (access.cr == 4 || (value & ~v->controls->cr0_may_be_1))
        return vmx_answer_gp(v);
    vmcs_write(VMCS_CR0_READ_SHADOW, (shadow & ~CR0_NE) | (value & CR0_NE));
    return EXIT_KEEP | VCPU_RUN;
}

/* --- start and end -------------------------------------------------------------------------- */

static uint32_t signature(void)
{
    return cpuid(CPUID_LEAF_FEATURES, 0).eax;
}

/* What INIT leaves in registers that are in no VMCS. */
static void clear_registers(void)
{
    write_dr0(0);
    write_dr1(0);
    write_dr2(0);
    write_dr3(0);
    write_dr6(DR6_INIT);
    write_cr2(0);
}

static void init_registers(struct vmx_vcpu *v)
{
    /* CD and NW stay, in the register itself: entries do not load them. */
    vmx_guest_registers_init(v, CR0_ET | (read_cr0() & (CR0_CD | CR0_NW)), signature());
    clear_registers();
    thin_apic_init();
    v->attention |= VMX_ATTENTION_FLUSH;
}

static unsigned thin_init(struct vmx_vcpu *v)
{
    if (v->vcpu.index == 0) {
        hv_error("thin: INIT at the boot core; the machine is reset");
        arch_reset();
    }
    v->run_state = VMX_WAIT_FOR_SIPI; /* first: thin_take_nmi looks at it */
    vmcs_write(VMCS_ENTRY_INTERRUPTION_INFORMATION, 0);
    vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE, 0);
    vmcs_write(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
    vmcs_write(VMCS_GUEST_ACTIVITY_STATE, VMX_ACTIVITY_WAIT_FOR_SIPI);
    return EXIT_KEEP | VCPU_RUN;
}

static unsigned thin_sipi(struct vmx_vcpu *v)
{
    init_registers(v);
    vmx_guest_state_sipi(v, (uint8_t)v->exit.qualification);
    return EXIT_KEEP | VCPU_RUN;
}

/* On a machine the processor shuts down, and the chipset resets it. */
static unsigned thin_triple_fault(struct vmx_vcpu *v)
{
    hv_error("thin: core %u: triple fault at %#llx; the machine is reset", v->vcpu.index,
             (unsigned long long)vmcs_read(VMCS_GUEST_RIP));
    arch_reset();
}

/* 32-bit systems alone have them, for double faults: the guest's memory is not mapped here, and it
 * would have to be for this. */
static unsigned thin_task_switch(struct vmx_vcpu *v)
{
    return vmx_crash(v, "a hardware task switch to selector 0x%x",
                     (unsigned)v->exit.qualification & 0xffff);
}

/* --- memory --------------------------------------------------------------------------------- */

static unsigned thin_ept_violation(struct vmx_vcpu *v)
{
    /* An IRET that had ended the blocking of NMIs already runs again. */
    if ((v->exit.qualification & VMX_EPTV_NMI_UNBLOCKED) && !v->exit.vect_info)
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE,
                   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE) | VMX_BLOCKING_BY_NMI);
    if (thin_memory_map_more(v, v->exit.gpa))
        return EXIT_KEEP | VCPU_RUN;
    return vmx_crash(v, "an access to %#llx: no address of this processor, or one with a key in it",
                     (unsigned long long)v->exit.gpa.v);
}

unsigned (*const thin_handlers[VMEXIT_COUNT])(struct vmx_vcpu *v) = {
    [VMEXIT_TRIPLE_FAULT] = thin_triple_fault,
    [VMEXIT_INIT] = thin_init,
    [VMEXIT_SIPI] = thin_sipi,
    [VMEXIT_TASK_SWITCH] = thin_task_switch,
    [VMEXIT_CPUID] = thin_cpuid,
    [VMEXIT_GETSEC] = exit_undefined_opcode,
    [VMEXIT_INVD] = thin_invd,
    [VMEXIT_VMCALL] = thin_vmcall,
    [VMEXIT_VMCLEAR] = exit_undefined_opcode,
    [VMEXIT_VMLAUNCH] = exit_undefined_opcode,
    [VMEXIT_VMPTRLD] = exit_undefined_opcode,
    [VMEXIT_VMPTRST] = exit_undefined_opcode,
    [VMEXIT_VMREAD] = exit_undefined_opcode,
    [VMEXIT_VMRESUME] = exit_undefined_opcode,
    [VMEXIT_VMWRITE] = exit_undefined_opcode,
    [VMEXIT_VMXOFF] = exit_undefined_opcode,
    [VMEXIT_VMXON] = exit_undefined_opcode,
    [VMEXIT_CR_ACCESS] = thin_cr_access,
    [VMEXIT_IO_INSTRUCTION] = thin_io,
    [VMEXIT_RDMSR] = thin_rdmsr,
    [VMEXIT_WRMSR] = thin_wrmsr,
    [VMEXIT_MONITOR_TRAP_FLAG] = thin_trap_flag,
    [VMEXIT_EPT_VIOLATION] = thin_ept_violation,
    [VMEXIT_EPT_MISCONFIG] = exit_unexpected,
    [VMEXIT_INVEPT] = exit_undefined_opcode,
    [VMEXIT_INVVPID] = exit_undefined_opcode,
    [VMEXIT_VMFUNC] = exit_undefined_opcode,
    [VMEXIT_XSETBV] = thin_xsetbv,
    [VMEXIT_SEAMCALL] = exit_undefined_opcode,
    [VMEXIT_TDCALL] = exit_undefined_opcode,
};
