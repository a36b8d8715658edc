// SRCS: arch/x86/vmx/leaves.c
/*
 * The courses' CPUID leaves against the assignments' tables: each cell of each layout.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "x86/leaves.h"

/* A VM with 1000 + n exits of reason n, and (n << 32 | 7) ticks; all: 123456789abcH and fedc00000001H. */
static void sum(void *context, uint32_t reason, uint64_t *exits, uint64_t *ticks)
{
    unsigned *asked = context;

    (*asked)++;
    *exits = reason == VMX_LEAVES_ALL ? 0x123456789abc : 1000 + reason;
    *ticks = reason == VMX_LEAVES_ALL ? 0xfedc00000001 : (uint64_t)reason << 32 | 7;
}

static unsigned asked;
static const struct vmx_leaves_source source = { sum, &asked };

static bool ask(enum config_leaves layout, uint32_t leaf, uint32_t ecx, struct cpuid_regs *regs)
{
    *regs = (struct cpuid_regs){ 1, 2, 3, 4 };
    return vmx_leaves_answer(layout, leaf, ecx, &source, regs);
}

static void expect(enum config_leaves layout, uint32_t leaf, uint32_t ecx, uint32_t eax,
                   uint32_t ebx, uint32_t ecx_out, uint32_t edx)
{
    struct cpuid_regs r;

    assert_true(ask(layout, leaf, ecx, &r));
    assert_int_equal(r.eax, eax);
    assert_int_equal(r.ebx, ebx);
    assert_int_equal(r.ecx, ecx_out);
    assert_int_equal(r.edx, edx);
}

static void expect_none(enum config_leaves layout, uint32_t leaf)
{
    struct cpuid_regs r;

    assert_false(ask(layout, leaf, 0, &r));
    assert_int_equal(r.eax, 1);
    assert_int_equal(r.edx, 4);
}

#define ALL_EXITS 0x56789abc, 0, 0, 0
#define ALL_TICKS 0, 0xfedc, 1, 0

static void spring_2021(void **state)
{
    (void)state;
    expect(CONFIG_LEAVES_S21, 0x4fffffff, 0, 0x56789abc, 0xfedc, 1, 0);
    expect(CONFIG_LEAVES_S21, 0x4ffffffe, 10, 1010, 0, 0, 0);
    expect_none(CONFIG_LEAVES_S21, 0x4ffffffd);
    expect_none(CONFIG_LEAVES_S21, 0x4ffffffc);
}

static void fall_2021(void **state)
{
    (void)state;
    expect(CONFIG_LEAVES_F21, 0x4fffffff, 0, ALL_EXITS);
    expect(CONFIG_LEAVES_F21, 0x4ffffffe, 0, ALL_TICKS);
    expect(CONFIG_LEAVES_F21, 0x4ffffffd, 48, 1048, 0, 0, 0);
    expect(CONFIG_LEAVES_F21, 0x4ffffffc, 48, 0, 48, 7, 0);
}

static void fall_2022(void **state)
{
    (void)state;
    expect(CONFIG_LEAVES_F22, 0x4ffffffc, 0, ALL_EXITS);
    expect(CONFIG_LEAVES_F22, 0x4ffffffd, 0, ALL_TICKS);
    expect(CONFIG_LEAVES_F22, 0x4ffffffe, 30, 1030, 0, 0, 0);
    expect(CONFIG_LEAVES_F22, 0x4fffffff, 30, 0, 30, 7, 0);
}

static void undefined_reasons(void **state)
{
    const uint32_t undefined[] = { 35, 38, 42, 70, 71, 100, 0x10000, 0x80000021, UINT32_MAX };
    const uint32_t by_reason[][2] = {
        { CONFIG_LEAVES_S21, 0x4ffffffe }, { CONFIG_LEAVES_F21, 0x4ffffffd },
        { CONFIG_LEAVES_F21, 0x4ffffffc }, { CONFIG_LEAVES_F22, 0x4ffffffe },
        { CONFIG_LEAVES_F22, 0x4fffffff },
    };

    (void)state;
    asked = 0;
    for (unsigned l = 0; l < HV_ARRAY_COUNT(by_reason); l++) {
        for (unsigned i = 0; i < HV_ARRAY_COUNT(undefined); i++)
            expect((enum config_leaves)by_reason[l][0], by_reason[l][1], undefined[i], 0, 0, 0,
                   UINT32_MAX);
    }
    assert_int_equal(asked, 0);
}

static void every_other_reason_is_defined(void **state)
{
    (void)state;
    for (uint32_t reason = 0; reason <= 69; reason++) {
        if (reason != 35 && reason != 38 && reason != 42)
            expect(CONFIG_LEAVES_F22, 0x4ffffffe, reason, 1000 + reason, 0, 0, 0);
    }
}

static void totals_ignore_ecx(void **state)
{
    const uint32_t values[] = { 35, 70, 0xdeadbeef, UINT32_MAX };

    (void)state;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(values); i++) {
        expect(CONFIG_LEAVES_S21, 0x4fffffff, values[i], 0x56789abc, 0xfedc, 1, 0);
        expect(CONFIG_LEAVES_F21, 0x4fffffff, values[i], ALL_EXITS);
        expect(CONFIG_LEAVES_F21, 0x4ffffffe, values[i], ALL_TICKS);
        expect(CONFIG_LEAVES_F22, 0x4ffffffd, values[i], ALL_TICKS);
        expect(CONFIG_LEAVES_F22, 0x4ffffffc, values[i], ALL_EXITS);
    }
}

static void other_leaves_are_none_of_ours(void **state)
{
    const uint32_t leaves[] = { 0, 1, 0x40000000, 0x4ffffffb, 0x50000000, 0x80000000, UINT32_MAX };

    (void)state;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(leaves); i++) {
        for (unsigned layout = CONFIG_LEAVES_OFF; layout <= CONFIG_LEAVES_F22; layout++)
            expect_none((enum config_leaves)layout, leaves[i]);
    }
    for (uint32_t leaf = 0x4ffffffc; leaf <= 0x4fffffff; leaf++) {
        expect_none(CONFIG_LEAVES_OFF, leaf);
        expect_none((enum config_leaves)99, leaf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spring_2021),
        cmocka_unit_test(fall_2021),
        cmocka_unit_test(fall_2022),
        cmocka_unit_test(undefined_reasons),
        cmocka_unit_test(every_other_reason_is_defined),
        cmocka_unit_test(totals_ignore_ecx),
        cmocka_unit_test(other_leaves_are_none_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
