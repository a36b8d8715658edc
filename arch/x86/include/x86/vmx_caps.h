/*
 * What a core's VMX can do: the capability MSRs, the CPUID facts that VMX depends on, and the
 * arithmetic over them.
 *
 * Not here: enabling VMX (FEATURE_CONTROL, CR4.VMXE), choosing controls (x86/vmx_policy.h).
 * Pure, apart from vmx_caps_read() which reads through the functions that it is given. A struct
 * vmx_caps is written once while its core starts and then only read; no lock.
 * SDM volume 3, Appendix "VMX Capability Reporting Facility".
 */
#ifndef X86_VMX_CAPS_H
#define X86_VMX_CAPS_H

#include "hv/types.h"
#include "x86/vmcs.h"
#include "x86/vmx_bits.h"

/* Indices, as VMX_MSR_IA32_VMX_BASIC. */
enum vmx_cap_msr {
#define VMX_CAP_MSR(index, field, name) VMX_MSR_##name = (index),
#include "arch/x86/vmx/vmx_cap_msrs.def"
#undef VMX_CAP_MSR
};

struct vmx_caps {
    /* The MSRs as read; one that does not exist is 0. */
#define VMX_CAP_MSR(index, field, name) uint64_t field;
#include "arch/x86/vmx/vmx_cap_msrs.def"
#undef VMX_CAP_MSR
    /* From CPUID. */
    uint8_t physical_address_bits;
    uint8_t linear_address_bits;
    bool page_1g;   /* ordinary paging has 1-GByte pages */
    bool nx;
    bool la57;
    bool xsave;
    bool xsaves;
    bool rdtscp;
    bool invpcid;
    bool x2apic;
    bool pat;
    bool perfmon;   /* IA32_PERF_GLOBAL_CTRL exists: architectural PMU version 2 or later */
    bool rtm;
    bool sgx;
    bool smx;
    bool cet;       /* shadow stacks or indirect-branch tracking */
    bool pks;
    bool lam;
    bool fred;
    bool apx;
    bool hypervisor; /* somebody runs below us */
};

/* IA32_VMX_BASIC: SDM "Basic VMX Information". */
#define VMX_BASIC_REVISION_MASK      0x7fffffffull
#define VMX_BASIC_REGION_SHIFT       32
#define VMX_BASIC_REGION_MASK        0x1fffull
#define VMX_BASIC_32BIT_ADDRESSES    (1ull << 48)
#define VMX_BASIC_DUAL_MONITOR       (1ull << 49)
#define VMX_BASIC_MEMORY_TYPE_SHIFT  50
#define VMX_BASIC_MEMORY_TYPE_MASK   0xfull
#define VMX_BASIC_INS_OUTS_INFO      (1ull << 54)
#define VMX_BASIC_TRUE_CONTROLS      (1ull << 55)
#define VMX_BASIC_NO_ERROR_CODE_CHECK (1ull << 56)
#define VMX_BASIC_NESTED_EXCEPTION   (1ull << 58)

/* IA32_VMX_MISC: SDM "Miscellaneous Data". */
#define VMX_MISC_TIMER_SHIFT_MASK    0x1full
#define VMX_MISC_SAVE_EFER_LMA       (1ull << 5)  /* exits update "IA-32e mode guest" */
#define VMX_MISC_ACTIVITY_HLT        (1ull << 6)
#define VMX_MISC_ACTIVITY_SHUTDOWN   (1ull << 7)
#define VMX_MISC_ACTIVITY_WAIT_FOR_SIPI (1ull << 8)
#define VMX_MISC_INTEL_PT            (1ull << 14)
#define VMX_MISC_SMM_SMBASE          (1ull << 15)
#define VMX_MISC_CR3_TARGETS_SHIFT   16
#define VMX_MISC_CR3_TARGETS_MASK    0x1ffull
#define VMX_MISC_MSR_LIST_SHIFT      25
#define VMX_MISC_MSR_LIST_MASK       7ull
#define VMX_MISC_VMXOFF_SMI          (1ull << 28)
#define VMX_MISC_VMWRITE_ANY         (1ull << 29)
#define VMX_MISC_ZERO_LENGTH         (1ull << 30) /* injection with instruction length 0 */

