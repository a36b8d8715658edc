/*
 * Capability MSRs: reading them, what they allow, what several cores have in common, and which
 * VMCS fields follow from them.
 *
 * Pure; the machine is reached only through struct vmx_caps_source. No lock.
 * SDM volume 3, Appendix "VMX Capability Reporting Facility"; "Field Encoding in VMCS" for which
 * field depends on which control.
 */
#include "x86/vmx_caps.h"

#include "hv/string.h"

#define CPUID_1_ECX_VMX      (1u << 5)
#define CPUID_1_ECX_SMX      (1u << 6)
#define CPUID_1_ECX_X2APIC   (1u << 21)
#define CPUID_1_ECX_XSAVE    (1u << 26)
#define CPUID_1_ECX_HYPERVISOR (1u << 31)
#define CPUID_1_EDX_PAT      (1u << 16)
#define CPUID_7_EBX_SGX      (1u << 2)
#define CPUID_7_EBX_INVPCID  (1u << 10)
#define CPUID_7_EBX_RTM      (1u << 11)
#define CPUID_7_ECX_SHSTK    (1u << 7)
#define CPUID_7_ECX_LA57     (1u << 16)
#define CPUID_7_ECX_PKS      (1u << 31)
#define CPUID_7_EDX_IBT      (1u << 20)
#define CPUID_7_1_EAX_FRED   (1u << 17)
#define CPUID_7_1_EAX_LAM    (1u << 26)
#define CPUID_7_1_EDX_APX    (1u << 21)
#define CPUID_D_1_EAX_XSAVES (1u << 3)
#define CPUID_80000001_EDX_NX     (1u << 20)
#define CPUID_80000001_EDX_PAGE1G (1u << 26)
#define CPUID_80000001_EDX_RDTSCP (1u << 27)

enum { EAX, EBX, ECX, EDX };

static void caps_read_structured(struct vmx_caps *caps, const struct vmx_caps_source *source)
{
    uint32_t r[4];
    source->cpuid(source->context, 7, 0, r);
    uint32_t subleaves = r[EAX];
    caps->sgx = r[EBX] & CPUID_7_EBX_SGX;
    caps->invpcid = r[EBX] & CPUID_7_EBX_INVPCID;
    caps->rtm = r[EBX] & CPUID_7_EBX_RTM;
    caps->la57 = r[ECX] & CPUID_7_ECX_LA57;
    caps->pks = r[ECX] & CPUID_7_ECX_PKS;
    caps->cet = (r[ECX] & CPUID_7_ECX_SHSTK) || (r[EDX] & CPUID_7_EDX_IBT);
    if (subleaves >= 1) {
        source->cpuid(source->context, 7, 1, r);
        caps->fred = r[EAX] & CPUID_7_1_EAX_FRED;
        caps->lam = r[EAX] & CPUID_7_1_EAX_LAM;
        caps->apx = r[EDX] & CPUID_7_1_EDX_APX;
    }
}

static void caps_read_extended(struct vmx_caps *caps, const struct vmx_caps_source *source)
{
    uint32_t r[4];
    caps->physical_address_bits = 36;
    caps->linear_address_bits = 48;
    source->cpuid(source->context, 0x80000000u, 0, r);
    uint32_t highest = r[EAX];
    if (highest >= 0x80000001u) {
        source->cpuid(source->context, 0x80000001u, 0, r);
        caps->nx = r[EDX] & CPUID_80000001_EDX_NX;
        caps->page_1g = r[EDX] & CPUID_80000001_EDX_PAGE1G;
        caps->rdtscp = r[EDX] & CPUID_80000001_EDX_RDTSCP;
    }
    if (highest >= 0x80000008u) {
        source->cpuid(source->context, 0x80000008u, 0, r);
        caps->physical_address_bits = (uint8_t)hv_min_u64(r[EAX] & 0xff, 52);
        caps->linear_address_bits = (uint8_t)hv_min_u64(r[EAX] >> 8 & 0xff, 57);
    }
}

