/*
 * The interrupt controllers, as plainly as their data sheets put it: 8259A pair, 82093AA I/O APIC,
 * local APIC in either of its modes. And the CMOS memory, whose index port masks NMI.
 */
#include "guest.h"

#define APIC_PAGE 0xfee00000u
#define IPI_POLLS 1000000u

/* --- 8259A --- */

void guest_pic_init(uint8_t master, uint8_t slave)
{
    outb(0x20, 0x11);
    outb(0x21, master);
    outb(0x21, 4);
    outb(0x21, 1);
    outb(0xa0, 0x11);
    outb(0xa1, slave);
    outb(0xa1, 2);
    outb(0xa1, 1);
    guest_pic_mask(0xffff);
}

void guest_pic_mask(uint16_t masked)
{
    outb(0x21, (uint8_t)masked);
    outb(0xa1, (uint8_t)(masked >> 8));
}

void guest_pic_eoi(unsigned irq)
{
    if (irq >= 8)
        outb(0xa0, 0x20);
    outb(0x20, 0x20);
}

/* --- local APIC --- */

uint64_t guest_apic_base(void)
{
    return rdmsr(MSR_APIC_BASE) & 0xffffff000ull;
}

bool guest_x2apic(void)
{
    return rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
}

uint32_t guest_apic_read(unsigned reg)
{
    if (guest_x2apic())
        return (uint32_t)rdmsr(MSR_X2APIC + reg / 16);
    return mmio_read32(APIC_PAGE + reg);
}

void guest_apic_write(unsigned reg, uint32_t value)
{
    if (guest_x2apic())
        wrmsr(MSR_X2APIC + reg / 16, value);
    else
        mmio_write32(APIC_PAGE + reg, value);
}

uint32_t guest_apic_id(void)
{
    uint32_t id = guest_apic_read(APIC_ID);

    return guest_x2apic() ? id : id >> 24;
}

void guest_apic_enable(void)
{
    guest_apic_write(APIC_TPR, 0);
    guest_apic_write(APIC_SVR, APIC_SVR_ENABLE | 0xff);
}

void guest_eoi(void)
{
    guest_apic_write(APIC_EOI, 0);
}

void guest_ipi(uint32_t to, uint32_t command)
{
    if (guest_x2apic()) {
        wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)to << 32 | command);
        return;
    }
    mmio_write32(APIC_PAGE + APIC_ICR_HIGH, to << 24);
    mmio_write32(APIC_PAGE + APIC_ICR, command);
    for (unsigned i = 0; i < IPI_POLLS && mmio_read32(APIC_PAGE + APIC_ICR) & ICR_BUSY; i++)
        pause();
}

/* Out of x2APIC mode there is only the way over "disabled", which resets the local APIC. SDM
 * volume 3 "x2APIC State Transitions". */
bool guest_x2apic_set(bool on)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    if (on && !(cpuid(1, 0).ecx & BIT(21)))
        return false;
    if (on && !(base & APIC_BASE_X2APIC)) {
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC | APIC_BASE_ENABLE);
    } else if (!on && (base & APIC_BASE_X2APIC)) {
        base &= ~(APIC_BASE_X2APIC | APIC_BASE_ENABLE);
        wrmsr(MSR_APIC_BASE, base);
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
        guest_apic_enable();
    }
    return guest_x2apic() == on;
}

/* --- I/O APIC --- */

uint32_t guest_ioapic_read(unsigned reg)
{
    mmio_write32(IOAPIC_BASE + IOAPIC_SELECT, reg);
    return mmio_read32(IOAPIC_BASE + IOAPIC_WINDOW);
}

void guest_ioapic_write(unsigned reg, uint32_t value)
{
    mmio_write32(IOAPIC_BASE + IOAPIC_SELECT, reg);
    mmio_write32(IOAPIC_BASE + IOAPIC_WINDOW, value);
}

void guest_ioapic_route(unsigned pin, uint32_t low, uint32_t apic_id)
{
    guest_ioapic_write(0x10 + pin * 2, RTE_MASKED);
    guest_ioapic_write(0x11 + pin * 2, apic_id << 24);
    guest_ioapic_write(0x10 + pin * 2, low);
}

/* --- CMOS --- */

uint8_t guest_cmos_read(uint8_t index)
{
    outb(0x70, index & 0x7f);
    return inb(0x71);
}

void guest_cmos_write(uint8_t index, uint8_t value)
{
    outb(0x70, index & 0x7f);
    outb(0x71, value);
}
