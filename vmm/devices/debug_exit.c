/*
 * Debug exit port. See the header.
 *
 * Lock: the bus lock.
 */
#include "hv/dev_debug_exit.h"
#include "hv/string.h"

static enum bus_answer debug_exit_access(struct device *device, unsigned tag,
                                         struct bus_access *access)
{
    struct debug_exit *debug_exit = (struct debug_exit *)device;

    (void)tag;
    if (!access->write) {
        access->value = bus_size_mask(access->size);
        return BUS_DONE;
    }
    debug_exit->state.status = (uint32_t)access->value;
    vm_control_request(debug_exit->control, VM_REQUEST_EXIT, debug_exit->state.status);
    return BUS_DONE;
}

static void debug_exit_reset(struct device *device)
{
    ((struct debug_exit *)device)->state.status = 0;
}

static const struct device_field debug_exit_fields[] = {
    DEVICE_FIELD(struct debug_exit_state, status),
    DEVICE_FIELD_END,
};

static const struct device_ops debug_exit_ops = {
    .name = "debug_exit",
    .version = 1,
    .state_offset = offsetof(struct debug_exit, state),
    .state_bytes = sizeof(struct debug_exit_state),
    .reset = debug_exit_reset,
    .access = debug_exit_access,
    .fields = debug_exit_fields,
};

void debug_exit_init(struct debug_exit *debug_exit, const struct vm_control *control)
{
    memset(debug_exit, 0, sizeof(*debug_exit));
    debug_exit->device.ops = &debug_exit_ops;
    debug_exit->control = control;
}
