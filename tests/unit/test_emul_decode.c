// SRCS: arch/x86/emul/decode.c arch/x86/emul/opcodes.c arch/x86/emul/names.c
// SRCS: arch/x86/emul/registers.c
/*
 * The decoder, rule by rule from SDM volume 2 "Instruction Format". test_emul_zydis.c covers the
 * breadth; here stands what a reader wants to see by name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "x86/emul.h"

static struct emul_insn insn;

#define DECODE(mode, ...)                                                                        \
    emul_decode((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }),      \
                EMUL_MODE_##mode, &insn)
#define EXPECT(status, mode, ...) assert_int_equal(DECODE(mode, __VA_ARGS__), EMUL_##status)

static void test_mov_forms(void **context)
{
    (void)context;
    EXPECT(OK, 64, 0x89, 0x08); /* mov [rax], ecx */
    assert_int_equal(insn.op, EMUL_OP_MOV);
    assert_int_equal(insn.form, EMUL_FORM_MR);
    assert_int_equal(insn.length_bytes, 2);
    assert_int_equal(insn.memory_bytes, 4);
    assert_int_equal(insn.reg, X86_RCX);
    assert_int_equal(insn.base, X86_RAX);
    assert_int_equal(insn.segment, X86_DS);
    EXPECT(OK, 64, 0x48, 0x8b, 0x84, 0xcd, 0x00, 0xff, 0xff, 0xff); /* mov rax, [rbp+rcx*8-256] */
    assert_int_equal(insn.memory_bytes, 8);
    assert_int_equal(insn.index, X86_RCX);
    assert_int_equal(insn.scale_shift, 3);
    assert_int_equal(insn.displacement, -256);
    assert_int_equal(insn.segment, X86_SS);
    EXPECT(OK, 64, 0x48, 0xc7, 0x00, 0xff, 0xff, 0xff, 0xff); /* mov qword [rax], -1 */
    assert_int_equal(insn.form, EMUL_FORM_MI);
    assert_int_equal(insn.immediate, -1);
    EXPECT(OK, 16, 0xc7, 0x06, 0x34, 0x12, 0x78, 0x56); /* mov word [0x1234], 0x5678 */
    assert_int_equal(insn.memory_bytes, 2);
    assert_int_equal(insn.displacement, 0x1234);
    assert_int_equal(insn.immediate, 0x5678);
    assert_int_equal(insn.length_bytes, 6);
}

static void test_absolute_offsets_are_as_wide_as_addresses(void **context)
{
    (void)context;
    EXPECT(OK, 64, 0xa1, 1, 2, 3, 4, 5, 6, 7, 0x88);
    assert_true(insn.displacement == (int64_t)0x8807060504030201ull);
    assert_int_equal(insn.form, EMUL_FORM_RM);
    EXPECT(OK, 64, 0x67, 0xa3, 1, 2, 3, 0x84);
    assert_true(insn.displacement == 0x84030201);
    assert_int_equal(insn.form, EMUL_FORM_MR);
    EXPECT(OK, 32, 0xa0, 1, 2, 3, 0x84);
    assert_int_equal(insn.memory_bytes, 1);
    EXPECT(OK, 16, 0xa2, 1, 0x82);
    assert_true(insn.displacement == 0x8201);
}

