/*
 * The hot exits, decided before anything else and without a call: an instruction whose answer is
 * known beforehand, in a guest that does nothing unusual around it. Everything else (another observer than the recorder,
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
#include "arch/x86/vmx/hot.h"

struct vmx_vcpu *vmx_hot_cpuid(struct vmx_vcpu *v)
{
    uint64_t rip, next;

    if (HV_UNLIKELY(!hot_is_plain(v, &rip, &next)) || HV_UNLIKELY(!hot_answer_cpuid(v)))
        return NULL;
    return hot_done(v, VMEXIT_CPUID, next);
}

struct vmx_vcpu *vmx_hot_vmcall(struct vmx_vcpu *v)
{
    uint64_t rip, next;

    if (HV_UNLIKELY(!hot_is_plain(v, &rip, &next)))
        return NULL;
    hot_answer_vmcall(v);
    return hot_done(v, VMEXIT_VMCALL, next);
}
