/*
 * Building and walking extended page tables. SDM volume 3, "The Extended Page Table Mechanism
 * (EPT)": "EPT Translation Mechanism", "EPT Misconfigurations", "Accessed and Dirty Flags for EPT";
 * "Guidelines for Use of the INVEPT Instruction" for the order of freeing.
 *
 * Pure. Lock: the caller's, one writer a time. Entries that processors may see are written with
 * single atomic stores, since processors walk them and set flags in them meanwhile.
 */
#include "x86/ept.h"

#include "hv/string.h"

static unsigned level_shift(unsigned level)
{
    return 12 + 9 * (level - 1);
}

static uint64_t level_bytes(unsigned level)
{
    return 1ull << level_shift(level);
}

static unsigned level_index(uint64_t gpa, unsigned level)
{
    return (unsigned)(gpa >> level_shift(level)) & (EPT_ENTRIES - 1);
}

static bool entry_present(uint64_t entry)
{
    return entry & EPT_PRESENT;
}

static bool entry_is_leaf(uint64_t entry, unsigned level)
{
    return level == 1 || (entry & EPT_LARGE);
}

static uint64_t *entry_table(const struct ept *ept, uint64_t entry)
{
    return ept->memory.pointer(ept->memory.context, HPA(entry & EPT_ADDRESS_MASK));
}

/* Makes an entry visible; returns what was there, with the flags that processors had set. */
static uint64_t entry_write(struct ept *ept, uint64_t *entry, uint64_t value)
{
    uint64_t before = __atomic_exchange_n(entry, value, __ATOMIC_ACQ_REL);
    if (ept->memory.wrote)
        ept->memory.wrote(ept->memory.context, entry, before, value);
    return before;
}

