/*
 * The ISA board's odds and ends: ports 0x80, 0xED and 0x92. See the header.
 *
 * Port 0x92 comes up with A20 passed, as firmware leaves it.
 *
 * Lock: the bus lock.
 * Source: PS/2 Hardware Interface Technical Reference, "System Control Port A (Hex 0092)".
 */
#include "hv/dev_isa_misc.h"
#include "hv/string.h"
#include "isa.h"

static void write_port92(struct isa_misc *misc, uint8_t value)
{
    bool reset = (value & PORT92_RESET) && !(misc->state.port92 & PORT92_RESET);

    misc->state.port92 = value & (PORT92_RESET | PORT92_A20);
    irq_set(&misc->a20, (value & PORT92_A20) != 0);
    if (reset)
        vm_control_request(misc->control, VM_REQUEST_RESET, 0);
}

/* The delay port: nothing is there, on purpose. */
static int isa_misc_read8(struct device *device, unsigned tag, uint64_t offset)
{
    const struct isa_misc *misc = (struct isa_misc *)device;

    if (offset != 0)
        return BUS_READ_UNCLAIMED;
    switch (tag) {
    case ISA_MISC_POST:
        return misc->state.post;
    case ISA_MISC_PORT92:
        return misc->state.port92;
    default:
        return 0xFF;
    }
}

static enum bus_answer isa_misc_write8(struct device *device, unsigned tag, uint64_t offset,
                                       uint8_t value)
{
    struct isa_misc *misc = (struct isa_misc *)device;

    if (offset != 0)
        return BUS_UNCLAIMED;
    if (tag == ISA_MISC_POST)
        misc->state.post = value;
    else if (tag == ISA_MISC_PORT92)
        write_port92(misc, value);
    return BUS_DONE;
}

static void isa_misc_reset(struct device *device)
{
    struct isa_misc *misc = (struct isa_misc *)device;

    misc->state.post = 0;
    misc->state.port92 = PORT92_A20;
    irq_set(&misc->a20, true);
}

static bool isa_misc_check(const void *loaded)
{
    const struct isa_misc_state *state = loaded;
    return !(state->port92 & ~(PORT92_RESET | PORT92_A20));
}

static void isa_misc_loaded(struct device *device)
{
    struct isa_misc *misc = (struct isa_misc *)device;
    irq_set(&misc->a20, (misc->state.port92 & PORT92_A20) != 0);
}

static const struct device_field isa_misc_fields[] = {
    DEVICE_FIELD(struct isa_misc_state, post),
    DEVICE_FIELD(struct isa_misc_state, port92),
    DEVICE_FIELD_END,
};

static const struct device_ops isa_misc_ops = {
    .name = "isa_misc",
    .version = 1,
    .state_offset = offsetof(struct isa_misc, state),
    .state_bytes = sizeof(struct isa_misc_state),
    .reset = isa_misc_reset,
    .access = isa_split_access,
    .read8 = isa_misc_read8,
    .write8 = isa_misc_write8,
    .fields = isa_misc_fields,
    .check = isa_misc_check,
    .loaded = isa_misc_loaded,
};

void isa_misc_init(struct isa_misc *misc, const struct irq_line *a20,
                   const struct vm_control *control)
{
    memset(misc, 0, sizeof(*misc));
    misc->device.ops = &isa_misc_ops;
    misc->a20 = *a20;
    misc->control = control;
    isa_misc_reset(&misc->device);
}
