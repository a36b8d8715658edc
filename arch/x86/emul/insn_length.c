/*
 * Lengths of instructions by their opcode maps: x86/insn_length.h. Pure; no lock.
 */
#include "x86/insn_length.h"

#include "hv/format.h"

/* What follows an opcode. */
enum { M = 1, I8 = 2, I16 = 4, IZ = 8, OFFSET = 16, FAR = 32, TEST = 64, WIDE = 128 };

struct reader {
    const uint8_t *bytes;
    unsigned count, at;
    enum emul_mode mode;
    bool operand16, address_other, rex_w;
    uint8_t map;     /* 0: one byte; 1: 0F; 2: 0F 38; 3: 0F 3A; and EVEX's 4 to 7 */
    uint8_t opcode;
    bool vex;
};

static bool next_byte(struct reader *r, uint8_t *byte)
{
    if (r->at >= r->count || r->at >= EMUL_INSN_BYTES_MAX)
        return false;
    *byte = r->bytes[r->at++];
    return true;
}

static bool is_prefix(uint8_t byte)
{
    switch (byte) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67:
    case 0xf0: case 0xf2: case 0xf3:
        return true;
    default:
        return false;
    }
}

/* C4, C5, 62: outside of 64-bit mode only with a register as the next byte's first operand. */
static bool is_vex(const struct reader *r, uint8_t byte)
{
    if (byte != 0xc4 && byte != 0xc5 && byte != 0x62)
        return false;
    return r->mode == EMUL_MODE_64 || (r->at < r->count && r->bytes[r->at] >= 0xc0);
}

static bool read_vex(struct reader *r, uint8_t first)
{
    uint8_t p0 = 0, more;
    unsigned rest = first == 0x62 ? 2 : first == 0xc4 ? 1 : 0;

    if (!next_byte(r, &p0))
        return false;
    for (unsigned i = 0; i < rest; i++) {
        if (!next_byte(r, &more))
            return false;
    }
    r->vex = true;
    r->map = first == 0xc5 ? 1 : first == 0xc4 ? p0 & 0x1f : p0 & 7;
    return next_byte(r, &r->opcode);
}

static bool read_opcode(struct reader *r)
{
    uint8_t byte;

    for (;;) {
        if (!next_byte(r, &byte))
            return false;
        bool rex = r->mode == EMUL_MODE_64 && (byte & 0xf0) == 0x40;
        if (!rex && !is_prefix(byte))
            break;
        /* One that does not stand right before the opcode is ignored. */
        r->rex_w = rex && (byte & 8);
        r->operand16 |= byte == 0x66;
        r->address_other |= byte == 0x67;
    }
    if (is_vex(r, byte))
        return read_vex(r, byte);
    r->opcode = byte;
    if (byte != 0x0f)
        return true;
    r->map = 1;
    if (!next_byte(r, &r->opcode))
        return false;
    if (r->opcode != 0x38 && r->opcode != 0x3a)
        return true;
    r->map = r->opcode == 0x38 ? 2 : 3;
    return next_byte(r, &r->opcode);
}

/* --- what follows --- */

static unsigned follows_one_byte(uint8_t op, bool long_mode)
{
    if (op < 0x40) {
        unsigned column = op & 7;
        return column < 4 ? M : column == 4 ? I8 : column == 5 ? IZ : 0;
    }
    if ((op >= 0x70 && op <= 0x7f) || (op >= 0xb0 && op <= 0xb7) || (op >= 0xe0 && op <= 0xe7))
        return I8;
    if (op >= 0x84 && op <= 0x8f)
        return M;
    if (op >= 0xb8 && op <= 0xbf)
        return IZ | WIDE;
    if ((op >= 0xd0 && op <= 0xd3) || (op >= 0xd8 && op <= 0xdf))
        return M;
    switch (op) {
    case 0x62: case 0x63: case 0xc4: case 0xc5: case 0xfe: case 0xff:
        return M;
    case 0x68: case 0xa9: case 0xe8: case 0xe9:
        return IZ;
    case 0x69: case 0x81: case 0xc7:
        return M | IZ;
    case 0x6a: case 0xa8: case 0xcd: case 0xd4: case 0xd5: case 0xeb:
        return I8;
    case 0x6b: case 0x80: case 0x82: case 0x83: case 0xc0: case 0xc1: case 0xc6:
        return M | I8;
    case 0x9a: case 0xea:
        return long_mode ? 0 : FAR;
    case 0xa0: case 0xa1: case 0xa2: case 0xa3:
        return OFFSET;
    case 0xc2: case 0xca:
        return I16;
    case 0xc8:
        return I16 | I8;
    case 0xf6: case 0xf7:
        return M | TEST;
    default:
        return 0;
    }
}

