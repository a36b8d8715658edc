/*
 * From clock readings to the rate of the TSC. Pure; no lock.
 * SDM volume 2 "CPUID" leaves 15H and 16H; volume 3 "Determining the Processor Base Frequency".
 */
#include "hv/clock.h"
#include "x86/tsc.h"

#define FEMTOSECONDS_PER_SECOND UINT64_C(1000000000000000)
#define AGREE_PPM 10000
#define COARSE_PPM 200000

uint64_t tsc_rate_hz(uint64_t tsc_ticks, uint64_t ref_ticks, uint64_t ref_hz)
{
    return ref_ticks ? hv_mul_div_u64(tsc_ticks, ref_hz, ref_ticks) : 0;
}

uint64_t tsc_rate_from_period(uint64_t tsc_ticks, uint64_t ref_ticks, uint64_t period_fs)
{
    uint64_t elapsed_fs = ref_ticks * period_fs;

    if (ref_ticks == 0 || elapsed_fs / ref_ticks != period_fs || elapsed_fs == 0)
        return 0;
    return hv_mul_div_u64(tsc_ticks, FEMTOSECONDS_PER_SECOND, elapsed_fs);
}

uint64_t tsc_median3(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t low = hv_min_u64(a, b), high = hv_max_u64(a, b);

    return hv_max_u64(low, hv_min_u64(high, c));
}

int32_t tsc_deviation_ppm(uint64_t measured, uint64_t reference)
{
    bool below = measured < reference;
    uint64_t difference = below ? reference - measured : measured - reference;
    uint64_t ppm;

    if (reference == 0)
        return 0;
    ppm = difference / reference > 1000 ? INT32_MAX
                                        : hv_mul_div_u64(difference, 1000000, reference);
    ppm = hv_min_u64(ppm, INT32_MAX);
    return below ? -(int32_t)ppm : (int32_t)ppm;
}

static bool plausible(uint64_t hz)
{
    return hz >= TSC_MIN_HZ && hz <= TSC_MAX_HZ;
}

static bool agree(uint64_t a, uint64_t b)
{
    int32_t ppm = tsc_deviation_ppm(a, b);

    return ppm >= -AGREE_PPM && ppm <= AGREE_PPM;
}

struct tsc_choice tsc_choose(const struct tsc_measurement *m, unsigned count)
{
    struct tsc_choice choice = { -1, false };
    unsigned usable = 0;

    for (unsigned i = 0; i < count; i++) {
        if (!plausible(m[i].hz))
            continue;
        usable++;
        if (choice.index < 0)
            choice.index = (int)i;
        for (unsigned j = 0; j < count; j++)
            if (j != i && plausible(m[j].hz) && agree(m[j].hz, m[i].hz))
                return (struct tsc_choice){ (int)i, false };
    }
    choice.disputed = usable > 1;
    return choice;
}

struct tsc_choice tsc_choose_without_clocks(uint64_t cpuid_hz, uint64_t firmware_hz)
{
    int32_t ppm = tsc_deviation_ppm(firmware_hz, cpuid_hz);

    if (!plausible(cpuid_hz) && !plausible(firmware_hz))
        return (struct tsc_choice){ -1, false };
    if (!plausible(firmware_hz))
        return (struct tsc_choice){ 0, false };
    if (!plausible(cpuid_hz))
        return (struct tsc_choice){ 1, false };
    if (ppm >= -COARSE_PPM && ppm <= COARSE_PPM)
        return (struct tsc_choice){ 0, false };
    return (struct tsc_choice){ 1, true };
}

uint64_t tsc_cpuid_hz(uint32_t max_leaf, const struct cpuid_regs *leaf15,
                      const struct cpuid_regs *leaf16)
{
    uint64_t base_hz = max_leaf >= 0x16 ? (uint64_t)(leaf16->eax & 0xffff) * 1000000 : 0;

    if (max_leaf < 0x15 || leaf15->eax == 0 || leaf15->ebx == 0)
        return base_hz;
    if (leaf15->ecx)
        return hv_mul_div_u64(leaf15->ecx, leaf15->ebx, leaf15->eax);
    /* The crystal is not told; where 16H is there, TSC and base frequency are the same. */
    return base_hz;
}
