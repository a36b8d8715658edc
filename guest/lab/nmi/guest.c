/* A real NMI arrives while the guest runs: it sends one to its own core. */
#include "lab.h"

static volatile unsigned taken;

static void handler(struct trap_frame *frame)
{
    (void)frame;
    taken++;
}

int guest_main(void)
{
    uint64_t self = rdmsr(MSR_X2APIC + APIC_ID / 16);

    guest_trap_set(VEC_NMI, handler);
    lab_begin();
    wrmsr(MSR_X2APIC + APIC_ICR / 16, self << 32 | 0x400);
    for (unsigned i = 0; i < 20; i++)
        __asm__ volatile("nop");
    lab_end();
    lab_value("taken", taken);
    return 0;
}
