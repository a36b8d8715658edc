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
 * Serves `access` through `byte`, which reads or writes one port of the region `tag` and says
 * whether there is a register. Bytes that nobody drives read 0xFF. The answer is BUS_UNCLAIMED only
 * if not one byte was claimed, so that accesses that reach past a device's last port still work.
 */
static inline enum bus_answer isa_split_access(struct device *device, unsigned tag,
                                               struct bus_access *access,
                                               bool (*byte)(struct device *device, unsigned tag,
                                                            uint64_t offset, bool write,
                                                            uint8_t *value))
{
    bool claimed = false;
    uint64_t result = 0;
    for (unsigned i = 0; i < access->size; i++) {
        uint8_t value = access->write ? (uint8_t)(access->value >> (i * 8)) : 0xFF;
        if (byte(device, tag, access->offset + i, access->write, &value))
            claimed = true;
        else
            value = 0xFF;
        result |= (uint64_t)value << (i * 8);
    }
    if (!claimed)
        return BUS_UNCLAIMED;
    if (!access->write)
        access->value = result;
    return BUS_DONE;
}

#endif
