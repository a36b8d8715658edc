// SRCS: vmm/devices/pit8254.c vmm/devices/pit8254_counter.c
/* The 8254 against its data sheet: the waveforms of all six modes CLK by CLK, and IRQ0 in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fake.h"
#include "fields.h"
#include "hv/dev_pit8254.h"

enum { PORTS = PIT8254_TAG_COUNTERS, P61 = PIT8254_TAG_PORT61 };
enum { LSB = 0x10, MSB = 0x20, BOTH = 0x30, BCD = 1 };

static struct fake_clock fake;
static struct fake_lines lines;
static struct pit8254 pit;

static int setup(void **state)
{
    (void)state;
    memset(&lines, 0, sizeof(lines));
    fake_clock_init(&fake);
    struct pit8254_wiring wiring = { &fake.clock, fake_line(&lines, 0) };
    pit8254_init(&pit, &wiring);
    return 0;
}

static void sane(void)
{
    assert_true(pit8254_ops.check(&pit.state));
}

static void out(unsigned port, uint8_t value)
{
    fake_access(&pit.dev, PORTS, BUS_PORT, port, 1, true, value, NULL);
    sane();
}

static uint8_t in(unsigned port)
{
    uint8_t value = (uint8_t)fake_access(&pit.dev, PORTS, BUS_PORT, port, 1, false, 0, NULL);
    sane();
    return value;
}

static void out61(uint8_t value)
{
    fake_access(&pit.dev, P61, BUS_PORT, 0, 1, true, value, NULL);
    sane();
}

static uint8_t in61(void)
{
    return (uint8_t)fake_access(&pit.dev, P61, BUS_PORT, 0, 1, false, 0, NULL);
}

/* The first nanosecond of a tick, computed another way than the device does. */
static uint64_t ns_of(uint64_t tick)
{
    return (uint64_t)(((unsigned __int128)tick * HV_NS_PER_SECOND + PIT8254_HZ - 1) / PIT8254_HZ);
}

static void go_to(uint64_t tick)
{
    fake_clock_advance_to(&fake, ns_of(tick));
    sane();
}

static void control(unsigned counter, unsigned access, unsigned mode, unsigned bcd)
{
    out(3, (uint8_t)(counter << 6 | access | mode << 1 | bcd));
}

static void count16(unsigned counter, uint16_t value)
{
    out(counter, (uint8_t)value);
    out(counter, (uint8_t)(value >> 8));
}

static uint16_t read16(unsigned counter)
{
    uint16_t low = in(counter);
    return (uint16_t)(low | in(counter) << 8);
}

static uint16_t latch16(unsigned counter)
{
    out(3, (uint8_t)(counter << 6));
    return read16(counter);
}

static uint8_t status(unsigned counter)
{
    out(3, (uint8_t)(0xE0 | 2u << counter));
    return in(counter);
}

/* Counter 2 at tick 1000: OUT and counting element at each tick of a string of '0' and '1', which
 * starts at the tick after the present one. */
static void wave(uint64_t now, const char *outs, const uint16_t *counts)
{
    for (unsigned i = 0; outs[i]; i++) {
        go_to(now + 1 + i);
        if (pit8254_out(&pit, 2) != (outs[i] == '1'))
            fail_msg("tick %u of %s: OUT is not %c", i, outs, outs[i]);
        if (counts && latch16(2) != counts[i])
            fail_msg("tick %u of %s: count is not %u", i, outs, counts[i]);
    }
}

static void test_mode0_interrupt_on_terminal_count(void **state)
{
    (void)state;
    static const uint16_t counts[] = { 4, 3, 2, 1, 0, 0xFFFF, 0xFFFE };
    out61(1);
    go_to(1000);
    control(2, BOTH, 0, 0);
    assert_false(pit8254_out(&pit, 2)); /* low from the control word on */
    count16(2, 4);
    assert_false(pit8254_out(&pit, 2));
    wave(1000, "0000111", counts);
    /* A new count: OUT low at once; the first byte stops the counting. */
    out(2, 3);
    assert_false(pit8254_out(&pit, 2));
    go_to(1020);
    assert_int_equal(latch16(2), 0xFFFE);
    out(2, 0);
    wave(1020, "00011", (const uint16_t[]){ 3, 2, 1, 0, 0xFFFF });
}

