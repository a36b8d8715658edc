/*
 * Ranges of 64-bit addresses that do not overlap, each with a number: a sorted array with binary
 * search. The array belongs to the owner. No lock: the owner's.
 */
#ifndef HV_RANGE_MAP_H
#define HV_RANGE_MAP_H

#include "hv/types.h"

struct range_map_entry {
    uint64_t start;
    uint64_t last; /* inclusive, so that a range can end at 2^64 - 1 */
    uint32_t value;
};

struct range_map {
    struct range_map_entry *entries; /* sorted by start */
    unsigned count;
    unsigned capacity;
};

void range_map_init(struct range_map *map, struct range_map_entry *entries, unsigned capacity);

/* HV_ERR_INVALID: empty, or wraps; HV_ERR_EXISTS: overlaps; HV_ERR_NO_MEMORY: the array is full. */
enum hv_err range_map_add(struct range_map *map, uint64_t start, uint64_t bytes,
                          uint32_t value) HV_MUST_CHECK;

/* Removes the range that starts at `start`. HV_ERR_NOT_FOUND: none does. */
enum hv_err range_map_remove(struct range_map *map, uint64_t start) HV_MUST_CHECK;

/* The range that holds `address`, or NULL. */
const struct range_map_entry *range_map_find(const struct range_map *map, uint64_t address);

/* The addresses around `address` that no range has; false: one has it. */
bool range_map_hole(const struct range_map *map, uint64_t address, uint64_t *first, uint64_t *last);

/* Does any range touch start..last (inclusive)? */
bool range_map_overlaps(const struct range_map *map, uint64_t start, uint64_t last);

#endif
