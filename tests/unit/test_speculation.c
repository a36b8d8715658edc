// SRCS: arch/x86/vmx/speculation.c
/*
 * What each documented class of processor needs. Registers as the processors give them with and
 * without microcode; expectations from Intel's documents named in speculation.c, not from the code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "x86/cpuid.h"
#include "x86/msr.h"
#include "x86/speculation.h"

/* Microcode of 2018, of 2019; IA32_ARCH_CAPABILITIES as well. */
#define EDX_2018 (CPUID_7_EDX_IBRS_IBPB | CPUID_7_EDX_STIBP | CPUID_7_EDX_SSBD | CPUID_7_EDX_L1D_FLUSH)
#define EDX_2019 (EDX_2018 | CPUID_7_EDX_MD_CLEAR)
#define EDX_CAPS (EDX_2019 | CPUID_7_EDX_ARCH_CAP)
#define EDX_2_ALL                                                                                  \
    (CPUID_7_2_EDX_PSFD | CPUID_7_2_EDX_IPRED_CTRL | CPUID_7_2_EDX_RRSBA_CTRL |                    \
     CPUID_7_2_EDX_DDPD_U | CPUID_7_2_EDX_BHI_CTRL | CPUID_7_2_EDX_MCDT_NO)

#define LEGACY (SPEC_EXIT_SPEC_CTRL | SPEC_EXIT_RSB_FILL | SPEC_SWITCH_IBPB)
#define NO_STALE (ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO)
#define ICE_CAPS                                                                                   \
    (ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_SKIP_L1DFL_VMENTRY | ARCH_CAP_MDS_NO |        \
     ARCH_CAP_IF_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO | ARCH_CAP_FB_CLEAR | ARCH_CAP_GDS_CTRL)
#define GOLDEN_COVE_CAPS                                                                           \
    (ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_SKIP_L1DFL_VMENTRY | ARCH_CAP_MDS_NO |        \
     ARCH_CAP_IF_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO | NO_STALE | ARCH_CAP_PBRSB_NO |                 \
     ARCH_CAP_GDS_NO | ARCH_CAP_RRSBA)

struct class {
    const char *name, *line;
    struct spec_facts facts;
    uint32_t actions;
    uint64_t host_spec_ctrl;
    enum spec_guest_control control;
    uint32_t vulnerable; /* issues, a bit each */
};

#define V(name) (1u << SPEC_ISSUE_##name)

