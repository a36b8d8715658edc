/*
 * A walk of the page tables that firmware has in use. Pure; no lock.
 */
#include "boot/page_rights.h"

#define ENTRY_PRESENT UINT64_C(1)
#define ENTRY_LARGE   (UINT64_C(1) << 7) /* in an entry of the lowest level it means something else */
#define ENTRY_ADDRESS 0x000ffffffffff000ull

/* Rights are what all levels grant; bit 63 stands for execution here, as none of the other bits do. */
static uint64_t rights_at(uint64_t table, unsigned levels, uint64_t linear)
{
    uint64_t rights = UINT64_MAX;

    for (unsigned level = levels; level >= 1; level--) {
        const uint64_t *entries = (const uint64_t *)(table & ENTRY_ADDRESS);
        uint64_t entry = entries[linear >> (12 + 9 * (level - 1)) & 511];

        if (!(entry & ENTRY_PRESENT))
            return 0;
        rights &= entry ^ PAGE_MAY_EXECUTE;
        if (entry & ENTRY_LARGE)
            break;
        table = entry;
    }
    return rights;
}

bool page_rights_hold(uint64_t cr3, unsigned levels, uint64_t start, uint64_t bytes,
                      uint64_t wanted)
{
    for (uint64_t at = start; at - start < bytes; at += HV_PAGE_BYTES) {
        if (~rights_at(cr3, levels, at) & wanted)
            return false;
    }
    return true;
}
