/*
 * The owner of the machine's free memory: physical pages in contiguous runs, of any alignment.
 *
 * A sorted list of free extents, so that a 1 GB run costs what a page costs, and memory that nobody
 * asked for is never touched. Best fit: small runs come from small extents, which leaves the large
 * ones whole for guests. Not for small objects, and not for a hot path: O(extents).
 *
 * Pure: an address is only a number here, except where zeroing is asked for (host-physical equals
 * pointer in Trapline's identity map). Lock: its own, taken by every function below.
 */
#ifndef HV_PAGE_ALLOC_H
#define HV_PAGE_ALLOC_H

#include "hv/spinlock.h"
#include "hv/types.h"

#define PAGE_ALLOC_MAX_RANGES 512
#define PAGE_ALLOC_MAX_EXTENTS 2048

#define PAGE_ALIGN_4K UINT64_C(0x1000)
#define PAGE_ALIGN_2M UINT64_C(0x200000)
#define PAGE_ALIGN_1G UINT64_C(0x40000000)

enum page_alloc_flags {
    PAGE_ALLOC_ZERO = 1u << 0,     /* filled with zeros before it is returned */
    PAGE_ALLOC_BELOW_4G = 1u << 1, /* for hardware that takes 32-bit addresses */
};

struct page_extent {
    uint64_t start;
    uint64_t end; /* exclusive */
};

struct page_alloc {
    struct spinlock lock;
    uint64_t total_bytes;
    uint64_t free_bytes;
    uint64_t lost_bytes;   /* freed when the list of extents was full */
    unsigned range_count;
    unsigned extent_count;
    struct page_extent ranges[PAGE_ALLOC_MAX_RANGES];   /* what was added; sorted */
    struct page_extent extents[PAGE_ALLOC_MAX_EXTENTS]; /* what is free; sorted, none touching */
};

void page_alloc_init(struct page_alloc *alloc);

/* Gives a range to the allocator. It is shrunk to whole pages; page 0 stays out, so that no run
 * ever starts at a null pointer. HV_ERR_INVALID: wraps; HV_ERR_EXISTS: overlaps an earlier one;
 * HV_ERR_NO_MEMORY: too many ranges. A range without a whole page is HV_OK and adds nothing. */
enum hv_err page_alloc_add(struct page_alloc *alloc, uint64_t start, uint64_t bytes) HV_MUST_CHECK;

/* Takes `pages` contiguous pages, aligned to `align_bytes` (a power of two, at least 4 KB).
 * HV_ERR_INVALID: no pages or a bad alignment; HV_ERR_NO_MEMORY: no such run is free. */
enum hv_err page_alloc_take(struct page_alloc *alloc, uint64_t pages, uint64_t align_bytes,
                            unsigned flags, hpa_t *start) HV_MUST_CHECK;

/* Takes the largest free run that has the alignment, of at most `most_bytes`, cut down to a
 * multiple of `align_bytes`. For memory that may be in several pieces, such as a guest's RAM: ask
 * with PAGE_ALIGN_1G, then PAGE_ALIGN_2M, until it is enough. HV_ERR_NO_MEMORY: there is none. */
enum hv_err page_alloc_take_largest(struct page_alloc *alloc, uint64_t most_bytes,
                                    uint64_t align_bytes, unsigned flags, hpa_t *start,
                                    uint64_t *bytes) HV_MUST_CHECK;

/* Gives pages back; also a part of a run. HV_ERR_INVALID: not page-aligned, none, or wraps;
 * HV_ERR_RANGE: not the allocator's; HV_ERR_EXISTS: (partly) free already. */
enum hv_err page_alloc_free(struct page_alloc *alloc, hpa_t start, uint64_t pages) HV_MUST_CHECK;

uint64_t page_alloc_free_bytes(struct page_alloc *alloc);

#endif
