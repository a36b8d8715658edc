/*
 * Memory operands of instructions that the VM-exit instruction information describes, so that
 * they need no decoding: descriptor-table instructions, INVPCID.
 * SDM volume 3 "Information for VM Exits Due to Instruction Execution"; the exit qualification holds
 * the displacement, with RIP added where the instruction addresses relative to it.
 */
#include "arch/x86/vmx/vcpu.h"
#include "x86/guest_walk.h"

static uint8_t scale_shift(uint8_t scale)
{
    return (uint8_t)__builtin_ctz(scale);
}

bool vmx_operand_locate(struct vmx_vcpu *v, unsigned size_bytes, bool is_write,
                        struct vmx_operand *operand)
{
    const struct vmx_instruction info = vmx_instruction_decode(v->exit.insn_info);
    const struct emul_insn insn = {
        .address_bytes = info.address_bytes,
        .segment = info.segment,
        .base = info.has_base ? info.base : EMUL_REG_NONE,
        .index = info.has_index ? info.index : EMUL_REG_NONE,
        .scale_shift = scale_shift(info.scale),
        .displacement = (int64_t)v->exit.qualification,
    };
    struct emul_state state;
    struct x86_fault fault;

    operand->info = info;
    vmx_emul_state(v, &state);
    if (emul_operand_linear(&insn, &state, size_bytes, is_write, &vmx_emul_ops, v,
                            &operand->linear, &fault) == EMUL_OK)
        return true;
    vmx_queue_fault(v, &fault);
    return false;
}

static bool settle(struct vmx_vcpu *v, enum emul_status status, const struct x86_fault *fault)
{
    if (status == EMUL_FAULT)
        vmx_queue_fault(v, fault);
    return status == EMUL_OK;
}

bool vmx_operand_read(struct vmx_vcpu *v, const struct vmx_operand *operand, void *bytes,
                      unsigned size_bytes)
{
    struct x86_fault fault;

    return settle(v, vmx_linear_read(v, operand->linear, bytes, size_bytes, GUEST_ACCESS_READ,
                                     &fault), &fault);
}

bool vmx_operand_write(struct vmx_vcpu *v, const struct vmx_operand *operand, const void *bytes,
                       unsigned size_bytes)
{
    struct x86_fault fault;

    return settle(v, vmx_linear_write(v, operand->linear, bytes, size_bytes, GUEST_ACCESS_WRITE,
                                      &fault), &fault);
}
