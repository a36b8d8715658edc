/*
 * Which mode the local APICs run in, and the way there. Pure; host-tested.
 */
#ifndef X86_APIC_MODE_H
#define X86_APIC_MODE_H

#include "hv/types.h"

/* Whether to run in x2APIC mode. `base`: IA32_APIC_BASE of the boot core; a core that is in x2APIC mode
 * stays there, since the way back may be locked. `opt_out`: firmware asks the operating system not to
 * enter it (its system-management code uses the register page); that is followed unless a core has
 * an id that xAPIC mode can't reach. */
bool apic_mode_is_x2apic(bool supported, uint64_t base, bool opt_out, uint32_t highest_id);

/* What to write to IA32_APIC_BASE, in turn, to get from `base` into the mode: `writes` has room for
 * two. HV_ERR_UNSUPPORTED: there is no way, or (`kept`: firmware wants this APIC back) none that
 * could be gone back. */
enum hv_err apic_mode_plan(uint64_t base, bool x2apic, bool kept, uint64_t writes[2],
                           unsigned *count) HV_MUST_CHECK;

#endif
