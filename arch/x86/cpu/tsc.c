/*
 * The TSC measured against the clocks that a PC has.
 *
 * Each source is read three times over 20 ms, between two TSC readings that are close together; the
 * median of the three counts, so that one system-management interrupt does not. CPUID is only
 * compared: under some emulators it tells the rate of another machine.
 *
 * Lock: none; the boot core measures before the others run.
 * ACPI specification "Power Management Timer"; IA-PC HPET specification "Register Definitions";
 * 8254 data sheet "Mode 0", "Counter Latch Command"; PIIX4 data sheet "NMI Status and Control".
 */
#include "x86/tsc.h"

#include "hv/clock.h"
#include "hv/log.h"
#include "hv/panic.h"
#include "x86/acpi_host.h"
#include "x86/cpuid.h"
#include "x86/host_paging.h"
#include "x86/msr.h"

#define PM_TIMER_HZ UINT64_C(3579545)
#define PIT_HZ UINT64_C(1193182)
#define MEASURE_MS 20
#define ROUNDS 3
#define EDGES 4
#define READS_PER_EDGE 1000
/* A source that has not made its ticks by then does not tick: 20 ms at 20 GHz, five times over. The
 * number of reads bounds the wait even where the TSC itself stands still. */
#define GIVE_UP_TSC (UINT64_C(5) * MEASURE_MS * (TSC_MAX_HZ / 1000))
#define GIVE_UP_READS (UINT64_C(1) << 24)
#define ASSUMED_HZ UINT64_C(5000000000)

/* Boot-once. */
static uint64_t measured_hz;
static uint64_t boot_core_adjust; /* IA32_TSC_ADJUST */

struct reference {
    const char *name;
    uint64_t (*read)(const struct reference *reference); /* counts up, modulo mask + 1 */
    uint64_t mask;
    uint64_t hz;               /* or, for the HPET: */
    uint64_t period_fs;
    struct acpi_register port;
    volatile uint8_t *mmio;
};

struct reading {
    uint64_t tsc, ticks;
};

/* Reads until the reference has just ticked, so that a whole number of its ticks lies between two
 * readings. Of a few such readings the one counts whose two TSC values are closest: nothing came in
 * between. */
static struct reading take_reading(const struct reference *reference)
{
    struct reading best = { 0, 0 };
    uint64_t best_window = UINT64_MAX;

    for (int i = 0; i < EDGES; i++) {
        uint64_t first = reference->read(reference);
        uint64_t before, ticks, after;
        unsigned reads = 0;
        do {
            before = rdtsc_ordered();
            ticks = reference->read(reference);
            after = rdtsc_ordered();
        } while (ticks == first && ++reads < READS_PER_EDGE);
        if (after - before < best_window) {
            best_window = after - before;
            best = (struct reading){ before + (after - before) / 2, ticks };
        }
    }
    return best;
}

static uint64_t measure_once(const struct reference *reference)
{
    struct reading start = take_reading(reference), end;
    uint64_t want = reference->period_fs
                        ? MEASURE_MS * UINT64_C(1000000000000) / reference->period_fs
                        : reference->hz * MEASURE_MS / 1000;
    uint64_t ticks;

    for (uint64_t reads = 0;; reads++) {
        if (((reference->read(reference) - start.ticks) & reference->mask) >= want)
            break;
        if (rdtsc() - start.tsc > GIVE_UP_TSC || reads > GIVE_UP_READS)
            return 0;
    }
    end = take_reading(reference);
    ticks = (end.ticks - start.ticks) & reference->mask;
    if (reference->period_fs)
        return tsc_rate_from_period(end.tsc - start.tsc, ticks, reference->period_fs);
    return tsc_rate_hz(end.tsc - start.tsc, ticks, reference->hz);
}

static struct tsc_measurement measure(const struct reference *reference)
{
    uint64_t hz[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        hz[i] = measure_once(reference);
        if (hz[i] == 0)
            return (struct tsc_measurement){ reference->name, 0 };
    }
    return (struct tsc_measurement){ reference->name, tsc_median3(hz[0], hz[1], hz[2]) };
}

/* --- PM timer --- */

static uint64_t pm_timer_read(const struct reference *reference)
{
    return acpi_register_read(&reference->port);
}