static void test_mode0_gate_holds(void **state)
{
    (void)state;
    out61(1);
    go_to(1000);
    control(2, BOTH, 0, 0);
    count16(2, 4);
    wave(1000, "00", (const uint16_t[]){ 4, 3 });
    out61(0);
    wave(1002, "000", (const uint16_t[]){ 3, 3, 3 });
    out61(1);
    wave(1005, "00111", (const uint16_t[]){ 2, 1, 0, 0xFFFF, 0xFFFE });
    out61(0);
    wave(1010, "11", (const uint16_t[]){ 0xFFFE, 0xFFFE });
    /* "If an initial count is written while GATE = 0, it will still be loaded on the next CLK" */
    count16(2, 2);
    wave(1012, "00", (const uint16_t[]){ 2, 2 });
    out61(1);
    wave(1014, "011", (const uint16_t[]){ 1, 0, 0xFFFF });
}

static void test_mode1_one_shot(void **state)
{
    (void)state;
    go_to(1000);
    control(2, BOTH, 1, 0);
    assert_true(pit8254_out(&pit, 2));
    out61(1); /* a trigger without a count */
    out61(0);
    count16(2, 3);
    wave(1000, "111", NULL);
    assert_int_equal(status(2) & 0xC0, 0xC0); /* OUT high, null count */
    out61(1);
    assert_true(pit8254_out(&pit, 2)); /* until the next CLK */
    wave(1003, "00011", (const uint16_t[]){ 3, 2, 1, 0, 0xFFFF });
    assert_int_equal(status(2) & 0x40, 0);
    out61(0);
    out61(1); /* retriggered in the middle: longer */
    wave(1008, "00", NULL);
    out61(0);
    wave(1010, "0", NULL);
    out61(1);
    wave(1011, "00011", (const uint16_t[]){ 3, 2, 1, 0, 0xFFFF });
    /* A new count has no effect before the next trigger. */
    out61(0);
    out61(1);
    wave(1016, "0", NULL);
    count16(2, 5);
    assert_int_equal(status(2) & 0x40, 0x40);
    wave(1017, "0011", NULL);
    out61(0);
    out61(1);
    wave(1021, "000001", NULL);
    /* Written between the trigger and the CLK that follows it, it is the one that is loaded. */
    out61(0);
    out61(1);
    count16(2, 2);
    wave(1027, "001", NULL);
}

static void test_mode2_rate_generator(void **state)
{
    (void)state;
    out61(1);
    go_to(1000);
    control(2, BOTH, 2, 0);
    assert_true(pit8254_out(&pit, 2));
    count16(2, 3);
    assert_int_equal(status(2) & 0x40, 0x40);
    wave(1000, "1101101", (const uint16_t[]){ 3, 2, 1, 3, 2, 1, 3 });
    assert_int_equal(status(2) & 0x40, 0);
    /* A new count takes effect at the end of the cycle. */
    count16(2, 5);
    assert_int_equal(status(2) & 0x40, 0x40);
    wave(1007, "10", (const uint16_t[]){ 2, 1 });
    wave(1009, "11110111101", (const uint16_t[]){ 5, 4, 3, 2, 1, 5, 4, 3, 2, 1, 5 });
    /* GATE low: OUT high at once; GATE high: from the top. */
    go_to(1024);
    assert_false(pit8254_out(&pit, 2));
    out61(0);
    assert_true(pit8254_out(&pit, 2));
    wave(1024, "111", (const uint16_t[]){ 1, 1, 1 });
    out61(1);
    wave(1027, "1111011110", (const uint16_t[]){ 5, 4, 3, 2, 1, 5, 4, 3, 2, 1 });
}

static void test_mode2_counts_written_while_gated(void **state)
{
    (void)state;
    go_to(1000);
    control(2, BOTH, 2, 0);
    count16(2, 3); /* GATE is low: loaded, not counted */
    wave(1000, "111", (const uint16_t[]){ 3, 3, 3 });
    count16(2, 4); /* waits for the trigger */
    wave(1003, "11", (const uint16_t[]){ 3, 3 });
    out61(1);
    out61(0); /* a pulse shorter than CLK */
    wave(1005, "11", (const uint16_t[]){ 3, 3 });
    out61(1);
    count16(2, 2); /* before the CLK that loads */
    wave(1007, "101010", (const uint16_t[]){ 2, 1, 2, 1, 2, 1 });
    count16(2, 4);
    out61(0); /* the new count waits too */
    wave(1013, "11", NULL);
    out61(1);
    wave(1015, "11101", (const uint16_t[]){ 4, 3, 2, 1, 4 });
    /* A rising gate before the first count was ever written. */
    control(2, BOTH, 2, 0);
    out61(0);
    out61(1);
    wave(1020, "111", NULL);
}

