// SRCS: arch/x86/emul/decode.c arch/x86/emul/opcodes.c arch/x86/emul/names.c
// SRCS: arch/x86/emul/registers.c arch/x86/emul/alu.c arch/x86/emul/address.c
// SRCS: arch/x86/emul/execute.c arch/x86/emul/string.c
/*
 * Fuzzes decoding and execution with arbitrary bytes, registers, segments, and surroundings that
 * fault, lose races and give up as the input says. What must hold: bounds of what was decoded,
 * sizes of accesses, no more work than asked for, and that an instruction which did not finish has
 * left registers and flags alone (but for the iterations of a repeated one).
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "x86/emul.h"

#define MEMORY_BYTES 4096u
#define ITERATIONS_MAX 16u
#define CALLS_MAX (4u * ITERATIONS_MAX)

struct fuzz {
    const uint8_t *data;
    size_t size;
    unsigned calls;
    unsigned segment_calls;
    uint8_t memory[MEMORY_BYTES];
};

static void must(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void take(struct fuzz *f, void *to, size_t count)
{
    size_t n = count < f->size ? count : f->size;

    memset(to, 0, count);
    memcpy(to, f->data, n);
    f->data += n;
    f->size -= n;
}

/* Mostly success; sometimes what the input says. */
static enum emul_status outcome(struct fuzz *f, struct x86_fault *fault)
{
    uint8_t byte;

    must(++f->calls <= CALLS_MAX);
    take(f, &byte, 1);
    switch (byte) {
    case 0xff:
        *fault = (struct x86_fault){ .vector = X86_EXC_PF, .has_error = true };
        return EMUL_FAULT;
    case 0xfe:
        return EMUL_RETRY;
    case 0xfd:
        return EMUL_ABORT;
    default:
        return EMUL_OK;
    }
}

static uint8_t *at(struct fuzz *f, gva_t linear, unsigned size)
{
    must(size == 1 || size == 2 || size == 4 || size == 8 || size == 16);
    return f->memory + linear.v % (MEMORY_BYTES - 16);
}

static enum emul_status op_read(void *ctx, gva_t linear, unsigned size, uint64_t *value,
                                unsigned access, struct x86_fault *fault)
{
    (void)access;
    memcpy(value, at(ctx, linear, size), size);
    return outcome(ctx, fault);
}

static enum emul_status op_write(void *ctx, gva_t linear, unsigned size, const uint64_t *value,
                                 unsigned access, struct x86_fault *fault)
{
    enum emul_status status = outcome(ctx, fault);

    (void)access;
    if (status == EMUL_OK) {
        memcpy(at(ctx, linear, size), value, size);
    }
    return status;
}

static enum emul_status op_cmpxchg(void *ctx, gva_t linear, unsigned size, const uint64_t *expected,
                                   const uint64_t *desired, struct x86_fault *fault)
{
    must(memcmp(at(ctx, linear, size), expected, size) == 0);
    return op_write(ctx, linear, size, desired, 0, fault);
}

static enum emul_status op_probe(void *ctx, gva_t linear, unsigned size, struct x86_fault *fault)
{
    at(ctx, linear, size);
    return outcome(ctx, fault);
}

static enum emul_status op_in(void *ctx, uint16_t port, unsigned size, uint32_t *value,
                              struct x86_fault *fault)
{
    must(size == 1 || size == 2 || size == 4);
    *value = 0xa5a5a5a5u ^ port;
    return outcome(ctx, fault);
}

static enum emul_status op_out(void *ctx, uint16_t port, unsigned size, uint32_t value,
                               struct x86_fault *fault)
{
    (void)port;
    must(size == 4 || (size == 2 && value <= 0xffff) || (size == 1 && value <= 0xff));
    return outcome(ctx, fault);
}

