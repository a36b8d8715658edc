/*
 * What a guest with interrupts = guest finds, and that it needs nobody: the local APIC is in x2APIC
 * mode and stays there, what would reach beyond the core does not, and what is the guest's own
 * takes no exit. The last is for the trace to show (trace = dump): each phase stands between two
 * VMCALLs, which follow each other in the trace if nothing in the phase exits.
 *
 * Other processors, if there are any, are kicked, and left spinning with interrupts off and every
 * vector requested. `seconds=N` is the length of the idle phase (10); `then=spin` ends it all with
 * interrupts off and a loop, `then=crash` with a triple fault. The status is the failures' number.
 * SDM volume 3 "Extended XAPIC (x2APIC)", "TSC-Deadline Mode", "IA32_XAPIC_DISABLE_STATUS".
 */
#include "guest.h"

#define VECTOR_TICK 0x61u
#define VECTOR_SELF 0x62u
#define X2(reg) (MSR_X2APIC + (reg) / 16)
#define TICKS_PER_SECOND 100u
#define SELF_IPIS 1000u
#define PERIOD 100000u /* counts */

static unsigned failures;
static volatile uint32_t ticks, selfs;
static uint64_t latest; /* of a deadline's interrupt, in TSC ticks */
static uint64_t deadline;

static void expect(bool ok, const char *what)
{
    guest_print("%sok - %s\n", ok ? "" : "not ", what);
    failures += !ok;
}

static void mark(void)
{
    uint64_t number = 0;

    __asm__ volatile("vmcall" : "+a"(number) : : "memory");
}

/* Not guest_eoi(), which asks IA32_APIC_BASE for the mode, and that exits. */
static void on_tick(struct trap_frame *frame)
{
    uint64_t late = rdtsc() - deadline;

    (void)frame;
    if (late > latest)
        latest = late;
    ticks++;
    wrmsr(X2(APIC_EOI), 0);
}

static void on_self(struct trap_frame *frame)
{
    (void)frame;
    selfs++;
    wrmsr(X2(APIC_EOI), 0);
}

/* --- what is there --- */

struct access {
    uint32_t msr;
    uint64_t value;
};

static void write_msr(void *context)
{
    const struct access *a = context;

    wrmsr(a->msr, a->value);
}

static bool write_faults(uint32_t msr, uint64_t value)
{
    struct access access = { msr, value };

    return guest_catch(write_msr, &access) && guest_fault()->vector == VEC_GP;
}

static void check_mode(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    expect(guest_x2apic(), "x2APIC mode from the start");
    expect(write_faults(MSR_APIC_BASE, base & ~(uint64_t)APIC_BASE_X2APIC),
           "xAPIC mode is not to be had");
    expect(write_faults(MSR_APIC_BASE,
                        base & ~(uint64_t)(APIC_BASE_X2APIC | APIC_BASE_ENABLE)),
           "nor is none");
    wrmsr(MSR_APIC_BASE, base);
    expect(rdmsr(MSR_APIC_BASE) == base, "APIC_BASE is as before");
    expect(guest_apic_id() == cpuid(0xb, 0).edx, "the id is the virtual machine's");
}

/* SMI, NMI, INIT and ExtINT are delivery modes of these entries: they are kept, and do nothing. */
static void check_entries(void)
{
    static const uint16_t entries[] = { APIC_LVT_THERMAL, APIC_LVT_PERF, APIC_LVT_LINT0,
                                        APIC_LVT_LINT1 };
    static const uint32_t modes[] = { 2, 4, 5, 7 };
    bool kept = true;

    for (unsigned i = 0; i < ARRAY_COUNT(entries); i++) {
        uint32_t before = guest_apic_read(entries[i]);
        for (unsigned m = 0; m < ARRAY_COUNT(modes); m++) {
            guest_apic_write(entries[i], modes[m] << 8);
            kept = kept && guest_apic_read(entries[i]) == modes[m] << 8;
        }
        guest_apic_write(entries[i], before);
    }
    expect(kept, "entries with other delivery modes are kept");
    expect(write_faults(X2(0x2f0), APIC_LVT_MASKED), "there is no CMCI entry");
}

/* Off and on again: the timer's entry is masked then, and what was requested stays out. */
static void check_software_disable(void)
{
    guest_apic_write(APIC_LVT_TIMER, VECTOR_TICK);
    guest_apic_write(APIC_SVR, 0xff);
    expect(guest_apic_read(APIC_LVT_TIMER) & APIC_LVT_MASKED, "switching off masks entries");
    guest_apic_enable();
    expect(guest_apic_read(APIC_SVR) == (APIC_SVR_ENABLE | 0xff), "and on again");
}