static const struct class classes[] = {
    { "Westmere without microcode", "Westmere",
      { .signature = 0x206c2, .ept = true },
      0, 0, SPEC_GUEST_NONE,
      V(BRANCH_TARGETS) | V(RETURNS) | V(L1TF) | V(MDS) | V(ITLB) },
    { "Nehalem with microcode of 2018", "Nehalem",
      { .signature = 0x106a5, .leaf7_edx = EDX_2018, .ept = true },
      LEGACY | SPEC_ENTRY_L1D, SPEC_CTRL_IBRS, SPEC_GUEST_PASSES, V(MDS) | V(ITLB) },
    { "Haswell client", "Haswell",
      { .signature = 0x306c3, .leaf7_edx = EDX_2019 | CPUID_7_EDX_SRBDS_CTRL, .ept = true,
        .rtm = true },
      LEGACY | SPEC_ENTRY_L1D | SPEC_ENTRY_VERW, SPEC_CTRL_IBRS, SPEC_GUEST_PASSES, V(ITLB) },
    { "Broadwell client without SRBDS_CTRL", "Broadwell",
      { .signature = 0x306d4, .leaf7_edx = EDX_2019, .ept = true },
      LEGACY | SPEC_ENTRY_L1D | SPEC_ENTRY_VERW, SPEC_CTRL_IBRS, SPEC_GUEST_PASSES,
      V(ITLB) | V(SRBDS) },
    { "Broadwell server, two threads a core", "Broadwell server",
      { .signature = 0x406f1, .leaf7_edx = EDX_2019, .ept = true, .rtm = true, .smt = true },
      LEGACY | SPEC_ENTRY_L1D | SPEC_ENTRY_VERW, SPEC_CTRL_IBRS, SPEC_GUEST_PASSES,
      V(ITLB) | V(L1TF) | V(MDS) | V(TAA) },
    { "Skylake client", "Skylake",
      { .signature = 0x506e3, .leaf7_edx = EDX_CAPS | CPUID_7_EDX_SRBDS_CTRL,
        .arch_capabilities = ARCH_CAP_RSBA | ARCH_CAP_GDS_CTRL, .ept = true },
      LEGACY | SPEC_ENTRY_L1D | SPEC_ENTRY_VERW, SPEC_CTRL_IBRS, SPEC_GUEST_PASSES, V(ITLB) },
    { "Skylake server before gather data sampling was known", "Skylake server",
      { .signature = 0x50654, .leaf7_edx = EDX_2019, .ept = true, .rtm = true },
      LEGACY | SPEC_ENTRY_L1D | SPEC_ENTRY_VERW, SPEC_CTRL_IBRS, SPEC_GUEST_PASSES,
      V(ITLB) | V(GDS) },
    { "Cascade Lake, stepping 5: not affected by ITS", "Cascade Lake",
      { .signature = 0x50655, .leaf7_edx = EDX_CAPS, .ept = true, .rtm = true,
        .arch_capabilities = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_SKIP_L1DFL_VMENTRY |
                             ARCH_CAP_MDS_NO | ARCH_CAP_TSX_CTRL | ARCH_CAP_GDS_CTRL },
      SPEC_SWITCH_IBPB | SPEC_EXIT_RSB_ONE | SPEC_EXIT_HISTORY | SPEC_START_TSX_OFF,
      SPEC_CTRL_IBRS, SPEC_GUEST_EXITS, V(ITLB) },
    { "Cascade Lake, stepping 7", "Cascade Lake",
      { .signature = 0x50657, .leaf7_edx = EDX_CAPS, .ept = true, .rtm = true,
        .arch_capabilities = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_SKIP_L1DFL_VMENTRY |
                             ARCH_CAP_MDS_NO | ARCH_CAP_GDS_CTRL },
      SPEC_SWITCH_IBPB | SPEC_EXIT_RSB_ONE | SPEC_EXIT_HISTORY | SPEC_EXIT_IBPB, SPEC_CTRL_IBRS,
      SPEC_GUEST_EXITS, V(ITLB) | V(TAA) },
    { "Comet Lake", "Comet Lake",
      { .signature = 0xa0652, .leaf7_edx = EDX_CAPS, .ept = true,
        .arch_capabilities = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_SKIP_L1DFL_VMENTRY |
                             ARCH_CAP_MDS_NO | ARCH_CAP_IF_PSCHANGE_MC_NO | ARCH_CAP_GDS_CTRL },
      SPEC_SWITCH_IBPB | SPEC_EXIT_RSB_ONE | SPEC_EXIT_HISTORY | SPEC_EXIT_IBPB, SPEC_CTRL_IBRS,
      SPEC_GUEST_EXITS, 0 },
    { "Ice Lake client", "Ice Lake",
      { .signature = 0x706e5, .leaf7_edx = EDX_CAPS, .arch_capabilities = ICE_CAPS, .ept = true },
      SPEC_SWITCH_IBPB | SPEC_EXIT_RSB_ONE | SPEC_EXIT_HISTORY, SPEC_CTRL_IBRS, SPEC_GUEST_EXITS,
      0 },
    { "Ice Lake server whose guest has device memory", "Ice Lake server",
      { .signature = 0x606a6, .leaf7_edx = EDX_CAPS, .arch_capabilities = ICE_CAPS, .ept = true,
        .device_memory = true },
      SPEC_SWITCH_IBPB | SPEC_EXIT_RSB_ONE | SPEC_EXIT_HISTORY | SPEC_ENTRY_VERW, SPEC_CTRL_IBRS,
      SPEC_GUEST_EXITS, 0 },
    { "Tiger Lake", "Tiger Lake",
      { .signature = 0x806c1, .leaf7_edx = EDX_CAPS, .arch_capabilities = ICE_CAPS, .ept = true,
        .device_memory = true },
      SPEC_SWITCH_IBPB | SPEC_EXIT_RSB_ONE | SPEC_EXIT_HISTORY, SPEC_CTRL_IBRS, SPEC_GUEST_EXITS,
      0 },
    { "Alder Lake, performance core", "Alder Lake",
      { .signature = 0x90672, .leaf7_edx = EDX_CAPS | CPUID_7_EDX_HYBRID, .leaf7_2_edx = EDX_2_ALL,
        .arch_capabilities = GOLDEN_COVE_CAPS | ARCH_CAP_RFDS_CLEAR, .ept = true },
      SPEC_SWITCH_IBPB, SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S, SPEC_GUEST_EXITS, 0 },
    { "Alder Lake, efficient core", "Alder Lake",
      { .signature = 0x90672, .leaf7_edx = EDX_CAPS | CPUID_7_EDX_HYBRID, .leaf7_2_edx = EDX_2_ALL,
        .arch_capabilities = GOLDEN_COVE_CAPS | ARCH_CAP_RFDS_CLEAR, .ept = true,
        .efficient = true },
      SPEC_SWITCH_IBPB | SPEC_ENTRY_VERW, SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S, SPEC_GUEST_EXITS,
      0 },
    { "Raptor Lake, efficient core, old microcode", "Raptor Lake",
      { .signature = 0xb0671, .leaf7_edx = EDX_CAPS | CPUID_7_EDX_HYBRID, .leaf7_2_edx = EDX_2_ALL,
        .arch_capabilities = GOLDEN_COVE_CAPS, .ept = true, .efficient = true },
      SPEC_SWITCH_IBPB, SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S, SPEC_GUEST_EXITS, V(RFDS) },
    { "Gracemont", "Gracemont",
      { .signature = 0xb06e0, .leaf7_edx = EDX_CAPS, .leaf7_2_edx = EDX_2_ALL,
        .arch_capabilities = GOLDEN_COVE_CAPS | ARCH_CAP_RFDS_CLEAR, .ept = true },
      SPEC_SWITCH_IBPB | SPEC_ENTRY_VERW, SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S, SPEC_GUEST_EXITS,
      0 },
    { "Sapphire Rapids", "Sapphire Rapids",
      { .signature = 0x806f8, .leaf7_edx = EDX_CAPS, .leaf7_2_edx = EDX_2_ALL,
        .arch_capabilities = GOLDEN_COVE_CAPS | ARCH_CAP_RFDS_NO, .ept = true, .rtm = true,
        .smt = true },
      SPEC_SWITCH_IBPB, SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S, SPEC_GUEST_EXITS, 0 },
    { "Silvermont", "Silvermont",
      { .signature = 0x406d8, .leaf7_edx = EDX_2019, .ept = true },
      LEGACY | SPEC_ENTRY_VERW, SPEC_CTRL_IBRS, SPEC_GUEST_PASSES, 0 },
    { "Goldmont without microcode against RFDS", "Goldmont",
      { .signature = 0x506c9, .leaf7_edx = EDX_CAPS, .arch_capabilities = ARCH_CAP_RDCL_NO,
        .ept = true },
      LEGACY, SPEC_CTRL_IBRS, SPEC_GUEST_PASSES, V(RFDS) },
    { "Goldmont Plus", "Goldmont Plus",
      { .signature = 0x706a8, .leaf7_edx = EDX_CAPS, .ept = true,
        .arch_capabilities = ARCH_CAP_RDCL_NO | ARCH_CAP_RFDS_CLEAR },
      LEGACY | SPEC_ENTRY_VERW, SPEC_CTRL_IBRS, SPEC_GUEST_PASSES, 0 },
    { "Tremont", "Tremont",
      { .signature = 0x90661, .leaf7_edx = EDX_CAPS, .ept = true,
        .arch_capabilities = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_MDS_NO |
                             ARCH_CAP_SKIP_L1DFL_VMENTRY | ARCH_CAP_RFDS_CLEAR },
      SPEC_SWITCH_IBPB | SPEC_EXIT_HISTORY | SPEC_ENTRY_VERW, SPEC_CTRL_IBRS, SPEC_GUEST_EXITS,
      0 },
    { "a processor of the future that is immune to all", "unknown",
      { .signature = 0xd0650, .leaf7_edx = EDX_CAPS, .leaf7_2_edx = EDX_2_ALL, .ept = true,
        .arch_capabilities = GOLDEN_COVE_CAPS | ARCH_CAP_BHI_NO | ARCH_CAP_SSB_NO |
                             ARCH_CAP_RFDS_NO },
      SPEC_SWITCH_IBPB, SPEC_CTRL_IBRS, SPEC_GUEST_EXITS, 0 },
    { "a processor of another family that says nothing", "unknown",
      { .signature = 0x00f41, .leaf7_edx = 0, .ept = true, .rtm = true, .device_memory = true },
      0, 0, SPEC_GUEST_NONE,
      V(BRANCH_TARGETS) | V(RETURNS) | V(L1TF) | V(MDS) | V(TAA) | V(MMIO) | V(ITLB) },
};

