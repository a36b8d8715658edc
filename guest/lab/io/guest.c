/* Every form of I/O instruction, on a port where nothing is. */
#include "lab.h"

static uint8_t buffer[16] = { 1, 2, 3, 4 };

static void plain(void)
{
    outb(0x2f0, 0x11);                                              /* port in DX or immediate */
    __asm__ volatile("outb %%al, $0x80" : : "a"(0x22) : "memory");
    (void)inb(0x2f0);
    (void)inw(0x2f0);
    outl(0x2f0, 0x33);
}

static void string(void)
{
    uint64_t at = (uint64_t)buffer, count = 3, d = 0x2f0;

    __asm__ volatile("outsb" : "+S"(at) : "d"(d) : "memory");
    at = (uint64_t)buffer;
    __asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(d) : "memory");
    at = (uint64_t)buffer;
    __asm__ volatile("insb" : "+D"(at) : "d"(d) : "memory");
}

int guest_main(void)
{
    lab_begin();
    if (lab_variant("string"))
        string();
    else
        plain();
    lab_end();
    return 0;
}
