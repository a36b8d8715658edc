// SRCS: vmm/devices/rtc_mc146818.c vmm/devices/rtc_calendar.c
/* The clock under random registers and time. */
#include "fuzz_device.h"
#include "hv/dev_rtc.h"

static struct fake_clock fake;
static struct fake_lines lines;
static struct rtc rtc, twin;

/* Index and data in one step, among the registers that matter. */
static void input(struct fuzz_input *in)
{
    uint8_t reg = fuzz_byte(in);
    uint8_t value = fuzz_byte(in);
    fake_access(&rtc.dev, RTC_TAG_STANDARD, BUS_PORT, 0, 1, true, reg & 0x0F, NULL);
    fake_access(&rtc.dev, RTC_TAG_STANDARD, BUS_PORT, 1, 1, reg & 0x80, value, NULL);
}

/* The line is IRQF; while it is up no timer is needed. */
static bool invariant(void)
{
    const uint8_t *cmos = rtc.state.cmos;
    bool pending = cmos[0x0B] & cmos[0x0C] & 0x70;
    return lines.level[8] == pending && !(pending && rtc.timer.armed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = { data, size };
    memset(&lines, 0, sizeof(lines));
    fake_clock_init(&fake);
    fake.clock.epoch_seconds = (uint64_t)fuzz_word(&in) << (fuzz_byte(&in) & 31);
    struct rtc_wiring wiring = { &fake.clock, fake_line(&lines, 8), fuzz_word(&in),
                                 (uint64_t)fuzz_word(&in) << 16 };
    rtc_init(&rtc, &wiring);
    wiring.irq.line = 9;
    rtc_init(&twin, &wiring);
    const struct fuzz_device fuzz = { &rtc.dev, &twin.dev, &fake, 2, RTC_PORTS, input, invariant };
    fuzz_device_run(&fuzz, &in);
    return 0;
}
