/*
 * What VM entry does not switch: a vCPU's state stays in its core until another vCPU wants to run
 * there, and is then exchanged as a whole.
 *
 * Here: x87/SSE/AVX/... and PKRU by XSAVE, XCR0, debug registers 0-3 and 6, SYSCALL's MSRs,
 * KERNEL_GS_BASE, TSC_AUX, SPEC_CTRL, CR2, and which VMCS is current. DR7, DEBUGCTL, PAT, EFER, the SYSENTER
 * MSRs and FS/GS bases are in the VMCS. IA32_XSS stays 0: no guest may set it.
 * SDM volume 3 "VMM Setup & Tear Down", "Managing Processor State".
 */
#include "arch/x86/vmx/mitigate.h"
#include "arch/x86/vmx/vcpu.h"
#include "hv/log.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "hv/string.h"
#include "x86/host_apic.h"
#include "x86/host_paging.h"
#include "x86/msr.h"
#include "x86/percpu.h"

#define XSAVE_MXCSR_OFFSET 24
#define MXCSR_INIT 0x1f80u
#define FCW_INIT 0x037fu

/* --- which VMCS is current --- */

static void vmcs_load(hpa_t vmcs)
{
    if (vmptrld(vmcs.v) != VMX_OK)
        hv_panic("core %u: VMPTRLD of 0x%llx failed", arch_this_core(), (unsigned long long)vmcs.v);
}

static void vmcs_clear(struct vmx_vcpu *v)
{
    if (vmclear(v->vmcs.v) != VMX_OK)
        hv_panic("core %u: VMCLEAR of 0x%llx failed", arch_this_core(),
                 (unsigned long long)v->vmcs.v);
    v->launched = 0;
    if (this_cpu()->vmx == v)
        this_cpu()->vmx = NULL;
}

static void make_current(struct vmx_vcpu *v)
{
    vmcs_load(v->vmcs);
    this_cpu()->vmx = v;
}

void vmx_vmcs_borrow(struct vmx_vcpu *v)
{
    v->lender = this_cpu()->vmx;
    make_current(v);
}

void vmx_vmcs_return(struct vmx_vcpu *v)
{
    vmcs_clear(v);
    if (v->lender && v->lender != v)
        make_current(v->lender);
    v->lender = NULL;
}

void vmx_vmcs_visit(struct vmx_vcpu *v, void (*look)(void *context), void *context)
{
    struct vmx_vcpu *before = this_cpu()->vmx;
    /* Cleared, so that another core may take it: it has to be so again. */
    bool was_clear = before != v && !v->launched;

    if (before != v)
        make_current(v);
    look(context);
    if (was_clear)
        vmcs_clear(v);
    if (before && before != v)
        make_current(before);
}

/* --- registers --- */

static void xstate_save(struct vmx_vcpu *v)
{
    uint64_t all = vmx_host_xcr0();

    if (!all) {
        fxsave64(v->xsave);
        return;
    }
    /* A component may hold state although the guest's XCR0 does not enable it now. */
    v->switched.xcr0 = xgetbv(0);
    xsetbv(0, all);
    xsave64(v->xsave, all);
}

static void xstate_load(struct vmx_vcpu *v)
{
    uint64_t all = vmx_host_xcr0();

    if (!all) {
        fxrstor64(v->xsave);
        return;
    }
    xsetbv(0, all);
    xrstor64(v->xsave, all);
    xsetbv(0, v->switched.xcr0);
}

static void msrs_save(struct vmx_vcpu *v)
{
    struct vmx_switched *s = &v->switched;

    s->star = rdmsr(MSR_IA32_STAR);
    s->lstar = rdmsr(MSR_IA32_LSTAR);
    s->cstar = rdmsr(MSR_IA32_CSTAR);
    s->fmask = rdmsr(MSR_IA32_FMASK);
    s->kernel_gs_base = rdmsr(MSR_IA32_KERNEL_GS_BASE);
    if (v->controls->cpu2 & CPU2_ENABLE_RDTSCP)
        s->tsc_aux = rdmsr(MSR_IA32_TSC_AUX);
}

static void msrs_load(const struct vmx_vcpu *v)
{
    const struct vmx_switched *s = &v->switched;

    wrmsr(MSR_IA32_STAR, s->star);
    wrmsr(MSR_IA32_LSTAR, s->lstar);
    wrmsr(MSR_IA32_CSTAR, s->cstar);
    wrmsr(MSR_IA32_FMASK, s->fmask);
    wrmsr(MSR_IA32_KERNEL_GS_BASE, s->kernel_gs_base);
    if (v->controls->cpu2 & CPU2_ENABLE_RDTSCP)
        wrmsr(MSR_IA32_TSC_AUX, s->tsc_aux);
}

