// SRCS: vmm/devices/uart16550.c
/* The 16550A against the PC16550D data sheet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fake.h"
#include "fields.h"
#include "hv/dev_uart16550.h"

enum { RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5,
       MSR = 6, SCR = 7 };

struct rig {
    struct fake_clock clock;
    struct fake_lines lines;
    struct uart16550 uart;
    uint8_t sent[64];
    unsigned sent_count;
    unsigned spaces;
    uint8_t refill; /* what `space` feeds, if not 0 */
};

static struct rig rig;

static void sink_put(void *context, uint8_t byte)
{
    struct rig *r = context;
    assert_in_range(r->sent_count, 0, sizeof(r->sent) - 1);
    r->sent[r->sent_count++] = byte;
}

static void on_space(void *context)
{
    struct rig *r = context;
    r->spaces++;
    if (r->refill)
        assert_true(uart16550_receive(&r->uart, r->refill));
}

static struct uart16550_wiring wiring(void)
{
    return (struct uart16550_wiring){ &rig.clock.clock, fake_line(&rig.lines, 4),
                                      { sink_put, &rig }, on_space, &rig };
}

static int setup(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    fake_clock_init(&rig.clock);
    struct uart16550_wiring w = wiring();
    uart16550_init(&rig.uart, &w);
    return 0;
}

static uint8_t in(unsigned reg)
{
    assert_true(uart16550_ops.check(&rig.uart.state));
    return (uint8_t)fake_access(&rig.uart.dev, 0, BUS_PORT, reg, 1, false, 0, NULL);
}

static void out(unsigned reg, uint8_t value)
{
    fake_access(&rig.uart.dev, 0, BUS_PORT, reg, 1, true, value, NULL);
    assert_true(uart16550_ops.check(&rig.uart.state));
}

static bool line(void)
{
    return rig.lines.level[4];
}

static void receive(const char *text)
{
    while (*text)
        assert_true(uart16550_receive(&rig.uart, (uint8_t)*text++));
}

/* 8 data bits, no parity, one stop bit, 115,200 baud; OUT2, DTR, RTS. */
static void line_settings(void)
{
    out(LCR, 0x83);
    out(DLL, 1);
    out(DLM, 0);
    out(LCR, 0x03);
    out(MCR, 0x0B);
}

#define CHARACTER_NS (10 * HV_NS_PER_SECOND / 115200)

/* "UART Reset Configuration" */
static void test_reset_values(void **state)
{
    (void)state;
    assert_int_equal(in(IER), 0);
    assert_int_equal(in(IIR), 0x01);
    assert_int_equal(in(LCR), 0);
    assert_int_equal(in(MCR), 0);
    assert_int_equal(in(LSR), 0x60);
    assert_int_equal(in(MSR), 0xB0);
    assert_false(line());
}

static void test_registers_hold_their_writable_bits(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        out(SCR, (uint8_t)v);
        assert_int_equal(in(SCR), v);
        out(LCR, (uint8_t)v);
        assert_int_equal(in(LCR), v);
        out(LCR, 0);
        out(IER, (uint8_t)v);
        assert_int_equal(in(IER), v & 0x0F);
        out(MCR, (uint8_t)v);
        assert_int_equal(in(MCR), v & 0x1F);
        out(MCR, 0);
        out(LSR, (uint8_t)v);
        assert_int_equal(in(LSR), 0x60);
    }
}

static void test_divisor_latch_is_apart_from_ier_and_thr(void **state)
{
    (void)state;
    out(IER, 0x05);
    out(LCR, 0x80);
    out(DLL, 0x34);
    out(DLM, 0x12);
    assert_int_equal(in(DLL), 0x34);
    assert_int_equal(in(DLM), 0x12);
    assert_int_equal(rig.sent_count, 0);
    out(LCR, 0);
    assert_int_equal(in(IER), 0x05);
    assert_int_equal(in(RBR), 0);
}

static void test_sends_with_the_word_length(void **state)
{
    (void)state;
    static const uint8_t want[4] = { 0x1F, 0x3F, 0x7F, 0xFF };
    for (uint8_t word = 0; word < 4; word++) {
        out(LCR, word);
        out(THR, 0xFF);
        assert_int_equal(rig.sent[word], want[word]);
    }
    out(LCR, 0x43); /* break: SOUT is held */
    out(THR, 'x');
    assert_int_equal(rig.sent_count, 4);
    assert_int_equal(in(LSR), 0x60);
}

