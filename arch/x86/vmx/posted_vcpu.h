/*
 * Posted interrupts to a vCPU: posted.c.
 */
#ifndef ARCH_X86_VMX_POSTED_VCPU_H
#define ARCH_X86_VMX_POSTED_VCPU_H

#include "arch/x86/vmx/vcpu.h"

/* Does the processor post interrupts to the VM's vCPUs, where it has APIC virtualization? */
bool vmx_posted_possible(const struct vmx_vm *x);
/* The local APIC's mode has changed: controls are written. */
void vmx_posted_start(struct vmx_vcpu *v, bool apicv);
/* From any core: false, if the edge has to be posted with a kick. */
bool vmx_posted_send(struct vmx_vcpu *v, uint8_t vector);
/* Takes what stands in the descriptor and is not on its way into the guest. On the vCPU's core. */
void vmx_posted_collect(struct vmx_vcpu *v);
/* Around the guest's turn. */
void vmx_posted_enter(struct vmx_vcpu *v);
void vmx_posted_leave(struct vmx_vcpu *v);

#endif
