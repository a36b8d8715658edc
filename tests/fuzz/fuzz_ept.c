// SRCS: arch/x86/mm/ept.c arch/x86/mm/mtrr.c
/*
 * Any sequence of operations with any arguments: no entry is ever misconfigured, nothing leaks,
 * and the counts agree with the tables.
 */
#include <stdlib.h>
#include <string.h>

#include "x86/ept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES 256
#define BASE 0x40000000ull

static uint64_t pages[PAGES][512] __attribute__((aligned(4096)));
static bool used[PAGES];
static unsigned in_use;

static uint64_t *alloc_page(void *context, hpa_t *hpa)
{
    (void)context;
    for (unsigned i = 0; i < PAGES; i++) {
        if (used[i])
            continue;
        used[i] = true;
        in_use++;
        *hpa = HPA(BASE + i * 4096ull);
        return pages[i];
    }
    return NULL;
}

static uint64_t *pointer(void *context, hpa_t hpa)
{
    (void)context;
    uint64_t index = (hpa.v - BASE) / 4096;
    if (index >= PAGES || !used[index])
        abort();
    return pages[index];
}

static void free_page(void *context, uint64_t *page, hpa_t hpa)
{
    if (pointer(context, hpa) != page)
        abort();
    used[(hpa.v - BASE) / 4096] = false;
    in_use--;
}

static const struct ept_features features = {
    .page_2m = true, .page_1g = true, .execute_only = true, .accessed_dirty = true,
    .physical_address_bits = 39,
};

static void check_table(const uint64_t *table, unsigned level, uint64_t *leaves)
{
    for (unsigned i = 0; i < 512; i++) {
        if (!(table[i] & 7))
            continue;
        if (ept_entry_misconfigured(&features, table[i], level))
            abort();
        if (level == 1 || (table[i] & EPT_LARGE))
            leaves[level - 1]++;
        else
            check_table(pointer(NULL, HPA(table[i] & EPT_ADDRESS_MASK)), level - 1, leaves);
    }
}

static void visit(void *context, gpa_t gpa, uint64_t page_bytes)
{
    (void)context;
    if (gpa.v & (page_bytes - 1))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ept_memory memory = { alloc_page, free_page, pointer, NULL, NULL };
    struct ept ept;
    if (ept_init(&ept, &memory, &features) != HV_OK)
        abort();
    for (unsigned n = 0; size >= 8 && n < 64; n++, data += 8, size -= 8) {
        /* Places near the edges of all page sizes, and a few that are no places. */
        static const uint64_t anchors[] = { 0, 0x200000, 0x40000000, 0x7fe00000, 1ull << 39,
                                            (1ull << 48) - 0x200000, 1ull << 48, ~0xfffull };
        uint64_t gpa = anchors[data[1] % 8] + (uint64_t)data[2] * 4096 + (data[7] == 255);
        uint64_t hpa = anchors[data[3] % 4] + (uint64_t)data[4] * 4096;
        uint64_t bytes = (uint64_t)data[5] << (12 + data[6] % 22);
        uint64_t rights = data[7] & 7;
        switch (data[0] % 6) {
        case 0:
        case 1:
            (void)!ept_map(&ept, GPA(gpa), HPA(hpa), bytes, rights,
                           (enum memory_type)(data[6] >> 5));
            break;
        case 2:
            (void)!ept_unmap(&ept, GPA(gpa), bytes);
            break;
        case 3:
            (void)!ept_protect(&ept, GPA(gpa), bytes, rights);
            break;
        case 4:
            (void)ept_reclaim(&ept);
            break;
        default:
            if (bytes < 1ull << 31)
                (void)ept_collect_dirty(&ept, GPA(gpa), bytes, visit, NULL);
            break;
        }
        struct ept_walk walk;
        ept_walk(&ept, GPA(gpa), &walk);
        uint64_t leaves[4] = { 0 };
        check_table(ept.root, 4, leaves);
        if (memcmp(leaves, ept.leaves, sizeof(ept.leaves)) || leaves[3])
            abort();
    }
    ept_destroy(&ept);
    if (in_use || ept.tables)
        abort();
    return 0;
}
