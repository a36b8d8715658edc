// SRCS: arch/x86/cpu/apic_mode.c
/* SDM volume 3 "x2APIC State Transitions": disabled (EN=0, EXTD=0), xAPIC (1, 0), x2APIC (1, 1); from
 * disabled to x2APIC, and from x2APIC to xAPIC, there is no direct way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "x86/apic_mode.h"

#define PAGE UINT64_C(0xfee00000)
#define EN UINT64_C(0x800)
#define EXTD UINT64_C(0x400)

static uint64_t writes[2];
static unsigned count;

static void test_the_choice(void **state)
{
    (void)state;
    assert_true(apic_mode_is_x2apic(true, PAGE | EN, false, 7));
    assert_false(apic_mode_is_x2apic(false, PAGE | EN, false, 7));
    /* Firmware's wish is followed, */
    assert_false(apic_mode_is_x2apic(true, PAGE | EN, true, 0xfe));
    /* but not where the mode is on (and may be locked), or a core would not be reached. */
    assert_true(apic_mode_is_x2apic(true, PAGE | EN | EXTD, true, 7));
    assert_true(apic_mode_is_x2apic(true, PAGE | EN, true, 0xff));
    assert_true(apic_mode_is_x2apic(true, PAGE | EN, true, 0x200));
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    assert_int_equal(apic_mode_plan(PAGE | EN, false, false, writes, &count), HV_OK);
    assert_int_equal(count, 0);
    assert_int_equal(apic_mode_plan(PAGE | EN | EXTD, true, false, writes, &count), HV_OK);
    assert_int_equal(count, 0);
    assert_int_equal(apic_mode_plan(PAGE | EN | EXTD, true, true, writes, &count), HV_OK);
    assert_int_equal(count, 0);
}

static void test_the_ways_up(void **state)
{
    (void)state;
    assert_int_equal(apic_mode_plan(PAGE | EN, true, false, writes, &count), HV_OK);
    assert_int_equal(count, 1);
    assert_int_equal(writes[0], PAGE | EN | EXTD);
    assert_int_equal(apic_mode_plan(PAGE, true, false, writes, &count), HV_OK);
    assert_int_equal(count, 2);
    assert_int_equal(writes[0], PAGE | EN);
    assert_int_equal(writes[1], PAGE | EN | EXTD);
    assert_int_equal(apic_mode_plan(PAGE, false, false, writes, &count), HV_OK);
    assert_int_equal(count, 1);
    assert_int_equal(writes[0], PAGE | EN);
}

/* A core whose mode is locked at x2APIC beside a boot core in xAPIC mode. */
static void test_no_way_down(void **state)
{
    (void)state;
    assert_int_equal(apic_mode_plan(PAGE | EN | EXTD, false, false, writes, &count),
                     HV_ERR_UNSUPPORTED);
}

static void test_firmware_wants_it_back(void **state)
{
    (void)state;
    assert_int_equal(apic_mode_plan(PAGE | EN, true, true, writes, &count), HV_ERR_UNSUPPORTED);
    assert_int_equal(apic_mode_plan(PAGE, false, true, writes, &count), HV_ERR_UNSUPPORTED);
    assert_int_equal(apic_mode_plan(PAGE | EN, false, true, writes, &count), HV_OK);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_choice),
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_the_ways_up),
        cmocka_unit_test(test_no_way_down),
        cmocka_unit_test(test_firmware_wants_it_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
