/*
 * What an experiment changes of its VM: policy, VMCS fields, bitmaps, EPT, pages for the processor's
 * own structures, events; and what it wants read back.
 *
 * Not here: how policy becomes controls (policy.c): the laboratory goes the way of every VM.
 * Lock: none; boot core, the VM's VMCS current.
 */
#include "arch/x86/vmx/lab_internal.h"
#include "hv/arch_ops.h"
#include "hv/format.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "hv/string.h"
#include "x86/msr.h"

#define MSR_BITMAP_WRITE_OFFSET 2048
#define MSR_BITMAP_HIGH_OFFSET 1024
#define NMI_NUMBER 0x100

static bool refuse(struct lab *lab, const char *format, ...) HV_PRINTF(2, 3);

static bool refuse(struct lab *lab, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    hv_vsnprintf(lab->refusal, sizeof(lab->refusal), format, args);
    va_end(args);
    return false;
}

void lab_add_value(struct lab *lab, const char *name, uint64_t value)
{
    struct lab_observed *o = &lab->observed;

    for (unsigned i = 0; i < o->value_count; i++) {
        if (strcmp(o->values[i].name, name) == 0) {
            o->values[i].value = value;
            return;
        }
    }
    if (o->value_count == LAB_VALUES)
        return;
    hv_snprintf(o->values[o->value_count].name, LAB_NAME_BYTES, "%s", name);
    o->values[o->value_count++].value = value;
}

/* --- pages --- */

static uint64_t page(struct lab *lab, uint64_t number)
{
    hpa_t at;

    if (number >= LAB_PAGES)
        return 0;
    if (!lab->pages[number] &&
        page_alloc_take(machine_pages(), 1, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO | PAGE_ALLOC_BELOW_4G,
                        &at) == HV_OK)
        lab->pages[number] = (void *)at.v;
    return (uint64_t)lab->pages[number];
}

void lab_free_pages(struct lab *lab)
{
    for (unsigned i = 0; i < LAB_PAGES; i++) {
        if (lab->pages[i] && page_alloc_free(machine_pages(), HPA((uint64_t)lab->pages[i]), 1) == HV_OK)
            lab->pages[i] = NULL;
    }
}

static const struct vmcs_field_info *field(const char *name)
{
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        if (strcmp(vmcs_fields[i].name, name) == 0)
            return &vmcs_fields[i];
    }
    return NULL;
}

static uint64_t field_value(const char *name)
{
    const struct vmcs_field_info *info = field(name);
    uint64_t value = 0;

    if (info && vmcs_field_exists(vmx_host_caps(), info->encoding))
        vmread(info->encoding, &value);
    return value;
}

static uint64_t value_of(struct lab *lab, const struct lab_action *action)
{
    switch (action->value_kind) {
    case LAB_VALUE_PAGE:
        return page(lab, action->value);
    case LAB_VALUE_EPTP:
        return lab->vcpu->vm->eptp;
    case LAB_VALUE_FIELD:
        return field_value(action->text);
    default:
        return action->value;
    }
}

static uint64_t assign(const struct lab_action *action, uint64_t old, uint64_t value)
{
    if (action->assign == LAB_OR)
        return old | value;
    return action->assign == LAB_AND_NOT ? old & ~value : value;
}

static bool page_write(struct lab *lab, const struct lab_action *action)
{
    uint8_t *at = (uint8_t *)page(lab, action->b);
    uint64_t value = value_of(lab, action);

    if (!at)
        return refuse(lab, "no memory for a page");
    if (action->kind == LAB_FILL)
        memset(at, (int)value, HV_PAGE_BYTES);
    else if (action->a <= HV_PAGE_BYTES - sizeof(value))
        memcpy(at + action->a, &value, sizeof(value));
    return true;
}

/* --- policy --- */

static const struct {
    const char *name;
    uint8_t offset, bytes;
} numbers[] = {
#define NUMBER(field) { #field, offsetof(struct vm_policy, field), sizeof(((struct vm_policy *)0)->field) }
    NUMBER(exception_bitmap), NUMBER(page_fault_mask), NUMBER(page_fault_match),
    NUMBER(cr3_target_count), NUMBER(ple_gap),         NUMBER(ple_window),
    NUMBER(cr0_trapped),      NUMBER(cr4_trapped),     NUMBER(cr0_forced),
    NUMBER(cr4_forced),
#undef NUMBER
};

static void set_number(struct vm_policy *policy, const struct lab_action *action)
{
    for (unsigned i = 0; i < HV_ARRAY_COUNT(numbers); i++) {
        uint8_t *at = (uint8_t *)policy + numbers[i].offset;
        uint64_t value = 0;
        if (strcmp(numbers[i].name, action->name) != 0)
            continue;
        memcpy(&value, at, numbers[i].bytes);
        value = assign(action, value, action->value);
        memcpy(at, &value, numbers[i].bytes);
    }
}

