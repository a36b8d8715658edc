/*
 * KVM's paravirtual clock: kvm_clock.c. Rows of msr.def; false: #GP.
 */
#ifndef ARCH_X86_VMX_KVM_CLOCK_H
#define ARCH_X86_VMX_KVM_CLOCK_H

#include "arch/x86/vmx/vcpu.h"

bool vmx_kvm_clock_read(struct vmx_vcpu *v, uint64_t *value);
bool vmx_kvm_clock_write(struct vmx_vcpu *v, uint64_t value);
bool vmx_kvm_wall_clock_read(struct vmx_vcpu *v, uint64_t *value);
bool vmx_kvm_wall_clock_write(struct vmx_vcpu *v, uint64_t value);
/* The guest has set its TSC: its clock page, if it has one, is written again. */
void vmx_kvm_clock_tsc_changed(struct vmx_vcpu *v);

#endif
