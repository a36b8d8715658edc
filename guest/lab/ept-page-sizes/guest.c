/* The same memory mapped by EPT pages of 2 MB and of 4 KB. */
#include "lab.h"

int guest_main(void)
{
    lab_begin();
    for (uint64_t at = LAB_MEMORY; at < LAB_MEMORY + LAB_MEMORY_BYTES; at += PAGE_BYTES)
        *(volatile uint64_t *)at = at;
    lab_end();
    return 0;
}
