/*
 * Decides what a processor needs against guests that use speculation: x86/speculation.h. Each
 * function decides one issue and says why. Pure; no lock.
 *
 * What is protected: the hypervisor's and other guests' data from a guest. What happens between
 * processes of one guest is the guest's: it is shown what it needs for that.
 * Intel "Speculative Execution Side Channel Mitigations"; further documents at each function.
 */
#include "x86/speculation.h"

#include "x86/cpuid.h"
#include "x86/msr.h"

enum spec_model_flags {
    SPEC_NO_L1TF = 1u << 0,
    SPEC_NO_MDS = 1u << 1,
    SPEC_ATOM = 1u << 2,
    SPEC_HYBRID = 1u << 3,
    SPEC_RFDS = 1u << 4,
    SPEC_ITS_VMM = 1u << 5,
    SPEC_ITS_GUEST = 1u << 6,
    SPEC_GDS = 1u << 7,
    SPEC_MMIO = 1u << 8,
    SPEC_SRBDS = 1u << 9,
    SPEC_NO_PBRSB = 1u << 10,
};

struct spec_model {
    uint8_t model, from, to;
    uint16_t flags;
    const char *name;
};

static const struct spec_model models[] = {
#define SPEC_MODEL(number, first, last, text, bits)                                                \
    { .model = (number), .from = (first), .to = (last), .flags = (bits), .name = (text) },
#include "arch/x86/vmx/speculation_models.def"
};

static const struct spec_model *find_model(uint32_t signature)
{
    uint32_t family = signature >> 8 & 15, stepping = signature & 15;
    uint32_t model = (signature >> 4 & 15) | (signature >> 12 & 0xf0);

    for (unsigned i = 0; family == 6 && i < HV_ARRAY_COUNT(models); i++) {
        if (models[i].model == model && stepping >= models[i].from && stepping <= models[i].to)
            return &models[i];
    }
    return NULL;
}

const char *spec_processor_name(const struct spec_facts *facts)
{
    const struct spec_model *model = find_model(facts->signature);

    return model ? model->name : "unknown";
}

const char *spec_issue_name(enum spec_issue issue)
{
    static const char *const names[] = {
#define SPEC_ISSUE_NAME(name, text) text,
        SPEC_ISSUES(SPEC_ISSUE_NAME)
#undef SPEC_ISSUE_NAME
    };

    return names[issue];
}

const char *spec_status_name(enum spec_status status)
{
    static const char *const names[] = { "not affected", "mitigated", "guest's own", "VULNERABLE" };

    return names[status];
}

/* --- the decisions --- */

struct decision {
    const struct spec_facts *f;
    struct spec_plan *plan;
    uint64_t caps;       /* IA32_ARCH_CAPABILITIES */
    uint32_t model;      /* enum spec_model_flags */
    bool known;          /* the model is in the list */
    bool enhanced_ibrs;
    uint32_t acted;      /* issues against which the plan does something, a bit each */
};

static bool has(const struct decision *d, uint32_t leaf7_edx)
{
    return d->f->leaf7_edx & leaf7_edx;
}

static void say(struct decision *d, enum spec_issue issue, enum spec_status status, const char *why)
{
    d->plan->issues[issue].status = status;
    d->plan->issues[issue].why = why;
}

static const char *model_text(const struct decision *d)
{
    return d->known ? "not this model" : "not a listed model";
}

static void act(struct decision *d, enum spec_issue issue, enum spec_action action,
                const char *what)
{
    d->plan->actions |= action;
    d->acted |= 1u << issue;
    say(d, issue, SPEC_MITIGATED, what);
}

/* Intel "Branch Target Injection": IBRS is to be written after each transition to a more privileged
 * mode; enhanced IBRS is set once. IBPB keeps one vCPU's training from the next; between vCPUs of
 * one VM too, since a guest takes them for processors of their own. */
