/*
 * General-purpose registers as operands of 1, 2, 4 and 8 bytes. Pure, no lock.
 * SDM volume 1 "General-Purpose Registers".
 */
#include "alu.h"
#include "execute.h"

uint64_t emul_gpr_read(const struct x86_gprs *gprs, unsigned reg, unsigned size_bytes)
{
    return gprs->r[reg & 15u] & emul_size_mask(size_bytes);
}

void emul_gpr_write(struct x86_gprs *gprs, unsigned reg, unsigned size_bytes, uint64_t value)
{
    uint64_t mask = emul_size_mask(size_bytes);
    uint64_t kept = size_bytes >= 4 ? 0 : gprs->r[reg & 15u] & ~mask;

    gprs->r[reg & 15u] = kept | (value & mask);
}

uint64_t emul_operand_read(const struct emul_insn *insn, const struct x86_gprs *gprs)
{
    if (insn->flags & EMUL_F_HIGH8) {
        return (gprs->r[insn->reg & 15u] >> 8) & 0xff;
    }
    return emul_gpr_read(gprs, insn->reg, insn->register_bytes);
}

void emul_operand_write(const struct emul_insn *insn, struct x86_gprs *gprs, uint64_t value)
{
    uint64_t *reg = &gprs->r[insn->reg & 15u];

    if (insn->flags & EMUL_F_HIGH8) {
        *reg = (*reg & ~0xff00ull) | ((value & 0xff) << 8);
    } else {
        emul_gpr_write(gprs, insn->reg, insn->register_bytes, value);
    }
}

void emul_mov_finish_load(const struct emul_insn *insn, struct x86_gprs *gprs, uint64_t value)
{
    value &= emul_size_mask(insn->memory_bytes);
    if (insn->op == EMUL_OP_MOVSX) {
        value = emul_sign_extend(value, insn->memory_bytes);
    }
    emul_operand_write(insn, gprs, value);
}
