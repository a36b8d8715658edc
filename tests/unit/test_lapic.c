// SRCS: arch/x86/apic/lapic.c arch/x86/apic/lapic_irq.c arch/x86/apic/lapic_timer.c arch/x86/apic/lapic_route.c
/*
 * The guest's local APIC against the SDM's chapter "Advanced Programmable Interrupt Controller".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "fake.h"
#include "x86/lapic.h"

#define CPUS 4

struct world {
    struct lapic apic[CPUS];
    struct lapic *all[CPUS];
    uint64_t tsc;
    uint64_t deadline[CPUS]; /* 0: not armed */
    unsigned cancels[CPUS], kicks[CPUS], sends[CPUS];
    struct irq_message sent[CPUS];
    enum lapic_shorthand shorthand[CPUS];
    unsigned eois;
    uint8_t eoi_vector;
};

struct seat {
    struct world *world;
    unsigned cpu;
};

static struct world *world;
static struct seat seats[CPUS];

static uint64_t env_now(void *context)
{
    return ((struct seat *)context)->world->tsc;
}

static void env_arm(void *context, uint64_t deadline)
{
    struct seat *seat = context;
    seat->world->deadline[seat->cpu] = deadline;
}

static void env_cancel(void *context)
{
    struct seat *seat = context;
    seat->world->deadline[seat->cpu] = 0;
    seat->world->cancels[seat->cpu]++;
}

static void env_send(void *context, enum lapic_shorthand shorthand, const struct irq_message *m)
{
    struct seat *seat = context;
    struct world *w = seat->world;
    w->sends[seat->cpu]++;
    w->sent[seat->cpu] = *m;
    w->shorthand[seat->cpu] = shorthand;
    lapic_route(w->all, CPUS, &w->apic[seat->cpu], shorthand, m);
}

static void env_eoi(void *context, uint8_t vector)
{
    struct seat *seat = context;
    seat->world->eois++;
    seat->world->eoi_vector = vector;
}

static void env_kick(void *context)
{
    struct seat *seat = context;
    __atomic_fetch_add(&seat->world->kicks[seat->cpu], 1, __ATOMIC_SEQ_CST);
}

static struct lapic_config config_of(unsigned cpu)
{
    return (struct lapic_config){
        .id = cpu,
        .has_x2apic = true,
        .has_tsc_deadline = true,
        .physical_address_bits = 40,
        .timer_numerator = 1,
        .timer_denominator = 4,
    };
}

static void make_apic(unsigned cpu, const struct lapic_config *config)
{
    struct lapic_env env = { env_now, env_arm, env_cancel, env_send, env_eoi, env_kick,
                             &seats[cpu], NULL };
    assert_int_equal(lapic_init(&world->apic[cpu], config, &env), HV_OK);
}