static struct spec_plan plan_of(const struct spec_facts *facts, enum spec_mode mode)
{
    struct spec_plan plan;

    memset(&plan, 0xa5, sizeof(plan));
    spec_plan_make(facts, mode, &plan);
    return plan;
}

static uint32_t vulnerable(const struct spec_plan *plan)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < SPEC_ISSUE_COUNT; i++) {
        assert_non_null(plan->issues[i].why);
        assert_in_range(strlen(plan->issues[i].why), 4, 80);
        if (plan->issues[i].status == SPEC_VULNERABLE)
            bits |= 1u << i;
    }
    return bits;
}

static void each_class_has_its_plan(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(classes); i++) {
        const struct class *c = &classes[i];
        struct spec_plan plan = plan_of(&c->facts, SPEC_AUTO);

        if (strcmp(spec_processor_name(&c->facts), c->line) || plan.actions != c->actions ||
            plan.host_spec_ctrl != c->host_spec_ctrl || plan.guest_control != c->control ||
            vulnerable(&plan) != c->vulnerable)
            fail_msg("%s: actions 0x%x (not 0x%x), SPEC_CTRL 0x%llx, control %u, vulnerable 0x%x "
                     "(not 0x%x)",
                     c->name, plan.actions, c->actions, (unsigned long long)plan.host_spec_ctrl,
                     plan.guest_control, vulnerable(&plan), c->vulnerable);
    }
}

