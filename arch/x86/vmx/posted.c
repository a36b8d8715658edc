/*
 * Posted interrupts: a vCPU that runs on another core gets an edge without leaving its guest. The
 * processor takes it from the descriptor when the notification vector arrives.
 *
 * `in_guest` says that the vCPU is between its first entry and its last exit in arch_vcpu_run. As
 * long as it is, interrupts are closed outside of the guest, so that a notification waits for the next
 * entry. Who posts looks at it after the request is in the descriptor; who leaves looks at the
 * descriptor after it is cleared: one of the two sees the other, and what the processor has not taken
 * is taken here. What is level-triggered, and what goes to a vCPU that does not run, is posted with a
 * kick as ever (x86/lapic.h), and keeps away from the descriptor.
 *
 * A notification whose request was taken here would find the descriptor empty. The SDM says that
 * nothing follows; Bochs 3.1 then delivers vector 255. So it is waited for, shortly, and taken by the
 * host.
 *
 * Lock: none. SDM volume 3 "Posted-Interrupt Processing".
 */
#include "arch/x86/vmx/posted_vcpu.h"
#include "x86/host_apic.h"
#include "x86/percpu.h"
#include "x86/trap.h"

#define NOTIFICATION_LOOKS 64

bool vmx_posted_possible(const struct vmx_vm *x)
{
    return x->apicv_available && (x->controls_apicv.pin & PIN_PROCESS_POSTED_INTERRUPTS);
}

void vmx_posted_start(struct vmx_vcpu *v, bool apicv)
{
    v->posted = apicv && (v->controls->pin & PIN_PROCESS_POSTED_INTERRUPTS);
    if (!v->posted)
        return;
    vmcs_write(VMCS_POSTED_INTERRUPT_NOTIFICATION_VECTOR, HOST_VECTOR_POSTED);
    vmcs_write(VMCS_POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, (uint64_t)&v->descriptor);
}

bool vmx_posted_send(struct vmx_vcpu *v, uint8_t vector)
{
    if (!__atomic_load_n(&v->in_guest, __ATOMIC_RELAXED) || v->vcpu.core == arch_this_core() ||
        lapic_is_level(v->lapic, vector))
        return false;
    if (posted_request(&v->descriptor, vector))
        host_apic_send(percpu_at(v->vcpu.core)->apic_id, HOST_VECTOR_POSTED);
    if (!__atomic_load_n(&v->in_guest, __ATOMIC_SEQ_CST))
        vcpu_wake(&v->vcpu);
    return true;
}

static void await_notification(void)
{
    for (unsigned i = 0; i < NOTIFICATION_LOOKS && !host_apic_requested(HOST_VECTOR_POSTED); i++)
        cpu_pause();
    sti_nop_cli();
}

void vmx_posted_collect(struct vmx_vcpu *v)
{
    uint64_t requests[4];

    if (HV_LIKELY(!posted_is_outstanding(&v->descriptor)))
        return;
    await_notification();
    posted_take(&v->descriptor, requests);
    for (unsigned word = 0; word < 4; word++) {
        for (; requests[word]; requests[word] &= requests[word] - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(requests[word]);
            lapic_take_edge(v->lapic, (uint8_t)(word * 64 + bit));
        }
    }
    if (v->apicv)
        v->attention |= VMX_ATTENTION_APICV;
}

void vmx_posted_enter(struct vmx_vcpu *v)
{
    /* The debugger's step keeps interrupts away. */
    if (v->posted && !v->debug.stepping)
        __atomic_store_n(&v->in_guest, true, __ATOMIC_SEQ_CST);
}

void vmx_posted_leave(struct vmx_vcpu *v)
{
    if (!v->in_guest)
        return;
    __atomic_store_n(&v->in_guest, false, __ATOMIC_SEQ_CST);
    vmx_posted_collect(v);
}
