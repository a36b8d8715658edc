// SRCS: arch/x86/cpu/smp.c arch/x86/cpu/core_list.c
/* Cores that come, come late, come ahead of time, or never: SDM volume 3 "MP Initialization Protocol
 * Algorithm". The machine is a fake: what a core does is written beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "hv/log.h"
#include "hv/page_alloc.h"
#include "x86/acpi_host.h"
#include "x86/host_apic.h"
#include "x86/host_paging.h"
#include "x86/kept.h"
#include "x86/panic.h"
#include "x86/percpu.h"
#include "x86/smp.h"
#include "x86/start.h"
#include "x86/tsc.h"

#define START_PAGE 0x80000u
#define MOST 8
#define ALL_CORES 0xffffffffu

/* The page's symbols; smp_start.asm has them on the metal. */
__asm__(".section .rodata\n"
        ".globl smp_start_begin, smp_start_gdt, smp_start_gdt_register, smp_start_protected\n"
        ".globl smp_start_long, smp_start_cr3, smp_start_cr4, smp_start_entry, smp_start_end\n"
        "smp_start_begin: .skip 8\n smp_start_gdt: .skip 8\n smp_start_gdt_register: .skip 8\n"
        "smp_start_protected: .skip 8\n smp_start_long: .skip 8\n smp_start_cr3: .skip 8\n"
        "smp_start_cr4: .skip 8\n smp_start_entry: .skip 8\n smp_start_end: .skip 8\n"
        ".previous");
extern const uint32_t smp_start_offset32, smp_start_offset64;
const uint32_t smp_start_offset32 = 0x40, smp_start_offset64 = 0x80;
void smp_entry(void);
void smp_entry(void)
{
}

enum behaviour {
    NEVER,
    AT_FIRST_STARTUP,
    AT_SECOND_STARTUP,
    AT_SECOND_ATTEMPT, /* system management held it at the first */
    STOPPED_BY_INIT,   /* the same, and the second INIT meets it on the first stack */
};

struct fake_core {
    uint32_t id;
    enum behaviour behaviour;
    int64_t tsc_off;
    unsigned inits, startups;
};

extern uint32_t smp_first_stack_lock;

static struct fake_core machine[MOST];
static struct percpu blocks[MOST];
static unsigned machine_count, block_count, blocks_most, page_rights;
static struct acpi_host acpi;
static struct boot_info info;
static unsigned followed;
static bool kept;             /* firmware is */
static unsigned kept_pages;   /* that there is memory for */
static bool gate_is_open;
static char log_text[8192];

/* --- what smp.c calls --- */

void hv_log(enum hv_log_level level, const char *format, ...)
{
    size_t used = strlen(log_text);
    va_list args;
    (void)level;
    va_start(args, format);
    used += (size_t)vsnprintf(log_text + used, sizeof(log_text) - used - 1, format, args);
    va_end(args);
    strcpy(log_text + used, "\n");
}

struct percpu *percpu_at(unsigned index)
{
    return &blocks[index];
}

unsigned percpu_count(void)
{
    return block_count;
}

enum hv_err percpu_add(uint32_t apic_id, struct percpu **made)
{
    if (block_count == blocks_most)
        return HV_ERR_NO_MEMORY;
    *made = &blocks[block_count];
    blocks[block_count] = (struct percpu){ .index = block_count, .apic_id = apic_id };
    block_count++;
    return HV_OK;
}

void percpu_trim(unsigned count)
{
    block_count = count;
}

static void come(struct fake_core *core)
{
    struct percpu *cpu = smp_claim_block(core->id);
    if (cpu)
        cpu->start_tsc += (uint64_t)core->tsc_off;
}

static void startup(struct fake_core *core)
{
    core->startups++;
    assert_true(core->inits > 0);
    if (smp_first_stack_lock) /* who holds it will not give it back */
        return;
    if ((core->behaviour == AT_FIRST_STARTUP && core->startups == 1) ||
        (core->behaviour == AT_SECOND_STARTUP && core->startups == 2) ||
        (core->behaviour >= AT_SECOND_ATTEMPT && core->inits == 2))
        come(core);
}

static struct fake_core *core_with(uint32_t id)
{
    for (unsigned i = 0; i < machine_count; i++)
        if (machine[i].id == id)
            return &machine[i];
    return NULL; /* a table may name cores that are not there */
}

