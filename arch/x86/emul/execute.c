/*
 * The executor for instructions with one explicit memory operand. String instructions are in
 * string.c, addresses in address.c, arithmetic in alu.c.
 *
 * Order within an instruction, so that a fault leaves nothing half done: address and its checks;
 * read; compute into locals; write; only then registers and flags.
 * SDM volume 2, the instructions' "Operation". No lock.
 */
#include "execute.h"

#include "alu.h"

static enum emul_status operand_linear(struct emul_exec *x, bool is_write, gva_t *linear)
{
    return emul_linear(x, (enum x86_seg)x->insn->segment, emul_effective_address(x),
                       x->insn->memory_bytes, is_write, linear);
}

static enum emul_status read_operand(struct emul_exec *x, uint64_t *value)
{
    gva_t linear;
    enum emul_status status = operand_linear(x, false, &linear);

    *value = 0;
    if (status == EMUL_OK) {
        status = x->ops->read(x->ctx, linear, x->insn->memory_bytes, value, 0, x->fault);
    }
    return status;
}

static enum emul_status write_operand(struct emul_exec *x, uint64_t value)
{
    gva_t linear;
    enum emul_status status = operand_linear(x, true, &linear);

    if (status == EMUL_OK) {
        value &= emul_size_mask(x->insn->memory_bytes);
        status = x->ops->write(x->ctx, linear, x->insn->memory_bytes, &value, 0, x->fault);
    }
    return status;
}

/* The second half of a read-modify-write, after `old` was read with the permission to write. */
static enum emul_status replace(struct emul_exec *x, gva_t linear, const uint64_t *old,
                                const uint64_t *value)
{
    bool locked = (x->insn->flags & EMUL_F_LOCK) || x->insn->op == EMUL_OP_XCHG;

    if (locked) {
        return x->ops->cmpxchg(x->ctx, linear, x->insn->memory_bytes, old, value, x->fault);
    }
    return x->ops->write(x->ctx, linear, x->insn->memory_bytes, value, EMUL_ACCESS_WRITE,
                         x->fault);
}

static enum emul_status read_for_update(struct emul_exec *x, gva_t linear, uint64_t *old)
{
    unsigned access = EMUL_ACCESS_WRITE;

    if ((x->insn->flags & EMUL_F_LOCK) || x->insn->op == EMUL_OP_XCHG) {
        access |= EMUL_ACCESS_LOCKED;
    }
    return x->ops->read(x->ctx, linear, x->insn->memory_bytes, old, access, x->fault);
}

static uint64_t source_value(const struct emul_exec *x)
{
    const struct emul_insn *insn = x->insn;

    if (insn->form == EMUL_FORM_MI) {
        return (uint64_t)(int64_t)insn->immediate & emul_size_mask(insn->memory_bytes);
    }
    if (insn->form == EMUL_FORM_MR) {
        return emul_operand_read(insn, x->state->gprs);
    }
    return 0;
}

static uint64_t swap_bytes(uint64_t value, unsigned size_bytes)
{
    return __builtin_bswap64(value) >> (64 - 8 * size_bytes);
}

/* Destination register, source memory. */
static enum emul_status execute_load(struct emul_exec *x)
{
    const struct emul_insn *insn = x->insn;
    struct x86_gprs *gprs = x->state->gprs;
    uint64_t value;
    enum emul_status status = read_operand(x, &value);

    if (status != EMUL_OK) {
        return status;
    }
    switch (insn->op) {
    case EMUL_OP_MOV:
    case EMUL_OP_MOVZX:
    case EMUL_OP_MOVSX:
        emul_mov_finish_load(insn, gprs, value);
        break;
    case EMUL_OP_MOVBE:
        emul_operand_write(insn, gprs, swap_bytes(value, insn->memory_bytes));
        break;
    case EMUL_OP_CMOV:
        /* A destination of 4 bytes loses its upper half even if the condition is not met. */
        if (!emul_condition(insn->condition, x->state->rflags)) {
            value = emul_operand_read(insn, gprs);
        }
        emul_operand_write(insn, gprs, value);
        break;
    default:
        value = emul_alu((enum emul_op)insn->op, insn->memory_bytes,
                         emul_operand_read(insn, gprs), value, &x->state->rflags);
        if (insn->op != EMUL_OP_CMP) {
            emul_operand_write(insn, gprs, value);
        }
        break;
    }
    return EMUL_OK;
}

/* Destination memory, which is not read. */
static enum emul_status execute_store(struct emul_exec *x)
{
    const struct emul_insn *insn = x->insn;
    uint64_t value;

    if (insn->op == EMUL_OP_SET) {
        value = emul_condition(insn->condition, x->state->rflags);
    } else if (insn->op == EMUL_OP_MOVBE) {
        value = swap_bytes(source_value(x), insn->memory_bytes);
    } else {
        value = source_value(x);
    }
    return write_operand(x, value);
}