static unsigned follows_two_bytes(uint8_t op)
{
    if (op >= 0x80 && op <= 0x8f)
        return IZ;
    if ((op >= 0x30 && op <= 0x37) || (op >= 0xc8 && op <= 0xcf) || (op >= 0x70 && op <= 0x73))
        return op >= 0x70 && op <= 0x73 ? M | I8 : 0;
    switch (op) {
    case 0x05: case 0x06: case 0x07: case 0x08: case 0x09: case 0x0b: case 0x0e: case 0x77:
    case 0xa0: case 0xa1: case 0xa2: case 0xa8: case 0xa9: case 0xaa:
        return 0;
    case 0x0f: case 0xa4: case 0xac: case 0xba: case 0xc2: case 0xc4: case 0xc5: case 0xc6:
        return M | I8;
    default:
        return M;
    }
}

static unsigned follows(const struct reader *r)
{
    switch (r->map) {
    case 0:
        return follows_one_byte(r->opcode, r->mode == EMUL_MODE_64);
    case 1:
        return follows_two_bytes(r->opcode);
    case 3:
        return M | I8;
    default:
        return M;
    }
}

static unsigned address_bytes(const struct reader *r)
{
    if (r->mode == EMUL_MODE_64)
        return r->address_other ? 4 : 8;
    return (r->mode == EMUL_MODE_32) != r->address_other ? 4 : 2;
}

static unsigned operand_bytes(const struct reader *r)
{
    if (r->mode == EMUL_MODE_16)
        return r->operand16 ? 4 : 2;
    return r->operand16 && !r->rex_w ? 2 : 4;
}

/* Displacement behind a ModR/M byte, and its SIB byte. */
static bool skip_operand(struct reader *r, uint8_t *reg)
{
    uint8_t modrm, sib = 0;
    unsigned mod, rm, bytes = 0;

    if (!next_byte(r, &modrm))
        return false;
    mod = modrm >> 6;
    rm = modrm & 7;
    *reg = modrm >> 3 & 7;
    /* MOV to and from control and debug registers knows registers only. */
    if (mod == 3 || (r->map == 1 && !r->vex && r->opcode >= 0x20 && r->opcode <= 0x23))
        return true;
    if (address_bytes(r) == 2) {
        bytes = mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;
    } else {
        if (rm == 4 && !next_byte(r, &sib))
            return false;
        bytes = mod == 1 ? 1 : mod == 2 || rm == 5 || (rm == 4 && (sib & 7) == 5) ? 4 : 0;
    }
    r->at += bytes;
    return true;
}

static unsigned immediate_bytes(const struct reader *r, unsigned what, uint8_t reg)
{
    bool branch = (r->map == 0 && (r->opcode == 0xe8 || r->opcode == 0xe9)) ||
                  (r->map == 1 && r->opcode >= 0x80 && r->opcode <= 0x8f);
    unsigned z = branch && r->mode == EMUL_MODE_64 ? 4 : operand_bytes(r);
    unsigned bytes = 0;

    if ((what & TEST) && reg < 2)
        what |= r->opcode == 0xf6 ? I8 : IZ;
    bytes += what & I8 ? 1 : 0;
    bytes += what & I16 ? 2 : 0;
    bytes += what & IZ ? ((what & WIDE) && r->rex_w ? 8 : z) : 0;
    bytes += what & FAR ? 2 + operand_bytes(r) : 0;
    bytes += what & OFFSET ? address_bytes(r) : 0;
    return bytes;
}

