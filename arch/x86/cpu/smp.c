/*
 * Starting the other cores: INIT, start-up message, and what became of each.
 *
 * Not here: the first instructions of a core (smp_start.asm), what it does in the end
 * (arch_core_main). Cores are started one after the other, so that messages name the right one.
 * Lock: `state` of each core is an atomic word; a core takes CORE_STARTING to CORE_ONLINE, the boot
 * core takes CORE_STARTING to CORE_SILENT; whoever is first decides, so that a core that is late
 * never runs on a stack that was given up. The stack that all use first has a lock of its own.
 * SDM volume 3 "MP Initialization Protocol Algorithm", "Typical BSP Initialization Sequence".
 */
#include "hv/log.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "hv/string.h"
#include "x86/acpi_host.h"
#include "x86/core_list.h"
#include "x86/host_apic.h"
#include "x86/host_paging.h"
#include "x86/insn.h"
#include "x86/kept.h"
#include "x86/panic.h"
#include "x86/regs.h"
#include "x86/smp.h"
#include "x86/start.h"
#include "x86/tsc.h"

#define INIT_DELAY_US 10000     /* MP specification: 10 ms after INIT */
#define SECOND_STARTUP_US 400   /* it asks for 200; system management may come between */
#define ANSWER_MS 200
#define ATTEMPTS 2
#define FIRST_STACK_BYTES 4096
#define FIRST_STACK_US 1000     /* a core needs it for a few microseconds */
#define BROADCAST_DEFAULT_CORES 32 /* room where nobody says how many cores there are */

/* What smp_start.asm offers. */
extern const uint8_t smp_start_begin[], smp_start_end[];
extern const uint8_t smp_start_gdt[], smp_start_gdt_register[], smp_start_protected[];
extern const uint8_t smp_start_long[], smp_start_cr3[], smp_start_cr4[], smp_start_entry[];
extern const uint32_t smp_start_offset32, smp_start_offset64;
void smp_entry(void);

static _Alignas(16) uint8_t first_stack_memory[FIRST_STACK_BYTES];
uint64_t smp_first_stack; /* top, boot-once */
uint32_t smp_first_stack_lock;
static uint32_t released; /* atomic, set once */

static enum core_state state_of(const struct percpu *cpu)
{
    return (enum core_state)__atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE);
}