static void test_operand_size(void **context)
{
    (void)context;
    EXPECT(OK, 16, 0x89, 0x07);
    assert_int_equal(insn.memory_bytes, 2);
    EXPECT(OK, 16, 0x66, 0x89, 0x07);
    assert_int_equal(insn.memory_bytes, 4);
    EXPECT(OK, 32, 0x66, 0x89, 0x07);
    assert_int_equal(insn.memory_bytes, 2);
    EXPECT(OK, 64, 0x66, 0x89, 0x07);
    assert_int_equal(insn.memory_bytes, 2);
    EXPECT(OK, 64, 0x66, 0x48, 0x89, 0x07); /* REX.W wins */
    assert_int_equal(insn.memory_bytes, 8);
    EXPECT(OK, 64, 0x66, 0x88, 0x07); /* byte operands have no other size */
    assert_int_equal(insn.memory_bytes, 1);
    EXPECT(OK, 64, 0xff, 0x30); /* push defaults to 8 */
    assert_int_equal(insn.memory_bytes, 8);
    EXPECT(OK, 64, 0x66, 0x8f, 0x00);
    assert_int_equal(insn.memory_bytes, 2);
    EXPECT(OK, 64, 0x48, 0x6d); /* INS has no 8-byte form */
    assert_int_equal(insn.memory_bytes, 4);
}

static void test_extensions_have_two_sizes(void **context)
{
    (void)context;
    EXPECT(OK, 64, 0x48, 0x0f, 0xb6, 0x00);
    assert_int_equal(insn.op, EMUL_OP_MOVZX);
    assert_int_equal(insn.memory_bytes, 1);
    assert_int_equal(insn.register_bytes, 8);
    EXPECT(OK, 32, 0x66, 0x0f, 0xbe, 0x00);
    assert_int_equal(insn.op, EMUL_OP_MOVSX);
    assert_int_equal(insn.memory_bytes, 1);
    assert_int_equal(insn.register_bytes, 2);
    EXPECT(OK, 64, 0x48, 0x63, 0x00); /* MOVSXD */
    assert_int_equal(insn.memory_bytes, 4);
    assert_int_equal(insn.register_bytes, 8);
    EXPECT(REFUSED, 32, 0x63, 0x00); /* ARPL */
    assert_int_equal(insn.refusal, EMUL_REFUSAL_OPCODE);
}

static void test_high_byte_registers_end_with_rex(void **context)
{
    (void)context;
    EXPECT(OK, 64, 0x88, 0x20); /* mov [rax], ah */
    assert_int_equal(insn.reg, X86_RAX);
    assert_true(insn.flags & EMUL_F_HIGH8);
    EXPECT(OK, 64, 0x40, 0x88, 0x20); /* mov [rax], spl */
    assert_int_equal(insn.reg, X86_RSP);
    assert_false(insn.flags & EMUL_F_HIGH8);
    EXPECT(OK, 64, 0x88, 0x18); /* mov [rax], bl */
    assert_int_equal(insn.reg, X86_RBX);
    assert_false(insn.flags & EMUL_F_HIGH8);
    EXPECT(OK, 64, 0x0f, 0xb6, 0x20); /* movzx esp, byte [rax] */
    assert_int_equal(insn.reg, X86_RSP);
    assert_false(insn.flags & EMUL_F_HIGH8);
}

static void test_16bit_addresses(void **context)
{
    static const struct {
        uint8_t base, index, segment;
    } forms[8] = {
        { X86_RBX, X86_RSI, X86_DS }, { X86_RBX, X86_RDI, X86_DS },
        { X86_RBP, X86_RSI, X86_SS }, { X86_RBP, X86_RDI, X86_SS },
        { X86_RSI, EMUL_REG_NONE, X86_DS }, { X86_RDI, EMUL_REG_NONE, X86_DS },
        { X86_RBP, EMUL_REG_NONE, X86_SS }, { X86_RBX, EMUL_REG_NONE, X86_DS },
    };

    (void)context;
    for (unsigned rm = 0; rm < 8; rm++) {
        EXPECT(OK, 16, 0x8b, (uint8_t)(0x40 | rm), 0x80);
        assert_int_equal(insn.base, forms[rm].base);
        assert_int_equal(insn.index, forms[rm].index);
        assert_int_equal(insn.segment, forms[rm].segment);
        assert_int_equal(insn.displacement, -128);
        assert_int_equal(insn.address_bytes, 2);
        EXPECT(OK, 32, 0x67, 0x8b, (uint8_t)(0x80 | rm), 0xff, 0xff);
        assert_int_equal(insn.base, forms[rm].base);
        assert_int_equal(insn.displacement, -1);
    }
    EXPECT(OK, 16, 0x8b, 0x06, 0x00, 0x80);
    assert_int_equal(insn.base, EMUL_REG_NONE);
    assert_int_equal(insn.segment, X86_DS);
}

