/*
 * The instruction decoder: bytes and mode in, struct emul_insn out. Pure: it reads nothing but the
 * bytes that it is given, and never behind them. It executes nothing.
 * SDM volume 2 "Instruction Format". No lock.
 */
#include "opcodes.h"

#include "hv/string.h"
#include "x86/emul.h"

#define REX_W 0x8u
#define REX_R 0x4u
#define REX_X 0x2u
#define REX_B 0x1u

struct decoder {
    struct emul_insn *insn;
    unsigned count;          /* bytes that may be read */
    unsigned position;
    enum emul_status status; /* EMUL_OK until a byte is missing; then every read gives 0 */
    enum emul_mode mode;
    uint8_t rex;             /* 0 if there is none */
    bool operand_prefix;     /* 66 */
    bool address_prefix;     /* 67 */
    bool segment_prefix;
    unsigned opcode;         /* the last opcode byte */
    uint8_t operand_bytes;
    uint8_t modrm;
};

static uint8_t next_byte(struct decoder *d)
{
    if (d->status != EMUL_OK) {
        return 0;
    }
    if (d->position >= d->count) {
        d->status = d->count < EMUL_INSN_BYTES_MAX ? EMUL_NEED_BYTES : EMUL_TOO_LONG;
        return 0;
    }
    return d->insn->bytes[d->position++];
}

/* Little-endian, sign-extended. */
static int64_t next_signed(struct decoder *d, unsigned size_bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size_bytes; i++) {
        value |= (uint64_t)next_byte(d) << (8 * i);
    }
    switch (size_bytes) {
    case 1:
        return (int8_t)value;
    case 2:
        return (int16_t)value;
    case 4:
        return (int32_t)value;
    default:
        return (int64_t)value;
    }
}

static void use_segment(struct decoder *d, enum x86_seg segment)
{
    /* In 64-bit mode the other four are ignored, and do not cancel an earlier FS or GS. */
    if (d->mode != EMUL_MODE_64 || segment >= X86_FS) {
        d->insn->segment = (uint8_t)segment;
        d->segment_prefix = true;
    }
}

static void use_repeat(struct decoder *d, unsigned flag)
{
    d->insn->flags &= (uint8_t)~(EMUL_F_REP | EMUL_F_REPNE);
    d->insn->flags |= (uint8_t)flag;
}

static bool take_prefix(struct decoder *d, uint8_t byte)
{
    switch (byte) {
    case 0x26: use_segment(d, X86_ES); return true;
    case 0x2e: use_segment(d, X86_CS); return true;
    case 0x36: use_segment(d, X86_SS); return true;
    case 0x3e: use_segment(d, X86_DS); return true;
    case 0x64: use_segment(d, X86_FS); return true;
    case 0x65: use_segment(d, X86_GS); return true;
    case 0x66: d->operand_prefix = true; return true;
    case 0x67: d->address_prefix = true; return true;
    case 0xf0: d->insn->flags |= EMUL_F_LOCK; return true;
    case 0xf2: use_repeat(d, EMUL_F_REPNE); return true;
    case 0xf3: use_repeat(d, EMUL_F_REP); return true;
    default: return false;
    }
}

/* Gives the first byte that is no prefix. A REX prefix counts only directly before the opcode. */
static uint8_t decode_prefixes(struct decoder *d)
{
    for (;;) {
        uint8_t byte = next_byte(d);

        if (d->mode == EMUL_MODE_64 && (byte & 0xf0) == 0x40) {
            d->rex = byte;
        } else if (take_prefix(d, byte)) {
            d->rex = 0;
        } else {
            return byte;
        }
    }
}

static void set_sizes(struct decoder *d)
{
    struct emul_insn *insn = d->insn;

    switch (d->mode) {
    case EMUL_MODE_16:
        d->operand_bytes = d->operand_prefix ? 4 : 2;
        insn->address_bytes = d->address_prefix ? 4 : 2;
        break;
    case EMUL_MODE_32:
        d->operand_bytes = d->operand_prefix ? 2 : 4;
        insn->address_bytes = d->address_prefix ? 2 : 4;
        break;
    case EMUL_MODE_64:
        d->operand_bytes = (d->rex & REX_W) ? 8 : d->operand_prefix ? 2 : 4;
        insn->address_bytes = d->address_prefix ? 4 : 8;
        break;
    }
}