/* Replaces the bits of `clear` by those of `set` and loses no flag that a processor sets. */
static void entry_change(struct ept *ept, uint64_t *entry, uint64_t clear, uint64_t set)
{
    uint64_t before = __atomic_load_n(entry, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(entry, &before, (before & ~clear) | set, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        ;
    if (ept->memory.wrote)
        ept->memory.wrote(ept->memory.context, entry, before, (before & ~clear) | set);
}

static uint64_t *table_alloc(struct ept *ept, hpa_t *hpa)
{
    uint64_t *table = ept->memory.alloc(ept->memory.context, hpa);
    if (!table)
        return NULL;
    memset(table, 0, HV_PAGE_BYTES);
    ept->tables++;
    return table;
}

static void table_free(struct ept *ept, uint64_t *table, hpa_t hpa)
{
    ept->memory.free(ept->memory.context, table, hpa);
    ept->tables--;
}

/* A table's rights are those of its entries: the entry that leads to it allows everything. */
static uint64_t table_entry(const struct ept *ept, hpa_t hpa)
{
    return hpa.v | EPT_RWX | (ept->features.mode_based_execute ? EPT_USER_EXECUTE : 0);
}

enum hv_err ept_init(struct ept *ept, const struct ept_memory *memory,
                     const struct ept_features *features)
{
    memset(ept, 0, sizeof(*ept));
    ept->memory = *memory;
    ept->features = *features;
    ept->root = table_alloc(ept, &ept->root_hpa);
    return ept->root ? HV_OK : HV_ERR_NO_MEMORY;
}

uint64_t ept_pointer(const struct ept *ept)
{
    return ept->root_hpa.v | EPTP_TYPE_WB | (uint64_t)(EPT_LEVELS - 1) << EPTP_WALK_SHIFT |
           (ept->features.accessed_dirty ? EPTP_ACCESSED_DIRTY : 0);
}

/* Frees a table and all below it at once; the depth of the recursion is that of the tables. */
static void free_tables(struct ept *ept, uint64_t *table, hpa_t hpa, unsigned level)
{
    for (unsigned i = 0; i < EPT_ENTRIES && level > 1; i++)
        if (entry_present(table[i]) && !entry_is_leaf(table[i], level))
            free_tables(ept, entry_table(ept, table[i]), HPA(table[i] & EPT_ADDRESS_MASK),
                        level - 1);
    table_free(ept, table, hpa);
}

void ept_destroy(struct ept *ept)
{
    (void)ept_reclaim(ept);
    if (ept->root)
        free_tables(ept, ept->root, ept->root_hpa, EPT_LEVELS);
    ept->root = NULL;
    memset(ept->leaves, 0, sizeof(ept->leaves));
}

/* A processor may hold the way to this table until it is flushed: so the link to the next one is
 * stored as an entry that is not present (a page address has none of the low bits). */
static void retire(struct ept *ept, uint64_t *table, hpa_t hpa)
{
    for (unsigned i = 1; i < EPT_ENTRIES; i++)
        __atomic_store_n(&table[i], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&table[0], ept->retired.v, __ATOMIC_RELEASE);
    ept->retired = hpa;
}

uint64_t ept_reclaim(struct ept *ept)
{
    uint64_t count = 0;
    while (ept->retired.v) {
        hpa_t hpa = ept->retired;
        uint64_t *table = ept->memory.pointer(ept->memory.context, hpa);
        ept->retired = HPA(table[0]);
        table_free(ept, table, hpa);
        count++;
    }
    return count;
}

/* Takes a subtree out of use that is not reachable any more, and its pages out of the counts. */
static void retire_subtree(struct ept *ept, uint64_t entry, unsigned level)
{
    if (entry_is_leaf(entry, level)) {
        ept->leaves[level - 1]--;
        return;
    }
    uint64_t *table = entry_table(ept, entry);
    for (unsigned i = 0; i < EPT_ENTRIES; i++)
        if (entry_present(table[i]))
            retire_subtree(ept, table[i], level - 1);
    retire(ept, table, HPA(entry & EPT_ADDRESS_MASK));
}

/* --- what may be asked for --- */

static bool rights_valid(const struct ept_features *features, uint64_t rights)
{
    if ((rights & ~EPT_RIGHTS) || !entry_present(rights))
        return false;
    if ((rights & EPT_USER_EXECUTE) && !features->mode_based_execute)
        return false;
    if (rights & EPT_READ)
        return true;
    return !(rights & EPT_WRITE) && features->execute_only;
}

static bool type_valid(uint64_t type)
{
    return type == MEMORY_UC || type == MEMORY_WC || type == MEMORY_WT || type == MEMORY_WP ||
           type == MEMORY_WB;
}

static enum hv_err check_guest_range(gpa_t gpa, uint64_t bytes)
{
    if ((gpa.v & HV_PAGE_MASK) || (bytes & HV_PAGE_MASK) || !bytes)
        return HV_ERR_INVALID;
    if (gpa.v >> EPT_GUEST_BITS || bytes > (1ull << EPT_GUEST_BITS) - gpa.v)
        return HV_ERR_RANGE;
    return HV_OK;
}

static enum hv_err check_host_range(const struct ept *ept, hpa_t hpa, uint64_t bytes)
{
    uint64_t end = 1ull << ept->features.physical_address_bits;
    if (hpa.v & HV_PAGE_MASK)
        return HV_ERR_INVALID;
    if (hpa.v >= end || bytes > end - hpa.v)
        return HV_ERR_RANGE;
    return HV_OK;
}

bool ept_entry_misconfigured(const struct ept_features *features, uint64_t entry, unsigned level)
{
    uint64_t present = EPT_RWX | (features->mode_based_execute ? EPT_USER_EXECUTE : 0);
    if (!(entry & present))
        return false;
    if ((entry & EPT_WRITE) && !(entry & EPT_READ))
        return true;
    if (!(entry & EPT_READ) && !features->execute_only)
        return true;
    if (entry & EPT_ADDRESS_MASK & ~((1ull << features->physical_address_bits) - 1))
        return true;
    bool leaf = entry_is_leaf(entry, level);
    if (!leaf)
        return entry & (level == 4 ? 0xf8ull : 0x78ull);
    if (level == 4 || (level == 3 && !features->page_1g) || (level == 2 && !features->page_2m))
        return true;
    if (entry & (level_bytes(level) - 1) & EPT_ADDRESS_MASK)
        return true;
    return !type_valid((entry & EPT_TYPE_MASK) >> EPT_TYPE_SHIFT);
}

/* --- walking --- */

void ept_walk(const struct ept *ept, gpa_t gpa, struct ept_walk *out)
{
    memset(out, 0, sizeof(*out));
    if (gpa.v >> EPT_GUEST_BITS)
        return;
    const uint64_t *table = ept->root;
    out->rights = EPT_PRESENT;
    for (unsigned level = EPT_LEVELS; level >= 1; level--) {
        uint64_t entry = __atomic_load_n(&table[level_index(gpa.v, level)], __ATOMIC_ACQUIRE);
        out->entry[out->depth++] = entry;
        out->rights &= entry;
        out->page_bytes = level_bytes(level);
        if (!entry_present(entry))
            return;
        if (entry_is_leaf(entry, level)) {
            uint64_t offset = gpa.v & (level_bytes(level) - 1);
            out->mapped = true;
            out->hpa = HPA((entry & EPT_ADDRESS_MASK & ~(level_bytes(level) - 1)) | offset);
            out->type = (enum memory_type)((entry & EPT_TYPE_MASK) >> EPT_TYPE_SHIFT);
            out->ignore_pat = entry & EPT_IGNORE_PAT;
            return;
        }
        table = entry_table(ept, entry);
    }
}

/* Follows `gpa` down to `stop`, or to a leaf or a hole above it; `level` tells where it ended. */
static uint64_t *find_entry(const struct ept *ept, uint64_t gpa, unsigned stop, unsigned *level)
{
    uint64_t *table = ept->root;
    for (*level = EPT_LEVELS;; (*level)--) {
        uint64_t *entry = &table[level_index(gpa, *level)];
        if (*level == stop || !entry_present(*entry) || entry_is_leaf(*entry, *level))
            return entry;
        table = entry_table(ept, *entry);
    }
}

/* Whether the range is wholly mapped (`wanted` true) or wholly unmapped. */
static bool range_is(const struct ept *ept, uint64_t gpa, uint64_t bytes, bool wanted)
{
    uint64_t end = gpa + bytes;
    while (gpa < end) {
        unsigned level;
        const uint64_t *entry = find_entry(ept, gpa, 1, &level);
        if (entry_present(*entry) != wanted)
            return false;
        gpa = hv_align_down(gpa, level_bytes(level)) + level_bytes(level);
    }
    return true;
}

/* --- mapping --- */

static unsigned largest_level(const struct ept *ept, uint64_t gpa, uint64_t hpa, uint64_t bytes)
{
    if (ept->features.page_1g && !((gpa | hpa) & (level_bytes(3) - 1)) && bytes >= level_bytes(3))
        return 3;
    if (ept->features.page_2m && !((gpa | hpa) & (level_bytes(2) - 1)) && bytes >= level_bytes(2))
        return 2;
    return 1;
}

/* The entry of `level` for `gpa`, making the tables on the way. NULL: no memory. No leaf is on the
 * way, since the range is unmapped. */
static uint64_t *make_entry(struct ept *ept, uint64_t gpa, unsigned level)
{
    uint64_t *table = ept->root;
    for (unsigned at = EPT_LEVELS; at > level; at--) {
        uint64_t *entry = &table[level_index(gpa, at)];
        if (!entry_present(*entry)) {
            hpa_t hpa;
            if (!table_alloc(ept, &hpa))
                return NULL;
            (void)entry_write(ept, entry, table_entry(ept, hpa));
        }
        table = entry_table(ept, *entry);
    }
    return &table[level_index(gpa, level)];
}

/* A table that was emptied earlier may hang where a large page now fits: it goes out of use by the
 * same write that puts the page in. */
static void put_leaf(struct ept *ept, uint64_t *entry, uint64_t value, unsigned level)
{
    uint64_t before = entry_write(ept, entry, value);
    if (entry_present(before))
        retire_subtree(ept, before, level);
    ept->leaves[level - 1]++;
}

static enum hv_err map_checked(struct ept *ept, uint64_t gpa, uint64_t hpa, uint64_t bytes,
                               uint64_t attributes)
{
    for (uint64_t done = 0; done < bytes;) {
        unsigned level = largest_level(ept, gpa + done, hpa + done, bytes - done);
        uint64_t *entry = make_entry(ept, gpa + done, level);
        if (!entry) {
            if (done)
                (void)!ept_unmap(ept, GPA(gpa), done);
            return HV_ERR_NO_MEMORY;
        }
        put_leaf(ept, entry, (hpa + done) | attributes | (level > 1 ? EPT_LARGE : 0), level);
        done += level_bytes(level);
    }
    return HV_OK;
}

enum hv_err ept_map(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t bytes, uint64_t rights,
                    enum memory_type type)
{
    enum hv_err err = check_guest_range(gpa, bytes);
    if (err == HV_OK)
        err = check_host_range(ept, hpa, bytes);
    if (err != HV_OK)
        return err;
    if (!rights_valid(&ept->features, rights) || !type_valid(type))
        return HV_ERR_INVALID;
    if (!range_is(ept, gpa.v, bytes, false))
        return HV_ERR_EXISTS;
    return map_checked(ept, gpa.v, hpa.v, bytes, rights | (uint64_t)type << EPT_TYPE_SHIFT);
}

enum hv_err ept_map_by_mtrr(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t bytes,
                            uint64_t rights, const struct mtrr_state *mtrr)
{
    enum hv_err err = check_guest_range(gpa, bytes);
    if (err == HV_OK)
        err = check_host_range(ept, hpa, bytes);
    if (err != HV_OK)
        return err;
    if (!range_is(ept, gpa.v, bytes, false))
        return HV_ERR_EXISTS;
    for (uint64_t done = 0; done < bytes;) {
        hpa_t at = HPA(hpa.v + done);
        uint64_t part = mtrr_uniform_bytes(mtrr, at, bytes - done);
        err = ept_map(ept, GPA(gpa.v + done), at, part, rights, mtrr_type_of(mtrr, at));
        if (err != HV_OK) {
            if (done)
                (void)!ept_unmap(ept, gpa, done);
            return err;
        }
        done += part;
    }
    return HV_OK;
}

/* --- splitting --- */

/* The flags and rights of a leaf, in the place that they have one level below. */
static uint64_t split_attributes(uint64_t leaf, unsigned level)
{
    uint64_t attributes = leaf & ~EPT_ADDRESS_MASK;
    return level == 2 ? attributes & ~EPT_LARGE : attributes;
}

/* Replaces a large page by a table of smaller ones with the same translation, in one write. */
static enum hv_err split(struct ept *ept, uint64_t *entry, unsigned level)
{
    hpa_t table_hpa;
    uint64_t leaf = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
    uint64_t *table = table_alloc(ept, &table_hpa);
    if (!table)
        return HV_ERR_NO_MEMORY;
    uint64_t hpa = leaf & EPT_ADDRESS_MASK;
    for (unsigned i = 0; i < EPT_ENTRIES; i++)
        table[i] = (hpa + i * level_bytes(level - 1)) | split_attributes(leaf, level);
    uint64_t before = entry_write(ept, entry, table_entry(ept, table_hpa));
    /* A processor that wrote through the large page after we had copied it. */
    uint64_t late = before & ~leaf & (EPT_ACCESSED | EPT_DIRTY);
    for (unsigned i = 0; i < EPT_ENTRIES && late; i++)
        entry_change(ept, &table[i], 0, late);
    ept->leaves[level - 1]--;
    ept->leaves[level - 2] += EPT_ENTRIES;
    return HV_OK;
}

/* Splits until no page reaches over `edge`. */
static enum hv_err split_at(struct ept *ept, uint64_t edge)
{
    if (edge >> EPT_GUEST_BITS)
        return HV_OK;
    for (;;) {
        unsigned level;
        uint64_t *entry = find_entry(ept, edge, 1, &level);
        if (!entry_present(*entry) || !(edge & (level_bytes(level) - 1)))
            return HV_OK;
        enum hv_err err = split(ept, entry, level);
        if (err != HV_OK)
            return err;
    }
}

static enum hv_err split_edges(struct ept *ept, uint64_t gpa, uint64_t bytes)
{
    enum hv_err err = split_at(ept, gpa);
    return err == HV_OK ? split_at(ept, gpa + bytes) : err;
}

/* --- unmapping, protecting --- */

/* The highest level of which `gpa` begins an entry that lies wholly in the next `bytes`. */
static unsigned whole_level(uint64_t gpa, uint64_t bytes)
{
    unsigned level = 1;
    while (level < EPT_LEVELS && !(gpa & (level_bytes(level + 1) - 1)) &&
           bytes >= level_bytes(level + 1))
        level++;
    return level;
}

enum hv_err ept_unmap(struct ept *ept, gpa_t gpa, uint64_t bytes)
{
    enum hv_err err = check_guest_range(gpa, bytes);
    if (err == HV_OK)
        err = split_edges(ept, gpa.v, bytes);
    if (err != HV_OK)
        return err;
    uint64_t end = gpa.v + bytes;
    for (uint64_t at = gpa.v; at < end;) {
        unsigned level;
        uint64_t *entry = find_entry(ept, at, whole_level(at, end - at), &level);
        if (entry_present(*entry))
            retire_subtree(ept, entry_write(ept, entry, 0), level);
        at = hv_align_down(at, level_bytes(level)) + level_bytes(level);
    }
    return HV_OK;
}

enum hv_err ept_protect(struct ept *ept, gpa_t gpa, uint64_t bytes, uint64_t rights)
{
    enum hv_err err = check_guest_range(gpa, bytes);
    if (err != HV_OK)
        return err;
    if (!rights_valid(&ept->features, rights))
        return HV_ERR_INVALID;
    if (!range_is(ept, gpa.v, bytes, true))
        return HV_ERR_NOT_FOUND;
    err = split_edges(ept, gpa.v, bytes);
    if (err != HV_OK)
        return err;
    uint64_t end = gpa.v + bytes;
    for (uint64_t at = gpa.v; at < end;) {
        unsigned level;
        uint64_t *entry = find_entry(ept, at, 1, &level);
        entry_change(ept, entry, EPT_RIGHTS, rights);
        at += level_bytes(level);
    }
    return HV_OK;
}

/* --- dirty pages --- */

uint64_t ept_collect_dirty(struct ept *ept, gpa_t gpa, uint64_t bytes,
                           void (*visit)(void *context, gpa_t gpa, uint64_t page_bytes),
                           void *context)
{
    uint64_t count = 0;
    if (check_guest_range(gpa, bytes) != HV_OK || !ept->features.accessed_dirty)
        return 0;
    uint64_t end = gpa.v + bytes;
    for (uint64_t at = gpa.v; at < end;) {
        unsigned level;
        uint64_t *entry = find_entry(ept, at, 1, &level);
        uint64_t start = hv_align_down(at, level_bytes(level));
        if (entry_present(*entry) && (*entry & EPT_DIRTY)) {
            entry_change(ept, entry, EPT_DIRTY, 0);
            visit(context, GPA(start), level_bytes(level));
            count++;
        }
        at = start + level_bytes(level);
    }
    return count;
}
