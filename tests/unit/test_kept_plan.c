// SRCS: arch/x86/cpu/kept_plan.c
/* SDM volume 3 "TSS Descriptor in 64-bit mode", "Segment Selectors", "APIC Timer". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "x86/kept.h"
#include "x86/msr.h"
#include "x86/regs.h"

#define TSS_AVAILABLE UINT64_C(0x0000890000000067)
#define TSS_BUSY UINT64_C(0x00008b0000000067)
#define LDT_DESCRIPTOR UINT64_C(0x0000820000000067)
#define CODE UINT64_C(0x00af9b000000ffff)

static void expect_none(struct kept_task task)
{
    assert_int_equal(task.selector, KEPT_TASK_SELECTOR);
    assert_int_equal(task.descriptor.low, TSS_AVAILABLE);
    assert_int_equal(task.descriptor.high, 0);
}

static void test_a_busy_tss_is_loaded_again_from_a_copy_that_is_not(void **state)
{
    const uint64_t gdt[6] = { 0, CODE, 0, TSS_BUSY | UINT64_C(0x123456) << 16, 0x99, 0 };
    struct kept_task task = kept_task_plan(0x18, gdt, sizeof(gdt));
    (void)state;
    assert_int_equal(task.selector, 0x18);
    assert_int_equal(task.descriptor.low, TSS_AVAILABLE | UINT64_C(0x123456) << 16);
    assert_int_equal(task.descriptor.high, 0x99);
    assert_int_equal(kept_task_plan(0x1b, gdt, sizeof(gdt)).selector, 0x1b); /* with an RPL */
}

static void test_no_task_register_is_a_selector_outside_of_firmwares_table(void **state)
{
    const uint64_t gdt[6] = { 0, CODE, 0, TSS_BUSY, 0, 0 };
    (void)state;
    expect_none(kept_task_plan(0, gdt, sizeof(gdt)));
    expect_none(kept_task_plan(3, gdt, sizeof(gdt)));
    /* What an earlier run has left. */
    expect_none(kept_task_plan(KEPT_TASK_SELECTOR, gdt, sizeof(gdt)));
    expect_none(kept_task_plan(0x18 | 4, gdt, sizeof(gdt))); /* in an LDT: there is no such TR */
}

static void test_a_descriptor_must_lie_whole_in_the_table(void **state)
{
    const uint64_t gdt[4] = { 0, CODE, TSS_BUSY, 0 };
    (void)state;
    assert_int_equal(kept_task_plan(0x10, gdt, 32).selector, 0x10);
    expect_none(kept_task_plan(0x10, gdt, 31));
    expect_none(kept_task_plan(0x18, gdt, 32));
    expect_none(kept_task_plan(0x10, gdt, 1));
}

static void test_what_is_no_tss_is_not_loaded(void **state)
{
    const uint64_t gdt[8] = { 0, CODE, LDT_DESCRIPTOR, 0, TSS_BUSY & ~(UINT64_C(1) << 47), 0, 0, 0 };
    (void)state;
    expect_none(kept_task_plan(0x08, gdt, sizeof(gdt)));
    expect_none(kept_task_plan(0x10, gdt, sizeof(gdt)));
    expect_none(kept_task_plan(0x20, gdt, sizeof(gdt))); /* not present */
    expect_none(kept_task_plan(0x30, gdt, sizeof(gdt)));
}

static void test_ldt(void **state)
{
    (void)state;
    assert_false(kept_ldt_fits(0, 64));
    assert_true(kept_ldt_fits(0x10, 64));
    assert_true(kept_ldt_fits(0x30, 64));
    assert_false(kept_ldt_fits(0x38, 64));
    assert_false(kept_ldt_fits(0x14, 64));
}

static void test_the_timer_goes_on(void **state)
{
    struct kept_apic apic = { .initial = 1000, .current = 300 };
    (void)state;
    apic.timer = 0x20;
    assert_int_equal(kept_apic_count(&apic), 300);
    apic.current = 0; /* it had run out: not once more */
    assert_int_equal(kept_apic_count(&apic), 0);
    apic.current = 300;
    apic.timer = 1u << 17 | 0x20;
    assert_int_equal(kept_apic_count(&apic), 1000);
    apic.timer = 2u << 17 | 0x20;
    assert_int_equal(kept_apic_count(&apic), 0);
}

static void test_firmware_that_can_not_be_kept(void **state)
{
    const uint64_t on = APIC_BASE_EN | UINT64_C(0xfee00000);
    (void)state;
    assert_null(kept_refusal(on, CR4_PAE));
    assert_null(kept_refusal(on | APIC_BASE_EXTD | APIC_BASE_BSP, CR4_PAE | CR4_LA57));
    assert_non_null(kept_refusal(on & ~APIC_BASE_EN, CR4_PAE));
    assert_non_null(kept_refusal(on, CR4_PAE | CR4_CET));
    assert_non_null(kept_refusal(on, CR4_PAE | CR4_VMXE));
}

static void test_every_register_is_compared(void **state)
{
    static struct kept_core before, after;
    unsigned found = 0;
    (void)state;
    assert_null(kept_difference(&before, &after));
    for (size_t i = 0; i < sizeof(after); i++) {
        ((uint8_t *)&after)[i] = 1;
        found += kept_difference(&before, &after) != NULL;
        ((uint8_t *)&after)[i] = 0;
    }
    /* What is not: rsp, padding, reserved bytes of the x87 area, and four words of the APIC's. */
    assert_in_range(found, 416 + 30 * 8, sizeof(after) - 96 - 8 - 4 * 4);
    after.cr4 = 1;
    assert_string_equal(kept_difference(&before, &after), "CR4");
    after = before;
    after.rsp = after.apic.deadline = after.apic.current = 1;
    assert_null(kept_difference(&before, &after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_busy_tss_is_loaded_again_from_a_copy_that_is_not),
        cmocka_unit_test(test_no_task_register_is_a_selector_outside_of_firmwares_table),
        cmocka_unit_test(test_a_descriptor_must_lie_whole_in_the_table),
        cmocka_unit_test(test_what_is_no_tss_is_not_loaded),
        cmocka_unit_test(test_ldt),
        cmocka_unit_test(test_the_timer_goes_on),
        cmocka_unit_test(test_firmware_that_can_not_be_kept),
        cmocka_unit_test(test_every_register_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
