/*
 * The checks on the guest-state area, segment registers apart: the helpers of check_guest.def, and
 * its table.
 * Pure; no lock. SDM volume 3, "Checks on the Guest State Area".
 */
#include "arch/x86/vmx/check.h"

#define DEBUGCTL_BTF (1ull << 1)

static uint64_t cr0_unchecked(const struct vmx_check *c)
{
    return CR0_NW | CR0_CD | (ON(CPU2, UNRESTRICTED_GUEST) ? CR0_PE | CR0_PG : 0);
}

static bool guest_64bit(const struct vmx_check *c)
{
    return ON(ENTRY, IA32E_MODE_GUEST) && (V(GUEST_CS_ACCESS_RIGHTS) & VMX_AR_L);
}

/* Weaker than canonical: the highest implemented bit may differ from those above it. */
static bool within_linear_width(const struct vmx_check *c, uint64_t address)
{
    uint64_t above = address >> c->caps->linear_address_bits;
    return above == 0 || above == UINT64_MAX >> c->caps->linear_address_bits;
}

static bool fred_user(const struct vmx_check *c)
{
    return (V(GUEST_CR4) & CR4_FRED) && vmx_ar_dpl((uint32_t)V(GUEST_SS_ACCESS_RIGHTS)) == 3;
}

static bool activity_supported(const struct vmx_check *c)
{
    switch (V(GUEST_ACTIVITY_STATE)) {
    case VMX_ACTIVITY_ACTIVE:
        return true;
    case VMX_ACTIVITY_HLT:
        return c->caps->misc & VMX_MISC_ACTIVITY_HLT;
    case VMX_ACTIVITY_SHUTDOWN:
        return c->caps->misc & VMX_MISC_ACTIVITY_SHUTDOWN;
    case VMX_ACTIVITY_WAIT_FOR_SIPI:
        return c->caps->misc & VMX_MISC_ACTIVITY_WAIT_FOR_SIPI;
    default:
        return false;
    }
}

static bool hlt_injectable(const struct vmx_check *c)
{
    switch (injected_type(c)) {
    case VMX_INTR_EXTERNAL:
    case VMX_INTR_NMI:
        return true;
    case VMX_INTR_HARDWARE_EXCEPTION:
        return injected_vector(c) == X86_EXC_DB || injected_vector(c) == X86_EXC_MC;
    case VMX_INTR_OTHER_EVENT:
        return injected_vector(c) == 0;
    default:
        return false;
    }
}

static bool shutdown_injectable(const struct vmx_check *c)
{
    return injected_type(c) == VMX_INTR_NMI ||
           (injected_type(c) == VMX_INTR_HARDWARE_EXCEPTION && injected_vector(c) == X86_EXC_MC);
}

static uint64_t pending_debug_reserved_bits(const struct vmx_check *c)
{
    uint64_t allowed = VMX_PENDING_DBG_B0_B3 | VMX_PENDING_DBG_ENABLED | VMX_PENDING_DBG_BS |
                       VMX_PENDING_DBG_RTM;
    if (vmx_caps_can_set(c->caps, VMX_WORD_CPU2, CPU2_VMM_BUS_LOCK_DETECTION))
        allowed |= VMX_PENDING_DBG_BLD;
    return ~allowed;
}

static bool pending_debug_examined(const struct vmx_check *c)
{
    return (V(GUEST_INTERRUPTIBILITY_STATE) & (VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS)) ||
           V(GUEST_ACTIVITY_STATE) == VMX_ACTIVITY_HLT;
}

static bool single_stepping(const struct vmx_check *c)
{
    return (V(GUEST_RFLAGS) & RFLAGS_TF) && !(V(GUEST_IA32_DEBUGCTL) & DEBUGCTL_BTF);
}

static bool rtm_valid(const struct vmx_check *c)
{
    uint64_t others = V(GUEST_PENDING_DEBUG_EXCEPTIONS) & ~VMX_PENDING_DBG_RTM;
    return others == VMX_PENDING_DBG_ENABLED && c->caps->rtm &&
           !(V(GUEST_INTERRUPTIBILITY_STATE) & VMX_BLOCKING_BY_MOV_SS);
}

static bool linked(const struct vmx_check *c)
{
    return V(VMCS_LINK_POINTER) != UINT64_MAX;
}

/* Examined only where the guest uses PAE paging: SDM "PAE Paging", reserved bits of a PDPTE. */
static bool pdpte_valid(const struct vmx_check *c, unsigned i)
{
    if (!c->has_pdpte || !(c->pdpte[i] & 1))
        return true;
    return !(c->pdpte[i] & 0x1e6) && fits_physical(c, c->pdpte[i]);
}

#define VMX_RULE VMX_RULE_PREDICATE
#include "arch/x86/vmx/check_guest.def"
#undef VMX_RULE

const struct vmx_rule vmx_rules_guest[] = {
#define VMX_RULE VMX_RULE_ROW
#include "arch/x86/vmx/check_guest.def"
#undef VMX_RULE
};

const size_t vmx_rules_guest_count = HV_ARRAY_COUNT(vmx_rules_guest);
