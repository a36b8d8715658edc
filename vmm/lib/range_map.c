/*
 * Ranges by binary search in a sorted array. Pure; the owner's lock.
 */
#include "hv/range_map.h"

#include "hv/string.h"

void range_map_init(struct range_map *map, struct range_map_entry *entries, unsigned capacity)
{
    *map = (struct range_map){ .entries = entries, .capacity = capacity };
}

/* How many ranges start at or before `address`. */
static unsigned count_up_to(const struct range_map *map, uint64_t address)
{
    unsigned low = 0, high = map->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (map->entries[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct range_map_entry *range_map_find(const struct range_map *map, uint64_t address)
{
    unsigned before = count_up_to(map, address);
    if (before == 0)
        return NULL;
    const struct range_map_entry *entry = &map->entries[before - 1];
    return address <= entry->last ? entry : NULL;
}

bool range_map_hole(const struct range_map *map, uint64_t address, uint64_t *first, uint64_t *last)
{
    unsigned before = count_up_to(map, address);

    *first = 0;
    *last = before < map->count ? map->entries[before].start - 1 : UINT64_MAX;
    if (before == 0)
        return true;
    *first = map->entries[before - 1].last + 1;
    return address > map->entries[before - 1].last;
}

bool range_map_overlaps(const struct range_map *map, uint64_t start, uint64_t last)
{
    unsigned before = count_up_to(map, last);
    return before > 0 && map->entries[before - 1].last >= start;
}

enum hv_err range_map_add(struct range_map *map, uint64_t start, uint64_t bytes, uint32_t value)
{
    uint64_t last = start + bytes - 1;
    if (bytes == 0 || last < start)
        return HV_ERR_INVALID;
    if (range_map_overlaps(map, start, last))
        return HV_ERR_EXISTS;
    if (map->count == map->capacity)
        return HV_ERR_NO_MEMORY;
    unsigned at = count_up_to(map, start);
    memmove(&map->entries[at + 1], &map->entries[at], (map->count - at) * sizeof(map->entries[0]));
    map->entries[at] = (struct range_map_entry){ .start = start, .last = last, .value = value };
    map->count++;
    return HV_OK;
}

enum hv_err range_map_remove(struct range_map *map, uint64_t start)
{
    unsigned before = count_up_to(map, start);
    if (before == 0 || map->entries[before - 1].start != start)
        return HV_ERR_NOT_FOUND;
    memmove(&map->entries[before - 1], &map->entries[before],
            (map->count - before) * sizeof(map->entries[0]));
    map->count--;
    return HV_OK;
}