/*
 * BT, BTS, BTR, BTC with the bit number in a register: it is signed, and selects an operand before
 * or behind the address. SDM volume 2 "Bit(BitBase, BitOffset)".
 */
static uint64_t bit_string_address(const struct emul_exec *x)
{
    const struct emul_insn *insn = x->insn;
    uint64_t address = emul_effective_address(x);
    int64_t bit;

    if (insn->form != EMUL_FORM_MR) {
        return address;
    }
    bit = (int64_t)emul_sign_extend(source_value(x), insn->register_bytes);
    address += (uint64_t)((bit >> 3) & -(int64_t)insn->memory_bytes);
    return address & emul_size_mask(insn->address_bytes);
}

/* Flags alone: CMP, TEST, BT with memory as the first operand. */
static enum emul_status execute_test(struct emul_exec *x)
{
    const struct emul_insn *insn = x->insn;
    uint64_t address = insn->op == EMUL_OP_BT ? bit_string_address(x) : emul_effective_address(x);
    uint64_t value = 0;
    gva_t linear;
    enum emul_status status;

    status = emul_linear(x, (enum x86_seg)insn->segment, address, insn->memory_bytes, false,
                         &linear);
    if (status == EMUL_OK) {
        status = x->ops->read(x->ctx, linear, insn->memory_bytes, &value, 0, x->fault);
    }
    if (status == EMUL_OK) {
        emul_alu((enum emul_op)insn->op, insn->memory_bytes, value, source_value(x),
                 &x->state->rflags);
    }
    return status;
}

/* Memory is read, changed and written: arithmetic, shifts, bit instructions, XCHG, XADD. */
static enum emul_status execute_update(struct emul_exec *x)
{
    const struct emul_insn *insn = x->insn;
    bool is_bit = insn->op >= EMUL_OP_BTS && insn->op <= EMUL_OP_BTC;
    uint64_t address = is_bit ? bit_string_address(x) : emul_effective_address(x);
    uint64_t rflags = x->state->rflags;
    uint64_t source = source_value(x);
    uint64_t old = 0;
    uint64_t value;
    gva_t linear;
    enum emul_status status;

    status = emul_linear(x, (enum x86_seg)insn->segment, address, insn->memory_bytes, true,
                         &linear);
    if (status == EMUL_OK) {
        status = read_for_update(x, linear, &old);
    }
    if (status != EMUL_OK) {
        return status;
    }
    if (insn->op == EMUL_OP_XCHG) {
        value = source;
    } else {
        enum emul_op op = insn->op == EMUL_OP_XADD ? EMUL_OP_ADD : (enum emul_op)insn->op;

        value = emul_alu(op, insn->memory_bytes, old, source, &rflags);
    }
    status = replace(x, linear, &old, &value);
    if (status == EMUL_OK) {
        if (insn->op == EMUL_OP_XCHG || insn->op == EMUL_OP_XADD) {
            emul_operand_write(insn, x->state->gprs, old);
        }
        x->state->rflags = rflags;
    }
    return status;
}

/*
 * CMPXCHG. "To simplify the interface to the processor's bus, the destination operand receives a
 * write cycle without regard to the result of the comparison."
 */
static enum emul_status execute_cmpxchg(struct emul_exec *x)
{
    const struct emul_insn *insn = x->insn;
    struct x86_gprs *gprs = x->state->gprs;
    uint64_t rflags = x->state->rflags;
    uint64_t accumulator = emul_gpr_read(gprs, X86_RAX, insn->memory_bytes);
    uint64_t old = 0;
    uint64_t value;
    gva_t linear;
    enum emul_status status = operand_linear(x, true, &linear);

    if (status == EMUL_OK) {
        status = read_for_update(x, linear, &old);
    }
    if (status != EMUL_OK) {
        return status;
    }
    emul_alu(EMUL_OP_CMP, insn->memory_bytes, accumulator, old, &rflags);
    value = (rflags & RFLAGS_ZF) ? source_value(x) : old;
    status = replace(x, linear, &old, &value);
    if (status == EMUL_OK) {
        if (!(rflags & RFLAGS_ZF)) {
            emul_gpr_write(gprs, X86_RAX, insn->memory_bytes, old);
        }
        x->state->rflags = rflags;
    }
    return status;
}

/* CMPXCHG8B and CMPXCHG16B: two halves in (r)DX:(r)AX, (r)CX:(r)BX, and in memory. */
struct wide {
    uint64_t v[2];
};

static struct wide wide_from_registers(const struct emul_exec *x, unsigned low, unsigned high)
{
    const uint64_t *r = x->state->gprs->r;

    if (x->insn->memory_bytes == 16) {
        return (struct wide){ { r[low], r[high] } };
    }
    return (struct wide){ { (r[low] & 0xffffffffull) | (r[high] << 32), 0 } };
}

