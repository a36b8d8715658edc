/*
 * Descriptor-table exits: LGDT, LIDT, SGDT, SIDT; LLDT, LTR, SLDT, STR.
 *
 * Mode, CPL and CR4.UMIP have been checked before the exit. Operands come from the instruction
 * information, but for the operand size of SLDT and STR, which it does not hold.
 * SDM volume 3 "Instructions That Cause VM Exits Conditionally", "Information for VM Exits Due to
 * Instruction Execution"; volume 2 by mnemonic.
 */
#include "arch/x86/vmx/vcpu.h"
#include "hv/string.h"
#include "x86/guest_walk.h"
#include "x86/task_switch.h"

/* --- GDTR, IDTR: a 16-bit limit, then the base of 4 or 8 bytes --- */

static unsigned operand_bytes(bool mode64)
{
    return mode64 ? 10 : 6;
}

/* The base is stored in full whatever the operand size: volume 2 "SGDT", "Operation". */
static unsigned store_table(struct vmx_vcpu *v, const struct vmx_operand *operand, bool gdt,
                            bool mode64)
{
    uint8_t bytes[10];
    uint16_t limit = (uint16_t)vmcs_read(gdt ? VMCS_GUEST_GDTR_LIMIT : VMCS_GUEST_IDTR_LIMIT);
    uint64_t base = vmcs_read(gdt ? VMCS_GUEST_GDTR_BASE : VMCS_GUEST_IDTR_BASE);

    memcpy(bytes, &limit, sizeof(limit));
    memcpy(bytes + 2, &base, sizeof(base));
    if (!vmx_operand_write(v, operand, bytes, operand_bytes(mode64)))
        return EXIT_KEEP | VCPU_RUN;
    return EXIT_NEXT | VCPU_RUN;
}

