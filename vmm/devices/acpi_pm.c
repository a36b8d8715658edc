/*
 * ACPI power management: PM1a event and control blocks, PM timer, GPE block 0.
 *
 * The PM timer is 32 bits wide (FADT flag TMR_VAL_EXT) and is computed from the VM's clock when it
 * is read. Of the sleeping states only S5, soft off, exists.
 *
 * Lock: the bus lock.
 * Source: ACPI specification, "PM1 Event Registers", "PM1 Control Registers", "Power Management
 * Timer (PM_TMR)", "General-Purpose Event Register Blocks".
 */
#include "hv/dev_acpi_pm.h"
#include "hv/ratio.h"
#include "hv/string.h"
#include "isa.h"

#define PM1_STATUS_BITS                                                                            \
    (ACPI_PM1_TMR | ACPI_PM1_BM_STS | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | ACPI_PM1_RTC |              \
     ACPI_PM1_WAK_STS)
#define PM1_ENABLE_BITS (ACPI_PM1_TMR | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | ACPI_PM1_RTC)
#define PM1_CONTROL_WRITABLE (1u << 1 | 7u << ACPI_PM1_SLP_TYP_SHIFT) /* BM_RLD, SLP_TYP */

/* TMR_STS follows every change of the counter's highest bit. */
#define HALF_SHIFT 31

static uint64_t ticks_now(const struct acpi_pm *pm)
{
    static const struct hv_ratio ticks_per_ns = HV_RATIO((uint64_t)ACPI_PM_TIMER_HZ, HV_NS_PER_SECOND);

    return hv_ratio_apply(&ticks_per_ns, clock_now_ns(pm->clock));
}

static void account_timer(struct acpi_pm *pm)
{
    uint64_t ticks = ticks_now(pm);

    if (ticks >> HALF_SHIFT != pm->state.timer_seen >> HALF_SHIFT)
        pm->state.pm1_status |= ACPI_PM1_TMR;
    pm->state.timer_seen = ticks;
}

/* The clock is needed only for a guest that wants the interrupt and has not got it yet. */
static void arm_overflow(struct acpi_pm *pm)
{
    if (!(pm->state.pm1_enable & ACPI_PM1_TMR) || (pm->state.pm1_status & ACPI_PM1_TMR)) {
        timer_cancel(pm->clock, &pm->overflow);
        return;
    }
    uint64_t at = ((pm->state.timer_seen >> HALF_SHIFT) + 1) << HALF_SHIFT;
    timer_arm(pm->clock, &pm->overflow,
              hv_mul_div_u64(at, HV_NS_PER_SECOND, ACPI_PM_TIMER_HZ) + 1);
}

static void update(struct acpi_pm *pm)
{
    arm_overflow(pm);
    irq_set(&pm->sci, (pm->state.pm1_status & pm->state.pm1_enable) != 0 ||
                          (pm->state.gpe0_status & pm->state.gpe0_enable) != 0);
}

static void overflow_fired(struct hv_timer *timer, uint64_t now_ns)
{
    struct acpi_pm *pm = HV_CONTAINER_OF(timer, struct acpi_pm, overflow);

    (void)now_ns;
    account_timer(pm);
    update(pm);
}

void acpi_pm_press_power_button(struct acpi_pm *pm)
{
    pm->state.pm1_status |= ACPI_PM1_PWRBTN;
    update(pm);
}

void acpi_pm_raise_gpe(struct acpi_pm *pm, unsigned number)
{
    if (number >= ACPI_PM_GPE0_BYTES * 8)
        return;
    pm->state.gpe0_status |= (uint16_t)(1u << number);
    update(pm);
}

/* ---- registers, a byte at a time: any access size and mix is the sum of its bytes ---- */

static uint16_t *register16(struct acpi_pm *pm, uint64_t offset)
{
    switch (offset & ~UINT64_C(1)) {
    case ACPI_PM1_STATUS:
        return &pm->state.pm1_status;
    case ACPI_PM1_ENABLE:
        return &pm->state.pm1_enable;
    case ACPI_PM1_CONTROL:
        return &pm->state.pm1_control;
    case ACPI_PM_GPE0_STATUS:
        return &pm->state.gpe0_status;
    case ACPI_PM_GPE0_ENABLE:
        return &pm->state.gpe0_enable;
    default:
        return NULL;
    }
}

static uint16_t replaced(uint16_t old, uint16_t lane, uint16_t bits)
{
    return (uint16_t)((old & ~lane) | bits);
}

/* SLP_EN is write-only and acts at once; sleeping states that do not exist are ignored. */
static void write_control(struct acpi_pm *pm, uint16_t lane, uint16_t bits)
{
    uint16_t writable = lane & PM1_CONTROL_WRITABLE;

    pm->state.pm1_control = replaced(pm->state.pm1_control, writable, bits & writable);
    if ((bits & ACPI_PM1_SLP_EN) &&
        (pm->state.pm1_control >> ACPI_PM1_SLP_TYP_SHIFT & 7) == ACPI_SLP_TYP_S5)
        vm_control_request(pm->control, VM_REQUEST_POWER_OFF, 0);
}