static enum emul_status refuse(struct decoder *d, enum emul_refusal refusal)
{
    /* LOCK is legal with none but instructions that are executed here, and with memory. */
    if (d->insn->flags & EMUL_F_LOCK) {
        return EMUL_UD;
    }
    d->insn->refusal = (uint8_t)refusal;
    return EMUL_REFUSED;
}

/*
 * C4, C5 and 62 are VEX and EVEX in 64-bit mode, and elsewhere if what follows would name a
 * register for LES, LDS and BOUND, which take none. "Intel AVX Instruction Format": with 66, F2,
 * F3, LOCK or REX they are #UD.
 */
static enum emul_status refuse_vector(struct decoder *d, uint8_t byte)
{
    bool is_vector = d->mode == EMUL_MODE_64 || next_byte(d) >= 0xc0;

    if (d->status != EMUL_OK) {
        return d->status;
    }
    if (!is_vector) {
        return refuse(d, EMUL_REFUSAL_OPCODE);
    }
    if (d->operand_prefix || d->rex || (d->insn->flags & (EMUL_F_REP | EMUL_F_REPNE))) {
        return EMUL_UD;
    }
    return refuse(d, byte == 0x62 ? EMUL_REFUSAL_EVEX : EMUL_REFUSAL_VEX);
}

static struct emul_opcode look_up(struct decoder *d, uint8_t byte)
{
    const struct emul_opcode *map = emul_opcodes_1byte;
    static const struct emul_opcode none;

    if (byte == 0x0f) {
        map = emul_opcodes_0f;
        byte = next_byte(d);
        if (byte == 0x38) {
            map = emul_opcodes_0f38;
            byte = next_byte(d);
            /* F2 makes CRC32 of what else is MOVBE. */
            if (d->insn->flags & (EMUL_F_REP | EMUL_F_REPNE)) {
                return none;
            }
        }
    }
    d->opcode = byte;
    return map[byte];
}

static void set_register(struct decoder *d, unsigned number)
{
    struct emul_insn *insn = d->insn;

    insn->reg = (uint8_t)number;
    if (insn->register_bytes == 1 && !d->rex && number >= X86_RSP && number <= X86_RDI) {
        insn->reg = (uint8_t)(number - X86_RSP);
        insn->flags |= EMUL_F_HIGH8;
    }
}

/* "16-Bit Addressing Forms with the ModR/M Byte" */
static void decode_address16(struct decoder *d)
{
    static const uint8_t base[8] = { X86_RBX, X86_RBX, X86_RBP, X86_RBP,
                                     X86_RSI, X86_RDI, X86_RBP, X86_RBX };
    static const uint8_t index[8] = { X86_RSI, X86_RDI, X86_RSI, X86_RDI,
                                      EMUL_REG_NONE, EMUL_REG_NONE, EMUL_REG_NONE,
                                      EMUL_REG_NONE };
    unsigned mod = d->modrm >> 6;
    unsigned rm = d->modrm & 7u;

    d->insn->base = base[rm];
    d->insn->index = index[rm];
    if (mod == 0 && rm == 6) {
        d->insn->base = EMUL_REG_NONE;
        mod = 2;
    }
    d->insn->displacement = mod == 0 ? 0 : next_signed(d, mod);
}

/* Gives whether the SIB byte has neither base nor a displacement by `mod`: then it has disp32. */
static bool decode_sib(struct decoder *d)
{
    struct emul_insn *insn = d->insn;
    uint8_t sib = next_byte(d);
    unsigned index = ((sib >> 3) & 7u) | ((d->rex & REX_X) ? 8u : 0u);

    insn->scale_shift = sib >> 6;
    insn->index = index == X86_RSP ? EMUL_REG_NONE : (uint8_t)index;
    if (insn->index == EMUL_REG_NONE) {
        insn->scale_shift = 0;
    }
    if ((sib & 7u) == X86_RBP && d->modrm < 0x40) {
        insn->base = EMUL_REG_NONE;
        return true;
    }
    insn->base = (uint8_t)((sib & 7u) | ((d->rex & REX_B) ? 8u : 0u));
    return false;
}