static bool change_state(struct percpu *cpu, enum core_state from, enum core_state to)
{
    uint32_t expected = from;

    return __atomic_compare_exchange_n(&cpu->state, &expected, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

/* --- On the starting core ------------------------------------------------------------------- */

/* Finds the block that was made for this core; without known ids, any that is free. */
struct percpu *smp_claim_block(uint32_t apic_id)
{
    for (unsigned i = 1; i < percpu_count(); i++) {
        struct percpu *cpu = percpu_at(i);
        bool anonymous = cpu->apic_id == HOST_APIC_ID_UNKNOWN;

        if (!anonymous && cpu->apic_id != apic_id)
            continue;
        if (!change_state(cpu, CORE_STARTING, CORE_ONLINE))
            continue;
        cpu->apic_id = apic_id;
        cpu->start_tsc = rdtsc_ordered();
        return cpu;
    }
    return NULL;
}

/* Runs on the shared stack, without descriptors of our own. Returns the core's stack's top with the
 * block's address on it, or 0: nobody waits for this core (any more). */
uint64_t smp_claim(void)
{
    struct percpu *cpu;
    uint64_t *top;

    tsc_follow_boot_core();
    cpu = smp_claim_block(host_apic_id());
    if (!cpu)
        return 0;
    top = (uint64_t *)cpu->stack_top;
    top[-1] = (uint64_t)cpu; /* popped: leaves the stack aligned for a call */
    return (uint64_t)(top - 1);
}

void smp_core_main(struct percpu *cpu)
{
    descriptors_load(cpu);
    host_paging_load();
    if (host_apic_init_core())
        core_report(CORE_PARKED, "its local APIC cannot be brought into the boot core's mode");
    arch_core_main(cpu->index);
}

/* --- On the boot core ----------------------------------------------------------------------- */

static void put32(uint8_t *page, const uint8_t *variable, uint32_t value)
{
    memcpy(page + (variable - smp_start_begin), &value, sizeof(value));
}

static bool prepare_start_page(uint64_t address)
{
    uint8_t *page = (uint8_t *)address;
    uint32_t base = (uint32_t)address;
    uint64_t entry = (uint64_t)smp_entry;
    uint32_t gdt = base + (uint32_t)(smp_start_gdt - smp_start_begin);

    if (host_protect_page(address, HOST_PT_READ | HOST_PT_WRITE))
        return false;
    memcpy(page, smp_start_begin, (size_t)(smp_start_end - smp_start_begin));
    put32(page, smp_start_gdt_register + 2, gdt);
    put32(page, smp_start_protected, base + smp_start_offset32);
    put32(page, smp_start_long, base + smp_start_offset64);
    put32(page, smp_start_cr3, (uint32_t)host_cr3());
    put32(page, smp_start_cr4, host_start_cr4());
    memcpy(page + (smp_start_entry - smp_start_begin), &entry, sizeof(entry));
    smp_first_stack = (uint64_t)(first_stack_memory + sizeof(first_stack_memory));
    return host_protect_page(address, HOST_PT_READ | HOST_PT_EXECUTE) == HV_OK;
}

static bool add_core(uint32_t apic_id)
{
    struct percpu *cpu;

    if (percpu_add(apic_id, &cpu) == HV_OK)
        return true;
    hv_warn("core with APIC id %u and those after it: left out, no memory or more than %d cores",
            apic_id, HV_MAX_CORES);
    return false;
}

/* The blocks of all cores that shall be started. Returns false when their ids are not known. */
static bool add_known_cores(struct core_ids acpi, struct core_ids firmware)
{
    static struct core_list list; /* boot-once; large */

    core_list_make(acpi, firmware, host_apic_id(), host_apic_is_x2apic(), &list);
    if (list.unreachable)
        hv_warn("%u cores with APIC ids above 254: left out, they can only be reached in x2APIC "
                "mode", list.unreachable);
    if (list.beyond)
        hv_warn("%u cores beyond %d: left out", list.beyond, HV_MAX_CORES);
    for (unsigned i = 0; i < list.count && add_core(list.ids[i]); i++)
        ;
    return list.known;
}

static struct core_ids listed_by_firmware(const struct boot_info *info)
{
    unsigned count = (unsigned)hv_min_u64(info->cpu_count_hint, HV_ARRAY_COUNT(info->apic_ids));

    return (struct core_ids){ info->apic_ids, info->apic_ids_valid ? count : 0 };
}

static struct core_ids listed_by_acpi(void)
{
    const struct acpi_host *acpi = acpi_host();

    return (struct core_ids){ acpi->apic_ids, acpi->madt ? acpi->core_count : 0 };
}

static bool answered_within(const struct percpu *cpu, uint64_t us)
{
    uint64_t deadline = rdtsc() + tsc_from_us(us);

    while (state_of(cpu) == CORE_STARTING)
        if (rdtsc() >= deadline)
            return false;
        else
            cpu_pause();
    return true;
}

/* The TSC that the core read must lie between two of ours; if not, by how much is it off? */
static void check_tsc(const struct percpu *cpu, uint64_t before, uint64_t after)
{
    if (cpu->start_tsc < before)
        hv_warn("core %u: its TSC is at least %llu ticks behind the boot core's", cpu->index,
                (unsigned long long)(before - cpu->start_tsc));
    else if (cpu->start_tsc > after)
        hv_warn("core %u: its TSC is at least %llu ticks ahead of the boot core's", cpu->index,
                (unsigned long long)(cpu->start_tsc - after));
}

/* INIT may have stopped a core while it held the stack that all use first. One that was given up, and
 * comes just now, gives it back. */
static void free_first_stack(void)
{
    uint64_t deadline = rdtsc() + tsc_from_us(FIRST_STACK_US);

    while (__atomic_load_n(&smp_first_stack_lock, __ATOMIC_ACQUIRE) && rdtsc() < deadline)
        cpu_pause();
    __atomic_store_n(&smp_first_stack_lock, 0, __ATOMIC_RELEASE);
}

static bool try_core(struct percpu *cpu, uint32_t start_page)
{
    uint64_t before = rdtsc_ordered();

    host_apic_send_init(cpu->apic_id);
    tsc_delay_us(INIT_DELAY_US);
    free_first_stack();
    host_apic_send_startup(cpu->apic_id, start_page);
    if (!answered_within(cpu, SECOND_STARTUP_US)) {
        host_apic_send_startup(cpu->apic_id, start_page);
        if (!answered_within(cpu, ANSWER_MS * 1000))
            return false;
    }
    check_tsc(cpu, before, rdtsc_ordered());
    return true;
}

static void start_core(struct percpu *cpu, uint32_t start_page)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        /* No INIT for a core that has come after all, a moment after its time. */
        if (attempt && !change_state(cpu, CORE_STARTING, CORE_ABSENT))
            break;
        __atomic_store_n(&cpu->state, CORE_STARTING, __ATOMIC_RELEASE);
        if (try_core(cpu, start_page)) {
            hv_info("core %u (APIC id %u): started%s", cpu->index, cpu->apic_id,
                    attempt ? " at the second attempt" : "");
            return;
        }
    }
    if (!change_state(cpu, CORE_STARTING, CORE_SILENT)) {
        hv_info("core %u (APIC id %u): started, late", cpu->index, cpu->apic_id);
        return;
    }
    cpu->failure = "did not answer";
    hv_error("core %u (APIC id %u): did not answer within %d ms, twice; it is left out", cpu->index,
             cpu->apic_id, ANSWER_MS);
}

