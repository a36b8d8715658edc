/*
 * Leaves and bits of CPUID that Trapline looks at.
 * Not here: what a guest sees of them. SDM volume 2 "CPUID".
 */
#ifndef X86_CPUID_H
#define X86_CPUID_H

#include <stdint.h>

enum cpuid_leaf {
    CPUID_LEAF_VENDOR = 0x0,          /* EAX: highest basic leaf */
    CPUID_LEAF_FEATURES = 0x1,
    CPUID_LEAF_CACHE_DESCRIPTORS = 0x2,
    CPUID_LEAF_CACHE = 0x4,
    CPUID_LEAF_MWAIT = 0x5,
    CPUID_LEAF_POWER = 0x6,
    CPUID_LEAF_EXTENDED_FEATURES = 0x7,
    CPUID_LEAF_PMU = 0xa,
    CPUID_LEAF_TOPOLOGY = 0xb,
    CPUID_LEAF_XSAVE = 0xd,
    CPUID_LEAF_RDT_MONITORING = 0xf,
    CPUID_LEAF_RDT_ALLOCATION = 0x10,
    CPUID_LEAF_SGX = 0x12,
    CPUID_LEAF_PT = 0x14,
    CPUID_LEAF_TSC = 0x15,
    CPUID_LEAF_FREQUENCY = 0x16,
    CPUID_LEAF_TLB = 0x18,
    CPUID_LEAF_KEY_LOCKER = 0x19,
    CPUID_LEAF_HYBRID = 0x1a,
    CPUID_LEAF_LBR = 0x1c,
    CPUID_LEAF_TOPOLOGY_V2 = 0x1f,
    CPUID_LEAF_PMU_V2 = 0x23,
};

#define CPUID_LEAF_HYPERVISOR     0x40000000u
#define CPUID_LEAF_HYPERVISOR_TSC 0x40000010u /* EAX: TSC in kHz, EBX: APIC timer in kHz */
#define CPUID_LEAF_EXTENDED       0x80000000u /* EAX: highest extended leaf */
#define CPUID_LEAF_EXTENDED_FEATURES_1 0x80000001u
#define CPUID_LEAF_BRAND          0x80000002u /* and the next two */
#define CPUID_LEAF_APM            0x80000007u
#define CPUID_LEAF_ADDRESS_SIZES  0x80000008u

/* Leaf 1, ECX. */
#define CPUID_1_ECX_SSE3          (1u << 0)
#define CPUID_1_ECX_PCLMULQDQ     (1u << 1)
#define CPUID_1_ECX_DTES64        (1u << 2)
#define CPUID_1_ECX_MONITOR       (1u << 3)
#define CPUID_1_ECX_DS_CPL        (1u << 4)
#define CPUID_1_ECX_VMX           (1u << 5)
#define CPUID_1_ECX_SMX           (1u << 6)
#define CPUID_1_ECX_EIST          (1u << 7)
#define CPUID_1_ECX_TM2           (1u << 8)
#define CPUID_1_ECX_SSSE3         (1u << 9)
#define CPUID_1_ECX_CNXT_ID       (1u << 10)
#define CPUID_1_ECX_SDBG          (1u << 11)
#define CPUID_1_ECX_FMA           (1u << 12)
#define CPUID_1_ECX_CMPXCHG16B    (1u << 13)
#define CPUID_1_ECX_XTPR          (1u << 14)
#define CPUID_1_ECX_PDCM          (1u << 15)
#define CPUID_1_ECX_PCID          (1u << 17)
#define CPUID_1_ECX_DCA           (1u << 18)
#define CPUID_1_ECX_SSE4_1        (1u << 19)
#define CPUID_1_ECX_SSE4_2        (1u << 20)
#define CPUID_1_ECX_X2APIC        (1u << 21)
#define CPUID_1_ECX_MOVBE         (1u << 22)
#define CPUID_1_ECX_POPCNT        (1u << 23)
#define CPUID_1_ECX_TSC_DEADLINE  (1u << 24)
#define CPUID_1_ECX_AES           (1u << 25)
#define CPUID_1_ECX_XSAVE         (1u << 26)
#define CPUID_1_ECX_OSXSAVE       (1u << 27)
#define CPUID_1_ECX_AVX           (1u << 28)
#define CPUID_1_ECX_F16C          (1u << 29)
#define CPUID_1_ECX_RDRAND        (1u << 30)
#define CPUID_1_ECX_HYPERVISOR    (1u << 31)