void host_apic_send_init(uint32_t apic_id)
{
    struct fake_core *core = core_with(apic_id);
    if (core && ++core->inits == 2 && core->behaviour == STOPPED_BY_INIT)
        smp_first_stack_lock = 1;
}

void host_apic_send_startup(uint32_t apic_id, uint32_t page_address)
{
    assert_int_equal(page_address, START_PAGE);
    if (core_with(apic_id))
        startup(core_with(apic_id));
}

void host_apic_broadcast_init(void)
{
    for (unsigned i = 0; i < machine_count; i++)
        machine[i].inits++;
}

void host_apic_broadcast_startup(uint32_t page_address)
{
    assert_int_equal(page_address, START_PAGE);
    for (unsigned i = 0; i < machine_count; i++)
        startup(&machine[i]);
}

uint32_t host_apic_id(void)
{
    return 0;
}

bool host_apic_is_x2apic(void)
{
    return true;
}

enum hv_err host_apic_init_core(void)
{
    return HV_OK;
}

const struct acpi_host *acpi_host(void)
{
    return &acpi;
}

/* 200 ms of waiting for a core that never comes are a moment here. */
uint64_t tsc_from_us(uint64_t us)
{
    return us * 4;
}

void tsc_delay_us(uint64_t us)
{
    (void)us;
}

void tsc_follow_boot_core(void)
{
    assert_int_equal(blocks[1].state, CORE_STARTING); /* before it says when it came */
    followed++;
}

enum hv_err host_protect_page(uint64_t page, unsigned rights)
{
    assert_int_equal(page, START_PAGE);
    page_rights = rights;
    return HV_OK;
}

uint64_t host_cr3(void)
{
    return 0x123000;
}

uint32_t host_start_cr4(void)
{
    return 0x20;
}

bool kept_is_on(void)
{
    return kept;
}

void kept_open_gate(bool open)
{
    gate_is_open = open;
    for (unsigned i = 0; open && i < machine_count; i++)
        if (machine[i].behaviour == AT_FIRST_STARTUP)
            come(&machine[i]);
}

void kept_leave(void)
{
    __builtin_trap();
}

void descriptors_load(struct percpu *cpu)
{
    (void)cpu;
}

void host_paging_load(void)
{
}

void arch_core_main(unsigned index)
{
    (void)index;
    __builtin_trap();
}

void cpu_halt_forever(void)
{
    __builtin_trap();
}

struct page_alloc *hv_pages(void)
{
    return NULL;
}

enum hv_err page_alloc_take(struct page_alloc *alloc, uint64_t pages, uint64_t align_pages,
                            unsigned flags, hpa_t *start)
{
    (void)alloc;
    (void)pages;
    (void)align_pages;
    (void)flags;
    if (kept_pages == 0)
        return HV_ERR_NO_MEMORY;
    start->v = 0x1000 * kept_pages--;
    return HV_OK;
}

/* --- the tests --- */

static int set_up(void **state)
{
    (void)state;
    memset(machine, 0, sizeof(machine));
    memset(&acpi, 0, sizeof(acpi));
    memset(&info, 0, sizeof(info));
    log_text[0] = 0;
    machine_count = 0;
    blocks_most = MOST;
    block_count = 1;
    blocks[0] = (struct percpu){ .state = CORE_ONLINE };
    info.start_page = START_PAGE;
    kept = gate_is_open = false;
    kept_pages = MOST;
    return 0;
}

/* A core of the machine that the MADT names. */
static struct fake_core *add(uint32_t id, enum behaviour behaviour)
{
    if (acpi.core_count == 0)
        acpi.apic_ids[acpi.core_count++] = 0;
    acpi.madt = true;
    acpi.apic_ids[acpi.core_count++] = id;
    machine[machine_count] = (struct fake_core){ .id = id, .behaviour = behaviour };
    return &machine[machine_count++];
}

static bool said(const char *text)
{
    return strstr(log_text, text) != NULL;
}

