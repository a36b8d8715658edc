/* An access through an EPT entry that makes no sense. */
#include "lab.h"

int guest_main(void)
{
    lab_begin();
    lab_stage(1);
    (void)*(volatile uint32_t *)LAB_MEMORY;
    lab_end();
    return 0;
}
