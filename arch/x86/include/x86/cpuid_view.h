/*
 * What a guest sees by CPUID: the processor's own answers, less what is not virtualized, plus the
 * hypervisor's leaves. Made once per vCPU, so that an exit is a table look-up.
 *
 * The view points into itself: it is made where it stays.
 * Pure: the processor's leaves come in through a function. A few bits follow the guest's own
 * registers (OSXSAVE, OSPKE, APIC, XSAVE area size): whoever changes one of those writes them into
 * the table with cpuid_view_follow.
 * SDM volume 2 "CPUID"; the hypervisor range 0x40000000 is a convention of hypervisors.
 */
#ifndef X86_CPUID_VIEW_H
#define X86_CPUID_VIEW_H

#include "hv/types.h"
#include "x86/cpuid.h"
#include "x86/insn.h"
#include "x86/regs.h"

#define CPUID_VIEW_MAX_ENTRIES 128
#define CPUID_VIEW_MAX_BASIC 0x16u
#define CPUID_VIEW_MAX_EXTENDED 0x80000008u
#define CPUID_VIEW_KVM_BASE 0x40000100u

/* EAX of the leaf behind it: Linux's documentation "KVM CPUID bits". */
#define KVM_FEATURE_NOP_IO_DELAY (1u << 1)
#define KVM_FEATURE_CLOCKSOURCE2 (1u << 3)
#define KVM_FEATURE_CLOCKSOURCE_STABLE (1u << 24)

/* An entry whose answer follows the guest's registers. */
enum cpuid_dynamic {
    CPUID_STATIC,
    CPUID_DYNAMIC_FEATURES, /* leaf 1: OSXSAVE, APIC */
    CPUID_DYNAMIC_OSPKE,    /* leaf 7.0 */
    CPUID_DYNAMIC_XSAVE,    /* leaf 0DH.0: EBX, the standard format's size for the current XCR0 */
    CPUID_DYNAMIC_XSAVEC,   /* leaf 0DH.1: EBX, the compacted format's */
};

struct cpuid_view_entry {
    struct cpuid_regs regs;
    uint32_t dynamic;
    uint32_t reserved[3]; /* 32 bytes: an index is a shift */
};

/* A leaf's subleaves 0 to count-1 are `entries` on. `subleaf_mask` is 0 for a leaf that ignores
 * ECX. */
struct cpuid_view_leaf {
    const struct cpuid_view_entry *entries;
    uint32_t count;
    uint32_t subleaf_mask;
    uint32_t static_count; /* as count; 0 when any of them may have changed unseen */
    uint32_t reserved;
};

/* As many places as a mask lets through; those beyond the highest leaf are empty. */
#define CPUID_VIEW_BASIC_SLOTS 32u
#define CPUID_VIEW_EXTENDED_SLOTS 16u

struct cpuid_view {
    struct cpuid_view_leaf basic[CPUID_VIEW_BASIC_SLOTS];
    struct cpuid_view_leaf extended[CPUID_VIEW_EXTENDED_SLOTS];
    struct cpuid_view_leaf hypervisor[3]; /* 0x40000000, 0x40000001, 0x40000010 */
    struct cpuid_view_leaf kvm[2];
    struct cpuid_view_entry entries[CPUID_VIEW_MAX_ENTRIES]; /* entry 0: all zeros */
    unsigned count;
    bool cr4_seen;         /* of the request */
    uint32_t has_apic;     /* the APIC bit of leaf 1 while the APIC is enabled */
};

struct cpuid_view_request {
    struct cpuid_regs (*host)(uint32_t leaf, uint32_t subleaf);
    uint32_t apic_id;
    unsigned vcpus;           /* of the VM */
    uint64_t tsc_hz;          /* as measured: what the guest is told */
    uint64_t apic_timer_hz;   /* the local APIC's timer is the machine's and has this rate; 0: it is
                               * software's, with that of cpuid_view_tsc_ratio */
    uint64_t xcr0_supported;  /* state components that the VM may enable */
    uint32_t leaf7_edx, leaf7_2_edx; /* bits that concern speculation: x86/speculation.h */
    uint32_t compacted_bytes; /* the processor's leaf 0DH.1 EBX with just those enabled */
    bool xsaves, rdtscp, invpcid; /* what the controls let through */
    bool kvm;                 /* KVM's leaves are there */
    bool cr4_seen;            /* each change of CR4.OSXSAVE and CR4.PKE is seen, and followed */
};

