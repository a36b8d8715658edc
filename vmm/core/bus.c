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

_Static_assert(BUS_MAX_REGIONS <= 256, "a region's number must fit the port table's bytes");

void bus_init(struct bus *bus)
{
    memset(bus, 0, sizeof(*bus));
    spin_init(&bus->lock);
    for (unsigned space = 0; space < BUS_SPACES; space++)
        range_map_init(&bus->maps[space], bus->map_entries[space], BUS_MAX_REGIONS);
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
    bus->regions[number] = (struct bus_region){
        .start = start, .last = start + bytes - 1, .device = device, .tag = tag, .space = space,
    };
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
    return range_map_remove(&bus->maps[space], start);
}

enum hv_err bus_add(struct bus *bus, enum bus_space space, uint64_t start, uint64_t bytes,
                    struct device *device, unsigned tag)
{
    spin_lock(&bus->lock);
    enum hv_err err = bus_add_locked(bus, space, start, bytes, device, tag);
    spin_unlock(&bus->lock);
    return err;
}

enum hv_err bus_remove(struct bus *bus, enum bus_space space, uint64_t start)
{
    spin_lock(&bus->lock);
    enum hv_err err = bus_remove_locked(bus, space, start);
    spin_unlock(&bus->lock);
    return err;
}

static unsigned find_region(const struct bus *bus, enum bus_space space, uint64_t address)
{
    if (space == BUS_PORT)
        return address < BUS_PORTS ? bus->port_region[address] : REGION_NONE;
    const struct range_map_entry *entry = range_map_find(&bus->maps[space], address);
    return entry ? entry->value : REGION_NONE;
}

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

/* An access that lies in the region with all its bytes. */
static inline enum bus_answer access_region(struct bus *bus, const struct bus_region *region,
                                            uint64_t address, unsigned size, bool write,
                                            uint64_t *value)
{
    uint64_t mask = bus_size_mask(size);
    struct bus_access access = {
        .space = region->space, .size = (uint8_t)size, .write = write,
        .offset = address - region->start, .value = write ? *value & mask : 0,
    };
    enum bus_space space = region->space;
    enum bus_answer answer = region->device->ops->access(region->device, region->tag, &access);
    /* The device may have moved or removed the region. */
    if (HV_UNLIKELY(answer == BUS_UNCLAIMED))
        return count_unclaimed(bus, space, address, size, write, value);
    if (!write)
        *value = answer == BUS_DONE ? access.value & mask : mask;
    return answer;
}

static enum bus_answer dispatch_byte(struct bus *bus, uint64_t port, bool write, uint64_t *value)
{
    unsigned number = find_region(bus, BUS_PORT, port);
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
static enum bus_answer dispatch_odd(struct bus *bus, enum bus_space space, uint64_t address,
                                    unsigned size, bool write, uint64_t *value)
{
    if (space != BUS_PORT || address >= BUS_PORTS)
        return count_unclaimed(bus, space, address, size, write, value);
    for (unsigned i = 0; i < size; i++)
        if (find_region(bus, BUS_PORT, address + i) != REGION_NONE)
            return dispatch_bytes(bus, address, size, write, value);
    return count_unclaimed(bus, space, address, size, write, value);
}

/* A set bit for each size that the space takes. */
static inline bool is_size_valid(enum bus_space space, unsigned size)
{
    uint64_t sizes = 1u << 1 | 1u << 2 | 1u << 4 | (space == BUS_PORT ? 0 : 1u << 8);
    return size <= 8 && (sizes >> size & 1);
}

enum bus_answer bus_dispatch_locked(struct bus *bus, enum bus_space space, uint64_t address,
                                    unsigned size, bool write, uint64_t *value)
{
    if (HV_UNLIKELY(space >= BUS_SPACES || !is_size_valid(space, size))) {
        if (!write)
            *value = UINT64_MAX;
        return BUS_FAULT;
    }
    unsigned number = find_region(bus, space, address);
    const struct bus_region *region = &bus->regions[number];
    if (HV_UNLIKELY(number == REGION_NONE || size - 1 > region->last - address))
        return dispatch_odd(bus, space, address, size, write, value);
    return access_region(bus, region, address, size, write, value);
}

enum bus_answer bus_dispatch(struct bus *bus, enum bus_space space, uint64_t address, unsigned size,
                             bool write, uint64_t *value)
{
    spin_lock(&bus->lock);
    enum bus_answer answer = bus_dispatch_locked(bus, space, address, size, write, value);
    spin_unlock(&bus->lock);
    return answer;
}
