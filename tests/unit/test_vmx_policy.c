// SRCS: arch/x86/vmx/policy.c arch/x86/vmx/caps.c arch/x86/vmx/vmcs_fields.c vmm/lib/format.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vmx_profiles.h"
#include "x86/regs.h"
#include "x86/vmx_policy.h"

static void check_words_are_accepted(const char *name, const struct vmx_controls *controls,
                                     const struct vmx_caps *caps)
{
    for (enum vmx_word word = 0; word < VMX_WORD_COUNT; word++)
        if (!vmx_caps_accepts(caps, word, vmx_controls_word(controls, word)))
            fail_msg("%s: word %d = %llx is not allowed", name, word,
                     (unsigned long long)vmx_controls_word(controls, word));
}

/* The rules of "Checks on VMX Controls" that relate one control to another, written out once more
 * by hand, independently of the list. */
static void check_relations(const char *name, const struct vmx_controls *c)
{
    bool ok = true;
    ok = ok && ((c->pin & PIN_NMI_EXITING) || !(c->pin & PIN_VIRTUAL_NMIS));
    ok = ok && ((c->cpu & CPU_ACTIVATE_SECONDARY_CONTROLS) || !c->cpu2);
    ok = ok && ((c->cpu & CPU_ACTIVATE_TERTIARY_CONTROLS) || !c->cpu3);
    ok = ok && ((c->exit & EXIT_ACTIVATE_SECONDARY_CONTROLS) || !c->exit2);
    ok = ok && ((c->cpu & CPU_USE_TPR_SHADOW) ||
                !(c->cpu2 & (CPU2_VIRTUALIZE_X2APIC_MODE | CPU2_APIC_REGISTER_VIRTUALIZATION |
                             CPU2_VIRTUAL_INTERRUPT_DELIVERY)));
    ok = ok && !((c->cpu2 & CPU2_VIRTUALIZE_X2APIC_MODE) &&
                 (c->cpu2 & CPU2_VIRTUALIZE_APIC_ACCESSES));
    ok = ok && (!(c->cpu2 & CPU2_VIRTUAL_INTERRUPT_DELIVERY) ||
                (c->pin & PIN_EXTERNAL_INTERRUPT_EXITING));
    ok = ok && (!(c->pin & PIN_PROCESS_POSTED_INTERRUPTS) ||
                ((c->cpu2 & CPU2_VIRTUAL_INTERRUPT_DELIVERY) &&
                 (c->exit & EXIT_ACKNOWLEDGE_INTERRUPT)));
    ok = ok && ((c->cpu2 & CPU2_ENABLE_EPT) ||
                !(c->cpu2 & (CPU2_UNRESTRICTED_GUEST | CPU2_ENABLE_PML |
                             CPU2_MODE_BASED_EXECUTE_CONTROL | CPU2_SUB_PAGE_WRITE_PERMISSIONS)));
    ok = ok && ((c->pin & PIN_ACTIVATE_PREEMPTION_TIMER) ||
                !(c->exit & EXIT_SAVE_PREEMPTION_TIMER));
    if (!ok)
        fail_msg("%s: controls contradict each other", name);
}

/* The wish for which a profile is refused, or NULL. A guest that has the core's interrupts can only
 * be taken away from it by the preemption timer. */
static const char *refused_wish(const struct vmx_profile *profile, const struct vmx_caps *caps,
                                enum vm_interrupts who)
{
    if (who == VM_INTERRUPTS_GUEST &&
        !(vmx_caps_allowed(caps, VMX_WORD_PIN).may_be_1 & PIN_ACTIVATE_PREEMPTION_TIMER))
        return "preemption_timer";
    return profile->refused;
}

