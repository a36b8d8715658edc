// SRCS: arch/x86/vmx/caps.c arch/x86/vmx/vmcs_fields.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "vmx_profiles.h"
#include "x86/vmx_caps.h"

static void reading_touches_only_what_exists(void **state)
{
    (void)state;
    for (size_t i = 0; i < VMX_PROFILE_COUNT; i++) {
        struct vmx_fake_machine machine = { .profile = &vmx_profiles[i] };
        struct vmx_caps_source source = vmx_fake_source(&machine);
        struct vmx_caps caps;
        assert_int_equal(vmx_caps_read(&caps, &source), HV_OK);
        assert_int_equal(machine.faults, 0);
        assert_int_equal(caps.basic, vmx_profiles[i].msr[0]);
        assert_int_equal(caps.physical_address_bits, vmx_profiles[i].physical_bits);
        assert_int_equal(caps.linear_address_bits, 48);
        assert_true(caps.nx && caps.pat && caps.perfmon);
        assert_int_equal(caps.hypervisor, !!(vmx_profiles[i].flags & PROFILE_HV));
        assert_int_equal(caps.xsaves, !!(vmx_profiles[i].flags & PROFILE_XSAVES));
        assert_int_equal(caps.page_1g, !!(vmx_profiles[i].flags & PROFILE_PAGE1G));
        assert_true(vmx_caps_region_bytes(&caps) <= 4096);
        for (enum vmx_word word = 0; word < VMX_WORD_COUNT; word++) {
            struct vmx_allowed allowed = vmx_caps_allowed(&caps, word);
            if (allowed.must_be_1 & ~allowed.may_be_1)
                fail_msg("%s: word %d demands what it does not permit", vmx_profiles[i].name, word);
        }
    }
}

static void no_vmx_is_refused(void **state)
{
    (void)state;
    struct vmx_fake_machine machine = { .profile = &vmx_profiles[0], .no_vmx = true };
    struct vmx_caps_source source = vmx_fake_source(&machine);
    struct vmx_caps caps;
    assert_int_equal(vmx_caps_read(&caps, &source), HV_ERR_UNSUPPORTED);
    assert_int_equal(caps.basic, 0);
    assert_int_equal(machine.faults, 0);
}

/* An ancient CPUID: leaf 0 says 0; then leaves below 7, 0xa and 0xd; extended leaves missing. */
static uint32_t short_highest, short_extended;

static void short_cpuid(void *context, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    vmx_fake_cpuid(context, leaf, subleaf, out);
    if (leaf == 0)
        out[0] = short_highest;
    if (leaf == 0x80000000u)
        out[0] = short_extended;
    if (leaf >= 2 && leaf < 0x80000000u && leaf > short_highest)
        fail_msg("leaf %x asked above the highest", leaf);
    if (leaf > short_extended && leaf > 0x80000000u)
        fail_msg("leaf %x asked above the highest extended", leaf);
}

static void cpuid_leaves_are_asked_only_where_they_exist(void **state)
{
    (void)state;
    struct vmx_fake_machine machine = { .profile = &vmx_profiles[4] };
    struct vmx_caps_source source = { vmx_fake_rdmsr, short_cpuid, &machine };
    struct vmx_caps caps;
    short_highest = 0;
    short_extended = 0;
    assert_int_equal(vmx_caps_read(&caps, &source), HV_ERR_UNSUPPORTED);
    short_highest = 1;
    assert_int_equal(vmx_caps_read(&caps, &source), HV_OK);
    assert_int_equal(caps.physical_address_bits, 36);
    assert_int_equal(caps.linear_address_bits, 48);
    assert_false(caps.invpcid || caps.perfmon || caps.nx || caps.xsaves);
    short_highest = 7;
    short_extended = 0x80000001u;
    assert_int_equal(vmx_caps_read(&caps, &source), HV_OK);
    assert_true(caps.invpcid && caps.nx && !caps.perfmon);
    assert_int_equal(caps.physical_address_bits, 36);
}