static void test_mode3_even(void **state)
{
    (void)state;
    out61(1);
    go_to(1000);
    control(2, BOTH, 3, 0);
    assert_true(pit8254_out(&pit, 2));
    count16(2, 4);
    wave(1000, "110011001", (const uint16_t[]){ 4, 2, 4, 2, 4, 2, 4, 2, 4 });
}

static void test_mode3_odd(void **state)
{
    (void)state;
    out61(1);
    go_to(1000);
    control(2, BOTH, 7, 0); /* bit 2 of the mode is don't-care */
    count16(2, 5);
    wave(1000, "11100111001", (const uint16_t[]){ 4, 2, 0, 4, 2, 4, 2, 0, 4, 2, 4 });
    assert_int_equal(status(2), 0x80 | BOTH | 0x0E);
}

/* "the new count will be loaded ... at the end of the current half-cycle" */
static void test_mode3_new_count_at_half_cycle(void **state)
{
    (void)state;
    out61(1);
    go_to(1000);
    control(2, BOTH, 3, 0);
    count16(2, 8);
    wave(1000, "11", NULL);
    count16(2, 4);
    wave(1002, "1100110011", NULL); /* the high half of 8 ends, low half of 4 */
    go_to(1013);
    assert_false(pit8254_out(&pit, 2));
    count16(2, 6);
    wave(1013, "0111000111", NULL); /* the low half of 4 ends, high half of 6 */
}

static void test_mode3_gate(void **state)
{
    (void)state;
    out61(1);
    go_to(1000);
    control(2, BOTH, 3, 0);
    count16(2, 4);
    go_to(1003);
    assert_false(pit8254_out(&pit, 2));
    out61(0);
    assert_true(pit8254_out(&pit, 2));
    wave(1003, "111", NULL);
    out61(1);
    wave(1006, "1100110", (const uint16_t[]){ 4, 2, 4, 2, 4, 2, 4 });
}

static void test_mode4_software_strobe(void **state)
{
    (void)state;
    out61(1);
    go_to(1000);
    control(2, BOTH, 4, 0);
    assert_true(pit8254_out(&pit, 2));
    count16(2, 3);
    wave(1000, "111011", (const uint16_t[]){ 3, 2, 1, 0, 0xFFFF, 0xFFFE });
    /* Gate holds the count and leaves OUT alone; a new count is loaded at the next CLK. */
    count16(2, 3);
    wave(1006, "1", (const uint16_t[]){ 3 });
    out61(0);
    wave(1007, "11", (const uint16_t[]){ 3, 3 });
    out61(1);
    wave(1009, "11011", (const uint16_t[]){ 2, 1, 0, 0xFFFF, 0xFFFE });
    count16(2, 3);
    wave(1014, "11", NULL);
    out(2, 2); /* "writing the first byte has no effect on counting" */
    wave(1016, "1", (const uint16_t[]){ 1 });
    out(2, 0);
    wave(1017, "1101", (const uint16_t[]){ 2, 1, 0, 0xFFFF });
    /* 65,536 ticks later it passes 0 again, without a strobe. */
    go_to(1020 + 65536);
    assert_int_equal(latch16(2), 0);
    assert_true(pit8254_out(&pit, 2));
}

static void test_mode5_hardware_strobe(void **state)
{
    (void)state;
    go_to(1000);
    control(2, BOTH, 5, 0);
    count16(2, 3);
    wave(1000, "111", NULL);
    out61(1);
    wave(1003, "111011", (const uint16_t[]){ 3, 2, 1, 0, 0xFFFF, 0xFFFE });
    out61(0); /* no effect */
    out61(1);
    wave(1009, "11", (const uint16_t[]){ 3, 2 });
    out61(0);
    wave(1011, "1", (const uint16_t[]){ 1 });
    out61(1);
    wave(1012, "111011", (const uint16_t[]){ 3, 2, 1, 0, 0xFFFF, 0xFFFE });
}

