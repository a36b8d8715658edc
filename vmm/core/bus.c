/*
 * The bus: regions, and the way from an address to a device. See hv/bus.h for the rules and the
 * lock.
 *
 * A port finds its region by one load from a table with a byte for each port: 64 KB a VM buys the
 * shortest path there is, and regions anywhere, of any size, at no further cost.
 */
#include "hv/bus.h"

#include "hv/device.h"
#include "hv/string.h"

#define REGION_NONE 0u
/* Kept out of the hot path, which would have to save registers for them. */
#define NOINLINE __attribute__((noinline))
#define COLD __attribute__((noinline, cold))

_Static_assert(BUS_MAX_REGIONS <= 256, "a region's number must fit the port table's bytes");

/* --- nobody: what stands in region 0, so that the hot paths need no test for it --- */

static enum bus_answer count_unclaimed(struct bus *bus, enum bus_space space, uint64_t address,
                                       unsigned size, bool write, uint64_t *value)
{
    struct bus_unclaimed *unclaimed = &bus->unclaimed[space];
    unclaimed->last_address = address;
    if (write) {
        unclaimed->writes++;
    } else {
        unclaimed->reads++;
        *value = bus_size_mask(size);
    }
    return BUS_UNCLAIMED;
}

/* The region ends at address 0: every access but one byte at address 0 leaves it. */
static enum bus_answer nobody_access(struct device *device, unsigned tag, struct bus_access *access)
{
    (void)device;
    (void)tag;
    (void)access;
    return BUS_UNCLAIMED;
}

/* The offset is the port. Counted here, since this is the whole answer. */
static int nobody_read8(struct device *device, unsigned tag, uint64_t offset)
{
    uint64_t value = 0;
    (void)tag;
    count_unclaimed(HV_CONTAINER_OF(device, struct bus, nobody), BUS_PORT, offset, 1, false, &value);
    return (int)value;
}

static enum bus_answer nobody_write8(struct device *device, unsigned tag, uint64_t offset,
                                     uint8_t value)
{
    uint64_t written = value;
    (void)tag;
    count_unclaimed(HV_CONTAINER_OF(device, struct bus, nobody), BUS_PORT, offset, 1, true,
                    &written);
    return BUS_DONE;
}

static const struct device_ops nobody_ops = {
    .name = "nobody", .access = nobody_access, .read8 = nobody_read8, .write8 = nobody_write8,
};

/* --- for devices that have no shorter way --- */

static int64_t read_by_access(struct device *device, unsigned tag, enum bus_space space,
                              uint64_t offset, uint8_t size)
{
    struct bus_access access = { .space = space, .size = size, .offset = offset };
    enum bus_answer answer = device->ops->access(device, tag, &access);
    if (answer == BUS_DONE)
        return (int64_t)(access.value & bus_size_mask(size));
    return answer == BUS_UNCLAIMED ? BUS_READ_UNCLAIMED : BUS_READ_FAULT;
}

static int read8_by_access(struct device *device, unsigned tag, uint64_t offset)
{
    return (int)read_by_access(device, tag, BUS_PORT, offset, 1);
}

static int64_t port_read32_by_access(struct device *device, unsigned tag, uint64_t offset)
{
    return read_by_access(device, tag, BUS_PORT, offset, 4);
}

static int64_t mmio_read32_by_access(struct device *device, unsigned tag, uint64_t offset)
{
    return read_by_access(device, tag, BUS_MMIO, offset, 4);
}

static int64_t pci_read32_by_access(struct device *device, unsigned tag, uint64_t offset)
{
    return read_by_access(device, tag, BUS_PCI, offset, 4);
}

static enum bus_answer write8_by_access(struct device *device, unsigned tag, uint64_t offset,
                                        uint8_t value)
{
    struct bus_access access = {
        .space = BUS_PORT, .size = 1, .write = true, .offset = offset, .value = value,
    };
    return device->ops->access(device, tag, &access);
}

/* Tells nobody: the long way is the only one. */
static enum bus_answer write32_refused(struct device *device, unsigned tag, uint64_t offset,
                                       uint32_t value)
{
    (void)device;
    (void)tag;
    (void)offset;
    (void)value;
    return BUS_UNCLAIMED;
}

/* --- regions --- */

