/*
 * Return addresses among the words of a stack.
 *
 * Not here: which stack, and how it is printed (panic_report.c). Pure; no lock.
 */
#include "x86/backtrace.h"

#include "hv/symbols.h"

#define CALL_DIRECT 0xe8
#define CALL_DIRECT_BYTES 5
#define CALL_INDIRECT 0xff
#define CALL_INDIRECT_MOST 7
#define NOWHERE UINT64_MAX

static bool in_code(const struct backtrace_code *code, uint64_t address)
{
    return address - code->start < code->bytes;
}

/* Is the instruction before an address a call? *target: where to, from the start of the code, or
 * NOWHERE, if the instruction does not say. */
static bool follows_call(const struct backtrace_code *code, uint64_t address, uint64_t *target)
{
    uint64_t at = address - code->start;
    const uint8_t *after = code->at + at;

    *target = NOWHERE;
    if (!in_code(code, address) || at < CALL_INDIRECT_MOST + 1)
        return false;
    if (after[-CALL_DIRECT_BYTES] == CALL_DIRECT) {
        uint32_t distance = (uint32_t)after[-4] | (uint32_t)after[-3] << 8 |
                            (uint32_t)after[-2] << 16 | (uint32_t)after[-1] << 24;
        *target = at + (uint64_t)(int64_t)(int32_t)distance;
        if (*target < code->bytes)
            return true;
        *target = NOWHERE; /* bytes that only look like it */
    }
    for (int length = 2; length <= CALL_INDIRECT_MOST; length++) {
        if (after[-length] == CALL_INDIRECT && (after[-length + 1] & 0x38) == 0x10)
            return true;
    }
    return false;
}

/* Where the function begins that an address lies in. */
static uint64_t function_of(const struct backtrace_code *code, uint64_t address)
{
    struct symbol symbol;

    if (!in_code(code, address) ||
        !symbol_find(code->symbols, code->symbols_bytes, address - code->start, &symbol))
        return NOWHERE;
    return symbol.start;
}

/* Is it the function of one of these frames, each of which may be of the chain? A call by a pointer
 * names nobody. */
static bool is_function_of(const struct backtrace_code *code, uint64_t target,
                           const struct backtrace_frame *frames, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (function_of(code, frames[i].address - 1) == target)
            return true;
    }
    return false;
}

unsigned backtrace_find(const struct backtrace_code *code, uint64_t rip, const uint64_t *stack,
                        size_t words, struct backtrace_frame *frames, unsigned most)
{
    uint64_t callee = function_of(code, rip); /* whose caller is looked for */
    unsigned count = 0, unsure = 0;           /* frames; those since the last sure one */

    for (size_t i = 0; i < words && count < most; i++) {
        uint64_t target;
        if (!follows_call(code, stack[i], &target))
            continue;
        bool sure = target != NOWHERE &&
                    (target == callee ||
                     is_function_of(code, target, frames + count - unsure, unsure));
        frames[count++] = (struct backtrace_frame){ stack[i], sure };
        unsure = sure ? 0 : unsure + 1;
        if (sure) /* the call may be its function's last instruction: the address is behind it */
            callee = function_of(code, stack[i] - 1);
    }
    return count;
}
