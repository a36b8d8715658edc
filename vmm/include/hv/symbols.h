/*
 * Names of the hypervisor's own functions, for its last words. The table is made at build time
 * (tools/gen-symbols says how it is coded) from a first link, and linked in by a second one.
 * Pure; no lock.
 */
#ifndef HV_SYMBOLS_H
#define HV_SYMBOLS_H

#include "hv/types.h"

#define SYMBOL_NAME_BYTES 56

struct symbol {
    char name[SYMBOL_NAME_BYTES];
    uint64_t start; /* where the function begins, from the start of the code */
};

extern const uint8_t hv_symbols[];
extern const uint32_t hv_symbols_bytes;

/* The function that an offset from the start of the code lies in, or behind. False: there is none, or
 * it is one without a name. */
bool symbol_find(const uint8_t *table, size_t bytes, uint64_t offset, struct symbol *found);

#endif
