/*
 * The local APIC's surroundings: the vCPU's TSC, a timer in its core's queue, the other APICs of the
 * VM, and the I/O APIC.
 */
#include "arch/x86/vmx/posted_vcpu.h"
#include "arch/x86/vmx/vcpu.h"
#include "hv/page_alloc.h"
#include "hv/platform.h"
#include "x86/host_paging.h"

static uint64_t env_tsc_now(void *context)
{
    const struct vmx_vcpu *v = context;

    return rdtsc() + v->tsc_offset;
}

static void env_timer_arm(void *context, uint64_t deadline_tsc)
{
    struct vmx_vcpu *v = context;
    uint64_t now = rdtsc();
    int64_t ahead = (int64_t)(deadline_tsc - (now + v->tsc_offset));

    core_timer_arm_here(v->core, &v->apic_timer, ahead > 0 ? now + (uint64_t)ahead : now);
}

static void env_timer_cancel(void *context)
{
    struct vmx_vcpu *v = context;

    core_timer_cancel(v->vcpu.core, &v->apic_timer);
}

/* The guest's TSC stands still: what was due so far ahead of it stays as far ahead. */
void arch_vcpu_freeze(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    v->apic_timer_waits = tq_is_queued(&v->apic_timer);
    env_timer_cancel(v);
}

static void write_tsc_offset(void *context)
{
    struct vmx_vcpu *v = context;

    vmcs_write(VMCS_TSC_OFFSET, v->tsc_offset);
}

void arch_vcpu_thaw(struct vcpu *vcpu, uint64_t ticks)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    v->tsc_offset -= ticks;
    vmx_vmcs_visit(v, write_tsc_offset, v);
    /* It may have been set by a step meanwhile, before the offset was right. */
    if (v->apic_timer_waits || tq_is_queued(&v->apic_timer))
        env_timer_arm(v, v->lapic->timer_deadline_tsc);
    v->apic_timer_waits = false;
}

/* Nothing to do for the vCPU that this core is running: it looks before it enters again. */
static void env_kick(void *context)
{
    struct vmx_vcpu *v = context;

    if (v->vcpu.core == arch_this_core() && v->core->last == &v->vcpu)
        return;
    vcpu_wake(&v->vcpu);
}

static void apic_timer_fire(struct tq_timer *timer, uint64_t now_tsc)
{
    struct vmx_vcpu *v = HV_CONTAINER_OF(timer, struct vmx_vcpu, apic_timer);

    v->apic_timer_fires++;
    lapic_timer_fired_at(v->lapic, now_tsc + v->tsc_offset);
    /* On its own core; another vCPU may have that, for as long as nobody else wants it. */
    if (HV_UNLIKELY(v->core->last != &v->vcpu))
        vcpu_wake(&v->vcpu);
    if (v->apicv)
        v->attention |= VMX_ATTENTION_APICV;
}

static void env_send(void *context, enum lapic_shorthand shorthand,
                     const struct irq_message *message)
{
    struct vmx_vcpu *v = context;

    lapic_route(v->vm->lapics, v->vm->lapic_count, v->lapic, shorthand, message);
}

static void env_eoi(void *context, uint8_t vector)
{
    struct vmx_vcpu *v = context;

    platform_eoi(v->vcpu.vm, vector);
}

static bool env_post_fixed(void *context, uint8_t vector)
{
    struct vmx_vcpu *v = context;

    return v->vm->owns_cores ? vmx_own_core_send(v, vector) : vmx_posted_send(v, vector);
}

enum hv_err vmx_apic_create(struct vmx_vcpu *v)
{
    uint32_t denominator, numerator, crystal_hz;
    struct lapic_config config = {
        .id = v->vcpu.index,
        .bsp = v->vcpu.index == 0,
        .has_x2apic = true,
        .x2apic_only = v->vm->owns_cores,
        .has_tsc_deadline = true,
        .physical_address_bits = v->vm->physical_address_bits,
    };
    const struct lapic_env env = {
        env_tsc_now, env_timer_arm, env_timer_cancel, env_send, env_eoi, env_kick, v,
        v->vm->owns_cores || vmx_posted_possible(v->vm) ? env_post_fixed : NULL,
    };
    hpa_t page;
    enum hv_err err = page_alloc_take(hv_pages(),
                                      hv_align_up(sizeof(struct lapic), HV_PAGE_BYTES) >> HV_PAGE_SHIFT,
                                      PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &page);

    if (err != HV_OK)
        return err;
    cpuid_view_tsc_ratio(arch_tsc_hz(), &denominator, &numerator, &crystal_hz);
    config.timer_numerator = denominator;
    config.timer_denominator = numerator;
    v->lapic = (struct lapic *)page.v;
    tq_timer_init(&v->apic_timer, apic_timer_fire);
    v->vm->lapics[v->vcpu.index] = v->lapic;
    if (v->vm->lapic_count <= v->vcpu.index)
        v->vm->lapic_count = v->vcpu.index + 1;
    return lapic_init(v->lapic, &config, &env);
}

void arch_vm_deliver(struct vm *vm, const struct irq_message *message)
{
    struct vmx_vm *x = vm->arch;

    lapic_route(x->lapics, x->lapic_count, NULL, LAPIC_TO_DESTINATION, message);
}

/* INTR reaches LINT0 of every local APIC; as on a PC, only the boot processor's is set up for it. */
void arch_vm_set_pic_output(struct vm *vm, bool level)
{
    struct vmx_vm *x = vm->arch;

    lapic_set_lint(x->lapics[0], 0, level);
}
