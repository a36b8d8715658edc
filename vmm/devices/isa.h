/*
 * What the bridge to the byte-wide ISA bus does with a wider access: it makes one byte access after
 * the other to consecutive ports, lowest first.
 *
 * Not a device; no state, no lock.
 */
#ifndef VMM_DEVICES_ISA_H
#define VMM_DEVICES_ISA_H

#include "hv/device.h"

/*
 * Serves `access` through the device's own read8 and write8. Bytes that nobody drives read 0xFF. The
 * answer is BUS_UNCLAIMED only if not one byte was claimed, so that accesses that reach past a
 * device's last port still work.
 */
static inline enum bus_answer isa_split_access(struct device *device, unsigned tag,
                                               struct bus_access *access)
{
    bool claimed = false;
    uint64_t result = 0;
    for (unsigned i = 0; i < access->size; i++) {
        uint64_t offset = access->offset + i;
        int byte = BUS_READ_UNCLAIMED;
        if (!access->write)
            byte = device->ops->read8(device, tag, offset);
        else if (device->ops->write8(device, tag, offset, (uint8_t)(access->value >> (i * 8))) ==
                 BUS_DONE)
            byte = 0;
        if (byte >= 0)
            claimed = true;
        result |= (uint64_t)(uint8_t)byte << (i * 8);
    }
    if (!claimed)
        return BUS_UNCLAIMED;
    if (!access->write)
        access->value = result;
    return BUS_DONE;
}

#endif
