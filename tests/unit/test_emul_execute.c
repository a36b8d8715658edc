// SRCS: arch/x86/emul/decode.c arch/x86/emul/opcodes.c arch/x86/emul/names.c
// SRCS: arch/x86/emul/registers.c arch/x86/emul/alu.c arch/x86/emul/address.c
// SRCS: arch/x86/emul/execute.c arch/x86/emul/string.c
/*
 * The executor's rules that a processor cannot show from user mode: segmentation, faults and what
 * they leave behind, locked updates, batches of repeated instructions, ports. Arithmetic is
 * compared with a processor in test_emul_cpu.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "x86/emul.h"

#define MEMORY_BYTES 0x20000u
#define DATA_RW 0x93u /* present, data, writable, accessed */
#define DATA_RO 0x91u
#define DATA_DOWN 0x97u
#define CODE_X 0x99u
#define CODE_XR 0x9bu
#define BIG EMUL_SEGMENT_DB

static struct world {
    uint8_t memory[MEMORY_BYTES]; /* at linear 0 */
    struct emul_segment segments[X86_SEG_COUNT];
    unsigned segment_reads;
    uint64_t fault_at;  /* accesses that touch this byte give #PF */
    bool fault_on_write_only;
    bool write_fails_late; /* `write` faults, though `read` with write access did not */
    unsigned races;
    char log[1024]; /* one word an access */
    uint32_t port_value;
    enum emul_status port_status;
    struct x86_gprs gprs;
    struct emul_state state;
    struct x86_fault fault;
} world;

static void note(const char *what, uint64_t where, unsigned size)
{
    size_t used = strlen(world.log);

    snprintf(world.log + used, sizeof(world.log) - used, "%s%s%u:%llx", used ? " " : "", what, size,
             (unsigned long long)where);
}

static enum emul_status touch(gva_t linear, unsigned size, bool write, struct x86_fault *fault)
{
    if (linear.v <= world.fault_at && world.fault_at < linear.v + size &&
        (write || !world.fault_on_write_only)) {
        *fault = (struct x86_fault){ .vector = X86_EXC_PF, .has_error = true,
                                     .error = write ? X86_PF_W : 0, .cr2 = world.fault_at };
        return EMUL_FAULT;
    }
    return linear.v <= MEMORY_BYTES - size ? EMUL_OK : EMUL_ABORT;
}

static enum emul_status op_read(void *ctx, gva_t linear, unsigned size, uint64_t *value,
                                unsigned access, struct x86_fault *fault)
{
    enum emul_status status = touch(linear, size, access & EMUL_ACCESS_WRITE, fault);

    (void)ctx;
    note((access & EMUL_ACCESS_LOCKED) ? "L" : (access & EMUL_ACCESS_WRITE) ? "u" : "r", linear.v,
         size);
    if (status == EMUL_OK) {
        memcpy(value, world.memory + linear.v, size);
    }
    return status;
}

static enum emul_status op_write(void *ctx, gva_t linear, unsigned size, const uint64_t *value,
                                 unsigned access, struct x86_fault *fault)
{
    enum emul_status status = touch(linear, size, true, fault);

    (void)ctx;
    (void)access;
    note("w", linear.v, size);
    if (world.write_fails_late) {
        return EMUL_FAULT;
    }
    if (status == EMUL_OK) {
        memcpy(world.memory + linear.v, value, size);
    }
    return status;
}

static enum emul_status op_cmpxchg(void *ctx, gva_t linear, unsigned size, const uint64_t *expected,
                                   const uint64_t *desired, struct x86_fault *fault)
{
    (void)ctx;
    (void)fault;
    note("x", linear.v, size);
    if (world.races > 0) {
        world.races--;
        return EMUL_RETRY;
    }
    assert_memory_equal(world.memory + linear.v, expected, size);
    memcpy(world.memory + linear.v, desired, size);
    return EMUL_OK;
}

static enum emul_status op_probe(void *ctx, gva_t linear, unsigned size, struct x86_fault *fault)
{
    (void)ctx;
    note("p", linear.v, size);
    return touch(linear, size, true, fault);
}

static enum emul_status op_in(void *ctx, uint16_t port, unsigned size, uint32_t *value,
                              struct x86_fault *fault)
{
    (void)ctx;
    (void)fault;
    note("in", port, size);
    *value = world.port_value++;
    return world.port_status;
}

static enum emul_status op_out(void *ctx, uint16_t port, unsigned size, uint32_t value,
                               struct x86_fault *fault)
{
    (void)ctx;
    (void)fault;
    note("out", port, size);
    world.port_value = value;
    return world.port_status;
}

static void op_get_segment(void *ctx, enum x86_seg segment, struct emul_segment *out)
{
    (void)ctx;
    world.segment_reads++;
    *out = world.segments[segment];
}

