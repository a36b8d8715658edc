/*
 * MTRRs to memory type. SDM volume 3, "Memory Type Range Registers (MTRRs)": "Fixed Range MTRRs",
 * "Variable Range MTRRs", "MTRR Precedences"; "System-Management Range Register (SMRR)".
 *
 * Pure; no lock.
 */
#include "x86/mtrr.h"

#include "hv/string.h"

#define MBYTE 0x100000ull
#define PAGE_BITS (~0xfffull)
/* Steps over granules of ranges with holes before mtrr_uniform_bytes() settles for less. */
#define UNIFORM_STEPS 4096

enum hv_err mtrr_read(struct mtrr_state *state, uint64_t (*rdmsr)(void *context, uint32_t index),
                      void *context, uint8_t physical_address_bits, bool present, bool read_smrr)
{
    memset(state, 0, sizeof(*state));
    state->physical_address_bits = physical_address_bits;
    if (!present)
        return HV_OK;
    state->cap = rdmsr(context, MTRR_MSR_CAP);
    if ((state->cap & MTRR_CAP_VCNT) > MTRR_VARIABLE_MAX)
        return HV_ERR_UNSUPPORTED;
    state->variable_count = (uint8_t)(state->cap & MTRR_CAP_VCNT);
    state->def_type = rdmsr(context, MTRR_MSR_DEF_TYPE);
    if (state->cap & MTRR_CAP_FIX) {
        state->fixed[0] = rdmsr(context, MTRR_MSR_FIX64K_00000);
        state->fixed[1] = rdmsr(context, MTRR_MSR_FIX16K_80000);
        state->fixed[2] = rdmsr(context, MTRR_MSR_FIX16K_80000 + 1);
        for (unsigned i = 0; i < 8; i++)
            state->fixed[3 + i] = rdmsr(context, MTRR_MSR_FIX4K_C0000 + i);
    }
    for (unsigned i = 0; i < state->variable_count; i++) {
        state->variable[i].base = rdmsr(context, MTRR_MSR_PHYSBASE0 + 2 * i);
        state->variable[i].mask = rdmsr(context, MTRR_MSR_PHYSBASE0 + 2 * i + 1);
    }
    if (read_smrr && (state->cap & MTRR_CAP_SMRR)) {
        state->smrr.base = rdmsr(context, MTRR_MSR_SMRR_PHYSBASE);
        state->smrr.mask = rdmsr(context, MTRR_MSR_SMRR_PHYSMASK);
    }
    return HV_OK;
}

static enum memory_type type_checked(uint64_t type)
{
    switch (type) {
    case MEMORY_WC:
    case MEMORY_WT:
    case MEMORY_WP:
    case MEMORY_WB:
        return (enum memory_type)type;
    default:
        return MEMORY_UC;
    }
}

static uint64_t address_mask(const struct mtrr_state *state)
{
    return ((1ull << state->physical_address_bits) - 1) & PAGE_BITS;
}

static bool range_valid(const struct mtrr_range *range)
{
    return range->mask & MTRR_MASK_VALID;
}

static bool range_holds(const struct mtrr_state *state, const struct mtrr_range *range,
                        uint64_t address)
{
    uint64_t mask = range->mask & address_mask(state);
    return range_valid(range) && (address & mask) == (range->base & mask);
}

/* Each fixed register holds eight types, the lowest range in the lowest byte. */
static enum memory_type fixed_type(const struct mtrr_state *state, uint64_t address)
{
    unsigned reg, field;
    if (address < 0x80000) {
        reg = 0;
        field = (unsigned)(address >> 16);
    } else if (address < 0xc0000) {
        reg = 1 + (unsigned)((address - 0x80000) >> 17);
        field = (unsigned)(address >> 14 & 7);
    } else {
        reg = 3 + (unsigned)((address - 0xc0000) >> 15);
        field = (unsigned)(address >> 12 & 7);
    }
    return type_checked(state->fixed[reg] >> (8 * field) & 0xff);
}

