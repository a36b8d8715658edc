/*
 * The instruction emulator: decodes one instruction from its bytes, and executes those that a
 * guest uses on memory-mapped devices, on intercepted ports (INS, OUTS), and on page tables.
 *
 * It is not an interpreter of whole programs: an instruction with a memory operand is what brings
 * it here, so the forms with two registers, control flow, and vector instructions are recognized
 * and named, not executed. It knows nothing of VMX: memory, ports and segments come in through
 * `struct emul_ops`. It never moves RIP; the caller does, by the length that decoding found.
 *
 * No lock and no state of its own: everything is in what the caller passes.
 * SDM volume 2 "Instruction Format" and the instruction reference; volume 3 "Protection" (limit
 * and type checking); volume 1 "Canonical Addressing".
 *
 * Limits: LAM, LASS and CET are not applied (a guest must not be shown them). The permission to use
 * a port (IOPL and the TSS bitmap) is not checked: the processor does so before it exits.
 */
#ifndef X86_EMUL_H
#define X86_EMUL_H

#include "hv/types.h"
#include "x86/regs.h"

/* "An instruction is at most 15 bytes long": volume 2 "Instruction Format". */
#define EMUL_INSN_BYTES_MAX 15u

enum emul_status {
    EMUL_OK,         /* decoded; or executed to its end: the caller moves RIP past it */
    EMUL_AGAIN,      /* a repeated instruction did some iterations; RIP stays on it */
    EMUL_RETRY,      /* nothing was done: a locked update lost a race; RIP stays */
    EMUL_FAULT,      /* the fault was filled in; RIP stays */
    EMUL_ABORT,      /* an operation gave up (it has recorded why); RIP stays */
    EMUL_NEED_BYTES, /* the instruction goes on behind the bytes that were given */
    EMUL_UD,         /* not a legal instruction: #UD */
    EMUL_TOO_LONG,   /* more than 15 bytes: #GP(0) */
    EMUL_REFUSED,    /* not one that is executed here: see emul_insn.refusal */
};

/* Why an instruction that may well be legal is not executed. */
enum emul_refusal {
    EMUL_REFUSAL_NONE,
    EMUL_REFUSAL_OPCODE,   /* its opcode is not among those that this file executes */
    EMUL_REFUSAL_REGISTER, /* the opcode is, but its operand is a register, not memory */
    EMUL_REFUSAL_VEX,
    EMUL_REFUSAL_EVEX,
};

/* From the code segment: CS.L with EFER.LMA, otherwise CS.D. */
enum emul_mode { EMUL_MODE_16, EMUL_MODE_32, EMUL_MODE_64 };

/* Groups of eight are in the order in which opcodes or ModR/M encode them. */
enum emul_op {
    EMUL_OP_NONE,
    EMUL_OP_ADD, EMUL_OP_OR, EMUL_OP_ADC, EMUL_OP_SBB,
    EMUL_OP_AND, EMUL_OP_SUB, EMUL_OP_XOR, EMUL_OP_CMP,
    EMUL_OP_ROL, EMUL_OP_ROR, EMUL_OP_RCL, EMUL_OP_RCR,
    EMUL_OP_SHL, EMUL_OP_SHR, EMUL_OP_SAL, EMUL_OP_SAR,
    EMUL_OP_BT, EMUL_OP_BTS, EMUL_OP_BTR, EMUL_OP_BTC,
    EMUL_OP_TEST, EMUL_OP_NOT, EMUL_OP_NEG, EMUL_OP_INC, EMUL_OP_DEC,
    EMUL_OP_XCHG, EMUL_OP_XADD, EMUL_OP_CMPXCHG, EMUL_OP_CMPXCHG_WIDE, /* 8B and 16B */
    EMUL_OP_MOV, EMUL_OP_MOVZX, EMUL_OP_MOVSX, EMUL_OP_MOVBE, EMUL_OP_CMOV, EMUL_OP_SET,
    EMUL_OP_PUSH, EMUL_OP_POP,
    EMUL_OP_MOVS, EMUL_OP_CMPS, EMUL_OP_STOS, EMUL_OP_LODS, EMUL_OP_SCAS,
    EMUL_OP_INS, EMUL_OP_OUTS,
    EMUL_OP_COUNT
};

/* Where the operands are. */
enum emul_form {
    EMUL_FORM_NONE,
    EMUL_FORM_RM,     /* destination register, source memory */
    EMUL_FORM_MR,     /* destination memory, source register */
    EMUL_FORM_MI,     /* destination memory, source immediate */
    EMUL_FORM_M,      /* memory alone */
    EMUL_FORM_STRING, /* implied by rSI and rDI */
};

