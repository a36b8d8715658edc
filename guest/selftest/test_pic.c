/*
 * 8259A pair: interrupts by the PIT and the RTC through LINT0 as ExtINT, and its registers. 8259A
 * data sheet; SDM volume 3 "LVT Register Settings After Reset or INIT", virtual wire mode.
 */
#include "selftest.h"

#define LINT0_EXTINT 0x700u

static volatile uint32_t pic_count, pic_last;

static void pic_handler(struct trap_frame *frame)
{
    unsigned irq = (unsigned)frame->vector - PIC_BASE;

    pic_count++;
    pic_last = irq;
    if (irq == 8) {
        outb(0x70, 0xc);
        inb(0x71);
    }
    guest_pic_eoi(irq);
}

static bool wait_pic(uint32_t wanted, uint64_t microseconds)
{
    uint64_t start = rdtsc(), ticks = guest_us(microseconds);

    sti();
    while (pic_count < wanted && rdtsc() - start < ticks)
        pause();
    cli();
    return pic_count >= wanted;
}

static void set_handlers(trap_handler *handler)
{
    for (unsigned v = PIC_BASE; v < PIC_BASE + 16; v++)
        guest_trap_set(v, handler);
}

static void pit_one_shot(unsigned microseconds)
{
    unsigned count = PIT_HZ / 1000 * microseconds / 1000;

    outb(0x43, 0x30); /* counter 0, mode 0 */
    outb(0x40, (uint8_t)count);
    outb(0x40, (uint8_t)(count >> 8));
}

/* Unmasks the PIT with nothing of it pending: some controllers keep the edge of a line that has
 * fallen again. */
static void pit_begin(void)
{
    guest_pic_mask(0xffff & ~1u);
    outb(0x43, 0x30);
    let_in();
    pic_count = 0;
}

static void check_registers(void)
{
    outb(0x21, 0x5a);
    outb(0xa1, 0xa5);
    check(inb(0x21) == 0x5a && inb(0xa1) == 0xa5, "masks are read back", "0x%x 0x%x", inb(0x21),
          inb(0xa1));
    guest_pic_mask(0xffff);
    outb(0x20, 0x0b);
    check_equal("nothing is in service", inb(0x20), 0);
    outb(0x4d0, 0x18);
    outb(0x4d1, 0x0c);
    check(inb(0x4d0) == 0x18 && inb(0x4d1) == 0x0c, "ELCR is read back", "0x%x 0x%x", inb(0x4d0),
          inb(0x4d1));
    outb(0x4d0, 0);
    outb(0x4d1, 0);
}

static void check_pit(void)
{
    uint64_t start;

    pit_begin();
    pit_one_shot(5000);
    start = rdtsc();
    wait_pic(1, 100000);
    check(pic_count == 1 && pic_last == 0, "PIT, one shot, as interrupt 0", "%u interrupts, irq %u",
          pic_count, pic_last);
    check(rdtsc() - start >= guest_us(4900), "... not before its time", "%lu ticks of %lu",
          rdtsc() - start, guest_us(5000));
    pic_count = 0;
    outb(0x43, 0x34); /* counter 0, mode 2: 1 kHz */
    outb(0x40, (uint8_t)(PIT_HZ / 1000));
    outb(0x40, (uint8_t)(PIT_HZ / 1000 >> 8));
    start = rdtsc();
    wait_pic(20, 200000);
    start = rdtsc() - start;
    pit_begin();
    if (!lenient_skip("20 ticks of the PIT at 1 kHz"))
        check_near("20 ticks of the PIT at 1 kHz", start, guest_us(20000), 60);
}

/* A masked request waits; a request in service holds back its equals. */
static void check_masking(void)
{
    guest_pic_mask(0xffff);
    pic_count = 0;
    pit_one_shot(1000);
    wait_pic(1, 5000);
    check_equal("a masked interrupt does not come", pic_count, 0);
    outb(0x20, 0x0a);
    check_equal("... but is requested", inb(0x20) & 1, 1);
    guest_pic_mask(0xffff & ~1u);
    wait_pic(1, 5000);
    check_equal("... and comes when it is unmasked", pic_count, 1);
    guest_pic_mask(0xffff);
}