static bool read_all(struct reader *r, const uint8_t *bytes, unsigned count, enum emul_mode mode)
{
    uint8_t reg = 0;
    unsigned what;

    *r = (struct reader){ .bytes = bytes, .count = count, .mode = mode };
    if (!read_opcode(r))
        return false;
    what = follows(r);
    if ((what & M) && !skip_operand(r, &reg))
        return false;
    r->at += immediate_bytes(r, what, reg);
    return r->at <= count && r->at <= EMUL_INSN_BYTES_MAX;
}

unsigned insn_length(const uint8_t *bytes, unsigned count, enum emul_mode mode)
{
    struct reader r;

    return read_all(&r, bytes, count, mode) ? r.at : 0;
}

/* --- names --- */

struct name_row {
    uint8_t map, first, last;
    const char *name;
};

static const struct name_row names[] = {
    { 0, 0x50, 0x57, "push" },   { 0, 0x58, 0x5f, "pop" },    { 0, 0x63, 0x63, "movsxd" },
    { 0, 0x68, 0x68, "push" },   { 0, 0x69, 0x69, "imul" },   { 0, 0x6a, 0x6a, "push" },
    { 0, 0x6b, 0x6b, "imul" },   { 0, 0x6c, 0x6d, "ins" },    { 0, 0x6e, 0x6f, "outs" },
    { 0, 0x84, 0x85, "test" },   { 0, 0x86, 0x87, "xchg" },   { 0, 0x88, 0x8c, "mov" },
    { 0, 0x8d, 0x8d, "lea" },    { 0, 0x8e, 0x8e, "mov" },    { 0, 0x8f, 0x8f, "pop" },
    { 0, 0x90, 0x90, "nop" },    { 0, 0x91, 0x97, "xchg" },   { 0, 0x98, 0x98, "cdqe" },
    { 0, 0x99, 0x99, "cqo" },    { 0, 0x9c, 0x9c, "pushf" },  { 0, 0x9d, 0x9d, "popf" },
    { 0, 0x9e, 0x9e, "sahf" },   { 0, 0x9f, 0x9f, "lahf" },   { 0, 0xa0, 0xa3, "mov" },
    { 0, 0xa4, 0xa5, "movs" },   { 0, 0xa6, 0xa7, "cmps" },   { 0, 0xa8, 0xa9, "test" },
    { 0, 0xaa, 0xab, "stos" },   { 0, 0xac, 0xad, "lods" },   { 0, 0xae, 0xaf, "scas" },
    { 0, 0xb0, 0xbf, "mov" },    { 0, 0xc2, 0xc3, "ret" },    { 0, 0xc6, 0xc7, "mov" },
    { 0, 0xc8, 0xc8, "enter" },  { 0, 0xc9, 0xc9, "leave" },  { 0, 0xca, 0xcb, "ret far" },
    { 0, 0xcc, 0xcc, "int3" },   { 0, 0xcd, 0xcd, "int" },    { 0, 0xcf, 0xcf, "iret" },
    { 0, 0xd8, 0xdf, "x87" },    { 0, 0xe4, 0xe5, "in" },     { 0, 0xe6, 0xe7, "out" },
    { 0, 0xec, 0xed, "in" },     { 0, 0xee, 0xef, "out" },    { 0, 0xf1, 0xf1, "int1" },
    { 0, 0xf4, 0xf4, "hlt" },    { 0, 0xf5, 0xf5, "cmc" },    { 0, 0xf8, 0xf8, "clc" },
    { 0, 0xf9, 0xf9, "stc" },    { 0, 0xfa, 0xfa, "cli" },    { 0, 0xfb, 0xfb, "sti" },
    { 0, 0xfc, 0xfc, "cld" },    { 0, 0xfd, 0xfd, "std" },    { 1, 0x05, 0x05, "syscall" },
    { 1, 0x06, 0x06, "clts" },   { 1, 0x07, 0x07, "sysret" }, { 1, 0x08, 0x08, "invd" },
    { 1, 0x09, 0x09, "wbinvd" }, { 1, 0x0b, 0x0b, "ud2" },    { 1, 0x0d, 0x0d, "prefetchw" },
    { 1, 0x1e, 0x1f, "nop" },    { 1, 0x20, 0x20, "mov from cr" }, { 1, 0x21, 0x21, "mov from dr" },
    { 1, 0x22, 0x22, "mov to cr" }, { 1, 0x23, 0x23, "mov to dr" }, { 1, 0x30, 0x30, "wrmsr" },
    { 1, 0x31, 0x31, "rdtsc" },  { 1, 0x32, 0x32, "rdmsr" },  { 1, 0x33, 0x33, "rdpmc" },
    { 1, 0x34, 0x34, "sysenter" }, { 1, 0x35, 0x35, "sysexit" }, { 1, 0x40, 0x4f, "cmov" },
    { 1, 0x90, 0x9f, "set" },    { 1, 0xa2, 0xa2, "cpuid" },  { 1, 0xa3, 0xa3, "bt" },
    { 1, 0xa4, 0xa5, "shld" },   { 1, 0xab, 0xab, "bts" },    { 1, 0xac, 0xad, "shrd" },
    { 1, 0xae, 0xae, "fence/fxsave/xsave" }, { 1, 0xaf, 0xaf, "imul" }, { 1, 0xb0, 0xb1, "cmpxchg" },
    { 1, 0xb3, 0xb3, "btr" },    { 1, 0xb6, 0xb7, "movzx" },  { 1, 0xb8, 0xb8, "popcnt" },
    { 1, 0xb9, 0xb9, "ud1" },    { 1, 0xbb, 0xbb, "btc" },    { 1, 0xbc, 0xbc, "bsf/tzcnt" },
    { 1, 0xbd, 0xbd, "bsr/lzcnt" }, { 1, 0xbe, 0xbf, "movsx" }, { 1, 0xc0, 0xc1, "xadd" },
    { 1, 0xc3, 0xc3, "movnti" }, { 1, 0xc8, 0xcf, "bswap" },  { 1, 0xff, 0xff, "ud0" },
};

