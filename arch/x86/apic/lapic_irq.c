/*
 * The guest's local APIC: what is pending, what may be delivered, and what the pins and the local
 * vector table raise. Not the registers' face to the guest (lapic.c) and not the way between cores
 * (lapic_route.c).
 *
 * No lock: only the owner's core comes here.
 * Source: SDM volume 3, "Handling Interrupts", "Interrupt, Task, and Processor Priority",
 * "Local Vector Table", "Error Handling".
 */
#include "lapic_internal.h"

/* Without a loop: this is part of every interrupt, more than once. Most often there is none. */
static inline bool any_vector(const struct lapic *lapic, uint32_t base)
{
    const uint32_t *words = &lapic->page[base / 4];

    return words[0] | words[4] | words[8] | words[12] | words[16] | words[20] | words[24] | words[28];
}

static inline int highest_vector(const struct lapic *lapic, uint32_t base)
{
    const uint32_t *words = &lapic->page[base / 4];
    unsigned word = words[28] ? 7 : words[24] ? 6 : words[20] ? 5 : words[16] ? 4
                  : words[12] ? 3 : words[8] ? 2 : words[4] ? 1 : 0;

    if (word == 0 && !words[0])
        return -1;
    return (int)word * 32 + 31 - __builtin_clz(words[word * 4]);
}

int lapic_highest(const struct lapic *lapic, uint32_t base)
{
    return highest_vector(lapic, base);
}

void lapic_update(struct lapic *lapic)
{
    uint32_t tpr = lapic_get(lapic, LAPIC_TPR);
    int in_service = any_vector(lapic, LAPIC_ISR) ? highest_vector(lapic, LAPIC_ISR) : -1;
    uint32_t service_class = in_service < 0 ? 0 : (uint32_t)in_service & 0xF0;
    uint32_t ppr = (tpr & 0xF0) >= service_class ? tpr : service_class;
    int requested = any_vector(lapic, LAPIC_IRR) ? highest_vector(lapic, LAPIC_IRR) : -1;

    lapic_put(lapic, LAPIC_PPR, ppr);
    if (requested >= 0 && ((uint32_t)requested & 0xF0) > (ppr & 0xF0))
        lapic_owner_set(lapic, LAPIC_ATTENTION_VECTOR);
    else
        lapic_owner_clear(lapic, LAPIC_ATTENTION_VECTOR);
}

void lapic_page_changed(struct lapic *lapic)
{
    lapic_update(lapic);
}

int lapic_pending_vector(const struct lapic *lapic)
{
    if (!(lapic->attention.half.owner & LAPIC_ATTENTION_VECTOR))
        return -1;
    return highest_vector(lapic, LAPIC_IRR);
}

void lapic_accept(struct lapic *lapic, uint8_t vector)
{
    lapic_vector_clear(lapic, LAPIC_IRR, vector);
    lapic_vector_set(lapic, LAPIC_ISR, vector);
    lapic_update(lapic);
}

int lapic_hand_over(struct lapic *lapic, bool *level_triggered)
{
    int vector = highest_vector(lapic, LAPIC_IRR);

    if (vector < 0)
        return -1;
    *level_triggered = lapic_vector_test(lapic, LAPIC_TMR, (uint8_t)vector);
    lapic_vector_clear(lapic, LAPIC_IRR, (uint8_t)vector);
    lapic_update(lapic);
    return vector;
}

/* A level-triggered LINT0 that is still high asks again once its interrupt has ended. */
static void eoi_lint0(struct lapic *lapic, uint8_t vector)
{
    uint32_t lvt = lapic_get(lapic, LAPIC_LVT_LINT0);

    if (!(lvt & LVT_REMOTE_IRR) || (lvt & LVT_VECTOR) != vector)
        return;
    lapic_put(lapic, LAPIC_LVT_LINT0, lvt & ~LVT_REMOTE_IRR);
    lapic_resample_pins(lapic);
}

void lapic_eoi(struct lapic *lapic)
{
    int highest = highest_vector(lapic, LAPIC_ISR);
    if (highest < 0)
        return;
    uint8_t vector = (uint8_t)highest;

    lapic_vector_clear(lapic, LAPIC_ISR, vector);
    if (HV_UNLIKELY(lapic_vector_test(lapic, LAPIC_TMR, vector))) {
        eoi_lint0(lapic, vector);
        if (!(lapic_get(lapic, LAPIC_SVR) & SVR_SUPPRESS_EOI))
            lapic->env.eoi(lapic->env.context, vector);
    }
    lapic_update(lapic);
}

void lapic_error(struct lapic *lapic, uint32_t esr_bits)
{
    bool is_new = (lapic->esr_pending & esr_bits) != esr_bits;
    uint32_t lvt = lapic_get(lapic, LAPIC_LVT_ERROR);

    lapic->esr_pending |= esr_bits;
    if (!is_new || (lvt & LVT_MASKED))
        return;
    /* An error entry whose own vector is illegal is one more error, not an endless one. */
    if ((lvt & LVT_VECTOR) < FIRST_LEGAL_VECTOR)
        lapic->esr_pending |= LAPIC_ESR_RECEIVE_ILLEGAL_VECTOR;
    else
        lapic_take_fixed(lapic, (uint8_t)(lvt & LVT_VECTOR), false);
}