static int setup(void **state)
{
    (void)state;
    world = aligned_alloc(4096, (sizeof(*world) + 4095) / 4096 * 4096);
    memset(world, 0, sizeof(*world));
    world->tsc = 1000;
    for (unsigned i = 0; i < CPUS; i++) {
        struct lapic_config config = config_of(i);
        seats[i] = (struct seat){ world, i };
        world->all[i] = &world->apic[i];
        make_apic(i, &config);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(world);
    return 0;
}

static uint32_t get(unsigned cpu, uint32_t offset)
{
    return (uint32_t)lapic_mmio_read(&world->apic[cpu], offset, 4);
}

static void put(unsigned cpu, uint32_t offset, uint32_t value)
{
    lapic_mmio_write(&world->apic[cpu], offset, 4, value);
}

static void enable(unsigned cpu)
{
    put(cpu, LAPIC_SVR, 0x1FF);
}

static void enable_x2apic(unsigned cpu)
{
    struct lapic *lapic = &world->apic[cpu];
    assert_int_equal(lapic_base_write(lapic, lapic_base_read(lapic) | LAPIC_BASE_X2APIC),
                     LAPIC_BASE_CHANGED);
    assert_true(lapic_msr_write(lapic, 0x80F, 0x1FF));
}

static void post(unsigned cpu, uint8_t vector, bool level)
{
    struct irq_message message = { .vector = vector, .level_triggered = level, .asserted = true };
    lapic_post(&world->apic[cpu], &message);
}

static void run_until(unsigned cpu, uint64_t tsc)
{
    while (world->deadline[cpu] && world->deadline[cpu] <= tsc) {
        if (world->deadline[cpu] > world->tsc)
            world->tsc = world->deadline[cpu];
        world->deadline[cpu] = 0;
        lapic_timer_fired(&world->apic[cpu]);
    }
    world->tsc = tsc;
}

/* Takes the pending vector and ends it. */
static int take(unsigned cpu)
{
    struct lapic *lapic = &world->apic[cpu];
    int vector = lapic_pending_vector(lapic);
    if (vector >= 0) {
        lapic_accept(lapic, (uint8_t)vector);
        lapic_eoi(lapic);
    }
    return vector;
}

/* ---- reset state ---- */

static void test_reset_values(void **state)
{
    (void)state;
    gpa_t base;
    assert_int_equal(get(1, LAPIC_ID), 1u << 24);
    assert_int_equal(get(1, LAPIC_VERSION), 0x00050014);
    assert_int_equal(get(1, LAPIC_TPR), 0);
    assert_int_equal(get(1, LAPIC_APR), 0);
    assert_int_equal(get(1, LAPIC_RRD), 0);
    assert_int_equal(get(1, LAPIC_LDR), 0);
    assert_int_equal(get(1, LAPIC_DFR), 0xFFFFFFFF);
    assert_int_equal(get(1, LAPIC_SVR), 0xFF);
    for (uint32_t lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 16)
        assert_int_equal(get(1, lvt), 0x10000);
    for (uint32_t at = LAPIC_ISR; at < LAPIC_ESR; at += 16)
        assert_int_equal(get(1, at), 0);
    assert_int_equal(get(1, LAPIC_DIVIDE), 0);
    assert_int_equal(get(1, LAPIC_CURRENT_COUNT), 0);
    assert_int_equal(lapic_base_read(&world->apic[1]), 0xFEE00800);
    assert_true(lapic_mmio_base(&world->apic[1], &base));
    assert_int_equal(base.v, 0xFEE00000);
    assert_true(lapic_cpuid_apic(&world->apic[0]));
    assert_int_equal(lapic_attention(&world->apic[0]), 0);
}

static void test_boot_processor_is_in_virtual_wire_mode(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    struct lapic_config config = config_of(0);
    config.bsp = true;
    make_apic(0, &config);
    assert_int_equal(lapic_base_read(lapic), 0xFEE00900);
    assert_int_equal(get(0, LAPIC_SVR), 0x10F);
    assert_int_equal(get(0, LAPIC_LVT_LINT0), 0x700);
    assert_int_equal(get(0, LAPIC_LVT_LINT1), 0x400);
    assert_true(lapic_accepts_pic(lapic));
    lapic_set_lint(lapic, 0, true);
    lapic_sync(lapic);
    assert_true(lapic_extint_pending(lapic));
    lapic_reset_init(lapic); /* INIT leaves what the processor, not firmware, says */
    assert_int_equal(get(0, LAPIC_SVR), 0xFF);
    assert_int_equal(get(0, LAPIC_LVT_LINT0), 0x10000);
    assert_false(lapic_extint_pending(lapic));
    lapic_reset(lapic);
    assert_true(lapic_extint_pending(lapic)); /* the pin is still high */
}

static void test_init_refusals(void **state)
{
    (void)state;
    struct lapic_env env = { env_now, env_arm, env_cancel, env_send, env_eoi, env_kick, &seats[0],
                             NULL };
    struct lapic_config good = config_of(0), bad;
    bad = good, bad.timer_numerator = 0;
    assert_int_equal(lapic_init(&world->apic[0], &bad, &env), HV_ERR_INVALID);
    bad = good, bad.timer_denominator = 0;
    assert_int_equal(lapic_init(&world->apic[0], &bad, &env), HV_ERR_INVALID);
    bad = good, bad.timer_denominator = 0x80000000;
    assert_int_equal(lapic_init(&world->apic[0], &bad, &env), HV_ERR_INVALID);
    bad = good, bad.id = UINT32_MAX;
    assert_int_equal(lapic_init(&world->apic[0], &bad, &env), HV_ERR_INVALID);
    bad = good, bad.has_x2apic = false, bad.id = 255;
    assert_int_equal(lapic_init(&world->apic[0], &bad, &env), HV_ERR_INVALID);
    bad = good, bad.physical_address_bits = 31;
    assert_int_equal(lapic_init(&world->apic[0], &bad, &env), HV_ERR_INVALID);
    bad = good, bad.physical_address_bits = 53;
    assert_int_equal(lapic_init(&world->apic[0], &bad, &env), HV_ERR_INVALID);
    bad = good, bad.timer_numerator = 24, bad.timer_denominator = 36;
    assert_int_equal(lapic_init(&world->apic[0], &bad, &env), HV_OK);
    assert_int_equal(world->apic[0].config.timer_numerator, 2);
    assert_int_equal(world->apic[0].config.timer_denominator, 3);
}

/* ---- priorities ---- */

static void test_priority_and_eoi_order(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    post(0, 0x31, false);
    post(0, 0x45, false);
    assert_int_equal(world->kicks[0], 1); /* the second found a kick on its way */
    assert_int_equal(lapic_pending_vector(lapic), -1);
    lapic_sync(lapic);
    assert_int_equal(lapic_pending_vector(lapic), 0x45);
    lapic_accept(lapic, 0x45);
    assert_int_equal(get(0, LAPIC_PPR), 0x40);
    assert_int_equal(get(0, LAPIC_ISR + 0x20), 1u << 5);
    assert_int_equal(get(0, LAPIC_IRR + 0x20), 0);
    assert_int_equal(lapic_pending_vector(lapic), -1); /* class 3 waits for class 4 */
    post(0, 0x4F, false);
    lapic_sync(lapic);
    assert_int_equal(lapic_pending_vector(lapic), -1); /* the same class waits, too */
    post(0, 0x50, false);
    lapic_sync(lapic);
    assert_int_equal(lapic_pending_vector(lapic), 0x50);
    lapic_accept(lapic, 0x50);
    put(0, LAPIC_EOI, 0); /* ends 0x50, the highest */
    assert_int_equal(get(0, LAPIC_PPR), 0x40);
    put(0, LAPIC_EOI, 0x1234); /* any value */
    assert_int_equal(lapic_pending_vector(lapic), 0x4F);
    assert_int_equal(take(0), 0x4F);
    assert_int_equal(take(0), 0x31);
    put(0, LAPIC_EOI, 0); /* nothing in service */
    assert_int_equal(lapic_attention(lapic), 0);
    assert_int_equal(world->eois, 0);
}

static void test_tpr_masks_and_cr8(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    put(0, LAPIC_TPR, 0xFFFFFF45);
    assert_int_equal(get(0, LAPIC_TPR), 0x45);
    assert_int_equal(get(0, LAPIC_PPR), 0x45);
    assert_int_equal(get(0, LAPIC_APR), 0x45);
    assert_int_equal(lapic_cr8_read(lapic), 4);
    post(0, 0x4F, false);
    lapic_sync(lapic);
    assert_int_equal(lapic_pending_vector(lapic), -1);
    assert_int_equal(lapic_attention(lapic), 0);
    lapic_cr8_write(lapic, 3);
    assert_int_equal(get(0, LAPIC_TPR), 0x30);
    assert_int_equal(lapic_pending_vector(lapic), 0x4F);
    assert_int_not_equal(lapic_attention(lapic), 0);
    lapic_accept(lapic, 0x4F);
    assert_int_equal(get(0, LAPIC_PPR), 0x40); /* ISR above TPR: low bits are 0 */
    put(0, LAPIC_TPR, 0x42);
    assert_int_equal(get(0, LAPIC_PPR), 0x42); /* equal classes: TPR */
}

static void test_every_vector(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    for (unsigned vector = 16; vector < 256; vector++)
        post(0, (uint8_t)vector, vector & 1);
    lapic_sync(lapic);
    for (int vector = 255; vector >= 16; vector--) {
        unsigned before = world->eois;
        assert_int_equal(take(0), vector);
        assert_int_equal(world->eois - before, vector & 1);
    }
    assert_int_equal(take(0), -1);
    assert_int_equal(lapic_attention(lapic), 0);
}

static void test_level_eoi_and_tmr(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    uint64_t bitmap[4];
    enable(0);
    post(0, 0x61, true);
    lapic_sync(lapic);
    assert_int_equal(get(0, LAPIC_TMR + 0x30), 2);
    lapic_level_vectors(lapic, bitmap);
    assert_int_equal(bitmap[1], UINT64_C(1) << (0x61 - 64));
    assert_int_equal(take(0), 0x61);
    assert_int_equal(world->eois, 1);
    assert_int_equal(world->eoi_vector, 0x61);
    post(0, 0x61, false); /* the same vector as an edge */
    lapic_sync(lapic);
    assert_int_equal(get(0, LAPIC_TMR + 0x30), 0);
    assert_int_equal(take(0), 0x61);
    assert_int_equal(world->eois, 1);
}

static void test_eoi_broadcast_suppression(void **state)
{
    (void)state;
    struct lapic_config config = config_of(0);
    put(0, LAPIC_SVR, 0x11FF); /* not offered: bit 12 does not stick */
    assert_int_equal(get(0, LAPIC_SVR), 0x1FF);
    config.suppress_eoi_broadcast = true;
    make_apic(0, &config);
    assert_int_equal(get(0, LAPIC_VERSION), 0x01050014);
    put(0, LAPIC_SVR, 0x11FF);
    assert_int_equal(get(0, LAPIC_SVR), 0x11FF);
    post(0, 0x61, true);
    lapic_sync(&world->apic[0]);
    assert_int_equal(take(0), 0x61);
    assert_int_equal(world->eois, 0);
}

static void test_software_disable(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    post(0, 0x40, false); /* still disabled: lost */
    lapic_sync(lapic);
    assert_int_equal(lapic_attention(lapic), 0);
    put(0, LAPIC_LVT_ERROR, 0x55);
    assert_int_equal(get(0, LAPIC_LVT_ERROR), 0x10055); /* the mask bit is forced */
    enable(0);
    put(0, LAPIC_LVT_ERROR, 0x55);
    put(0, LAPIC_LVT_TIMER, 0x20066);
    assert_int_equal(get(0, LAPIC_LVT_ERROR), 0x55);
    post(0, 0x40, false);
    lapic_sync(lapic);
    put(0, LAPIC_SVR, 0xFF);
    assert_int_equal(get(0, LAPIC_LVT_ERROR), 0x10055);
    assert_int_equal(get(0, LAPIC_LVT_TIMER), 0x30066);
    assert_int_equal(lapic_pending_vector(lapic), 0x40); /* what is in IRR is held */
}

/* ---- errors ---- */

static void test_esr(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    put(0, LAPIC_LVT_ERROR, 0xFE);
    post(0, 5, false);
    lapic_sync(lapic);
    assert_int_equal(get(0, LAPIC_ESR), 0); /* not until it is written */
    assert_int_equal(take(0), 0xFE);
    post(0, 6, false);
    lapic_sync(lapic);
    assert_int_equal(take(0), -1); /* the error is known: no new interrupt before ESR is written */
    put(0, LAPIC_ESR, 0xFF);
    assert_int_equal(get(0, LAPIC_ESR), LAPIC_ESR_RECEIVE_ILLEGAL_VECTOR);
    assert_int_equal(get(0, LAPIC_ESR), LAPIC_ESR_RECEIVE_ILLEGAL_VECTOR);
    put(0, LAPIC_ESR, 0);
    assert_int_equal(get(0, LAPIC_ESR), 0);
    put(0, LAPIC_ICR_LOW, 0x4000 | 15);
    assert_int_equal(world->sends[0], 0);
    assert_int_equal(take(0), 0xFE);
    get(0, 0x000); /* reserved registers */
    assert_int_equal(take(0), 0xFE);
    put(0, 0x400, 1);
    put(0, LAPIC_ESR, 0);
    assert_int_equal(get(0, LAPIC_ESR), LAPIC_ESR_SEND_ILLEGAL_VECTOR | LAPIC_ESR_ILLEGAL_REGISTER);
    get(0, LAPIC_SELF_IPI); /* x2APIC only */
    put(0, LAPIC_SELF_IPI, 0x40);
    put(0, LAPIC_ESR, 0);
    assert_int_equal(get(0, LAPIC_ESR), LAPIC_ESR_ILLEGAL_REGISTER);
}

static void test_error_entry_with_illegal_vector(void **state)
{
    (void)state;
    enable(0);
    put(0, LAPIC_LVT_ERROR, 3);
    put(0, 0x400, 1);
    assert_int_equal(take(0), -1);
    put(0, LAPIC_ESR, 0);
    assert_int_equal(get(0, LAPIC_ESR),
                     LAPIC_ESR_ILLEGAL_REGISTER | LAPIC_ESR_RECEIVE_ILLEGAL_VECTOR);
}

/* ---- xAPIC page ---- */

static void test_mmio_sizes(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    assert_int_equal(lapic_mmio_read(lapic, LAPIC_VERSION, 1), 0x14);
    assert_int_equal(lapic_mmio_read(lapic, LAPIC_VERSION + 2, 1), 0x05);
    assert_int_equal(lapic_mmio_read(lapic, LAPIC_VERSION, 2), 0x14);
    assert_int_equal(lapic_mmio_read(lapic, LAPIC_VERSION + 2, 2), 0x05);
    assert_int_equal(lapic_mmio_read(lapic, LAPIC_VERSION, 8), 0x50014);
    assert_int_equal(lapic_mmio_read(lapic, LAPIC_VERSION + 4, 4), 0);
    assert_int_equal(lapic_mmio_read(lapic, LAPIC_VERSION + 15, 1), 0);
    lapic_mmio_write(lapic, LAPIC_TPR, 1, 0x20);
    lapic_mmio_write(lapic, LAPIC_TPR, 2, 0x20);
    lapic_mmio_write(lapic, LAPIC_TPR, 8, 0x20);
    lapic_mmio_write(lapic, LAPIC_TPR + 4, 4, 0x20);
    assert_int_equal(get(0, LAPIC_TPR), 0);
    assert_int_equal(get(0, LAPIC_EOI), 0);
    put(0, LAPIC_ID, 0x55000000); /* read-only registers */
    put(0, LAPIC_VERSION, 0);
    put(0, LAPIC_PPR, 0xFF);
    put(0, LAPIC_IRR, 0xFFFFFFFF);
    put(0, LAPIC_CURRENT_COUNT, 5);
    assert_int_equal(get(0, LAPIC_ID), 0);
    assert_int_equal(get(0, LAPIC_VERSION), 0x50014);
    assert_int_equal(get(0, LAPIC_PPR), 0);
    assert_int_equal(get(0, LAPIC_IRR), 0);
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 0);
    put(0, LAPIC_ESR, 0);
    assert_int_equal(get(0, LAPIC_ESR), 0);
}

