/*
 * Latches that do nothing. See the header.
 *
 * Lock: the bus lock.
 */
#include "hv/dev_latches.h"

#include "hv/bus.h"
#include "hv/string.h"

static enum bus_answer latches_access(struct device *device, unsigned tag,
                                      struct bus_access *access)
{
    struct latches *latches = (struct latches *)device;
    unsigned shift = (unsigned)(access->offset & 3) * 8;
    uint64_t mask = bus_size_mask(access->size) << shift;

    if (access->write)
        latches->state.value[tag] =
            (uint32_t)((latches->state.value[tag] & ~mask) | (access->value << shift & mask));
    else
        access->value = latches->state.value[tag] >> shift & bus_size_mask(access->size);
    return BUS_DONE;
}

static void latches_reset(struct device *device)
{
    struct latches *latches = (struct latches *)device;

    memset(&latches->state, 0, sizeof(latches->state));
}

static const struct device_field latches_fields[] = {
    DEVICE_FIELD_ARRAY(struct latches_state, value),
    DEVICE_FIELD_END,
};

static const struct device_ops latches_ops = {
    .name = "latches",
    .version = 1,
    .state_offset = offsetof(struct latches, state),
    .state_bytes = sizeof(struct latches_state),
    .reset = latches_reset,
    .access = latches_access,
    .fields = latches_fields,
};

void latches_init(struct latches *latches)
{
    memset(latches, 0, sizeof(*latches));
    latches->device.ops = &latches_ops;
}
