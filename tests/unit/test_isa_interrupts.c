// SRCS: vmm/devices/uart16550.c vmm/devices/pic8259.c vmm/devices/pit8254.c vmm/devices/pit8254_counter.c vmm/devices/rtc_mc146818.c vmm/devices/rtc_calendar.c
/* The four ISA devices together, with drivers as operating systems write them: an interrupt is
 * taken when INTR is up, nothing is lost, nothing is spurious. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fake.h"
#include "hv/dev_pic8259.h"
#include "hv/dev_pit8254.h"
#include "hv/dev_rtc.h"
#include "hv/dev_uart16550.h"

static struct fake_clock fake;
static struct fake_lines lines;
static struct pic8259 pic;
static struct pit8254 pit;
static struct rtc rtc;
static struct uart16550 uart;
static unsigned taken[16], spurious, to_send, sent, received, in_total;

static void sink_put(void *context, uint8_t byte)
{
    (void)context;
    (void)byte;
    sent++;
}

static void feed(void *context)
{
    (void)context;
    while (in_total && uart16550_receive(&uart, (uint8_t)in_total))
        in_total--;
}

static struct irq_line pic_line(unsigned irq)
{
    return (struct irq_line){ pic8259_irq_set, &pic, irq };
}

static void out(struct device *device, unsigned tag, unsigned port, uint8_t value)
{
    fake_access(device, tag, BUS_PORT, port, 1, true, value, NULL);
}

static uint8_t in(struct device *device, unsigned tag, unsigned port)
{
    return (uint8_t)fake_access(device, tag, BUS_PORT, port, 1, false, 0, NULL);
}

static int setup(void **state)
{
    (void)state;
    memset(&lines, 0, sizeof(lines));
    memset(taken, 0, sizeof(taken));
    spurious = to_send = sent = received = in_total = 0;
    fake_clock_init(&fake);
    pic8259_init(&pic, &(struct pic8259_wiring){ fake_line(&lines, 0) });
    pit8254_init(&pit, &(struct pit8254_wiring){ &fake.clock, pic_line(0) });
    rtc_init(&rtc, &(struct rtc_wiring){ &fake.clock, pic_line(8), 1u << 29, 0 });
    uart16550_init(&uart, &(struct uart16550_wiring){ &fake.clock, pic_line(4),
                                                      { sink_put, NULL }, feed, NULL });
    for (unsigned chip = 0; chip < 2; chip++) {
        out(&pic.dev, chip, 0, 0x11);
        out(&pic.dev, chip, 1, chip ? 0x28 : 0x20);
        out(&pic.dev, chip, 1, chip ? 2 : 4);
        out(&pic.dev, chip, 1, 1);
        out(&pic.dev, chip, 1, 0);
    }
    return 0;
}

/* Sixteen characters a time, receive first, until IIR says that there is nothing. */
static void serve_uart(void)
{
    for (unsigned i = 0; i < 1000 && !(in(&uart.dev, 0, 2) & 1); i++) {
        while (in(&uart.dev, 0, 5) & 1) {
            in(&uart.dev, 0, 0);
            received++;
        }
        for (unsigned j = 0; j < 16 && to_send; j++, to_send--)
            out(&uart.dev, 0, 0, 'x');
        if (!to_send)
            out(&uart.dev, 0, 1, 0x01);
    }
}

static void serve(unsigned irq)
{
    taken[irq]++;
    if (irq == 4)
        serve_uart();
    if (irq == 8) {
        out(&rtc.dev, RTC_TAG_STANDARD, 0, 0x0C);
        assert_true(in(&rtc.dev, RTC_TAG_STANDARD, 1) & 0x80);
    }
    if (irq >= 8)
        out(&pic.dev, PIC8259_TAG_SLAVE, 0, 0x20);
    out(&pic.dev, PIC8259_TAG_MASTER, 0, 0x20);
}

static void take_interrupts(void)
{
    for (unsigned i = 0; i < 1000 && lines.level[0]; i++) {
        unsigned irq = (unsigned)pic8259_acknowledge(&pic) - 0x20;
        assert_in_range(irq, 0, 15);
        if (irq == 7 || irq == 15)
            spurious++;
        else
            serve(irq);
    }
    assert_false(lines.level[0]);
}

/* Runs the clock in steps and the guest after each. */
static void run(uint64_t ns, uint64_t step_ns)
{
    for (uint64_t end = fake.now + ns; fake.now < end;) {
        fake_clock_advance(&fake, step_ns);
        take_interrupts();
    }
}

static void uart_start(void)
{
    out(&uart.dev, 0, 3, 0x83);
    out(&uart.dev, 0, 0, 1);
    out(&uart.dev, 0, 3, 0x03);
    out(&uart.dev, 0, 2, 0x87);
    out(&uart.dev, 0, 4, 0x0B);
}

static void test_uart_sends_by_interrupts(void **state)
{
    (void)state;
    uart_start();
    to_send = 1000;
    out(&uart.dev, 0, 1, 0x03);
    take_interrupts();
    assert_int_equal(sent, 1000);
    assert_int_equal(taken[4], 1); /* the handler never finds the transmitter busy */
    assert_int_equal(spurious, 0);
}

static void test_uart_receives_by_interrupts(void **state)
{
    (void)state;
    uart_start();
    out(&uart.dev, 0, 1, 0x01);
    in_total = 1000;
    feed(NULL);
    run(HV_NS_PER_SECOND / 100, 50000);
    assert_int_equal(received, 1000);
    for (unsigned i = 0; i < 20; i++) { /* typed one by one: each by its time-out */
        in_total = 1;
        feed(NULL);
        run(HV_NS_PER_SECOND / 100, 50000);
        assert_int_equal(received, 1001 + i);
    }
    assert_int_equal(spurious, 0);
}

static void test_all_at_once(void **state)
{
    (void)state;
    uart_start();
    out(&pit.dev, PIT8254_TAG_COUNTERS, 3, 0x34);
    out(&pit.dev, PIT8254_TAG_COUNTERS, 0, 0x9C); /* 11,932: 100 Hz */
    out(&pit.dev, PIT8254_TAG_COUNTERS, 0, 0x2E);
    out(&rtc.dev, RTC_TAG_STANDARD, 0, 0x0B);
    out(&rtc.dev, RTC_TAG_STANDARD, 1, 0x42); /* periodic, 1,024 Hz */
    to_send = 500;
    in_total = 500;
    out(&uart.dev, 0, 1, 0x03);
    feed(NULL);
    run(10 * HV_NS_PER_SECOND, 100000);
    assert_int_equal(sent, 500);
    assert_int_equal(received, 500);
    assert_int_equal(taken[0], 999); /* 11,931,820 ticks by 11,932 is 999.98 */
    assert_int_equal(taken[8], 10240);
    assert_int_equal(spurious, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_uart_sends_by_interrupts, setup),
        cmocka_unit_test_setup(test_uart_receives_by_interrupts, setup),
        cmocka_unit_test_setup(test_all_at_once, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