static void off_does_nothing_and_says_so(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(classes); i++) {
        struct spec_plan on = plan_of(&classes[i].facts, SPEC_AUTO);
        struct spec_plan off = plan_of(&classes[i].facts, SPEC_OFF);

        assert_int_equal(off.actions, 0);
        assert_int_equal(off.host_spec_ctrl, 0);
        assert_int_not_equal(off.guest_control, SPEC_GUEST_EXITS);
        assert_int_equal(off.guest_control == SPEC_GUEST_NONE, on.guest_control == SPEC_GUEST_NONE);
        for (unsigned n = 0; n < SPEC_ISSUE_COUNT; n++) {
            if (off.issues[n].status == SPEC_MITIGATED)
                assert_true(strstr(off.issues[n].why, "by ") == off.issues[n].why);
            if (on.issues[n].status != SPEC_MITIGATED && on.issues[n].status != SPEC_VULNERABLE)
                assert_int_equal(off.issues[n].status, on.issues[n].status);
        }
        /* A guest protects itself all the same. */
        assert_int_equal(off.guest_leaf7_edx, on.guest_leaf7_edx);
        assert_int_equal(off.guest_arch_capabilities, on.guest_arch_capabilities);
    }
}

static void full_does_all_that_there_is_the_means_for(void **state)
{
    const struct spec_facts spr = {
        .signature = 0x806f8, .leaf7_edx = EDX_CAPS, .arch_capabilities = GOLDEN_COVE_CAPS,
    };
    const struct spec_facts old = { .signature = 0x206c2 };
    struct spec_plan plan = plan_of(&spr, SPEC_FULL);

    (void)state;
    assert_int_equal(plan.actions, SPEC_EXIT_SPEC_CTRL | SPEC_EXIT_RSB_FILL | SPEC_EXIT_HISTORY |
                                       SPEC_EXIT_IBPB | SPEC_ENTRY_VERW | SPEC_ENTRY_L1D |
                                       SPEC_SWITCH_IBPB);
    assert_int_equal(plan.guest_control, SPEC_GUEST_PASSES);
    plan = plan_of(&old, SPEC_FULL);
    assert_int_equal(plan.actions, SPEC_EXIT_RSB_FILL | SPEC_EXIT_HISTORY | SPEC_ENTRY_VERW);
    assert_int_equal(plan.host_spec_ctrl, 0);
}

