/*
 * interrupts = guest: what a guest that owns its core may do with the core's local APIC without an
 * exit. See docs/interrupts.md.
 * Not here: what happens at an exit (arch/x86/vmx/own_core.c). Pure.
 * SDM volume 3 "Extended XAPIC (x2APIC)", "Local Vector Table"; volume 4 for the MSRs.
 */
#ifndef X86_OWN_CORE_H
#define X86_OWN_CORE_H

#include "hv/types.h"

/* May RDMSR (WRMSR) of this register go to the core? Only registers that have no effect beyond the
 * core, say nothing of the machine, and that the host sets anew when it takes the core back. */
bool own_core_msr_passes(uint32_t msr, bool write);

#endif