static void test_rip_relative_in_64bit_mode_only(void **context)
{
    (void)context;
    EXPECT(OK, 64, 0x8b, 0x05, 0xfc, 0xff, 0xff, 0xff);
    assert_int_equal(insn.base, EMUL_REG_RIP);
    assert_int_equal(insn.displacement, -4);
    EXPECT(OK, 64, 0x41, 0x8b, 0x05, 0xfc, 0xff, 0xff, 0xff); /* REX.B is not decoded there */
    assert_int_equal(insn.base, EMUL_REG_RIP);
    EXPECT(OK, 32, 0x8b, 0x05, 0xfc, 0xff, 0xff, 0xff);
    assert_int_equal(insn.base, EMUL_REG_NONE);
}

static void test_sib_special_cases(void **context)
{
    (void)context;
    EXPECT(OK, 64, 0x8b, 0x04, 0x24); /* [rsp] */
    assert_int_equal(insn.base, X86_RSP);
    assert_int_equal(insn.index, EMUL_REG_NONE);
    assert_int_equal(insn.segment, X86_SS);
    EXPECT(OK, 64, 0x41, 0x8b, 0x04, 0x24); /* [r12]: no stack segment */
    assert_int_equal(insn.base, X86_R12);
    assert_int_equal(insn.segment, X86_DS);
    EXPECT(OK, 64, 0x42, 0x8b, 0x04, 0x20); /* [rax+r12]: index 4 with REX.X is a register */
    assert_int_equal(insn.index, X86_R12);
    EXPECT(OK, 64, 0x8b, 0x04, 0x25, 0x00, 0x00, 0xe0, 0xfe); /* [disp32], sign-extended */
    assert_int_equal(insn.base, EMUL_REG_NONE);
    assert_true(insn.displacement == (int32_t)0xfee00000);
    EXPECT(OK, 64, 0x8b, 0x44, 0x25, 0x10); /* [rbp+0x10] by SIB */
    assert_int_equal(insn.base, X86_RBP);
    assert_int_equal(insn.segment, X86_SS);
    EXPECT(OK, 64, 0x41, 0x8b, 0x45, 0x10); /* [r13+0x10] */
    assert_int_equal(insn.base, X86_R13);
    assert_int_equal(insn.segment, X86_DS);
}

static void test_segment_prefixes(void **context)
{
    (void)context;
    EXPECT(OK, 32, 0x2e, 0x26, 0x8b, 0x00); /* the last one counts */
    assert_int_equal(insn.segment, X86_ES);
    EXPECT(OK, 32, 0x3e, 0x8b, 0x45, 0x00); /* DS on EBP */
    assert_int_equal(insn.segment, X86_DS);
    EXPECT(OK, 64, 0x65, 0x2e, 0x8b, 0x00); /* CS is ignored, and does not cancel GS */
    assert_int_equal(insn.segment, X86_GS);
    EXPECT(OK, 64, 0x3e, 0x8b, 0x45, 0x00);
    assert_int_equal(insn.segment, X86_SS);
    EXPECT(OK, 64, 0x64, 0xa4);
    assert_int_equal(insn.segment, X86_FS);
}

static void test_rex_counts_only_before_the_opcode(void **context)
{
    (void)context;
    EXPECT(OK, 64, 0x48, 0x66, 0x89, 0x00);
    assert_int_equal(insn.memory_bytes, 2);
    EXPECT(OK, 64, 0x48, 0x41, 0x89, 0x00); /* the last of two */
    assert_int_equal(insn.memory_bytes, 4);
    assert_int_equal(insn.base, X86_R8);
    EXPECT(REFUSED, 32, 0x48); /* DEC EAX */
}

