/*
 * Exits for exceptions and NMIs.
 *
 * The bitmap selects #DB, #AC and #MC. The first two because a guest can make the processor raise
 * them without end while it delivers them, so that no interrupt ever gets in: seen as an exit, the
 * loop is one that a time slice ends. #MC because it is the machine's affair.
 * SDM volume 3 "Exceptions and Interrupts Vectors", "Exit Qualification for Debug Exceptions".
 */
#include "arch/x86/vmx/vcpu.h"
#include "hv/panic.h"

/* What the processor would have done to DR6 and DR7 if the exception had not exited. */
static void debug_registers(struct vmx_vcpu *v)
{
    uint64_t qualification = v->exit.qualification;
    uint64_t dr6 = read_dr6() & ~(uint64_t)(DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3);

    dr6 |= qualification & (DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3 | DR6_BD | DR6_BS);
    /* BLD and RTM are active low in DR6 and active high in the qualification. */
    dr6 |= DR6_RTM;
    if (qualification & DR6_RTM)
        dr6 &= ~(uint64_t)DR6_RTM;
    write_dr6(dr6);
    vmcs_write(VMCS_GUEST_DR7, vmcs_read(VMCS_GUEST_DR7) & ~(uint64_t)DR7_GD);
    vmcs_write(VMCS_GUEST_IA32_DEBUGCTL, vmcs_read(VMCS_GUEST_IA32_DEBUGCTL) & ~UINT64_C(3));
}

static unsigned reflect(struct vmx_vcpu *v)
{
    uint32_t info = v->exit.intr_info;
    uint8_t vector = vmx_intr_vector(info);

    if (vector == X86_EXC_DB)
        debug_registers(v);
    if (vector == X86_EXC_PF)
        write_cr2(v->exit.qualification);
    if (vmx_intr_is_software(info)) {
        /* INT1: its delivery pushes the address of the next instruction. */
        v->exit.vect_info = 0;
        v->event = (struct vmx_event){ vmx_intr_from_idt_vectoring(info), 0, v->exit.length };
        v->attention |= VMX_ATTENTION_EVENT;
    } else {
        vmx_queue_exception(v, vector, info & VMX_INTR_ERROR_CODE, v->exit.intr_error);
    }
    return EXIT_KEEP | VCPU_RUN;
}

unsigned exit_exception_nmi(struct vmx_vcpu *v)
{
    uint32_t info = v->exit.intr_info;
    uint8_t vector = vmx_intr_vector(info);

    if (vmx_intr_type(info) == VMX_INTR_NMI) {
        int_nmi();
        return EXIT_KEEP | VCPU_RUN;
    }
    /* The exception hit an IRET that had ended the blocking of NMIs, and it will run again. */
    if ((info & VMX_INTR_NMI_UNBLOCKED) && !v->exit.vect_info && vector != X86_EXC_DF)
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE,
                   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE) | VMX_BLOCKING_BY_NMI);
    switch (vector) {
    case X86_EXC_DB:
        if (vmx_debug_exception(v))
            return EXIT_KEEP | VCPU_YIELD;
        return reflect(v);
    case X86_EXC_AC:
        return reflect(v);
    case X86_EXC_MC:
        hv_panic("machine check while a guest ran on core %u", arch_this_core());
    default: /* one that the laboratory wants to see */
        if (v->controls->exception_bitmap >> (vector & 31) & 1)
            return reflect(v);
        return vmx_crash(v, "exception %u, which the bitmap does not select", vector);
    }
}
