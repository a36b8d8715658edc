/*
 * The checks on the guest's segment registers: the helpers of check_segments.def, and its table.
 * Pure; no lock. SDM volume 3, "Checks on Guest Segment Registers".
 */
#include "arch/x86/vmx/check.h"

#define RIGHTS(segment) V(GUEST_##segment##_ACCESS_RIGHTS)
#define TYPE(segment) (RIGHTS(segment) & VMX_AR_TYPE_MASK)
#define DPL(segment) vmx_ar_dpl((uint32_t)RIGHTS(segment))
#define USABLE(segment) (!(RIGHTS(segment) & VMX_AR_UNUSABLE))
/* Registers that may be unusable are looked at only if they are not. */
#define CHECKED(segment) (!virtual_8086(c) && USABLE(segment))

static bool virtual_8086(const struct vmx_check *c)
{
    return V(GUEST_RFLAGS) & RFLAGS_VM;
}

static bool cs_type_valid(const struct vmx_check *c)
{
    switch (TYPE(CS)) {
    case 9:
    case 11:
    case 13:
    case 15:
        return true;
    case 3:
        return ON(CPU2, UNRESTRICTED_GUEST);
    default:
        return false;
    }
}

static bool granularity_low_valid(uint64_t rights, uint64_t limit)
{
    return (limit & 0xfff) == 0xfff || !(rights & VMX_AR_G);
}

static bool granularity_high_valid(uint64_t rights, uint64_t limit)
{
    return !(limit & 0xfff00000) || (rights & VMX_AR_G);
}

#define VMX_RULE VMX_RULE_PREDICATE
#include "arch/x86/vmx/check_segments.def"
#undef VMX_RULE

const struct vmx_rule vmx_rules_segments[] = {
#define VMX_RULE VMX_RULE_ROW
#include "arch/x86/vmx/check_segments.def"
#undef VMX_RULE
};

const size_t vmx_rules_segments_count = HV_ARRAY_COUNT(vmx_rules_segments);