static void test_repeat_prefixes(void **context)
{
    (void)context;
    EXPECT(OK, 64, 0xf3, 0xa4);
    assert_int_equal(insn.flags, EMUL_F_REP);
    EXPECT(OK, 64, 0xf3, 0xf2, 0xa6); /* the last one counts */
    assert_int_equal(insn.flags, EMUL_F_REPNE);
}

static void test_lock(void **context)
{
    (void)context;
    EXPECT(OK, 64, 0xf0, 0x01, 0x00);
    assert_true(insn.flags & EMUL_F_LOCK);
    EXPECT(UD, 64, 0xf0, 0x01, 0xc0);       /* register destination */
    EXPECT(UD, 64, 0xf0, 0x03, 0x00);       /* memory as source */
    EXPECT(UD, 64, 0xf0, 0x39, 0x00);       /* CMP */
    EXPECT(UD, 64, 0xf0, 0x83, 0x38, 0x00); /* CMP */
    EXPECT(UD, 64, 0xf0, 0x89, 0x00);       /* MOV */
    EXPECT(UD, 64, 0xf0, 0xa4);             /* MOVS */
    EXPECT(UD, 64, 0xf0, 0x0f, 0xa3, 0x00); /* BT */
    EXPECT(UD, 64, 0xf0, 0x90);             /* NOP: not one that we know */
    EXPECT(UD, 64, 0xf0, 0xd0, 0x20);       /* SHL */
    EXPECT(UD, 64, 0xf0, 0xa3, 0, 0, 0, 0, 0, 0, 0, 0);
    EXPECT(OK, 64, 0xf0, 0x0f, 0xc7, 0x08); /* CMPXCHG8B */
    EXPECT(OK, 64, 0xf0, 0x0f, 0xba, 0x28, 0x01); /* BTS */
    EXPECT(OK, 64, 0xf0, 0xf7, 0x18); /* NEG */
    EXPECT(OK, 64, 0xf0, 0x87, 0x00); /* XCHG */
}

static void test_length_limit(void **context)
{
    uint8_t bytes[20];

    (void)context;
    memset(bytes, 0x66, sizeof(bytes));
    bytes[13] = 0x89;
    bytes[14] = 0x00;
    assert_int_equal(emul_decode(bytes, 20, EMUL_MODE_64, &insn), EMUL_OK);
    assert_int_equal(insn.length_bytes, 15);
    bytes[14] = 0x40; /* with a displacement it would have 16 */
    assert_int_equal(emul_decode(bytes, 20, EMUL_MODE_64, &insn), EMUL_TOO_LONG);
    memset(bytes, 0x66, sizeof(bytes));
    assert_int_equal(emul_decode(bytes, 20, EMUL_MODE_64, &insn), EMUL_TOO_LONG);
    assert_int_equal(emul_decode(bytes, 14, EMUL_MODE_64, &insn), EMUL_NEED_BYTES);
    assert_int_equal(emul_decode(bytes, 0, EMUL_MODE_64, &insn), EMUL_NEED_BYTES);
}

static void test_illegal(void **context)
{
    (void)context;
    EXPECT(UD, 64, 0x06);
    EXPECT(REFUSED, 32, 0x06);
    EXPECT(UD, 64, 0x82, 0x00, 0x00);
    EXPECT(OK, 32, 0x82, 0x00, 0x00);
    EXPECT(UD, 64, 0x0f, 0x0b);
    EXPECT(UD, 64, 0xc6, 0x08, 0x00);
    EXPECT(UD, 64, 0xfe, 0x10);
    EXPECT(UD, 64, 0xff, 0x38);
    EXPECT(UD, 64, 0x8f, 0x08);
    EXPECT(UD, 64, 0x0f, 0xba, 0x00, 0x00);
    EXPECT(UD, 64, 0x0f, 0xc3, 0xc0);       /* MOVNTI takes memory only */
    EXPECT(UD, 64, 0x66, 0x0f, 0xc3, 0x00); /* and no prefix */
    EXPECT(UD, 64, 0xf3, 0x0f, 0xc3, 0x00);
    EXPECT(UD, 64, 0x0f, 0xc7, 0xc8);
    EXPECT(UD, 64, 0x0f, 0x38, 0xf0, 0xc0);
}