static struct bus_region region_make(enum bus_space space, uint64_t start, uint64_t last,
                                     struct device *device, unsigned tag)
{
    static int64_t (*const read32[])(struct device *device, unsigned tag, uint64_t offset) = {
        [BUS_PORT] = port_read32_by_access,
        [BUS_MMIO] = mmio_read32_by_access,
        [BUS_PCI] = pci_read32_by_access,
    };
    return (struct bus_region){
        .start = start, .last = last, .device = device, .tag = tag, .space = space,
        .read8 = device->ops->read8 ? device->ops->read8 : read8_by_access,
        .read32 = device->ops->read32 ? device->ops->read32 : read32[space],
        .write8 = device->ops->write8 ? device->ops->write8 : write8_by_access,
        .write32 = device->ops->write32 ? device->ops->write32 : write32_refused,
    };
}

static const struct bus_hole no_hole = { .first = UINT64_MAX, .last = 0 };

void bus_init(struct bus *bus)
{
    memset(bus, 0, sizeof(*bus));
    spin_init(&bus->lock);
    bus->shared = true;
    bus->nobody.ops = &nobody_ops;
    bus->regions[REGION_NONE] = region_make(BUS_PORT, 0, 0, &bus->nobody, 0);
    for (unsigned space = 0; space < BUS_SPACES; space++) {
        range_map_init(&bus->maps[space], bus->map_entries[space], BUS_MAX_REGIONS);
        bus->hole[space] = no_hole;
    }
}

void bus_set_private(struct bus *bus)
{
    bus->shared = false;
}

static unsigned find_free_region(const struct bus *bus)
{
    for (unsigned i = REGION_NONE + 1; i < BUS_MAX_REGIONS; i++)
        if (!bus->regions[i].device)
            return i;
    return REGION_NONE;
}

enum hv_err bus_add_locked(struct bus *bus, enum bus_space space, uint64_t start, uint64_t bytes,
                           struct device *device, unsigned tag)
{
    if (space >= BUS_SPACES || !device)
        return HV_ERR_INVALID;
    if (space == BUS_PORT && (start >= BUS_PORTS || bytes > BUS_PORTS - start))
        return HV_ERR_RANGE;
    unsigned number = find_free_region(bus);
    if (number == REGION_NONE)
        return HV_ERR_NO_MEMORY;
    enum hv_err err = range_map_add(&bus->maps[space], start, bytes, number);
    if (err != HV_OK)
        return err;
    bus->regions[number] = region_make(space, start, start + bytes - 1, device, tag);
    bus->hole[space] = no_hole;
    if (space == BUS_PORT)
        memset(&bus->port_region[start], (int)number, bytes);
    return HV_OK;
}

enum hv_err bus_remove_locked(struct bus *bus, enum bus_space space, uint64_t start)
{
    if (space >= BUS_SPACES)
        return HV_ERR_NOT_FOUND;
    const struct range_map_entry *entry = range_map_find(&bus->maps[space], start);
    if (!entry || entry->start != start)
        return HV_ERR_NOT_FOUND;
    unsigned number = entry->value;
    if (space == BUS_PORT)
        memset(&bus->port_region[start], REGION_NONE, entry->last - start + 1);
    bus->regions[number] = (struct bus_region){ .device = NULL };
    bus->hot[space] = REGION_NONE;
    return range_map_remove(&bus->maps[space], start);
}

enum hv_err bus_add(struct bus *bus, enum bus_space space, uint64_t start, uint64_t bytes,
                    struct device *device, unsigned tag)
{
    bus_lock(bus);
    enum hv_err err = bus_add_locked(bus, space, start, bytes, device, tag);
    bus_unlock(bus);
    return err;
}

enum hv_err bus_remove(struct bus *bus, enum bus_space space, uint64_t start)
{
    bus_lock(bus);
    enum hv_err err = bus_remove_locked(bus, space, start);
    bus_unlock(bus);
    return err;
}

/* --- accesses --- */

/* All ones of each size that there is; 0: no such size. */
static const uint64_t size_masks[] = {
    [1] = UINT8_MAX, [2] = UINT16_MAX, [4] = UINT32_MAX, [8] = UINT64_MAX,
};

/* What outlives the call of a device stands in memory, not in registers that would have to be
 * saved first. */
struct bus_call {
    struct bus_access access;
    struct bus *bus;
    uint64_t address;
    uint64_t *value;
};