static void new_features_come_from_leaf_7_1(void **state)
{
    (void)state;
    struct vmx_profile profile = vmx_profiles[4];
    profile.flags |= PROFILE_FRED | PROFILE_APX | PROFILE_CET | PROFILE_PKS;
    struct vmx_fake_machine machine = { .profile = &profile };
    struct vmx_caps_source source = vmx_fake_source(&machine);
    struct vmx_caps caps;
    assert_int_equal(vmx_caps_read(&caps, &source), HV_OK);
    assert_true(caps.fred && caps.apx && caps.cet && caps.pks && !caps.lam && !caps.sgx);
    profile.flags |= PROFILE_SGX;
    assert_int_equal(vmx_caps_read(&caps, &source), HV_OK);
    assert_true(caps.sgx);
    assert_true(vmcs_field_exists(&caps, VMCS_INJECTED_EVENT_DATA));
    assert_true(vmcs_field_exists(&caps, VMCS_EXTENDED_INSTRUCTION_INFORMATION));
    /* XSAVE off: leaf 0xd means nothing. */
    profile.flags &= ~(unsigned)PROFILE_XSAVE;
    profile.flags |= PROFILE_XSAVES;
    assert_int_equal(vmx_caps_read(&caps, &source), HV_OK);
    assert_false(caps.xsaves);
}

static void true_controls_win(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Haswell");
    assert_true(vmx_caps_can_clear(&caps, VMX_WORD_CPU, CPU_CR3_LOAD_EXITING));
    assert_true(vmx_caps_can_clear(&caps, VMX_WORD_EXIT, EXIT_SAVE_DEBUG_CONTROLS));
    assert_string_equal(vmx_caps_word_msr_name(&caps, VMX_WORD_CPU),
                        "IA32_VMX_TRUE_PROCBASED_CTLS");
    assert_int_equal(vmx_caps_word_msr_value(&caps, VMX_WORD_CPU), 0xfff9fffe04006172);
    caps.basic &= ~VMX_BASIC_TRUE_CONTROLS;
    assert_false(vmx_caps_can_clear(&caps, VMX_WORD_CPU, CPU_CR3_LOAD_EXITING));
    assert_string_equal(vmx_caps_word_msr_name(&caps, VMX_WORD_CPU), "IA32_VMX_PROCBASED_CTLS");
    assert_string_equal(vmx_caps_word_msr_name(&caps, VMX_WORD_ENTRY), "IA32_VMX_ENTRY_CTLS");
    assert_int_equal(vmx_caps_word_msr_value(&caps, VMX_WORD_EXIT), caps.exit);
    assert_int_equal(vmx_caps_word_msr_value(&caps, VMX_WORD_CPU3), caps.procbased3);
    assert_int_equal(vmx_caps_word_msr_value(&caps, VMX_WORD_EXIT2), caps.exit2);
}

static void acceptance_of_words(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Haswell");
    assert_true(vmx_caps_accepts(&caps, VMX_WORD_PIN, 0x16));
    assert_true(vmx_caps_accepts(&caps, VMX_WORD_PIN, 0x7f));
    assert_false(vmx_caps_accepts(&caps, VMX_WORD_PIN, 0x96));   /* posted interrupts: not here */
    assert_false(vmx_caps_accepts(&caps, VMX_WORD_PIN, 0x06));   /* a default1 bit is 0 */
    assert_true(vmx_caps_accepts(&caps, VMX_WORD_CPU2, 0));
    assert_false(vmx_caps_accepts(&caps, VMX_WORD_CPU2, CPU2_ENABLE_PML));
    assert_true(vmx_caps_accepts(&caps, VMX_WORD_CPU3, 0));
    assert_false(vmx_caps_accepts(&caps, VMX_WORD_EXIT2, 1));
}

static void derived_numbers(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Haswell");
    assert_int_equal(vmx_caps_revision(&caps), 0x12);
    assert_int_equal(vmx_caps_region_bytes(&caps), 1024);
    assert_int_equal(vmx_caps_timer_shift(&caps), 5);
    assert_int_equal(vmx_caps_cr3_targets(&caps), 4);
    assert_int_equal(vmx_caps_msr_list_entries(&caps), 512);
    caps.misc |= 3ull << VMX_MISC_MSR_LIST_SHIFT;
    assert_int_equal(vmx_caps_msr_list_entries(&caps), 2048);
}

