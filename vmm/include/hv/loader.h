/*
 * Loaders: put a kernel into guest memory and say in which state its first vCPU starts.
 * Pure: files and guest memory are byte ranges; nothing in a file is trusted.
 */
#ifndef HV_LOADER_H
#define HV_LOADER_H

#include "hv/gpa_space.h"
#include "hv/types.h"

#define LOADER_MULTIBOOT1_EAX 0x2badb002u

enum loader_entry {
    LOADER_ENTRY_LINUX64,    /* long mode, identity page tables, RSI = zero page, RIP = entry */
    LOADER_ENTRY_LINUX32,    /* flat protected mode, paging off, ESI = zero page */
    LOADER_ENTRY_MULTIBOOT1, /* flat protected mode, paging off, EAX = magic, EBX = info */
};

struct loader_file {
    const char *name;   /* as in the operator's file; for messages and multiboot command lines */
    const uint8_t *data;
    uint64_t bytes;
    const char *arguments;
};

/* The guest's physical memory map, as firmware would report it (E820 types). */
enum loader_range_kind { LOADER_RANGE_RAM = 1, LOADER_RANGE_RESERVED = 2, LOADER_RANGE_ACPI = 3 };

struct loader_range {
    uint64_t start, bytes;
    enum loader_range_kind kind;
};

struct loader_request {
    const struct gpa_space *memory;
    const struct loader_range *map;   /* sorted */
    unsigned map_count;
    uint64_t rsdp;                    /* guest-physical; 0: none */
    struct loader_file kernel;
    const char *cmdline;
    struct loader_file initrd;        /* data NULL: none (Linux) */
    const struct loader_file *modules;/* multiboot */
    unsigned module_count;
    bool pages_1g;                    /* the guest's processor has 1 GB pages */
};

struct loader_result {
    enum loader_entry entry;
    uint64_t rip;
    uint64_t boot_params;   /* guest-physical address of the zero page, or of the multiboot info */
    uint64_t cr3;           /* guest-physical; LINUX64 only */
    uint64_t gdt;           /* guest-physical address and limit of the table that was built */
    uint16_t gdt_limit;
    uint16_t code_selector; /* what CS holds at entry: flat, of the entry's mode */
    uint16_t data_selector; /* what DS, ES, FS, GS and SS hold: flat */
    uint64_t stack;         /* a valid stack top below 1 MB, for kernels that expect one; or 0 */
};

/* Why a file was refused: one sentence for the operator (what was found, what was expected). It
 * begins with the file's name. */
struct loader_diagnosis { char text[320]; };

/* Tells bzImage and multiboot apart by their headers and loads. HV_ERR_INVALID (malformed or
 * foreign file), HV_ERR_RANGE (does not fit into the guest's memory), HV_ERR_UNSUPPORTED (a form of
 * kernel that exists and is not taken). Writes only what the kernel is promised: memory that holds
 * none of it stays untouched, so a failure may leave some written.
 *
 * Multiboot starts with EAX = LOADER_MULTIBOOT1_EAX and EBX = boot_params. */
enum hv_err loader_load(const struct loader_request *request, struct loader_result *result,
                        struct loader_diagnosis *diagnosis) HV_MUST_CHECK;

#endif
