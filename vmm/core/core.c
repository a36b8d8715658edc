/*
 * The loop of a physical core: fire timers, run the vCPUs that live here in turn, sleep when none
 * has anything to do.
 *
 * Not here: how a vCPU runs (arch_vcpu_run), who lives where (vm.c).
 * Lock: `timer_lock` guards a core's queue; the rest of struct core is its own core's, but `kick`.
 */
#include "hv/arch_ops.h"
#include "hv/vm.h"

/* How long a vCPU runs while another one on its core wants to. */
#define CORE_SLICES_PER_SECOND 200

struct core hv_cores[HV_MAX_CORES];

void core_kick(unsigned core)
{
    __atomic_store_n(&hv_cores[core].kick, 1, __ATOMIC_SEQ_CST);
    if (core != arch_this_core())
        arch_kick_core(core);
}

void vcpu_wake(struct vcpu *vcpu)
{
    core_kick(vcpu->core);
}

/* A core whose timers nobody else arms does without the lock: timers are armed and fired between an
 * exit and the next entry, one after the other. */
static inline void timers_lock(struct core *core)
{
    if (HV_UNLIKELY(core->timers_shared))
        spin_lock(&core->timer_lock);
}

static inline void timers_unlock(struct core *core)
{
    if (HV_UNLIKELY(core->timers_shared))
        spin_unlock(&core->timer_lock);
}

void core_timer_arm_here(struct core *core, struct tq_timer *timer, uint64_t deadline_tsc)
{
    timers_lock(core);
    tq_add(&core->timers, timer, deadline_tsc);
    timers_unlock(core);
}

void core_timer_arm(unsigned index, struct tq_timer *timer, uint64_t deadline_tsc)
{
    struct core *core = &hv_cores[index];
    bool earlier;

    timers_lock(core);
    earlier = deadline_tsc < tq_first_tsc(&core->timers);
    tq_add(&core->timers, timer, deadline_tsc);
    timers_unlock(core);
    if (earlier && index != arch_this_core())
        core_kick(index);
}

void core_timer_cancel(unsigned index, struct tq_timer *timer)
{
    struct core *core = &hv_cores[index];

    timers_lock(core);
    if (tq_is_queued(timer))
        tq_remove(&core->timers, timer);
    timers_unlock(core);
}

/* --- questions of the operator's core --- */

