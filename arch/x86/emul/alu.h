/*
 * Arithmetic with flags, as the processor's integer unit does it. Pure; internal to arch/x86/emul.
 * SDM volume 2, each instruction's "Operation" and "Flags Affected". No lock.
 */
#ifndef EMUL_ALU_H
#define EMUL_ALU_H

#include "x86/emul.h"

/* All bits of an operand of 1, 2, 4 or 8 bytes. */
static inline uint64_t emul_size_mask(unsigned size_bytes)
{
    return ~0ull >> (64u - 8u * size_bytes);
}

static inline uint64_t emul_sign_extend(uint64_t value, unsigned size_bytes)
{
    unsigned shift = 64u - 8u * size_bytes;

    return (uint64_t)((int64_t)(value << shift) >> shift);
}

/*
 * Gives `op` of `destination` and `source`, and changes the status flags in `*rflags` as `op` does.
 * `op` is one of the two-operand and one-operand instructions from EMUL_OP_ADD to EMUL_OP_DEC.
 * Both values must be within `size_bytes`, and so is the result; a shift count or bit number may be
 * larger, and is reduced as the instruction says. CMP, TEST and BT give the destination unchanged.
 * Flags that the manual leaves undefined are: AF cleared by AND, OR, XOR, TEST and shifts, and
 * others as the formula for the defined case gives them.
 */
uint64_t emul_alu(enum emul_op op, unsigned size_bytes, uint64_t destination, uint64_t source,
                  uint64_t *rflags);

/* SETcc and CMOVcc: the condition of the opcode's low four bits. */
bool emul_condition(unsigned condition, uint64_t rflags);

#endif
