/*
 * Numbers of the model-specific registers that Trapline knows, by their SDM names, as one list that
 * gives both the constants and the names for messages.
 *
 * Not here: what a guest may do with them (msr.def), and registers of one processor model.
 * SDM volume 4 "Model-Specific Registers (MSRs)", table "IA-32 Architectural MSRs"; Linux's
 * documentation "KVM-specific MSRs".
 */
#ifndef X86_MSR_H
#define X86_MSR_H

#include <stdint.h>

#define X86_MSR_LIST(MSR)                                                                          \
    MSR(MSR_IA32_P5_MC_ADDR, 0x00000000)                                                           \
    MSR(MSR_IA32_P5_MC_TYPE, 0x00000001)                                                           \
    MSR(MSR_IA32_MONITOR_FILTER_SIZE, 0x00000006)                                                  \
    MSR(MSR_IA32_TIME_STAMP_COUNTER, 0x00000010)                                                   \
    MSR(MSR_IA32_PLATFORM_ID, 0x00000017)                                                          \
    MSR(MSR_IA32_APIC_BASE, 0x0000001b)                                                            \
    MSR(MSR_SMI_COUNT, 0x00000034)                                                                 \
    MSR(MSR_IA32_FEATURE_CONTROL, 0x0000003a)                                                      \
    MSR(MSR_IA32_TSC_ADJUST, 0x0000003b)                                                           \
    MSR(MSR_IA32_SPEC_CTRL, 0x00000048)                                                            \
    MSR(MSR_IA32_PRED_CMD, 0x00000049)                                                             \
    MSR(MSR_IA32_BIOS_UPDT_TRIG, 0x00000079)                                                       \
    MSR(MSR_IA32_BIOS_SIGN_ID, 0x0000008b)                                                         \
    MSR(MSR_IA32_SMM_MONITOR_CTL, 0x0000009b)                                                      \
    MSR(MSR_IA32_SMBASE, 0x0000009e)                                                               \
    MSR(MSR_IA32_MISC_PACKAGE_CTLS, 0x000000bc)                                                    \
    MSR(MSR_IA32_XAPIC_DISABLE_STATUS, 0x000000bd)                                                 \
    MSR(MSR_IA32_PMC0, 0x000000c1)                                                                 \
    MSR(MSR_PLATFORM_INFO, 0x000000ce)                                                             \
    MSR(MSR_IA32_CORE_CAPABILITIES, 0x000000cf)                                                    \
    MSR(MSR_IA32_UMWAIT_CONTROL, 0x000000e1)                                                       \
    MSR(MSR_IA32_MPERF, 0x000000e7)                                                                \
    MSR(MSR_IA32_APERF, 0x000000e8)                                                                \
    MSR(MSR_IA32_MTRRCAP, 0x000000fe)                                                              \
    MSR(MSR_IA32_ARCH_CAPABILITIES, 0x0000010a)                                                    \
    MSR(MSR_IA32_FLUSH_CMD, 0x0000010b)                                                            \
    MSR(MSR_IA32_TSX_CTRL, 0x00000122)                                                             \
    MSR(MSR_MISC_FEATURES_ENABLES, 0x00000140)                                                     \
    MSR(MSR_IA32_SYSENTER_CS, 0x00000174)                                                          \
    MSR(MSR_IA32_SYSENTER_ESP, 0x00000175)                                                         \
    MSR(MSR_IA32_SYSENTER_EIP, 0x00000176)                                                         \
    MSR(MSR_IA32_MCG_CAP, 0x00000179)                                                              \
    MSR(MSR_IA32_MCG_STATUS, 0x0000017a)                                                           \
    MSR(MSR_IA32_MCG_CTL, 0x0000017b)                                                              \
    MSR(MSR_IA32_PERFEVTSEL0, 0x00000186)                                                          \
    MSR(MSR_IA32_PERF_STATUS, 0x00000198)                                                          \
    MSR(MSR_IA32_PERF_CTL, 0x00000199)                                                             \
    MSR(MSR_IA32_CLOCK_MODULATION, 0x0000019a)                                                     \
    MSR(MSR_IA32_THERM_INTERRUPT, 0x0000019b)                                                      \
    MSR(MSR_IA32_THERM_STATUS, 0x0000019c)                                                         \
    MSR(MSR_IA32_MISC_ENABLE, 0x000001a0)                                                          \
    MSR(MSR_IA32_ENERGY_PERF_BIAS, 0x000001b0)                                                     \
    MSR(MSR_IA32_PACKAGE_THERM_STATUS, 0x000001b1)                                                 \
    MSR(MSR_IA32_PACKAGE_THERM_INTERRUPT, 0x000001b2)                                              \
    MSR(MSR_IA32_XFD, 0x000001c4)                                                                  \
    MSR(MSR_IA32_XFD_ERR, 0x000001c5)                                                              \
    MSR(MSR_IA32_DEBUGCTL, 0x000001d9)                                                             \
    MSR(MSR_LER_FROM_IP, 0x000001dd)                                                               \
    MSR(MSR_LER_TO_IP, 0x000001de)                                                                 \
    MSR(MSR_IA32_SMRR_PHYSBASE, 0x000001f2)                                                        \
    MSR(MSR_IA32_SMRR_PHYSMASK, 0x000001f3)                                                        \
    MSR(MSR_IA32_PLATFORM_DCA_CAP, 0x000001f8)                                                     \
    MSR(MSR_IA32_CPU_DCA_CAP, 0x000001f9)                                                          \
    MSR(MSR_IA32_DCA_0_CAP, 0x000001fa)                                                            \
    MSR(MSR_IA32_MTRR_PHYSBASE0, 0x00000200)                                                       \
    MSR(MSR_IA32_MTRR_PHYSMASK0, 0x00000201)                                                       \
    MSR(MSR_IA32_MTRR_FIX64K_00000, 0x00000250)                                                    \
    MSR(MSR_IA32_MTRR_FIX16K_80000, 0x00000258)                                                    \
    MSR(MSR_IA32_MTRR_FIX16K_A0000, 0x00000259)                                                    \
    MSR(MSR_IA32_MTRR_FIX4K_C0000, 0x00000268)                                                     \
    MSR(MSR_IA32_MTRR_FIX4K_C8000, 0x00000269)                                                     \
    MSR(MSR_IA32_MTRR_FIX4K_D0000, 0x0000026a)                                                     \
    MSR(MSR_IA32_MTRR_FIX4K_D8000, 0x0000026b)                                                     \
    MSR(MSR_IA32_MTRR_FIX4K_E0000, 0x0000026c)                                                     \
    MSR(MSR_IA32_MTRR_FIX4K_E8000, 0x0000026d)                                                     \
    MSR(MSR_IA32_MTRR_FIX4K_F0000, 0x0000026e)                                                     \
    MSR(MSR_IA32_MTRR_FIX4K_F8000, 0x0000026f)                                                     \
    MSR(MSR_IA32_PAT, 0x00000277)                                                                  \
    MSR(MSR_IA32_MC0_CTL2, 0x00000280)                                                             \
    MSR(MSR_IA32_MTRR_DEF_TYPE, 0x000002ff)                                                        \
    MSR(MSR_IA32_FIXED_CTR0, 0x00000309)                                                           \
    MSR(MSR_IA32_PERF_CAPABILITIES, 0x00000345)                                                    \
    MSR(MSR_IA32_FIXED_CTR_CTRL, 0x0000038d)                                                       \
    MSR(MSR_IA32_PERF_GLOBAL_STATUS, 0x0000038e)                                                   \
    MSR(MSR_IA32_PERF_GLOBAL_CTRL, 0x0000038f)                                                     \
    MSR(MSR_IA32_PERF_GLOBAL_OVF_CTRL, 0x00000390)                                                 \
    MSR(MSR_IA32_PERF_GLOBAL_STATUS_SET, 0x00000391)                                               \
    MSR(MSR_IA32_PERF_GLOBAL_INUSE, 0x00000392)                                                    \
    MSR(MSR_IA32_PEBS_ENABLE, 0x000003f1)                                                          \
    MSR(MSR_IA32_MC0_CTL, 0x00000400)                                                              \
    MSR(MSR_IA32_MC0_STATUS, 0x00000401)                                                           \
    MSR(MSR_IA32_MC0_ADDR, 0x00000402)                                                             \
    MSR(MSR_IA32_MC0_MISC, 0x00000403)                                                             \
    MSR(MSR_IA32_VMX_BASIC, 0x00000480)                                                            \
    MSR(MSR_IA32_VMX_PINBASED_CTLS, 0x00000481)                                                    \
    MSR(MSR_IA32_VMX_PROCBASED_CTLS, 0x00000482)                                                   \
    MSR(MSR_IA32_VMX_EXIT_CTLS, 0x00000483)                                                        \
    MSR(MSR_IA32_VMX_ENTRY_CTLS, 0x00000484)                                                       \
    MSR(MSR_IA32_VMX_MISC, 0x00000485)                                                             \
    MSR(MSR_IA32_VMX_CR0_FIXED0, 0x00000486)                                                       \
    MSR(MSR_IA32_VMX_CR0_FIXED1, 0x00000487)                                                       \
    MSR(MSR_IA32_VMX_CR4_FIXED0, 0x00000488)                                                       \
    MSR(MSR_IA32_VMX_CR4_FIXED1, 0x00000489)                                                       \
    MSR(MSR_IA32_VMX_VMCS_ENUM, 0x0000048a)                                                        \
    MSR(MSR_IA32_VMX_PROCBASED_CTLS2, 0x0000048b)                                                  \
    MSR(MSR_IA32_VMX_EPT_VPID_CAP, 0x0000048c)                                                     \
    MSR(MSR_IA32_VMX_TRUE_PINBASED_CTLS, 0x0000048d)                                               \
    MSR(MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 0x0000048e)                                              \
    MSR(MSR_IA32_VMX_TRUE_EXIT_CTLS, 0x0000048f)                                                   \
    MSR(MSR_IA32_VMX_TRUE_ENTRY_CTLS, 0x00000490)                                                  \
    MSR(MSR_IA32_VMX_VMFUNC, 0x00000491)                                                           \
    MSR(MSR_IA32_VMX_PROCBASED_CTLS3, 0x00000492)                                                  \
    MSR(MSR_IA32_VMX_EXIT_CTLS2, 0x00000493)                                                       \
    MSR(MSR_IA32_A_PMC0, 0x000004c1)                                                               \
    MSR(MSR_IA32_RTIT_OUTPUT_BASE, 0x00000560)                                                     \
    MSR(MSR_IA32_RTIT_OUTPUT_MASK_PTRS, 0x00000561)                                                \
    MSR(MSR_IA32_RTIT_CTL, 0x00000570)                                                             \
    MSR(MSR_IA32_RTIT_STATUS, 0x00000571)                                                          \
    MSR(MSR_IA32_RTIT_CR3_MATCH, 0x00000572)                                                       \
    MSR(MSR_IA32_DS_AREA, 0x00000600)                                                              \
    MSR(MSR_IA32_U_CET, 0x000006a0)                                                                \
    MSR(MSR_IA32_S_CET, 0x000006a2)                                                                \
    MSR(MSR_IA32_PL0_SSP, 0x000006a4)                                                              \
    MSR(MSR_IA32_PL1_SSP, 0x000006a5)                                                              \
    MSR(MSR_IA32_PL2_SSP, 0x000006a6)                                                              \
    MSR(MSR_IA32_PL3_SSP, 0x000006a7)                                                              \
    MSR(MSR_IA32_INTERRUPT_SSP_TABLE_ADDR, 0x000006a8)                                             \
    MSR(MSR_IA32_TSC_DEADLINE, 0x000006e0)                                                         \
    MSR(MSR_IA32_PKRS, 0x000006e1)                                                                 \
    MSR(MSR_IA32_PM_ENABLE, 0x00000770)                                                            \
    MSR(MSR_IA32_HWP_CAPABILITIES, 0x00000771)                                                     \
    MSR(MSR_IA32_HWP_REQUEST, 0x00000774)                                                          \
    MSR(MSR_IA32_X2APIC_BASE, 0x00000800)                                                          \
    MSR(MSR_IA32_X2APIC_APICID, 0x00000802)                                                        \
    MSR(MSR_IA32_X2APIC_VERSION, 0x00000803)                                                       \
    MSR(MSR_IA32_X2APIC_TPR, 0x00000808)                                                           \
    MSR(MSR_IA32_X2APIC_PPR, 0x0000080a)                                                           \
    MSR(MSR_IA32_X2APIC_EOI, 0x0000080b)                                                           \
    MSR(MSR_IA32_X2APIC_LDR, 0x0000080d)                                                           \
    MSR(MSR_IA32_X2APIC_SIVR, 0x0000080f)                                                          \
    MSR(MSR_IA32_X2APIC_ISR0, 0x00000810)                                                          \
    MSR(MSR_IA32_X2APIC_TMR0, 0x00000818)                                                          \
    MSR(MSR_IA32_X2APIC_IRR0, 0x00000820)                                                          \
    MSR(MSR_IA32_X2APIC_ESR, 0x00000828)                                                           \
    MSR(MSR_IA32_X2APIC_LVT_CMCI, 0x0000082f)                                                      \
    MSR(MSR_IA32_X2APIC_ICR, 0x00000830)                                                           \
    MSR(MSR_IA32_X2APIC_LVT_TIMER, 0x00000832)                                                     \
    MSR(MSR_IA32_X2APIC_LVT_THERMAL, 0x00000833)                                                   \
    MSR(MSR_IA32_X2APIC_LVT_PMI, 0x00000834)                                                       \
    MSR(MSR_IA32_X2APIC_LVT_LINT0, 0x00000835)                                                     \
    MSR(MSR_IA32_X2APIC_LVT_LINT1, 0x00000836)                                                     \
    MSR(MSR_IA32_X2APIC_LVT_ERROR, 0x00000837)                                                     \
    MSR(MSR_IA32_X2APIC_INIT_COUNT, 0x00000838)                                                    \
    MSR(MSR_IA32_X2APIC_CUR_COUNT, 0x00000839)                                                     \
    MSR(MSR_IA32_X2APIC_DIV_CONF, 0x0000083e)                                                      \
    MSR(MSR_IA32_X2APIC_SELF_IPI, 0x0000083f)                                                      \
    MSR(MSR_IA32_X2APIC_LAST, 0x000008ff)                                                          \
    MSR(MSR_IA32_TME_ACTIVATE, 0x00000982)                                                         \
    MSR(MSR_IA32_DEBUG_INTERFACE, 0x00000c80)                                                      \
    MSR(MSR_IA32_XSS, 0x00000da0)                                                                  \
    MSR(MSR_IA32_LBR_CTL, 0x000014ce)                                                              \
    MSR(MSR_IA32_LBR_DEPTH, 0x000014cf)                                                            \
    MSR(MSR_IA32_HW_FEEDBACK_PTR, 0x000017d0)                                                      \
    MSR(MSR_IA32_HW_FEEDBACK_CONFIG, 0x000017d1)                                                   \
    MSR(MSR_KVM_WALL_CLOCK_NEW, 0x4b564d00)                                                        \
    MSR(MSR_KVM_SYSTEM_TIME_NEW, 0x4b564d01)                                                       \
    MSR(MSR_IA32_EFER, 0xc0000080)                                                                 \
    MSR(MSR_IA32_STAR, 0xc0000081)                                                                 \
    MSR(MSR_IA32_LSTAR, 0xc0000082)                                                                \
    MSR(MSR_IA32_CSTAR, 0xc0000083)                                                                \
    MSR(MSR_IA32_FMASK, 0xc0000084)                                                                \
    MSR(MSR_IA32_FS_BASE, 0xc0000100)                                                              \
    MSR(MSR_IA32_GS_BASE, 0xc0000101)                                                              \
    MSR(MSR_IA32_KERNEL_GS_BASE, 0xc0000102)                                                       \
    MSR(MSR_IA32_TSC_AUX, 0xc0000103)

