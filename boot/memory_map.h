/*
 * From the firmware's memory map to boot_info's. Pure; host-tested.
 */
#ifndef BOOT_MEMORY_MAP_H
#define BOOT_MEMORY_MAP_H

#include "hv/boot_info.h"

/* The firmware's map, as GetMemoryMap gives it: descriptors of `stride_bytes` each. */
struct firmware_map {
    const void *descriptors;
    size_t bytes;
    size_t stride_bytes;
};

/* Sorted, merged and without overlaps (where descriptors overlap, the more careful kind wins), in
 * at most `most` ranges. Returns their number; *complete says whether all fitted: what does not
 * fit is left out, so it is never given out as free memory. */
uint32_t memory_map_convert(const struct firmware_map *map, struct boot_memory *out, uint32_t most,
                            bool *complete);

#endif
