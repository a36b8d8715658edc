/*
 * Numbers, qualifications and events as words.
 * SDM volume 3, "VM Instruction Error Numbers", "VMX Aborts", "Basic VM-Exit Information",
 * "Information for VM Exits Due to Vectored Events".
 *
 * Pure; no lock. Everything that is printed comes from a guest's exit and may hold anything: no
 * value indexes a table unchecked.
 */
#include "x86/vmx_errors.h"

#include "hv/format.h"
#include "x86/regs.h"
#include "x86/vmx_bits.h"

const char *vmx_instruction_error_text(uint32_t number)
{
    switch (number) {
#define VMX_INSTRUCTION_ERROR(n, text) case n: return text;
#include "arch/x86/vmx/vmx_errors.def"
    default:
        return "reserved error number";
    }
}

const char *vmx_abort_text(uint32_t number)
{
    switch (number) {
#define VMX_ABORT(n, text) case n: return text;
#include "arch/x86/vmx/vmx_errors.def"
    default:
        return "reserved abort number";
    }
}

const char *vmx_exit_reason_name(uint32_t reason)
{
    switch (reason & VMX_EXIT_REASON_BASIC_MASK) {
#define EXIT(number, name, handler, needs, experiment, sdm, doc) case number: return #name;
#include "arch/x86/vmx/exits.def"
#undef EXIT
    default:
        return "UNKNOWN";
    }
}

const char *vmx_exit_reason_doc(uint32_t reason)
{
    switch (reason & VMX_EXIT_REASON_BASIC_MASK) {
#define EXIT(number, name, handler, needs, experiment, sdm, doc) case number: return doc;
#include "arch/x86/vmx/exits.def"
#undef EXIT
    default:
        return "a reason that the SDM does not define";
    }
}

/* --- text that grows and is cut, never overrun --- */

struct text {
    char *out;
    size_t bytes;
    size_t length;  /* that the whole text has */
};

static void text_add(struct text *text, const char *format, ...) HV_PRINTF(2, 3);

static void text_add(struct text *text, const char *format, ...)
{
    size_t used = hv_min_u64(text->length, text->bytes);
    va_list args;
    va_start(args, format);
    int more = hv_vsnprintf(text->out + used, text->bytes - used, format, args);
    va_end(args);
    text->length += (size_t)more;
}

static const char *exception_name(unsigned vector)
{
    static const char *const names[X86_EXC_COUNT] = {
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL, "#TS", "#NP", "#SS",
        "#GP", "#PF", NULL, "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
    };
    return vector < X86_EXC_COUNT && names[vector] ? names[vector] : NULL;
}