static void test_refused_by_name(void **context)
{
    (void)context;
    EXPECT(REFUSED, 64, 0xc5, 0xf8, 0x77);
    assert_int_equal(insn.refusal, EMUL_REFUSAL_VEX);
    EXPECT(REFUSED, 64, 0xc4, 0xe2, 0x78, 0xf2, 0x00);
    assert_int_equal(insn.refusal, EMUL_REFUSAL_VEX);
    EXPECT(REFUSED, 64, 0x62, 0xf1, 0x7c, 0x48, 0x10, 0x00);
    assert_int_equal(insn.refusal, EMUL_REFUSAL_EVEX);
    EXPECT(UD, 64, 0x66, 0xc5, 0xf8, 0x77);
    EXPECT(UD, 64, 0x48, 0xc5, 0xf8, 0x77);
    EXPECT(UD, 64, 0xf3, 0x62, 0xf1, 0x7c, 0x48, 0x10, 0x00);
    EXPECT(UD, 64, 0xf0, 0xc5, 0xf8, 0x77);
    EXPECT(REFUSED, 32, 0xc5, 0xf8, 0x77);
    assert_int_equal(insn.refusal, EMUL_REFUSAL_VEX);
    EXPECT(REFUSED, 32, 0xc5, 0x00); /* LDS */
    assert_int_equal(insn.refusal, EMUL_REFUSAL_OPCODE);
    EXPECT(NEED_BYTES, 32, 0xc5);
    EXPECT(REFUSED, 64, 0x89, 0xc0);
    assert_int_equal(insn.refusal, EMUL_REFUSAL_REGISTER);
    EXPECT(REFUSED, 64, 0xf7, 0x20); /* MUL */
    assert_int_equal(insn.refusal, EMUL_REFUSAL_OPCODE);
    EXPECT(REFUSED, 64, 0xf2, 0x0f, 0x38, 0xf0, 0x00); /* CRC32 */
    EXPECT(REFUSED, 64, 0x0f, 0x38, 0x00, 0x00);
    EXPECT(REFUSED, 64, 0xff, 0x10); /* CALL */
    EXPECT(NEED_BYTES, 64, 0x0f);
    EXPECT(NEED_BYTES, 64, 0x0f, 0x38);
    assert_int_equal(insn.length_bytes, 0);
}

static void test_result_keeps_only_its_own_bytes(void **context)
{
    struct emul_insn first;

    (void)context;
    EXPECT(OK, 64, 0x89, 0x08, 0x12, 0x34);
    first = insn;
    EXPECT(OK, 64, 0x89, 0x08, 0x56, 0x78);
    assert_memory_equal(&first, &insn, sizeof(insn));
    EXPECT(REFUSED, 64, 0x0f, 0x01, 0xc1);
    assert_int_equal(insn.bytes[2], 0xc1); /* for the crash report */
}