static void test_writable_bits(void **state)
{
    (void)state;
    static const struct { uint32_t offset, want; } rows[] = {
        { LAPIC_LDR, 0xFF000000 },       { LAPIC_DFR, 0xFFFFFFFF },
        { LAPIC_LVT_TIMER, 0x700FF },    { LAPIC_LVT_THERMAL, 0x107FF },
        { LAPIC_LVT_PERF, 0x107FF },     { LAPIC_LVT_LINT0, 0x1A7FF },
        { LAPIC_LVT_LINT1, 0x1A7FF },    { LAPIC_LVT_ERROR, 0x100FF },
        { LAPIC_DIVIDE, 0xB },           { LAPIC_ICR_HIGH, 0xFF000000 },
        { LAPIC_SVR, 0x3FF },
    };
    enable(0);
    for (size_t i = 0; i < HV_ARRAY_COUNT(rows); i++) {
        put(0, rows[i].offset, 0xFFFFFFFF);
        assert_int_equal(get(0, rows[i].offset), rows[i].want);
    }
    put(0, LAPIC_DFR, 0);
    assert_int_equal(get(0, LAPIC_DFR), 0x0FFFFFFF);
    put(0, LAPIC_ICR_LOW, 0xFFFFF8FF & ~0x300u); /* SMI-like reserved modes send nothing */
    assert_int_equal(get(0, LAPIC_ICR_LOW), 0xCC8FF);
}

static void test_no_deadline_mode_without_cpuid(void **state)
{
    (void)state;
    struct lapic_config config = config_of(0);
    config.has_tsc_deadline = false;
    make_apic(0, &config);
    enable(0);
    put(0, LAPIC_LVT_TIMER, 0xFFFFFFFF);
    assert_int_equal(get(0, LAPIC_LVT_TIMER), 0x300FF);
}

/* ---- x2APIC MSRs ---- */

static void test_x2apic_msr_faults(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    uint64_t value;
    assert_false(lapic_msr_read(lapic, 0x802, &value)); /* not in x2APIC mode */
    assert_false(lapic_msr_write(lapic, 0x808, 0));
    enable_x2apic(0);
    for (uint32_t msr = 0x800; msr <= 0x8FF; msr++) {
        bool readable = msr == 0x802 || msr == 0x803 || msr == 0x808 || msr == 0x80A ||
                        msr == 0x80D || msr == 0x80F || (msr >= 0x810 && msr <= 0x828) ||
                        msr == 0x830 || (msr >= 0x832 && msr <= 0x839) || msr == 0x83E;
        bool writable = msr == 0x808 || msr == 0x80B || msr == 0x80F || msr == 0x828 ||
                        (msr >= 0x832 && msr <= 0x838) || msr == 0x83E;
        assert_int_equal(lapic_msr_read(lapic, msr, &value), readable);
        if (msr != 0x830 && msr != 0x83F)
            assert_int_equal(lapic_msr_write(lapic, msr, 0), writable);
        if (msr != 0x830)
            assert_false(lapic_msr_write(lapic, msr, UINT64_C(1) << 32));
    }
    assert_false(lapic_msr_read(lapic, 0x7FF, &value));
    assert_false(lapic_msr_read(lapic, 0x900, &value));
}

static void test_x2apic_reserved_bits(void **state)
{
    (void)state;
    static const struct { uint32_t msr; uint64_t allowed; } rows[] = {
        { 0x808, 0xFF },          { 0x80B, 0 },       { 0x80F, 0x3FF },   { 0x828, 0 },
        { 0x830, 0xFFFFFFFF000CDFFF }, { 0x832, 0x710FF }, { 0x833, 0x117FF }, { 0x834, 0x117FF },
        { 0x835, 0x1F7FF },       { 0x836, 0x1F7FF }, { 0x837, 0x110FF }, { 0x838, 0xFFFFFFFF },
        { 0x83E, 0xB },
    };
    enable_x2apic(0);
    for (size_t i = 0; i < HV_ARRAY_COUNT(rows); i++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            uint64_t value = UINT64_C(1) << bit;
            assert_int_equal(lapic_msr_write(&world->apic[0], rows[i].msr, value),
                             (rows[i].allowed & value) != 0);
        }
    }
}

static void test_x2apic_identity(void **state)
{
    (void)state;
    struct lapic_config config = config_of(3);
    uint64_t value;
    config.id = 0x12345;
    make_apic(3, &config);
    enable_x2apic(3);
    assert_true(lapic_msr_read(&world->apic[3], 0x802, &value));
    assert_int_equal(value, 0x12345);
    assert_true(lapic_msr_read(&world->apic[3], 0x80D, &value));
    assert_int_equal(value, 0x12340000 | 1 << 5);
    gpa_t base;
    assert_false(lapic_mmio_base(&world->apic[3], &base));
    assert_true(lapic_is_x2apic(&world->apic[3]));
}

static void test_x2apic_icr_and_self_ipi(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    uint64_t value;
    enable_x2apic(0);
    enable_x2apic(2);
    assert_true(lapic_msr_write(lapic, 0x830, UINT64_C(2) << 32 | 0x5041));
    assert_true(lapic_msr_read(lapic, 0x830, &value));
    assert_int_equal(value, UINT64_C(2) << 32 | 0x4041); /* never busy */
    assert_int_equal(world->sent[0].destination, 2);
    assert_int_equal(world->sent[0].vector, 0x41);
    lapic_sync(&world->apic[2]);
    assert_int_equal(take(2), 0x41);
    assert_true(lapic_msr_write(lapic, 0x83F, 0x77));
    assert_int_equal(take(0), 0x77);
    assert_int_equal(world->kicks[0], 0); /* nobody else was involved */
    assert_true(lapic_msr_write(lapic, 0x83F, 0x07));
    assert_true(lapic_msr_write(lapic, 0x828, 0));
    assert_true(lapic_msr_read(lapic, 0x828, &value));
    assert_int_equal(value, LAPIC_ESR_SEND_ILLEGAL_VECTOR);
    assert_int_equal(lapic_mmio_read(lapic, LAPIC_ICR_LOW + 4, 4), 0);
}

static void test_x2apic_eoi(void **state)
{
    (void)state;
    enable_x2apic(0);
    post(0, 0x88, true);
    lapic_sync(&world->apic[0]);
    lapic_accept(&world->apic[0], 0x88);
    assert_false(lapic_msr_write(&world->apic[0], 0x80B, 1));
    assert_int_equal(world->eois, 0);
    assert_true(lapic_msr_write(&world->apic[0], 0x80B, 0));
    assert_int_equal(world->eois, 1);
}

