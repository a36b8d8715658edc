// SRCS: boot/keep_plan.c
/* The memory of a run that firmware survives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "boot/keep_plan.h"

#define MB (UINT64_C(1) << 20)
#define MOST 8

/* --- how much --- */

static void test_need_grows_with_what_the_config_names(void **state)
{
    struct config *config = calloc(1, sizeof(*config));
    struct keep_need none = keep_plan_need(config, 1), need;
    (void)state;
    assert_int_equal(none.guests_bytes, 0);
    assert_true(none.own_bytes >= 8 * MB && none.own_bytes < 64 * MB);
    assert_int_equal(none.own_bytes % (2 * MB), 0);
    assert_true(keep_plan_need(config, 64).own_bytes >= none.own_bytes + 64 * 23 * 4096);
    config->lab[0] = 'l';
    assert_true(keep_plan_need(config, 1).own_bytes >= none.own_bytes + 8 * MB);
    config->lab[0] = 0;
    config->vm_count = 2;
    config->vms[0] = (struct config_vm){ .vcpus = 1, .memory_bytes = 512 * MB };
    config->vms[1] = (struct config_vm){ .vcpus = 4, .memory_bytes = 1024 * MB };
    need = keep_plan_need(config, 1);
    assert_int_equal(need.guests_bytes, 1536 * MB);
    /* Tables of 4 KB pages alone take 1/512. */
    assert_true(need.own_bytes >= none.own_bytes + 3 * MB);
    config->vms[1].trace = CONFIG_TRACE_ON;
    assert_true(keep_plan_need(config, 1).own_bytes > need.own_bytes);
    free(config);
}

/* --- in which pieces --- */

/* A firmware whose free memory has these holes. */
struct holes {
    uint64_t bytes[40];
    unsigned count, asked;
};

static uint64_t take(void *context, uint64_t bytes)
{
    struct holes *holes = context;
    holes->asked++;
    for (unsigned i = 0; i < holes->count; i++) {
        if (holes->bytes[i] >= bytes) {
            holes->bytes[i] -= bytes;
            return (i + 1) * UINT64_C(0x100000000) + holes->bytes[i];
        }
    }
    return 0;
}

static uint64_t sum(const struct keep_piece *pieces, unsigned count)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count; i++)
        bytes += pieces[i].bytes;
    return bytes;
}

static void test_one_piece_where_there_is_one(void **state)
{
    struct holes holes = { { 1024 * MB }, 1, 0 };
    struct keep_piece pieces[KEEP_MOST_PIECES];
    (void)state;
    assert_int_equal(keep_plan_take(512 * MB, take, &holes, pieces), 1);
    assert_int_equal(pieces[0].bytes, 512 * MB);
    assert_int_equal(holes.asked, 1);
    assert_int_equal(keep_plan_take(3 * MB, take, &holes, pieces), 1);
    assert_int_equal(pieces[0].bytes, 4 * MB); /* whole large pages */
}

static void test_several_where_there_are_holes(void **state)
{
    struct holes holes = { { 300 * MB, 200 * MB, 100 * MB }, 3, 0 };
    struct keep_piece pieces[KEEP_MOST_PIECES];
    unsigned count = keep_plan_take(512 * MB, take, &holes, pieces);
    (void)state;
    assert_in_range(count, 2, KEEP_MOST_PIECES);
    assert_int_equal(sum(pieces, count), 512 * MB);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pieces[i].bytes % (2 * MB), 0);
}

static void test_too_little_memory(void **state)
{
    struct holes holes = { { 300 * MB, 200 * MB }, 2, 0 };
    struct keep_piece pieces[KEEP_MOST_PIECES];
    (void)state;
    assert_int_equal(keep_plan_take(512 * MB, take, &holes, pieces), 0);
    assert_true(holes.asked < 100);
}

static void test_too_many_pieces(void **state)
{
    struct holes holes = { .count = 40 };
    struct keep_piece pieces[KEEP_MOST_PIECES];
    (void)state;
    for (unsigned i = 0; i < 40; i++)
        holes.bytes[i] = 2 * MB;
    assert_int_equal(keep_plan_take(80 * MB, take, &holes, pieces), 0);
    for (unsigned i = 0; i < 40; i++)
        holes.bytes[i] = 2 * MB;
    assert_int_equal(keep_plan_take(2 * MB * KEEP_MOST_PIECES, take, &holes, pieces),
                     KEEP_MOST_PIECES);
}

/* --- whose it is --- */

struct map {
    struct boot_memory ranges[MOST];
    uint32_t count;
};

