/*
 * interrupts = guest: the vCPU owns its core, and the core's local APIC is lent to it for as long
 * as its registers are in the core. The timer, EOI, TPR and self-IPIs take no exit.
 *
 * The APIC that software keeps (x86/lapic.h) still has the registers that exit, routes what goes to
 * several vCPUs, and holds what cannot be delivered at once. From there:
 * - an edge goes to the owner's core as an IPI, from whichever core it is raised on; no exit;
 * - a level-triggered interrupt goes by NMI kick to the owner's core, which sends it to itself and
 *   looks at EOIs until this one's, since the I/O APIC waits for it;
 * - NMI and the PIC's interrupts are injected, INIT and start-up messages emulated as ever: event.c.
 * Nothing of an APIC's state is ever saved: who leaves the core leaves it for good, or by INIT.
 *
 * `lent` may be read by any core; everything else belongs to the vCPU's core.
 * SDM volume 3 "Interrupt Delivery ... x2APIC", "Interrupt-Command Register".
 */
#include "arch/x86/vmx/vcpu.h"
#include "hv/log.h"
#include "hv/platform.h"
#include "x86/host_apic.h"
#include "x86/msr.h"
#include "x86/own_core.h"
#include "x86/percpu.h"

void vmx_own_core_open_msrs(uint8_t *bitmap, bool eoi_exits)
{
    for (uint32_t msr = LAPIC_MSR_BASE; msr <= LAPIC_MSR_LAST; msr++) {
        if (own_core_msr_passes(msr, false))
            vmx_msr_bitmap_clear(bitmap, msr, false);
        if (own_core_msr_passes(msr, true) && !(eoi_exits && msr == MSR_IA32_X2APIC_EOI))
            vmx_msr_bitmap_clear(bitmap, msr, true);
    }
    vmx_msr_bitmap_clear(bitmap, MSR_IA32_TSC_DEADLINE, false);
    vmx_msr_bitmap_clear(bitmap, MSR_IA32_TSC_DEADLINE, true);
}

/* --- lending --- */

static uint32_t guest_svr(const struct vmx_vcpu *v)
{
    return v->lapic->page[LAPIC_SVR / 4] & 0x1ff;
}

static void watch_eoi(struct vmx_vcpu *v, bool on)
{
    vmcs_write(VMCS_MSR_BITMAP_ADDRESS, on ? v->vm->msr_bitmap_eoi.v : v->vm->msr_bitmap.v);
}

void vmx_own_core_lend(struct vmx_vcpu *v)
{
    for (unsigned i = 0; i < HV_ARRAY_COUNT(v->level_sent); i++)
        v->level_sent[i] = 0;
    watch_eoi(v, false);
    host_apic_lend(guest_svr(v));
    __atomic_store_n(&v->lent, true, __ATOMIC_SEQ_CST);
}

void vmx_own_core_take_back(struct vmx_vcpu *v)
{
    /* An IPI that another core sends now still comes, and host_irq_dispatch drops it. */
    __atomic_store_n(&v->lent, false, __ATOMIC_SEQ_CST);
    host_apic_take_back();
}

/* --- delivery --- */

bool vmx_own_core_send(struct vmx_vcpu *v, uint8_t vector)
{
    if (!__atomic_load_n(&v->lent, __ATOMIC_SEQ_CST))
        return false;
    if (v->vcpu.core == arch_this_core())
        host_apic_self_ipi(vector);
    else
        host_apic_send(percpu_at(v->vcpu.core)->apic_id, vector);
    return true;
}

void vmx_own_core_forward(struct vmx_vcpu *v)
{
    bool level;
    int vector;

    while ((vector = lapic_hand_over(v->lapic, &level)) >= 0) {
        if (level) {
            v->level_sent[vector / 64] |= UINT64_C(1) << (vector % 64);
            watch_eoi(v, true);
        }
        host_apic_self_ipi((uint8_t)vector);
    }
    /* Errors of what software did for the guest belong into the register that the guest reads; an
     * IPI with an illegal vector is one. */
    if (v->lapic->esr_pending) {
        v->lapic->esr_pending = 0;
        host_apic_self_ipi(0);
    }
}

/* --- registers --- */

static int highest_in_service(void)
{
    for (int word = 7; word >= 0; word--) {
        uint32_t bits = (uint32_t)rdmsr(MSR_IA32_X2APIC_ISR0 + (uint32_t)word);
        if (bits)
            return word * 32 + 31 - __builtin_clz(bits);
    }
    return -1;
}

static bool any_level_sent(const struct vmx_vcpu *v)
{
    return v->level_sent[0] | v->level_sent[1] | v->level_sent[2] | v->level_sent[3];
}

static void end_of_interrupt(struct vmx_vcpu *v)
{
    int vector = highest_in_service();
    uint64_t bit;

    wrmsr(MSR_IA32_X2APIC_EOI, 0);
    if (vector < 0)
        return;
    bit = UINT64_C(1) << (vector % 64);
    if (!(v->level_sent[vector / 64] & bit))
        return;
    v->level_sent[vector / 64] &= ~bit;
    if (!any_level_sent(v))
        watch_eoi(v, false);
    platform_eoi(v->vcpu.vm, (uint8_t)vector);
}

bool vmx_own_core_apic_write(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
    if (msr == MSR_IA32_X2APIC_EOI) {
        if (value == 0)
            end_of_interrupt(v);
        return value == 0;
    }
    if (!lapic_msr_write(v->lapic, msr, value))
        return false;
    if (msr == MSR_IA32_X2APIC_SIVR)
        host_apic_lent_svr(guest_svr(v));
    if (v->lapic->esr_pending)
        v->attention |= VMX_ATTENTION_EVENT;
    return true;
}

bool vmx_own_core_tsc_write(struct vmx_vcpu *v)
{
    if (!v->tsc_write_seen)
        hv_warn("vm %s vCPU %u: its TSC is the machine's under interrupts = guest; what it writes "
                "to it has no effect",
                v->vcpu.vm->config->name, v->vcpu.index);
    v->tsc_write_seen = true;
    return true;
}