/* The device has not taken the access. */
static COLD enum bus_answer finish_refused(const struct bus_call *call, enum bus_answer answer)
{
    const struct bus_access *access = &call->access;
    if (answer == BUS_UNCLAIMED)
        return count_unclaimed(call->bus, access->space, call->address, access->size,
                               access->write, call->value);
    if (!access->write)
        *call->value = bus_size_mask(access->size);
    return answer;
}

/* An access that lies in the region with all its bytes. `region` is not used after the call: the
 * device may have moved or removed it. */
static NOINLINE enum bus_answer access_region(struct bus *bus, const struct bus_region *region,
                                              uint64_t address, unsigned size, bool write,
                                              uint64_t *value)
{
    struct bus_call call = {
        .access = {
            .space = region->space, .size = (uint8_t)size, .write = write,
            .offset = address - region->start, .value = write ? *value & size_masks[size] : 0,
        },
        .bus = bus, .address = address, .value = value,
    };
    struct device *device = region->device;
    enum bus_answer answer = device->ops->access(device, region->tag, &call.access);
    if (HV_UNLIKELY(answer != BUS_DONE))
        return finish_refused(&call, answer);
    if (!call.access.write)
        *call.value = call.access.value & size_masks[call.access.size];
    return BUS_DONE;
}

static enum bus_answer dispatch_byte(struct bus *bus, uint64_t port, bool write, uint64_t *value)
{
    unsigned number = port < BUS_PORTS ? bus->port_region[port] : REGION_NONE;
    if (number == REGION_NONE)
        return count_unclaimed(bus, BUS_PORT, port, 1, write, value);
    return access_region(bus, &bus->regions[number], port, 1, write, value);
}

/* A port access that touches more than one region, or a region and nothing: lowest byte first.
 * Bytes past port 0xffff are nobody's: where they go is not architectural. */
static enum bus_answer dispatch_bytes(struct bus *bus, uint64_t port, unsigned size, bool write,
                                      uint64_t *value)
{
    uint64_t whole = 0;
    enum bus_answer answer = BUS_UNCLAIMED;
    for (unsigned i = 0; i < size; i++) {
        uint64_t byte = *value >> (i * 8) & 0xff;
        enum bus_answer got = dispatch_byte(bus, port + i, write, &byte);
        whole |= byte << (i * 8);
        if (got == BUS_FAULT) {
            whole = bus_size_mask(size);
            answer = BUS_FAULT;
            break;
        }
        if (got == BUS_DONE)
            answer = BUS_DONE;
    }
    if (!write)
        *value = whole;
    return answer;
}

/* The access begins in no region, or leaves the one that it begins in. */
static COLD enum bus_answer dispatch_odd(struct bus *bus, uint64_t port, unsigned size, bool write,
                                         uint64_t *value)
{
    for (unsigned i = 0; i < size && port + i < BUS_PORTS; i++)
        if (bus->port_region[port + i] != REGION_NONE)
            return dispatch_bytes(bus, port, size, write, value);
    return count_unclaimed(bus, BUS_PORT, port, size, write, value);
}

/* What is no access at all. */
static COLD enum bus_answer dispatch_bad(bool write, uint64_t *value)
{
    if (!write)
        *value = UINT64_MAX;
    return BUS_FAULT;
}

static inline bool region_holds(const struct bus_region *region, uint64_t address, unsigned size)
{
    uint64_t offset = address - region->start, most = region->last - region->start;
    return offset <= most && size - 1 <= most - offset;
}

static NOINLINE enum bus_answer dispatch_port(struct bus *bus, uint64_t port, unsigned size,
                                              bool write, uint64_t *value)
{
    if (HV_UNLIKELY(size == 8))
        return dispatch_bad(write, value);
    if (HV_UNLIKELY(port >= BUS_PORTS))
        return count_unclaimed(bus, BUS_PORT, port, size, write, value);
    const struct bus_region *region = &bus->regions[bus->port_region[port]];
    if (HV_UNLIKELY(port + size - 1 > region->last))
        return dispatch_odd(bus, port, size, write, value);
    return access_region(bus, region, port, size, write, value);
}

/* The common read of device memory. What the device refuses is asked for again in full, since
 * nothing has happened. */
