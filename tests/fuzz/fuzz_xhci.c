// SRCS: drivers/xhci_start.c drivers/xhci_ring.c drivers/xhci_port.c drivers/xhci_device.c drivers/xhci_hub.c drivers/usb_keyboard.c drivers/usb_descriptors.c drivers/ps2_decode.c
/*
 * A controller without any manners: its registers hold anything, it writes anything into the memory
 * that it shares with the driver, at any time, and its events lie where the driver looks next, often
 * with pointers and slots that are nearly right. The driver must come back from each call, keep to
 * its memory and its registers, and write no doorbell that there is not.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/xhci.h"

#define BASE UINT64_C(0x10000)
#define BYTES 0x2000u
#define DOORBELLS 0x1000u
#define RUNTIME 0x1800u
#define MAX_POLLS 400u

static const uint8_t *input;
static size_t left;
static struct xhci x;
static uint64_t clock_us;
static uint32_t registers[BYTES / 4];
static uint8_t *arena;
static size_t arena_bytes;
static uint64_t accesses;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint8_t take(void)
{
    if (!left)
        return 0;
    left--;
    return *input++;
}

static uint32_t take32(void)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)take() << 8 * i;
    return value;
}

static uint32_t reg_read(void *ctx, enum hv_space space, uint64_t address, unsigned bytes)
{
    (void)ctx;
    if (space != HV_SPACE_MEMORY || bytes != 4 || address % 4 || address < BASE ||
        address + 4 > BASE + BYTES)
        abort();
    if (++accesses > 60000000)
        abort(); /* it does not come back */
    return registers[(address - BASE) / 4];
}

static void reg_write(void *ctx, enum hv_space space, uint64_t address, unsigned bytes,
                      uint32_t value)
{
    uint32_t offset = (uint32_t)(address - BASE);

    (void)reg_read(ctx, space, address, bytes);
    if (offset == 0x40) { /* USBCMD: halted, reset and running as asked for */
        registers[0x44 / 4] = (registers[0x44 / 4] & ~1u) | !(value & 1);
        registers[0x40 / 4] = value & ~2u;
    }
    if (offset >= 0x440 && offset < DOORBELLS && (value & 0x10)) /* a port's reset works */
        registers[offset / 4] |= 0x200002;
}

static void reg_pause(void *ctx)
{
    (void)ctx;
    clock_us += 1000;
}

static uint64_t reg_now(void *ctx)
{
    (void)ctx;
    return clock_us;
}

static void *memory_take(void *ctx, uint64_t bytes)
{
    (void)ctx;
    arena_bytes = bytes;
    arena = aligned_alloc(4096, bytes);
    memset(arena, 0, bytes);
    return arena;
}

static const struct hv_access access_all = { reg_read, reg_write, NULL, reg_pause, reg_now, NULL };
static const struct xhci_memory memory = { memory_take, NULL };

/* A descriptor that is worth something, with some of it spoiled. */
static void put_descriptor(unsigned slot, bool of_configuration)
{
    static const uint8_t good[2][34] = {
        { 18, 1, 0, 2, 0, 0, 0, 8 },
        { 9, 2, 34, 0, 1, 1, 0, 0xa0, 50, 9, 4, 0, 0, 1, 3, 1, 1, 0, 9, 0x21, 0x11, 1, 0, 1, 0x22,
          65, 0, 7, 5, 0x81, 3, 8, 0, 10 },
    };
    uint8_t how = take();
    uint8_t *buffer = x.devices[slot].page ? xhci_buffer(&x.devices[slot]) : NULL;

    if (!buffer)
        return;
    memcpy(buffer, good[of_configuration], 34);
    if ((how & 0x80) && of_configuration)
        memcpy(buffer + 13, (uint8_t[]){ 1, 9, 0, 0 }, 4); /* a hub */
    if (!of_configuration && x.devices[slot].speed == SPEED_HIGH)
        buffer[7] = 64;
    for (unsigned i = 0; i < (how & 3u); i++)
        buffer[take() % 64] = take();
}

/* A hub's descriptor, or the status of its port. */
static void put_hub_answer(unsigned slot)
{
    uint8_t how = take();
    uint8_t answer[8] = { (how & 4) ? 0 : 0x03, (uint8_t)(how & 0x06), how >> 6, 0, 0, 2 };

    if (x.devices[slot].page)
        memcpy(xhci_buffer(&x.devices[slot]), answer, sizeof(answer));
}

