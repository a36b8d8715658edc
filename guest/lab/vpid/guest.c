/* A translation changes and the guest does not say so (no INVLPG): which one does the TLB hold? */
#include "lab.h"

#define PAGE_A LAB_MEMORY
#define PAGE_B (LAB_MEMORY + 0x1000)

static uint64_t look(void)
{
    return *(volatile uint64_t *)GUEST_WINDOW;
}

int guest_main(void)
{
    uint64_t without_exit;

    *(volatile uint64_t *)PAGE_A = 0xa;
    *(volatile uint64_t *)PAGE_B = 0xb;
    guest_map(GUEST_WINDOW, PAGE_A, PTE_P | PTE_W);
    lab_value("before", look());
    lab_begin();
    (void)look();
    *guest_pte(GUEST_WINDOW) = PAGE_B | PTE_P | PTE_W;
    without_exit = look();
    (void)cpuid(0, 0);
    lab_value("after-exit", look());
    lab_value("without-exit", without_exit);
    lab_stage(1);
    lab_value("after-invvpid", look());
    lab_end();
    return 0;
}