/* Beside enum x86_gpr, what `base` and `index` may be. */
#define EMUL_REG_NONE 16u
#define EMUL_REG_RIP 17u

#define EMUL_F_LOCK 0x01u
#define EMUL_F_REP 0x02u   /* F3: REP, REPE */
#define EMUL_F_REPNE 0x04u /* F2: REPNE, and REP where no flag is tested */
#define EMUL_F_HIGH8 0x08u /* `reg` is bits 15:8 of that register: AH, CH, DH, BH */

/*
 * A decoded instruction. It depends on its bytes and the mode, and on nothing else, so that it may
 * be kept and used again as long as both compare equal.
 */
struct emul_insn {
    uint8_t bytes[EMUL_INSN_BYTES_MAX];
    uint8_t length_bytes;
    uint8_t mode;           /* enum emul_mode */
    uint8_t op;             /* enum emul_op */
    uint8_t form;           /* enum emul_form */
    uint8_t refusal;        /* enum emul_refusal */
    uint8_t flags;          /* EMUL_F_ */
    uint8_t memory_bytes;   /* size of the memory operand, or of one string element */
    uint8_t register_bytes; /* size of the register operand */
    uint8_t address_bytes;  /* 2, 4, 8 */
    uint8_t reg;            /* enum x86_gpr */
    uint8_t segment;        /* enum x86_seg of the ModR/M operand, or of rSI */
    uint8_t base;           /* enum x86_gpr, EMUL_REG_NONE, EMUL_REG_RIP */
    uint8_t index;          /* enum x86_gpr, EMUL_REG_NONE */
    uint8_t scale_shift;    /* 0 to 3 */
    uint8_t condition;      /* SETcc, CMOVcc: low four bits of the opcode */
    int32_t immediate;      /* sign-extended */
    int64_t displacement;   /* sign-extended; an absolute offset (MOV A0 to A3) zero-extended */
};

_Static_assert(sizeof(struct emul_insn) == 48, "one decoded instruction fits into a cache line");

/* A segment register's hidden part; access rights as the VMCS has them. */
struct emul_segment {
    uint64_t base;
    uint32_t limit;
    uint32_t access_rights;
};

#define EMUL_SEGMENT_TYPE_ACCESSED 0x00001u
#define EMUL_SEGMENT_TYPE_WRITE 0x00002u  /* data: writable; code: readable */
#define EMUL_SEGMENT_TYPE_EXPAND 0x00004u /* data: expand-down; code: conforming */
#define EMUL_SEGMENT_TYPE_CODE 0x00008u
#define EMUL_SEGMENT_S 0x00010u
#define EMUL_SEGMENT_P 0x00080u
#define EMUL_SEGMENT_DB 0x04000u
#define EMUL_SEGMENT_UNUSABLE 0x10000u

/* The part of a vCPU that an instruction may use. */
struct emul_state {
    struct x86_gprs *gprs; /* changed in place */
    uint64_t rflags;       /* changed in place; the caller takes it back */
    uint64_t rip;          /* of the instruction; only read */
    uint64_t cr0;          /* PE: real-address mode; AM: alignment checks */
    uint64_t cr4;          /* LA57: width of canonical addresses */
    uint8_t mode;          /* enum emul_mode; the same as the instruction's */
    uint8_t cpl;
};

/* How memory is accessed. WRITE given to `read` asks for the permission to write as well. */
#define EMUL_ACCESS_WRITE 0x1u
#define EMUL_ACCESS_LOCKED 0x2u

/*
 * What the emulator asks of its surroundings. Each gives EMUL_OK; EMUL_FAULT with `fault` filled in
 * (an architectural exception, most often #PF); EMUL_RETRY; or EMUL_ABORT.
 *
 * Addresses are linear: segmentation, canonical form and alignment have been checked; translation
 * and its permissions are left to these. Sizes are 1, 2, 4, 8, or 16 (CMPXCHG16B, where value[1] is
 * the upper half); an operand may cross a page. Unused upper bytes of what is read are to be zero.
 */
struct emul_ops {
    enum emul_status (*read)(void *ctx, gva_t linear, unsigned size_bytes, uint64_t *value,
                             unsigned access, struct x86_fault *fault);
    enum emul_status (*write)(void *ctx, gva_t linear, unsigned size_bytes, const uint64_t *value,
                              unsigned access, struct x86_fault *fault);
    /*
     * Replaces `expected` by `desired` in one atomic step if the memory is RAM; EMUL_RETRY if it no
     * longer holds `expected`. On a device it is a write.
     */
    enum emul_status (*cmpxchg)(void *ctx, gva_t linear, unsigned size_bytes,
                                const uint64_t *expected, const uint64_t *desired,
                                struct x86_fault *fault);
    /* May it be written? Asked before INS takes a value from a port, which has no way back. */
    enum emul_status (*probe_write)(void *ctx, gva_t linear, unsigned size_bytes,
                                    struct x86_fault *fault);
    enum emul_status (*port_in)(void *ctx, uint16_t port, unsigned size_bytes, uint32_t *value,
                                struct x86_fault *fault);
    enum emul_status (*port_out)(void *ctx, uint16_t port, unsigned size_bytes, uint32_t value,
                                 struct x86_fault *fault);
    /* Called at most once a segment and instruction, and only for segments that matter. */
    void (*get_segment)(void *ctx, enum x86_seg segment, struct emul_segment *out);
};