/* What the request under way asks for. */
static void put_answer(void)
{
    const struct xhci_ring *ring = &x.devices[x.operation_slot].control;
    uint64_t index = (x.operation_trb - (uint64_t)ring->trbs) / sizeof(struct xhci_trb);
    uint64_t setup;

    if (!ring->trbs || index < 2 || index >= XHCI_RING_TRBS)
        return;
    setup = ring->trbs[index - 2].parameter;
    if ((setup & 0xffff) == 0x0680)
        put_descriptor(x.operation_slot, (setup >> 24 & 0xff) == 2);
    else if ((setup & 0x80) != 0)
        put_hub_answer(x.operation_slot);
}

static void put_event(void)
{
    static const uint8_t types[8] = { 33, 33, 33, 32, 32, 32, 34, 0 };
    uint8_t how = take();
    uint32_t slot = take() % (how & 1 ? 256 : XHCI_MAX_DEVICES + 2);
    uint32_t code = how & 2 ? take() : 1;
    struct xhci_trb *trb = &x.events.trbs[x.events.next];
    uint32_t dci = 1;

    trb->parameter = x.operation_trb;
    if (how & 4) { /* a report */
        const struct xhci_device *d = &x.devices[slot <= x.slots ? slot : 0];
        if (d->reports.trbs)
            trb->parameter = (uint64_t)&d->reports.trbs[d->reports_done % (XHCI_RING_TRBS - 1)];
        dci = xhci_report_dci(d);
    }
    if (how & 8)
        trb->parameter ^= take32();
    trb->status = code << 24 | (how & 16 ? take32() & 0xffffff : 0);
    uint32_t type = how & 128 ? types[take() % 8]
                    : x.operation == XHCI_COMMAND ? 33u
                                                  : 32u;
    if (x.operation == XHCI_CONTROL && !(how & 4) && !(how & 1)) {
        slot = x.operation_slot;
        if (!(how & 32))
            put_answer();
    }
    trb->control = slot << 24 | dci << 16 | type << 10 | x.events.cycle;
}

static void scribble(void)
{
    size_t at = take32() % arena_bytes;
    for (unsigned i = take() % 32; i > 0 && at < arena_bytes; i--)
        arena[at++] = take();
}

static void step(void)
{
    switch (take() % 8) {
    case 0:
    case 1:
    case 2:
        put_event();
        break;
    case 3:
        put_descriptor(1 + take() % XHCI_MAX_DEVICES, take() & 1);
        break;
    case 4:
        scribble();
        break;
    case 5:
        registers[(0x440 + 16 * (take() % 8)) / 4] = take32();
        xhci_port_changed(&x, take());
        break;
    case 6:
        clock_us += (uint64_t)take() * 100000;
        break;
    default:
        registers[take32() % (BYTES / 4)] ^= take32();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct xhci_note note;

    input = data;
    left = bytes;
    clock_us = accesses = 0;
    memset(registers, 0, sizeof(registers));
    registers[0x00 / 4] = 0x01100040;
    registers[0x04 / 4] = 0x08000120;
    registers[0x10 / 4] = 0x01400001;
    registers[0x14 / 4] = DOORBELLS;
    registers[0x18 / 4] = RUNTIME;
    registers[0x48 / 4] = 1;
    registers[0x500 / 4] = 0x00000001;
    for (unsigned i = 1; i < 8; i++)
        registers[(0x440 + 16 * i) / 4] = 0x00020201 | (1 + i % 3) << 10;
    for (unsigned i = take() % 8; i > 0; i--) /* and then some of them are not as they should be */
        registers[take32() % 0x180] = take32();
    arena = NULL;
    if (!xhci_start(&x, &access_all, BASE, BYTES, &memory)) {
        for (unsigned i = 0; i < MAX_POLLS && left; i++) {
            step();
            clock_us += 20000;
            xhci_poll(&x);
            while (xhci_take_note(&x, &note))
                ;
            while (xhci_read_key(&x) >= 0)
                ;
            if (xhci_keyboards(&x) > XHCI_MAX_DEVICES)
                abort();
        }
    }
    free(arena);
    return 0;
}
