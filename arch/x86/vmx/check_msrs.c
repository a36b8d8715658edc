/*
 * The checks on the entries of the VM-entry MSR-load area: the table of check_msrs.def.
 * Pure; no lock. SDM volume 3, "Loading MSRs".
 */
#include "arch/x86/vmx/check.h"

#define VMX_RULE VMX_RULE_PREDICATE
#include "arch/x86/vmx/check_msrs.def"
#undef VMX_RULE

const struct vmx_rule vmx_rules_msrs[] = {
#define VMX_RULE VMX_RULE_ROW
#include "arch/x86/vmx/check_msrs.def"
#undef VMX_RULE
};

const size_t vmx_rules_msrs_count = HV_ARRAY_COUNT(vmx_rules_msrs);
