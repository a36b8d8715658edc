// SRCS: arch/x86/emul/insn_length.c vmm/lib/format.c
// LIBS: -lZydis
/*
 * Lengths and names of instructions. What Zydis decodes must have the same length here; what it
 * refuses is of no interest, but must not be read beyond its end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <Zydis/Zydis.h>

#include "x86/insn_length.h"

static ZydisDecoder decoders[3];

static int setup(void **state)
{
    (void)state;
    ZydisDecoderInit(&decoders[EMUL_MODE_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&decoders[EMUL_MODE_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&decoders[EMUL_MODE_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return 0;
}

/* A copy of exactly that size, so that the sanitizer sees every byte read too many. */
static unsigned length_of(const uint8_t *bytes, unsigned count, enum emul_mode mode)
{
    char name[24];
    uint8_t *copy = malloc(count ? count : 1);

    memcpy(copy, bytes, count);
    unsigned length = insn_length(copy, count, mode);
    insn_name(name, sizeof(name), 0x1000, copy, count, mode);
    assert_true(strlen(name) > 0);
    free(copy);
    return length;
}

static void compare(const uint8_t bytes[15], enum emul_mode mode)
{
    ZydisDecodedInstruction wanted;

    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoders[mode], NULL, bytes, 15, &wanted)))
        return;
    /* Other makers' instructions are decoded by other rules. */
    if (wanted.meta.isa_ext == ZYDIS_ISA_EXT_XOP || wanted.meta.isa_ext == ZYDIS_ISA_EXT_SSE4A ||
        wanted.meta.isa_ext == ZYDIS_ISA_EXT_AMD3DNOW ||
        wanted.encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW ||
        wanted.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP ||
        wanted.encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX)
        return;
    unsigned got = length_of(bytes, 15, mode);
    if (got != wanted.length)
        fail_msg("mode %u, %02x %02x %02x %02x %02x %02x: %u, not %u (%s)", mode, bytes[0], bytes[1],
                 bytes[2], bytes[3], bytes[4], bytes[5], got, wanted.length,
                 ZydisMnemonicGetString(wanted.mnemonic));
    /* One byte less is not enough. */
    assert_int_equal(length_of(bytes, wanted.length - 1, mode), 0);
}

static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static uint8_t random_byte(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint8_t)(random_state * 0x2545f4914f6cdd1dull >> 56);
}

static void every_opcode_with_every_modrm(void **state)
{
    static const uint8_t starts[][3] = { { 0 }, { 0x0f }, { 0x0f, 0x38 }, { 0x0f, 0x3a } };
    static const unsigned lengths[] = { 0, 1, 2, 2 };
    static const uint8_t prefixes[] = { 0, 0x66, 0x67, 0xf2, 0xf3, 0x48, 0x41 };

    (void)state;
    for (unsigned s = 0; s < 4; s++) {
        for (unsigned p = 0; p < sizeof(prefixes); p++) {
            for (unsigned opcode = 0; opcode < 256; opcode++) {
                for (unsigned modrm = 0; modrm < 256; modrm += 1 + (p > 1) * 4) {
                    uint8_t bytes[15] = { prefixes[p] };
                    unsigned at = p > 0;
                    memcpy(bytes + at, starts[s], lengths[s]);
                    at += lengths[s];
                    bytes[at++] = (uint8_t)opcode;
                    bytes[at++] = (uint8_t)modrm;
                    while (at < 15)
                        bytes[at++] = random_byte();
                    for (unsigned mode = 0; mode < 3; mode++)
                        compare(bytes, (enum emul_mode)mode);
                }
            }
        }
    }
}

static void random_bytes_and_vector_prefixes(void **state)
{
    static const uint8_t first[] = { 0xc4, 0xc5, 0x62, 0x66, 0x0f, 0x4f };

    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        uint8_t bytes[15];
        for (unsigned at = 0; at < 15; at++)
            bytes[at] = random_byte();
        if (i & 1)
            bytes[0] = first[random_byte() % sizeof(first)];
        compare(bytes, (enum emul_mode)(i % 3));
        length_of(bytes, i % 16, (enum emul_mode)(i % 3));
    }
}