static void default_policy_under_every_profile(void **state)
{
    (void)state;
    for (unsigned who = VM_INTERRUPTS_VMM; who <= VM_INTERRUPTS_GUEST; who++) {
        struct vm_policy policy = vm_policy_default((enum vm_interrupts)who);
        for (size_t i = 0; i < VMX_PROFILE_COUNT; i++) {
            const struct vmx_profile *profile = &vmx_profiles[i];
            struct vmx_fake_machine machine = { .profile = profile };
            struct vmx_caps_source source = vmx_fake_source(&machine);
            struct vmx_caps caps;
            assert_int_equal(vmx_caps_read(&caps, &source), HV_OK);
            struct vmx_controls controls;
            struct vmx_refusal why;
            enum hv_err err = vmx_policy_to_controls(&policy, &caps, &controls, &why);
            char text[256];
            vmx_refusal_text(text, sizeof(text), &why);
            const char *refused = refused_wish(profile, &caps, (enum vm_interrupts)who);
            if (refused) {
                if (err == HV_OK || strcmp(why.wish, refused))
                    fail_msg("%s: %s", profile->name, text);
                assert_int_equal(controls.cpu, 0);
                continue;
            }
            if (err != HV_OK)
                fail_msg("%s: %s", profile->name, text);
            check_words_are_accepted(profile->name, &controls, &caps);
            check_relations(profile->name, &controls);
            assert_true(controls.exit & EXIT_HOST_ADDRESS_SPACE_SIZE);
            assert_false(controls.entry & ENTRY_IA32E_MODE_GUEST);
            assert_false(controls.cpu & CPU_INTERRUPT_WINDOW_EXITING);
            assert_true(controls.cpu2 & CPU2_ENABLE_EPT);
        }
    }
}

static struct vmx_controls translate(const struct vm_policy *policy, const struct vmx_caps *caps)
{
    struct vmx_controls controls;
    struct vmx_refusal why;
    enum hv_err err = vmx_policy_to_controls(policy, caps, &controls, &why);
    if (err != HV_OK) {
        char text[256];
        vmx_refusal_text(text, sizeof(text), &why);
        fail_msg("refused: %s", text);
    }
    return controls;
}

static struct vmx_refusal refused(const struct vm_policy *policy, const struct vmx_caps *caps,
                                  enum hv_err expected)
{
    struct vmx_controls controls;
    struct vmx_refusal why;
    assert_int_equal(vmx_policy_to_controls(policy, caps, &controls, &why), expected);
    struct vmx_controls zero = { 0 };
    assert_memory_equal(&controls, &zero, sizeof(zero));
    return why;
}

static void default_on_skylake_has_few_exits(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Skylake-X");
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    struct vmx_controls c = translate(&policy, &caps);
    assert_int_equal(c.pin, 0x16 | PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING |
                                PIN_VIRTUAL_NMIS | PIN_ACTIVATE_PREEMPTION_TIMER);
    assert_true(c.cpu & CPU_HLT_EXITING);
    assert_true(c.cpu & CPU_USE_MSR_BITMAPS);
    assert_true(c.cpu & CPU_USE_IO_BITMAPS);
    assert_true(c.cpu & CPU_USE_TSC_OFFSETTING);
    assert_false(c.cpu & (CPU_CR3_LOAD_EXITING | CPU_CR3_STORE_EXITING | CPU_INVLPG_EXITING |
                          CPU_RDTSC_EXITING | CPU_MOV_DR_EXITING | CPU_PAUSE_EXITING |
                          CPU_UNCONDITIONAL_IO_EXITING));
    uint32_t wanted = CPU2_ENABLE_EPT | CPU2_ENABLE_VPID | CPU2_UNRESTRICTED_GUEST |
                      CPU2_ENABLE_RDTSCP | CPU2_ENABLE_INVPCID | CPU2_ENABLE_XSAVES_XRSTORS |
                      CPU2_WBINVD_EXITING;
    assert_int_equal(c.cpu2 & wanted, wanted);
    assert_false(c.cpu2 & (CPU2_ENABLE_PML | CPU2_PAUSE_LOOP_EXITING |
                           CPU2_VIRTUAL_INTERRUPT_DELIVERY));
    assert_true(c.exit & EXIT_ACKNOWLEDGE_INTERRUPT);
    assert_int_equal(c.exit & (EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER),
                     EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER);
    assert_int_equal(c.ept & (VMX_EPT_CAP_2M | VMX_EPT_CAP_1G), VMX_EPT_CAP_2M | VMX_EPT_CAP_1G);
    assert_false(c.ept & VMX_EPT_CAP_ACCESSED_DIRTY);
    assert_true(c.exception_bitmap & 1u << X86_EXC_MC);
}

