/*
 * The hypervisor's own page tables: builder, walker, and the machine's one instance.
 *
 * Linear equals physical. Not here: EPT and guests' tables (arch/x86/mm).
 * SDM volume 3 "4-Level Paging and 5-Level Paging", "Page Attribute Table (PAT)".
 */
#ifndef X86_HOST_PAGING_H
#define X86_HOST_PAGING_H

#include "hv/types.h"

struct boot_info;
struct page_alloc;

/* --- Pure builder: host_paging.c ----------------------------------------------------------- */

/* Where table pages come from, and how they are reached. */
struct host_pt_memory {
    void *context;
    uint64_t (*take)(void *context);                         /* a zeroed page, 0: none left */
    uint64_t *(*pointer)(void *context, uint64_t physical);  /* to the 512 entries of a table */
};

struct host_pt {
    struct host_pt_memory memory;
    uint64_t root;
    unsigned levels;      /* 4, or 5 when firmware left CR4.LA57 set */
    bool pages_1g;        /* CPUID: 1-GByte pages */
    uint64_t table_pages; /* taken so far, the root included */
};

/* Rights and memory type of a mapping. Every present mapping can be read. */
enum host_pt_flags {
    HOST_PT_NONE = 0, /* not present */
    HOST_PT_READ = 1u << 0,
    HOST_PT_WRITE = 1u << 1,
    HOST_PT_EXECUTE = 1u << 2,
    HOST_PT_WC = 1u << 3, /* memory type; write-back without any of the two */
    HOST_PT_UC = 1u << 4,
};

struct host_pt_leaf {
    uint64_t start; /* of the page that holds the address, or of the hole */
    uint64_t bytes; /* its size */
    unsigned flags; /* HOST_PT_NONE: not mapped */
};

/* Takes the root page. HV_ERR_NO_MEMORY. */
enum hv_err host_pt_init(struct host_pt *pt, const struct host_pt_memory *memory, unsigned levels,
                         bool pages_1g) HV_MUST_CHECK;

/* Gives [start, start + bytes) the flags, whatever it had before: maps, changes rights, or (with
 * HOST_PT_NONE) takes away. Uses the largest pages that fit and splits larger ones. The caller
 * flushes. HV_ERR_INVALID: not page-aligned, wraps, beyond the lower half, or both writable and
 * executable; HV_ERR_NO_MEMORY: no page for a table (part of the range may have been done). */
enum hv_err host_pt_set(struct host_pt *pt, uint64_t start, uint64_t bytes,
                        unsigned flags) HV_MUST_CHECK;

/* What is at this address? */
struct host_pt_leaf host_pt_lookup(const struct host_pt *pt, uint64_t linear);

/* Looks at every mapping as the processor does (rights of all levels together). Returns the number
 * of pages, of whatever size, that are both writable and executable, and the first one's address. */
uint64_t host_pt_count_writable_executable(const struct host_pt *pt, uint64_t *first);

/* The PAT that these tables need: entry 1 is WC instead of WT, the rest as after reset. */
#define HOST_PAT 0x0007040600070106ull

/* --- The machine's instance: host_memory.c -------------------------------------------------- */

/* The allocator of all memory that nobody else needs. */
struct page_alloc *hv_pages(void);

/* Builds the allocator and the page tables from what boot/ has handed over. Boot core, once.
 * Panics when there is no memory for them. The allocator has the early memory only, if there is any. */
void host_memory_init(const struct boot_info *info);

/* Gives the rest of the free memory to the allocator, with our own page tables in use. Boot core, once. */
void host_memory_add_free(const struct boot_info *info);

/* Gives the memory of firmware's boot services to the allocator, once nobody uses it: no core runs
 * on firmware's tables or waits in firmware's loop, and what its tables say has been read. Else it
 * is left alone, which is logged. Boot core, once. */
void host_memory_reclaim(const struct boot_info *info, bool nobody_uses_it);

/* Loads PAT, CR3 and the control registers that go with them on this core. */
void host_paging_load(void);
/* The same, without a change to XCR0. */
void host_paging_enter(void);

/* CR3 of every core, below 4 GB. */
uint64_t host_cr3(void);
/* CR4 for a core that loads it first: as many levels of tables as the boot core has. */
uint32_t host_start_cr4(void);

/* Maps device registers uncached, read and write, and returns them; a range that is mapped already
 * in the same way is given out again. NULL: the range is RAM or nonsense, or no memory (logged).
 * Any core, own lock. */
volatile void *host_map_mmio(uint64_t physical, uint64_t bytes);

/* Maps firmware's tables for reading. NULL: the range holds a byte that firmware has not described
 * as memory (or is not in the BIOS area below 1 MB), or no memory. Any core, own lock. */
const void *host_map_firmware(uint64_t physical, uint64_t bytes);

/* Takes one page out, for a guard below a stack. Only while no other core runs. */
enum hv_err host_unmap_page(uint64_t physical) HV_MUST_CHECK;

/* Gives one page of RAM the flags, and flushes this core. Only while no other core runs. */
enum hv_err host_protect_page(uint64_t physical, unsigned flags) HV_MUST_CHECK;

/* Nothing is both writable and executable, and page 0 is not mapped: panics otherwise. */
void host_paging_check(void);

#endif