enum x86_msr {
#define X86_MSR_ENUM(name, number) name = number,
    X86_MSR_LIST(X86_MSR_ENUM)
#undef X86_MSR_ENUM
};

/* "IA32_EFER" for MSR_IA32_EFER, NULL for a number that is not in the list. */
const char *x86_msr_name(uint32_t number);

/* IA32_APIC_BASE: SDM "Local APIC Status and Location", "Detecting and Enabling x2APIC Mode". */
#define APIC_BASE_BSP       (1ull << 8)
#define APIC_BASE_EXTD      (1ull << 10) /* x2APIC mode */
#define APIC_BASE_EN        (1ull << 11)
#define APIC_BASE_ADDRESS   0x000ffffffffff000ull

/* IA32_FEATURE_CONTROL. */
#define FEATURE_CONTROL_LOCK           (1ull << 0)
#define FEATURE_CONTROL_VMX_IN_SMX     (1ull << 1)
#define FEATURE_CONTROL_VMX            (1ull << 2) /* outside SMX */
#define FEATURE_CONTROL_SENTER_LOCAL   0x7f00ull
#define FEATURE_CONTROL_SENTER_GLOBAL  (1ull << 15)
#define FEATURE_CONTROL_SGX_LC         (1ull << 17)
#define FEATURE_CONTROL_SGX            (1ull << 18)
#define FEATURE_CONTROL_LMCE           (1ull << 20)

