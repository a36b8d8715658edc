// SRCS: vmm/lib/range_map.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hv/range_map.h"

static void test_add_find_remove(void **state)
{
    struct range_map_entry entries[4];
    struct range_map map;
    (void)state;
    range_map_init(&map, entries, 4);
    assert_null(range_map_find(&map, 0));
    assert_int_equal(range_map_add(&map, 100, 10, 1), HV_OK);
    assert_int_equal(range_map_add(&map, 50, 10, 2), HV_OK);
    assert_int_equal(range_map_add(&map, 110, 1, 3), HV_OK);
    assert_null(range_map_find(&map, 49));
    assert_int_equal(range_map_find(&map, 50)->value, 2);
    assert_int_equal(range_map_find(&map, 59)->value, 2);
    assert_null(range_map_find(&map, 60));
    assert_int_equal(range_map_find(&map, 109)->value, 1);
    assert_int_equal(range_map_find(&map, 110)->value, 3);
    assert_null(range_map_find(&map, 111));
    assert_int_equal(range_map_remove(&map, 100), HV_OK);
    assert_null(range_map_find(&map, 105));
    assert_int_equal(range_map_find(&map, 110)->value, 3);
    assert_int_equal(range_map_remove(&map, 100), HV_ERR_NOT_FOUND);
    assert_int_equal(range_map_remove(&map, 51), HV_ERR_NOT_FOUND);
    assert_int_equal(range_map_remove(&map, 0), HV_ERR_NOT_FOUND);
}

static void test_refusals(void **state)
{
    struct range_map_entry entries[2];
    struct range_map map;
    (void)state;
    range_map_init(&map, entries, 2);
    assert_int_equal(range_map_add(&map, 5, 0, 1), HV_ERR_INVALID);
    assert_int_equal(range_map_add(&map, UINT64_MAX, 2, 1), HV_ERR_INVALID);
    assert_int_equal(range_map_add(&map, UINT64_MAX - 9, 10, 1), HV_OK);
    assert_int_equal(range_map_find(&map, UINT64_MAX)->value, 1);
    assert_int_equal(range_map_add(&map, UINT64_MAX, 1, 1), HV_ERR_EXISTS);
    assert_int_equal(range_map_add(&map, UINT64_MAX - 20, 12, 1), HV_ERR_EXISTS);
    assert_int_equal(range_map_add(&map, UINT64_MAX - 20, 11, 2), HV_OK);
    assert_int_equal(range_map_add(&map, 0, 1, 3), HV_ERR_NO_MEMORY);
    assert_true(range_map_overlaps(&map, 0, UINT64_MAX));
    assert_false(range_map_overlaps(&map, 0, UINT64_MAX - 21));
}

/* Against a table of bytes. */
static void test_random_operations(void **state)
{
    enum { SPACE = 200 };
    struct range_map_entry entries[40];
    struct range_map map;
    uint32_t model[SPACE] = { 0 };
    (void)state;
    range_map_init(&map, entries, 40);
    srand(1);
    for (unsigned round = 1; round < 20000; round++) {
        uint64_t start = (uint64_t)rand() % SPACE, bytes = 1 + (uint64_t)rand() % 9;
        if (rand() % 2) {
            bool clash = start + bytes > SPACE;
            for (uint64_t i = start; i < start + bytes && i < SPACE; i++)
                clash |= model[i] != 0;
            if (start + bytes > SPACE)
                continue;
            enum hv_err err = range_map_add(&map, start, bytes, round);
            if (clash) {
                assert_int_equal(err, HV_ERR_EXISTS);
            } else if (err == HV_OK) {
                for (uint64_t i = start; i < start + bytes; i++)
                    model[i] = round;
            } else {
                assert_int_equal(map.count, 40);
            }
        } else {
            bool starts = model[start] && (start == 0 || model[start - 1] != model[start]);
            uint32_t value = model[start];
            assert_int_equal(range_map_remove(&map, start), starts ? HV_OK : HV_ERR_NOT_FOUND);
            for (uint64_t i = start; starts && i < SPACE && model[i] == value; i++)
                model[i] = 0;
        }
        for (uint64_t i = 0; i < SPACE; i++) {
            const struct range_map_entry *entry = range_map_find(&map, i);
            assert_int_equal(entry ? entry->value : 0, model[i]);
        }
    }
}

static void expect_hole(const struct range_map *map, uint64_t at, uint64_t first, uint64_t last)
{
    uint64_t got_first = 5, got_last = 5;

    assert_true(range_map_hole(map, at, &got_first, &got_last));
    assert_true(got_first == first);
    assert_true(got_last == last);
}

static void test_holes(void **state)
{
    struct range_map_entry entries[4];
    struct range_map map;
    uint64_t first, last;

    (void)state;
    range_map_init(&map, entries, 4);
    expect_hole(&map, 7, 0, UINT64_MAX);
    assert_int_equal(range_map_add(&map, 0x10, 0x10, 1), HV_OK);
    assert_int_equal(range_map_add(&map, 0x30, 0x10, 2), HV_OK);
    expect_hole(&map, 0, 0, 0xf);
    expect_hole(&map, 0xf, 0, 0xf);
    expect_hole(&map, 0x20, 0x20, 0x2f);
    expect_hole(&map, 0x2f, 0x20, 0x2f);
    expect_hole(&map, UINT64_MAX, 0x40, UINT64_MAX);
    assert_false(range_map_hole(&map, 0x10, &first, &last));
    assert_false(range_map_hole(&map, 0x3f, &first, &last));
    assert_int_equal(range_map_add(&map, UINT64_MAX, 1, 3), HV_OK);
    assert_false(range_map_hole(&map, UINT64_MAX, &first, &last));
    expect_hole(&map, UINT64_MAX - 1, 0x40, UINT64_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_find_remove),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