static void debug_save(struct vmx_vcpu *v)
{
    struct vmx_switched *s = &v->switched;

    s->dr0 = read_dr0();
    s->dr1 = read_dr1();
    s->dr2 = read_dr2();
    s->dr3 = read_dr3();
    s->dr6 = read_dr6();
}

static void debug_load(const struct vmx_vcpu *v)
{
    const struct vmx_switched *s = &v->switched;

    write_dr0(s->dr0);
    write_dr1(s->dr1);
    write_dr2(s->dr2);
    write_dr3(s->dr3);
    write_dr6(s->dr6);
}

void vmx_set_wake(struct vmx_vcpu *v, uint64_t deadline_tsc, uint64_t now_tsc)
{
    uint64_t value = (deadline_tsc - now_tsc) >> v->preemption_shift;

    if (HV_LIKELY(v->preemption_on))
        vmcs_write(VMCS_PREEMPTION_TIMER_VALUE, hv_min_u64(value, UINT32_MAX));
    else
        host_timer_arm_tsc(deadline_tsc);
}

void vmx_vcpu_load(struct vmx_vcpu *v)
{
    v->core = &hv_cores[arch_this_core()];
    if (this_cpu()->vmx != v)
        make_current(v);
    if (v->host_core != v->core->index) {
        vmx_host_state_write(v);
        v->host_core = v->core->index;
        v->preemption_shift = vmx_caps_timer_shift(vmx_host_caps());
        /* Translations of an earlier owner of this VPID on this core. */
        v->attention |= VMX_ATTENTION_FLUSH;
    }
    msrs_load(v);
    debug_load(v);
    write_cr2(v->switched.cr2);
    xstate_load(v);
    vmx_spec_vcpu_load(v);
    if (!v->vm->entry_tsc)
        v->vm->entry_tsc = rdtsc();
    v->loaded = true;
    if (v->vm->owns_cores)
        vmx_own_core_lend(v);
}

void arch_vcpu_put(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    if (!v->loaded)
        return;
    if (v->vm->owns_cores)
        vmx_own_core_take_back(v);
    xstate_save(v);
    v->switched.cr2 = read_cr2();
    debug_save(v);
    msrs_save(v);
    vmx_spec_vcpu_put(v);
    v->loaded = false;
}

void arch_vcpu_release(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    arch_vcpu_put(vcpu);
    if (v->launched || this_cpu()->vmx == v)
        vmcs_clear(v);
}

void vmx_flush_guest_tlb(struct vmx_vcpu *v)
{
    enum vmx_status status = VMX_OK;

    if (v->controls->cpu2 & CPU2_ENABLE_VPID) {
        uint64_t caps = vmx_host_caps()->ept_vpid_cap;
        status = caps & VMX_EPT_CAP_INVVPID_SINGLE
                     ? invvpid(INVVPID_SINGLE_CONTEXT, v->vpid, 0)
                     : invvpid(INVVPID_ALL_CONTEXTS, 0, 0);
    }
    if (status != VMX_OK)
        hv_panic("INVVPID of %u failed", v->vpid);
}

/* --- creation --- */

uint64_t vmx_xsave_bytes(void)
{
    return vmx_host_xcr0() ? cpuid(CPUID_LEAF_XSAVE, 0).ecx : 512;
}

void vmx_switch_reset(struct vmx_vcpu *v)
{
    uint32_t mxcsr = MXCSR_INIT;
    uint16_t fcw = FCW_INIT;

    memset(&v->switched, 0, sizeof(v->switched));
    v->switched.xcr0 = XCR0_X87;
    v->switched.dr6 = DR6_INIT;
    /* XSTATE_BV 0 asks for the initial state of every component; MXCSR is loaded even then. */
    memset(v->xsave, 0, vmx_xsave_bytes());
    memcpy(v->xsave, &fcw, sizeof(fcw));
    memcpy((uint8_t *)v->xsave + XSAVE_MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
}

enum hv_err vmx_switch_create(struct vmx_vcpu *v)
{
    uint64_t bytes = vmx_xsave_bytes();
    hpa_t area;
    enum hv_err err = page_alloc_take(hv_pages(), hv_align_up(bytes, HV_PAGE_BYTES) >> HV_PAGE_SHIFT,
                                      PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &area);

    if (err != HV_OK)
        return err;
    v->xsave = (void *)area.v;
    v->host_core = UINT32_MAX;
    return HV_OK;
}
