/* RDMSR: the bitmap decides, and what lies outside of it exits always. */
#include "lab.h"

static void outside(void *unused)
{
    (void)unused;
    (void)rdmsr(0x40000000);
}

int guest_main(void)
{
    lab_begin();
    (void)rdmsr(MSR_EFER);
    (void)rdmsr(MSR_APIC_BASE);
    lab_probe("outside", outside, NULL);
    lab_end();
    return 0;
}