static void control_registers(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Skylake-X");
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    struct vmx_controls c = translate(&policy, &caps);
    /* Unrestricted: PE and PG are the guest's; NE is fixed; CD and NW never are. */
    assert_int_equal(c.cr0_must_be_1, CR0_NE);
    assert_int_equal(c.cr0_mask & (CR0_NE | CR0_CD | CR0_NW), CR0_NE | CR0_CD | CR0_NW);
    assert_false(c.cr0_mask & (CR0_PE | CR0_PG | CR0_TS | CR0_WP | CR0_MP | CR0_EM | CR0_AM));
    assert_int_equal(vmx_controls_cr0(&c, CR0_ET), CR0_ET | CR0_NE);
    assert_int_equal(c.cr4_must_be_1, CR4_VMXE | CR4_MCE);
    assert_true(c.cr4_mask & CR4_VMXE);
    assert_true(c.cr4_mask & CR4_MCE);
    assert_true(c.cr4_mask & CR4_SMXE);
    assert_false(c.cr4_mask & (CR4_PAE | CR4_PGE | CR4_OSXSAVE | CR4_SMEP | CR4_TSD));
    assert_int_equal(vmx_controls_cr4(&c, CR4_PAE | CR4_FRED), CR4_PAE | CR4_VMXE | CR4_MCE);

    policy.unrestricted_guest = VM_AVOID;
    c = translate(&policy, &caps);
    assert_int_equal(c.cr0_must_be_1, CR0_NE | CR0_PE | CR0_PG);
    assert_true(c.cr0_mask & CR0_PG);

    /* Where exits do not keep "IA-32e mode guest" in step, PG has to exit. */
    policy.unrestricted_guest = VM_REQUIRE;
    caps.misc &= ~VMX_MISC_SAVE_EFER_LMA;
    c = translate(&policy, &caps);
    assert_true(c.cr0_mask & CR0_PG);
    assert_false(c.cr0_must_be_1 & CR0_PG);
}

static void guest_interrupts_leave_the_core_to_the_guest(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Skylake-X");
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_GUEST);
    struct vmx_controls c = translate(&policy, &caps);
    assert_false(c.pin & PIN_EXTERNAL_INTERRUPT_EXITING);
    assert_true(c.pin & PIN_NMI_EXITING);
    assert_true(c.pin & PIN_ACTIVATE_PREEMPTION_TIMER);
    assert_false(c.cpu & (CPU_HLT_EXITING | CPU_USE_TSC_OFFSETTING | CPU_CR8_LOAD_EXITING));
    assert_false(c.cpu2 & CPU2_USE_TSC_SCALING);
}

/* Whatever a processor can leave to the guest, it leaves to it. */
static void thin_leaves_everything_to_the_guest(void **state)
{
    (void)state;
    const char *const names[] = { "Skylake-X", "Haswell" };
    for (unsigned i = 0; i < 2; i++) {
        struct vmx_caps caps = vmx_profile_caps(names[i]);
        struct vm_policy policy = vm_policy_thin();
        struct vmx_controls c = translate(&policy, &caps);
        assert_false(c.pin & (PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS |
                              PIN_ACTIVATE_PREEMPTION_TIMER));
        assert_false(c.cpu & (CPU_HLT_EXITING | CPU_MWAIT_EXITING | CPU_MONITOR_EXITING |
                              CPU_RDPMC_EXITING | CPU_RDTSC_EXITING | CPU_CR3_LOAD_EXITING |
                              CPU_CR8_LOAD_EXITING | CPU_MOV_DR_EXITING | CPU_USE_IO_BITMAPS |
                              CPU_UNCONDITIONAL_IO_EXITING | CPU_USE_TSC_OFFSETTING));
        assert_true(c.cpu & CPU_USE_MSR_BITMAPS);
        assert_false(c.cpu2 & (CPU2_WBINVD_EXITING | CPU2_DESCRIPTOR_TABLE_EXITING |
                               CPU2_ENABLE_ENCLS_EXITING));
        assert_true(c.cpu2 & CPU2_UNRESTRICTED_GUEST);
        assert_int_equal(c.exception_bitmap, 0);
        assert_true(c.cr4_mask & CR4_VMXE);
        assert_true(c.cr4_mask & CR4_SMXE);
        assert_false(c.cr4_mask & (CR4_MCE | CR4_PAE | CR4_OSXSAVE | CR4_PGE | CR4_SMEP));
        assert_false(c.cr0_mask & (CR0_PG | CR0_PE | CR0_WP | CR0_TS));
    }
}