/* HLT ends by an interrupt, and STI's shadow closes the gap before it. */
static void check_halt(void)
{
    unsigned late = 0;

    pit_begin();
    for (unsigned i = 0; i < 20; i++) {
        pic_count = 0;
        pit_one_shot(100 + i * 37);
        sti_hlt();
        cli();
        late += pic_count != 1;
    }
    check_equal("STI and HLT are woken 20 times", late, 0);
    /* Pending before: HLT must not sleep. */
    pic_count = 0;
    pit_one_shot(100);
    guest_delay_us(2000);
    sti_hlt();
    cli();
    check_equal("HLT with an interrupt pending already", pic_count, 1);
    guest_pic_mask(0xffff);
}

static void check_shadow(void)
{
    uint64_t at;

    pit_begin();
    pit_one_shot(100);
    guest_delay_us(2000);
    __asm__ volatile("sti; mov %1, %k0; cli" : "=r"(at) : "m"(pic_count) : "memory");
    check_equal("no interrupt right behind STI", at & 0xffffffff, 0);
    let_in();
    pit_one_shot(100);
    guest_delay_us(2000);
    pic_count = 0;
    __asm__ volatile("sti; nop; mov %1, %k0; cli" : "=r"(at) : "m"(pic_count) : "memory");
    check_equal("... but one instruction later", at & 0xffffffff, 1);
    guest_pic_mask(0xffff);
}

/* The RTC's three causes, and the slave behind them. */
static void check_rtc(void)
{
    uint8_t b = guest_cmos_read(0xb), a = guest_cmos_read(0xa);
    uint64_t start;

    guest_pic_mask((uint16_t)(0xffff & ~(BIT(8) | BIT(2))));
    guest_cmos_read(0xc);
    pic_count = 0;
    guest_cmos_write(0xa, (uint8_t)((a & 0xf0) | 6)); /* 1,024 Hz */
    guest_cmos_write(0xb, b | 0x40);
    wait_pic(1, 100000);
    start = rdtsc();
    wait_pic(17, 200000);
    start = rdtsc() - start;
    guest_cmos_write(0xb, b & 0x8f);
    check(pic_last == 8 && pic_count >= 17, "RTC's periodic interrupt", "%u, irq %u", pic_count,
          pic_last);
    if (!lenient_skip("... at its rate"))
        check_near("... at its rate", start, guest_tsc_hz / 64, 60);
    guest_cmos_read(0xc);
    pic_count = 0;
    guest_cmos_write(0xb, (uint8_t)((b & 0x8f) | 0x10));
    wait_pic(1, 2500000);
    guest_cmos_write(0xb, b & 0x8f);
    guest_cmos_read(0xc);
    check(pic_count >= 1, "RTC's update-ended interrupt", "%u", pic_count);
    guest_cmos_write(0xa, a);
    guest_pic_mask(0xffff);
    let_in();
}

/* In polled mode the CPU asks; a request that is gone at INTA is a spurious IR7. */
static void check_poll(void)
{
    uint8_t answer;

    pit_begin();
    pit_one_shot(100);
    guest_delay_us(2000);
    outb(0x20, 0x0c);
    answer = inb(0x20);
    check_equal("poll command", answer, 0x80);
    guest_pic_eoi(0);
    guest_pic_mask(0xffff);
}

void test_pic(void)
{
    uint32_t lint0 = guest_apic_read(APIC_LVT_LINT0);

    set_handlers(pic_handler);
    guest_apic_enable();
    guest_apic_write(APIC_LVT_LINT0, LINT0_EXTINT);
    pit_one_shot(100);
    guest_delay_us(1000);
    let_in();
    check_registers();
    check_pit();
    check_masking();
    check_halt();
    check_shadow();
    check_rtc();
    check_poll();
    guest_apic_write(APIC_LVT_LINT0, lint0);
    set_handlers(NULL);
}
