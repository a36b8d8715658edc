/*
 * What the bits inside of VMCS fields mean: controls, event information, interruptibility,
 * activity, access rights, exit reason, exit qualifications, instruction information.
 *
 * Not here: which controls this processor allows (x86/vmx_caps.h), the numbers of exit reasons
 * (exits.def), field encodings (x86/vmcs.h).
 * Constants and pure functions; no lock.
 * SDM volume 3 "Virtual-Machine Control Structures", "VM Exits".
 */
#ifndef X86_VMX_BITS_H
#define X86_VMX_BITS_H

#include "hv/types.h"

/* --- control words: PIN_NMI_EXITING, CPU_HLT_EXITING, CPU2_ENABLE_EPT, ... --- */
enum vmx_word {
    VMX_WORD_PIN, VMX_WORD_CPU, VMX_WORD_CPU2, VMX_WORD_CPU3,
    VMX_WORD_EXIT, VMX_WORD_EXIT2, VMX_WORD_ENTRY, VMX_WORD_COUNT
};

enum vmx_control_bits {
#define VMX_CONTROL(word, name, bit, text) word##_##name = 1u << (bit),
#include "arch/x86/vmx/vmx_controls.def"
#undef VMX_CONTROL
};

/* --- event information: SDM "VM-Entry Controls for Event Injection", "Information for VM Exits
 * Due to Vectored Events", "Information for VM Exits That Occur During Event Delivery" --- */
#define VMX_INTR_VECTOR_MASK     0x000000ffu
#define VMX_INTR_TYPE_MASK       0x00000700u
#define VMX_INTR_TYPE_SHIFT      8
#define VMX_INTR_ERROR_CODE      0x00000800u /* an error code is delivered, or valid */
#define VMX_INTR_NMI_UNBLOCKED   0x00001000u /* exits only: NMI unblocking due to IRET */
#define VMX_INTR_NESTED          0x00002000u /* nested exception: FRED only */
#define VMX_INTR_VALID           0x80000000u
#define VMX_INTR_ENTRY_RESERVED  0x7ffff000u /* on entry, where FRED does not add bit 13 */

enum vmx_intr_type {
    VMX_INTR_EXTERNAL = 0,
    VMX_INTR_RESERVED = 1,
    VMX_INTR_NMI = 2,
    VMX_INTR_HARDWARE_EXCEPTION = 3,
    VMX_INTR_SOFTWARE_INTERRUPT = 4,
    VMX_INTR_PRIVILEGED_SOFTWARE_EXCEPTION = 5, /* INT1 */
    VMX_INTR_SOFTWARE_EXCEPTION = 6,            /* INT3, INTO */
    VMX_INTR_OTHER_EVENT = 7,                   /* entry: pending MTF exit; FRED: SYSCALL ... */
};

static inline bool vmx_intr_valid(uint32_t info)
{
    return info & VMX_INTR_VALID;
}

static inline uint8_t vmx_intr_vector(uint32_t info)
{
    return (uint8_t)info;
}

static inline enum vmx_intr_type vmx_intr_type(uint32_t info)
{
    return (enum vmx_intr_type)((info & VMX_INTR_TYPE_MASK) >> VMX_INTR_TYPE_SHIFT);
}

static inline uint32_t vmx_intr_make(enum vmx_intr_type type, uint8_t vector, bool error_code)
{
    return VMX_INTR_VALID | (uint32_t)type << VMX_INTR_TYPE_SHIFT | vector |
           (error_code ? VMX_INTR_ERROR_CODE : 0);
}

/* Software events return to the next instruction: entry needs their instruction length. */
static inline bool vmx_intr_is_software(uint32_t info)
{
    enum vmx_intr_type type = vmx_intr_type(info);
    return type == VMX_INTR_SOFTWARE_INTERRUPT || type == VMX_INTR_SOFTWARE_EXCEPTION ||
           type == VMX_INTR_PRIVILEGED_SOFTWARE_EXCEPTION;
}

/* What to write into VMCS_ENTRY_INTERRUPTION_INFORMATION so that an event whose delivery an exit
 * interrupted is delivered again: bit 12 is undefined in the IDT-vectoring information and must
 * be 0 on entry. */
