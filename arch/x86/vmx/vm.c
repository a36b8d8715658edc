/*
 * What VT-x needs of a VM and of a vCPU before the first entry: policy, bitmaps, EPT, VMCS.
 */
#include "arch/x86/vmx/mitigate.h"
#include "arch/x86/vmx/vcpu.h"
#include "hv/boot_info.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "hv/string.h"
#include "x86/host_apic.h"

static enum hv_err take(uint64_t bytes, void **out)
{
    hpa_t at = HPA(0);
    enum hv_err err = page_alloc_take(machine_pages(),
                                      hv_align_up(bytes, HV_PAGE_BYTES) >> HV_PAGE_SHIFT,
                                      PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &at);

    *out = (void *)at.v;
    return err;
}

static void give(const void *start, uint64_t bytes)
{
    if (start && page_alloc_free(machine_pages(), HPA((uint64_t)start),
                                 hv_align_up(bytes, HV_PAGE_BYTES) >> HV_PAGE_SHIFT) != HV_OK)
        hv_panic("memory that is not ours: 0x%llx", (unsigned long long)(uint64_t)start);
}

/* --- policy --- */

static struct cpuid_view_request cpuid_request(const struct vmx_vm *x, uint32_t apic_id)
{
    return (struct cpuid_view_request){
        .host = cpuid,
        .apic_id = apic_id,
        .vcpus = x->vm->config->vcpus,
        .tsc_hz = arch_tsc_hz(),
        .apic_timer_hz = x->owns_cores ? host_timer_counter_hz() : 0,
        .xcr0_supported = vmx_host_xcr0(),
        .compacted_bytes = vmx_host_compacted_bytes(),
        .xsaves = x->controls.cpu2 & CPU2_ENABLE_XSAVES_XRSTORS,
        .rdtscp = x->controls.cpu2 & CPU2_ENABLE_RDTSCP,
        .invpcid = x->controls.cpu2 & CPU2_ENABLE_INVPCID,
        .kvm = x->vm->config->paravirt == CONFIG_PARAVIRT_KVM,
        .leaf7_edx = vmx_spec_plan()->guest_leaf7_edx,
        .leaf7_2_edx = vmx_spec_plan()->guest_leaf7_2_edx,
        .cr4_seen = (x->controls.cr4_mask & CPUID_VIEW_CR4) == CPUID_VIEW_CR4,
    };
}

/* A loop of PAUSEs waits for somebody: where that one may want the same core, it gets it at once. Gap
 * and window, in TSC ticks: between two PAUSEs of a loop there are a few dozen, and a lock that is
 * held for longer than the window is held by somebody who does not run. */
static void wish_pause_loops(struct vmx_vm *x)
{
    if (x->owns_cores || !core_plan_is_crowded(&machine_boot_info()->config))
        return;
    x->policy.pause_loop_exiting = VM_PREFER;
    x->policy.ple_gap = 128;
    x->policy.ple_window = 4096;
}

/* CR0.CD and NW are the caches', which the VMs share; NE is VMX's. Of CR4, what CPUID does not show
 * must be refused, as a processor without the feature does. */
static enum hv_err make_controls(struct vmx_vm *x)
{
    struct vmx_customize *customize = x->vm->extra ? x->vm->extra->arch : NULL;
    struct vmx_refusal why;
    struct cpuid_view *view;
    void *scratch;
    char text[200];
    enum hv_err err = take(sizeof(*view), &scratch);

    if (err != HV_OK)
        return err;
    view = scratch;
    x->owns_cores = x->vm->config->interrupts == CONFIG_INTERRUPTS_GUEST;
    x->policy = vm_policy_default(x->owns_cores ? VM_INTERRUPTS_GUEST : VM_INTERRUPTS_VMM);
    x->policy.cr0_trapped |= CR0_CD | CR0_NW;
    x->policy.cr4_trapped |= CPUID_VIEW_CR4; /* so that CPUID need not look */
    x->policy.exception_bitmap = 1u << X86_EXC_DB | 1u << X86_EXC_AC | 1u << X86_EXC_MC;
    wish_pause_loops(x);
    if (customize)
        customize->policy(customize, &x->policy);
    err = vmx_policy_to_controls(&x->policy, vmx_host_caps(), &x->controls, &why);
    if (err == HV_OK) {
        const struct cpuid_view_request request = cpuid_request(x, 0);
        cpuid_view_make(view, &request);
        x->policy.cr4_trapped |= ~cpuid_view_cr4(view);
        x->physical_address_bits =
            (uint8_t)cpuid_view_find(view, CPUID_LEAF_ADDRESS_SIZES, 0)->regs.eax;
        err = vmx_policy_to_controls(&x->policy, vmx_host_caps(), &x->controls, &why);
    }
    if (err == HV_OK && !x->owns_cores)
        vmx_apicv_make_controls(x);
    if (err != HV_OK) {
        vmx_refusal_text(text, sizeof(text), &why);
        if (customize)
            customize->refused(customize, text);
        else
            hv_error("vm %s: %s", x->vm->config->name, text);
    }
    give(scratch, sizeof(*view));
    return err;
}

static enum hv_err make_bitmaps(struct vmx_vm *x)
{
    void *msr, *msr_apicv, *io;
    enum hv_err err = take(HV_PAGE_BYTES, &msr);