static void test_access_modes(void **state)
{
    (void)state;
    out61(1);
    control(2, LSB, 2, 0);
    out(2, 0x34);
    go_to(1);
    assert_int_equal(in(2), 0x34);
    assert_int_equal(in(2), 0x34);
    control(2, MSB, 2, 0);
    out(2, 0x12);
    go_to(2);
    assert_int_equal(in(2), 0x12);
    go_to(3);
    assert_int_equal(in(2), 0x11); /* 0x11FF: the low byte was 0 */
    control(2, BOTH, 2, 0);
    count16(2, 0x1234);
    go_to(4);
    assert_int_equal(read16(2), 0x1234);
    /* A control word resets the order of bytes. */
    out(2, 0xAA);
    in(2);
    control(2, BOTH, 2, 0);
    count16(2, 0x5678);
    go_to(5);
    assert_int_equal(read16(2), 0x5678);
}

static void test_zero_is_the_largest_count(void **state)
{
    (void)state;
    out61(1);
    control(2, BOTH, 0, 0);
    count16(2, 0);
    go_to(1);
    assert_int_equal(latch16(2), 0);
    go_to(2);
    assert_int_equal(latch16(2), 0xFFFF);
    go_to(65536);
    assert_false(pit8254_out(&pit, 2));
    go_to(65537);
    assert_true(pit8254_out(&pit, 2));
    control(2, BOTH, 0, BCD);
    count16(2, 0);
    go_to(65538);
    assert_int_equal(latch16(2), 0);
    go_to(65539);
    assert_int_equal(latch16(2), 0x9999);
    go_to(65538 + 9999);
    assert_false(pit8254_out(&pit, 2));
    go_to(65538 + 10000);
    assert_true(pit8254_out(&pit, 2));
    go_to(65538 + 10001);
    assert_int_equal(latch16(2), 0x9999);
}

static void test_bcd(void **state)
{
    (void)state;
    out61(1);
    control(2, BOTH, 2, BCD);
    count16(2, 0x1000);
    go_to(1);
    assert_int_equal(latch16(2), 0x1000);
    go_to(2);
    assert_int_equal(latch16(2), 0x0999);
    go_to(1000);
    assert_int_equal(latch16(2), 0x0001);
    assert_false(pit8254_out(&pit, 2));
    /* Digits that are none stay within bounds. */
    control(2, BOTH, 0, BCD);
    count16(2, 0xFFFF);
    go_to(1001);
    assert_int_equal(latch16(2), 0x6665);
}

static void test_count_latch(void **state)
{
    (void)state;
    out61(1);
    control(2, BOTH, 2, 0);
    count16(2, 0x4000);
    go_to(1);
    out(3, 0x80);
    go_to(0x101);
    out(3, 0x80); /* ignored until the first latch was read */
    assert_int_equal(in(2), 0x00);
    go_to(0x201);
    assert_int_equal(in(2), 0x40);
    assert_int_equal(read16(2), 0x3E00);
}

static void test_read_back(void **state)
{
    (void)state;
    control(0, BOTH, 2, 0);
    count16(0, 0x1000);
    control(1, LSB, 2, 0);
    out(1, 18);
    control(2, MSB, 0, BCD);
    go_to(1);
    out(3, 0xCE); /* count and status of all three */
    go_to(5);
    out(3, 0xCE); /* ignored */
    assert_int_equal(in(0), 0x80 | BOTH | 0x04);
    assert_int_equal(in(1), 0x80 | LSB | 0x04);
    assert_int_equal(in(2), 0x40 | MSB | BCD); /* OUT low, null count */
    assert_int_equal(read16(0), 0x1000);
    assert_int_equal(in(1), 18);
    go_to(6);
    out(3, 0xD2); /* count of counter 0 only */
    go_to(7);
    assert_int_equal(read16(0), 0x1000 - 5);
    out(3, 0xE2); /* status of counter 0 only */
    assert_int_equal(in(0), 0x80 | BOTH | 0x04);
    assert_int_equal(read16(0), 0x1000 - 6);
}

static void test_port61(void **state)
{
    (void)state;
    out61(0xFF);
    assert_int_equal(in61() & 0xCF, 0x0F);
    out61(0x02);
    assert_int_equal(in61() & 0xCF, 0x02);
    /* Bit 4 changes every 18 ticks. */
    uint8_t before = in61() & 0x10;
    for (unsigned i = 1; i < 10; i++) {
        go_to(18 * i);
        assert_int_not_equal(in61() & 0x10, before);
        before = in61() & 0x10;
    }
    /* Bit 5 is OUT of counter 2. */
    control(2, BOTH, 0, 0);
    assert_int_equal(in61() & 0x20, 0);
    out61(1);
    count16(2, 10);
    uint64_t tick = 18 * 9;
    go_to(tick + 10);
    assert_int_equal(in61() & 0x20, 0);
    go_to(tick + 11);
    assert_int_equal(in61() & 0x20, 0x20);
}

