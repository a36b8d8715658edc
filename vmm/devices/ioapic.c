/*
 * I/O APIC: up to 24 pins, redirection table, EOI register.
 *
 * Pins carry logical levels: the polarity bit of an entry is kept for the guest and changes
 * nothing. An edge on a masked pin is ignored, as the data sheet says; a level is looked at again
 * when its entry is unmasked or its interrupt has ended.
 *
 * Lock: the bus lock.
 * Source: 82093AA data sheet, "I/O APIC Registers"; ICH data sheets, "EOI Register".
 */
#include "hv/dev_ioapic.h"
#include "hv/string.h"

#define INDEX_ID 0x00u
#define INDEX_VERSION 0x01u
#define INDEX_ARBITRATION 0x02u
#define INDEX_TABLE 0x10u

#define ID_MASK 0x0F000000u
#define RTE_LOW_WRITABLE 0x0001AFFFu
#define RTE_HIGH_WRITABLE 0xFF000000u

static enum irq_delivery entry_delivery(uint64_t entry)
{
    return (enum irq_delivery)(entry >> IOAPIC_RTE_DELIVERY_SHIFT & 7);
}

/* Only fixed and lowest-priority interrupts have a level; the others are edges, whatever the
 * trigger mode bit says ("Delivery Mode"). */
static bool entry_is_level(uint64_t entry)
{
    return (entry & IOAPIC_RTE_LEVEL) && entry_delivery(entry) <= IRQ_LOWEST;
}

static void send(struct ioapic *ioapic, uint64_t entry)
{
    struct irq_message message = {
        .destination = (uint32_t)(entry >> IOAPIC_RTE_DESTINATION_SHIFT),
        .vector = (uint8_t)(entry & IOAPIC_RTE_VECTOR),
        .delivery = entry_delivery(entry),
        .logical = (entry & IOAPIC_RTE_LOGICAL) != 0,
        .level_triggered = entry_is_level(entry),
        .asserted = true,
    };
    irq_deliver(&ioapic->sink, &message);
}

static uint32_t read_indexed(const struct ioapic *ioapic, uint32_t index);

/* After every change of what a register shows. */
static void mirror(const struct ioapic *ioapic)
{
    if (!ioapic->mirror)
        return;
    ioapic->mirror[IOAPIC_REG_SELECT / 4] = ioapic->state.select;
    ioapic->mirror[IOAPIC_REG_WINDOW / 4] = read_indexed(ioapic, ioapic->state.select);
}

void ioapic_set_mirror(struct ioapic *ioapic, uint32_t *page)
{
    ioapic->mirror = page;
    if (page)
        memset(page, 0, IOAPIC_REGION_BYTES);
    mirror(ioapic);
}

/* A level-triggered pin that is active asks until it is accepted, and again after EOI. */
static void service_level(struct ioapic *ioapic, unsigned pin)
{
    uint64_t entry = ioapic->state.entry[pin];

    if (!entry_is_level(entry) || (entry & (IOAPIC_RTE_MASKED | IOAPIC_RTE_REMOTE_IRR)) ||
        !(ioapic->state.lines >> pin & 1))
        return;
    ioapic->state.entry[pin] = entry | IOAPIC_RTE_REMOTE_IRR;
    mirror(ioapic);
    send(ioapic, entry);
}

void ioapic_set_line(void *context, unsigned pin, bool level)
{
    struct ioapic *ioapic = context;

    if (pin >= ioapic->pins)
        return;
    bool rose = level && !(ioapic->state.lines >> pin & 1);
    if (level)
        ioapic->state.lines |= 1u << pin;
    else
        ioapic->state.lines &= ~(1u << pin);
    if (!rose)
        return;
    uint64_t entry = ioapic->state.entry[pin];
    if (entry_is_level(entry))
        service_level(ioapic, pin);
    else if (!(entry & IOAPIC_RTE_MASKED))
        send(ioapic, entry);
}

void ioapic_eoi(struct ioapic *ioapic, uint8_t vector)
{
    for (unsigned pin = 0; pin < ioapic->pins; pin++) {
        uint64_t entry = ioapic->state.entry[pin];
        if (!(entry & IOAPIC_RTE_REMOTE_IRR) || (entry & IOAPIC_RTE_VECTOR) != vector)
            continue;
        ioapic->state.entry[pin] = entry & ~IOAPIC_RTE_REMOTE_IRR;
        mirror(ioapic);
        service_level(ioapic, pin);
    }
}

/* ---- registers behind the index ---- */

static uint32_t read_indexed(const struct ioapic *ioapic, uint32_t index)
{
    switch (index) {
    case INDEX_ID:
    case INDEX_ARBITRATION: /* loaded from the id; there is no APIC bus to rotate it */
        return ioapic->state.id;
    case INDEX_VERSION:
        return (ioapic->pins - 1) << 16 | IOAPIC_VERSION;
    default:
        if (index < INDEX_TABLE || index >= INDEX_TABLE + 2 * ioapic->pins)
            return 0;
        return (uint32_t)(ioapic->state.entry[(index - INDEX_TABLE) / 2] >> (index & 1) * 32);
    }
}

static void write_entry(struct ioapic *ioapic, unsigned pin, bool high, uint32_t value)
{
    uint64_t entry = ioapic->state.entry[pin];

    if (high) {
        entry = (entry & UINT32_MAX) | (uint64_t)(value & RTE_HIGH_WRITABLE) << 32;
    } else {
        entry = (entry & ~(uint64_t)RTE_LOW_WRITABLE) | (value & RTE_LOW_WRITABLE);
        /* An edge has no remote IRR; software uses the change to clear a stuck one. */
        if (!entry_is_level(entry))
            entry &= ~IOAPIC_RTE_REMOTE_IRR;
    }
    ioapic->state.entry[pin] = entry;
    service_level(ioapic, pin);
}

