/*
 * Handlers of exits that need little: instructions that exit always, or by policy, and are answered
 * from registers alone; and the processor's own events.
 * SDM volume 3 "Instructions That Cause VM Exits", "Other Causes of VM Exits".
 */
#include "arch/x86/vmx/vcpu.h"
#include "hv/log.h"
#include "x86/leaves.h"
#include "x86/trap.h"

/* Writes what CPUID repeats of the guest's registers into its table: each of them that changes calls
 * this, and so does CPUID where CR4 may have changed without an exit. */
void vmx_cpuid_follow(struct vmx_vcpu *v)
{
    const struct cpuid_view_registers registers = {
        .cr4 = vmx_guest_cr4(v),
        .xcr0 = v->switched.xcr0,
        .apic_enabled = lapic_cpuid_apic(v->lapic),
    };

    cpuid_view_follow(&v->cpuid, &registers);
}

unsigned exit_cpuid(struct vmx_vcpu *v)
{
    uint64_t *r = v->gprs.r;
    uint32_t leaf = (uint32_t)r[X86_RAX], subleaf = (uint32_t)r[X86_RCX];
    const struct cpuid_view_entry *entry = cpuid_view_find(&v->cpuid, leaf, subleaf);
    struct cpuid_regs regs;

    if (HV_UNLIKELY(!v->cpuid.cr4_seen))
        vmx_cpuid_follow(v);
    regs = entry->regs;
    if (HV_UNLIKELY(leaf - VMX_LEAVES_FIRST < VMX_LEAVES_COUNT))
        vmx_recorder_leaf(v, leaf, subleaf, &regs);
    /* Leaf 0BH repeats the subleaf's number, and the vCPU's id, also behind its last level. */
    if (leaf == CPUID_LEAF_TOPOLOGY && entry == &v->cpuid.entries[0]) {
        regs.ecx = subleaf & 0xff;
        regs.edx = v->cpuid.basic[CPUID_LEAF_TOPOLOGY].entries[0].regs.edx;
    }
    r[X86_RAX] = regs.eax;
    r[X86_RBX] = regs.ebx;
    r[X86_RCX] = regs.ecx;
    r[X86_RDX] = regs.edx;
    return EXIT_NEXT | VCPU_RUN;
}

/*
 * Waking a core takes longer than an event often takes to come. True: one has come. What else there is
 * to do for this core ends the wait, too.
 */
static __attribute__((noinline)) bool halt_poll(struct vmx_vcpu *v)
{
    struct core *core = v->core;
    uint64_t now = rdtsc(), end = now + v->vm->halt_poll_ticks;

    if (core->vcpu_count > 1)
        return false;
    for (; now < end; now = rdtsc()) {
        if (tq_first_tsc(&core->timers) <= now)
            core_fire_timers(core);
        if (vmx_has_event(v)) {
            sti_nop_cli(); /* the kick that came with it: else it is the next entry's exit */
            return true;
        }
        if (__atomic_load_n(&core->kick, __ATOMIC_RELAXED))
            return false;
        cpu_pause();
    }
    return false;
}

unsigned exit_hlt(struct vmx_vcpu *v)
{
    uint64_t rflags = vmcs_read(VMCS_GUEST_RFLAGS);

    if (HV_UNLIKELY(rflags & RFLAGS_TF))
        return EXIT_NEXT | VCPU_RUN; /* the single-step trap ends the halt at once */
    v->run_state = VMX_HALTED;
    v->halted_with_if = rflags & RFLAGS_IF;
    v->halted_in_nmi = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE) & VMX_BLOCKING_BY_NMI;
    if (v->apicv)
        lapic_page_changed(v->lapic);
    if (v->vm->halt_poll_ticks && halt_poll(v)) {
        v->run_state = VMX_RUNNABLE;
        return EXIT_NEXT | VCPU_RUN;
    }
    return EXIT_NEXT | VCPU_BLOCK;
}

/* No hypercall is defined: KVM's answer to an unknown one, which Linux expects of anybody who shows
 * KVM's signature. */
