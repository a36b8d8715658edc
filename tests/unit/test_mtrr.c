// SRCS: arch/x86/mm/mtrr.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "x86/mtrr.h"

#define KB 1024ull
#define MB (1024 * KB)
#define GB (1024 * MB)
#define PHYS 36
#define MASK(bytes) ((((1ull << PHYS) - 1) & ~((bytes) - 1)) | MTRR_MASK_VALID)

static struct mtrr_state enabled(enum memory_type other)
{
    return (struct mtrr_state){
        .cap = MTRR_CAP_FIX | MTRR_CAP_WC | 8,
        .def_type = MTRR_DEF_ENABLE | (uint64_t)other,
        .physical_address_bits = PHYS,
    };
}

static void add(struct mtrr_state *state, uint64_t base, uint64_t mask, unsigned type)
{
    state->variable[state->variable_count++] = (struct mtrr_range){ base | type, mask };
}

static void disabled_means_uncacheable(void **state)
{
    (void)state;
    struct mtrr_state s = enabled(MEMORY_WB);
    s.def_type = MEMORY_WB | MTRR_DEF_FIXED_ENABLE;
    add(&s, 0, MASK(1 * GB), MEMORY_WB);
    assert_int_equal(mtrr_type_of(&s, HPA(0)), MEMORY_UC);
    assert_int_equal(mtrr_type_of(&s, HPA(2 * GB)), MEMORY_UC);
}

static void default_type_where_nothing_matches(void **state)
{
    (void)state;
    struct mtrr_state s = enabled(MEMORY_WT);
    assert_int_equal(mtrr_type_of(&s, HPA(5 * GB)), MEMORY_WT);
    s.def_type = MTRR_DEF_ENABLE | 3; /* reserved */
    assert_int_equal(mtrr_type_of(&s, HPA(5 * GB)), MEMORY_UC);
}

/* "Fixed Range MTRRs": which byte of which register covers which address. */
static void fixed_ranges(void **state)
{
    (void)state;
    struct mtrr_state s = enabled(MEMORY_UC);
    s.def_type |= MTRR_DEF_FIXED_ENABLE;
    static const struct { unsigned reg, byte; uint64_t first, last; } ranges[] = {
        { 0, 0, 0x00000, 0x0ffff }, { 0, 7, 0x70000, 0x7ffff },
        { 1, 0, 0x80000, 0x83fff }, { 1, 7, 0x9c000, 0x9ffff },
        { 2, 0, 0xa0000, 0xa3fff }, { 2, 7, 0xbc000, 0xbffff },
        { 3, 0, 0xc0000, 0xc0fff }, { 3, 7, 0xc7000, 0xc7fff },
        { 4, 0, 0xc8000, 0xc8fff }, { 6, 3, 0xdb000, 0xdbfff },
        { 10, 7, 0xff000, 0xfffff },
    };
    for (size_t i = 0; i < HV_ARRAY_COUNT(ranges); i++) {
        memset(s.fixed, 0, sizeof(s.fixed));
        s.fixed[ranges[i].reg] = (uint64_t)MEMORY_WP << (8 * ranges[i].byte);
        assert_int_equal(mtrr_type_of(&s, HPA(ranges[i].first)), MEMORY_WP);
        assert_int_equal(mtrr_type_of(&s, HPA(ranges[i].last)), MEMORY_WP);
        assert_int_equal(mtrr_type_of(&s, HPA(ranges[i].last + 1)), MEMORY_UC);
        if (ranges[i].first)
            assert_int_equal(mtrr_type_of(&s, HPA(ranges[i].first - 1)), MEMORY_UC);
    }
    s.fixed[0] = 2; /* reserved */
    assert_int_equal(mtrr_type_of(&s, HPA(0)), MEMORY_UC);
    /* Fixed ranges take precedence over variable ones, unless they are off or missing. */
    memset(s.fixed, 0, sizeof(s.fixed));
    add(&s, 0, MASK(1 * GB), MEMORY_WB);
    assert_int_equal(mtrr_type_of(&s, HPA(0x1000)), MEMORY_UC);
    assert_int_equal(mtrr_type_of(&s, HPA(0x100000)), MEMORY_WB);
    s.def_type &= ~MTRR_DEF_FIXED_ENABLE;
    assert_int_equal(mtrr_type_of(&s, HPA(0x1000)), MEMORY_WB);
    s.def_type |= MTRR_DEF_FIXED_ENABLE;
    s.cap &= ~MTRR_CAP_FIX;
    assert_int_equal(mtrr_type_of(&s, HPA(0x1000)), MEMORY_WB);
}

