/*
 * The program's own mappings: a window of 2 MB in 4 KB pages, apart from the one-to-one map of the
 * first 4 GB; and user access to the latter.
 * SDM volume 3 "4-Level Paging".
 */
#include "guest_internal.h"

#define WINDOW_PML4 (GUEST_WINDOW >> 39 & 511)

static uint64_t window_pdpt[512] __attribute__((aligned(4096)));
static uint64_t window_pd[512] __attribute__((aligned(4096)));
static uint64_t window_pt[512] __attribute__((aligned(4096)));

uint64_t *guest_pte(uint64_t virtual)
{
    return &window_pt[virtual >> 12 & 511];
}

void guest_map(uint64_t virtual, uint64_t physical, uint64_t flags)
{
    const uint64_t all = PTE_P | PTE_W | PTE_U;

    window_pd[0] = (uint64_t)window_pt | all;
    window_pdpt[0] = (uint64_t)window_pd | all;
    guest_pml4[WINDOW_PML4] = (uint64_t)window_pdpt | all;
    *guest_pte(virtual) = physical | flags;
    invlpg(virtual);
}

void guest_user_open(bool open)
{
    uint64_t *pdpt = (uint64_t *)(guest_pml4[0] & ~0xfffull);

    if (open)
        guest_pml4[0] |= PTE_U;
    else
        guest_pml4[0] &= ~PTE_U;
    for (unsigned i = 0; i < 4; i++)
        pdpt[i] = open ? pdpt[i] | PTE_U : pdpt[i] & ~PTE_U;
    for (unsigned i = 0; i < 4 * 512; i++)
        guest_pd[i] = open ? guest_pd[i] | PTE_U : guest_pd[i] & ~PTE_U;
    write_cr3(read_cr3());
}
