/*
 * Several processors: start, IPIs of every kind, restart, shoot-down of translations. SDM volume 3
 * "MP Initialization", "Issuing Interprocessor Interrupts"; in both modes of the local APIC.
 */
#include "selftest.h"

#define IPI_VECTOR 0x71u
#define FLUSH_VECTOR 0x72u
#define WAIT_US 200000u
#define COUNTS 5000u

static volatile uint32_t taken[GUEST_MAX_CPUS], nmis[GUEST_MAX_CPUS], stop, ready;
static volatile uint32_t shared_count;

/* --- what the other processors do --- */

static void ipi_handler(struct trap_frame *frame)
{
    (void)frame;
    __atomic_add_fetch(&taken[guest_cpu()], 1, __ATOMIC_SEQ_CST);
    guest_eoi();
}

static void nmi_handler(struct trap_frame *frame)
{
    (void)frame;
    __atomic_add_fetch(&nmis[guest_cpu()], 1, __ATOMIC_SEQ_CST);
}

static void listen(void *unused)
{
    (void)unused;
    if (!guest_x2apic()) {
        guest_apic_write(APIC_DFR, 0xffffffff);
        guest_apic_write(APIC_LDR, 0x01000000u << guest_cpu());
    }
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    sti();
    while (!stop)
        pause();
    cli();
}

static void listen_halted(void *unused)
{
    (void)unused;
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    while (!stop)
        sti_hlt();
    cli();
}

static void start_all(void (*fn)(void *), void *arg)
{
    uint64_t start = rdtsc();

    stop = ready = 0;
    memset((void *)(uint64_t)taken, 0, sizeof(taken));
    memset((void *)(uint64_t)nmis, 0, sizeof(nmis));
    for (unsigned i = 1; i < guest_cpu_count; i++)
        guest_cpu_run(i, fn, arg);
    while (ready < guest_cpu_count - 1 && rdtsc() - start < guest_us(2000000))
        pause();
}

/* Whether all of them came back. */
static bool stop_all(void)
{
    bool all = true;

    stop = 1;
    for (unsigned i = 1; i < guest_cpu_count; i++)
        all = guest_cpu_wait(i, 2000000) && all;
    return all;
}

static uint32_t sum(volatile uint32_t *counts)
{
    uint32_t total = 0;

    for (unsigned i = 0; i < GUEST_MAX_CPUS; i++)
        total += counts[i];
    return total;
}

/* --- IPIs --- */

static void check_arrives(const char *name, uint32_t to, uint32_t command, uint32_t expected)
{
    uint64_t start = rdtsc();
    uint32_t before = sum(taken);

    guest_ipi(to, command | ICR_ASSERT | IPI_VECTOR);
    sti();
    while (sum(taken) - before < expected && rdtsc() - start < guest_us(WAIT_US))
        pause();
    guest_delay_us(200);
    cli();
    check_equal(name, sum(taken) - before, expected);
}

static void check_ipis(void)
{
    unsigned n = guest_cpu_count;
    uint32_t last = guest_cpu_apic_id[n - 1];

    start_all(listen, NULL);
    check_equal("all of them listen", ready, n - 1);
    if (!guest_x2apic()) {
        guest_apic_write(APIC_DFR, 0xffffffff);
        guest_apic_write(APIC_LDR, 0x01000000u);
    }
    check_arrives("fixed, to one", last, 0, 1);
    check_equal("... to the right one", taken[n - 1], 1);
    check_arrives("fixed, to all others", 0, ICR_OTHERS, n - 1);
    check_arrives("fixed, to all", 0, ICR_ALL, n);
    if (guest_x2apic()) {
        check_arrives("fixed, by the broadcast id", 0xffffffff, 0, n);
        check_arrives("fixed, logical, to one", (last >> 4) << 16 | (1u << (last & 15)),
                      ICR_LOGICAL, 1);
    } else {
        check_arrives("fixed, by the broadcast id", 0xff, 0, n);
        check_arrives("fixed, logical, to one", 1u << (n - 1), ICR_LOGICAL, 1);
        check_arrives("fixed, logical, to two", 3, ICR_LOGICAL, 2);
        check_arrives("lowest priority, to one of two", 3, ICR_LOGICAL | ICR_LOWEST_PRIORITY, 1);
    }
    check_arrives("to nobody", 0x7e, 0, 0);
    guest_ipi(last, ICR_NMI | ICR_ASSERT);
    guest_delay_us(5000);
    check(nmis[n - 1] == 1 && sum(nmis) == 1, "NMI to one", "%u of %u", nmis[n - 1], sum(nmis));
    guest_ipi(last, ICR_STARTUP | ICR_ASSERT | GUEST_LOW_PAGE >> 12);
    check_arrives("... which a start-up IPI does not disturb", last, 0, 1);
    check(stop_all(), "all of them come back", "no");
}

