/* A guest that exits for nothing, and a device of its VM that has something to do. */
#include "lab.h"

int guest_main(void)
{
    uint64_t start;

    outb(0x43, 0x34); /* counter 0, mode 2: every millisecond */
    outb(0x40, 1193 & 0xff);
    outb(0x40, 1193 >> 8);
    lab_begin();
    start = rdtsc();
    while (rdtsc() - start < guest_us(2500))
        ;
    lab_end();
    return 0;
}
