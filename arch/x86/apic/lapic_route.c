/*
 * The guest's local APIC as other cores see it: posting to it, and finding whom a message means.
 *
 * No lock. Everything here may run on any core: it reads `published` and the configuration, and
 * writes only `posted`, `lint_level` and attention.half.posted, all of them atomically.
 * Source: SDM volume 3, "Determining IPI Destination", "Interrupt Distribution with ...",
 * "Logical Destination Mode in x2APIC Mode".
 */
#include "lapic_internal.h"

/* Kicks only when nothing was posted before: else a kick is already on its way, and the owner has
 * not merged since. */
static void post_attention(struct lapic *lapic, uint32_t bits)
{
    uint32_t before = __atomic_fetch_or(&lapic->attention.half.posted, bits, __ATOMIC_SEQ_CST);
    if (before == 0)
        lapic->env.kick(lapic->env.context);
}

static uint64_t published(const struct lapic *lapic)
{
    return __atomic_load_n(&lapic->published, __ATOMIC_ACQUIRE);
}

static void post_fixed(struct lapic *lapic, uint8_t vector, bool level)
{
    struct lapic_posted *posted = &lapic->posted;
    unsigned word = vector / 64;
    uint64_t bit = UINT64_C(1) << (vector % 64);

    if (!(published(lapic) & PUBLISHED_SW_ENABLED))
        return;
    if (vector < FIRST_LEGAL_VECTOR) {
        post_attention(lapic, LAPIC_ATTENTION_BAD_VECTOR);
        return;
    }
    if (!level && lapic->env.post_fixed && lapic->env.post_fixed(lapic->env.context, vector))
        return;
    bool was_level = (__atomic_load_n(&posted->level[word], __ATOMIC_RELAXED) & bit) != 0;
    if (level && !was_level)
        __atomic_fetch_or(&posted->level[word], bit, __ATOMIC_RELAXED);
    else if (!level && was_level)
        __atomic_fetch_and(&posted->level[word], ~bit, __ATOMIC_RELAXED);
    __atomic_fetch_or(&posted->pir[word], bit, __ATOMIC_RELEASE);
    post_attention(lapic, LAPIC_ATTENTION_VECTOR);
}

/* INIT and SIPI have an order: INIT throws away a SIPI that came before it, and of several SIPIs
 * the first counts. */