static void check_halted(void)
{
    unsigned n = guest_cpu_count;

    start_all(listen_halted, NULL);
    guest_delay_us(5000);
    check_arrives("IPI wakes one from HLT", guest_cpu_apic_id[n - 1], 0, 1);
    check_arrives("... and all others", 0, ICR_OTHERS, n - 1);
    stop = 1;
    guest_ipi(0, ICR_OTHERS | ICR_ASSERT | IPI_VECTOR);
    check(stop_all(), "all of them come back from HLT", "no");
}

/* --- memory --- */

static void count_up(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < COUNTS; i++)
        __atomic_add_fetch(&shared_count, 1, __ATOMIC_SEQ_CST);
}

static void check_atomic(void)
{
    shared_count = 0;
    for (unsigned i = 1; i < guest_cpu_count; i++)
        guest_cpu_run(i, count_up, NULL);
    count_up(NULL);
    for (unsigned i = 1; i < guest_cpu_count; i++)
        guest_cpu_wait(i, 2000000);
    check_equal("locked additions by all", shared_count, COUNTS * guest_cpu_count);
}

static volatile uint32_t flushed, stale;

static void flush_handler(struct trap_frame *frame)
{
    (void)frame;
    invlpg(GUEST_WINDOW);
    /* The sender changes nothing more until all have answered. */
    if (*(volatile uint32_t *)GUEST_WINDOW != shared_count)
        __atomic_add_fetch(&stale, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&flushed, 1, __ATOMIC_SEQ_CST);
    guest_eoi();
}

static void watch_mapping(void *unused)
{
    (void)unused;
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    sti();
    while (!stop)
        (void)*(volatile uint32_t *)GUEST_WINDOW; /* so that the translation is there */
    cli();
}

/* One processor changes a mapping and tells the others to forget it. */
static void check_shootdown(void)
{
    unsigned others = guest_cpu_count - 1, late = 0;

    memset(scratch, 0, sizeof(scratch));
    *(uint32_t *)scratch = 0x11111111;
    *(uint32_t *)(scratch + PAGE_BYTES) = 0x22222222;
    guest_map(GUEST_WINDOW, (uint64_t)scratch, PTE_P | PTE_W);
    shared_count = 0x11111111;
    flushed = stale = 0;
    guest_trap_set(FLUSH_VECTOR, flush_handler);
    start_all(watch_mapping, NULL);
    for (unsigned i = 1; i <= 20; i++) {
        uint64_t start = rdtsc();
        guest_map(GUEST_WINDOW, (uint64_t)scratch + (i & 1 ? PAGE_BYTES : 0), PTE_P | PTE_W);
        shared_count = i & 1 ? 0x22222222 : 0x11111111;
        guest_ipi(0, ICR_OTHERS | ICR_ASSERT | FLUSH_VECTOR);
        while (flushed < i * others && rdtsc() - start < guest_us(WAIT_US))
            pause();
        late += flushed < i * others;
    }
    check_equal("20 shoot-downs are answered", late, 0);
    check_equal("... and nobody sees the page from before", stale, 0);
    stop_all();
    guest_trap_set(FLUSH_VECTOR, NULL);
    guest_map(GUEST_WINDOW, 0, 0);
}

/* --- each processor's own --- */

static volatile uint64_t seen_tsc[GUEST_MAX_CPUS], seen_base[GUEST_MAX_CPUS];
static volatile uint32_t seen_id[GUEST_MAX_CPUS], seen_leaf[GUEST_MAX_CPUS];

static void look_around(void *unused)
{
    unsigned cpu = guest_cpu();

    (void)unused;
    seen_tsc[cpu] = rdtsc();
    seen_base[cpu] = rdmsr(MSR_APIC_BASE);
    seen_id[cpu] = guest_apic_id();
    seen_leaf[cpu] = cpuid(1, 0).ebx >> 24;
}

