// SRCS: arch/x86/emul/decode.c arch/x86/emul/opcodes.c arch/x86/emul/names.c
// SRCS: arch/x86/emul/registers.c arch/x86/emul/alu.c arch/x86/emul/address.c
// SRCS: arch/x86/emul/execute.c arch/x86/emul/string.c
/*
 * The executor against the processor that this test runs on: random 64-bit instructions of the
 * supported set are executed on a copy of a block of memory by the emulator, and natively on the
 * block itself, from the same registers and flags. Registers, memory and every flag that the manual
 * defines must agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "x86/emul.h"

#define ROUNDS 400000u
#define BLOCK_BYTES 16384u
#define INSN_OFFSET 512u /* where in the code page the instruction under test begins */

/* Mapped below 2 GB, so that every form of address reaches it. */
static uint8_t *code;
static uint8_t *block;
static uint8_t shadow[BLOCK_BYTES];

static struct native {
    uint64_t gprs[16];
    uint64_t rflags;
    uint64_t host_rsp;
} *native;

static bool is_possible;
static sigjmp_buf on_signal;
static uint64_t rng_state;

static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * 0x2545f4914f6cdd1dull;
}

static unsigned pick(unsigned below)
{
    return (unsigned)((rng() >> 33) % below);
}

/* --- the emulator's surroundings ------------------------------------------------------------- */

static uint8_t *shadow_at(gva_t linear, unsigned size)
{
    uint64_t offset = linear.v - (uint64_t)(uintptr_t)block;

    return offset <= BLOCK_BYTES - size ? shadow + offset : NULL;
}

static enum emul_status op_read(void *ctx, gva_t linear, unsigned size, uint64_t *value,
                                unsigned access, struct x86_fault *fault)
{
    const uint8_t *at = shadow_at(linear, size);

    (void)ctx;
    (void)access;
    (void)fault;
    if (!at) {
        return EMUL_ABORT;
    }
    memcpy(value, at, size);
    return EMUL_OK;
}

static enum emul_status op_write(void *ctx, gva_t linear, unsigned size, const uint64_t *value,
                                 unsigned access, struct x86_fault *fault)
{
    uint8_t *at = shadow_at(linear, size);

    (void)ctx;
    (void)access;
    (void)fault;
    if (!at) {
        return EMUL_ABORT;
    }
    memcpy(at, value, size);
    return EMUL_OK;
}

static enum emul_status op_cmpxchg(void *ctx, gva_t linear, unsigned size, const uint64_t *expected,
                                   const uint64_t *desired, struct x86_fault *fault)
{
    const uint8_t *at = shadow_at(linear, size);

    if (!at || memcmp(at, expected, size) != 0) {
        return EMUL_ABORT;
    }
    return op_write(ctx, linear, size, desired, 0, fault);
}

static void op_get_segment(void *ctx, enum x86_seg segment, struct emul_segment *out)
{
    (void)ctx;
    (void)segment;
    memset(out, 0, sizeof(*out)); /* GS has base 0 in a Linux process */
}

static const struct emul_ops ops = {
    .read = op_read,
    .write = op_write,
    .cmpxchg = op_cmpxchg,
    .get_segment = op_get_segment,
};

/* --- running natively ------------------------------------------------------------------------ */

static uint8_t *put(uint8_t *p, const void *bytes, unsigned count)
{
    memcpy(p, bytes, count);
    return p + count;
}

static uint8_t *put64(uint8_t *p, uint64_t v)
{
    return put(p, &v, 8);
}

static uint8_t *load_register(uint8_t *p, unsigned reg, uint64_t value)
{
    *p++ = (uint8_t)(0x48 | (reg >> 3)); /* mov reg, imm64 */
    *p++ = (uint8_t)(0xb8 | (reg & 7));
    return put64(p, value);
}

static uint8_t *store_rax(uint8_t *p, const void *to)
{
    *p++ = 0x48; /* mov [abs64], rax */
    *p++ = 0xa3;
    return put64(p, (uint64_t)(uintptr_t)to);
}