static void post_init(struct lapic *lapic)
{
    const uint32_t sipi = LAPIC_ATTENTION_SIPI | 0xFFu << LAPIC_ATTENTION_SIPI_VECTOR_SHIFT;
    uint32_t *word = &lapic->attention.half.posted;
    uint32_t before = __atomic_load_n(word, __ATOMIC_RELAXED);

    while (!__atomic_compare_exchange_n(word, &before, (before & ~sipi) | LAPIC_ATTENTION_INIT,
                                        false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        continue;
    if (before == 0)
        lapic->env.kick(lapic->env.context);
}

static void post_startup(struct lapic *lapic, uint8_t vector)
{
    uint32_t *word = &lapic->attention.half.posted;
    uint32_t before = __atomic_load_n(word, __ATOMIC_RELAXED);
    uint32_t after;

    do {
        if (before & LAPIC_ATTENTION_SIPI)
            return;
        after = before | LAPIC_ATTENTION_SIPI | (uint32_t)vector
                                                    << LAPIC_ATTENTION_SIPI_VECTOR_SHIFT;
    } while (!__atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    if (before == 0)
        lapic->env.kick(lapic->env.context);
}

void lapic_post(struct lapic *lapic, const struct irq_message *message)
{
    switch (message->delivery) {
    case IRQ_FIXED:
    case IRQ_LOWEST:
        post_fixed(lapic, message->vector, message->level_triggered);
        break;
    case IRQ_NMI:
        post_attention(lapic, LAPIC_ATTENTION_NMI);
        break;
    case IRQ_INIT:
        /* INIT level de-assert only synchronized arbitration ids, on old processors. */
        if (!message->level_triggered || message->asserted)
            post_init(lapic);
        break;
    case IRQ_STARTUP:
        post_startup(lapic, message->vector);
        break;
    case IRQ_EXTINT:
        post_attention(lapic, LAPIC_ATTENTION_EXTINT_EDGE);
        break;
    case IRQ_SMI: /* there is no system-management mode here */
        break;
    }
}

void lapic_level_vectors(const struct lapic *lapic, uint64_t bitmap[4])
{
    for (unsigned word = 0; word < 4; word++)
        bitmap[word] = lapic_level_word(lapic, word);
}

/* A falling pin is not posted: whoever looks at the pin reads its level. */
void lapic_set_lint(struct lapic *lapic, unsigned pin, bool level)
{
    uint32_t mask = 1u << (pin & 1);

    if (!level) {
        __atomic_fetch_and(&lapic->lint_level, ~mask, __ATOMIC_RELEASE);
        return;
    }
    uint32_t before = __atomic_fetch_or(&lapic->lint_level, mask, __ATOMIC_RELEASE);
    if (before & mask)
        return;
    post_attention(lapic, LAPIC_ATTENTION_LINT | ((pin & 1) == 0 ? LAPIC_ATTENTION_LINT0_EDGE
                                                                 : LAPIC_ATTENTION_LINT1_EDGE));
}

/* ---- destinations ---- */

static bool matches_logical_x2apic(uint32_t id, uint32_t destination)
{
    return destination >> 16 == id >> 4 && (destination & 1u << (id & 15)) != 0;
}

static bool matches_logical_xapic(uint64_t who, uint32_t destination)
{
    uint32_t ldr = (uint32_t)(who >> PUBLISHED_LDR_SHIFT) & 0xFF;

    if (destination > 0xFF)
        return false;
    if (who & PUBLISHED_FLAT)
        return (ldr & destination) != 0;
    return ldr >> 4 == destination >> 4 && (ldr & destination & 0xF) != 0;
}

bool lapic_matches(const struct lapic *lapic, const struct irq_message *message)
{
    uint64_t who = published(lapic);
    uint32_t id = (uint32_t)(who & PUBLISHED_ID);

    if (!(who & PUBLISHED_ENABLED))
        return false;
    if (message->destination == LAPIC_BROADCAST)
        return true;
    if (!message->logical)
        return message->destination == id;
    if (who & PUBLISHED_X2APIC)
        return matches_logical_x2apic(id, message->destination);
    return matches_logical_xapic(who, message->destination);
}

static void deliver_to(struct lapic *target, struct lapic *sender,
                       const struct irq_message *message)
{
    if (target == sender)
        lapic_take_message(target, message);
    else
        lapic_post(target, message);
}

static bool may_arbitrate(const struct lapic *lapic, const struct irq_message *message)
{
    return (published(lapic) & PUBLISHED_SW_ENABLED) && lapic_matches(lapic, message);
}

static uint32_t arbitration_class(const struct lapic *lapic)
{
    return __atomic_load_n(&lapic->page[LAPIC_PPR / 4], __ATOMIC_RELAXED) >> 4;
}

/* Arbitration by processor priority as it stands this moment; among equals the vector picks, so
 * that different sources spread over the processors. Priorities change under us: a second look may
 * find other equals, and `fallback` sees to it that the message is never lost. */
static unsigned route_lowest(struct lapic *const *all, unsigned count, struct lapic *sender,
                             const struct lapic *except, const struct irq_message *message)
{
    struct lapic *fallback = NULL;
    uint32_t best = UINT32_MAX;
    unsigned equals = 0;

    for (unsigned i = 0; i < count; i++) {
        if (all[i] == except || !may_arbitrate(all[i], message))
            continue;
        uint32_t class = arbitration_class(all[i]);
        equals = class < best ? 1 : equals + (class == best);
        if (class < best)
            fallback = all[i];
        best = class < best ? class : best;
    }
    if (!fallback)
        return 0;
    unsigned pick = message->vector % equals;
    for (unsigned i = 0; i < count && pick > 0; i++) {
        if (all[i] == except || all[i] == fallback || !may_arbitrate(all[i], message) ||
            arbitration_class(all[i]) != best)
            continue;
        if (--pick == 0)
            fallback = all[i];
    }
    deliver_to(fallback, sender, message);
    return 1;
}

static unsigned route_all(struct lapic *const *all, unsigned count, struct lapic *sender,
                          enum lapic_shorthand shorthand, const struct irq_message *message)
{
    unsigned reached = 0;

    for (unsigned i = 0; i < count; i++) {
        if (shorthand == LAPIC_TO_OTHERS && all[i] == sender)
            continue;
        if (!lapic_matches(all[i], message))
            continue;
        deliver_to(all[i], sender, message);
        reached++;
    }
    return reached;
}

unsigned lapic_route(struct lapic *const *all, unsigned count, struct lapic *sender,
                     enum lapic_shorthand shorthand, const struct irq_message *message)
{
    struct irq_message to = *message;

    if (shorthand == LAPIC_TO_SELF) {
        if (!sender)
            return 0;
        lapic_take_message(sender, &to);
        return 1;
    }
    if (shorthand != LAPIC_TO_DESTINATION || (!sender && to.destination == 0xFF))
        to.destination = LAPIC_BROADCAST;
    if (to.delivery == IRQ_LOWEST)
        return route_lowest(all, count, sender, shorthand == LAPIC_TO_OTHERS ? sender : NULL, &to);
    /* Physical ids usually equal the index: no need to ask everybody. */
    if (!to.logical && to.destination < count && lapic_matches(all[to.destination], &to)) {
        deliver_to(all[to.destination], sender, &to);
        return 1;
    }
    return route_all(all, count, sender, shorthand, &to);
}
