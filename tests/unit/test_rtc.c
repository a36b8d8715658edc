// SRCS: vmm/devices/rtc_mc146818.c vmm/devices/rtc_calendar.c
/* The MC146818 and CMOS against the data sheet; the calendar against the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

#include "fake.h"
#include "fields.h"
#include "vmm/devices/rtc_calendar.h"

enum { STD = RTC_TAG_STANDARD, EXT = RTC_TAG_EXTENDED };
enum { A = 0x0A, B = 0x0B, C = 0x0C, D = 0x0D };
enum { SET = 0x80, PIE = 0x40, AIE = 0x20, UIE = 0x10, DM = 0x04, H24 = 0x02 };

#define S HV_NS_PER_SECOND

static struct fake_clock fake;
static struct fake_lines lines;
static struct rtc rtc;

static void start_at(uint64_t epoch)
{
    memset(&lines, 0, sizeof(lines));
    fake_clock_init(&fake);
    fake.clock.epoch_seconds = epoch;
    struct rtc_wiring wiring = { &fake.clock, fake_line(&lines, 8), 512u << 20, 0 };
    rtc_init(&rtc, &wiring);
}

/* 2024-02-28 23:59:58, a Wednesday before a leap day. */
#define EPOCH UINT64_C(1709164798)

static int setup(void **state)
{
    (void)state;
    start_at(EPOCH);
    return 0;
}

static void sane(void)
{
    assert_true(rtc_ops.check(&rtc.state));
}

static void out(uint8_t reg, uint8_t value)
{
    fake_access(&rtc.dev, STD, BUS_PORT, 0, 1, true, reg, NULL);
    fake_access(&rtc.dev, STD, BUS_PORT, 1, 1, true, value, NULL);
    sane();
}

static uint8_t in(uint8_t reg)
{
    fake_access(&rtc.dev, STD, BUS_PORT, 0, 1, true, reg, NULL);
    uint8_t value = (uint8_t)fake_access(&rtc.dev, STD, BUS_PORT, 1, 1, false, 0, NULL);
    sane();
    return value;
}

static bool line(void)
{
    return lines.level[8];
}

static void expect(uint8_t century, uint8_t year, uint8_t month, uint8_t day, uint8_t hour,
                   uint8_t minute, uint8_t second)
{
    assert_int_equal(in(0x32), century);
    assert_int_equal(in(9), year);
    assert_int_equal(in(8), month);
    assert_int_equal(in(7), day);
    assert_int_equal(in(4), hour);
    assert_int_equal(in(2), minute);
    assert_int_equal(in(0), second);
}

static void set_time(uint8_t hour, uint8_t minute, uint8_t second)
{
    uint8_t b = in(B);
    out(B, b | SET);
    out(4, hour);
    out(2, minute);
    out(0, second);
    out(B, b);
}

static void test_power_on(void **state)
{
    (void)state;
    assert_int_equal(in(A), 0x26);
    assert_int_equal(in(B), 0x02);
    assert_int_equal(in(C), 0x00);
    assert_int_equal(in(D), 0x80);
    expect(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x58);
    assert_int_equal(in(6), 4);
    assert_false(line());
    assert_false(rtc.timer.armed);
}

static void test_runs_by_the_clock(void **state)
{
    (void)state;
    fake_clock_advance(&fake, S - 1);
    expect(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x58);
    fake_clock_advance(&fake, 1);
    expect(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x59);
    fake_clock_advance(&fake, S);
    expect(0x20, 0x24, 0x02, 0x29, 0x00, 0x00, 0x00);
    assert_int_equal(in(6), 5);
    fake_clock_advance(&fake, 86400 * S);
    expect(0x20, 0x24, 0x03, 0x01, 0x00, 0x00, 0x00);
    assert_int_equal(in(6), 6);
}

/* Reading once a second or once a year comes to the same. */
static void test_no_drift(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3600 * 10; i++) {
        fake_clock_advance(&fake, S / 10);
        in(0);
    }
    expect(0x20, 0x24, 0x02, 0x29, 0x00, 0x59, 0x58);
}