static void build_code(const struct emul_insn *insn, const struct x86_gprs *gprs, uint64_t rflags)
{
    uint8_t *p = code;

    p = put(p, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10); /* push rbx rbp r12-r15 */
    p = put(p, "\x48\x89\xe0", 3);                             /* mov rax, rsp */
    p = store_rax(p, &native->host_rsp);
    p = load_register(p, X86_RAX, rflags);
    p = put(p, "\x50\x9d", 2); /* push rax; popfq */
    for (unsigned reg = 0; reg < 16; reg++) {
        p = load_register(p, reg, gprs->r[reg]);
    }
    memset(p, 0x90, (size_t)(code + INSN_OFFSET - p));
    p = put(code + INSN_OFFSET, insn->bytes, insn->length_bytes);
    p = store_rax(p, &native->gprs[X86_RAX]);
    p = put(p, "\x48\x89\xe0", 3); /* mov rax, rsp */
    p = store_rax(p, &native->gprs[X86_RSP]);
    *p++ = 0x48; /* mov rax, [abs64] */
    *p++ = 0xa1;
    p = put64(p, (uint64_t)(uintptr_t)&native->host_rsp);
    p = put(p, "\x48\x89\xc4\x9c\x58", 5); /* mov rsp, rax; pushfq; pop rax */
    p = store_rax(p, &native->rflags);
    *p++ = 0xfc; /* cld */
    for (unsigned reg = 1; reg < 16; reg++) {
        if (reg != X86_RSP) {
            *p++ = (uint8_t)(0x48 | ((reg >> 3) << 2)); /* mov rax, reg */
            *p++ = 0x89;
            *p++ = (uint8_t)(0xc0 | ((reg & 7) << 3));
            p = store_rax(p, &native->gprs[reg]);
        }
    }
    put(p, "\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 11);
}

static void handle_signal(int number)
{
    siglongjmp(on_signal, number);
}

static int run_native(void)
{
    int number = sigsetjmp(on_signal, 1);

    if (number == 0) {
        ((void (*)(void))(uintptr_t)code)();
    }
    return number;
}

/* --- generating ------------------------------------------------------------------------------ */

static void make_bytes(uint8_t *bytes)
{
    static const uint8_t prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x65, 0x2e, 0x36, 0x66 };
    static const uint8_t one[] = {
        0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x1a,
        0x1b, 0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32, 0x33, 0x38, 0x39,
        0x3a, 0x3b, 0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8f,
        0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xc0,
        0xc1, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xf6, 0xf7, 0xfe, 0xff,
    };
    static const uint8_t two[] = {
        0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e,
        0x4f, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d,
        0x9e, 0x9f, 0xa3, 0xab, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7, 0xba, 0xba, 0xbb, 0xbe, 0xbf, 0xc0,
        0xc1, 0xc3, 0xc7, 0xc7,
    };
    unsigned n = 0;

    for (unsigned i = pick(4); i > 1; i--) {
        bytes[n++] = prefixes[pick(sizeof(prefixes))];
    }
    if (pick(4)) {
        bytes[n++] = (uint8_t)(0x40 | pick(16));
    }
    switch (pick(16)) {
    case 0:
        bytes[n++] = 0x0f;
        bytes[n++] = 0x38;
        bytes[n++] = (uint8_t)(0xf0 + pick(2));
        break;
    case 1: case 2: case 3: case 4: case 5:
        bytes[n++] = 0x0f;
        bytes[n++] = two[pick(sizeof(two))];
        break;
    default:
        bytes[n++] = one[pick(sizeof(one))];
        break;
    }
    for (unsigned i = 0; i < 16; i++) {
        bytes[n++] = (uint8_t)pick(256);
    }
}

static bool is_string(const struct emul_insn *insn)
{
    return insn->form == EMUL_FORM_STRING;
}

/* Puts a displacement into the instruction's bytes, where it has one of 4 bytes (or 8). */
static bool patch_displacement(struct emul_insn *insn, uint64_t value)
{
    uint8_t bytes[16];
    struct emul_insn again;
    uint64_t old = (uint64_t)insn->displacement;

    for (unsigned size = 8; size >= 4; size -= 4) {
        for (unsigned at = 0; at + size <= insn->length_bytes; at++) {
            if (memcmp(insn->bytes + at, &old, size) == 0) {
                memcpy(bytes, insn->bytes, 15);
                memcpy(bytes + at, &value, size);
                if (emul_decode(bytes, insn->length_bytes, EMUL_MODE_64, &again) == EMUL_OK &&
                    again.displacement == (int64_t)value) {
                    *insn = again;
                    return true;
                }
            }
        }
    }
    return false;
}

