/*
 * A real interrupt arrives while the guest runs: the guest sends it to its own core through the
 * machine's local APIC (x2APIC mode), whose registers this experiment passes through.
 */
#include "lab.h"

#define VECTOR 0x61

static volatile unsigned taken;

static void handler(struct trap_frame *frame)
{
    (void)frame;
    taken++;
    wrmsr(MSR_X2APIC + APIC_EOI / 16, 0);
}

int guest_main(void)
{
    uint64_t self = rdmsr(MSR_X2APIC + APIC_ID / 16);
    unsigned masked;

    guest_trap_set(VECTOR, handler);
    lab_begin();
    if (!lab_variant("exiting-masked") && !lab_variant("guest-masked"))
        sti();
    wrmsr(MSR_X2APIC + APIC_ICR / 16, self << 32 | VECTOR);
    for (unsigned i = 0; i < 20; i++)
        __asm__ volatile("nop");
    masked = taken;
    sti();
    for (unsigned i = 0; i < 20; i++)
        __asm__ volatile("nop");
    cli();
    lab_end();
    lab_value("taken-at-once", masked);
    lab_value("taken", taken);
    return 0;
}
