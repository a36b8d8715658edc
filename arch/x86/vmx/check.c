/*
 * Applying the entry checks: reading the VMCS once, going through the lists in the processor's
 * order of groups, and saying what was found.
 *
 * Pure; no lock. What the VMCS points to is read once into the check, and may be anything.
 * SDM volume 3, "VM Entries".
 */
#include "arch/x86/vmx/check.h"

#include "hv/format.h"
#include "hv/string.h"

/* Of the VM-entry MSR-load area: SDM "VM-Entry Controls for MSRs". */
struct msr_entry {
    uint32_t index;
    uint32_t reserved;
    uint64_t value;
};
_Static_assert(sizeof(struct msr_entry) == 16, "an entry of an MSR area");

/* A damaged count must not make the check endless. */
#define MSR_ENTRIES_MOST 4096

static void read_fields(struct vmx_check *c)
{
    const struct vmx_check_input *input = c->input;
    for (size_t i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vmcs_field_exists(input->caps, vmcs_fields[i].encoding))
            c->v[i] = input->read(input->context, vmcs_fields[i].encoding);
}

/* A word that is not activated counts as 0, whatever its field holds. */
static void read_words(struct vmx_check *c)
{
    c->word[VMX_WORD_PIN] = V(PIN_BASED_CONTROLS);
    c->word[VMX_WORD_CPU] = V(PRIMARY_PROC_BASED_CONTROLS);
    c->word[VMX_WORD_EXIT] = V(EXIT_CONTROLS);
    c->word[VMX_WORD_ENTRY] = V(ENTRY_CONTROLS);
    if (ON(CPU, ACTIVATE_SECONDARY_CONTROLS))
        c->word[VMX_WORD_CPU2] = V(SECONDARY_PROC_BASED_CONTROLS);
    if (ON(CPU, ACTIVATE_TERTIARY_CONTROLS))
        c->word[VMX_WORD_CPU3] = V(TERTIARY_PROC_BASED_CONTROLS);
    if (ON(EXIT, ACTIVATE_SECONDARY_CONTROLS))
        c->word[VMX_WORD_EXIT2] = V(SECONDARY_EXIT_CONTROLS);
}

static bool read_memory(const struct vmx_check *c, uint64_t address, void *to, size_t bytes)
{
    const struct vmx_check_input *input = c->input;
    return input->read_memory && fits_physical(c, address) &&
           input->read_memory(input->context, address, to, bytes);
}

#define VIRTUAL_APIC_VTPR 0x80

static void read_linked_memory(struct vmx_check *c)
{
    if (ON(CPU, USE_TPR_SHADOW) && page_aligned(V(VIRTUAL_APIC_ADDRESS)))
        c->has_vtpr = read_memory(c, V(VIRTUAL_APIC_ADDRESS) + VIRTUAL_APIC_VTPR, &c->vtpr, 1);
    if (V(VMCS_LINK_POINTER) != UINT64_MAX && page_aligned(V(VMCS_LINK_POINTER)))
        c->has_link = read_memory(c, V(VMCS_LINK_POINTER), &c->link_revision,
                                  sizeof(c->link_revision));
}

_Static_assert(VMCS_INDEX_GUEST_PDPTE3 == VMCS_INDEX_GUEST_PDPTE0 + 3, "one after the other");

/* With EPT the PDPTEs come from the VMCS, without it from where CR3 points. */
static void read_pdptes(struct vmx_check *c)
{
    bool pae_paging = (V(GUEST_CR0) & CR0_PG) && (V(GUEST_CR4) & CR4_PAE) &&
                      !ON(ENTRY, IA32E_MODE_GUEST);
    if (!pae_paging)
        return;
    if (ON(CPU2, ENABLE_EPT)) {
        memcpy(c->pdpte, &V(GUEST_PDPTE0), sizeof(c->pdpte));
        c->has_pdpte = true;
    } else if (read_memory(c, V(GUEST_CR3) & 0xffffffe0, c->pdpte, sizeof(c->pdpte))) {
        memcpy(&V(GUEST_PDPTE0), c->pdpte, sizeof(c->pdpte)); /* for the report */
        c->has_pdpte = true;
    }
}

struct findings {
    struct vmx_violation *out;
    size_t most, count;
};

static void apply(const struct vmx_check *c, const struct vmx_rule *rules, size_t count,
                  struct findings *found)
{
    for (size_t i = 0; i < count; i++) {
        if (rules[i].holds(c))
            continue;
        if (found->count < found->most)
            found->out[found->count] = (struct vmx_violation){
                .rule = &rules[i],
                .value = c->v[vmcs_field_find(rules[i].field) - vmcs_fields],
            };
        found->count++;
    }
}

