/* Exceptions that the bitmap selects, and those that it does not. */
#include "lab.h"

static void undefined(void *unused)
{
    (void)unused;
    __asm__ volatile("ud2");
}

static void protection(void *unused)
{
    (void)unused;
    __asm__ volatile("mov %0, %%ds" : : "r"(0xfff8));
}

static void breakpoint(void *unused)
{
    (void)unused;
    __asm__ volatile("int3");
}

static void not_present(void *unused)
{
    (void)unused;
    (void)*(volatile uint8_t *)(GUEST_WINDOW + 0x10000);
}

static void read_only(void *unused)
{
    (void)unused;
    *(volatile uint8_t *)GUEST_WINDOW = 1;
}

static void debug_trap(struct trap_frame *frame)
{
    lab_value("dr6", read_dr6() & 0x4000);
    frame->rflags &= ~FLAG_TF;
}

static void page_faults(void)
{
    guest_map(GUEST_WINDOW, LAB_MEMORY, PTE_P);
    lab_begin();
    lab_probe("not-present", not_present, NULL);
    lab_probe("read-only", read_only, NULL);
    lab_end();
}

int guest_main(void)
{
    guest_trap_set(VEC_DB, debug_trap);
    if (lab_variant("pf") || lab_variant("pf-mask") || lab_variant("pf-off")) {
        page_faults();
        return 0;
    }
    lab_begin();
    if (lab_variant("db"))
        write_flags(read_flags() | FLAG_TF);
    else if (lab_variant("gp"))
        lab_probe("fault", protection, NULL);
    else if (lab_variant("bp"))
        lab_probe("fault", breakpoint, NULL);
    else
        lab_probe("fault", undefined, NULL);
    lab_end();
    return 0;
}
