/*
 * Who called whom, from a stack without frame pointers: these would cost a register on every path.
 *
 * Words of the stack that follow a call instruction are return addresses, of this call chain or left
 * over from an earlier one. A call that names its target tells them apart: when the target is the
 * function that the frame before lies in, it is of this chain for sure.
 * Pure; no lock. SDM volume 2 "CALL".
 */
#ifndef X86_BACKTRACE_H
#define X86_BACKTRACE_H

#include "hv/types.h"

struct backtrace_code {
    uint64_t start, bytes;      /* of the code, as addresses of the stack name it */
    const uint8_t *at;          /* where it can be read */
    const uint8_t *symbols;     /* hv/symbols.h */
    size_t symbols_bytes;
};

struct backtrace_frame {
    uint64_t address; /* behind the call */
    bool sure;        /* the call's target is the frame before */
};

/* Fills `frames` from the words of a stack, for code that was at `rip`. Returns how many there are. */
unsigned backtrace_find(const struct backtrace_code *code, uint64_t rip, const uint64_t *stack,
                        size_t words, struct backtrace_frame *frames, unsigned most);

#endif
