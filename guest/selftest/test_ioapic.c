/*
 * I/O APIC with the PIT (input 2) and the UART (input 4) as sources. 82093AA data sheet; SDM
 * volume 3 "Level Interrupts" (EOI).
 */
#include "selftest.h"

#define PIT_PIN 2u
#define UART_PIN 4u
#define UART_IER 0x3f9u
#define UART_MCR 0x3fcu
#define UART_LSR 0x3fdu

static void pit_one_shot(unsigned microseconds)
{
    unsigned count = PIT_HZ / 1000 * microseconds / 1000;

    outb(0x43, 0x30);
    outb(0x40, (uint8_t)count);
    outb(0x40, (uint8_t)(count >> 8));
}

static void check_registers(void)
{
    uint32_t version = guest_ioapic_read(1);

    check((version & 0xff) >= 0x11 && (version >> 16 & 0xff) == 23, "version and 24 entries",
          "0x%x", version);
    guest_ioapic_write(0x10 + 2 * 5, 0xffffffff);
    if (!lenient_skip("writable bits of an entry, low half"))
        check_equal("writable bits of an entry, low half",
                    guest_ioapic_read(0x10 + 2 * 5) & ~(uint32_t)(RTE_REMOTE_IRR | 0x1000),
                    0x1afff);
    guest_ioapic_write(0x11 + 2 * 5, 0x7b000000);
    check_equal("destination of an entry", guest_ioapic_read(0x11 + 2 * 5) >> 24, 0x7b);
    guest_ioapic_write(0x10 + 2 * 5, RTE_MASKED);
    mmio_write32(IOAPIC_BASE, 0xab);
    check_equal("select register", mmio_read32(IOAPIC_BASE) & 0xff, 0xab);
}

static void check_edge(void)
{
    interrupt_count = 0;
    pit_one_shot(100);
    guest_delay_us(1000);
    guest_ioapic_route(PIT_PIN, TEST_VECTOR, guest_apic_id());
    let_in();
    interrupt_count = 0;
    pit_one_shot(1000);
    wait_interrupts(1, 100000);
    check_equal("PIT by input 2, edge", interrupt_count, 1);
    wait_interrupts(2, 3000);
    check_equal("... once", interrupt_count, 1);
    guest_ioapic_route(PIT_PIN, TEST_VECTOR | RTE_MASKED, guest_apic_id());
    interrupt_count = 0;
    pit_one_shot(500);
    wait_interrupts(1, 3000);
    check_equal("a masked edge does not come", interrupt_count, 0);
    if (!guest_x2apic()) { /* else it is derived from the id: SDM "Logical x2APIC ID" */
        guest_apic_write(APIC_DFR, 0xffffffff);
        guest_apic_write(APIC_LDR, 0x01000000);
    }
    guest_ioapic_route(PIT_PIN, TEST_VECTOR | 0x900, 1);
    let_in();
    interrupt_count = 0;
    pit_one_shot(500);
    wait_interrupts(1, 100000);
    check_equal("logical destination, lowest priority", interrupt_count, 1);
    guest_ioapic_route(PIT_PIN, RTE_MASKED, 0);
}

static volatile uint32_t level_irr;

/* The source stays up for the first three, so that EOI brings the next. */
static void level_handler(struct trap_frame *frame)
{
    (void)frame;
    level_irr += !!(guest_ioapic_read(0x10 + 2 * UART_PIN) & RTE_REMOTE_IRR);
    if (++interrupt_count == 3)
        outb(UART_IER, 0);
    guest_eoi();
}

static void check_level(void)
{
    uint8_t mcr = inb(UART_MCR);

    for (unsigned i = 0; i < 100000 && !(inb(UART_LSR) & 0x40); i++)
        pause();
    guest_trap_set(TEST_VECTOR, level_handler);
    interrupt_count = level_irr = 0;
    outb(UART_MCR, mcr | 8);
    guest_ioapic_route(UART_PIN, TEST_VECTOR | RTE_LEVEL, guest_apic_id());
    outb(UART_IER, 2); /* transmitter empty; the cause stays since nobody reads IIR */
    wait_interrupts(3, 100000);
    let_in();
    outb(UART_IER, 0);
    check_equal("a level that stays comes again at each EOI", interrupt_count, 3);
    check_equal("remote IRR is set while it is served", level_irr, 3);
    check_equal("remote IRR is clear afterwards",
                guest_ioapic_read(0x10 + 2 * UART_PIN) & RTE_REMOTE_IRR, 0);
    guest_ioapic_route(UART_PIN, RTE_MASKED, 0);
    outb(UART_MCR, mcr);
    guest_trap_set(TEST_VECTOR, count_interrupt);
}

static volatile uint32_t nmi_count;

static void nmi_handler(struct trap_frame *frame)
{
    (void)frame;
    nmi_count++;
}

static void check_nmi(void)
{
    nmi_count = 0;
    guest_trap_set(VEC_NMI, nmi_handler);
    pit_one_shot(100);
    guest_delay_us(1000);
    guest_ioapic_route(PIT_PIN, 0x400, guest_apic_id());
    pit_one_shot(500);
    guest_delay_us(3000);
    check(nmi_count >= 1, "delivery mode NMI", "%u", nmi_count);
    guest_ioapic_route(PIT_PIN, RTE_MASKED, 0);
    guest_trap_set(VEC_NMI, NULL);
}

/* In loop-back what is sent is received. PC16550D data sheet, "Modem Control Register". */
static void check_uart(void)
{
    uint8_t mcr = inb(UART_MCR);

    for (unsigned i = 0; i < 100000 && !(inb(UART_LSR) & 0x40); i++)
        pause();
    outb(UART_MCR, 0x1b);
    outb(UART_IER, 0);
    outb(0x3f8, 0x5a);
    guest_delay_us(2000);
    check(inb(UART_LSR) & 1, "UART's loop-back receives", "LSR 0x%x", inb(UART_LSR));
    check_equal("... the same byte", inb(0x3f8), 0x5a);
    outb(UART_MCR, mcr);
}

void test_ioapic(void)
{
    guest_trap_set(TEST_VECTOR, count_interrupt);
    guest_apic_enable();
    check_registers();
    check_edge();
    check_level();
    check_nmi();
    check_uart();
    guest_trap_set(TEST_VECTOR, NULL);
}
