/*
 * The opcode maps: which opcodes are executed and where their operands are. Opcodes without a row
 * are refused, not called illegal, unless they are certain to raise #UD on every processor with
 * VT-x. SDM volume 2, appendix "Opcode Map". Constant data, no lock.
 */
#include "opcodes.h"

#include "x86/emul.h"

#define BYTE EMUL_ATTR_BYTE
#define LOCK EMUL_ATTR_LOCK
#define IMM8 EMUL_ATTR_IMM8
#define IMMZ EMUL_ATTR_IMMZ
#define MOFFS EMUL_ATTR_MOFFS

#define ROW(op, form, attr) { EMUL_OP_##op, EMUL_FORM_##form, (attr) }
#define GROUP(number, attr) { EMUL_GROUP_##number, EMUL_FORM_NONE, EMUL_ATTR_GROUP | (attr) }
#define UD { EMUL_OP_NONE, EMUL_FORM_NONE, EMUL_ATTR_UD }
#define UD64 { EMUL_OP_NONE, EMUL_FORM_NONE, EMUL_ATTR_UD64 }
#define REFUSED { EMUL_OP_NONE, EMUL_FORM_NONE, 0 }

/* The four rows of an arithmetic instruction that have a ModR/M operand. */
#define ARITHMETIC(base, op, lock)                                                     \
    [(base) + 0] = ROW(op, MR, BYTE | (lock)), [(base) + 1] = ROW(op, MR, (lock)),     \
    [(base) + 2] = ROW(op, RM, BYTE), [(base) + 3] = ROW(op, RM, 0)

#define STRING(base, op) [base] = ROW(op, STRING, BYTE), [(base) + 1] = ROW(op, STRING, 0)

const struct emul_opcode emul_opcodes_1byte[256] = {
    ARITHMETIC(0x00, ADD, LOCK),
    ARITHMETIC(0x08, OR, LOCK),
    ARITHMETIC(0x10, ADC, LOCK),
    ARITHMETIC(0x18, SBB, LOCK),
    ARITHMETIC(0x20, AND, LOCK),
    ARITHMETIC(0x28, SUB, LOCK),
    ARITHMETIC(0x30, XOR, LOCK),
    ARITHMETIC(0x38, CMP, 0),
    [0x06] = UD64, [0x07] = UD64, [0x0e] = UD64,
    [0x16] = UD64, [0x17] = UD64, [0x1e] = UD64, [0x1f] = UD64,
    [0x27] = UD64, [0x2f] = UD64, [0x37] = UD64, [0x3f] = UD64,
    [0x60] = UD64, [0x61] = UD64,
    [0x63] = ROW(MOVSX, RM, EMUL_ATTR_ONLY64),
    STRING(0x6c, INS),
    STRING(0x6e, OUTS),
    [0x80] = GROUP(1, BYTE | IMM8),
    [0x81] = GROUP(1, IMMZ),
    [0x82] = GROUP(1, BYTE | IMM8 | EMUL_ATTR_UD64),
    [0x83] = GROUP(1, IMM8),
    [0x84] = ROW(TEST, MR, BYTE),
    [0x85] = ROW(TEST, MR, 0),
    [0x86] = ROW(XCHG, MR, BYTE | LOCK),
    [0x87] = ROW(XCHG, MR, LOCK),
    [0x88] = ROW(MOV, MR, BYTE),
    [0x89] = ROW(MOV, MR, 0),
    [0x8a] = ROW(MOV, RM, BYTE),
    [0x8b] = ROW(MOV, RM, 0),
    [0x8f] = GROUP(1A, EMUL_ATTR_D64),
    [0x9a] = UD64,
    [0xa0] = ROW(MOV, RM, BYTE | MOFFS),
    [0xa1] = ROW(MOV, RM, MOFFS),
    [0xa2] = ROW(MOV, MR, BYTE | MOFFS),
    [0xa3] = ROW(MOV, MR, MOFFS),
    STRING(0xa4, MOVS),
    STRING(0xa6, CMPS),
    STRING(0xaa, STOS),
    STRING(0xac, LODS),
    STRING(0xae, SCAS),
    [0xc0] = GROUP(2, BYTE | IMM8),
    [0xc1] = GROUP(2, IMM8),
    [0xc6] = GROUP(11, BYTE | IMM8),
    [0xc7] = GROUP(11, IMMZ),
    [0xce] = UD64,
    [0xd0] = GROUP(2, BYTE | EMUL_ATTR_ONE),
    [0xd1] = GROUP(2, EMUL_ATTR_ONE),
    [0xd2] = GROUP(2, BYTE | EMUL_ATTR_CL),
    [0xd3] = GROUP(2, EMUL_ATTR_CL),
    [0xd4] = UD64, [0xd5] = UD64, [0xea] = UD64,
    [0xf6] = GROUP(3, BYTE),
    [0xf7] = GROUP(3, 0),
    [0xfe] = GROUP(4, BYTE),
    [0xff] = GROUP(5, 0),
};

