/*
 * From VM exit to VM entry: collect the facts that the exit's row asks for, call its handler, move
 * RIP, look for pending work, and go back in. Path length is the first criterion here.
 *
 * Not here: what the handlers do (exit_*.c), delivery of events (event.c).
 * SDM volume 3 "VM Exits", "VM Entries".
 */
#include "arch/x86/vmx/vcpu.h"
#include "x86/msr.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* What an instruction's end ends. */
#define BLOCKING_ENDS (VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS)
#define vmcs_read_hot(field) vmread_unchecked(field)
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
        e->vect_info = (uint32_t)vmcs_read(VMCS_IDT_VECTORING_INFORMATION);
        if (HV_LIKELY(!vmx_intr_valid(e->vect_info)))
            e->vect_info = 0;
        else if (e->vect_info & VMX_INTR_ERROR_CODE)
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
 * rest applies, in vmx_exit_hot; nowhere else. */
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

/* --- dispatch --- */

#define EXIT(number, name, handler, needs, experiment, sdm, doc)                                   \
    static unsigned dispatch_##name(struct vmx_vcpu *v)                                            \
    {                                                                                              \
        exit_collect(v, (needs));                                                                  \
        unsigned answer = handler(v);                                                              \
        if (((needs) & NEED_VECT) && HV_UNLIKELY(v->exit.vect_info))                               \
            vmx_requeue_vectoring(v);                                                              \
        if (answer & EXIT_NEXT)                                                                    \
            advance_rip(v, v->exit.length);                                                        \
        return answer;                                                                             \
    }
#include "arch/x86/vmx/exits.def"
#undef EXIT

static unsigned (*const dispatch[VMEXIT_COUNT])(struct vmx_vcpu *v) = {
#define EXIT(number, name, handler, needs, experiment, sdm, doc) [number] = dispatch_##name,
#include "arch/x86/vmx/exits.def"
#undef EXIT
};

/* The last look before entering: is there other work for this core, an event for the guest, and how
 * long may it run? Events come last: what has been written for the entry must not be left behind. */
ALWAYS_INLINE unsigned run_ready(struct vmx_vcpu *v)
{
    struct core *core = v->core;

    if (HV_UNLIKELY(__atomic_load_n(&core->kick, __ATOMIC_RELAXED)))
        return VCPU_YIELD;
    if (HV_LIKELY(v->preemption_on)) {
        uint64_t deadline = hv_min_u64(tq_first_tsc(&core->timers), v->deadline_tsc);
        uint64_t now = rdtsc();
        if (HV_UNLIKELY(now >= deadline))
            return VCPU_YIELD;
        uint64_t value = (deadline - now) >> v->preemption_shift;
        vmcs_write(VMCS_PREEMPTION_TIMER_VALUE, value < UINT32_MAX ? value : UINT32_MAX);
    }
    if (HV_UNLIKELY(v->attention | lapic_attention(v->lapic)))
        return vmx_prepare_events(v);
    return VCPU_RUN;
}

static __attribute__((noinline)) unsigned exit_observed(struct vmx_vcpu *v, uint32_t reason)
{
    struct vmx_observer *observer;
    unsigned answer;

    for (observer = v->observer; observer; observer = observer->next)
        observer->before(observer, v);
    answer = dispatch[reason](v);
    for (observer = v->observer; observer; observer = observer->next)
        observer->after(observer, v, answer);
    return answer;
}

static COLD void entry_failure_observed(struct vmx_vcpu *v)
{
    for (struct vmx_observer *observer = v->observer; observer; observer = observer->next) {
        if (observer->failed)
            observer->failed(observer, v);
    }
}

/*
 * The hot exits, decided before anything else and without a call: an instruction whose answer is
 * known beforehand, in a guest that does nothing unusual around it. Everything else (an observer,
 * pending work, single-stepping, blocking by STI, a rare leaf) goes the long way, and nothing has
 * been changed then.
 *
 * The attribute makes the compiler save what it uses, and nothing else: entry.asm has saved RAX,
 * RBX, RCX, RDX and RDI only. The preemption timer is not written: it counts on from where the exit
 * saved it. What it misses is the time spent here; every sixteenth exit of a reason goes the long
 * way, which sets it anew, so that it is never late by more than sixteen of these paths. hot_mask is
 * 15 for that, and 0 (never hot) with an observer, or where exits cannot save the timer.
 */