/* IA32_VMX_EPT_VPID_CAP: SDM "VPID and EPT Capabilities". */
#define VMX_EPT_CAP_EXECUTE_ONLY     (1ull << 0)
#define VMX_EPT_CAP_WALK_4           (1ull << 6)
#define VMX_EPT_CAP_WALK_5           (1ull << 7)
#define VMX_EPT_CAP_UC               (1ull << 8)
#define VMX_EPT_CAP_WB               (1ull << 14)
#define VMX_EPT_CAP_2M               (1ull << 16)
#define VMX_EPT_CAP_1G               (1ull << 17)
#define VMX_EPT_CAP_INVEPT           (1ull << 20)
#define VMX_EPT_CAP_ACCESSED_DIRTY   (1ull << 21)
#define VMX_EPT_CAP_ADVANCED_EXIT    (1ull << 22)
#define VMX_EPT_CAP_SHADOW_STACK     (1ull << 23)
#define VMX_EPT_CAP_INVEPT_SINGLE    (1ull << 25)
#define VMX_EPT_CAP_INVEPT_ALL       (1ull << 26)
#define VMX_EPT_CAP_INVVPID          (1ull << 32)
#define VMX_EPT_CAP_INVVPID_ADDRESS  (1ull << 40)
#define VMX_EPT_CAP_INVVPID_SINGLE   (1ull << 41)
#define VMX_EPT_CAP_INVVPID_ALL      (1ull << 42)
#define VMX_EPT_CAP_INVVPID_GLOBALS  (1ull << 43) /* single context, globals kept */
#define VMX_EPT_CAP_HLAT_PREFIX_SHIFT 48
#define VMX_EPT_CAP_HLAT_PREFIX_MASK 0x3full

#define VMX_VMFUNC_EPTP_SWITCHING    (1ull << 0)

/* Where the facts come from: the machine, or a test's table. */
struct vmx_caps_source {
    uint64_t (*rdmsr)(void *context, uint32_t index);
    /* Fills out[0..3] with EAX, EBX, ECX, EDX. */
    void (*cpuid)(void *context, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
    void *context;
};

/* The core that asks. */
extern const struct vmx_caps_source vmx_caps_machine;

/* Reads everything; touches only MSRs that the ones before say exist. HV_ERR_UNSUPPORTED, with
 * `caps` zeroed, when CPUID reports no VMX. */
HV_MUST_CHECK enum hv_err vmx_caps_read(struct vmx_caps *caps,
                                        const struct vmx_caps_source *source);

/* Narrows `common` to what it and `other` both can: run over all cores of a hybrid machine.
 * HV_ERR_UNSUPPORTED when no setting of some control satisfies both, or the memory types of the
 * VMCS differ. The preemption timer's rate becomes the slower one: take it from each core's own
 * capabilities where time is computed. */
HV_MUST_CHECK enum hv_err vmx_caps_common(struct vmx_caps *common, const struct vmx_caps *other);

/* Whether a VMCS cleared on one core may be made current on the other: same revision. */
bool vmx_caps_same_vmcs(const struct vmx_caps *a, const struct vmx_caps *b);

/* The settings that a control word may take, from the TRUE MSRs where they exist. */
struct vmx_allowed {
    uint64_t must_be_1; /* allowed 0-settings: a 1 here can't be cleared */
    uint64_t may_be_1;  /* allowed 1-settings: a 0 here can't be set */
};
struct vmx_allowed vmx_caps_allowed(const struct vmx_caps *caps, enum vmx_word word);

/* All of `bits` can be set. */
bool vmx_caps_can_set(const struct vmx_caps *caps, enum vmx_word word, uint64_t bits);
/* All of `bits` can be cleared. */
bool vmx_caps_can_clear(const struct vmx_caps *caps, enum vmx_word word, uint64_t bits);
/* The value is one that VM entry accepts for this word. */
bool vmx_caps_accepts(const struct vmx_caps *caps, enum vmx_word word, uint64_t value);

/* Name and value of the MSR that vmx_caps_allowed() uses for the word. */
const char *vmx_caps_word_msr_name(const struct vmx_caps *caps, enum vmx_word word);
uint64_t vmx_caps_word_msr_value(const struct vmx_caps *caps, enum vmx_word word);

/* Whether VMREAD and VMWRITE know the field here: from the controls that each field's description
 * in the SDM names. Unknown encodings do not exist. */
bool vmcs_field_exists(const struct vmx_caps *caps, uint32_t encoding);

/* Highest number of entries that an MSR area should have: SDM "Miscellaneous Data", bits 27:25. */
static inline uint32_t vmx_caps_msr_list_entries(const struct vmx_caps *caps)
{
    return 512u * (uint32_t)((caps->misc >> VMX_MISC_MSR_LIST_SHIFT & VMX_MISC_MSR_LIST_MASK) + 1);
}

static inline uint32_t vmx_caps_cr3_targets(const struct vmx_caps *caps)
{
    return (uint32_t)(caps->misc >> VMX_MISC_CR3_TARGETS_SHIFT & VMX_MISC_CR3_TARGETS_MASK);
}

/* The preemption timer counts down by 1 every time that bit X of the TSC changes. */
static inline unsigned vmx_caps_timer_shift(const struct vmx_caps *caps)
{
    return (unsigned)(caps->misc & VMX_MISC_TIMER_SHIFT_MASK);
}

static inline uint32_t vmx_caps_revision(const struct vmx_caps *caps)
{
    return (uint32_t)(caps->basic & VMX_BASIC_REVISION_MASK);
}

/* Bytes of a VMXON or VMCS region: at most 4096. */
static inline uint32_t vmx_caps_region_bytes(const struct vmx_caps *caps)
{
    return (uint32_t)(caps->basic >> VMX_BASIC_REGION_SHIFT & VMX_BASIC_REGION_MASK);
}

#endif
