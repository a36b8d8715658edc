/*
 * KVM's paravirtual clock, as far as it saves exits: the guest reads wall clock and monotonic time
 * from its own memory instead of the MC146818 and the 8254.
 *
 * The guest's TSC starts at 0 with its VM and stands still while that is paused, so the page says the
 * same for the VM's whole life, and is written again only when the guest sets its TSC. A vCPU that
 * owns its core has the machine's TSC, which the VM's start is taken from.
 *
 * Lock: none; a vCPU writes its own page, on its own core.
 * Source: Linux's documentation "KVM-specific MSRs", "KVM CPUID bits".
 */
#include "arch/x86/vmx/kvm_clock.h"
#include "x86/pvclock.h"

#define SYSTEM_TIME_ENABLE 1u
#define ALIGNMENT 4u

/* The page in the guest's memory; NULL: it is not all RAM that the guest may write. */
static void *page_at(const struct vmx_vcpu *v, uint64_t gpa, uint64_t bytes)
{
    const struct gpa_space *memory = &v->vcpu.vm->memory;
    void *at = gpa_space_pointer(memory, GPA(gpa), bytes);

    return at && gpa_space_find(memory, GPA(gpa))->writable ? at : NULL;
}

static bool offered(const struct vmx_vcpu *v)
{
    return v->vcpu.vm->config->paravirt == CONFIG_PARAVIRT_KVM;
}

static void write_page(struct vmx_vcpu *v, void *at)
{
    const struct cpuid_view_entry *features =
        cpuid_view_find(&v->cpuid, CPUID_VIEW_KVM_BASE + 1, 0);
    struct pvclock_time time = {
        .tsc_timestamp = v->vm->owns_cores ? v->vm->start_tsc : v->msrs.tsc_adjust,
        .flags = features->regs.eax & KVM_FEATURE_CLOCKSOURCE_STABLE ? PVCLOCK_TSC_STABLE : 0,
    };

    pvclock_set_rate(&time, arch_tsc_hz());
    pvclock_write_time(at, &time);
}

void vmx_kvm_clock_tsc_changed(struct vmx_vcpu *v)
{
    uint64_t msr = v->msrs.kvm_system_time;
    void *at = msr & SYSTEM_TIME_ENABLE
                   ? page_at(v, msr & ~(uint64_t)SYSTEM_TIME_ENABLE, PVCLOCK_TIME_BYTES)
                   : NULL;

    if (at)
        write_page(v, at);
}

bool vmx_kvm_clock_read(struct vmx_vcpu *v, uint64_t *value)
{
    *value = v->msrs.kvm_system_time;
    return offered(v);
}

/* Where the documentation asks for RAM and an alignment, anything else is #GP. */
bool vmx_kvm_clock_write(struct vmx_vcpu *v, uint64_t value)
{
    uint64_t gpa = value & ~(uint64_t)SYSTEM_TIME_ENABLE;

    if (!offered(v))
        return false;
    if ((value & SYSTEM_TIME_ENABLE) &&
        (gpa % ALIGNMENT || !page_at(v, gpa, PVCLOCK_TIME_BYTES)))
        return false;
    v->msrs.kvm_system_time = value;
    vmx_kvm_clock_tsc_changed(v);
    return true;
}

bool vmx_kvm_wall_clock_read(struct vmx_vcpu *v, uint64_t *value)
{
    *value = v->msrs.kvm_wall_clock;
    return offered(v);
}

bool vmx_kvm_wall_clock_write(struct vmx_vcpu *v, uint64_t value)
{
    void *at = value % ALIGNMENT ? NULL : page_at(v, value, PVCLOCK_WALL_BYTES);

    if (!offered(v) || !at)
        return false;
    v->msrs.kvm_wall_clock = value;
    pvclock_write_wall(at, v->vcpu.vm->clock.clock.epoch_seconds, 0);
    return true;
}
