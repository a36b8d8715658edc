/*
 * How much memory a run takes from a firmware that stays, and in which pieces. Pure; host-tested.
 */
#ifndef BOOT_KEEP_PLAN_H
#define BOOT_KEEP_PLAN_H

#include "hv/boot_info.h"

#define KEEP_MOST_PIECES 24

/* Bytes that guests will have as RAM, and what Trapline needs beside it. */
struct keep_need {
    uint64_t guests_bytes;
    uint64_t own_bytes;
};

struct keep_need keep_plan_need(const struct config *config, uint32_t cores);

struct keep_piece {
    uint64_t start, bytes;
};

/* Asks for `bytes` of memory in as few pieces as there are to be had: `take` gives the start of one,
 * or 0. Each piece is a multiple of 2 MB but the last. Returns their number; 0: there is not so much
 * (what was taken until then is the caller's to give back). */
unsigned keep_plan_take(uint64_t bytes, uint64_t (*take)(void *context, uint64_t bytes),
                        void *context, struct keep_piece pieces[KEEP_MOST_PIECES]);

/* Nothing in the map is ours to give out or to write to: all that was, or would be, becomes
 * BOOT_MEMORY_FIRMWARE. */
void keep_plan_disown(struct boot_memory *map, uint32_t count);

/* Gives [start, start + bytes) its kind, whatever the map had there. The map stays sorted. False: it
 * has no room, or the range is empty or wraps. */
bool keep_plan_own(struct boot_memory *map, uint32_t *count, uint32_t most, uint64_t start,
                   uint64_t bytes, enum boot_memory_kind kind);

#endif