/* No class may get an action whose register or bit it does not have: that would be #GP at an exit. */
static void no_register_is_written_that_is_not_there(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 1u << 8; bits++) {
        struct spec_facts f = {
            .signature = bits & 64 ? 0x50657 : 0x506e3,
            .leaf7_edx = (bits & 1 ? CPUID_7_EDX_IBRS_IBPB : 0) |
                         (bits & 2 ? CPUID_7_EDX_L1D_FLUSH : 0) |
                         (bits & 4 ? CPUID_7_EDX_ARCH_CAP : 0),
            .leaf7_2_edx = bits & 8 ? EDX_2_ALL : 0,
            .arch_capabilities = bits & 4 ? (bits & 16 ? ARCH_CAP_IBRS_ALL : 0) |
                                                (bits & 32 ? ARCH_CAP_TSX_CTRL : 0)
                                          : 0,
            .rtm = true, .ept = !(bits & 128),
        };
        for (enum spec_mode mode = SPEC_AUTO; mode <= SPEC_FULL; mode++) {
            struct spec_plan plan = plan_of(&f, mode);
            bool ibrs = f.leaf7_edx & CPUID_7_EDX_IBRS_IBPB;

            if (!ibrs) {
                assert_int_equal(plan.actions & (SPEC_EXIT_SPEC_CTRL | SPEC_EXIT_IBPB |
                                                 SPEC_SWITCH_IBPB), 0);
                assert_int_equal(plan.host_spec_ctrl, 0);
                assert_false(plan.guest_pred_cmd);
            }
            if (!(f.leaf7_edx & CPUID_7_EDX_L1D_FLUSH)) {
                assert_false(plan.actions & SPEC_ENTRY_L1D);
                assert_false(plan.guest_flush_cmd);
            }
            if (!(f.leaf7_2_edx & CPUID_7_2_EDX_BHI_CTRL))
                assert_false(plan.host_spec_ctrl & SPEC_CTRL_BHI_DIS_S);
            if (!(f.arch_capabilities & ARCH_CAP_TSX_CTRL))
                assert_false(plan.actions & SPEC_START_TSX_OFF);
            assert_int_equal(plan.host_spec_ctrl != 0 &&
                                 plan.guest_control == SPEC_GUEST_PASSES,
                             !!(plan.actions & SPEC_EXIT_SPEC_CTRL));
            vulnerable(&plan);
        }
    }
}

