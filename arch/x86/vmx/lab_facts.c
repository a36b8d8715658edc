/*
 * The facts of an exit by name, as experiments write them: fields of the qualification decoded,
 * registers and VMCS fields before the handler and after it. Pure; no lock.
 * SDM volume 3 "VM-Exit Information Fields" and the tables of exit qualifications under
 * "Basic VM-Exit Information".
 */
#include "x86/lab.h"
#include "hv/string.h"
#include "x86/regs.h"
#include "x86/vmx_bits.h"

static const char *const gpr_names[LAB_GPRS] = {
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
    "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15",
};

const char *lab_gpr_name(unsigned gpr)
{
    return gpr < LAB_GPRS ? gpr_names[gpr] : "?";
}

const char *lab_reason_name(uint32_t reason)
{
    return reason == LAB_VMFAIL ? "VMFAIL" : vmx_exit_reason_name(reason);
}

/* --- one function a family --- */

typedef uint64_t fact_fn(const struct lab_record *record);

#define QUALIFICATION(record) ((record)->facts.qualification)
#define FACT(name, expression)                                                                     \
    static uint64_t fact_##name(const struct lab_record *r)                                        \
    {                                                                                              \
        return (expression);                                                                       \
    }

FACT(reason, r->reason)
FACT(length, r->facts.length)
FACT(qual, QUALIFICATION(r))
FACT(gla, r->facts.guest_linear)
FACT(gpa, r->facts.guest_physical)
FACT(insn, r->facts.instruction)
FACT(intr, r->facts.interruption)
FACT(intr_vector, vmx_intr_vector(r->facts.interruption))
FACT(intr_type, vmx_intr_type(r->facts.interruption))
FACT(intr_valid, vmx_intr_valid(r->facts.interruption))
FACT(intr_has_error, !!(r->facts.interruption & VMX_INTR_ERROR_CODE))
FACT(intr_error, r->facts.interruption_error)
FACT(vect_valid, vmx_intr_valid(r->facts.vectoring))
FACT(vect_vector, vmx_intr_vector(r->facts.vectoring))
FACT(vect_type, vmx_intr_type(r->facts.vectoring))
FACT(cr_number, vmx_cr_access_decode(QUALIFICATION(r)).cr)
FACT(cr_type, vmx_cr_access_decode(QUALIFICATION(r)).type)
FACT(cr_gpr, vmx_cr_access_decode(QUALIFICATION(r)).gpr)
FACT(lmsw_memory, vmx_cr_access_decode(QUALIFICATION(r)).lmsw_memory)
FACT(lmsw_source, vmx_cr_access_decode(QUALIFICATION(r)).lmsw_source)
FACT(dr_number, vmx_dr_access_decode(QUALIFICATION(r)).dr)
FACT(dr_from, vmx_dr_access_decode(QUALIFICATION(r)).from_dr)
FACT(dr_gpr, vmx_dr_access_decode(QUALIFICATION(r)).gpr)
FACT(io_size, vmx_io_access_decode(QUALIFICATION(r)).size)
FACT(io_in, vmx_io_access_decode(QUALIFICATION(r)).in)
FACT(io_string, vmx_io_access_decode(QUALIFICATION(r)).string)
FACT(io_rep, vmx_io_access_decode(QUALIFICATION(r)).rep)
FACT(io_immediate, vmx_io_access_decode(QUALIFICATION(r)).immediate)
FACT(io_port, vmx_io_access_decode(QUALIFICATION(r)).port)
FACT(io_rcx, r->before[VMCS_INDEX_IO_RCX])
FACT(io_rsi, r->before[VMCS_INDEX_IO_RSI])
FACT(io_rdi, r->before[VMCS_INDEX_IO_RDI])
FACT(io_rip, r->before[VMCS_INDEX_IO_RIP])
FACT(ept_read, !!(QUALIFICATION(r) & VMX_EPTV_READ))
FACT(ept_write, !!(QUALIFICATION(r) & VMX_EPTV_WRITE))
FACT(ept_fetch, !!(QUALIFICATION(r) & VMX_EPTV_FETCH))
FACT(ept_allowed, QUALIFICATION(r) >> 3 & 7)
FACT(ept_linear, !!(QUALIFICATION(r) & VMX_EPTV_LINEAR_VALID))
FACT(ept_translated, vmx_ept_violation_decode(QUALIFICATION(r)).translated)
FACT(apic_offset, vmx_apic_access_decode(QUALIFICATION(r)).offset)
FACT(apic_type, vmx_apic_access_decode(QUALIFICATION(r)).type)
FACT(task_selector, vmx_task_switch_decode(QUALIFICATION(r)).selector)
FACT(task_source, vmx_task_switch_decode(QUALIFICATION(r)).source)
FACT(insn_scale, vmx_instruction_decode(r->facts.instruction).scale)
FACT(insn_reg1, vmx_instruction_decode(r->facts.instruction).reg1)
FACT(insn_reg2, vmx_instruction_decode(r->facts.instruction).reg2)
FACT(insn_register, vmx_instruction_decode(r->facts.instruction).is_register)
FACT(insn_address, vmx_instruction_decode(r->facts.instruction).address_bytes)
FACT(insn_size, vmx_instruction_decode(r->facts.instruction).operand_size_field)
FACT(insn_segment, vmx_instruction_decode(r->facts.instruction).segment)
FACT(insn_base, vmx_instruction_decode(r->facts.instruction).base)
FACT(insn_has_base, vmx_instruction_decode(r->facts.instruction).has_base)
FACT(insn_index, vmx_instruction_decode(r->facts.instruction).index)
FACT(insn_has_index, vmx_instruction_decode(r->facts.instruction).has_index)
FACT(insn_identity, vmx_instruction_decode(r->facts.instruction).identity)
FACT(activity, r->before[VMCS_INDEX_GUEST_ACTIVITY_STATE])
FACT(interruptibility, r->before[VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE])
FACT(pending_debug, r->before[VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS])
FACT(rip, r->after[VMCS_INDEX_GUEST_RIP] - r->before[VMCS_INDEX_GUEST_RIP])
FACT(cpl, vmx_ar_dpl((uint32_t)r->before[VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS]))
FACT(error, r->error)
FACT(ticks, r->ticks)
FACT(next, r->answer & 0xff)
FACT(injects, r->after[VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION])

