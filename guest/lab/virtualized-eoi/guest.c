/* An interrupt of the guest's own, in x2APIC mode, where the processor runs the local APIC. */
#include "lab.h"

static volatile unsigned taken;

static void handler(struct trap_frame *frame)
{
    (void)frame;
    taken++;
    wrmsr(MSR_X2APIC + APIC_EOI / 16, 0);
}

static void handler_xapic(struct trap_frame *frame)
{
    (void)frame;
    taken++;
    mmio_write32(0xfee00000 + APIC_EOI, 0);
}

static void send_xapic(void)
{
    guest_trap_set(0x61, handler_xapic);
    guest_apic_enable();
    lab_begin();
    mmio_write32(0xfee00000 + APIC_ICR, 0x40061); /* to itself */
}

static void send_x2apic(void)
{
    guest_trap_set(0x61, handler);
    guest_x2apic_set(true);
    guest_apic_enable();
    lab_begin();
    lab_stage(1);
    wrmsr(MSR_X2APIC + 0x3f, 0x61); /* SELF IPI */
}

int guest_main(void)
{
    if (lab_variant("without"))
        send_xapic();
    else
        send_x2apic();
    __asm__ volatile("sti; nop; nop; cli" : : : "memory");
    lab_end();
    lab_value("taken", taken);
    return 0;
}
