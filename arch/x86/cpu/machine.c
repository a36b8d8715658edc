/*
 * What vmm/ asks of the machine as a whole (hv/arch_ops.h "the machine"); power is in power.c.
 * Lock: none.
 */
#include "hv/arch_ops.h"
#include "x86/host_apic.h"
#include "x86/insn.h"
#include "x86/kept.h"
#include "x86/percpu.h"
#include "x86/trap.h"
#include "x86/tsc.h"

unsigned arch_core_count(void)
{
    return percpu_count();
}

unsigned arch_this_core(void)
{
    return this_cpu()->index;
}

uint64_t arch_tsc(void)
{
    return rdtsc();
}

uint64_t arch_tsc_hz(void)
{
    return tsc_hz();
}

const char *arch_cannot_own_cores(void)
{
    if (kept_is_on())
        return "local APICs that firmware does not want back (on-exit = poweroff or reset)";
    if (!host_apic_is_x2apic())
        return "x2APIC mode";
    return host_timer_is_deadline_mode() ? NULL : "a TSC-deadline timer";
}

/* A vector would reach the guest that the core belongs to. */
void arch_kick_core(unsigned core)
{
    uint32_t apic_id = percpu_at(core)->apic_id;

    if (hv_cores[core].owner)
        host_apic_send_nmi(apic_id);
    else
        host_apic_send(apic_id, HOST_VECTOR_KICK);
}

/* The last look at *unless, and what may come after it: traps.asm. */
void arch_idle(uint64_t deadline_tsc, const uint32_t *unless)
{
    bool timed = deadline_tsc != UINT64_MAX;

    cli();
    if (__atomic_load_n(unless, __ATOMIC_ACQUIRE) || rdtsc() >= deadline_tsc)
        return;
    if (timed)
        host_timer_arm_tsc(deadline_tsc);
    idle_until_interrupt(unless);
    if (timed && rdtsc() < deadline_tsc) /* else it has stopped by itself */
        host_timer_stop();
}
