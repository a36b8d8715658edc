/*
 * What is done against guests that use speculation, on this machine: x86/speculation.h decides.
 * Not for others than arch/x86/vmx.
 */
#ifndef ARCH_X86_VMX_MITIGATE_H
#define ARCH_X86_VMX_MITIGATE_H

#include "x86/speculation.h"

struct vmx_vcpu;

/* Is the core that asks to be left alone, since another thread of it runs guests? */
bool vmx_spec_core_is_spare(void);
/* Each core, while it starts: its facts are joined to the others'. */
void vmx_spec_core_share(void);
/* The boot core, once all have: decides for the machine. */
void vmx_spec_machine_start(void);
/* Each core, after that and before its first guest: registers that are written once. */
void vmx_spec_core_start(void);
/* A core goes back to firmware: they are as they were. */
void vmx_spec_core_stop(void);

/* What the cores have in common, and what guests are shown. */
const struct spec_plan *vmx_spec_plan(void);
/* IA32_SPEC_CTRL of the core that asks; 0: it has none. */
uint64_t vmx_spec_ctrl_now(void);
/* The facts behind it, and the actions of an efficient core. */
uint32_t vmx_spec_efficient(struct spec_facts *facts);

/* A vCPU's registers come into this core, or leave it. */
void vmx_spec_vcpu_load(struct vmx_vcpu *v);
void vmx_spec_vcpu_put(struct vmx_vcpu *v);
/* Overwrites the return stack buffer: entry.asm. */
void vmx_fill_rsb(void);

/* Lets a guest at the registers that pass. */
void vmx_spec_open_msrs(uint8_t *bitmap);
/* Those that exit, for msr.def. false: #GP(0). */
bool vmx_spec_read_spec_ctrl(struct vmx_vcpu *v, uint64_t *value);
bool vmx_spec_write_spec_ctrl(struct vmx_vcpu *v, uint64_t value);
bool vmx_spec_read_arch_capabilities(struct vmx_vcpu *v, uint64_t *value);
bool vmx_spec_refuse_write(struct vmx_vcpu *v, uint64_t value);

#endif
