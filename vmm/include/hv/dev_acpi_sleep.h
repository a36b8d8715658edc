/*
 * ACPI's sleep control and status registers: how a hardware-reduced machine is switched off, which
 * has no PM1 registers.
 * Source: ACPI specification, "Sleep Control and Status Registers".
 * Lock: the bus lock, for every function here.
 */
#ifndef HV_DEV_ACPI_SLEEP_H
#define HV_DEV_ACPI_SLEEP_H

#include "hv/device.h"

/* Offsets in the port region, a byte each. */
#define ACPI_SLEEP_CONTROL 0u
#define ACPI_SLEEP_STATUS 1u
#define ACPI_SLEEP_REGION_BYTES 2u

/* Control */
#define ACPI_SLEEP_TYPE_SHIFT 2
#define ACPI_SLEEP_TYPE_MASK 7u
#define ACPI_SLEEP_ENABLE (1u << 5)
/* Status */
#define ACPI_SLEEP_WAKE (1u << 7)

struct acpi_sleep_state {
    uint8_t control; /* the sleep type */
};

struct acpi_sleep {
    struct device device; /* port region, tag 0 */
    struct acpi_sleep_state state;
    const struct vm_control *control;
};

/* Of the sleeping states only S5 exists (ACPI_SLP_TYP_S5 of hv/dev_acpi_pm.h). `control` must
 * outlive the device. */
void acpi_sleep_init(struct acpi_sleep *sleep, const struct vm_control *control);

#endif
