/*
 * Moves the image to where it was loaded: adds the load address to every word that holds an address.
 *
 * The words are found by the packed table of relative relocations (SHT_RELR of the generic ELF ABI,
 * "Relative Relocation Table"): one bit each instead of 24 bytes. Every word already holds its
 * address as linked, so that the same table serves for moving a copy of the image once more.
 * No lock: one core runs, before anything else does. Nothing here may use a table of addresses.
 */
#include "boot/relocate.h"

#include "hv/types.h"

/* ELF gABI, "Dynamic Section": entries of a number and a value. */
#define DT_NULL 0
#define DT_RELRSZ 35
#define DT_RELR 36
#define BITMAP_WORDS 63

struct dynamic {
    uint64_t tag, value;
};

/* Called by the start code of gnu-efi in place of its own, which knows the unpacked tables only. */
long _relocate(uint64_t base, const struct dynamic *dynamic, void *image, void *system);

void image_relocate(uint64_t base, const uint64_t *table, size_t entries, uint64_t delta)
{
    uint64_t *where = NULL;

    for (size_t i = 0; i < entries; i++) {
        if (!(table[i] & 1)) {
            where = (uint64_t *)(base + table[i]);
            *where++ += delta;
            continue;
        }
        for (unsigned bit = 0; bit < BITMAP_WORDS; bit++)
            if (table[i] >> (bit + 1) & 1)
                where[bit] += delta;
        where += BITMAP_WORDS;
    }
}

long _relocate(uint64_t base, const struct dynamic *dynamic, void *image, void *system)
{
    uint64_t table = 0, bytes = 0;

    (void)image;
    (void)system;
    for (; dynamic->tag != DT_NULL; dynamic++) {
        if (dynamic->tag == DT_RELR)
            table = base + dynamic->value;
        else if (dynamic->tag == DT_RELRSZ)
            bytes = dynamic->value;
    }
    image_relocate(base, (const uint64_t *)table, bytes / sizeof(uint64_t), base);
    return 0;
}
