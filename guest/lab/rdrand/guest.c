/* RDRAND: the destination's register and size stand in the instruction information. */
#include "lab.h"

static void run(void *unused)
{
    (void)unused;
    __asm__ volatile("rdrand %%eax; rdrand %%r11" : : : "rax", "r11", "cc");
}

int guest_main(void)
{
    lab_begin();
    lab_probe("fault", run, NULL);
    lab_end();
    return 0;
}
