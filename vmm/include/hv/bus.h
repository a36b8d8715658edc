/*
 * The bus: how an access by a guest finds its device. Port I/O, MMIO and PCI configuration are
 * three spaces of the same kind.
 *
 * Lock: one bus has one lock; bus_dispatch takes it around the device's access function, and the
 * clock takes it around timer callbacks, so that a device is never entered twice. A device that
 * reaches the bus from inside (the PCI host bridge: configuration accesses, BARs that move) holds
 * the lock already and uses the functions that end in _locked.
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

struct device;

struct bus_region {
    uint64_t start;
    uint64_t last; /* inclusive */
    struct device *device; /* NULL: this entry is free */
    unsigned tag;          /* handed to the device, to tell its regions apart */
    enum bus_space space;
};

/* What nobody answered, for statistics; read them with the lock held. */
struct bus_unclaimed {
    uint64_t reads;
    uint64_t writes;
    uint64_t last_address;
};

/* One VM's. Large (the port table has a byte for each of 65,536 ports): it is not for a stack. */
struct bus {
    struct spinlock lock; /* guards all below, and every device that is registered here */
    struct bus_region regions[BUS_MAX_REGIONS]; /* entry 0 is never used: it means "none" */
    struct range_map maps[BUS_SPACES];          /* of MMIO and PCI; values are region numbers */
    struct range_map_entry map_entries[BUS_SPACES][BUS_MAX_REGIONS];
    struct bus_unclaimed unclaimed[BUS_SPACES];
    uint8_t port_region[BUS_PORTS];
};

void bus_init(struct bus *bus);

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

static inline uint64_t bus_size_mask(unsigned size_bytes)
{
    return size_bytes >= 8 ? UINT64_MAX : (UINT64_C(1) << (size_bytes * 8)) - 1;
}

#endif