/* "32-Bit Addressing Forms with the ModR/M Byte"; "RIP-Relative Addressing" */
static void decode_address32(struct decoder *d)
{
    struct emul_insn *insn = d->insn;
    unsigned mod = d->modrm >> 6;
    unsigned rm = d->modrm & 7u;
    unsigned displacement_bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;

    insn->base = (uint8_t)(rm | ((d->rex & REX_B) ? 8u : 0u));
    if (rm == X86_RSP) {
        displacement_bytes = decode_sib(d) ? 4 : displacement_bytes;
    } else if (rm == X86_RBP && mod == 0) {
        insn->base = d->mode == EMUL_MODE_64 ? EMUL_REG_RIP : EMUL_REG_NONE;
        displacement_bytes = 4;
    }
    insn->displacement = displacement_bytes ? next_signed(d, displacement_bytes) : 0;
}

static void decode_address(struct decoder *d)
{
    if (d->insn->address_bytes == 2) {
        decode_address16(d);
    } else {
        decode_address32(d);
    }
    if (!d->segment_prefix && (d->insn->base == X86_RSP || d->insn->base == X86_RBP)) {
        d->insn->segment = X86_SS;
    }
}

/* The sizes of the memory operand and of the register operand. */
static void set_operand_sizes(struct decoder *d, const struct emul_opcode *row)
{
    struct emul_insn *insn = d->insn;
    uint8_t size = d->operand_bytes;

    if (row->attr & EMUL_ATTR_BYTE) {
        size = 1;
    } else if ((row->attr & EMUL_ATTR_D64) && d->mode == EMUL_MODE_64 && size == 4) {
        size = 8;
    } else if (row->op == EMUL_OP_CMPXCHG_WIDE) {
        size = (d->rex & REX_W) ? 16 : 8;
    } else if (row->op == EMUL_OP_MOV && (row->attr & EMUL_ATTR_MEM_ONLY) && size == 2) {
        size = 4; /* MOVNTI in a 16-bit code segment */
    } else if ((row->op == EMUL_OP_INS || row->op == EMUL_OP_OUTS) && size == 8) {
        size = 4;
    }
    insn->memory_bytes = size;
    insn->register_bytes = (row->attr & EMUL_ATTR_CL) ? 1 : size;
    if (row->attr & EMUL_ATTR_MEM8) {
        insn->memory_bytes = 1;
    } else if (row->attr & EMUL_ATTR_MEM16) {
        insn->memory_bytes = 2;
    } else if ((row->attr & EMUL_ATTR_ONLY64) && size == 8) {
        insn->memory_bytes = 4; /* MOVSXD; with operands of 2 or 4 bytes it extends nothing */
    }
}

static void decode_immediate(struct decoder *d, const struct emul_opcode *row)
{
    unsigned size = d->operand_bytes == 2 ? 2 : 4;

    if (row->attr & EMUL_ATTR_ONE) {
        d->insn->immediate = 1;
    } else if (row->attr & (EMUL_ATTR_IMM8 | EMUL_ATTR_IMMZ)) {
        if (row->attr & (EMUL_ATTR_IMM8 | EMUL_ATTR_BYTE)) {
            size = 1;
        }
        d->insn->immediate = (int32_t)next_signed(d, size);
    }
}

static void decode_absolute(struct decoder *d)
{
    struct emul_insn *insn = d->insn;
    uint64_t offset = (uint64_t)next_signed(d, insn->address_bytes);

    insn->displacement = (int64_t)(offset & (~0ull >> (64 - 8 * insn->address_bytes)));
    set_register(d, X86_RAX);
}

/* Needs d->modrm. Gives EMUL_OK if the operand is memory and the prefixes are legal with it. */
static enum emul_status check_row(struct decoder *d, const struct emul_opcode *row)
{
    bool is_register = row->form != EMUL_FORM_STRING && !(row->attr & EMUL_ATTR_MOFFS) &&
                       d->modrm >= 0xc0;

