/*
 * The contents of a VMCS (vmcs_setup.c), all on the one that is current. Included by vcpu.h alone.
 */
#ifndef ARCH_X86_VMX_VMCS_SETUP_H
#define ARCH_X86_VMX_VMCS_SETUP_H

void vmx_vmcs_fill(struct vmx_vcpu *v);
/* Of that, what the guest's state is no part of. */
void vmx_vmcs_fill_controls(struct vmx_vcpu *v);
/* What INIT leaves in the registers that are in the VMCS, and in RDX. */
void vmx_guest_registers_init(struct vmx_vcpu *v, uint64_t cr0, uint32_t signature);
void vmx_guest_state_reset(struct vmx_vcpu *v);
void vmx_guest_state_init_ipi(struct vmx_vcpu *v);
void vmx_guest_state_sipi(struct vmx_vcpu *v, uint8_t vector);
void vmx_host_state_write(struct vmx_vcpu *v);

#endif
