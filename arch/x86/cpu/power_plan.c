/*
 * Switching off and starting over: every known way, in turn, as a list of writes.
 *
 * Not here: doing it (power.c). AML methods (_PTS) are not run: there is no interpreter. Pure; no
 * lock.
 * ACPI specification "Sleeping States", "PM1 Event Grouping", "PM1 Control Registers", "Sleep Control and Status
 * Registers", "Reset Register"; PIIX3 and ICH data sheets "Reset Control Register", ICH9 data sheet
 * "Power Management 1 Control Register"; 8042 "Pulse Output Port".
 */
#include "x86/power_plan.h"

#define SLEEP_CONTROL_SLP_TYP_SHIFT 2
#define SLEEP_CONTROL_SLP_EN (1u << 5)
#define PM1_SLP_EN (1u << 13)
#define PM1_EVENTS 0xc731u /* timer, bus master, global, buttons, clock, PCIe wake, wake */
#define INTEL_S5_TYPE 7 /* ICH, PCH and what followed: SLP_TYP 111 is soft off */
#define PORT_8042 0x64
#define PORT_RESET_CONTROL 0xcf9
#define PORT_PCI_ADDRESS 0xcf8
#define PORT_PCI_DATA 0xcfc

struct plan {
    struct power_step *steps;
    unsigned count;
};

static struct acpi_register port(uint16_t number, uint8_t size_bytes)
{
    return (struct acpi_register){ ACPI_SPACE_PORT, size_bytes, number };
}

static void add(struct plan *plan, enum power_action action, struct acpi_register at,
                uint32_t value)
{
    if (plan->count < POWER_MOST_STEPS)
        plan->steps[plan->count++] = (struct power_step){ action, at, value };
}

static void add_wait(struct plan *plan)
{
    add(plan, POWER_WAIT, port(0, 1), 0);
}

/* What is pending from before would wake the machine at once. */
static void add_clear(struct plan *plan, struct acpi_register status)
{
    if (status.address)
        add(plan, POWER_WRITE, status, PM1_EVENTS);
}

static void add_sleep(struct plan *plan, const struct acpi_host *acpi, uint8_t type_a,
                      uint8_t type_b)
{
    add(plan, POWER_ACPI_MODE, acpi->pm1a_control, acpi->acpi_enable);
    add_clear(plan, acpi->pm1a_status);
    add_clear(plan, acpi->pm1b_status);
    if (acpi->pm1b_control.address)
        add(plan, POWER_SLEEP, acpi->pm1b_control, type_b);
    add(plan, POWER_SLEEP, acpi->pm1a_control, type_a);
    add_wait(plan);
}

static void add_acpi(struct plan *plan, const struct acpi_host *acpi, bool emulated)
{
    if (acpi->s5 && acpi->hardware_reduced && acpi->sleep_control.address) {
        add(plan, POWER_WRITE, acpi->sleep_control,
            (uint32_t)acpi->s5_type_a << SLEEP_CONTROL_SLP_TYP_SHIFT | SLEEP_CONTROL_SLP_EN);
        add_wait(plan);
    }
    if (acpi->pm1a_control.address == 0)
        return;
    if (acpi->s5)
        add_sleep(plan, acpi, acpi->s5_type_a, acpi->s5_type_b);
    else if (!emulated) /* emulated chipsets have other types, and tables that tell them */
        add_sleep(plan, acpi, INTEL_S5_TYPE, INTEL_S5_TYPE);
}

/* PIIX4 as Bochs and QEMU's i440fx place it, ICH9, Bochs' own. A real machine has tables; at these
 * ports it may have anything. */
static void add_emulators(struct plan *plan)
{
    static const char word[] = "Shutdown";

    add(plan, POWER_WRITE, port(0xb004, 2), PM1_SLP_EN);
    add(plan, POWER_WRITE, port(0x604, 2), PM1_SLP_EN);
    for (unsigned i = 0; i < sizeof(word) - 1; i++)
        add(plan, POWER_WRITE, port(0x8900, 1), (uint8_t)word[i]);
    add_wait(plan);
}

unsigned power_off_plan(const struct acpi_host *acpi, bool emulated,
                        struct power_step out[POWER_MOST_STEPS])
{
    struct plan plan = { out, 0 };

    if (acpi->present)
        add_acpi(&plan, acpi, emulated);
    if (!acpi->present || emulated)
        add_emulators(&plan);
    return plan.count;
}

static void add_reset_register(struct plan *plan, const struct acpi_host *acpi)
{
    struct acpi_register at = acpi->reset;

    if (at.space == ACPI_SPACE_PCI) {
        add(plan, POWER_WRITE, port(PORT_PCI_ADDRESS, 4), (uint32_t)at.address & ~3u);
        at = port((uint16_t)(PORT_PCI_DATA + (at.address & 3)), 1);
    }
    add(plan, POWER_WRITE, at, acpi->reset_value);
    add_wait(plan);
}

unsigned power_reset_plan(const struct acpi_host *acpi, struct power_step out[POWER_MOST_STEPS])
{
    struct plan plan = { out, 0 };

    if (acpi->reset.address)
        add_reset_register(&plan, acpi);
    add(&plan, POWER_WRITE, port(PORT_RESET_CONTROL, 1), 0x02); /* hard, on the change of bit 2 */
    add(&plan, POWER_WRITE, port(PORT_RESET_CONTROL, 1), 0x06);
    add_wait(&plan);
    if (acpi->has_8042) {
        add(&plan, POWER_8042_READY, port(PORT_8042, 1), 0);
        add(&plan, POWER_WRITE, port(PORT_8042, 1), 0xfe);
        add_wait(&plan);
    }
    return plan.count;
}