static void test_receives_without_fifos(void **state)
{
    (void)state;
    line_settings();
    out(IER, 0x01);
    assert_true(uart16550_can_receive(&rig.uart));
    assert_true(uart16550_receive(&rig.uart, 'a'));
    assert_true(line());
    assert_int_equal(in(IIR), 0x04);
    assert_int_equal(in(LSR), 0x61);
    assert_false(uart16550_can_receive(&rig.uart));
    assert_false(uart16550_receive(&rig.uart, 'b'));
    assert_int_equal(rig.spaces, 0);
    assert_int_equal(in(RBR), 'a');
    assert_int_equal(rig.spaces, 1);
    assert_false(line());
    assert_int_equal(in(LSR), 0x60);
    assert_int_equal(in(RBR), 'a'); /* an empty receiver shows its last character again */
    assert_int_equal(rig.spaces, 1);
    /* No character time-out without FIFOs. */
    assert_true(uart16550_receive(&rig.uart, 'c'));
    assert_false(rig.uart.timer.armed);
}

/* A received word is as long as LCR says. */
static void test_receives_with_the_word_length(void **state)
{
    (void)state;
    out(LCR, 2);
    assert_true(uart16550_receive(&rig.uart, 0xFF));
    assert_int_equal(in(RBR), 0x7F);
}

/* "THRE interrupt": set by IER, reset by reading IIR when it is the source, or by writing THR. */
static void test_thre_interrupt(void **state)
{
    (void)state;
    line_settings();
    assert_false(line());
    out(IER, 0x02);
    assert_true(line());
    assert_int_equal(in(IIR), 0x02);
    assert_false(line());
    assert_int_equal(in(IIR), 0x01);
    out(IER, 0x02); /* it was enabled already: no edge inside */
    assert_false(line());
    out(IER, 0x00);
    out(IER, 0x02);
    assert_true(line());
    unsigned rises = rig.lines.rises[4];
    out(THR, 'a'); /* withdrawn and set again: an edge that a PIC can see */
    assert_true(line());
    assert_int_equal(rig.lines.rises[4], rises + 1);
    assert_int_equal(in(IIR), 0x02);
    assert_false(line());
    out(THR, 'b');
    assert_true(line());
    out(IER, 0x00);
    assert_false(line());
    assert_memory_equal(rig.sent, "ab", 2);
}

/* Reading IIR resets THRE only if THRE is what it showed. */
static void test_thre_survives_a_read_that_shows_another_source(void **state)
{
    (void)state;
    line_settings();
    receive("x");
    out(IER, 0x03);
    assert_int_equal(in(IIR), 0x04);
    assert_int_equal(in(IIR), 0x04);
    assert_int_equal(in(RBR), 'x');
    assert_int_equal(in(IIR), 0x02);
    assert_int_equal(in(IIR), 0x01);
}

/* "Interrupt Control Functions": the order of priorities. */
static void test_interrupt_priorities(void **state)
{
    (void)state;
    line_settings();
    out(IER, 0x0F);
    uart16550_set_modem(&rig.uart, 0);
    assert_true(uart16550_receive_with_errors(&rig.uart, 'e', UART16550_LSR_PE));
    assert_int_equal(in(IIR), 0x06);
    assert_int_equal(in(LSR), 0x65);
    assert_int_equal(in(IIR), 0x04);
    in(RBR);
    assert_int_equal(in(IIR), 0x02);
    assert_int_equal(in(IIR), 0x00);
    assert_true(line());
    assert_int_equal(in(MSR), 0x0B);
    assert_int_equal(in(IIR), 0x01);
    assert_false(line());
}

static void test_sources_are_masked_one_by_one(void **state)
{
    (void)state;
    line_settings();
    uart16550_set_modem(&rig.uart, 0);
    assert_true(uart16550_receive_with_errors(&rig.uart, 'e', UART16550_LSR_FE));
    assert_int_equal(in(IIR), 0x01);
    out(IER, 0x08);
    assert_int_equal(in(IIR), 0x00);
    out(IER, 0x0A);
    assert_int_equal(in(IIR), 0x02);
    out(IER, 0x09);
    assert_int_equal(in(IIR), 0x04);
    out(IER, 0x0C);
    assert_int_equal(in(IIR), 0x06);
}