static void too_long_is_none(void **state)
{
    uint8_t bytes[15];

    (void)state;
    memset(bytes, 0x66, sizeof(bytes));
    assert_int_equal(length_of(bytes, 15, EMUL_MODE_64), 0);
    bytes[14] = 0x90;
    assert_int_equal(length_of(bytes, 15, EMUL_MODE_64), 15);
    assert_int_equal(length_of(bytes, 0, EMUL_MODE_64), 0);
}

static void expect_name(const char *wanted, enum emul_mode mode, uint64_t address, unsigned count,
                        ...)
{
    uint8_t bytes[15];
    char name[40];
    va_list args;

    va_start(args, count);
    for (unsigned i = 0; i < count; i++)
        bytes[i] = (uint8_t)va_arg(args, int);
    va_end(args);
    insn_name(name, sizeof(name), address, bytes, count, mode);
    assert_string_equal(name, wanted);
}

static void names(void **state)
{
    (void)state;
    expect_name("cpuid", EMUL_MODE_64, 0, 2, 0x0f, 0xa2);
    expect_name("vmcall", EMUL_MODE_64, 0, 3, 0x0f, 0x01, 0xc1);
    expect_name("lidt", EMUL_MODE_64, 0, 3, 0x0f, 0x01, 0x18);
    expect_name("mov to cr", EMUL_MODE_64, 0, 3, 0x0f, 0x22, 0xe0);
    expect_name("xor", EMUL_MODE_64, 0, 2, 0x31, 0xc0);
    expect_name("cmp", EMUL_MODE_64, 0, 4, 0x48, 0x83, 0xf8, 0x01);
    expect_name("shl", EMUL_MODE_64, 0, 4, 0x48, 0xc1, 0xe0, 0x05);
    expect_name("neg", EMUL_MODE_64, 0, 2, 0xf7, 0xd8);
    expect_name("call", EMUL_MODE_64, 0, 2, 0xff, 0xd0);
    expect_name("call 1005", EMUL_MODE_64, 0x1000, 5, 0xe8, 0, 0, 0, 0);
    expect_name("jmp fffffffffffffffe", EMUL_MODE_64, 0, 2, 0xeb, 0xfc);
    expect_name("jmp fffffffe", EMUL_MODE_32, 0, 2, 0xeb, 0xfc);
    expect_name("jne 1000", EMUL_MODE_64, 0x1000, 6, 0x0f, 0x85, 0xfa, 0xff, 0xff, 0xff);
    expect_name("jb 105", EMUL_MODE_16, 0x100, 2, 0x72, 0x03);
    expect_name("sete", EMUL_MODE_64, 0, 3, 0x0f, 0x94, 0xc0);
    expect_name("cmovg", EMUL_MODE_64, 0, 3, 0x0f, 0x4f, 0xc0);
    expect_name("loop", EMUL_MODE_64, 0, 2, 0xe2, 0xfe);
    expect_name("bts", EMUL_MODE_64, 0, 4, 0x0f, 0xba, 0xe8, 0x01);
    expect_name("(vector fe)", EMUL_MODE_64, 0, 4, 0xc5, 0xfd, 0xfe, 0xc0);
    expect_name("(0f.. 58)", EMUL_MODE_64, 0, 3, 0x0f, 0x58, 0xc0);
    expect_name("(d6)", EMUL_MODE_64, 0, 1, 0xd6);
    expect_name("(cut off)", EMUL_MODE_64, 0, 1, 0xe8);
    expect_name("(cut off)", EMUL_MODE_64, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_opcode_with_every_modrm),
        cmocka_unit_test(random_bytes_and_vector_prefixes),
        cmocka_unit_test(too_long_is_none),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