static const struct emul_ops ops = {
    .read = op_read,
    .write = op_write,
    .cmpxchg = op_cmpxchg,
    .probe_write = op_probe,
    .port_in = op_in,
    .port_out = op_out,
    .get_segment = op_get_segment,
};

static int setup(void **context)
{
    (void)context;
    memset(&world, 0, sizeof(world));
    world.fault_at = ~0ull;
    for (unsigned i = 0; i < X86_SEG_COUNT; i++) {
        world.segments[i].limit = 0xffffffff;
        world.segments[i].access_rights = DATA_RW | BIG;
    }
    world.segments[X86_CS].access_rights = CODE_XR | BIG;
    world.state = (struct emul_state){
        .gprs = &world.gprs, .rflags = RFLAGS_FIXED1, .rip = 0x1000, .cr0 = CR0_PE | CR0_PG,
        .mode = EMUL_MODE_64,
    };
    return 0;
}

static enum emul_status run_bytes(const uint8_t *bytes, unsigned count, unsigned iterations)
{
    struct emul_insn insn;

    assert_int_equal(emul_decode(bytes, count, (enum emul_mode)world.state.mode, &insn), EMUL_OK);
    assert_int_equal(insn.length_bytes, count);
    world.log[0] = 0;
    world.segment_reads = 0;
    memset(&world.fault, 0xee, sizeof(world.fault));
    return emul_execute(&insn, &world.state, iterations, &ops, NULL, &world.fault);
}

#define RUN_N(iterations, ...)                                                             \
    run_bytes((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), \
              (iterations))
#define RUN(...) RUN_N(100, __VA_ARGS__)
#define EXPECT_OK(...) assert_int_equal(RUN(__VA_ARGS__), EMUL_OK)

#define EXPECT_FAULT(expected_vector, ...)                     \
    do {                                                       \
        assert_int_equal(RUN(__VA_ARGS__), EMUL_FAULT);        \
        assert_int_equal(world.fault.vector, expected_vector); \
        assert_true(world.fault.has_error);                    \
        assert_int_equal(world.fault.error, 0);                \
        assert_string_equal(world.log, "");                    \
    } while (0)

static uint64_t memory_at(uint64_t where, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, world.memory + where, size);
    return value;
}

/* --- addresses ------------------------------------------------------------------------------- */

static void test_canonical(void **context)
{
    (void)context;
    world.gprs.r[X86_RAX] = 0x0000800000000000ull;
    EXPECT_FAULT(X86_EXC_GP, 0x8b, 0x00);
    world.gprs.r[X86_RAX] = 0x00007ffffffffffdull; /* the last byte is not */
    EXPECT_FAULT(X86_EXC_GP, 0x8b, 0x00);
    world.gprs.r[X86_RAX] = 0xffff7fffffffffffull;
    EXPECT_FAULT(X86_EXC_GP, 0x89, 0x00);
    world.gprs.r[X86_RBP] = 0x0000800000000000ull;
    EXPECT_FAULT(X86_EXC_SS, 0x8b, 0x45, 0x00);
    world.state.cr4 = CR4_LA57;
    world.gprs.r[X86_RAX] = 0x0000800000000000ull;
    assert_int_equal(RUN(0x8b, 0x00), EMUL_ABORT); /* legal, and outside of the fake memory */
    assert_string_equal(world.log, "r4:800000000000");
    world.gprs.r[X86_RAX] = 0x0100000000000000ull;
    EXPECT_FAULT(X86_EXC_GP, 0x8b, 0x00);
    world.gprs.r[X86_RAX] = 0xff00000000000000ull;
    assert_int_equal(RUN(0x8b, 0x00), EMUL_ABORT);
}

static void test_64bit_mode_has_no_bases_but_fs_and_gs(void **context)
{
    (void)context;
    for (unsigned i = 0; i < X86_SEG_COUNT; i++) {
        world.segments[i] = (struct emul_segment){ .base = 0x1000u * (i + 1), .limit = 0,
                                                   .access_rights = EMUL_SEGMENT_UNUSABLE };
    }
    world.gprs.r[X86_RAX] = 0x100;
    EXPECT_OK(0x8b, 0x08);
    assert_string_equal(world.log, "r4:100");
    assert_int_equal(world.segment_reads, 0);
    EXPECT_OK(0x65, 0x8b, 0x08);
    assert_string_equal(world.log, "r4:6100");
    EXPECT_OK(0x64, 0x88, 0x08);
    assert_string_equal(world.log, "w1:5100");
    world.gprs.r[X86_RAX] = (uint64_t)-0x100; /* base and offset wrap */
    EXPECT_OK(0x64, 0x88, 0x08);
    assert_string_equal(world.log, "w1:4f00");
}