static const char *gpr_name(unsigned gpr)
{
    static const char *const names[X86_GPR_COUNT] = {
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
        "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    };
    return names[gpr % X86_GPR_COUNT];
}

static void add_event(struct text *text, uint32_t information, uint32_t error)
{
    static const char *const types[8] = {
        "external interrupt", "reserved type", "NMI", "hardware exception", "software interrupt",
        "privileged software exception", "software exception", "other event",
    };
    unsigned vector = vmx_intr_vector(information);
    enum vmx_intr_type type = vmx_intr_type(information);
    text_add(text, "%s", types[type]);
    if (type != VMX_INTR_NMI)
        text_add(text, " %u", vector);
    const char *name = exception_name(vector);
    if (name && (type == VMX_INTR_HARDWARE_EXCEPTION || type == VMX_INTR_SOFTWARE_EXCEPTION ||
                 type == VMX_INTR_PRIVILEGED_SOFTWARE_EXCEPTION))
        text_add(text, " %s", name);
    if (information & VMX_INTR_ERROR_CODE)
        text_add(text, ", error code 0x%x", error);
}

/* --- one function a kind of qualification --- */

typedef unsigned long long ull;

static void describe_exception(struct text *text, const struct vmx_exit_facts *f)
{
    if (!vmx_intr_valid(f->interruption))
        return;
    text_add(text, ": ");
    add_event(text, f->interruption, f->interruption_error);
    if (vmx_intr_type(f->interruption) != VMX_INTR_HARDWARE_EXCEPTION)
        return;
    if (vmx_intr_vector(f->interruption) == X86_EXC_PF)
        text_add(text, ", address 0x%llx", (ull)f->qualification);
    else if (vmx_intr_vector(f->interruption) == X86_EXC_DB)
        text_add(text, ", DR6 bits 0x%llx", (ull)f->qualification);
}

static void describe_interrupt(struct text *text, const struct vmx_exit_facts *f)
{
    if (vmx_intr_valid(f->interruption))
        text_add(text, ": vector %u", vmx_intr_vector(f->interruption));
}

static void describe_vector(struct text *text, const struct vmx_exit_facts *f)
{
    text_add(text, ": vector 0x%llx", (ull)(f->qualification & 0xff));
}

static void describe_task_switch(struct text *text, const struct vmx_exit_facts *f)
{
    static const char *const sources[4] = { "CALL", "IRET", "JMP", "a task gate" };
    struct vmx_task_switch task = vmx_task_switch_decode(f->qualification);
    text_add(text, ": to selector 0x%x by %s", task.selector, sources[task.source]);
}

static void describe_linear_operand(struct text *text, const struct vmx_exit_facts *f)
{
    text_add(text, ": address 0x%llx", (ull)f->qualification);
}

static void describe_displacement(struct text *text, const struct vmx_exit_facts *f)
{
    text_add(text, ": displacement 0x%llx", (ull)f->qualification);
}

static void describe_cr(struct text *text, const struct vmx_exit_facts *f)
{
    struct vmx_cr_access cr = vmx_cr_access_decode(f->qualification);
    switch (cr.type) {
    case VMX_CR_MOV_TO:
        text_add(text, ": mov cr%u, %s", cr.cr, gpr_name(cr.gpr));
        break;
    case VMX_CR_MOV_FROM:
        text_add(text, ": mov %s, cr%u", gpr_name(cr.gpr), cr.cr);
        break;
    case VMX_CR_CLTS:
        text_add(text, ": clts");
        break;
    default:
        text_add(text, ": lmsw 0x%x%s", cr.lmsw_source, cr.lmsw_memory ? " from memory" : "");
        break;
    }
}

static void describe_dr(struct text *text, const struct vmx_exit_facts *f)
{
    struct vmx_dr_access dr = vmx_dr_access_decode(f->qualification);
    if (dr.from_dr)
        text_add(text, ": mov %s, dr%u", gpr_name(dr.gpr), dr.dr);
    else
        text_add(text, ": mov dr%u, %s", dr.dr, gpr_name(dr.gpr));
}

static void describe_io(struct text *text, const struct vmx_exit_facts *f)
{
    struct vmx_io_access io = vmx_io_access_decode(f->qualification);
    text_add(text, ": %s%s%s port 0x%x, %u byte%s", io.rep ? "rep " : "", io.in ? "in" : "out",
             io.string ? "s" : "", io.port, io.size, io.size == 1 ? "" : "s");
    if (io.string)
        text_add(text, ", memory at 0x%llx", (ull)f->guest_linear);
}

static void describe_entry_guest_state(struct text *text, const struct vmx_exit_facts *f)
{
    static const char *const causes[] = {
        [0] = "a guest-state check",
        [2] = "loading the PDPTEs",
        [3] = "an NMI injected while the guest blocks events by STI",
        [4] = "the VMCS link pointer",
    };
    const char *cause = f->qualification < HV_ARRAY_COUNT(causes) ? causes[f->qualification] : NULL;
    text_add(text, ": %s (qualification %llu)", cause ? cause : "no defined cause",
             (ull)f->qualification);
}

static void describe_entry_msr(struct text *text, const struct vmx_exit_facts *f)
{
    text_add(text, ": entry %llu of the MSR-load area", (ull)f->qualification);
}

static void describe_mwait(struct text *text, const struct vmx_exit_facts *f)
{
    text_add(text, ": monitor %sarmed", f->qualification & 1 ? "" : "not ");
}

static void describe_apic_access(struct text *text, const struct vmx_exit_facts *f)
{
    static const char *const types[16] = {
        [VMX_APIC_LINEAR_READ] = "read", [VMX_APIC_LINEAR_WRITE] = "write",
        [VMX_APIC_LINEAR_FETCH] = "fetch", [VMX_APIC_LINEAR_EVENT] = "event delivery",
        [VMX_APIC_PHYSICAL_EVENT] = "guest-physical access in event delivery",
        [VMX_APIC_PHYSICAL] = "guest-physical access",
    };
    struct vmx_apic_access apic = vmx_apic_access_decode(f->qualification);
    const char *type = types[apic.type] ? types[apic.type] : "reserved access type";
    text_add(text, ": %s at offset 0x%x", type, apic.offset);
}

static void describe_apic_write(struct text *text, const struct vmx_exit_facts *f)
{
    text_add(text, ": offset 0x%llx", (ull)(f->qualification & 0xfff));
}

static void describe_ept_violation(struct text *text, const struct vmx_exit_facts *f)
{
    struct vmx_ept_violation v = vmx_ept_violation_decode(f->qualification);
    text_add(text, ":%s%s%s at GPA 0x%llx, allowed %c%c%c", v.read ? " read" : "",
             v.write ? " write" : "", v.fetch ? " fetch" : "", (ull)f->guest_physical,
             v.readable ? 'r' : '-', v.writable ? 'w' : '-', v.executable ? 'x' : '-');
    if (v.linear_valid)
        text_add(text, ", GLA 0x%llx%s", (ull)f->guest_linear,
                 v.translated ? "" : " (in its page walk)");
    if (v.nmi_unblocked)
        text_add(text, ", IRET had unblocked NMIs");
}

static void describe_guest_physical(struct text *text, const struct vmx_exit_facts *f)
{
    text_add(text, ": GPA 0x%llx", (ull)f->guest_physical);
}

static void describe_spp(struct text *text, const struct vmx_exit_facts *f)
{
    text_add(text, ": %s at GPA 0x%llx", f->qualification & 1ull << 11 ? "miss" :
             "misconfiguration", (ull)f->guest_physical);
}

static void describe_msr_list(struct text *text, const struct vmx_exit_facts *f)
{
    text_add(text, ": MSR 0x%llx", (ull)f->qualification);
}

static void describe_timeout(struct text *text, const struct vmx_exit_facts *f)
{
    if (f->qualification & 1)
        text_add(text, ": the guest's context is invalid");
}

static const struct {
    uint16_t reason;
    void (*describe)(struct text *text, const struct vmx_exit_facts *facts);
} describers[] = {
    { 0, describe_exception },
    { 1, describe_interrupt },
    { 4, describe_vector },
    { 9, describe_task_switch },
    { 14, describe_linear_operand },
    { 28, describe_cr },
    { 29, describe_dr },
    { 30, describe_io },
    { 33, describe_entry_guest_state },
    { 34, describe_entry_msr },
    { 36, describe_mwait },
    { 44, describe_apic_access },
    { 45, describe_vector },
    { 46, describe_displacement },
    { 47, describe_displacement },
    { 48, describe_ept_violation },
    { 49, describe_guest_physical },
    { 50, describe_displacement },
    { 53, describe_displacement },
    { 56, describe_apic_write },
    { 58, describe_displacement },
    { 66, describe_spp },
    { 75, describe_timeout },
    { 78, describe_msr_list },
    { 79, describe_msr_list },
};

/* The bits of the reason that are not the reason. */
static void add_reason_flags(struct text *text, uint32_t reason)
{
    static const struct { uint32_t bit; const char *what; } flags[] = {
        { VMX_EXIT_REASON_ENTRY_FAILURE, "VM entry failed" },
        { VMX_EXIT_REASON_FROM_ROOT, "from VMX root operation" },
        { VMX_EXIT_REASON_PENDING_MTF, "an MTF exit is pending" },
        { VMX_EXIT_REASON_ENCLAVE, "in enclave mode" },
        { VMX_EXIT_REASON_BUS_LOCK, "after a bus lock" },
        { VMX_EXIT_REASON_BUSY_SHADOW_STACK, "shadow stack left busy" },
    };
    for (size_t i = 0; i < HV_ARRAY_COUNT(flags); i++)
        if (reason & flags[i].bit)
            text_add(text, " [%s]", flags[i].what);
}

int vmx_describe_exit(char *out, size_t bytes, const struct vmx_exit_facts *facts)
{
    struct text text = { out, bytes, 0 };
    uint32_t basic = facts->reason & VMX_EXIT_REASON_BASIC_MASK;
    text_add(&text, "%s (%u)", vmx_exit_reason_name(basic), basic);
    add_reason_flags(&text, facts->reason);
    for (size_t i = 0; i < HV_ARRAY_COUNT(describers); i++)
        if (describers[i].reason == basic)
            describers[i].describe(&text, facts);
    if (vmx_intr_valid(facts->vectoring)) {
        text_add(&text, "; while delivering ");
        add_event(&text, facts->vectoring, facts->vectoring_error);
    }
    return (int)text.length;
}

int vmx_describe_event(char *out, size_t bytes, uint32_t information, uint32_t error)
{
    struct text text = { out, bytes, 0 };
    if (!vmx_intr_valid(information))
        text_add(&text, "no event");
    else
        add_event(&text, information, error);
    return (int)text.length;
}
