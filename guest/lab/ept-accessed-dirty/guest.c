/* One page is read, one is written, one is left alone. */
#include "lab.h"

int guest_main(void)
{
    lab_begin();
    lab_stage(1);
    (void)*(volatile uint64_t *)LAB_MEMORY;
    *(volatile uint64_t *)(LAB_MEMORY + 0x1000) = 1;
    lab_end();
    return 0;
}