/* ---- IA32_APIC_BASE ---- */

static void test_apic_base_transitions(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    const uint64_t at = 0xFEE00100, en = LAPIC_BASE_ENABLE, ext = LAPIC_BASE_X2APIC;
    static const struct { unsigned from, to; enum lapic_base_answer want; } rows[] = {
        /* 0 = disabled, 1 = x2APIC bit alone, 2 = xAPIC, 3 = x2APIC */
        { 0, 0, LAPIC_BASE_SAME },  { 0, 1, LAPIC_BASE_FAULT }, { 0, 2, LAPIC_BASE_CHANGED },
        { 0, 3, LAPIC_BASE_FAULT }, { 2, 0, LAPIC_BASE_CHANGED }, { 2, 1, LAPIC_BASE_FAULT },
        { 2, 2, LAPIC_BASE_SAME },  { 2, 3, LAPIC_BASE_CHANGED }, { 3, 0, LAPIC_BASE_CHANGED },
        { 3, 1, LAPIC_BASE_FAULT }, { 3, 2, LAPIC_BASE_FAULT }, { 3, 3, LAPIC_BASE_SAME },
    };
    for (size_t i = 0; i < HV_ARRAY_COUNT(rows); i++) {
        lapic_reset(lapic);
        if (rows[i].from == 0)
            assert_int_equal(lapic_base_write(lapic, at), LAPIC_BASE_CHANGED);
        if (rows[i].from == 3)
            assert_int_equal(lapic_base_write(lapic, at | en | ext), LAPIC_BASE_CHANGED);
        uint64_t before = lapic_base_read(lapic);
        uint64_t to = at | (rows[i].to & 2 ? en : 0) | (rows[i].to & 1 ? ext : 0);
        assert_int_equal(lapic_base_write(lapic, to), rows[i].want);
        assert_int_equal(lapic_base_read(lapic), rows[i].want == LAPIC_BASE_FAULT ? before : to);
    }
}

static void test_apic_base_reserved_and_relocation(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    struct lapic_config config = config_of(0);
    gpa_t base;
    for (unsigned bit = 0; bit < 64; bit++) {
        bool reserved = bit < 8 || bit == 9 || bit >= 40;
        lapic_reset(lapic);
        if (bit >= 8 && bit <= 11 && bit != 9)
            continue;
        assert_int_equal(lapic_base_write(lapic, 0xFEE00900 ^ UINT64_C(1) << bit),
                         reserved ? LAPIC_BASE_FAULT : LAPIC_BASE_CHANGED);
    }
    lapic_reset(lapic);
    assert_int_equal(lapic_base_write(lapic, 0x12345000 | LAPIC_BASE_ENABLE), LAPIC_BASE_CHANGED);
    assert_true(lapic_mmio_base(lapic, &base));
    assert_int_equal(base.v, 0x12345000);
    config.has_x2apic = false;
    make_apic(0, &config);
    assert_int_equal(lapic_base_write(lapic, 0xFEE00D00), LAPIC_BASE_FAULT);
}

static void test_disabling_resets(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    put(0, LAPIC_TPR, 0x33);
    post(0, 0x99, false);
    lapic_sync(lapic);
    assert_int_equal(lapic_base_write(lapic, 0xFEE00100), LAPIC_BASE_CHANGED);
    assert_false(lapic_cpuid_apic(lapic));
    assert_true(lapic_accepts_pic(lapic));
    assert_int_equal(lapic_pending_vector(lapic), -1);
    assert_int_equal(lapic_base_write(lapic, 0xFEE00900), LAPIC_BASE_CHANGED);
    assert_int_equal(get(0, LAPIC_TPR), 0);
    assert_int_equal(get(0, LAPIC_SVR), 0xFF);
}

/* ---- INIT, SIPI, NMI ---- */

static void post_mode(unsigned cpu, enum irq_delivery delivery, uint8_t vector)
{
    struct irq_message message = { .delivery = delivery, .vector = vector, .asserted = true };
    lapic_post(&world->apic[cpu], &message);
}

static void test_nmi_collapses(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[1];
    post_mode(1, IRQ_NMI, 0);
    post_mode(1, IRQ_NMI, 0);
    assert_false(lapic_take_nmi(lapic));
    lapic_sync(lapic);
    assert_int_not_equal(lapic_attention(lapic), 0);
    assert_true(lapic_take_nmi(lapic));
    assert_false(lapic_take_nmi(lapic));
    post_mode(1, IRQ_SMI, 0);
    assert_int_equal(lapic_attention(lapic), 0);
}

static void test_init_sipi_sipi(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[1];
    uint8_t vector = 0;
    post_mode(1, IRQ_STARTUP, 0x11); /* before INIT: forgotten */
    post_mode(1, IRQ_INIT, 0);
    post_mode(1, IRQ_STARTUP, 0x9F);
    post_mode(1, IRQ_STARTUP, 0x22); /* the second one does not replace the first */
    assert_int_equal(world->kicks[1], 1);
    lapic_sync(lapic);
    assert_false(lapic_take_sipi(lapic, true, &vector)); /* INIT comes first */
    assert_true(lapic_take_init(lapic));
    lapic_reset_init(lapic);
    assert_true(lapic_take_sipi(lapic, true, &vector));
    assert_int_equal(vector, 0x9F);
    assert_false(lapic_take_sipi(lapic, true, &vector));
    assert_int_equal(lapic_attention(lapic), 0);
}

static void test_sipi_latched_while_init_is_handled(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[1];
    uint8_t vector = 0;
    post_mode(1, IRQ_INIT, 0);
    lapic_sync(lapic);
    assert_true(lapic_take_init(lapic));
    post_mode(1, IRQ_STARTUP, 0x9A); /* the owner is not through with INIT */
    lapic_reset_init(lapic);
    lapic_sync(lapic);
    assert_true(lapic_take_sipi(lapic, true, &vector));
    assert_int_equal(vector, 0x9A);
}

static void test_sipi_ignored_when_running(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[1];
    uint8_t vector = 0;
    post_mode(1, IRQ_STARTUP, 0x11);
    lapic_sync(lapic);
    assert_false(lapic_take_sipi(lapic, false, &vector));
    assert_false(lapic_take_sipi(lapic, true, &vector)); /* thrown away */
    /* One that the owner has merged is dropped by an INIT that comes after it. */
    post_mode(1, IRQ_STARTUP, 0x11);
    lapic_sync(lapic);
    post_mode(1, IRQ_STARTUP, 0x12);
    lapic_sync(lapic);
    post_mode(1, IRQ_INIT, 0);
    lapic_sync(lapic);
    assert_true(lapic_take_init(lapic));
    assert_false(lapic_take_sipi(lapic, true, &vector));
}

static void test_init_deassert_does_nothing(void **state)
{
    (void)state;
    struct irq_message message = { .delivery = IRQ_INIT, .level_triggered = true };
    lapic_post(&world->apic[1], &message);
    assert_int_equal(lapic_attention(&world->apic[1]), 0);
    put(0, LAPIC_ICR_HIGH, 1u << 24);
    put(0, LAPIC_ICR_LOW, 0x8500);
    assert_int_equal(world->sends[0], 0);
    put(0, LAPIC_ICR_LOW, 0xC500);
    assert_int_equal(world->sends[0], 1);
    lapic_sync(&world->apic[1]);
    assert_true(lapic_take_init(&world->apic[1]));
}

static void test_init_keeps_mode_and_id(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[2];
    uint64_t value;
    enable_x2apic(2);
    assert_true(lapic_msr_write(lapic, 0x808, 0x55));
    post_mode(2, IRQ_NMI, 0);
    post(2, 0x44, false);
    lapic_sync(lapic);
    post(2, 0x45, true);
    lapic_reset_init(lapic);
    assert_true(lapic_is_x2apic(lapic));
    assert_true(lapic_msr_read(lapic, 0x802, &value));
    assert_int_equal(value, 2);
    assert_true(lapic_msr_read(lapic, 0x80D, &value));
    assert_int_equal(value, 4);
    assert_true(lapic_msr_read(lapic, 0x808, &value));
    assert_int_equal(value, 0);
    assert_true(lapic_msr_read(lapic, 0x80F, &value));
    assert_int_equal(value, 0xFF);
    lapic_sync(lapic);
    assert_int_equal(lapic_attention(lapic), 0);
}

/* ---- destinations ---- */

static unsigned reached(const struct irq_message *message)
{
    unsigned set = 0;
    for (unsigned i = 0; i < CPUS; i++)
        set |= (unsigned)lapic_matches(&world->apic[i], message) << i;
    return set;
}

