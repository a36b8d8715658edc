/*
 * Why the processor refuses a VM entry, or would: the checks of the SDM's chapter "VM Entries",
 * applied to the contents of a VMCS, each answered with field, value, rule and section.
 *
 * Not here: what precedes the checks (launch state, blocking by MOV SS: VM-instruction errors 4, 5
 * and 26 say enough), machine checks, and which of several violations a processor reports (any of
 * the first group that has one).
 * Pure; no lock. It takes no notice of which checks an emulator leaves out.
 * SDM volume 3, "Checks on VMX Controls and Host-State Area", "Checking and Loading Guest State",
 * "Loading MSRs".
 */
#ifndef X86_VMX_CHECK_H
#define X86_VMX_CHECK_H

#include "hv/types.h"
#include "x86/vmx_caps.h"

struct cpuid_regs;

/* Sections of the chapter, in the order in which a processor gets to them. */
enum vmx_check_area {
    VMX_CHECK_EXECUTION,    /* "VM-Execution Control Fields" */
    VMX_CHECK_EXIT,         /* "VM-Exit Control Fields" */
    VMX_CHECK_ENTRY,        /* "VM-Entry Control Fields" */
    VMX_CHECK_HOST_CONTROL, /* "Checks on Host Control Registers, MSRs, and SSP" */
    VMX_CHECK_HOST_SEGMENT, /* "Checks on Host Segment and Descriptor-Table Registers" */
    VMX_CHECK_HOST_SIZE,    /* "Checks Related to Address-Space Size" */
    VMX_CHECK_GUEST_CONTROL,/* "Checks on Guest Control Registers, Debug Registers, and MSRs" */
    VMX_CHECK_GUEST_SEGMENT,/* "Checks on Guest Segment Registers" */
    VMX_CHECK_GUEST_TABLE,  /* "Checks on Guest Descriptor-Table Registers" */
    VMX_CHECK_GUEST_RIP,    /* "Checks on Guest RIP, RFLAGS, and SSP" */
    VMX_CHECK_GUEST_OTHER,  /* "Checks on Guest Non-Register State" */
    VMX_CHECK_GUEST_LINK,   /* the same section: the VMCS link pointer */
    VMX_CHECK_GUEST_PDPTE,  /* "Checks on Guest Page-Directory-Pointer-Table Entries" */
    VMX_CHECK_MSR_LOAD,     /* "Loading MSRs" */
    VMX_CHECK_AREA_COUNT
};

struct vmx_check_input {
    const struct vmx_caps *caps;
    /* Reads a field of the VMCS; only fields that exist under `caps` are asked for. */
    uint64_t (*read)(void *context, uint32_t encoding);
    /* Reads host-physical memory (virtual-APIC page, PDPTEs, linked VMCS, MSR areas). False: can't
     * be read. NULL: what is in memory is not checked. */
    bool (*read_memory)(void *context, uint64_t hpa, void *to, size_t bytes);
    void *context;
    /* The state of the processor that enters. */
    bool ia32e_mode;            /* IA32_EFER.LMA: true for us */
    bool in_smm;
    bool pt_tracing;            /* IA32_RTIT_CTL.TraceEn */
    uint64_t current_vmcs;      /* its address */
    /* Bits of MSRs that this processor implements; 0: not known, not checked. */
    uint64_t efer_valid;
    uint64_t debugctl_valid;
    uint64_t perf_global_valid;
    uint64_t spec_ctrl_valid;
    uint64_t rtit_ctl_valid;
    uint64_t lbr_ctl_valid;
};

struct vmx_check;

struct vmx_rule {
    const char *name;           /* unique */
    const char *text;           /* what must hold */
    uint32_t field;             /* the field that is at fault */
    uint8_t area;               /* enum vmx_check_area */
    bool (*holds)(const struct vmx_check *check);
};

struct vmx_violation {
    const struct vmx_rule *rule;
    uint64_t value;             /* of the field; of the MSR's index for VMX_CHECK_MSR_LOAD */
    uint32_t msr_entry;         /* VMX_CHECK_MSR_LOAD: which, counted from 1 */
};

/* Applies every rule. Stores the first `most` violations in the processor's order of groups and
 * returns how many there are; 0: the entry should succeed. */
size_t vmx_check_entry(const struct vmx_check_input *input, struct vmx_violation *out, size_t most);

/* Fills in efer_valid, debugctl_valid, perf_global_valid and spec_ctrl_valid from what `source`, CPUID, says
 * (the instruction, or a test's table). */
void vmx_check_masks(struct vmx_check_input *input,
                     struct cpuid_regs (*source)(uint32_t leaf, uint32_t subleaf));

/* How the processor reports a violation of this area: VM-instruction error 7 or 8, or exit reason
 * 33 or 34 with a qualification (0 for 34: there it is the entry's number). */
struct vmx_check_outcome {
    uint8_t instruction_error;  /* 0: the entry fails later */
    uint8_t exit_reason;
    uint8_t qualification;
};
struct vmx_check_outcome vmx_check_outcome(enum vmx_check_area area);

/* The section's title. */
const char *vmx_check_section(enum vmx_check_area area);

/* One line: field, value, what is required, section. Returns the length it has, as snprintf does. */
int vmx_violation_text(char *out, size_t bytes, const struct vmx_violation *violation);

/* The list itself, for documentation and tests: rule `index`, or NULL past the end. */
const struct vmx_rule *vmx_check_rule(size_t index);

#endif