static const struct {
    const char *name;
    fact_fn *get;
} facts[] = {
    { "reason", fact_reason },
    { "length", fact_length },
    { "qual", fact_qual },
    { "gla", fact_gla },
    { "gpa", fact_gpa },
    { "insn", fact_insn },
    { "intr", fact_intr },
    { "intr.vector", fact_intr_vector },
    { "intr.type", fact_intr_type },
    { "intr.valid", fact_intr_valid },
    { "intr.has_error", fact_intr_has_error },
    { "intr.error", fact_intr_error },
    { "vect.valid", fact_vect_valid },
    { "vect.vector", fact_vect_vector },
    { "vect.type", fact_vect_type },
    { "cr.number", fact_cr_number },
    { "cr.type", fact_cr_type },
    { "cr.gpr", fact_cr_gpr },
    { "lmsw.memory", fact_lmsw_memory },
    { "lmsw.source", fact_lmsw_source },
    { "dr.number", fact_dr_number },
    { "dr.from", fact_dr_from },
    { "dr.gpr", fact_dr_gpr },
    { "io.size", fact_io_size },
    { "io.in", fact_io_in },
    { "io.string", fact_io_string },
    { "io.rep", fact_io_rep },
    { "io.immediate", fact_io_immediate },
    { "io.port", fact_io_port },
    { "io.rcx", fact_io_rcx },
    { "io.rsi", fact_io_rsi },
    { "io.rdi", fact_io_rdi },
    { "io.rip", fact_io_rip },
    { "ept.read", fact_ept_read },
    { "ept.write", fact_ept_write },
    { "ept.fetch", fact_ept_fetch },
    { "ept.allowed", fact_ept_allowed },
    { "ept.linear", fact_ept_linear },
    { "ept.translated", fact_ept_translated },
    { "apic.offset", fact_apic_offset },
    { "apic.type", fact_apic_type },
    { "task.selector", fact_task_selector },
    { "task.source", fact_task_source },
    { "insn.scale", fact_insn_scale },
    { "insn.reg1", fact_insn_reg1 },
    { "insn.reg2", fact_insn_reg2 },
    { "insn.register", fact_insn_register },
    { "insn.address", fact_insn_address },
    { "insn.size", fact_insn_size },
    { "insn.segment", fact_insn_segment },
    { "insn.base", fact_insn_base },
    { "insn.has_base", fact_insn_has_base },
    { "insn.index", fact_insn_index },
    { "insn.has_index", fact_insn_has_index },
    { "insn.identity", fact_insn_identity },
    { "activity", fact_activity },
    { "interruptibility", fact_interruptibility },
    { "pending_debug", fact_pending_debug },
    { "rip", fact_rip },
    { "cpl", fact_cpl },
    { "error", fact_error },
    { "ticks", fact_ticks },
    { "next", fact_next },
    { "injects", fact_injects },
};

