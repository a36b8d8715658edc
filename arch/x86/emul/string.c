/*
 * String instructions: MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS, and their repetition.
 *
 * After each iteration rSI, rDI and rCX are advanced, so that a fault or the end of a batch leaves
 * the instruction restartable; RIP stays on it until the last iteration is done.
 * SDM volume 1 "String Operations"; volume 2 "REP/REPE/REPZ/REPNE/REPNZ". No lock.
 */
#include "execute.h"

#include "alu.h"

static void advance(struct emul_exec *x, unsigned reg)
{
    struct x86_gprs *gprs = x->state->gprs;
    uint64_t step = x->insn->memory_bytes;

    if (x->state->rflags & RFLAGS_DF) {
        step = 0 - step;
    }
    emul_gpr_write(gprs, reg, x->insn->address_bytes, gprs->r[reg] + step);
}

static enum emul_status element_linear(struct emul_exec *x, unsigned reg, bool is_write,
                                       gva_t *linear)
{
    /* ES:rDI cannot be overridden; in 64-bit mode neither ES nor DS has a base. */
    enum x86_seg segment = reg == X86_RDI ? X86_ES : (enum x86_seg)x->insn->segment;
    uint64_t offset = emul_gpr_read(x->state->gprs, reg, x->insn->address_bytes);

    return emul_linear(x, segment, offset, x->insn->memory_bytes, is_write, linear);
}

static enum emul_status read_element(struct emul_exec *x, unsigned reg, uint64_t *value)
{
    gva_t linear;
    enum emul_status status = element_linear(x, reg, false, &linear);

    *value = 0;
    if (status == EMUL_OK) {
        status = x->ops->read(x->ctx, linear, x->insn->memory_bytes, value, 0, x->fault);
    }
    return status;
}

static enum emul_status write_element(struct emul_exec *x, uint64_t value)
{
    gva_t linear;
    enum emul_status status = element_linear(x, X86_RDI, true, &linear);

    if (status == EMUL_OK) {
        status = x->ops->write(x->ctx, linear, x->insn->memory_bytes, &value, 0, x->fault);
    }
    return status;
}

static enum emul_status step_movs(struct emul_exec *x)
{
    uint64_t value;
    enum emul_status status = read_element(x, X86_RSI, &value);

    if (status == EMUL_OK) {
        status = write_element(x, value);
    }
    if (status == EMUL_OK) {
        advance(x, X86_RSI);
        advance(x, X86_RDI);
    }
    return status;
}

static enum emul_status step_stos(struct emul_exec *x)
{
    enum emul_status status =
        write_element(x, emul_gpr_read(x->state->gprs, X86_RAX, x->insn->memory_bytes));

    if (status == EMUL_OK) {
        advance(x, X86_RDI);
    }
    return status;
}

static enum emul_status step_lods(struct emul_exec *x)
{
    uint64_t value;
    enum emul_status status = read_element(x, X86_RSI, &value);

    if (status == EMUL_OK) {
        emul_gpr_write(x->state->gprs, X86_RAX, x->insn->memory_bytes, value);
        advance(x, X86_RSI);
    }
    return status;
}

static enum emul_status step_scas(struct emul_exec *x, uint64_t *rflags)
{
    unsigned size = x->insn->memory_bytes;
    uint64_t value;
    enum emul_status status = read_element(x, X86_RDI, &value);

    if (status == EMUL_OK) {
        emul_alu(EMUL_OP_CMP, size, emul_gpr_read(x->state->gprs, X86_RAX, size), value, rflags);
        advance(x, X86_RDI);
    }
    return status;
}

static enum emul_status step_cmps(struct emul_exec *x, uint64_t *rflags)
{
    uint64_t first;
    uint64_t second = 0;
    enum emul_status status = read_element(x, X86_RSI, &first);

    if (status == EMUL_OK) {
        status = read_element(x, X86_RDI, &second);
    }
    if (status == EMUL_OK) {
        emul_alu(EMUL_OP_CMP, x->insn->memory_bytes, first, second, rflags);
        advance(x, X86_RSI);
        advance(x, X86_RDI);
    }
    return status;
}

