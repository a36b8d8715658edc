/*
 * How long the way through the hypervisor is, from inside: TSC ticks of single operations, the
 * median of 1,000 with the loop's own cost taken off. It runs under any hypervisor that loads
 * multiboot 1 kernels; what is not there is left out.
 *
 * Output: `BENCH name median minimum maximum`, and the same as JSON between two marker lines.
 * Command line: `rounds=N`; `costs=N`: each operation N times more, between two instructions at
 * which an emulator's debugger can begin and end to look (tools/bench).
 */
#include "guest.h"

#define ROUNDS_MAX 4000u
#define ROUNDS 1000u
#define WARM_UP 16u
#define RESULTS_MAX 40u
#define VECTOR 0x50u
#define DEADLINE_AHEAD_US 200u
#define UNCLAIMED_PORT 0x1234u
#define UNCLAIMED_MMIO 0xd0000000u
#define ECAM 0xe0000000u
#define APIC_PAGE 0xfee00000u

extern const uint8_t bench_tick_x2apic[], bench_tick_xapic[], bench_page_fault[], bench_syscall[];
extern volatile uint64_t bench_handler_tsc;
extern volatile uint32_t bench_handler_count;

struct result {
    const char *name;
    uint32_t median, min, max;
};

static uint32_t samples[ROUNDS_MAX];
static struct result results[RESULTS_MAX];
static unsigned result_count, rounds = ROUNDS;
static uint32_t overhead;
static unsigned costs; /* how often each operation is marked: the last time it is no news */

/* --- statistics --- */

static void sift(uint32_t *a, unsigned root, unsigned end)
{
    for (unsigned child; (child = 2 * root + 1) < end; root = child) {
        uint32_t swap = a[root];
        if (child + 1 < end && a[child] < a[child + 1])
            child++;
        if (a[root] >= a[child])
            return;
        a[root] = a[child];
        a[child] = swap;
    }
}

static void sort(uint32_t *a, unsigned n)
{
    for (unsigned i = n / 2; i-- > 0;)
        sift(a, i, n);
    for (unsigned end = n; end-- > 1;) {
        uint32_t swap = a[0];
        a[0] = a[end];
        a[end] = swap;
        sift(a, 0, end);
    }
}

static uint32_t above(uint32_t ticks, uint32_t base)
{
    return ticks > base ? ticks - base : 0;
}

/* Takes the samples; `base` is their loop's own cost. */
static void report(const char *name, uint32_t base)
{
    struct result *r = &results[result_count];

    sort(samples, rounds);
    *r = (struct result){ name, above(samples[rounds / 2], base), above(samples[0], base),
                          above(samples[rounds - 1], base) };
    guest_print("BENCH %-24s %8u %8u %8u\n", name, r->median, r->min, r->max);
    if (result_count < RESULTS_MAX - 1)
        result_count++;
}

/* --- measuring --- */