/* IA32_ARCH_CAPABILITIES, IA32_XAPIC_DISABLE_STATUS. */
#define ARCH_CAP_RDCL_NO               (1ull << 0)
#define ARCH_CAP_IBRS_ALL              (1ull << 1)
#define ARCH_CAP_RSBA                  (1ull << 2)
#define ARCH_CAP_SKIP_L1DFL_VMENTRY    (1ull << 3)
#define ARCH_CAP_SSB_NO                (1ull << 4)
#define ARCH_CAP_MDS_NO                (1ull << 5)
#define ARCH_CAP_IF_PSCHANGE_MC_NO     (1ull << 6)
#define ARCH_CAP_TSX_CTRL              (1ull << 7)
#define ARCH_CAP_TAA_NO                (1ull << 8)
#define ARCH_CAP_SBDR_SSDP_NO          (1ull << 13)
#define ARCH_CAP_FBSDP_NO              (1ull << 14)
#define ARCH_CAP_PSDP_NO               (1ull << 15)
#define ARCH_CAP_FB_CLEAR              (1ull << 17)
#define ARCH_CAP_RRSBA                 (1ull << 19)
#define ARCH_CAP_BHI_NO                (1ull << 20)
#define ARCH_CAP_XAPIC_DISABLE_STATUS  (1ull << 21)
#define ARCH_CAP_PBRSB_NO              (1ull << 24)
#define ARCH_CAP_GDS_CTRL              (1ull << 25)
#define ARCH_CAP_GDS_NO                (1ull << 26)
#define ARCH_CAP_RFDS_NO               (1ull << 27)
#define ARCH_CAP_RFDS_CLEAR            (1ull << 28)
#define ARCH_CAP_ITS_NO                (1ull << 62) /* set by hypervisors only */
#define XAPIC_DISABLE_LEGACY           (1ull << 0)

