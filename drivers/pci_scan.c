/*
 * Finding PCI functions, and their base address registers.
 *
 * Not here: how the configuration space is reached (arch/x86/cpu/pci_machine.c). Every list in it
 * has a bound, as a device may hold anything. Lock: the caller's.
 * PCI Local Bus specification 3.0 "Configuration Space Organization", "Base Addresses"; PCI Bus
 * Power Management Interface specification "Power Management Register Block".
 */
#include "hv/drv_pci.h"

#define REG_ID 0x00
#define REG_COMMAND 0x04
#define REG_CLASS 0x08
#define REG_HEADER 0x0c
#define REG_BAR0 0x10
#define REG_CAPABILITIES 0x34

#define NOBODY UINT32_MAX
#define DEVICES 32u
#define FUNCTIONS 8u
#define HEADER_TYPE(dword) ((dword) >> 16 & 0x7f)
#define HEADER_MANY_FUNCTIONS (1u << 23)

#define COMMAND_NO_INTX (1u << 10)
#define STATUS_CAPABILITIES (1u << 20) /* in the dword at REG_COMMAND */
#define COMMAND_MASK 0xffffu           /* its other half clears what is written as 1 */

#define BAR_IO 1u
#define BAR_TYPE(bar) ((bar) >> 1 & 3)
#define BAR_TYPE_64 2u

#define CAPABILITY_POWER 1u
#define MAX_CAPABILITIES 48u
#define POWER_STATE 3u
#define POWER_PME_STATUS (1u << 15) /* written as 1, it is cleared */
#define WAKE_US 10000u
#define WAKE_TRIES 100000u /* where the clock stands */

static bool is_there(uint32_t id)
{
    return id != NOBODY && (id & 0xffff) != 0xffff && id != 0;
}

static struct pci_function describe(const struct hv_pci *pci, struct pci_address at, uint32_t id)
{
    uint32_t class = pci->read(pci->ctx, at, REG_CLASS);
    return (struct pci_function){ at, (uint16_t)id, (uint16_t)(id >> 16), (uint8_t)(class >> 24),
                                  (uint8_t)(class >> 16), (uint8_t)(class >> 8) };
}

/* All functions in one place. False: the visitor has seen enough. */
static bool scan_device(const struct hv_pci *pci, struct pci_address at,
                        bool (*visit)(void *ctx, const struct pci_function *function), void *ctx)
{
    unsigned functions = 1;

    for (unsigned i = 0; i < functions; i++) {
        at.function = (uint8_t)i;
        uint32_t id = pci->read(pci->ctx, at, REG_ID);
        if (!is_there(id)) {
            if (i == 0)
                return true;
            continue;
        }
        uint32_t header = pci->read(pci->ctx, at, REG_HEADER);
        if (i == 0 && (header & HEADER_MANY_FUNCTIONS))
            functions = FUNCTIONS;
        if (HEADER_TYPE(header) != 0)
            continue;
        struct pci_function function = describe(pci, at, id);
        if (!visit(ctx, &function))
            return false;
    }
    return true;
}

void pci_scan(const struct hv_pci *pci, bool (*visit)(void *ctx, const struct pci_function *function),
              void *ctx)
{
    for (unsigned r = 0; r < pci->range_count && r < HV_PCI_MAX_RANGES; r++) {
        const struct pci_range *range = &pci->ranges[r];
        for (unsigned bus = range->first_bus; bus <= range->last_bus; bus++) {
            for (unsigned device = 0; device < DEVICES; device++) {
                struct pci_address at = { range->segment, (uint8_t)bus, (uint8_t)device, 0 };
                if (!scan_device(pci, at, visit, ctx))
                    return;
            }
        }
    }
}

/* Sizes are powers of two, and addresses multiples of them. The mask is not 0. */
static uint64_t size_of(uint64_t mask, uint64_t address)
{
    uint64_t bytes = ~mask + 1;

    if ((bytes & (bytes - 1)) || (address & (bytes - 1)) || address + bytes <= bytes)
        return 0; /* the last: no address, or one that ends where addresses do */
    return bytes;
}

/* Which of its bits can be written says how large it is. */
static uint32_t writable_bits(const struct hv_pci *pci, struct pci_address at, unsigned offset)
{
    uint32_t before = pci->read(pci->ctx, at, offset);
    pci->write(pci->ctx, at, offset, UINT32_MAX);
    uint32_t bits = pci->read(pci->ctx, at, offset);
    pci->write(pci->ctx, at, offset, before);
    return bits;
}

static struct pci_bar size_port_bar(const struct hv_pci *pci, struct pci_address at, unsigned offset,
                                    uint32_t low)
{
    uint32_t mask = writable_bits(pci, at, offset) & ~3u;
    uint32_t address = low & ~3u;
    struct pci_bar bar = { HV_SPACE_PORT, address, 0 };

    /* Ports end at 64 K, and a device need not know the bits above. */
    if (address <= UINT16_MAX && (mask & 0xffff))
        bar.bytes = size_of(mask | ~UINT64_C(0xffff), address);
    return bar;
}

