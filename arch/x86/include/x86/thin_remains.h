/*
 * What thin mode leaves in memory for the next start: a warm reset keeps memory, and an operating
 * system that has hung can be reset. Written in the first page of the block, read by boot/.
 *
 * Nothing in it is believed: firmware may have used the memory meanwhile.
 */
#ifndef X86_THIN_REMAINS_H
#define X86_THIN_REMAINS_H

#include "hv/types.h"

#define THIN_REMAINS_MAGIC UINT64_C(0x534e49414d455254) /* "TREMAINS" */
#define THIN_REMAINS_VERSION 1u
#define THIN_REMAINS_CORES 128u
#define THIN_REMAINS_RECORDS 64u /* of each core's ring, the last ones */

struct thin_remains_core {
    uint64_t trace; /* where its struct vmx_trace is */
    uint64_t exits; /* and its counters by reason */
};

struct thin_remains {
    uint64_t magic;
    uint32_t version, core_count;
    uint64_t block_start, block_bytes;
    uint64_t start_tsc;
    uint32_t reasons, reserved; /* counters a core */
    struct thin_remains_core core[THIN_REMAINS_CORES];
};

_Static_assert(sizeof(struct thin_remains) <= HV_PAGE_BYTES, "the page in front of the image");

/* Is this the beginning of such a block, at `address`? */
bool thin_remains_valid(const struct thin_remains *remains, uint64_t address);

/* Every core's exits and its last ones, as lines ended by "\r\n"; at most `bytes`, always terminated.
 * What points out of the block is left out. Reads the block only. Returns the length. */
size_t thin_remains_text(const struct thin_remains *remains, char *out, size_t bytes);

#endif
