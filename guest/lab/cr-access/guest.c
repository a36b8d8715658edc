/* Each form of access to a control register. */
#include "lab.h"

static uint16_t status_word;

static void write_cr3_rbx(void)
{
    uint64_t value = read_cr3();

    __asm__ volatile("mov %%rbx, %%cr3" : : "b"(value) : "memory");
}

static void read_cr3_r9(void)
{
    __asm__ volatile("mov %%cr3, %%r9" : : : "r9", "memory");
}

static void lmsw_register(void)
{
    __asm__ volatile("lmsw %%ax" : : "a"(0x3b) : "memory"); /* PE MP TS ET NE */
}

static void lmsw_memory(void)
{
    status_word = 0x3b;
    __asm__ volatile("lmsw (%%rbx)" : : "b"(&status_word) : "memory");
}

static void cr8(void)
{
    __asm__ volatile("mov %%rcx, %%cr8" : : "c"(5ull) : "memory");
    lab_value("cr8", read_cr8());
}

int guest_main(void)
{
    uint64_t cr0 = read_cr0(), cr4 = read_cr4();

    if (lab_variant("clts"))
        write_cr0(cr0 | CR0_TS);
    lab_begin();
    lab_stage(1);
    if (lab_variant("mov-to-cr0"))
        __asm__ volatile("mov %%rbx, %%cr0" : : "b"(cr0 | CR0_TS) : "memory");
    else if (lab_variant("mov-to-cr4"))
        __asm__ volatile("mov %%rcx, %%cr4" : : "c"(cr4 | CR4_TSD) : "memory");
    else if (lab_variant("mov-to-cr3") || lab_variant("cr3-target") || lab_variant("cr3-off") ||
             lab_variant("cr3-other-target"))
        write_cr3_rbx();
    else if (lab_variant("mov-from-cr3"))
        read_cr3_r9();
    else if (lab_variant("cr8"))
        cr8();
    else if (lab_variant("clts"))
        __asm__ volatile("clts" : : : "memory");
    else if (lab_variant("lmsw"))
        lmsw_register();
    else if (lab_variant("lmsw-memory"))
        lmsw_memory();
    else
        __asm__ volatile("mov %%rbx, %%cr0" : : "b"(cr0 | CR0_TS) : "memory");
    lab_end();
    lab_value("cr0.ts", read_cr0() >> 3 & 1);
    lab_value("cr4.tsd", read_cr4() >> 2 & 1);
    return 0;
}