static void test_calendar_against_the_c_library(void **state)
{
    (void)state;
    static const uint8_t formats[] = { H24, H24 | DM, 0, DM };
    uint64_t random = 88172645463325252u;
    for (unsigned i = 0; i < 4000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint64_t from = random % UINT64_C(253402300800); /* up to the year 9999 */
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint64_t by = random >> (24 + random % 40);
        uint8_t cmos[RTC_BANK_BYTES] = { [RTC_REG_B] = formats[i % 4] };
        uint8_t want[RTC_BANK_BYTES] = { [RTC_REG_B] = formats[i % 4] };
        rtc_calendar_set(cmos, from);
        rtc_calendar_advance(cmos, by);
        rtc_calendar_set(want, from + by);
        assert_memory_equal(cmos, want, sizeof(cmos));
        if (i % 4 != 1)
            continue;
        time_t t = (time_t)(from + by);
        struct tm tm;
        gmtime_r(&t, &tm);
        assert_int_equal(cmos[0], tm.tm_sec);
        assert_int_equal(cmos[2], tm.tm_min);
        assert_int_equal(cmos[4], tm.tm_hour);
        assert_int_equal(cmos[6], tm.tm_wday + 1);
        assert_int_equal(cmos[7], tm.tm_mday);
        assert_int_equal(cmos[8], tm.tm_mon + 1);
        assert_int_equal(cmos[9] + 100 * cmos[0x32], (tm.tm_year + 1900) % 10000);
    }
}

static void test_every_day_of_four_centuries(void **state)
{
    (void)state;
    uint8_t cmos[RTC_BANK_BYTES] = { [RTC_REG_B] = H24 | DM };
    rtc_calendar_set(cmos, 0);
    for (unsigned day = 0; day < 150000; day++) {
        time_t t = (time_t)day * 86400;
        struct tm tm;
        gmtime_r(&t, &tm);
        assert_int_equal(cmos[7], tm.tm_mday);
        assert_int_equal(cmos[8], tm.tm_mon + 1);
        assert_int_equal(cmos[9] + 100 * cmos[0x32], tm.tm_year + 1900);
        rtc_calendar_advance(cmos, 86400);
    }
}

static void test_twelve_hours(void **state)
{
    (void)state;
    static const struct { unsigned hour; uint8_t bcd, binary; } hours[] = {
        { 0, 0x12, 12 }, { 1, 0x01, 1 }, { 11, 0x11, 11 }, { 12, 0x92, 0x8C },
        { 13, 0x81, 0x81 }, { 22, 0x90, 0x8A }, { 23, 0x91, 0x8B },
    };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(hours); i++) {
        uint8_t cmos[RTC_BANK_BYTES] = { 0 };
        rtc_calendar_set(cmos, hours[i].hour * 3600);
        assert_int_equal(cmos[4], hours[i].bcd);
        rtc_calendar_advance(cmos, 0);
        assert_int_equal(cmos[4], hours[i].bcd);
        cmos[RTC_REG_B] = DM;
        rtc_calendar_set(cmos, hours[i].hour * 3600);
        assert_int_equal(cmos[4], hours[i].binary);
        rtc_calendar_advance(cmos, 0);
        assert_int_equal(cmos[4], hours[i].binary);
    }
}

static void test_invalid_fields_become_valid(void **state)
{
    (void)state;
    uint8_t cmos[RTC_BANK_BYTES];
    for (unsigned b = 0; b < 8; b += 2) {
        memset(cmos, 0xFF, sizeof(cmos));
        cmos[RTC_REG_B] = (uint8_t)b;
        rtc_calendar_advance(cmos, 1);
        rtc_calendar_advance(cmos, 86400 * 40);
        cmos[RTC_REG_B] = (uint8_t)b;
        memset(cmos, 0, RTC_REG_B);
        rtc_calendar_advance(cmos, 86400);
    }
    memset(cmos, 0, sizeof(cmos));
    cmos[RTC_REG_B] = H24;
    cmos[8] = 0x02; /* there is no 31st of February */
    cmos[7] = 0x31;
    cmos[9] = 0x23;
    cmos[0x32] = 0x20;
    rtc_calendar_advance(cmos, 86400);
    assert_int_equal(cmos[8], 0x03);
    assert_int_equal(cmos[7], 0x04);
}

