// SRCS: arch/x86/vmx/check_masks.c
/*
 * The bits of MSRs that the entry checks allow: from the SDM's "Architectural MSRs" and "CPUID".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "x86/insn.h"
#include "x86/vmx_check.h"

static uint32_t highest, features_highest, ebx, ecx, edx, spec_edx, extended_edx;
static struct cpuid_regs pmu;

static struct cpuid_regs table(uint32_t leaf, uint32_t subleaf)
{
    switch (leaf) {
    case 0:
        return (struct cpuid_regs){ highest, 0, 0, 0 };
    case 7:
        assert_true(highest >= 7 && subleaf <= features_highest);
        return subleaf == 0 ? (struct cpuid_regs){ features_highest, ebx, ecx, edx }
                            : (struct cpuid_regs){ 0, 0, 0, subleaf == 2 ? spec_edx : UINT32_MAX };
    case 0xa:
        assert_true(highest >= 0xa);
        return pmu;
    case 0x80000000:
        return (struct cpuid_regs){ 0x80000008, 0, 0, 0 };
    case 0x80000001:
        return (struct cpuid_regs){ 0, 0, UINT32_MAX, extended_edx };
    default:
        fail_msg("leaf %x", leaf);
        return pmu;
    }
}

static struct vmx_check_input masks(void)
{
    struct vmx_check_input input = { .in_smm = true };
    vmx_check_masks(&input, table);
    assert_true(input.in_smm);
    assert_int_equal(input.rtit_ctl_valid, 0);
    assert_int_equal(input.lbr_ctl_valid, 0);
    return input;
}

static int clear(void **state)
{
    (void)state;
    highest = 0x20;
    features_highest = ebx = ecx = edx = spec_edx = extended_edx = 0;
    pmu = (struct cpuid_regs){ 0, 0, 0, 0 };
    return 0;
}

static void efer(void **state)
{
    (void)state;
    assert_int_equal(masks().efer_valid, 0);
    extended_edx = 1u << 11;
    assert_int_equal(masks().efer_valid, 0x001);
    extended_edx = 1u << 29;
    assert_int_equal(masks().efer_valid, 0x500);
    extended_edx = 1u << 20;
    assert_int_equal(masks().efer_valid, 0x800);
}

static void debugctl(void **state)
{
    (void)state;
    assert_int_equal(masks().debugctl_valid, 0x7fc3);
    ecx = 1u << 24;
    assert_int_equal(masks().debugctl_valid, 0x7fc7);
    ebx = 1u << 11;
    assert_int_equal(masks().debugctl_valid, 0xffc7);
    highest = 6;
    assert_int_equal(masks().debugctl_valid, 0x7fc3);
}

static void perf_global(void **state)
{
    (void)state;
    assert_int_equal(masks().perf_global_valid, 0);
    pmu = (struct cpuid_regs){ 0x07300404, 0, 0, 3 };
    assert_int_equal(masks().perf_global_valid, 0x100070000000full);
    pmu = (struct cpuid_regs){ 0x07304005, 0, 0x8, 0 };
    assert_int_equal(masks().perf_global_valid, UINT64_MAX);
    highest = 9;
    assert_int_equal(masks().perf_global_valid, 0);
}

static void spec_ctrl(void **state)
{
    (void)state;
    assert_int_equal(masks().spec_ctrl_valid, 0);
    edx = 1u << 26;
    assert_int_equal(masks().spec_ctrl_valid, 1);
    edx = 1u << 27;
    assert_int_equal(masks().spec_ctrl_valid, 2);
    edx = 1u << 31;
    assert_int_equal(masks().spec_ctrl_valid, 4);
    features_highest = 2;
    spec_edx = UINT32_MAX;
    edx = 0;
    assert_int_equal(masks().spec_ctrl_valid, 0x5f8);
    const struct { uint32_t bit, bits; } rows[] = {
        { 0, 0x80 }, { 1, 0x18 }, { 2, 0x60 }, { 3, 0x100 }, { 4, 0x400 }, { 5, 0 },
    };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(rows); i++) {
        spec_edx = 1u << rows[i].bit;
        assert_int_equal(masks().spec_ctrl_valid, rows[i].bits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(efer, clear),
        cmocka_unit_test_setup(debugctl, clear),
        cmocka_unit_test_setup(perf_global, clear),
        cmocka_unit_test_setup(spec_ctrl, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
