/*
 * Pages from the firmware, remembered so that they can be given back.
 *
 * Not here: memory after the hand-over (vmm/lib). No lock: one core runs.
 * UEFI specification, "EFI_BOOT_SERVICES.AllocatePages()".
 */
#include "boot/uefi.h"
#include "hv/string.h"

/* The area from 0xa0000 up is video memory and ROM, even where a map does not say so. */
#define LOW_PAGE_LAST_BYTE 0x9ffffu
#define LOW_PAGE_HIGHEST 0x9e000u
#define LOW_PAGE_LOWEST 0x1000u

static bool remember(struct boot *boot, uint64_t start, uint64_t pages)
{
    if (boot->allocation_count == BOOT_MOST_ALLOCATIONS) {
        boot->services->FreePages(start, pages);
        return false;
    }
    boot->allocations[boot->allocation_count++] = (struct boot_allocation){ start, pages };
    return true;
}

uint64_t boot_allocate_unzeroed(struct boot *boot, uint64_t bytes, uint64_t highest_byte)
{
    EFI_PHYSICAL_ADDRESS start = highest_byte;
    EFI_ALLOCATE_TYPE how = highest_byte == UINT64_MAX ? AllocateAnyPages : AllocateMaxAddress;
    if (bytes == 0 || bytes > UINT64_MAX - HV_PAGE_MASK)
        return 0;
    uint64_t pages = hv_align_up(bytes, HV_PAGE_BYTES) >> HV_PAGE_SHIFT;
    EFI_STATUS status = boot->services->AllocatePages(how, EfiLoaderData, pages, &start);
    if (EFI_ERROR(status) || !remember(boot, start, pages))
        return 0;
    return start;
}

uint64_t boot_allocate(struct boot *boot, uint64_t bytes)
{
    uint64_t start = boot_allocate_unzeroed(boot, bytes, UINT64_MAX);
    if (start)
        memset((void *)start, 0, hv_align_up(bytes, HV_PAGE_BYTES));
    return start;
}

static uint64_t remember_page(struct boot *boot, uint64_t start)
{
    if (!remember(boot, start, 1))
        return 0;
    memset((void *)start, 0, HV_PAGE_BYTES);
    return start;
}

uint64_t boot_allocate_low_page(struct boot *boot)
{
    EFI_PHYSICAL_ADDRESS start = LOW_PAGE_LAST_BYTE;
    EFI_STATUS status =
        boot->services->AllocatePages(AllocateMaxAddress, EfiLoaderData, 1, &start);
    if (!EFI_ERROR(status) && start != 0)
        return remember_page(boot, start);
    if (!EFI_ERROR(status))
        boot->services->FreePages(start, 1); /* page 0 is nobody's */
    for (start = LOW_PAGE_HIGHEST; start >= LOW_PAGE_LOWEST; start -= HV_PAGE_BYTES) {
        EFI_PHYSICAL_ADDRESS exact = start;
        status = boot->services->AllocatePages(AllocateAddress, EfiLoaderData, 1, &exact);
        if (!EFI_ERROR(status))
            return remember_page(boot, exact);
    }
    return 0;
}

void boot_free(struct boot *boot, uint64_t start)
{
    for (unsigned i = 0; i < boot->allocation_count; i++) {
        struct boot_allocation *at = &boot->allocations[i];
        if (at->start != start)
            continue;
        boot->services->FreePages(at->start, at->pages);
        *at = boot->allocations[--boot->allocation_count];
        return;
    }
}

void boot_free_beyond(struct boot *boot, unsigned kept)
{
    while (boot->allocation_count > kept) {
        struct boot_allocation *last = &boot->allocations[--boot->allocation_count];
        boot->services->FreePages(last->start, last->pages);
    }
    boot->info = NULL;
}