static void test_fast_moves(void **context)
{
    struct x86_gprs gprs = { { 0x1122334455667788ull, 0x99aabbccddeeff00ull } };
    bool is_write;
    unsigned size;

    (void)context;
    EXPECT(OK, 64, 0x88, 0x28); /* mov [rax], ch */
    assert_true(emul_mov_fast(&insn, &is_write, &size) && emul_insn_is_simple_mmio(&insn));
    assert_true(is_write);
    assert_int_equal(size, 1);
    assert_int_equal(emul_mov_store_value(&insn, &gprs), 0xff);
    EXPECT(OK, 64, 0x48, 0xc7, 0x00, 0xfe, 0xff, 0xff, 0xff);
    assert_true(emul_mov_fast(&insn, &is_write, &size) && is_write && size == 8);
    assert_true(emul_mov_store_value(&insn, &gprs) == 0xfffffffffffffffeull);
    EXPECT(OK, 64, 0xc7, 0x00, 0xfe, 0xff, 0xff, 0xff);
    assert_true(emul_mov_store_value(&insn, &gprs) == 0xfffffffe);
    EXPECT(OK, 64, 0x8b, 0x01); /* mov eax, [rcx] */
    assert_true(emul_mov_fast(&insn, &is_write, &size) && !is_write && size == 4);
    emul_mov_finish_load(&insn, &gprs, 0xffffffff80000001ull);
    assert_true(gprs.r[0] == 0x80000001);
    EXPECT(OK, 64, 0x48, 0x0f, 0xbe, 0x01); /* movsx rax, byte [rcx] */
    assert_true(emul_mov_fast(&insn, &is_write, &size) && !is_write && size == 1);
    emul_mov_finish_load(&insn, &gprs, 0x123480);
    assert_true(gprs.r[0] == 0xffffffffffffff80ull);
    EXPECT(OK, 64, 0x66, 0x0f, 0xb6, 0x01); /* movzx ax, byte [rcx] */
    emul_mov_finish_load(&insn, &gprs, 0x7f);
    assert_true(gprs.r[0] == 0xffffffffffff007full);
    EXPECT(OK, 64, 0x8a, 0x21); /* mov ah, [rcx] */
    emul_mov_finish_load(&insn, &gprs, 0x55);
    assert_true(gprs.r[0] == 0xffffffffffff557full);
    EXPECT(OK, 64, 0x01, 0x08);
    assert_false(emul_mov_fast(&insn, &is_write, &size) || emul_insn_is_simple_mmio(&insn));
    EXPECT(OK, 64, 0x0f, 0x38, 0xf0, 0x08); /* MOVBE */
    assert_false(emul_mov_fast(&insn, &is_write, &size));
}

static void test_every_name(void **context)
{
    (void)context;
    for (unsigned i = 0; i < EMUL_OP_COUNT; i++) {
        assert_true(strlen(emul_op_name((enum emul_op)i)) > 1);
    }
    assert_string_equal(emul_op_name(EMUL_OP_OUTS), "outs");
    assert_string_equal(emul_op_name(EMUL_OP_BT), "bt");
    assert_string_equal(emul_op_name(EMUL_OP_MOV), "mov");
    assert_string_equal(emul_op_name(EMUL_OP_COUNT), "?");
    assert_string_equal(emul_status_name(EMUL_REFUSED), "not emulated");
    assert_string_equal(emul_status_name((enum emul_status)99), "?");
    assert_string_equal(emul_refusal_name(EMUL_REFUSAL_EVEX), "EVEX-encoded");
    assert_string_equal(emul_refusal_name((enum emul_refusal)99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mov_forms),
        cmocka_unit_test(test_absolute_offsets_are_as_wide_as_addresses),
        cmocka_unit_test(test_operand_size),
        cmocka_unit_test(test_extensions_have_two_sizes),
        cmocka_unit_test(test_high_byte_registers_end_with_rex),
        cmocka_unit_test(test_16bit_addresses),
        cmocka_unit_test(test_rip_relative_in_64bit_mode_only),
        cmocka_unit_test(test_sib_special_cases),
        cmocka_unit_test(test_segment_prefixes),
        cmocka_unit_test(test_rex_counts_only_before_the_opcode),
        cmocka_unit_test(test_repeat_prefixes),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_length_limit),
        cmocka_unit_test(test_illegal),
        cmocka_unit_test(test_refused_by_name),
        cmocka_unit_test(test_result_keeps_only_its_own_bytes),
        cmocka_unit_test(test_fast_moves),
        cmocka_unit_test(test_every_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