static struct tsc_measurement measure_pm_timer(const struct acpi_host *acpi)
{
    struct reference reference = {
        .name = "PM timer",
        .read = pm_timer_read,
        .mask = acpi->pm_timer_32bit ? UINT32_MAX : 0xffffff,
        .hz = PM_TIMER_HZ,
        .port = acpi->pm_timer,
    };

    if (!acpi_register_map(&reference.port))
        return (struct tsc_measurement){ reference.name, 0 };
    return measure(&reference);
}

/* --- HPET --- */

#define HPET_BYTES 0x400
#define HPET_CAPABILITIES 0x000
#define HPET_CONFIGURATION 0x010
#define HPET_MAIN_COUNTER 0x0f0
#define HPET_ENABLE_CNF (UINT32_C(1) << 0)
#define HPET_MAX_PERIOD_FS 100000000u /* specification: at most 100 ns */
#define HPET_MIN_PERIOD_FS 100000u    /* 10 GHz: nonsense below */

/* The low half alone: one access on every machine, and 20 ms never wrap it twice. */
static uint64_t hpet_read(const struct reference *reference)
{
    return mmio_read32(reference->mmio + HPET_MAIN_COUNTER);
}

static struct tsc_measurement measure_hpet(const struct acpi_host *acpi, bool untouched)
{
    struct reference reference = { .name = "HPET", .read = hpet_read, .mask = UINT32_MAX };
    struct tsc_measurement measurement = { reference.name, 0 };
    uint32_t configuration;

    if (!acpi->hpet_address)
        return measurement;
    reference.mmio = host_map_mmio(acpi->hpet_address, HPET_BYTES);
    if (!reference.mmio)
        return measurement;
    reference.period_fs = mmio_read32(reference.mmio + HPET_CAPABILITIES + 4);
    if (reference.period_fs < HPET_MIN_PERIOD_FS || reference.period_fs > HPET_MAX_PERIOD_FS)
        return measurement;
    configuration = mmio_read32(reference.mmio + HPET_CONFIGURATION);
    if (configuration & HPET_ENABLE_CNF)
        return measure(&reference);
    if (untouched)
        return measurement;
    mmio_write32(reference.mmio + HPET_CONFIGURATION, configuration | HPET_ENABLE_CNF);
    measurement = measure(&reference);
    mmio_write32(reference.mmio + HPET_CONFIGURATION, configuration);
    return measurement;
}

/* --- PIT channel 2 --- */

#define PIT_CHANNEL_2 0x42
#define PIT_CONTROL 0x43
#define PIT_CONTROL_2_MODE_0 0xb0 /* channel 2, low then high byte, mode 0, binary */
#define PIT_CONTROL_2_LATCH 0x80
#define NMI_STATUS 0x61
#define NMI_STATUS_GATE_2 0x01
#define NMI_STATUS_SPEAKER 0x02
#define NMI_STATUS_WRITABLE 0x0f

/* Counts down; turned round so that all sources count up. */
static uint64_t pit_read(const struct reference *reference)
{
    uint32_t count;

    out8(PIT_CONTROL, PIT_CONTROL_2_LATCH);
    count = in8(PIT_CHANNEL_2);
    count |= (uint32_t)in8(PIT_CHANNEL_2) << 8;
    return (0xffff - count) & reference->mask;
}

static struct tsc_measurement measure_pit(void)
{
    struct reference reference = { .name = "PIT", .read = pit_read, .mask = 0xffff, .hz = PIT_HZ };
    uint8_t control = in8(NMI_STATUS) & NMI_STATUS_WRITABLE;
    struct tsc_measurement measurement;

    out8(NMI_STATUS, (uint8_t)((control & ~NMI_STATUS_SPEAKER) | NMI_STATUS_GATE_2));
    out8(PIT_CONTROL, PIT_CONTROL_2_MODE_0);
    out8(PIT_CHANNEL_2, 0xff);
    out8(PIT_CHANNEL_2, 0xff);
    measurement = measure(&reference);
    out8(NMI_STATUS, control);
    return measurement;
}

static uint64_t cpuid_claim(void)
{
    uint32_t max = cpuid(CPUID_LEAF_VENDOR, 0).eax;
    struct cpuid_regs leaf15 = { 0 }, leaf16 = { 0 };

    if (max >= CPUID_LEAF_TSC)
        leaf15 = cpuid(CPUID_LEAF_TSC, 0);
    if (max >= CPUID_LEAF_FREQUENCY)
        leaf16 = cpuid(CPUID_LEAF_FREQUENCY, 0);
    return tsc_cpuid_hz(max, &leaf15, &leaf16);
}

