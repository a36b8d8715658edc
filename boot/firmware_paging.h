/*
 * Whether firmware's page tables map a piece of memory.
 */
#ifndef BOOT_FIRMWARE_PAGING_H
#define BOOT_FIRMWARE_PAGING_H

#include "hv/types.h"

/* Can all of [start, start + bytes) be read by the tables in use? Some firmware takes away what it has
 * not allocated, although its map calls it free, and an access ends in its exception handler. */
bool boot_can_read(uint64_t start, uint64_t bytes);

#endif
