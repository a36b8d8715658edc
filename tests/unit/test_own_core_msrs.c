// SRCS: arch/x86/vmx/own_core_msrs.c
/*
 * Which registers of a lent local APIC pass. Written from SDM volume 3, table "Local APIC Register
 * Address Map Supported by x2APIC", and from what docs/interrupts.md promises.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "x86/own_core.h"

/* MSR numbers as the SDM's table has them. */
static void nothing_that_leaves_the_core_passes(void **state)
{
    (void)state;
    /* ICR, SVR, LVT CMCI, thermal, performance, LINT0, LINT1, ID, version, LDR, IA32_APIC_BASE. */
    const uint32_t kept[] = { 0x830, 0x80F, 0x82F, 0x833, 0x834, 0x835, 0x836, 0x802, 0x803, 0x80D,
                              0x01B };

    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        assert_false(own_core_msr_passes(kept[i], false));
        assert_false(own_core_msr_passes(kept[i], true));
    }
}

static void what_is_hot_passes(void **state)
{
    (void)state;
    const uint32_t written[] = { 0x808, 0x80B, 0x83F, 0x6E0, 0x832, 0x838 };

    for (unsigned i = 0; i < sizeof(written) / sizeof(written[0]); i++)
        assert_true(own_core_msr_passes(written[i], true));
    for (uint32_t msr = 0x810; msr <= 0x827; msr++) {
        assert_true(own_core_msr_passes(msr, false));
        assert_false(own_core_msr_passes(msr, true));
    }
}

/* Directions as the table has them: EOI and SELF IPI are write-only, PPR and the current count are
 * read-only. */
static void directions_are_the_registers_own(void **state)
{
    (void)state;
    assert_false(own_core_msr_passes(0x80B, false));
    assert_false(own_core_msr_passes(0x83F, false));
    assert_false(own_core_msr_passes(0x80A, true));
    assert_true(own_core_msr_passes(0x80A, false));
    assert_false(own_core_msr_passes(0x839, true));
    assert_true(own_core_msr_passes(0x839, false));
    assert_true(own_core_msr_passes(0x6E0, false));
}

/* Reserved registers are answered by software, with #GP: the core may know more than the guest. */
static void only_named_registers_pass(void **state)
{
    (void)state;
    const uint32_t named[] = { 0x808, 0x80A, 0x80B, 0x828, 0x832, 0x837, 0x838, 0x839, 0x83E,
                               0x83F };

    for (uint32_t msr = 0; msr < 0x2000; msr++) {
        unsigned found = msr == 0x6E0 || (msr >= 0x810 && msr <= 0x827);
        for (unsigned i = 0; i < sizeof(named) / sizeof(named[0]); i++)
            found |= msr == named[i];
        if (found)
            continue;
        assert_false(own_core_msr_passes(msr, false));
        assert_false(own_core_msr_passes(msr, true));
    }
    assert_false(own_core_msr_passes(0xC0000808, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_leaves_the_core_passes),
        cmocka_unit_test(what_is_hot_passes),
        cmocka_unit_test(directions_are_the_registers_own),
        cmocka_unit_test(only_named_registers_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
