/*
 * Which mode the local APICs run in, and the way there. Pure; no lock.
 * SDM volume 3 "x2APIC State Transitions"; VT-d specification "DMA Remapping Reporting Structure",
 * flag X2APIC_OPT_OUT.
 */
#include "x86/apic_mode.h"

#include "x86/msr.h"

#define XAPIC_HIGHEST_ID 0xfeu

bool apic_mode_is_x2apic(bool supported, uint64_t base, bool opt_out, uint32_t highest_id)
{
    if (!supported)
        return false;
    return (base & APIC_BASE_EXTD) || !opt_out || highest_id > XAPIC_HIGHEST_ID;
}

enum hv_err apic_mode_plan(uint64_t base, bool x2apic, bool kept, uint64_t writes[2],
                           unsigned *count)
{
    *count = 0;
    if (!x2apic && (base & APIC_BASE_EXTD))
        return HV_ERR_UNSUPPORTED; /* the way back is through "disabled", and may be locked */
    if (kept && (!(base & APIC_BASE_EN) || (x2apic && !(base & APIC_BASE_EXTD))))
        return HV_ERR_UNSUPPORTED;
    /* From "disabled" the way to x2APIC is through xAPIC. */
    if (!(base & APIC_BASE_EN))
        writes[(*count)++] = base |= APIC_BASE_EN;
    if (x2apic && !(base & APIC_BASE_EXTD))
        writes[(*count)++] = base | APIC_BASE_EXTD;
    return HV_OK;
}
