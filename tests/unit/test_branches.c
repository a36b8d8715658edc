// SRCS: boot/unpack/branches.c
/*
 * Branch targets come back as distances; whatever the bytes, packing and this undo each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/unpack/branches.h"

#define BYTES 4096u

/* What tools/pack-image does, by its definition: distances that lead into the code become places,
 * and those whose values are thereby taken get the values that became free. */
static void pack(uint8_t *code, int32_t bytes)
{
    for (int32_t at = 0; at + 5 <= bytes;) {
        int32_t operand;
        if (code[at] != 0xe8 && code[at] != 0xe9) {
            at++;
            continue;
        }
        memcpy(&operand, code + at + 1, 4);
        if (operand >= -at && operand < bytes - at)
            operand += at;
        else if (operand >= bytes - at && operand < bytes)
            operand -= bytes;
        memcpy(code + at + 1, &operand, 4);
        at += 5;
    }
}

static void put(uint8_t *code, uint32_t at, uint8_t opcode, int32_t operand)
{
    code[at] = opcode;
    memcpy(code + at + 1, &operand, 4);
}

static void test_a_place_becomes_the_distance_to_it(void **context)
{
    uint8_t code[BYTES] = { 0 }, expected[BYTES] = { 0 };
    (void)context;
    put(code, 100, 0xe8, 700);
    put(expected, 100, 0xe8, 600);
    put(code, 3000, 0xe9, 0);
    put(expected, 3000, 0xe9, -3000);
    put(code, BYTES - 5, 0xe8, BYTES - 1);
    put(expected, BYTES - 5, 0xe8, 4);
    branches_restore(code, BYTES);
    assert_memory_equal(code, expected, BYTES);
}

static void test_an_operand_that_leads_elsewhere_is_as_it_was(void **context)
{
    uint8_t code[BYTES] = { 0 }, expected[BYTES];
    (void)context;
    put(code, 10, 0xe8, BYTES);
    put(code, 20, 0xe8, INT32_MAX);
    put(code, 30, 0xe8, INT32_MIN);
    put(code, 40, 0xe9, -41);
    memcpy(expected, code, BYTES);
    branches_restore(code, BYTES);
    assert_memory_equal(code, expected, BYTES);
}

static void test_an_operand_is_not_looked_into(void **context)
{
    uint8_t code[BYTES] = { 0 }, expected[BYTES] = { 0 };
    (void)context;
    put(code, 50, 0xe8, (int32_t)0xe8e8e8e8);
    memcpy(expected, code, BYTES);
    branches_restore(code, BYTES);
    assert_memory_equal(code, expected, BYTES);
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
            expected[i] = byte < 60 ? 0xe8 + (byte & 1) : byte < 160 ? 0 : byte < 200 ? 0xff
                                                                       : (uint8_t)(x >> 16);
        }
        memcpy(code, expected, bytes);
        pack(code, (int32_t)bytes);
        uint8_t *exact = malloc(bytes ? bytes : 1); /* a byte beyond is seen by the sanitizer */
        memcpy(exact, code, bytes);
        branches_restore(exact, bytes);
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
        cmocka_unit_test(test_an_operand_is_not_looked_into),
        cmocka_unit_test(test_any_bytes_of_any_length_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