/* --- registers and fields --- */

static bool state(const char *name, const uint64_t *gprs, const uint64_t *fields, uint64_t *value)
{
    for (unsigned i = 0; i < LAB_GPRS; i++) {
        if (i != X86_RSP && strcmp(name, gpr_names[i]) == 0) {
            *value = gprs[i];
            return true;
        }
    }
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        if (strcmp(name, vmcs_fields[i].name) == 0) {
            *value = fields[i];
            return true;
        }
    }
    return false;
}

bool lab_fact(const struct lab_record *record, const char *name, uint64_t *value)
{
    if (strncmp(name, "before.", 7) == 0)
        return state(name + 7, record->gprs_before, record->before, value);
    if (strncmp(name, "after.", 6) == 0)
        return state(name + 6, record->gprs_after, record->after, value);
    for (unsigned i = 0; i < HV_ARRAY_COUNT(facts); i++) {
        if (strcmp(name, facts[i].name) == 0) {
            *value = facts[i].get(record);
            return true;
        }
    }
    return false;
}

/* SDM volume 3 "VM-Exit Information Fields": which of them each reason defines. */
static const struct {
    uint16_t reason;
    const char *names;
} defined[] = {
    { 0, "intr.vector intr.type intr.has_error intr.error qual" },
    { 1, "intr.valid intr.vector" },
    { 4, "qual" },
    { 9, "task.selector task.source length" },
    { 10, "length" },
    { 12, "length" },
    { 13, "length" },
    { 14, "length qual" },
    { 15, "length" },
    { 16, "length" },
    { 18, "length" },
    { 19, "length qual insn" },
    { 20, "length" },
    { 21, "length qual insn" },
    { 22, "length qual insn" },
    { 23, "length insn" },
    { 24, "length" },
    { 25, "length insn" },
    { 26, "length" },
    { 27, "length qual insn" },
    { 28, "cr.number cr.type cr.gpr lmsw.source length" },
    { 29, "dr.number dr.from dr.gpr length" },
    { 30, "io.port io.size io.in io.string io.rep io.immediate length" },
    { 31, "length" },
    { 32, "length" },
    { 33, "qual" },
    { 34, "qual" },
    { 36, "length qual" },
    { 39, "length" },
    { 40, "length" },
    { 44, "apic.offset apic.type" },
    { 45, "qual" },
    { 46, "insn.identity length qual" },
    { 47, "insn.identity length qual" },
    { 48, "gpa gla ept.read ept.write ept.fetch ept.allowed ept.translated" },
    { 49, "gpa" },
    { 50, "length insn" },
    { 51, "length" },
    { 53, "length insn" },
    { 54, "length" },
    { 55, "length" },
    { 56, "qual" },
    { 57, "insn.reg1 insn.size length" },
    { 58, "insn.reg2 length" },
    { 59, "length" },
    { 61, "insn.reg1 insn.size length" },
    { 63, "length qual" },
    { 64, "length qual" },
    { 66, "gpa gla qual" },
    { LAB_VMFAIL, "error" },
};

const char *lab_fact_names(uint32_t reason)
{
    for (unsigned i = 0; i < HV_ARRAY_COUNT(defined); i++) {
        if (defined[i].reason == reason)
            return defined[i].names;
    }
    return "";
}