static uint64_t upper_noise(const struct emul_insn *insn)
{
    return insn->address_bytes == 4 ? rng() << 32 : 0;
}

/* Chooses registers (or the displacement) so that the memory operand lies at `target`. */
static bool aim(struct emul_insn *insn, struct x86_gprs *gprs, uint64_t target)
{
    uint64_t rest = (uint64_t)insn->displacement;

    if (insn->base < 16 && insn->base != insn->index) {
        if (insn->index < 16) {
            rest += gprs->r[insn->index] << insn->scale_shift;
        }
        gprs->r[insn->base] = target - rest;
        if (insn->address_bytes == 4) {
            gprs->r[insn->base] = (uint32_t)(target - rest) | upper_noise(insn);
        }
        return true;
    }
    rest = 0;
    if (insn->base == EMUL_REG_RIP) {
        rest = (uint64_t)(uintptr_t)code + INSN_OFFSET + insn->length_bytes;
    }
    if (insn->index < 16) {
        gprs->r[insn->index] = pick(1000) | upper_noise(insn);
        rest += gprs->r[insn->index] << insn->scale_shift;
        if (insn->base == insn->index) {
            rest += gprs->r[insn->base];
        }
    }
    if (insn->address_bytes == 4) {
        return patch_displacement(insn, (uint64_t)(int64_t)(int32_t)(uint32_t)(target - rest)) ||
               patch_displacement(insn, (uint32_t)(target - rest));
    }
    return patch_displacement(insn, target - rest);
}

static bool is_bit_string(const struct emul_insn *insn)
{
    return insn->op >= EMUL_OP_BT && insn->op <= EMUL_OP_BTC && insn->form == EMUL_FORM_MR;
}

static bool choose_state(struct emul_insn *insn, struct x86_gprs *gprs)
{
    uint64_t middle = (uint64_t)(uintptr_t)block + BLOCK_BYTES / 2;
    uint64_t target = middle - 4096 + pick(8192);
    uint64_t value;

    for (unsigned i = 0; i < 16; i++) {
        gprs->r[i] = pick(3) ? rng() : (uint64_t)(int64_t)(int8_t)rng();
    }
    if ((insn->flags & EMUL_F_LOCK) || insn->op == EMUL_OP_XCHG || insn->memory_bytes == 16) {
        target &= ~15ull;
    }
    if (is_string(insn)) {
        unsigned count = pick(24);
        /* With 32-bit addresses and count 0, makers differ on the upper halves. */
        bool noisy = count > 0 || !(insn->flags & (EMUL_F_REP | EMUL_F_REPNE));

        gprs->r[X86_RCX] = count | (noisy ? upper_noise(insn) : 0);
        gprs->r[X86_RSI] = target | (noisy ? upper_noise(insn) : 0);
        gprs->r[X86_RDI] = pick(2) ? target + pick(64) : middle;
        gprs->r[X86_RDI] |= noisy ? upper_noise(insn) : 0;
        return true;
    }
    if (is_bit_string(insn)) {
        gprs->r[insn->reg] = (uint64_t)((int64_t)pick(16384) - 8192);
    }
    if (insn->op == EMUL_OP_CMPXCHG || insn->op == EMUL_OP_CMPXCHG_WIDE) {
        if (pick(2)) {
            uint64_t *at = (uint64_t *)(uintptr_t)target;
            memcpy(&gprs->r[X86_RAX], at, 8);
            memcpy(&value, at + 1, 8);
            gprs->r[X86_RDX] = insn->memory_bytes == 16 ? value : gprs->r[X86_RAX] >> 32;
        }
    }
    if (insn->op == EMUL_OP_PUSH || insn->op == EMUL_OP_POP) {
        gprs->r[X86_RSP] = middle + 16 + pick(256);
    }
    return aim(insn, gprs, target);
}