/* IA32_SPEC_CTRL, IA32_PRED_CMD, IA32_FLUSH_CMD. */
#define SPEC_CTRL_IBRS                 (1ull << 0)
#define SPEC_CTRL_STIBP                (1ull << 1)
#define SPEC_CTRL_SSBD                 (1ull << 2)
#define SPEC_CTRL_IPRED_DIS            (3ull << 3) /* user and supervisor */
#define SPEC_CTRL_RRSBA_DIS            (3ull << 5) /* user and supervisor */
#define SPEC_CTRL_PSFD                 (1ull << 7)
#define SPEC_CTRL_DDPD_U               (1ull << 8)
#define SPEC_CTRL_BHI_DIS_S            (1ull << 10)
#define PRED_CMD_IBPB                  (1ull << 0)
#define FLUSH_CMD_L1D                  (1ull << 0)

/* IA32_TSX_CTRL. */
#define TSX_CTRL_RTM_DISABLE           (1ull << 0)
#define TSX_CTRL_CPUID_CLEAR           (1ull << 1)

/* IA32_MISC_ENABLE. */
#define MISC_ENABLE_FAST_STRINGS       (1ull << 0)
#define MISC_ENABLE_BTS_UNAVAILABLE    (1ull << 11)
#define MISC_ENABLE_PEBS_UNAVAILABLE   (1ull << 12)
#define MISC_ENABLE_MONITOR            (1ull << 18)
#define MISC_ENABLE_LIMIT_CPUID_MAXVAL (1ull << 22)
#define MISC_ENABLE_XD_DISABLE         (1ull << 34)

