/*
 * The firmware's memory map, turned into a sorted one of few kinds.
 *
 * Not here: asking for it (handover order matters; see leave.c). Pure; no lock.
 * UEFI specification, "EFI_BOOT_SERVICES.GetMemoryMap()", tables "Memory Type Usage".
 */
#include "boot/memory_map.h"

#include "hv/string.h"

/* EFI_MEMORY_DESCRIPTOR, version 1. Newer firmware may append fields: hence the stride. */
struct firmware_descriptor {
    uint32_t type;
    uint32_t reserved;
    uint64_t physical_start;
    uint64_t virtual_start;
    uint64_t pages;
    uint64_t attributes;
};

_Static_assert(sizeof(struct firmware_descriptor) == 40, "UEFI: EFI_MEMORY_DESCRIPTOR");

enum {
    FIRMWARE_LOADER_CODE = 1,
    FIRMWARE_LOADER_DATA = 2,
    FIRMWARE_BOOT_SERVICES_CODE = 3,
    FIRMWARE_BOOT_SERVICES_DATA = 4,
    FIRMWARE_CONVENTIONAL = 7,
    FIRMWARE_ACPI_RECLAIM = 9,
    FIRMWARE_MMIO = 11,
    FIRMWARE_MMIO_PORTS = 12,
};

#define FIRMWARE_ATTRIBUTE_WB UINT64_C(0x8)
#define FIRMWARE_ATTRIBUTE_SPECIFIC_PURPOSE UINT64_C(0x40000)
#define FIRMWARE_ATTRIBUTE_RUNTIME UINT64_C(0x8000000000000000)

struct span {
    uint64_t start, end; /* end is exclusive */
    enum boot_memory_kind kind;
};

static enum boot_memory_kind if_cached(const struct firmware_descriptor *descriptor,
                                       enum boot_memory_kind kind)
{
    return descriptor->attributes & FIRMWARE_ATTRIBUTE_WB ? kind : BOOT_MEMORY_FIRMWARE;
}

static enum boot_memory_kind kind_of(const struct firmware_descriptor *descriptor)
{
    if (descriptor->type == FIRMWARE_MMIO || descriptor->type == FIRMWARE_MMIO_PORTS)
        return BOOT_MEMORY_MMIO;
    if (descriptor->type == FIRMWARE_ACPI_RECLAIM)
        return BOOT_MEMORY_ACPI;
    /* Memory that can't be cached, that runtime services use, or that the platform sets aside for
     * a purpose of its own is no memory to run guests in, whatever its type. */
    if (descriptor->attributes & (FIRMWARE_ATTRIBUTE_RUNTIME | FIRMWARE_ATTRIBUTE_SPECIFIC_PURPOSE))
        return BOOT_MEMORY_FIRMWARE;
    switch (descriptor->type) {
    case FIRMWARE_LOADER_CODE:
    case FIRMWARE_LOADER_DATA:
        return BOOT_MEMORY_TRAPLINE;
    /* Free by the letter of the specification, but it holds the page tables, GDT and stacks that
     * every core still runs on. */
    case FIRMWARE_BOOT_SERVICES_CODE:
    case FIRMWARE_BOOT_SERVICES_DATA:
        return if_cached(descriptor, BOOT_MEMORY_RECLAIM);
    case FIRMWARE_CONVENTIONAL:
        return if_cached(descriptor, BOOT_MEMORY_FREE);
    default:
        return BOOT_MEMORY_FIRMWARE;
    }
}

/* How careful a kind is: of two that claim the same page, the higher one holds. */
static unsigned care_of(enum boot_memory_kind kind)
{
    switch (kind) {
    case BOOT_MEMORY_FREE:
        return 0;
    case BOOT_MEMORY_RECLAIM:
        return 1;
    case BOOT_MEMORY_TRAPLINE:
        return 2;
    case BOOT_MEMORY_ACPI:
        return 3;
    case BOOT_MEMORY_MMIO:
        return 4;
    case BOOT_MEMORY_FIRMWARE:
        break;
    }
    return 5;
}

/* False: the descriptor is empty or wraps around. */
static bool span_at(const struct firmware_map *map, size_t offset, struct span *span)
{
    struct firmware_descriptor descriptor;
    memcpy(&descriptor, (const uint8_t *)map->descriptors + offset, sizeof(descriptor));
    uint64_t start = hv_align_down(descriptor.physical_start, HV_PAGE_BYTES);
    uint64_t most = (UINT64_MAX - start) >> HV_PAGE_SHIFT;
    if (descriptor.pages == 0 || descriptor.pages > most)
        return false;
    span->start = start;
    span->end = start + (descriptor.pages << HV_PAGE_SHIFT);
    span->kind = kind_of(&descriptor);
    return true;
}

/* What holds at `at`, up to the next place where that could change. False: nothing is there, and
 * found->end is where the next span begins (UINT64_MAX: none does). */
static bool span_covering(const struct firmware_map *map, uint64_t at, struct span *found)
{
    bool covered = false;
    *found = (struct span){ at, UINT64_MAX, BOOT_MEMORY_FREE };
    for (size_t offset = 0; offset + sizeof(struct firmware_descriptor) <= map->bytes;
         offset += map->stride_bytes) {
        struct span span;
        if (!span_at(map, offset, &span) || span.end <= at)
            continue;
        if (span.start > at) {
            found->end = hv_min_u64(found->end, span.start);
            continue;
        }
        found->end = hv_min_u64(found->end, span.end);
        if (!covered || care_of(span.kind) > care_of(found->kind))
            found->kind = span.kind;
        covered = true;
    }
    return covered;
}

/* Joins the span to the last range if it continues it. False: the table is full. */
static bool append(struct boot_memory *out, uint32_t *count, uint32_t most, const struct span *span)
{
    if (*count > 0) {
        struct boot_memory *last = &out[*count - 1];
        if (last->kind == span->kind && last->start + last->bytes == span->start) {
            last->bytes += span->end - span->start;
            return true;
        }
    }
    if (*count == most)
        return false;
    out[(*count)++] = (struct boot_memory){ span->start, span->end - span->start, span->kind };
    return true;
}

uint32_t memory_map_convert(const struct firmware_map *map, struct boot_memory *out, uint32_t most,
                            bool *complete)
{
    uint32_t count = 0;
    *complete = true;
    if (map->stride_bytes < sizeof(struct firmware_descriptor)) {
        *complete = false;
        return 0;
    }
    /* Page 0 holds the real-mode vectors, and a null pointer must never be somebody's memory. */
    struct span span = { 0, HV_PAGE_BYTES, BOOT_MEMORY_FIRMWARE };
    *complete = append(out, &count, most, &span);
    for (uint64_t at = HV_PAGE_BYTES; at != UINT64_MAX; at = span.end) {
        if (span_covering(map, at, &span) && !append(out, &count, most, &span))
            *complete = false;
    }
    return count;
}
