/*
 * The checks on the host-state area: the table of check_host.def.
 * Pure; no lock. SDM volume 3, "Checks on VMX Controls and Host-State Area".
 */
#include "arch/x86/vmx/check.h"

#define VMX_RULE VMX_RULE_PREDICATE
#include "arch/x86/vmx/check_host.def"
#undef VMX_RULE

const struct vmx_rule vmx_rules_host[] = {
#define VMX_RULE VMX_RULE_ROW
#include "arch/x86/vmx/check_host.def"
#undef VMX_RULE
};

const size_t vmx_rules_host_count = HV_ARRAY_COUNT(vmx_rules_host);
