/*
 * Arithmetic with flags: see alu.h. No lock, no state.
 * SDM volume 1 "EFLAGS Cross-Reference"; volume 2, the instructions' "Operation".
 */
#include "alu.h"



struct alu_result {
    uint64_t value;
    uint64_t flags; /* new values of the flags in `affected` */
    uint64_t affected;
};

static uint64_t flag_if(bool condition, uint64_t flag)
{
    return condition ? flag : 0;
}

/* PF looks at the low byte alone, whatever the operand's size. */
static uint64_t result_flags(uint64_t value, uint64_t top)
{
    uint64_t parity = value ^ (value >> 4);

    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return flag_if(!(parity & 1), RFLAGS_PF) | flag_if(value == 0, RFLAGS_ZF) |
           flag_if(value & top, RFLAGS_SF);
}

static struct alu_result add(uint64_t a, uint64_t b, uint64_t carry, uint64_t mask)
{
    uint64_t top = mask ^ (mask >> 1);
    uint64_t value = (a + b + carry) & mask;
    uint64_t carries = (a & b) | ((a | b) & ~value);

    return (struct alu_result){
        .value = value,
        .flags = flag_if(carries & top, RFLAGS_CF) | flag_if(carries & 8, RFLAGS_AF) |
                 flag_if((a ^ value) & (b ^ value) & top, RFLAGS_OF),
        .affected = RFLAGS_STATUS,
    };
}

static struct alu_result subtract(uint64_t a, uint64_t b, uint64_t borrow, uint64_t mask)
{
    uint64_t top = mask ^ (mask >> 1);
    uint64_t value = (a - b - borrow) & mask;
    uint64_t borrows = (~a & b) | ((~a | b) & value);

    return (struct alu_result){
        .value = value,
        .flags = flag_if(borrows & top, RFLAGS_CF) | flag_if(borrows & 8, RFLAGS_AF) |
                 flag_if((a ^ b) & (a ^ value) & top, RFLAGS_OF),
        .affected = RFLAGS_STATUS,
    };
}

static struct alu_result logic(uint64_t value)
{
    return (struct alu_result){ .value = value, .affected = RFLAGS_STATUS };
}

/* SHL, SHR, SAR; `count` is 1 to 63. CF takes the last bit that left. */
static struct alu_result shift(enum emul_op op, uint64_t a, unsigned count, unsigned bits)
{
    uint64_t mask = ~0ull >> (64 - bits);
    uint64_t top = mask ^ (mask >> 1);
    struct alu_result r = { .affected = RFLAGS_STATUS };
    bool carry;

    if (op == EMUL_OP_SHR) {
        carry = (a >> (count - 1)) & 1;
        r.value = a >> count;
        r.flags = flag_if(a & top, RFLAGS_OF);
    } else if (op == EMUL_OP_SAR) {
        int64_t extended = (int64_t)emul_sign_extend(a, bits / 8);

        carry = (extended >> (count - 1)) & 1;
        r.value = (uint64_t)(extended >> count) & mask;
    } else {
        carry = count <= bits && ((a >> (bits - count)) & 1);
        r.value = (a << count) & mask;
        r.flags = flag_if(((r.value & top) != 0) != carry, RFLAGS_OF);
    }
    r.flags |= flag_if(carry, RFLAGS_CF);
    return r;
}

/* ROL, ROR; a multiple of the operand's size moves nothing, and sets the flags nevertheless. */
static struct alu_result rotate(enum emul_op op, uint64_t a, unsigned count, unsigned bits)
{
    uint64_t mask = ~0ull >> (64 - bits);
    unsigned left = (op == EMUL_OP_ROL ? count : bits - count % bits) % bits;
    uint64_t value = left ? ((a << left) | (a >> (bits - left))) & mask : a;
    bool high = (value >> (bits - 1)) & 1;
    bool next = (value >> (bits - 2)) & 1;
    bool carry = op == EMUL_OP_ROL ? (value & 1) : high;

    return (struct alu_result){
        .value = value,
        .flags = flag_if(carry, RFLAGS_CF) |
                 flag_if(op == EMUL_OP_ROL ? high != carry : high != next, RFLAGS_OF),
        .affected = RFLAGS_CF | RFLAGS_OF,
    };
}

/* RCL, RCR: a rotation of one bit more, in which CF is the topmost. */
static struct alu_result rotate_carry(enum emul_op op, uint64_t a, unsigned count, unsigned bits,
                                      bool carry)
{
    uint64_t mask = ~0ull >> (64 - bits);
    bool high = (a >> (bits - 1)) & 1;
    bool overflow = high != carry; /* RCR by 1 looks at what it starts from */

    for (count %= bits + 1; count > 0; count--) {
        bool out;

        if (op == EMUL_OP_RCL) {
            out = (a >> (bits - 1)) & 1;
            a = ((a << 1) | carry) & mask;
        } else {
            out = a & 1;
            a = (a >> 1) | ((uint64_t)carry << (bits - 1));
        }
        carry = out;
    }
    if (op == EMUL_OP_RCL) {
        overflow = ((a >> (bits - 1)) & 1) != carry;
    }
    return (struct alu_result){
        .value = a,
        .flags = flag_if(carry, RFLAGS_CF) | flag_if(overflow, RFLAGS_OF),
        .affected = RFLAGS_CF | RFLAGS_OF,
    };
}