/* --- what takes no exit --- */

static void idle(unsigned seconds)
{
    uint64_t step = guest_tsc_hz / TICKS_PER_SECOND;

    ticks = 0;
    guest_apic_write(APIC_LVT_TIMER, VECTOR_TICK | APIC_TIMER_TSC_DEADLINE);
    mark();
    deadline = rdtsc() + step;
    while (ticks < seconds * TICKS_PER_SECOND) {
        uint32_t seen = ticks;
        cli();
        wrmsr(MSR_TSC_DEADLINE, deadline);
        while (ticks == seen) {
            sti_hlt();
            cli();
        }
        deadline += step;
    }
    mark();
    guest_apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    guest_print("idle: %u deadlines in %u s, the latest by %lu ticks\n", ticks, seconds, latest);
}

/* IRR is looked at, and the interrupt taken when the TPR lets it. */
static void self_ipis(void)
{
    unsigned held = 0;

    mark();
    for (unsigned i = 0; i < SELF_IPIS; i++) {
        write_cr8(0xf);
        wrmsr(X2(APIC_SELF_IPI), VECTOR_SELF);
        held += rdmsr(X2(APIC_IRR) + VECTOR_SELF / 32) >> VECTOR_SELF % 32 & 1;
        sti();
        write_cr8(0);
        pause();
        cli();
    }
    mark();
    guest_print("self-IPIs: %u held back, %u taken\n", held, selfs);
    expect(held == SELF_IPIS && selfs == SELF_IPIS, "self-IPIs");
}

/* The count-down timer counts the crystal of CPUID leaf 15H: SDM "APIC Timer". */
static void periodic(void)
{
    struct cpuid_answer crystal = cpuid(0x15, 0);
    uint64_t start, length, expected = 10 * PERIOD * (uint64_t)crystal.ebx / crystal.eax;

    ticks = 0;
    wrmsr(X2(APIC_TIMER_DIVIDE), APIC_DIVIDE_BY_1);
    wrmsr(X2(APIC_LVT_TIMER), VECTOR_TICK | APIC_TIMER_PERIODIC);
    mark();
    start = rdtsc();
    wrmsr(X2(APIC_TIMER_INITIAL), PERIOD);
    sti();
    for (unsigned i = 0; ticks < 10 && i < 100000000; i++)
        pause();
    length = rdtsc() - start;
    cli();
    wrmsr(X2(APIC_TIMER_INITIAL), 0);
    mark();
    guest_apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    guest_print("periodic: %u in %lu TSC ticks, expected %lu\n", ticks, length, expected);
    expect(ticks == 10 && length > expected - expected / 20 && length < expected + expected / 20,
           "periodic timer");
}

