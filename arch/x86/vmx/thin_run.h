/*
 * What run.c knows of thin mode: arch/x86/vmx/thin_*.c.
 */
#ifndef ARCH_X86_VMX_THIN_RUN_H
#define ARCH_X86_VMX_THIN_RUN_H

#include "arch/x86/vmx/vcpu.h"

/* Around each exit of a vCPU with handlers of its own: before the first look, and the last look before
 * the entry, which answers VCPU_RUN. */
void vmx_thin_begin(struct vmx_vcpu *v);
unsigned vmx_thin_ready(struct vmx_vcpu *v);

/* Its ways in place of vmx_hot_ways. */
extern const struct vmx_hot vmx_thin_ways;

#endif