static void wide_to_accumulator(struct emul_exec *x, const struct wide *value)
{
    struct x86_gprs *gprs = x->state->gprs;

    if (x->insn->memory_bytes == 16) {
        gprs->r[X86_RAX] = value->v[0];
        gprs->r[X86_RDX] = value->v[1];
    } else {
        emul_gpr_write(gprs, X86_RAX, 4, value->v[0]);
        emul_gpr_write(gprs, X86_RDX, 4, value->v[0] >> 32);
    }
}

static enum emul_status execute_cmpxchg_wide(struct emul_exec *x)
{
    struct wide expected = wide_from_registers(x, X86_RAX, X86_RDX);
    struct wide old = { { 0, 0 } };
    struct wide value;
    gva_t linear;
    bool equal;
    enum emul_status status = operand_linear(x, true, &linear);

    if (status == EMUL_OK && x->insn->memory_bytes == 16 && (linear.v & 15u)) {
        return emul_raise(x, X86_EXC_GP);
    }
    if (status == EMUL_OK) {
        status = read_for_update(x, linear, old.v);
    }
    if (status != EMUL_OK) {
        return status;
    }
    equal = old.v[0] == expected.v[0] && old.v[1] == expected.v[1];
    value = equal ? wide_from_registers(x, X86_RBX, X86_RCX) : old;
    status = replace(x, linear, old.v, value.v);
    if (status != EMUL_OK) {
        return status;
    }
    x->state->rflags &= ~RFLAGS_ZF;
    if (equal) {
        x->state->rflags |= RFLAGS_ZF;
    } else {
        wide_to_accumulator(x, &old);
    }
    return EMUL_OK;
}

/* PUSH m: the operand's address uses the stack pointer as it was before. */
static enum emul_status execute_push(struct emul_exec *x)
{
    struct x86_gprs *gprs = x->state->gprs;
    unsigned size = x->insn->memory_bytes;
    uint64_t value;
    uint64_t pointer;
    gva_t linear;
    enum emul_status status = read_operand(x, &value);

    if (status != EMUL_OK) {
        return status;
    }
    pointer = gprs->r[X86_RSP] - size;
    pointer &= emul_size_mask(emul_stack_bytes(x));
    status = emul_linear(x, X86_SS, pointer, size, true, &linear);
    if (status == EMUL_OK) {
        status = x->ops->write(x->ctx, linear, size, &value, 0, x->fault);
    }
    if (status == EMUL_OK) {
        emul_gpr_write(gprs, X86_RSP, emul_stack_bytes(x), pointer);
    }
    return status;
}

/* POP m: the operand's address uses the stack pointer as it is after. */
static enum emul_status execute_pop(struct emul_exec *x)
{
    struct x86_gprs *gprs = x->state->gprs;
    uint64_t before = gprs->r[X86_RSP];
    unsigned size = x->insn->memory_bytes;
    unsigned width = emul_stack_bytes(x);
    uint64_t value = 0;
    gva_t linear;
    enum emul_status status;

    status = emul_linear(x, X86_SS, emul_gpr_read(gprs, X86_RSP, width), size, false, &linear);
    if (status == EMUL_OK) {
        status = x->ops->read(x->ctx, linear, size, &value, 0, x->fault);
    }
    if (status != EMUL_OK) {
        return status;
    }
    emul_gpr_write(gprs, X86_RSP, width, before + size);
    status = write_operand(x, value);
    if (status != EMUL_OK) {
        gprs->r[X86_RSP] = before;
    }
    return status;
}

static enum emul_status execute_memory(struct emul_exec *x)
{
    switch (x->insn->op) {
    case EMUL_OP_MOV:
    case EMUL_OP_MOVBE:
    case EMUL_OP_SET:
        return execute_store(x);
    case EMUL_OP_CMP:
    case EMUL_OP_TEST:
    case EMUL_OP_BT:
        return execute_test(x);
    case EMUL_OP_CMPXCHG:
        return execute_cmpxchg(x);
    case EMUL_OP_CMPXCHG_WIDE:
        return execute_cmpxchg_wide(x);
    case EMUL_OP_PUSH:
        return execute_push(x);
    case EMUL_OP_POP:
        return execute_pop(x);
    default:
        return execute_update(x);
    }
}

enum emul_status emul_execute(const struct emul_insn *insn, struct emul_state *state,
                              unsigned iterations_max, const struct emul_ops *ops, void *ctx,
                              struct x86_fault *fault)
{
    struct emul_exec x = {
        .insn = insn,
        .state = state,
        .ops = ops,
        .ctx = ctx,
        .fault = fault,
        .iterations_max = iterations_max,
    };

    switch (insn->form) {
    case EMUL_FORM_STRING:
        return emul_execute_string(&x);
    case EMUL_FORM_RM:
        return execute_load(&x);
    case EMUL_FORM_MR:
    case EMUL_FORM_MI:
    case EMUL_FORM_M:
        return execute_memory(&x);
    default:
        return EMUL_REFUSED;
    }
}