/* IA32_DEBUGCTL. */
#define DEBUGCTL_LBR                   (1ull << 0)
#define DEBUGCTL_BTF                   (1ull << 1)

/* IA32_TME_ACTIVATE */
#define TME_ACTIVATE_ENABLE            (1ull << 1)
#define TME_ACTIVATE_KEYID_BITS_SHIFT  32
#define TME_ACTIVATE_KEYID_BITS_MASK   0xfull

/* MTRRs: SDM "Memory Type Range Registers (MTRRs)". */
#define MTRRCAP_VCNT                   0xffull
#define MTRRCAP_FIX                    (1ull << 8)
#define MTRRCAP_WC                     (1ull << 10)
#define MTRRCAP_SMRR                   (1ull << 11)
#define MTRR_DEF_TYPE_TYPE             0xffull
#define MTRR_DEF_TYPE_FE               (1ull << 10)
#define MTRR_DEF_TYPE_E                (1ull << 11)
#define MTRR_PHYSMASK_VALID            (1ull << 11)

/* Encodings of memory types, the same in MTRRs, PAT and EPT entries. */
enum x86_memory_type {
    X86_MEMORY_UC = 0,
    X86_MEMORY_WC = 1,
    X86_MEMORY_WT = 4,
    X86_MEMORY_WP = 5,
    X86_MEMORY_WB = 6,
    X86_MEMORY_UC_MINUS = 7, /* PAT only */
};

/* IA32_PAT after reset: WB WT UC- UC, twice. */
#define PAT_RESET                      0x0007040600070406ull

#endif
