/*
 * What a processor needs so that no guest steers or reads, by speculation, what is the hypervisor's
 * or another guest's; and what a guest is shown so that it can protect itself.
 *
 * Facts in, plan out. Pure: nothing here touches the processor. Not here: carrying it out
 * (arch/x86/vmx/mitigate.c, entry.asm).
 * Intel "Speculative Execution Side Channel Mitigations", and the documents named with each decision
 * in arch/x86/vmx/speculation.c; SDM volume 4 for the MSRs, volume 2 "CPUID" for leaf 7.
 */
#ifndef X86_SPECULATION_H
#define X86_SPECULATION_H

#include "hv/types.h"
#include "x86/vmx_caps.h"

/* What one core, or all of them, says of itself. */
struct spec_facts {
    uint32_t signature;         /* CPUID leaf 1, EAX: family, model, stepping */
    uint32_t leaf7_edx;
    uint32_t leaf7_2_edx;
    uint64_t arch_capabilities; /* 0: the MSR does not exist */
    bool rtm;                   /* transactions can be begun */
    bool efficient;             /* an efficient core (Atom line) of a hybrid processor: leaf 1AH */
    bool smt;                   /* two threads share a core */
    bool ept;                   /* the guest's page tables are its own */
    bool device_memory;         /* the guest accesses device memory of the machine without an exit */
};

enum spec_mode {
    SPEC_AUTO, /* what the processor needs */
    SPEC_OFF,  /* nothing */
    SPEC_FULL, /* all that the processor has the means for, needed or not; one thread of a core */
};

/* SPEC_ISSUE(NAME, "shown name") */
#define SPEC_ISSUES(SPEC_ISSUE)                                                                    \
    SPEC_ISSUE(BRANCH_TARGETS, "branch target injection")                                          \
    SPEC_ISSUE(RETURNS, "return stack buffer")                                                     \
    SPEC_ISSUE(HISTORY, "branch history injection")                                                \
    SPEC_ISSUE(ITS, "indirect target selection")                                                   \
    SPEC_ISSUE(STORE_BYPASS, "speculative store bypass")                                           \
    SPEC_ISSUE(L1TF, "L1 terminal fault")                                                          \
    SPEC_ISSUE(MDS, "microarchitectural data sampling")                                            \
    SPEC_ISSUE(TAA, "TSX asynchronous abort")                                                      \
    SPEC_ISSUE(MMIO, "MMIO stale data")                                                            \
    SPEC_ISSUE(RFDS, "register file data sampling")                                                \
    SPEC_ISSUE(SRBDS, "special register buffer data")                                              \
    SPEC_ISSUE(GDS, "gather data sampling")                                                        \
    SPEC_ISSUE(ITLB, "machine check on page size change")

enum spec_issue {
#define SPEC_ISSUE_ENUM(name, text) SPEC_ISSUE_##name,
    SPEC_ISSUES(SPEC_ISSUE_ENUM)
#undef SPEC_ISSUE_ENUM
    SPEC_ISSUE_COUNT
};

enum spec_status {
    SPEC_NOT_AFFECTED,
    SPEC_MITIGATED,
    SPEC_GUESTS_OWN,  /* nothing crosses between guests; the guest has what it needs for itself */
    SPEC_VULNERABLE,  /* `why` says what is missing */
};

enum spec_action {
    /* At each VM exit, before anything that branches indirectly. */
    SPEC_EXIT_SPEC_CTRL = 1u << 0, /* keep the guest's IA32_SPEC_CTRL, write the host's; at entry
                                    * write the guest's */
    SPEC_EXIT_RSB_FILL = 1u << 1,
    SPEC_EXIT_RSB_ONE = 1u << 2,   /* a CALL that retires before any RET: LFENCE behind it */
    SPEC_EXIT_HISTORY = 1u << 3,   /* overwrite the branch history */
    SPEC_EXIT_IBPB = 1u << 4,
    /* At each VM entry. */
    SPEC_ENTRY_VERW = 1u << 5,
    SPEC_ENTRY_L1D = 1u << 6,      /* if more than registers was touched since the exit */
    /* When a core changes over to another vCPU. */
    SPEC_SWITCH_IBPB = 1u << 7,
    /* Once a core. */
    SPEC_START_TSX_OFF = 1u << 8,
};

#define SPEC_PATH_ACTIONS                                                                          \
    (SPEC_EXIT_SPEC_CTRL | SPEC_EXIT_RSB_FILL | SPEC_EXIT_RSB_ONE | SPEC_EXIT_HISTORY |            \
     SPEC_EXIT_IBPB | SPEC_ENTRY_VERW | SPEC_ENTRY_L1D)

/* What becomes of a guest's IA32_SPEC_CTRL. */
enum spec_guest_control {
    SPEC_GUEST_NONE,   /* there is none: #GP */
    SPEC_GUEST_PASSES, /* read and written without an exit */
    SPEC_GUEST_EXITS,  /* the guest's value, with the host's bits added, stays in the register */
};

struct spec_plan {
    uint32_t actions;         /* SPEC_EXIT_, SPEC_ENTRY_, SPEC_SWITCH_, SPEC_START_ */
    uint64_t host_spec_ctrl;  /* IA32_SPEC_CTRL in root operation; 0: left alone */
    enum spec_guest_control guest_control;
    uint64_t guest_spec_ctrl_valid; /* bits that the guest may set */
    bool guest_pred_cmd, guest_flush_cmd;
    bool guest_has_arch_capabilities;
    uint64_t guest_arch_capabilities;
    uint32_t guest_leaf7_edx, guest_leaf7_2_edx; /* of the bits that concern speculation */
    struct {
        enum spec_status status;
        const char *why;      /* what is done, or is not; a phrase */
    } issues[SPEC_ISSUE_COUNT];
};

/* What the core that `source` reads says of itself. Left to the caller: `smt`, `ept`,
 * `device_memory`. */
void spec_facts_read(struct spec_facts *facts, const struct vmx_caps_source *source);

void spec_plan_make(const struct spec_facts *facts, enum spec_mode mode, struct spec_plan *plan);

/* Narrows `common` to what it shares with another core of the machine: features both have, weaknesses
 * either has. `efficient` and `signature` stay those of `common`. */
void spec_facts_join(struct spec_facts *common, const struct spec_facts *other);

/* Two threads share a core if their APIC ids differ in the lowest `shift` bits only (CPUID leaf 0BH,
 * subleaf 0, EAX). */
static inline bool spec_same_core(uint32_t apic_id, uint32_t other, unsigned shift)
{
    return shift < 32 && apic_id >> shift == other >> shift;
}

/* The processor's line, "Skylake" and so on; "unknown" for one that is not listed. */
const char *spec_processor_name(const struct spec_facts *facts);
const char *spec_issue_name(enum spec_issue issue);
const char *spec_status_name(enum spec_status status);

#endif
