/*
 * Builder and walker of the hypervisor's identity map.
 *
 * Pure: tables are reached through struct host_pt_memory, so that a host test replays every write.
 * Rights are set in leaves alone; upper entries allow everything, so that splitting a page never
 * has to touch its neighbours' rights. Lock: the caller's.
 * SDM volume 3 "4-Level Paging and 5-Level Paging", tables "Format of a ... Entry".
 */
#include "x86/host_paging.h"

#include "x86/regs.h"

#define PTE_P        (1ull << 0)
#define PTE_RW       (1ull << 1)
#define PTE_PWT      (1ull << 3) /* PAT entry 1 */
#define PTE_PCD      (1ull << 4) /* with PWT: PAT entry 3 */
#define PTE_A        (1ull << 5) /* set from the start: no write by the processor later */
#define PTE_D        (1ull << 6)
#define PTE_PS       (1ull << 7)
#define PTE_XD       (1ull << 63)
#define PTE_ADDRESS  0x000ffffffffff000ull
#define TABLE_ENTRIES 512u

/* Bytes that one entry of a table at `level` covers; level 1 holds 4-KByte pages. */
static uint64_t entry_bytes(unsigned level)
{
    return UINT64_C(1) << (12 + 9 * (level - 1));
}

static unsigned entry_index(uint64_t linear, unsigned level)
{
    return linear >> (12 + 9 * (level - 1)) & (TABLE_ENTRIES - 1);
}

static uint64_t *table_pointer(const struct host_pt *pt, uint64_t physical)
{
    return pt->memory.pointer(pt->memory.context, physical);
}

static bool is_leaf(uint64_t entry, unsigned level)
{
    return level == 1 || (entry & PTE_PS);
}

static uint64_t leaf_entry(uint64_t physical, unsigned level, unsigned flags)
{
    uint64_t entry = physical | PTE_P | PTE_A;

    if (flags & HOST_PT_WRITE)
        entry |= PTE_RW | PTE_D;
    if (!(flags & HOST_PT_EXECUTE))
        entry |= PTE_XD;
    if (flags & HOST_PT_UC)
        entry |= PTE_PCD | PTE_PWT;
    else if (flags & HOST_PT_WC)
        entry |= PTE_PWT;
    if (level > 1)
        entry |= PTE_PS;
    return entry;
}

static unsigned leaf_flags(uint64_t entry)
{
    unsigned flags = HOST_PT_READ;

    if (entry & PTE_RW)
        flags |= HOST_PT_WRITE;
    if (!(entry & PTE_XD))
        flags |= HOST_PT_EXECUTE;
    if (entry & PTE_PCD)
        flags |= HOST_PT_UC;
    else if (entry & PTE_PWT)
        flags |= HOST_PT_WC;
    return flags;
}

static uint64_t table_take(struct host_pt *pt)
{
    uint64_t physical = pt->memory.take(pt->memory.context);

    if (physical)
        pt->table_pages++;
    return physical;
}

enum hv_err host_pt_init(struct host_pt *pt, const struct host_pt_memory *memory, unsigned levels,
                         bool pages_1g)
{
    pt->memory = *memory;
    pt->levels = levels;
    pt->pages_1g = pages_1g;
    pt->table_pages = 0;
    pt->root = table_take(pt);
    return pt->root ? HV_OK : HV_ERR_NO_MEMORY;
}

/* The table below *entry. A large page is split into smaller ones with the same rights before the
 * entry is replaced, so that a table in use never has a hole. 0: no memory. */
static uint64_t table_below(struct host_pt *pt, uint64_t *entry, unsigned level)
{
    uint64_t old = *entry;
    uint64_t physical;

    if ((old & PTE_P) && !is_leaf(old, level))
        return old & PTE_ADDRESS;
    physical = table_take(pt);
    if (!physical)
        return 0;
    if (old & PTE_P) {
        uint64_t *below = table_pointer(pt, physical);
        for (unsigned i = 0; i < TABLE_ENTRIES; i++)
            below[i] = leaf_entry((old & PTE_ADDRESS) + i * entry_bytes(level - 1), level - 1,
                                  leaf_flags(old));
    }
    *entry = physical | PTE_P | PTE_RW | PTE_A;
    return physical;
}

