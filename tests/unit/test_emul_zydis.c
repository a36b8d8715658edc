// SRCS: arch/x86/emul/decode.c arch/x86/emul/opcodes.c arch/x86/emul/names.c
// SRCS: arch/x86/emul/registers.c
// LIBS: -lZydis
/*
 * The decoder against an independent one, on random bytes and on random instructions of the kinds
 * that it knows, in all three modes. Whatever is accepted must be the same instruction; whatever is
 * called illegal must be illegal there; and nothing of the supported set may be refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "x86/emul.h"

#define RANDOM_COUNT 1500000u
#define STRUCTURED_COUNT 3000000u

static uint64_t rng_state;

static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}

static ZydisDecoder decoders[3];

struct reference {
    ZyanStatus status;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static void decode_reference(const uint8_t *bytes, unsigned count, enum emul_mode mode,
                             struct reference *out)
{
    memset(out, 0, sizeof(*out));
    out->status = ZydisDecoderDecodeFull(&decoders[mode], bytes, count, &out->insn,
                                         out->operands);
}

static enum emul_op op_of(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_ADD: return EMUL_OP_ADD;
    case ZYDIS_MNEMONIC_OR: return EMUL_OP_OR;
    case ZYDIS_MNEMONIC_ADC: return EMUL_OP_ADC;
    case ZYDIS_MNEMONIC_SBB: return EMUL_OP_SBB;
    case ZYDIS_MNEMONIC_AND: return EMUL_OP_AND;
    case ZYDIS_MNEMONIC_SUB: return EMUL_OP_SUB;
    case ZYDIS_MNEMONIC_XOR: return EMUL_OP_XOR;
    case ZYDIS_MNEMONIC_CMP: return EMUL_OP_CMP;
    case ZYDIS_MNEMONIC_ROL: return EMUL_OP_ROL;
    case ZYDIS_MNEMONIC_ROR: return EMUL_OP_ROR;
    case ZYDIS_MNEMONIC_RCL: return EMUL_OP_RCL;
    case ZYDIS_MNEMONIC_RCR: return EMUL_OP_RCR;
    case ZYDIS_MNEMONIC_SHL: return EMUL_OP_SHL;
    case ZYDIS_MNEMONIC_SHR: return EMUL_OP_SHR;
    case ZYDIS_MNEMONIC_SAR: return EMUL_OP_SAR;
    case ZYDIS_MNEMONIC_BT: return EMUL_OP_BT;
    case ZYDIS_MNEMONIC_BTS: return EMUL_OP_BTS;
    case ZYDIS_MNEMONIC_BTR: return EMUL_OP_BTR;
    case ZYDIS_MNEMONIC_BTC: return EMUL_OP_BTC;
    case ZYDIS_MNEMONIC_TEST: return EMUL_OP_TEST;
    case ZYDIS_MNEMONIC_NOT: return EMUL_OP_NOT;
    case ZYDIS_MNEMONIC_NEG: return EMUL_OP_NEG;
    case ZYDIS_MNEMONIC_INC: return EMUL_OP_INC;
    case ZYDIS_MNEMONIC_DEC: return EMUL_OP_DEC;
    case ZYDIS_MNEMONIC_XCHG: return EMUL_OP_XCHG;
    case ZYDIS_MNEMONIC_XADD: return EMUL_OP_XADD;
    case ZYDIS_MNEMONIC_CMPXCHG: return EMUL_OP_CMPXCHG;
    case ZYDIS_MNEMONIC_CMPXCHG8B: return EMUL_OP_CMPXCHG_WIDE;
    case ZYDIS_MNEMONIC_CMPXCHG16B: return EMUL_OP_CMPXCHG_WIDE;
    case ZYDIS_MNEMONIC_MOV: return EMUL_OP_MOV;
    case ZYDIS_MNEMONIC_MOVNTI: return EMUL_OP_MOV;
    case ZYDIS_MNEMONIC_MOVZX: return EMUL_OP_MOVZX;
    case ZYDIS_MNEMONIC_MOVSX: return EMUL_OP_MOVSX;
    case ZYDIS_MNEMONIC_MOVSXD: return EMUL_OP_MOVSX;
    case ZYDIS_MNEMONIC_MOVBE: return EMUL_OP_MOVBE;
    case ZYDIS_MNEMONIC_PUSH: return EMUL_OP_PUSH;
    case ZYDIS_MNEMONIC_POP: return EMUL_OP_POP;
    case ZYDIS_MNEMONIC_CMOVO: case ZYDIS_MNEMONIC_CMOVNO: case ZYDIS_MNEMONIC_CMOVB:
    case ZYDIS_MNEMONIC_CMOVNB: case ZYDIS_MNEMONIC_CMOVZ: case ZYDIS_MNEMONIC_CMOVNZ:
    case ZYDIS_MNEMONIC_CMOVBE: case ZYDIS_MNEMONIC_CMOVNBE: case ZYDIS_MNEMONIC_CMOVS:
    case ZYDIS_MNEMONIC_CMOVNS: case ZYDIS_MNEMONIC_CMOVP: case ZYDIS_MNEMONIC_CMOVNP:
    case ZYDIS_MNEMONIC_CMOVL: case ZYDIS_MNEMONIC_CMOVNL: case ZYDIS_MNEMONIC_CMOVLE:
    case ZYDIS_MNEMONIC_CMOVNLE:
        return EMUL_OP_CMOV;
    case ZYDIS_MNEMONIC_SETO: case ZYDIS_MNEMONIC_SETNO: case ZYDIS_MNEMONIC_SETB:
    case ZYDIS_MNEMONIC_SETNB: case ZYDIS_MNEMONIC_SETZ: case ZYDIS_MNEMONIC_SETNZ:
    case ZYDIS_MNEMONIC_SETBE: case ZYDIS_MNEMONIC_SETNBE: case ZYDIS_MNEMONIC_SETS:
    case ZYDIS_MNEMONIC_SETNS: case ZYDIS_MNEMONIC_SETP: case ZYDIS_MNEMONIC_SETNP:
    case ZYDIS_MNEMONIC_SETL: case ZYDIS_MNEMONIC_SETNL: case ZYDIS_MNEMONIC_SETLE:
    case ZYDIS_MNEMONIC_SETNLE:
        return EMUL_OP_SET;
    case ZYDIS_MNEMONIC_MOVSB: case ZYDIS_MNEMONIC_MOVSW: case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVSQ:
        return EMUL_OP_MOVS;
    case ZYDIS_MNEMONIC_CMPSB: case ZYDIS_MNEMONIC_CMPSW: case ZYDIS_MNEMONIC_CMPSD:
    case ZYDIS_MNEMONIC_CMPSQ:
        return EMUL_OP_CMPS;
    case ZYDIS_MNEMONIC_STOSB: case ZYDIS_MNEMONIC_STOSW: case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:
        return EMUL_OP_STOS;
    case ZYDIS_MNEMONIC_LODSB: case ZYDIS_MNEMONIC_LODSW: case ZYDIS_MNEMONIC_LODSD:
    case ZYDIS_MNEMONIC_LODSQ:
        return EMUL_OP_LODS;
    case ZYDIS_MNEMONIC_SCASB: case ZYDIS_MNEMONIC_SCASW: case ZYDIS_MNEMONIC_SCASD:
    case ZYDIS_MNEMONIC_SCASQ:
        return EMUL_OP_SCAS;
    case ZYDIS_MNEMONIC_INSB: case ZYDIS_MNEMONIC_INSW: case ZYDIS_MNEMONIC_INSD:
        return EMUL_OP_INS;
    case ZYDIS_MNEMONIC_OUTSB: case ZYDIS_MNEMONIC_OUTSW: case ZYDIS_MNEMONIC_OUTSD:
        return EMUL_OP_OUTS;
    default:
        return EMUL_OP_NONE;
    }
}

static const ZydisDecodedOperand *find_memory(const struct reference *r)
{
    for (unsigned i = 0; i < r->insn.operand_count; i++) {
        const ZydisDecodedOperand *o = &r->operands[i];

        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY &&
            (o->mem.type == ZYDIS_MEMOP_TYPE_MEM)) {
            return o;
        }
    }
    return NULL;
}

static const ZydisDecodedOperand *find_other(const struct reference *r, ZydisOperandType type)
{
    for (unsigned i = 0; i < r->insn.operand_count_visible; i++) {
        if (r->operands[i].type == type) {
            return &r->operands[i];
        }
    }
    return NULL;
}

/* General-purpose registers as we number them; AH to BH give 4 to 7 with `*high`. */
static unsigned register_number(ZydisRegister reg, bool *high)
{
    *high = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
    if (reg == ZYDIS_REGISTER_NONE) {
        return EMUL_REG_NONE;
    }
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) {
        return EMUL_REG_RIP;
    }
    if (*high) {
        return (unsigned)(reg - ZYDIS_REGISTER_AH);
    }
    return (unsigned)(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg) -
                      ZYDIS_REGISTER_RAX);
}