static void decide_branch_targets(struct decision *d)
{
    if (!has(d, CPUID_7_EDX_IBRS_IBPB)) {
        say(d, SPEC_ISSUE_BRANCH_TARGETS, SPEC_VULNERABLE, "microcode without IBRS and IBPB");
        return;
    }
    d->plan->host_spec_ctrl |= SPEC_CTRL_IBRS;
    if (d->enhanced_ibrs)
        act(d, SPEC_ISSUE_BRANCH_TARGETS, SPEC_SWITCH_IBPB,
            "enhanced IBRS always on; IBPB when a core changes the vCPU");
    else
        act(d, SPEC_ISSUE_BRANCH_TARGETS, SPEC_SWITCH_IBPB | SPEC_EXIT_SPEC_CTRL,
            "IBRS written at each exit; IBPB when a core changes the vCPU");
}

/* Intel "Post-barrier Return Stack Buffer Predictions"; "Return Stack Buffer Underflow". Enhanced
 * IBRS keeps the guest's entries from being used, once a CALL has retired. */
static void decide_returns(struct decision *d)
{
    if (!has(d, CPUID_7_EDX_IBRS_IBPB))
        say(d, SPEC_ISSUE_RETURNS, SPEC_VULNERABLE, "no use without IBRS for the other branches");
    else if (!d->enhanced_ibrs)
        act(d, SPEC_ISSUE_RETURNS, SPEC_EXIT_RSB_FILL, "32 entries filled at each exit");
    else if (!(d->caps & ARCH_CAP_PBRSB_NO) && !(d->model & SPEC_NO_PBRSB))
        act(d, SPEC_ISSUE_RETURNS, SPEC_EXIT_RSB_ONE, "a CALL retires at each exit before any RET");
    else
        say(d, SPEC_ISSUE_RETURNS, SPEC_NOT_AFFECTED, "enhanced IBRS");
}

/* Intel "Branch History Injection and Intra-mode Branch Target Injection". Concerns processors whose
 * predictor of indirect branches mixes in the history of another mode, those with enhanced IBRS. */
static void decide_history(struct decision *d)
{
    if (!d->enhanced_ibrs || (d->caps & ARCH_CAP_BHI_NO)) {
        say(d, SPEC_ISSUE_HISTORY, SPEC_NOT_AFFECTED,
            d->enhanced_ibrs ? "says the processor" : "no enhanced IBRS");
    } else if (d->f->leaf7_2_edx & CPUID_7_2_EDX_BHI_CTRL) {
        d->plan->host_spec_ctrl |= SPEC_CTRL_BHI_DIS_S;
        act(d, SPEC_ISSUE_HISTORY, 0, "BHI_DIS_S always on");
    } else {
        act(d, SPEC_ISSUE_HISTORY, SPEC_EXIT_HISTORY, "history overwritten at each exit");
    }
}

/* Intel "Indirect Target Selection". Where it breaks enhanced IBRS between guest and host, every
 * indirect branch and RET would have to end in the upper half of a cache line; an IBPB at each exit
 * needs no such code. */
static void decide_its(struct decision *d)
{
    if (d->enhanced_ibrs && (d->model & SPEC_ITS_VMM))
        act(d, SPEC_ISSUE_ITS, SPEC_EXIT_IBPB, "IBPB at each exit (whole with microcode of 2025)");
    else if (d->model & SPEC_ITS_GUEST)
        say(d, SPEC_ISSUE_ITS, SPEC_GUESTS_OWN, "not between guest and host");
    else
        say(d, SPEC_ISSUE_ITS, SPEC_NOT_AFFECTED, model_text(d));
}

/* Intel "Speculative Store Bypass". It crosses no address space: what is to be protected from is
 * code that runs in the victim's own. */
static void decide_store_bypass(struct decision *d)
{
    if (d->caps & ARCH_CAP_SSB_NO)
        say(d, SPEC_ISSUE_STORE_BYPASS, SPEC_NOT_AFFECTED, "says the processor");
    else if (has(d, CPUID_7_EDX_SSBD))
        say(d, SPEC_ISSUE_STORE_BYPASS, SPEC_GUESTS_OWN, "guests have SSBD");
    else
        say(d, SPEC_ISSUE_STORE_BYPASS, SPEC_GUESTS_OWN, "microcode without SSBD");
}

/* Intel "L1 Terminal Fault": a guest that owns its page tables reads what is in the L1 data cache, by
 * host-physical address. */