static void op_get_segment(void *ctx, enum x86_seg segment, struct emul_segment *out)
{
    struct fuzz *f = ctx;
    uint8_t raw[6];

    must(segment < X86_SEG_COUNT && ++f->segment_calls <= X86_SEG_COUNT);
    take(f, raw, sizeof(raw));
    out->base = (uint64_t)raw[0] << 20 | raw[1];
    out->limit = (uint32_t)raw[2] << 24 | raw[3];
    out->access_rights = raw[4] | (uint32_t)(raw[5] & 0x40) << 8 | (uint32_t)(raw[5] & 1) << 16;
}

static const struct emul_ops ops = {
    .read = op_read,
    .write = op_write,
    .cmpxchg = op_cmpxchg,
    .probe_write = op_probe,
    .port_in = op_in,
    .port_out = op_out,
    .get_segment = op_get_segment,
};

static void check_decoded(const struct emul_insn *insn)
{
    must(insn->length_bytes >= 1 && insn->length_bytes <= EMUL_INSN_BYTES_MAX);
    must(insn->op > EMUL_OP_NONE && insn->op < EMUL_OP_COUNT);
    must(insn->form > EMUL_FORM_NONE && insn->form <= EMUL_FORM_STRING);
    must(insn->segment < X86_SEG_COUNT && insn->reg < X86_GPR_COUNT);
    must(insn->base <= EMUL_REG_RIP && insn->index <= EMUL_REG_NONE && insn->scale_shift <= 3);
    must(insn->address_bytes == 2 || insn->address_bytes == 4 || insn->address_bytes == 8);
    must(insn->register_bytes <= 16 && insn->condition <= 15);
}

static void check_result(const struct emul_insn *insn, enum emul_status status,
                         const struct emul_state *state, const struct emul_state *before,
                         const struct x86_gprs *gprs_before)
{
    bool repeated = insn->flags & (EMUL_F_REP | EMUL_F_REPNE);

    must(status == EMUL_OK || status == EMUL_AGAIN || status == EMUL_FAULT ||
         status == EMUL_RETRY || status == EMUL_ABORT);
    must(state->rip == before->rip);
    must(((state->rflags ^ before->rflags) & ~RFLAGS_STATUS) == 0);
    must(status != EMUL_AGAIN || (repeated && insn->form == EMUL_FORM_STRING));
    if (status != EMUL_OK && status != EMUL_AGAIN) {
        must(state->rflags == before->rflags);
        if (insn->form != EMUL_FORM_STRING || !repeated) {
            must(memcmp(state->gprs, gprs_before, sizeof(*gprs_before)) == 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = { .data = data, .size = size };
    struct x86_gprs gprs;
    struct x86_gprs gprs_before;
    struct emul_state state = { .gprs = &gprs };
    struct emul_state before;
    struct emul_insn insn;
    struct x86_fault fault;
    uint8_t control[4];
    uint8_t bytes[EMUL_INSN_BYTES_MAX + 1];
    enum emul_status status;

    take(&f, control, sizeof(control));
    take(&f, bytes, sizeof(bytes));
    state.mode = control[0] % 3;
    state.cpl = (control[0] >> 2) & 3;
    state.cr0 = ((control[0] & 0x10) ? CR0_PE : 0) | ((control[0] & 0x20) ? CR0_AM : 0);
    state.cr4 = (control[0] & 0x40) ? CR4_LA57 : 0;
    state.rflags = RFLAGS_FIXED1 | (((uint64_t)control[1] << 4 | control[2]) & RFLAGS_DEFINED);
    status = emul_decode(bytes, control[3] % (sizeof(bytes) + 1), (enum emul_mode)state.mode,
                         &insn);
    if (status != EMUL_OK) {
        must(status >= EMUL_NEED_BYTES && status <= EMUL_REFUSED && insn.length_bytes == 0);
        must((status == EMUL_REFUSED) == (insn.refusal != EMUL_REFUSAL_NONE));
        return 0;
    }
    check_decoded(&insn);
    take(&f, &gprs, sizeof(gprs));
    take(&f, &state.rip, sizeof(state.rip));
    before = state;
    gprs_before = gprs;
    status = emul_execute(&insn, &state, 1 + control[1] % ITERATIONS_MAX, &ops, &f, &fault);
    check_result(&insn, status, &state, &before, &gprs_before);
    return 0;
}