static void test_cores_that_come(void **state)
{
    (void)state;
    add(2, AT_FIRST_STARTUP);
    add(0x1234, AT_SECOND_STARTUP);
    assert_true(smp_start(&info));
    assert_int_equal(block_count, 3);
    assert_int_equal(blocks[1].state, CORE_ONLINE);
    assert_int_equal(blocks[2].state, CORE_ONLINE);
    assert_int_equal(blocks[2].apic_id, 0x1234);
    assert_int_equal(machine[0].startups, 1);
    assert_int_equal(page_rights, HOST_PT_READ | HOST_PT_EXECUTE);
    assert_false(said("TSC"));
}

static void test_a_core_that_needs_a_second_attempt(void **state)
{
    (void)state;
    add(1, AT_SECOND_ATTEMPT);
    assert_true(smp_start(&info));
    assert_int_equal(blocks[1].state, CORE_ONLINE);
    assert_int_equal(machine[0].inits, 2);
    assert_true(said("core 1 (APIC id 1): started at the second attempt"));
}

static void test_a_core_that_init_stops_on_the_first_stack(void **state)
{
    (void)state;
    add(1, STOPPED_BY_INIT);
    add(2, AT_FIRST_STARTUP);
    assert_true(smp_start(&info));
    assert_int_equal(blocks[1].state, CORE_ONLINE);
    assert_int_equal(blocks[2].state, CORE_ONLINE);
    assert_int_equal(smp_first_stack_lock, 0);
}

/* It is left out, the others are started; should it come after all, nobody gives it a stack. */
static void test_a_core_that_never_answers(void **state)
{
    (void)state;
    add(1, AT_FIRST_STARTUP);
    add(2, NEVER);
    add(3, AT_FIRST_STARTUP);
    assert_false(smp_start(&info));
    assert_int_equal(blocks[1].state, CORE_ONLINE);
    assert_int_equal(blocks[2].state, CORE_SILENT);
    assert_int_equal(blocks[3].state, CORE_ONLINE);
    assert_string_equal(blocks[2].failure, "did not answer");
    assert_int_equal(machine[1].inits, 2);
    assert_int_equal(machine[1].startups, 4);
    assert_true(said("core 2 (APIC id 2): did not answer within 200 ms, twice; it is left out"));
    assert_null(smp_claim_block(2));
    assert_int_equal(blocks[2].state, CORE_SILENT);
}

static void test_a_core_that_is_not_there(void **state)
{
    (void)state;
    add(1, AT_FIRST_STARTUP);
    acpi.apic_ids[acpi.core_count++] = 77;
    assert_false(smp_start(&info));
    assert_int_equal(blocks[1].state, CORE_ONLINE);
    assert_int_equal(blocks[2].state, CORE_SILENT);
}

static void test_time_stamp_counters_that_differ(void **state)
{
    (void)state;
    add(1, AT_FIRST_STARTUP)->tsc_off = INT64_C(1) << 40;
    add(2, AT_FIRST_STARTUP)->tsc_off = -(INT64_C(1) << 40);
    assert_true(smp_start(&info));
    assert_true(said("core 1: its TSC is at least "));
    assert_true(said("ticks ahead of the boot core's"));
    assert_true(said("core 2: its TSC is at least "));
    assert_true(said("ticks behind the boot core's"));
}

/* What the core itself does, on the stack that all share first. */
static void test_a_core_sets_its_tsc_before_it_is_there(void **state)
{
    uint64_t stack[4];
    (void)state;
    block_count = 2;
    followed = 0;
    blocks[1] = (struct percpu){ .state = CORE_STARTING, .stack_top = (uint64_t)&stack[4] };
    assert_ptr_equal(smp_claim(), &stack[3]);
    assert_int_equal(stack[3], (uint64_t)&blocks[1]);
    assert_int_equal(followed, 1);
    assert_int_equal(blocks[1].state, CORE_ONLINE);
}

static void test_no_page_to_start_from(void **state)
{
    static const uint64_t pages[] = { 0, 0x100000, 0x80001 };
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        set_up(NULL);
        add(1, AT_FIRST_STARTUP);
        info.start_page = pages[i];
        assert_false(smp_start(&info));
        assert_int_equal(machine[0].inits, 0);
        assert_true(said("other cores: left out, firmware gave no page below 1 MB"));
    }
}

