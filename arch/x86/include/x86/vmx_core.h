/*
 * VMX operation of a core, for the code that starts cores.
 */
#ifndef X86_VMX_CORE_H
#define X86_VMX_CORE_H

#include "hv/types.h"

/* Puts this core into VMX root operation: FEATURE_CONTROL, control registers, VMXON. On an error
 * *why is a phrase for the operator, which says what to do where something can be done. */
enum hv_err vmx_core_enable(const char **why) HV_MUST_CHECK;

#endif
