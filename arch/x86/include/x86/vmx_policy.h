/*
 * What a VM wants of VMX, and its translation into control words.
 *
 * Experiments, the operator's file and the tests all say what they want here and nowhere else; the
 * one function vmx_policy_to_controls() decides what this processor gives.
 * Not here: the contents of bitmaps and pages, anything that changes while a VM runs (interrupt and
 * NMI windows, "IA-32e mode guest").
 * Pure; no lock.
 * SDM volume 3, "VM-Execution Control Fields", "VM-Exit Control Fields", "VM-Entry Control Fields".
 */
#ifndef X86_VMX_POLICY_H
#define X86_VMX_POLICY_H

#include "hv/types.h"
#include "x86/vmx_caps.h"

/* A wish for one feature. AVOID is what a zeroed structure says: off where the processor can,
 * on where it insists. */
enum vm_wish { VM_AVOID, VM_PREFER, VM_REQUIRE, VM_FORBID };

/* Who gets the physical interrupts while the guest runs. */
enum vm_interrupts { VM_INTERRUPTS_VMM, VM_INTERRUPTS_GUEST };

struct vm_policy {
    /* One `enum vm_wish` each, by the names of vm_policy.def: policy.hlt_exiting = VM_REQUIRE. */
#define VM_WISH(field, vmm, guest) uint8_t field;
#include "arch/x86/vmx/vm_policy.def"
    uint32_t exception_bitmap;          /* bit n: exception n exits */
    uint32_t page_fault_mask;           /* with bit 14: SDM "Exception Bitmap" */
    uint32_t page_fault_match;
    uint32_t cr3_target_count;
    uint32_t ple_gap;                   /* TSC ticks; with pause_loop_exiting */
    uint32_t ple_window;
    uint64_t cr0_trapped, cr4_trapped;  /* bits whose change exits, beyond those that must */
    uint64_t cr0_forced, cr4_forced;    /* bits that stay 1 in the real register */
};

struct vmx_controls {
    uint32_t pin, cpu, cpu2;
    uint64_t cpu3;
    uint32_t exit;
    uint64_t exit2;
    uint32_t entry;
    uint64_t ept;                       /* bits of IA32_VMX_EPT_VPID_CAP that are to be used */
    uint32_t exception_bitmap;
    uint32_t page_fault_mask;
    uint32_t page_fault_match;
    uint32_t cr3_target_count;
    uint32_t ple_gap;
    uint32_t ple_window;
    /* The guest's CR0 is held at (value | must_be_1) & may_be_1; bits in the mask exit on change
     * and read as the shadow. */
    uint64_t cr0_must_be_1, cr0_may_be_1, cr0_mask;
    uint64_t cr4_must_be_1, cr4_may_be_1, cr4_mask;
};

enum vmx_refusal_kind {
    VMX_REFUSED_NOTHING,
    VMX_REFUSED_CANNOT_SET,     /* required, and the processor can't */
    VMX_REFUSED_CANNOT_CLEAR,   /* forbidden, and the processor insists */
    VMX_REFUSED_NEEDS,          /* required, and what it depends on is off */
    VMX_REFUSED_EXCLUDES,       /* required together with what rules it out */
    VMX_REFUSED_BASIC,          /* the machine lacks what every VM needs */
    VMX_REFUSED_VALUE,          /* a number in the policy is out of bounds */
};

/* Why not. All strings are constant. */
struct vmx_refusal {
    enum vmx_refusal_kind kind;
    const char *wish;           /* field of struct vm_policy, or what every VM needs */
    const char *control;        /* SDM's name of the control or capability */
    const char *other;          /* NEEDS, EXCLUDES: the other control */
    const char *msr;            /* capability MSR that decided, NULL when none did */
    uint64_t msr_value;
};

/* What a Debian guest needs with the fewest exits. */
struct vm_policy vm_policy_default(enum vm_interrupts interrupts);

/* What a guest needs that is the machine itself: as good as no exits. */
struct vm_policy vm_policy_thin(void);

/* Translates. On HV_ERR_UNSUPPORTED (the processor can't) or HV_ERR_INVALID (the policy
 * contradicts itself or the SDM) `why` is filled and `out` is zeroed. Every word of `out` is one
 * that VM entry accepts under `caps`. "IA-32e mode guest", the two window controls and "entry to
 * SMM" are left 0. */
HV_MUST_CHECK enum hv_err vmx_policy_to_controls(const struct vm_policy *policy,
                                                 const struct vmx_caps *caps,
                                                 struct vmx_controls *out,
                                                 struct vmx_refusal *why);

/* One word of the result. */
uint64_t vmx_controls_word(const struct vmx_controls *controls, enum vmx_word word);

/* The refusal as one line; returns the length it has, as snprintf does. */
int vmx_refusal_text(char *out, size_t bytes, const struct vmx_refusal *why);

/* The wish of that name ("hlt_exiting") inside of `policy`, or NULL: for configuration and
 * experiments, which name wishes as text. */
uint8_t *vm_policy_wish(struct vm_policy *policy, const char *name);

/* Number of wishes, and the name of wish `index`; NULL past the end. */
size_t vm_policy_wish_count(void);
const char *vm_policy_wish_name(size_t index);

/* "avoid", "prefer", "require", "forbid"; vm_wish_parse is the reverse, false when it is none. */
const char *vm_wish_name(enum vm_wish wish);
bool vm_wish_parse(const char *text, enum vm_wish *out);

/* SDM's name of control bit `bit` (0..63) of a word, NULL where the SDM defines none. */
const char *vmx_control_name(enum vmx_word word, unsigned bit);

/* What the real CR0 and CR4 hold when the guest believes in `guest_value`. */
static inline uint64_t vmx_controls_cr0(const struct vmx_controls *controls, uint64_t guest_value)
{
    return (guest_value | controls->cr0_must_be_1) & controls->cr0_may_be_1;
}

static inline uint64_t vmx_controls_cr4(const struct vmx_controls *controls, uint64_t guest_value)
{
    return (guest_value | controls->cr4_must_be_1) & controls->cr4_may_be_1;
}

#endif