static void test_ports_outside(void **state)
{
    (void)state;
    enum bus_answer answer;
    assert_int_equal(fake_access(&pit.dev, PORTS, BUS_PORT, 3, 1, false, 0, &answer), 0xFF);
    assert_int_equal(answer, BUS_UNCLAIMED);
    fake_access(&pit.dev, PORTS, BUS_PORT, 4, 1, true, 0, &answer);
    assert_int_equal(answer, BUS_UNCLAIMED);
    fake_access(&pit.dev, P61, BUS_PORT, 1, 1, false, 0, &answer);
    assert_int_equal(answer, BUS_UNCLAIMED);
    control(2, BOTH, 2, 0);
    fake_access(&pit.dev, PORTS, BUS_PORT, 2, 2, true, 0x7F01, &answer); /* 0x7F goes to control */
    assert_int_equal(answer, BUS_DONE);
    assert_int_equal(pit.state.counter[1].control, 0x3F);
    assert_false(pit8254_out(&pit, 3));
}

/* 100 Hz as a kernel programs it: after an hour the edges are where they must be. */
static void test_irq0_periodic_without_drift(void **state)
{
    (void)state;
    for (unsigned mode = 2; mode <= 3; mode++) {
        setup(NULL);
        go_to(1000);
        control(0, BOTH, mode, 0);
        count16(0, 11932);
        unsigned before = lines.rises[0];
        go_to(1001 + 11932 - 1);
        assert_int_equal(lines.rises[0], before);
        go_to(1001 + 11932);
        assert_int_equal(lines.rises[0], before + 1);
        assert_true(lines.level[0]);
        go_to(1001 + UINT64_C(360000) * 11932 - 1);
        assert_int_equal(lines.rises[0], before + 359999);
        go_to(1001 + UINT64_C(360000) * 11932);
        assert_int_equal(lines.rises[0], before + 360000);
        assert_int_equal(pit.lost_edges, 0);
    }
}

static void test_irq0_one_shots(void **state)
{
    (void)state;
    go_to(1000);
    control(0, BOTH, 0, 0);
    assert_false(lines.level[0]);
    assert_false(pit.timer.armed);
    count16(0, 100);
    assert_true(pit.timer.armed);
    go_to(1100);
    assert_false(lines.level[0]);
    go_to(1101);
    assert_true(lines.level[0]);
    assert_false(pit.timer.armed);
    /* A new count in mode 0 lowers OUT. */
    out(0, 50);
    assert_false(lines.level[0]);
    out(0, 0);
    go_to(1151);
    assert_false(lines.level[0]);
    go_to(1152);
    assert_true(lines.level[0]);
    /* Mode 4, one-shot ticks: an edge at the end of the strobe. */
    control(0, BOTH, 4, 0);
    assert_true(lines.level[0]);
    unsigned before = lines.rises[0];
    count16(0, 100);
    go_to(1152 + 1 + 100);
    assert_int_equal(lines.rises[0], before);
    go_to(1152 + 1 + 101);
    assert_int_equal(lines.rises[0], before + 1);
    assert_false(pit.timer.armed);
    count16(0, 100);
    go_to(1300);
    count16(0, 100); /* once more, before the first was over */
    go_to(1300 + 101);
    assert_int_equal(lines.rises[0], before + 1);
    go_to(1300 + 102);
    assert_int_equal(lines.rises[0], before + 2);
}

/* No trigger exists for counter 0, and a count of 1 is not legal in modes 2 and 3. */
static void test_irq0_modes_that_never_interrupt(void **state)
{
    (void)state;
    static const struct { uint8_t mode; uint16_t count; } never[] = {
        { 1, 100 }, { 5, 100 }, { 2, 1 }, { 3, 1 },
    };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(never); i++) {
        setup(NULL);
        unsigned before = lines.rises[0];
        control(0, BOTH, never[i].mode, 0);
        count16(0, never[i].count);
        assert_false(pit.timer.armed);
        go_to(100000);
        in(0);
        assert_int_equal(lines.rises[0], before);
    }
}

