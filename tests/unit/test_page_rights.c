// SRCS: boot/page_rights.c
/* SDM volume 3 "4-Level Paging and 5-Level Paging", "Determination of Access Rights": an access needs
 * the right of every level; the execute-disable bit takes one away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/page_rights.h"

#define P 1ull
#define W 2ull
#define LARGE (1ull << 7)
#define XD (1ull << 63)
#define LINEAR UINT64_C(0x0000123456789000)
#define BOTH (PAGE_MAY_WRITE | PAGE_MAY_EXECUTE)

/* table[n]: the table of level n, with one way through it, to LINEAR and the page behind it. */
static _Alignas(4096) uint64_t table[6][512];

static uint64_t *entry_of(unsigned level, uint64_t linear)
{
    return &table[level][linear >> (12 + 9 * (level - 1)) & 511];
}

static int set_up(void **state)
{
    (void)state;
    memset(table, 0, sizeof(table));
    for (unsigned level = 5; level > 1; level--)
        *entry_of(level, LINEAR) = (uint64_t)table[level - 1] | P | W;
    *entry_of(1, LINEAR) = 0x5000 | P | W;
    *entry_of(1, LINEAR + 4096) = 0x6000 | P | W;
    return 0;
}

/* PCID, or the caching bits, stand in CR3's low bits. */
static bool hold(unsigned levels, uint64_t bytes, uint64_t wanted)
{
    return page_rights_hold((uint64_t)table[levels] | 0x18, levels, LINEAR, bytes, wanted);
}

static void test_each_level_can_take_a_right_away(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++) {
        assert_true(hold(levels, 8192, BOTH));
        for (unsigned level = 1; level <= levels; level++) {
            uint64_t *entry = entry_of(level, LINEAR), before = *entry;
            *entry = before | XD;
            assert_false(hold(levels, 1, PAGE_MAY_EXECUTE));
            assert_true(hold(levels, 1, PAGE_MAY_WRITE));
            *entry = before & ~W;
            assert_true(hold(levels, 1, PAGE_MAY_EXECUTE));
            assert_false(hold(levels, 1, PAGE_MAY_WRITE));
            *entry = before & ~P;
            assert_false(hold(levels, 1, PAGE_MAY_EXECUTE));
            assert_false(hold(levels, 1, PAGE_MAY_WRITE));
            *entry = before;
        }
    }
}

static void test_every_page_is_looked_at(void **state)
{
    (void)state;
    *entry_of(1, LINEAR + 4096) |= XD;
    assert_true(hold(4, 4096, BOTH));
    assert_false(hold(4, 4097, BOTH));
    assert_true(hold(4, 8192, PAGE_MAY_WRITE));
    assert_false(hold(4, 3 * 4096, PAGE_MAY_WRITE));
    assert_true(hold(4, 0, BOTH));
}

static void test_large_pages_end_the_walk(void **state)
{
    (void)state;
    for (unsigned level = 2; level <= 3; level++) {
        *entry_of(level, LINEAR) = P | W | LARGE; /* at 0: what follows is no table */
        assert_true(hold(4, 4096, BOTH));
        *entry_of(level, LINEAR) = P | LARGE | XD;
        assert_false(hold(4, 4096, PAGE_MAY_WRITE));
        assert_false(hold(4, 4096, PAGE_MAY_EXECUTE));
    }
}

static void test_bit_7_of_the_lowest_level_is_the_PAT_s(void **state)
{
    (void)state;
    *entry_of(1, LINEAR) |= LARGE;
    assert_true(hold(4, 4096, BOTH));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_each_level_can_take_a_right_away, set_up),
        cmocka_unit_test_setup(test_every_page_is_looked_at, set_up),
        cmocka_unit_test_setup(test_large_pages_end_the_walk, set_up),
        cmocka_unit_test_setup(test_bit_7_of_the_lowest_level_is_the_PAT_s, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
