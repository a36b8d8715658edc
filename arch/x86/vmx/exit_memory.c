/*
 * Accesses to guest-physical addresses that the EPT do not map: devices, or nothing at all.
 *
 * All RAM is mapped before the first entry, so a violation is a device access, an access to what is
 * not there (answered with all ones, as on a bus without takers), or a write to read-only memory.
 * The common case takes no page walk: the processor has translated and checked the operand, and the
 * instruction is known from the last time.
 * SDM volume 3 "EPT Violations", "EPT Misconfigurations", "Exit Qualification for EPT Violations".
 */
#include "arch/x86/vmx/code_path.h"

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

    if (!emul_mov_fast(insn, &write, &size) || HV_UNLIKELY(vmx_has_breakpoints(v)) ||
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

/* --- the common case: 4 bytes between a register and a device --- */

/* The last 12 bits of the operand's linear address, in 64-bit mode, where but FS and GS no segment
 * has a base. False: it takes more to know. */
static __attribute__((noinline)) bool operand_page_offset(struct vmx_vcpu *v, const struct emul_insn *insn,
                                       uint64_t *offset)
{
    uint64_t address = (uint64_t)insn->displacement;

    if (insn->segment == X86_FS || insn->segment == X86_GS || insn->base == X86_RSP)
        return false;
    if (insn->base == EMUL_REG_RIP)
        address += vmcs_read(VMCS_GUEST_RIP) + insn->length_bytes;
    else if (insn->base != EMUL_REG_NONE)
        address += v->gprs.r[insn->base & 15u];
    if (insn->index != EMUL_REG_NONE)
        address += v->gprs.r[insn->index & 15u] << insn->scale_shift;
    *offset = address & HV_PAGE_MASK;
    return true;
}

static inline bool plain_fits(struct vmx_vcpu *v, const struct vmx_code_path *path)
{
    const struct emul_insn *insn = &path->insn;
    uint64_t offset = v->exit.gpa.v & HV_PAGE_MASK, operand;

    if (HV_UNLIKELY(vmx_has_breakpoints(v)))
        return false;
    if (HV_LIKELY(offset != 0))
        return HV_LIKELY(offset <= HV_PAGE_BYTES - 4);
    /* See begins_in_page. */
    if (HV_LIKELY(path->base_only))
        return ((v->gprs.r[insn->base & 15u] + (uint64_t)insn->displacement) & HV_PAGE_MASK) == 0;
    return operand_page_offset(v, insn, &operand) && operand == 0;
}

static inline bool plain_load(struct vmx_vcpu *v, const struct emul_insn *insn)
{
    int64_t value;

    if (lapic_is_at(v->lapic, v->exit.gpa))
        value = (uint32_t)lapic_mmio_read(v->lapic, (uint32_t)(v->exit.gpa.v & HV_PAGE_MASK), 4);
    else
        value = bus_mmio_read32(&v->vcpu.vm->bus, v->exit.gpa.v);
    if (HV_UNLIKELY(value < 0))
        return false;
    v->gprs.r[insn->reg & 15u] = (uint64_t)value;
    return true;
}

static inline bool plain_store(struct vmx_vcpu *v, uint64_t value)
{
    if (lapic_is_at(v->lapic, v->exit.gpa)) {
        lapic_mmio_write(v->lapic, (uint32_t)(v->exit.gpa.v & HV_PAGE_MASK), 4, (uint32_t)value);
        return true;
    }
    return bus_mmio_write32(&v->vcpu.vm->bus, v->exit.gpa.v, (uint32_t)value) != BUS_FAULT;
}

/* False: nothing has been done; a device's refusal is told again there. */
static inline bool plain_access(struct vmx_vcpu *v)
{
    const struct vmx_code_path *path = vmx_code_path_find(v);
    const struct emul_insn *insn;
    bool done;

    if (HV_UNLIKELY(!path))
        return false;
    insn = &path->insn;
    if (path->plain == VMX_PLAIN_NONE || !plain_fits(v, path))
        return false;
    if (path->plain == VMX_PLAIN_LOAD)
        done = plain_load(v, insn);
    else if (path->plain == VMX_PLAIN_STORE)
        done = plain_store(v, v->gprs.r[insn->reg & 15u]);
    else
        done = plain_store(v, (uint64_t)(int64_t)insn->immediate);
    v->exit.length = insn->length_bytes;
    return done;
}

static __attribute__((noinline)) unsigned ept_violation_any(struct vmx_vcpu *v)
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

unsigned exit_ept_violation(struct vmx_vcpu *v)
{
    const uint64_t operand = VMX_EPTV_LINEAR_VALID | VMX_EPTV_TRANSLATED;
    const uint64_t looked_at = operand | VMX_EPTV_FETCH | VMX_EPTV_NMI_UNBLOCKED;

    if (HV_LIKELY((v->exit.qualification & looked_at) == operand && !v->exit.vect_info) &&
        HV_LIKELY(plain_access(v)))
        return EXIT_NEXT | VCPU_RUN;
    return ept_violation_any(v);
}

unsigned exit_ept_misconfig(struct vmx_vcpu *v)
{
    return vmx_crash(v, "our own EPT entry for 0x%llx is malformed",
                     (unsigned long long)v->exit.gpa.v);
}