#define EIGHT(base, row)                                                              \
    [(base) + 0] = row, [(base) + 1] = row, [(base) + 2] = row, [(base) + 3] = row,   \
    [(base) + 4] = row, [(base) + 5] = row, [(base) + 6] = row, [(base) + 7] = row
#define CMOV_ROW ROW(CMOV, RM, 0)
#define SET_ROW ROW(SET, M, BYTE)

/* UD0, UD1 and UD2 are named in the manual, and #UD is what they do. */
const struct emul_opcode emul_opcodes_0f[256] = {
    [0x04] = UD, [0x0a] = UD, [0x0b] = UD, [0x0c] = UD,
    [0x24] = UD, [0x25] = UD, [0x26] = UD, [0x27] = UD,
    [0x36] = UD, [0x39] = UD, [0x3b] = UD, [0x3c] = UD, [0x3d] = UD, [0x3e] = UD, [0x3f] = UD,
    EIGHT(0x40, CMOV_ROW),
    EIGHT(0x48, CMOV_ROW),
    EIGHT(0x90, SET_ROW),
    EIGHT(0x98, SET_ROW),
    [0xa3] = ROW(BT, MR, 0),
    [0xab] = ROW(BTS, MR, LOCK),
    [0xb0] = ROW(CMPXCHG, MR, BYTE | LOCK),
    [0xb1] = ROW(CMPXCHG, MR, LOCK),
    [0xb3] = ROW(BTR, MR, LOCK),
    [0xb6] = ROW(MOVZX, RM, EMUL_ATTR_MEM8),
    [0xb7] = ROW(MOVZX, RM, EMUL_ATTR_MEM16),
    [0xb9] = UD,
    [0xba] = GROUP(8, IMM8),
    [0xbb] = ROW(BTC, MR, LOCK),
    [0xbe] = ROW(MOVSX, RM, EMUL_ATTR_MEM8),
    [0xbf] = ROW(MOVSX, RM, EMUL_ATTR_MEM16),
    [0xc0] = ROW(XADD, MR, BYTE | LOCK),
    [0xc1] = ROW(XADD, MR, LOCK),
    [0xc3] = ROW(MOV, MR, EMUL_ATTR_MEM_ONLY | EMUL_ATTR_NP),
    [0xc7] = GROUP(9, 0),
    [0xff] = UD,
};

const struct emul_opcode emul_opcodes_0f38[256] = {
    [0xf0] = ROW(MOVBE, RM, EMUL_ATTR_MEM_ONLY),
    [0xf1] = ROW(MOVBE, MR, EMUL_ATTR_MEM_ONLY),
};

/* Group 2's /6 is SHL by another name; group 3's /1 is TEST: undocumented, and so everywhere. */
const struct emul_opcode emul_opcode_groups[EMUL_GROUP_COUNT][8] = {
    [EMUL_GROUP_1] = {
        ROW(ADD, MI, LOCK), ROW(OR, MI, LOCK), ROW(ADC, MI, LOCK), ROW(SBB, MI, LOCK),
        ROW(AND, MI, LOCK), ROW(SUB, MI, LOCK), ROW(XOR, MI, LOCK), ROW(CMP, MI, 0),
    },
    [EMUL_GROUP_1A] = { ROW(POP, M, 0), UD, UD, UD, UD, UD, UD, UD },
    [EMUL_GROUP_2] = {
        ROW(ROL, MI, 0), ROW(ROR, MI, 0), ROW(RCL, MI, 0), ROW(RCR, MI, 0),
        ROW(SHL, MI, 0), ROW(SHR, MI, 0), ROW(SAL, MI, 0), ROW(SAR, MI, 0),
    },
    [EMUL_GROUP_3] = {
        ROW(TEST, MI, IMMZ), ROW(TEST, MI, IMMZ), ROW(NOT, M, LOCK), ROW(NEG, M, LOCK),
        REFUSED, REFUSED, REFUSED, REFUSED,
    },
    [EMUL_GROUP_4] = { ROW(INC, M, LOCK), ROW(DEC, M, LOCK), UD, UD, UD, UD, UD, UD },
    [EMUL_GROUP_5] = {
        ROW(INC, M, LOCK), ROW(DEC, M, LOCK), REFUSED, REFUSED,
        REFUSED, REFUSED, ROW(PUSH, M, EMUL_ATTR_D64), UD,
    },
    [EMUL_GROUP_8] = {
        UD, UD, UD, UD,
        ROW(BT, MI, 0), ROW(BTS, MI, LOCK), ROW(BTR, MI, LOCK), ROW(BTC, MI, LOCK),
    },
    [EMUL_GROUP_9] = {
        UD, ROW(CMPXCHG_WIDE, M, LOCK | EMUL_ATTR_MEM_ONLY), UD, REFUSED,
        REFUSED, REFUSED, REFUSED, REFUSED,
    },
    [EMUL_GROUP_11] = { ROW(MOV, MI, 0), UD, UD, UD, UD, UD, UD, REFUSED },
};
