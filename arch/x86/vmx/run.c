/*
 * From VM exit to VM entry: collect the facts that the exit's row asks for, call its handler, move
 * RIP, look for pending work, and go back in. Path length is the first criterion here.
 *
 * Not here: what the handlers do (exit_*.c), delivery of events (event.c).
 * SDM volume 3 "VM Exits", "VM Entries".
 */
#include "arch/x86/vmx/vcpu.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

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

#define EXIT(number, name, handler, needs, experiment, sdm, doc)                                   \
    static unsigned dispatch_##name(struct vmx_vcpu *v)                                            \
    {                                                                                              \
        exit_collect(v, (needs));                                                                  \
        unsigned answer = handler(v);                                                              \
        if (((needs) & NEED_VECT) && HV_UNLIKELY(v->exit.vect_info))                               \
            vmx_requeue_vectoring(v);                                                              \
        if (answer & EXIT_NEXT)                                                                    \
            vmx_advance_rip(v);                                                                    \
        return answer & EXIT_ANSWER_NEXT_MASK;                                                     \
    }
#include "arch/x86/vmx/exits.def"
#undef EXIT

static unsigned (*const dispatch[VMEXIT_COUNT])(struct vmx_vcpu *v) = {
#define EXIT(number, name, handler, needs, experiment, sdm, doc) [number] = dispatch_##name,
#include "arch/x86/vmx/exits.def"
#undef EXIT
};

/* Outside of 64-bit mode the instruction pointer wraps at 4 GB (and entry checks that it did). */
static uint64_t rip_wrap(struct vmx_vcpu *v, uint64_t rip)
{
    return vmx_guest_mode(v) == EMUL_MODE_64 ? rip : rip & UINT32_MAX;
}

void vmx_advance_rip(struct vmx_vcpu *v)
{
    uint64_t rip = vmcs_read(VMCS_GUEST_RIP);
    uint64_t next = rip + v->exit.length;
    uint32_t blocking = (uint32_t)vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE);

    if (HV_UNLIKELY((rip ^ next) >> 32))
        next = rip_wrap(v, next);
    vmcs_write(VMCS_GUEST_RIP, next);
    if (HV_UNLIKELY(blocking & (VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS)))
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE,
                   blocking & ~(VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS));
    /* A single step over the instruction is owed: SDM "Single-Step Exception Condition". */
    if (HV_UNLIKELY(vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_TF))
        vmcs_write(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS,
                   vmcs_read(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS) | VMX_PENDING_DBG_BS);
}

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
    struct vmx_observer *observer = v->observer;
    unsigned answer;

    observer->before(observer, v);
    answer = dispatch[reason](v);
    observer->after(observer, v, answer);
    return answer;
}

unsigned vmx_exit(struct vmx_vcpu *v)
{
    uint32_t reason = (uint32_t)vmcs_read(VMCS_EXIT_REASON);
    unsigned next;

    v->exit.reason = reason;
    v->rsp_valid = false;
    if (HV_UNLIKELY(reason >= VMEXIT_COUNT || !dispatch[reason])) {
        if (reason & VMX_EXIT_REASON_ENTRY_FAILURE)
            return exit_entry_failed(v) & EXIT_ANSWER_NEXT_MASK;
        return vmx_crash(v, "exit reason 0x%x, which nobody knows", reason);
    }
    v->exits[reason]++;
    next = HV_UNLIKELY(v->observer) ? exit_observed(v, reason) : dispatch[reason](v);
    if (HV_UNLIKELY(next != VCPU_RUN))
        return next;
    return run_ready(v);
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
        vmx_log_entry_failure(v);
        vm_crash(vcpu->vm, "vCPU %u: VM entry failed", vcpu->index);
        return VCPU_END;
    }
    return next;
}
