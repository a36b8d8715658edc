/* One instruction, then an exit. */
#include "lab.h"

int guest_main(void)
{
    lab_begin();
    lab_stage(1);
    __asm__ volatile("nop; nop; nop");
    lab_end();
    return 0;
}
