/*
 * The guest's local APIC timer: one-shot, periodic, TSC-deadline.
 *
 * Counts are never counted: the current count is computed from the guest's TSC when it is asked
 * for, and each expiry from the epoch at which counting began, so that a periodic timer does not
 * drift. A masked timer arms nothing.
 *
 * No lock: only the owner's core comes here.
 * Source: SDM volume 3, "APIC Timer", "TSC-Deadline Mode".
 */
#include "hv/clock.h"
#include "lapic_internal.h"

enum lapic_timer_mode lapic_timer_mode(const struct lapic *lapic)
{
    return (enum lapic_timer_mode)((lapic_get(lapic, LAPIC_LVT_TIMER) & LVT_TIMER_MODE) >>
                                   LVT_TIMER_MODE_SHIFT);
}

static bool is_masked(const struct lapic *lapic)
{
    return (lapic_get(lapic, LAPIC_LVT_TIMER) & LVT_MASKED) != 0;
}

static uint64_t now_tsc(const struct lapic *lapic)
{
    return lapic->env.tsc_now(lapic->env.context);
}

/* log2 of the divider. The register's bits 3, 1 and 0 are 000 = 2 ... 110 = 128, 111 = 1. */
static unsigned divide_shift(const struct lapic *lapic)
{
    uint32_t divide = lapic_get(lapic, LAPIC_DIVIDE);
    return (((divide & 8) >> 1 | (divide & 3)) + 1) & 7;
}

static uint64_t counts_since_epoch(const struct lapic *lapic, uint64_t tsc)
{
    if (tsc < lapic->timer_epoch_tsc)
        return 0;
    return hv_ratio_apply(&lapic->tsc_to_ticks, tsc - lapic->timer_epoch_tsc) >>
           divide_shift(lapic);
}

/* The TSC at which `counts` counts have passed since the epoch: the first, so rounded up. */
static uint64_t tsc_at_counts(const struct lapic *lapic, uint64_t counts)
{
    uint64_t ticks = counts << divide_shift(lapic);
    uint64_t numerator = lapic->config.timer_numerator;
    uint64_t denominator = lapic->config.timer_denominator;
    uint64_t tsc = hv_mul_div_u64(ticks, denominator, numerator);
    /* Both products are cut to 64 bits; they differ by less than the numerator. */
    if (tsc * numerator != ticks * denominator)
        tsc++;
    return lapic->timer_epoch_tsc + tsc;
}

static uint64_t expiry_tsc(const struct lapic *lapic, uint64_t period)
{
    uint64_t initial = lapic_get(lapic, LAPIC_INITIAL_COUNT);
    return tsc_at_counts(lapic, lapic->timer_first_count + period * initial);
}

static void disarm(struct lapic *lapic)
{
    if (!lapic->timer_armed)
        return;
    lapic->timer_armed = false;
    lapic->env.timer_cancel(lapic->env.context);
}

static void arm(struct lapic *lapic)
{
    if (is_masked(lapic)) {
        disarm(lapic);
        return;
    }
    lapic->timer_armed = true;
    lapic->env.timer_arm(lapic->env.context, lapic->timer_deadline_tsc);
}

void lapic_timer_stop(struct lapic *lapic)
{
    lapic->timer_running = false;
    lapic->timer_deadline_tsc = 0;
    disarm(lapic);
}

/* Begins a count of `first`, from now. */
static void start_counting(struct lapic *lapic, uint32_t first)
{
    if (first == 0) {
        lapic_timer_stop(lapic);
        return;
    }
    lapic->timer_epoch_tsc = now_tsc(lapic);
    lapic->timer_first_count = first;
    lapic->timer_periods = 0;
    lapic->timer_deadline_tsc = expiry_tsc(lapic, 0);
    lapic->timer_running = true;
    arm(lapic);
}

/* The deadline is behind us: stop, or go on to the first period that ends after `tsc`. */
static void pass_expiry(struct lapic *lapic, uint64_t tsc)
{
    uint64_t initial = lapic_get(lapic, LAPIC_INITIAL_COUNT);

    if (lapic_timer_mode(lapic) != TIMER_PERIODIC || initial == 0) {
        lapic_timer_stop(lapic);
        return;
    }
    uint64_t counts = counts_since_epoch(lapic, tsc);
    lapic->timer_periods++;
    if (counts >= lapic->timer_first_count)
        lapic->timer_periods =
            hv_max_u64(lapic->timer_periods, (counts - lapic->timer_first_count) / initial + 1);
    lapic->timer_deadline_tsc = expiry_tsc(lapic, lapic->timer_periods);
    arm(lapic);
}

/* A one-shot deadline of an ordinary entry, which is most of them: the vector that is now in IRR, or
 * -1 and nothing was done. */