static void test_rip_relative(void **context)
{
    (void)context;
    EXPECT_OK(0xc7, 0x05, 0x10, 0x00, 0x00, 0x00, 1, 2, 3, 4); /* counted from the end */
    assert_string_equal(world.log, "w4:101a");
    world.state.rip = 0xffffffff00001000ull;
    EXPECT_OK(0x67, 0x8b, 0x05, 0x10, 0x00, 0x00, 0x00); /* cut to 32 bits */
    assert_string_equal(world.log, "r4:1017");
}

static void test_limit(void **context)
{
    (void)context;
    world.state.mode = EMUL_MODE_32;
    world.segments[X86_DS] = (struct emul_segment){ 0x1000, 0xfff, DATA_RW | BIG };
    world.gprs.r[X86_RAX] = 0xffc;
    EXPECT_OK(0x8b, 0x08);
    assert_string_equal(world.log, "r4:1ffc");
    world.gprs.r[X86_RAX] = 0xffd;
    EXPECT_FAULT(X86_EXC_GP, 0x8b, 0x08);
    world.gprs.r[X86_RAX] = 0xfffffffe; /* does not wrap into the segment */
    EXPECT_FAULT(X86_EXC_GP, 0x8b, 0x08);
    world.segments[X86_SS] = world.segments[X86_DS];
    world.gprs.r[X86_RBP] = 0x1000;
    EXPECT_FAULT(X86_EXC_SS, 0x8b, 0x45, 0x00);
    EXPECT_FAULT(X86_EXC_GP, 0x3e, 0x8b, 0x45, 0x00);
    world.gprs.r[X86_RAX] = 0x1000;
    EXPECT_FAULT(X86_EXC_SS, 0x36, 0x8b, 0x08);
}

static void test_expand_down(void **context)
{
    (void)context;
    world.state.mode = EMUL_MODE_32;
    world.segments[X86_DS] = (struct emul_segment){ 0, 0xfff, DATA_DOWN };
    world.gprs.r[X86_RAX] = 0xfff;
    EXPECT_FAULT(X86_EXC_GP, 0x8a, 0x08);
    world.gprs.r[X86_RAX] = 0x1000;
    EXPECT_OK(0x8a, 0x08);
    world.gprs.r[X86_RAX] = 0xfffc;
    EXPECT_OK(0x8b, 0x08);
    world.gprs.r[X86_RAX] = 0xfffd; /* above 64 KB without B */
    EXPECT_FAULT(X86_EXC_GP, 0x8b, 0x08);
    world.segments[X86_DS].access_rights |= BIG;
    EXPECT_OK(0x8b, 0x08);
}

static void test_types(void **context)
{
    const struct {
        uint32_t rights;
        bool read, write;
    } types[] = {
        { DATA_RW, true, true }, { DATA_RO, true, false }, { CODE_XR, true, false },
        { CODE_X, false, false }, { DATA_RW & ~EMUL_SEGMENT_P, false, false },
        { DATA_RW & ~EMUL_SEGMENT_S, false, false },
        { DATA_RW | EMUL_SEGMENT_UNUSABLE, false, false },
    };

    (void)context;
    world.state.mode = EMUL_MODE_32;
    world.gprs.r[X86_RAX] = 0x100;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(types); i++) {
        world.segments[X86_DS].access_rights = types[i].rights | BIG;
        assert_int_equal(RUN(0x8b, 0x08), types[i].read ? EMUL_OK : EMUL_FAULT);
        assert_int_equal(RUN(0x89, 0x08), types[i].write ? EMUL_OK : EMUL_FAULT);
        assert_int_equal(RUN(0x01, 0x08), types[i].write ? EMUL_OK : EMUL_FAULT);
        assert_int_equal(RUN(0x39, 0x08), types[i].read ? EMUL_OK : EMUL_FAULT);
    }
}

static void test_real_mode(void **context)
{
    (void)context;
    world.state.mode = EMUL_MODE_16;
    world.state.cr0 = 0;
    world.segments[X86_DS] = (struct emul_segment){ 0x8000, 0xffff, CODE_X }; /* no type checks */
    world.gprs.r[X86_RBX] = 0xabcd8000;
    world.gprs.r[X86_RSI] = 0x00019000;
    EXPECT_OK(0x89, 0x00); /* [bx+si] wraps at 64 KB */
    assert_string_equal(world.log, "w2:9000");
    world.gprs.r[X86_RSI] = 0x7fff;
    assert_int_equal(RUN(0x89, 0x00), EMUL_FAULT); /* a word at 0xffff crosses the limit */
    assert_int_equal(world.fault.vector, X86_EXC_GP);
    assert_false(world.fault.has_error);
    world.segments[X86_DS].limit = 0xffffffff; /* "unreal" */
    EXPECT_OK(0x89, 0x00);
    assert_string_equal(world.log, "w2:17fff");
    world.segments[X86_DS].base = 0xffff0000;
    world.gprs.r[X86_RAX] = 0x10010;
    EXPECT_OK(0x67, 0x89, 0x00); /* linear addresses have 32 bits */
    assert_string_equal(world.log, "w2:10");
}