/* `lane` is the byte of the register that is written: 0x00FF or 0xFF00. */
static void write_lane(struct acpi_pm *pm, uint64_t offset, uint16_t lane, uint16_t bits)
{
    struct acpi_pm_state *state = &pm->state;

    switch (offset & ~UINT64_C(1)) {
    case ACPI_PM1_STATUS:
        account_timer(pm);
        state->pm1_status &= (uint16_t)~bits;
        break;
    case ACPI_PM1_ENABLE:
        account_timer(pm);
        state->pm1_enable = replaced(state->pm1_enable, lane, bits & PM1_ENABLE_BITS);
        break;
    case ACPI_PM1_CONTROL:
        write_control(pm, lane, bits);
        break;
    case ACPI_PM_GPE0_STATUS:
        state->gpe0_status &= (uint16_t)~bits;
        break;
    default:
        state->gpe0_enable = replaced(state->gpe0_enable, lane, bits);
        break;
    }
    update(pm);
}

static bool is_timer(uint64_t offset)
{
    return offset - ACPI_PM_TIMER < 4;
}

static int acpi_pm_read8(struct device *device, unsigned tag, uint64_t offset)
{
    struct acpi_pm *pm = (struct acpi_pm *)device;
    const uint16_t *reg = register16(pm, offset);

    (void)tag;
    if (is_timer(offset))
        return (uint8_t)(ticks_now(pm) >> (offset - ACPI_PM_TIMER) * 8);
    if (!reg)
        return BUS_READ_UNCLAIMED;
    if (reg == &pm->state.pm1_status)
        account_timer(pm);
    return (uint8_t)(*reg >> (offset & 1) * 8);
}

static enum bus_answer acpi_pm_write8(struct device *device, unsigned tag, uint64_t offset,
                                      uint8_t value)
{
    struct acpi_pm *pm = (struct acpi_pm *)device;
    unsigned shift = (unsigned)(offset & 1) * 8;

    (void)tag;
    if (is_timer(offset))
        return BUS_DONE;
    if (!register16(pm, offset))
        return BUS_UNCLAIMED;
    write_lane(pm, offset, (uint16_t)(0xFF << shift), (uint16_t)(value << shift));
    return BUS_DONE;
}

/* One reading of the clock, so that the bytes of a count belong together. Every other register goes
 * the long way. */
static int64_t acpi_pm_read32(struct device *device, unsigned tag, uint64_t offset)
{
    (void)tag;
    if (offset != ACPI_PM_TIMER)
        return BUS_READ_UNCLAIMED;
    return (uint32_t)ticks_now((struct acpi_pm *)device);
}

static enum bus_answer acpi_pm_access(struct device *device, unsigned tag,
                                      struct bus_access *access)
{
    struct acpi_pm *pm = (struct acpi_pm *)device;

    if (access->offset == ACPI_PM_TIMER && access->size <= 4 && !access->write) {
        access->value = ticks_now(pm) & bus_size_mask(access->size);
        return BUS_DONE;
    }
    return isa_split_access(device, tag, access);
}

static void acpi_pm_reset(struct device *device)
{
    struct acpi_pm *pm = (struct acpi_pm *)device;

    memset(&pm->state, 0, sizeof(pm->state));
    pm->state.pm1_control = ACPI_PM1_SCI_EN;
    pm->state.timer_seen = ticks_now(pm);
    update(pm);
}

static bool acpi_pm_check(const void *loaded)
{
    const struct acpi_pm_state *state = loaded;

    return !(state->pm1_status & ~PM1_STATUS_BITS) && !(state->pm1_enable & ~PM1_ENABLE_BITS) &&
           (state->pm1_control & ~PM1_CONTROL_WRITABLE) == ACPI_PM1_SCI_EN;
}

static void acpi_pm_loaded(struct device *device)
{
    struct acpi_pm *pm = (struct acpi_pm *)device;

    account_timer(pm);
    update(pm);
}

static const struct device_field acpi_pm_fields[] = {
    DEVICE_FIELD(struct acpi_pm_state, pm1_status),
    DEVICE_FIELD(struct acpi_pm_state, pm1_enable),
    DEVICE_FIELD(struct acpi_pm_state, pm1_control),
    DEVICE_FIELD(struct acpi_pm_state, gpe0_status),
    DEVICE_FIELD(struct acpi_pm_state, gpe0_enable),
    DEVICE_FIELD(struct acpi_pm_state, timer_seen),
    DEVICE_FIELD_END,
};

static const struct device_ops acpi_pm_ops = {
    .name = "acpi_pm",
    .version = 1,
    .state_offset = offsetof(struct acpi_pm, state),
    .state_bytes = sizeof(struct acpi_pm_state),
    .reset = acpi_pm_reset,
    .access = acpi_pm_access,
    .read8 = acpi_pm_read8,
    .read32 = acpi_pm_read32,
    .write8 = acpi_pm_write8,
    .fields = acpi_pm_fields,
    .check = acpi_pm_check,
    .loaded = acpi_pm_loaded,
};

void acpi_pm_init(struct acpi_pm *pm, struct hv_clock *clock, const struct irq_line *sci,
                  const struct vm_control *control)
{
    memset(pm, 0, sizeof(*pm));
    pm->device.ops = &acpi_pm_ops;
    pm->clock = clock;
    pm->overflow.fire = overflow_fired;
    pm->sci = *sci;
    pm->control = control;
    acpi_pm_reset(&pm->device);
}