/* False: no VMX. */
static bool caps_read_cpuid(struct vmx_caps *caps, const struct vmx_caps_source *source)
{
    uint32_t r[4];
    source->cpuid(source->context, 0, 0, r);
    uint32_t highest = r[EAX];
    if (highest < 1)
        return false;
    source->cpuid(source->context, 1, 0, r);
    if (!(r[ECX] & CPUID_1_ECX_VMX))
        return false;
    caps->smx = r[ECX] & CPUID_1_ECX_SMX;
    caps->x2apic = r[ECX] & CPUID_1_ECX_X2APIC;
    caps->xsave = r[ECX] & CPUID_1_ECX_XSAVE;
    caps->hypervisor = r[ECX] & CPUID_1_ECX_HYPERVISOR;
    caps->pat = r[EDX] & CPUID_1_EDX_PAT;
    if (highest >= 7)
        caps_read_structured(caps, source);
    if (highest >= 0xa) {
        source->cpuid(source->context, 0xa, 0, r);
        caps->perfmon = (r[EAX] & 0xff) >= 2;
    }
    if (highest >= 0xd && caps->xsave) {
        source->cpuid(source->context, 0xd, 1, r);
        caps->xsaves = r[EAX] & CPUID_D_1_EAX_XSAVES;
    }
    caps_read_extended(caps, source);
    return true;
}

static bool caps_allow_1(uint64_t msr, uint32_t control)
{
    return msr >> 32 & control;
}

/* Whether the MSR exists, judged by the ones of lower index, which have been read. */
static bool caps_msr_exists(const struct vmx_caps *caps, uint32_t index)
{
    switch (index) {
    case VMX_MSR_IA32_VMX_PROCBASED_CTLS2:
        return caps_allow_1(caps->procbased, CPU_ACTIVATE_SECONDARY_CONTROLS);
    case VMX_MSR_IA32_VMX_EPT_VPID_CAP:
        return caps_allow_1(caps->procbased2, CPU2_ENABLE_EPT | CPU2_ENABLE_VPID);
    case VMX_MSR_IA32_VMX_TRUE_PINBASED_CTLS:
    case VMX_MSR_IA32_VMX_TRUE_PROCBASED_CTLS:
    case VMX_MSR_IA32_VMX_TRUE_EXIT_CTLS:
    case VMX_MSR_IA32_VMX_TRUE_ENTRY_CTLS:
        return caps->basic & VMX_BASIC_TRUE_CONTROLS;
    case VMX_MSR_IA32_VMX_VMFUNC:
        return caps_allow_1(caps->procbased2, CPU2_ENABLE_VM_FUNCTIONS);
    case VMX_MSR_IA32_VMX_PROCBASED_CTLS3:
        return caps_allow_1(caps->procbased, CPU_ACTIVATE_TERTIARY_CONTROLS);
    case VMX_MSR_IA32_VMX_EXIT_CTLS2:
        return caps_allow_1(caps->exit, EXIT_ACTIVATE_SECONDARY_CONTROLS);
    default:
        return true;
    }
}

enum hv_err vmx_caps_read(struct vmx_caps *caps, const struct vmx_caps_source *source)
{
    memset(caps, 0, sizeof(*caps));
    if (!caps_read_cpuid(caps, source))
        return HV_ERR_UNSUPPORTED;
#define VMX_CAP_MSR(index, field, name) \
    if (caps_msr_exists(caps, (index))) \
        caps->field = source->rdmsr(source->context, (index));
#include "arch/x86/vmx/vmx_cap_msrs.def"
#undef VMX_CAP_MSR
    return HV_OK;
}

