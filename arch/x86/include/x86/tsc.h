/*
 * The time stamp counter: its measured rate, and waiting by it.
 * SDM volume 3 "Time-Stamp Counter"; volume 2 "CPUID" leaves 15H and 16H.
 */
#ifndef X86_TSC_H
#define X86_TSC_H

#include "hv/types.h"
#include "x86/insn.h"

/* --- The machine's: tsc.c ------------------------------------------------------------------- */

struct acpi_host;

/* Measures the TSC against the ACPI PM timer, the HPET and PIT channel 2, as far as the machine has
 * them, and logs which one was used and how far the others and CPUID are from it. Boot core, once;
 * takes about 60 ms a source. `untouched`: the clocks belong to firmware, so an HPET is only read if
 * it runs, and the PIT's channel 2 (the speaker's) only used where nothing else ticks. Where none
 * ticks (clock-gated, or switched off in the set-up), what CPUID and `firmware_hz`, firmware's own
 * wait, say is believed. Panics when they say nothing either: nothing here works without time. */
void tsc_calibrate(const struct acpi_host *acpi, bool untouched, uint64_t firmware_hz);

/* Gives this core the boot core's IA32_TSC_ADJUST, where the processor has one: some firmware leaves
 * the cores' TSCs apart by it. Not where firmware wants the core back. After tsc_calibrate. */
void tsc_follow_boot_core(void);

/* Ticks a second, as measured. 0 before. */
uint64_t tsc_hz(void);

/* Ticks in so many microseconds. Before the measurement it assumes a fast processor, so that a
 * bound is rather too long than too short. */
uint64_t tsc_from_us(uint64_t us);

/* Busy wait. */
void tsc_delay_us(uint64_t us);

/* --- Pure arithmetic: tsc_math.c ------------------------------------------------------------ */

/* Rates outside of this are a broken clock (an emulator may count few million a second). */
#define TSC_MIN_HZ UINT64_C(1000000)
#define TSC_MAX_HZ UINT64_C(20000000000)

#define TSC_SOURCES 3

/* What one reference clock said. */
struct tsc_measurement {
    const char *source; /* for messages */
    uint64_t hz;        /* 0: it is not there or did not tick */
};

struct tsc_choice {
    int index;      /* of the measurement that counts; -1: none is plausible */
    bool disputed;  /* another one differs from it by more than 1% and none agrees with it */
};

/* tsc_ticks passed while a clock of ref_hz made ref_ticks. 0 when ref_ticks is 0. */
uint64_t tsc_rate_hz(uint64_t tsc_ticks, uint64_t ref_ticks, uint64_t ref_hz);

/* The same for a clock whose period is known in femtoseconds (HPET). */
uint64_t tsc_rate_from_period(uint64_t tsc_ticks, uint64_t ref_ticks, uint64_t period_fs);

uint64_t tsc_median3(uint64_t a, uint64_t b, uint64_t c);

/* (measured - reference) in parts per million of reference, cut to +-INT32_MAX; 0 if reference is. */
int32_t tsc_deviation_ppm(uint64_t measured, uint64_t reference);

/* The first plausible measurement that another one agrees with (within 1%), else the first that is
 * plausible. */
struct tsc_choice tsc_choose(const struct tsc_measurement *measurements, unsigned count);

/* The rate where no clock ticks: CPUID's where firmware's wait does not contradict it by more than
 * 20% (it is coarse, and system management may lengthen it), else firmware's; index 0: CPUID,
 * 1: firmware, -1: neither says anything plausible. */
struct tsc_choice tsc_choose_without_clocks(uint64_t cpuid_hz, uint64_t firmware_hz);

/* What CPUID claims: leaf 15H with its crystal, or with the crystal that follows from 16H, or 16H's
 * base frequency. 0: nothing. `max_leaf` is the highest basic leaf. */
uint64_t tsc_cpuid_hz(uint32_t max_leaf, const struct cpuid_regs *leaf15,
                      const struct cpuid_regs *leaf16);

#endif
