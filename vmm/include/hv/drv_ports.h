/*
 * Port I/O as the drivers of the machine's own hardware see it, so that they run on the host under
 * a test with a fake device behind it. Drivers only; emulated devices have the bus.
 */
#ifndef HV_DRV_PORTS_H
#define HV_DRV_PORTS_H

#include "hv/types.h"

struct hv_ports {
    uint8_t (*in8)(void *ctx, uint16_t port);
    void (*out8)(void *ctx, uint16_t port, uint8_t value);
    void (*pause)(void *ctx); /* between two looks at a register */
    void *ctx;
};

static inline uint8_t ports_in8(const struct hv_ports *ports, uint16_t port)
{
    return ports->in8(ports->ctx, port);
}

static inline void ports_out8(const struct hv_ports *ports, uint16_t port, uint8_t value)
{
    ports->out8(ports->ctx, port, value);
}

/* The machine's real ports (drivers/ports.c). */
extern const struct hv_ports hv_machine_ports;

#endif