static void test_out2_gates_the_line(void **state)
{
    (void)state;
    line_settings();
    out(MCR, 0x03);
    out(IER, 0x02);
    assert_false(line());
    out(MCR, 0x08);
    assert_true(line());
    out(MCR, 0x18); /* loopback forces the OUT2 pin inactive */
    assert_false(line());
    assert_int_equal(in(IIR), 0x02); /* the pin is gated, the source is not */
}

static void test_fifo_enable_shows_in_iir(void **state)
{
    (void)state;
    assert_int_equal(in(IIR) & 0xC0, 0);
    out(FCR, 0xC0); /* without the enable bit nothing is programmed */
    assert_int_equal(in(IIR), 0x01);
    out(FCR, 0xC1);
    assert_int_equal(in(IIR), 0xC1);
    out(FCR, 0x00);
    assert_int_equal(in(IIR), 0x01);
}

static void test_fifo_keeps_order_and_refuses_the_seventeenth(void **state)
{
    (void)state;
    out(LCR, 3);
    out(FCR, 0x01);
    /* Twice around, so that the ring wraps. */
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 16; i++)
            assert_true(uart16550_receive(&rig.uart, (uint8_t)(round * 16 + i)));
        assert_false(uart16550_receive(&rig.uart, 0xEE));
        assert_int_equal(in(LSR), 0x61); /* refused is not overrun */
        for (unsigned i = 0; i < 16; i++) {
            assert_int_equal(in(LSR), 0x61);
            assert_int_equal(in(RBR), round * 16 + i);
            assert_int_equal(rig.spaces, round + 1);
        }
        assert_int_equal(in(LSR), 0x60);
        if (round == 1) /* leave an odd head behind */
            for (unsigned i = 0; i < 5; i++) {
                receive("z");
                in(RBR);
            }
    }
}

static void test_space_may_refill_at_once(void **state)
{
    (void)state;
    out(LCR, 3);
    out(FCR, 0x01);
    receive("0123456789abcdef");
    assert_false(uart16550_receive(&rig.uart, '!'));
    rig.refill = '!';
    assert_int_equal(in(RBR), '0');
    assert_int_equal(rig.spaces, 1);
    assert_int_equal(rig.uart.state.rx_count, 16);
    for (unsigned i = 0; i < 15; i++)
        in(RBR);
    assert_int_equal(in(RBR), '!');
}

static void test_space_is_optional(void **state)
{
    (void)state;
    rig.uart.wiring.space = NULL;
    out(LCR, 3);
    receive("a");
    assert_false(uart16550_receive(&rig.uart, 'b'));
    assert_int_equal(in(RBR), 'a');
    receive("b");
}

static void test_trigger_levels(void **state)
{
    (void)state;
    static const unsigned levels[4] = { 1, 4, 8, 14 };
    for (unsigned t = 0; t < 4; t++) {
        setup(NULL);
        line_settings();
        out(FCR, (uint8_t)(t << 6 | 1));
        out(IER, 0x01);
        for (unsigned i = 1; i < levels[t]; i++) {
            receive("x");
            assert_false(line());
            assert_int_equal(in(LSR), 0x61); /* DR is set from the first character */
        }
        receive("x");
        assert_true(line());
        assert_int_equal(in(IIR), 0xC4);
        in(RBR);
        assert_false(line()); /* "cleared when the FIFO drops below the trigger level" */
    }
}

/* "FIFO Interrupt Mode Operation": four character times after the last character or read. */
static void test_character_timeout(void **state)
{
    (void)state;
    line_settings();
    out(FCR, 0x81);
    out(IER, 0x01);
    receive("a");
    fake_clock_advance(&rig.clock, 3 * CHARACTER_NS);
    assert_false(line());
    receive("b"); /* starts anew */
    fake_clock_advance(&rig.clock, 4 * CHARACTER_NS - 100);
    assert_false(line());
    fake_clock_advance(&rig.clock, 200);
    assert_true(line());
    assert_int_equal(in(IIR), 0xCC);
    assert_int_equal(in(IIR), 0xCC); /* reading IIR does not clear it */
    assert_int_equal(in(RBR), 'a');
    assert_false(line());
    fake_clock_advance(&rig.clock, 5 * CHARACTER_NS);
    assert_int_equal(in(IIR), 0xCC);
    assert_int_equal(in(RBR), 'b');
    assert_int_equal(in(IIR), 0xC1);
    assert_false(rig.uart.timer.armed); /* an empty FIFO times nothing */
}

