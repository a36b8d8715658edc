/* HLT with interrupts open, and an interrupt that ends it. */
#include "lab.h"

static volatile unsigned woken;

static void wake(struct trap_frame *frame)
{
    (void)frame;
    woken++;
    mmio_write32(0xfee00000 + APIC_EOI, 0);
}

int guest_main(void)
{
    guest_trap_set(0x40, wake);
    guest_apic_enable();
    guest_ipi(guest_apic_id(), 0x40);
    lab_begin();
    sti_hlt();
    lab_end();
    lab_value("woken", woken);
    return 0;
}
