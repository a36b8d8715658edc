/*
 * The hot ways (hot.c) of a vCPU whose exits are recorded, one for each way of recording, so that
 * what is off costs nothing. What they record is what recorder.c would have.
 *
 * As there: of the registers only those that entry.asm has saved, and nothing is called.
 */
#include "arch/x86/vmx/hot.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE struct vmx_vcpu *cpuid_recorded(struct vmx_vcpu *v, const unsigned what)
{
    uint64_t rip, next, begin_tsc, detail;

    if (HV_UNLIKELY(!hot_is_plain(v, &rip, &next)))
        return NULL;
    begin_tsc = rdtsc();
    detail = (uint32_t)v->gprs.r[X86_RAX] | v->gprs.r[X86_RCX] << 32;
    if (HV_UNLIKELY(!hot_answer_cpuid(v)))
        return NULL;
    hot_record(v, what, VMEXIT_CPUID, rip, begin_tsc, detail);
    return hot_done(v, VMEXIT_CPUID, next);
}

ALWAYS_INLINE struct vmx_vcpu *vmcall_recorded(struct vmx_vcpu *v, const unsigned what)
{
    uint64_t rip, next, begin_tsc;

    if (HV_UNLIKELY(!hot_is_plain(v, &rip, &next)))
        return NULL;
    begin_tsc = rdtsc();
    hot_answer_vmcall(v);
    hot_record(v, what, VMEXIT_VMCALL, rip, begin_tsc, 0);
    return hot_done(v, VMEXIT_VMCALL, next);
}

static struct vmx_vcpu *cpuid_ticks(struct vmx_vcpu *v)
{
    return cpuid_recorded(v, VMX_RECORD_TICKS);
}

static struct vmx_vcpu *cpuid_ring(struct vmx_vcpu *v)
{
    return cpuid_recorded(v, VMX_RECORD_RING);
}

static struct vmx_vcpu *cpuid_both(struct vmx_vcpu *v)
{
    return cpuid_recorded(v, VMX_RECORD_TICKS | VMX_RECORD_RING);
}

static struct vmx_vcpu *vmcall_ticks(struct vmx_vcpu *v)
{
    return vmcall_recorded(v, VMX_RECORD_TICKS);
}

static struct vmx_vcpu *vmcall_ring(struct vmx_vcpu *v)
{
    return vmcall_recorded(v, VMX_RECORD_RING);
}

static struct vmx_vcpu *vmcall_both(struct vmx_vcpu *v)
{
    return vmcall_recorded(v, VMX_RECORD_TICKS | VMX_RECORD_RING);
}

#define WARM { vmx_warm_io, vmx_warm_rdmsr, vmx_warm_wrmsr, vmx_warm_timer }
#define WARM_REFUSED { vmx_warm_refuse, vmx_warm_refuse, vmx_warm_refuse, vmx_warm_refuse }

const struct vmx_hot vmx_hot_ways[VMX_RECORD_WAYS] = {
    [0] = { vmx_hot_cpuid, vmx_hot_vmcall, WARM },
    [VMX_RECORD_TICKS] = { cpuid_ticks, vmcall_ticks, WARM_REFUSED },
    [VMX_RECORD_RING] = { cpuid_ring, vmcall_ring, WARM_REFUSED },
    [VMX_RECORD_TICKS | VMX_RECORD_RING] = { cpuid_both, vmcall_both, WARM_REFUSED },
};
