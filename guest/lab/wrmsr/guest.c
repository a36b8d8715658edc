/* WRMSR: one that is the guest's own, one that is not there. */
#include "lab.h"

static void outside(void *unused)
{
    (void)unused;
    wrmsr(0x40000000, 1);
}

int guest_main(void)
{
    lab_begin();
    wrmsr(MSR_LSTAR, 0x1000);
    lab_probe("outside", outside, NULL);
    lab_end();
    lab_value("lstar", rdmsr(MSR_LSTAR));
    return 0;
}
