/*
 * Which breakpoints an access meets. Pure; no lock. Sources: x86/breakpoint.h.
 */
#include "x86/breakpoint.h"

#include "x86/regs.h"

#define BREAKPOINTS 4u
/* Of each breakpoint in DR7: L and G from bit 0 up, R/W and LEN from bit 16 up. */
#define ENABLES_OF(dr7, n) ((dr7) >> (2 * (n)) & 3u)
#define RW_OF(dr7, n) ((dr7) >> (16 + 4 * (n)) & 3u)
#define LEN_OF(dr7, n) ((dr7) >> (18 + 4 * (n)) & 3u)

enum { RW_EXECUTE, RW_WRITE, RW_PORT, RW_READ_WRITE };

static const uint8_t bytes_of_len[4] = { 1, 2, 8, 4 };

static bool kind_matches(unsigned rw, enum breakpoint_access access, bool debug_extensions)
{
    switch (rw) {
    case RW_WRITE:
        return access == BREAKPOINT_WRITE;
    case RW_PORT:
        return access == BREAKPOINT_PORT && debug_extensions;
    case RW_READ_WRITE:
        return access == BREAKPOINT_READ || access == BREAKPOINT_WRITE;
    default:
        return false;
    }
}

/* The low bits of the register that LEN covers are ignored; one byte in common is enough. */
static bool ranges_meet(uint64_t breakpoint, unsigned length, uint64_t address, unsigned bytes)
{
    uint64_t first = hv_align_down(breakpoint, length);

    return address - first < length || first - address < bytes;
}

unsigned breakpoint_match(const struct breakpoint_registers *registers,
                          enum breakpoint_access access, uint64_t address, unsigned bytes)
{
    uint64_t dr7 = registers->dr7;
    unsigned met = 0;
    bool enabled = false;

    bytes = (unsigned)hv_min_u64(bytes - 1, UINT64_MAX - address) + 1;
    for (unsigned n = 0; n < BREAKPOINTS; n++) {
        if (!kind_matches(RW_OF(dr7, n), access, registers->cr4 & CR4_DE) ||
            !ranges_meet(registers->dr[n], bytes_of_len[LEN_OF(dr7, n)], address, bytes))
            continue;
        met |= 1u << n;
        enabled = enabled || ENABLES_OF(dr7, n);
    }
    return enabled ? met : 0;
}
