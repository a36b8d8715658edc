/*
 * Carries out what speculation.c has decided: registers that are written once a core, what changes
 * with the vCPU, and the guest's own registers. What is done at each exit and entry stands in
 * entry.asm.
 *
 * Lock: `machine.lock` while the cores start; after that everything is read only, or the core's own.
 * SDM volume 4 for the MSRs.
 */
#include "arch/x86/vmx/mitigate.h"

#include "arch/x86/vmx/vcpu.h"
#include "hv/boot_info.h"
#include "hv/machine.h"
#include "hv/spinlock.h"
#include "x86/msr.h"
#include "x86/percpu.h"

/* Boot-once. */
static struct {
    struct spinlock lock;
    bool valid;
    struct spec_facts facts; /* what all cores share */
    struct spec_plan plan;   /* for them: what guests are shown */
} machine;

/* --- cores --- */

static enum spec_mode mode(void)
{
    switch (machine_boot_info()->config.mitigations) {
    case CONFIG_MITIGATIONS_OFF:
        return SPEC_OFF;
    case CONFIG_MITIGATIONS_FULL:
        return SPEC_FULL;
    default:
        return SPEC_AUTO;
    }
}

void vmx_spec_core_share(void)
{
    struct spec_facts facts;

    spec_facts_read(&facts, &vmx_caps_machine);
    facts.ept = true;
    spin_lock(&machine.lock);
    if (machine.valid)
        spec_facts_join(&machine.facts, &facts);
    else
        machine.facts = facts;
    machine.valid = true;
    spin_unlock(&machine.lock);
}

/* Does a thread that was found earlier, and is not parked, share this one's core? SDM "CPUID": leaf
 * 0BH. */
static bool shares_a_core(unsigned index)
{
    unsigned shift;

    if (cpuid(CPUID_LEAF_VENDOR, 0).eax < CPUID_LEAF_TOPOLOGY)
        return false;
    shift = cpuid(CPUID_LEAF_TOPOLOGY, 0).eax & 31;
    for (unsigned i = 0; i < index; i++) {
        const struct percpu *other = percpu_at(i);
        if (__atomic_load_n(&other->state, __ATOMIC_ACQUIRE) != CORE_PARKED &&
            spec_same_core(percpu_at(index)->apic_id, other->apic_id, shift))
            return true;
    }
    return false;
}

bool vmx_spec_core_is_spare(void)
{
    return mode() == SPEC_FULL && shares_a_core(this_cpu()->index);
}

static bool cores_are_shared(void)
{
    for (unsigned i = 0; i < percpu_count(); i++) {
        if (__atomic_load_n(&percpu_at(i)->state, __ATOMIC_ACQUIRE) != CORE_PARKED &&
            shares_a_core(i))
            return true;
    }
    return false;
}

void vmx_spec_machine_start(void)
{
    machine.facts.smt = cores_are_shared();
    spec_plan_make(&machine.facts, mode(), &machine.plan);
}

void vmx_spec_core_start(void)
{
    struct spec_facts own, facts = machine.facts;
    struct spec_plan plan;

    spec_facts_read(&own, &vmx_caps_machine);
    facts.efficient = own.efficient;
    spec_plan_make(&facts, mode(), &plan);
    this_cpu()->spec_actions = plan.actions;
    this_cpu()->spec_ctrl = plan.host_spec_ctrl;
    if (machine.plan.guest_control != SPEC_GUEST_NONE)
        this_cpu()->spec_ctrl_before = rdmsr(MSR_IA32_SPEC_CTRL);
    if (plan.host_spec_ctrl)
        wrmsr(MSR_IA32_SPEC_CTRL, plan.host_spec_ctrl);
    if (plan.actions & SPEC_START_TSX_OFF) {
        this_cpu()->tsx_ctrl_before = rdmsr(MSR_IA32_TSX_CTRL);
        wrmsr(MSR_IA32_TSX_CTRL, TSX_CTRL_RTM_DISABLE | TSX_CTRL_CPUID_CLEAR);
    }
}

