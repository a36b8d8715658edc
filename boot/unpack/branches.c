/*
 * Targets in packed code.
 *
 * CALL, JMP, Jcc and LEA hold the distance to their target: every call of one function, every use of
 * one string differs. Packed, they hold the target's place, which is the same each time, with its
 * highest byte first, since that one varies least: so the code packs better by a twentieth.
 * No instruction is decoded: bytes that look like one of these are one wherever they stand, and the
 * four bytes behind are the operand. The mapping is one to one, so that nothing else comes back
 * changed.
 * SDM volume 2, "CALL", "JMP", "Jcc", "LEA": displacements of 32 bits; "RIP-Relative Addressing".
 */
#include "boot/unpack/branches.h"

#include "hv/string.h"

#define OPERAND_BYTES 4
#define LONGEST_BYTES (2 + OPERAND_BYTES)

/* What stands in front of the operand: E8 and E9; 0F 80 to 0F 8F; 8D with mod 0 and r/m 5. 0: none. */
static uint32_t bytes_before_operand(const uint8_t *at)
{
    if (at[0] == 0xe8 || at[0] == 0xe9)
        return 1;
    if ((at[0] == 0x0f && (at[1] & 0xf0) == 0x80) || (at[0] == 0x8d && (at[1] & 0xc7) == 0x05))
        return 2;
    return 0;
}

/* Places from 0 to bytes - 1 stand for the distances -at to bytes - 1 - at; the distances above
 * those, up to bytes - 1, were moved to below them; all others are as they were. */
static int32_t distance(int32_t packed, int32_t at, int32_t bytes)
{
    if (packed >= 0 && packed < bytes)
        return packed - at;
    return packed < 0 && packed >= -at ? packed + bytes : packed;
}

static void restore(uint8_t *operand, uint32_t at, uint32_t bytes)
{
    uint32_t packed;

    memcpy(&packed, operand, OPERAND_BYTES);
    int32_t ready = distance((int32_t)__builtin_bswap32(packed), (int32_t)at, (int32_t)bytes);
    memcpy(operand, &ready, OPERAND_BYTES);
}

void branches_restore(uint8_t *image, uint32_t code_bytes, uint32_t bytes)
{
    uint32_t at = 0;

    while (code_bytes >= LONGEST_BYTES && at <= code_bytes - LONGEST_BYTES) {
        uint32_t before = bytes_before_operand(image + at);
        if (before) {
            restore(image + at + before, at, bytes);
            before += OPERAND_BYTES - 1;
        }
        at += before + 1;
    }
}