static void apply_to_msrs(struct vmx_check *c, struct findings *found)
{
    uint64_t entries = hv_min_u64(V(ENTRY_MSR_LOAD_COUNT), MSR_ENTRIES_MOST);
    for (uint32_t i = 0; i < entries; i++) {
        struct msr_entry entry;
        if (!read_memory(c, V(ENTRY_MSR_LOAD_ADDRESS) + i * sizeof(entry), &entry, sizeof(entry)))
            return;
        c->msr_index = entry.index;
        c->msr_reserved = entry.reserved;
        size_t before = found->count;
        apply(c, vmx_rules_msrs, vmx_rules_msrs_count, found);
        for (size_t j = before; j < found->count && j < found->most; j++) {
            found->out[j].value = entry.index;
            found->out[j].msr_entry = i + 1;
        }
    }
}

size_t vmx_check_entry(const struct vmx_check_input *input, struct vmx_violation *out, size_t most)
{
    struct vmx_check c = { .input = input, .caps = input->caps };
    struct findings found = { out, most, 0 };
    read_fields(&c);
    read_words(&c);
    read_linked_memory(&c);
    read_pdptes(&c);
    apply(&c, vmx_rules_controls, vmx_rules_controls_count, &found);
    apply(&c, vmx_rules_host, vmx_rules_host_count, &found);
    apply(&c, vmx_rules_segments, vmx_rules_segments_count, &found);
    apply(&c, vmx_rules_guest, vmx_rules_guest_count, &found);
    apply_to_msrs(&c, &found);
    return found.count;
}

/* --- what it means --- */

static const struct {
    const char *section;
    struct vmx_check_outcome outcome;
} areas[VMX_CHECK_AREA_COUNT] = {
    [VMX_CHECK_EXECUTION] = { "VM-Execution Control Fields", { 7, 0, 0 } },
    [VMX_CHECK_EXIT] = { "VM-Exit Control Fields", { 7, 0, 0 } },
    [VMX_CHECK_ENTRY] = { "VM-Entry Control Fields", { 7, 0, 0 } },
    [VMX_CHECK_HOST_CONTROL] = { "Checks on Host Control Registers, MSRs, and SSP", { 8, 0, 0 } },
    [VMX_CHECK_HOST_SEGMENT] = { "Checks on Host Segment and Descriptor-Table Registers",
                                 { 8, 0, 0 } },
    [VMX_CHECK_HOST_SIZE] = { "Checks Related to Address-Space Size", { 8, 0, 0 } },
    [VMX_CHECK_GUEST_CONTROL] = { "Checks on Guest Control Registers, Debug Registers, and MSRs",
                                  { 0, 33, 0 } },
    [VMX_CHECK_GUEST_SEGMENT] = { "Checks on Guest Segment Registers", { 0, 33, 0 } },
    [VMX_CHECK_GUEST_TABLE] = { "Checks on Guest Descriptor-Table Registers", { 0, 33, 0 } },
    [VMX_CHECK_GUEST_RIP] = { "Checks on Guest RIP, RFLAGS, and SSP", { 0, 33, 0 } },
    [VMX_CHECK_GUEST_OTHER] = { "Checks on Guest Non-Register State", { 0, 33, 0 } },
    [VMX_CHECK_GUEST_LINK] = { "Checks on Guest Non-Register State", { 0, 33, 4 } },
    [VMX_CHECK_GUEST_PDPTE] = { "Checks on Guest Page-Directory-Pointer-Table Entries",
                                { 0, 33, 2 } },
    [VMX_CHECK_MSR_LOAD] = { "Loading MSRs", { 0, 34, 0 } },
};

const char *vmx_check_section(enum vmx_check_area area)
{
    return areas[area].section;
}

struct vmx_check_outcome vmx_check_outcome(enum vmx_check_area area)
{
    return areas[area].outcome;
}

int vmx_violation_text(char *out, size_t bytes, const struct vmx_violation *violation)
{
    const struct vmx_rule *rule = violation->rule;
    const char *section = vmx_check_section((enum vmx_check_area)rule->area);
    unsigned long long value = violation->value;
    if (violation->msr_entry)
        return hv_snprintf(out, bytes, "MSR 0x%llx, entry %u; required: %s (SDM \"%s\")", value,
                           violation->msr_entry, rule->text, section);
    return hv_snprintf(out, bytes, "%s = 0x%llx; required: %s (SDM \"%s\")",
                       vmcs_field_name(rule->field), value, rule->text, section);
}

const struct vmx_rule *vmx_check_rule(size_t index)
{
    const struct { const struct vmx_rule *rules; size_t count; } lists[] = {
        { vmx_rules_controls, vmx_rules_controls_count },
        { vmx_rules_host, vmx_rules_host_count },
        { vmx_rules_segments, vmx_rules_segments_count },
        { vmx_rules_guest, vmx_rules_guest_count },
        { vmx_rules_msrs, vmx_rules_msrs_count },
    };
    for (size_t i = 0; i < HV_ARRAY_COUNT(lists); i++) {
        if (index < lists[i].count)
            return &lists[i].rules[index];
        index -= lists[i].count;
    }
    return NULL;
}
