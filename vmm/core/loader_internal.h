/*
 * What the loaders share: places in the guest's memory, diagnoses, little-endian fields.
 * Not for others: those include hv/loader.h.
 */
#ifndef LOADER_INTERNAL_H
#define LOADER_INTERNAL_H

#include "hv/loader.h"
#include "hv/string.h"

#define LOADER_MAX_SEGMENTS 32 /* of one kernel */
#define LOADER_MAX_PLACES (LOADER_MAX_SEGMENTS + 32)

#define LOADER_1MB UINT64_C(0x100000)
#define LOADER_4GB UINT64_C(0x100000000)
/* Where small structures go: clear of the pages in which kernels like to start other cores, and
 * below the end of conventional memory. */
#define LOADER_LOW_LEAST UINT64_C(0x10000)
#define LOADER_LOW_LIMIT UINT64_C(0xa0000)

struct loader_place {
    uint64_t start;
    uint64_t end; /* exclusive */
};

struct loader {
    const struct loader_request *request;
    struct loader_result *result;
    struct loader_diagnosis *diagnosis;
    struct loader_place places[LOADER_MAX_PLACES]; /* taken so far, in no order */
    unsigned place_count;
};

/* A place that is wanted: all of it at or above `least` and below `limit`. */
struct loader_want {
    uint64_t bytes;
    uint64_t align_bytes; /* a power of two */
    uint64_t least;
    uint64_t limit; /* exclusive */
    bool highest;   /* rather than the lowest that there is */
};

/* Writes the diagnosis, "NAME: ", then the format; returns `err`. */
enum hv_err loader_refuse(struct loader *loader, const struct loader_file *file, enum hv_err err,
                          const char *format, ...) HV_PRINTF(4, 5) HV_MUST_CHECK;

/* Is all of it RAM in the guest's map? */
bool loader_is_ram(const struct loader *loader, uint64_t start, uint64_t bytes);
/* ... and nothing there that was placed before? */
bool loader_is_free(const struct loader *loader, uint64_t start, uint64_t bytes);

/* Marks a place as taken. HV_ERR_NO_MEMORY: more than LOADER_MAX_PLACES. */
enum hv_err loader_reserve(struct loader *loader, uint64_t start, uint64_t bytes) HV_MUST_CHECK;

/* Finds a free place in RAM and takes it. HV_ERR_RANGE: there is none. */
enum hv_err loader_find(struct loader *loader, const struct loader_want *want,
                        uint64_t *start) HV_MUST_CHECK;

/* A zeroed, page-aligned place in low memory that the host can write to: *host. */
enum hv_err loader_find_low(struct loader *loader, const char *what, uint64_t bytes,
                            uint64_t *start, uint8_t **host) HV_MUST_CHECK;

/* Copies into RAM; the place was checked before. */
enum hv_err loader_copy(struct loader *loader, const struct loader_file *file, uint64_t to,
                        const void *from, uint64_t bytes) HV_MUST_CHECK;
enum hv_err loader_zero(struct loader *loader, const struct loader_file *file, uint64_t start,
                        uint64_t bytes) HV_MUST_CHECK;

/* A GDT with flat code (64-bit or 32-bit) and data segments, code at `code_selector`, data behind
 * it; and one page of stack. Fills in the result. */
enum hv_err loader_make_gdt_and_stack(struct loader *loader, uint16_t code_selector,
                                      bool code_is_64_bit) HV_MUST_CHECK;

/* The guest's RAM in the map, in bytes. */
uint64_t loader_ram_bytes(const struct loader *loader);

/* --- file formats --- */

bool loader_linux_matches(const struct loader_file *kernel);
enum hv_err loader_linux_load(struct loader *loader) HV_MUST_CHECK;

/* The offset of the multiboot header, or -1. *wrong_checksum: there is one but for its checksum. */
int64_t loader_multiboot_find(const struct loader_file *kernel, bool *wrong_checksum);
enum hv_err loader_multiboot_load(struct loader *loader, uint64_t header_offset) HV_MUST_CHECK;

/* Loads an ELF kernel by its program headers. *entry: the physical address to start at; *end: the
 * first address above all that was loaded. */
enum hv_err loader_elf_load(struct loader *loader, uint64_t *entry, uint64_t *end) HV_MUST_CHECK;

/* The section headers of an ELF kernel in the guest's memory. */
struct loader_elf_sections {
    uint64_t start; /* of the table; 0: the kernel has none, or they found no place */
    uint16_t entry_bytes;
    uint16_t count;
    uint16_t names; /* the section that holds the sections' names */
};

/* Puts the section headers, and the sections that are not loaded otherwise (symbols, names), above
 * `above`. For a file that loader_elf_load has taken. They are a convenience: where they are
 * malformed or do not fit, the kernel starts without them. */
enum hv_err loader_elf_load_sections(struct loader *loader, uint64_t above,
                                     struct loader_elf_sections *sections) HV_MUST_CHECK;

/* In a few words, what a file is: "gzip data", "an empty file". Returns a constant string. */
const char *loader_describe(const struct loader_file *file);

/* --- little-endian fields, at any alignment; the caller has checked the bounds --- */

static inline uint16_t loader_get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t loader_get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint64_t loader_get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline void loader_put32(uint8_t *at, uint64_t value)
{
    uint32_t low = (uint32_t)value;
    memcpy(at, &low, sizeof(low));
}

static inline void loader_put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

/* Does offset..offset+bytes lie in the file? */
static inline bool loader_file_holds(const struct loader_file *file, uint64_t offset,
                                     uint64_t bytes)
{
    return offset <= file->bytes && bytes <= file->bytes - offset;
}

#endif
