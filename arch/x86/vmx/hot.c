/*
 * The hot exits, decided before anything else and without a call: an instruction whose answer is
 * known beforehand, in a guest that does nothing unusual around it. Everything else (an observer,
 * pending work, single-stepping, blocking by STI, a rare leaf) goes the long way (run.c), and
 * nothing has been changed then.
 *
 * entry.asm has saved RAX, RBX, RCX, RDX and RDI alone: the build tells the compiler to keep the
 * other registers as a callee (Makefile, "hot.o"). So nothing may be called from here that is not
 * inlined.
 *
 * RIP is moved here and in run.c, nowhere else. The preemption timer is left alone: see run_ready(),
 * whose budget is used up here as well.
 * SDM volume 3 "VM Exits".
 */
#include "arch/x86/vmx/vcpu.h"

#define BLOCKING_ENDS (VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS)

/* Is there nothing around this exit but the instruction? *next is RIP behind it. */
static inline __attribute__((always_inline)) bool hot_is_plain(struct vmx_vcpu *v, uint64_t *next)
{
    uint64_t rip, unusual;

    if (HV_UNLIKELY(v->attention | lapic_attention(v->lapic)) || HV_UNLIKELY(--v->timer_budget < 0))
        return false;
    rip = vmread_unchecked(VMCS_GUEST_RIP);
    *next = rip + vmread_unchecked(VMCS_EXIT_INSTRUCTION_LENGTH);
    unusual = vmread_unchecked(VMCS_GUEST_INTERRUPTIBILITY_STATE) & BLOCKING_ENDS;
    unusual |= vmread_unchecked(VMCS_GUEST_RFLAGS) & RFLAGS_TF;
    unusual |= (rip ^ *next) >> 32;
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

struct vmx_vcpu *vmx_hot_cpuid(struct vmx_vcpu *v)
{
    const struct cpuid_regs *regs;
    uint64_t *r = v->gprs.r;
    uint64_t next;

    if (HV_UNLIKELY(!hot_is_plain(v, &next)))
        return NULL;
    regs = cpuid_view_find_static(&v->cpuid, (uint32_t)r[X86_RAX], (uint32_t)r[X86_RCX]);
    if (HV_UNLIKELY(!regs))
        return NULL;
    r[X86_RAX] = regs->eax;
    r[X86_RBX] = regs->ebx;
    r[X86_RCX] = regs->ecx;
    r[X86_RDX] = regs->edx;
    return hot_done(v, VMEXIT_CPUID, next);
}

struct vmx_vcpu *vmx_hot_vmcall(struct vmx_vcpu *v)
{
    uint64_t next;

    if (HV_UNLIKELY(!hot_is_plain(v, &next)))
        return NULL;
    v->gprs.r[X86_RAX] = VMX_HYPERCALL_UNKNOWN;
    return hot_done(v, VMEXIT_VMCALL, next);
}
