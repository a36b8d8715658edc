/*
 * The bus: how an access by a guest finds its device. Port I/O, MMIO and PCI configuration are
 * three spaces of the same kind.
 *
 * Lock: one bus has one lock; bus_dispatch takes it around the device's access function, and the
 * clock takes it around timer callbacks, so that a device is never entered twice. A device that
 * reaches the bus from inside (the PCI host bridge: configuration accesses, BARs that move) holds
 * the lock already and uses the functions that end in _locked.
 * Where only one core ever comes to a bus, its owner says so by bus_set_private, and the lock is not
 * taken.
 *
 * An access that does not lie in one region: on ports it is split into bytes, as the ISA bus does,
 * and each byte finds its own device or none; in the other spaces no device decodes it, and it is
 * unclaimed as a whole.
 */
#ifndef HV_BUS_H
#define HV_BUS_H

#include "hv/range_map.h"
#include "hv/spinlock.h"
#include "hv/types.h"

#define BUS_MAX_REGIONS 128 /* of all spaces together, less one; an index fits a byte */
#define BUS_PORTS 0x10000u

enum bus_space { BUS_PORT, BUS_MMIO, BUS_PCI, BUS_SPACES };

/* One access. `size` is 1, 2, 4 or 8 bytes; wider ones are refused before they get here. For a
 * read, the device puts the zero-extended result into `value`; for a write, `value` holds no bits
 * above `size`. `offset` counts from the start of the region that was hit. */
struct bus_access {
    enum bus_space space;
    uint8_t size;
    bool write;
    uint64_t offset;
    uint64_t value;
};

enum bus_answer {
    BUS_DONE,      /* the device took it */
    BUS_UNCLAIMED, /* nobody did: reads give all ones, writes vanish, both are counted */
    BUS_FAULT,     /* the access is one that the device cannot take: the VM is stopped */
};

struct device_ops;

struct device {
    const struct device_ops *ops;
};

/* What read8 and read32 answer where there is no value. */
#define BUS_READ_UNCLAIMED (-1)
#define BUS_READ_FAULT (-2)

/* One cache line: all that a port access needs. */
struct bus_region {
    _Alignas(64) uint64_t start;
    uint64_t last; /* inclusive */
    struct device *device; /* NULL: this entry is free */
    /* The device's, or the bus's own way by its access function. */
    int (*read8)(struct device *device, unsigned tag, uint64_t offset);
    int64_t (*read32)(struct device *device, unsigned tag, uint64_t offset);
    enum bus_answer (*write8)(struct device *device, unsigned tag, uint64_t offset, uint8_t value);
    enum bus_answer (*write32)(struct device *device, unsigned tag, uint64_t offset, uint32_t value);
    unsigned tag;          /* handed to the device, to tell its regions apart */
    enum bus_space space;
};
_Static_assert(sizeof(struct bus_region) == 64, "a region is a cache line");

/* What nobody answered, for statistics; read them with the lock held. */
struct bus_unclaimed {
    uint64_t reads;
    uint64_t writes;
    uint64_t last_address;
};

/* One VM's. Large (the port table has a byte for each of 65,536 ports): it is not for a stack. */
struct bus {
    struct spinlock lock; /* guards all below, and every device that is registered here */
    bool shared;          /* more than one core comes here: the lock is taken */
    uint8_t hot[BUS_SPACES]; /* the region of MMIO or PCI that was found last; 0: none */
    struct bus_hole { uint64_t first, last; } hole[BUS_SPACES]; /* of nobody's addresses, found last */
    struct device nobody; /* stands in entry 0 */
    struct bus_region regions[BUS_MAX_REGIONS]; /* entry 0 means "none" */
    struct range_map maps[BUS_SPACES];          /* of MMIO and PCI; values are region numbers */
    struct range_map_entry map_entries[BUS_SPACES][BUS_MAX_REGIONS];
    struct bus_unclaimed unclaimed[BUS_SPACES];
    uint8_t port_region[BUS_PORTS];
};

/* Empty, and shared. */
void bus_init(struct bus *bus);

/* The owner's promise, made before the bus is used: from now on one core alone makes accesses, fires
 * the timers of its devices and calls into them otherwise, and never one of these within another. */
void bus_set_private(struct bus *bus);

/* Around what devices do other than by an access: timers, input from outside. */
static inline void bus_lock(struct bus *bus)
{
    if (HV_UNLIKELY(bus->shared))
        spin_lock(&bus->lock);
}

static inline void bus_unlock(struct bus *bus)
{
    if (HV_UNLIKELY(bus->shared))
        spin_unlock(&bus->lock);
}

