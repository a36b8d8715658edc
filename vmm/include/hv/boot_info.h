/*
 * What the UEFI stage hands over: the one header that boot/ shares with the rest. After the
 * hand-over no firmware pointer is used; everything here is data in memory that Trapline owns.
 */
#ifndef HV_BOOT_INFO_H
#define HV_BOOT_INFO_H

#include "hv/config.h"
#include "hv/types.h"

#define BOOT_INFO_MAGIC UINT64_C(0x31304f464e494254) /* "TBINFO01" */
#define BOOT_INFO_VERSION 5u
#define BOOT_INFO_MAX_MEMORY 512
#define BOOT_INFO_MAX_FILES 40

enum boot_memory_kind {
    BOOT_MEMORY_FREE,     /* RAM that nobody needs any more: Trapline's to give out */
    BOOT_MEMORY_TRAPLINE, /* image, stack, files, this structure */
    BOOT_MEMORY_FIRMWARE, /* runtime services, ACPI NVS, reserved RAM: hands off */
    BOOT_MEMORY_ACPI,     /* ACPI tables: read only */
    BOOT_MEMORY_MMIO,
    BOOT_MEMORY_RECLAIM,  /* boot services': free once no core uses firmware's tables and stacks */
};

struct boot_memory {
    uint64_t start;
    uint64_t bytes;
    enum boot_memory_kind kind;
};

struct boot_file {
    char path[CONFIG_PATH_BYTES]; /* as the config names it */
    uint64_t start;               /* host-physical = pointer (identity) */
    uint64_t bytes;
};

enum boot_pixel_format { BOOT_PIXEL_NONE, BOOT_PIXEL_RGBX, BOOT_PIXEL_BGRX };

struct boot_framebuffer {
    uint64_t start;
    uint64_t bytes;
    uint32_t width, height;      /* pixels */
    uint32_t pitch_bytes;        /* of a line */
    enum boot_pixel_format format;
};

/* What the unpacker leaves for the image, where the image's headers would be. */
struct boot_unpack_mark {
    uint64_t magic;
    uint64_t start_tsc;
};

#define BOOT_UNPACK_MAGIC UINT64_C(0x314b5041504e5554) /* "TUNPAPK1" */

/* Parts of the loaded image, page-aligned, each mapped with just the rights that it needs. */
struct boot_image {
    uint64_t text_start, text_bytes;     /* read, execute */
    uint64_t rodata_start, rodata_bytes; /* read */
    uint64_t data_start, data_bytes;     /* read, write: data and bss */
};

struct boot_info {
    uint64_t magic;
    uint32_t version;
    uint32_t bytes;              /* sizeof(struct boot_info) */
    struct boot_image image;
    uint64_t stack_start, stack_bytes; /* the boot core's */
    uint64_t early_start, early_bytes; /* Trapline's; to be used before its own page tables are, under
                                        * which firmware may map nothing that is free; 0: all is */
    uint64_t start_page;         /* one free page below 1 MB for starting cores; 0: none found */
    uint64_t rsdp;               /* ACPI root pointer; 0: no ACPI */
    uint64_t epoch_seconds;      /* UTC at the hand-over */
    uint64_t epoch_tsc;          /* the TSC when it was read */
    uint64_t firmware_tsc_hz;    /* the TSC's rate by firmware's own wait, to a percent or so */
    /* Where the time went before the hand-over: the TSC at the file's first instruction, at the
     * unpacked image's first, ticks that files took to be read, the TSC at the hand-over. */
    uint64_t start_tsc, unpacked_tsc, files_ticks, handover_tsc;
    struct boot_framebuffer framebuffer;
    uint32_t cpu_count_hint;     /* enabled processors by MP Services; 0: unknown */
    uint8_t apic_ids_valid;
    uint32_t apic_ids[256];      /* of the enabled processors, boot core first */
    uint32_t memory_count;
    struct boot_memory memory[BOOT_INFO_MAX_MEMORY]; /* sorted, not overlapping */
    uint32_t file_count;
    struct boot_file files[BOOT_INFO_MAX_FILES];
    struct config config;
};

#endif