static void test_set_holds_the_time(void **state)
{
    (void)state;
    fake_clock_advance(&fake, S / 4);
    out(B, SET | H24);
    fake_clock_advance(&fake, 10 * S);
    expect(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x58);
    assert_int_equal(in(C), 0x40); /* the divider runs on, updates do not */
    out(9, 0x99);
    out(0x32, 0x19);
    out(8, 0x12);
    out(7, 0x31);
    out(6, 6);
    out(B, H24);
    expect(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
    /* The second goes on from where it was. */
    fake_clock_advance(&fake, 3 * S / 4 - 1);
    expect(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
    fake_clock_advance(&fake, 1);
    expect(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
    fake_clock_advance(&fake, S);
    expect(0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00);
    assert_int_equal(in(6), 7);
}

/* "Divider Control": the first update comes half a second after the release. */
static void test_divider_reset(void **state)
{
    (void)state;
    out(A, 0x76);
    fake_clock_advance(&fake, 10 * S + 1);
    assert_int_equal(in(0), 0x58);
    assert_int_equal(in(A), 0x76);
    assert_int_equal(in(C), 0x00);
    out(A, 0x26);
    fake_clock_advance(&fake, S / 2 - 1);
    assert_int_equal(in(0), 0x58);
    assert_int_equal(in(A), 0xA6);
    fake_clock_advance(&fake, 1);
    assert_int_equal(in(0), 0x59);
    fake_clock_advance(&fake, S - 1);
    assert_int_equal(in(0), 0x59);
    fake_clock_advance(&fake, 1);
    assert_int_equal(in(0), 0x00);
}

static void test_divider_release_at_the_beginning_of_time(void **state)
{
    (void)state;
    out(A, 0x70);
    out(A, 0x20);
    out(B, H24 | UIE);
    assert_int_equal(rtc.timer.deadline_ns, S / 2);
    fake_clock_advance(&fake, S / 2);
    assert_true(line());
    assert_int_equal(in(0), 0x59);
}

static void test_uip(void **state)
{
    (void)state;
    fake_clock_advance(&fake, S - 244001);
    assert_int_equal(in(A), 0x26);
    fake_clock_advance(&fake, 1);
    assert_int_equal(in(A), 0xA6);
    out(A, 0xA6); /* UIP is read-only */
    assert_int_equal(rtc.state.cmos[A], 0x26);
    out(B, SET | H24);
    assert_int_equal(in(A), 0x26);
    out(B, H24);
    fake_clock_advance(&fake, 243999);
    assert_int_equal(in(A), 0xA6);
    fake_clock_advance(&fake, 1);
    assert_int_equal(in(A), 0x26);
}

static void test_update_ended_interrupt(void **state)
{
    (void)state;
    out(A, 0x20); /* no periodic flag in the way, */
    out(5, 0x12); /* and no alarm at midnight */
    out(B, H24 | UIE);
    fake_clock_advance(&fake, S - 1);
    assert_false(line());
    fake_clock_advance(&fake, 1);
    assert_true(line());
    assert_false(rtc.timer.armed); /* nothing more to say until C is read */
    fake_clock_advance(&fake, 5 * S);
    assert_int_equal(lines.rises[8], 1);
    assert_int_equal(in(C), 0x90);
    assert_false(line());
    assert_int_equal(in(C), 0x00);
    assert_int_equal(in(0), 0x04);
    fake_clock_advance(&fake, S);
    assert_true(line());
    out(B, H24); /* disabled: the line falls, the flag stays */
    assert_false(line());
    assert_int_equal(in(C), 0x10);
    /* SET clears UIE. */
    out(B, H24 | UIE);
    out(B, H24 | UIE | SET);
    assert_int_equal(in(B), H24 | SET);
    assert_false(rtc.timer.armed);
}

static void test_flags_without_interrupts(void **state)
{
    (void)state;
    out(5, 0x00);
    out(3, 0x00);
    out(1, 0x00);
    fake_clock_advance(&fake, 2 * S);
    assert_false(rtc.timer.armed);
    assert_int_equal(in(C), 0x70);
    assert_int_equal(in(C), 0x00);
    assert_false(line());
}

static void test_periodic_rates(void **state)
{
    (void)state;
    /* "Periodic Interrupt Rate", for a 32.768 kHz time base. */
    static const unsigned hz[16] = { 0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                     256, 128, 64,  32,   16,   8,    4,    2 };
    for (uint8_t rate = 0; rate < 16; rate++) {
        setup(NULL);
        out(A, 0x20 | rate);
        out(B, H24 | PIE);
        assert_int_equal(rtc.timer.armed, rate != 0);
        unsigned count = 0;
        /* The guest answers every interrupt at once. */
        while (rtc.timer.armed && rtc.timer.deadline_ns <= 3 * S) {
            fake_clock_advance_to(&fake, rtc.timer.deadline_ns);
            assert_true(line());
            assert_int_equal(in(C) & 0xC0, 0xC0);
            assert_false(line());
            count++;
        }
        assert_int_equal(count, 3 * hz[rate]);
        if (rate)
            assert_int_equal(fake.now, 3 * S);
    }
}

static void test_periodic_phase(void **state)
{
    (void)state;
    out(A, 0x2F); /* 2 Hz */
    fake_clock_advance(&fake, S / 2 - 1);
    assert_int_equal(in(C), 0x00);
    fake_clock_advance(&fake, 1);
    assert_int_equal(in(C), 0x40);
    out(A, 0x20);
    fake_clock_advance(&fake, 10 * S);
    assert_int_equal(in(C) & 0x40, 0);
}

/* SET stops updates, not the periodic interrupt; a divider reset stops both. */
static void test_periodic_with_set_and_reset(void **state)
{
    (void)state;
    out(B, H24 | SET | PIE);
    assert_true(rtc.timer.armed);
    fake_clock_advance(&fake, 2 * S);
    assert_int_equal(in(C), 0xC0);
    out(A, 0x66);
    assert_false(rtc.timer.armed);
    fake_clock_advance(&fake, 2 * S);
    assert_int_equal(in(C), 0x00);
}

static void alarm_at(uint8_t hour, uint8_t minute, uint8_t second)
{
    out(5, hour);
    out(3, minute);
    out(1, second);
}

static void test_alarm(void **state)
{
    (void)state;
    out(A, 0x20);
    alarm_at(0x00, 0x10, 0x30);
    out(B, H24 | AIE);
    assert_int_equal(rtc.timer.deadline_ns, (2 + 630) * S);
    fake_clock_advance(&fake, 631 * S);
    assert_false(line());
    fake_clock_advance(&fake, S);
    assert_true(line());
    assert_int_equal(in(C), 0xB0);
    assert_false(line());
    assert_int_equal(rtc.timer.deadline_ns, (2 + 630 + 86400) * S);
    /* A changed alarm or time moves the deadline. */
    alarm_at(0x00, 0x11, 0x00);
    assert_int_equal(rtc.timer.deadline_ns, (2 + 660) * S);
    set_time(0x00, 0x10, 0x59);
    fake_clock_advance(&fake, S);
    assert_true(line());
}

static void test_alarm_dont_care(void **state)
{
    (void)state;
    static const struct { uint8_t hour, minute, second; uint32_t in; } cases[] = {
        { 0xFF, 0xFF, 0xFF, 1 },       /* every second */
        { 0xC0, 0xC1, 0x58, 60 },      /* once a minute; now is 23:59:58 */
        { 0xFF, 0xFF, 0x59, 1 },
        { 0xFF, 0x59, 0x57, 3599 },    /* once an hour */
        { 0xFF, 0x30, 0xFF, 1802 },    /* 30 minutes past, each of its seconds */
        { 0x12, 0xFF, 0xFF, 43202 },
        { 0x23, 0x59, 0x58, 86400 },   /* once a day: tomorrow */
        { 0x23, 0x59, 0x57, 86399 },
        { 0x23, 0x58, 0xFF, 86282 },
        { 0x24, 0xFF, 0xFF, 0 },       /* never */
        { 0xFF, 0x60, 0xFF, 0 },
        { 0xFF, 0xFF, 0x5A, 0 },
        { 0x80, 0x00, 0x00, 0 },
    };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(cases); i++) {
        setup(NULL);
        alarm_at(cases[i].hour, cases[i].minute, cases[i].second);
        out(B, H24 | AIE);
        assert_int_equal(rtc.timer.armed, cases[i].in != 0);
        if (cases[i].in)
            assert_int_equal(rtc.timer.deadline_ns, cases[i].in * S);
    }
}

static void test_alarm_twelve_hours(void **state)
{
    (void)state;
    out(B, SET);
    out(4, 0x91); /* 11 PM */
    alarm_at(0x92, 0x00, 0x00);
    out(B, AIE);
    assert_int_equal(rtc.timer.deadline_ns, (2 + 12 * 3600) * S);
    alarm_at(0x12, 0x00, 0x00);
    assert_int_equal(rtc.timer.deadline_ns, 2 * S);
    out(B, AIE | DM);
    alarm_at(0x0D, 0, 0);
    assert_false(rtc.timer.armed);
}

/* The alarm that matters is found by brute force too. */
static void test_alarm_search_is_exact(void **state)
{
    (void)state;
    uint64_t random = 1234567;
    for (unsigned i = 0; i < 60; i++) {
        uint8_t cmos[RTC_BANK_BYTES] = { [RTC_REG_B] = H24 | DM };
        random = random * 6364136223846793005u + 1442695040888963407u;
        rtc_calendar_set(cmos, (random >> 33) % 86400);
        cmos[1] = random >> 20 & 1 ? 0xFF : (uint8_t)((random >> 40) % 60);
        cmos[3] = random >> 21 & 1 ? 0xFF : (uint8_t)((random >> 46) % 60);
        cmos[5] = random >> 22 & 1 ? 0xFF : (uint8_t)((random >> 52) % 24);
        uint32_t got = rtc_calendar_alarm_in(cmos);
        assert_in_range(got, 1, 86400);
        for (uint32_t step = 1; step <= got; step++) {
            rtc_calendar_advance(cmos, 1);
            bool match = (cmos[1] == 0xFF || cmos[1] == cmos[0]) &&
                         (cmos[3] == 0xFF || cmos[3] == cmos[2]) &&
                         (cmos[5] == 0xFF || cmos[5] == cmos[4]);
            assert_int_equal(match, step == got);
        }
    }
}

static void test_format_change_reinterprets_bytes(void **state)
{
    (void)state;
    set_time(0x12, 0x34, 0x10);
    out(B, H24 | DM);
    assert_int_equal(in(0), 0x10);
    fake_clock_advance(&fake, S);
    assert_int_equal(in(0), 0x11);
    assert_int_equal(in(2), 0x34);
}

static void test_cmos_memory(void **state)
{
    (void)state;
    for (unsigned i = 0x0E; i < 0x80; i++) {
        if (i == 0x32)
            continue;
        out((uint8_t)i, (uint8_t)(i ^ 0x5A));
    }
    for (unsigned i = 0x0E; i < 0x80; i++)
        if (i != 0x32)
            assert_int_equal(in((uint8_t)i), i ^ 0x5A);
    out(C, 0xFF);
    out(D, 0x00);
    assert_int_equal(in(C), 0x00);
    assert_int_equal(in(D), 0x80);
}

static void test_memory_sizes(void **state)
{
    (void)state;
    static const struct {
        uint64_t below, above;
        uint16_t base, extended, above_16m;
        uint32_t above_4g;
    } cases[] = {
        { 512u << 20, 0, 640, 0xFFFF, (496u << 20) >> 16, 0 },
        { 8u << 20, 0, 640, 7 * 1024, 0, 0 },
        { 512u << 10, 0, 512, 0, 0, 0 },
        { UINT64_C(3) << 30, UINT64_C(5) << 30, 640, 0xFFFF, 3056 * 16, 5 << 14 },
        { UINT64_C(3) << 30, UINT64_C(1) << 50, 640, 0xFFFF, 3056 * 16, 0xFFFFFF },
    };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(cases); i++) {
        struct rtc_wiring wiring = { &fake.clock, fake_line(&lines, 8), cases[i].below,
                                     cases[i].above };
        rtc_init(&rtc, &wiring);
        assert_int_equal(in(0x15) | in(0x16) << 8, cases[i].base);
        assert_int_equal(in(0x17) | in(0x18) << 8, cases[i].extended);
        assert_int_equal(in(0x30) | in(0x31) << 8, cases[i].extended);
        assert_int_equal(in(0x34) | in(0x35) << 8, cases[i].above_16m);
        assert_int_equal(in(0x5B) | in(0x5C) << 8 | in(0x5D) << 16, cases[i].above_4g);
        unsigned sum = 0;
        for (uint8_t reg = 0x10; reg <= 0x2D; reg++)
            sum += in(reg);
        assert_int_equal(in(0x2E) << 8 | in(0x2F), sum);
    }
}

static void test_index_ports(void **state)
{
    (void)state;
    enum bus_answer answer;
    assert_int_equal(fake_access(&rtc.dev, STD, BUS_PORT, 0, 1, false, 0, &answer), 0xFF);
    assert_int_equal(answer, BUS_UNCLAIMED);
    fake_access(&rtc.dev, STD, BUS_PORT, 2, 1, true, 0, &answer);
    assert_int_equal(answer, BUS_UNCLAIMED);
    out(0x8E, 0x11); /* bit 7 is the NMI mask */
    assert_true(rtc_nmi_masked(&rtc));
    assert_int_equal(in(0x0E), 0x11);
    assert_false(rtc_nmi_masked(&rtc));
    /* One 16-bit write is index and data. */
    fake_access(&rtc.dev, STD, BUS_PORT, 0, 2, true, 0x770F, &answer);
    assert_int_equal(answer, BUS_DONE);
    assert_int_equal(in(0x0F), 0x77);
}

static void test_extended_bank(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 128; i++) {
        fake_access(&rtc.dev, EXT, BUS_PORT, 0, 1, true, i | 0x80, NULL);
        fake_access(&rtc.dev, EXT, BUS_PORT, 1, 1, true, i + 1, NULL);
    }
    sane();
    assert_false(rtc_nmi_masked(&rtc));
    assert_int_equal(in(0), 0x58);
    for (unsigned i = 0; i < 128; i++) {
        fake_access(&rtc.dev, EXT, BUS_PORT, 0, 1, true, i, NULL);
        assert_int_equal(fake_access(&rtc.dev, EXT, BUS_PORT, 1, 1, false, 0, NULL), i + 1);
    }
}

