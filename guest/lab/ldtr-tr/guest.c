/* SLDT, STR, LLDT, LTR. */
#include "lab.h"

int guest_main(void)
{
    uint64_t ldt, tr;

    lab_begin();
    __asm__ volatile("sldt %%rax" : "=a"(ldt));
    __asm__ volatile("str %%rdx" : "=d"(tr));
    __asm__ volatile("lldt %%cx" : : "c"(0));
    ((uint8_t *)&guest_gdt[SEL_TSS / 8])[5] &= (uint8_t)~2u; /* available again */
    __asm__ volatile("ltr %%dx" : : "d"(SEL_TSS));
    lab_end();
    lab_value("ldt", ldt & 0xffff);
    lab_value("tr", tr & 0xffff);
    return 0;
}