static inline uint32_t vmx_intr_from_idt_vectoring(uint32_t info)
{
    return info & (VMX_INTR_VECTOR_MASK | VMX_INTR_TYPE_MASK | VMX_INTR_ERROR_CODE |
                   VMX_INTR_NESTED | VMX_INTR_VALID);
}

/* --- interruptibility and activity: SDM "Guest Non-Register State" --- */
#define VMX_BLOCKING_BY_STI      0x00000001u
#define VMX_BLOCKING_BY_MOV_SS   0x00000002u
#define VMX_BLOCKING_BY_SMI      0x00000004u
#define VMX_BLOCKING_BY_NMI      0x00000008u
#define VMX_ENCLAVE_INTERRUPTION 0x00000010u
#define VMX_INTERRUPTIBILITY_RESERVED 0xffffffe0u

enum vmx_activity {
    VMX_ACTIVITY_ACTIVE, VMX_ACTIVITY_HLT, VMX_ACTIVITY_SHUTDOWN, VMX_ACTIVITY_WAIT_FOR_SIPI
};

/* --- pending debug exceptions: SDM "Guest Non-Register State" --- */
#define VMX_PENDING_DBG_B0_B3    0x0000000full
#define VMX_PENDING_DBG_BLD      0x00000800ull
#define VMX_PENDING_DBG_ENABLED  0x00001000ull /* an enabled breakpoint was met */
#define VMX_PENDING_DBG_BS       0x00004000ull
#define VMX_PENDING_DBG_RTM      0x00010000ull

/* --- segment access rights: SDM "Guest Register State" --- */
#define VMX_AR_TYPE_MASK         0x0000000fu
#define VMX_AR_ACCESSED          0x00000001u /* code and data segments */
#define VMX_AR_WRITABLE          0x00000002u /* data; for code it is readable */
#define VMX_AR_CONFORMING        0x00000004u /* code; for data it is expand-down */
#define VMX_AR_CODE              0x00000008u
#define VMX_AR_S                 0x00000010u
#define VMX_AR_DPL_MASK          0x00000060u
#define VMX_AR_DPL_SHIFT         5
#define VMX_AR_P                 0x00000080u
#define VMX_AR_AVL               0x00001000u
#define VMX_AR_L                 0x00002000u
#define VMX_AR_DB                0x00004000u
#define VMX_AR_G                 0x00008000u
#define VMX_AR_UNUSABLE          0x00010000u
#define VMX_AR_RESERVED          0xfffe0f00u
/* System-segment types. */
#define VMX_AR_TYPE_LDT          2u
#define VMX_AR_TYPE_TSS16_BUSY   3u
#define VMX_AR_TYPE_TSS_BUSY     11u

static inline unsigned vmx_ar_dpl(uint32_t rights)
{
    return (rights & VMX_AR_DPL_MASK) >> VMX_AR_DPL_SHIFT;
}

/* A descriptor's bytes 5 and 6 hold the rights as bits 7:0 and 15:12; `high` is its second
 * doubleword. */
static inline uint32_t vmx_ar_from_descriptor(uint32_t high)
{
    return high >> 8 & 0xf0ff;
}

/* --- exit reason: SDM "Basic VM-Exit Information" --- */
#define VMX_EXIT_REASON_BASIC_MASK     0x0000ffffu
#define VMX_EXIT_REASON_BUSY_SHADOW_STACK 0x02000000u
#define VMX_EXIT_REASON_BUS_LOCK       0x04000000u
#define VMX_EXIT_REASON_ENCLAVE        0x08000000u
#define VMX_EXIT_REASON_PENDING_MTF    0x10000000u
#define VMX_EXIT_REASON_FROM_ROOT      0x20000000u
#define VMX_EXIT_REASON_ENTRY_FAILURE  0x80000000u

/* --- exit qualifications: SDM "Basic VM-Exit Information", one table each --- */

/* "Exit Qualification for Control-Register Accesses" */
enum vmx_cr_access_type { VMX_CR_MOV_TO, VMX_CR_MOV_FROM, VMX_CR_CLTS, VMX_CR_LMSW };

struct vmx_cr_access {
    uint8_t cr;             /* 0 for CLTS and LMSW */
    uint8_t type;           /* enum vmx_cr_access_type */
    bool lmsw_memory;       /* LMSW took its operand from memory */
    uint8_t gpr;            /* enum x86_gpr, for MOV */
    uint16_t lmsw_source;   /* for LMSW */
};