/* A port gives its value once: what could fault comes before it is asked. */
static enum emul_status step_ins(struct emul_exec *x)
{
    unsigned size = x->insn->memory_bytes;
    uint16_t port = (uint16_t)x->state->gprs->r[X86_RDX];
    uint32_t input = 0;
    uint64_t value;
    gva_t linear;
    enum emul_status status = element_linear(x, X86_RDI, true, &linear);

    if (status == EMUL_OK) {
        status = x->ops->probe_write(x->ctx, linear, size, x->fault);
    }
    if (status == EMUL_OK) {
        status = x->ops->port_in(x->ctx, port, size, &input, x->fault);
    }
    if (status == EMUL_OK) {
        value = input & emul_size_mask(size);
        status = x->ops->write(x->ctx, linear, size, &value, 0, x->fault);
    }
    if (status == EMUL_OK) {
        advance(x, X86_RDI);
    }
    return status;
}

static enum emul_status step_outs(struct emul_exec *x)
{
    uint16_t port = (uint16_t)x->state->gprs->r[X86_RDX];
    uint64_t value;
    enum emul_status status = read_element(x, X86_RSI, &value);

    if (status == EMUL_OK) {
        status = x->ops->port_out(x->ctx, port, x->insn->memory_bytes, (uint32_t)value, x->fault);
    }
    if (status == EMUL_OK) {
        advance(x, X86_RSI);
    }
    return status;
}

static enum emul_status step(struct emul_exec *x, uint64_t *rflags)
{
    switch (x->insn->op) {
    case EMUL_OP_MOVS:
        return step_movs(x);
    case EMUL_OP_STOS:
        return step_stos(x);
    case EMUL_OP_LODS:
        return step_lods(x);
    case EMUL_OP_SCAS:
        return step_scas(x, rflags);
    case EMUL_OP_CMPS:
        return step_cmps(x, rflags);
    case EMUL_OP_INS:
        return step_ins(x);
    default:
        return step_outs(x);
    }
}

/* CMPS and SCAS end early: REPE at the first difference, REPNE at the first match. */
static bool is_last(const struct emul_insn *insn, uint64_t rflags)
{
    if (insn->op != EMUL_OP_CMPS && insn->op != EMUL_OP_SCAS) {
        return false;
    }
    return !(rflags & RFLAGS_ZF) == !!(insn->flags & EMUL_F_REP);
}

/*
 * Flags are committed with the last iteration of the batch: "if a fault occurs during CMPS or SCAS
 * with REPE or REPNE, the EFLAGS value is restored to the state prior to the execution of the
 * instruction".
 */
static enum emul_status repeat(struct emul_exec *x)
{
    const struct emul_insn *insn = x->insn;
    struct x86_gprs *gprs = x->state->gprs;
    uint64_t rflags = x->state->rflags;
    unsigned left = (rflags & RFLAGS_TF) ? 1 : x->iterations_max;
    uint64_t count = emul_gpr_read(gprs, X86_RCX, insn->address_bytes);

    while (count > 0 && left > 0) {
        enum emul_status status = step(x, &rflags);

        if (status != EMUL_OK) {
            return status;
        }
        count--;
        left--;
        emul_gpr_write(gprs, X86_RCX, insn->address_bytes, count);
        if (is_last(insn, rflags)) {
            count = 0;
        }
    }
    x->state->rflags = rflags;
    return count > 0 ? EMUL_AGAIN : EMUL_OK;
}

enum emul_status emul_execute_string(struct emul_exec *x)
{
    uint64_t rflags = x->state->rflags;
    enum emul_status status;

    if (x->insn->flags & (EMUL_F_REP | EMUL_F_REPNE)) {
        return repeat(x);
    }
    status = step(x, &rflags);
    if (status == EMUL_OK) {
        x->state->rflags = rflags;
    }
    return status;
}
