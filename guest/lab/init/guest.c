/* An INIT signal while the guest runs: it sends one to its own core. */
#include "lab.h"

int guest_main(void)
{
    uint64_t self = rdmsr(MSR_X2APIC + APIC_ID / 16);

    lab_begin();
    wrmsr(MSR_X2APIC + APIC_ICR / 16, self << 32 | 0x4500);
    for (unsigned i = 0; i < 20; i++)
        __asm__ volatile("nop");
    lab_end();
    return 0;
}
