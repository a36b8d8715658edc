/*
 * The laboratory's observer: what the guest says to it, and each exit between the guest's beginning
 * and end with the whole VMCS before the handler and after it.
 * SDM volume 3 "VM-Exit Information Fields".
 */
#include "arch/x86/vmx/lab_internal.h"
#include "hv/string.h"

/* guest/lab/lib/lab.h has the same. */
#define LAB_MAGIC 0x4c41424fu
enum { LAB_CALL_BEGIN = 1, LAB_CALL_END, LAB_CALL_VALUE, LAB_CALL_STAGE };

static struct lab *lab_of(struct vmx_observer *observer)
{
    return HV_CONTAINER_OF(observer, struct lab, observer);
}

static bool is_call(const struct vmx_vcpu *v)
{
    return v->exit.reason == VMEXIT_VMCALL && (uint32_t)v->gprs.r[X86_RAX] == LAB_MAGIC;
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

/* Whatever the guest says: a name is cut at the first character that is none of a name's. */
static void take_value(struct lab *lab, gpa_t at, uint64_t value)
{
    char name[LAB_NAME_BYTES] = "";
    unsigned n = 0;

    if (gpa_space_read(&lab->vm->memory, at, name, sizeof(name) - 1) != HV_OK)
        return;
    while (n < sizeof(name) - 1 && is_name_character(name[n]))
        n++;
    name[n] = 0;
    if (n)
        lab_add_value(lab, name, value);
}

static void take_call(struct lab *lab, const struct vmx_vcpu *v)
{
    uint64_t c = v->gprs.r[X86_RCX], d = v->gprs.r[X86_RDX];

    switch ((uint32_t)v->gprs.r[X86_RBX]) {
    case LAB_CALL_BEGIN:
        lab->recording = true;
        lab->observed.began = true;
        break;
    case LAB_CALL_END:
        lab->recording = false;
        lab->observed.ended = true;
        (void)lab_apply_stage(lab, LAB_STAGE_END);
        break;
    case LAB_CALL_VALUE:
        take_value(lab, GPA(c), d);
        break;
    case LAB_CALL_STAGE:
        if (c >= 1 && c <= LAB_STAGE_LAST && !lab_apply_stage(lab, (unsigned)c))
            vm_stop(lab->vm, VM_STATUS_FAILED, "stage-failed");
        break;
    default:
        break;
    }
}

/* --- the VMCS's fields on the way of the first exit --- */

static void take_access(struct vmx_vcpu *v, uint32_t field, bool write)
{
    struct lab *lab = v->accessed_context;

    if ((lab->first != LAB_HANDLING && lab->first != LAB_ENTERING) ||
        lab->access_count == LAB_ACCESSES)
        return;
    lab->accesses[lab->access_count++] =
        (struct lab_access){ field, write, lab->first == LAB_ENTERING };
}

/* --- recording --- */

static void snapshot(const struct vmx_vcpu *v, uint64_t *gprs, uint64_t *fields)
{
    memcpy(gprs, v->gprs.r, LAB_GPRS * sizeof(gprs[0]));
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        fields[i] = 0;
        if (vmcs_field_exists(vmx_host_caps(), vmcs_fields[i].encoding))
            vmread(vmcs_fields[i].encoding, &fields[i]);
    }
}

static void take_facts(struct lab_record *record)
{
    const uint64_t *f = record->before;

    record->facts = (struct vmx_exit_facts){
        .reason = (uint32_t)f[VMCS_INDEX_EXIT_REASON],
        .length = (uint32_t)f[VMCS_INDEX_EXIT_INSTRUCTION_LENGTH],
        .qualification = f[VMCS_INDEX_EXIT_QUALIFICATION],
        .guest_linear = f[VMCS_INDEX_GUEST_LINEAR_ADDRESS],
        .guest_physical = f[VMCS_INDEX_GUEST_PHYSICAL_ADDRESS],
        .interruption = (uint32_t)f[VMCS_INDEX_EXIT_INTERRUPTION_INFORMATION],
        .interruption_error = (uint32_t)f[VMCS_INDEX_EXIT_INTERRUPTION_ERROR_CODE],
        .instruction = (uint32_t)f[VMCS_INDEX_EXIT_INSTRUCTION_INFORMATION],
        .vectoring = (uint32_t)f[VMCS_INDEX_IDT_VECTORING_INFORMATION],
        .vectoring_error = (uint32_t)f[VMCS_INDEX_IDT_VECTORING_ERROR_CODE],
    };
}

static struct lab_record *new_record(struct lab *lab, const struct vmx_vcpu *v, uint32_t reason)
{
    struct lab_observed *o = &lab->observed;
    struct lab_record *record;

    if (reason < LAB_REASONS)
        o->counts[reason]++;
    if (o->record_count == LAB_RECORDS) {
        o->dropped++;
        return NULL;
    }
    record = &o->records[o->record_count++];
    memset(record, 0, sizeof(*record));
    record->reason = reason;
    snapshot(v, record->gprs_before, record->before);
    take_facts(record);
    return record;
}

static void before(struct vmx_observer *observer, struct vmx_vcpu *v)
{
    struct lab *lab = lab_of(observer);
    struct lab_record *record;

    lab->open = NULL;
    if (lab->first == LAB_ENTERING)
        lab->first = LAB_OVER;
    if (is_call(v)) {
        lab->called = true;
        return;
    }
    lab->called = false;
    if (!lab->recording)
        return;
    record = new_record(lab, v, v->exit.reason & VMX_EXIT_REASON_BASIC_MASK);
    lab->open = record;
    if (lab->first == LAB_NOT_YET)
        lab->first = LAB_HANDLING;
    if (record)
        record->ticks = rdtsc();
}

static void after(struct vmx_observer *observer, struct vmx_vcpu *v, unsigned answer)
{
    struct lab *lab = lab_of(observer);
    uint64_t now = rdtsc();

    if (lab->called) {
        take_call(lab, v);
        lab->called = false;
        return;
    }
    if (!lab->open)
        return;
    lab->open->ticks = now - lab->open->ticks;
    lab->observed.ticks += lab->open->ticks;
    lab->open->answer = answer;
    if (lab->first == LAB_HANDLING)
        lab->first = LAB_ENTERING;
    snapshot(v, lab->open->gprs_after, lab->open->after);
    lab->open = NULL;
    if (lab->variant->stop && lab->observed.record_count >= lab->variant->stop)
        vm_stop(lab->vm, 0, "stopped");
}

static void failed(struct vmx_observer *observer, struct vmx_vcpu *v)
{
    struct lab *lab = lab_of(observer);
    bool refused = v->exit.reason & VMX_EXIT_REASON_ENTRY_FAILURE;
    struct lab_record *record =
        new_record(lab, v, refused ? v->exit.reason & VMX_EXIT_REASON_BASIC_MASK : LAB_VMFAIL);

    if (!record)
        return;
    record->entry_failed = true;
    if (!refused)
        record->error = (uint32_t)record->before[VMCS_INDEX_VM_INSTRUCTION_ERROR];
    memcpy(record->after, record->before, sizeof(record->after));
    memcpy(record->gprs_after, record->gprs_before, sizeof(record->gprs_after));
}

void lab_observe(struct lab *lab)
{
    lab->observer = (struct vmx_observer){ .before = before, .after = after, .failed = failed };
    vmx_add_observer(lab->vcpu, &lab->observer);
    if (lab->full) {
        lab->vcpu->accessed = take_access;
        lab->vcpu->accessed_context = lab;
    }
}