static void requirement_names_what_is_missing(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Haswell");
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    policy.ept_accessed_dirty = VM_REQUIRE;
    policy.pml = VM_REQUIRE;
    struct vmx_refusal why = refused(&policy, &caps, HV_ERR_UNSUPPORTED);
    assert_int_equal(why.kind, VMX_REFUSED_CANNOT_SET);
    assert_string_equal(why.wish, "pml");
    assert_string_equal(why.control, "enable PML");
    assert_string_equal(why.msr, "IA32_VMX_PROCBASED_CTLS2");
    assert_int_equal(why.msr_value, 0x00007cff00000000);
    char text[200];
    int length = vmx_refusal_text(text, sizeof(text), &why);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "pml requires \"enable PML\", which this processor does not have "
                              "(IA32_VMX_PROCBASED_CTLS2 = 0x7cff00000000)");
    char small[20];
    assert_int_equal(vmx_refusal_text(small, sizeof(small), &why), length);
    assert_int_equal(strlen(small), sizeof(small) - 1);
    assert_int_equal(vmx_refusal_text(small, 0, &why), length);
}

static void a_wish_of_several_controls_is_granted_whole_or_not(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Haswell");
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    caps.true_entry &= ~((uint64_t)ENTRY_LOAD_PAT << 32);
    struct vmx_refusal why = refused(&policy, &caps, HV_ERR_UNSUPPORTED);
    assert_string_equal(why.wish, "pat");
    assert_string_equal(why.control, "load IA32_PAT");
    assert_string_equal(why.msr, "IA32_VMX_TRUE_ENTRY_CTLS");
    policy.pat = VM_PREFER;
    struct vmx_controls c = translate(&policy, &caps);
    assert_false(c.exit & (EXIT_SAVE_PAT | EXIT_LOAD_PAT));
}

static void forbidding_what_the_processor_insists_on(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("no VPID");
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    struct vmx_controls c = translate(&policy, &caps);
    assert_true(c.cpu & CPU_CR3_LOAD_EXITING); /* avoided, but there is no choice */
    policy.cr3_load_exiting = VM_FORBID;
    struct vmx_refusal why = refused(&policy, &caps, HV_ERR_UNSUPPORTED);
    assert_int_equal(why.kind, VMX_REFUSED_CANNOT_CLEAR);
    assert_string_equal(why.control, "CR3-load exiting");
    assert_string_equal(why.msr, "IA32_VMX_PROCBASED_CTLS");
    caps = vmx_profile_caps("Haswell");
    c = translate(&policy, &caps);
    assert_false(c.cpu & CPU_CR3_LOAD_EXITING);
}

static struct vmx_caps caps_of_everything(void)
{
    struct vmx_caps caps;

    memset(&caps, 0xff, sizeof(caps));
    caps.basic = VMX_BASIC_TRUE_CONTROLS | 6ull << VMX_BASIC_MEMORY_TYPE_SHIFT;
    caps.true_pinbased = caps.true_procbased = caps.true_exit = caps.true_entry =
        caps.procbased2 = 0xffffffff00000000ull;
    caps.cr0_fixed0 = caps.cr4_fixed0 = 0;
    return caps;
}

/* What a control switches on for the guest is on, as on the machine; what takes an exit is off; and so
 * are the features that the guest is not shown (PCONFIG, lists of MSRs). A control that gets a name
 * later has to be judged here. */
