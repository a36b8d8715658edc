// SRCS: arch/x86/apic/lapic.c arch/x86/apic/lapic_irq.c arch/x86/apic/lapic_timer.c arch/x86/apic/lapic_route.c
/*
 * Two local APICs under any sequence of guest accesses, messages, pins and passing time. After each
 * step the state must be one that the hardware can reach.
 */
#include "fake.h"
#include "x86/lapic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CPUS 2

static struct lapic apic[CPUS];
static struct lapic *const all[CPUS] = { &apic[0], &apic[1] };
static uint64_t tsc, deadline[CPUS];
static unsigned self[CPUS] = { 0, 1 };

static uint64_t env_now(void *context)
{
    (void)context;
    return tsc;
}

static void env_arm(void *context, uint64_t at)
{
    deadline[*(unsigned *)context] = at ? at : 1;
}

static void env_cancel(void *context)
{
    deadline[*(unsigned *)context] = 0;
}

static void env_send(void *context, enum lapic_shorthand shorthand, const struct irq_message *m)
{
    lapic_route(all, CPUS, &apic[*(unsigned *)context], shorthand, m);
}

static void env_eoi(void *context, uint8_t vector)
{
    (void)context;
    if (vector < 16)
        abort();
}

static void env_kick(void *context)
{
    (void)context;
}

struct input {
    const uint8_t *at, *end;
};

static uint64_t take(struct input *in, unsigned bytes)
{
    uint64_t value = 0;
    while (bytes-- && in->at < in->end)
        value = value << 8 | *in->at++;
    return value;
}

static uint32_t reg(const struct lapic *l, uint32_t offset)
{
    return l->page[offset / 4];
}

static int highest(const struct lapic *l, uint32_t base)
{
    for (int v = 255; v >= 0; v--) {
        if (reg(l, base + (uint32_t)v / 32 * 16) >> (v % 32) & 1)
            return v;
    }
    return -1;
}

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check(const struct lapic *l)
{
    int requested = highest(l, LAPIC_IRR), serving = highest(l, LAPIC_ISR);
    uint32_t tpr = reg(l, LAPIC_TPR), serving_class = serving < 0 ? 0 : (uint32_t)serving & 0xF0;
    uint32_t ppr = (tpr & 0xF0) >= serving_class ? tpr : serving_class;
    bool deliverable = requested >= 0 && ((uint32_t)requested & 0xF0) > (ppr & 0xF0);

    require((reg(l, LAPIC_IRR) & 0xFFFF) == 0 && (reg(l, LAPIC_ISR) & 0xFFFF) == 0);
    require(reg(l, LAPIC_PPR) == ppr);
    require(((l->attention.half.owner & LAPIC_ATTENTION_VECTOR) != 0) == deliverable);
    require(lapic_pending_vector(l) == (deliverable ? requested : -1));
    require(lapic_is_enabled(l) || (requested < 0 && serving < 0));
    require((lapic_base_read(l) & 0xC00) != 0x400);
    require(tpr <= 0xFF && l->esr_pending <= 0xFF);
    if (l->timer_armed)
        require(l->timer_running && !(reg(l, LAPIC_LVT_TIMER) & 0x10000));
    if (!(reg(l, LAPIC_SVR) & 0x100)) {
        for (uint32_t lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 16)
            require(reg(l, lvt) & 0x10000);
    }
}

static void pass_time(unsigned cpu, uint64_t by)
{
    tsc += by;
    if (deadline[cpu] && deadline[cpu] <= tsc) {
        deadline[cpu] = 0;
        lapic_timer_fired(&apic[cpu]);
        /* One callback is enough: what is armed again lies ahead, unless the guest chose it. */
    }
}