static inline __attribute__((always_inline)) uint64_t stamp(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* Bochs calls it a magic breakpoint; any processor exchanges a register with itself. */
static inline __attribute__((always_inline)) void mark(void)
{
    __asm__ volatile("xchg %%bx, %%bx" : : : "memory");
}

/* Each operation is a loop of its own, so that nothing but it stands between the two stamps. */
#define MEASURE(name, operation)                                                                   \
    do {                                                                                           \
        for (unsigned i_ = 0; i_ < WARM_UP + rounds; i_++) {                                       \
            uint64_t start_ = stamp();                                                             \
            operation;                                                                             \
            uint64_t end_ = stamp();                                                               \
            samples[i_ < WARM_UP ? 0 : i_ - WARM_UP] = (uint32_t)(end_ - start_);                  \
        }                                                                                          \
        report(name, overhead);                                                                    \
        for (unsigned i_ = 0; i_ < costs; i_++) {                                                  \
            mark();                                                                                \
            operation;                                                                             \
            mark();                                                                                \
        }                                                                                          \
    } while (0)

static void measure_overhead(void)
{
    for (unsigned i = 0; i < WARM_UP + rounds; i++) {
        uint64_t start = stamp();
        uint64_t end = stamp();
        samples[i < WARM_UP ? 0 : i - WARM_UP] = (uint32_t)(end - start);
    }
    sort(samples, rounds);
    overhead = samples[rounds / 2];
    guest_print("BENCH-OVERHEAD %u\n", overhead);
}

static bool msr_can_be_read(uint32_t msr)
{
    guest_fault_clear();
    __asm__ volatile("1: rdmsr\n2:\n" EXTABLE(1b, 2b) : : "c"(msr) : "rax", "rdx", "memory");
    return guest_fault()->vector == NO_FAULT;
}

static void measure_instructions(void)
{
    static const uint32_t never = 0;

    MEASURE("cpuid-0", cpuid(0, 0));
    MEASURE("cpuid-1", cpuid(1, 0));
    guest_fault_clear();
    __asm__ volatile("1: vmcall\n2:\n" EXTABLE(1b, 2b) : : "a"(~0u), "b"(never) : "memory");
    if (guest_fault()->vector == NO_FAULT) {
        MEASURE("vmcall", {
            uint32_t eax_ = ~0u;
            __asm__ volatile("vmcall" : "+a"(eax_) : : "memory");
        });
    }
    MEASURE("rdmsr-apic-base", rdmsr(MSR_APIC_BASE));
    if (msr_can_be_read(MSR_MISC_ENABLE)) {
        uint64_t value = rdmsr(MSR_MISC_ENABLE);
        MEASURE("wrmsr-misc-enable", wrmsr(MSR_MISC_ENABLE, value));
    }
    MEASURE("wbinvd", wbinvd());
}

static void measure_ports(void)
{
    MEASURE("in-pic", inb(0x21));
    MEASURE("in-uart", inb(0x3fd));
    MEASURE("in-unclaimed", inb(UNCLAIMED_PORT));
    MEASURE("out-delay", outb(0x80, 0));
    MEASURE("in-pm-timer", inl(0x608));
}

static void measure_mmio(void)
{
    if (!guest_x2apic()) {
        MEASURE("lapic-mmio-read", mmio_read32(APIC_PAGE + APIC_SVR));
        MEASURE("lapic-mmio-write", mmio_write32(APIC_PAGE + APIC_TPR, 0));
        MEASURE("lapic-mmio-current-count", mmio_read32(APIC_PAGE + APIC_TIMER_CURRENT));
    }
    mmio_write32(IOAPIC_BASE, 0x10);
    MEASURE("ioapic-read", mmio_read32(IOAPIC_BASE + IOAPIC_WINDOW));
    MEASURE("ioapic-write", mmio_write32(IOAPIC_BASE, 0x10));
    MEASURE("mmio-unclaimed", mmio_read32(UNCLAIMED_MMIO));
    if (mmio_read32(ECAM) != 0xffffffff)
        MEASURE("mmio-device-read", mmio_read32(ECAM));
}

/* --- interrupts --- */

static void set_gate(unsigned vector, const uint8_t *entry)
{
    uint64_t at = (uint64_t)entry;

    guest_idt[vector].offset_low = (uint16_t)at;
    guest_idt[vector].offset_middle = (uint16_t)(at >> 16);
    guest_idt[vector].offset_high = (uint32_t)(at >> 32);
}

/* One deadline and its handler. The way to it is what costs. */
static void mark_deadline(uint64_t ahead, bool halt)
{
    uint32_t before = bench_handler_count;

    wrmsr(MSR_TSC_DEADLINE, rdtsc() + ahead);
    mark();
    if (halt)
        sti_hlt();
    else
        sti();
    while (bench_handler_count == before)
        ;
    cli();
    mark();
}

/* From a deadline to the first instruction of its handler. */
static void measure_deadline(const char *name, bool halt)
{
    uint64_t ahead = guest_us(DEADLINE_AHEAD_US), limit = guest_us(1000000);

    for (unsigned i = 0; i < rounds; i++) {
        uint32_t before = bench_handler_count;
        uint64_t deadline = rdtsc() + ahead;

        wrmsr(MSR_TSC_DEADLINE, deadline);
        if (halt)
            sti_hlt();
        else
            sti();
        while (bench_handler_count == before && rdtsc() - deadline + ahead < limit)
            ;
        cli();
        if (bench_handler_count == before) {
            guest_print("BENCH-FAILED %s\n", name);
            return;
        }
        samples[i] = (uint32_t)(bench_handler_tsc - deadline);
    }
    report(name, 0);
    for (unsigned i = 0; i < costs; i++)
        mark_deadline(ahead, halt);
}

static void measure_self_ipi(void)
{
    for (unsigned i = 0; i < rounds; i++) {
        uint32_t before = bench_handler_count;
        uint64_t start;

        sti();
        start = stamp();
        wrmsr(MSR_X2APIC + APIC_SELF_IPI / 16, VECTOR);
        while (bench_handler_count == before && rdtsc() - start < guest_us(1000000))
            ;
        cli();
        if (bench_handler_count == before) {
            guest_print("BENCH-FAILED self-ipi-x2apic\n");
            return;
        }
        samples[i] = (uint32_t)(bench_handler_tsc - start);
    }
    report("self-ipi-x2apic", overhead);
    for (unsigned i = 0; i < costs; i++) {
        sti();
        mark();
        wrmsr(MSR_X2APIC + APIC_SELF_IPI / 16, VECTOR);
        mark();
        cli();
    }
}

static void measure_interrupts(void)
{
    bool deadline = cpuid(1, 0).ecx & BIT(24);

    if (deadline) {
        guest_apic_write(APIC_LVT_TIMER, APIC_TIMER_TSC_DEADLINE | VECTOR);
        __asm__ volatile("mfence" : : : "memory");
        uint64_t far = rdtsc() + (guest_tsc_hz << 10);
        MEASURE("arm-deadline", wrmsr(MSR_TSC_DEADLINE, far));
        wrmsr(MSR_TSC_DEADLINE, 0);
    }
    set_gate(VECTOR, guest_x2apic() ? bench_tick_x2apic : bench_tick_xapic);
    if (deadline) {
        measure_deadline("deadline-spinning", false);
        measure_deadline("deadline-halted", true);
    }
}

static void measure_x2apic(void)
{
    if (!guest_x2apic_set(true))
        return;
    MEASURE("x2apic-read-svr", rdmsr(MSR_X2APIC + APIC_SVR / 16));
    MEASURE("x2apic-read-count", rdmsr(MSR_X2APIC + APIC_TIMER_CURRENT / 16));
    MEASURE("x2apic-eoi", wrmsr(MSR_X2APIC + APIC_EOI / 16, 0));
    set_gate(VECTOR, bench_tick_x2apic);
    measure_self_ipi();
    measure_interrupts();
}

/* --- what costs no exit, for comparison --- */

static void measure_native(void)
{
    struct idt_gate saved = guest_idt[VEC_PF];
    uint64_t efer = rdmsr(MSR_EFER);

    MEASURE("native-rdtsc", rdtsc());
    set_gate(VEC_PF, bench_page_fault);
    guest_map(GUEST_WINDOW, 0, 0);
    MEASURE("native-page-fault", {
        __asm__ volatile("lea 1f(%%rip), %%rbx; mov (%0), %%eax; 1:"
                         : : "r"(GUEST_WINDOW) : "rax", "rbx", "memory");
    });
    guest_idt[VEC_PF] = saved;
    wrmsr(MSR_STAR, (uint64_t)SEL_CODE64 << 32);
    wrmsr(MSR_LSTAR, (uint64_t)bench_syscall);
    wrmsr(MSR_FMASK, FLAG_IF);
    wrmsr(MSR_EFER, efer | EFER_SCE);
    MEASURE("native-syscall", __asm__ volatile("syscall" : : : "rcx", "r11", "memory"));
    wrmsr(MSR_EFER, efer);
    MEASURE("native-write-cr3", write_cr3(read_cr3()));
}

/* --- telling --- */

static void print_json(void)
{
    struct cpuid_answer id = cpuid(0x40000000, 0);
    char name[13] = { 0 };

    memcpy(name, &id.ebx, 4);
    memcpy(name + 4, &id.ecx, 4);
    memcpy(name + 8, &id.edx, 4);
    for (unsigned i = 0; i < sizeof(name) - 1; i++) {
        if (name[i] && (name[i] < ' ' || name[i] > '~' || name[i] == '"' || name[i] == '\\'))
            name[i] = '?';
    }
    if (!(cpuid(1, 0).ecx & BIT(31)))
        name[0] = 0;
    guest_print("BENCH-JSON-BEGIN\n{\"hypervisor\": \"%s\", \"tsc_hz\": %lu, \"rounds\": %u, "
                "\"overhead\": %u, \"results\": [\n", name, guest_tsc_hz, rounds, overhead);
    for (unsigned i = 0; i < result_count; i++)
        guest_print("  {\"name\": \"%s\", \"median\": %u, \"min\": %u, \"max\": %u}%s\n",
                    results[i].name, results[i].median, results[i].min, results[i].max,
                    i + 1 < result_count ? "," : "");
    guest_print("]}\nBENCH-JSON-END\n");
}

static unsigned number_option(const char *name, unsigned none)
{
    size_t length;
    const char *text = guest_option(name, &length);
    unsigned n = 0;

    for (size_t i = 0; text && i < length && n <= ROUNDS_MAX; i++) {
        if (text[i] < '0' || text[i] > '9')
            break;
        n = n * 10 + (unsigned)(text[i] - '0');
    }
    return n >= 1 && n <= ROUNDS_MAX ? n : none;
}

static void read_options(void)
{
    rounds = number_option("rounds", ROUNDS);
    costs = number_option("costs", 0);
}

int guest_main(void)
{
    read_options();
    measure_overhead();
    measure_native();
    measure_instructions();
    measure_ports();
    guest_apic_enable();
    measure_mmio();
    measure_x2apic();
    if (!guest_x2apic())
        measure_interrupts();
    print_json();
    return 0;
}