static void decide_l1tf(struct decision *d)
{
    if ((d->caps & ARCH_CAP_RDCL_NO) || (d->model & SPEC_NO_L1TF)) {
        say(d, SPEC_ISSUE_L1TF, SPEC_NOT_AFFECTED,
            d->caps & ARCH_CAP_RDCL_NO ? "says the processor" : "not this model");
    } else if (d->caps & ARCH_CAP_SKIP_L1DFL_VMENTRY) {
        say(d, SPEC_ISSUE_L1TF, SPEC_MITIGATED, "by the hypervisor below");
    } else if (!d->f->ept) {
        say(d, SPEC_ISSUE_L1TF, SPEC_VULNERABLE, "shadow page tables are not made safe against it");
    } else if (has(d, CPUID_7_EDX_L1D_FLUSH)) {
        act(d, SPEC_ISSUE_L1TF, SPEC_ENTRY_L1D, "L1D flushed at entry, unless only registers were "
                                                "touched");
        if (d->f->smt)
            say(d, SPEC_ISSUE_L1TF, SPEC_VULNERABLE,
                "L1D flushed at entry; but the sibling thread fills it");
    } else {
        say(d, SPEC_ISSUE_L1TF, SPEC_VULNERABLE, "microcode without L1D_FLUSH");
    }
}

static void say_verw(struct decision *d, enum spec_issue issue, bool works, const char *without)
{
    if (!works) {
        say(d, issue, SPEC_VULNERABLE, without);
        return;
    }
    act(d, issue, SPEC_ENTRY_VERW, "VERW at each entry");
    if (d->f->smt)
        say(d, issue, SPEC_VULNERABLE,
            "VERW at entry; but the sibling thread shares the buffers");
}

/* Intel "Microarchitectural Data Sampling". */
static void decide_mds(struct decision *d)
{
    if ((d->caps & ARCH_CAP_MDS_NO) || (d->model & SPEC_NO_MDS))
        say(d, SPEC_ISSUE_MDS, SPEC_NOT_AFFECTED,
            d->caps & ARCH_CAP_MDS_NO ? "says the processor" : "not this model");
    else
        say_verw(d, SPEC_ISSUE_MDS, has(d, CPUID_7_EDX_MD_CLEAR), "microcode without MD_CLEAR");
}

/* Intel "TSX Asynchronous Abort". Guests are shown no transactions; that does not keep them from
 * XBEGIN, so it is switched off where it can be. */
static void decide_taa(struct decision *d)
{
    if ((d->caps & ARCH_CAP_TAA_NO) || !d->f->rtm) {
        say(d, SPEC_ISSUE_TAA, SPEC_NOT_AFFECTED,
            d->caps & ARCH_CAP_TAA_NO ? "says the processor" : "no transactions");
    } else if (d->caps & ARCH_CAP_TSX_CTRL) {
        act(d, SPEC_ISSUE_TAA, SPEC_START_TSX_OFF, "transactions switched off by IA32_TSX_CTRL");
    } else {
        say_verw(d, SPEC_ISSUE_TAA,
                 has(d, CPUID_7_EDX_MD_CLEAR) && !(d->caps & ARCH_CAP_MDS_NO),
                 "microcode without IA32_TSX_CTRL");
    }
}

/* Intel "Processor MMIO Stale Data Vulnerabilities": somebody has to access device memory. */
static void decide_mmio(struct decision *d)
{
    const uint64_t none = ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO;
    bool verw = (d->caps & ARCH_CAP_FB_CLEAR) ||
                (has(d, CPUID_7_EDX_MD_CLEAR) && !(d->caps & ARCH_CAP_MDS_NO));

    if ((d->caps & none) == none || (d->known && !(d->model & SPEC_MMIO)))
        say(d, SPEC_ISSUE_MMIO, SPEC_NOT_AFFECTED,
            (d->caps & none) == none ? "says the processor" : "not this model");
    else if (!d->f->device_memory)
        say(d, SPEC_ISSUE_MMIO, SPEC_NOT_AFFECTED, "no guest reaches device memory");
    else
        say_verw(d, SPEC_ISSUE_MMIO, verw, "microcode without FB_CLEAR");
}