static void thin_on_a_processor_that_has_everything(void **state)
{
    (void)state;
    struct vmx_caps caps = caps_of_everything();
    struct vm_policy policy = vm_policy_thin();
    struct vmx_controls c = translate(&policy, &caps);
    assert_int_equal(c.pin, 0);
    assert_int_equal(c.cpu, CPU_USE_MSR_BITMAPS | CPU_ACTIVATE_SECONDARY_CONTROLS);
    assert_int_equal(c.cpu2, CPU2_ENABLE_EPT | CPU2_ENABLE_RDTSCP | CPU2_ENABLE_VPID |
                                 CPU2_UNRESTRICTED_GUEST | CPU2_ENABLE_INVPCID |
                                 CPU2_ENABLE_XSAVES_XRSTORS | CPU2_ENABLE_USER_WAIT_AND_PAUSE |
                                 CPU2_CONCEAL_VMX_FROM_PT);
    assert_int_equal(c.cpu3, 0);
    assert_int_equal(c.exit, EXIT_SAVE_DEBUG_CONTROLS | EXIT_HOST_ADDRESS_SPACE_SIZE |
                                 EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER |
                                 EXIT_CONCEAL_VMX_FROM_PT);
    assert_int_equal(c.exit2, 0);
    assert_int_equal(c.entry, ENTRY_LOAD_DEBUG_CONTROLS | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER |
                                  ENTRY_CONCEAL_VMX_FROM_PT);
}

struct relation {
    size_t needing, needed;
    bool unsupported;
};

#define F(field) offsetof(struct vm_policy, field)
#define WISH(policy, offset) (((uint8_t *)(policy))[offset])

/* Each dependency: required without what it needs is refused and names both; preferred, it is
 * given up. On a processor that has everything. */
static void dependencies_are_enforced(void **state)
{
    (void)state;
    static const struct relation relations[] = {
        { F(virtual_nmis), F(nmi_exiting), false },
        { F(x2apic_mode), F(tpr_shadow), false },
        { F(apic_register_virtualization), F(tpr_shadow), false },
        { F(virtual_interrupt_delivery), F(external_interrupt_exiting), false },
        { F(ipi_virtualization), F(tpr_shadow), false },
        { F(posted_interrupts), F(virtual_interrupt_delivery), false },
        { F(posted_interrupts), F(acknowledge_interrupt), false },
        { F(unrestricted_guest), F(ept), false },
        { F(pml), F(ept), false },
        { F(pml), F(ept_accessed_dirty), false },
        { F(mode_based_execute), F(ept), false },
        { F(sub_page_write), F(ept), false },
        { F(ept_violation_ve), F(ept), false },
        { F(pt_guest_physical), F(rtit_ctl), false },
        { F(hlat), F(ept), false },
        { F(save_preemption_timer), F(preemption_timer), false },
        { F(tsc_scaling), F(tsc_offsetting), false },
    };
    struct vmx_caps caps = caps_of_everything();
    for (size_t i = 0; i < HV_ARRAY_COUNT(relations); i++) {
        struct vm_policy all = { 0 };
        for (size_t w = 0; w < vm_policy_wish_count(); w++)
            *vm_policy_wish(&all, vm_policy_wish_name(w)) = VM_PREFER;
        all.apic_accesses = VM_AVOID;
        struct vmx_controls with = translate(&all, &caps);

        struct vm_policy policy = all;
        WISH(&policy, relations[i].needing) = VM_REQUIRE;
        struct vmx_controls same = translate(&policy, &caps);
        assert_memory_equal(&same, &with, sizeof(with));
        WISH(&policy, relations[i].needed) = VM_FORBID;
        struct vmx_refusal why = refused(&policy, &caps, HV_ERR_INVALID);
        assert_int_equal(why.kind, VMX_REFUSED_NEEDS);
        uint8_t *named = vm_policy_wish(&policy, why.wish);
        assert_non_null(named);
        assert_non_null(why.other);
        char text[200];
        assert_in_range(vmx_refusal_text(text, sizeof(text), &why), 20, 199);
        assert_non_null(strstr(text, "needs"));

        WISH(&policy, relations[i].needing) = VM_PREFER;
        struct vmx_controls without = translate(&policy, &caps);
        assert_memory_not_equal(&without, &with, sizeof(with));
        check_relations("everything", &without);
    }
}

