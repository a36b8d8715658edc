/*
 * From VM exit to VM entry: collect the facts that the exit's row asks for, call its handler, move
 * RIP, look for pending work, and go back in. Path length is the first criterion here.
 *
 * Not here: what the handlers do (exit_*.c), delivery of events (event.c).
 * SDM volume 3 "VM Exits", "VM Entries".
 */
#include "arch/x86/vmx/hot.h"
#include "arch/x86/vmx/posted_vcpu.h"
#include "arch/x86/vmx/thin_run.h"
#include "x86/msr.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* What an instruction's end ends. */
#define BLOCKING_ENDS HOT_BLOCKING_ENDS
#define COLD __attribute__((noinline, cold))

/* `needs` is a constant in each use: only the reads of that row are compiled. */
ALWAYS_INLINE void exit_collect(struct vmx_vcpu *v, const unsigned needs)
{
    struct vmexit *e = &v->exit;

    if (needs & NEED_LEN)
        e->length = (uint32_t)vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH);
    if (needs & NEED_QUAL)
        e->qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);
    if (needs & NEED_GPA)
        e->gpa = GPA(vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS));
    if (needs & NEED_INTR) {
        e->intr_info = (uint32_t)vmcs_read(VMCS_EXIT_INTERRUPTION_INFORMATION);
        if (e->intr_info & VMX_INTR_ERROR_CODE)
            e->intr_error = (uint32_t)vmcs_read(VMCS_EXIT_INTERRUPTION_ERROR_CODE);
    }
    if (needs & NEED_INSN)
        e->insn_info = (uint32_t)vmcs_read(VMCS_EXIT_INSTRUCTION_INFORMATION);
    if (needs & NEED_VECT) {
        uint32_t info = (uint32_t)vmcs_read(VMCS_IDT_VECTORING_INFORMATION);
        e->vect_info = HV_LIKELY(!vmx_intr_valid(info)) ? 0 : info;
        if (HV_UNLIKELY(vmx_intr_valid(info)) && (info & VMX_INTR_ERROR_CODE))
            e->vect_error = (uint32_t)vmcs_read(VMCS_IDT_VECTORING_ERROR_CODE);
    }
}

/* --- moving RIP --- */

/* Outside of 64-bit mode the instruction pointer wraps at 4 GB (and entry checks that it did). */
static COLD uint64_t rip_wrap(struct vmx_vcpu *v, uint64_t rip)
{
    return vmx_guest_mode(v) == EMUL_MODE_64 ? rip : rip & UINT32_MAX;
}

static COLD void blocking_end(uint64_t blocking)
{
    vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE,
               blocking & ~(uint64_t)BLOCKING_ENDS);
}

/* RF ends with the instruction (an EPT violation saves it as 1); with TF a single step over it is
 * owed, unless only branches are to trap: SDM "Single-Step Exception Condition", "Saving RIP, RSP,
 * RFLAGS, and SSP". */
static COLD void flags_end(uint64_t rflags)
{
    if (rflags & RFLAGS_RF)
        vmcs_write(VMCS_GUEST_RFLAGS, rflags & ~(uint64_t)RFLAGS_RF);
    if ((rflags & RFLAGS_TF) && !(vmcs_read(VMCS_GUEST_IA32_DEBUGCTL) & DEBUGCTL_BTF))
        vmcs_write(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS,
                   vmcs_read(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS) | VMX_PENDING_DBG_BS);
}

/* Between two iterations RIP and RF say that the instruction goes on. */
void vmx_end_iteration(struct vmx_vcpu *v)
{
    uint64_t blocking = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE);
    uint64_t rflags = vmcs_read(VMCS_GUEST_RFLAGS);

    (void)v;
    if (blocking & BLOCKING_ENDS)
        blocking_end(blocking);
    flags_end(rflags & ~(uint64_t)RFLAGS_RF);
    vmcs_write(VMCS_GUEST_RFLAGS, rflags | RFLAGS_RF);
}

/* Moves RIP past the instruction that exited, ends the blocking by STI and MOV SS, and raises the
 * single-step trap that the instruction would have raised. RIP is moved here and, where none of the
 * rest applies, in hot.c and warm.c; nowhere else. */
ALWAYS_INLINE void advance_rip(struct vmx_vcpu *v, uint32_t length)
{
    uint64_t rip = vmcs_read(VMCS_GUEST_RIP);
    uint64_t next = rip + length;
    uint64_t blocking = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE);
    uint64_t rflags;

    if (HV_UNLIKELY((rip ^ next) >> 32))
        next = rip_wrap(v, next);
    vmcs_write(VMCS_GUEST_RIP, next);
    if (HV_UNLIKELY(blocking & BLOCKING_ENDS))
        blocking_end(blocking);
    rflags = vmcs_read(VMCS_GUEST_RFLAGS);
    if (HV_UNLIKELY(rflags & (RFLAGS_TF | RFLAGS_RF)))
        flags_end(rflags);
}

void COLD vmx_advance_rip(struct vmx_vcpu *v, uint32_t length)
{
    advance_rip(v, length);
}

