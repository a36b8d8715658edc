/*
 * The page tables that firmware has in use. Not here: the walk (page_rights.c). No lock.
 * UEFI specification "EFI_MEMORY_RP".
 */
#include "boot/firmware_paging.h"

#include "boot/page_rights.h"
#include "x86/insn.h"
#include "x86/regs.h"

bool boot_can_read(uint64_t start, uint64_t bytes)
{
    return page_rights_hold(read_cr3(), read_cr4() & CR4_LA57 ? 5 : 4, start, bytes, PAGE_MAY_READ);
}