static void test_reset_keeps_time_and_memory(void **state)
{
    (void)state;
    out(0x40, 0x99);
    out(A, 0x26);
    out(B, H24 | PIE | AIE | UIE | 0x08);
    fake_clock_advance(&fake, S);
    assert_true(line());
    set_time(0x10, 0x20, 0x30);
    rtc_ops.reset(&rtc.dev);
    sane();
    assert_false(line());
    assert_false(rtc.timer.armed);
    assert_int_equal(in(B), H24);
    assert_int_equal(in(C), 0);
    expect(0x20, 0x24, 0x02, 0x28, 0x10, 0x20, 0x30);
    assert_int_equal(in(0x40), 0x99);
}

static void test_late_start_and_late_timer(void **state)
{
    (void)state;
    /* A device that is made when the clock has run already. */
    fake.now = 3 * S + S / 4;
    struct rtc_wiring wiring = { &fake.clock, fake_line(&lines, 8), 0, 0 };
    rtc_init(&rtc, &wiring);
    sane();
    assert_int_equal(in(0), 0x01);
    fake_clock_advance(&fake, 3 * S / 4);
    assert_int_equal(in(0), 0x02);
    /* A timer that fires late: nothing is lost of the time. */
    in(C);
    out(B, H24 | UIE);
    fake.now += 10 * S + S / 2;
    fake_clock_advance(&fake, 0);
    assert_true(line());
    assert_int_equal(in(0), 0x12);
    in(C);
    assert_int_equal(rtc.timer.deadline_ns, 15 * S);
    /* A clock that is a little behind what was seen before changes nothing. */
    fake.now -= 1000;
    assert_int_equal(in(0), 0x12);
}

