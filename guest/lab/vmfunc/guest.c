/* VMFUNC with a function that is not enabled */
#include "lab.h"

static void run(void *unused)
{
    uint64_t a = 0, b = 0, c = 0, d = 0;

    (void)unused;
    __asm__ volatile("vmfunc" : "+a"(a), "+b"(b), "+c"(c), "+d"(d) : : "memory", "cc");
}

int guest_main(void)
{
    lab_begin();
    lab_probe("fault", run, NULL);
    lab_end();
    return 0;
}
