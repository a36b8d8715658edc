// SRCS: arch/x86/cpu/core_list.c
/* ACPI "MADT"; SDM volume 3 "Determining IPI Destination": xAPIC ids have eight bits, 0xff is all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "x86/core_list.h"

#define IDS(...) ((struct core_ids){ (const uint32_t[]){ __VA_ARGS__ },                            \
                                     sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t) })
static const struct core_ids none = { NULL, 0 };
static struct core_list list;

static void test_an_ordinary_machine(void **state)
{
    (void)state;
    core_list_make(IDS(0, 2, 4, 6), IDS(0, 2, 4, 6), 0, true, &list);
    assert_true(list.known);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.ids[0], 2);
    assert_int_equal(list.ids[2], 6);
    /* The boot core need not be the first, nor have id 0. */
    core_list_make(IDS(0, 2, 4, 6), none, 4, true, &list);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.ids[2], 6);
}

static void test_nobody_has_a_list(void **state)
{
    (void)state;
    core_list_make(none, none, 0, true, &list);
    assert_false(list.known);
    assert_int_equal(list.count, 0);
}

static void test_no_acpi(void **state)
{
    (void)state;
    core_list_make(none, IDS(0, 1), 0, false, &list);
    assert_true(list.known);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.ids[0], 1);
}

static void test_a_table_that_names_too_few(void **state)
{
    (void)state;
    core_list_make(IDS(0), IDS(0, 1, 2, 3), 0, true, &list);
    assert_int_equal(list.count, 3);
    /* Firmware without MP services, or with fewer: the table. */
    core_list_make(IDS(0, 1, 2), IDS(0, 1), 0, true, &list);
    assert_int_equal(list.count, 2);
}

static void test_one_core_alone(void **state)
{
    (void)state;
    core_list_make(IDS(0), IDS(0), 0, false, &list);
    assert_true(list.known);
    assert_int_equal(list.count, 0);
}

static void test_a_core_named_twice(void **state)
{
    (void)state;
    core_list_make(IDS(0, 1, 1, 0, 2), none, 0, true, &list);
    assert_int_equal(list.count, 2);
}

/* Large machines, and hybrid ones whose ids have gaps. */
static void test_ids_beyond_eight_bits(void **state)
{
    (void)state;
    core_list_make(IDS(0, 0xfe, 0xff, 0x100, 0x12345), none, 0, true, &list);
    assert_int_equal(list.count, 4);
    assert_int_equal(list.ids[3], 0x12345);
    assert_int_equal(list.unreachable, 0);
    core_list_make(IDS(0, 0xfe, 0xff, 0x100, 0x12345), none, 0, false, &list);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.ids[0], 0xfe);
    assert_int_equal(list.unreachable, 3);
}

static void test_more_cores_than_there_is_room(void **state)
{
    static uint32_t ids[600];
    (void)state;
    for (unsigned i = 0; i < 600; i++)
        ids[i] = i;
    core_list_make((struct core_ids){ ids, 600 }, none, 599, true, &list);
    assert_int_equal(list.count, CORE_LIST_MOST);
    assert_int_equal(list.beyond, 599 - CORE_LIST_MOST);
    assert_int_equal(list.ids[CORE_LIST_MOST - 1], CORE_LIST_MOST - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_ordinary_machine),
        cmocka_unit_test(test_nobody_has_a_list),
        cmocka_unit_test(test_no_acpi),
        cmocka_unit_test(test_a_table_that_names_too_few),
        cmocka_unit_test(test_one_core_alone),
        cmocka_unit_test(test_a_core_named_twice),
        cmocka_unit_test(test_ids_beyond_eight_bits),
        cmocka_unit_test(test_more_cores_than_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