static void test_mode_change_raises_out(void **state)
{
    (void)state;
    control(0, BOTH, 0, 0);
    unsigned before = lines.rises[0];
    assert_false(lines.level[0]);
    control(0, BOTH, 2, 0);
    assert_true(lines.level[0]);
    assert_int_equal(lines.rises[0], before + 1);
    control(0, BOTH, 3, 0);
    assert_int_equal(lines.rises[0], before + 1);
}

static void test_irq0_new_count_in_periodic_modes(void **state)
{
    (void)state;
    go_to(1000);
    control(0, BOTH, 2, 0);
    count16(0, 1000);
    go_to(1500);
    count16(0, 3000);
    unsigned before = lines.rises[0];
    go_to(2000);
    assert_int_equal(lines.rises[0], before);
    go_to(2001); /* the old cycle's end */
    assert_int_equal(lines.rises[0], before + 1);
    go_to(5000);
    assert_int_equal(lines.rises[0], before + 1);
    go_to(5001);
    assert_int_equal(lines.rises[0], before + 2);
    /* Square wave: changed in the high half, the rest is the new count's low half. */
    control(0, BOTH, 3, 0);
    count16(0, 4000);
    go_to(5500);
    count16(0, 1000);
    before = lines.rises[0];
    go_to(5002 + 2000 + 499);
    assert_int_equal(lines.rises[0], before);
    go_to(5002 + 2000 + 500);
    assert_int_equal(lines.rises[0], before + 1);
}

/* No timer without a receiver, and none ever for counters 1 and 2. */
static void test_timers_only_where_needed(void **state)
{
    (void)state;
    assert_false(pit.timer.armed);
    out61(1);
    control(1, LSB, 2, 0);
    out(1, 18);
    control(2, BOTH, 0, 0);
    count16(2, 1000);
    assert_false(pit.timer.armed);
    control(0, BOTH, 2, 0);
    assert_false(pit.timer.armed);
    count16(0, 1000);
    assert_true(pit.timer.armed);
    control(0, BOTH, 2, 0);
    assert_false(pit.timer.armed);
    pit.wiring.irq.set = NULL;
    count16(0, 1000);
    assert_false(pit.timer.armed);
    go_to(2500);
    assert_int_equal(latch16(0), 1000 - 499);
}

/* The guest may ask for 596 kHz; it gets 10 kHz, and nothing is owed. */
static void test_edge_rate_is_bounded(void **state)
{
    (void)state;
    control(0, BOTH, 2, 0);
    count16(0, 2);
    unsigned before = lines.rises[0];
    fake_clock_advance(&fake, HV_NS_PER_SECOND);
    assert_in_range(lines.rises[0] - before, 9000, 10001);
    assert_int_equal(pit.state.backlog, 0);
    assert_true(pit.lost_edges > 500000);
}

/* The host was away for ten periods: all ten edges come, four times as fast, then the rhythm is
 * the old one. */
static void test_late_edges_are_made_up_for(void **state)
{
    (void)state;
    control(0, BOTH, 2, 0);
    count16(0, 11932);
    unsigned before = lines.rises[0];
    fake.now = ns_of(1 + 10 * 11932 + 5); /* nothing fired */
    fake_clock_advance(&fake, 0);
    assert_int_equal(lines.rises[0], before + 1);
    assert_int_equal(pit.state.backlog, 9);
    go_to(1 + 13 * 11932 + 5);
    assert_int_equal(pit.state.backlog, 0);
    assert_int_equal(lines.rises[0], before + 13);
    go_to(1 + 14 * 11932 - 1);
    assert_int_equal(lines.rises[0], before + 13);
    go_to(1 + 20 * 11932);
    assert_int_equal(lines.rises[0], before + 20);
    assert_int_equal(pit.lost_edges, 0);
}

static void test_backlog_is_bounded(void **state)
{
    (void)state;
    control(0, BOTH, 2, 0);
    count16(0, 11932);
    unsigned before = lines.rises[0];
    fake.now = ns_of(1 + 1000 * 11932 + 5);
    fake_clock_advance(&fake, 0);
    sane();
    assert_int_equal(pit.state.backlog, PIT8254_BACKLOG_MAX);
    assert_int_equal(pit.lost_edges, 1000 - 1 - PIT8254_BACKLOG_MAX);
    go_to(1 + 1100 * 11932);
    assert_int_equal(lines.rises[0], before + 100 + 1 + PIT8254_BACKLOG_MAX);
    /* A new mode owes nothing. */
    fake.now = ns_of(1 + 1110 * 11932 + 5);
    fake_clock_advance(&fake, 0);
    assert_int_equal(pit.state.backlog, 9);
    control(0, BOTH, 2, 0);
    assert_int_equal(pit.state.backlog, 0);
    assert_false(pit.timer.armed);
    /* Late by aeons, at the smallest count. */
    count16(0, 2);
    fake.now = UINT64_MAX / 2;
    fake_clock_advance(&fake, 0);
    sane();
    assert_int_equal(pit.state.backlog, 0);
}