/* Without a list of ids: wakes whoever is there, and gives all of them the time of one. */
static void start_unknown_cores(const struct boot_info *info, uint32_t start_page)
{
    unsigned expected = info->cpu_count_hint ? info->cpu_count_hint - 1 : BROADCAST_DEFAULT_CORES;
    unsigned present = 1;
    uint64_t deadline;

    for (unsigned i = 0; i < expected && add_core(HOST_APIC_ID_UNKNOWN); i++)
        percpu_at(i + 1)->state = CORE_STARTING;
    host_apic_broadcast_init();
    tsc_delay_us(INIT_DELAY_US);
    host_apic_broadcast_startup(start_page);
    tsc_delay_us(SECOND_STARTUP_US);
    host_apic_broadcast_startup(start_page);
    deadline = rdtsc() + tsc_from_us(ANSWER_MS * 1000);
    for (unsigned i = 1; i < percpu_count(); i++) {
        struct percpu *cpu = percpu_at(i);
        while (state_of(cpu) == CORE_STARTING && rdtsc() < deadline)
            cpu_pause();
        if (!change_state(cpu, CORE_STARTING, CORE_SILENT)) {
            hv_info("core %u (APIC id %u): started", i, cpu->apic_id);
            present = i + 1; /* blocks are claimed in order */
        } else if (info->cpu_count_hint) {
            hv_error("core %u: did not answer within %d ms; it is left out", i, ANSWER_MS);
        }
    }
    percpu_trim(present);
}

static void start_others(const struct boot_info *info)
{
    bool known = add_known_cores(listed_by_acpi(), listed_by_firmware(info));
    uint32_t page = (uint32_t)info->start_page;

    if (known ? percpu_count() == 1 : info->cpu_count_hint == 1)
        return;
    if (page == 0 || page >= 0x100000 || page % HV_PAGE_BYTES || !prepare_start_page(page)) {
        hv_error("other cores: left out, firmware gave no page below 1 MB to start them from");
        return;
    }
    if (known)
        for (unsigned i = 1; i < percpu_count(); i++)
            start_core(percpu_at(i), page);
    else
        start_unknown_cores(info, page);
}