static void test_virtual_8086_mode(void **context)
{
    (void)context;
    world.state.mode = EMUL_MODE_16;
    world.state.rflags |= RFLAGS_VM;
    world.segments[X86_DS] = (struct emul_segment){ 0x1000, 0xffff, DATA_RO };
    world.gprs.r[X86_RBX] = 0x10;
    EXPECT_OK(0x88, 0x07);
    world.gprs.r[X86_RBX] = 0xffff;
    EXPECT_FAULT(X86_EXC_GP, 0x89, 0x07);
}

static void test_alignment_check(void **context)
{
    (void)context;
    world.state.cpl = 3;
    world.state.cr0 |= CR0_AM;
    world.state.rflags |= RFLAGS_AC;
    world.gprs.r[X86_RAX] = 0x102;
    EXPECT_FAULT(X86_EXC_AC, 0x8b, 0x08);
    EXPECT_OK(0x66, 0x8b, 0x08);
    world.state.cpl = 0;
    EXPECT_OK(0x8b, 0x08);
    world.state.cpl = 3;
    world.state.cr0 &= ~CR0_AM;
    EXPECT_OK(0x8b, 0x08);
    world.state.cr0 |= CR0_AM;
    world.state.rflags &= ~RFLAGS_AC;
    EXPECT_OK(0x8b, 0x08);
}

static void test_address_size_is_applied(void **context)
{
    (void)context;
    world.gprs.r[X86_RAX] = 0xdead00000010ull << 16 | 0xfffffff0ull;
    world.gprs.r[X86_RCX] = 0x30;
    EXPECT_OK(0x67, 0x8b, 0x14, 0x08);
    assert_string_equal(world.log, "r4:20");
}

/* --- what is left behind --------------------------------------------------------------------- */

static void test_update_asks_for_write_access_first(void **context)
{
    (void)context;
    world.gprs.r[X86_RAX] = 0x100;
    EXPECT_OK(0x01, 0x08);
    assert_string_equal(world.log, "u4:100 w4:100");
    world.fault_at = 0x103;
    assert_int_equal(RUN(0x01, 0x08), EMUL_FAULT);
    assert_int_equal(world.fault.vector, X86_EXC_PF);
    assert_int_equal(world.fault.error, X86_PF_W);
    assert_true(world.fault.cr2 == 0x103);
    assert_string_equal(world.log, "u4:100");
}

static void test_fault_leaves_registers_and_flags(void **context)
{
    static const uint8_t insns[][4] = {
        { 2, 0x01, 0x08 },       { 2, 0x87, 0x08 },       { 3, 0x0f, 0xc1, 0x08 },
        { 3, 0x0f, 0xb1, 0x08 }, { 3, 0x0f, 0xab, 0x08 }, { 2, 0xd1, 0x20 },
        { 2, 0xff, 0x00 },       { 2, 0xf7, 0x18 },       { 3, 0x0f, 0xc7, 0x08 },
        { 2, 0x03, 0x08 },       { 2, 0x8b, 0x08 },       { 3, 0x0f, 0x44, 0x08 },
        { 2, 0x39, 0x08 },       { 2, 0xff, 0x30 },       { 2, 0x8f, 0x00 },
    };

    (void)context;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(insns); i++) {
        for (unsigned late = 0; late < 2; late++) {
            struct x86_gprs before;
            enum emul_status status;

            setup(NULL);
            world.gprs.r[X86_RAX] = 0x100;
            world.gprs.r[X86_RCX] = 0xffffffff00000001ull;
            world.gprs.r[X86_RSP] = 0x200;
            world.memory[0x100] = 0xff;
            world.state.rflags |= RFLAGS_OF | RFLAGS_ZF;
            world.write_fails_late = late;
            world.fault_at = late ? ~0ull : 0x100;
            before = world.gprs;
            status = run_bytes(insns[i] + 1, insns[i][0], 1);
            if (late && !strchr(world.log, 'w')) {
                assert_int_equal(status, EMUL_OK); /* it writes no memory, or locked */
                continue;
            }
            assert_int_equal(status, EMUL_FAULT);
            assert_memory_equal(&world.gprs, &before, sizeof(before));
            assert_int_equal(world.state.rflags, RFLAGS_FIXED1 | RFLAGS_OF | RFLAGS_ZF);
            assert_int_equal(memory_at(0x100, 8), 0xff);
        }
    }
}

