/*
 * Data and I/O breakpoints of the debug registers, for accesses that software makes in the guest's
 * name: the processor compares only its own.
 *
 * Not here: instruction breakpoints, which are faults that the processor meets at the fetch.
 * Pure; no lock. SDM volume 3 "Debug Registers", "Debug Control Register (DR7)", "Breakpoint Field
 * Recognition", "Data Memory and I/O Breakpoint Exception Conditions".
 */
#ifndef X86_BREAKPOINT_H
#define X86_BREAKPOINT_H

#include "hv/types.h"

/* Any of L0 to G3. LE and GE say nothing about matching. */
#define BREAKPOINT_DR7_ENABLES UINT64_C(0xff)

struct breakpoint_registers {
    uint64_t dr[4];
    uint64_t dr7;
    uint64_t cr4; /* DE: only with it there are I/O breakpoints */
};

enum breakpoint_access { BREAKPOINT_READ, BREAKPOINT_WRITE, BREAKPOINT_PORT };

/* Which of B0 to B3 (bits 0 to 3) the access of `bytes` at a linear address or port meets: those
 * that DR7 does not enable included, as the pending debug exceptions of a VMCS have them, provided
 * that one is met which it does enable. Else 0: nothing is raised. An access that wraps around at
 * the end of the address space is compared without its part behind the wrap. */
unsigned breakpoint_match(const struct breakpoint_registers *registers,
                          enum breakpoint_access access, uint64_t address, unsigned bytes);

#endif