/* Leaf 1, EDX. */
#define CPUID_1_EDX_FPU           (1u << 0)
#define CPUID_1_EDX_VME           (1u << 1)
#define CPUID_1_EDX_DE            (1u << 2)
#define CPUID_1_EDX_PSE           (1u << 3)
#define CPUID_1_EDX_TSC           (1u << 4)
#define CPUID_1_EDX_MSR           (1u << 5)
#define CPUID_1_EDX_PAE           (1u << 6)
#define CPUID_1_EDX_MCE           (1u << 7)
#define CPUID_1_EDX_CX8           (1u << 8)
#define CPUID_1_EDX_APIC          (1u << 9)
#define CPUID_1_EDX_SEP           (1u << 11)
#define CPUID_1_EDX_MTRR          (1u << 12)
#define CPUID_1_EDX_PGE           (1u << 13)
#define CPUID_1_EDX_MCA           (1u << 14)
#define CPUID_1_EDX_CMOV          (1u << 15)
#define CPUID_1_EDX_PAT           (1u << 16)
#define CPUID_1_EDX_PSE36         (1u << 17)
#define CPUID_1_EDX_PSN           (1u << 18)
#define CPUID_1_EDX_CLFSH         (1u << 19)
#define CPUID_1_EDX_DS            (1u << 21)
#define CPUID_1_EDX_ACPI          (1u << 22)
#define CPUID_1_EDX_MMX           (1u << 23)
#define CPUID_1_EDX_FXSR          (1u << 24)
#define CPUID_1_EDX_SSE           (1u << 25)
#define CPUID_1_EDX_SSE2          (1u << 26)
#define CPUID_1_EDX_SS            (1u << 27)
#define CPUID_1_EDX_HTT           (1u << 28)
#define CPUID_1_EDX_TM            (1u << 29)
#define CPUID_1_EDX_PBE           (1u << 31)

