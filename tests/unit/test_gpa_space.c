// SRCS: vmm/core/gpa_space.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hv/gpa_space.h"

static _Alignas(4096) uint8_t memory[8][HV_PAGE_BYTES];

/* 0x0000-0x1fff and, touching it but elsewhere in the host, 0x2000-0x2fff; then 0x10000-0x10fff. */
static void make_space(struct gpa_space *space)
{
    memset(memory, 0, sizeof(memory));
    *space = (struct gpa_space){ .count = 0 };
    assert_int_equal(gpa_space_add(space, GPA(0x2000), 0x1000, memory[0], HPA(0x5000), false),
                     HV_OK);
    assert_int_equal(gpa_space_add(space, GPA(0x10000), 0x1000, memory[6], HPA(0x9000), true),
                     HV_OK);
    assert_int_equal(gpa_space_add(space, GPA(0), 0x2000, memory[3], HPA(0x7000), true), HV_OK);
}

static void test_slots_are_sorted(void **state)
{
    struct gpa_space space;
    (void)state;
    make_space(&space);
    assert_int_equal(space.count, 3);
    assert_int_equal(space.slots[0].start.v, 0);
    assert_int_equal(space.slots[1].start.v, 0x2000);
    assert_int_equal(space.slots[1].hpa.v, 0x5000);
    assert_false(space.slots[1].writable);
    assert_int_equal(space.slots[2].start.v, 0x10000);
    assert_int_equal(gpa_space_total_bytes(&space), 0x4000);
}

static void test_add_refuses(void **state)
{
    struct gpa_space space;
    (void)state;
    make_space(&space);
    assert_int_equal(gpa_space_add(&space, GPA(0x20001), 0x1000, memory[1], HPA(0), true),
                     HV_ERR_INVALID);
    assert_int_equal(gpa_space_add(&space, GPA(0x20000), 0x1001, memory[1], HPA(0), true),
                     HV_ERR_INVALID);
    assert_int_equal(gpa_space_add(&space, GPA(0x20000), 0x1000, memory[1], HPA(1), true),
                     HV_ERR_INVALID);
    assert_int_equal(gpa_space_add(&space, GPA(0x20000), 0, memory[1], HPA(0), true),
                     HV_ERR_INVALID);
    assert_int_equal(gpa_space_add(&space, GPA(0x20000), 0x1000, NULL, HPA(0), true),
                     HV_ERR_INVALID);
    assert_int_equal(gpa_space_add(&space, GPA(0xfffffffffffff000), 0x1000, memory[1], HPA(0), true),
                     HV_ERR_INVALID);
    assert_int_equal(gpa_space_add(&space, GPA(0x20000), 0x1000, memory[1], HPA(0xfffffffffffff000),
                                   true), HV_ERR_INVALID);
    assert_int_equal(gpa_space_add(&space, GPA(0x1000), 0x1000, memory[1], HPA(0), true),
                     HV_ERR_EXISTS);
    assert_int_equal(gpa_space_add(&space, GPA(0xf000), 0x2000, memory[1], HPA(0), true),
                     HV_ERR_EXISTS);
    assert_int_equal(gpa_space_add(&space, GPA(0x2000), 0x1000, memory[1], HPA(0), true),
                     HV_ERR_EXISTS);
    assert_int_equal(space.count, 3);
    for (uint64_t gpa = 0x100000; space.count < GPA_SPACE_MAX_SLOTS; gpa += 0x1000)
        assert_int_equal(gpa_space_add(&space, GPA(gpa), 0x1000, memory[1], HPA(0), true), HV_OK);
    assert_int_equal(gpa_space_add(&space, GPA(0x900000), 0x1000, memory[1], HPA(0), true),
                     HV_ERR_NO_MEMORY);
}

static void test_find_and_pointer(void **state)
{
    struct gpa_space space;
    (void)state;
    make_space(&space);
    assert_ptr_equal(gpa_space_find(&space, GPA(0x1fff)), &space.slots[0]);
    assert_ptr_equal(gpa_space_find(&space, GPA(0x2000)), &space.slots[1]);
    assert_null(gpa_space_find(&space, GPA(0x3000)));
    assert_null(gpa_space_find(&space, GPA(UINT64_MAX)));
    assert_ptr_equal(gpa_space_pointer(&space, GPA(0x1ffc), 4), memory[4] + 0xffc);
    assert_null(gpa_space_pointer(&space, GPA(0x1ffc), 5)); /* leaves the slot */
    assert_null(gpa_space_pointer(&space, GPA(0x10ffc), 5)); /* leaves memory */
    assert_null(gpa_space_pointer(&space, GPA(0x10ffc), UINT64_MAX));
    assert_null(gpa_space_pointer(&space, GPA(0x9000), 1));
    assert_ptr_equal(gpa_space_pointer(&space, GPA(0x10000), 0x1000), memory[6]);
}

static void test_copies_cross_slots(void **state)
{
    struct gpa_space space;
    char back[16];
    (void)state;
    make_space(&space);
    assert_int_equal(gpa_space_write(&space, GPA(0x1ff8), "0123456789abcdef", 16), HV_OK);
    assert_memory_equal(memory[4] + 0xff8, "01234567", 8);
    assert_memory_equal(memory[0], "89abcdef", 8);
    assert_int_equal(gpa_space_read(&space, GPA(0x1ff8), back, 16), HV_OK);
    assert_memory_equal(back, "0123456789abcdef", 16);
    assert_int_equal(gpa_space_zero(&space, GPA(0x1ffc), 8), HV_OK);
    assert_memory_equal(memory[4] + 0xff8, "0123\0\0\0\0", 8);
    assert_memory_equal(memory[0], "\0\0\0\0cdef", 8);
    assert_int_equal(gpa_space_read(&space, GPA(0x99999), back, 0), HV_OK);
}

static void test_failed_copies_copy_nothing(void **state)
{
    struct gpa_space space;
    char back[16] = "unchanged";
    (void)state;
    make_space(&space);
    assert_int_equal(gpa_space_write(&space, GPA(0x2ff8), "0123456789", 10), HV_ERR_RANGE);
    assert_memory_equal(memory[0] + 0xff8, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(gpa_space_read(&space, GPA(0x2ff8), back, 10), HV_ERR_RANGE);
    assert_string_equal(back, "unchanged");
    assert_int_equal(gpa_space_zero(&space, GPA(0x0), UINT64_MAX), HV_ERR_RANGE);
    assert_int_equal(gpa_space_read(&space, GPA(UINT64_MAX), back, 2), HV_ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_are_sorted),
        cmocka_unit_test(test_add_refuses),
        cmocka_unit_test(test_find_and_pointer),
        cmocka_unit_test(test_copies_cross_slots),
        cmocka_unit_test(test_failed_copies_copy_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