static inline int expire_deadline(struct lapic *lapic)
{
    const uint32_t unmasked_deadline = (uint32_t)TIMER_TSC_DEADLINE << LVT_TIMER_MODE_SHIFT;
    uint32_t lvt = lapic_get(lapic, LAPIC_LVT_TIMER);
    uint8_t vector = (uint8_t)(lvt & LVT_VECTOR);

    if (HV_UNLIKELY((lvt & (LVT_TIMER_MODE | LVT_MASKED)) != unmasked_deadline) ||
        HV_UNLIKELY(vector < FIRST_LEGAL_VECTOR || !lapic->timer_running ||
                    !lapic_is_sw_enabled(lapic)))
        return -1;
    lapic->timer_running = false;
    lapic->timer_armed = false;
    lapic->timer_deadline_tsc = 0;
    lapic_vector_clear(lapic, LAPIC_TMR, vector);
    lapic_vector_set(lapic, LAPIC_IRR, vector);
    return vector;
}

int lapic_tsc_deadline_expire(struct lapic *lapic)
{
    return expire_deadline(lapic);
}

void lapic_timer_fired_at(struct lapic *lapic, uint64_t tsc)
{
    int vector;

    lapic->timer_armed = false;
    if (!lapic->timer_running)
        return;
    if (tsc < lapic->timer_deadline_tsc) {
        arm(lapic);
        return;
    }
    vector = expire_deadline(lapic);
    if (HV_LIKELY(vector >= 0)) {
        lapic_note_requested(lapic, (uint8_t)vector);
        return;
    }
    pass_expiry(lapic, tsc);
    lapic_lvt_raise(lapic, lapic_get(lapic, LAPIC_LVT_TIMER));
}

void lapic_timer_fired(struct lapic *lapic)
{
    lapic_timer_fired_at(lapic, now_tsc(lapic));
}

/* What has expired by now takes effect before the guest changes the timer: an interrupt when it
 * was unmasked, nothing but the passing of time when it was masked. */
static void catch_up(struct lapic *lapic)
{
    if (!lapic->timer_running)
        return;
    uint64_t tsc = now_tsc(lapic);
    if (tsc < lapic->timer_deadline_tsc)
        return;
    pass_expiry(lapic, tsc);
    lapic_lvt_raise(lapic, lapic_get(lapic, LAPIC_LVT_TIMER));
}

uint32_t lapic_timer_current(const struct lapic *lapic)
{
    uint64_t initial = lapic_get(lapic, LAPIC_INITIAL_COUNT);

    if (!lapic->timer_running || lapic_timer_mode(lapic) == TIMER_TSC_DEADLINE)
        return 0;
    uint64_t counts = counts_since_epoch(lapic, now_tsc(lapic));
    if (counts < lapic->timer_first_count)
        return (uint32_t)(lapic->timer_first_count - counts);
    if (lapic_timer_mode(lapic) != TIMER_PERIODIC || initial == 0)
        return 0;
    return (uint32_t)(initial - (counts - lapic->timer_first_count) % initial);
}

void lapic_timer_write_lvt(struct lapic *lapic, uint32_t value)
{
    enum lapic_timer_mode before = lapic_timer_mode(lapic), after;

    catch_up(lapic);
    uint32_t current = lapic_timer_current(lapic);
    lapic_put(lapic, LAPIC_LVT_TIMER, value);
    after = lapic_timer_mode(lapic);
    if (before == after) {
        if (lapic->timer_running)
            arm(lapic);
    } else if (before >= TIMER_TSC_DEADLINE || after >= TIMER_TSC_DEADLINE) {
        lapic_timer_stop(lapic);
    } else {
        start_counting(lapic, current); /* only what follows the present count changes */
    }
}

void lapic_timer_write_initial(struct lapic *lapic, uint32_t value)
{
    if (lapic_timer_mode(lapic) >= TIMER_TSC_DEADLINE)
        return;
    catch_up(lapic);
    lapic_put(lapic, LAPIC_INITIAL_COUNT, value);
    start_counting(lapic, value);
}

void lapic_timer_write_divide(struct lapic *lapic, uint32_t value)
{
    catch_up(lapic);
    uint32_t current = lapic_timer_current(lapic);
    lapic_put(lapic, LAPIC_DIVIDE, value);
    if (lapic->timer_running && lapic_timer_mode(lapic) < TIMER_TSC_DEADLINE)
        start_counting(lapic, current);
}

uint64_t lapic_tsc_deadline_read(const struct lapic *lapic)
{
    if (lapic_timer_mode(lapic) != TIMER_TSC_DEADLINE || !lapic->timer_running)
        return 0;
    return now_tsc(lapic) >= lapic->timer_deadline_tsc ? 0 : lapic->timer_deadline_tsc;
}

void lapic_tsc_deadline_write(struct lapic *lapic, uint64_t deadline_tsc)
{
    if (lapic_timer_mode(lapic) != TIMER_TSC_DEADLINE)
        return;
    if (deadline_tsc == 0) {
        lapic_timer_stop(lapic);
        return;
    }
    lapic->timer_running = true;
    lapic->timer_deadline_tsc = deadline_tsc;
    arm(lapic);
}

void lapic_tsc_changed(struct lapic *lapic, int64_t delta)
{
    if (!lapic->timer_running)
        return;
    if (lapic_timer_mode(lapic) != TIMER_TSC_DEADLINE) {
        lapic->timer_epoch_tsc += (uint64_t)delta;
        lapic->timer_deadline_tsc += (uint64_t)delta;
    }
    arm(lapic);
}
