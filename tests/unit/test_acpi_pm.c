// SRCS: vmm/devices/acpi_pm.c
/*
 * ACPI fixed hardware against the ACPI specification's "ACPI Hardware Specification".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake.h"
#include "fields.h"
#include "hv/dev_acpi_pm.h"

static struct acpi_pm pm;
static struct fake_clock clock_;
static struct fake_lines lines;
static unsigned requests;
static enum vm_request last_request;

static void request(void *context, enum vm_request what, unsigned status)
{
    (void)context;
    assert_int_equal(status, 0);
    requests++;
    last_request = what;
}

static const struct vm_control control = { request, NULL };

static int setup(void **state)
{
    (void)state;
    struct irq_line sci = fake_line(&lines, 9);
    memset(&lines, 0, sizeof(lines));
    requests = 0;
    fake_clock_init(&clock_);
    acpi_pm_init(&pm, &clock_.clock, &sci, &control);
    return 0;
}

static uint64_t in(uint64_t offset, unsigned size)
{
    return fake_access(&pm.device, 0, BUS_PORT, offset, size, false, 0, NULL);
}

static void out(uint64_t offset, unsigned size, uint64_t value)
{
    fake_access(&pm.device, 0, BUS_PORT, offset, size, true, value, NULL);
}

static void test_power_up(void **state)
{
    (void)state;
    assert_int_equal(in(0, 2), 0);
    assert_int_equal(in(2, 2), 0);
    assert_int_equal(in(4, 2), 1); /* SCI_EN */
    assert_int_equal(in(0x20, 4), 0);
    assert_false(lines.level[9]);
}

static void test_pm_timer_rate(void **state)
{
    (void)state;
    assert_int_equal(in(8, 4), 0);
    fake_clock_advance(&clock_, HV_NS_PER_SECOND);
    assert_int_equal(in(8, 4), 3579545);
    assert_int_equal(in(8, 2), 3579545 & 0xFFFF);
    assert_int_equal(in(8, 1), 3579545 & 0xFF);
    assert_int_equal(in(9, 1), 3579545 >> 8 & 0xFF);
    assert_int_equal(in(10, 2), 3579545 >> 16);
    out(8, 4, 0); /* read-only */
    assert_int_equal(in(8, 4), 3579545);
    fake_clock_advance(&clock_, 100000 * HV_NS_PER_SECOND); /* wraps at 32 bits */
    assert_int_equal(in(8, 4), (uint32_t)(UINT64_C(3579545) * 100001));
}

static void test_timer_status_and_sci(void **state)
{
    (void)state;
    const uint64_t half = (UINT64_C(1) << 31) * HV_NS_PER_SECOND / 3579545;
    assert_false(pm.overflow.armed); /* costs nothing while nobody asks */
    fake_clock_advance(&clock_, half - 1000);
    assert_int_equal(in(0, 2) & 1, 0);
    fake_clock_advance(&clock_, 2000);
    assert_int_equal(in(0, 2) & 1, 1);
    out(0, 2, 1);
    assert_int_equal(in(0, 2) & 1, 0);
    out(2, 2, 1);
    assert_true(pm.overflow.armed);
    fake_clock_advance(&clock_, half - 4000);
    assert_false(lines.level[9]);
    fake_clock_advance(&clock_, 4000);
    assert_true(lines.level[9]); /* bit 31 has changed back */
    assert_false(pm.overflow.armed);
    out(0, 2, 1);
    assert_false(lines.level[9]);
    assert_true(pm.overflow.armed);
    out(2, 2, 0);
    assert_false(pm.overflow.armed);
}

static void test_power_button(void **state)
{
    (void)state;
    acpi_pm_press_power_button(&pm);
    assert_int_equal(in(0, 2), 0x100);
    assert_false(lines.level[9]);
    out(2, 2, 0x100);
    assert_true(lines.level[9]);
    out(0, 2, 0xFEFF); /* zeros leave it */
    assert_int_equal(in(0, 2), 0x100);
    out(1, 1, 0x01); /* a byte access to the high half */
    assert_int_equal(in(0, 2), 0);
    assert_false(lines.level[9]);
}