/* "Example Base and Mask Calculations": 96 MBytes with a hole, a 4-MByte and a 1-MByte block. */
static void the_manuals_example(void **state)
{
    (void)state;
    struct mtrr_state s = enabled(MEMORY_UC);
    add(&s, 0x00000000, 0xffc000800ull, MEMORY_WB);     /* 0..64M   */
    add(&s, 0x04000000, 0xffe000800ull, MEMORY_WB);     /* 64..96M  */
    add(&s, 0x06000000, 0xfffc00800ull, MEMORY_WB);     /* 96..100M */
    add(&s, 0x04000000, 0xfffc00800ull, MEMORY_UC);     /* 64..68M  */
    add(&s, 0x00f00000, 0xffff00800ull, MEMORY_UC);     /* 15..16M  */
    add(&s, 0xa0000000, 0xfff800800ull, MEMORY_WC);     /* 8M frame buffer */
    assert_int_equal(mtrr_type_of(&s, HPA(0)), MEMORY_WB);
    assert_int_equal(mtrr_type_of(&s, HPA(15 * MB - 1)), MEMORY_WB);
    assert_int_equal(mtrr_type_of(&s, HPA(15 * MB)), MEMORY_UC);
    assert_int_equal(mtrr_type_of(&s, HPA(16 * MB)), MEMORY_WB);
    assert_int_equal(mtrr_type_of(&s, HPA(64 * MB)), MEMORY_UC);
    assert_int_equal(mtrr_type_of(&s, HPA(68 * MB)), MEMORY_WB);
    assert_int_equal(mtrr_type_of(&s, HPA(100 * MB - 1)), MEMORY_WB);
    assert_int_equal(mtrr_type_of(&s, HPA(100 * MB)), MEMORY_UC);
    assert_int_equal(mtrr_type_of(&s, HPA(0xa07fffff)), MEMORY_WC);
    assert_int_equal(mtrr_type_of(&s, HPA(0xa0800000)), MEMORY_UC);

    assert_int_equal(mtrr_uniform_bytes(&s, HPA(0), 64 * GB), 15 * MB);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(15 * MB), 64 * GB), 1 * MB);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(16 * MB), 64 * GB), 48 * MB);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(64 * MB), 64 * GB), 4 * MB);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(68 * MB), 64 * GB), 32 * MB); /* over two ranges */
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(100 * MB), 64 * GB), 0xa0000000ull - 100 * MB);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(0xa0800000ull), 64 * GB), 64 * GB);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(0), 4096), 4096);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(0), 0), 0);
}

/* "MTRR Precedences". */
static void overlaps(void **state)
{
    (void)state;
    static const struct { unsigned a, b, result; } pairs[] = {
        { MEMORY_WB, MEMORY_WB, MEMORY_WB }, { MEMORY_WC, MEMORY_WC, MEMORY_WC },
        { MEMORY_UC, MEMORY_WB, MEMORY_UC }, { MEMORY_WT, MEMORY_UC, MEMORY_UC },
        { MEMORY_UC, MEMORY_WC, MEMORY_UC }, { MEMORY_UC, MEMORY_WP, MEMORY_UC },
        { MEMORY_WT, MEMORY_WB, MEMORY_WT }, { MEMORY_WB, MEMORY_WT, MEMORY_WT },
        /* undefined by the manual: the safe answer */
        { MEMORY_WC, MEMORY_WB, MEMORY_UC }, { MEMORY_WP, MEMORY_WT, MEMORY_UC },
        { MEMORY_WB, MEMORY_WP, MEMORY_UC }, { MEMORY_WT, MEMORY_WC, MEMORY_UC },
    };
    for (size_t i = 0; i < HV_ARRAY_COUNT(pairs); i++) {
        struct mtrr_state s = enabled(MEMORY_WB);
        add(&s, 1 * GB, MASK(1 * GB), pairs[i].a);
        add(&s, 1 * GB, MASK(16 * MB), pairs[i].b);
        assert_int_equal(mtrr_type_of(&s, HPA(1 * GB)), pairs[i].result);
        assert_int_equal(mtrr_type_of(&s, HPA(1 * GB + 16 * MB)), pairs[i].a);
    }
    struct mtrr_state s = enabled(MEMORY_WB);
    add(&s, 0, MASK(1 * GB), MEMORY_WT);
    add(&s, 0, MASK(1 * GB), MEMORY_WB);
    add(&s, 0, MASK(1 * GB), MEMORY_UC);
    assert_int_equal(mtrr_type_of(&s, HPA(0)), MEMORY_UC);
}

