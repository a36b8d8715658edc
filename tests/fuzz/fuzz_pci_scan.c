// SRCS: drivers/pci_scan.c
/*
 * Configuration space that says anything, and another thing when it is read again: the scan ends, no
 * register outside of a function is touched, an address that is found is one, and what was sized is left
 * with what it had.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hv/drv_pci.h"

#define DWORDS 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const uint8_t *input;
static size_t left;
static uint32_t space[DWORDS], writable[DWORDS];
static bool restless; /* it changes its mind */
static uint64_t accesses, clock_us;
static unsigned seen;

static uint32_t take32(void)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 4 && left; i++, left--)
        value = value << 8 | *input++;
    return value;
}

static uint32_t reg_read(void *ctx, struct pci_address at, unsigned offset)
{
    (void)ctx;
    if (offset >= 256 || offset % 4 || ++accesses > 3000000)
        abort();
    if (at.segment != 3 || at.bus > 9 || at.bus < 8 || at.device % 8 || at.function % 3)
        return UINT32_MAX;
    return restless && left ? take32() : space[offset / 4];
}

static void reg_write(void *ctx, struct pci_address at, unsigned offset, uint32_t value)
{
    (void)reg_read(ctx, at, offset);
    space[offset / 4] = (space[offset / 4] & ~writable[offset / 4]) | (value & writable[offset / 4]);
}

static uint64_t now(void *ctx)
{
    (void)ctx;
    return clock_us;
}

static void pause_a_while(void *ctx)
{
    (void)ctx;
    clock_us += 500;
}

static const struct hv_access access_all = { .now_us = now, .pause = pause_a_while };
static const struct hv_pci pci = { reg_read, reg_write, NULL, 2, { { 3, 8, 9 }, { 4, 0, 1 } } };

static bool visit(void *ctx, const struct pci_function *function)
{
    uint32_t before[6];

    (void)ctx;
    seen++;
    memcpy(before, space + 4, sizeof(before));
    for (unsigned i = 0; i <= PCI_BARS; i++) {
        struct pci_bar bar = pci_read_bar(&pci, function, i);
        if (bar.bytes && (bar.address == 0 || (bar.bytes & (bar.bytes - 1)) ||
                          bar.address % bar.bytes || bar.address + bar.bytes < bar.address ||
                          (bar.space == HV_SPACE_PORT && bar.address > UINT16_MAX)))
            abort();
    }
    (void)pci_wake(&pci, function->at, &access_all);
    if (!restless && memcmp(before, space + 4, sizeof(before)))
        abort();
    pci_enable(&pci, function->at, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    pci_disable(&pci, function->at, PCI_COMMAND_MASTER);
    if (!restless && (space[1] & writable[1] & PCI_COMMAND_MASTER))
        abort();
    return function->device % 7 != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    input = data;
    left = bytes;
    accesses = clock_us = seen = 0;
    restless = take32() & 1;
    for (unsigned i = 0; i < 24; i++) {
        space[i] = take32();
        writable[i] = take32();
    }
    pci_scan(&pci, visit, NULL);
    if (seen > 2 * 32 * 8)
        abort();
    return 0;
}