/* Flags that the manual defines after this instruction. */
static uint64_t defined_flags(const struct emul_insn *insn, const struct x86_gprs *gprs)
{
    unsigned bits = 8u * insn->memory_bytes;
    unsigned count;
    uint64_t all = RFLAGS_STATUS | RFLAGS_DF;

    switch (insn->op) {
    case EMUL_OP_AND:
    case EMUL_OP_OR:
    case EMUL_OP_XOR:
    case EMUL_OP_TEST:
        return all & ~RFLAGS_AF;
    case EMUL_OP_BT:
    case EMUL_OP_BTS:
    case EMUL_OP_BTR:
    case EMUL_OP_BTC:
        return RFLAGS_CF | RFLAGS_ZF | RFLAGS_DF;
    case EMUL_OP_ROL:
    case EMUL_OP_ROR:
    case EMUL_OP_RCL:
    case EMUL_OP_RCR:
    case EMUL_OP_SHL:
    case EMUL_OP_SAL:
    case EMUL_OP_SHR:
    case EMUL_OP_SAR:
        count = insn->form == EMUL_FORM_MR ? (unsigned)gprs->r[X86_RCX] : (unsigned)insn->immediate;
        count &= insn->memory_bytes == 8 ? 63 : 31;
        if (count == 0) {
            return all;
        }
        if (insn->op >= EMUL_OP_SHL) {
            all &= ~RFLAGS_AF;
            if (count >= bits && insn->op != EMUL_OP_SAR) {
                all &= ~RFLAGS_CF;
            }
        }
        return count == 1 ? all : all & ~RFLAGS_OF;
    default:
        return all;
    }
}

static void describe(const struct emul_insn *insn, const struct x86_gprs *before,
                     const struct x86_gprs *after, uint64_t flags, uint64_t flags_after)
{
    print_error("%s:", emul_op_name((enum emul_op)insn->op));
    for (unsigned i = 0; i < insn->length_bytes; i++) {
        print_error(" %02x", insn->bytes[i]);
    }
    print_error("\nrflags %llx: emulator %llx, processor %llx\n", (unsigned long long)flags,
                (unsigned long long)flags_after, (unsigned long long)native->rflags);
    for (unsigned i = 0; i < 16; i++) {
        if (after->r[i] != native->gprs[i]) {
            print_error("r%u %llx: emulator %llx, processor %llx\n", i,
                        (unsigned long long)before->r[i], (unsigned long long)after->r[i],
                        (unsigned long long)native->gprs[i]);
        }
    }
    for (unsigned i = 0; i < BLOCK_BYTES; i++) {
        if (block[i] != shadow[i]) {
            print_error("memory +%x: emulator %02x, processor %02x\n", i, shadow[i], block[i]);
            break;
        }
    }
}

static unsigned executed[EMUL_OP_COUNT];

/* Gives false if both disagree. */
static bool run_both(struct emul_insn *insn, struct x86_gprs gprs, uint64_t rflags)
{
    struct x86_gprs before = gprs;
    struct x86_fault fault;
    struct emul_state state = {
        .gprs = &gprs,
        .rflags = rflags,
        .rip = (uint64_t)(uintptr_t)code + INSN_OFFSET,
        .cr0 = CR0_PE | CR0_PG,
        .mode = EMUL_MODE_64,
        .cpl = 3,
    };
    enum emul_status status;
    uint64_t mask = defined_flags(insn, &before);
    unsigned batches = 0;

    memcpy(shadow, block, BLOCK_BYTES);
    do {
        status = emul_execute(insn, &state, 1 + pick(40), &ops, NULL, &fault);
    } while (status == EMUL_AGAIN && batches++ < 100);
    if (status != EMUL_OK) {
        return status == EMUL_ABORT || status == EMUL_FAULT; /* outside of the block */
    }
    executed[insn->op]++;
    build_code(insn, &before, rflags);
    if (run_native() != 0) {
        print_error("the processor faulted\n");
        describe(insn, &before, &gprs, rflags, state.rflags);
        return false;
    }
    if (memcmp(gprs.r, native->gprs, sizeof(gprs.r)) != 0 ||
        ((state.rflags ^ native->rflags) & mask) != 0 || memcmp(block, shadow, BLOCK_BYTES) != 0) {
        describe(insn, &before, &gprs, rflags, state.rflags);
        return false;
    }
    return true;
}

static bool has_movbe(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_MOVBE);
}

