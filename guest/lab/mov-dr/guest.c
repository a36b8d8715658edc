/* MOV to and from debug registers. */
#include "lab.h"

int guest_main(void)
{
    uint64_t seen;

    lab_begin();
    __asm__ volatile("mov %%rbx, %%dr0" : : "b"(0x1234ull) : "memory");
    __asm__ volatile("mov %%dr0, %%rcx" : "=c"(seen) : : "memory");
    __asm__ volatile("mov %%rax, %%dr7" : : "a"(0x400ull) : "memory");
    lab_end();
    lab_value("dr0", seen);
    return 0;
}
