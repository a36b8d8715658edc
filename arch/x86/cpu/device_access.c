/*
 * The machine's real device registers, for the drivers.
 * Lock: none; host_map_mmio has its own.
 */
#include "hv/drv_access.h"
#include "x86/host_paging.h"
#include "x86/insn.h"
#include "x86/tsc.h"

static uint32_t machine_read(void *ctx, enum hv_space space, uint64_t address, unsigned bytes)
{
    const volatile void *mmio = (const volatile void *)address;
    uint16_t port = (uint16_t)address;

    (void)ctx;
    if (bytes == 1)
        return space == HV_SPACE_PORT ? in8(port) : mmio_read8(mmio);
    if (bytes == 2)
        return space == HV_SPACE_PORT ? in16(port) : mmio_read16(mmio);
    return space == HV_SPACE_PORT ? in32(port) : mmio_read32(mmio);
}

static void machine_write(void *ctx, enum hv_space space, uint64_t address, unsigned bytes,
                          uint32_t value)
{
    volatile void *mmio = (volatile void *)address;
    uint16_t port = (uint16_t)address;
    bool is_port = space == HV_SPACE_PORT;

    (void)ctx;
    if (bytes == 1)
        is_port ? out8(port, (uint8_t)value) : mmio_write8(mmio, (uint8_t)value);
    else if (bytes == 2)
        is_port ? out16(port, (uint16_t)value) : mmio_write16(mmio, (uint16_t)value);
    else
        is_port ? out32(port, value) : mmio_write32(mmio, value);
}

static bool machine_map(void *ctx, uint64_t address, uint64_t bytes)
{
    (void)ctx;
    return host_map_mmio(address, bytes) != NULL;
}

static void machine_pause(void *ctx)
{
    (void)ctx;
    cpu_pause();
}

static uint64_t machine_now_us(void *ctx)
{
    uint64_t ticks_a_us = tsc_hz() / 1000000;

    (void)ctx;
    return ticks_a_us ? rdtsc() / ticks_a_us : 0;
}

const struct hv_access hv_machine_access = { machine_read, machine_write, machine_map,
                                             machine_pause, machine_now_us, NULL };