static NOINLINE enum bus_answer read32_region(struct bus *bus, const struct bus_region *region,
                                              uint64_t address, uint64_t *value)
{
    int64_t got = region->read32(region->device, region->tag, address - region->start);
    if (HV_UNLIKELY(got < 0))
        return access_region(bus, region, address, 4, false, value);
    *value = (uint64_t)got;
    return BUS_DONE;
}

static inline enum bus_answer access_memory(struct bus *bus, const struct bus_region *region,
                                            uint64_t address, unsigned size, bool write,
                                            uint64_t *value)
{
    if (size == 4 && !write)
        return read32_region(bus, region, address, value);
    return access_region(bus, region, address, size, write, value);
}

/* MMIO and PCI, where the region was not the one that was hit last. What begins in a hole is nobody's
 * as a whole. */
static NOINLINE enum bus_answer dispatch_search(struct bus *bus, enum bus_space space,
                                                uint64_t address, unsigned size, bool write,
                                                uint64_t *value)
{
    struct bus_hole *hole = &bus->hole[space];
    if (address >= hole->first && address <= hole->last)
        return count_unclaimed(bus, space, address, size, write, value);
    const struct range_map_entry *entry = range_map_find(&bus->maps[space], address);
    if (!entry)
        range_map_hole(&bus->maps[space], address, &hole->first, &hole->last);
    if (!entry || size - 1 > entry->last - address)
        return count_unclaimed(bus, space, address, size, write, value);
    bus->hot[space] = (uint8_t)entry->value;
    return access_memory(bus, &bus->regions[entry->value], address, size, write, value);
}

enum bus_answer bus_dispatch_locked(struct bus *bus, enum bus_space space, uint64_t address,
                                    unsigned size, bool write, uint64_t *value)
{
    if (HV_UNLIKELY(space >= BUS_SPACES || size >= HV_ARRAY_COUNT(size_masks) || !size_masks[size]))
        return dispatch_bad(write, value);
    if (space == BUS_PORT)
        return dispatch_port(bus, address, size, write, value);
    unsigned hot = bus->hot[space];
    const struct bus_region *region = &bus->regions[hot];
    if (HV_UNLIKELY(hot == REGION_NONE || !region_holds(region, address, size)))
        return dispatch_search(bus, space, address, size, write, value);
    return access_memory(bus, region, address, size, write, value);
}

static COLD enum bus_answer dispatch_shared(struct bus *bus, enum bus_space space, uint64_t address,
                                            unsigned size, bool write, uint64_t *value)
{
    spin_lock(&bus->lock);
    enum bus_answer answer = bus_dispatch_locked(bus, space, address, size, write, value);
    spin_unlock(&bus->lock);
    return answer;
}

enum bus_answer bus_dispatch(struct bus *bus, enum bus_space space, uint64_t address, unsigned size,
                             bool write, uint64_t *value)
{
    if (HV_UNLIKELY(bus->shared))
        return dispatch_shared(bus, space, address, size, write, value);
    return bus_dispatch_locked(bus, space, address, size, write, value);
}

int bus_port_read8_shared(struct bus *bus, uint16_t port)
{
    spin_lock(&bus->lock);
    const struct bus_region *region = &bus->regions[bus->port_region[port]];
    int value = region->read8(region->device, region->tag, port - region->start);
    spin_unlock(&bus->lock);
    return value;
}

enum bus_answer bus_port_write8_shared(struct bus *bus, uint16_t port, uint8_t value)
{
    spin_lock(&bus->lock);
    const struct bus_region *region = &bus->regions[bus->port_region[port]];
    enum bus_answer answer =
        region->write8(region->device, region->tag, port - region->start, value);
    spin_unlock(&bus->lock);
    return answer;
}

int64_t bus_mmio_read32_any(struct bus *bus, uint64_t address)
{
    const struct bus_hole *hole = &bus->hole[BUS_MMIO];
    uint64_t value;

    if (!bus->shared && address >= hole->first && address <= hole->last) {
        bus->unclaimed[BUS_MMIO].last_address = address;
        bus->unclaimed[BUS_MMIO].reads++;
        return UINT32_MAX;
    }
    return bus_dispatch(bus, BUS_MMIO, address, 4, false, &value) == BUS_FAULT
               ? BUS_READ_FAULT : (int64_t)(uint32_t)value;
}
