/* RDTSC: intercepted, shifted, scaled, or left alone. */
#include "lab.h"

int guest_main(void)
{
    uint64_t first, second;

    lab_begin();
    first = rdtsc();
    second = rdtsc();
    lab_end();
    lab_value("forward", second > first);
    lab_value("far", first >> 60);
    return 0;
}
