/*
 * Events of a thin guest. Interrupts and NMIs reach it without us; what is delivered by an entry is
 * a fault that a handler has raised, or an NMI that came while the hypervisor ran.
 *
 * Such an NMI goes into the next entry at once, by the NMI handler itself, whatever the code that it
 * interrupts is doing. A fault gives way to it: RIP stands at the instruction still, which exits
 * again after the NMI's handler. Nothing is lost, by the order of the looks:
 * - an NMI before the exit's first look is in the VMCS (an exit clears the field), and is read there;
 * - one after it has changed the count;
 * - one after the last look overwrites the fault itself.
 * While the guest handles an NMI the processor blocks further ones here too.
 * No lock: the core's own.
 * SDM volume 3 "VM-Entry Controls for Event Injection", "Updating Non-Register State".
 */
#include "arch/x86/vmx/thin_internal.h"

#define NMI_INFO vmx_intr_make(VMX_INTR_NMI, X86_EXC_NMI, false)

static void inject_nmi(const struct vmx_vcpu *v)
{
    const uint64_t shadow = VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS;

    if (v->run_state == VMX_WAIT_FOR_SIPI)
        return; /* the processor drops it there, too */
    vmwrite_unchecked(VMCS_GUEST_INTERRUPTIBILITY_STATE,
                      vmread_unchecked(VMCS_GUEST_INTERRUPTIBILITY_STATE) & ~shadow);
    vmwrite_unchecked(VMCS_ENTRY_INTERRUPTION_INFORMATION, NMI_INFO);
}

void thin_take_nmi(struct percpu *cpu)
{
    inject_nmi(cpu->vmx);
}

static uint64_t nmi_count(void)
{
    return __atomic_load_n(&this_cpu()->nmi_count, __ATOMIC_RELAXED);
}

void vmx_thin_begin(struct vmx_vcpu *v)
{
    thin_core_of_vcpu(v)->nmis_seen = nmi_count();
}

static void deliver(struct vmx_vcpu *v)
{
    uint64_t blocking = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE);
    const uint64_t shadow = VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS;

    if (vmx_intr_valid((uint32_t)vmcs_read(VMCS_ENTRY_INTERRUPTION_INFORMATION)))
        return; /* an NMI that came before the first look */
    if (blocking & shadow)
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE, blocking & ~shadow);
    if (v->event.info & VMX_INTR_ERROR_CODE)
        vmcs_write(VMCS_ENTRY_EXCEPTION_ERROR_CODE, v->event.error);
    if (vmx_intr_is_software(v->event.info))
        vmcs_write(VMCS_ENTRY_INSTRUCTION_LENGTH, v->event.length);
    vmcs_write(VMCS_ENTRY_INTERRUPTION_INFORMATION, v->event.info);
    if (nmi_count() != thin_core_of_vcpu(v)->nmis_seen)
        inject_nmi(v);
}

unsigned vmx_thin_ready(struct vmx_vcpu *v)
{
    if (HV_LIKELY(!v->attention))
        return VCPU_RUN;
    if (v->attention & VMX_ATTENTION_FLUSH)
        vmx_flush_guest_tlb(v);
    if (v->event.info)
        deliver(v);
    v->injected = v->event.info;
    v->event.info = 0;
    v->attention = 0;
    return VCPU_RUN;
}