static inline struct vmx_cr_access vmx_cr_access_decode(uint64_t qualification)
{
    return (struct vmx_cr_access){
        .cr = qualification & 0xf,
        .type = qualification >> 4 & 3,
        .lmsw_memory = qualification >> 6 & 1,
        .gpr = qualification >> 8 & 0xf,
        .lmsw_source = (uint16_t)(qualification >> 16),
    };
}

/* "Exit Qualification for MOV DR" */
struct vmx_dr_access {
    uint8_t dr;
    bool from_dr;
    uint8_t gpr;
};

static inline struct vmx_dr_access vmx_dr_access_decode(uint64_t qualification)
{
    return (struct vmx_dr_access){
        .dr = qualification & 7,
        .from_dr = qualification >> 4 & 1,
        .gpr = qualification >> 8 & 0xf,
    };
}

/* "Exit Qualification for I/O Instructions" */
#define VMX_IO_SIZE              (7ull << 0) /* bytes, less one */
#define VMX_IO_SIZE_1            (0ull << 0)
#define VMX_IO_SIZE_4            (3ull << 0)
#define VMX_IO_IN                (1ull << 3)
#define VMX_IO_STRING            (1ull << 4)

struct vmx_io_access {
    uint8_t size;           /* bytes: 1, 2, 4 */
    bool in;
    bool string;
    bool rep;
    bool immediate;         /* the port was an immediate, else DX */
    uint16_t port;
};

static inline struct vmx_io_access vmx_io_access_decode(uint64_t qualification)
{
    return (struct vmx_io_access){
        .size = (uint8_t)((qualification & 7) + 1),
        .in = qualification >> 3 & 1,
        .string = qualification >> 4 & 1,
        .rep = qualification >> 5 & 1,
        .immediate = qualification >> 6 & 1,
        .port = (uint16_t)(qualification >> 16),
    };
}

/* "Exit Qualification for EPT Violations" */
#define VMX_EPTV_READ            (1ull << 0)
#define VMX_EPTV_WRITE           (1ull << 1)
#define VMX_EPTV_FETCH           (1ull << 2)
#define VMX_EPTV_READABLE        (1ull << 3)
#define VMX_EPTV_WRITABLE        (1ull << 4)
#define VMX_EPTV_EXECUTABLE      (1ull << 5) /* with mode-based control: for supervisor mode */
#define VMX_EPTV_USER_EXECUTABLE (1ull << 6)
#define VMX_EPTV_LINEAR_VALID    (1ull << 7)
#define VMX_EPTV_TRANSLATED      (1ull << 8) /* the access itself; 0: of a paging structure */
#define VMX_EPTV_USER            (1ull << 9)  /* 9, 10, 11: where EPT_VPID_CAP says so */
#define VMX_EPTV_PAGE_WRITABLE   (1ull << 10)
#define VMX_EPTV_PAGE_XD         (1ull << 11)
#define VMX_EPTV_NMI_UNBLOCKED   (1ull << 12)
#define VMX_EPTV_SHADOW_STACK    (1ull << 13)
#define VMX_EPTV_SUPERVISOR_SHADOW_STACK (1ull << 14)
#define VMX_EPTV_GUEST_PAGING_VERIFICATION (1ull << 15)
#define VMX_EPTV_ASYNCHRONOUS    (1ull << 16)

struct vmx_ept_violation {
    bool read, write, fetch;                    /* what was tried */
    bool readable, writable, executable;        /* what every level allowed */
    bool linear_valid;                          /* the guest-linear address is valid */
    bool translated;                            /* false: a page walk or its A/D update */
    bool nmi_unblocked;
};

static inline struct vmx_ept_violation vmx_ept_violation_decode(uint64_t qualification)
{
    return (struct vmx_ept_violation){
        .read = qualification & VMX_EPTV_READ,
        .write = qualification & VMX_EPTV_WRITE,
        .fetch = qualification & VMX_EPTV_FETCH,
        .readable = qualification & VMX_EPTV_READABLE,
        .writable = qualification & VMX_EPTV_WRITABLE,
        .executable = qualification & VMX_EPTV_EXECUTABLE,
        .linear_valid = qualification & VMX_EPTV_LINEAR_VALID,
        .translated = (qualification & (VMX_EPTV_LINEAR_VALID | VMX_EPTV_TRANSLATED)) ==
                      (VMX_EPTV_LINEAR_VALID | VMX_EPTV_TRANSLATED),
        .nmi_unblocked = qualification & VMX_EPTV_NMI_UNBLOCKED,
    };
}

