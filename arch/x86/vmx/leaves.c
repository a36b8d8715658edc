/*
 * The courses' CPUID leaves: x86/leaves.h. Pure; no lock.
 */
#include "x86/leaves.h"

#define LAST_REASON 69u

enum { EXITS = 1, TICKS = 2, OF_REASON = 4 };

/* What each leaf shows, from 4FFFFFFCH on; 0: it is not one. */
static const uint8_t layouts[][VMX_LEAVES_COUNT] = {
    [CONFIG_LEAVES_OFF] = { 0, 0, 0, 0 },
    [CONFIG_LEAVES_S21] = { 0, 0, EXITS | OF_REASON, EXITS | TICKS },
    [CONFIG_LEAVES_F21] = { TICKS | OF_REASON, EXITS | OF_REASON, TICKS, EXITS },
    [CONFIG_LEAVES_F22] = { EXITS, TICKS, EXITS | OF_REASON, TICKS | OF_REASON },
};

static bool reason_is_defined(uint32_t reason)
{
    return reason <= LAST_REASON && reason != 35 && reason != 38 && reason != 42;
}

bool vmx_leaves_answer(enum config_leaves layout, uint32_t leaf, uint32_t ecx,
                       const struct vmx_leaves_source *source, struct cpuid_regs *regs)
{
    uint32_t index = leaf - VMX_LEAVES_FIRST;
    uint64_t exits = 0, ticks = 0;
    unsigned what;

    if (index >= VMX_LEAVES_COUNT || (unsigned)layout >= HV_ARRAY_COUNT(layouts))
        return false;
    what = layouts[layout][index];
    if (!what)
        return false;
    *regs = (struct cpuid_regs){ 0, 0, 0, 0 };
    if ((what & OF_REASON) && !reason_is_defined(ecx)) {
        regs->edx = UINT32_MAX;
        return true;
    }
    source->sum(source->context, what & OF_REASON ? ecx : VMX_LEAVES_ALL, &exits, &ticks);
    if (what & EXITS)
        regs->eax = (uint32_t)exits;
    if (what & TICKS) {
        regs->ebx = (uint32_t)(ticks >> 32);
        regs->ecx = (uint32_t)ticks;
    }
    return true;
}