static unsigned base_number(ZydisRegister reg)
{
    bool high;

    return register_number(reg, &high);
}

static bool is_string(unsigned op)
{
    return op >= EMUL_OP_MOVS && op <= EMUL_OP_OUTS;
}

/* They sign-extend the absolute offset of MOV A0 to A3; only its address-size part is used. */
static bool displacement_agrees(const struct emul_insn *insn, const ZydisDecodedOperand *mem)
{
    uint64_t mask = insn->base == EMUL_REG_NONE ? ~0ull >> (64 - 8 * insn->address_bytes) : ~0ull;
    uint64_t theirs = mem->mem.disp.has_displacement ? (uint64_t)mem->mem.disp.value : 0;

    return (((uint64_t)insn->displacement ^ theirs) & mask) == 0;
}

/*
 * "Special Cases of REX Encodings": where mod is 0, a SIB base of 5 means disp32 and no base,
 * whatever REX.B says. With 32-bit addresses the other decoder names R13D; the processor does as
 * the manual says (test_emul_cpu.c).
 */
static bool is_misread_base(const struct emul_insn *insn, const ZydisDecodedOperand *mem)
{
    return insn->address_bytes == 4 && insn->base == EMUL_REG_NONE &&
           mem->mem.base == ZYDIS_REGISTER_R13D;
}