static void test_timeout_length_follows_format_and_divisor(void **state)
{
    (void)state;
    static const struct { uint8_t lcr; unsigned half_bits; } formats[] = {
        { 0x00, 14 }, { 0x04, 15 }, { 0x0C, 17 }, { 0x03, 20 }, { 0x07, 22 }, { 0x0F, 24 },
        { 0x1A, 20 },
    };
    static const uint16_t divisors[] = { 1, 12, 0xFFFF, 0 };
    for (unsigned f = 0; f < HV_ARRAY_COUNT(formats); f++) {
        for (unsigned d = 0; d < HV_ARRAY_COUNT(divisors); d++) {
            setup(NULL);
            out(LCR, 0x80);
            out(DLL, (uint8_t)divisors[d]);
            out(DLM, (uint8_t)(divisors[d] >> 8));
            out(LCR, formats[f].lcr);
            out(FCR, 0xC1);
            out(IER, 0x01);
            out(MCR, 0x08);
            receive("x");
            uint64_t divisor = divisors[d] ? divisors[d] : 65536;
            uint64_t want = 4 * formats[f].half_bits * divisor * HV_NS_PER_SECOND / (2 * 115200);
            assert_true(rig.uart.timer.armed);
            assert_int_equal(rig.uart.timer.deadline_ns, want);
        }
    }
}

/* No timer runs where it could not interrupt; what became due meanwhile shows at once. */
static void test_timeout_is_only_armed_when_it_matters(void **state)
{
    (void)state;
    line_settings();
    out(FCR, 0x41); /* 4 */
    receive("ab");
    assert_false(rig.uart.timer.armed);
    fake_clock_advance(&rig.clock, 4 * CHARACTER_NS + 10);
    assert_int_equal(in(IIR), 0xC1);
    out(IER, 0x01);
    assert_true(line());
    assert_int_equal(in(IIR), 0xCC);
    receive("c"); /* a new character withdraws the time-out */
    assert_false(line());
    assert_true(rig.uart.timer.armed);
    receive("d"); /* now the trigger level is reached */
    assert_false(rig.uart.timer.armed);
    assert_int_equal(in(IIR), 0xC4);
    out(FCR, 0xC1); /* a higher trigger level: the time-out counts from the last character */
    assert_int_equal(in(IIR), 0xC1);
    assert_true(rig.uart.timer.armed);
    out(IER, 0x00);
    assert_false(rig.uart.timer.armed);
}

static void test_timeout_yields_to_trigger(void **state)
{
    (void)state;
    line_settings();
    out(FCR, 0x81);
    out(IER, 0x01);
    receive("abcd");
    fake_clock_advance(&rig.clock, 5 * CHARACTER_NS);
    assert_int_equal(in(IIR), 0xCC);
    out(FCR, 0x41);
    assert_int_equal(in(IIR), 0xC4);
}

static void test_fcr_resets_the_receiver(void **state)
{
    (void)state;
    line_settings();
    out(FCR, 0x01);
    receive("abc");
    assert_true(uart16550_receive_with_errors(&rig.uart, 'd', UART16550_LSR_PE));
    assert_int_equal(in(LSR), 0xE1);
    out(FCR, 0x05); /* transmitter only */
    assert_int_equal(in(LSR), 0xE1);
    out(FCR, 0x03);
    assert_int_equal(in(LSR), 0x60);
    receive("x");
    out(FCR, 0x00); /* a change of the enable bit empties it too */
    assert_int_equal(in(LSR), 0x60);
    receive("x");
    out(FCR, 0x01);
    assert_int_equal(in(LSR), 0x60);
}

static void test_reset_of_a_full_fifo_gives_space(void **state)
{
    (void)state;
    out(FCR, 0x01);
    receive("0123456789abcdef");
    assert_false(uart16550_receive(&rig.uart, '!'));
    out(FCR, 0x03);
    assert_int_equal(rig.spaces, 1);
}

