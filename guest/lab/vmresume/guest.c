/* VMRESUME in a guest */
#include "lab.h"

static uint64_t operand[2] __attribute__((aligned(16)));

static void run(void *unused)
{
    (void)unused;
    __asm__ volatile("vmresume" : : "a"(0x681eull), "b"(operand), "c"(1ull) : "rdx", "memory", "cc");
}

int guest_main(void)
{
    lab_begin();
    lab_probe("fault", run, NULL);
    lab_end();
    return 0;
}