static bool leaf_fits(const struct host_pt *pt, unsigned level, uint64_t start, uint64_t end)
{
    if (level > 3 || (level == 3 && !pt->pages_1g))
        return false;
    return (start & (entry_bytes(level) - 1)) == 0 && end - start >= entry_bytes(level);
}

/* Sets as much of [start, end) as one entry covers; returns where it ended, 0: no memory. */
static uint64_t set_one(struct host_pt *pt, uint64_t start, uint64_t end, unsigned flags)
{
    uint64_t table = pt->root;
    unsigned level = pt->levels;

    for (;; level--) {
        uint64_t *entry = table_pointer(pt, table) + entry_index(start, level);
        uint64_t next = hv_align_down(start, entry_bytes(level)) + entry_bytes(level);

        if (flags == HOST_PT_NONE && !(*entry & PTE_P))
            return hv_min_u64(next, end);
        /* A table that is in place stays: freeing it would need a flush on every core. */
        if (leaf_fits(pt, level, start, end) && (!(*entry & PTE_P) || is_leaf(*entry, level))) {
            *entry = flags == HOST_PT_NONE ? 0 : leaf_entry(start, level, flags);
            return next;
        }
        table = table_below(pt, entry, level);
        if (!table)
            return 0;
    }
}

enum hv_err host_pt_set(struct host_pt *pt, uint64_t start, uint64_t bytes, unsigned flags)
{
    uint64_t half = UINT64_C(1) << (12 + 9 * pt->levels - 1);
    uint64_t end = start + bytes;

    if (((start | bytes) & HV_PAGE_MASK) || end < start || end > half)
        return HV_ERR_INVALID;
    if ((flags & HOST_PT_WRITE) && (flags & HOST_PT_EXECUTE))
        return HV_ERR_INVALID;
    while (start < end) {
        start = set_one(pt, start, end, flags);
        if (!start)
            return HV_ERR_NO_MEMORY;
    }
    return HV_OK;
}

struct host_pt_leaf host_pt_lookup(const struct host_pt *pt, uint64_t linear)
{
    uint64_t table = pt->root;

    for (unsigned level = pt->levels;; level--) {
        uint64_t entry = table_pointer(pt, table)[entry_index(linear, level)];
        struct host_pt_leaf leaf = {
            .start = hv_align_down(linear, entry_bytes(level)),
            .bytes = entry_bytes(level),
            .flags = HOST_PT_NONE,
        };

        if (!(entry & PTE_P))
            return leaf;
        if (is_leaf(entry, level)) {
            leaf.flags = leaf_flags(entry);
            return leaf;
        }
        table = entry & PTE_ADDRESS;
    }
}

uint64_t host_pt_count_writable_executable(const struct host_pt *pt, uint64_t *first)
{
    uint64_t tables[6] = { 0 };
    uint64_t rights[6] = { 0 }; /* what the entries above allow, as PTE_RW and PTE_XD */
    uint64_t linear = 0, count = 0;
    uint64_t half = UINT64_C(1) << (12 + 9 * pt->levels - 1);
    unsigned level = pt->levels;

    tables[level] = pt->root;
    rights[level] = PTE_RW;
    while (linear < half) {
        uint64_t entry = table_pointer(pt, tables[level])[entry_index(linear, level)];
        uint64_t allowed = (rights[level] & entry & PTE_RW) | ((rights[level] | entry) & PTE_XD);

        if ((entry & PTE_P) && !is_leaf(entry, level)) {
            level--;
            tables[level] = entry & PTE_ADDRESS;
            rights[level] = allowed;
            continue;
        }
        if ((entry & PTE_P) && allowed == PTE_RW && count++ == 0)
            *first = linear;
        linear += entry_bytes(level);
        while (level < pt->levels && entry_index(linear, level) == 0)
            level++;
    }
    return count;
}
