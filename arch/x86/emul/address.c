/*
 * From an instruction's memory operand to a checked linear address: effective address,
 * segmentation, canonical form, alignment. Translation by paging is not here (see
 * x86/guest_walk.h). SDM volume 3 "Protection"; volume 1 "Operand Addressing". No lock.
 */
#include "execute.h"

#include "alu.h"

uint64_t emul_effective_address(const struct emul_exec *x)
{
    const struct emul_insn *insn = x->insn;
    const struct x86_gprs *gprs = x->state->gprs;
    uint64_t address = (uint64_t)insn->displacement;

    if (insn->base == EMUL_REG_RIP) {
        address += x->state->rip + insn->length_bytes;
    } else if (insn->base != EMUL_REG_NONE) {
        address += gprs->r[insn->base & 15u];
    }
    if (insn->index != EMUL_REG_NONE) {
        address += gprs->r[insn->index & 15u] << insn->scale_shift;
    }
    return address & emul_size_mask(insn->address_bytes);
}

enum emul_status emul_raise(struct emul_exec *x, enum x86_exception vector)
{
    *x->fault = (struct x86_fault){
        .vector = (uint8_t)vector,
        .has_error = (x->state->cr0 & CR0_PE) && ((X86_EXC_HAS_ERROR_MASK >> vector) & 1u),
    };
    return EMUL_FAULT;
}

static const struct emul_segment *get_segment(struct emul_exec *x, enum x86_seg segment)
{
    if (!(x->segments_known & (1u << segment))) {
        x->ops->get_segment(x->ctx, segment, &x->segments[segment]);
        x->segments_known |= (uint8_t)(1u << segment);
    }
    return &x->segments[segment];
}

unsigned emul_stack_bytes(struct emul_exec *x)
{
    if (x->state->mode == EMUL_MODE_64) {
        return 8;
    }
    return (get_segment(x, X86_SS)->access_rights & EMUL_SEGMENT_DB) ? 4 : 2;
}

/* "Type Checking". Real-address and virtual-8086 mode have no types. */
static bool type_allows(const struct emul_exec *x, uint32_t rights, bool is_write)
{
    if (!(x->state->cr0 & CR0_PE) || (x->state->rflags & RFLAGS_VM)) {
        return true;
    }
    if ((rights & EMUL_SEGMENT_UNUSABLE) || !(rights & EMUL_SEGMENT_P) ||
        !(rights & EMUL_SEGMENT_S)) {
        return false;
    }
    if (rights & EMUL_SEGMENT_TYPE_CODE) {
        return !is_write && (rights & EMUL_SEGMENT_TYPE_WRITE);
    }
    return !is_write || (rights & EMUL_SEGMENT_TYPE_WRITE);
}

/* "Limit Checking": an expand-down segment holds what is above its limit. */
static bool limit_allows(const struct emul_segment *s, uint64_t offset, unsigned size_bytes)
{
    const uint32_t down = EMUL_SEGMENT_S | EMUL_SEGMENT_TYPE_CODE | EMUL_SEGMENT_TYPE_EXPAND;
    uint64_t last = offset + size_bytes - 1;

    if ((s->access_rights & down) == (EMUL_SEGMENT_S | EMUL_SEGMENT_TYPE_EXPAND)) {
        uint64_t highest = (s->access_rights & EMUL_SEGMENT_DB) ? 0xffffffffull : 0xffffull;

        return offset > s->limit && last <= highest;
    }
    return last <= s->limit;
}

static bool is_canonical(const struct emul_exec *x, uint64_t linear)
{
    unsigned unused = (x->state->cr4 & CR4_LA57) ? 64 - 57 : 64 - 48;

    return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

static enum emul_status linear64(struct emul_exec *x, enum x86_seg segment, uint64_t offset,
                                 unsigned size_bytes, gva_t *linear)
{
    uint64_t base = segment >= X86_FS ? get_segment(x, segment)->base : 0;

    linear->v = base + offset;
    if (!is_canonical(x, linear->v) || !is_canonical(x, linear->v + size_bytes - 1)) {
        return emul_raise(x, segment == X86_SS ? X86_EXC_SS : X86_EXC_GP);
    }
    return EMUL_OK;
}

static enum emul_status linear32(struct emul_exec *x, enum x86_seg segment, uint64_t offset,
                                 unsigned size_bytes, bool is_write, gva_t *linear)
{
    const struct emul_segment *s = get_segment(x, segment);

    if (!type_allows(x, s->access_rights, is_write) || !limit_allows(s, offset, size_bytes)) {
        return emul_raise(x, segment == X86_SS ? X86_EXC_SS : X86_EXC_GP);
    }
    linear->v = (s->base + offset) & 0xffffffffull;
    return EMUL_OK;
}

enum emul_status emul_linear(struct emul_exec *x, enum x86_seg segment, uint64_t offset,
                             unsigned size_bytes, bool is_write, gva_t *linear)
{
    const struct emul_state *state = x->state;
    enum emul_status status;

    status = state->mode == EMUL_MODE_64
                 ? linear64(x, segment, offset, size_bytes, linear)
                 : linear32(x, segment, offset, size_bytes, is_write, linear);
    if (status != EMUL_OK) {
        return status;
    }
    if ((linear->v & (size_bytes - 1)) && state->cpl == 3 && (state->cr0 & CR0_AM) &&
        (state->rflags & RFLAGS_AC)) {
        return emul_raise(x, X86_EXC_AC);
    }
    return EMUL_OK;
}

enum emul_status emul_operand_linear(const struct emul_insn *insn, const struct emul_state *state,
                                     unsigned size_bytes, bool is_write,
                                     const struct emul_ops *ops, void *ctx, gva_t *linear,
                                     struct x86_fault *fault)
{
    struct emul_state s = *state;
    struct emul_exec x = { .insn = insn, .state = &s, .ops = ops, .ctx = ctx, .fault = fault };

    s.cpl = 0; /* only the alignment check asks for it */
    return emul_linear(&x, (enum x86_seg)insn->segment, emul_effective_address(&x), size_bytes,
                       is_write, linear);
}
