/* An interrupt waits for the guest to open its IF. */
#include "lab.h"

static volatile unsigned taken;

static void handler(struct trap_frame *frame)
{
    (void)frame;
    taken++;
}

int guest_main(void)
{
    guest_trap_set(0x41, handler);
    guest_apic_enable();
    lab_begin();
    lab_stage(1);
    __asm__ volatile("nop; nop; sti; nop; nop; cli" : : : "memory");
    lab_end();
    lab_value("taken", taken);
    return 0;
}