/* Intel "Register File Data Sampling". */
static void decide_rfds(struct decision *d)
{
    bool here = (d->model & SPEC_RFDS) && (!(d->model & SPEC_HYBRID) || d->f->efficient);

    if ((d->caps & ARCH_CAP_RFDS_NO) || (!here && !(d->caps & ARCH_CAP_RFDS_CLEAR)))
        say(d, SPEC_ISSUE_RFDS, SPEC_NOT_AFFECTED,
            d->caps & ARCH_CAP_RFDS_NO ? "says the processor" : "not this kind of core");
    else if (!here && (d->model & SPEC_HYBRID))
        say(d, SPEC_ISSUE_RFDS, SPEC_NOT_AFFECTED, "not this kind of core");
    else
        say_verw(d, SPEC_ISSUE_RFDS, d->caps & ARCH_CAP_RFDS_CLEAR, "microcode without RFDS_CLEAR");
}

/* Intel "Special Register Buffer Data Sampling", "Gather Data Sampling": microcode does it, unless
 * somebody has told it not to. */
static void decide_by_microcode(struct decision *d)
{
    if (!(d->model & SPEC_SRBDS))
        say(d, SPEC_ISSUE_SRBDS, SPEC_NOT_AFFECTED, model_text(d));
    else if (has(d, CPUID_7_EDX_SRBDS_CTRL))
        say(d, SPEC_ISSUE_SRBDS, SPEC_MITIGATED, "by microcode");
    else
        say(d, SPEC_ISSUE_SRBDS, SPEC_VULNERABLE, "microcode without SRBDS_CTRL");
    if ((d->caps & ARCH_CAP_GDS_NO) || !(d->model & SPEC_GDS))
        say(d, SPEC_ISSUE_GDS, SPEC_NOT_AFFECTED,
            d->caps & ARCH_CAP_GDS_NO ? "says the processor" : model_text(d));
    else if (d->caps & ARCH_CAP_GDS_CTRL)
        say(d, SPEC_ISSUE_GDS, SPEC_MITIGATED, "by microcode");
    else
        say(d, SPEC_ISSUE_GDS, SPEC_VULNERABLE, "microcode without GDS_CTRL");
}

/* Intel "Machine Check Error Avoidance on Page Size Change": a guest that is allowed large executable
 * pages can stop the machine. No data leaks, and 4 KB pages would cost every guest. */
static void decide_itlb(struct decision *d)
{
    if ((d->caps & ARCH_CAP_IF_PSCHANGE_MC_NO) || (d->model & SPEC_ATOM))
        say(d, SPEC_ISSUE_ITLB, SPEC_NOT_AFFECTED,
            d->model & SPEC_ATOM ? "not this model" : "says the processor");
    else
        say(d, SPEC_ISSUE_ITLB, SPEC_VULNERABLE,
            "a guest may stop the machine: executable pages stay large");
}

/* --- the guest's view --- */

#define GUEST_LEAF7_EDX                                                                            \
    (CPUID_7_EDX_MD_CLEAR | CPUID_7_EDX_IBRS_IBPB | CPUID_7_EDX_STIBP | CPUID_7_EDX_L1D_FLUSH |    \
     CPUID_7_EDX_ARCH_CAP | CPUID_7_EDX_SSBD)
#define GUEST_LEAF7_2_EDX                                                                          \
    (CPUID_7_2_EDX_PSFD | CPUID_7_2_EDX_IPRED_CTRL | CPUID_7_2_EDX_RRSBA_CTRL |                    \
     CPUID_7_2_EDX_DDPD_U | CPUID_7_2_EDX_BHI_CTRL | CPUID_7_2_EDX_MCDT_NO)
/* What the processor is not affected by, and how it behaves. Not: controls whose registers guests do
 * not have (TSX_CTRL, GDS_CTRL ...), and SKIP_L1DFL_VMENTRY, which is for a hypervisor. */
