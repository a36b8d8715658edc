// SRCS: arch/x86/cpu/tsc_math.c arch/x86/cpu/feature_control_judge.c arch/x86/cpu/msr_names.c
/*
 * Arithmetic of the TSC's calibration, against hand-computed values; the judgement on
 * IA32_FEATURE_CONTROL; names of MSRs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "x86/feature_control.h"
#include "x86/msr.h"
#include "x86/tsc.h"

static void test_rate(void **state)
{
    (void)state;
    /* 3 GHz for 20 ms of the PM timer: 71590.9 ticks, here 71591. */
    assert_int_equal(tsc_rate_hz(60000000, 71591, 3579545), 2999995809);
    assert_int_equal(tsc_rate_hz(60000000, 0, 3579545), 0);
    /* 10 MHz HPET: 100 ns = 100000000 fs; 200000 ticks are 20 ms. */
    assert_int_equal(tsc_rate_from_period(60000000, 200000, 100000000), 3000000000);
    assert_int_equal(tsc_rate_from_period(60000000, 0, 100000000), 0);
    assert_int_equal(tsc_rate_from_period(60000000, 200000, 0), 0);
    assert_int_equal(tsc_rate_from_period(1, UINT64_MAX, 100000000), 0); /* overflow */
}

static void test_median(void **state)
{
    (void)state;
    static const uint64_t orders[6][3] = { { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 },
                                           { 2, 3, 1 }, { 3, 1, 2 }, { 3, 2, 1 } };
    for (int i = 0; i < 6; i++)
        assert_int_equal(tsc_median3(orders[i][0], orders[i][1], orders[i][2]), 2);
    assert_int_equal(tsc_median3(7, 7, 1), 7);
    assert_int_equal(tsc_median3(1, 7, 1), 1);
}

static void test_deviation(void **state)
{
    (void)state;
    assert_int_equal(tsc_deviation_ppm(1000100, 1000000), 100);
    assert_int_equal(tsc_deviation_ppm(999900, 1000000), -100);
    assert_int_equal(tsc_deviation_ppm(5, 5), 0);
    assert_int_equal(tsc_deviation_ppm(5, 0), 0);
    assert_int_equal(tsc_deviation_ppm(0, 5), -1000000);
    /* Bochs: 100 MHz measured, 3.5 GHz claimed. */
    assert_int_equal(tsc_deviation_ppm(3500000000, 100000000), 34000000);
    assert_int_equal(tsc_deviation_ppm(UINT64_MAX, 1), INT32_MAX);
    assert_int_equal(tsc_deviation_ppm(900 * UINT64_C(1000000000), 1000000000), 899000000);
    assert_int_equal(tsc_deviation_ppm(2149, 1), INT32_MAX);
}

static struct tsc_choice choose(uint64_t a, uint64_t b, uint64_t c)
{
    struct tsc_measurement m[3] = { { "a", a }, { "b", b }, { "c", c } };
    return tsc_choose(m, 3);
}

static void test_choice(void **state)
{
    (void)state;
    const uint64_t ghz = 1000000000;
    struct tsc_choice c = choose(0, 0, 0);
    assert_int_equal(c.index, -1);
    assert_false(c.disputed);
    assert_int_equal(choose(0, 0, 3 * ghz).index, 2);
    assert_false(choose(0, 0, 3 * ghz).disputed);
    c = choose(3 * ghz, 3 * ghz + 1000, 3 * ghz - 1000);
    assert_int_equal(c.index, 0);
    assert_false(c.disputed);
    /* The first is outvoted. */
    c = choose(2 * ghz, 3 * ghz, 3 * ghz + ghz / 1000);
    assert_int_equal(c.index, 1);
    assert_false(c.disputed);
    /* Nobody agrees with anybody. */
    c = choose(2 * ghz, 3 * ghz, 4 * ghz);
    assert_int_equal(c.index, 0);
    assert_true(c.disputed);
    /* Just within and just beyond 1%. */
    assert_false(choose(100 * ghz / 100, 101 * ghz / 100, 0).disputed);
    assert_true(choose(1000 * ghz / 1000, 1011 * ghz / 1000, 0).disputed);
    /* Nonsense does not count, not even when it agrees. */
    c = choose(TSC_MIN_HZ - 1, TSC_MIN_HZ - 1, 3 * ghz);
    assert_int_equal(c.index, 2);
    assert_false(c.disputed);
    assert_int_equal(choose(TSC_MAX_HZ + 1, 0, TSC_MIN_HZ).index, 2);
    assert_int_equal(choose(TSC_MAX_HZ, 0, 0).index, 0);
}