static const struct map firmware_map = {
    { { 0, 0x1000, BOOT_MEMORY_FIRMWARE },
      { 0x1000, 0xf000, BOOT_MEMORY_FREE },
      { 0x10000, 0x10000, BOOT_MEMORY_TRAPLINE },
      { 0x20000, 0x10000, BOOT_MEMORY_RECLAIM },
      { 0x30000, 0x1000, BOOT_MEMORY_ACPI } }, 5,
};

static void expect(const struct map *map, unsigned i, uint64_t start, uint64_t bytes,
                   enum boot_memory_kind kind)
{
    assert_int_equal(map->ranges[i].start, start);
    assert_int_equal(map->ranges[i].bytes, bytes);
    assert_int_equal(map->ranges[i].kind, kind);
}

static void test_nothing_of_firmwares_is_ours(void **state)
{
    struct map map = firmware_map;
    (void)state;
    keep_plan_disown(map.ranges, map.count);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(map.ranges[i].kind, BOOT_MEMORY_FIRMWARE);
    assert_int_equal(map.ranges[4].kind, BOOT_MEMORY_ACPI); /* may be read */
}

static void test_a_piece_inside_of_a_range_cuts_it(void **state)
{
    struct map map = firmware_map;
    (void)state;
    assert_true(keep_plan_own(map.ranges, &map.count, MOST, 0x12000, 0x1000, BOOT_MEMORY_FREE));
    assert_int_equal(map.count, 7);
    expect(&map, 2, 0x10000, 0x2000, BOOT_MEMORY_TRAPLINE);
    expect(&map, 3, 0x12000, 0x1000, BOOT_MEMORY_FREE);
    expect(&map, 4, 0x13000, 0xd000, BOOT_MEMORY_TRAPLINE);
    expect(&map, 5, 0x20000, 0x10000, BOOT_MEMORY_RECLAIM);
}

static void test_a_piece_over_several_ranges(void **state)
{
    struct map map = firmware_map;
    (void)state;
    assert_true(keep_plan_own(map.ranges, &map.count, MOST, 0x8000, 0x28800, BOOT_MEMORY_FREE));
    assert_int_equal(map.count, 4);
    expect(&map, 1, 0x1000, 0x7000, BOOT_MEMORY_FREE);
    expect(&map, 2, 0x8000, 0x28800, BOOT_MEMORY_FREE);
    expect(&map, 3, 0x30800, 0x800, BOOT_MEMORY_ACPI);
}

static void test_a_piece_that_fits_exactly_and_one_where_nothing_was(void **state)
{
    struct map map = firmware_map;
    (void)state;
    assert_true(keep_plan_own(map.ranges, &map.count, MOST, 0x10000, 0x10000, BOOT_MEMORY_FREE));
    assert_int_equal(map.count, 5);
    expect(&map, 2, 0x10000, 0x10000, BOOT_MEMORY_FREE);
    assert_true(keep_plan_own(map.ranges, &map.count, MOST, 0x90000, 0x1000, BOOT_MEMORY_FREE));
    assert_int_equal(map.count, 6);
    expect(&map, 5, 0x90000, 0x1000, BOOT_MEMORY_FREE);
}

static void test_no_room_and_nonsense(void **state)
{
    struct map map = firmware_map;
    (void)state;
    assert_false(keep_plan_own(map.ranges, &map.count, 6, 0x12000, 0x1000, BOOT_MEMORY_FREE));
    assert_false(keep_plan_own(map.ranges, &map.count, MOST, 0x12000, 0, BOOT_MEMORY_FREE));
    assert_false(keep_plan_own(map.ranges, &map.count, MOST, UINT64_MAX - 1, 0x1000,
                               BOOT_MEMORY_FREE));
    assert_int_equal(map.count, 5);
    assert_memory_equal(map.ranges, firmware_map.ranges, sizeof(map.ranges));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_need_grows_with_what_the_config_names),
        cmocka_unit_test(test_one_piece_where_there_is_one),
        cmocka_unit_test(test_several_where_there_are_holes),
        cmocka_unit_test(test_too_little_memory),
        cmocka_unit_test(test_too_many_pieces),
        cmocka_unit_test(test_nothing_of_firmwares_is_ours),
        cmocka_unit_test(test_a_piece_inside_of_a_range_cuts_it),
        cmocka_unit_test(test_a_piece_over_several_ranges),
        cmocka_unit_test(test_a_piece_that_fits_exactly_and_one_where_nothing_was),
        cmocka_unit_test(test_no_room_and_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