/* Fields of which the SDM says on which control they depend. */
static void fields_follow_controls(void **state)
{
    (void)state;
    struct vmx_caps wolfdale = vmx_profile_caps("Wolfdale");
    assert_true(vmcs_field_exists(&wolfdale, VMCS_GUEST_RIP));
    assert_true(vmcs_field_exists(&wolfdale, VMCS_MSR_BITMAP_ADDRESS));
    assert_true(vmcs_field_exists(&wolfdale, VMCS_SECONDARY_PROC_BASED_CONTROLS));
    assert_true(vmcs_field_exists(&wolfdale, VMCS_APIC_ACCESS_ADDRESS));
    assert_false(vmcs_field_exists(&wolfdale, VMCS_EPT_POINTER));
    assert_false(vmcs_field_exists(&wolfdale, VMCS_GUEST_PDPTE0));
    assert_false(vmcs_field_exists(&wolfdale, VMCS_GUEST_PHYSICAL_ADDRESS));
    assert_false(vmcs_field_exists(&wolfdale, VMCS_VPID));
    assert_false(vmcs_field_exists(&wolfdale, VMCS_GUEST_IA32_EFER));
    assert_false(vmcs_field_exists(&wolfdale, VMCS_HOST_IA32_PAT));
    assert_false(vmcs_field_exists(&wolfdale, VMCS_PREEMPTION_TIMER_VALUE));
    assert_false(vmcs_field_exists(&wolfdale, VMCS_PLE_GAP));

    struct vmx_caps haswell = vmx_profile_caps("Haswell");
    assert_true(vmcs_field_exists(&haswell, VMCS_EPT_POINTER));
    assert_true(vmcs_field_exists(&haswell, VMCS_EPT_POINTER + 1));
    assert_true(vmcs_field_exists(&haswell, VMCS_EPTP_LIST_ADDRESS));
    assert_true(vmcs_field_exists(&haswell, VMCS_VMREAD_BITMAP_ADDRESS));
    assert_true(vmcs_field_exists(&haswell, VMCS_GUEST_IA32_PERF_GLOBAL_CTRL));
    assert_false(vmcs_field_exists(&haswell, VMCS_TSC_MULTIPLIER));
    assert_false(vmcs_field_exists(&haswell, VMCS_XSS_EXITING_BITMAP));
    assert_false(vmcs_field_exists(&haswell, VMCS_GUEST_INTERRUPT_STATUS));
    assert_false(vmcs_field_exists(&haswell, VMCS_GUEST_IA32_BNDCFGS));
    assert_false(vmcs_field_exists(&haswell, VMCS_TERTIARY_PROC_BASED_CONTROLS));
    assert_false(vmcs_field_exists(&haswell, VMCS_SECONDARY_EXIT_CONTROLS));
    assert_false(vmcs_field_exists(&haswell, VMCS_GUEST_SSP));
    assert_false(vmcs_field_exists(&haswell, VMCS_INJECTED_EVENT_DATA));
    assert_false(vmcs_field_exists(&haswell, 0x4003));
    assert_false(vmcs_field_exists(&haswell, 0x1000));
    assert_false(vmcs_field_exists(&haswell, VMCS_GUEST_RIP | 0x8000));

    struct vmx_caps alder = vmx_profile_caps("Alder Lake P");
    assert_true(vmcs_field_exists(&alder, VMCS_TERTIARY_PROC_BASED_CONTROLS));
    assert_true(vmcs_field_exists(&alder, VMCS_HLAT_POINTER));
    assert_true(vmcs_field_exists(&alder, VMCS_GUEST_SSP));
    assert_true(vmcs_field_exists(&alder, VMCS_HOST_IA32_PKRS));
    assert_true(vmcs_field_exists(&alder, VMCS_GUEST_IA32_LBR_CTL));
    assert_false(vmcs_field_exists(&alder, VMCS_LOW_PASID_DIRECTORY_ADDRESS));

    struct vmx_caps nested = vmx_profile_caps("nested KVM, new");
    assert_false(vmcs_field_exists(&nested, VMCS_CR3_TARGET_VALUE0));
    assert_true(vmcs_field_exists(&haswell, VMCS_CR3_TARGET_VALUE3));
    haswell.misc &= ~(6ull << VMX_MISC_CR3_TARGETS_SHIFT);
    haswell.misc |= 2ull << VMX_MISC_CR3_TARGETS_SHIFT;
    assert_true(vmcs_field_exists(&haswell, VMCS_CR3_TARGET_VALUE1));
    assert_false(vmcs_field_exists(&haswell, VMCS_CR3_TARGET_VALUE2));
}

/* With every control settable every field exists; with none only those that always do. */
static void every_condition_is_decided(void **state)
{
    (void)state;
    struct vmx_caps all, none = { 0 };
    memset(&all, 0xff, sizeof(all));
    all.fred = all.apx = true;
    for (size_t i = 0; i < VMCS_FIELD_COUNT; i++) {
        const struct vmcs_field_info *info = &vmcs_fields[i];
        if (!vmcs_field_exists(&all, info->encoding))
            fail_msg("%s does not exist on a processor with everything", info->name);
        bool always = info->exists == VMCS_EXISTS_ALWAYS;
        if (vmcs_field_exists(&none, info->encoding) != always)
            fail_msg("%s on a processor with nothing", info->name);
    }
}

