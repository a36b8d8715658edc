/*
 * interrupts = guest: the registers of the local APIC that pass. Everything else of 0x800-0x8FF
 * exits and is done on the APIC that software keeps (x86/lapic.h):
 * - ID, LDR, version: the guest's numbers, not the machine's;
 * - ICR: it reaches other cores;
 * - SVR: routing looks at it, and switching the APIC off masks the entries that are the host's;
 * - LVT of pins, thermal sensor and performance counters: they can raise SMI, NMI, INIT and ExtINT,
 *   and what they are wired to is the machine's.
 * Pure; no lock.
 */
#include "x86/lapic.h"
#include "x86/msr.h"
#include "x86/own_core.h"

/* The timer's entry and the error entry have no delivery mode: they raise a vector on this core. */
static const struct {
    uint16_t first, last;
    bool read, write;
} passes[] = {
    { LAPIC_TPR, LAPIC_TPR, true, true },
    { LAPIC_PPR, LAPIC_PPR, true, false },
    { LAPIC_EOI, LAPIC_EOI, false, true },
    { LAPIC_ISR, LAPIC_ESR - 16, true, false }, /* ISR, TMR, IRR */
    { LAPIC_ESR, LAPIC_ESR, true, true },
    { LAPIC_LVT_TIMER, LAPIC_LVT_TIMER, true, true },
    { LAPIC_LVT_ERROR, LAPIC_INITIAL_COUNT, true, true },
    { LAPIC_CURRENT_COUNT, LAPIC_CURRENT_COUNT, true, false },
    { LAPIC_DIVIDE, LAPIC_DIVIDE, true, true },
    { LAPIC_SELF_IPI, LAPIC_SELF_IPI, false, true },
};

bool own_core_msr_passes(uint32_t msr, bool write)
{
    uint32_t reg = (msr - LAPIC_MSR_BASE) * 16;

    if (msr == MSR_IA32_TSC_DEADLINE)
        return true;
    if (msr < LAPIC_MSR_BASE || msr > LAPIC_MSR_LAST)
        return false;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(passes); i++) {
        if (reg >= passes[i].first && reg <= passes[i].last)
            return write ? passes[i].write : passes[i].read;
    }
    return false;
}
