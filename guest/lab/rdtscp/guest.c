/* RDTSCP exits with "RDTSC exiting", by a reason of its own. */
#include "lab.h"

static void run(void *unused)
{
    (void)unused;
    __asm__ volatile("rdtscp" : : : "rax", "rcx", "rdx");
}

int guest_main(void)
{
    lab_begin();
    lab_probe("fault", run, NULL);
    lab_end();
    return 0;
}
