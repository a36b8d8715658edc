/*
 * VMX's numbers and qualifications as words, for crash reports, traces and the monitor.
 *
 * Not here: which rule a refused VM entry broke (x86/vmx_check.h).
 * Pure; no lock.
 */
#ifndef X86_VMX_ERRORS_H
#define X86_VMX_ERRORS_H

#include "hv/types.h"

/* SDM "VM Instruction Error Numbers"; "reserved error number" for what it does not define. */
const char *vmx_instruction_error_text(uint32_t number);

/* SDM "VMX Aborts": the second doubleword of a VMCS region. */
const char *vmx_abort_text(uint32_t number);

/* Basic exit reason, by its name in exits.def ("EPT_VIOLATION"), and in words; "UNKNOWN" and
 * "a reason that the SDM does not define" for others. Bits above 15:0 are ignored. */
const char *vmx_exit_reason_name(uint32_t reason);
const char *vmx_exit_reason_doc(uint32_t reason);

/* What an exit reported. Zero what was not read. */
struct vmx_exit_facts {
    uint32_t reason;            /* the whole field */
    uint32_t length;
    uint64_t qualification;
    uint64_t guest_linear;
    uint64_t guest_physical;
    uint32_t interruption;      /* VM-exit interruption information */
    uint32_t interruption_error;
    uint32_t instruction;       /* VM-exit instruction information */
    uint32_t vectoring;         /* IDT-vectoring information */
    uint32_t vectoring_error;
};

/* One line about an exit: reason, its qualification decoded, addresses, the event that was being
 * delivered. Always terminated; returns the length it has, as snprintf does:
 * at most 511. */
int vmx_describe_exit(char *out, size_t bytes, const struct vmx_exit_facts *facts);

/* One event ("hardware exception 14 #PF, error code 0x2"); for both directions' formats. */
int vmx_describe_event(char *out, size_t bytes, uint32_t information, uint32_t error);

#endif