/*
 * Decodes the instruction at the start of `count` bytes; never looks behind them.
 * Gives EMUL_OK, EMUL_NEED_BYTES (only if count < 15), EMUL_UD, EMUL_TOO_LONG or EMUL_REFUSED.
 * For EMUL_OK all of `out` is defined, and `out->bytes` holds the instruction and zeroes behind it;
 * otherwise it holds what was given, `length_bytes` is 0, and `refusal` is set for EMUL_REFUSED.
 * EMUL_UD is certain; an instruction that is refused may turn out illegal too.
 */
enum emul_status emul_decode(const uint8_t *bytes, unsigned count, enum emul_mode mode,
                             struct emul_insn *out);

/*
 * Executes a decoded instruction. A repeated string instruction does at most `iterations_max`
 * iterations (not 0; one, if RFLAGS.TF is set) and then gives EMUL_AGAIN with its registers
 * advanced, so that interrupts can be taken in between. Gives EMUL_OK, EMUL_AGAIN, EMUL_RETRY,
 * EMUL_FAULT (with `fault` filled in; registers and flags are as the processor leaves them) or
 * EMUL_ABORT.
 * RIP, RFLAGS.RF and a pending single-step trap (owed after EMUL_OK and after EMUL_AGAIN) are the
 * caller's. Volume 2, the instructions' "Operation"; volume 1 "String Operations".
 */
enum emul_status emul_execute(const struct emul_insn *insn, struct emul_state *state,
                              unsigned iterations_max, const struct emul_ops *ops, void *ctx,
                              struct x86_fault *fault);

/*
 * The linear address of an instruction's memory operand, with all checks but alignment: for an
 * instruction that is executed elsewhere, of which `insn` holds base, index, scale, displacement,
 * segment and address size. Gives EMUL_OK, or EMUL_FAULT with #GP or #SS.
 */
enum emul_status emul_operand_linear(const struct emul_insn *insn, const struct emul_state *state,
                                     unsigned size_bytes, bool is_write,
                                     const struct emul_ops *ops, void *ctx, gva_t *linear,
                                     struct x86_fault *fault);

/* Names for a crash report. Never null. */
const char *emul_status_name(enum emul_status status);
const char *emul_refusal_name(enum emul_refusal refusal);
const char *emul_op_name(enum emul_op op);

/*
 * The short way for device registers. True if the instruction does nothing but move one memory
 * operand of up to 8 bytes to or from a register or immediate (MOV, MOVZX, MOVSX, MOVNTI): then its
 * access is `*size_bytes` wide and a write if `*is_write`. The caller, which knows from the exit
 * what was accessed, does the access and uses the two functions below; it needs neither segments
 * nor the guest's page tables, since the processor has checked those before it exited. It must rule
 * out by itself that the operand crosses its page.
 */
static inline bool emul_mov_fast(const struct emul_insn *insn, bool *is_write,
                                 unsigned *size_bytes)
{
    if (insn->op < EMUL_OP_MOV || insn->op > EMUL_OP_MOVSX) {
        return false;
    }
    *is_write = insn->form != EMUL_FORM_RM;
    *size_bytes = insn->memory_bytes;
    return true;
}

static inline bool emul_insn_is_simple_mmio(const struct emul_insn *insn)
{
    return insn->op >= EMUL_OP_MOV && insn->op <= EMUL_OP_MOVSX;
}

/* The value that a store writes, its upper bytes zero. */
static inline uint64_t emul_mov_store_value(const struct emul_insn *insn,
                                            const struct x86_gprs *gprs)
{
    uint64_t value = insn->form == EMUL_FORM_MI ? (uint64_t)(int64_t)insn->immediate
                                                : gprs->r[insn->reg & 15u];
    if (insn->flags & EMUL_F_HIGH8) {
        value >>= 8;
    }
    return value & (~0ull >> (64u - 8u * insn->memory_bytes));
}

/* Puts what a load has read into its register; bytes above the operand's size are not used. */
void emul_mov_finish_load(const struct emul_insn *insn, struct x86_gprs *gprs, uint64_t value);

#endif
