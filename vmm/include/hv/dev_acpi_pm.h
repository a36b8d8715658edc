/*
 * ACPI power management: PM1a event and control blocks, PM timer, one general-purpose event block.
 * Source: ACPI specification, "ACPI Hardware Specification".
 *
 * The machine is always in ACPI mode: SCI_EN reads 1 and there is no SMI command port.
 * Lock: the bus lock, for every function here.
 */
#ifndef HV_DEV_ACPI_PM_H
#define HV_DEV_ACPI_PM_H

#include "hv/device.h"

#define ACPI_PM_TIMER_HZ 3579545u

/* Offsets in the port region */
#define ACPI_PM1_STATUS 0x00u
#define ACPI_PM1_ENABLE 0x02u
#define ACPI_PM1_CONTROL 0x04u
#define ACPI_PM_TIMER 0x08u
#define ACPI_PM_GPE0_STATUS 0x20u
#define ACPI_PM_GPE0_ENABLE 0x22u
#define ACPI_PM_REGION_BYTES 0x24u
#define ACPI_PM_GPE0_BYTES 2u /* bytes of status; as many of enable */

#define ACPI_PM1_TMR (1u << 0)     /* status and enable */
#define ACPI_PM1_BM_STS (1u << 4)
#define ACPI_PM1_GBL (1u << 5)     /* status and enable */
#define ACPI_PM1_PWRBTN (1u << 8)  /* status and enable */
#define ACPI_PM1_RTC (1u << 10)    /* status and enable */
#define ACPI_PM1_WAK_STS (1u << 15)
#define ACPI_PM1_SCI_EN (1u << 0)  /* control */
#define ACPI_PM1_SLP_TYP_SHIFT 10
#define ACPI_PM1_SLP_EN (1u << 13)

#define ACPI_SLP_TYP_S0 0u
#define ACPI_SLP_TYP_S5 5u

struct acpi_pm_state {
    uint16_t pm1_status;
    uint16_t pm1_enable;
    uint16_t pm1_control;
    uint16_t gpe0_status;
    uint16_t gpe0_enable;
    uint64_t timer_seen; /* ticks of the counter, up to which TMR_STS is accounted for */
};

struct acpi_pm {
    struct device device; /* port region, tag 0 */
    struct acpi_pm_state state;
    struct hv_clock *clock;
    struct hv_timer overflow; /* armed only while TMR_EN is set and TMR_STS clear */
    struct irq_line sci;
    const struct vm_control *control;
};

/* `control` must outlive the device. */
void acpi_pm_init(struct acpi_pm *pm, struct hv_clock *clock, const struct irq_line *sci,
                  const struct vm_control *control);

/* The operator presses the power button: PWRBTN_STS, and the SCI if the guest enabled it. */
void acpi_pm_press_power_button(struct acpi_pm *pm);

/* A general-purpose event, 0 to 15. */
void acpi_pm_raise_gpe(struct acpi_pm *pm, unsigned number);

#endif
