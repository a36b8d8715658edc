/* A second NMI waits for the end of the first one's handler. */
#include "lab.h"

static volatile unsigned taken;

static void handler(struct trap_frame *frame)
{
    (void)frame;
    if (taken++ == 0)
        lab_stage(1);
}

int guest_main(void)
{
    guest_trap_set(VEC_NMI, handler);
    lab_begin();
    lab_stage(1);
    __asm__ volatile("nop; nop" : : : "memory");
    lab_end();
    lab_value("taken", taken);
    return 0;
}
