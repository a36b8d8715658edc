/*
 * From what a VM wants to control words, or a reasoned refusal.
 *
 * Wishes are granted from the capabilities, then what depends on something that was not granted is
 * taken back (a preference) or refused (a requirement), until nothing changes.
 * Pure; no lock. Lists: vm_policy.def (wishes, dependencies), vmx_controls.def (names).
 * SDM volume 3, "Checks on VMX Controls"; Appendix "VMX Capability Reporting Facility";
 * "Restrictions on VMX Operation" for CR0 and CR4.
 */
#include "x86/vmx_policy.h"

#include "hv/format.h"
#include "hv/string.h"
#include "x86/regs.h"

/* Beside the control words there is one more: the EPT capabilities that are to be used. */
enum { WORD_EPT = VMX_WORD_COUNT, WORDS };

enum wish_index {
#define VM_WISH(field, vmm, guest) WISH_##field,
#include "arch/x86/vmx/vm_policy.def"
    WISH_COUNT,
    WISH_NONE = WISH_COUNT
};

static const struct wish_info {
    const char *name;
    uint16_t offset;
    uint8_t vmm, guest;     /* enum vm_wish: defaults */
} wishes[WISH_COUNT] = {
#define VM_WISH(field, vmm, guest) \
    { #field, offsetof(struct vm_policy, field), VM_##vmm, VM_##guest },
#include "arch/x86/vmx/vm_policy.def"
};

static const struct wish_control {
    uint8_t wish;
    uint8_t word;
    uint64_t bits;
} wish_controls[] = {
#define VM_WISH_CONTROL(field, word, name) { WISH_##field, VMX_WORD_##word, word##_##name },
#define VM_WISH_EPT(field, name) { WISH_##field, WORD_EPT, VMX_EPT_CAP_##name },
#include "arch/x86/vmx/vm_policy.def"
};

static const struct dependency {
    bool excludes;
    uint8_t word, other_word;
    uint64_t bits, other_bits;
} dependencies[] = {
#define VMX_NEEDS(word, name, other_word, other) \
    { false, VMX_WORD_##word, VMX_WORD_##other_word, word##_##name, other_word##_##other },
#define VMX_NEEDS_EPT(word, name, other) \
    { false, VMX_WORD_##word, WORD_EPT, word##_##name, VMX_EPT_CAP_##other },
#define VMX_EXCLUDES(word, name, other_word, other) \
    { true, VMX_WORD_##word, VMX_WORD_##other_word, word##_##name, other_word##_##other },
#include "arch/x86/vmx/vm_policy.def"
};

static const struct {
    uint8_t word, bit;
    const char *text;
} control_names[] = {
#define VMX_CONTROL(word, name, bit, text) { VMX_WORD_##word, (bit), text },
#include "arch/x86/vmx/vmx_controls.def"
#undef VMX_CONTROL
};

const char *vmx_control_name(enum vmx_word word, unsigned bit)
{
    for (size_t i = 0; i < HV_ARRAY_COUNT(control_names); i++)
        if (control_names[i].word == word && control_names[i].bit == bit)
            return control_names[i].text;
    return NULL;
}

static const char *bits_name(unsigned word, uint64_t bits)
{
    static const struct { uint64_t bits; const char *name; } ept[] = {
        { VMX_EPT_CAP_EXECUTE_ONLY, "execute-only EPT translations" },
        { VMX_EPT_CAP_WALK_4, "EPT page-walk length 4" },
        { VMX_EPT_CAP_WB, "write-back EPT paging structures" },
        { VMX_EPT_CAP_2M, "2-MByte EPT pages" },
        { VMX_EPT_CAP_1G, "1-GByte EPT pages" },
        { VMX_EPT_CAP_INVEPT, "INVEPT" },
        { VMX_EPT_CAP_ACCESSED_DIRTY, "EPT accessed and dirty flags" },
        { VMX_EPT_CAP_INVVPID, "INVVPID" },
    };
    if (word != WORD_EPT)
        return vmx_control_name((enum vmx_word)word, (unsigned)__builtin_ctzll(bits));
    for (size_t i = 0; i < HV_ARRAY_COUNT(ept); i++)
        if (ept[i].bits == bits)
            return ept[i].name;
    return "EPT capability";
}

/* --- the work in progress --- */

struct translation {
    const struct vm_policy *policy;
    const struct vmx_caps *caps;
    struct vmx_refusal *why;
    uint64_t on[WORDS];
};

static struct vmx_allowed word_allowed(const struct vmx_caps *caps, unsigned word)
{
    if (word == WORD_EPT)
        return (struct vmx_allowed){ 0, caps->ept_vpid_cap };
    return vmx_caps_allowed(caps, (enum vmx_word)word);
}

static enum vm_wish wish_of(const struct vm_policy *policy, size_t wish)
{
    return (enum vm_wish)((const uint8_t *)policy)[wishes[wish].offset];
}

static void blame_word(struct translation *t, unsigned word)
{
    if (word == WORD_EPT) {
        t->why->msr = "IA32_VMX_EPT_VPID_CAP";
        t->why->msr_value = t->caps->ept_vpid_cap;
    } else {
        t->why->msr = vmx_caps_word_msr_name(t->caps, (enum vmx_word)word);
        t->why->msr_value = vmx_caps_word_msr_value(t->caps, (enum vmx_word)word);
    }
}

static enum hv_err refuse(struct translation *t, enum vmx_refusal_kind kind, size_t wish,
                          unsigned word, uint64_t bits)
{
    *t->why = (struct vmx_refusal){
        .kind = kind,
        .wish = wish == WISH_NONE ? "every VM" : wishes[wish].name,
        .control = bits_name(word, bits),
    };
    blame_word(t, word);
    return HV_ERR_UNSUPPORTED;
}

/* What the machine can't do for any VM. */
static enum hv_err refuse_basic(struct translation *t, const char *what, const char *msr,
                                uint64_t value)
{
    *t->why = (struct vmx_refusal){ VMX_REFUSED_BASIC, "every VM", what, NULL, msr, value };
    return HV_ERR_UNSUPPORTED;
}

/* A row of the wish that the processor can't set, or NULL. */
static const struct wish_control *row_unavailable(const struct translation *t, size_t wish)
{
    for (size_t i = 0; i < HV_ARRAY_COUNT(wish_controls); i++) {
        const struct wish_control *row = &wish_controls[i];
        if (row->wish == wish && !(word_allowed(t->caps, row->word).may_be_1 & row->bits))
            return row;
    }
    return NULL;
}

/* A row of the wish that the processor can't clear, or NULL. */
static const struct wish_control *row_insisted(const struct translation *t, size_t wish)
{
    for (size_t i = 0; i < HV_ARRAY_COUNT(wish_controls); i++) {
        const struct wish_control *row = &wish_controls[i];
        if (row->wish == wish && (word_allowed(t->caps, row->word).must_be_1 & row->bits))
            return row;
    }
    return NULL;
}

static void wish_switch(struct translation *t, size_t wish, bool on)
{
    for (size_t i = 0; i < HV_ARRAY_COUNT(wish_controls); i++) {
        const struct wish_control *row = &wish_controls[i];
        if (row->wish != wish)
            continue;
        if (on)
            t->on[row->word] |= row->bits;
        else
            t->on[row->word] &= ~row->bits;
    }
}

/* Capabilities that nobody wishes about are facts: they are there for others to depend on. */
static void start_words(struct translation *t)
{
    for (unsigned word = 0; word < VMX_WORD_COUNT; word++)
        t->on[word] = word_allowed(t->caps, word).must_be_1;
    t->on[WORD_EPT] = t->caps->ept_vpid_cap;
    for (size_t i = 0; i < HV_ARRAY_COUNT(wish_controls); i++)
        if (wish_controls[i].word == WORD_EPT)
            t->on[WORD_EPT] &= ~wish_controls[i].bits;
    /* An instruction without a type that we use is no instruction. */
    if (!(t->caps->ept_vpid_cap & (VMX_EPT_CAP_INVEPT_SINGLE | VMX_EPT_CAP_INVEPT_ALL)))
        t->on[WORD_EPT] &= ~VMX_EPT_CAP_INVEPT;
    if (!(t->caps->ept_vpid_cap & (VMX_EPT_CAP_INVVPID_SINGLE | VMX_EPT_CAP_INVVPID_ALL)))
        t->on[WORD_EPT] &= ~VMX_EPT_CAP_INVVPID;
}

static enum hv_err grant_wish(struct translation *t, size_t wish)
{
    const struct wish_control *row;
    switch (wish_of(t->policy, wish)) {
    case VM_REQUIRE:
        row = row_unavailable(t, wish);
        if (row)
            return refuse(t, VMX_REFUSED_CANNOT_SET, wish, row->word, row->bits);
        wish_switch(t, wish, true);
        return HV_OK;
    case VM_PREFER:
        if (!row_unavailable(t, wish))
            wish_switch(t, wish, true);
        return HV_OK;
    case VM_FORBID:
        row = row_insisted(t, wish);
        if (row)
            return refuse(t, VMX_REFUSED_CANNOT_CLEAR, wish, row->word, row->bits);
        return HV_OK;
    case VM_AVOID:
        return HV_OK;
    }
    *t->why = (struct vmx_refusal){ .kind = VMX_REFUSED_VALUE, .wish = wishes[wish].name,
                                    .control = "is no wish" };
    return HV_ERR_INVALID;
}

static enum hv_err grant_wishes(struct translation *t)
{
    for (size_t wish = 0; wish < WISH_COUNT; wish++) {
        enum hv_err err = grant_wish(t, wish);
        if (err != HV_OK)
            return err;
    }
    return HV_OK;
}

static size_t wish_owning(unsigned word, uint64_t bits)
{
    for (size_t i = 0; i < HV_ARRAY_COUNT(wish_controls); i++)
        if (wish_controls[i].word == word && (wish_controls[i].bits & bits))
            return wish_controls[i].wish;
    return WISH_NONE;
}

/* A preference that the processor does not insist on is given up. */
static bool give_up(struct translation *t, size_t wish)
{
    if (wish == WISH_NONE || wish_of(t->policy, wish) != VM_PREFER || row_insisted(t, wish))
        return false;
    wish_switch(t, wish, false);
    return true;
}

static bool dependency_broken(const struct translation *t, const struct dependency *rule)
{
    bool first = t->on[rule->word] & rule->bits;
    bool other = t->on[rule->other_word] & rule->other_bits;
    return first && other == rule->excludes;
}

static enum hv_err refuse_dependency(struct translation *t, const struct dependency *rule)
{
    size_t wish = wish_owning(rule->word, rule->bits);
    bool possible = wish_owning(rule->other_word, rule->other_bits) != WISH_NONE &&
                    (word_allowed(t->caps, rule->other_word).may_be_1 & rule->other_bits);
    *t->why = (struct vmx_refusal){
        .kind = rule->excludes ? VMX_REFUSED_EXCLUDES : VMX_REFUSED_NEEDS,
        .wish = wish == WISH_NONE ? "every VM" : wishes[wish].name,
        .control = bits_name(rule->word, rule->bits),
        .other = bits_name(rule->other_word, rule->other_bits),
    };
    if (rule->excludes || possible)
        return HV_ERR_INVALID;
    blame_word(t, rule->other_word);
    return HV_ERR_UNSUPPORTED;
}

/* Each round gives up at least one wish, so the number of rounds is bounded by theirs. */
static enum hv_err settle_dependencies(struct translation *t)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < HV_ARRAY_COUNT(dependencies); i++) {
            const struct dependency *rule = &dependencies[i];
            if (!dependency_broken(t, rule))
                continue;
            if (!give_up(t, wish_owning(rule->word, rule->bits)) &&
                !(rule->excludes &&
                  give_up(t, wish_owning(rule->other_word, rule->other_bits))))
                return refuse_dependency(t, rule);
            changed = true;
        }
    }
    return HV_OK;
}

/* A control that the run loop switches must be free in both directions. */
static enum hv_err check_switchable(struct translation *t, unsigned word, uint64_t bits)
{
    if (!(word_allowed(t->caps, word).may_be_1 & bits))
        return refuse(t, VMX_REFUSED_CANNOT_SET, WISH_NONE, word, bits);
    if (word_allowed(t->caps, word).must_be_1 & bits)
        return refuse(t, VMX_REFUSED_CANNOT_CLEAR, WISH_NONE, word, bits);
    return HV_OK;
}

static enum hv_err check_run_time_controls(struct translation *t)
{
    enum hv_err err = check_switchable(t, VMX_WORD_CPU, CPU_INTERRUPT_WINDOW_EXITING);
    if (err == HV_OK && (t->on[VMX_WORD_PIN] & PIN_VIRTUAL_NMIS))
        err = check_switchable(t, VMX_WORD_CPU, CPU_NMI_WINDOW_EXITING);
    if (err == HV_OK)
        err = check_switchable(t, VMX_WORD_ENTRY, ENTRY_IA32E_MODE_GUEST);
    return err;
}

static enum hv_err check_basics(struct translation *t)
{
    const struct vmx_caps *caps = t->caps;
    if (!vmx_caps_can_set(caps, VMX_WORD_EXIT, EXIT_HOST_ADDRESS_SPACE_SIZE))
        return refuse(t, VMX_REFUSED_CANNOT_SET, WISH_NONE, VMX_WORD_EXIT,
                      EXIT_HOST_ADDRESS_SPACE_SIZE);
    if (caps->basic & VMX_BASIC_32BIT_ADDRESSES)
        return refuse_basic(t, "VMX structures above 4 GBytes", "IA32_VMX_BASIC", caps->basic);
    return check_run_time_controls(t);
}

static void activate_words(struct translation *t)
{
    t->on[VMX_WORD_EXIT] |= EXIT_HOST_ADDRESS_SPACE_SIZE;
    if (t->on[VMX_WORD_CPU2])
        t->on[VMX_WORD_CPU] |= CPU_ACTIVATE_SECONDARY_CONTROLS;
    if (t->on[VMX_WORD_CPU3])
        t->on[VMX_WORD_CPU] |= CPU_ACTIVATE_TERTIARY_CONTROLS;
    if (t->on[VMX_WORD_EXIT2])
        t->on[VMX_WORD_EXIT] |= EXIT_ACTIVATE_SECONDARY_CONTROLS;
}

/* CD and NW are the real caches' and entry does not load them, so the guest never owns them. PG is
 * the guest's only where exits keep "IA-32e mode guest" in step with it. */
static void set_control_registers(const struct translation *t, struct vmx_controls *out)
{
    const struct vmx_caps *caps = t->caps;
    out->cr0_must_be_1 = caps->cr0_fixed0 | t->policy->cr0_forced;
    if (out->cpu2 & CPU2_UNRESTRICTED_GUEST)
        out->cr0_must_be_1 &= ~(CR0_PE | CR0_PG);
    out->cr0_may_be_1 = caps->cr0_fixed1;
    out->cr0_mask = out->cr0_must_be_1 | ~out->cr0_may_be_1 | CR0_CD | CR0_NW |
                    t->policy->cr0_trapped;
    if (!(caps->misc & VMX_MISC_SAVE_EFER_LMA))
        out->cr0_mask |= CR0_PG;
    out->cr4_must_be_1 = caps->cr4_fixed0 | t->policy->cr4_forced;
    out->cr4_may_be_1 = caps->cr4_fixed1;
    out->cr4_mask = out->cr4_must_be_1 | ~out->cr4_may_be_1 | t->policy->cr4_trapped;
}

static enum hv_err refuse_value(struct translation *t, const char *field, const char *problem,
                                const char *msr, uint64_t value)
{
    *t->why = (struct vmx_refusal){ VMX_REFUSED_VALUE, field, problem, NULL, msr, value };
    return HV_ERR_INVALID;
}

static enum hv_err check_values(struct translation *t)
{
    const struct vm_policy *policy = t->policy;
    if (policy->cr3_target_count > vmx_caps_cr3_targets(t->caps))
        return refuse_value(t, "cr3_target_count", "is more than the processor has",
                            "IA32_VMX_MISC", t->caps->misc);
    if (policy->cr0_forced & ~t->caps->cr0_fixed1)
        return refuse_value(t, "cr0_forced", "has a bit that VMX operation does not allow",
                            "IA32_VMX_CR0_FIXED1", t->caps->cr0_fixed1);
    if (policy->cr4_forced & ~t->caps->cr4_fixed1)
        return refuse_value(t, "cr4_forced", "has a bit that VMX operation does not allow",
                            "IA32_VMX_CR4_FIXED1", t->caps->cr4_fixed1);
    return HV_OK;
}

static void fill(const struct translation *t, struct vmx_controls *out)
{
    const struct vm_policy *policy = t->policy;
    *out = (struct vmx_controls){
        .pin = (uint32_t)t->on[VMX_WORD_PIN],
        .cpu = (uint32_t)t->on[VMX_WORD_CPU],
        .cpu2 = (uint32_t)t->on[VMX_WORD_CPU2],
        .cpu3 = t->on[VMX_WORD_CPU3],
        .exit = (uint32_t)t->on[VMX_WORD_EXIT],
        .exit2 = t->on[VMX_WORD_EXIT2],
        .entry = (uint32_t)t->on[VMX_WORD_ENTRY],
        .ept = t->on[WORD_EPT],
        .exception_bitmap = policy->exception_bitmap,
        .page_fault_mask = policy->page_fault_mask,
        .page_fault_match = policy->page_fault_match,
        .cr3_target_count = policy->cr3_target_count,
        .ple_gap = policy->ple_gap,
        .ple_window = policy->ple_window,
    };
    set_control_registers(t, out);
}

enum hv_err vmx_policy_to_controls(const struct vm_policy *policy, const struct vmx_caps *caps,
                                   struct vmx_controls *out, struct vmx_refusal *why)
{
    memset(out, 0, sizeof(*out));
    memset(why, 0, sizeof(*why));
    struct translation t = { .policy = policy, .caps = caps, .why = why };
    start_words(&t);
    enum hv_err err = grant_wishes(&t);
    if (err == HV_OK)
        err = settle_dependencies(&t);
    if (err == HV_OK)
        err = check_basics(&t);
    if (err == HV_OK)
        err = check_values(&t);
    if (err != HV_OK)
        return err;
    activate_words(&t);
    fill(&t, out);
    return HV_OK;
}

uint64_t vmx_controls_word(const struct vmx_controls *controls, enum vmx_word word)
{
    const uint64_t words[VMX_WORD_COUNT] = {
        [VMX_WORD_PIN] = controls->pin,   [VMX_WORD_CPU] = controls->cpu,
        [VMX_WORD_CPU2] = controls->cpu2, [VMX_WORD_CPU3] = controls->cpu3,
        [VMX_WORD_EXIT] = controls->exit, [VMX_WORD_EXIT2] = controls->exit2,
        [VMX_WORD_ENTRY] = controls->entry,
    };
    return words[word];
}

/* --- defaults --- */

/* Bits of CR4 that a guest may change without anybody else having to know. MCE is not among them:
 * a machine check must reach the hypervisor, whatever the guest believes. */
#define CR4_GUEST_OWNED \
    (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCE | CR4_OSFXSR | \
     CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP | \
     CR4_PKE)

/* #DB and #AC exit because a guest can make their delivery recur without end and without an
 * instruction boundary, where nothing else could interrupt it; #MC because it is the machine's. */
#define EXCEPTIONS_THAT_MUST_EXIT \
    (1u << X86_EXC_DB | 1u << X86_EXC_AC | 1u << X86_EXC_MC)

struct vm_policy vm_policy_default(enum vm_interrupts interrupts)
{
    struct vm_policy policy = {
        .exception_bitmap = EXCEPTIONS_THAT_MUST_EXIT,
        .cr4_trapped = ~CR4_GUEST_OWNED,
        .cr4_forced = CR4_MCE,
    };
    for (size_t wish = 0; wish < WISH_COUNT; wish++)
        ((uint8_t *)&policy)[wishes[wish].offset] =
            interrupts == VM_INTERRUPTS_GUEST ? wishes[wish].guest : wishes[wish].vmm;
    return policy;
}

struct vm_policy vm_policy_thin(void)
{
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_GUEST);

    policy.nmi_exiting = VM_FORBID;
    policy.virtual_nmis = VM_AVOID;
    policy.preemption_timer = VM_AVOID;
    policy.save_preemption_timer = VM_AVOID;
    policy.mwait_exiting = VM_FORBID;
    policy.monitor_exiting = VM_FORBID;
    policy.rdpmc_exiting = VM_FORBID;
    policy.wbinvd_exiting = VM_FORBID;
    policy.encls_exiting = VM_FORBID;
    policy.enclv_exiting = VM_FORBID;
    policy.user_wait_and_pause = VM_PREFER;
    policy.io_bitmaps = VM_AVOID;
    policy.io_exiting = VM_FORBID;
    policy.exception_bitmap = 0;
    policy.cr0_trapped = 0;
    policy.cr4_trapped = CR4_VMXE | CR4_SMXE;
    policy.cr4_forced = 0;
    return policy;
}