/* "MTRR Precedences": UC wins; WT wins over WB; anything else that differs is undefined. */
static enum memory_type overlap_type(enum memory_type a, enum memory_type b)
{
    if (a == b)
        return a;
    if ((a == MEMORY_WT && b == MEMORY_WB) || (a == MEMORY_WB && b == MEMORY_WT))
        return MEMORY_WT;
    return MEMORY_UC;
}

static enum memory_type variable_type(const struct mtrr_state *state, uint64_t address)
{
    bool found = false;
    enum memory_type type = MEMORY_UC;
    for (unsigned i = 0; i < state->variable_count; i++) {
        const struct mtrr_range *range = &state->variable[i];
        if (!range_holds(state, range, address))
            continue;
        enum memory_type own = type_checked(range->base & MTRR_DEF_TYPE_MASK);
        type = found ? overlap_type(type, own) : own;
        found = true;
    }
    return found ? type : type_checked(state->def_type & MTRR_DEF_TYPE_MASK);
}

static bool fixed_enabled(const struct mtrr_state *state)
{
    return (state->cap & MTRR_CAP_FIX) && (state->def_type & MTRR_DEF_FIXED_ENABLE);
}

enum memory_type mtrr_type_of(const struct mtrr_state *state, hpa_t hpa)
{
    /* Outside of SMM the range of the SMRRs is UC, whatever else says. */
    if (range_holds(state, &state->smrr, hpa.v))
        return MEMORY_UC;
    if (!(state->def_type & MTRR_DEF_ENABLE))
        return MEMORY_UC;
    if (hpa.v < MBYTE && fixed_enabled(state))
        return fixed_type(state, hpa.v);
    return variable_type(state, hpa.v);
}

/* Where, after `address`, the answer of this range may next change; UINT64_MAX: never. A mask
 * without holes makes one block; with holes it can change at each multiple of its granule. */
static uint64_t range_next_change(const struct mtrr_state *state, const struct mtrr_range *range,
                                  uint64_t address)
{
    uint64_t mask = range->mask & address_mask(state);
    if (!range_valid(range) || !mask)
        return UINT64_MAX;
    uint64_t granule = mask & -mask;
    uint64_t contiguous = address_mask(state) & ~(granule - 1);
    if (mask != contiguous)
        return hv_align_down(address, granule) + granule;
    uint64_t start = range->base & mask;
    if (address < start)
        return start;
    if (address - start < granule)
        return start + granule;
    return UINT64_MAX;
}

static uint64_t fixed_next_change(uint64_t address)
{
    uint64_t granule = address < 0x80000 ? 0x10000 : address < 0xc0000 ? 0x4000 : 0x1000;
    return hv_align_down(address, granule) + granule;
}

/* The first address after `address` at which the type may be another one. */
static uint64_t next_change(const struct mtrr_state *state, uint64_t address)
{
    uint64_t next = range_next_change(state, &state->smrr, address);
    if (address < MBYTE && fixed_enabled(state))
        next = hv_min_u64(next, fixed_next_change(address));
    for (unsigned i = 0; i < state->variable_count; i++)
        next = hv_min_u64(next, range_next_change(state, &state->variable[i], address));
    return next;
}

uint64_t mtrr_uniform_bytes(const struct mtrr_state *state, hpa_t hpa, uint64_t most)
{
    enum memory_type type = mtrr_type_of(state, hpa);
    uint64_t end = hpa.v + most < hpa.v ? UINT64_MAX : hpa.v + most;
    uint64_t at = hpa.v;
    for (unsigned step = 0; step < UNIFORM_STEPS; step++) {
        uint64_t next = next_change(state, at);
        if (next >= end)
            return end - hpa.v;
        at = next;
        if (mtrr_type_of(state, HPA(at)) != type)
            break;
    }
    return at - hpa.v;
}

const char *memory_type_name(enum memory_type type)
{
    switch (type) {
    case MEMORY_UC:
        return "UC";
    case MEMORY_WC:
        return "WC";
    case MEMORY_WT:
        return "WT";
    case MEMORY_WP:
        return "WP";
    case MEMORY_WB:
        return "WB";
    }
    return "?";
}