/* "This error is revealed to the CPU when its associated character is at the top of the FIFO." */
static void test_errors_travel_with_their_characters(void **state)
{
    (void)state;
    line_settings();
    out(FCR, 0xC1);
    out(IER, 0x04);
    receive("a");
    assert_true(uart16550_receive_with_errors(&rig.uart, 'b', UART16550_LSR_PE));
    receive("c");
    assert_true(uart16550_receive_with_errors(&rig.uart, 0, UART16550_LSR_BI | UART16550_LSR_FE));
    assert_int_equal(in(IIR), 0xC1);
    assert_int_equal(in(LSR), 0xE1);
    assert_int_equal(in(RBR), 'a');
    assert_true(line());
    assert_int_equal(in(IIR), 0xC6);
    assert_int_equal(in(LSR), 0xE5);
    assert_false(line());
    assert_int_equal(in(LSR), 0xE1); /* the break further down */
    assert_int_equal(in(RBR), 'b');
    assert_int_equal(in(RBR), 'c');
    assert_int_equal(in(LSR), 0xF9);
    assert_int_equal(in(LSR), 0x61); /* "cleared ... if there are no subsequent errors" */
    assert_int_equal(in(RBR), 0);
    assert_int_equal(in(LSR), 0x60);
}

static void test_only_character_errors_can_be_injected(void **state)
{
    (void)state;
    assert_true(uart16550_receive_with_errors(&rig.uart, 'b', 0xFF));
    assert_int_equal(in(LSR), 0x7D);
    assert_int_equal(in(LSR), 0x61); /* LSR7 is a FIFO's */
}

static void test_loopback_data(void **state)
{
    (void)state;
    line_settings();
    out(MCR, 0x10);
    out(THR, 'q');
    assert_int_equal(rig.sent_count, 0);
    assert_int_equal(in(LSR), 0x61);
    assert_int_equal(in(RBR), 'q');
    out(LCR, 0x00); /* five bits */
    out(THR, 0xFF);
    assert_int_equal(in(RBR), 0x1F);
    out(LCR, 0x43); /* a break does not reach the receiver, nor keep the data from it */
    out(THR, 'r');
    assert_int_equal(in(LSR), 0x61);
    assert_int_equal(in(RBR), 'r');
}

static void test_loopback_keeps_the_line_out(void **state)
{
    (void)state;
    out(MCR, 0x10);
    assert_false(uart16550_can_receive(&rig.uart));
    assert_false(uart16550_receive(&rig.uart, 'x'));
    assert_int_equal(in(LSR), 0x60);
    out(MCR, 0x00);
    assert_int_equal(rig.spaces, 1);
    receive("x");
}

/* Without FIFOs the new character replaces the old; with them it is the new one that is lost. */
static void test_overrun(void **state)
{
    (void)state;
    line_settings();
    out(MCR, 0x10);
    out(THR, '1');
    out(THR, '2');
    out(IER, 0x04);
    assert_int_equal(in(IIR), 0x06);
    assert_int_equal(in(LSR), 0x63);
    assert_int_equal(in(LSR), 0x61);
    assert_int_equal(in(RBR), '2');
    out(FCR, 0x01);
    for (unsigned i = 0; i < 17; i++)
        out(THR, (uint8_t)('a' + i));
    assert_int_equal(in(LSR), 0x63);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in(RBR), 'a' + i);
    assert_int_equal(in(LSR), 0x60);
}

static void test_loopback_modem_lines(void **state)
{
    (void)state;
    static const struct { uint8_t mcr, msr; } pairs[] = {
        { 0x10, 0x00 }, { 0x11, 0x20 }, { 0x12, 0x10 }, { 0x14, 0x40 }, { 0x18, 0x80 },
        { 0x1A, 0x90 }, { 0x1F, 0xF0 },
    };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(pairs); i++) {
        out(MCR, pairs[i].mcr);
        assert_int_equal(in(MSR) & 0xF0, pairs[i].msr);
    }
    out(MCR, 0x00);
    assert_int_equal(in(MSR) & 0xF0, 0xB0);
}