static void test_match_physical_and_broadcast(void **state)
{
    (void)state;
    struct irq_message m = { .destination = 2 };
    assert_int_equal(reached(&m), 4);
    m.destination = 9;
    assert_int_equal(reached(&m), 0);
    m.destination = LAPIC_BROADCAST;
    assert_int_equal(reached(&m), 15);
    m.logical = true;
    assert_int_equal(reached(&m), 15);
    assert_int_equal(lapic_base_write(&world->apic[1], 0xFEE00000), LAPIC_BASE_CHANGED);
    assert_int_equal(reached(&m), 13); /* a disabled APIC hears nothing */
}

static void test_match_logical_flat(void **state)
{
    (void)state;
    struct irq_message m = { .logical = true };
    for (unsigned i = 0; i < CPUS; i++)
        put(i, LAPIC_LDR, 1u << (24 + i));
    m.destination = 5;
    assert_int_equal(reached(&m), 5);
    m.destination = 0;
    assert_int_equal(reached(&m), 0);
    m.destination = 0x105;
    assert_int_equal(reached(&m), 0);
}

static void test_match_logical_cluster(void **state)
{
    (void)state;
    static const uint8_t ldr[CPUS] = { 0x11, 0x12, 0x21, 0x24 };
    struct irq_message m = { .logical = true };
    for (unsigned i = 0; i < CPUS; i++) {
        put(i, LAPIC_DFR, 0x0FFFFFFF);
        put(i, LAPIC_LDR, (uint32_t)ldr[i] << 24);
    }
    m.destination = 0x13;
    assert_int_equal(reached(&m), 3);
    m.destination = 0x2C;
    assert_int_equal(reached(&m), 8);
    m.destination = 0x3F;
    assert_int_equal(reached(&m), 0);
}

static void test_match_logical_x2apic(void **state)
{
    (void)state;
    struct irq_message m = { .logical = true };
    struct lapic_config config = config_of(3);
    config.id = 0x25;
    make_apic(3, &config);
    for (unsigned i = 0; i < CPUS; i++)
        enable_x2apic(i);
    m.destination = 6;
    assert_int_equal(reached(&m), 6);
    m.destination = 0x00020020;
    assert_int_equal(reached(&m), 8);
    m.destination = 0x00020001;
    assert_int_equal(reached(&m), 0);
}

static void test_shorthands(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CPUS; i++)
        enable(i);
    put(1, LAPIC_ICR_LOW, 0x44000 | 0x40); /* self */
    assert_int_equal(world->sends[1], 0);
    assert_int_equal(take(1), 0x40);
    put(1, LAPIC_ICR_LOW, 0x84000 | 0x41); /* all */
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_sync(&world->apic[i]);
        assert_int_equal(take(i), 0x41);
    }
    put(1, LAPIC_ICR_LOW, 0xC4000 | 0x42); /* others */
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_sync(&world->apic[i]);
        assert_int_equal(take(i), i == 1 ? -1 : 0x42);
    }
    put(1, LAPIC_ICR_LOW, 0xC4400); /* NMI to the others */
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_sync(&world->apic[i]);
        assert_int_equal(lapic_take_nmi(&world->apic[i]), i != 1);
    }
    put(1, LAPIC_ICR_LOW, 0x84500); /* INIT to all including self: not a valid combination */
    put(1, LAPIC_ICR_LOW, 0x44600); /* nor SIPI to self */
    put(1, LAPIC_ICR_LOW, 0x04700); /* nor ExtINT */
    put(1, LAPIC_ICR_LOW, 0x04300); /* nor the reserved mode */
    for (unsigned i = 0; i < CPUS; i++)
        assert_int_equal(lapic_attention(&world->apic[i]), 0);
    put(1, LAPIC_ICR_LOW, 0x44400); /* NMI to self */
    assert_true(lapic_take_nmi(&world->apic[1]));
}

static void test_icr_destination(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CPUS; i++)
        enable(i);
    put(0, LAPIC_ICR_HIGH, 3u << 24);
    put(0, LAPIC_ICR_LOW, 0x4055);
    lapic_sync(&world->apic[3]);
    assert_int_equal(take(3), 0x55);
    assert_int_equal(world->kicks[3], 1);
    put(0, LAPIC_ICR_HIGH, 0xFFu << 24);
    put(0, LAPIC_ICR_LOW, 0x4056);
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_sync(&world->apic[i]);
        assert_int_equal(take(i), 0x56);
    }
    assert_int_equal(world->kicks[0], 0); /* its own share took no detour */
    put(0, LAPIC_ICR_HIGH, 0);
    put(0, LAPIC_ICR_LOW, 0x4057); /* to itself by id */
    assert_int_equal(take(0), 0x57);
    put(0, LAPIC_ICR_HIGH, 2u << 24);
    put(0, LAPIC_ICR_LOW, 0xC057); /* the level bit of an IPI is overridden */
    lapic_sync(&world->apic[2]);
    assert_int_equal(take(2), 0x57);
    assert_int_equal(world->eois, 0);
}

static void test_route_from_device(void **state)
{
    (void)state;
    struct irq_message m = { .destination = 0xFF, .vector = 0x66 };
    for (unsigned i = 0; i < CPUS; i++)
        enable(i);
    assert_int_equal(lapic_route(world->all, CPUS, NULL, LAPIC_TO_DESTINATION, &m), CPUS);
    m.destination = 0x40;
    assert_int_equal(lapic_route(world->all, CPUS, NULL, LAPIC_TO_DESTINATION, &m), 0);
    assert_int_equal(lapic_route(world->all, CPUS, NULL, LAPIC_TO_SELF, &m), 0);
    assert_int_equal(lapic_route(world->all, CPUS, &world->apic[0], LAPIC_TO_SELF, &m), 1);
    m.destination = 0xFF; /* from a processor in x2APIC mode, 0xFF is an id */
    assert_int_equal(lapic_route(world->all, CPUS, &world->apic[0], LAPIC_TO_DESTINATION, &m), 0);
}

static void test_lowest_priority(void **state)
{
    (void)state;
    struct irq_message m = { .destination = 0xF, .vector = 0x70, .delivery = IRQ_LOWEST,
                             .logical = true };
    unsigned seen = 0;
    assert_int_equal(lapic_route(world->all, CPUS, NULL, LAPIC_TO_DESTINATION, &m), 0);
    for (unsigned i = 0; i < CPUS; i++) {
        enable(i);
        put(i, LAPIC_LDR, 1u << (24 + i));
        put(i, LAPIC_TPR, i == 2 ? 0x10 : 0x40);
    }
    assert_int_equal(lapic_route(world->all, CPUS, NULL, LAPIC_TO_DESTINATION, &m), 1);
    lapic_sync(&world->apic[2]);
    assert_int_equal(take(2), 0x70);
    for (unsigned i = 0; i < CPUS; i++)
        put(i, LAPIC_TPR, 0);
    for (unsigned vector = 0x70; vector < 0x74; vector++) {
        m.vector = (uint8_t)vector;
        assert_int_equal(lapic_route(world->all, CPUS, NULL, LAPIC_TO_DESTINATION, &m), 1);
    }
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_sync(&world->apic[i]);
        seen |= (unsigned)(take(i) >= 0x70) << i;
    }
    assert_int_equal(seen, 15); /* equals share */
    put(0, LAPIC_SVR, 0xFF);
    m.destination = 1;
    assert_int_equal(lapic_route(world->all, CPUS, NULL, LAPIC_TO_DESTINATION, &m), 0);
    put(1, LAPIC_ICR_LOW, 0xC4100 | 0x75); /* one of the others */
    unsigned got = 0;
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_sync(&world->apic[i]);
        got += take(i) == 0x75;
        assert_false(i == 1 && got);
    }
    assert_int_equal(got, 1);
}

/* ---- LINT pins ---- */

static void test_pic_through_lint0(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    assert_false(lapic_accepts_pic(lapic)); /* masked after reset */
    lapic_set_lint(lapic, 0, true);
    lapic_sync(lapic);
    assert_false(lapic_extint_pending(lapic));
    assert_int_equal(lapic_attention(lapic), 0);
    enable(0);
    put(0, LAPIC_LVT_LINT0, 0x700);
    assert_true(lapic_accepts_pic(lapic));
    assert_true(lapic_extint_pending(lapic)); /* the level counts, not the edge */
    assert_int_not_equal(lapic_attention(lapic), 0);
    lapic_extint_taken(lapic);
    assert_true(lapic_extint_pending(lapic)); /* INTR is still high */
    lapic_set_lint(lapic, 0, false);
    assert_int_equal(world->kicks[0], 1); /* falling needs no kick */
    assert_false(lapic_extint_pending(lapic));
    assert_int_equal(lapic_attention(lapic), 0);
    lapic_set_lint(lapic, 0, true);
    lapic_set_lint(lapic, 0, true);
    assert_int_equal(world->kicks[0], 2);
    lapic_sync(lapic);
    assert_true(lapic_extint_pending(lapic));
    put(0, LAPIC_LVT_LINT0, 0x10700);
    assert_false(lapic_extint_pending(lapic));
}

