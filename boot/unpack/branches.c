/*
 * Branch targets of packed code.
 *
 * CALL and JMP hold the distance to their target: every call of one function differs. Packed, they
 * hold the target's place, which is the same each time, so that the code packs better by a twentieth.
 * No instruction is decoded: a byte 0xe8 or 0xe9 is one wherever it stands, and the four bytes behind
 * it are its operand. The mapping is one to one, so that nothing else comes back changed.
 * SDM volume 2, "CALL", "JMP": opcodes E8 and E9 with a displacement of 32 bits.
 */
#include "boot/unpack/branches.h"

#include "hv/string.h"

#define OPCODE_CALL 0xe8
#define OPCODE_JMP 0xe9
#define INSTRUCTION_BYTES 5

/* Targets from 0 to bytes - 1 stand for the distances -at to bytes - 1 - at; the distances above
 * those, up to bytes - 1, were moved to below them; all others are as they were. */
static int32_t distance(int32_t packed, int32_t at, int32_t bytes)
{
    if (packed >= 0 && packed < bytes)
        return packed - at;
    return packed < 0 && packed >= -at ? packed + bytes : packed;
}

void branches_restore(uint8_t *code, uint32_t bytes)
{
    uint32_t at = 0;

    while (bytes >= INSTRUCTION_BYTES && at <= bytes - INSTRUCTION_BYTES) {
        int32_t operand;
        if (code[at] != OPCODE_CALL && code[at] != OPCODE_JMP) {
            at++;
            continue;
        }
        memcpy(&operand, code + at + 1, sizeof(operand));
        operand = distance(operand, (int32_t)at, (int32_t)bytes);
        memcpy(code + at + 1, &operand, sizeof(operand));
        at += INSTRUCTION_BYTES;
    }
}