static void test_modem_deltas(void **state)
{
    (void)state;
    out(IER, 0x08);
    out(MCR, 0x08);
    uart16550_set_modem(&rig.uart, UART16550_MSR_DSR | UART16550_MSR_DCD);
    assert_true(line());
    assert_int_equal(in(MSR), 0xA1);
    assert_false(line());
    assert_int_equal(in(MSR), 0xA0);
    uart16550_set_modem(&rig.uart, UART16550_MSR_DCD);
    assert_int_equal(in(MSR), 0x82);
    uart16550_set_modem(&rig.uart, 0x0F);
    assert_int_equal(in(MSR), 0x08);
    /* RI: only the trailing edge is an event. */
    uart16550_set_modem(&rig.uart, UART16550_MSR_RI);
    assert_false(line());
    assert_int_equal(in(MSR), 0x40);
    uart16550_set_modem(&rig.uart, 0);
    assert_true(line());
    assert_int_equal(in(MSR), 0x04);
    out(MSR, 0xFF);
    assert_int_equal(in(MSR), 0x00);
}

static void test_modem_changes_in_loopback_are_not_seen(void **state)
{
    (void)state;
    out(MCR, 0x10);
    in(MSR);
    uart16550_set_modem(&rig.uart, 0xF0);
    assert_int_equal(in(MSR), 0x00);
    out(MCR, 0x00);
    assert_int_equal(in(MSR), 0xFB);
}

static void test_wide_accesses_are_split(void **state)
{
    (void)state;
    enum bus_answer answer;
    struct device *dev = &rig.uart.dev;
    out(LCR, 0x80);
    fake_access(dev, 0, BUS_PORT, DLL, 2, true, 0x1234, &answer);
    assert_int_equal(answer, BUS_DONE);
    assert_int_equal(in(DLL), 0x34);
    assert_int_equal(in(DLM), 0x12);
    assert_int_equal(fake_access(dev, 0, BUS_PORT, DLL, 4, false, 0, &answer), 0x80011234);
    /* Past the end: what nobody drives reads ones. */
    out(SCR, 0x5A);
    assert_int_equal(fake_access(dev, 0, BUS_PORT, SCR, 2, false, 0, &answer), 0xFF5A);
    assert_int_equal(answer, BUS_DONE);
    assert_int_equal(fake_access(dev, 0, BUS_PORT, 8, 1, false, 0, &answer), 0xFF);
    assert_int_equal(answer, BUS_UNCLAIMED);
    fake_access(dev, 0, BUS_PORT, 8, 4, true, 0, &answer);
    assert_int_equal(answer, BUS_UNCLAIMED);
}

static void test_reset_drops_everything_but_the_far_end(void **state)
{
    (void)state;
    line_settings();
    out(FCR, 0x81);
    out(IER, 0x0F);
    receive("a");
    assert_true(line());
    assert_true(rig.uart.timer.armed);
    uart16550_ops.reset(&rig.uart.dev);
    assert_false(line());
    assert_false(rig.uart.timer.armed);
    test_reset_values(NULL);
}

static void test_snapshot(void **state)
{
    (void)state;
    static struct uart16550 other;
    assert_true(fake_fields_cover(&uart16550_ops));
    line_settings();
    out(FCR, 0x81);
    out(IER, 0x01);
    receive("ab");
    fake_clock_advance(&rig.clock, 2 * CHARACTER_NS);
    struct uart16550_wiring w = wiring();
    w.irq.line = 3;
    uart16550_init(&other, &w);
    assert_true(fake_fields_load(&other.dev, &rig.uart.dev));
    assert_memory_equal(&other.state, &rig.uart.state, sizeof(other.state));
    assert_false(rig.lines.level[3]);
    fake_clock_advance(&rig.clock, 2 * CHARACTER_NS + 10);
    assert_true(rig.lines.level[3]);
    /* The line is driven from what was loaded. */
    rig.lines.level[3] = false;
    assert_true(fake_fields_load(&other.dev, &rig.uart.dev));
    assert_true(rig.lines.level[3]);
    assert_int_equal(fake_access(&other.dev, 0, BUS_PORT, RBR, 1, false, 0, NULL), 'a');
    /* A deadline that lies further away than any time-out is brought near. */
    other.state.timeout_ns = UINT64_MAX;
    other.state.timed_out = 0;
    assert_true(fake_fields_load(&rig.uart.dev, &other.dev));
    assert_true(rig.uart.timer.armed);
    assert_true(rig.uart.timer.deadline_ns <= rig.clock.now + 4 * CHARACTER_NS + 4);
}