static bool question_move(struct core_question *q, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&q->state, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static bool question_wait(struct core_question *q)
{
    uint64_t deadline = arch_tsc() + arch_tsc_hz();

    while (!question_move(q, QUESTION_ANSWERED, QUESTION_NONE)) {
        if (arch_tsc() >= deadline)
            return false;
        __builtin_ia32_pause();
    }
    return true;
}

bool core_ask(unsigned index, void (*answer)(void *context), void *context)
{
    struct core_question *q = &hv_cores[index].question;

    if (index == arch_this_core()) {
        answer(context);
        return true;
    }
    /* An answer that came too late is over; one that was taken and never answered: the core is lost. */
    question_move(q, QUESTION_ANSWERED, QUESTION_NONE);
    if (!hv_cores[index].online || __atomic_load_n(&q->state, __ATOMIC_ACQUIRE) != QUESTION_NONE)
        return false;
    q->answer = answer;
    q->context = context;
    __atomic_store_n(&q->state, QUESTION_ASKED, __ATOMIC_RELEASE);
    core_kick(index);
    if (question_wait(q))
        return true;
    if (question_move(q, QUESTION_ASKED, QUESTION_NONE))
        return false;
    return question_wait(q); /* it is at it */
}

static void core_answer(struct core *core)
{
    struct core_question *q = &core->question;

    if (!question_move(q, QUESTION_ASKED, QUESTION_TAKEN))
        return;
    q->answer(q->context);
    __atomic_store_n(&q->state, QUESTION_ANSWERED, __ATOMIC_RELEASE);
}

void core_timer_arm_patient(struct tq_timer *timer, uint64_t when_tsc, uint64_t latest_tsc)
{
    struct core *core = &hv_cores[arch_this_core()];

    core_timer_arm_here(core, timer, latest_tsc);
    core->patient = timer;
    core->patient_tsc = when_tsc;
}

static __attribute__((noinline)) void fire_patient(struct core *core, uint64_t now)
{
    struct tq_timer *timer = core->patient;

    core->patient = NULL;
    timers_lock(core);
    bool waits = tq_is_queued(timer);
    tq_remove(&core->timers, timer);
    timers_unlock(core);
    if (waits)
        timer->fire(timer, now);
}

void core_fire_timers(struct core *core)
{
    uint64_t now = arch_tsc();

    while (tq_first_tsc(&core->timers) <= now) {
        timers_lock(core);
        struct tq_timer *timer = tq_pop_expired(&core->timers, now);
        timers_unlock(core);
        if (!timer)
            break;
        timer->fire(timer, now);
    }
    if (HV_UNLIKELY(core->patient && core->patient_tsc <= now))
        fire_patient(core, now);
}

void core_add_vcpu(unsigned index, struct vcpu *vcpu)
{
    struct core *core = &hv_cores[index];

    vcpu->core = index;
    if (core->vcpus) {
        vcpu->next = core->vcpus->next;
        core->vcpus->next = vcpu;
    } else {
        vcpu->next = vcpu;
    }
    core->vcpus = vcpu;
    core->vcpu_count++;
}

void core_remove_vcpu(struct vcpu *vcpu)
{
    struct core *core = &hv_cores[vcpu->core];
    struct vcpu *before = vcpu;

    while (before->next != vcpu)
        before = before->next;
    before->next = vcpu->next;
    if (core->vcpus == vcpu)
        core->vcpus = before == vcpu ? NULL : before;
    if (core->last == vcpu)
        core->last = NULL;
    core->vcpu_count--;
}

/* May this vCPU run now? */
static bool core_vcpu_ready(struct vcpu *vcpu)
{
    if (HV_UNLIKELY(vm_phase(vcpu->vm) != VM_RUNNING || vcpu->parked))
        return vm_park(vcpu);
    if (HV_UNLIKELY(vm_is_paused(vcpu->vm))) {
        if (!vcpu->frozen)
            vm_freeze(vcpu);
        if (!__atomic_load_n(&vcpu->stepping, __ATOMIC_RELAXED))
            return false;
    } else if (HV_UNLIKELY(vcpu->frozen)) {
        vm_thaw(vcpu);
    }
    if (vcpu->blocked && arch_vcpu_has_event(vcpu))
        vcpu->blocked = false;
    return !vcpu->blocked;
}

/* The next ready vCPU after the one that ran last, and whether there is a second one. */
static struct vcpu *core_pick(struct core *core, bool *contended)
{
    struct vcpu *first = NULL;
    struct vcpu *at = core->vcpus;

    *contended = false;
    for (unsigned i = 0; i < core->vcpu_count; i++) {
        at = at->next;
        if (!core_vcpu_ready(at))
            continue;
        if (first) {
            *contended = true;
            break;
        }
        first = at;
    }
    return first;
}

static void core_run_vcpu(struct core *core, struct vcpu *vcpu, bool contended)
{
    uint64_t slice_end = contended ? arch_tsc() + arch_tsc_hz() / CORE_SLICES_PER_SECOND : TQ_NEVER;

    if (core->last && core->last != vcpu)
        arch_vcpu_put(core->last);
    core->last = vcpu;
    core->vcpus = vcpu; /* the search goes on behind it */
    if (arch_vcpu_run(vcpu, slice_end) == VCPU_BLOCK)
        vcpu->blocked = true;
}

/* Nothing is to be done here until then. */
static uint64_t core_idle_until(const struct core *core)
{
    uint64_t first = tq_first_tsc(&core->timers);

    return core->patient ? hv_min_u64(first, core->patient_tsc) : first;
}

static __attribute__((noinline)) void turn(struct core *core)
{
    struct vcpu *vcpu;
    bool contended;

    /* Cleared before anything is looked at: what comes after is seen at the next turn. */
    __atomic_store_n(&core->kick, 0, __ATOMIC_SEQ_CST);
    if (HV_UNLIKELY(__atomic_load_n(&core->question.state, __ATOMIC_RELAXED) == QUESTION_ASKED))
        core_answer(core);
    core_fire_timers(core);
    vcpu = core_pick(core, &contended);
    if (vcpu)
        core_run_vcpu(core, vcpu, contended);
    else
        arch_idle(core_idle_until(core), &core->kick);
}

void core_turn(unsigned index)
{
    turn(&hv_cores[index]);
}

HV_NORETURN void core_run(unsigned index)
{
    struct core *core = &hv_cores[index];

    while (!arch_run_is_over())
        turn(core);
    arch_leave_run();
}
