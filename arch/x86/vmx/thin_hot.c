/*
 * CPUID in thin mode, nearly all that ever exits: answered without a call. Called as the hot ways of
 * hot.c are, under the same rule about registers (Makefile).
 *
 * Its owner's leaves (x86/thin.h) are not recorded, so that looking at the exits does not change
 * them. The machine's own are what the processor says, and leave the same record as on the long way
 * (thin_exits.c), which the leaves take that thin mode changes.
 * No lock: the core's own counters.
 */
#include "arch/x86/vmx/hot.h"
#include "arch/x86/vmx/thin_internal.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define RECORDED (VMX_RECORD_TICKS | VMX_RECORD_RING)

/* As hot_is_plain, without the timer that such a guest does not have. */
ALWAYS_INLINE bool is_plain(const struct vmx_vcpu *v, uint64_t *at,
                            uint64_t *next)
{
    uint64_t rip = *at = vmread_unchecked(VMCS_GUEST_RIP);
    uint64_t unusual = vmread_unchecked(VMCS_GUEST_INTERRUPTIBILITY_STATE) & HOT_BLOCKING_ENDS;

    *next = rip + vmread_unchecked(VMCS_EXIT_INSTRUCTION_LENGTH);
    unusual |= vmread_unchecked(VMCS_GUEST_RFLAGS) & (RFLAGS_TF | RFLAGS_RF);
    return !(unusual | v->attention | (rip ^ *next) >> 32);
}

ALWAYS_INLINE void set_pair(uint64_t *r, uint64_t first, uint64_t second)
{
    r[X86_RAX] = (uint32_t)first;
    r[X86_RBX] = first >> 32;
    r[X86_RCX] = (uint32_t)second;
    r[X86_RDX] = second >> 32;
}

ALWAYS_INLINE void answer_signature(uint64_t *r)
{
    r[X86_RAX] = THIN_LEAF_LAST;
    r[X86_RBX] = 0x70617254; /* "Trap" */
    r[X86_RCX] = 0x656e696c; /* "line" */
    r[X86_RDX] = 0x6e696854; /* "Thin" */
}

ALWAYS_INLINE void answer_exits(const struct vmx_vcpu *v, uint64_t *r)
{
    uint32_t reason = (uint32_t)r[X86_RCX];

    if (reason >= VMEXIT_COUNT)
        set_pair(r, 0, 0);
    else
        set_pair(r, v->exits[reason], v->recorder.stats->row[reason].sum);
}

ALWAYS_INLINE void answer_caps(const struct vmx_vcpu *v, uint64_t *r)
{
    const struct thin_machine *m = HV_CONTAINER_OF(v->vm, struct thin_machine, x);
    const struct vmx_controls *c = v->controls;
    uint32_t what = (uint32_t)r[X86_RCX];

    if (what == THIN_CAPS_PIN_CPU)
        set_pair(r, c->pin, c->cpu);
    else if (what == THIN_CAPS_CPU2_CPU3)
        set_pair(r, c->cpu2, c->cpu3);
    else if (what == THIN_CAPS_EXIT_ENTRY)
        set_pair(r, c->exit, c->entry);
    else if (what == THIN_CAPS_CR0_CR4)
        set_pair(r, c->cr0_mask, c->cr4_mask);
    else if (what == THIN_CAPS_EPT)
        set_pair(r, m->x.eptp, m->x.ept.leaves[2] | m->x.ept.leaves[1] << 32);
    else if (what == THIN_CAPS_BLOCK)
        set_pair(r, m->setup.block_start, m->setup.block_bytes);
    else
        set_pair(r, 0, 0);
}

ALWAYS_INLINE void answer_owner(struct vmx_vcpu *v, uint32_t leaf)
{
    uint64_t *r = v->gprs.r;

    if (leaf == THIN_LEAF_FIRST) {
        answer_signature(r);
    } else if (leaf == THIN_LEAF_CORE) {
        r[X86_RAX] = THIN_VERSION;
        r[X86_RBX] = v->vcpu.vm->vcpu_count;
        r[X86_RCX] = VMEXIT_COUNT;
        r[X86_RDX] = v->vcpu.index;
    } else if (leaf == THIN_LEAF_EXITS) {
        answer_exits(v, r);
    } else {
        answer_caps(v, r);
    }
}

/* Nothing in the answer is ours to change; and the record is the one that is made here. */
ALWAYS_INLINE bool is_the_processors(const struct vmx_vcpu *v, uint32_t leaf)
{
    return !thin_changes_leaf(leaf) && HV_LIKELY(v->recorder.what == RECORDED);
}

ALWAYS_INLINE void answer_processor(struct vmx_vcpu *v, uint64_t rip)
{
    uint64_t *r = v->gprs.r, begin_tsc = rdtsc();
    uint64_t detail = (uint32_t)r[X86_RAX] | r[X86_RCX] << 32;
    struct cpuid_regs regs = cpuid((uint32_t)r[X86_RAX], (uint32_t)r[X86_RCX]);

    r[X86_RAX] = regs.eax;
    r[X86_RBX] = regs.ebx;
    r[X86_RCX] = regs.ecx;
    r[X86_RDX] = regs.edx;
    v->exits[VMEXIT_CPUID]++;
    hot_record(v, RECORDED, VMEXIT_CPUID, rip, begin_tsc, detail);
}

static struct vmx_vcpu *thin_hot_cpuid(struct vmx_vcpu *v)
{
    uint32_t leaf = (uint32_t)v->gprs.r[X86_RAX];
    bool owner = leaf - THIN_LEAF_FIRST <= THIN_LEAF_LAST - THIN_LEAF_FIRST;
    uint64_t rip, next;

    if (!(owner || is_the_processors(v, leaf)) || !is_plain(v, &rip, &next))
        return NULL;
    if (HV_UNLIKELY(owner))
        answer_owner(v, leaf);
    else
        answer_processor(v, rip);
    vmwrite_unchecked(VMCS_GUEST_RIP, next);
    return v;
}

static struct vmx_vcpu *thin_hot_none(struct vmx_vcpu *v)
{
    (void)v;
    return NULL;
}

const struct vmx_hot vmx_thin_ways = {
    thin_hot_cpuid, thin_hot_none, { vmx_warm_refuse, vmx_warm_refuse, vmx_warm_refuse }
};