/* The two-halves MSR that speaks for a word: the TRUE one where there is one. */
static uint64_t caps_two_halves(const struct vmx_caps *caps, enum vmx_word word)
{
    bool exact = caps->basic & VMX_BASIC_TRUE_CONTROLS;
    switch (word) {
    case VMX_WORD_PIN:
        return exact ? caps->true_pinbased : caps->pinbased;
    case VMX_WORD_CPU:
        return exact ? caps->true_procbased : caps->procbased;
    case VMX_WORD_EXIT:
        return exact ? caps->true_exit : caps->exit;
    case VMX_WORD_ENTRY:
        return exact ? caps->true_entry : caps->entry;
    default:
        return caps->procbased2;
    }
}

/* Whether the control that activates a word can be set. Without it the word is not there, whatever
 * its MSR says, and whatever it demands. */
static bool caps_word_exists(const struct vmx_caps *caps, enum vmx_word word)
{
    switch (word) {
    case VMX_WORD_CPU2:
        return caps_two_halves(caps, VMX_WORD_CPU) >> 32 & CPU_ACTIVATE_SECONDARY_CONTROLS;
    case VMX_WORD_CPU3:
        return caps_two_halves(caps, VMX_WORD_CPU) >> 32 & CPU_ACTIVATE_TERTIARY_CONTROLS;
    case VMX_WORD_EXIT2:
        return caps_two_halves(caps, VMX_WORD_EXIT) >> 32 & EXIT_ACTIVATE_SECONDARY_CONTROLS;
    default:
        return true;
    }
}

struct vmx_allowed vmx_caps_allowed(const struct vmx_caps *caps, enum vmx_word word)
{
    if (!caps_word_exists(caps, word))
        return (struct vmx_allowed){ 0, 0 };
    if (word == VMX_WORD_CPU3)
        return (struct vmx_allowed){ 0, caps->procbased3 };
    if (word == VMX_WORD_EXIT2)
        return (struct vmx_allowed){ 0, caps->exit2 };
    uint64_t msr = caps_two_halves(caps, word);
    return (struct vmx_allowed){ msr & 0xffffffffull, msr >> 32 };
}

bool vmx_caps_can_set(const struct vmx_caps *caps, enum vmx_word word, uint64_t bits)
{
    return (vmx_caps_allowed(caps, word).may_be_1 & bits) == bits;
}

bool vmx_caps_can_clear(const struct vmx_caps *caps, enum vmx_word word, uint64_t bits)
{
    return !(vmx_caps_allowed(caps, word).must_be_1 & bits);
}

bool vmx_caps_accepts(const struct vmx_caps *caps, enum vmx_word word, uint64_t value)
{
    struct vmx_allowed allowed = vmx_caps_allowed(caps, word);
    return !(allowed.must_be_1 & ~value) && !(value & ~allowed.may_be_1);
}

uint64_t vmx_caps_word_msr_value(const struct vmx_caps *caps, enum vmx_word word)
{
    if (word == VMX_WORD_CPU3)
        return caps->procbased3;
    if (word == VMX_WORD_EXIT2)
        return caps->exit2;
    return caps_two_halves(caps, word);
}

const char *vmx_caps_word_msr_name(const struct vmx_caps *caps, enum vmx_word word)
{
    static const char *const names[VMX_WORD_COUNT][2] = {
        [VMX_WORD_PIN] = { "IA32_VMX_PINBASED_CTLS", "IA32_VMX_TRUE_PINBASED_CTLS" },
        [VMX_WORD_CPU] = { "IA32_VMX_PROCBASED_CTLS", "IA32_VMX_TRUE_PROCBASED_CTLS" },
        [VMX_WORD_CPU2] = { "IA32_VMX_PROCBASED_CTLS2", "IA32_VMX_PROCBASED_CTLS2" },
        [VMX_WORD_CPU3] = { "IA32_VMX_PROCBASED_CTLS3", "IA32_VMX_PROCBASED_CTLS3" },
        [VMX_WORD_EXIT] = { "IA32_VMX_EXIT_CTLS", "IA32_VMX_TRUE_EXIT_CTLS" },
        [VMX_WORD_EXIT2] = { "IA32_VMX_EXIT_CTLS2", "IA32_VMX_EXIT_CTLS2" },
        [VMX_WORD_ENTRY] = { "IA32_VMX_ENTRY_CTLS", "IA32_VMX_TRUE_ENTRY_CTLS" },
    };
    return names[word][!!(caps->basic & VMX_BASIC_TRUE_CONTROLS)];
}