static void test_check_refuses_what_cannot_be(void **state)
{
    (void)state;
    const struct uart16550_state good = rig.uart.state;
    struct uart16550_state s;
    assert_true(uart16550_ops.check(&good));
#define REFUSES(change)                                                                            \
    do {                                                                                           \
        s = good;                                                                                  \
        change;                                                                                    \
        assert_false(uart16550_ops.check(&s));                                                     \
    } while (0)
    REFUSES(s.ier = 0x10);
    REFUSES(s.mcr = 0x20);
    REFUSES(s.lsr_errors = 0x01);
    REFUSES(s.lsr_errors = 0x80);
    REFUSES(s.fcr = 0x03);
    REFUSES(s.fcr = 0xC0);
    REFUSES(s.msr_lines = 0x01);
    REFUSES(s.msr_delta = 0x10);
    REFUSES(s.thre_pending = 2);
    REFUSES(s.timed_out = 2);
    REFUSES(s.timed_out = 1);
    REFUSES((s.timed_out = 1, s.fcr = 1));
    REFUSES((s.timed_out = 1, s.rx_count = 1));
    REFUSES(s.rx_head = 16);
    REFUSES(s.rx_count = 2);
    REFUSES((s.fcr = 1, s.rx_count = 17));
    REFUSES(s.rx_errors[15] = 0x02);
    REFUSES((s.rx_count = 1, s.rx_errors[0] = 0x04));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reset_values, setup),
        cmocka_unit_test_setup(test_registers_hold_their_writable_bits, setup),
        cmocka_unit_test_setup(test_divisor_latch_is_apart_from_ier_and_thr, setup),
        cmocka_unit_test_setup(test_sends_with_the_word_length, setup),
        cmocka_unit_test_setup(test_receives_without_fifos, setup),
        cmocka_unit_test_setup(test_receives_with_the_word_length, setup),
        cmocka_unit_test_setup(test_thre_interrupt, setup),
        cmocka_unit_test_setup(test_thre_survives_a_read_that_shows_another_source, setup),
        cmocka_unit_test_setup(test_interrupt_priorities, setup),
        cmocka_unit_test_setup(test_sources_are_masked_one_by_one, setup),
        cmocka_unit_test_setup(test_out2_gates_the_line, setup),
        cmocka_unit_test_setup(test_fifo_enable_shows_in_iir, setup),
        cmocka_unit_test_setup(test_fifo_keeps_order_and_refuses_the_seventeenth, setup),
        cmocka_unit_test_setup(test_space_may_refill_at_once, setup),
        cmocka_unit_test_setup(test_space_is_optional, setup),
        cmocka_unit_test_setup(test_trigger_levels, setup),
        cmocka_unit_test_setup(test_character_timeout, setup),
        cmocka_unit_test_setup(test_timeout_length_follows_format_and_divisor, setup),
        cmocka_unit_test_setup(test_timeout_is_only_armed_when_it_matters, setup),
        cmocka_unit_test_setup(test_timeout_yields_to_trigger, setup),
        cmocka_unit_test_setup(test_fcr_resets_the_receiver, setup),
        cmocka_unit_test_setup(test_reset_of_a_full_fifo_gives_space, setup),
        cmocka_unit_test_setup(test_errors_travel_with_their_characters, setup),
        cmocka_unit_test_setup(test_only_character_errors_can_be_injected, setup),
        cmocka_unit_test_setup(test_loopback_data, setup),
        cmocka_unit_test_setup(test_loopback_keeps_the_line_out, setup),
        cmocka_unit_test_setup(test_overrun, setup),
        cmocka_unit_test_setup(test_loopback_modem_lines, setup),
        cmocka_unit_test_setup(test_modem_deltas, setup),
        cmocka_unit_test_setup(test_modem_changes_in_loopback_are_not_seen, setup),
        cmocka_unit_test_setup(test_wide_accesses_are_split, setup),
        cmocka_unit_test_setup(test_reset_drops_everything_but_the_far_end, setup),
        cmocka_unit_test_setup(test_snapshot, setup),
        cmocka_unit_test_setup(test_check_refuses_what_cannot_be, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
