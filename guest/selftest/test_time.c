/*
 * Clocks against each other: TSC, PIT, ACPI PM timer, RTC. 8254 data sheet; ACPI specification
 * "Power Management Timer"; MC146818 data sheet.
 */
#include "selftest.h"

#define PM_TIMER 0x608u /* where our tables and QEMU's PC have it */
#define PM_TIMER_BITS 24u

static uint32_t pm_timer(void)
{
    return inl(PM_TIMER) & (BIT(PM_TIMER_BITS) - 1);
}

static bool has_pm_timer(void)
{
    uint32_t first = pm_timer();

    guest_delay_us(100);
    return pm_timer() != first;
}

static void check_monotonic(void)
{
    uint64_t last = rdtsc();
    unsigned back = 0;

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now;
        if (i % 3 == 0)
            cpuid(0, 0);
        else if (i % 3 == 1)
            inb(0x61);
        now = rdtsc();
        back += now < last;
        last = now;
    }
    check_equal("the TSC never goes back over exits", back, 0);
}

static void check_pm_timer(void)
{
    uint64_t start;
    uint32_t first, ticks;

    if (!has_pm_timer()) {
        skip("PM timer", "not at 0x608");
        return;
    }
    first = pm_timer();
    start = rdtsc();
    guest_delay_us(20000);
    ticks = (pm_timer() - first) & (BIT(PM_TIMER_BITS) - 1);
    check_near("PM timer against the TSC", (uint64_t)ticks * guest_tsc_hz / PM_TIMER_HZ,
               rdtsc() - start, 20);
}

static uint16_t pit_latched(unsigned counter)
{
    uint16_t low;

    outb(0x43, (uint8_t)(counter << 6));
    low = inb((uint16_t)(0x40 + counter));
    return (uint16_t)(low | inb((uint16_t)(0x40 + counter)) << 8);
}

static void check_pit(void)
{
    uint64_t start;
    uint16_t first, second;

    if (!lenient_skip("TSC by the PIT, twice"))
        check_near("TSC by the PIT, twice", guest_measure_tsc_hz(5), guest_tsc_hz, 10);
    outb(0x43, 0x34); /* counter 0, mode 2 */
    outb(0x40, 0);
    outb(0x40, 0);
    guest_delay_us(200);
    first = pit_latched(0);
    start = rdtsc();
    guest_delay_us(10000);
    second = pit_latched(0);
    check_near("counter 0 in mode 2 against the TSC",
               (uint64_t)(uint16_t)(first - second) * guest_tsc_hz / PIT_HZ, rdtsc() - start, 20);
    outb(0x43, 0xe2); /* read back: status of counter 0 */
    check_equal("status by the read-back command", inb(0x40) & 0x3f, 0x34);
}

static void check_port61(void)
{
    unsigned toggles = 0;
    uint8_t last = inb(0x61);

    for (unsigned i = 0; i < 2000; i++) {
        uint8_t now = inb(0x61);
        toggles += (now ^ last) >> 4 & 1;
        last = now;
    }
    check(toggles > 0, "refresh bit of port 0x61 toggles", "%u times", toggles);
}

static unsigned from_bcd(uint8_t value)
{
    return (value >> 4) * 10u + (value & 15u);
}

static void check_rtc(void)
{
    uint8_t b = guest_cmos_read(0xb), second;
    uint64_t start, ticks = guest_us(2500000), first, now;
    unsigned month, day, hour;

    check(guest_cmos_read(0xd) & 0x80, "RTC's battery is good", "0x%x", guest_cmos_read(0xd));
    if (b & 4) {
        skip("RTC's date", "binary mode");
    } else {
        month = from_bcd(guest_cmos_read(8));
        day = from_bcd(guest_cmos_read(7));
        hour = from_bcd(guest_cmos_read(4));
        check(month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour <= 23, "RTC's date",
              "month %u day %u hour %u", month, day, hour);
    }
    /* From one second's beginning to the next one's. */
    second = guest_cmos_read(0);
    for (start = rdtsc(); guest_cmos_read(0) == second && rdtsc() - start < ticks;)
        ;
    first = rdtsc();
    second = guest_cmos_read(0);
    while (guest_cmos_read(0) == second && (now = rdtsc()) - first < ticks)
        ;
    now = rdtsc();
    if (!lenient_skip("a second of the RTC against the TSC"))
        check_near("a second of the RTC against the TSC", now - first, guest_tsc_hz, 20);
}

/* The clock page of Linux's documentation "KVM-specific MSRs". */
static struct {
    uint32_t version, pad;
    uint64_t tsc, ns;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, pad2[2];
} clock_page __attribute__((aligned(32)));
static uint32_t wall_page[3];

static uint64_t clock_page_ns(uint64_t tsc)
{
    uint64_t ticks = tsc - clock_page.tsc;

    ticks = clock_page.shift < 0 ? ticks >> -clock_page.shift : ticks << clock_page.shift;
    return (uint64_t)((unsigned __int128)ticks * clock_page.mul >> 32) + clock_page.ns;
}

static bool has_kvm_clock(void)
{
    struct cpuid_answer r = cpuid(0x40000100, 0);

    return r.ebx == 0x4b4d564b && r.ecx == 0x564b4d56 && r.edx == 0x4d &&
           (cpuid(0x40000101, 0).eax & BIT(3));
}

static void check_kvm_clock(void)
{
    uint64_t start, ns;
    uint32_t version;

    if (!has_kvm_clock()) {
        skip("KVM's clock", "it is not offered at 0x40000100");
        return;
    }
    wrmsr(MSR_KVM_SYSTEM_TIME, (uint64_t)(uintptr_t)&clock_page | 1);
    version = clock_page.version;
    check(version && !(version & 1), "the clock page's version is even", "%u", version);
    start = rdtsc();
    guest_delay_us(10000);
    ns = clock_page_ns(rdtsc()) - clock_page_ns(start);
    check_near("KVM's clock against the TSC", ns * (guest_tsc_hz / 1000) / 1000000, rdtsc() - start,
               20);
    start = clock_page_ns(rdtsc());
    if (has_ebx7(1)) {
        uint64_t adjust = rdmsr(MSR_TSC_ADJUST);
        wrmsr(MSR_TSC_ADJUST, adjust + 3 * guest_tsc_hz);
        ns = clock_page_ns(rdtsc()) - start;
        wrmsr(MSR_TSC_ADJUST, adjust);
        check(ns < 100000000, "KVM's clock goes on where the TSC is set", "%lu ns",
              (unsigned long)ns);
    }
    wrmsr(MSR_KVM_WALL_CLOCK, (uint64_t)(uintptr_t)wall_page);
    check(wall_page[0] && !(wall_page[0] & 1) && wall_page[2] < 1000000000, "KVM's wall clock",
          "version %u", wall_page[0]);
    if (is_trapline()) {
        probe_wrmsr(MSR_KVM_SYSTEM_TIME, 0xfee00001);
        check_fault("a clock page that is no RAM", VEC_GP, 0);
        probe_wrmsr(MSR_KVM_SYSTEM_TIME, (uint64_t)(uintptr_t)&clock_page | 3);
        check_fault("a clock page at an odd place", VEC_GP, 0);
    }
    wrmsr(MSR_KVM_SYSTEM_TIME, 0);
}

void test_time(void)
{
    check_monotonic();
    check_pit();
    check_pm_timer();
    check_port61();
    check_kvm_clock();
    check_rtc();
}