static void exclusions(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Skylake-X");
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    policy.tpr_shadow = VM_REQUIRE;
    policy.x2apic_mode = VM_REQUIRE;
    policy.apic_accesses = VM_REQUIRE;
    struct vmx_refusal why = refused(&policy, &caps, HV_ERR_INVALID);
    assert_int_equal(why.kind, VMX_REFUSED_EXCLUDES);
    char text[200];
    vmx_refusal_text(text, sizeof(text), &why);
    assert_non_null(strstr(text, "exclude"));
    policy.apic_accesses = VM_PREFER;
    assert_false(translate(&policy, &caps).cpu2 & CPU2_VIRTUALIZE_APIC_ACCESSES);
    policy.apic_accesses = VM_REQUIRE;
    policy.x2apic_mode = VM_PREFER;
    assert_false(translate(&policy, &caps).cpu2 & CPU2_VIRTUALIZE_X2APIC_MODE);
}

static void missing_ept_parts_and_flush_types(void **state)
{
    (void)state;
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    static const uint64_t needed[] = { VMX_EPT_CAP_WALK_4, VMX_EPT_CAP_WB, VMX_EPT_CAP_INVEPT };
    for (size_t i = 0; i < HV_ARRAY_COUNT(needed); i++) {
        struct vmx_caps caps = vmx_profile_caps("Haswell");
        caps.ept_vpid_cap &= ~needed[i];
        struct vmx_refusal why = refused(&policy, &caps, HV_ERR_UNSUPPORTED);
        assert_string_equal(why.wish, "ept");
        assert_string_equal(why.msr, "IA32_VMX_EPT_VPID_CAP");
    }
    struct vmx_caps caps = vmx_profile_caps("Haswell");
    caps.ept_vpid_cap &= ~(VMX_EPT_CAP_INVEPT_SINGLE | VMX_EPT_CAP_INVEPT_ALL);
    assert_string_equal(refused(&policy, &caps, HV_ERR_UNSUPPORTED).other, "INVEPT");
    /* VPID is only preferred: without a flush it is not used. */
    caps = vmx_profile_caps("Haswell");
    caps.ept_vpid_cap &= ~(VMX_EPT_CAP_INVVPID_SINGLE | VMX_EPT_CAP_INVVPID_ALL);
    assert_false(translate(&policy, &caps).cpu2 & CPU2_ENABLE_VPID);
    policy.vpid = VM_REQUIRE;
    assert_string_equal(refused(&policy, &caps, HV_ERR_UNSUPPORTED).other, "INVVPID");
    /* Page sizes: preferred, so that their lack is no refusal. */
    caps = vmx_profile_caps("Westmere");
    policy.vpid = VM_PREFER;
    assert_int_equal(translate(&policy, &caps).ept & (VMX_EPT_CAP_2M | VMX_EPT_CAP_1G),
                     VMX_EPT_CAP_2M);
    policy.ept_1g = VM_REQUIRE;
    struct vmx_refusal why = refused(&policy, &caps, HV_ERR_UNSUPPORTED);
    assert_string_equal(why.control, "1-GByte EPT pages");
    assert_string_equal(why.msr, "IA32_VMX_EPT_VPID_CAP");
}

static void machines_that_no_vm_can_use(void **state)
{
    (void)state;
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    struct vmx_caps good = vmx_profile_caps("Haswell"), caps = good;
    caps.true_exit &= ~((uint64_t)EXIT_HOST_ADDRESS_SPACE_SIZE << 32);
    assert_string_equal(refused(&policy, &caps, HV_ERR_UNSUPPORTED).control,
                        "host address-space size");
    caps = good;
    caps.basic |= VMX_BASIC_32BIT_ADDRESSES;
    struct vmx_refusal why = refused(&policy, &caps, HV_ERR_UNSUPPORTED);
    assert_int_equal(why.kind, VMX_REFUSED_BASIC);
    char text[200];
    vmx_refusal_text(text, sizeof(text), &why);
    assert_non_null(strstr(text, "every VM needs VMX structures above 4 GBytes (IA32_VMX_BASIC"));
    caps = good;
    caps.true_procbased &= ~((uint64_t)CPU_INTERRUPT_WINDOW_EXITING << 32);
    assert_string_equal(refused(&policy, &caps, HV_ERR_UNSUPPORTED).control,
                        "interrupt-window exiting");
    caps = good;
    caps.true_procbased |= CPU_INTERRUPT_WINDOW_EXITING;
    assert_int_equal(refused(&policy, &caps, HV_ERR_UNSUPPORTED).kind, VMX_REFUSED_CANNOT_CLEAR);
    caps = good;
    caps.true_procbased &= ~((uint64_t)CPU_NMI_WINDOW_EXITING << 32);
    assert_string_equal(refused(&policy, &caps, HV_ERR_UNSUPPORTED).control,
                        "NMI-window exiting");
    policy.virtual_nmis = VM_AVOID;
    (void)translate(&policy, &caps);
    caps = good;
    caps.true_entry &= ~((uint64_t)ENTRY_IA32E_MODE_GUEST << 32);
    assert_string_equal(refused(&policy, &caps, HV_ERR_UNSUPPORTED).control, "IA-32e mode guest");
}