void lab_refuse(struct lab *lab, const char *why)
{
    hv_snprintf(lab->refusal, sizeof(lab->refusal), "%s", why);
    for (char *at = lab->refusal; (at = strchr(at, '"')); at++)
        *at = '\'';
}

/* Guests that are given registers of the core's own x2APIC send real interrupts with it. */
static bool needs_local_apic(const struct lab_action *action)
{
    return action->kind == LAB_MSR && action->a >= MSR_IA32_X2APIC_BASE &&
           action->a < MSR_IA32_X2APIC_BASE + 0x100;
}

static bool check_local_apic(struct lab *lab)
{
    const char *missing = arch_cannot_own_cores();

    for (unsigned i = 0; missing && i < lab->variant->action_count; i++) {
        if (needs_local_apic(&lab->variant->actions[i])) {
            lab_refuse(lab, "its guest uses the core's own local APIC; that takes ");
            hv_snprintf(lab->refusal + strlen(lab->refusal),
                        sizeof(lab->refusal) - strlen(lab->refusal), "%s", missing);
            return false;
        }
    }
    return true;
}

bool lab_check_needs(struct lab *lab)
{
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    struct vmx_controls controls;
    struct vmx_refusal why;
    char text[sizeof(lab->refusal)];
    bool needs = false;

    if (!check_local_apic(lab))
        return false;
    for (unsigned i = 0; i < lab->variant->action_count; i++) {
        const struct lab_action *action = &lab->variant->actions[i];
        uint8_t *wish = action->kind == LAB_NEEDS ? vm_policy_wish(&policy, action->name) : NULL;
        if (wish) {
            *wish = VM_REQUIRE;
            needs = true;
        }
    }
    if (!needs || vmx_policy_to_controls(&policy, vmx_host_caps(), &controls, &why) == HV_OK)
        return true;
    vmx_refusal_text(text, sizeof(text), &why);
    lab_refuse(lab, text);
    return false;
}

void lab_apply_policy(struct lab *lab, struct vm_policy *policy)
{
    for (unsigned i = 0; i < lab->variant->action_count; i++) {
        const struct lab_action *action = &lab->variant->actions[i];
        uint8_t *wish;
        if (action->kind == LAB_NUMBER)
            set_number(policy, action);
        if (action->kind == LAB_POLICY && (wish = vm_policy_wish(policy, action->name)))
            *wish = (uint8_t)action->a;
    }
}

/* --- VMCS --- */

static bool vmcs_assign(struct lab *lab, const struct lab_action *action)
{
    const struct vmcs_field_info *info = field(action->name);
    uint64_t old = 0, value;

    if (!info || !vmcs_field_exists(vmx_host_caps(), info->encoding))
        return refuse(lab, "the processor has no VMCS field %s", action->name);
    vmread(info->encoding, &old);
    value = assign(action, old, value_of(lab, action));
    if (info->encoding == VMCS_PRIMARY_PROC_BASED_CONTROLS)
        lab->vcpu->cpu_controls = (uint32_t)value;
    if (vmwrite(info->encoding, value) != VMX_OK)
        return refuse(lab, "VMWRITE of %s failed", action->name);
    return true;
}

/* --- bitmaps --- */

static void bit_set(uint8_t *bitmap, uint64_t bit, bool set)
{
    if (set)
        bitmap[bit / 8] |= (uint8_t)(1u << bit % 8);
    else
        bitmap[bit / 8] &= (uint8_t)~(1u << bit % 8);
}

/* SDM "MSR-Bitmap Address". */
static void msr_set(struct lab *lab, uint64_t msr, uint64_t exits)
{
    uint8_t *bitmap = (uint8_t *)lab->vcpu->vm->msr_bitmap.v;

    if (msr >= 0xc0000000u)
        bitmap += MSR_BITMAP_HIGH_OFFSET;
    bit_set(bitmap, msr & 0x1fff, exits & 1);
    bit_set(bitmap + MSR_BITMAP_WRITE_OFFSET, msr & 0x1fff, exits & 2);
}

/* --- EPT --- */

/* The entry that maps 4 KB, after a split where it is part of something larger; NULL: none. */
static uint64_t *ept_leaf(struct ept *ept, gpa_t gpa)
{
    struct ept_walk walk;
    uint64_t *table;

    ept_walk(ept, gpa, &walk);
    if (walk.depth != EPT_LEVELS)
        return NULL;
    table = (uint64_t *)(walk.entry[2] & EPT_ADDRESS_MASK);
    return &table[gpa.v >> HV_PAGE_SHIFT & (EPT_ENTRIES - 1)];
}

