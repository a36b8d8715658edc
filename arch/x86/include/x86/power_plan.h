/*
 * What is written where to switch the machine off or to start it over. Pure; host-tested.
 */
#ifndef X86_POWER_PLAN_H
#define X86_POWER_PLAN_H

#include "x86/acpi_host.h"

#define POWER_MOST_STEPS 20

enum power_action {
    POWER_WRITE,      /* `value` */
    POWER_SLEEP,      /* PM1 control: `value` is the sleep type; first it alone, then with SLP_EN */
    POWER_ACPI_MODE,  /* SMI_CMD, until PM1 control (`at`) says SCI_EN */
    POWER_8042_READY, /* until the keyboard controller's input buffer is empty */
    POWER_WAIT,       /* as long as one way may take */
};

struct power_step {
    enum power_action action;
    struct acpi_register at;
    uint32_t value;
};

/* Switching off: ACPI's way as the FADT and \_S5 tell it; Intel's sleep type where \_S5 is not found;
 * `emulated` machines, and those without tables, by the ports that emulators have. Returns the
 * number of steps. */
unsigned power_off_plan(const struct acpi_host *acpi, bool emulated,
                        struct power_step out[POWER_MOST_STEPS]);

/* Starting over: FADT's reset register, the chipset's reset control register, the keyboard
 * controller. */
unsigned power_reset_plan(const struct acpi_host *acpi, struct power_step out[POWER_MOST_STEPS]);

#endif