    if (err == HV_OK)
        err = take(HV_PAGE_BYTES, &msr_apicv);

    if (err == HV_OK)
        err = take(2 * HV_PAGE_BYTES, &io);
    if (err != HV_OK)
        return err;
    vmx_msr_bitmap_fill(msr, x);
    vmx_msr_bitmap_fill(msr_apicv, x);
    vmx_spec_open_msrs(msr);
    vmx_spec_open_msrs(msr_apicv);
    if (x->owns_cores) {
        vmx_own_core_open_msrs(msr, false);
        vmx_own_core_open_msrs(msr_apicv, true);
    } else {
        vmx_apicv_open_msrs(msr_apicv);
    }
    memset(io, 0xff, 2 * HV_PAGE_BYTES); /* no port is the guest's own */
    x->msr_bitmap = HPA((uint64_t)msr);
    x->msr_bitmap_apicv = HPA((uint64_t)msr_apicv);
    x->io_bitmaps = HPA((uint64_t)io);
    return HV_OK;
}

/* --- creation --- */

enum hv_err arch_vm_create(struct vm *vm)
{
    void *memory;
    struct vmx_vm *x;
    enum hv_err err = take(sizeof(struct vmx_vm), &memory);

    if (err != HV_OK)
        return err;
    x = memory;
    x->vm = vm;
    x->start_tsc = vm->clock.start_tsc;
    x->halt_poll_ticks = hv_mul_div_u64(vm->config->halt_poll_us, arch_tsc_hz(), 1000000);
    vm->arch = x;
    err = make_controls(x);
    if (err == HV_OK)
        err = make_bitmaps(x);
    if (err == HV_OK)
        err = vmx_ept_create(x);
    return err;
}

static enum hv_err vcpu_build(struct vmx_vcpu *v)
{
    const struct cpuid_view_request request = cpuid_request(v->vm, v->vcpu.index);
    void *region;
    enum hv_err err = take(HV_PAGE_BYTES, &region);

    if (err == HV_OK)
        err = vmx_switch_create(v);
    if (err == HV_OK)
        err = vmx_apic_create(v);
    if (err != HV_OK)
        return err;
    *(uint32_t *)region = vmx_caps_revision(vmx_host_caps());
    v->vmcs = HPA((uint64_t)region);
    if (vmclear(v->vmcs.v) != VMX_OK)
        return HV_ERR_UNSUPPORTED;
    cpuid_view_make(&v->cpuid, &request);
    v->tsc_offset = v->vm->owns_cores ? 0 : -v->vcpu.vm->clock.start_tsc;
    vmx_msrs_reset(v);
    vmx_switch_reset(v);
    vmx_vmcs_borrow(v);
    vmx_vmcs_fill(v);
    vmx_vmcs_return(v);
    return HV_OK;
}

/* VPID 0 is the host's. Every vCPU of the machine has its own. */
static uint16_t next_vpid(void)
{
    static uint16_t last;

    return ++last;
}

struct vcpu *arch_vcpu_create(struct vm *vm, unsigned index)
{
    void *memory;
    struct vmx_vcpu *v;

    if (take(sizeof(struct vmx_vcpu), &memory) != HV_OK)
        return NULL;
    v = memory;
    v->vcpu.vm = vm;
    v->vcpu.index = index;
    v->vm = vm->arch;
    v->controls = &v->vm->controls;
    v->vpid = next_vpid();
    v->preemption_on = v->controls->pin & PIN_ACTIVATE_PREEMPTION_TIMER;
    v->core = &hv_cores[0];
    if (vmx_record(v, vmx_record_configured(vm->config)) != HV_OK)
        return NULL;
    return vcpu_build(v) == HV_OK ? &v->vcpu : NULL;
}

void arch_vcpu_reset(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    lapic_reset(v->lapic);
    v->descriptor = (struct posted_descriptor){ .control = 0 };
    v->tsc_offset -= v->msrs.tsc_adjust;
    vmx_msrs_reset(v);
    vmx_switch_reset(v);
    vmx_vmcs_borrow(v);
    vmx_apicv_update_mode(v);
    vmx_debug_reset(v);
    vmx_guest_state_reset(v);
    if (v->controls->cpu & CPU_USE_TSC_OFFSETTING)
        vmcs_write(VMCS_TSC_OFFSET, v->tsc_offset);
    vmx_vmcs_return(v);
}

void arch_vcpu_destroy(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    core_timer_cancel(v->vcpu.core, &v->apic_timer);
    arch_vcpu_release(vcpu);
    give((void *)v->vmcs.v, HV_PAGE_BYTES);
    give(v->xsave, vmx_xsave_bytes());
    give(v->lapic, sizeof(struct lapic));
    give(v, sizeof(*v));
}

void arch_vm_destroy(struct vm *vm)
{
    struct vmx_vm *x = vm->arch;

    if (!x)
        return;
    if (x->ept.root) {
        ept_destroy(&x->ept);
        if (x->eptp && invept(INVEPT_GLOBAL, 0) != VMX_OK)
            hv_panic("INVEPT failed");
    }
    give((void *)x->msr_bitmap.v, HV_PAGE_BYTES);
    give((void *)x->msr_bitmap_apicv.v, HV_PAGE_BYTES);
    give((void *)x->io_bitmaps.v, 2 * HV_PAGE_BYTES);
    give(x, sizeof(*x));
}
