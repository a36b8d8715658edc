/*
 * IA32_FEATURE_CONTROL: may this core execute VMXON?
 * SDM volume 3 "Enabling and Entering VMX Operation".
 */
#ifndef X86_FEATURE_CONTROL_H
#define X86_FEATURE_CONTROL_H

#include "hv/types.h"

enum feature_control_verdict {
    FEATURE_CONTROL_FINE,       /* locked, VMX allowed */
    FEATURE_CONTROL_TO_SET,     /* not locked: write what feature_control_wanted says */
    FEATURE_CONTROL_LOCKED_OFF, /* firmware has forbidden VMX until the next reset */
};

/* Pure. */
enum feature_control_verdict feature_control_judge(uint64_t value);
/* What to write over an unlocked value: VMX outside SMX, locked, the rest as it was. Pure. */
uint64_t feature_control_wanted(uint64_t value);

/* Makes VMXON possible on this core. HV_ERR_UNSUPPORTED: *reason says in plain words why not and
 * what to change. */
enum hv_err host_feature_control_enable(const char **reason) HV_MUST_CHECK;

#endif