static void check_identity(void)
{
    unsigned same = 0, bsp = 0, wrong = 0, backwards = 0;

    for (unsigned i = 1; i < guest_cpu_count; i++) {
        uint64_t before = rdtsc();
        guest_cpu_run(i, look_around, NULL);
        guest_cpu_wait(i, 2000000);
        backwards += seen_tsc[i] < before || seen_tsc[i] > rdtsc();
        bsp += !!(seen_base[i] & APIC_BASE_BSP);
        wrong += seen_leaf[i] != (seen_id[i] & 0xff);
        for (unsigned j = 0; j < i; j++)
            same += guest_cpu_apic_id[j] == seen_id[i];
    }
    check(!same && !wrong, "APIC ids differ, and CPUID has them", "%u equal, %u wrong", same,
          wrong);
    check_equal("no other is the BSP", bsp, 0);
    if (!lenient_skip("TSCs agree"))
        check_equal("TSCs agree", backwards, 0);
}

/* --- restart --- */

static volatile uint32_t beats;

static void beat(void *unused)
{
    (void)unused;
    for (;;) {
        beats++;
        pause();
    }
}

/* Nothing says how soon an INIT takes effect: this much later it must have. */
static bool beats_end(uint64_t microseconds)
{
    uint64_t start = rdtsc();
    uint32_t before;

    do {
        before = beats;
        guest_delay_us(10000);
    } while (beats != before && rdtsc() - start < guest_us(microseconds));
    return beats == before;
}

static void check_restart(void)
{
    unsigned cpu = guest_cpu_count - 1;

    guest_cpu_run(cpu, beat, NULL);
    guest_delay_us(20000);
    check(beats > 0, "a processor runs", "no");
    guest_cpu_stop(cpu);
    check(beats_end(200000), "INIT stops it", "it goes on");
    check(guest_cpu_restart(cpu), "a start-up IPI starts it again", "no");
    seen_id[cpu] = 0xffff;
    guest_cpu_run(cpu, look_around, NULL);
    guest_cpu_wait(cpu, 2000000);
    check_equal("... with its id", seen_id[cpu], guest_cpu_apic_id[cpu]);
}

/* --- a device's interrupt elsewhere --- */

static void check_routing(void)
{
    unsigned n = guest_cpu_count;

    start_all(listen, NULL);
    outb(0x43, 0x30);
    guest_ioapic_route(2, IPI_VECTOR, guest_cpu_apic_id[n - 1]);
    guest_delay_us(1000);
    taken[n - 1] = 0;
    outb(0x40, 0x00);
    outb(0x40, 0x04);
    guest_delay_us(20000);
    check_equal("PIT's interrupt at another processor", taken[n - 1], 1);
    guest_ioapic_route(2, RTE_MASKED, 0);
    stop_all();
}

static void go_x2apic(void *unused)
{
    (void)unused;
    guest_x2apic_set(true);
    guest_apic_enable();
}

static void leave_x2apic(void *unused)
{
    (void)unused;
    guest_x2apic_set(false);
    guest_apic_enable();
}

static void all_run(void (*fn)(void *))
{
    for (unsigned i = 1; i < guest_cpu_count; i++) {
        guest_cpu_run(i, fn, NULL);
        guest_cpu_wait(i, 2000000);
    }
    fn(NULL);
}

void test_smp(void)
{
    unsigned expected = cpuid_max(0) >= 0xb ? cpuid(0xb, 1).ebx & 0xff : 0;

    guest_trap_set(IPI_VECTOR, ipi_handler);
    guest_trap_set(VEC_NMI, nmi_handler);
    guest_smp_start();
    if (is_trapline())
        check_equal("as many processors as leaf 0BH tells", guest_cpu_count, expected);
    if (guest_cpu_count < 2) {
        skip("several processors", "one only");
        guest_trap_set(IPI_VECTOR, NULL);
        guest_trap_set(VEC_NMI, NULL);
        return;
    }
    check_identity();
    check_ipis();
    check_halted();
    check_atomic();
    check_shootdown();
    check_routing();
    check_restart();
    if (guest_x2apic()) {
        skip("IPIs in the other mode", "x2APIC mode is on from the start");
    } else if (cpuid(1, 0).ecx & BIT(21)) {
        all_run(go_x2apic);
        check_ipis();
        check_halted();
        check_restart();
        all_run(leave_x2apic);
    } else {
        skip("IPIs in x2APIC mode", "not there");
    }
    guest_trap_set(IPI_VECTOR, NULL);
    guest_trap_set(VEC_NMI, NULL);
}