void cpuid_view_make(struct cpuid_view *view, const struct cpuid_view_request *request);

/* The crystal's share of the TSC as leaf 15H tells it: TSC = crystal * ratio. The local APIC's
 * timer counts the crystal. */
void cpuid_view_tsc_ratio(uint64_t tsc_hz, uint32_t *denominator, uint32_t *numerator,
                          uint32_t *crystal_hz);

/* Bytes of an XSAVE area for the components in `xcr0`: standard format, or compacted. Computed from
 * the components' own subleaves, since processors (and emulators) have told the totals wrong. SDM
 * volume 1 "XSAVE-Managed State". */
uint32_t cpuid_view_xsave_bytes(const struct cpuid_view *view, uint64_t xcr0, bool compacted);

/* The registers that a few bits follow. */
struct cpuid_view_registers {
    uint64_t cr4, xcr0;       /* as the guest believes them */
    bool apic_enabled;        /* IA32_APIC_BASE */
};

/* CR4 bits that CPUID repeats. */
#define CPUID_VIEW_CR4 (CR4_OSXSAVE | CR4_PKE)

/* Brings those bits up to date. */
void cpuid_view_follow(struct cpuid_view *view, const struct cpuid_view_registers *registers);

/* Bits of CR4 that the view allows the guest to set. */
uint64_t cpuid_view_cr4(const struct cpuid_view *view);

/* A guest chooses the leaf: the masks hold where the processor speculates past the comparison, too. */
static inline const struct cpuid_view_leaf *cpuid_view_basic(const struct cpuid_view *view,
                                                             uint32_t leaf)
{
    return &view->basic[opaque_u32(leaf) & (CPUID_VIEW_BASIC_SLOTS - 1)];
}

static inline const struct cpuid_view_leaf *cpuid_view_extended(const struct cpuid_view *view,
                                                                uint32_t leaf)
{
    return &view->extended[opaque_u32(leaf) & (CPUID_VIEW_EXTENDED_SLOTS - 1)];
}

/* The entry for a leaf and subleaf; never NULL. A basic leaf above the highest is answered as the
 * processor does, with the highest; so is one outside of every range. */
static inline const struct cpuid_view_entry *cpuid_view_find(const struct cpuid_view *view,
                                                             uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid_view_leaf *at;

    if (HV_LIKELY(leaf <= CPUID_VIEW_MAX_BASIC))
        at = cpuid_view_basic(view, leaf);
    else if (leaf - CPUID_LEAF_EXTENDED <= CPUID_VIEW_MAX_EXTENDED - CPUID_LEAF_EXTENDED)
        at = cpuid_view_extended(view, leaf);
    else if (leaf - CPUID_LEAF_HYPERVISOR <= 1)
        at = &view->hypervisor[leaf - CPUID_LEAF_HYPERVISOR];
    else if (leaf == CPUID_LEAF_HYPERVISOR_TSC)
        at = &view->hypervisor[2];
    else if (leaf - CPUID_VIEW_KVM_BASE <= 1)
        at = &view->kvm[leaf - CPUID_VIEW_KVM_BASE];
    else if (leaf - CPUID_LEAF_HYPERVISOR <= 0xffff)
        return &view->entries[0];
    else
        at = &view->basic[CPUID_VIEW_MAX_BASIC];
    subleaf &= at->subleaf_mask;
    return HV_LIKELY(subleaf < at->count) ? &at->entries[subleaf] : &view->entries[0];
}

/* The short way to a basic leaf whose table is up to date; NULL: follow, then cpuid_view_find. */
static inline const struct cpuid_regs *cpuid_view_find_static(const struct cpuid_view *view,
                                                              uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid_view_leaf *at;

    if (HV_UNLIKELY(leaf > CPUID_VIEW_MAX_BASIC))
        return NULL;
    at = cpuid_view_basic(view, leaf);
    subleaf &= at->subleaf_mask;
    return HV_LIKELY(subleaf < at->static_count) ? &at->entries[subleaf].regs : NULL;
}

#endif