/* A processor that insists on a control whose companion it lacks leaves no way out. */
static void insisted_control_without_companion(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Haswell");
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    policy.preemption_timer = VM_AVOID;
    policy.save_preemption_timer = VM_PREFER;
    caps.true_exit |= EXIT_SAVE_PREEMPTION_TIMER;
    struct vmx_refusal why = refused(&policy, &caps, HV_ERR_INVALID);
    assert_string_equal(why.wish, "save_preemption_timer");
    caps.true_pinbased &= ~((uint64_t)PIN_ACTIVATE_PREEMPTION_TIMER << 32);
    why = refused(&policy, &caps, HV_ERR_UNSUPPORTED);
    assert_string_equal(why.msr, "IA32_VMX_TRUE_PINBASED_CTLS");
}

static void numbers_are_checked(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Haswell");
    struct vm_policy good = vm_policy_default(VM_INTERRUPTS_VMM), policy = good;
    policy.cr3_target_count = 4;
    policy.page_fault_mask = 5;
    policy.page_fault_match = 4;
    policy.ple_gap = 128;
    policy.ple_window = 4096;
    struct vmx_controls c = translate(&policy, &caps);
    assert_int_equal(c.cr3_target_count, 4);
    assert_int_equal(c.page_fault_mask, 5);
    assert_int_equal(c.page_fault_match, 4);
    assert_int_equal(c.ple_gap, 128);
    assert_int_equal(c.ple_window, 4096);
    policy.cr3_target_count = 5;
    struct vmx_refusal why = refused(&policy, &caps, HV_ERR_INVALID);
    assert_int_equal(why.kind, VMX_REFUSED_VALUE);
    assert_string_equal(why.wish, "cr3_target_count");
    policy = good;
    policy.cr0_forced = 1ull << 40;
    assert_string_equal(refused(&policy, &caps, HV_ERR_INVALID).wish, "cr0_forced");
    policy = good;
    policy.cr4_forced = CR4_FRED;
    assert_string_equal(refused(&policy, &caps, HV_ERR_INVALID).wish, "cr4_forced");
    policy = good;
    policy.hlt_exiting = 17;
    why = refused(&policy, &caps, HV_ERR_INVALID);
    assert_string_equal(why.wish, "hlt_exiting");
    char text[100];
    vmx_refusal_text(text, sizeof(text), &why);
    assert_string_equal(text, "hlt_exiting is no wish");
}

static void secondary_words_are_activated_only_when_used(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Alder Lake P");
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    struct vmx_controls c = translate(&policy, &caps);
    assert_false(c.cpu & CPU_ACTIVATE_TERTIARY_CONTROLS);
    policy.loadiwkey_exiting = VM_REQUIRE;
    c = translate(&policy, &caps);
    assert_true(c.cpu & CPU_ACTIVATE_TERTIARY_CONTROLS);
    assert_int_equal(c.cpu3, CPU3_LOADIWKEY_EXITING);
    struct vm_policy none = { 0 };
    c = translate(&none, &caps);
    assert_false(c.cpu & CPU_ACTIVATE_SECONDARY_CONTROLS);
    assert_int_equal(c.cpu2, 0);
    caps.exit |= (uint64_t)EXIT_ACTIVATE_SECONDARY_CONTROLS << 32;
    caps.true_exit |= (uint64_t)EXIT_ACTIVATE_SECONDARY_CONTROLS << 32;
    caps.exit2 = EXIT2_PREMATURELY_BUSY_SHADOW_STACK;
    none.busy_shadow_stack = VM_PREFER;
    c = translate(&none, &caps);
    assert_true(c.exit & EXIT_ACTIVATE_SECONDARY_CONTROLS);
    assert_int_equal(c.exit2, EXIT2_PREMATURELY_BUSY_SHADOW_STACK);
}