/* Shifts and rotates. "The count is masked to 5 bits (or 6 bits)"; by 0, no flag changes. */
static struct alu_result shift_group(enum emul_op op, uint64_t a, uint64_t source,
                                     unsigned size_bytes, uint64_t rflags)
{
    unsigned count = (unsigned)source & (size_bytes == 8 ? 0x3fu : 0x1fu);
    unsigned bits = 8 * size_bytes;
    struct alu_result r;

    if (count == 0) {
        return (struct alu_result){ .value = a };
    }
    switch (op) {
    case EMUL_OP_ROL:
    case EMUL_OP_ROR:
        return rotate(op, a, count, bits);
    case EMUL_OP_RCL:
    case EMUL_OP_RCR:
        return rotate_carry(op, a, count, bits, rflags & RFLAGS_CF);
    default:
        r = shift(op, a, count, bits);
        r.flags |= result_flags(r.value, 1ull << (bits - 1));
        return r;
    }
}

static struct alu_result bit_test(enum emul_op op, uint64_t a, uint64_t source, unsigned size_bytes)
{
    uint64_t bit = 1ull << (source & (8 * size_bytes - 1));
    struct alu_result r = {
        .value = a,
        .flags = flag_if(a & bit, RFLAGS_CF),
        .affected = RFLAGS_CF,
    };

    if (op == EMUL_OP_BTS) {
        r.value |= bit;
    } else if (op == EMUL_OP_BTR) {
        r.value &= ~bit;
    } else if (op == EMUL_OP_BTC) {
        r.value ^= bit;
    }
    return r;
}

static struct alu_result arithmetic(enum emul_op op, uint64_t a, uint64_t b, uint64_t mask,
                                    uint64_t rflags)
{
    struct alu_result r;

    switch (op) {
    case EMUL_OP_ADD:
        return add(a, b, 0, mask);
    case EMUL_OP_ADC:
        return add(a, b, rflags & RFLAGS_CF, mask);
    case EMUL_OP_SBB:
        return subtract(a, b, rflags & RFLAGS_CF, mask);
    case EMUL_OP_NEG:
        return subtract(0, a, 0, mask);
    case EMUL_OP_INC:
    case EMUL_OP_DEC:
        r = op == EMUL_OP_INC ? add(a, 1, 0, mask) : subtract(a, 1, 0, mask);
        r.affected &= ~RFLAGS_CF;
        r.flags &= ~RFLAGS_CF;
        return r;
    case EMUL_OP_OR:
        return logic(a | b);
    case EMUL_OP_AND:
    case EMUL_OP_TEST:
        return logic(a & b);
    case EMUL_OP_XOR:
        return logic(a ^ b);
    default: /* SUB, CMP */
        return subtract(a, b, 0, mask);
    }
}

uint64_t emul_alu(enum emul_op op, unsigned size_bytes, uint64_t destination, uint64_t source,
                  uint64_t *rflags)
{
    uint64_t mask = emul_size_mask(size_bytes);
    struct alu_result r;

    if (op == EMUL_OP_NOT) {
        return ~destination & mask;
    }
    if (op >= EMUL_OP_ROL && op <= EMUL_OP_SAR) {
        r = shift_group(op, destination, source, size_bytes, *rflags);
    } else if (op >= EMUL_OP_BT && op <= EMUL_OP_BTC) {
        r = bit_test(op, destination, source, size_bytes);
    } else {
        r = arithmetic(op, destination, source, mask, *rflags);
        r.flags |= result_flags(r.value, mask ^ (mask >> 1));
    }
    *rflags = (*rflags & ~r.affected) | r.flags;
    return op == EMUL_OP_CMP || op == EMUL_OP_TEST ? destination : r.value;
}

/* SDM volume 1 appendix "EFLAGS Condition Codes": the lowest bit of the condition negates it. */
bool emul_condition(unsigned condition, uint64_t rflags)
{
    bool less = !(rflags & RFLAGS_SF) != !(rflags & RFLAGS_OF);
    bool met = false;

    switch ((condition >> 1) & 7u) {
    case 0: met = rflags & RFLAGS_OF; break;
    case 1: met = rflags & RFLAGS_CF; break;
    case 2: met = rflags & RFLAGS_ZF; break;
    case 3: met = rflags & (RFLAGS_CF | RFLAGS_ZF); break;
    case 4: met = rflags & RFLAGS_SF; break;
    case 5: met = rflags & RFLAGS_PF; break;
    case 6: met = less; break;
    case 7: met = less || (rflags & RFLAGS_ZF); break;
    }
    return met != (condition & 1u);
}
