/*
 * Architectural register names: general-purpose registers in the order in which instructions
 * encode them, RFLAGS, the control registers, EFER, exception vectors, #PF error code bits.
 *
 * Not here: MSR numbers (msr.def), VMCS fields, descriptor tables, CPUID.
 * Only constants and plain structs; no lock.
 * SDM volume 1 "Basic Execution Environment"; volume 3 "Control Registers",
 * "Extended Feature Enable Register", "Interrupt and Exception Handling".
 */
#ifndef X86_REGS_H
#define X86_REGS_H

#include <stdbool.h>
#include <stdint.h>

/* General-purpose registers: SDM volume 2 "Instruction Format", ModR/M reg field with REX.R. */
enum x86_gpr {
    X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI,
    X86_R8,  X86_R9,  X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15,
    X86_GPR_COUNT
};

struct x86_gprs {
    uint64_t r[X86_GPR_COUNT];
};

_Static_assert(sizeof(struct x86_gprs) == 128, "assembly stores sixteen 8-byte registers");

/* Segment registers: SDM volume 2 "MOV" (Sreg), in encoding order. */
enum x86_seg { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_SEG_COUNT };

/* SDM volume 1 "EFLAGS Register". */
#define RFLAGS_CF               0x00000001ull
#define RFLAGS_FIXED1           0x00000002ull
#define RFLAGS_PF               0x00000004ull
#define RFLAGS_AF               0x00000010ull
#define RFLAGS_ZF               0x00000040ull
#define RFLAGS_SF               0x00000080ull
#define RFLAGS_TF               0x00000100ull
#define RFLAGS_IF               0x00000200ull
#define RFLAGS_DF               0x00000400ull
#define RFLAGS_OF               0x00000800ull
#define RFLAGS_IOPL             0x00003000ull
#define RFLAGS_IOPL_SHIFT       12
#define RFLAGS_NT               0x00004000ull
#define RFLAGS_RF               0x00010000ull
#define RFLAGS_VM               0x00020000ull
#define RFLAGS_AC               0x00040000ull
#define RFLAGS_VIF              0x00080000ull
#define RFLAGS_VIP              0x00100000ull
#define RFLAGS_ID               0x00200000ull

/* The six flags that arithmetic writes. */
#define RFLAGS_STATUS \
    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define RFLAGS_DEFINED \
    (RFLAGS_STATUS | RFLAGS_FIXED1 | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | \
     RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID)

/* SDM volume 3 "Control Registers". */
#define CR0_PE                  0x00000001ull
#define CR0_MP                  0x00000002ull
#define CR0_EM                  0x00000004ull
#define CR0_TS                  0x00000008ull
#define CR0_ET                  0x00000010ull
#define CR0_NE                  0x00000020ull
#define CR0_WP                  0x00010000ull
#define CR0_AM                  0x00040000ull
#define CR0_NW                  0x20000000ull
#define CR0_CD                  0x40000000ull
#define CR0_PG                  0x80000000ull
#define CR0_DEFINED \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | \
     CR0_CD | CR0_PG)

#define CR3_PWT                 0x00000008ull
#define CR3_PCD                 0x00000010ull
#define CR3_PCID_MASK           0x00000fffull
#define CR3_LAM_U57             (1ull << 61)
#define CR3_LAM_U48             (1ull << 62)
#define CR3_NOFLUSH             (1ull << 63)

#define CR4_VME                 (1ull << 0)
#define CR4_PVI                 (1ull << 1)
#define CR4_TSD                 (1ull << 2)
#define CR4_DE                  (1ull << 3)
#define CR4_PSE                 (1ull << 4)
#define CR4_PAE                 (1ull << 5)
#define CR4_MCE                 (1ull << 6)
#define CR4_PGE                 (1ull << 7)
#define CR4_PCE                 (1ull << 8)
#define CR4_OSFXSR              (1ull << 9)
#define CR4_OSXMMEXCPT          (1ull << 10)
#define CR4_UMIP                (1ull << 11)
#define CR4_LA57                (1ull << 12)
#define CR4_VMXE                (1ull << 13)
#define CR4_SMXE                (1ull << 14)
#define CR4_FSGSBASE            (1ull << 16)
#define CR4_PCIDE               (1ull << 17)
#define CR4_OSXSAVE             (1ull << 18)
#define CR4_KL                  (1ull << 19)
#define CR4_SMEP                (1ull << 20)
#define CR4_SMAP                (1ull << 21)
#define CR4_PKE                 (1ull << 22)
#define CR4_CET                 (1ull << 23)
#define CR4_PKS                 (1ull << 24)
#define CR4_UINTR               (1ull << 25)
#define CR4_LASS                (1ull << 27)
#define CR4_LAM_SUP             (1ull << 28)
#define CR4_FRED                (1ull << 32)