static bool ept_change(struct lab *lab, const struct lab_action *action)
{
    struct ept *ept = &lab->vcpu->vm->ept;
    gpa_t gpa = GPA(action->a);
    uint64_t *leaf;
    enum hv_err err = HV_OK;

    switch (action->kind) {
    case LAB_EPT:
        err = action->b ? ept_protect(ept, gpa, action->c, action->b) : ept_unmap(ept, gpa, action->c);
        break;
    case LAB_EPT_MAP:
        err = ept_map(ept, gpa, HPA(value_of(lab, action)), HV_PAGE_BYTES, action->b, MEMORY_WB);
        break;
    case LAB_EPT_APIC:
        err = ept_map(ept, gpa, HPA(LAPIC_DEFAULT_BASE), HV_PAGE_BYTES, EPT_READ | EPT_WRITE,
                      MEMORY_UC);
        break;
    default: /* splitting is what ept_protect does on the way */
        err = ept_protect(ept, gpa, HV_PAGE_BYTES, EPT_READ);
        leaf = err == HV_OK ? ept_leaf(ept, gpa) : NULL;
        if (leaf)
            __atomic_store_n(leaf, (*leaf & EPT_ADDRESS_MASK) | action->b, __ATOMIC_SEQ_CST);
        else
            err = HV_ERR_NOT_FOUND;
        break;
    }
    if (err != HV_OK)
        return refuse(lab, "the EPT cannot be changed at 0x%llx", (unsigned long long)gpa.v);
    return true;
}

static uint64_t ept_flags(struct lab *lab, const struct lab_action *action)
{
    struct ept_walk walk;

    ept_walk(&lab->vcpu->vm->ept, GPA(action->a), &walk);
    /* Level 1 is the last table. */
    if (action->b < 1 || action->b > EPT_LEVELS || walk.depth < EPT_LEVELS + 1 - action->b)
        return 0;
    return walk.entry[EPT_LEVELS - action->b] & ~EPT_ADDRESS_MASK;
}

/* --- stages --- */

static void post(struct lab *lab, uint64_t vector)
{
    const struct irq_message message = {
        .delivery = vector == NMI_NUMBER ? IRQ_NMI : IRQ_FIXED,
        .vector = (uint8_t)vector,
        .asserted = true,
    };

    lapic_post(lab->vcpu->lapic, &message);
}

static void report_vmcs(struct lab *lab, const struct lab_action *action)
{
    const struct vmcs_field_info *info = field(action->name);
    uint64_t value = 0;

    if (info && vmcs_field_exists(vmx_host_caps(), info->encoding) &&
        vmread(info->encoding, &value) == VMX_OK)
        lab_add_value(lab, action->text, value);
}

static void report_page(struct lab *lab, const struct lab_action *action)
{
    const uint8_t *at = (const uint8_t *)page(lab, action->b);
    uint64_t value;

    if (!at || action->a > HV_PAGE_BYTES - sizeof(value))
        return;
    memcpy(&value, at + action->a, sizeof(value));
    lab_add_value(lab, action->text, value);
}

static bool apply(struct lab *lab, const struct lab_action *action)
{
    struct vmx_vcpu *v = lab->vcpu;

    switch (action->kind) {
    case LAB_VMCS:
        return vmcs_assign(lab, action);
    case LAB_PAGE:
    case LAB_FILL:
        return page_write(lab, action);
    case LAB_EPT:
    case LAB_EPT_MAP:
    case LAB_EPT_ENTRY:
    case LAB_EPT_APIC:
        return ept_change(lab, action);
    case LAB_MSR:
        msr_set(lab, action->a, action->b);
        return true;
    case LAB_PORT:
        bit_set((uint8_t *)v->vm->io_bitmaps.v, action->a & 0xffff, action->b);
        return true;
    case LAB_POST:
        post(lab, action->a);
        return true;
    case LAB_INVVPID:
        vmx_flush_guest_tlb(v);
        return true;
    case LAB_INVEPT:
        return invept(INVEPT_GLOBAL, 0) == VMX_OK || refuse(lab, "INVEPT failed");
    case LAB_REPORT_VMCS:
        report_vmcs(lab, action);
        return true;
    case LAB_REPORT_PAGE:
        report_page(lab, action);
        return true;
    case LAB_REPORT_EPT:
        lab_add_value(lab, action->text, ept_flags(lab, action));
        return true;
    default:
        return true;
    }
}

bool lab_apply_stage(struct lab *lab, unsigned stage)
{
    for (unsigned i = 0; i < lab->variant->action_count; i++) {
        const struct lab_action *action = &lab->variant->actions[i];
        if (action->stage == stage && !apply(lab, action))
            return false;
    }
    return true;
}