unsigned exit_vmcall(struct vmx_vcpu *v)
{
    v->gprs.r[X86_RAX] = VMX_HYPERCALL_UNKNOWN;
    return EXIT_NEXT | VCPU_RUN;
}

unsigned exit_undefined_opcode(struct vmx_vcpu *v)
{
    return vmx_answer_ud(v);
}

/* RDPMC: no counters are shown, so every index is a wrong one. */
unsigned exit_protected_opcode(struct vmx_vcpu *v)
{
    return vmx_answer_gp(v);
}

/* The guest's memory is write-back for all, and no device of the VM reads it behind the caches: what
 * INVD would throw away must not be lost, and there is nothing that WBINVD has to write. */
unsigned exit_invd(struct vmx_vcpu *v)
{
    (void)v;
    return EXIT_NEXT | VCPU_RUN;
}

unsigned exit_wbinvd(struct vmx_vcpu *v)
{
    (void)v;
    return EXIT_NEXT | VCPU_RUN;
}

unsigned exit_pause(struct vmx_vcpu *v)
{
    (void)v;
    return EXIT_NEXT | VCPU_YIELD;
}

/* SDM "XSETBV", and "Extended Control Registers (Including XCR0)" for what belongs together. The
 * processor has checked CPL and CR4.OSXSAVE before the exit. */
static bool xcr0_valid(uint64_t value, uint64_t supported)
{
    const uint64_t avx512 = XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM;
    const uint64_t bounds = XCR0_BNDREGS | XCR0_BNDCSR;
    const uint64_t tiles = XCR0_TILECFG | XCR0_TILEDATA;

    if ((value & ~supported) || !(value & XCR0_X87))
        return false;
    if ((value & XCR0_AVX) && !(value & XCR0_SSE))
        return false;
    if ((value & avx512) && ((value & avx512) != avx512 || !(value & XCR0_AVX)))
        return false;
    if ((value & bounds) && (value & bounds) != bounds)
        return false;
    return !(value & tiles) || (value & tiles) == tiles;
}

unsigned exit_xsetbv(struct vmx_vcpu *v)
{
    uint32_t xcr = (uint32_t)v->gprs.r[X86_RCX];
    uint64_t value = (uint32_t)v->gprs.r[X86_RAX] | v->gprs.r[X86_RDX] << 32;
    const struct cpuid_regs *shown = &cpuid_view_find(&v->cpuid, CPUID_LEAF_XSAVE, 0)->regs;

    if (xcr != 0 || !xcr0_valid(value, shown->eax | (uint64_t)shown->edx << 32))
        return vmx_answer_gp(v);
    v->switched.xcr0 = value;
    xsetbv(0, value);
    vmx_cpuid_follow(v);
    return EXIT_NEXT | VCPU_RUN;
}

unsigned exit_external_interrupt(struct vmx_vcpu *v)
{
    if (HV_LIKELY(vmx_intr_valid(v->exit.intr_info)))
        host_irq_dispatch(vmx_intr_vector(v->exit.intr_info));
    else /* it was not acknowledged, and comes through our IDT */
        sti_nop_cli();
    v->timer_budget = 0; /* it may have been the core's timer: look */
    return EXIT_KEEP | VCPU_RUN;
}

unsigned exit_preemption_timer(struct vmx_vcpu *v)
{
    v->timer_budget = 0;
    return EXIT_KEEP | VCPU_RUN;
}

unsigned exit_triple_fault(struct vmx_vcpu *v)
{
    return vmx_triple_fault(v, "triple fault");
}

/* An INIT signal to a core in VMX operation: nobody but us starts cores, so nothing is owed. */
unsigned exit_init(struct vmx_vcpu *v)
{
    (void)v;
    hv_warn("core %u: an INIT signal arrived and was dropped", arch_this_core());
    return EXIT_KEEP | VCPU_RUN;
}

unsigned exit_unexpected(struct vmx_vcpu *v)
{
    return vmx_crash(v, "an exit that the policy in use rules out");
}