#define CR8_TPR_MASK            0x0full

/* SDM volume 3 "Extended Control Registers (Including XCR0)". */
#define XCR0_X87                (1ull << 0)
#define XCR0_SSE                (1ull << 1)
#define XCR0_AVX                (1ull << 2)
#define XCR0_BNDREGS            (1ull << 3)
#define XCR0_BNDCSR             (1ull << 4)
#define XCR0_OPMASK             (1ull << 5)
#define XCR0_ZMM_HI256          (1ull << 6)
#define XCR0_HI16_ZMM           (1ull << 7)
#define XCR0_PKRU               (1ull << 9)
#define XCR0_TILECFG            (1ull << 17)
#define XCR0_TILEDATA           (1ull << 18)

/* SDM volume 3 "Extended Feature Enable Register". */
#define EFER_SCE                (1ull << 0)
#define EFER_LME                (1ull << 8)
#define EFER_LMA                (1ull << 10)
#define EFER_NXE                (1ull << 11)
#define EFER_DEFINED            (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

/* SDM volume 3 "Debug Registers". */
#define DR6_B0                  0x00000001ull
#define DR6_B1                  0x00000002ull
#define DR6_B2                  0x00000004ull
#define DR6_B3                  0x00000008ull
#define DR6_BLD                 0x00000800ull  /* cleared by a bus-lock trap */
#define DR6_BD                  0x00002000ull
#define DR6_BS                  0x00004000ull
#define DR6_BT                  0x00008000ull
#define DR6_RTM                 0x00010000ull  /* cleared by #DB inside RTM */
#define DR6_INIT                0xffff0ff0ull
#define DR7_LE                  0x00000100ull
#define DR7_GE                  0x00000200ull
#define DR7_FIXED1              0x00000400ull
#define DR7_RTM                 0x00000800ull
#define DR7_GD                  0x00002000ull
#define DR7_INIT                0x00000400ull

/* SDM volume 3 "Exception and Interrupt Vectors". */
enum x86_exception {
    X86_EXC_DE = 0,   /* divide error */
    X86_EXC_DB = 1,   /* debug */
    X86_EXC_NMI = 2,
    X86_EXC_BP = 3,   /* breakpoint */
    X86_EXC_OF = 4,   /* overflow */
    X86_EXC_BR = 5,   /* BOUND range exceeded */
    X86_EXC_UD = 6,   /* invalid opcode */
    X86_EXC_NM = 7,   /* device not available */
    X86_EXC_DF = 8,   /* double fault */
    X86_EXC_CSO = 9,  /* coprocessor segment overrun, never raised since the 80386 */
    X86_EXC_TS = 10,  /* invalid TSS */
    X86_EXC_NP = 11,  /* segment not present */
    X86_EXC_SS = 12,  /* stack-segment fault */
    X86_EXC_GP = 13,  /* general protection */
    X86_EXC_PF = 14,  /* page fault */
    X86_EXC_MF = 16,  /* x87 floating-point error */
    X86_EXC_AC = 17,  /* alignment check */
    X86_EXC_MC = 18,  /* machine check */
    X86_EXC_XM = 19,  /* SIMD floating-point */
    X86_EXC_VE = 20,  /* virtualization */
    X86_EXC_CP = 21,  /* control protection */
    X86_EXC_COUNT = 32
};

/* Vectors below 32 that push an error code: SDM volume 3 "Error Code". */
#define X86_EXC_HAS_ERROR_MASK \
    ((1u << X86_EXC_DF) | (1u << X86_EXC_TS) | (1u << X86_EXC_NP) | (1u << X86_EXC_SS) | \
     (1u << X86_EXC_GP) | (1u << X86_EXC_PF) | (1u << X86_EXC_AC) | (1u << X86_EXC_CP))

/* SDM volume 3 "Page-Fault Exceptions": error code. */
#define X86_PF_P                0x00000001u
#define X86_PF_W                0x00000002u
#define X86_PF_U                0x00000004u
#define X86_PF_RSVD             0x00000008u
#define X86_PF_I                0x00000010u
#define X86_PF_PK               0x00000020u
#define X86_PF_SS               0x00000040u
#define X86_PF_HLAT             0x00000080u
#define X86_PF_SGX              0x00008000u

/* An exception to be delivered to the guest. `cr2` has a meaning only for X86_EXC_PF. */
struct x86_fault {
    uint8_t vector;
    bool has_error;
    uint32_t error;
    uint64_t cr2;
};

#endif
