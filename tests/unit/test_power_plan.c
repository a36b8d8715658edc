// SRCS: arch/x86/cpu/power_plan.c
/* ACPI "PM1 Control Registers", "Sleep Control and Status Registers", "Reset Register". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "x86/power_plan.h"

static struct power_step steps[POWER_MOST_STEPS];
static unsigned count;

static struct acpi_register io(uint16_t port, uint8_t size_bytes)
{
    return (struct acpi_register){ ACPI_SPACE_PORT, size_bytes, port };
}

/* The next step from `from` with this action at this address; -1: none. */
static int find(unsigned from, enum power_action action, uint64_t address)
{
    for (unsigned i = from; i < count; i++)
        if (steps[i].action == action && steps[i].at.address == address)
            return (int)i;
    return -1;
}

static struct acpi_host desktop(void)
{
    return (struct acpi_host){ .present = true, .fadt = true, .s5 = true, .s5_type_a = 5,
                               .s5_type_b = 6, .pm1a_control = io(0x1804, 2), .has_8042 = true,
                               .smi_command_port = 0xb2, .acpi_enable = 0xa0 };
}

static void test_off_by_pm1(void **state)
{
    struct acpi_host acpi = desktop();
    (void)state;
    count = power_off_plan(&acpi, false, steps);
    assert_int_equal(count, 3);
    assert_int_equal(steps[0].action, POWER_ACPI_MODE);
    assert_int_equal(steps[0].at.address, 0x1804);
    assert_int_equal(steps[1].action, POWER_SLEEP);
    assert_int_equal(steps[1].value, 5);
    assert_int_equal(steps[1].at.size_bytes, 2);
    assert_int_equal(steps[2].action, POWER_WAIT);
    /* With two blocks the second is written first: the machine may be off after PM1a. */
    acpi.pm1b_control = io(0x1904, 2);
    count = power_off_plan(&acpi, false, steps);
    assert_int_equal(find(0, POWER_SLEEP, 0x1904), 1);
    assert_int_equal(steps[1].value, 6);
    assert_int_equal(find(0, POWER_SLEEP, 0x1804), 2);
}

/* A button or a wake event that is still pending would start the machine again. */
static void test_pending_events_are_cleared_before_sleep(void **state)
{
    struct acpi_host acpi = desktop();
    (void)state;
    acpi.pm1a_status = io(0x1800, 2);
    acpi.pm1b_status = io(0x1900, 2);
    count = power_off_plan(&acpi, false, steps);
    int a = find(0, POWER_WRITE, 0x1800), b = find(0, POWER_WRITE, 0x1900);
    assert_int_equal(find(0, POWER_ACPI_MODE, 0x1804), 0); /* the events are ACPI's only from here on */
    assert_true(a > 0 && b > 0 && a < find(0, POWER_SLEEP, 0x1804) && b < find(0, POWER_SLEEP, 0x1804));
    /* Written ones clear: buttons (8, 9), clock (10), wake (15); reserved bits stay alone. */
    assert_int_equal(steps[a].value & 0x8700, 0x8700);
    assert_int_equal(steps[a].value & ~0xc731u, 0);
    assert_int_equal(steps[b].value, steps[a].value);
    assert_int_equal(steps[a].at.size_bytes, 2);
}

static void test_off_without_fixed_hardware(void **state)
{
    struct acpi_host acpi = desktop();
    (void)state;
    acpi.hardware_reduced = true;
    acpi.pm1a_control = io(0, 2);
    acpi.sleep_control = (struct acpi_register){ ACPI_SPACE_MEMORY, 1, 0xfed80000 };
    count = power_off_plan(&acpi, false, steps);
    assert_int_equal(count, 2);
    assert_int_equal(find(0, POWER_WRITE, 0xfed80000), 0);
    assert_int_equal(steps[0].value, 5 << 2 | 1 << 5);
    acpi.sleep_control.address = 0; /* neither the one nor the other */
    assert_int_equal(power_off_plan(&acpi, false, steps), 0);
    acpi.sleep_control.address = 0xfed80000;
    /* The register counts in that model only. */
    acpi.hardware_reduced = false;
    assert_int_equal(power_off_plan(&acpi, false, steps), 0);
}