static void post_any(struct lapic *l, struct input *in)
{
    static const enum irq_delivery modes[] = { IRQ_FIXED, IRQ_LOWEST, IRQ_NMI, IRQ_INIT,
                                               IRQ_STARTUP, IRQ_EXTINT, IRQ_SMI, IRQ_FIXED };
    uint8_t flags = (uint8_t)take(in, 1);
    struct irq_message m = {
        .vector = (uint8_t)take(in, 1),
        .delivery = modes[flags & 7],
        .level_triggered = flags & 8,
        .asserted = flags & 16,
        .logical = flags & 32,
        .destination = (uint32_t)take(in, flags & 64 ? 4 : 1),
    };
    if (flags & 128)
        lapic_post(l, &m);
    else
        lapic_route(all, CPUS, NULL, LAPIC_TO_DESTINATION, &m);
}

static void vcpu_step(struct lapic *l)
{
    uint8_t vector;
    lapic_sync(l);
    if (lapic_take_init(l))
        lapic_reset_init(l);
    lapic_take_nmi(l);
    lapic_take_sipi(l, true, &vector);
    if (lapic_extint_pending(l))
        lapic_extint_taken(l);
    if (lapic_pending_vector(l) >= 0)
        lapic_accept(l, (uint8_t)lapic_pending_vector(l));
}

static void step(unsigned cpu, uint8_t op, struct input *in)
{
    struct lapic *l = &apic[cpu];
    uint64_t value, bitmap[4];
    gpa_t base;
    uint32_t offset;

    switch (op % 14) {
    case 0:
        offset = (uint32_t)take(in, 1) << 4;
        lapic_mmio_write(l, offset, 4, take(in, 4));
        break;
    case 1:
        offset = (uint32_t)take(in, 2) & 0xFFF;
        lapic_mmio_write(l, offset, 1u << (take(in, 1) & 3), take(in, 8));
        break;
    case 2:
        offset = (uint32_t)take(in, 2) & 0xFFF;
        lapic_mmio_read(l, offset, 1u << (take(in, 1) & 3));
        break;
    case 3:
        offset = 0x800 + (uint32_t)take(in, 1);
        (void)!lapic_msr_write(l, offset, take(in, 4));
        break;
    case 4:
        (void)!lapic_msr_write(l, 0x800 + (uint32_t)take(in, 1), take(in, 8));
        break;
    case 5:
        (void)!lapic_msr_read(l, (uint32_t)take(in, 2), &value);
        break;
    case 6:
        (void)!lapic_base_write(l, take(in, 1) & 1 ? 0xFEE00000 | (take(in, 1) & 0xF) << 8
                                                   : take(in, 8));
        lapic_mmio_base(l, &base);
        break;
    case 7:
        lapic_tsc_deadline_write(l, take(in, 1) & 1 ? tsc + take(in, 2) : take(in, 8));
        lapic_tsc_deadline_read(l);
        break;
    case 8:
        lapic_cr8_write(l, (uint8_t)take(in, 1) & 15);
        break;
    case 9:
        post_any(l, in);
        break;
    case 10:
        lapic_set_lint(l, take(in, 1) & 1, take(in, 1) & 1);
        break;
    case 11:
        pass_time(cpu, take(in, take(in, 1) & 7));
        break;
    case 12:
        lapic_eoi(l);
        lapic_level_vectors(l, bitmap);
        break;
    default:
        vcpu_step(l);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    uint8_t flags = (uint8_t)take(&in, 1);

    tsc = take(&in, 4);
    for (unsigned i = 0; i < CPUS; i++) {
        struct lapic_env env = { env_now, env_arm, env_cancel, env_send, env_eoi, env_kick,
                                 &self[i], NULL };
        struct lapic_config config = {
            .id = i, .bsp = i == 0, .has_x2apic = flags & 1, .has_tsc_deadline = flags & 2,
            .suppress_eoi_broadcast = flags & 4, .physical_address_bits = 40,
            .timer_numerator = 1 + (flags >> 3 & 7), .timer_denominator = 1 + (flags >> 6),
        };
        deadline[i] = 0;
        if (lapic_init(&apic[i], &config, &env) != HV_OK)
            abort();
    }
    for (unsigned steps = 0; steps < 400 && in.at < in.end; steps++) {
        uint8_t op = (uint8_t)take(&in, 1);
        step(op >> 7, op & 0x7F, &in);
        check(&apic[0]);
        check(&apic[1]);
    }
    return 0;
}