/* --- what cores have in common --- */

/* Of two-halves MSRs: what either demands, what both permit. */
static uint64_t common_controls(uint64_t a, uint64_t b)
{
    return ((a | b) & 0xffffffffull) | (a & b & 0xffffffff00000000ull);
}

static bool controls_satisfiable(uint64_t msr)
{
    return !((msr & 0xffffffffull) & ~(msr >> 32));
}

/* A bit field of which the smaller value is what both have. */
static uint64_t common_minimum(uint64_t a, uint64_t b, unsigned shift, uint64_t mask)
{
    return hv_min_u64(a >> shift & mask, b >> shift & mask) << shift;
}

static uint64_t common_misc(uint64_t a, uint64_t b)
{
    uint64_t counted = VMX_MISC_TIMER_SHIFT_MASK |
                       VMX_MISC_CR3_TARGETS_MASK << VMX_MISC_CR3_TARGETS_SHIFT |
                       VMX_MISC_MSR_LIST_MASK << VMX_MISC_MSR_LIST_SHIFT;
    return (a & b & ~counted) |
           hv_max_u64(a & VMX_MISC_TIMER_SHIFT_MASK, b & VMX_MISC_TIMER_SHIFT_MASK) |
           common_minimum(a, b, VMX_MISC_CR3_TARGETS_SHIFT, VMX_MISC_CR3_TARGETS_MASK) |
           common_minimum(a, b, VMX_MISC_MSR_LIST_SHIFT, VMX_MISC_MSR_LIST_MASK);
}

static uint64_t common_ept_vpid(uint64_t a, uint64_t b)
{
    uint64_t prefix = VMX_EPT_CAP_HLAT_PREFIX_MASK << VMX_EPT_CAP_HLAT_PREFIX_SHIFT;
    return (a & b & ~prefix) |
           common_minimum(a, b, VMX_EPT_CAP_HLAT_PREFIX_SHIFT, VMX_EPT_CAP_HLAT_PREFIX_MASK);
}

/* Revision of `a`; the larger region; the narrower addresses; features of both. */
static uint64_t common_basic(uint64_t a, uint64_t b)
{
    uint64_t kept = VMX_BASIC_REVISION_MASK |
                    VMX_BASIC_MEMORY_TYPE_MASK << VMX_BASIC_MEMORY_TYPE_SHIFT;
    uint64_t features = VMX_BASIC_DUAL_MONITOR | VMX_BASIC_INS_OUTS_INFO |
                        VMX_BASIC_TRUE_CONTROLS | VMX_BASIC_NO_ERROR_CODE_CHECK |
                        VMX_BASIC_NESTED_EXCEPTION;
    uint64_t region = hv_max_u64(a >> VMX_BASIC_REGION_SHIFT & VMX_BASIC_REGION_MASK,
                                 b >> VMX_BASIC_REGION_SHIFT & VMX_BASIC_REGION_MASK);
    return (a & kept) | region << VMX_BASIC_REGION_SHIFT |
           ((a | b) & VMX_BASIC_32BIT_ADDRESSES) | (a & b & features);
}

