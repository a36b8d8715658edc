/*
 * Latches of 4 bytes: each keeps what is written to it, and does nothing else. Our own device, for
 * measuring whether paths get longer as a machine gets larger (config key `latches`).
 *
 * Lock: the bus lock.
 */
#ifndef HV_DEV_LATCHES_H
#define HV_DEV_LATCHES_H

#include "hv/device.h"

#define LATCHES_MAX 100u
#define LATCH_BYTES 4u

struct latches_state {
    uint32_t value[LATCHES_MAX];
};

struct latches {
    struct device device; /* region with tag i: latch i */
    struct latches_state state;
};

void latches_init(struct latches *latches);

#endif