static COLD void observers_before(struct vmx_vcpu *v)
{
    for (struct vmx_observer *observer = v->observer; observer; observer = observer->next)
        observer->before(observer, v);
}

static COLD void observers_after(struct vmx_vcpu *v, unsigned answer)
{
    for (struct vmx_observer *observer = v->observer; observer; observer = observer->next)
        observer->after(observer, v, answer);
}

/* --- the last look before entering --- */

/*
 * Something is to be done: other work for this core, a timer, an event for the guest; or it is time
 * to set the preemption timer anew. Timers are fired here, without giving up the guest's turn.
 * Events come last: what has been written for the entry must not be left behind.
 */
static COLD unsigned run_ready_slow(struct vmx_vcpu *v)
{
    struct core *core = v->core;
    uint64_t deadline, now = rdtsc();

    if (tq_first_tsc(&core->timers) <= now) {
        core_fire_timers(core);
        now = rdtsc();
    }
    if (__atomic_load_n(&core->kick, __ATOMIC_RELAXED))
        return VCPU_YIELD;
    v->timer_tsc = tq_first_tsc(&core->timers);
    deadline = hv_min_u64(v->timer_tsc, v->deadline_tsc);
    if (now >= deadline)
        return VCPU_YIELD;
    vmx_set_wake(v, deadline, now);
    v->timer_budget = v->timer_reload;
    /* Once more, behind the timer: a kick by NMI that comes from here on sets it to 0 (cpu/traps.c),
     * and one that came before is seen. */
    if (__atomic_load_n(&core->kick, __ATOMIC_RELAXED))
        return VCPU_YIELD;
    if (v->attention | lapic_attention(v->lapic))
        return vmx_prepare_events(v);
    return VCPU_RUN;
}

/*
 * The preemption timer counts on over exits (they save it), so that it is written only when the
 * first deadline has changed, and every sixteenth time: what it misses is the time that exits take,
 * and so it is never late by more than sixteen of them.
 */
ALWAYS_INLINE unsigned run_ready(struct vmx_vcpu *v)
{
    return HV_LIKELY(hot_is_ready(v)) ? VCPU_RUN : run_ready_slow(v);
}

unsigned vmx_exit_go_on(struct vmx_vcpu *v)
{
    return run_ready_slow(v);
}

/* Accounting counts this, too: timers that fire, events that are prepared. */
static COLD unsigned observed_next(struct vmx_vcpu *v, unsigned next)
{
    if (next == VCPU_RUN)
        next = run_ready(v);
    if (v->recorder.what & VMX_RECORD_TICKS)
        v->recorder.between_ticks += rdtsc() - v->recorder.end_tsc;
    return next;
}

/* --- dispatch --- */

/* A vCPU with handlers of its own: no path that has to be short. Such a guest is the machine, so
 * nothing but its own events has to be looked at before it goes on. */
static COLD unsigned exit_by_table(struct vmx_vcpu *v, unsigned needs, unsigned reason)
{
    unsigned (*handler)(struct vmx_vcpu *v) = v->handlers[reason];
    unsigned answer;

    vmx_thin_begin(v);
    observers_before(v);
    exit_collect(v, needs);
    answer = handler ? handler(v) : exit_unexpected(v);
    if ((needs & NEED_VECT) && v->exit.vect_info)
        vmx_requeue_vectoring(v);
    if (answer & EXIT_NEXT)
        advance_rip(v, v->exit.length);
    observers_after(v, answer);
    answer &= EXIT_ANSWER_NEXT_MASK;
    return answer == VCPU_RUN ? vmx_thin_ready(v) : answer;
}

#define EXIT(number, name, handler, needs, experiment, sdm, doc)                                   \
    ALWAYS_INLINE unsigned answer_##name(struct vmx_vcpu *v)                                       \
    {                                                                                              \
        exit_collect(v, (needs));                                                                  \
        unsigned answer = handler(v);                                                              \
        if (((needs) & NEED_VECT) && HV_UNLIKELY(v->exit.vect_info))                               \
            vmx_requeue_vectoring(v);                                                              \
        if (answer & EXIT_NEXT)                                                                    \
            advance_rip(v, v->exit.length);                                                        \
        return answer;                                                                             \
    }                                                                                              \
    static unsigned dispatch_##name(struct vmx_vcpu *v)                                            \
    {                                                                                              \
        unsigned next = answer_##name(v) & EXIT_ANSWER_NEXT_MASK;                                  \
        return HV_LIKELY(next == VCPU_RUN) ? run_ready(v) : next;                                  \
    }                                                                                              \
    static COLD unsigned observed_##name(struct vmx_vcpu *v)                                       \
    {                                                                                              \
        observers_before(v);                                                                       \
        unsigned answer = answer_##name(v);                                                        \
        observers_after(v, answer);                                                                \
        return observed_next(v, answer & EXIT_ANSWER_NEXT_MASK);                                   \
    }                                                                                              \
    static COLD unsigned tabled_##name(struct vmx_vcpu *v)                                         \
    {                                                                                              \
        return exit_by_table(v, (needs), (number));                                                \
    }
