/*
 * Relocation of the image (relocate.c).
 */
#ifndef BOOT_RELOCATE_H
#define BOOT_RELOCATE_H

#include <stddef.h>
#include <stdint.h>

/* Adds `delta` to every word that the table names. `base`: where the image stands, page-aligned;
 * `table`: `entries` words in the format of ELF gABI, "Relative Relocation Table", trusted, as it is
 * part of the image. A copy of a running image at a new place is moved with the difference of both
 * places, before anything in it is used. No errors, no lock. */
void image_relocate(uint64_t base, const uint64_t *table, size_t entries, uint64_t delta);

#endif