/* --- names --- */

uint8_t *vm_policy_wish(struct vm_policy *policy, const char *name)
{
    for (size_t wish = 0; wish < WISH_COUNT; wish++)
        if (!strcmp(wishes[wish].name, name))
            return (uint8_t *)policy + wishes[wish].offset;
    return NULL;
}

size_t vm_policy_wish_count(void)
{
    return WISH_COUNT;
}

const char *vm_policy_wish_name(size_t index)
{
    return index < WISH_COUNT ? wishes[index].name : NULL;
}

static const char *const wish_names[] = {
    [VM_AVOID] = "avoid", [VM_PREFER] = "prefer", [VM_REQUIRE] = "require", [VM_FORBID] = "forbid",
};

const char *vm_wish_name(enum vm_wish wish)
{
    return (unsigned)wish < HV_ARRAY_COUNT(wish_names) ? wish_names[wish] : "?";
}

bool vm_wish_parse(const char *text, enum vm_wish *out)
{
    for (unsigned i = 0; i < HV_ARRAY_COUNT(wish_names); i++) {
        if (!strcmp(wish_names[i], text)) {
            *out = (enum vm_wish)i;
            return true;
        }
    }
    return false;
}

static int refusal_reason(char *out, size_t bytes, const struct vmx_refusal *why)
{
    switch (why->kind) {
    case VMX_REFUSED_NOTHING:
        return hv_snprintf(out, bytes, "nothing was refused");
    case VMX_REFUSED_CANNOT_SET:
        return hv_snprintf(out, bytes, "%s requires \"%s\", which this processor does not have",
                           why->wish, why->control);
    case VMX_REFUSED_CANNOT_CLEAR:
        return hv_snprintf(out, bytes, "%s forbids \"%s\", which this processor insists on",
                           why->wish, why->control);
    case VMX_REFUSED_NEEDS:
        return hv_snprintf(out, bytes, "%s: \"%s\" needs \"%s\", which is off", why->wish,
                           why->control, why->other);
    case VMX_REFUSED_EXCLUDES:
        return hv_snprintf(out, bytes, "%s: \"%s\" and \"%s\" exclude each other", why->wish,
                           why->control, why->other);
    case VMX_REFUSED_BASIC:
        return hv_snprintf(out, bytes, "%s needs %s", why->wish, why->control);
    case VMX_REFUSED_VALUE:
        return hv_snprintf(out, bytes, "%s %s", why->wish, why->control);
    }
    return hv_snprintf(out, bytes, "unknown refusal");
}

int vmx_refusal_text(char *out, size_t bytes, const struct vmx_refusal *why)
{
    int length = refusal_reason(out, bytes, why);
    if (!why->msr)
        return length;
    size_t used = hv_min_u64((size_t)length, bytes ? bytes - 1 : 0);
    return length + hv_snprintf(out + used, bytes - used, " (%s = 0x%llx)", why->msr,
                                (unsigned long long)why->msr_value);
}