static void test_snapshot(void **state)
{
    (void)state;
    static struct rtc other;
    struct rtc_wiring wiring = { &fake.clock, fake_line(&lines, 9), 0, 0 };
    assert_true(fake_fields_cover(&rtc_ops));
    fake_clock_advance(&fake, S / 3);
    out(A, 0x20);
    out(B, H24 | UIE);
    rtc_init(&other, &wiring);
    assert_true(fake_fields_load(&other.dev, &rtc.dev));
    assert_memory_equal(&other.state, &rtc.state, sizeof(rtc.state));
    fake_clock_advance_to(&fake, S);
    assert_true(line());
    assert_true(lines.level[9]);
    /* Loaded where the clock is earlier: the phase stays, no time passes. */
    fake.now = 7 * S + S / 5;
    in(0x40);
    fake.now = S / 2;
    lines.level[9] = false;
    assert_true(fake_fields_load(&other.dev, &rtc.dev));
    assert_true(lines.level[9]);
    assert_int_equal(other.state.synced_ns, S / 2);
    assert_int_equal(other.state.synced_ns - other.state.second_ns, S / 5);
    assert_true(rtc_ops.check(&other.state));
}

static void test_check_refuses_what_cannot_be(void **state)
{
    (void)state;
    const struct rtc_state good = rtc.state;
    struct rtc_state s;
#define REFUSES(change)                                                                            \
    do {                                                                                           \
        s = good;                                                                                  \
        change;                                                                                    \
        assert_false(rtc_ops.check(&s));                                                           \
    } while (0)
    assert_true(rtc_ops.check(&good));
    REFUSES(s.index = 128);
    REFUSES(s.extended_index = 128);
    REFUSES(s.nmi_masked = 2);
    REFUSES(s.cmos[A] = 0xA6);
    REFUSES(s.cmos[C] = 0x80);
    REFUSES(s.cmos[C] = 0x01);
    REFUSES(s.cmos[D] = 0x80);
    REFUSES(s.cmos[B] = SET | UIE);
    REFUSES(s.synced_ns = S);
    REFUSES(s.second_ns = 1);
    REFUSES((s.cmos[A] = 0x60, s.synced_ns = 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_power_on, setup),
        cmocka_unit_test_setup(test_runs_by_the_clock, setup),
        cmocka_unit_test_setup(test_no_drift, setup),
        cmocka_unit_test_setup(test_calendar_against_the_c_library, setup),
        cmocka_unit_test_setup(test_every_day_of_four_centuries, setup),
        cmocka_unit_test_setup(test_twelve_hours, setup),
        cmocka_unit_test_setup(test_invalid_fields_become_valid, setup),
        cmocka_unit_test_setup(test_set_holds_the_time, setup),
        cmocka_unit_test_setup(test_divider_reset, setup),
        cmocka_unit_test_setup(test_divider_release_at_the_beginning_of_time, setup),
        cmocka_unit_test_setup(test_uip, setup),
        cmocka_unit_test_setup(test_update_ended_interrupt, setup),
        cmocka_unit_test_setup(test_flags_without_interrupts, setup),
        cmocka_unit_test_setup(test_periodic_rates, setup),
        cmocka_unit_test_setup(test_periodic_phase, setup),
        cmocka_unit_test_setup(test_periodic_with_set_and_reset, setup),
        cmocka_unit_test_setup(test_alarm, setup),
        cmocka_unit_test_setup(test_alarm_dont_care, setup),
        cmocka_unit_test_setup(test_alarm_twelve_hours, setup),
        cmocka_unit_test_setup(test_alarm_search_is_exact, setup),
        cmocka_unit_test_setup(test_format_change_reinterprets_bytes, setup),
        cmocka_unit_test_setup(test_cmos_memory, setup),
        cmocka_unit_test_setup(test_memory_sizes, setup),
        cmocka_unit_test_setup(test_index_ports, setup),
        cmocka_unit_test_setup(test_extended_bank, setup),
        cmocka_unit_test_setup(test_reset_keeps_time_and_memory, setup),
        cmocka_unit_test_setup(test_late_start_and_late_timer, setup),
        cmocka_unit_test_setup(test_snapshot, setup),
        cmocka_unit_test_setup(test_check_refuses_what_cannot_be, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