static void test_locked_updates(void **context)
{
    (void)context;
    world.gprs.r[X86_RAX] = 0x100;
    world.gprs.r[X86_RCX] = 5;
    world.memory[0x100] = 7;
    world.races = 1;
    assert_int_equal(RUN(0xf0, 0x0f, 0xc1, 0x08), EMUL_RETRY);
    assert_string_equal(world.log, "L4:100 x4:100");
    assert_int_equal(world.gprs.r[X86_RCX], 5);
    assert_int_equal(world.state.rflags, RFLAGS_FIXED1);
    EXPECT_OK(0xf0, 0x0f, 0xc1, 0x08);
    assert_int_equal(world.gprs.r[X86_RCX], 7);
    assert_int_equal(world.memory[0x100], 12);
    EXPECT_OK(0x87, 0x08); /* XCHG is locked without the prefix */
    assert_string_equal(world.log, "L4:100 x4:100");
    assert_int_equal(world.gprs.r[X86_RCX], 12);
    assert_int_equal(world.memory[0x100], 7);
}

static void test_cmpxchg_writes_always(void **context)
{
    (void)context;
    world.gprs.r[X86_RAX] = 1;
    world.gprs.r[X86_RBX] = 0x100;
    world.gprs.r[X86_RCX] = 9;
    world.memory[0x100] = 2;
    EXPECT_OK(0x0f, 0xb1, 0x0b);
    assert_string_equal(world.log, "u4:100 w4:100");
    assert_int_equal(world.gprs.r[X86_RAX], 2);
    assert_false(world.state.rflags & RFLAGS_ZF);
    EXPECT_OK(0xf0, 0x0f, 0xb1, 0x0b);
    assert_int_equal(world.memory[0x100], 9);
    assert_true(world.state.rflags & RFLAGS_ZF);
}

static void test_cmpxchg_wide(void **context)
{
    (void)context;
    world.gprs.r[X86_RSI] = 0x108;
    EXPECT_FAULT(X86_EXC_GP, 0x48, 0x0f, 0xc7, 0x0e); /* 16 bytes must be aligned */
    world.gprs.r[X86_RSI] = 0x100;
    memset(world.memory + 0x100, 0x11, 16);
    world.gprs.r[X86_RAX] = 0x1111111111111111ull;
    world.gprs.r[X86_RDX] = 0x1111111111111112ull;
    EXPECT_OK(0x48, 0x0f, 0xc7, 0x0e);
    assert_true(world.gprs.r[X86_RDX] == 0x1111111111111111ull);
    assert_false(world.state.rflags & RFLAGS_ZF);
    world.gprs.r[X86_RBX] = 0xb;
    world.gprs.r[X86_RCX] = 0xc;
    EXPECT_OK(0xf0, 0x48, 0x0f, 0xc7, 0x0e);
    assert_string_equal(world.log, "L16:100 x16:100");
    assert_true(memory_at(0x100, 8) == 0xb && memory_at(0x108, 8) == 0xc);
    assert_true(world.state.rflags & RFLAGS_ZF);
}

static void test_bit_strings(void **context)
{
    (void)context;
    world.gprs.r[X86_RAX] = 0x1000;
    world.gprs.r[X86_RCX] = (uint64_t)-1;
    EXPECT_OK(0x0f, 0xab, 0x08); /* the dword before */
    assert_string_equal(world.log, "u4:ffc w4:ffc");
    assert_int_equal(world.memory[0xfff], 0x80);
    world.gprs.r[X86_RCX] = 0x8000; /* as 16 bits it is negative: -4096 bytes */
    EXPECT_OK(0x66, 0x0f, 0xa3, 0x08);
    assert_string_equal(world.log, "r2:0");
    world.gprs.r[X86_RCX] = 65;
    EXPECT_OK(0x48, 0x0f, 0xbb, 0x08);
    assert_string_equal(world.log, "u8:1008 w8:1008");
    assert_int_equal(world.memory[0x1008], 2);
    EXPECT_OK(0x0f, 0xba, 0x28, 33); /* an immediate does not leave the operand */
    assert_string_equal(world.log, "u4:1000 w4:1000");
    assert_int_equal(world.memory[0x1000], 2);
}

/* --- stack ----------------------------------------------------------------------------------- */

static void test_push_and_pop(void **context)
{
    (void)context;
    world.gprs.r[X86_RSP] = 0x200;
    world.memory[0x200] = 0x77;
    EXPECT_OK(0xff, 0x34, 0x24); /* push [rsp]: the address before */
    assert_string_equal(world.log, "r8:200 w8:1f8");
    assert_int_equal(world.gprs.r[X86_RSP], 0x1f8);
    EXPECT_OK(0x8f, 0x44, 0x24, 0x08); /* pop [rsp+8]: the address after */
    assert_string_equal(world.log, "r8:1f8 w8:208");
    assert_int_equal(world.gprs.r[X86_RSP], 0x200);
    assert_int_equal(world.memory[0x208], 0x77);
}

