/*
 * VMX operation of a core, for the code that starts cores.
 */
#ifndef X86_VMX_CORE_H
#define X86_VMX_CORE_H

#include "hv/types.h"

/* Puts this core into VMX root operation: FEATURE_CONTROL, control registers, VMXON. On an error
 * *why is a phrase for the operator, which says what to do where something can be done. */
enum hv_err vmx_core_enable(const char **why) HV_MUST_CHECK;

/* The same for a core whose extended state stays its guest's: XCR0, IA32_XSS and PKRU are left
 * alone. */
enum hv_err vmx_core_enable_thin(const char **why) HV_MUST_CHECK;

/* Takes this core out of VMX operation, if it is in it, and drops what its guests' translations have
 * left. No VMCS may be active on it: each vCPU has been released. */
void vmx_core_disable(void);

#endif
