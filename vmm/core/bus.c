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

static enum bus_answer nobody_access(struct device *device, unsigned tag, struct bus_access *access)
{
    (void)device;
    (void)tag;
    (void)access;
    return BUS_UNCLAIMED;
}

/* Stands in region 0, so that the hot path needs no test for it. It ends at address 0: every access
 * but one byte at port 0 leaves it. */
static const struct device_ops nobody_ops = { .name = "nobody", .access = nobody_access };
static const struct device nobody = { .ops = &nobody_ops };

void bus_init(struct bus *bus)
{
    memset(bus, 0, sizeof(*bus));
    spin_init(&bus->lock);
    bus->regions[REGION_NONE].device = (struct device *)(uintptr_t)&nobody;
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

/* All ones of each size that there is; 0: no such size. */
static const uint64_t size_masks[] = {
    [1] = UINT8_MAX, [2] = UINT16_MAX, [4] = UINT32_MAX, [8] = UINT64_MAX,
};

/* What outlives the call of a device stands in memory, not in registers that would have to be
 * saved first: this is the path of every exit for a device. */
struct bus_call {
    struct bus_access access;
    uint64_t address;
};

/* The device has not taken the access. */
static COLD enum bus_answer finish_refused(struct bus *bus, const struct bus_call *call,
                                           enum bus_answer answer, uint64_t *value)
{
    if (answer != BUS_UNCLAIMED) {
        if (!call->access.write)
            *value = bus_size_mask(call->access.size);
        return answer;
    }
    return count_unclaimed(bus, call->access.space, call->address, call->access.size,
                           call->access.write, value);
}

/* An access that lies in the region with all its bytes. `region` is not used after the call: the
 * device may have moved or removed it. */
static inline enum bus_answer access_region(struct bus *bus, enum bus_space space,
                                            const struct bus_region *region, uint64_t address,
                                            unsigned size, bool write, uint64_t *value)
{
    struct bus_call call = {
        .access = {
            .space = space, .size = (uint8_t)size, .write = write,
            .offset = address - region->start, .value = write ? *value & size_masks[size] : 0,
        },
        .address = address,
    };
    struct device *device = region->device;
    enum bus_answer answer = device->ops->access(device, region->tag, &call.access);
    if (HV_UNLIKELY(answer != BUS_DONE))
        return finish_refused(bus, &call, answer, value);
    if (!call.access.write)
        *value = call.access.value & size_masks[call.access.size];
    return BUS_DONE;
}

static enum bus_answer dispatch_byte(struct bus *bus, uint64_t port, bool write, uint64_t *value)
{
    unsigned number = find_region(bus, BUS_PORT, port);
    if (number == REGION_NONE)
        return count_unclaimed(bus, BUS_PORT, port, 1, write, value);
    return access_region(bus, BUS_PORT, &bus->regions[number], port, 1, write, value);
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
static COLD enum bus_answer dispatch_odd(struct bus *bus, enum bus_space space, uint64_t address,
                                         unsigned size, bool write, uint64_t *value)
{
    if (space != BUS_PORT || address >= BUS_PORTS)
        return count_unclaimed(bus, space, address, size, write, value);
    for (unsigned i = 0; i < size; i++)
        if (find_region(bus, BUS_PORT, address + i) != REGION_NONE)
            return dispatch_bytes(bus, address, size, write, value);
    return count_unclaimed(bus, space, address, size, write, value);
}

static bool is_size_valid(enum bus_space space, unsigned size)
{
    return size < HV_ARRAY_COUNT(size_masks) && size_masks[size] && (space != BUS_PORT || size < 8);
}

enum bus_answer bus_dispatch_locked(struct bus *bus, enum bus_space space, uint64_t address,
                                    unsigned size, bool write, uint64_t *value)
{
    if (space >= BUS_SPACES || !is_size_valid(space, size)) {
        if (!write)
            *value = UINT64_MAX;
        return BUS_FAULT;
    }
    unsigned number = find_region(bus, space, address);
    const struct bus_region *region = &bus->regions[number];
    if (number == REGION_NONE || size - 1 > region->last - address)
        return dispatch_odd(bus, space, address, size, write, value);
    return access_region(bus, space, region, address, size, write, value);
}

/* Everything but a well-formed access to one port region. */
static NOINLINE enum bus_answer dispatch_other(struct bus *bus, enum bus_space space,
                                               uint64_t address, unsigned size, bool write,
                                               uint64_t *value)
{
    spin_lock(&bus->lock);
    enum bus_answer answer = bus_dispatch_locked(bus, space, address, size, write, value);
    spin_unlock(&bus->lock);
    return answer;
}

enum bus_answer bus_dispatch(struct bus *bus, enum bus_space space, uint64_t address, unsigned size,
                             bool write, uint64_t *value)
{
    const unsigned port_sizes = 1u << 1 | 1u << 2 | 1u << 4;
    if (HV_UNLIKELY(space != BUS_PORT || address >= BUS_PORTS || size > 4 ||
                    !(port_sizes >> size & 1)))
        return dispatch_other(bus, space, address, size, write, value);
    spin_lock(&bus->lock);
    enum bus_answer answer;
    size_t number = bus->port_region[address];
    const struct bus_region *region = &bus->regions[number];
    if (HV_LIKELY(address + size - 1 <= region->last))
        answer = access_region(bus, BUS_PORT, region, address, size, write, value);
    else
        answer = dispatch_odd(bus, BUS_PORT, address, size, write, value);
    spin_unlock(&bus->lock);
    return answer;
}