static void shadow_page_tables_are_not_called_safe(void **state)
{
    const struct spec_facts f = { .signature = 0x306c3, .leaf7_edx = EDX_2019 };
    const struct spec_facts nested = {
        .signature = 0x306c3, .leaf7_edx = EDX_CAPS, .ept = true,
        .arch_capabilities = ARCH_CAP_SKIP_L1DFL_VMENTRY,
    };
    struct spec_plan plan = plan_of(&f, SPEC_AUTO);

    (void)state;
    assert_int_equal(plan.issues[SPEC_ISSUE_L1TF].status, SPEC_VULNERABLE);
    plan = plan_of(&nested, SPEC_AUTO);
    assert_int_equal(plan.issues[SPEC_ISSUE_L1TF].status, SPEC_MITIGATED);
    assert_false(plan.actions & SPEC_ENTRY_L1D);
    /* It is not for a guest, which has no guests. */
    assert_false(plan.guest_arch_capabilities & ARCH_CAP_SKIP_L1DFL_VMENTRY);
}

static void a_guest_sees_what_it_can_use(void **state)
{
    struct spec_facts f = {
        .signature = 0x806f8, .leaf7_edx = UINT32_MAX, .leaf7_2_edx = UINT32_MAX,
        .arch_capabilities = UINT64_MAX,
    };
    struct spec_plan plan = plan_of(&f, SPEC_AUTO);

    (void)state;
    assert_int_equal(plan.guest_leaf7_edx, EDX_CAPS);
    assert_int_equal(plan.guest_leaf7_2_edx, EDX_2_ALL);
    assert_true(plan.guest_pred_cmd && plan.guest_flush_cmd && plan.guest_has_arch_capabilities);
    assert_false(plan.guest_arch_capabilities &
                 (ARCH_CAP_TSX_CTRL | ARCH_CAP_XAPIC_DISABLE_STATUS | ARCH_CAP_GDS_CTRL |
                  ARCH_CAP_SKIP_L1DFL_VMENTRY | 1ull << 63));
    assert_int_equal(plan.guest_spec_ctrl_valid, 0x5ff);
    f.leaf7_2_edx = 0;
    f.leaf7_edx = CPUID_7_EDX_IBRS_IBPB;
    plan = plan_of(&f, SPEC_AUTO);
    /* STIBP may be set, without effect, where only IBRS is there. */
    assert_int_equal(plan.guest_spec_ctrl_valid, SPEC_CTRL_IBRS | SPEC_CTRL_STIBP);
    assert_false(plan.guest_has_arch_capabilities);
    assert_int_equal(plan.guest_arch_capabilities, 0);
}

static void its_no_is_said_for_the_processor(void **state)
{
    struct spec_facts f = { .signature = 0x806f8, .leaf7_edx = EDX_CAPS };

    (void)state;
    assert_true(plan_of(&f, SPEC_AUTO).guest_arch_capabilities & ARCH_CAP_ITS_NO);
    f.signature = 0x706e5; /* Ice Lake: inside of a guest */
    assert_false(plan_of(&f, SPEC_AUTO).guest_arch_capabilities & ARCH_CAP_ITS_NO);
    f.signature = 0x50657;
    assert_false(plan_of(&f, SPEC_AUTO).guest_arch_capabilities & ARCH_CAP_ITS_NO);
    f.signature = 0xd0650; /* nobody knows */
    assert_false(plan_of(&f, SPEC_AUTO).guest_arch_capabilities & ARCH_CAP_ITS_NO);
}