    if (is_register && (row->attr & EMUL_ATTR_MEM_ONLY)) {
        return EMUL_UD;
    }
    if ((row->attr & EMUL_ATTR_NP) &&
        (d->operand_prefix || (d->insn->flags & (EMUL_F_REP | EMUL_F_REPNE)))) {
        return EMUL_UD;
    }
    if (is_register) {
        return refuse(d, EMUL_REFUSAL_REGISTER);
    }
    if ((d->insn->flags & EMUL_F_LOCK) && !(row->attr & EMUL_ATTR_LOCK)) {
        return EMUL_UD;
    }
    return EMUL_OK;
}

/* Follows a group, and tells illegal and unknown opcodes apart. Reads ModR/M if there is one. */
static enum emul_status resolve_row(struct decoder *d, struct emul_opcode *row)
{
    uint16_t attr = row->attr;

    if ((attr & EMUL_ATTR_UD) || ((attr & EMUL_ATTR_UD64) && d->mode == EMUL_MODE_64)) {
        return EMUL_UD;
    }
    if ((attr & EMUL_ATTR_ONLY64) && d->mode != EMUL_MODE_64) {
        return refuse(d, EMUL_REFUSAL_OPCODE);
    }
    if ((attr & EMUL_ATTR_GROUP) || (row->form != EMUL_FORM_NONE &&
        row->form != EMUL_FORM_STRING && !(attr & EMUL_ATTR_MOFFS))) {
        d->modrm = next_byte(d);
    }
    if (d->status != EMUL_OK) {
        return d->status;
    }
    if (attr & EMUL_ATTR_GROUP) {
        *row = emul_opcode_groups[row->op][(d->modrm >> 3) & 7u];
        row->attr |= attr & (uint16_t)~EMUL_ATTR_GROUP;
        if (row->attr & EMUL_ATTR_UD) {
            return EMUL_UD;
        }
    }
    if (row->form == EMUL_FORM_NONE) {
        return refuse(d, EMUL_REFUSAL_OPCODE);
    }
    if (attr & EMUL_ATTR_CL) {
        row->form = EMUL_FORM_MR;
    }
    return check_row(d, row);
}

static enum emul_status decode_operands(struct decoder *d, const struct emul_opcode *row)
{
    struct emul_insn *insn = d->insn;

    insn->op = row->op;
    insn->form = row->form;
    set_operand_sizes(d, row);
    if (row->op == EMUL_OP_CMOV || row->op == EMUL_OP_SET) {
        insn->condition = d->opcode & 0xfu;
    }
    if (row->form == EMUL_FORM_STRING) {
        insn->base = X86_RSI;
    } else if (row->attr & EMUL_ATTR_MOFFS) {
        decode_absolute(d);
    } else {
        if (row->attr & EMUL_ATTR_CL) {
            insn->reg = X86_RCX;
        } else if (row->form == EMUL_FORM_MR || row->form == EMUL_FORM_RM) {
            set_register(d, ((d->modrm >> 3) & 7u) | ((d->rex & REX_R) ? 8u : 0u));
        }
        decode_address(d);
    }
    decode_immediate(d, row);
    return d->status;
}

enum emul_status emul_decode(const uint8_t *bytes, unsigned count, enum emul_mode mode,
                             struct emul_insn *out)
{
    struct decoder d = { .insn = out, .mode = mode };
    struct emul_opcode row;
    enum emul_status status;
    uint8_t byte;

    memset(out, 0, sizeof(*out));
    d.count = count < EMUL_INSN_BYTES_MAX ? count : EMUL_INSN_BYTES_MAX;
    memcpy(out->bytes, bytes, d.count);
    out->mode = (uint8_t)mode;
    out->segment = X86_DS;
    out->base = EMUL_REG_NONE;
    out->index = EMUL_REG_NONE;

    byte = decode_prefixes(&d);
    set_sizes(&d);
    if (d.status == EMUL_OK && (byte == 0xc4 || byte == 0xc5 || byte == 0x62)) {
        return refuse_vector(&d, byte);
    }
    row = look_up(&d, byte);
    if (d.status != EMUL_OK) {
        return d.status;
    }
    status = resolve_row(&d, &row);
    if (status == EMUL_OK) {
        status = decode_operands(&d, &row);
    }
    if (status == EMUL_OK) {
        out->length_bytes = (uint8_t)d.position;
        memset(out->bytes + d.position, 0, sizeof(out->bytes) - d.position);
    }
    return status;
}