static unsigned option_number(const char *name, unsigned otherwise)
{
    size_t length;
    const char *text = guest_option(name, &length);
    unsigned n = 0;

    if (!text)
        return otherwise;
    for (size_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        n = n * 10 + (unsigned)(text[i] - '0');
    return n;
}

/* --- kicks: what another vCPU has to look at comes as a kick of its core --- */

#define KICKS 2000u
#define PATIENCE_US 10000u /* a kick that has not come by then is lost */
#define LATE_PAGE 0x76000u
#define LATE_COUNT 0x800u

static volatile uint32_t nmis, round, stop;

static void on_nmi(struct trap_frame *frame)
{
    (void)frame;
    nmis++;
}

static void spin_for(uint64_t duration)
{
    uint64_t start = rdtsc();

    while (rdtsc() - start < duration)
        pause();
}

/* One exit a round, at a moment that differs from that of the NMI from round to round: it comes
 * before, in every part of, and after the exit. Nothing else exits until it has come. */
static void one_exit_a_round(void *unused)
{
    (void)unused;
    for (uint32_t seen = 0; !stop; seen = round) {
        while (round == seen && !stop)
            pause();
        spin_for(round * 7 % 1500);
        rdmsr(MSR_APIC_BASE);
    }
}

/* Only an NMI ends the HLT. */
static void halts_only(void *unused)
{
    (void)unused;
    cli();
    while (!stop)
        __asm__ volatile("hlt" : : : "memory");
}

static bool comes(volatile uint32_t *count, uint32_t before)
{
    uint64_t start = rdtsc();

    while (*count == before && rdtsc() - start < guest_us(PATIENCE_US))
        pause();
    return *count != before;
}

static void kick(unsigned cpu, void (*meanwhile)(void *), const char *what)
{
    unsigned answered = 0;

    stop = round = 0;
    guest_cpu_run(cpu, meanwhile, NULL);
    guest_delay_us(1000);
    for (unsigned i = 0; i < KICKS; i++) {
        uint32_t before = nmis;
        round++;
        guest_ipi(guest_cpu_apic_id[cpu], ICR_NMI | ICR_ASSERT);
        answered += comes(&nmis, before);
    }
    stop = 1;
    guest_ipi(guest_cpu_apic_id[cpu], ICR_NMI | ICR_ASSERT);
    guest_print("%u kicks, %u answered\n", KICKS, answered);
    expect(guest_cpu_wait(cpu, 1000000) && answered == KICKS, what);
}

/* INIT puts the core to sleep in the hypervisor; the start-up message comes ever later: before,
 * while, and after it falls asleep. */
static void start_late(unsigned cpu)
{
    /* lock inc dword [cs:LATE_COUNT]; cli; hlt; jmp to the cli */
    static const uint8_t code[] = { 0x2e, 0xf0, 0x66, 0xff, 0x06, LATE_COUNT & 0xff,
                                    LATE_COUNT >> 8, 0xfa, 0xf4, 0xeb, 0xfc };
    volatile uint32_t *count = (volatile uint32_t *)(uint64_t)(LATE_PAGE + LATE_COUNT);
    unsigned answered = 0;

    memcpy((void *)(uint64_t)LATE_PAGE, code, sizeof(code));
    *count = 0;
    for (unsigned i = 0; i < KICKS; i++) {
        uint32_t before = *count;
        guest_ipi(guest_cpu_apic_id[cpu], ICR_INIT | ICR_ASSERT);
        spin_for(i * 7);
        guest_ipi(guest_cpu_apic_id[cpu], ICR_STARTUP | ICR_ASSERT | LATE_PAGE >> 12);
        answered += comes(count, before);
    }
    guest_print("%u starts, %u answered\n", KICKS, answered);
    expect(guest_cpu_restart(cpu) && answered == KICKS, "no start-up message is lost");
}

static void kicks(void)
{
    unsigned count = guest_smp_start();

    if (count < 2)
        return;
    guest_trap_set(VEC_NMI, on_nmi);
    kick(1, one_exit_a_round, "no kick is lost among exits");
    kick(1, halts_only, "no kick is lost in HLT");
    guest_trap_set(VEC_NMI, NULL);
    start_late(1);
}

/* --- the end --- */

/* Every vector is requested, none is taken: nothing of it may reach the hypervisor when it takes
 * the core back. */
static void request_all(void)
{
    cli();
    wrmsr(X2(APIC_SVR), APIC_SVR_ENABLE | 0xff);
    for (unsigned vector = 16; vector < 256; vector++)
        wrmsr(X2(APIC_SELF_IPI), vector);
}

static volatile uint32_t spinning;

static void spin(void *unused)
{
    (void)unused;
    request_all();
    __atomic_fetch_add(&spinning, 1, __ATOMIC_SEQ_CST);
    for (;;)
        __asm__ volatile("");
}

/* The other processors must be got out of it when this one ends the machine. */
static void let_others_spin(void)
{
    unsigned count = guest_cpu_count;

    for (unsigned i = 1; i < count; i++)
        guest_cpu_run(i, spin, NULL);
    for (unsigned i = 0; i < 1000 && spinning < count - 1; i++)
        guest_delay_us(1000);
    expect(spinning == count - 1, "others spin with interrupts off");
}

static void end_as_asked(void)
{
    const struct table_register none = { 0, 0 };
    size_t length;
    const char *then = guest_option("then", &length);

    if (!then)
        return;
    guest_print("owncore: the end\n");
    if (then[0] == 's')
        spin(NULL);
    request_all();
    lidt(&none);
    __asm__ volatile("ud2");
}

int guest_main(void)
{
    guest_trap_set(VECTOR_TICK, on_tick);
    guest_trap_set(VECTOR_SELF, on_self);
    guest_apic_enable();
    check_mode();
    check_entries();
    check_software_disable();
    idle(option_number("seconds", 10));
    self_ipis();
    periodic();
    kicks();
    let_others_spin();
    guest_print("owncore: %u failures\n", failures);
    end_as_asked();
    return (int)failures;
}
