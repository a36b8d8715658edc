/*
 * The machine's real I/O ports, for the drivers.
 */
#include "hv/drv_ports.h"
#include "x86/insn.h"

static uint8_t machine_in8(void *ctx, uint16_t port)
{
    (void)ctx;
    return in8(port);
}

static void machine_out8(void *ctx, uint16_t port, uint8_t value)
{
    (void)ctx;
    out8(port, value);
}

static void machine_pause(void *ctx)
{
    (void)ctx;
    cpu_pause();
}

const struct hv_ports hv_machine_ports = { machine_in8, machine_out8, machine_pause, NULL };
