/* VMCALL with a number that nobody has defined. */
#include "lab.h"

int guest_main(void)
{
    uint64_t answer = 0x1234;

    lab_begin();
    __asm__ volatile("vmcall" : "+a"(answer) : : "memory");
    lab_end();
    lab_value("answer", answer);
    return 0;
}
