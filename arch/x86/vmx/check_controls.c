/*
 * The checks on VMX controls: the helpers of check_controls.def, and its table.
 * Pure; no lock. SDM volume 3, "Checks on VMX Controls".
 */
#include "arch/x86/vmx/check.h"

static bool eptp_type_valid(const struct vmx_check *c, uint64_t eptp)
{
    switch (eptp & 7) {
    case 0:
        return c->caps->ept_vpid_cap & VMX_EPT_CAP_UC;
    case 6:
        return c->caps->ept_vpid_cap & VMX_EPT_CAP_WB;
    default:
        return false;
    }
}

static bool eptp_walk_valid(const struct vmx_check *c, uint64_t eptp)
{
    switch (eptp >> 3 & 7) {
    case 3:
        return c->caps->ept_vpid_cap & VMX_EPT_CAP_WALK_4;
    case 4:
        return c->caps->ept_vpid_cap & VMX_EPT_CAP_WALK_5;
    default:
        return false;
    }
}

static bool eptp_switching(const struct vmx_check *c)
{
    return ON(CPU2, ENABLE_VM_FUNCTIONS) && (V(VM_FUNCTION_CONTROLS) & VMX_VMFUNC_EPTP_SWITCHING);
}

/* The first and the last byte of `count` elements; nothing is asked of no elements. */
static bool area_fits(const struct vmx_check *c, uint64_t address, uint64_t count,
                      uint64_t element_bytes)
{
    if (!count)
        return true;
    return fits_physical(c, address) && fits_physical(c, address + count * element_bytes - 1);
}

/* "VM-Entry Control Fields" names these vectors; #CP is not among them, and processors that have
 * it report IA32_VMX_BASIC[56], with which vectors are not checked. */
static bool vector_has_error(uint8_t vector)
{
    const uint32_t vectors = 1u << X86_EXC_DF | 1u << X86_EXC_TS | 1u << X86_EXC_NP |
                             1u << X86_EXC_SS | 1u << X86_EXC_GP | 1u << X86_EXC_PF |
                             1u << X86_EXC_AC;
    return vector < 32 && (vectors >> vector & 1);
}

static bool protected_exception(const struct vmx_check *c)
{
    return injecting_type(c, VMX_INTR_HARDWARE_EXCEPTION) && (V(GUEST_CR0) & CR0_PE);
}

static bool vectors_checked(const struct vmx_check *c)
{
    return !(c->caps->basic & VMX_BASIC_NO_ERROR_CODE_CHECK);
}

static bool error_code_required(const struct vmx_check *c)
{
    return protected_exception(c) && vectors_checked(c) && vector_has_error(injected_vector(c));
}

static bool error_code_impossible(const struct vmx_check *c)
{
    if (!injecting(c))
        return false;
    return !protected_exception(c) || (vectors_checked(c) && !vector_has_error(injected_vector(c)));
}

static uint64_t injection_reserved_bits(const struct vmx_check *c)
{
    bool nested = (c->caps->basic & VMX_BASIC_NESTED_EXCEPTION) &&
                  injected_type(c) == VMX_INTR_HARDWARE_EXCEPTION;
    return VMX_INTR_ENTRY_RESERVED & ~(nested ? (uint64_t)VMX_INTR_NESTED : 0);
}

static bool injecting_software(const struct vmx_check *c)
{
    return injecting(c) && vmx_intr_is_software((uint32_t)V(ENTRY_INTERRUPTION_INFORMATION));
}

#define VMX_RULE VMX_RULE_PREDICATE
#include "arch/x86/vmx/check_controls.def"
#undef VMX_RULE

const struct vmx_rule vmx_rules_controls[] = {
#define VMX_RULE VMX_RULE_ROW
#include "arch/x86/vmx/check_controls.def"
#undef VMX_RULE
};

const size_t vmx_rules_controls_count = HV_ARRAY_COUNT(vmx_rules_controls);