static void test_pins_of_a_disabled_apic(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    assert_int_equal(lapic_base_write(lapic, 0xFEE00100), LAPIC_BASE_CHANGED);
    lapic_set_lint(lapic, 0, true);
    lapic_set_lint(lapic, 1, true);
    lapic_sync(lapic);
    assert_true(lapic_extint_pending(lapic)); /* INTR */
    assert_true(lapic_take_nmi(lapic));
}

static void test_extint_message(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    post_mode(0, IRQ_EXTINT, 0);
    lapic_sync(lapic);
    assert_true(lapic_extint_pending(lapic));
    lapic_extint_taken(lapic);
    assert_false(lapic_extint_pending(lapic));
    struct irq_message m = { .delivery = IRQ_EXTINT };
    lapic_route(world->all, CPUS, &world->apic[0], LAPIC_TO_DESTINATION, &m);
    assert_true(lapic_extint_pending(lapic));
}

static void test_lint_fixed_edge(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    lapic_set_lint(lapic, 0, true); /* masked: the edge is lost */
    lapic_sync(lapic);
    put(0, LAPIC_LVT_LINT0, 0x31);
    assert_int_equal(take(0), -1);
    lapic_set_lint(lapic, 0, false);
    lapic_set_lint(lapic, 0, true);
    lapic_sync(lapic);
    assert_int_equal(take(0), 0x31);
    put(0, LAPIC_LVT_LINT1, 0x400);
    lapic_set_lint(lapic, 1, true);
    lapic_sync(lapic);
    assert_true(lapic_take_nmi(lapic));
    put(0, LAPIC_LVT_LINT1, 0x8032); /* level makes no difference on LINT1 */
    lapic_set_lint(lapic, 1, false);
    lapic_set_lint(lapic, 1, true);
    lapic_sync(lapic);
    assert_int_equal(take(0), 0x32);
    assert_int_equal(world->eois, 0);
}

static void test_lint0_fixed_level(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    put(0, LAPIC_LVT_LINT0, 0x8031);
    lapic_set_lint(lapic, 0, true);
    lapic_sync(lapic);
    assert_int_equal(get(0, LAPIC_LVT_LINT0), 0xC031);
    put(0, LAPIC_LVT_LINT0, 0x8031); /* remote IRR is read-only */
    assert_int_equal(get(0, LAPIC_LVT_LINT0), 0xC031);
    assert_int_equal(take(0), 0x31); /* its EOI finds the pin still high */
    assert_int_equal(take(0), 0x31);
    lapic_set_lint(lapic, 0, false);
    assert_int_equal(take(0), 0x31);
    assert_int_equal(take(0), -1);
    assert_int_equal(get(0, LAPIC_LVT_LINT0), 0x8031);
    lapic_set_lint(lapic, 0, true);
    lapic_sync(lapic);
    put(0, LAPIC_LVT_LINT0, 0x31); /* to edge: remote IRR is cleared */
    assert_int_equal(get(0, LAPIC_LVT_LINT0), 0x31);
}

/* ---- timer: 4 TSC ticks are one timer tick ---- */

static void test_one_shot(void **state)
{
    (void)state;
    enable(0);
    put(0, LAPIC_LVT_TIMER, 0x40);
    put(0, LAPIC_DIVIDE, 0xB); /* by 1 */
    put(0, LAPIC_INITIAL_COUNT, 100);
    assert_int_equal(world->deadline[0], 1400);
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 100);
    world->tsc = 1007;
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 99);
    run_until(0, 1399);
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 1);
    assert_int_equal(take(0), -1);
    run_until(0, 1400);
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 0);
    assert_int_equal(take(0), 0x40);
    assert_int_equal(world->deadline[0], 0);
    assert_int_equal(get(0, LAPIC_INITIAL_COUNT), 100);
    put(0, LAPIC_INITIAL_COUNT, 50);
    put(0, LAPIC_INITIAL_COUNT, 0); /* stops */
    assert_int_equal(world->deadline[0], 0);
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 0);
}

static void test_divider(void **state)
{
    (void)state;
    static const struct { uint32_t dcr, by; } rows[] = {
        { 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 }, { 9, 64 }, { 10, 128 }, { 11, 1 },
    };
    enable(0);
    put(0, LAPIC_LVT_TIMER, 0x40);
    for (size_t i = 0; i < HV_ARRAY_COUNT(rows); i++) {
        world->tsc = 1000;
        put(0, LAPIC_DIVIDE, rows[i].dcr);
        put(0, LAPIC_INITIAL_COUNT, 10);
        assert_int_equal(world->deadline[0], 1000 + 40 * rows[i].by);
        world->tsc += 4 * rows[i].by;
        assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 9);
        put(0, LAPIC_INITIAL_COUNT, 0);
    }
    put(0, LAPIC_DIVIDE, 11);
    world->tsc = 1000;
    put(0, LAPIC_INITIAL_COUNT, 10);
    world->tsc = 1020;
    put(0, LAPIC_DIVIDE, 0); /* while it runs: the rest takes twice as long */
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 5);
    assert_int_equal(world->deadline[0], 1060);
}

static void test_periodic_does_not_drift(void **state)
{
    (void)state;
    struct lapic_config config = config_of(0);
    config.timer_numerator = 3; /* a period of 1000 ticks is 2333.33 of the TSC */
    config.timer_denominator = 7;
    make_apic(0, &config);
    enable(0);
    put(0, LAPIC_LVT_TIMER, 0x20040);
    put(0, LAPIC_DIVIDE, 0xB);
    put(0, LAPIC_INITIAL_COUNT, 1000);
    for (uint64_t period = 1; period <= 3000; period++) {
        uint64_t want = 1000 + (period * 7000 + 2) / 3;
        assert_int_equal(world->deadline[0], want);
        world->tsc = want + period % 50; /* late, by turns */
        world->deadline[0] = 0;
        lapic_timer_fired(&world->apic[0]);
        assert_int_equal(take(0), 0x40);
        assert_in_range(get(0, LAPIC_CURRENT_COUNT), 970, 1000);
    }
    world->tsc += 50 * 7000 / 3 + 40; /* many periods late: one interrupt, and the rhythm is kept */
    lapic_timer_fired(&world->apic[0]);
    assert_int_equal(take(0), 0x40);
    assert_int_equal(take(0), -1);
    assert_int_equal(world->deadline[0], 1000 + (3051 * 7000 + 2) / 3);
}

static void test_masked_timer_counts_silently(void **state)
{
    (void)state;
    enable(0);
    put(0, LAPIC_LVT_TIMER, 0x10040);
    put(0, LAPIC_DIVIDE, 0xB);
    put(0, LAPIC_INITIAL_COUNT, 100);
    assert_int_equal(world->deadline[0], 0);
    world->tsc = 1200;
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 50);
    put(0, LAPIC_LVT_TIMER, 0x40);
    assert_int_equal(world->deadline[0], 1400);
    put(0, LAPIC_LVT_TIMER, 0x10040);
    assert_int_equal(world->deadline[0], 0);
    world->tsc = 1500;
    put(0, LAPIC_LVT_TIMER, 0x40); /* it expired while masked: no interrupt */
    assert_int_equal(take(0), -1);
    assert_int_equal(world->deadline[0], 0);
    put(0, LAPIC_INITIAL_COUNT, 10);
    world->tsc = 1600; /* expired unmasked, the callback is still under way */
    put(0, LAPIC_LVT_TIMER, 0x10040);
    assert_int_equal(take(0), 0x40);
}

