/*
 * ACPI's sleep control and status registers. See the header.
 *
 * Nothing wakes from S5, so WAK_STS is never set and clearing it has no effect.
 * Lock: the bus lock.
 */
#include "hv/dev_acpi_sleep.h"

#include "hv/dev_acpi_pm.h"
#include "hv/string.h"
#include "isa.h"

/* SLP_EN is write-only and reads as 0. */
static int sleep_read8(struct device *device, unsigned tag, uint64_t offset)
{
    const struct acpi_sleep *sleep = (struct acpi_sleep *)device;

    (void)tag;
    if (offset >= ACPI_SLEEP_REGION_BYTES)
        return BUS_READ_UNCLAIMED;
    return offset == ACPI_SLEEP_CONTROL ? sleep->state.control : 0;
}

static enum bus_answer sleep_write8(struct device *device, unsigned tag, uint64_t offset,
                                    uint8_t value)
{
    struct acpi_sleep *sleep = (struct acpi_sleep *)device;
    uint8_t type = value >> ACPI_SLEEP_TYPE_SHIFT & ACPI_SLEEP_TYPE_MASK;

    (void)tag;
    if (offset >= ACPI_SLEEP_REGION_BYTES)
        return BUS_UNCLAIMED;
    if (offset == ACPI_SLEEP_STATUS)
        return BUS_DONE;
    sleep->state.control = (uint8_t)(type << ACPI_SLEEP_TYPE_SHIFT);
    if ((value & ACPI_SLEEP_ENABLE) && type == ACPI_SLP_TYP_S5)
        vm_control_request(sleep->control, VM_REQUEST_POWER_OFF, 0);
    return BUS_DONE;
}

static void sleep_reset(struct device *device)
{
    memset(&((struct acpi_sleep *)device)->state, 0, sizeof(struct acpi_sleep_state));
}

static bool sleep_check(const void *loaded)
{
    const struct acpi_sleep_state *state = loaded;

    return !(state->control & ~(ACPI_SLEEP_TYPE_MASK << ACPI_SLEEP_TYPE_SHIFT));
}

static const struct device_field sleep_fields[] = {
    DEVICE_FIELD(struct acpi_sleep_state, control),
    DEVICE_FIELD_END,
};

static const struct device_ops sleep_ops = {
    .name = "acpi_sleep",
    .version = 1,
    .state_offset = offsetof(struct acpi_sleep, state),
    .state_bytes = sizeof(struct acpi_sleep_state),
    .reset = sleep_reset,
    .access = isa_split_access,
    .read8 = sleep_read8,
    .write8 = sleep_write8,
    .fields = sleep_fields,
    .check = sleep_check,
};

void acpi_sleep_init(struct acpi_sleep *sleep, const struct vm_control *control)
{
    memset(sleep, 0, sizeof(*sleep));
    sleep->device.ops = &sleep_ops;
    sleep->control = control;
}