void lapic_take_fixed(struct lapic *lapic, uint8_t vector, bool level)
{
    if (!lapic_is_sw_enabled(lapic))
        return;
    if (vector < FIRST_LEGAL_VECTOR) {
        lapic_error(lapic, LAPIC_ESR_RECEIVE_ILLEGAL_VECTOR);
        return;
    }
    if (level)
        lapic_vector_set(lapic, LAPIC_TMR, vector);
    else
        lapic_vector_clear(lapic, LAPIC_TMR, vector);
    lapic_vector_set(lapic, LAPIC_IRR, vector);
    lapic_note_requested(lapic, vector);
}

void lapic_take_edge(struct lapic *lapic, uint8_t vector)
{
    lapic_take_fixed(lapic, vector, false);
}

static void take_init(struct lapic *lapic)
{
    /* A SIPI that was sent before this INIT does not start the processor after it. */
    lapic_owner_clear(lapic, LAPIC_ATTENTION_SIPI);
    lapic_owner_set(lapic, LAPIC_ATTENTION_INIT);
}

static void take_startup(struct lapic *lapic, uint8_t vector)
{
    if (lapic->attention.half.owner & LAPIC_ATTENTION_SIPI)
        return;
    lapic->sipi_vector = vector;
    lapic_owner_set(lapic, LAPIC_ATTENTION_SIPI);
}

static void take_extint(struct lapic *lapic)
{
    lapic->extint_latched = true;
    lapic_owner_set(lapic, LAPIC_ATTENTION_EXTINT);
}

static void take_mode(struct lapic *lapic, enum irq_delivery delivery, uint8_t vector, bool level)
{
    switch (delivery) {
    case IRQ_FIXED:
    case IRQ_LOWEST:
        lapic_take_fixed(lapic, vector, level);
        break;
    case IRQ_NMI:
        lapic_owner_set(lapic, LAPIC_ATTENTION_NMI);
        break;
    case IRQ_INIT:
        take_init(lapic);
        break;
    case IRQ_STARTUP:
        take_startup(lapic, vector);
        break;
    case IRQ_EXTINT:
        take_extint(lapic);
        break;
    case IRQ_SMI: /* there is no system-management mode here */
        break;
    }
}

void lapic_take_message(struct lapic *lapic, const struct irq_message *message)
{
    take_mode(lapic, message->delivery, message->vector, message->level_triggered);
}

static enum irq_delivery lvt_delivery(uint32_t lvt)
{
    return (enum irq_delivery)((lvt & LVT_DELIVERY) >> LVT_DELIVERY_SHIFT);
}

/* Lowest priority and start-up are reserved delivery modes here: they raise nothing. */
void lapic_lvt_raise(struct lapic *lapic, uint32_t lvt)
{
    enum irq_delivery delivery = lvt_delivery(lvt);

    if ((lvt & LVT_MASKED) || delivery == IRQ_LOWEST || delivery == IRQ_STARTUP)
        return;
    take_mode(lapic, delivery, (uint8_t)(lvt & LVT_VECTOR), false);
}

/* ---- the LINT pins ---- */

static bool pin_is_high(const struct lapic *lapic, unsigned pin)
{
    return __atomic_load_n(&lapic->lint_level, __ATOMIC_ACQUIRE) >> pin & 1;
}

bool lapic_accepts_pic(const struct lapic *lapic)
{
    uint32_t lvt = lapic_get(lapic, LAPIC_LVT_LINT0);

    if (!lapic_is_enabled(lapic))
        return true;
    return !(lvt & LVT_MASKED) && lvt_delivery(lvt) == IRQ_EXTINT;
}

static void update_extint(struct lapic *lapic)
{
    if (lapic->extint_latched || (pin_is_high(lapic, 0) && lapic_accepts_pic(lapic)))
        lapic_owner_set(lapic, LAPIC_ATTENTION_EXTINT);
    else
        lapic_owner_clear(lapic, LAPIC_ATTENTION_EXTINT);
}

/* A fixed, level-triggered LINT0 that is high is accepted once, until its EOI. */
static void sample_lint0_level(struct lapic *lapic)
{
    uint32_t lvt = lapic_get(lapic, LAPIC_LVT_LINT0);
    uint32_t relevant = lvt & (LVT_MASKED | LVT_REMOTE_IRR | LVT_LEVEL | LVT_DELIVERY);

    if (relevant != (LVT_LEVEL | IRQ_FIXED << LVT_DELIVERY_SHIFT) || !pin_is_high(lapic, 0) ||
        !lapic_is_enabled(lapic))
        return;
    lapic_put(lapic, LAPIC_LVT_LINT0, lvt | LVT_REMOTE_IRR);
    lapic_take_fixed(lapic, (uint8_t)(lvt & LVT_VECTOR), true);
}

