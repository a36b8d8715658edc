/*
 * Whether and how a core is allowed to enter VMX operation.
 *
 * Not here: VMXON itself (arch/x86/vmx), the judgement (feature_control_judge.c, pure).
 * Lock: none; the register is each core's own.
 * SDM volume 3 "Enabling and Entering VMX Operation"; volume 4 IA32_FEATURE_CONTROL.
 */
#include "x86/feature_control.h"

#include "x86/cpuid.h"
#include "x86/insn.h"
#include "x86/msr.h"

enum hv_err host_feature_control_enable(const char **reason)
{
    uint64_t value;

    *reason = "the processor has no VMX (Intel VT-x)";
    if (!(cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_VMX))
        return HV_ERR_UNSUPPORTED;
    *reason = "IA32_FEATURE_CONTROL cannot be read";
    if (!rdmsr_safe(MSR_IA32_FEATURE_CONTROL, &value))
        return HV_ERR_UNSUPPORTED;
    if (feature_control_judge(value) == FEATURE_CONTROL_TO_SET) {
        *reason = "IA32_FEATURE_CONTROL is not locked, and refuses to be set";
        if (!wrmsr_safe(MSR_IA32_FEATURE_CONTROL, feature_control_wanted(value)))
            return HV_ERR_UNSUPPORTED;
        value = rdmsr(MSR_IA32_FEATURE_CONTROL);
    } else {
        *reason = "firmware has locked VMX off: switch on \"Intel Virtualization Technology\" "
                  "(VT-x, VMX) in its setup";
    }
    if (feature_control_judge(value) != FEATURE_CONTROL_FINE)
        return HV_ERR_UNSUPPORTED;
    *reason = NULL;
    return HV_OK;
}