#define GUEST_ARCH_CAPS                                                                            \
    (ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_RSBA | ARCH_CAP_SSB_NO | ARCH_CAP_MDS_NO |    \
     ARCH_CAP_IF_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO | ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO |    \
     ARCH_CAP_PSDP_NO | ARCH_CAP_FB_CLEAR | ARCH_CAP_RRSBA | ARCH_CAP_BHI_NO | ARCH_CAP_PBRSB_NO | \
     ARCH_CAP_GDS_NO | ARCH_CAP_RFDS_NO | ARCH_CAP_RFDS_CLEAR | ARCH_CAP_ITS_NO)

static uint64_t spec_ctrl_bits(uint32_t leaf7_edx, uint32_t leaf7_2_edx)
{
    uint64_t bits = 0;

    bits |= leaf7_edx & CPUID_7_EDX_IBRS_IBPB ? SPEC_CTRL_IBRS : 0;
    /* STIBP may be written, without effect, where only IBRS is enumerated. */
    bits |= leaf7_edx & (CPUID_7_EDX_IBRS_IBPB | CPUID_7_EDX_STIBP) ? SPEC_CTRL_STIBP : 0;
    bits |= leaf7_edx & CPUID_7_EDX_SSBD ? SPEC_CTRL_SSBD : 0;
    bits |= leaf7_2_edx & CPUID_7_2_EDX_PSFD ? SPEC_CTRL_PSFD : 0;
    bits |= leaf7_2_edx & CPUID_7_2_EDX_IPRED_CTRL ? SPEC_CTRL_IPRED_DIS : 0;
    bits |= leaf7_2_edx & CPUID_7_2_EDX_RRSBA_CTRL ? SPEC_CTRL_RRSBA_DIS : 0;
    bits |= leaf7_2_edx & CPUID_7_2_EDX_DDPD_U ? SPEC_CTRL_DDPD_U : 0;
    bits |= leaf7_2_edx & CPUID_7_2_EDX_BHI_CTRL ? SPEC_CTRL_BHI_DIS_S : 0;
    return bits;
}

static void show_guest(const struct spec_facts *f, struct spec_plan *plan)
{
    const struct spec_model *model = find_model(f->signature);

    plan->guest_leaf7_edx = f->leaf7_edx & GUEST_LEAF7_EDX;
    plan->guest_leaf7_2_edx = f->leaf7_2_edx & GUEST_LEAF7_2_EDX;
    plan->guest_spec_ctrl_valid = spec_ctrl_bits(plan->guest_leaf7_edx, plan->guest_leaf7_2_edx);
    plan->guest_pred_cmd = f->leaf7_edx & CPUID_7_EDX_IBRS_IBPB;
    plan->guest_flush_cmd = f->leaf7_edx & CPUID_7_EDX_L1D_FLUSH;
    plan->guest_has_arch_capabilities = f->leaf7_edx & CPUID_7_EDX_ARCH_CAP;
    if (plan->guest_has_arch_capabilities) {
        plan->guest_arch_capabilities = f->arch_capabilities & GUEST_ARCH_CAPS;
        /* No processor says it of itself; guests assume the worst. */
        if (model && !(model->flags & (SPEC_ITS_VMM | SPEC_ITS_GUEST)))
            plan->guest_arch_capabilities |= ARCH_CAP_ITS_NO;
    }
}

/* With enhanced IBRS a guest writes its register so rarely that an exit for it is cheaper than a look
 * at every other exit. Otherwise it does so at each of its system calls. */
static enum spec_guest_control guest_control(const struct spec_plan *plan)
{
    if (!plan->guest_spec_ctrl_valid)
        return SPEC_GUEST_NONE;
    if (plan->host_spec_ctrl && !(plan->actions & SPEC_EXIT_SPEC_CTRL))
        return SPEC_GUEST_EXITS;
    return SPEC_GUEST_PASSES;
}

/* What microcode, a hypervisor below or the guest itself does is done all the same. */
static void drop_all(struct decision *d)
{
    for (unsigned i = 0; i < SPEC_ISSUE_COUNT; i++) {
        if (d->acted >> i & 1)
            say(d, i, SPEC_VULNERABLE, "mitigations = off");
    }
    d->plan->actions = 0;
    d->plan->host_spec_ctrl = 0;
}

