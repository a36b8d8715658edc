/* SGDT, SIDT, LGDT, LIDT. */
#include "lab.h"

static struct table_register gdt, idt;

int guest_main(void)
{
    lab_begin();
    __asm__ volatile("sgdt (%%rbx)" : : "b"(&gdt) : "memory");
    __asm__ volatile("sidt 2(%%rcx)" : : "c"((uint64_t)&idt - 2) : "memory");
    __asm__ volatile("lgdt (%%rbx)" : : "b"(&gdt) : "memory");
    __asm__ volatile("lidt (%%rbx)" : : "b"(&idt) : "memory");
    lab_end();
    lab_value("gdt-limit", gdt.limit);
    lab_value("idt-limit", idt.limit);
    return 0;
}