static void test_random_instructions(void **context)
{
    unsigned failures = 0;
    bool movbe = has_movbe();

    (void)context;
    rng_state = 0x5eed5eed12345678ull;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t bytes[32];
        struct emul_insn insn;
        struct x86_gprs gprs;
        uint64_t rflags = (rng() & (RFLAGS_STATUS | RFLAGS_DF)) | RFLAGS_FIXED1 | RFLAGS_IF;

        if (i % 64 == 0) {
            for (unsigned at = 0; at < BLOCK_BYTES; at += 8) {
                uint64_t v = pick(2) ? rng() : 0x0101010101010101ull * (rng() & 1 ? 0x7f : 0x80);
                memcpy(block + at, &v, 8);
            }
        }
        make_bytes(bytes);
        if (emul_decode(bytes, 15, EMUL_MODE_64, &insn) != EMUL_OK ||
            insn.op == EMUL_OP_INS || insn.op == EMUL_OP_OUTS || insn.segment == X86_FS ||
            (insn.op == EMUL_OP_MOVBE && !movbe) || !choose_state(&insn, &gprs)) {
            continue;
        }
        if (!run_both(&insn, gprs, rflags) && ++failures >= 20) {
            break;
        }
    }
    assert_int_equal(failures, 0);
    for (unsigned op = EMUL_OP_ADD; op < EMUL_OP_INS; op++) {
        if (op != EMUL_OP_MOVBE && executed[op] < 100) {
            print_error("%s was executed only %u times\n", emul_op_name((enum emul_op)op),
                        executed[op]);
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

/* One instruction with a state that random bytes seldom reach. */
static void run_exactly(const void *bytes, unsigned count, unsigned base, uint64_t base_value,
                        uint64_t rflags)
{
    struct emul_insn insn;
    struct x86_gprs gprs = { { 0 } };

    for (unsigned i = 0; i < 16; i++) {
        gprs.r[i] = rng();
    }
    gprs.r[base] = base_value;
    assert_int_equal(emul_decode(bytes, count, EMUL_MODE_64, &insn), EMUL_OK);
    executed[insn.op] = 0;
    assert_true(run_both(&insn, gprs, rflags | RFLAGS_FIXED1));
    assert_int_equal(executed[insn.op], 1);
}

/* mod 0, SIB base 5, REX.B, 32-bit addresses: disp32 alone, not R13D. */
static void test_sib_without_base(void **context)
{
    uint8_t bytes[16] = { 0x67, 0x41, 0x8b, 0x04, 0x25 };
    uint32_t address = (uint32_t)(uintptr_t)block + 128;

    (void)context;
    memcpy(bytes + 5, &address, 4);
    run_exactly(bytes, 9, X86_R13, 0x1234, 0);
}

/* Every count of every shift and rotate, on every size. */
static void test_all_shift_counts(void **context)
{
    (void)context;
    for (unsigned count = 0; count < 256; count++) {
        for (unsigned reg = 0; reg < 8; reg++) {
            for (unsigned size = 0; size < 4; size++) {
                uint8_t bytes[8];
                unsigned n = 0;

                if (size == 1) {
                    bytes[n++] = 0x66;
                } else if (size == 3) {
                    bytes[n++] = 0x48;
                }
                bytes[n++] = size == 0 ? 0xc0 : 0xc1;
                bytes[n++] = (uint8_t)((reg << 3) | X86_RBX);
                bytes[n++] = (uint8_t)count;
                for (unsigned at = 0; at < 8; at++) {
                    block[256 + at] = (uint8_t)rng();
                }
                run_exactly(bytes, n, X86_RBX, (uint64_t)(uintptr_t)block + 256,
                            rng() & RFLAGS_STATUS);
            }
        }
    }
}

static int setup(void **context)
{
    const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
    static uint8_t signal_stack[65536];
    stack_t stack = { .ss_sp = signal_stack, .ss_size = sizeof(signal_stack) };
    struct sigaction action = { .sa_handler = handle_signal, .sa_flags = SA_ONSTACK };

    (void)context;
    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    block = mmap(NULL, BLOCK_BYTES, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    native = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    is_possible = code != MAP_FAILED && block != MAP_FAILED && native != MAP_FAILED;
    if (!is_possible) {
        print_message("this system gives no writable and executable memory: skipped\n");
        return 0;
    }
    sigaltstack(&stack, NULL);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaction(signals[i], &action, NULL);
    }
    return 0;
}

static int skip_if_impossible(void **context)
{
    (void)context;
    if (!is_possible) {
        skip();
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_random_instructions, skip_if_impossible),
        cmocka_unit_test_setup(test_sib_without_base, skip_if_impossible),
        cmocka_unit_test_setup(test_all_shift_counts, skip_if_impossible),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