#include "arch/x86/vmx/exits.def"
#undef EXIT

/* A number between the SDM's that the SDM does not define. */
static unsigned dispatch_undefined(struct vmx_vcpu *v)
{
    return vmx_crash(v, "exit reason 0x%x, which nobody knows", v->exit.reason) &
           EXIT_ANSWER_NEXT_MASK;
}

typedef unsigned dispatch_fn(struct vmx_vcpu *v);

/* The gaps in the SDM's list. With the rows of exits.def they fill the table. */
#define UNDEFINED_REASONS                                                                          \
    [35] = dispatch_undefined, [38] = dispatch_undefined, [42] = dispatch_undefined,               \
    [71] = dispatch_undefined
_Static_assert(4
#define EXIT(number, name, handler, needs, experiment, sdm, doc) + 1
#include "arch/x86/vmx/exits.def"
#undef EXIT
               == VMEXIT_COUNT, "every reason has a row or is a gap");

static dispatch_fn *const dispatch_plain[VMEXIT_COUNT] = {
    UNDEFINED_REASONS,
#define EXIT(number, name, handler, needs, experiment, sdm, doc) [number] = dispatch_##name,
#include "arch/x86/vmx/exits.def"
#undef EXIT
};

static dispatch_fn *const dispatch_observed[VMEXIT_COUNT] = {
    UNDEFINED_REASONS,
#define EXIT(number, name, handler, needs, experiment, sdm, doc) [number] = observed_##name,
#include "arch/x86/vmx/exits.def"
#undef EXIT
};

static dispatch_fn *const dispatch_tabled[VMEXIT_COUNT] = {
    UNDEFINED_REASONS,
#define EXIT(number, name, handler, needs, experiment, sdm, doc) [number] = tabled_##name,
#include "arch/x86/vmx/exits.def"
#undef EXIT
};

static COLD void entry_failure_observed(struct vmx_vcpu *v)
{
    for (struct vmx_observer *observer = v->observer; observer; observer = observer->next) {
        if (observer->failed)
            observer->failed(observer, v);
    }
}

static COLD unsigned exit_beyond(struct vmx_vcpu *v)
{
    if (!(v->exit.reason & VMX_EXIT_REASON_ENTRY_FAILURE))
        return dispatch_undefined(v);
    entry_failure_observed(v);
    return exit_entry_failed(v) & EXIT_ANSWER_NEXT_MASK;
}

unsigned vmx_exit(struct vmx_vcpu *v)
{
    uint32_t reason = v->exit.reason;

    if (HV_UNLIKELY(reason >= VMEXIT_COUNT))
        return exit_beyond(v);
    v->exits[reason]++;
    return v->dispatch[reason](v);
}

static void observers_changed(struct vmx_vcpu *v)
{
    bool timer_counts_on = !v->preemption_on || (v->controls->exit & EXIT_SAVE_PREEMPTION_TIMER);

    /* The recorder has hot ways of its own; with any other observer all exits go the long way. */
    bool hot = !v->observer || (v->observer == &v->recorder.observer && !v->observer->next);

    v->hot = v->handlers ? vmx_thin_ways : vmx_hot_ways[v->observer && hot ? v->recorder.what : 0];
    for (unsigned i = 0; v->observer && i < HV_ARRAY_COUNT(v->hot.warm); i++)
        v->hot.warm[i] = vmx_warm_refuse;
    v->timer_reload = hot && timer_counts_on ? VMX_TIMER_BUDGET : 0;
    v->timer_budget = 0;
    v->dispatch = v->handlers ? dispatch_tabled : v->observer ? dispatch_observed : dispatch_plain;
}

void vmx_add_observer(struct vmx_vcpu *v, struct vmx_observer *observer)
{
    observer->next = v->observer;
    v->observer = observer;
    observers_changed(v);
}

void vmx_remove_observer(struct vmx_vcpu *v, struct vmx_observer *observer)
{
    struct vmx_observer **at = &v->observer;

    while (*at && *at != observer)
        at = &(*at)->next;
    if (*at)
        *at = observer->next;
    observers_changed(v);
}

enum vcpu_next arch_vcpu_run(struct vcpu *vcpu, uint64_t slice_end_tsc)
{
    struct vmx_vcpu *v = vmx_of(vcpu);
    unsigned next;

    v->deadline_tsc = slice_end_tsc;
    if (!v->loaded)
        vmx_vcpu_load(v);
    if (v->run_state == VMX_HALTED)
        v->run_state = VMX_RUNNABLE;
    vmx_posted_collect(v);
    next = run_ready_slow(v);
    if (next != VCPU_RUN)
        return next;
    vmx_posted_enter(v);
    next = vmx_run_guest(v);
    vmx_posted_leave(v);
    if (HV_UNLIKELY(next == VMX_ENTRY_FAILED)) {
        v->exit.reason = 0;
        entry_failure_observed(v);
        vmx_log_entry_failure(v);
        vm_crash(vcpu->vm, "vCPU %u: VM entry failed", vcpu->index);
        return VCPU_END;
    }
    return next;
}
