/*
 * Which bits of the MSRs that a VM entry loads this processor has: the entry checks refuse others.
 * Where the SDM ties no CPUID bit to a bit of an MSR, it counts as there. IA32_RTIT_CTL and
 * IA32_LBR_CTL are left unknown.
 * Pure; no lock. SDM volume 4 "Architectural MSRs".
 */
#include "x86/cpuid.h"
#include "x86/insn.h"
#include "x86/regs.h"
#include "x86/vmx_check.h"

#define DEBUGCTL_ALWAYS 0x7fc3u /* LBR, BTF, 6 to 14 */
#define DEBUGCTL_BUS_LOCK (1u << 2)
#define DEBUGCTL_RTM (1u << 15)
#define PERF_METRICS (1ull << 48)
#define SPEC_CTRL_SUBLEAF 2

/* All zeros where the leaf does not exist. */
static struct cpuid_regs leaf_if_there(struct cpuid_regs (*source)(uint32_t, uint32_t),
                                       uint32_t leaf, uint32_t subleaf)
{
    if (source(leaf & CPUID_LEAF_EXTENDED, 0).eax < leaf)
        return (struct cpuid_regs){ 0, 0, 0, 0 };
    return source(leaf, subleaf);
}

static uint64_t efer_bits(struct cpuid_regs (*source)(uint32_t, uint32_t))
{
    uint32_t edx = leaf_if_there(source, CPUID_LEAF_EXTENDED_FEATURES_1, 0).edx;

    return (edx & CPUID_80000001_EDX_SYSCALL ? EFER_SCE : 0) |
           (edx & CPUID_80000001_EDX_LM ? EFER_LME | EFER_LMA : 0) |
           (edx & CPUID_80000001_EDX_NX ? EFER_NXE : 0);
}

static uint64_t low_bits(unsigned count)
{
    return count < 64 ? (1ull << count) - 1 : UINT64_MAX;
}

/* General-purpose and fixed counters. */
static uint64_t perf_global_bits(struct cpuid_regs (*source)(uint32_t, uint32_t))
{
    struct cpuid_regs pmu = leaf_if_there(source, CPUID_LEAF_PMU, 0);

    if (!(pmu.eax & 0xff))
        return 0;
    return low_bits(pmu.eax >> 8 & 0xff) | (low_bits(pmu.edx & 0x1f) | pmu.ecx) << 32 |
           PERF_METRICS;
}

/* IBRS, STIBP, SSBD; then the controls of leaf 7, subleaf 2. */
static uint64_t spec_ctrl_bits(struct cpuid_regs (*source)(uint32_t, uint32_t),
                               struct cpuid_regs features)
{
    uint32_t more = 0;

    if (features.eax >= SPEC_CTRL_SUBLEAF)
        more = leaf_if_there(source, CPUID_LEAF_EXTENDED_FEATURES, SPEC_CTRL_SUBLEAF).edx;
    return (features.edx & CPUID_7_EDX_IBRS_IBPB ? 1u << 0 : 0) |
           (features.edx & CPUID_7_EDX_STIBP ? 1u << 1 : 0) |
           (features.edx & CPUID_7_EDX_SSBD ? 1u << 2 : 0) |
           (more & 1u << 1 ? 3u << 3 : 0) |  /* IPRED_DIS_U, _S */
           (more & 1u << 2 ? 3u << 5 : 0) |  /* RRSBA_DIS_U, _S */
           (more & 1u << 0 ? 1u << 7 : 0) |  /* PSFD */
           (more & 1u << 3 ? 1u << 8 : 0) |  /* DDPD_U */
           (more & 1u << 4 ? 1u << 10 : 0);  /* BHI_DIS_S */
}

void vmx_check_masks(struct vmx_check_input *input,
                     struct cpuid_regs (*source)(uint32_t leaf, uint32_t subleaf))
{
    struct cpuid_regs features = leaf_if_there(source, CPUID_LEAF_EXTENDED_FEATURES, 0);

    input->efer_valid = efer_bits(source);
    input->debugctl_valid = DEBUGCTL_ALWAYS |
                            (features.ecx & CPUID_7_ECX_BUS_LOCK ? DEBUGCTL_BUS_LOCK : 0) |
                            (features.ebx & CPUID_7_EBX_RTM ? DEBUGCTL_RTM : 0);
    input->perf_global_valid = perf_global_bits(source);
    input->spec_ctrl_valid = spec_ctrl_bits(source, features);
}
