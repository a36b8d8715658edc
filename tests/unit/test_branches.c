// SRCS: boot/unpack/branches.c
/*
 * Targets come back as distances; whatever the bytes, packing and this undo each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/unpack/branches.h"

#define BYTES 4096u /* of an image, of which this is code: */
#define CODE_BYTES 2048u

/* 1: CALL or JMP; 2: Jcc, or LEA relative to RIP; 0: something else. SDM volume 2, opcode map and
 * "ModR/M": mod 00, r/m 101. */
static int operand_at(const uint8_t *code)
{
    bool near = code[0] == 0xe8 || code[0] == 0xe9;
    bool jcc = code[0] == 0x0f && code[1] >= 0x80 && code[1] <= 0x8f;
    bool lea = code[0] == 0x8d && code[1] >> 6 == 0 && (code[1] & 7) == 5;

    return near ? 1 : jcc || lea ? 2 : 0;
}

static void put_big_endian(uint8_t *at, int32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)((uint32_t)value >> (24 - 8 * i));
}

/* What tools/pack-image does, by its definition: distances that lead into the image become places,
 * and those whose values are thereby taken get the values that became free. */
static void pack(uint8_t *code, int32_t code_bytes, int32_t bytes)
{
    for (int32_t at = 0, skip; at + 6 <= code_bytes; at += skip ? skip + 4 : 1) {
        int32_t operand;
        skip = operand_at(code + at);
        if (!skip)
            continue;
        memcpy(&operand, code + at + skip, 4);
        if (operand >= -at && operand < bytes - at)
            operand += at;
        else if (operand >= bytes - at && operand < bytes)
            operand -= bytes;
        put_big_endian(code + at + skip, operand);
    }
}

/* An instruction with its operand as it is packed, and as it is. */
struct both {
    uint8_t packed[BYTES], ready[BYTES];
};

static void put(struct both *b, uint32_t at, int opcode, int32_t packed, int32_t ready)
{
    uint32_t skip = opcode > 0xff ? 2 : 1;

    for (uint32_t i = 0; i < skip; i++)
        b->packed[at + i] = b->ready[at + i] = (uint8_t)(opcode >> (8 * (skip - 1 - i)));
    put_big_endian(b->packed + at + skip, packed);
    memcpy(b->ready + at + skip, &ready, 4);
}

static void assert_restored(struct both *b)
{
    branches_restore(b->packed, CODE_BYTES, BYTES);
    assert_memory_equal(b->packed, b->ready, BYTES);
}

static void test_a_place_becomes_the_distance_to_it(void **context)
{
    struct both b = { 0 };
    (void)context;
    put(&b, 100, 0xe8, 700, 600);
    put(&b, 200, 0xe9, 0, -200);
    put(&b, 300, 0x0f80, 200, -100);
    put(&b, 400, 0x0f8f, 401, 1);
    put(&b, 500, 0x8d05, BYTES - 1, BYTES - 501); /* LEA RAX: behind the code, but in the image */
    put(&b, 600, 0x8d3d, 600, 0);                 /* LEA RDI */
    put(&b, CODE_BYTES - 6, 0xe8, 2042, 0);
    assert_restored(&b);
}

static void test_an_operand_that_leads_elsewhere_is_as_it_was(void **context)
{
    struct both b = { 0 };
    (void)context;
    put(&b, 10, 0xe8, BYTES, BYTES);
    put(&b, 20, 0xe8, INT32_MAX, INT32_MAX);
    put(&b, 30, 0x0f84, INT32_MIN, INT32_MIN);
    put(&b, 40, 0xe9, -41, -41);
    assert_restored(&b);
}

static void test_other_instructions_and_data_stay(void **context)
{
    struct both b = { 0 };
    (void)context;
    static const uint8_t others[][2] = { { 0x0f, 0x7f }, { 0x0f, 0x90 }, { 0x8d, 0x04 }, { 0x8d, 0x45 },
                                         { 0x8d, 0xc5 }, { 0x8b, 0x05 }, { 0xe7, 0 },    { 0xea, 0 } };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        memcpy(b.packed + 100 + 50 * i, others[i], 2);
        b.packed[102 + 50 * i] = 1; /* what would be seen to move */
    }
    b.packed[CODE_BYTES - 5] = b.packed[CODE_BYTES] = 0xe8;
    memcpy(b.ready, b.packed, BYTES);
    assert_restored(&b);
}

static void test_an_operand_is_not_looked_into(void **context)
{
    struct both b = { 0 };
    (void)context;
    put(&b, 50, 0xe8, (int32_t)0xe8e8e8e8, (int32_t)0xe8e8e8e8);
    assert_restored(&b);
}

static void test_any_bytes_of_any_length_come_back(void **context)
{
    uint32_t x = 1;
    (void)context;
    for (unsigned round = 0; round < 2000; round++) {
        uint32_t bytes = round < 64 ? round : (x >> 8) % 3000;
        uint8_t *code = malloc(bytes + 1), *expected = malloc(bytes + 1);
        for (uint32_t i = 0; i < bytes; i++) {
            x = x * 1664525u + 1013904223u;
            uint8_t byte = (uint8_t)(x >> 24);
            /* Many branches, and many operands near 0, the length, and -1. */
            static const uint8_t openings[] = { 0xe8, 0xe9, 0x0f, 0x84, 0x8d, 0x05 };
            expected[i] = byte < 80 ? openings[byte % 6] : byte < 160 ? 0 : byte < 200 ? 0xff
                                                                       : (uint8_t)(x >> 16);
        }
        memcpy(code, expected, bytes);
        uint32_t code_bytes = bytes - (x >> 9) % (bytes + 1);
        pack(code, (int32_t)code_bytes, (int32_t)bytes);
        uint8_t *exact = malloc(bytes ? bytes : 1); /* a byte beyond is seen by the sanitizer */
        memcpy(exact, code, bytes);
        branches_restore(exact, code_bytes, bytes);
        assert_memory_equal(exact, expected, bytes);
        free(exact);
        free(code);
        free(expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_place_becomes_the_distance_to_it),
        cmocka_unit_test(test_an_operand_that_leads_elsewhere_is_as_it_was),
        cmocka_unit_test(test_other_instructions_and_data_stay),
        cmocka_unit_test(test_an_operand_is_not_looked_into),
        cmocka_unit_test(test_any_bytes_of_any_length_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
