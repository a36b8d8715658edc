/*
 * Physical pages from a sorted list of free extents. See hv/page_alloc.h for the rules.
 *
 * Extents never touch or overlap, and all their bounds are page-aligned. The list has a fixed size:
 * a run whose removal would split an extent is not taken when the list is full, and pages that
 * cannot be put back are counted as lost, not forgotten silently.
 */
#include "hv/page_alloc.h"

#include "hv/string.h"

#define FOUR_GB (UINT64_C(1) << 32)

void page_alloc_init(struct page_alloc *alloc)
{
    spin_init(&alloc->lock);
    alloc->total_bytes = 0;
    alloc->free_bytes = 0;
    alloc->lost_bytes = 0;
    alloc->range_count = 0;
    alloc->extent_count = 0;
}

/* The first extent that ends at or after `start`, or `count`. */
static unsigned find_at_or_after(const struct page_extent *list, unsigned count, uint64_t start)
{
    unsigned low = 0, high = count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (list[middle].end < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool list_overlaps(const struct page_extent *list, unsigned count, uint64_t start,
                          uint64_t end)
{
    unsigned at = find_at_or_after(list, count, start);
    if (at < count && list[at].end == start)
        at++;
    return at < count && list[at].start < end;
}

static void list_open_gap(struct page_extent *list, unsigned *count, unsigned at)
{
    memmove(&list[at + 1], &list[at], (*count - at) * sizeof(list[0]));
    (*count)++;
}

static void list_close_gap(struct page_extent *list, unsigned *count, unsigned at)
{
    (*count)--;
    memmove(&list[at], &list[at + 1], (*count - at) * sizeof(list[0]));
}

/* Puts in an extent that overlaps none, and joins it with those that it touches. False: no room. */
static bool list_insert(struct page_extent *list, unsigned *count, unsigned capacity,
                        uint64_t start, uint64_t end)
{
    unsigned at = find_at_or_after(list, *count, start);
    bool joins_lower = at < *count && list[at].end == start;
    unsigned above = joins_lower ? at + 1 : at;
    bool joins_upper = above < *count && list[above].start == end;
    if (joins_lower && joins_upper) {
        list[at].end = list[above].end;
        list_close_gap(list, count, above);
    } else if (joins_lower) {
        list[at].end = end;
    } else if (joins_upper) {
        list[above].start = start;
    } else {
        if (*count == capacity)
            return false;
        list_open_gap(list, count, at);
        list[at] = (struct page_extent){ start, end };
    }
    return true;
}

/* Takes start..end out of the extent that holds it. The caller knows that a split has room. */
static void list_carve(struct page_extent *list, unsigned *count, unsigned at, uint64_t start,
                       uint64_t end)
{
    struct page_extent whole = list[at];
    if (whole.start == start && whole.end == end) {
        list_close_gap(list, count, at);
    } else if (whole.start == start) {
        list[at].start = end;
    } else if (whole.end == end) {
        list[at].end = start;
    } else {
        list_open_gap(list, count, at);
        list[at].end = start;
        list[at + 1].start = end;
    }
}

static enum hv_err add_locked(struct page_alloc *alloc, uint64_t start, uint64_t end)
{
    if (list_overlaps(alloc->ranges, alloc->range_count, start, end))
        return HV_ERR_EXISTS;
    if (alloc->range_count == PAGE_ALLOC_MAX_RANGES ||
        alloc->extent_count == PAGE_ALLOC_MAX_EXTENTS)
        return HV_ERR_NO_MEMORY;
    (void)list_insert(alloc->ranges, &alloc->range_count, PAGE_ALLOC_MAX_RANGES, start, end);
    (void)list_insert(alloc->extents, &alloc->extent_count, PAGE_ALLOC_MAX_EXTENTS, start, end);
    alloc->total_bytes += end - start;
    alloc->free_bytes += end - start;
    return HV_OK;
}

enum hv_err page_alloc_add(struct page_alloc *alloc, uint64_t start, uint64_t bytes)
{
    if (start + bytes < start)
        return HV_ERR_INVALID;
    uint64_t end = hv_align_down(start + bytes, HV_PAGE_BYTES);
    /* Compared before rounding up, which could wrap; page 0 is left out. */
    if (end < HV_PAGE_BYTES || start > end - HV_PAGE_BYTES)
        return HV_OK;
    start = hv_max_u64(hv_align_up(start, HV_PAGE_BYTES), HV_PAGE_BYTES);
    if (start == end)
        return HV_OK;
    spin_lock(&alloc->lock);
    enum hv_err err = add_locked(alloc, start, end);
    spin_unlock(&alloc->lock);
    return err;
}

/* The first aligned address in the extent and the bytes from there on that may be taken: 0 where
 * the alignment leaves nothing. */
static uint64_t aligned_room(const struct page_extent *extent, uint64_t align_bytes, unsigned flags,
                             uint64_t *start)
{
    uint64_t end = extent->end;
    if (flags & PAGE_ALLOC_BELOW_4G)
        end = hv_min_u64(end, FOUR_GB);
    *start = hv_align_up(extent->start, align_bytes);
    if (*start < extent->start || *start >= end)
        return 0;
    return end - *start;
}

static bool would_split_full_list(const struct page_alloc *alloc, const struct page_extent *extent,
                                  uint64_t start, uint64_t end)
{
    return alloc->extent_count == PAGE_ALLOC_MAX_EXTENTS && start != extent->start &&
           end != extent->end;
}

/* The smallest extent that `bytes` fit into. */
static bool find_best_fit(const struct page_alloc *alloc, uint64_t bytes, uint64_t align_bytes,
                          unsigned flags, unsigned *at, uint64_t *start)
{
    uint64_t best_bytes = UINT64_MAX;
    for (unsigned i = 0; i < alloc->extent_count; i++) {
        const struct page_extent *extent = &alloc->extents[i];
        uint64_t candidate;
        if (extent->end - extent->start >= best_bytes)
            continue;
        if (aligned_room(extent, align_bytes, flags, &candidate) < bytes ||
            would_split_full_list(alloc, extent, candidate, candidate + bytes))
            continue;
        best_bytes = extent->end - extent->start;
        *at = i;
        *start = candidate;
    }
    return best_bytes != UINT64_MAX;
}

/* The longest aligned run of at most `most_bytes`, from the smallest extent that has one of that
 * length: its length, or 0. */
static uint64_t find_largest(const struct page_alloc *alloc, uint64_t most_bytes,
                             uint64_t align_bytes, unsigned flags, unsigned *at, uint64_t *start)
{
    uint64_t best_bytes = 0, best_extent_bytes = UINT64_MAX;
    for (unsigned i = 0; i < alloc->extent_count; i++) {
        const struct page_extent *extent = &alloc->extents[i];
        uint64_t extent_bytes = extent->end - extent->start, candidate;
        uint64_t room = aligned_room(extent, align_bytes, flags, &candidate);
        room = hv_align_down(hv_min_u64(room, most_bytes), align_bytes);
        if (room < best_bytes || (room == best_bytes && extent_bytes >= best_extent_bytes) ||
            would_split_full_list(alloc, extent, candidate, candidate + room))
            continue;
        best_bytes = room;
        best_extent_bytes = extent_bytes;
        *at = i;
        *start = candidate;
    }
    return best_bytes;
}

static void take_locked(struct page_alloc *alloc, unsigned at, uint64_t start, uint64_t bytes)
{
    list_carve(alloc->extents, &alloc->extent_count, at, start, start + bytes);
    alloc->free_bytes -= bytes;
}

static bool is_alignment_valid(uint64_t align_bytes)
{
    return align_bytes >= HV_PAGE_BYTES && (align_bytes & (align_bytes - 1)) == 0;
}

static void zero_if_wanted(uint64_t start, uint64_t bytes, unsigned flags)
{
    if (flags & PAGE_ALLOC_ZERO)
        memset((void *)(uintptr_t)start, 0, bytes);
}

enum hv_err page_alloc_take(struct page_alloc *alloc, uint64_t pages, uint64_t align_bytes,
                            unsigned flags, hpa_t *start)
{
    unsigned at = 0;
    uint64_t bytes = pages << HV_PAGE_SHIFT;
    if (pages == 0 || !is_alignment_valid(align_bytes))
        return HV_ERR_INVALID;
    if (pages > UINT64_MAX >> HV_PAGE_SHIFT)
        return HV_ERR_NO_MEMORY;
    spin_lock(&alloc->lock);
    bool found = find_best_fit(alloc, bytes, align_bytes, flags, &at, &start->v);
    if (found)
        take_locked(alloc, at, start->v, bytes);
    spin_unlock(&alloc->lock);
    if (!found)
        return HV_ERR_NO_MEMORY;
    zero_if_wanted(start->v, bytes, flags);
    return HV_OK;
}

enum hv_err page_alloc_take_largest(struct page_alloc *alloc, uint64_t most_bytes,
                                    uint64_t align_bytes, unsigned flags, hpa_t *start,
                                    uint64_t *bytes)
{
    unsigned at = 0;
    if (!is_alignment_valid(align_bytes))
        return HV_ERR_INVALID;
    spin_lock(&alloc->lock);
    *bytes = find_largest(alloc, most_bytes, align_bytes, flags, &at, &start->v);
    if (*bytes)
        take_locked(alloc, at, start->v, *bytes);
    spin_unlock(&alloc->lock);
    if (!*bytes)
        return HV_ERR_NO_MEMORY;
    zero_if_wanted(start->v, *bytes, flags);
    return HV_OK;
}

/* Is start..end inside one of the ranges that were added? */
static bool is_ours(const struct page_alloc *alloc, uint64_t start, uint64_t end)
{
    unsigned at = find_at_or_after(alloc->ranges, alloc->range_count, start + 1);
    return at < alloc->range_count && alloc->ranges[at].start <= start &&
           alloc->ranges[at].end >= end;
}

static enum hv_err free_locked(struct page_alloc *alloc, uint64_t start, uint64_t end)
{
    if (!is_ours(alloc, start, end))
        return HV_ERR_RANGE;
    if (list_overlaps(alloc->extents, alloc->extent_count, start, end))
        return HV_ERR_EXISTS;
    if (list_insert(alloc->extents, &alloc->extent_count, PAGE_ALLOC_MAX_EXTENTS, start, end))
        alloc->free_bytes += end - start;
    else
        alloc->lost_bytes += end - start;
    return HV_OK;
}

enum hv_err page_alloc_free(struct page_alloc *alloc, hpa_t start, uint64_t pages)
{
    if ((start.v & HV_PAGE_MASK) || pages == 0 ||
        pages > (UINT64_MAX - start.v) >> HV_PAGE_SHIFT)
        return HV_ERR_INVALID;
    spin_lock(&alloc->lock);
    enum hv_err err = free_locked(alloc, start.v, start.v + (pages << HV_PAGE_SHIFT));
    spin_unlock(&alloc->lock);
    return err;
}

uint64_t page_alloc_free_bytes(struct page_alloc *alloc)
{
    spin_lock(&alloc->lock);
    uint64_t bytes = alloc->free_bytes;
    spin_unlock(&alloc->lock);
    return bytes;
}
