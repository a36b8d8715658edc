/*
 * The other processors: started together by a broadcast, then each spins for work.
 * SDM volume 3 "MP Initialization Protocol Algorithm for MP Systems".
 */
#include "guest_internal.h"

#define ARRIVAL_US 100000u
#define TAKE_US 2000000u

struct work {
    void (*fn)(void *);
    void *arg;
    volatile uint32_t wanted, done; /* sequence numbers */
};

static struct work works[GUEST_MAX_CPUS];
volatile unsigned guest_cpu_count = 1;
uint32_t guest_cpu_apic_id[GUEST_MAX_CPUS];

void guest_ap_start(unsigned cpu)
{
    struct work *work = &works[cpu];

    guest_trap_init_cpu(cpu);
    guest_apic_enable();
    guest_cpu_apic_id[cpu] = guest_apic_id();
    work->done = work->wanted;
    __atomic_add_fetch(&guest_cpu_count, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        if (work->wanted == work->done) {
            pause();
            continue;
        }
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        work->fn(work->arg);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        work->done++;
    }
}

unsigned guest_smp_start(void)
{
    unsigned seen = 0;

    memcpy((void *)(uint64_t)GUEST_LOW_PAGE, guest_ap_page,
           (size_t)(guest_ap_page_end - guest_ap_page));
    guest_cpu_count = 1;
    guest_ap_next = 1;
    guest_apic_enable();
    guest_cpu_apic_id[0] = guest_apic_id();
    guest_ipi(0, ICR_INIT | ICR_ASSERT | ICR_OTHERS);
    guest_delay_us(10000);
    for (unsigned i = 0; i < 2; i++) {
        guest_ipi(0, ICR_STARTUP | ICR_ASSERT | ICR_OTHERS | GUEST_LOW_PAGE >> 12);
        guest_delay_us(300);
    }
    /* As long as they keep coming. */
    do {
        seen = guest_cpu_count;
        guest_delay_us(ARRIVAL_US);
    } while (guest_cpu_count != seen);
    return guest_cpu_count;
}

void guest_cpu_stop(unsigned cpu)
{
    guest_ipi(guest_cpu_apic_id[cpu], ICR_INIT | ICR_ASSERT);
    guest_delay_us(10000);
}

bool guest_cpu_restart(unsigned cpu)
{
    unsigned before = guest_cpu_count;
    uint64_t start = rdtsc();

    guest_cpu_stop(cpu);
    guest_ap_next = cpu;
    guest_cpu_count = before - 1;
    guest_ipi(guest_cpu_apic_id[cpu], ICR_STARTUP | ICR_ASSERT | GUEST_LOW_PAGE >> 12);
    while (guest_cpu_count != before && rdtsc() - start < guest_us(TAKE_US))
        pause();
    if (guest_cpu_count == before)
        return true;
    guest_cpu_count = before;
    return false;
}

bool guest_cpu_run(unsigned cpu, void (*fn)(void *), void *arg)
{
    struct work *work = &works[cpu];

    if (cpu == 0 || cpu >= guest_cpu_count || !guest_cpu_wait(cpu, TAKE_US))
        return false;
    work->fn = fn;
    work->arg = arg;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    work->wanted++;
    return true;
}

bool guest_cpu_wait(unsigned cpu, uint64_t microseconds)
{
    uint64_t start = rdtsc(), ticks = guest_us(microseconds);

    while (works[cpu].wanted != works[cpu].done) {
        if (rdtsc() - start > ticks)
            return false;
        pause();
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return true;
}
