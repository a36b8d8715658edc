/* HLT with interrupts open, and an interrupt that ends it. */
#include "lab.h"

static volatile unsigned woken;
static bool real; /* the machine's own local APIC (x2APIC mode) is the guest's */

static void wake(struct trap_frame *frame)
{
    (void)frame;
    woken++;
    if (real)
        wrmsr(MSR_X2APIC + APIC_EOI / 16, 0);
    else
        mmio_write32(0xfee00000 + APIC_EOI, 0);
}

int guest_main(void)
{
    real = lab_variant("guest");
    guest_trap_set(0x61, wake);
    if (real) {
        wrmsr(MSR_X2APIC + APIC_ICR / 16, rdmsr(MSR_X2APIC + APIC_ID / 16) << 32 | 0x61);
    } else {
        guest_apic_enable();
        guest_ipi(guest_apic_id(), 0x61);
    }
    lab_begin();
    sti_hlt();
    lab_end();
    lab_value("woken", woken);
    return 0;
}
