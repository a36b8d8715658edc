// SRCS: vmm/core/loader.c vmm/core/loader_linux.c vmm/core/loader_multiboot.c vmm/core/loader_elf.c vmm/core/loader_describe.c vmm/core/gpa_space.c vmm/lib/format.c
/* Where things find a place in a guest's memory: the lowest, or the highest, that is free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "loader_guest.h"
#include "vmm/core/loader_internal.h"

static struct loader loader;

static int setup(void **state)
{
    (void)state;
    guest_make(4);
    loader = (struct loader){ &guest.request, &guest.result, &guest.diagnosis, { { 0, 0 } }, 0 };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_free();
    return 0;
}

static uint64_t find(uint64_t bytes, uint64_t align, uint64_t least, uint64_t limit, bool highest)
{
    const struct loader_want want = { bytes, align, least, limit, highest };
    uint64_t start = UINT64_MAX;

    return loader_find(&loader, &want, &start) == HV_OK ? start : UINT64_MAX;
}

static void test_free_is_ram_that_nobody_has(void **state)
{
    (void)state;
    assert_int_equal(loader_reserve(&loader, 0x200000, 0x1000), HV_OK);
    assert_true(loader_is_free(&loader, 0x1ff000, 0x1000));
    assert_true(loader_is_free(&loader, 0x201000, 0x1000));
    assert_false(loader_is_free(&loader, 0x1ff000, 0x1001));
    assert_false(loader_is_free(&loader, 0x200fff, 1));
    assert_true(loader_is_ram(&loader, 0x200fff, 1));
    assert_false(loader_is_free(&loader, 0x9fc00, 1)); /* reserved, and the ACPI tables */
    assert_false(loader_is_free(&loader, 0xe0000, 1));
    assert_false(loader_is_free(&loader, 0x3ff000, 0x1001)); /* beyond the end */
    assert_false(loader_is_free(&loader, UINT64_MAX, 1));
    assert_false(loader_is_ram(&loader, 0x100000, UINT64_MAX));
}

/* From below: past what is taken, aligned, and never across the end. */
static void test_the_lowest(void **state)
{
    (void)state;
    assert_int_equal(find(0x1000, 0x1000, 0x100000, UINT64_MAX, false), 0x100000);
    assert_int_equal(find(0x1000, 0x1000, 0x100000, UINT64_MAX, false), 0x101000);
    assert_int_equal(find(0x1000, 0x100000, 0x100000, UINT64_MAX, false), 0x200000);
    assert_int_equal(find(0x1fe000, 0x1000, 0x100000, UINT64_MAX, false), 0x201000);
    assert_int_equal(find(0x1001, 1, 0x3ff000, UINT64_MAX, false), UINT64_MAX);
    assert_int_equal(find(0x1000, 0x1000, 0x3ff000, UINT64_MAX, false), 0x3ff000);
    assert_int_equal(find(1, 1, 0x3ff000, UINT64_MAX, false), UINT64_MAX); /* all is taken */
    assert_int_equal(find(1, UINT64_C(1) << 63, 0x3ff000, UINT64_MAX, false), UINT64_MAX);
    assert_int_equal(find(0x1000, 0x1000, 0x8001, 0x9fc00, false), 0x9000);
    assert_int_equal(find(0x1000, 0x1000, 0x9f000, 0x9fc00, false), UINT64_MAX);
}

/* From above, and the same. */
static void test_the_highest(void **state)
{
    (void)state;
    assert_int_equal(find(0x1800, 0x1000, 0, UINT64_MAX, true), 0x3fe000);
    assert_int_equal(find(0x1000, 0x1000, 0, UINT64_MAX, true), 0x3fd000);
    assert_int_equal(find(0x1000, 0x1000, 0x3fd800, UINT64_MAX, true), UINT64_MAX);
    assert_int_equal(find(0x1000, 0x100000, 0, UINT64_MAX, true), 0x300000);
    assert_int_equal(find(0x400, 0x400, 0x3ffc00, UINT64_MAX, true), 0x3ffc00);
    /* What was placed where the search begins, or reaches below it, ends it. */
    assert_int_equal(loader_reserve(&loader, 0x180000, 0x80000), HV_OK);
    assert_int_equal(find(0x1000, 0x1000, 0x1c0000, 0x200000, true), UINT64_MAX);
    assert_int_equal(find(0x1000, 0x200000, 0x1f0000, 0x1f8000, true), UINT64_MAX);
    assert_int_equal(find(0x90000, 0x1000, 0, 0x100000, true), 0xf000);
    assert_int_equal(find(0x10000, 0x1000, 0, 0x100000, true), UINT64_MAX);
}

static void test_more_places_than_there_is_room_for(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOADER_MAX_PLACES; i++)
        assert_int_not_equal(find(1, 1, 0x100000, UINT64_MAX, false), UINT64_MAX);
    assert_int_equal(find(1, 1, 0x100000, UINT64_MAX, false), UINT64_MAX);
    assert_int_equal(loader_reserve(&loader, 0x300000, 1), HV_ERR_NO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_free_is_ram_that_nobody_has, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_lowest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_highest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_places_than_there_is_room_for, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