__attribute__((no_caller_saved_registers)) bool vmx_exit_hot(struct vmx_vcpu *v)
{
    uint32_t reason = (uint32_t)vmcs_read_hot(VMCS_EXIT_REASON);
    uint64_t *r = v->gprs.r;
    uint64_t rip, next;

    v->exit.reason = reason;
    if (reason != VMEXIT_CPUID && reason != VMEXIT_VMCALL)
        return false;
    if (HV_UNLIKELY(v->attention | lapic_attention(v->lapic)) ||
        HV_UNLIKELY((v->exits[reason] & v->hot_mask) == v->hot_mask))
        return false;
    rip = vmcs_read_hot(VMCS_GUEST_RIP);
    next = rip + (uint32_t)vmcs_read_hot(VMCS_EXIT_INSTRUCTION_LENGTH);
    if (HV_UNLIKELY((rip ^ next) >> 32) ||
        HV_UNLIKELY(vmcs_read_hot(VMCS_GUEST_INTERRUPTIBILITY_STATE) & BLOCKING_ENDS) ||
        HV_UNLIKELY(vmcs_read_hot(VMCS_GUEST_RFLAGS) & RFLAGS_TF))
        return false;
    if (reason == VMEXIT_CPUID) {
        const struct cpuid_view_entry *entry =
            cpuid_view_find(&v->cpuid, (uint32_t)r[X86_RAX], (uint32_t)r[X86_RCX]);
        /* The first entry stands for what has none; leaf 0BH is answered there, too. */
        if (HV_UNLIKELY(entry->dynamic != CPUID_STATIC || entry == v->cpuid.entries))
            return false;
        r[X86_RAX] = entry->regs.eax;
        r[X86_RBX] = entry->regs.ebx;
        r[X86_RCX] = entry->regs.ecx;
        r[X86_RDX] = entry->regs.edx;
    } else {
        r[X86_RAX] = VMX_HYPERCALL_UNKNOWN;
    }
    v->exits[reason]++;
    vmwrite_unchecked(VMCS_GUEST_RIP, next);
    return true;
}

/* Every other exit; v->exit.reason has been read. */
unsigned vmx_exit(struct vmx_vcpu *v)
{
    uint32_t reason = v->exit.reason;
    unsigned next;

    if (HV_UNLIKELY(reason >= VMEXIT_COUNT || !dispatch[reason])) {
        if (reason & VMX_EXIT_REASON_ENTRY_FAILURE) {
            entry_failure_observed(v);
            return exit_entry_failed(v) & EXIT_ANSWER_NEXT_MASK;
        }
        return vmx_crash(v, "exit reason 0x%x, which nobody knows", reason);
    }
    v->exits[reason]++;
    next = (HV_UNLIKELY(v->observer) ? exit_observed(v, reason) : dispatch[reason](v)) &
           EXIT_ANSWER_NEXT_MASK;
    if (HV_UNLIKELY(next != VCPU_RUN))
        return next;
    return run_ready(v);
}

static void observers_changed(struct vmx_vcpu *v)
{
    bool timer_counts_on = !v->preemption_on || (v->controls->exit & EXIT_SAVE_PREEMPTION_TIMER);

    v->hot_mask = !v->observer && timer_counts_on ? 15 : 0;
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
    next = run_ready(v);
    if (next != VCPU_RUN)
        return next;
    next = vmx_run_guest(v);
    if (HV_UNLIKELY(next == VMX_ENTRY_FAILED)) {
        v->exit.reason = 0;
        entry_failure_observed(v);
        vmx_log_entry_failure(v);
        vm_crash(vcpu->vm, "vCPU %u: VM entry failed", vcpu->index);
        return VCPU_END;
    }
    return next;
}
