/*
 * What the page tables in use allow at an address: firmware's own, while it is alive.
 *
 * Pure: it reads the tables that it is pointed to. No lock. SDM volume 3 "Determination of Access
 * Rights".
 */
#ifndef BOOT_PAGE_RIGHTS_H
#define BOOT_PAGE_RIGHTS_H

#include "hv/types.h"

#define PAGE_MAY_READ    (UINT64_C(1) << 0) /* it is there */
#define PAGE_MAY_WRITE   (UINT64_C(1) << 1)
#define PAGE_MAY_EXECUTE (UINT64_C(1) << 63)

/* May privilege level 0 do all of `wanted` to every page of [start, start + bytes)? `cr3` as the
 * register has it, its tables mapped at their own addresses; 4 or 5 levels. */
bool page_rights_hold(uint64_t cr3, unsigned levels, uint64_t start, uint64_t bytes,
                      uint64_t wanted);

#endif