/* Shift counts and bit numbers are unsigned bytes; only their low bits are used. */
static uint64_t immediate_mask(const struct emul_insn *insn)
{
    if (insn->op >= EMUL_OP_ROL && insn->op <= EMUL_OP_BTC) {
        return 0xff;
    }
    return ~0ull >> (64 - 8 * insn->memory_bytes);
}

/* "" if both agree, otherwise what differs. */
static const char *compare(const struct emul_insn *insn, const struct reference *r)
{
    const ZydisDecodedOperand *mem = find_memory(r);
    const ZydisDecodedOperand *reg = find_other(r, ZYDIS_OPERAND_TYPE_REGISTER);
    const ZydisDecodedOperand *imm = find_other(r, ZYDIS_OPERAND_TYPE_IMMEDIATE);
    unsigned op = insn->op == EMUL_OP_SAL ? EMUL_OP_SHL : insn->op;
    bool high = false;

    if (insn->length_bytes != r->insn.length) {
        return "length";
    }
    if (op != op_of(r->insn.mnemonic)) {
        return "operation";
    }
    if (insn->address_bytes * 8u != r->insn.address_width) {
        return "address size";
    }
    if (!mem) {
        return "no memory operand";
    }
    /* MOVSXD r16 reads 16 bits by the SDM (r/m16), 32 by the other decoder's tables. */
    if (insn->memory_bytes * 8u != mem->size &&
        !(r->insn.mnemonic == ZYDIS_MNEMONIC_MOVSXD && insn->register_bytes == 2)) {
        return "memory size";
    }
    if (!!(insn->flags & EMUL_F_LOCK) !=
        !!(r->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK)) {
        return "lock";
    }
    if (is_string(op)) {
        if (mem->mem.base == ZYDIS_REGISTER_RSI || mem->mem.base == ZYDIS_REGISTER_ESI ||
            mem->mem.base == ZYDIS_REGISTER_SI) {
            if (insn->segment != mem->mem.segment - ZYDIS_REGISTER_ES) {
                return "string segment";
            }
        }
        return "";
    }
    if (insn->segment != mem->mem.segment - ZYDIS_REGISTER_ES) {
        return "segment";
    }
    if (insn->base != base_number(mem->mem.base) && !is_misread_base(insn, mem)) {
        return "base";
    }
    if (insn->index != base_number(mem->mem.index)) {
        return "index";
    }
    if (insn->index != EMUL_REG_NONE && (1u << insn->scale_shift) != mem->mem.scale) {
        return "scale";
    }
    if (!displacement_agrees(insn, mem) && !is_misread_base(insn, mem)) {
        return "displacement";
    }
    if (insn->form == EMUL_FORM_RM || insn->form == EMUL_FORM_MR) {
        unsigned number;

        if (!reg) {
            return "no register operand";
        }
        number = register_number(reg->reg.value, &high);
        if (insn->reg != number || high != !!(insn->flags & EMUL_F_HIGH8)) {
            return "register";
        }
        if (insn->register_bytes * 8u != reg->size) {
            return "register size";
        }
    }
    if (insn->form == EMUL_FORM_MI) {
        uint64_t mask = immediate_mask(insn);

        if (!imm) {
            return "no immediate";
        }
        if (((uint64_t)(int64_t)insn->immediate & mask) != (imm->imm.value.u & mask)) {
            return "immediate";
        }
    }
    if ((op == EMUL_OP_SET || op == EMUL_OP_CMOV) && insn->condition != (r->insn.opcode & 15)) {
        return "condition";
    }
    return "";
}