static void invalid_ranges_are_skipped(void **state)
{
    (void)state;
    struct mtrr_state s = enabled(MEMORY_WB);
    add(&s, 0, MASK(1 * GB) & ~MTRR_MASK_VALID, MEMORY_UC);
    assert_int_equal(mtrr_type_of(&s, HPA(0)), MEMORY_WB);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(0), 8 * GB), 8 * GB);
    /* A mask of zero matches everything. */
    add(&s, 0, MTRR_MASK_VALID, MEMORY_WT);
    assert_int_equal(mtrr_type_of(&s, HPA(7 * GB)), MEMORY_WT);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(0), 8 * GB), 8 * GB);
}

/* Bits above the physical width do not take part. */
static void mask_is_cut_to_the_physical_width(void **state)
{
    (void)state;
    struct mtrr_state s = enabled(MEMORY_WB);
    add(&s, 3 * GB, ~(1 * GB - 1) | MTRR_MASK_VALID, MEMORY_UC);
    assert_int_equal(mtrr_type_of(&s, HPA(3 * GB)), MEMORY_UC);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(3 * GB), 64 * GB), 1 * GB);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(0), 64 * GB), 3 * GB);
}

/* A mask with a hole: every second 4-KByte page, or blocks of 1 MByte at two places. */
static void discontinuous_masks(void **state)
{
    (void)state;
    struct mtrr_state s = enabled(MEMORY_WB);
    add(&s, 0x1000, 0x1000 | MTRR_MASK_VALID, MEMORY_UC);
    assert_int_equal(mtrr_type_of(&s, HPA(0)), MEMORY_WB);
    assert_int_equal(mtrr_type_of(&s, HPA(0x7000)), MEMORY_UC);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(0), 1 * GB), 0x1000);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(0x1000), 1 * GB), 0x1000);

    s = enabled(MEMORY_WB);
    uint64_t mask = MASK(1 * MB) & ~(16 * MB); /* address bit 24 does not matter */
    add(&s, 4 * MB, mask, MEMORY_WT);
    assert_int_equal(mtrr_type_of(&s, HPA(4 * MB)), MEMORY_WT);
    assert_int_equal(mtrr_type_of(&s, HPA(20 * MB)), MEMORY_WT);
    assert_int_equal(mtrr_type_of(&s, HPA(36 * MB)), MEMORY_WB);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(5 * MB), 1 * GB), 15 * MB);
    /* Very many steps: a lower bound that is still right. */
    uint64_t bytes = mtrr_uniform_bytes(&s, HPA(32 * MB), 60 * GB);
    assert_true(bytes >= 1 * GB && bytes <= 60 * GB);
}

static void smrr_is_uncacheable_outside_smm(void **state)
{
    (void)state;
    struct mtrr_state s = enabled(MEMORY_WB);
    s.smrr = (struct mtrr_range){ 0x7f000000 | MEMORY_WB, MASK(16 * MB) };
    assert_int_equal(mtrr_type_of(&s, HPA(0x7f000000)), MEMORY_UC);
    assert_int_equal(mtrr_type_of(&s, HPA(0x7effffff)), MEMORY_WB);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(0x70000000), 1 * GB), 0x0f000000);
    s.smrr.mask &= ~MTRR_MASK_VALID;
    assert_int_equal(mtrr_type_of(&s, HPA(0x7f000000)), MEMORY_WB);
}

/* Whatever the registers hold: the uniform length is uniform, page by page, and ends either at
 * the limit or at a change. */
static void uniform_is_uniform(void **state)
{
    (void)state;
    srandom(3);
    for (unsigned round = 0; round < 400; round++) {
        struct mtrr_state s = enabled((enum memory_type)6);
        s.def_type |= random() % 2 ? MTRR_DEF_FIXED_ENABLE : 0;
        for (unsigned i = 0; i < MTRR_FIXED_COUNT; i++)
            s.fixed[i] = random() % 2 ? 0x0606060606060606ull : 0x0606000001050406ull;
        unsigned count = (unsigned)random() % 5;
        for (unsigned i = 0; i < count; i++) {
            uint64_t bytes = 4096ull << (random() % 8);
            uint64_t mask = MASK(bytes);
            if (random() % 5 == 0)
                mask &= ~(bytes << (random() % 4));
            add(&s, ((uint64_t)random() % 0x400) * 4096, mask, (unsigned)random() % 8);
        }
        uint64_t at = ((uint64_t)random() % 0x400) * 4096, most = 4 * MB;
        uint64_t bytes = mtrr_uniform_bytes(&s, HPA(at), most);
        assert_true(bytes > 0 && bytes <= most);
        enum memory_type type = mtrr_type_of(&s, HPA(at));
        for (uint64_t offset = 0; offset < bytes; offset += 4096)
            assert_int_equal(mtrr_type_of(&s, HPA(at + offset)), type);
        if (bytes < most)
            assert_int_not_equal(mtrr_type_of(&s, HPA(at + bytes)), type);
    }
}

