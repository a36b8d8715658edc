/*
 * The bus: how an access by a guest finds its device. Port I/O, MMIO and PCI configuration are
 * three spaces of the same kind.
 *
 * Lock: one bus has one lock; bus_dispatch takes it around the device's access function, and the
 * clock takes it around timer callbacks, so that a device is never entered twice.
 */
#ifndef HV_BUS_H
#define HV_BUS_H

#include "hv/types.h"

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

static inline uint64_t bus_size_mask(unsigned size_bytes)
{
    return size_bytes >= 8 ? UINT64_MAX : (UINT64_C(1) << (size_bytes * 8)) - 1;
}

#endif
