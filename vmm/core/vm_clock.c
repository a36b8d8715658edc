/*
 * A VM's clock: nanoseconds since its start, from the TSC, and the timers of its devices.
 *
 * The VM keeps its timers in a list of its own, under the lock that guards its devices, and one
 * timer in its home core's queue stands for the first of them. So a timer that another core cancels
 * while this one fires is never called: who holds the lock sees the truth.
 */
#include "hv/arch_ops.h"
#include "hv/vm.h"

static struct vm_clock *clock_of(struct hv_clock *clock)
{
    return HV_CONTAINER_OF(clock, struct vm_clock, clock);
}

static uint64_t clock_ns_at(const struct vm_clock *clock, uint64_t tsc)
{
    uint64_t ticks = tsc > clock->start_tsc ? tsc - clock->start_tsc : 0;
    return hv_ratio_apply(&clock->tsc_to_ns, ticks);
}

/* The first tick at which clock_ns_at() is not before `ns`. */
static uint64_t clock_tsc_at(const struct vm_clock *clock, uint64_t ns)
{
    if (ns >= clock->last_ns)
        return TQ_NEVER - 1;
    return clock->start_tsc + hv_ratio_apply(&clock->ns_to_tsc, ns) + 1;
}

static uint64_t clock_now(struct hv_clock *clock)
{
    return clock_ns_at(clock_of(clock), arch_tsc());
}

static void clock_rearm(struct vm_clock *clock)
{
    if (clock->first)
        core_timer_arm(clock->vm->home_core, &clock->wake,
                       clock_tsc_at(clock, clock->first->deadline_ns));
    else
        core_timer_cancel(clock->vm->home_core, &clock->wake);
}

static void clock_unlink(struct vm_clock *clock, struct hv_timer *timer)
{
    for (struct hv_timer **at = &clock->first; *at; at = &(*at)->next) {
        if (*at == timer) {
            *at = timer->next;
            break;
        }
    }
    timer->armed = false;
}

static void clock_cancel(struct hv_clock *hv_clock, struct hv_timer *timer)
{
    struct vm_clock *clock = clock_of(hv_clock);
    bool was_first = clock->first == timer;

    if (!timer->armed)
        return;
    clock_unlink(clock, timer);
    if (was_first)
        clock_rearm(clock);
}

static void clock_arm(struct hv_clock *hv_clock, struct hv_timer *timer, uint64_t deadline_ns)
{
    struct vm_clock *clock = clock_of(hv_clock);
    bool was_first = clock->first == timer;
    struct hv_timer **at = &clock->first;

    if (timer->armed)
        clock_unlink(clock, timer);
    while (*at && (*at)->deadline_ns <= deadline_ns)
        at = &(*at)->next;
    timer->deadline_ns = deadline_ns;
    timer->armed = true;
    timer->next = *at;
    *at = timer;
    if (was_first || clock->first == timer)
        clock_rearm(clock);
}

static void clock_fire(struct tq_timer *wake, uint64_t now_tsc)
{
    struct vm_clock *clock = HV_CONTAINER_OF(wake, struct vm_clock, wake);
    struct bus *bus = &clock->vm->bus;

    bus_lock(bus);
    if (vm_phase(clock->vm) == VM_RUNNING && !vm_is_paused(clock->vm)) {
        uint64_t now_ns = clock_ns_at(clock, now_tsc);
        while (clock->first && clock->first->deadline_ns <= now_ns) {
            struct hv_timer *timer = clock->first;
            clock_unlink(clock, timer);
            timer->fire(timer, now_ns);
        }
        clock_rearm(clock);
    }
    bus_unlock(bus);
}

void vm_clock_skip(struct vm_clock *clock, uint64_t ticks)
{
    bus_lock(&clock->vm->bus);
    clock->start_tsc += ticks;
    clock_rearm(clock);
    bus_unlock(&clock->vm->bus);
}

void vm_clock_init(struct vm_clock *clock, struct vm *vm, uint64_t epoch_seconds)
{
    uint64_t hz = arch_tsc_hz(), start_tsc = arch_tsc();
    uint64_t seconds = (TQ_NEVER - 1 - start_tsc) / hz;

    *clock = (struct vm_clock){
        .clock = { clock_now, clock_arm, clock_cancel, epoch_seconds },
        .vm = vm,
        .start_tsc = start_tsc,
        .last_ns = hv_min_u64(seconds, UINT64_MAX / HV_NS_PER_SECOND) * HV_NS_PER_SECOND,
        .tsc_to_ns = hv_ratio_make(HV_NS_PER_SECOND, hz),
        .ns_to_tsc = hv_ratio_make(hz, HV_NS_PER_SECOND),
    };
    tq_timer_init(&clock->wake, clock_fire);
}
