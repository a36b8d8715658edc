/*
 * What a value of IA32_FEATURE_CONTROL means. Pure; no lock.
 * SDM volume 3 "Enabling and Entering VMX Operation"; volume 4 IA32_FEATURE_CONTROL.
 */
#include "x86/feature_control.h"

#include "x86/msr.h"

enum feature_control_verdict feature_control_judge(uint64_t value)
{
    if (!(value & FEATURE_CONTROL_LOCK))
        return FEATURE_CONTROL_TO_SET;
    return value & FEATURE_CONTROL_VMX ? FEATURE_CONTROL_FINE : FEATURE_CONTROL_LOCKED_OFF;
}

uint64_t feature_control_wanted(uint64_t value)
{
    return value | FEATURE_CONTROL_VMX | FEATURE_CONTROL_LOCK;
}