static void test_off_without_s5(void **state)
{
    struct acpi_host acpi = desktop();
    (void)state;
    acpi.s5 = false;
    count = power_off_plan(&acpi, false, steps);
    assert_int_equal(find(0, POWER_SLEEP, 0x1804), 1);
    assert_int_equal(steps[1].value, 7);
    count = power_off_plan(&acpi, true, steps);
    assert_int_equal(find(0, POWER_SLEEP, 0x1804), -1);
}

/* Real machines have anything at the emulators' ports. */
static void test_emulators_ports(void **state)
{
    struct acpi_host acpi = desktop(), nothing = { .has_8042 = true };
    (void)state;
    count = power_off_plan(&acpi, false, steps);
    assert_int_equal(find(0, POWER_WRITE, 0x604), -1);
    count = power_off_plan(&acpi, true, steps);
    assert_true(find(0, POWER_WRITE, 0x604) > find(0, POWER_SLEEP, 0x1804));
    count = power_off_plan(&nothing, false, steps);
    assert_int_equal(find(0, POWER_WRITE, 0xb004), 0);
    assert_int_equal(find(0, POWER_SLEEP, 0), -1);
    assert_int_equal(steps[find(0, POWER_WRITE, 0x8900)].value, 'S');
}

static void test_all_ways_have_room(void **state)
{
    struct acpi_host acpi = desktop();
    (void)state;
    acpi.hardware_reduced = true;
    acpi.sleep_control = io(0x700, 1);
    acpi.pm1b_control = io(0x1904, 2);
    acpi.pm1a_status = io(0x1800, 2);
    acpi.pm1b_status = io(0x1900, 2);
    count = power_off_plan(&acpi, true, steps);
    assert_int_equal(steps[count - 1].action, POWER_WAIT); /* the last one was not cut off */
    assert_true(count <= POWER_MOST_STEPS);
}

static void test_reset(void **state)
{
    struct acpi_host acpi = desktop();
    (void)state;
    acpi.reset = (struct acpi_register){ ACPI_SPACE_MEMORY, 1, 0xfed00000 };
    acpi.reset_value = 0x0e;
    count = power_reset_plan(&acpi, steps);
    assert_int_equal(find(0, POWER_WRITE, 0xfed00000), 0);
    assert_int_equal(steps[0].value, 0x0e);
    int chipset = find(1, POWER_WRITE, 0xcf9);
    assert_int_equal(steps[chipset].value, 0x02);
    assert_int_equal(steps[chipset + 1].value, 0x06);
    int ready = find((unsigned)chipset, POWER_8042_READY, 0x64);
    assert_true(ready > chipset);
    assert_int_equal(find((unsigned)ready, POWER_WRITE, 0x64), ready + 1);
    assert_int_equal(steps[ready + 1].value, 0xfe);
    /* In configuration space: the address, then the byte that it names. */
    acpi.reset = (struct acpi_register){ ACPI_SPACE_PCI, 1, 0x8000fbae };
    count = power_reset_plan(&acpi, steps);
    assert_int_equal(find(0, POWER_WRITE, 0xcf8), 0);
    assert_int_equal(steps[0].at.size_bytes, 4);
    assert_int_equal(steps[0].value, UINT32_C(0x8000fbac));
    assert_int_equal(find(1, POWER_WRITE, 0xcfe), 1);
    assert_int_equal(steps[1].at.size_bytes, 1);
    assert_int_equal(steps[1].value, 0x0e);
    assert_int_equal(steps[2].action, POWER_WAIT);
    /* Without table and keyboard controller the chipset's register is left. */
    acpi = (struct acpi_host){ .has_8042 = false };
    count = power_reset_plan(&acpi, steps);
    assert_int_equal(find(0, POWER_WRITE, 0xcf9), 0);
    assert_int_equal(find(0, POWER_8042_READY, 0x64), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off_by_pm1),
        cmocka_unit_test(test_pending_events_are_cleared_before_sleep),
        cmocka_unit_test(test_off_without_fixed_hardware),
        cmocka_unit_test(test_off_without_s5),
        cmocka_unit_test(test_emulators_ports),
        cmocka_unit_test(test_all_ways_have_room),
        cmocka_unit_test(test_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