/* An edge that is due and has not fired is delivered before a write takes the counter over. */
static void test_write_after_a_due_edge(void **state)
{
    (void)state;
    control(0, BOTH, 4, 0);
    count16(0, 100);
    unsigned before = lines.rises[0];
    fake.now = ns_of(500);
    count16(0, 100);
    assert_int_equal(lines.rises[0], before + 1);
    go_to(700);
    assert_int_equal(lines.rises[0], before + 2);
}

static void test_reset(void **state)
{
    (void)state;
    control(0, BOTH, 0, 0);
    count16(0, 100);
    out61(1);
    pit8254_ops.reset(&pit.dev);
    sane();
    assert_false(pit.timer.armed);
    assert_true(lines.level[0]);
    assert_int_equal(in61() & 0x0F, 0);
    assert_int_equal(status(0), 0xC0 | BOTH | 0x06);
}

static void test_snapshot(void **state)
{
    (void)state;
    static struct pit8254 other;
    struct pit8254_wiring wiring = { &fake.clock, fake_line(&lines, 1) };
    assert_true(fake_fields_cover(&pit8254_ops));
    out61(1);
    control(0, BOTH, 2, 0);
    count16(0, 11932);
    control(2, BOTH, 3, 0);
    count16(2, 4000);
    fake.now = ns_of(1 + 3 * 11932 + 7000);
    fake_clock_advance(&fake, 0);
    count16(2, 300);
    out(3, 0x80);
    assert_int_equal(pit.state.backlog, 2);
    pit8254_init(&other, &wiring);
    assert_true(fake_fields_load(&other.dev, &pit.dev));
    assert_memory_equal(&other.state, &pit.state, sizeof(pit.state));
    unsigned before0 = lines.rises[0], before1 = lines.rises[1];
    go_to(1 + 100 * 11932);
    assert_int_equal(lines.rises[0] - before0, 100 - 3 + 2);
    assert_int_equal(lines.rises[1] - before1, lines.rises[0] - before0);
    /* Times that lie too far ahead are brought near. */
    other.state.edge_tick = UINT64_MAX / 4;
    other.state.counter[2].pending_count = 5;
    other.state.counter[2].pending_tick = UINT64_MAX / 4;
    assert_true(fake_fields_load(&pit.dev, &other.dev));
    go_to(1 + 101 * 11932 + 10);
    assert_int_equal(lines.rises[0] - before0, 101 - 3 + 2);
    assert_int_equal(pit.state.counter[2].pending_count, 5);
    pit8254_out(&pit, 2);
    assert_int_equal(pit.state.counter[2].count, 5);
    other.state.counter[2].start_tick = UINT64_MAX / 4;
    other.state.counter[2].pending_count = 0;
    assert_true(fake_fields_load(&pit.dev, &other.dev));
    assert_true(pit8254_out(&pit, 2));
    read16(2); /* what was latched when the state was saved */
    assert_int_equal(latch16(2), 4000);
    /* One that was due when the state was saved comes now. */
    other.state.edge_tick = 1;
    other.state.edge_ahead = 1;
    before0 = lines.rises[0];
    assert_true(fake_fields_load(&pit.dev, &other.dev));
    fake_clock_advance(&fake, 0);
    assert_int_equal(lines.rises[0], before0 + 1);
    sane();
}