/* Leaf 7, subleaf 0. */
#define CPUID_23_EAX_PEBS         (1u << 4 | 1u << 5) /* subleaves of architectural PEBS */
#define CPUID_7_EBX_FSGSBASE      (1u << 0)
#define CPUID_7_EBX_TSC_ADJUST    (1u << 1)
#define CPUID_7_EBX_SGX           (1u << 2)
#define CPUID_7_EBX_BMI1          (1u << 3)
#define CPUID_7_EBX_HLE           (1u << 4)
#define CPUID_7_EBX_AVX2          (1u << 5)
#define CPUID_7_EBX_SMEP          (1u << 7)
#define CPUID_7_EBX_BMI2          (1u << 8)
#define CPUID_7_EBX_ERMS          (1u << 9)
#define CPUID_7_EBX_INVPCID       (1u << 10)
#define CPUID_7_EBX_RTM           (1u << 11)
#define CPUID_7_EBX_PQM           (1u << 12)
#define CPUID_7_EBX_MPX           (1u << 14)
#define CPUID_7_EBX_PQE           (1u << 15)
#define CPUID_7_EBX_AVX512F       (1u << 16)
#define CPUID_7_EBX_AVX512DQ      (1u << 17)
#define CPUID_7_EBX_RDSEED        (1u << 18)
#define CPUID_7_EBX_ADX           (1u << 19)
#define CPUID_7_EBX_SMAP          (1u << 20)
#define CPUID_7_EBX_AVX512_IFMA   (1u << 21)
#define CPUID_7_EBX_CLFLUSHOPT    (1u << 23)
#define CPUID_7_EBX_CLWB          (1u << 24)
#define CPUID_7_EBX_PT            (1u << 25)
#define CPUID_7_EBX_AVX512CD      (1u << 28)
#define CPUID_7_EBX_SHA           (1u << 29)
#define CPUID_7_EBX_AVX512BW      (1u << 30)
#define CPUID_7_EBX_AVX512VL      (1u << 31)
#define CPUID_7_ECX_UMIP          (1u << 2)
#define CPUID_7_ECX_PKU           (1u << 3)
#define CPUID_7_ECX_OSPKE         (1u << 4)
#define CPUID_7_ECX_WAITPKG       (1u << 5)
#define CPUID_7_ECX_CET_SS        (1u << 7)
#define CPUID_7_ECX_TME           (1u << 13)
#define CPUID_7_ECX_LA57          (1u << 16)
#define CPUID_7_ECX_RDPID         (1u << 22)
#define CPUID_7_ECX_KL            (1u << 23)
#define CPUID_7_ECX_BUS_LOCK      (1u << 24)
#define CPUID_7_ECX_ENQCMD        (1u << 29)
#define CPUID_7_ECX_PKS           (1u << 31)
#define CPUID_7_1_EAX_MSRLIST     (1u << 27) /* subleaf 1 */
#define CPUID_7_1_ECX_MSR_IMM     (1u << 5)
#define CPUID_7_1_EDX_USER_MSR    (1u << 15)
#define CPUID_7_EDX_UINTR         (1u << 5)
#define CPUID_7_EDX_SRBDS_CTRL    (1u << 9)
#define CPUID_7_EDX_MD_CLEAR      (1u << 10)
#define CPUID_7_EDX_HYBRID        (1u << 15)
#define CPUID_7_EDX_PCONFIG       (1u << 18)
#define CPUID_7_EDX_ARCH_LBR      (1u << 19)
#define CPUID_7_EDX_CET_IBT       (1u << 20)
#define CPUID_7_EDX_IBRS_IBPB     (1u << 26) /* IA32_SPEC_CTRL.IBRS and IA32_PRED_CMD */
#define CPUID_7_EDX_STIBP         (1u << 27)
#define CPUID_7_EDX_L1D_FLUSH     (1u << 28)
#define CPUID_7_EDX_ARCH_CAP      (1u << 29)
#define CPUID_7_EDX_CORE_CAP      (1u << 30)
#define CPUID_7_EDX_SSBD          (1u << 31)

/* Leaf 7, subleaf 2: bits of IA32_SPEC_CTRL that exist. */
#define CPUID_7_2_EDX_PSFD        (1u << 0)
#define CPUID_7_2_EDX_IPRED_CTRL  (1u << 1)
#define CPUID_7_2_EDX_RRSBA_CTRL  (1u << 2)
#define CPUID_7_2_EDX_DDPD_U      (1u << 3)
#define CPUID_7_2_EDX_BHI_CTRL    (1u << 4)
#define CPUID_7_2_EDX_MCDT_NO     (1u << 5)

/* Leaf 1AH. */
#define CPUID_1A_EAX_CORE_TYPE_SHIFT 24
#define CPUID_1A_CORE_TYPE_ATOM   0x20u

/* Leaf 0DH, subleaf 1. */
#define CPUID_D_1_EAX_XSAVEOPT    (1u << 0)
#define CPUID_D_1_EAX_XSAVEC      (1u << 1)
#define CPUID_D_1_EAX_XGETBV_1    (1u << 2)
#define CPUID_D_1_EAX_XSAVES      (1u << 3)
#define CPUID_D_1_EAX_XFD         (1u << 4)

/* Extended leaves. */
#define CPUID_80000001_ECX_LAHF   (1u << 0)
#define CPUID_80000001_EDX_SYSCALL (1u << 11)
#define CPUID_80000001_EDX_NX     (1u << 20)
#define CPUID_80000001_EDX_PAGE1G (1u << 26)
#define CPUID_80000001_EDX_RDTSCP (1u << 27)
#define CPUID_80000001_EDX_LM     (1u << 29)
#define CPUID_80000007_EDX_INVARIANT_TSC (1u << 8)

#endif