static void test_stack_width(void **context)
{
    (void)context;
    world.state.mode = EMUL_MODE_32;
    world.segments[X86_SS].access_rights = DATA_RW; /* SP */
    world.gprs.r[X86_RSP] = 0xabcd0002;
    world.gprs.r[X86_RBX] = 0x100;
    EXPECT_OK(0xff, 0x33);
    assert_string_equal(world.log, "r4:100 w4:fffe");
    assert_int_equal(world.gprs.r[X86_RSP], 0xabcdfffe);
    EXPECT_OK(0x8f, 0x03);
    assert_int_equal(world.gprs.r[X86_RSP], 0xabcd0002);
    world.segments[X86_SS].access_rights = DATA_RW | BIG;
    world.gprs.r[X86_RSP] = 0x1000;
    EXPECT_OK(0x66, 0xff, 0x33);
    assert_string_equal(world.log, "r2:100 w2:ffe");
    world.segments[X86_SS].limit = 0xfff;
    world.gprs.r[X86_RSP] = 0x1002;
    assert_int_equal(RUN(0xff, 0x33), EMUL_FAULT);
    assert_int_equal(world.fault.vector, X86_EXC_SS);
    world.segments[X86_SS].access_rights = DATA_RO | BIG;
    world.gprs.r[X86_RSP] = 0x100;
    assert_int_equal(RUN(0xff, 0x33), EMUL_FAULT);
    world.segments[X86_SS].limit = 0x10;
    EXPECT_FAULT(X86_EXC_SS, 0x8f, 0x03);
}

static void test_pop_that_cannot_write(void **context)
{
    (void)context;
    world.gprs.r[X86_RSP] = 0x200;
    world.gprs.r[X86_RAX] = 0x100;
    world.fault_at = 0x100;
    assert_int_equal(RUN(0x8f, 0x00), EMUL_FAULT);
    assert_string_equal(world.log, "r8:200 w8:100");
    assert_int_equal(world.gprs.r[X86_RSP], 0x200);
    world.fault_at = 0x200;
    assert_int_equal(RUN(0x8f, 0x00), EMUL_FAULT);
    assert_string_equal(world.log, "r8:200");
}

/* --- strings --------------------------------------------------------------------------------- */

static void test_repeat_in_batches(void **context)
{
    (void)context;
    world.gprs.r[X86_RCX] = 5;
    world.gprs.r[X86_RSI] = 0x100;
    world.gprs.r[X86_RDI] = 0x200;
    memcpy(world.memory + 0x100, "abcdefghij", 10);
    assert_int_equal(RUN_N(2, 0xf3, 0x66, 0xa5), EMUL_AGAIN);
    assert_string_equal(world.log, "r2:100 w2:200 r2:102 w2:202");
    assert_int_equal(world.gprs.r[X86_RCX], 3);
    assert_int_equal(world.gprs.r[X86_RSI], 0x104);
    assert_int_equal(world.gprs.r[X86_RDI], 0x204);
    assert_int_equal(RUN_N(3, 0xf3, 0x66, 0xa5), EMUL_OK);
    assert_int_equal(world.gprs.r[X86_RCX], 0);
    assert_memory_equal(world.memory + 0x200, "abcdefghij", 10);
    assert_int_equal(RUN_N(3, 0xf3, 0x66, 0xa5), EMUL_OK); /* count 0 */
    assert_string_equal(world.log, "");
    assert_int_equal(world.gprs.r[X86_RSI], 0x10a);
}

static void test_single_step_stops_after_one(void **context)
{
    (void)context;
    world.state.rflags |= RFLAGS_TF;
    world.gprs.r[X86_RCX] = 2;
    assert_int_equal(RUN(0xf3, 0xaa), EMUL_AGAIN);
    assert_int_equal(world.gprs.r[X86_RCX], 1);
    EXPECT_OK(0xf3, 0xaa);
    assert_int_equal(world.gprs.r[X86_RCX], 0);
}

static void test_repeat_restarts_after_a_fault(void **context)
{
    (void)context;
    world.gprs.r[X86_RAX] = 0x41;
    world.gprs.r[X86_RCX] = 10;
    world.gprs.r[X86_RDI] = 0xffe;
    world.fault_at = 0x1000;
    assert_int_equal(RUN(0xf3, 0xaa), EMUL_FAULT);
    assert_true(world.fault.cr2 == 0x1000);
    assert_int_equal(world.gprs.r[X86_RCX], 8);
    assert_int_equal(world.gprs.r[X86_RDI], 0x1000);
    world.fault_at = ~0ull;
    EXPECT_OK(0xf3, 0xaa);
    assert_int_equal(world.gprs.r[X86_RDI], 0x1008);
    assert_int_equal(world.memory[0x1007], 0x41);
    assert_int_equal(world.memory[0x1008], 0);
}