static void range_at_the_top_of_the_address_space(void **state)
{
    (void)state;
    struct mtrr_state s = enabled(MEMORY_WB);
    assert_int_equal(mtrr_uniform_bytes(&s, HPA(UINT64_MAX - 4095), 8192), 4095);
}

/* --- reading --- */
struct msrs {
    unsigned reads;
    bool smrr_read;
    uint64_t cap;
};

static uint64_t msrs_read(void *context, uint32_t index)
{
    struct msrs *m = context;
    m->reads++;
    if (index == MTRR_MSR_CAP)
        return m->cap;
    if (index == MTRR_MSR_DEF_TYPE)
        return MTRR_DEF_ENABLE | MTRR_DEF_FIXED_ENABLE | MEMORY_WB;
    if (index == MTRR_MSR_SMRR_PHYSBASE || index == MTRR_MSR_SMRR_PHYSMASK)
        m->smrr_read = true;
    bool fixed = index == 0x250 || index == 0x258 || index == 0x259 ||
                 (index >= 0x268 && index <= 0x26f);
    bool variable = index >= 0x200 && index < 0x200 + 2 * (m->cap & 0xff);
    bool smrr = index == 0x1f2 || index == 0x1f3;
    assert_true(smrr || variable || (fixed && (m->cap & MTRR_CAP_FIX)));
    return index;
}

static void reading(void **state)
{
    (void)state;
    struct msrs m = { .cap = MTRR_CAP_FIX | MTRR_CAP_SMRR | 10 };
    struct mtrr_state s;
    assert_int_equal(mtrr_read(&s, msrs_read, &m, PHYS, true, false), HV_OK);
    assert_false(m.smrr_read);
    assert_int_equal(s.variable_count, 10);
    assert_int_equal(s.fixed[0], 0x250);
    assert_int_equal(s.fixed[2], 0x259);
    assert_int_equal(s.fixed[3], 0x268);
    assert_int_equal(s.fixed[10], 0x26f);
    assert_int_equal(s.variable[9].base, 0x212);
    assert_int_equal(s.variable[9].mask, 0x213);
    assert_int_equal(mtrr_read(&s, msrs_read, &m, PHYS, true, true), HV_OK);
    assert_true(m.smrr_read);
    assert_int_equal(s.smrr.mask, 0x1f3);
    m = (struct msrs){ .cap = 2 };
    assert_int_equal(mtrr_read(&s, msrs_read, &m, PHYS, true, true), HV_OK);
    assert_int_equal(m.reads, 6);
    m = (struct msrs){ .cap = 33 };
    assert_int_equal(mtrr_read(&s, msrs_read, &m, PHYS, true, true), HV_ERR_UNSUPPORTED);
    m = (struct msrs){ .cap = 2 };
    assert_int_equal(mtrr_read(&s, msrs_read, &m, PHYS, false, true), HV_OK);
    assert_int_equal(m.reads, 0);
    assert_int_equal(mtrr_type_of(&s, HPA(0)), MEMORY_UC);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(memory_type_name(MEMORY_UC), "UC");
    assert_string_equal(memory_type_name(MEMORY_WC), "WC");
    assert_string_equal(memory_type_name(MEMORY_WT), "WT");
    assert_string_equal(memory_type_name(MEMORY_WP), "WP");
    assert_string_equal(memory_type_name(MEMORY_WB), "WB");
    assert_string_equal(memory_type_name((enum memory_type)3), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disabled_means_uncacheable),
        cmocka_unit_test(default_type_where_nothing_matches),
        cmocka_unit_test(fixed_ranges),
        cmocka_unit_test(the_manuals_example),
        cmocka_unit_test(overlaps),
        cmocka_unit_test(invalid_ranges_are_skipped),
        cmocka_unit_test(mask_is_cut_to_the_physical_width),
        cmocka_unit_test(discontinuous_masks),
        cmocka_unit_test(smrr_is_uncacheable_outside_smm),
        cmocka_unit_test(uniform_is_uniform),
        cmocka_unit_test(range_at_the_top_of_the_address_space),
        cmocka_unit_test(reading),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