static void common_cpuid(struct vmx_caps *common, const struct vmx_caps *other)
{
    common->physical_address_bits = (uint8_t)hv_min_u64(common->physical_address_bits,
                                                        other->physical_address_bits);
    common->linear_address_bits = (uint8_t)hv_min_u64(common->linear_address_bits,
                                                      other->linear_address_bits);
    common->page_1g = common->page_1g && other->page_1g;
    common->nx = common->nx && other->nx;
    common->la57 = common->la57 && other->la57;
    common->xsave = common->xsave && other->xsave;
    common->xsaves = common->xsaves && other->xsaves;
    common->rdtscp = common->rdtscp && other->rdtscp;
    common->invpcid = common->invpcid && other->invpcid;
    common->x2apic = common->x2apic && other->x2apic;
    common->pat = common->pat && other->pat;
    common->perfmon = common->perfmon && other->perfmon;
    common->rtm = common->rtm && other->rtm;
    common->sgx = common->sgx && other->sgx;
    common->smx = common->smx && other->smx;
    common->cet = common->cet && other->cet;
    common->pks = common->pks && other->pks;
    common->lam = common->lam && other->lam;
    common->fred = common->fred && other->fred;
    common->apx = common->apx && other->apx;
    common->hypervisor = common->hypervisor || other->hypervisor;
}

/* The four words that have a TRUE version: combined as each core means them, and stored where the
 * combined IA32_VMX_BASIC makes readers look. */
static void common_words(struct vmx_caps *common, const struct vmx_caps *other)
{
    uint64_t pin = common_controls(caps_two_halves(common, VMX_WORD_PIN),
                                   caps_two_halves(other, VMX_WORD_PIN));
    uint64_t cpu = common_controls(caps_two_halves(common, VMX_WORD_CPU),
                                   caps_two_halves(other, VMX_WORD_CPU));
    uint64_t exit = common_controls(caps_two_halves(common, VMX_WORD_EXIT),
                                    caps_two_halves(other, VMX_WORD_EXIT));
    uint64_t entry = common_controls(caps_two_halves(common, VMX_WORD_ENTRY),
                                     caps_two_halves(other, VMX_WORD_ENTRY));
    common->basic = common_basic(common->basic, other->basic);
    if (common->basic & VMX_BASIC_TRUE_CONTROLS) {
        common->true_pinbased = pin;
        common->true_procbased = cpu;
        common->true_exit = exit;
        common->true_entry = entry;
        common->pinbased = common_controls(common->pinbased, other->pinbased);
        common->procbased = common_controls(common->procbased, other->procbased);
        common->exit = common_controls(common->exit, other->exit);
        common->entry = common_controls(common->entry, other->entry);
    } else {
        common->true_pinbased = common->true_procbased = 0;
        common->true_exit = common->true_entry = 0;
        common->pinbased = pin;
        common->procbased = cpu;
        common->exit = exit;
        common->entry = entry;
    }
}

static uint64_t basic_memory_type(const struct vmx_caps *caps)
{
    return caps->basic >> VMX_BASIC_MEMORY_TYPE_SHIFT & VMX_BASIC_MEMORY_TYPE_MASK;
}

enum hv_err vmx_caps_common(struct vmx_caps *common, const struct vmx_caps *other)
{
    if (basic_memory_type(common) != basic_memory_type(other))
        return HV_ERR_UNSUPPORTED;
    common_words(common, other);
    common->misc = common_misc(common->misc, other->misc);
    common->cr0_fixed0 |= other->cr0_fixed0;
    common->cr0_fixed1 &= other->cr0_fixed1;
    common->cr4_fixed0 |= other->cr4_fixed0;
    common->cr4_fixed1 &= other->cr4_fixed1;
    common->vmcs_enum = hv_min_u64(common->vmcs_enum, other->vmcs_enum);
    common->procbased2 = common_controls(common->procbased2, other->procbased2);
    common->ept_vpid_cap = common_ept_vpid(common->ept_vpid_cap, other->ept_vpid_cap);
    common->vmfunc &= other->vmfunc;
    common->procbased3 &= other->procbased3;
    common->exit2 &= other->exit2;
    common_cpuid(common, other);
    for (enum vmx_word word = 0; word < VMX_WORD_COUNT; word++) {
        struct vmx_allowed allowed = vmx_caps_allowed(common, word);
        if (!controls_satisfiable(allowed.must_be_1 | allowed.may_be_1 << 32))
            return HV_ERR_UNSUPPORTED;
    }
    if ((common->cr0_fixed0 & ~common->cr0_fixed1) || (common->cr4_fixed0 & ~common->cr4_fixed1))
        return HV_ERR_UNSUPPORTED;
    return HV_OK;
}