static void test_mode_changes(void **state)
{
    (void)state;
    enable(0);
    put(0, LAPIC_DIVIDE, 0xB);
    put(0, LAPIC_LVT_TIMER, 0x20040);
    put(0, LAPIC_INITIAL_COUNT, 100);
    world->tsc = 1200;
    put(0, LAPIC_LVT_TIMER, 0x40); /* periodic to one-shot: this count still ends */
    assert_int_equal(world->deadline[0], 1400);
    world->tsc = 1300;
    put(0, LAPIC_LVT_TIMER, 0x20040); /* and back: reloads from there */
    assert_int_equal(world->deadline[0], 1400);
    run_until(0, 1400);
    assert_int_equal(take(0), 0x40);
    assert_int_equal(world->deadline[0], 1800);
    put(0, LAPIC_LVT_TIMER, 0x40040); /* to deadline mode: disarmed */
    assert_int_equal(world->deadline[0], 0);
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 0);
    put(0, LAPIC_INITIAL_COUNT, 77); /* ignored there */
    assert_int_equal(world->deadline[0], 0);
    lapic_tsc_deadline_write(&world->apic[0], 5000);
    put(0, LAPIC_LVT_TIMER, 0x40);
    assert_int_equal(world->deadline[0], 0);
    assert_int_equal(lapic_tsc_deadline_read(&world->apic[0]), 0);
    put(0, LAPIC_LVT_TIMER, 0x60040); /* the reserved mode never fires */
    put(0, LAPIC_INITIAL_COUNT, 77);
    assert_int_equal(world->deadline[0], 0);
}

static void test_tsc_deadline(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    lapic_tsc_deadline_write(lapic, 2000); /* not in deadline mode: ignored */
    assert_int_equal(lapic_tsc_deadline_read(lapic), 0);
    put(0, LAPIC_LVT_TIMER, 0x400E0);
    lapic_tsc_deadline_write(lapic, 2000);
    assert_int_equal(lapic_tsc_deadline_read(lapic), 2000);
    assert_int_equal(world->deadline[0], 2000);
    lapic_tsc_deadline_write(lapic, 3000);
    run_until(0, 2999);
    assert_int_equal(take(0), -1);
    run_until(0, 3000);
    assert_int_equal(take(0), 0xE0);
    assert_int_equal(lapic_tsc_deadline_read(lapic), 0);
    lapic_tsc_deadline_write(lapic, 5); /* long past: at once */
    assert_int_equal(lapic_tsc_deadline_read(lapic), 0);
    run_until(0, 3001);
    assert_int_equal(take(0), 0xE0);
    lapic_tsc_deadline_write(lapic, 4000);
    lapic_tsc_deadline_write(lapic, 0);
    assert_int_equal(world->deadline[0], 0);
    lapic_timer_fired(lapic); /* a callback that was already under way */
    assert_int_equal(take(0), -1);
    put(0, LAPIC_LVT_TIMER, 0x500E0); /* masked: passes without a trace */
    lapic_tsc_deadline_write(lapic, 4000);
    assert_int_equal(world->deadline[0], 0);
    assert_int_equal(lapic_tsc_deadline_read(lapic), 4000);
    world->tsc = 4500;
    put(0, LAPIC_LVT_TIMER, 0x400E0);
    assert_int_equal(take(0), -1);
    assert_int_equal(lapic_tsc_deadline_read(lapic), 0);
}

/* "TSC-Deadline Mode": the divide configuration is none of its business. */
static void test_the_divider_leaves_a_deadline_alone(void **state)
{
    (void)state;
    enable(0);
    put(0, LAPIC_LVT_TIMER, 0x400E0);
    lapic_tsc_deadline_write(&world->apic[0], 2000);
    for (uint32_t divide = 0; divide < 16; divide++)
        put(0, LAPIC_DIVIDE, divide & 11);
    assert_int_equal(lapic_tsc_deadline_read(&world->apic[0]), 2000);
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 0);
    run_until(0, 1999);
    assert_int_equal(take(0), -1);
    run_until(0, 2000);
    assert_int_equal(take(0), 0xE0);
}

static bool irr(unsigned cpu, uint8_t vector)
{
    return get(cpu, LAPIC_IRR + vector / 32u * 16) >> (vector % 32) & 1;
}

/* The short ways do what the long ones do, or nothing. */
static void test_deadline_short_ways(void **state)
{
    static const uint32_t others[] = { 0xE0, 0x200E0, 0x500E0, 0x600E0 };
    struct lapic *lapic = &world->apic[0];

    (void)state;
    enable(0);
    for (unsigned i = 0; i < 4; i++) {
        put(0, LAPIC_LVT_TIMER, others[i]);
        assert_false(lapic_tsc_deadline_take(lapic, 2000));
        assert_int_equal(lapic_tsc_deadline_read(lapic), 0);
    }
    put(0, LAPIC_LVT_TIMER, 0x400E0);
    assert_false(lapic_tsc_deadline_take(lapic, 0));
    assert_int_equal(lapic_tsc_deadline_expire(lapic), -1); /* nothing runs */
    assert_true(lapic_tsc_deadline_take(lapic, 2000));
    assert_int_equal(lapic_tsc_deadline_read(lapic), 2000);
    world->tsc = 2000;
    assert_int_equal(lapic_tsc_deadline_expire(lapic), 0xE0);
    assert_true(irr(0, 0xE0));
    assert_int_equal(lapic_tsc_deadline_read(lapic), 0);
    assert_int_equal(lapic_pending_vector(lapic), -1); /* somebody else delivers it */
    lapic_page_changed(lapic);
    assert_int_equal(take(0), 0xE0);
    assert_true(lapic_tsc_deadline_take(lapic, 3000));
    put(0, LAPIC_LVT_TIMER, 0x500E0);
    assert_int_equal(lapic_tsc_deadline_expire(lapic), -1); /* masked since */
    put(0, LAPIC_LVT_TIMER, 0x40005);
    assert_int_equal(lapic_tsc_deadline_expire(lapic), -1); /* an illegal vector */
    assert_int_equal(lapic_tsc_deadline_read(lapic), 3000);
    put(0, LAPIC_SVR, 0xFF);
    assert_int_equal(lapic_tsc_deadline_expire(lapic), -1); /* switched off */
}

/* A vector that comes while the priority is as high waits for the priority to sink, on every way by
 * which it may come. */
static void test_requests_below_the_priority(void **state)
{
    struct lapic *lapic = &world->apic[0];

    (void)state;
    enable(0);
    put(0, LAPIC_LVT_TIMER, 0x400A1);
    put(0, LAPIC_TPR, 0xA0);
    lapic_tsc_deadline_write(lapic, 2000);
    run_until(0, 2000);
    assert_true(irr(0, 0xA1));
    assert_int_equal(lapic_pending_vector(lapic), -1);
    assert_false(lapic_vector_waits(lapic));
    put(0, LAPIC_ICR_LOW, 0x000400B2); /* to itself */
    assert_int_equal(lapic_pending_vector(lapic), 0xB2);
    assert_true(lapic_vector_waits(lapic));
    put(0, LAPIC_ICR_LOW, 0x00040093); /* a lower one takes nothing away */
    assert_int_equal(take(0), 0xB2);
    assert_int_equal(lapic_pending_vector(lapic), -1);
    put(0, LAPIC_TPR, 0);
    assert_int_equal(take(0), 0xA1);
    assert_int_equal(take(0), 0x93);
    assert_int_equal(take(0), -1);
}

static void test_early_callback_arms_again(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    put(0, LAPIC_LVT_TIMER, 0x400E0);
    lapic_tsc_deadline_write(lapic, 2000);
    world->deadline[0] = 0;
    world->tsc = 1990;
    lapic_timer_fired(lapic);
    assert_int_equal(world->deadline[0], 2000);
    assert_int_equal(take(0), -1);
}

static void test_tsc_jump(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    lapic_tsc_changed(lapic, 500); /* nothing runs */
    put(0, LAPIC_LVT_TIMER, 0x40);
    put(0, LAPIC_DIVIDE, 0xB);
    put(0, LAPIC_INITIAL_COUNT, 100);
    world->tsc = 1100 + 5000;
    lapic_tsc_changed(lapic, 5000);
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 75);
    assert_int_equal(world->deadline[0], 6400);
    world->tsc = 10;
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 100);
    put(0, LAPIC_LVT_TIMER, 0x40040);
    lapic_tsc_deadline_write(lapic, 9000);
    world->deadline[0] = 0;
    lapic_tsc_changed(lapic, -100);
    assert_int_equal(world->deadline[0], 9000);
}

static void test_reset_stops_the_timer(void **state)
{
    (void)state;
    enable(0);
    put(0, LAPIC_LVT_TIMER, 0x20040);
    put(0, LAPIC_INITIAL_COUNT, 100);
    assert_int_not_equal(world->deadline[0], 0);
    lapic_reset_init(&world->apic[0]);
    assert_int_equal(world->deadline[0], 0);
    assert_int_equal(get(0, LAPIC_INITIAL_COUNT), 0);
}