static void test_check_refuses_what_cannot_be(void **state)
{
    (void)state;
    out61(1);
    control(0, BOTH, 2, 0);
    count16(0, 1000);
    control(2, BOTH, 2, 0);
    count16(2, 1000);
    go_to(1);
    in(0);
    in(0);
    pit8254_out(&pit, 2);
    const struct pit8254_state good = pit.state;
    struct pit8254_state s;
#define REFUSES(change)                                                                            \
    do {                                                                                           \
        s = good;                                                                                  \
        change;                                                                                    \
        assert_false(pit8254_ops.check(&s));                                                       \
    } while (0)
    assert_true(pit8254_ops.check(&good));
    REFUSES(s.counter[2].loaded = 2);
    REFUSES(s.counter[2].null_count = 2);
    REFUSES(s.counter[2].gate = 2);
    REFUSES(s.counter[2].paused = 2);
    REFUSES(s.counter[2].write_msb = 2);
    REFUSES(s.counter[2].read_msb = 2);
    REFUSES(s.counter[2].latched = 2);
    REFUSES(s.counter[2].status_latched = 2);
    REFUSES(s.counter[2].control = 0x74);
    REFUSES(s.counter[2].control = 0x04);
    REFUSES(s.counter[2].count = 65537);
    REFUSES(s.counter[2].count = 0);
    REFUSES(s.counter[2].pending_count = 65537);
    REFUSES(s.counter[2].last_count = 65537);
    REFUSES(s.counter[2].last_count = 0);
    REFUSES((s.counter[2].loaded = 0, s.counter[2].paused = 1));
    REFUSES((s.counter[2].control = BOTH | 2, s.counter[2].paused = 1));
    REFUSES((s.counter[2].control = LSB | 4, s.counter[2].write_msb = 1));
    REFUSES((s.counter[2].control = LSB | 4, s.counter[2].read_msb = 1));
    REFUSES((s.counter[1].pending_count = 5));
    REFUSES(s.counter[2].gate = 0);
    REFUSES(s.counter[0].gate = 0);
    REFUSES(s.counter[1].gate = 0);
    REFUSES(s.counter[0].paused = 1);
    REFUSES(s.counter[0].control = BOTH | 2);
    REFUSES((s.counter[1].control = BOTH | 10, s.counter[1].pending_count = 1,
             s.counter[1].last_count = 1));
    REFUSES(s.port61 = 0x11);
    REFUSES(s.port61 = 0x00);
    REFUSES(s.edge_ahead = 2);
    REFUSES(s.out0 = 2);
    REFUSES(s.backlog = PIT8254_BACKLOG_MAX + 1);
    REFUSES((s.backlog = 1, s.counter[0].control = BOTH));
    REFUSES((s.backlog = 1, s.counter[0].loaded = 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_mode0_interrupt_on_terminal_count, setup),
        cmocka_unit_test_setup(test_mode0_gate_holds, setup),
        cmocka_unit_test_setup(test_mode1_one_shot, setup),
        cmocka_unit_test_setup(test_mode2_rate_generator, setup),
        cmocka_unit_test_setup(test_mode2_counts_written_while_gated, setup),
        cmocka_unit_test_setup(test_mode3_even, setup),
        cmocka_unit_test_setup(test_mode3_odd, setup),
        cmocka_unit_test_setup(test_mode3_new_count_at_half_cycle, setup),
        cmocka_unit_test_setup(test_mode3_gate, setup),
        cmocka_unit_test_setup(test_mode4_software_strobe, setup),
        cmocka_unit_test_setup(test_mode5_hardware_strobe, setup),
        cmocka_unit_test_setup(test_access_modes, setup),
        cmocka_unit_test_setup(test_zero_is_the_largest_count, setup),
        cmocka_unit_test_setup(test_bcd, setup),
        cmocka_unit_test_setup(test_count_latch, setup),
        cmocka_unit_test_setup(test_read_back, setup),
        cmocka_unit_test_setup(test_port61, setup),
        cmocka_unit_test_setup(test_ports_outside, setup),
        cmocka_unit_test_setup(test_irq0_periodic_without_drift, setup),
        cmocka_unit_test_setup(test_irq0_one_shots, setup),
        cmocka_unit_test_setup(test_irq0_modes_that_never_interrupt, setup),
        cmocka_unit_test_setup(test_mode_change_raises_out, setup),
        cmocka_unit_test_setup(test_irq0_new_count_in_periodic_modes, setup),
        cmocka_unit_test_setup(test_timers_only_where_needed, setup),
        cmocka_unit_test_setup(test_edge_rate_is_bounded, setup),
        cmocka_unit_test_setup(test_late_edges_are_made_up_for, setup),
        cmocka_unit_test_setup(test_backlog_is_bounded, setup),
        cmocka_unit_test_setup(test_write_after_a_due_edge, setup),
        cmocka_unit_test_setup(test_reset, setup),
        cmocka_unit_test_setup(test_snapshot, setup),
        cmocka_unit_test_setup(test_check_refuses_what_cannot_be, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