/* "Exit Qualification for APIC-Access VM Exits" */
enum vmx_apic_access_type {
    VMX_APIC_LINEAR_READ = 0,
    VMX_APIC_LINEAR_WRITE = 1,
    VMX_APIC_LINEAR_FETCH = 2,
    VMX_APIC_LINEAR_EVENT = 3,      /* during event delivery */
    VMX_APIC_PHYSICAL_EVENT = 10,   /* guest-physical, during event delivery */
    VMX_APIC_PHYSICAL = 15,         /* guest-physical, fetch or execution */
};

struct vmx_apic_access {
    uint16_t offset;        /* into the page; undefined for guest-physical accesses */
    uint8_t type;           /* enum vmx_apic_access_type */
    bool asynchronous;
};

static inline struct vmx_apic_access vmx_apic_access_decode(uint64_t qualification)
{
    return (struct vmx_apic_access){
        .offset = qualification & 0xfff,
        .type = qualification >> 12 & 0xf,
        .asynchronous = qualification >> 16 & 1,
    };
}

/* "Exit Qualification for Task Switches" */
enum vmx_task_switch_source { VMX_TASK_CALL, VMX_TASK_IRET, VMX_TASK_JMP, VMX_TASK_GATE };

struct vmx_task_switch {
    uint16_t selector;
    uint8_t source;         /* enum vmx_task_switch_source */
};

static inline struct vmx_task_switch vmx_task_switch_decode(uint64_t qualification)
{
    return (struct vmx_task_switch){
        .selector = (uint16_t)qualification,
        .source = qualification >> 30 & 3,
    };
}

/* --- instruction information: SDM "Information for VM Exits Due to Instruction Execution".
 * One decoder serves the formats that share these places: INS/OUTS (address size, segment),
 * GDTR/IDTR and LDTR/TR accesses, INVEPT/INVPCID/INVVPID, VMREAD/VMWRITE, VMX pointers,
 * XSAVES/XRSTORS, RDRAND/RDSEED. A format leaves undefined what it does not list. --- */
struct vmx_instruction {
    uint8_t scale;          /* 1, 2, 4, 8 */
    uint8_t reg1;           /* enum x86_gpr: operand when not memory; RDRAND/RDSEED destination */
    uint8_t address_bytes;  /* 2, 4, 8 */
    bool is_register;       /* memory/register bit */
    uint8_t operand_bytes;  /* 2 or 4: GDTR/IDTR; RDRAND/RDSEED use operand_size_field */
    uint8_t operand_size_field; /* bits 12:11: RDRAND/RDSEED 0 = 16, 1 = 32, 2 = 64 bits */
    uint8_t segment;        /* enum x86_seg */
    uint8_t index;          /* enum x86_gpr */
    bool has_index;
    uint8_t base;           /* enum x86_gpr */
    bool has_base;
    uint8_t reg2;           /* bits 31:28: second register operand */
    uint8_t identity;       /* bits 29:28: which descriptor-table instruction */
};

enum vmx_gdtr_idtr { VMX_INSN_SGDT, VMX_INSN_SIDT, VMX_INSN_LGDT, VMX_INSN_LIDT };
enum vmx_ldtr_tr { VMX_INSN_SLDT, VMX_INSN_STR, VMX_INSN_LLDT, VMX_INSN_LTR };

static inline struct vmx_instruction vmx_instruction_decode(uint32_t info)
{
    return (struct vmx_instruction){
        .scale = (uint8_t)(1u << (info & 3)),
        .reg1 = info >> 3 & 0xf,
        .address_bytes = (uint8_t)(2u << (info >> 7 & 3)),
        .is_register = info >> 10 & 1,
        .operand_bytes = info >> 11 & 1 ? 4 : 2,
        .operand_size_field = info >> 11 & 3,
        .segment = info >> 15 & 7,
        .index = info >> 18 & 0xf,
        .has_index = !(info >> 22 & 1),
        .base = info >> 23 & 0xf,
        .has_base = !(info >> 27 & 1),
        .reg2 = info >> 28 & 0xf,
        .identity = info >> 28 & 3,
    };
}

#endif