static void second_control_alone_is_enough(void **state)
{
    (void)state;
    struct vmx_caps caps = { 0 };
    caps.exit = (uint64_t)EXIT_SAVE_PAT << 32;
    assert_true(vmcs_field_exists(&caps, VMCS_GUEST_IA32_PAT));
    assert_false(vmcs_field_exists(&caps, VMCS_HOST_IA32_PAT));
    caps.exit = 0;
    caps.entry = (uint64_t)ENTRY_LOAD_PAT << 32;
    assert_true(vmcs_field_exists(&caps, VMCS_GUEST_IA32_PAT));
}

static void common_subset_of_hybrid_cores(void **state)
{
    (void)state;
    struct vmx_caps p = vmx_profile_caps("Alder Lake P");
    struct vmx_caps e = vmx_profile_caps("Alder Lake E");
    struct vmx_caps common = p;
    assert_int_equal(vmx_caps_common(&common, &e), HV_OK);
    for (enum vmx_word word = 0; word < VMX_WORD_COUNT; word++) {
        struct vmx_allowed c = vmx_caps_allowed(&common, word);
        struct vmx_allowed a = vmx_caps_allowed(&p, word), b = vmx_caps_allowed(&e, word);
        assert_int_equal(c.may_be_1, a.may_be_1 & b.may_be_1);
        assert_int_equal(c.must_be_1, a.must_be_1 | b.must_be_1);
        /* Whatever the common set accepts, each core accepts. */
        assert_true(vmx_caps_accepts(&p, word, c.must_be_1));
        assert_true(vmx_caps_accepts(&e, word, c.may_be_1));
    }
    assert_int_equal(common.ept_vpid_cap >> VMX_EPT_CAP_HLAT_PREFIX_SHIFT, 0);
    assert_int_equal(vmx_caps_timer_shift(&common), 7);
    assert_int_equal(common.procbased3, p.procbased3 & e.procbased3);
    struct vmx_caps reverse = e;
    assert_int_equal(vmx_caps_common(&reverse, &p), HV_OK);
    assert_memory_equal(&reverse, &common, sizeof(common));
    assert_true(vmx_caps_same_vmcs(&p, &e));
    struct vmx_caps itself = p;
    assert_int_equal(vmx_caps_common(&itself, &p), HV_OK);
    assert_memory_equal(&itself, &p, sizeof(p));
}

static void common_without_true_controls_keeps_the_stricter(void **state)
{
    (void)state;
    struct vmx_caps a = vmx_profile_caps("Haswell");
    struct vmx_caps b = a;
    b.basic &= ~VMX_BASIC_TRUE_CONTROLS;
    b.true_pinbased = b.true_procbased = b.true_exit = b.true_entry = 0;
    assert_int_equal(vmx_caps_common(&a, &b), HV_OK);
    assert_false(a.basic & VMX_BASIC_TRUE_CONTROLS);
    assert_false(vmx_caps_can_clear(&a, VMX_WORD_CPU, CPU_CR3_LOAD_EXITING));
    assert_int_equal(a.true_procbased, 0);
}

static void cores_that_contradict_are_refused(void **state)
{
    (void)state;
    struct vmx_caps a = vmx_profile_caps("Haswell"), b = a, c = a;
    b.basic ^= 6ull << VMX_BASIC_MEMORY_TYPE_SHIFT;
    assert_int_equal(vmx_caps_common(&a, &b), HV_ERR_UNSUPPORTED);
    /* One core insists on what the other forbids. */
    b = c;
    b.true_pinbased |= PIN_NMI_EXITING;
    c.true_pinbased &= ~((uint64_t)PIN_NMI_EXITING << 32);
    assert_int_equal(vmx_caps_common(&c, &b), HV_ERR_UNSUPPORTED);
    a = vmx_profile_caps("Haswell");
    b = a;
    b.cr4_fixed1 &= ~0x2000ull;
    assert_int_equal(vmx_caps_common(&a, &b), HV_ERR_UNSUPPORTED);
    a = vmx_profile_caps("Haswell");
    b = a;
    b.cr0_fixed1 &= ~1ull;
    assert_int_equal(vmx_caps_common(&a, &b), HV_ERR_UNSUPPORTED);
    a.basic = 1;
    b.basic = 2;
    assert_false(vmx_caps_same_vmcs(&a, &b));
}