bool vmx_caps_same_vmcs(const struct vmx_caps *a, const struct vmx_caps *b)
{
    return vmx_caps_revision(a) == vmx_caps_revision(b);
}

/* --- which fields exist --- */

/* A field exists if one of up to two controls can be set. */
struct exists_rule {
    uint8_t word;
    uint8_t other_word;
    uint32_t bits;
    uint32_t other_bits;
};

#define RULE1(exists, w, name) [VMCS_EXISTS_##exists] = { VMX_WORD_##w, 0, w##_##name, 0 }
#define RULE2(exists, w, name, w2, name2) \
    [VMCS_EXISTS_##exists] = { VMX_WORD_##w, VMX_WORD_##w2, w##_##name, w2##_##name2 }

static const struct exists_rule exists_rules[] = {
    RULE1(SECONDARY_CONTROLS, CPU, ACTIVATE_SECONDARY_CONTROLS),
    RULE1(TERTIARY_CONTROLS, CPU, ACTIVATE_TERTIARY_CONTROLS),
    RULE1(SECONDARY_EXIT_CONTROLS, EXIT, ACTIVATE_SECONDARY_CONTROLS),
    RULE1(PROCESS_POSTED_INTERRUPTS, PIN, PROCESS_POSTED_INTERRUPTS),
    RULE1(PREEMPTION_TIMER, PIN, ACTIVATE_PREEMPTION_TIMER),
    RULE1(USE_MSR_BITMAPS, CPU, USE_MSR_BITMAPS),
    RULE1(USE_TPR_SHADOW, CPU, USE_TPR_SHADOW),
    RULE1(VIRTUALIZE_APIC_ACCESSES, CPU2, VIRTUALIZE_APIC_ACCESSES),
    RULE1(ENABLE_EPT, CPU2, ENABLE_EPT),
    RULE1(ENABLE_VPID, CPU2, ENABLE_VPID),
    RULE1(VIRTUAL_INTERRUPT_DELIVERY, CPU2, VIRTUAL_INTERRUPT_DELIVERY),
    RULE1(PAUSE_LOOP_EXITING, CPU2, PAUSE_LOOP_EXITING),
    RULE1(ENABLE_VM_FUNCTIONS, CPU2, ENABLE_VM_FUNCTIONS),
    RULE1(VMCS_SHADOWING, CPU2, VMCS_SHADOWING),
    RULE1(ENABLE_ENCLS_EXITING, CPU2, ENABLE_ENCLS_EXITING),
    RULE1(ENABLE_PML, CPU2, ENABLE_PML),
    RULE1(EPT_VIOLATION_VE, CPU2, EPT_VIOLATION_VE),
    RULE1(ENABLE_XSAVES, CPU2, ENABLE_XSAVES_XRSTORS),
    RULE1(PASID_TRANSLATION, CPU2, PASID_TRANSLATION),
    RULE1(SUB_PAGE_WRITE_PERMISSIONS, CPU2, SUB_PAGE_WRITE_PERMISSIONS),
    RULE1(USE_TSC_SCALING, CPU2, USE_TSC_SCALING),
    RULE1(ENABLE_PCONFIG, CPU2, ENABLE_PCONFIG),
    RULE1(ENABLE_ENCLV_EXITING, CPU2, ENABLE_ENCLV_EXITING),
    RULE1(INSTRUCTION_TIMEOUT, CPU2, INSTRUCTION_TIMEOUT),
    RULE1(ENABLE_HLAT, CPU3, ENABLE_HLAT),
    RULE1(IPI_VIRTUALIZATION, CPU3, IPI_VIRTUALIZATION),
    RULE1(ENABLE_MSR_LIST, CPU3, ENABLE_MSR_LIST),
    RULE1(VIRTUALIZE_SPEC_CTRL, CPU3, VIRTUALIZE_SPEC_CTRL),
    RULE1(APIC_TIMER_VIRTUALIZATION, CPU3, APIC_TIMER_VIRTUALIZATION),
    RULE1(SEAM, CPU3, SEAM_GUEST_PHYSICAL_ADDRESS_WIDTH),
    RULE2(UINV, ENTRY, LOAD_UINV, EXIT, CLEAR_UINV),
    RULE2(GUEST_PAT, ENTRY, LOAD_PAT, EXIT, SAVE_PAT),
    RULE2(GUEST_EFER, ENTRY, LOAD_EFER, EXIT, SAVE_EFER),
    RULE2(GUEST_PERF_GLOBAL_CTRL, ENTRY, LOAD_PERF_GLOBAL_CTRL, EXIT, SAVE_PERF_GLOBAL_CTRL),
    RULE2(GUEST_BNDCFGS, ENTRY, LOAD_BNDCFGS, EXIT, CLEAR_BNDCFGS),
    RULE2(GUEST_RTIT_CTL, ENTRY, LOAD_RTIT_CTL, EXIT, CLEAR_RTIT_CTL),
    RULE2(GUEST_LBR_CTL, ENTRY, LOAD_LBR_CTL, EXIT, CLEAR_LBR_CTL),
    RULE1(GUEST_PKRS, ENTRY, LOAD_PKRS),
    RULE2(GUEST_FRED, ENTRY, LOAD_FRED, EXIT2, SAVE_FRED),
    RULE1(GUEST_SPEC_CTRL, ENTRY, LOAD_SPEC_CTRL),
    RULE1(GUEST_CET, ENTRY, LOAD_CET_STATE),
    RULE1(HOST_PAT, EXIT, LOAD_PAT),
    RULE1(HOST_EFER, EXIT, LOAD_EFER),
    RULE1(HOST_PERF_GLOBAL_CTRL, EXIT, LOAD_PERF_GLOBAL_CTRL),
    RULE1(HOST_PKRS, EXIT, LOAD_PKRS),
    RULE1(HOST_FRED, EXIT2, LOAD_FRED),
    RULE1(HOST_SPEC_CTRL, EXIT2, LOAD_SPEC_CTRL),
    RULE1(HOST_CET, EXIT, LOAD_CET_STATE),
};

bool vmcs_field_exists(const struct vmx_caps *caps, uint32_t encoding)
{
    const struct vmcs_field_info *info = vmcs_field_find(encoding);
    if (!info || (encoding & VMCS_ENCODING_RESERVED))
        return false;
    switch (info->exists) {
    case VMCS_EXISTS_ALWAYS:
        return true;
    case VMCS_EXISTS_EPTP_SWITCHING:
        return caps->vmfunc & VMX_VMFUNC_EPTP_SWITCHING;
    case VMCS_EXISTS_FRED:
        return caps->fred;
    case VMCS_EXISTS_APX:
        return caps->apx;
    case VMCS_EXISTS_CR3_TARGET0:
    case VMCS_EXISTS_CR3_TARGET1:
    case VMCS_EXISTS_CR3_TARGET2:
    case VMCS_EXISTS_CR3_TARGET3:
        return vmx_caps_cr3_targets(caps) > (uint32_t)(info->exists - VMCS_EXISTS_CR3_TARGET0);
    default:
        break;
    }
    const struct exists_rule *rule = &exists_rules[info->exists];
    return vmx_caps_can_set(caps, rule->word, rule->bits) ||
           (rule->other_bits && vmx_caps_can_set(caps, rule->other_word, rule->other_bits));
}