/* Instructions that the other decoder knows and that raise #UD on a processor with VT-x. */
static bool is_foreign(const struct reference *r)
{
    switch (r->insn.mnemonic) {
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
        return true;
    default:
        return r->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP;
    }
}

/* Is this one that the emulator promises to execute? */
static bool is_supported(const struct reference *r)
{
    const ZydisDecodedOperand *mem = find_memory(r);

    if (r->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || !mem ||
        op_of(r->insn.mnemonic) == EMUL_OP_NONE) {
        return false;
    }
    for (unsigned i = 0; i < r->insn.operand_count_visible; i++) {
        const ZydisDecodedOperand *o = &r->operands[i];

        if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            ZydisRegisterClass c = ZydisRegisterGetClass(o->reg.value);

            if (c != ZYDIS_REGCLASS_GPR8 && c != ZYDIS_REGCLASS_GPR16 &&
                c != ZYDIS_REGCLASS_GPR32 && c != ZYDIS_REGCLASS_GPR64) {
                return false; /* MOV to and from segment registers */
            }
        }
    }
    if (r->insn.mnemonic == ZYDIS_MNEMONIC_PUSH || r->insn.mnemonic == ZYDIS_MNEMONIC_POP) {
        return mem->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
    }
    return true;
}

static void report(const char *what, const uint8_t *bytes, enum emul_mode mode,
                   enum emul_status status, const struct reference *r)
{
    char text[64];
    int n = 0;

    for (unsigned i = 0; i < 15; i++) {
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%02x ", bytes[i]);
    }
    print_error("%s: mode %d: %s: ours %s, theirs %s (%x)\n", what, 16 << mode, text,
                emul_status_name(status),
                ZYAN_SUCCESS(r->status) ? ZydisMnemonicGetString(r->insn.mnemonic) : "error",
                (unsigned)r->status);
}

static uint64_t accepted;
static unsigned failures;

static void check_one(const uint8_t *bytes, unsigned count, enum emul_mode mode)
{
    struct emul_insn insn;
    struct reference r;
    enum emul_status status = emul_decode(bytes, count, mode, &insn);
    const char *what = "";

    decode_reference(bytes, count, mode, &r);
    if (status == EMUL_OK) {
        accepted++;
        what = ZYAN_SUCCESS(r.status) ? compare(&insn, &r) : "accepted, and illegal";
    } else if (status == EMUL_UD && ZYAN_SUCCESS(r.status) && !is_foreign(&r)) {
        what = "called illegal";
    } else if (status == EMUL_REFUSED && ZYAN_SUCCESS(r.status) && is_supported(&r)) {
        what = "refused";
    } else if (status == EMUL_TOO_LONG && r.status != ZYDIS_STATUS_INSTRUCTION_TOO_LONG &&
               ZYAN_SUCCESS(r.status)) {
        what = "called too long";
    } else if (status == EMUL_NEED_BYTES && ZYAN_SUCCESS(r.status)) {
        what = "needs more";
    }
    if (*what && failures++ < 40) {
        report(what, bytes, mode, status, &r);
    }
}