static struct pci_bar size_memory_bar(const struct hv_pci *pci, struct pci_address at,
                                      unsigned offset, uint32_t low, bool wide)
{
    uint64_t mask = writable_bits(pci, at, offset) & ~15u;
    uint64_t address = low & ~15u;
    struct pci_bar bar = { HV_SPACE_MEMORY, 0, 0 };

    if (wide) {
        address |= (uint64_t)pci->read(pci->ctx, at, offset + 4) << 32;
        mask |= (uint64_t)writable_bits(pci, at, offset + 4) << 32;
    } else {
        mask |= UINT64_C(0xffffffff00000000);
    }
    bar.address = address;
    if ((mask & 0xffffffff) != 0) /* more than 4 GB of registers are nonsense */
        bar.bytes = size_of(mask, address);
    return bar;
}

static bool is_wide(uint32_t low)
{
    return !(low & BAR_IO) && BAR_TYPE(low) == BAR_TYPE_64;
}

/* The upper half of the one before it, which would pass for an address of its own. */
static bool is_upper_half(const struct hv_pci *pci, struct pci_address at, unsigned index)
{
    bool upper = false;

    for (unsigned i = 0; i < index; i++)
        upper = !upper && is_wide(pci->read(pci->ctx, at, REG_BAR0 + 4 * i));
    return upper;
}

struct pci_bar pci_read_bar(const struct hv_pci *pci, const struct pci_function *function,
                            unsigned index)
{
    const struct pci_bar none = { HV_SPACE_MEMORY, 0, 0 };
    struct pci_bar bar;
    struct pci_address at = function->at;
    unsigned offset = REG_BAR0 + 4 * index;

    if (index >= PCI_BARS || is_upper_half(pci, at, index))
        return none;
    uint32_t low = pci->read(pci->ctx, at, offset);
    bool wide = is_wide(low);
    if (low == NOBODY || (wide && index + 1 == PCI_BARS))
        return none;
    uint32_t command = pci->read(pci->ctx, at, REG_COMMAND) & COMMAND_MASK;
    pci->write(pci->ctx, at, REG_COMMAND, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
    if (low & BAR_IO)
        bar = size_port_bar(pci, at, offset, low);
    else
        bar = size_memory_bar(pci, at, offset, low, wide);
    pci->write(pci->ctx, at, REG_COMMAND, command);
    return bar;
}

void pci_enable(const struct hv_pci *pci, struct pci_address at, uint32_t command)
{
    uint32_t before = pci->read(pci->ctx, at, REG_COMMAND) & COMMAND_MASK;
    pci->write(pci->ctx, at, REG_COMMAND, before | command | COMMAND_NO_INTX);
}

void pci_disable(const struct hv_pci *pci, struct pci_address at, uint32_t command)
{
    uint32_t before = pci->read(pci->ctx, at, REG_COMMAND) & COMMAND_MASK;
    pci->write(pci->ctx, at, REG_COMMAND, before & ~command);
}

/* Where its power management capability is; 0: it has none. */
static unsigned find_power(const struct hv_pci *pci, struct pci_address at)
{
    if (!(pci->read(pci->ctx, at, REG_COMMAND) & STATUS_CAPABILITIES))
        return 0;
    unsigned offset = pci->read(pci->ctx, at, REG_CAPABILITIES) & 0xfc;
    for (unsigned i = 0; i < MAX_CAPABILITIES && offset >= 0x40; i++) {
        uint32_t head = pci->read(pci->ctx, at, offset);
        if ((head & 0xff) == CAPABILITY_POWER)
            return offset;
        offset = head >> 8 & 0xfc;
    }
    return 0;
}

bool pci_wake(const struct hv_pci *pci, struct pci_address at, const struct hv_access *access)
{
    uint32_t bars[PCI_BARS];
    unsigned offset = find_power(pci, at);
    if (offset == 0 || offset > 0xf8)
        return true;
    uint32_t control = pci->read(pci->ctx, at, offset + 4);
    if (!(control & POWER_STATE))
        return true;
    for (unsigned i = 0; i < PCI_BARS; i++)
        bars[i] = pci->read(pci->ctx, at, REG_BAR0 + 4 * i);
    control &= ~(POWER_STATE | POWER_PME_STATUS);
    pci->write(pci->ctx, at, offset + 4, control);
    uint64_t end_us = access->now_us(access->ctx) + WAKE_US;
    for (unsigned i = 0; i < WAKE_TRIES && access->now_us(access->ctx) < end_us; i++)
        access->pause(access->ctx);
    for (unsigned i = 0; i < PCI_BARS; i++)
        pci->write(pci->ctx, at, REG_BAR0 + 4 * i, bars[i]);
    return !(pci->read(pci->ctx, at, offset + 4) & POWER_STATE);
}