static void report(const struct tsc_measurement *measurements, struct tsc_choice choice,
                   bool untouched, uint64_t claim, uint64_t firmware_hz)
{
    hv_info("TSC: %llu.%03llu MHz by the %s", (unsigned long long)(measured_hz / 1000000),
            (unsigned long long)(measured_hz / 1000 % 1000), measurements[choice.index].source);
    for (int i = 0; i < TSC_SOURCES; i++) {
        if (i == choice.index)
            continue;
        if (measurements[i].hz == 0 && untouched)
            hv_info("TSC: the %s is left to firmware, or does not tick", measurements[i].source);
        else if (measurements[i].hz == 0)
            hv_info("TSC: no answer from the %s", measurements[i].source);
        else
            hv_info("TSC: the %s differs by %d ppm", measurements[i].source,
                    tsc_deviation_ppm(measurements[i].hz, measured_hz));
    }
    if (claim)
        hv_info("TSC: CPUID says %llu.%03llu MHz, %d ppm from what was measured",
                (unsigned long long)(claim / 1000000), (unsigned long long)(claim / 1000 % 1000),
                tsc_deviation_ppm(claim, measured_hz));
    if (firmware_hz)
        hv_info("TSC: firmware's own wait differs by %d ppm",
                tsc_deviation_ppm(firmware_hz, measured_hz));
    if (choice.disputed)
        hv_warn("TSC: the clocks of this machine disagree; time in guests may be wrong");
}

/* Some laptops have none of the three: no PM timer in the chipset, HPET off, PIT clock-gated. */
static void believe(uint64_t claim, uint64_t firmware_hz)
{
    struct tsc_choice choice = tsc_choose_without_clocks(claim, firmware_hz);

    if (choice.index < 0)
        hv_panic("no clock to measure the TSC by: PM timer, HPET and PIT do not tick, and neither "
                 "CPUID nor firmware tells its rate");
    measured_hz = choice.index == 0 ? claim : firmware_hz;
    hv_warn("TSC: PM timer, HPET and PIT do not tick; %llu.%03llu MHz is %s",
            (unsigned long long)(measured_hz / 1000000),
            (unsigned long long)(measured_hz / 1000 % 1000),
            choice.index == 0 ? "what CPUID says" : "by firmware's own wait: clocks may drift");
    if (choice.disputed)
        hv_warn("TSC: CPUID says %llu MHz, which firmware's wait contradicts",
                (unsigned long long)(claim / 1000000));
}

static bool has_adjust(void)
{
    return cpuid(CPUID_LEAF_VENDOR, 0).eax >= CPUID_LEAF_EXTENDED_FEATURES &&
           (cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0).ebx & CPUID_7_EBX_TSC_ADJUST);
}

void tsc_follow_boot_core(void)
{
    if (has_adjust() && rdmsr(MSR_IA32_TSC_ADJUST) != boot_core_adjust)
        wrmsr(MSR_IA32_TSC_ADJUST, boot_core_adjust);
}

void tsc_calibrate(const struct acpi_host *acpi, bool untouched, uint64_t firmware_hz)
{
    struct tsc_measurement measurements[TSC_SOURCES];
    struct tsc_choice choice;

    if (has_adjust())
        boot_core_adjust = rdmsr(MSR_IA32_TSC_ADJUST);
    measurements[0] = measure_pm_timer(acpi);
    measurements[1] = measure_hpet(acpi, untouched);
    measurements[2] = (struct tsc_measurement){ "PIT", 0 };
    if (!untouched || (!measurements[0].hz && !measurements[1].hz))
        measurements[2] = measure_pit();
    choice = tsc_choose(measurements, TSC_SOURCES);
    if (choice.index < 0) {
        believe(cpuid_claim(), firmware_hz);
        return;
    }
    measured_hz = measurements[choice.index].hz;
    report(measurements, choice, untouched, cpuid_claim(), firmware_hz);
}

uint64_t tsc_hz(void)
{
    return measured_hz;
}

uint64_t tsc_from_us(uint64_t us)
{
    return hv_mul_div_u64(us, measured_hz ? measured_hz : ASSUMED_HZ, 1000000);
}

void tsc_delay_us(uint64_t us)
{
    uint64_t start = rdtsc();
    uint64_t ticks = tsc_from_us(us);

    while (rdtsc() - start < ticks)
        cpu_pause();
}