void vmx_spec_core_stop(void)
{
    const struct percpu *cpu = this_cpu();

    if (machine.plan.guest_control != SPEC_GUEST_NONE)
        wrmsr(MSR_IA32_SPEC_CTRL, cpu->spec_ctrl_before);
    if (cpu->spec_actions & SPEC_START_TSX_OFF)
        wrmsr(MSR_IA32_TSX_CTRL, cpu->tsx_ctrl_before);
}

const struct spec_plan *vmx_spec_plan(void)
{
    return &machine.plan;
}

uint64_t vmx_spec_ctrl_now(void)
{
    return machine.plan.guest_control != SPEC_GUEST_NONE ? rdmsr(MSR_IA32_SPEC_CTRL) : 0;
}

uint32_t vmx_spec_efficient(struct spec_facts *facts)
{
    struct spec_facts efficient = machine.facts;
    struct spec_plan plan;

    *facts = machine.facts;
    efficient.efficient = true;
    spec_plan_make(&efficient, mode(), &plan);
    return plan.actions;
}

/* --- changing the vCPU --- */

static bool value_is_switched(const struct percpu *cpu)
{
    return machine.plan.guest_control == SPEC_GUEST_PASSES &&
           !(cpu->spec_actions & SPEC_EXIT_SPEC_CTRL);
}

void vmx_spec_vcpu_load(struct vmx_vcpu *v)
{
    struct percpu *cpu = this_cpu();

    if (cpu->spec_last_vpid != v->vpid && (cpu->spec_actions & SPEC_SWITCH_IBPB)) {
        vmx_fill_rsb();
        wrmsr(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
    }
    cpu->spec_last_vpid = v->vpid;
    if (machine.plan.guest_control == SPEC_GUEST_EXITS || value_is_switched(cpu))
        wrmsr(MSR_IA32_SPEC_CTRL, v->switched.spec_ctrl | cpu->spec_ctrl);
}

void vmx_spec_vcpu_put(struct vmx_vcpu *v)
{
    if (value_is_switched(this_cpu()))
        v->switched.spec_ctrl = rdmsr(MSR_IA32_SPEC_CTRL);
}

/* --- the guest's registers --- */

void vmx_spec_open_msrs(uint8_t *bitmap)
{
    if (machine.plan.guest_control == SPEC_GUEST_PASSES) {
        vmx_msr_bitmap_clear(bitmap, MSR_IA32_SPEC_CTRL, false);
        vmx_msr_bitmap_clear(bitmap, MSR_IA32_SPEC_CTRL, true);
    }
    /* Commands: they take time, and tell nothing. */
    if (machine.plan.guest_pred_cmd)
        vmx_msr_bitmap_clear(bitmap, MSR_IA32_PRED_CMD, true);
    if (machine.plan.guest_flush_cmd)
        vmx_msr_bitmap_clear(bitmap, MSR_IA32_FLUSH_CMD, true);
}

bool vmx_spec_read_spec_ctrl(struct vmx_vcpu *v, uint64_t *value)
{
    *value = v->switched.spec_ctrl;
    return machine.plan.guest_control == SPEC_GUEST_EXITS;
}

/* The host's bits stay set while the guest runs: they only make it safer. */
bool vmx_spec_write_spec_ctrl(struct vmx_vcpu *v, uint64_t value)
{
    if (machine.plan.guest_control != SPEC_GUEST_EXITS ||
        (value & ~machine.plan.guest_spec_ctrl_valid))
        return false;
    v->switched.spec_ctrl = value;
    wrmsr(MSR_IA32_SPEC_CTRL, value | this_cpu()->spec_ctrl);
    return true;
}

bool vmx_spec_read_arch_capabilities(struct vmx_vcpu *v, uint64_t *value)
{
    (void)v;
    *value = machine.plan.guest_arch_capabilities;
    return machine.plan.guest_has_arch_capabilities;
}

bool vmx_spec_refuse_write(struct vmx_vcpu *v, uint64_t value)
{
    (void)v;
    (void)value;
    return false;
}