static bool canonical(struct vmx_vcpu *v, uint64_t linear)
{
    unsigned unused = vmx_guest_cr4(v) & CR4_LA57 ? 64 - 57 : 64 - 48;

    return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

static unsigned load_table(struct vmx_vcpu *v, const struct vmx_operand *operand, bool gdt,
                           bool mode64)
{
    uint8_t bytes[10] = { 0 };
    uint16_t limit;
    uint64_t base;

    if (!vmx_operand_read(v, operand, bytes, operand_bytes(mode64)))
        return EXIT_KEEP | VCPU_RUN;
    memcpy(&limit, bytes, sizeof(limit));
    memcpy(&base, bytes + 2, sizeof(base));
    if (!mode64 && operand->info.operand_bytes == 2)
        base &= 0xffffffu;
    if (!canonical(v, base))
        return vmx_answer_gp(v);
    vmcs_write(gdt ? VMCS_GUEST_GDTR_LIMIT : VMCS_GUEST_IDTR_LIMIT, limit);
    vmcs_write(gdt ? VMCS_GUEST_GDTR_BASE : VMCS_GUEST_IDTR_BASE, base);
    return EXIT_NEXT | VCPU_RUN;
}

unsigned exit_gdtr_idtr(struct vmx_vcpu *v)
{
    unsigned identity = vmx_instruction_decode(v->exit.insn_info).identity;
    bool gdt = identity == VMX_INSN_SGDT || identity == VMX_INSN_LGDT;
    bool store = identity == VMX_INSN_SGDT || identity == VMX_INSN_SIDT;
    bool mode64 = vmx_guest_mode(v) == EMUL_MODE_64;
    struct vmx_operand operand;

    if (!vmx_operand_locate(v, operand_bytes(mode64), store, &operand))
        return EXIT_KEEP | VCPU_RUN;
    return store ? store_table(v, &operand, gdt, mode64) : load_table(v, &operand, gdt, mode64);
}

/* --- LDTR, TR --- */

/* A register destination is as wide as the operand size, by prefixes that are looked for in the
 * instruction's bytes: everything before 0F. False: a fault has been queued, or again. */
static bool register_bytes(struct vmx_vcpu *v, unsigned *size_bytes)
{
    enum emul_mode mode = vmx_guest_mode(v);
    uint64_t rip = vmcs_read(VMCS_GUEST_RIP);
    uint64_t base = mode == EMUL_MODE_64 ? 0 : vmcs_read(VMCS_GUEST_CS_BASE);
    uint8_t bytes[EMUL_INSN_BYTES_MAX] = { 0 };
    unsigned count = (unsigned)hv_min_u64(v->exit.length, sizeof(bytes));
    bool prefix66 = false, wide = false;
    struct x86_fault fault;
    enum emul_status status =
        vmx_linear_read(v, GVA(mode == EMUL_MODE_64 ? rip : (uint32_t)(rip + base)), bytes, count,
                        GUEST_ACCESS_FETCH, &fault);

    if (status == EMUL_FAULT)
        vmx_queue_fault(v, &fault);
    if (status != EMUL_OK)
        return false;
    for (unsigned i = 0; i < count && bytes[i] != 0x0f; i++) {
        prefix66 |= bytes[i] == 0x66;
        wide = mode == EMUL_MODE_64 && (bytes[i] & 0xf8) == 0x48; /* REX.W, directly before 0F */
    }
    *size_bytes = wide ? 8 : prefix66 != (mode == EMUL_MODE_16) ? 2 : 4;
    return true;
}

/* In memory always 16 bits; a wider register gets zeroes above them. */
static unsigned store_selector(struct vmx_vcpu *v, bool tr)
{
    const struct vmx_instruction info = vmx_instruction_decode(v->exit.insn_info);
    uint16_t selector =
        (uint16_t)vmcs_read(tr ? VMCS_GUEST_TR_SELECTOR : VMCS_GUEST_LDTR_SELECTOR);
    struct vmx_operand operand;
    unsigned size_bytes;

    if (info.is_register) {
        if (!register_bytes(v, &size_bytes))
            return EXIT_KEEP | VCPU_RUN;
        vmx_guest_gpr_write(v, info.reg1, size_bytes, selector);
        return EXIT_NEXT | VCPU_RUN;
    }
    if (!vmx_operand_locate(v, sizeof(selector), true, &operand) ||
        !vmx_operand_write(v, &operand, &selector, sizeof(selector)))
        return EXIT_KEEP | VCPU_RUN;
    return EXIT_NEXT | VCPU_RUN;
}

static bool source_selector(struct vmx_vcpu *v, uint16_t *selector)
{
    const struct vmx_instruction info = vmx_instruction_decode(v->exit.insn_info);
    struct vmx_operand operand;

    if (info.is_register) {
        *selector = (uint16_t)vmx_guest_gpr(v, info.reg1);
        return true;
    }
    return vmx_operand_locate(v, sizeof(*selector), false, &operand) &&
           vmx_operand_read(v, &operand, selector, sizeof(*selector));
}

static void install(bool tr, const struct task_segment *s, uint64_t base)
{
    uint32_t step = tr ? VMCS_GUEST_TR_SELECTOR - VMCS_GUEST_LDTR_SELECTOR : 0;

    vmcs_write(VMCS_GUEST_LDTR_SELECTOR + step, s->selector);
    vmcs_write(VMCS_GUEST_LDTR_BASE + step, base);
    vmcs_write(VMCS_GUEST_LDTR_LIMIT + step, s->limit);
    vmcs_write(VMCS_GUEST_LDTR_ACCESS_RIGHTS + step, s->rights);
}

static unsigned load_selector(struct vmx_vcpu *v, bool tr)
{
    struct system_segment_request request = {
        .is_tr = tr,
        .ia32e = vmcs_read(VMCS_GUEST_IA32_EFER) & EFER_LMA,
        .mode64 = vmx_guest_mode(v) == EMUL_MODE_64,
        .gdt_base = vmcs_read(VMCS_GUEST_GDTR_BASE),
        .gdt_limit = (uint32_t)vmcs_read(VMCS_GUEST_GDTR_LIMIT),
    };
    struct task_segment segment;
    struct x86_fault fault;
    uint64_t base;

    if (!source_selector(v, &request.selector))
        return EXIT_KEEP | VCPU_RUN;
    switch (system_segment_load(&request, &vmx_task_ops, v, &segment, &base, &fault)) {
    case EMUL_OK:
        install(tr, &segment, base);
        return EXIT_NEXT | VCPU_RUN;
    case EMUL_FAULT:
        vmx_queue_fault(v, &fault);
        return EXIT_KEEP | VCPU_RUN;
    default:
        return vmx_crash(v, "LLDT or LTR of 0x%04x found no memory", request.selector);
    }
}

unsigned exit_ldtr_tr(struct vmx_vcpu *v)
{
    unsigned identity = vmx_instruction_decode(v->exit.insn_info).identity;
    bool tr = identity == VMX_INSN_STR || identity == VMX_INSN_LTR;

    return identity == VMX_INSN_SLDT || identity == VMX_INSN_STR ? store_selector(v, tr)
                                                                 : load_selector(v, tr);
}
