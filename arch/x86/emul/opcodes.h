/*
 * The opcode maps as the decoder reads them. Internal to arch/x86/emul.
 * SDM volume 2, appendix "Opcode Map". Constant data, no lock.
 */
#ifndef EMUL_OPCODES_H
#define EMUL_OPCODES_H

#include <stdint.h>

/* A row of zeroes is an opcode that is not executed here, and perhaps legal. */
struct emul_opcode {
    uint8_t op;    /* enum emul_op; with EMUL_ATTR_GROUP: enum emul_group */
    uint8_t form;  /* enum emul_form */
    uint16_t attr; /* EMUL_ATTR_ */
};

#define EMUL_ATTR_BYTE 0x0001u     /* 8-bit operands, whatever the prefixes say */
#define EMUL_ATTR_LOCK 0x0002u     /* LOCK is legal if the destination is memory */
#define EMUL_ATTR_IMM8 0x0004u     /* a sign-extended byte follows */
#define EMUL_ATTR_IMMZ 0x0008u     /* two or four bytes follow, by operand size */
#define EMUL_ATTR_ONE 0x0010u      /* the source is the constant 1 */
#define EMUL_ATTR_CL 0x0020u       /* the source is CL, not ModR/M's reg */
#define EMUL_ATTR_D64 0x0040u      /* 64-bit mode: operands are 8 bytes by default */
#define EMUL_ATTR_MEM8 0x0080u     /* the memory operand is a byte, the register is not */
#define EMUL_ATTR_MEM16 0x0100u    /* the memory operand is 2 bytes */
#define EMUL_ATTR_MOFFS 0x0200u    /* no ModR/M: an absolute offset and the accumulator */
#define EMUL_ATTR_MEM_ONLY 0x0400u /* #UD if ModR/M names a register */
#define EMUL_ATTR_NP 0x0800u       /* #UD with 66, F2 or F3 */
#define EMUL_ATTR_UD 0x1000u       /* #UD in every mode */
#define EMUL_ATTR_UD64 0x2000u     /* #UD in 64-bit mode */
#define EMUL_ATTR_GROUP 0x4000u    /* ModR/M's reg selects the instruction */
#define EMUL_ATTR_ONLY64 0x8000u   /* another instruction outside of 64-bit mode */

enum emul_group {
    EMUL_GROUP_1,
    EMUL_GROUP_1A,
    EMUL_GROUP_2,
    EMUL_GROUP_3,
    EMUL_GROUP_4,
    EMUL_GROUP_5,
    EMUL_GROUP_8,
    EMUL_GROUP_9,
    EMUL_GROUP_11,
    EMUL_GROUP_COUNT
};

extern const struct emul_opcode emul_opcodes_1byte[256];
extern const struct emul_opcode emul_opcodes_0f[256];
extern const struct emul_opcode emul_opcodes_0f38[256];
/* A row's attributes are added to those of the opcode that led to the group. */
extern const struct emul_opcode emul_opcode_groups[EMUL_GROUP_COUNT][8];

#endif