static void test_lvt_modes(void **state)
{
    (void)state;
    enable(0);
    put(0, LAPIC_LVT_LINT1, 0x500); /* INIT */
    lapic_set_lint(&world->apic[0], 1, true);
    lapic_sync(&world->apic[0]);
    assert_true(lapic_take_init(&world->apic[0]));
    put(0, LAPIC_LVT_TIMER, 0x7); /* an illegal vector when it fires */
    put(0, LAPIC_INITIAL_COUNT, 1);
    run_until(0, 2000);
    assert_int_equal(take(0), -1);
    put(0, LAPIC_ESR, 0);
    assert_int_equal(get(0, LAPIC_ESR), LAPIC_ESR_RECEIVE_ILLEGAL_VECTOR);
}

static void test_reserved_lvt_modes(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    static const uint32_t modes[] = { 1, 2, 3, 6 }; /* lowest, SMI, reserved, start-up */
    enable(0);
    for (size_t i = 0; i < HV_ARRAY_COUNT(modes); i++) {
        put(0, LAPIC_LVT_LINT1, modes[i] << 8 | 0x40);
        lapic_set_lint(lapic, 1, false);
        lapic_set_lint(lapic, 1, true);
        lapic_sync(lapic);
        assert_int_equal(lapic_attention(lapic), 0);
    }
    put(0, LAPIC_LVT_LINT1, 0x700); /* ExtINT through LINT1 */
    lapic_set_lint(lapic, 1, false);
    lapic_set_lint(lapic, 1, true);
    lapic_sync(lapic);
    assert_true(lapic_extint_pending(lapic));
}

static void test_one_shot_read_past_its_end(void **state)
{
    (void)state;
    enable(0);
    put(0, LAPIC_LVT_TIMER, 0x40);
    put(0, LAPIC_INITIAL_COUNT, 10);
    world->tsc = 5000; /* the callback is still under way */
    assert_int_equal(get(0, LAPIC_CURRENT_COUNT), 0);
    put(0, LAPIC_LVT_TIMER, 0x20040); /* it takes effect before the mode does */
    assert_int_equal(take(0), 0x40);
    assert_int_equal(world->deadline[0], 0);
}

static void test_page_changed(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    enable(0);
    lapic->page[(LAPIC_IRR + 0x20) / 4] = 1; /* as virtual-interrupt delivery would */
    lapic_page_changed(lapic);
    assert_int_equal(lapic_pending_vector(lapic), 0x40);
}

/* ---- several cores for real ---- */

#define ROUNDS 20000

static void *poster(void *argument)
{
    uint8_t base = *(uint8_t *)argument;
    for (unsigned i = 0; i < ROUNDS; i++)
        post(0, (uint8_t)(base + i % 16), i & 1);
    return NULL;
}

/* No vector of the last round may get lost, whatever the interleaving. */
static void test_concurrent_posting(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[0];
    pthread_t threads[3];
    uint8_t bases[3] = { 0x40, 0x50, 0x60 };
    enable(0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, poster, &bases[i]), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (lapic_attention(lapic))
            lapic_sync(lapic);
        take(0);
    }
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    post(0, 0x40, false);
    lapic_sync(lapic);
    while (take(0) >= 0)
        continue;
    assert_int_equal(lapic_attention(lapic), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(lapic->posted.pir[i], 0);
}

/* --- what belongs to a vCPU that owns its core --- */

static void test_x2apic_only(void **state)
{
    (void)state;
    struct lapic *lapic = &world->apic[1];
    struct lapic_config config = config_of(1);
    uint64_t value, base;
    config.x2apic_only = true;
    make_apic(1, &config);
    base = lapic_base_read(lapic);
    assert_int_equal(base, LAPIC_DEFAULT_BASE | LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC);
    assert_true(lapic_msr_read(lapic, 0x802, &value));
    assert_int_equal(value, 1);
    /* SDM "IA32_XAPIC_DISABLE_STATUS": leaving x2APIC mode is #GP, writing the same is not. */
    assert_int_equal(lapic_base_write(lapic, base), LAPIC_BASE_SAME);
    assert_int_equal(lapic_base_write(lapic, base & ~LAPIC_BASE_X2APIC), LAPIC_BASE_FAULT);
    assert_int_equal(lapic_base_write(lapic, LAPIC_DEFAULT_BASE), LAPIC_BASE_FAULT);
    lapic_reset_init(lapic);
    assert_true(lapic_is_x2apic(lapic));
    lapic_reset(lapic);
    assert_true(lapic_is_x2apic(lapic));

    struct lapic_env env = { env_now, env_arm, env_cancel, env_send, env_eoi, env_kick, &seats[1],
                             NULL };
    config.has_x2apic = false;
    assert_int_equal(lapic_init(lapic, &config, &env), HV_ERR_INVALID);
}

static bool taken_directly;
static unsigned direct_vector;

static bool env_direct(void *context, uint8_t vector)
{
    (void)context;
    direct_vector = vector;
    return taken_directly;
}

/* Only edges go another way, only when that way is open, and never into an APIC that is off. */
static void test_post_fixed(void **state)
{
    (void)state;
    struct lapic_config config = config_of(1);
    struct lapic_env env = { env_now, env_arm, env_cancel, env_send, env_eoi, env_kick, &seats[1],
                             env_direct };
    struct irq_message message = { .destination = 1, .vector = 0x51, .asserted = true };
    struct lapic *lapic = &world->apic[1];
    bool level;
    assert_int_equal(lapic_init(lapic, &config, &env), HV_OK);
    taken_directly = true;
    direct_vector = 0;
    lapic_post(lapic, &message);
    assert_int_equal(direct_vector, 0);
    lapic_mmio_write(lapic, LAPIC_SVR, 4, 0x1ff);
    lapic_post(lapic, &message);
    assert_int_equal(direct_vector, 0x51);
    assert_int_equal(lapic_attention(lapic), 0);
    message.vector = 8;
    lapic_post(lapic, &message); /* illegal: an error, not an interrupt */
    assert_int_equal(direct_vector, 0x51);
    lapic_sync(lapic);
    assert_int_equal(lapic->esr_pending, LAPIC_ESR_RECEIVE_ILLEGAL_VECTOR);

    taken_directly = false;
    message.vector = 0x52;
    lapic_post(lapic, &message);
    message.vector = 0x53;
    message.level_triggered = true;
    lapic_post(lapic, &message);
    assert_int_equal(direct_vector, 0x52);
    lapic_sync(lapic);
    assert_int_equal(lapic_hand_over(lapic, &level), 0x53);
    assert_true(level);
    assert_int_equal(lapic_hand_over(lapic, &level), 0x52);
    assert_false(level);
    assert_int_equal(lapic_hand_over(lapic, &level), -1);
    assert_int_equal(lapic_attention(lapic), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(reset_values), T(boot_processor_is_in_virtual_wire_mode), T(init_refusals),
        T(priority_and_eoi_order), T(tpr_masks_and_cr8),
        T(every_vector), T(level_eoi_and_tmr), T(eoi_broadcast_suppression), T(software_disable),
        T(esr), T(error_entry_with_illegal_vector), T(mmio_sizes), T(writable_bits),
        T(no_deadline_mode_without_cpuid), T(x2apic_msr_faults), T(x2apic_reserved_bits),
        T(x2apic_identity), T(x2apic_icr_and_self_ipi), T(x2apic_eoi), T(apic_base_transitions),
        T(apic_base_reserved_and_relocation), T(disabling_resets), T(nmi_collapses),
        T(init_sipi_sipi), T(sipi_latched_while_init_is_handled), T(sipi_ignored_when_running),
        T(init_deassert_does_nothing), T(init_keeps_mode_and_id), T(match_physical_and_broadcast),
        T(match_logical_flat), T(match_logical_cluster), T(match_logical_x2apic), T(shorthands),
        T(icr_destination), T(route_from_device), T(lowest_priority), T(pic_through_lint0),
        T(pins_of_a_disabled_apic), T(extint_message), T(lint_fixed_edge), T(lint0_fixed_level),
        T(one_shot), T(divider), T(periodic_does_not_drift), T(masked_timer_counts_silently),
        T(mode_changes), T(tsc_deadline), T(the_divider_leaves_a_deadline_alone),
        T(early_callback_arms_again), T(deadline_short_ways),
        T(requests_below_the_priority), T(tsc_jump),
        T(reset_stops_the_timer), T(lvt_modes), T(reserved_lvt_modes),
        T(one_shot_read_past_its_end), T(page_changed), T(concurrent_posting),
        T(x2apic_only), T(post_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