/* Registers `bytes` addresses from `start` on. HV_ERR_INVALID: empty, wraps, or no device;
 * HV_ERR_RANGE: beyond port 0xffff; HV_ERR_EXISTS: overlaps; HV_ERR_NO_MEMORY: too many regions. */
enum hv_err bus_add(struct bus *bus, enum bus_space space, uint64_t start, uint64_t bytes,
                    struct device *device, unsigned tag) HV_MUST_CHECK;
enum hv_err bus_add_locked(struct bus *bus, enum bus_space space, uint64_t start, uint64_t bytes,
                           struct device *device, unsigned tag) HV_MUST_CHECK;

/* Takes out the region that starts at `start`. HV_ERR_NOT_FOUND: none does. */
enum hv_err bus_remove(struct bus *bus, enum bus_space space, uint64_t start) HV_MUST_CHECK;
enum hv_err bus_remove_locked(struct bus *bus, enum bus_space space,
                              uint64_t start) HV_MUST_CHECK;

/* One access by a guest: finds the device and lets it answer.
 *
 * `size` is 1, 2, 4 or 8 bytes (ports: not 8); anything else is BUS_FAULT and reaches nobody. For a
 * write, *value is cut to `size`; for a read, *value is set on every answer: to what the device
 * said, cut to `size`, or to all ones where nobody answered (on a BUS_FAULT too). Bytes of a split
 * port access: BUS_FAULT if a device said so, else BUS_DONE if any byte was taken. */
enum bus_answer bus_dispatch(struct bus *bus, enum bus_space space, uint64_t address, unsigned size,
                             bool write, uint64_t *value);
enum bus_answer bus_dispatch_locked(struct bus *bus, enum bus_space space, uint64_t address,
                                    unsigned size, bool write, uint64_t *value);

int bus_port_read8_shared(struct bus *bus, uint16_t port);
enum bus_answer bus_port_write8_shared(struct bus *bus, uint16_t port, uint8_t value);

/* The short way for the common accesses. What is not common is told by a negative value or anything
 * but BUS_DONE: nothing has happened then, and bus_dispatch answers (and counts) the access. */
static inline int bus_port_read8(struct bus *bus, uint16_t port)
{
    const struct bus_region *region = &bus->regions[bus->port_region[port]];
    if (HV_UNLIKELY(bus->shared))
        return bus_port_read8_shared(bus, port);
    return region->read8(region->device, region->tag, port - region->start);
}

static inline int64_t bus_port_read32(struct bus *bus, uint16_t port)
{
    const struct bus_region *region = &bus->regions[bus->port_region[port]];
    if (HV_UNLIKELY(bus->shared || port + 3u > region->last))
        return BUS_READ_UNCLAIMED;
    return region->read32(region->device, region->tag, port - region->start);
}

static inline enum bus_answer bus_port_write8(struct bus *bus, uint16_t port, uint8_t value)
{
    const struct bus_region *region = &bus->regions[bus->port_region[port]];
    if (HV_UNLIKELY(bus->shared))
        return bus_port_write8_shared(bus, port, value);
    return region->write8(region->device, region->tag, port - region->start, value);
}

int64_t bus_mmio_read32_any(struct bus *bus, uint64_t address);

/* BUS_READ_FAULT: the device cannot take it; nothing has happened. What nobody claims reads as ones. */
static inline int64_t bus_mmio_read32(struct bus *bus, uint64_t address)
{
    const struct bus_region *region = &bus->regions[bus->hot[BUS_MMIO]];
    uint64_t offset = address - region->start, most = region->last - region->start;
    int64_t value;

    if (HV_LIKELY(!bus->shared && offset <= most && most - offset >= 3)) {
        value = region->read32(region->device, region->tag, offset);
        if (HV_LIKELY(value >= 0))
            return value;
    }
    return bus_mmio_read32_any(bus, address);
}

/* As bus_dispatch for a write of 4 bytes to device memory. */
static inline enum bus_answer bus_mmio_write32(struct bus *bus, uint64_t address, uint32_t value)
{
    const struct bus_region *region = &bus->regions[bus->hot[BUS_MMIO]];
    uint64_t offset = address - region->start, most = region->last - region->start;
    uint64_t whole = value;

    if (HV_LIKELY(!bus->shared && offset <= most && most - offset >= 3) &&
        HV_LIKELY(region->write32(region->device, region->tag, offset, value) == BUS_DONE))
        return BUS_DONE;
    return bus_dispatch(bus, BUS_MMIO, address, 4, true, &whole);
}

static inline uint64_t bus_size_mask(unsigned size_bytes)
{
    return size_bytes >= 8 ? UINT64_MAX : (UINT64_C(1) << (size_bytes * 8)) - 1;
}

#endif
