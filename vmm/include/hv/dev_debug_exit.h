/*
 * Debug exit port: the value that a guest writes to port 0xf4 ends its VM with that status.
 * Our own device, at the place where people's test kernels look for it. Reads give all ones.
 *
 * Lock: the bus lock.
 */
#ifndef HV_DEV_DEBUG_EXIT_H
#define HV_DEV_DEBUG_EXIT_H

#include "hv/device.h"

#define DEBUG_EXIT_PORT 0xF4u
#define DEBUG_EXIT_PORT_BYTES 4u

struct debug_exit_state {
    uint32_t status; /* the last value written */
};

struct debug_exit {
    struct device device; /* port region, tag 0 */
    struct debug_exit_state state;
    const struct vm_control *control;
};

/* `control` must outlive the device. */
void debug_exit_init(struct debug_exit *debug_exit, const struct vm_control *control);

#endif