static const char *const arithmetic[8] = { "add", "or", "adc", "sbb", "and", "sub", "xor", "cmp" };
static const char *const shifts[8] = { "rol", "ror", "rcl", "rcr", "shl", "shr", "shl", "sar" };
static const char *const units[8] = { "test", "test", "not", "neg", "mul", "imul", "div", "idiv" };
static const char *const others[8] = { "inc", "dec", "call", "call far", "jmp", "jmp far", "push",
                                       "(group 5)" };
static const char *const conditions[16] = { "o", "no", "b", "ae", "e", "ne", "be", "a",
                                            "s", "ns", "p", "np", "l", "ge", "le", "g" };
static const char *const loops[4] = { "loopne", "loope", "loop", "jcxz" };

/* Opcodes whose ModR/M byte says what they do; NULL: this is none. */
static const char *group_name(const struct reader *r, uint8_t modrm)
{
    static const char *const tables[8] = { "sldt", "str", "lldt", "ltr", "verr", "verw", "(0f 00)",
                                           "(0f 00)" };
    static const char *const system[8] = { "sgdt", "sidt", "lgdt", "lidt", "smsw", "(0f 01)", "lmsw",
                                           "invlpg" };
    unsigned reg = modrm >> 3 & 7;

    if (r->vex)
        return NULL;
    if (r->map == 1 && r->opcode == 0x00)
        return tables[reg];
    if (r->map == 1 && r->opcode == 0x01) {
        if (modrm < 0xc0)
            return system[reg];
        switch (modrm) {
        case 0xc1: return "vmcall";
        case 0xc8: return "monitor";
        case 0xc9: return "mwait";
        case 0xca: return "clac";
        case 0xcb: return "stac";
        case 0xd0: return "xgetbv";
        case 0xd1: return "xsetbv";
        case 0xf8: return "swapgs";
        case 0xf9: return "rdtscp";
        default: return reg == 4 || reg == 6 ? system[reg] : "(0f 01)";
        }
    }
    if (r->map == 1 && r->opcode == 0xba)
        return (const char *const[]){ NULL, NULL, NULL, NULL, "bt", "bts", "btr", "btc" }[reg];
    if (r->map)
        return NULL;
    if (r->opcode >= 0x80 && r->opcode <= 0x83)
        return arithmetic[reg];
    if (r->opcode == 0xc0 || r->opcode == 0xc1 || (r->opcode >= 0xd0 && r->opcode <= 0xd3))
        return shifts[reg];
    if (r->opcode == 0xf6 || r->opcode == 0xf7)
        return units[reg];
    if (r->opcode == 0xfe || r->opcode == 0xff)
        return others[reg];
    return NULL;
}