static void test_without_any_clock(void **state)
{
    const uint64_t ghz = 1000000000;
    (void)state;
    assert_int_equal(tsc_choose_without_clocks(0, 0).index, -1);
    assert_int_equal(tsc_choose_without_clocks(TSC_MAX_HZ + 1, TSC_MIN_HZ - 1).index, -1);
    assert_int_equal(tsc_choose_without_clocks(3 * ghz, 0).index, 0);
    assert_int_equal(tsc_choose_without_clocks(0, 3 * ghz).index, 1);
    /* Firmware's wait is coarse, and may be longer than it was asked to be. */
    assert_int_equal(tsc_choose_without_clocks(3 * ghz, 3 * ghz + ghz / 2).index, 0);
    assert_int_equal(tsc_choose_without_clocks(3 * ghz, 3 * ghz - ghz / 2).index, 0);
    assert_false(tsc_choose_without_clocks(3 * ghz, 3 * ghz + ghz / 2).disputed);
    /* An emulator that tells the rate of another machine. */
    assert_int_equal(tsc_choose_without_clocks(3 * ghz, ghz / 10).index, 1);
    assert_true(tsc_choose_without_clocks(3 * ghz, ghz / 10).disputed);
    assert_int_equal(tsc_choose_without_clocks(ghz, 2 * ghz).index, 1);
}

static void test_cpuid(void **state)
{
    (void)state;
    struct cpuid_regs none = { 0 };
    struct cpuid_regs skylake15 = { 2, 292, 0, 0 }, skylake16 = { 3500, 4000, 100, 0 };
    struct cpuid_regs server15 = { 2, 168, 25000000, 0 };
    struct cpuid_regs alder15 = { 2, 168, 38400000, 0 };

    assert_int_equal(tsc_cpuid_hz(0x14, &server15, &skylake16), 0);
    assert_int_equal(tsc_cpuid_hz(0x15, &server15, &skylake16), 2100000000);
    assert_int_equal(tsc_cpuid_hz(0x16, &alder15, &skylake16), 3225600000);
    assert_int_equal(tsc_cpuid_hz(0x16, &skylake15, &skylake16), 3500000000);
    assert_int_equal(tsc_cpuid_hz(0x15, &skylake15, &none), 0);
    assert_int_equal(tsc_cpuid_hz(0x16, &none, &skylake16), 3500000000);
    assert_int_equal(tsc_cpuid_hz(0x16, &(struct cpuid_regs){ 2, 0, 24000000, 0 }, &none), 0);
    /* Bits 31:16 of 16H are reserved. */
    assert_int_equal(tsc_cpuid_hz(0x16, &none, &(struct cpuid_regs){ 0xffff0001, 0, 0, 0 }),
                     1000000);
}

static void test_feature_control(void **state)
{
    (void)state;
    assert_int_equal(feature_control_judge(5), FEATURE_CONTROL_FINE);
    assert_int_equal(feature_control_judge(7), FEATURE_CONTROL_FINE);
    assert_int_equal(feature_control_judge(0), FEATURE_CONTROL_TO_SET);
    assert_int_equal(feature_control_judge(4), FEATURE_CONTROL_TO_SET);
    assert_int_equal(feature_control_judge(1), FEATURE_CONTROL_LOCKED_OFF);
    assert_int_equal(feature_control_judge(3), FEATURE_CONTROL_LOCKED_OFF); /* inside SMX only */
    assert_int_equal(feature_control_wanted(0), 5);
    assert_int_equal(feature_control_wanted(0x20000), 0x20005); /* SGX launch control stays */
}

static void test_msr_names(void **state)
{
    (void)state;
    assert_string_equal(x86_msr_name(0xc0000080), "IA32_EFER");
    assert_string_equal(x86_msr_name(0x48c), "IA32_VMX_EPT_VPID_CAP");
    assert_string_equal(x86_msr_name(0x6a8), "IA32_INTERRUPT_SSP_TABLE_ADDR");
    assert_null(x86_msr_name(0x12345678));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_deviation),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_without_any_clock),
        cmocka_unit_test(test_cpuid),
        cmocka_unit_test(test_feature_control),
        cmocka_unit_test(test_msr_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