static void test_enable_bits(void **state)
{
    (void)state;
    out(2, 2, 0xFFFF);
    assert_int_equal(in(2, 2), 0x521);
    out(2, 1, 0);
    assert_int_equal(in(2, 2), 0x500);
    out(3, 1, 0);
    assert_int_equal(in(2, 2), 0);
    out(0, 4, 0x01000000); /* status and enable in one */
    assert_int_equal(in(2, 2), 0x100);
    assert_int_equal(in(0, 4), 0x01000000);
}

static void test_soft_off(void **state)
{
    (void)state;
    out(4, 2, 5 << 10);
    assert_int_equal(requests, 0);
    assert_int_equal(in(4, 2), 5 << 10 | 1);
    out(4, 2, 5 << 10 | 1 << 13);
    assert_int_equal(requests, 1);
    assert_int_equal(last_request, VM_REQUEST_POWER_OFF);
    assert_int_equal(in(4, 2), 5 << 10 | 1); /* SLP_EN reads 0 */
    for (unsigned type = 0; type < 8; type++) {
        if (type != 5)
            out(4, 2, type << 10 | 1 << 13);
    }
    assert_int_equal(requests, 1);
    out(4, 2, 0);
    assert_int_equal(in(4, 2), 1); /* SCI_EN stays */
    out(5, 1, 0x34); /* as two bytes: SLP_TYP and SLP_EN are in the high one */
    assert_int_equal(requests, 2);
    out(4, 1, 0xFF);
    assert_int_equal(in(4, 2), 5 << 10 | 3);
    assert_int_equal(requests, 2);
}

static void test_gpe(void **state)
{
    (void)state;
    acpi_pm_raise_gpe(&pm, 16); /* there is no such event */
    assert_int_equal(in(0x20, 2), 0);
    acpi_pm_raise_gpe(&pm, 9);
    assert_int_equal(in(0x21, 1), 2);
    assert_false(lines.level[9]);
    out(0x23, 1, 2);
    assert_true(lines.level[9]);
    assert_int_equal(in(0x22, 2), 0x200);
    out(0x21, 1, 2);
    assert_false(lines.level[9]);
    assert_int_equal(in(0x20, 4), 0x02000000);
}

static void test_unclaimed(void **state)
{
    (void)state;
    enum bus_answer answer;
    assert_int_equal(fake_access(&pm.device, 0, BUS_PORT, 6, 2, false, 0, &answer), 0xFFFF);
    assert_int_equal(answer, BUS_UNCLAIMED);
    fake_access(&pm.device, 0, BUS_PORT, 0x0C, 4, true, 0, &answer);
    assert_int_equal(answer, BUS_UNCLAIMED);
    assert_int_equal(in(4, 4), 0xFFFF0001);
    assert_int_equal(in(7, 4), 0x000000FF); /* reaches into the timer */
}

static void test_reset_check_load(void **state)
{
    (void)state;
    bool (*check)(const void *) = pm.device.ops->check;
    struct acpi_pm_state good, bad;
    out(2, 2, 0x101);
    out(4, 2, 5 << 10);
    acpi_pm_press_power_button(&pm);
    good = pm.state;
    assert_true(check(&good));
    bad = good, bad.pm1_status = 2;
    assert_false(check(&bad));
    bad = good, bad.pm1_enable = 2;
    assert_false(check(&bad));
    bad = good, bad.pm1_control = 0;
    assert_false(check(&bad));
    pm.device.ops->reset(&pm.device);
    assert_false(lines.level[9]);
    assert_int_equal(in(4, 2), 1);
    pm.state = good;
    pm.device.ops->loaded(&pm.device);
    assert_true(lines.level[9]);
    assert_true(pm.overflow.armed);
}

static void test_fields_cover_the_state(void **state)
{
    (void)state;
    assert_true(fake_fields_cover(pm.device.ops));
}

#define T(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(power_up), T(pm_timer_rate), T(timer_status_and_sci), T(power_button), T(enable_bits),
        T(soft_off), T(gpe), T(unclaimed), T(reset_check_load),
        T(fields_cover_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