static void cores_are_joined_to_what_both_can(void **state)
{
    struct spec_facts a = {
        .signature = 0x90672, .leaf7_edx = EDX_CAPS, .leaf7_2_edx = EDX_2_ALL,
        .arch_capabilities = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_RFDS_NO,
    };
    const struct spec_facts b = {
        .signature = 0x90672, .leaf7_edx = EDX_2018 | CPUID_7_EDX_ARCH_CAP, .leaf7_2_edx = 0,
        .arch_capabilities = ARCH_CAP_IBRS_ALL | ARCH_CAP_RRSBA | ARCH_CAP_RFDS_CLEAR,
        .rtm = true, .smt = true, .efficient = true, .ept = true, .device_memory = true,
    };

    (void)state;
    spec_facts_join(&a, &b);
    assert_int_equal(a.leaf7_edx, EDX_2018 | CPUID_7_EDX_ARCH_CAP);
    assert_int_equal(a.leaf7_2_edx, 0);
    assert_int_equal(a.arch_capabilities,
                     ARCH_CAP_IBRS_ALL | ARCH_CAP_RRSBA | ARCH_CAP_RFDS_CLEAR);
    assert_true(a.rtm && a.smt && a.ept && a.device_memory);
    assert_false(a.efficient);
}

/* A processor as CPUID and RDMSR show it. */
struct machine {
    uint32_t last, leaf7_max, leaf7_ebx, leaf7_edx, leaf1a_eax;
    unsigned msrs_read, beyond;
};

static uint64_t machine_rdmsr(void *context, uint32_t index)
{
    struct machine *m = context;

    assert_int_equal(index, MSR_IA32_ARCH_CAPABILITIES);
    m->msrs_read++;
    return ARCH_CAP_IBRS_ALL;
}

static void machine_cpuid(void *context, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    struct machine *m = context;

    memset(out, 0, 16);
    m->beyond += leaf > m->last || (leaf == 7 && subleaf > m->leaf7_max);
    if (leaf == 0)
        out[0] = m->last;
    else if (leaf == 1)
        out[0] = 0x90672;
    else if (leaf == 7 && subleaf == 0) {
        out[0] = m->leaf7_max;
        out[1] = m->leaf7_ebx;
        out[3] = m->leaf7_edx;
    } else if (leaf == 7)
        out[3] = EDX_2_ALL;
    else if (leaf == 0x1a)
        out[0] = m->leaf1a_eax;
}

static void facts_are_read_only_where_they_are(void **state)
{
    struct machine m = { .last = 1 };
    struct vmx_caps_source source = { machine_rdmsr, machine_cpuid, &m };
    struct spec_facts f;

    (void)state;
    spec_facts_read(&f, &source);
    assert_int_equal(f.signature, 0x90672);
    assert_int_equal(f.leaf7_edx, 0);
    m.last = 7;
    m.leaf7_ebx = CPUID_7_EBX_RTM;
    m.leaf7_edx = CPUID_7_EDX_IBRS_IBPB | CPUID_7_EDX_HYBRID;
    spec_facts_read(&f, &source);
    assert_true(f.rtm);
    assert_int_equal(f.leaf7_edx, m.leaf7_edx);
    assert_int_equal(f.leaf7_2_edx, 0);
    assert_int_equal(f.arch_capabilities, 0);
    assert_false(f.efficient);
    assert_int_equal(m.msrs_read, 0);
    m.last = 0x1f;
    m.leaf7_max = 2;
    m.leaf7_edx |= CPUID_7_EDX_ARCH_CAP;
    m.leaf1a_eax = 0x20000001;
    spec_facts_read(&f, &source);
    assert_int_equal(f.leaf7_2_edx, EDX_2_ALL);
    assert_int_equal(f.arch_capabilities, ARCH_CAP_IBRS_ALL);
    assert_true(f.efficient);
    m.leaf1a_eax = 0x40000001;
    spec_facts_read(&f, &source);
    assert_false(f.efficient);
    assert_int_equal(m.beyond, 0);
}

static void threads_of_a_core_differ_in_the_lowest_bits(void **state)
{
    (void)state;
    assert_true(spec_same_core(6, 7, 1));
    assert_false(spec_same_core(5, 6, 1));
    assert_false(spec_same_core(6, 7, 0)); /* one thread a core */
    assert_true(spec_same_core(0x104, 0x107, 2));
    assert_true(spec_same_core(5, 5, 0));
    assert_false(spec_same_core(1, 2, 32));
}

