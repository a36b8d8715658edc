/*
 * What vmm/ asks of the machine as a whole (hv/arch_ops.h "the machine"); power is in power.c.
 * Lock: none.
 */
#include "hv/arch_ops.h"
#include "x86/host_apic.h"
#include "x86/insn.h"
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

void arch_kick_core(unsigned core)
{
    host_apic_send(percpu_at(core)->apic_id, HOST_VECTOR_KICK);
}

/* An interrupt that comes after the look at *unless stays pending, since interrupts are off, and
 * ends the HLT: nothing is lost in between. */
void arch_idle(uint64_t deadline_tsc, const uint32_t *unless)
{
    bool timed = deadline_tsc != UINT64_MAX;

    cli();
    if (__atomic_load_n(unless, __ATOMIC_ACQUIRE) || rdtsc() >= deadline_tsc)
        return;
    if (timed)
        host_timer_arm_tsc(deadline_tsc);
    sti_hlt_cli();
    if (timed)
        host_timer_stop();
}