static const char *plain_name(const struct reader *r)
{
    if (r->vex)
        return NULL;
    if (r->map == 0 && r->opcode < 0x40 && (r->opcode & 7) < 6)
        return arithmetic[r->opcode >> 3];
    if (r->map == 0 && r->opcode >= 0xe0 && r->opcode <= 0xe3)
        return loops[r->opcode & 3];
    for (size_t i = 0; i < HV_ARRAY_COUNT(names); i++) {
        if (names[i].map == r->map && r->opcode >= names[i].first && r->opcode <= names[i].last)
            return names[i].name;
    }
    return NULL;
}

/* The displacement at the end of a relative branch. */
static int64_t relative(const struct reader *r, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)r->bytes[r->at - bytes + i] << 8 * i;
    return (int64_t)(value << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

/* True: it was a relative branch. */
static bool branch_name(char *out, size_t room, uint64_t address, const struct reader *r)
{
    bool near = (r->map == 0 && (r->opcode == 0xe8 || r->opcode == 0xe9)) ||
                (r->map == 1 && r->opcode >= 0x80 && r->opcode <= 0x8f);
    bool near8 = r->map == 0 && ((r->opcode >= 0x70 && r->opcode <= 0x7f) || r->opcode == 0xeb);
    unsigned bytes = near8 ? 1 : r->mode == EMUL_MODE_64 ? 4 : operand_bytes(r);
    uint64_t target;

    if (r->vex || (!near && !near8))
        return false;
    target = address + r->at + (uint64_t)relative(r, bytes);
    if (r->mode != EMUL_MODE_64)
        target &= UINT32_MAX;
    if (r->map == 0 && r->opcode >= 0xe0)
        hv_snprintf(out, room, "%s %llx", r->opcode == 0xe8 ? "call" : "jmp",
                    (unsigned long long)target);
    else
        hv_snprintf(out, room, "j%s %llx", conditions[r->opcode & 15], (unsigned long long)target);
    return true;
}

void insn_name(char *out, size_t room, uint64_t address, const uint8_t *bytes, unsigned count,
               enum emul_mode mode)
{
    struct reader r, opcode;
    const char *name;

    if (!read_all(&r, bytes, count, mode)) {
        hv_snprintf(out, room, "(cut off)");
        return;
    }
    if (branch_name(out, room, address, &r))
        return;
    /* Once more, up to the opcode: the ModR/M byte stands behind it. */
    opcode = (struct reader){ .bytes = bytes, .count = count, .mode = mode };
    (void)read_opcode(&opcode);
    name = opcode.at < r.at ? group_name(&r, bytes[opcode.at]) : NULL;
    if (!name)
        name = plain_name(&r);
    if (!name)
        hv_snprintf(out, room, r.vex ? "(vector %02x)" : r.map ? "(0f.. %02x)" : "(%02x)", r.opcode);
    else if (r.map == 1 && r.opcode >= 0x40 && r.opcode <= 0x9f && (r.opcode & 0xf0) != 0x80)
        hv_snprintf(out, room, "%s%s", name, conditions[r.opcode & 15]);
    else
        hv_snprintf(out, room, "%s", name);
}