static void test_random_bytes(void **context)
{
    uint8_t bytes[16];

    (void)context;
    rng_state = 0x123456789abcdefull;
    failures = 0;
    for (unsigned i = 0; i < RANDOM_COUNT; i++) {
        uint64_t a = rng();
        uint64_t b = rng();

        memcpy(bytes, &a, 8);
        memcpy(bytes + 8, &b, 8);
        for (unsigned mode = 0; mode < 3; mode++) {
            check_one(bytes, 15, (enum emul_mode)mode);
        }
    }
    assert_int_equal(failures, 0);
}

/* Prefixes, an opcode with a row in the tables, and random operands. */
static void make_structured(uint8_t *bytes, enum emul_mode mode)
{
    static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
                                        0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x66, 0x67 };
    static const uint8_t one[] = {
        0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x1a,
        0x1b, 0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32, 0x33, 0x38, 0x39,
        0x3a, 0x3b, 0x63, 0x6c, 0x6d, 0x6e, 0x6f, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
        0x88, 0x89, 0x8a, 0x8b, 0x8f, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab,
        0xac, 0xad, 0xae, 0xaf, 0xc0, 0xc1, 0xc4, 0xc5, 0x62, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3,
        0xf6, 0xf7, 0xfe, 0xff,
    };
    static const uint8_t two[] = {
        0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e,
        0x4f, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d,
        0x9e, 0x9f, 0xa3, 0xab, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7, 0xba, 0xbb, 0xbe, 0xbf, 0xc0, 0xc1,
        0xc3, 0xc7,
    };
    unsigned n = 0;
    uint64_t r = rng();
    unsigned prefix_count = (unsigned)(r & 7) < 5 ? (unsigned)(r & 7) : 0;
    uint64_t a = rng();
    uint64_t b = rng();

    for (unsigned i = 0; i < prefix_count; i++) {
        bytes[n++] = prefixes[rng() % sizeof(prefixes)];
    }
    if (mode == EMUL_MODE_64 && (r & 0x300)) {
        bytes[n++] = (uint8_t)(0x40 | ((r >> 12) & 15));
    }
    switch ((r >> 20) % 8) {
    case 0: case 1: case 2: case 3: case 4:
        bytes[n++] = one[rng() % sizeof(one)];
        break;
    case 5: case 6:
        bytes[n++] = 0x0f;
        bytes[n++] = two[rng() % sizeof(two)];
        break;
    default:
        bytes[n++] = 0x0f;
        bytes[n++] = 0x38;
        bytes[n++] = (uint8_t)(0xf0 + (rng() & 1));
        break;
    }
    memcpy(bytes + n, &a, 8);
    memcpy(bytes + n + 8, &b, 8);
}

static void test_structured(void **context)
{
    uint8_t bytes[32];

    (void)context;
    rng_state = 0xfeedfacecafef00dull;
    failures = 0;
    accepted = 0;
    for (unsigned i = 0; i < STRUCTURED_COUNT; i++) {
        enum emul_mode mode = (enum emul_mode)(i % 3);

        make_structured(bytes, mode);
        check_one(bytes, 15, mode);
    }
    assert_int_equal(failures, 0);
    assert_true(accepted > STRUCTURED_COUNT / 3);
}

/* With fewer bytes than the instruction has, more are asked for, and nothing else is claimed. */
static void test_prefixes_of_instructions(void **context)
{
    uint8_t bytes[32];

    (void)context;
    rng_state = 0x0123456776543210ull;
    for (unsigned i = 0; i < 200000; i++) {
        enum emul_mode mode = (enum emul_mode)(i % 3);
        struct emul_insn whole;
        struct emul_insn part;

        make_structured(bytes, mode);
        if (emul_decode(bytes, 15, mode, &whole) != EMUL_OK) {
            continue;
        }
        for (unsigned count = 0; count < whole.length_bytes; count++) {
            assert_int_equal(emul_decode(bytes, count, mode, &part), EMUL_NEED_BYTES);
        }
        assert_int_equal(emul_decode(bytes, whole.length_bytes, mode, &part), EMUL_OK);
        assert_memory_equal(&part, &whole, sizeof(whole));
    }
}

static int setup(void **context)
{
    (void)context;
    ZydisDecoderInit(&decoders[EMUL_MODE_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&decoders[EMUL_MODE_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&decoders[EMUL_MODE_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_structured),
        cmocka_unit_test(test_prefixes_of_instructions),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
