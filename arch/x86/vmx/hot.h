/*
 * What the short ways share: hot.c, hot_recorded.c, warm.c, and run.c at its end. Not for others.
 */
#ifndef ARCH_X86_VMX_HOT_H
#define ARCH_X86_VMX_HOT_H

#include "arch/x86/vmx/vcpu.h"

/* Called by entry.asm first. `v`, or NULL: take the long way. */
struct vmx_vcpu *vmx_hot_cpuid(struct vmx_vcpu *v);
struct vmx_vcpu *vmx_hot_vmcall(struct vmx_vcpu *v);

/* Called by entry.asm next; enum vmx_warm. */
unsigned vmx_warm_io(struct vmx_vcpu *v);
unsigned vmx_warm_rdmsr(struct vmx_vcpu *v);
unsigned vmx_warm_wrmsr(struct vmx_vcpu *v);
unsigned vmx_warm_timer(struct vmx_vcpu *v);
unsigned vmx_warm_refuse(struct vmx_vcpu *v);

#define HOT_BLOCKING_ENDS (VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS)

/* Is there nothing around this exit but the instruction? *at is RIP, *next is RIP behind it. */
static inline __attribute__((always_inline)) bool hot_is_plain(struct vmx_vcpu *v, uint64_t *at,
                                                               uint64_t *next)
{
    uint64_t rip, rflags, unusual;

    if (HV_UNLIKELY(v->attention | lapic_attention(v->lapic)) || HV_UNLIKELY(--v->timer_budget < 0))
        return false;
    *at = rip = vmread_unchecked(VMCS_GUEST_RIP);
    *next = rip + vmread_unchecked(VMCS_EXIT_INSTRUCTION_LENGTH);
    rflags = vmread_unchecked(VMCS_GUEST_RFLAGS);
    unusual = (rflags & RFLAGS_TF) | (rip ^ *next) >> 32;
    if (HV_UNLIKELY(rflags & v->blocking_matters))
        unusual |= vmread_unchecked(VMCS_GUEST_INTERRUPTIBILITY_STATE) & HOT_BLOCKING_ENDS;
    return HV_LIKELY(!unusual);
}

static inline __attribute__((always_inline)) struct vmx_vcpu *hot_done(struct vmx_vcpu *v,
                                                                       enum vmexit_reason reason,
                                                                       uint64_t next)
{
    v->exits[reason]++;
    vmwrite_unchecked(VMCS_GUEST_RIP, next);
    return v;
}

/* Handled: may the guest be entered without another look at timers, events and other cores' wishes? */
static inline __attribute__((always_inline)) bool hot_is_ready(struct vmx_vcpu *v)
{
    const struct core *core = v->core;

    return HV_LIKELY(!(lapic_attention(v->lapic) | v->attention |
                       __atomic_load_n(&core->kick, __ATOMIC_RELAXED) |
                       (tq_first_tsc(&core->timers) ^ v->timer_tsc))) &&
           HV_LIKELY(--v->timer_budget >= 0);
}

/* False: not a leaf that is the same at any time. */
static inline __attribute__((always_inline)) bool hot_answer_cpuid(struct vmx_vcpu *v)
{
    const struct cpuid_regs *regs;
    uint64_t *r = v->gprs.r;

    regs = cpuid_view_find_static(&v->cpuid, (uint32_t)r[X86_RAX], (uint32_t)r[X86_RCX]);
    if (HV_UNLIKELY(!regs))
        return false;
    r[X86_RAX] = regs->eax;
    r[X86_RBX] = regs->ebx;
    r[X86_RCX] = regs->ecx;
    r[X86_RDX] = regs->edx;
    return true;
}

static inline __attribute__((always_inline)) void hot_answer_vmcall(struct vmx_vcpu *v)
{
    v->gprs.r[X86_RAX] = VMX_HYPERCALL_UNKNOWN;
}

/* What recorder.c would have recorded, in one piece. `what` is a constant in each use. */
static inline __attribute__((always_inline)) void
hot_record(struct vmx_vcpu *v, const unsigned what, uint32_t reason, uint64_t rip, uint64_t begin_tsc,
           uint64_t detail)
{
    uint64_t ticks = rdtsc() - begin_tsc;

    if (what & VMX_RECORD_TICKS)
        vmx_stats_add(&v->recorder.stats->row[reason], ticks);
    if (what & VMX_RECORD_RING) {
        struct vmx_trace_record *r = vmx_trace_begin(&v->recorder.trace);
        r->tsc = begin_tsc;
        r->rip = rip;
        r->qualification = 0;
        r->detail = detail;
        r->value = 0;
        r->reason = reason;
        r->ticks = (uint32_t)ticks;
        r->injected = v->injected;
        r->queued = 0;
        r->next = VCPU_RUN;
        r->flags = VMX_TRACE_ADVANCED;
        v->injected = 0;
    }
}

#endif