/* The capability of CPUID flags in the common set: only what both have. */
static void common_cpuid_flags(void **state)
{
    (void)state;
    struct vmx_caps a = vmx_profile_caps("Haswell"), b = a;
    bool *flags[] = { &a.page_1g, &a.nx, &a.la57, &a.xsave, &a.xsaves, &a.rdtscp, &a.invpcid,
                      &a.x2apic, &a.pat, &a.perfmon, &a.rtm, &a.smx, &a.cet, &a.pks, &a.lam,
                      &a.fred, &a.apx, &a.sgx };
    for (size_t i = 0; i < HV_ARRAY_COUNT(flags); i++)
        *flags[i] = true;
    struct vmx_caps full = a;
    a.hypervisor = false;
    b = full;
    b.hypervisor = true;
    b.physical_address_bits = 36;
    assert_int_equal(vmx_caps_common(&a, &b), HV_OK);
    assert_true(a.hypervisor);
    assert_int_equal(a.physical_address_bits, 36);
    for (size_t i = 0; i < HV_ARRAY_COUNT(flags); i++)
        assert_true(*flags[i]);
    memset(&b.page_1g, 0,
           offsetof(struct vmx_caps, hypervisor) - offsetof(struct vmx_caps, page_1g));
    assert_int_equal(vmx_caps_common(&a, &b), HV_OK);
    for (size_t i = 0; i < HV_ARRAY_COUNT(flags); i++)
        assert_false(*flags[i]);
    assert_int_equal(vmx_caps_common(&a, &full), HV_OK);
    for (size_t i = 0; i < HV_ARRAY_COUNT(flags); i++)
        assert_false(*flags[i]);
}

/* SDM "Secondary Processor-Based VM-Execution Controls": without the control that activates it, a
 * word is as if all of its bits were 0. */
static void words_that_cannot_be_activated(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Alder Lake");
    uint64_t cpu = caps.true_procbased;
    caps.procbased2 = 0xffffffff00000001;
    caps.procbased3 = caps.exit2 = 0xff;
    caps.true_procbased = cpu & ~((uint64_t)CPU_ACTIVATE_SECONDARY_CONTROLS << 32);
    assert_int_equal(vmx_caps_allowed(&caps, VMX_WORD_CPU2).may_be_1, 0);
    assert_int_equal(vmx_caps_allowed(&caps, VMX_WORD_CPU2).must_be_1, 0);
    assert_true(vmx_caps_accepts(&caps, VMX_WORD_CPU2, 0));
    assert_false(vmx_caps_can_set(&caps, VMX_WORD_CPU2, CPU2_ENABLE_EPT));
    caps.true_procbased = cpu & ~((uint64_t)CPU_ACTIVATE_TERTIARY_CONTROLS << 32);
    assert_int_equal(vmx_caps_allowed(&caps, VMX_WORD_CPU3).may_be_1, 0);
    assert_int_equal(vmx_caps_allowed(&caps, VMX_WORD_CPU2).may_be_1, 0xffffffff);
    caps.true_procbased = cpu | (uint64_t)CPU_ACTIVATE_TERTIARY_CONTROLS << 32;
    assert_int_equal(vmx_caps_allowed(&caps, VMX_WORD_CPU3).may_be_1, 0xff);
    caps.true_exit &= ~((uint64_t)EXIT_ACTIVATE_SECONDARY_CONTROLS << 32);
    assert_int_equal(vmx_caps_allowed(&caps, VMX_WORD_EXIT2).may_be_1, 0);
    caps.true_exit |= (uint64_t)EXIT_ACTIVATE_SECONDARY_CONTROLS << 32;
    assert_int_equal(vmx_caps_allowed(&caps, VMX_WORD_EXIT2).may_be_1, 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_touches_only_what_exists),
        cmocka_unit_test(no_vmx_is_refused),
        cmocka_unit_test(cpuid_leaves_are_asked_only_where_they_exist),
        cmocka_unit_test(new_features_come_from_leaf_7_1),
        cmocka_unit_test(true_controls_win),
        cmocka_unit_test(acceptance_of_words),
        cmocka_unit_test(words_that_cannot_be_activated),
        cmocka_unit_test(derived_numbers),
        cmocka_unit_test(fields_follow_controls),
        cmocka_unit_test(every_condition_is_decided),
        cmocka_unit_test(second_control_alone_is_enough),
        cmocka_unit_test(common_subset_of_hybrid_cores),
        cmocka_unit_test(common_without_true_controls_keeps_the_stricter),
        cmocka_unit_test(cores_that_contradict_are_refused),
        cmocka_unit_test(common_cpuid_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
