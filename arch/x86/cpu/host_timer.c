/*
 * One one-shot timer a core: TSC-deadline mode where the processor has it, else the APIC's counter.
 *
 * Not here: what is waited for (vmm/core/timer_queue.c).
 * Lock: none; each core has its own timer. Mode and rate are boot-once.
 * SDM volume 3 "APIC Timer", "TSC-Deadline Mode".
 */
#include "hv/clock.h"
#include "hv/log.h"
#include "hv/panic.h"
#include "x86/cpuid.h"
#include "x86/host_apic.h"
#include "x86/host_apic_regs.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/trap.h"
#include "x86/tsc.h"

#define MEASURE_US 10000

/* Boot-once. */
static bool deadline_mode;
static uint64_t counter_hz; /* of the divided counter; with deadline mode only if asked for */

bool host_timer_is_deadline_mode(void)
{
    return deadline_mode;
}

static uint64_t measure_counter(void)
{
    uint64_t start, ticks, count;

    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    apic_write(APIC_DIVIDE, APIC_DIVIDE_BY_16);
    apic_write(APIC_INITIAL_COUNT, UINT32_MAX);
    start = rdtsc_ordered();
    tsc_delay_us(MEASURE_US);
    count = UINT32_MAX - apic_read(APIC_CURRENT_COUNT);
    ticks = rdtsc_ordered() - start;
    apic_write(APIC_INITIAL_COUNT, 0);
    return ticks ? hv_mul_div_u64(count, tsc_hz(), ticks) : 0;
}

uint64_t host_timer_counter_hz(void)
{
    if (counter_hz == 0)
        counter_hz = measure_counter();
    return counter_hz * 16;
}

void host_timer_init(void)
{
    deadline_mode = cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_TSC_DEADLINE;
    if (deadline_mode) {
        hv_info("timer: TSC deadline");
        return;
    }
    counter_hz = measure_counter();
    if (counter_hz == 0)
        hv_panic("the local APIC's timer does not count");
    hv_info("timer: local APIC, one-shot, %llu kHz", (unsigned long long)(counter_hz / 1000));
}

static void arm_deadline(uint64_t deadline_tsc)
{
    apic_write(APIC_LVT_TIMER, APIC_LVT_TIMER_DEADLINE | HOST_VECTOR_TIMER);
    mfence(); /* in xAPIC mode the LVT write is a store, which WRMSR does not wait for */
    wrmsr(MSR_IA32_TSC_DEADLINE, deadline_tsc ? deadline_tsc : 1); /* 0 would disarm */
}

static void arm_counter(uint64_t deadline_tsc)
{
    uint64_t now = rdtsc();
    uint64_t left = deadline_tsc > now ? deadline_tsc - now : 0;
    uint64_t longest = hv_mul_div_u64(UINT32_MAX, tsc_hz(), counter_hz);
    uint64_t count = left >= longest ? UINT32_MAX : hv_mul_div_u64(left, counter_hz, tsc_hz()) + 1;

    apic_write(APIC_LVT_TIMER, HOST_VECTOR_TIMER);
    apic_write(APIC_DIVIDE, APIC_DIVIDE_BY_16);
    apic_write(APIC_INITIAL_COUNT, (uint32_t)hv_min_u64(count, UINT32_MAX));
}

void host_timer_arm_tsc(uint64_t deadline_tsc)
{
    if (deadline_mode)
        arm_deadline(deadline_tsc);
    else
        arm_counter(deadline_tsc);
}

void host_timer_stop(void)
{
    if (deadline_mode)
        wrmsr(MSR_IA32_TSC_DEADLINE, 0);
    else
        apic_write(APIC_INITIAL_COUNT, 0);
}