static void test_no_memory_for_a_core(void **state)
{
    (void)state;
    add(1, AT_FIRST_STARTUP);
    add(2, AT_FIRST_STARTUP);
    blocks_most = 2;
    assert_false(smp_start(&info));
    assert_int_equal(blocks[1].state, CORE_ONLINE);
    assert_int_equal(machine[1].inits, 0);
    assert_true(said("core with APIC id 2 and those after it: left out, no memory"));
}

/* Neither tables nor MP services: everybody is called at once. */
static void test_nobody_knows_the_cores(void **state)
{
    (void)state;
    add(5, AT_FIRST_STARTUP);
    add(9, AT_SECOND_STARTUP);
    memset(&acpi, 0, sizeof(acpi));
    assert_false(smp_start(&info)); /* one may have missed the call */
    assert_int_equal(block_count, 3);
    assert_int_equal(blocks[1].state, CORE_ONLINE);
    assert_int_equal(blocks[2].state, CORE_ONLINE);
}

static void test_firmware_knows_how_many(void **state)
{
    (void)state;
    add(5, AT_FIRST_STARTUP);
    add(9, NEVER);
    memset(&acpi, 0, sizeof(acpi));
    info.cpu_count_hint = 3;
    assert_false(smp_start(&info));
    assert_true(said("core 2: did not answer within 200 ms; it is left out"));
    assert_int_equal(block_count, 2);
    set_up(NULL);
    info.cpu_count_hint = 1;
    assert_true(smp_start(&info));
    assert_int_equal(block_count, 1);
}

/* Firmware that is kept lends cores, which wait at a gate: no INIT for any of them. */
static void lend(uint32_t id, enum behaviour behaviour)
{
    machine[machine_count++] = (struct fake_core){ .id = id, .behaviour = behaviour };
    if (info.cpu_count_hint == 0)
        info.apic_ids[info.cpu_count_hint++] = 0;
    info.apic_ids[info.cpu_count_hint++] = id;
    info.apic_ids_valid = kept = true;
}

static void test_lent_cores(void **state)
{
    (void)state;
    lend(4, AT_FIRST_STARTUP);
    lend(6, NEVER);
    assert_false(smp_start(&info));
    assert_false(gate_is_open);
    assert_int_equal(blocks[1].state, CORE_ONLINE);
    assert_non_null(blocks[1].kept);
    assert_true(said("core 1 (APIC id 4): lent by firmware"));
    assert_int_equal(blocks[2].state, CORE_SILENT);
    assert_string_equal(blocks[2].failure, "did not come");
    assert_int_equal(machine[0].inits + machine[1].inits, 0);
    assert_null(smp_claim_block(6)); /* too late: firmware's again */
}

static void test_no_memory_for_the_state_of_a_lent_core(void **state)
{
    (void)state;
    lend(4, AT_FIRST_STARTUP);
    lend(6, AT_FIRST_STARTUP);
    kept_pages = 1;
    assert_false(smp_start(&info));
    assert_int_equal(block_count, 2);
    assert_int_equal(blocks[1].state, CORE_ONLINE);
}

static void test_waiting_until_they_are_ready(void **state)
{
    (void)state;
    block_count = 4;
    blocks[0].state = blocks[2].state = CORE_READY;
    blocks[1] = (struct percpu){ .index = 1, .state = CORE_PARKED };
    blocks[3] = (struct percpu){ .index = 3, .apic_id = 7, .state = CORE_ONLINE };
    assert_int_equal(core_wait_ready(10), 2);
    assert_true(said("APIC id 7): came up, and is not ready after"));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_cores_that_come),
        TEST(test_a_core_that_needs_a_second_attempt),
        TEST(test_a_core_that_init_stops_on_the_first_stack),
        TEST(test_a_core_that_never_answers),
        TEST(test_a_core_that_is_not_there),
        TEST(test_time_stamp_counters_that_differ),
        TEST(test_a_core_sets_its_tsc_before_it_is_there),
        TEST(test_no_page_to_start_from),
        TEST(test_no_memory_for_a_core),
        TEST(test_nobody_knows_the_cores),
        TEST(test_firmware_knows_how_many),
        TEST(test_lent_cores),
        TEST(test_no_memory_for_the_state_of_a_lent_core),
        TEST(test_waiting_until_they_are_ready),
    };
    void *page = mmap((void *)(uintptr_t)START_PAGE, 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (page == MAP_FAILED) {
        perror("no memory at the start page's address");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