static void names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SPEC_ISSUE_COUNT; i++)
        assert_in_range(strlen(spec_issue_name(i)), 4, 40);
    assert_string_equal(spec_issue_name(SPEC_ISSUE_MDS), "microarchitectural data sampling");
    assert_string_equal(spec_status_name(SPEC_NOT_AFFECTED), "not affected");
    assert_string_equal(spec_status_name(SPEC_MITIGATED), "mitigated");
    assert_string_equal(spec_status_name(SPEC_GUESTS_OWN), "guest's own");
    assert_string_equal(spec_status_name(SPEC_VULNERABLE), "VULNERABLE");
}

/* --- the table of docs/mitigations.md --- */

static void print_actions(uint32_t actions, uint64_t host_spec_ctrl)
{
    static const struct {
        uint32_t action;
        const char *text;
    } texts[] = {
        { SPEC_EXIT_SPEC_CTRL, "IBRS" },
        { SPEC_EXIT_RSB_FILL, "RSB filled" },
        { SPEC_EXIT_RSB_ONE, "one CALL" },
        { SPEC_EXIT_HISTORY, "history" },
        { SPEC_EXIT_IBPB, "IBPB" },
        { 0, NULL },
        { SPEC_ENTRY_L1D, "L1D flush" },
        { SPEC_ENTRY_VERW, "VERW" },
        { 0, NULL },
    };
    const char *before = " ";
    bool any = false;

    for (unsigned i = 0; i < HV_ARRAY_COUNT(texts); i++) {
        if (!texts[i].text) {
            printf("%s|", any ? " " : " – ");
            before = " ";
            any = false;
        } else if (actions & texts[i].action) {
            printf("%s%s", before, texts[i].text);
            before = ", ";
            any = true;
        }
    }
    if (actions & SPEC_SWITCH_IBPB)
        printf(" IBPB at a change of vCPU;");
    if (host_spec_ctrl && !(actions & SPEC_EXIT_SPEC_CTRL))
        printf(" IBRS%s always on;", host_spec_ctrl & SPEC_CTRL_BHI_DIS_S ? ", BHI_DIS_S" : "");
    if (actions & SPEC_START_TSX_OFF)
        printf(" TSX off;");
    printf(actions || host_spec_ctrl ? " |" : " – |");
}

static void print_table(void)
{
    printf("| processor | at each exit | at an entry | else | open |\n|---|---|---|---|---|\n");
    for (unsigned i = 0; i < HV_ARRAY_COUNT(classes); i++) {
        struct spec_plan plan = plan_of(&classes[i].facts, SPEC_AUTO);
        const char *before = " ";

        printf("| %s |", classes[i].name);
        print_actions(plan.actions, plan.host_spec_ctrl);
        for (unsigned n = 0; n < SPEC_ISSUE_COUNT; n++) {
            if (plan.issues[n].status != SPEC_VULNERABLE)
                continue;
            printf("%s%s", before, spec_issue_name(n));
            before = ", ";
        }
        printf("%s|\n", vulnerable(&plan) ? " " : " – ");
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_has_its_plan),
        cmocka_unit_test(off_does_nothing_and_says_so),
        cmocka_unit_test(full_does_all_that_there_is_the_means_for),
        cmocka_unit_test(no_register_is_written_that_is_not_there),
        cmocka_unit_test(shadow_page_tables_are_not_called_safe),
        cmocka_unit_test(a_guest_sees_what_it_can_use),
        cmocka_unit_test(its_no_is_said_for_the_processor),
        cmocka_unit_test(cores_are_joined_to_what_both_can),
        cmocka_unit_test(facts_are_read_only_where_they_are),
        cmocka_unit_test(threads_of_a_core_differ_in_the_lowest_bits),
        cmocka_unit_test(names),
    };

    if (argc > 1 && strcmp(argv[1], "table") == 0) {
        print_table();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