/* --- Cores that firmware lends (x86/kept.h) --------------------------------------------------- */

static bool add_kept_state(struct percpu *cpu)
{
    hpa_t page;

    if (page_alloc_take(hv_pages(), 1, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &page))
        return false;
    cpu->kept = (void *)page.v;
    return true;
}

/* They wait in kept_join, and come as soon as the gate opens. */
static void let_in_lent(void)
{
    uint64_t before = rdtsc_ordered();

    kept_open_gate(true);
    for (unsigned i = 1; i < percpu_count(); i++) {
        struct percpu *cpu = percpu_at(i);

        if (answered_within(cpu, ANSWER_MS * 1000) ||
            !change_state(cpu, CORE_STARTING, CORE_SILENT)) {
            check_tsc(cpu, before, rdtsc_ordered());
            hv_info("core %u (APIC id %u): lent by firmware", i, cpu->apic_id);
        } else {
            cpu->failure = "did not come";
            hv_error("core %u (APIC id %u): firmware has lent it, and it did not come within "
                     "%d ms; it is left out", i, cpu->apic_id, ANSWER_MS);
        }
    }
}

static void start_lent(const struct boot_info *info)
{
    (void)add_known_cores((struct core_ids){ NULL, 0 }, listed_by_firmware(info));
    for (unsigned i = 1; i < percpu_count(); i++) {
        struct percpu *cpu = percpu_at(i);
        if (add_kept_state(cpu))
            __atomic_store_n(&cpu->state, CORE_STARTING, __ATOMIC_RELEASE);
        else
            percpu_trim(i);
    }
    let_in_lent();
    kept_open_gate(false);
}

/* Whether every core that anybody knows of runs our code. Where nobody says how many there are, one
 * may have missed the call. */
static bool all_have_come(const struct boot_info *info)
{
    const struct acpi_host *acpi = acpi_host();
    unsigned named = acpi->madt ? acpi->core_count + acpi->cores_left_out : 0;
    unsigned expected = (unsigned)hv_max_u64(named, info->cpu_count_hint);

    if (expected == 0 || percpu_count() != expected)
        return false;
    for (unsigned i = 0; i < percpu_count(); i++) {
        enum core_state state = state_of(percpu_at(i));
        if (state != CORE_ONLINE && state != CORE_READY && state != CORE_PARKED)
            return false;
    }
    return true;
}

bool smp_start(const struct boot_info *info)
{
    if (kept_is_on()) {
        start_lent(info);
        return false;
    }
    start_others(info);
    return all_have_come(info);
}

/* --- What became of them --------------------------------------------------------------------- */

void core_report(enum core_state state, const char *reason)
{
    struct percpu *cpu = this_cpu();

    cpu->failure = reason;
    __atomic_store_n(&cpu->state, state, __ATOMIC_RELEASE);
    if (state != CORE_PARKED)
        return;
    hv_error("core %u (APIC id %u): parked: %s", cpu->index, cpu->apic_id, reason);
    if (kept_is_on())
        kept_leave();
    cpu_halt_forever();
}

unsigned core_wait_ready(uint64_t timeout_us)
{
    uint64_t deadline = rdtsc() + tsc_from_us(timeout_us);
    unsigned ready = 0;

    for (unsigned i = 0; i < percpu_count(); i++) {
        const struct percpu *cpu = percpu_at(i);
        while (state_of(cpu) == CORE_ONLINE && rdtsc() < deadline)
            cpu_pause();
        if (state_of(cpu) == CORE_ONLINE)
            hv_error("core %u (APIC id %u): came up, and is not ready after %llu ms", i,
                     cpu->apic_id, (unsigned long long)(timeout_us / 1000));
        ready += state_of(cpu) == CORE_READY;
    }
    return ready;
}

void core_wait_release(void)
{
    while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE))
        cpu_pause();
}

void core_release_all(void)
{
    __atomic_store_n(&released, 1, __ATOMIC_RELEASE);
}
