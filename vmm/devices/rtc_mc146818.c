/*
 * The MC146818's time base, control registers and interrupts, and the CMOS memory around it. The
 * calendar itself is in rtc_calendar.c.
 *
 * Nothing runs by itself: whoever looks brings calendar and flags up to the present, and the one
 * timer is armed only for the next interrupt that is enabled and not pending already.
 *
 * An update is done in no time, so that UIP is seen only in the 244 microseconds before it, and a
 * time that was read with UIP clear is always whole.
 *
 * Lock: the VM's device lock.
 * Source: MC146818 data sheet, "Register A" to "Register D", "Update Cycle", "Interrupts"; the PC's
 * use of CMOS bytes from the chipset and firmware references.
 */
#include "vmm/devices/isa.h"
#include "vmm/devices/rtc_calendar.h"

#define A_UIP 0x80u
#define A_DIVIDER_RESET 0x60u /* both bits: the divider is held in reset */
#define A_RATE 0x0Fu
#define A_POWER_ON 0x26u      /* 32,768 Hz, 1,024 Hz */

#define B_SET 0x80u
#define B_UIE 0x10u
#define B_SQWE 0x08u
#define INTERRUPTS 0x70u      /* PIE, AIE, UIE in B as PF, AF, UF in C */
#define FLAG_PERIODIC 0x40u
#define FLAG_ALARM 0x20u
#define FLAG_UPDATE 0x10u
#define C_IRQF 0x80u
#define D_VRT 0x80u           /* the battery is fine */

#define BASE_HZ 32768u
#define UIP_NS 244000u

#define INDEX_MASK 0x7Fu
#define NMI_MASK 0x80u

enum cmos_byte {
    CMOS_EQUIPMENT = 0x14,
    CMOS_CHECKED_FIRST = 0x10,
    CMOS_BASE_KB = 0x15,
    CMOS_EXTENDED_KB = 0x17,
    CMOS_CHECKED_LAST = 0x2D,
    CMOS_CHECKSUM = 0x2E, /* high byte first */
    CMOS_EXTENDED_KB_2 = 0x30,
    CMOS_ABOVE_16M = 0x34, /* in 64 KB */
    CMOS_ABOVE_4G = 0x5B,  /* in 64 KB, three bytes */
};

#define EQUIPMENT_FPU 0x02u

static bool divider_runs(const struct rtc_state *s)
{
    return (s->cmos[RTC_REG_A] & A_DIVIDER_RESET) != A_DIVIDER_RESET;
}

static bool updates_run(const struct rtc_state *s)
{
    return divider_runs(s) && !(s->cmos[RTC_REG_B] & B_SET);
}

/* Period of the periodic interrupt in cycles of 32,768 Hz; 0: none. The two fastest settings give
 * what 8 and 9 give. */