/* What the processor has the means for, whether it needs it or not. VERW is always an instruction. */
static void add_all(struct decision *d)
{
    uint32_t actions = SPEC_EXIT_RSB_FILL | SPEC_EXIT_HISTORY | SPEC_ENTRY_VERW;

    if (has(d, CPUID_7_EDX_IBRS_IBPB)) {
        actions |= SPEC_EXIT_SPEC_CTRL | SPEC_EXIT_IBPB | SPEC_SWITCH_IBPB;
        d->plan->host_spec_ctrl |= SPEC_CTRL_IBRS;
    }
    if (has(d, CPUID_7_EDX_L1D_FLUSH))
        actions |= SPEC_ENTRY_L1D;
    d->plan->actions = (d->plan->actions | actions) & ~(uint32_t)SPEC_EXIT_RSB_ONE;
}

void spec_plan_make(const struct spec_facts *facts, enum spec_mode mode, struct spec_plan *plan)
{
    const struct spec_model *model = find_model(facts->signature);
    struct decision d = {
        .f = facts,
        .plan = plan,
        .caps = facts->arch_capabilities,
        .model = model ? model->flags : 0,
        .known = model,
        .enhanced_ibrs = (facts->leaf7_edx & CPUID_7_EDX_IBRS_IBPB) &&
                         (facts->arch_capabilities & ARCH_CAP_IBRS_ALL),
    };

    *plan = (struct spec_plan){ 0 };
    decide_branch_targets(&d);
    decide_returns(&d);
    decide_history(&d);
    decide_its(&d);
    decide_store_bypass(&d);
    decide_l1tf(&d);
    decide_mds(&d);
    decide_taa(&d);
    decide_mmio(&d);
    decide_rfds(&d);
    decide_by_microcode(&d);
    decide_itlb(&d);
    show_guest(facts, plan);
    if (mode == SPEC_OFF)
        drop_all(&d);
    if (mode == SPEC_FULL)
        add_all(&d);
    plan->guest_control = guest_control(plan);
}

void spec_facts_read(struct spec_facts *facts, const struct vmx_caps_source *source)
{
    uint32_t r[4], last;

    *facts = (struct spec_facts){ 0 };
    source->cpuid(source->context, CPUID_LEAF_VENDOR, 0, r);
    last = r[0];
    source->cpuid(source->context, CPUID_LEAF_FEATURES, 0, r);
    facts->signature = r[0];
    if (last < CPUID_LEAF_EXTENDED_FEATURES)
        return;
    source->cpuid(source->context, CPUID_LEAF_EXTENDED_FEATURES, 0, r);
    facts->rtm = r[1] & CPUID_7_EBX_RTM;
    facts->leaf7_edx = r[3];
    if (r[0] >= 2) {
        source->cpuid(source->context, CPUID_LEAF_EXTENDED_FEATURES, 2, r);
        facts->leaf7_2_edx = r[3];
    }
    if (facts->leaf7_edx & CPUID_7_EDX_ARCH_CAP)
        facts->arch_capabilities = source->rdmsr(source->context, MSR_IA32_ARCH_CAPABILITIES);
    if ((facts->leaf7_edx & CPUID_7_EDX_HYBRID) && last >= CPUID_LEAF_HYBRID) {
        source->cpuid(source->context, CPUID_LEAF_HYBRID, 0, r);
        facts->efficient = r[0] >> CPUID_1A_EAX_CORE_TYPE_SHIFT == CPUID_1A_CORE_TYPE_ATOM;
    }
}

void spec_facts_join(struct spec_facts *common, const struct spec_facts *other)
{
    /* Bits of IA32_ARCH_CAPABILITIES that tell of a weakness, or of what software has to do. */
    const uint64_t weaknesses = ARCH_CAP_RSBA | ARCH_CAP_RRSBA | ARCH_CAP_RFDS_CLEAR;
    uint64_t weak = (common->arch_capabilities | other->arch_capabilities) & weaknesses;

    common->leaf7_edx &= other->leaf7_edx;
    common->leaf7_2_edx &= other->leaf7_2_edx;
    common->arch_capabilities = (common->arch_capabilities & other->arch_capabilities) | weak;
    common->rtm |= other->rtm;
    common->smt |= other->smt;
    common->ept |= other->ept;
    common->device_memory |= other->device_memory;
}