static void test_compares_restore_flags_on_a_fault(void **context)
{
    (void)context;
    world.gprs.r[X86_RCX] = 10;
    world.gprs.r[X86_RDI] = 0xffe;
    world.fault_at = 0x1000;
    assert_int_equal(RUN(0xf3, 0xae), EMUL_FAULT); /* two matches, then the fault */
    assert_int_equal(world.gprs.r[X86_RCX], 8);
    assert_int_equal(world.state.rflags, RFLAGS_FIXED1);
    world.fault_at = ~0ull;
    assert_int_equal(RUN_N(1, 0xf3, 0xae), EMUL_AGAIN);
    assert_true(world.state.rflags & RFLAGS_ZF);
    world.state.rflags = RFLAGS_FIXED1;
    world.fault_at = 0x1001;
    world.gprs.r[X86_RSI] = 0x500;
    assert_int_equal(RUN(0xa6), EMUL_FAULT);
    assert_string_equal(world.log, "r1:500 r1:1001");
    assert_int_equal(world.gprs.r[X86_RSI], 0x500);
    assert_int_equal(world.state.rflags, RFLAGS_FIXED1);
}

static void test_compares_end_early(void **context)
{
    (void)context;
    memcpy(world.memory + 0x100, "aaab", 4);
    world.gprs.r[X86_RAX] = 'a';
    world.gprs.r[X86_RDI] = 0x100;
    world.gprs.r[X86_RCX] = 10;
    EXPECT_OK(0xf3, 0xae); /* REPE: up to the first difference */
    assert_int_equal(world.gprs.r[X86_RCX], 6);
    assert_int_equal(world.gprs.r[X86_RDI], 0x104);
    assert_false(world.state.rflags & RFLAGS_ZF);
    world.gprs.r[X86_RDI] = 0x100;
    world.gprs.r[X86_RAX] = 'b';
    world.gprs.r[X86_RCX] = 10;
    EXPECT_OK(0xf2, 0xae); /* REPNE: up to the first match */
    assert_int_equal(world.gprs.r[X86_RCX], 6);
    assert_true(world.state.rflags & RFLAGS_ZF);
}

static void test_string_address_size(void **context)
{
    (void)context;
    world.state.mode = EMUL_MODE_16;
    world.gprs.r[X86_RDI] = 0xaaaaffff;
    world.gprs.r[X86_RSI] = 0xbbbb0000;
    world.gprs.r[X86_RCX] = 0xcccc0002;
    EXPECT_OK(0xf3, 0xa4);
    assert_string_equal(world.log, "r1:0 w1:ffff r1:1 w1:0");
    assert_int_equal(world.gprs.r[X86_RDI], 0xaaaa0001);
    assert_int_equal(world.gprs.r[X86_RSI], 0xbbbb0002);
    assert_int_equal(world.gprs.r[X86_RCX], 0xcccc0000);
    world.state.rflags |= RFLAGS_DF;
    EXPECT_OK(0xac);
    assert_int_equal(world.gprs.r[X86_RSI], 0xbbbb0001);
}

static void test_string_segments(void **context)
{
    (void)context;
    world.state.mode = EMUL_MODE_32;
    for (unsigned i = 0; i < X86_SEG_COUNT; i++) {
        world.segments[i].base = 0x1000u * (i + 1);
    }
    world.gprs.r[X86_RCX] = 4;
    EXPECT_OK(0x36, 0xa4); /* an override moves the source alone */
    assert_string_equal(world.log, "r1:3000 w1:1000");
    world.gprs.r[X86_RDI] = world.gprs.r[X86_RSI] = 0;
    EXPECT_OK(0xf3, 0x36, 0xa4);
    assert_int_equal(world.segment_reads, 2); /* not once an iteration */
    world.segments[X86_ES].access_rights = DATA_RO | BIG;
    assert_int_equal(RUN(0xa4), EMUL_FAULT);
    assert_int_equal(world.fault.vector, X86_EXC_GP);
    world.segments[X86_ES].limit = 3;
    EXPECT_FAULT(X86_EXC_GP, 0xae);
    EXPECT_FAULT(X86_EXC_GP, 0xaa);
    EXPECT_FAULT(X86_EXC_GP, 0x6c);
}

static void test_ins(void **context)
{
    (void)context;
    world.gprs.r[X86_RDX] = 0xffff0000000001f0ull;
    world.gprs.r[X86_RDI] = 0x100;
    world.gprs.r[X86_RCX] = 3;
    world.port_value = 0x11223344;
    EXPECT_OK(0xf3, 0x66, 0x6d);
    assert_string_equal(world.log, "p2:100 in2:1f0 w2:100 p2:102 in2:1f0 w2:102 "
                                   "p2:104 in2:1f0 w2:104");
    assert_int_equal(memory_at(0x100, 8), 0x334633453344ull);
    world.gprs.r[X86_RCX] = 3;
    world.fault_at = 0x108;
    assert_int_equal(RUN(0xf3, 0x66, 0x6d), EMUL_FAULT);
    assert_string_equal(world.log, "p2:106 in2:1f0 w2:106 p2:108"); /* the port is not asked */
    assert_int_equal(world.gprs.r[X86_RCX], 2);
    world.fault_at = ~0ull;
    world.port_status = EMUL_ABORT;
    assert_int_equal(RUN(0x6c), EMUL_ABORT);
    assert_string_equal(world.log, "p1:108 in1:1f0");
    assert_int_equal(world.gprs.r[X86_RDI], 0x108);
    world.port_status = EMUL_OK;
    world.write_fails_late = true;
    assert_int_equal(RUN(0x6c), EMUL_FAULT);
    assert_int_equal(world.gprs.r[X86_RDI], 0x108);
}

