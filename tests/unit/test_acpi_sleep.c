// SRCS: vmm/devices/acpi_sleep.c
/*
 * Sleep control and status, against the ACPI specification's "Sleep Control and Status Registers".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake.h"
#include "fields.h"
#include "hv/dev_acpi_sleep.h"

static struct acpi_sleep sleep_;
static unsigned requests;

static void request(void *context, enum vm_request what, unsigned status)
{
    (void)context;
    assert_int_equal(what, VM_REQUEST_POWER_OFF);
    assert_int_equal(status, 0);
    requests++;
}

static const struct vm_control control = { request, NULL };

static int setup(void **state)
{
    (void)state;
    requests = 0;
    acpi_sleep_init(&sleep_, &control);
    return 0;
}

static uint64_t in(uint64_t offset, unsigned size)
{
    return fake_access(&sleep_.device, 0, BUS_PORT, offset, size, false, 0, NULL);
}

static void out(uint64_t offset, unsigned size, uint64_t value)
{
    fake_access(&sleep_.device, 0, BUS_PORT, offset, size, true, value, NULL);
}

static void test_soft_off(void **state)
{
    (void)state;
    assert_int_equal(in(0, 2), 0);
    out(1, 1, 0x80); /* as OSPM does first: WAK_STS, which is not set */
    assert_int_equal(in(1, 1), 0);
    out(0, 1, 5 << 2);
    assert_int_equal(requests, 0);
    assert_int_equal(in(0, 1), 5 << 2);
    out(0, 1, 5 << 2 | 1 << 5);
    assert_int_equal(requests, 1);
    assert_int_equal(in(0, 1), 5 << 2); /* SLP_EN reads as 0 */
}

static void test_other_states_do_not_exist(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 8; type++) {
        if (type != 5)
            out(0, 1, type << 2 | 1 << 5);
    }
    assert_int_equal(requests, 0);
    out(0, 1, 0xFF);
    assert_int_equal(in(0, 1), 7 << 2);
}

static void test_beyond(void **state)
{
    (void)state;
    enum bus_answer answer;
    fake_access(&sleep_.device, 0, BUS_PORT, 2, 1, false, 0, &answer);
    assert_int_equal(answer, BUS_UNCLAIMED);
    fake_access(&sleep_.device, 0, BUS_PORT, 2, 1, true, 0x34, &answer);
    assert_int_equal(answer, BUS_UNCLAIMED);
    out(0, 2, 0x8000 | 5 << 2 | 1 << 5); /* both at once */
    assert_int_equal(requests, 1);
}

static void test_check_and_reset(void **state)
{
    (void)state;
    struct acpi_sleep_state bad = { .control = 1 << 5 };
    out(0, 1, 5 << 2);
    assert_true(sleep_.device.ops->check(&sleep_.state));
    assert_false(sleep_.device.ops->check(&bad));
    sleep_.device.ops->reset(&sleep_.device);
    assert_int_equal(in(0, 1), 0);
    assert_true(fake_fields_cover(sleep_.device.ops));
}

#define T(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(soft_off), T(other_states_do_not_exist), T(beyond), T(check_and_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