static uint32_t periodic_cycles(const struct rtc_state *s)
{
    unsigned rate = s->cmos[RTC_REG_A] & A_RATE;
    if (rate == 0)
        return 0;
    return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

/* How many periods have ended `ns` after a second began; every period divides a second. */
static uint64_t periods_in(uint32_t cycles, uint64_t ns)
{
    return ns * BASE_HZ / HV_NS_PER_SECOND / cycles;
}

static bool period_has_ended(const struct rtc_state *s, uint64_t now_ns)
{
    uint32_t cycles = periodic_cycles(s);
    if (!cycles)
        return false;
    if (now_ns - s->synced_ns >= HV_NS_PER_SECOND)
        return true;
    return periods_in(cycles, now_ns - s->second_ns) !=
           periods_in(cycles, s->synced_ns - s->second_ns);
}

/* Second boundaries that passed: the update cycles, if they are not held off. */
static void pass_seconds(struct rtc_state *s, uint64_t seconds)
{
    s->second_ns += seconds * HV_NS_PER_SECOND;
    if (!seconds || !updates_run(s))
        return;
    uint32_t alarm_in = rtc_calendar_alarm_in(s->cmos);
    if (alarm_in && alarm_in <= seconds)
        s->cmos[RTC_REG_C] |= FLAG_ALARM;
    s->cmos[RTC_REG_C] |= FLAG_UPDATE;
    rtc_calendar_advance(s->cmos, seconds);
}

/* Differences of times are taken modulo 2^64: after a divider reset early in the VM's life a
 * "second" began before time 0. */
static void sync_to(struct rtc_state *s, uint64_t now_ns)
{
    if (now_ns <= s->synced_ns)
        return;
    if (divider_runs(s)) {
        if (period_has_ended(s, now_ns))
            s->cmos[RTC_REG_C] |= FLAG_PERIODIC;
        pass_seconds(s, (now_ns - s->second_ns) / HV_NS_PER_SECOND);
    } else {
        s->second_ns = now_ns;
    }
    s->synced_ns = now_ns;
}

static bool interrupt_pending(const struct rtc_state *s)
{
    return s->cmos[RTC_REG_C] & s->cmos[RTC_REG_B] & INTERRUPTS;
}

/* Nanoseconds from synced_ns to the next event that interrupts; UINT64_MAX: none. */
static uint64_t next_interrupt_in(const struct rtc_state *s)
{
    uint8_t enabled = s->cmos[RTC_REG_B] & INTERRUPTS;
    uint64_t phase = s->synced_ns - s->second_ns;
    uint64_t next = UINT64_MAX;
    if (interrupt_pending(s) || !divider_runs(s))
        return next;
    uint32_t cycles = periodic_cycles(s);
    if ((enabled & FLAG_PERIODIC) && cycles) {
        uint64_t count = (periods_in(cycles, phase) + 1) * cycles;
        next = (count * HV_NS_PER_SECOND + BASE_HZ - 1) / BASE_HZ - phase;
    }
    if (!updates_run(s))
        return next;
    uint32_t alarm_in = enabled & FLAG_ALARM ? rtc_calendar_alarm_in(s->cmos) : 0;
    if (enabled & FLAG_UPDATE)
        next = hv_min_u64(next, HV_NS_PER_SECOND - phase);
    if (alarm_in)
        next = hv_min_u64(next, alarm_in * HV_NS_PER_SECOND - phase);
    return next;
}

/* After anything changed, with the state synced: line and timer. */
static void update(struct rtc *rtc)
{
    const struct rtc_state *s = &rtc->state;
    bool level = interrupt_pending(s);
    uint64_t in_ns = next_interrupt_in(s);
    if (level != rtc->line) {
        rtc->line = level;
        irq_set(&rtc->wiring.irq, level);
    }
    if (in_ns == UINT64_MAX) {
        if (rtc->timer.armed)
            timer_cancel(rtc->wiring.clock, &rtc->timer);
    } else if (!rtc->timer.armed || rtc->timer.deadline_ns != s->synced_ns + in_ns) {
        timer_arm(rtc->wiring.clock, &rtc->timer, s->synced_ns + in_ns);
    }
}

static void timer_fired(struct hv_timer *timer, uint64_t now_ns)
{
    struct rtc *rtc = HV_CONTAINER_OF(timer, struct rtc, timer);
    sync_to(&rtc->state, now_ns);
    update(rtc);
}

static uint8_t read_a(const struct rtc_state *s)
{
    uint8_t value = s->cmos[RTC_REG_A];
    if (updates_run(s) && s->synced_ns - s->second_ns >= HV_NS_PER_SECOND - UIP_NS)
        value |= A_UIP;
    return value;
}

static uint8_t read_c(struct rtc_state *s)
{
    uint8_t value = s->cmos[RTC_REG_C] | (interrupt_pending(s) ? C_IRQF : 0);
    s->cmos[RTC_REG_C] = 0;
    return value;
}

static uint8_t data_read(struct rtc_state *s, uint8_t index)
{
    switch (index) {
    case RTC_REG_A: return read_a(s);
    case RTC_REG_C: return read_c(s);
    case RTC_REG_D: return D_VRT;
    default: return s->cmos[index];
    }
}

/* "the first update cycle begins one-half second" after the divider is released */
static void write_a(struct rtc_state *s, uint8_t value)
{
    bool ran = divider_runs(s);
    s->cmos[RTC_REG_A] = value & (uint8_t)~A_UIP;
    if (!ran && divider_runs(s))
        s->second_ns = s->synced_ns - HV_NS_PER_SECOND / 2;
    else if (!divider_runs(s))
        s->second_ns = s->synced_ns;
}

/* SET ends an update in the making and clears UIE. */
static void write_b(struct rtc_state *s, uint8_t value)
{
    if (value & B_SET)
        value &= (uint8_t)~B_UIE;
    s->cmos[RTC_REG_B] = value;
}

static void data_write(struct rtc_state *s, uint8_t index, uint8_t value)
{
    switch (index) {
    case RTC_REG_A: write_a(s, value); break;
    case RTC_REG_B: write_b(s, value); break;
    case RTC_REG_C:
    case RTC_REG_D: break; /* read-only */
    default: s->cmos[index] = value; break;
    }
}

static void index_write(struct rtc_state *s, unsigned tag, uint8_t value)
{
    if (tag == RTC_TAG_EXTENDED) {
        s->extended_index = value & INDEX_MASK;
        return;
    }
    s->index = value & INDEX_MASK;
    s->nmi_masked = (value & NMI_MASK) != 0;
}

static uint8_t *extended_cell(struct rtc_state *s)
{
    return &s->cmos[RTC_BANK_BYTES + s->extended_index];
}

/* The index ports can only be written. */
static int rtc_read8(struct device *device, unsigned tag, uint64_t offset)
{
    struct rtc *rtc = HV_CONTAINER_OF(device, struct rtc, dev);
    struct rtc_state *s = &rtc->state;
    if (offset != 1)
        return BUS_READ_UNCLAIMED;
    if (tag == RTC_TAG_EXTENDED)
        return *extended_cell(s);
    sync_to(s, clock_now_ns(rtc->wiring.clock));
    uint8_t value = data_read(s, s->index);
    update(rtc);
    return value;
}

static enum bus_answer rtc_write8(struct device *device, unsigned tag, uint64_t offset,
                                  uint8_t value)
{
    struct rtc *rtc = HV_CONTAINER_OF(device, struct rtc, dev);
    struct rtc_state *s = &rtc->state;
    if (offset >= RTC_PORTS)
        return BUS_UNCLAIMED;
    if (offset == 0) {
        index_write(s, tag, value);
    } else if (tag == RTC_TAG_EXTENDED) {
        *extended_cell(s) = value;
    } else {
        sync_to(s, clock_now_ns(rtc->wiring.clock));
        data_write(s, s->index, value);
        update(rtc);
    }
    return BUS_DONE;
}

/* The RESET pin. What has a battery lives on. */
static void rtc_reset(struct device *device)
{
    struct rtc *rtc = HV_CONTAINER_OF(device, struct rtc, dev);
    struct rtc_state *s = &rtc->state;
    sync_to(s, clock_now_ns(rtc->wiring.clock));
    s->cmos[RTC_REG_B] &= (uint8_t)~(INTERRUPTS | B_SQWE);
    s->cmos[RTC_REG_C] = 0;
    s->index = 0;
    s->extended_index = 0;
    s->nmi_masked = 0;
    update(rtc);
}

static bool rtc_check(const void *state)
{
    const struct rtc_state *s = state;
    uint64_t phase = s->synced_ns - s->second_ns;
    if (s->index > INDEX_MASK || s->extended_index > INDEX_MASK || s->nmi_masked > 1)
        return false;
    if ((s->cmos[RTC_REG_A] & A_UIP) || (s->cmos[RTC_REG_C] & ~INTERRUPTS) || s->cmos[RTC_REG_D])
        return false;
    if ((s->cmos[RTC_REG_B] & B_SET) && (s->cmos[RTC_REG_B] & B_UIE))
        return false;
    return divider_runs(s) ? phase < HV_NS_PER_SECOND : phase == 0;
}

/* A state from a later time than the clock's goes on from the present. */
static void rtc_loaded(struct device *device)
{
    struct rtc *rtc = HV_CONTAINER_OF(device, struct rtc, dev);
    struct rtc_state *s = &rtc->state;
    uint64_t now_ns = clock_now_ns(rtc->wiring.clock);
    if (s->synced_ns > now_ns) {
        s->second_ns -= s->synced_ns - now_ns;
        s->synced_ns = now_ns;
    }
    sync_to(s, now_ns);
    rtc->line = interrupt_pending(s);
    irq_set(&rtc->wiring.irq, rtc->line);
    update(rtc);
}

static const struct device_field rtc_fields[] = {
    DEVICE_FIELD(struct rtc_state, second_ns),
    DEVICE_FIELD(struct rtc_state, synced_ns),
    DEVICE_FIELD_ARRAY(struct rtc_state, cmos),
    DEVICE_FIELD(struct rtc_state, index),
    DEVICE_FIELD(struct rtc_state, extended_index),
    DEVICE_FIELD(struct rtc_state, nmi_masked),
    DEVICE_FIELD_END,
};

const struct device_ops rtc_ops = {
    .name = "rtc",
    .version = 1,
    .state_offset = offsetof(struct rtc, state),
    .state_bytes = sizeof(struct rtc_state),
    .reset = rtc_reset,
    .access = isa_split_access,
    .read8 = rtc_read8,
    .write8 = rtc_write8,
    .fields = rtc_fields,
    .check = rtc_check,
    .loaded = rtc_loaded,
};

static void put_16(uint8_t *cmos, unsigned at, uint64_t value)
{
    value = hv_min_u64(value, 0xFFFF);
    cmos[at] = (uint8_t)value;
    cmos[at + 1] = (uint8_t)(value >> 8);
}

/* Bytes beyond a boundary of the address space, 0 below it. */
static uint64_t beyond(uint64_t bytes, uint64_t boundary)
{
    return bytes > boundary ? bytes - boundary : 0;
}

/* What firmware leaves there for operating systems of its time. */
static void fill_cmos(uint8_t *cmos, const struct rtc_wiring *wiring)
{
    uint64_t below = wiring->memory_below_4g_bytes;
    uint64_t above = hv_min_u64(wiring->memory_above_4g_bytes >> 16, 0xFFFFFF);
    unsigned checksum = 0;
    cmos[CMOS_EQUIPMENT] = EQUIPMENT_FPU;
    put_16(cmos, CMOS_BASE_KB, hv_min_u64(below >> 10, 640));
    put_16(cmos, CMOS_EXTENDED_KB, beyond(below, 1u << 20) >> 10);
    put_16(cmos, CMOS_EXTENDED_KB_2, beyond(below, 1u << 20) >> 10);
    put_16(cmos, CMOS_ABOVE_16M, beyond(below, 16u << 20) >> 16);
    put_16(cmos, CMOS_ABOVE_4G, above & 0xFFFF);
    cmos[CMOS_ABOVE_4G + 2] = (uint8_t)(above >> 16);
    for (unsigned i = CMOS_CHECKED_FIRST; i <= CMOS_CHECKED_LAST; i++)
        checksum += cmos[i];
    cmos[CMOS_CHECKSUM] = (uint8_t)(checksum >> 8);
    cmos[CMOS_CHECKSUM + 1] = (uint8_t)checksum;
}

void rtc_init(struct rtc *rtc, const struct rtc_wiring *wiring)
{
    uint64_t now_ns = clock_now_ns(wiring->clock);
    *rtc = (struct rtc){
        .dev = { &rtc_ops },
        .wiring = *wiring,
        .timer = { .fire = timer_fired },
    };
    struct rtc_state *s = &rtc->state;
    s->cmos[RTC_REG_A] = A_POWER_ON;
    s->cmos[RTC_REG_B] = RTC_B_24_HOUR;
    s->synced_ns = now_ns;
    s->second_ns = now_ns - now_ns % HV_NS_PER_SECOND;
    fill_cmos(s->cmos, wiring);
    rtc_calendar_set(s->cmos, wiring->clock->epoch_seconds + now_ns / HV_NS_PER_SECOND);
}

bool rtc_nmi_masked(const struct rtc *rtc)
{
    return rtc->state.nmi_masked;
}