static void test_outs(void **context)
{
    (void)context;
    world.gprs.r[X86_RDX] = 0x3f8;
    world.gprs.r[X86_RSI] = 0x100;
    memcpy(world.memory + 0x100, "\x01\x02\x03\x84", 4);
    EXPECT_OK(0x6f);
    assert_string_equal(world.log, "r4:100 out4:3f8");
    assert_int_equal(world.port_value, 0x84030201);
    assert_int_equal(world.gprs.r[X86_RSI], 0x104);
    world.port_status = EMUL_RETRY;
    assert_int_equal(RUN(0x6e), EMUL_RETRY);
    assert_int_equal(world.gprs.r[X86_RSI], 0x104);
    world.fault_at = 0x104;
    assert_int_equal(RUN(0x6e), EMUL_FAULT);
    assert_string_equal(world.log, "r1:104");
}

static void test_lods_and_movs_faults(void **context)
{
    (void)context;
    world.gprs.r[X86_RSI] = 0x100;
    world.gprs.r[X86_RDI] = 0x200;
    world.gprs.r[X86_RAX] = 0x5555555555555555ull;
    world.fault_at = 0x100;
    assert_int_equal(RUN(0xad), EMUL_FAULT);
    assert_true(world.gprs.r[X86_RAX] == 0x5555555555555555ull);
    assert_int_equal(RUN(0xa5), EMUL_FAULT);
    assert_int_equal(RUN(0xa7), EMUL_FAULT);
    assert_string_equal(world.log, "r4:100");
    world.fault_at = 0x200;
    assert_int_equal(RUN(0xa5), EMUL_FAULT);
    assert_int_equal(world.gprs.r[X86_RSI], 0x100);
    world.fault_at = ~0ull;
    EXPECT_OK(0xad);
    assert_int_equal(world.gprs.r[X86_RAX], 0); /* 32 bits clear the upper half */
}

/* --- the rest -------------------------------------------------------------------------------- */

static void test_nothing_else_is_executed(void **context)
{
    struct emul_insn insn;
    const uint8_t bytes[] = { 0x89, 0xc0 };

    (void)context;
    assert_int_equal(emul_decode(bytes, 2, EMUL_MODE_64, &insn), EMUL_REFUSED);
    assert_int_equal(emul_execute(&insn, &world.state, 1, &ops, NULL, &world.fault), EMUL_REFUSED);
    assert_string_equal(world.log, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_canonical, setup),
        cmocka_unit_test_setup(test_64bit_mode_has_no_bases_but_fs_and_gs, setup),
        cmocka_unit_test_setup(test_rip_relative, setup),
        cmocka_unit_test_setup(test_limit, setup),
        cmocka_unit_test_setup(test_expand_down, setup),
        cmocka_unit_test_setup(test_types, setup),
        cmocka_unit_test_setup(test_real_mode, setup),
        cmocka_unit_test_setup(test_virtual_8086_mode, setup),
        cmocka_unit_test_setup(test_alignment_check, setup),
        cmocka_unit_test_setup(test_address_size_is_applied, setup),
        cmocka_unit_test_setup(test_update_asks_for_write_access_first, setup),
        cmocka_unit_test_setup(test_fault_leaves_registers_and_flags, setup),
        cmocka_unit_test_setup(test_locked_updates, setup),
        cmocka_unit_test_setup(test_cmpxchg_writes_always, setup),
        cmocka_unit_test_setup(test_cmpxchg_wide, setup),
        cmocka_unit_test_setup(test_bit_strings, setup),
        cmocka_unit_test_setup(test_push_and_pop, setup),
        cmocka_unit_test_setup(test_stack_width, setup),
        cmocka_unit_test_setup(test_pop_that_cannot_write, setup),
        cmocka_unit_test_setup(test_repeat_in_batches, setup),
        cmocka_unit_test_setup(test_single_step_stops_after_one, setup),
        cmocka_unit_test_setup(test_repeat_restarts_after_a_fault, setup),
        cmocka_unit_test_setup(test_compares_restore_flags_on_a_fault, setup),
        cmocka_unit_test_setup(test_compares_end_early, setup),
        cmocka_unit_test_setup(test_string_address_size, setup),
        cmocka_unit_test_setup(test_string_segments, setup),
        cmocka_unit_test_setup(test_ins, setup),
        cmocka_unit_test_setup(test_outs, setup),
        cmocka_unit_test_setup(test_lods_and_movs_faults, setup),
        cmocka_unit_test_setup(test_nothing_else_is_executed, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