/* Random policies under every profile: whatever is accepted is consistent and allowed. */
static void random_policies_stay_legal(void **state)
{
    (void)state;
    unsigned seed = 1;
    unsigned accepted = 0;
    for (size_t i = 0; i < VMX_PROFILE_COUNT; i++) {
        struct vmx_caps caps = vmx_profile_caps(vmx_profiles[i].name);
        for (unsigned round = 0; round < 300; round++) {
            struct vm_policy policy = { 0 };
            for (size_t w = 0; w < vm_policy_wish_count(); w++) {
                seed = seed * 1103515245u + 12345u;
                unsigned draw = seed >> 16 & 31;
                *vm_policy_wish(&policy, vm_policy_wish_name(w)) =
                    draw == 0 ? VM_REQUIRE : draw == 1 ? VM_FORBID : draw < 18 ? VM_PREFER :
                    VM_AVOID;
            }
            struct vmx_controls controls;
            struct vmx_refusal why;
            if (vmx_policy_to_controls(&policy, &caps, &controls, &why) != HV_OK) {
                char text[256];
                assert_true(vmx_refusal_text(text, sizeof(text), &why) > 10);
                continue;
            }
            accepted++;
            check_words_are_accepted(vmx_profiles[i].name, &controls, &caps);
            check_relations(vmx_profiles[i].name, &controls);
        }
    }
    assert_true(accepted > 50);
}

static void names(void **state)
{
    (void)state;
    struct vm_policy policy = { 0 };
    uint8_t *wish = vm_policy_wish(&policy, "hlt_exiting");
    assert_ptr_equal(wish, &policy.hlt_exiting);
    assert_null(vm_policy_wish(&policy, "no such"));
    assert_null(vm_policy_wish_name(vm_policy_wish_count()));
    for (unsigned w = VM_AVOID; w <= VM_FORBID; w++) {
        enum vm_wish parsed;
        assert_true(vm_wish_parse(vm_wish_name((enum vm_wish)w), &parsed));
        assert_int_equal(parsed, w);
    }
    enum vm_wish parsed;
    assert_false(vm_wish_parse("perhaps", &parsed));
    assert_string_equal(vm_wish_name((enum vm_wish)9), "?");
    assert_string_equal(vmx_control_name(VMX_WORD_CPU2, 17), "enable PML");
    assert_null(vmx_control_name(VMX_WORD_CPU2, 29));
    assert_null(vmx_control_name(VMX_WORD_CPU, 63));
    struct vmx_refusal nothing = { 0 };
    char text[64];
    vmx_refusal_text(text, sizeof(text), &nothing);
    assert_string_equal(text, "nothing was refused");
    nothing.kind = (enum vmx_refusal_kind)99;
    vmx_refusal_text(text, sizeof(text), &nothing);
    assert_string_equal(text, "unknown refusal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_policy_under_every_profile),
        cmocka_unit_test(default_on_skylake_has_few_exits),
        cmocka_unit_test(control_registers),
        cmocka_unit_test(guest_interrupts_leave_the_core_to_the_guest),
        cmocka_unit_test(thin_leaves_everything_to_the_guest),
        cmocka_unit_test(thin_on_a_processor_that_has_everything),
        cmocka_unit_test(requirement_names_what_is_missing),
        cmocka_unit_test(a_wish_of_several_controls_is_granted_whole_or_not),
        cmocka_unit_test(forbidding_what_the_processor_insists_on),
        cmocka_unit_test(dependencies_are_enforced),
        cmocka_unit_test(exclusions),
        cmocka_unit_test(missing_ept_parts_and_flush_types),
        cmocka_unit_test(machines_that_no_vm_can_use),
        cmocka_unit_test(insisted_control_without_companion),
        cmocka_unit_test(numbers_are_checked),
        cmocka_unit_test(secondary_words_are_activated_only_when_used),
        cmocka_unit_test(random_policies_stay_legal),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
