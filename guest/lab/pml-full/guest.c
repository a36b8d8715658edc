/* Three pages are written, and the log has room for two. */
#include "lab.h"

int guest_main(void)
{
    lab_begin();
    lab_stage(1);
    for (uint64_t i = 0; i < 3; i++)
        *(volatile uint64_t *)(LAB_MEMORY + i * PAGE_BYTES) = i;
    lab_end();
    return 0;
}
