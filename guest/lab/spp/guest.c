/* A write to a page whose sub-page permissions cannot be found. */
#include "lab.h"

int guest_main(void)
{
    *(volatile uint64_t *)LAB_MEMORY = 1;
    lab_begin();
    lab_stage(1);
    *(volatile uint64_t *)LAB_MEMORY = 2;
    lab_end();
    return 0;
}
