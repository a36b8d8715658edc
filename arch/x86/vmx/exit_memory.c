/*
 * Accesses to guest-physical addresses that the EPT do not map: devices, or nothing at all.
 *
 * All RAM is mapped before the first entry, so a violation is a device access, an access to what is
 * not there (answered with all ones, as on a bus without takers), or a write to read-only memory.
 * The common case takes no page walk: the processor has translated and checked the operand, and the
 * instruction is known from the last time.
 * SDM volume 3 "EPT Violations", "EPT Misconfigurations", "Exit Qualification for EPT Violations".
 */
#include "arch/x86/vmx/vcpu.h"

/* The exit came from an IRET that had ended the blocking of NMIs, and the IRET will run again. */
static void restore_nmi_blocking(struct vmx_vcpu *v)
{
    if (!v->exit.vect_info)
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE,
                   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE) | VMX_BLOCKING_BY_NMI);
}

/* An operand that begins in RAM and goes on in a device's page exits with the address of that page:
 * only the linear address tells it from one that begins there. */
static bool begins_in_page(struct vmx_vcpu *v, const struct emul_insn *insn, unsigned size,
                           bool write)
{
    struct emul_state state;
    struct x86_fault fault;
    gva_t linear;

    if (size == 1 || (v->exit.gpa.v & HV_PAGE_MASK) != 0)
        return true;
    vmx_emul_state(v, &state);
    return emul_operand_linear(insn, &state, size, write, &vmx_emul_ops, v, &linear, &fault) ==
               EMUL_OK &&
           (linear.v & HV_PAGE_MASK) == 0;
}

/* The short way: one plain move between a register and a device, which no breakpoint watches. */
static bool mmio_fast(struct vmx_vcpu *v, const struct emul_insn *insn, unsigned *answer)
{
    bool write;
    unsigned size;
    uint64_t value = 0;

    if (!emul_mov_fast(insn, &write, &size) || HV_UNLIKELY(vmx_has_breakpoints()) ||
        (v->exit.gpa.v & HV_PAGE_MASK) + size > HV_PAGE_BYTES || insn->reg == X86_RSP ||
        !begins_in_page(v, insn, size, write))
        return false;
    if (write)
        value = emul_mov_store_value(insn, &v->gprs);
    if (vmx_mmio(v, v->exit.gpa, size, write, &value) == BUS_FAULT) {
        *answer = vmx_crash(v, "device memory 0x%llx: the device cannot take this access",
                            (unsigned long long)v->exit.gpa.v);
        return true;
    }
    if (!write)
        emul_mov_finish_load(insn, &v->gprs, value);
    v->exit.length = insn->length_bytes;
    *answer = EXIT_NEXT | VCPU_RUN;
    return true;
}

static unsigned mmio(struct vmx_vcpu *v)
{
    const struct emul_insn *insn;
    struct x86_fault fault;
    unsigned answer;

    switch (vmx_fetch_decode(v, &insn, &fault)) {
    case EMUL_OK:
        return mmio_fast(v, insn, &answer) ? answer : vmx_emulate(v, insn);
    case EMUL_FAULT:
        vmx_queue_fault(v, &fault);
        return EXIT_KEEP | VCPU_RUN;
    case EMUL_RETRY:
        return EXIT_KEEP | VCPU_RUN;
    case EMUL_UD:
        return vmx_answer_ud(v);
    case EMUL_TOO_LONG:
        return vmx_answer_gp(v);
    default:
        return vmx_crash(v, "an instruction that is not emulated accessed 0x%llx",
                         (unsigned long long)v->exit.gpa.v);
    }
}

unsigned exit_ept_violation(struct vmx_vcpu *v)
{
    struct vmx_ept_violation e = vmx_ept_violation_decode(v->exit.qualification);

    if (HV_UNLIKELY(e.nmi_unblocked))
        restore_nmi_blocking(v);
    if (HV_UNLIKELY(v->exit.vect_info))
        return vmx_crash(v, "an event was to be delivered through memory that is not there, 0x%llx",
                         (unsigned long long)v->exit.gpa.v);
    if (HV_UNLIKELY(e.fetch))
        return vmx_crash(v, "executed from memory that is not there, 0x%llx",
                         (unsigned long long)v->exit.gpa.v);
    if (HV_UNLIKELY(!e.translated))
        return vmx_crash(v, "page tables in memory that is not there, 0x%llx",
                         (unsigned long long)v->exit.gpa.v);
    return mmio(v);
}

unsigned exit_ept_misconfig(struct vmx_vcpu *v)
{
    return vmx_crash(v, "our own EPT entry for 0x%llx is malformed",
                     (unsigned long long)v->exit.gpa.v);
}