static void write_indexed(struct ioapic *ioapic, uint32_t index, uint32_t value)
{
    if (index == INDEX_ID)
        ioapic->state.id = value & ID_MASK;
    else if (index >= INDEX_TABLE && index < INDEX_TABLE + 2 * ioapic->pins)
        write_entry(ioapic, (index - INDEX_TABLE) / 2, index & 1, value);
}

/* ---- the memory window ---- */

static uint32_t read_window(const struct ioapic *ioapic, uint32_t reg)
{
    switch (reg) {
    case IOAPIC_REG_SELECT:
        return ioapic->state.select;
    case IOAPIC_REG_WINDOW:
        return read_indexed(ioapic, ioapic->state.select);
    default:
        return 0; /* the EOI register is write-only; the rest is reserved */
    }
}

static inline __attribute__((always_inline)) void write_window(struct ioapic *ioapic, uint32_t reg,
                                                               uint32_t value)
{
    switch (reg) {
    case IOAPIC_REG_SELECT:
        ioapic->state.select = value & 0xFF;
        break;
    case IOAPIC_REG_WINDOW:
        write_indexed(ioapic, ioapic->state.select, value);
        break;
    case IOAPIC_REG_EOI:
        ioapic_eoi(ioapic, (uint8_t)value);
        break;
    default:
        break;
    }
    mirror(ioapic);
}

/* Registers are 32 bits wide, in the first 4 of 16 bytes. A narrower access reaches the bytes that
 * it names, the others stay; a wider one reaches the one register, the rest of it is reserved. */
static enum bus_answer ioapic_access(struct device *device, unsigned tag,
                                     struct bus_access *access)
{
    struct ioapic *ioapic = (struct ioapic *)device;
    uint32_t reg = (uint32_t)access->offset & 0xFF0;
    unsigned shift = (unsigned)(access->offset & 0xF) * 8;

    (void)tag;
    if (shift >= 32) {
        access->value = access->write ? access->value : 0;
        return BUS_DONE;
    }
    uint32_t mask = (uint32_t)bus_size_mask(access->size) << shift;
    if (!access->write) {
        access->value = (read_window(ioapic, reg) & mask) >> shift;
        return BUS_DONE;
    }
    uint32_t value = (uint32_t)access->value << shift & mask;
    if (mask != UINT32_MAX && reg != IOAPIC_REG_EOI)
        value |= read_window(ioapic, reg) & ~mask;
    else if (!(mask & 0xFF))
        return BUS_DONE; /* the EOI register's vector is its low byte */
    write_window(ioapic, reg, value);
    return BUS_DONE;
}

/* The common read: the window, or the index. */
static int64_t ioapic_read32(struct device *device, unsigned tag, uint64_t offset)
{
    const struct ioapic *ioapic = (struct ioapic *)device;

    (void)tag;
    if (offset & 0xF)
        return BUS_READ_UNCLAIMED; /* not a whole register: the long way answers */
    return read_window(ioapic, (uint32_t)offset & 0xFF0);
}

static enum bus_answer ioapic_write32(struct device *device, unsigned tag, uint64_t offset,
                                      uint32_t value)
{
    (void)tag;
    if (HV_LIKELY(offset == IOAPIC_REG_SELECT)) { /* every second access */
        ((struct ioapic *)device)->state.select = value & 0xFF;
        mirror((struct ioapic *)device);
        return BUS_DONE;
    }
    if (offset & 0xF)
        return BUS_UNCLAIMED;
    write_window((struct ioapic *)device, (uint32_t)offset & 0xFF0, value);
    return BUS_DONE;
}

static void ioapic_reset(struct device *device)
{
    struct ioapic *ioapic = (struct ioapic *)device;
    uint32_t lines = ioapic->state.lines;

    memset(&ioapic->state, 0, sizeof(ioapic->state));
    ioapic->state.lines = lines;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        ioapic->state.entry[pin] = IOAPIC_RTE_MASKED;
    mirror(ioapic);
}

static bool ioapic_check(const void *loaded)
{
    const struct ioapic_state *state = loaded;
    const uint64_t possible =
        (uint64_t)RTE_HIGH_WRITABLE << 32 | RTE_LOW_WRITABLE | IOAPIC_RTE_REMOTE_IRR;

    if ((state->id & ~ID_MASK) || state->select > 0xFF || state->lines >> IOAPIC_PINS)
        return false;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t entry = state->entry[pin];
        if ((entry & ~possible) || ((entry & IOAPIC_RTE_REMOTE_IRR) && !entry_is_level(entry)))
            return false;
    }
    return true;
}

static const struct device_field ioapic_fields[] = {
    DEVICE_FIELD_ARRAY(struct ioapic_state, entry),
    DEVICE_FIELD(struct ioapic_state, id),
    DEVICE_FIELD(struct ioapic_state, select),
    DEVICE_FIELD(struct ioapic_state, lines),
    DEVICE_FIELD_END,
};

static const struct device_ops ioapic_ops = {
    .name = "ioapic",
    .version = 1,
    .state_offset = offsetof(struct ioapic, state),
    .state_bytes = sizeof(struct ioapic_state),
    .reset = ioapic_reset,
    .access = ioapic_access,
    .read32 = ioapic_read32,
    .write32 = ioapic_write32,
    .fields = ioapic_fields,
    .check = ioapic_check,
};

void ioapic_init(struct ioapic *ioapic, const struct irq_sink *sink, unsigned pins)
{
    memset(ioapic, 0, sizeof(*ioapic));
    ioapic->device.ops = &ioapic_ops;
    ioapic->sink = *sink;
    ioapic->pins = pins;
    ioapic_reset(&ioapic->device);
}