void lapic_resample_pins(struct lapic *lapic)
{
    sample_lint0_level(lapic);
    update_extint(lapic);
}

/* An edge counts at the moment at which it comes: what is masked then is lost. ExtINT and a
 * level-triggered LINT0 follow the level instead. LINT1 is always edge-sensitive. */
static void pin_rose(struct lapic *lapic, unsigned pin)
{
    uint32_t lvt = lapic_get(lapic, pin == 0 ? LAPIC_LVT_LINT0 : LAPIC_LVT_LINT1);

    if (!lapic_is_enabled(lapic)) {
        if (pin == 1)
            lapic_owner_set(lapic, LAPIC_ATTENTION_NMI);
        return;
    }
    if (lvt_delivery(lvt) == IRQ_EXTINT && pin == 0)
        return;
    if (lvt_delivery(lvt) == IRQ_FIXED && pin == 0 && (lvt & LVT_LEVEL))
        return;
    lapic_lvt_raise(lapic, lvt);
}

bool lapic_extint_pending(struct lapic *lapic)
{
    update_extint(lapic);
    return (lapic->attention.half.owner & LAPIC_ATTENTION_EXTINT) != 0;
}

void lapic_extint_taken(struct lapic *lapic)
{
    lapic->extint_latched = false;
    update_extint(lapic);
}

/* ---- events that are not vectors ---- */

static bool owner_take(struct lapic *lapic, uint32_t bit)
{
    bool was_set = (lapic->attention.half.owner & bit) != 0;
    lapic_owner_clear(lapic, bit);
    return was_set;
}

bool lapic_take_nmi(struct lapic *lapic)
{
    return owner_take(lapic, LAPIC_ATTENTION_NMI);
}

bool lapic_take_init(struct lapic *lapic)
{
    return owner_take(lapic, LAPIC_ATTENTION_INIT);
}

bool lapic_take_sipi(struct lapic *lapic, bool waiting, uint8_t *vector)
{
    if (lapic->attention.half.owner & LAPIC_ATTENTION_INIT)
        return false;
    if (!owner_take(lapic, LAPIC_ATTENTION_SIPI) || !waiting)
        return false;
    *vector = lapic->sipi_vector;
    return true;
}

/* ---- merging what other cores have posted ---- */

static void merge_vectors(struct lapic *lapic)
{
    for (unsigned word = 0; word < 4; word++) {
        if (!__atomic_load_n(&lapic->posted.pir[word], __ATOMIC_RELAXED))
            continue;
        uint64_t bits = __atomic_exchange_n(&lapic->posted.pir[word], 0, __ATOMIC_ACQ_REL);
        uint64_t level = __atomic_load_n(&lapic->posted.level[word], __ATOMIC_RELAXED);

        for (unsigned half = 0; half < 2; half++) {
            uint32_t at = (word * 2 + half) * 16;
            uint32_t requests = (uint32_t)(bits >> (half * 32));
            uint32_t levels = (uint32_t)(level >> (half * 32));
            uint32_t tmr = lapic_get(lapic, LAPIC_TMR + at);

            lapic_put(lapic, LAPIC_TMR + at, (tmr & ~requests) | (levels & requests));
            lapic_put(lapic, LAPIC_IRR + at, lapic_get(lapic, LAPIC_IRR + at) | requests);
        }
    }
    lapic_update(lapic);
}

static void merge_pins(struct lapic *lapic, uint32_t posted)
{
    if (posted & LAPIC_ATTENTION_LINT0_EDGE)
        pin_rose(lapic, 0);
    if (posted & LAPIC_ATTENTION_LINT1_EDGE)
        pin_rose(lapic, 1);
    lapic_resample_pins(lapic);
}

void lapic_sync_posted(struct lapic *lapic)
{
    uint32_t posted = __atomic_exchange_n(&lapic->attention.half.posted, 0, __ATOMIC_ACQ_REL);

    if (posted & LAPIC_ATTENTION_VECTOR)
        merge_vectors(lapic);
    if (HV_LIKELY(!(posted & ~(uint32_t)LAPIC_ATTENTION_VECTOR)))
        return;
    if (posted & LAPIC_ATTENTION_BAD_VECTOR)
        lapic_error(lapic, LAPIC_ESR_RECEIVE_ILLEGAL_VECTOR);
    if (posted & LAPIC_ATTENTION_NMI)
        lapic_owner_set(lapic, LAPIC_ATTENTION_NMI);
    /* INIT before SIPI: a posted SIPI that stands beside an INIT came after it. */
    if (posted & LAPIC_ATTENTION_INIT)
        take_init(lapic);
    if (posted & LAPIC_ATTENTION_SIPI)
        take_startup(lapic, (uint8_t)(posted >> LAPIC_ATTENTION_SIPI_VECTOR_SHIFT));
    if (posted & LAPIC_ATTENTION_EXTINT_EDGE)
        take_extint(lapic);
    if (posted & LAPIC_ATTENTION_LINT)
        merge_pins(lapic, posted);
}
