/* INVPCID exits with "INVLPG exiting". */
#include "lab.h"

static uint64_t descriptor[2] __attribute__((aligned(16)));

static void run(void *unused)
{
    (void)unused;
    __asm__ volatile("invpcid (%%rbx), %%rcx" : : "b"(descriptor), "c"(2ull) : "memory");
}

int guest_main(void)
{
    lab_begin();
    lab_probe("fault", run, NULL);
    lab_end();
    return 0;
}
