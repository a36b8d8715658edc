// SRCS: arch/x86/emul/task_switch.c arch/x86/emul/task_load.c arch/x86/emul/system_segment.c
/*
 * Hardware task switches, from SDM volume 3 "Task Management": what is saved and loaded, the busy
 * bits, NT and the link for each source, the rows of the table "Exception Conditions Checked During
 * a Task Switch" one by one, and faults on both sides of the commit point. LLDT and LTR from volume
 * 2. On a fake flat memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "x86/task_switch.h"
#include "x86/vmx_bits.h"

#define MEMORY_BYTES 0x10000u
#define GDT 0x1000u
#define LDT 0x2000u
#define OLD_TSS 0x3000u
#define NEW_TSS 0x4000u
#define STACK_TOP 0x8000u

enum {
    CODE0 = 0x08, DATA0 = 0x10, CODE3 = 0x18, DATA3 = 0x20, OLD = 0x28, NEW = 0x30, LDT_SEL = 0x38,
    CONFORMING0 = 0x40, ABSENT_DATA = 0x48, EXECUTE_ONLY = 0x50, ABSENT_CODE = 0x58, NEW16 = 0x60,
    READ_ONLY = 0x68, CONFORMING3 = 0x70, SMALL_STACK = 0x78, DOWN_STACK = 0x80, STACK16 = 0x88,
    GDT_LIMIT = 0x8f,
};

#define RIGHTS_CODE (VMX_AR_P | VMX_AR_S | VMX_AR_CODE | VMX_AR_WRITABLE | VMX_AR_DB | VMX_AR_G)
#define RIGHTS_DATA (VMX_AR_P | VMX_AR_S | VMX_AR_WRITABLE | VMX_AR_DB | VMX_AR_G)
#define DPL3 VMX_AR_DPL_MASK

struct world {
    uint8_t memory[MEMORY_BYTES];
    uint32_t fault_page, fault_on_write_page; /* 0: none */
    unsigned races;      /* that many exchanges lose */
    bool abort_reads;
    uint32_t cr3;
    bool bad_cr3;
    unsigned probes, pushes;
};

static struct world w;
static struct task_cpu cpu;
static struct task_outcome outcome;

static enum emul_status page_fault(struct x86_fault *fault, uint64_t at, bool write)
{
    *fault = (struct x86_fault){ X86_EXC_PF, true, write ? X86_PF_W : 0, at };
    return EMUL_FAULT;
}

static enum emul_status reach(gva_t at, unsigned bytes, bool write, struct x86_fault *fault)
{
    assert_true(at.v <= UINT32_MAX);
    if (at.v + bytes > MEMORY_BYTES || (w.fault_page && at.v >> 12 == w.fault_page) ||
        (write && w.fault_on_write_page && at.v >> 12 == w.fault_on_write_page))
        return page_fault(fault, at.v, write);
    return EMUL_OK;
}

static enum emul_status op_read(void *ctx, gva_t at, unsigned bytes, void *to,
                                struct x86_fault *fault)
{
    enum emul_status status = reach(at, bytes, false, fault);

    assert_ptr_equal(ctx, &w);
    if (w.abort_reads)
        return EMUL_ABORT;
    if (status == EMUL_OK)
        memcpy(to, w.memory + at.v, bytes);
    return status;
}

static enum emul_status op_write(void *ctx, gva_t at, unsigned bytes, const void *from,
                                 struct x86_fault *fault)
{
    enum emul_status status = reach(at, bytes, true, fault);

    assert_ptr_equal(ctx, &w);
    if (status == EMUL_OK)
        memcpy(w.memory + at.v, from, bytes);
    return status;
}

static enum emul_status op_probe(void *ctx, gva_t at, unsigned bytes, bool write,
                                 struct x86_fault *fault)
{
    assert_ptr_equal(ctx, &w);
    w.probes++;
    return reach(at, bytes, write, fault);
}

static enum emul_status op_exchange(void *ctx, gva_t at, uint8_t expected, uint8_t desired,
                                    struct x86_fault *fault)
{
    enum emul_status status = reach(at, 1, true, fault);

    assert_ptr_equal(ctx, &w);
    if (status != EMUL_OK)
        return status;
    if (w.races) {
        w.races--;
        return EMUL_RETRY;
    }
    assert_int_equal(w.memory[at.v], expected);
    w.memory[at.v] = desired;
    return EMUL_OK;
}

static enum emul_status op_load_cr3(void *ctx, uint32_t value, struct x86_fault *fault)
{
    assert_ptr_equal(ctx, &w);
    if (w.bad_cr3) {
        *fault = (struct x86_fault){ X86_EXC_GP, true, 0, 0 };
        return EMUL_FAULT;
    }
    w.cr3 = value;
    return EMUL_OK;
}

static enum emul_status op_push(void *ctx, gva_t at, unsigned bytes, const void *from,
                                struct x86_fault *fault)
{
    w.pushes++;
    return op_write(ctx, at, bytes, from, fault);
}

static const struct task_ops ops = {
    op_read, op_write, op_probe, op_exchange, op_load_cr3, op_push,
};

/* --- the world --- */

static void put(uint32_t at, unsigned bytes, uint32_t value)
{
    memcpy(w.memory + at, &value, bytes);
}

static uint32_t get(uint32_t at, unsigned bytes)
{
    uint32_t value = 0;

    memcpy(&value, w.memory + at, bytes);
    return value;
}

static void describe_at(uint32_t at, uint32_t base, uint32_t limit, uint32_t rights)
{
    put(at, 4, (limit & 0xffff) | base << 16);
    put(at + 4, 4, (base >> 16 & 0xff) | rights << 8 | (limit & 0xf0000) | (base & 0xff000000u));
}

static void describe(uint16_t selector, uint32_t base, uint32_t limit, uint32_t rights)
{
    describe_at(GDT + (selector & 0xfff8u), base, limit, rights);
}

static uint32_t rights_of(uint16_t selector)
{
    return get(GDT + (selector & 0xfff8u) + 4, 4) >> 8 & 0xf0ff;
}

static struct task_segment segment(uint16_t selector, uint32_t base, uint32_t limit,
                                   uint32_t rights)
{
    return (struct task_segment){ selector, base, limit, rights };
}

static void build_gdt(void)
{
    describe(CODE0, 0, 0xfffff, RIGHTS_CODE);
    describe(DATA0, 0, 0xfffff, RIGHTS_DATA);
    describe(CODE3, 0, 0xfffff, RIGHTS_CODE | DPL3);
    describe(DATA3, 0, 0xfffff, RIGHTS_DATA | DPL3);
    describe(OLD, OLD_TSS, 103, VMX_AR_P | 11);
    describe(NEW, NEW_TSS, 103, VMX_AR_P | 9);
    describe(LDT_SEL, LDT, 0x1f, VMX_AR_P | VMX_AR_TYPE_LDT);
    describe(CONFORMING0, 0, 0xfffff, RIGHTS_CODE | VMX_AR_CONFORMING);
    describe(CONFORMING3, 0, 0xfffff, RIGHTS_CODE | VMX_AR_CONFORMING | DPL3);
    describe(ABSENT_DATA, 0, 0xfffff, RIGHTS_DATA & ~VMX_AR_P);
    describe(EXECUTE_ONLY, 0, 0xfffff, RIGHTS_CODE & ~VMX_AR_WRITABLE);
    describe(ABSENT_CODE, 0, 0xfffff, RIGHTS_CODE & ~VMX_AR_P);
    describe(NEW16, NEW_TSS, 43, VMX_AR_P | 1);
    describe(READ_ONLY, 0, 0xfffff, RIGHTS_DATA & ~VMX_AR_WRITABLE);
    describe(SMALL_STACK, 0, 0xfff, RIGHTS_DATA & ~VMX_AR_G);
    describe(DOWN_STACK, 0, 0x3fff, (RIGHTS_DATA & ~VMX_AR_G) | VMX_AR_CONFORMING);
    describe(STACK16, 0, 0xffff, RIGHTS_DATA & ~(VMX_AR_G | VMX_AR_DB));
    describe_at(LDT + 0x08, 0x100, 0xfffff, RIGHTS_CODE);
    describe_at(LDT + 0x10, 0x200, 0xfffff, RIGHTS_DATA);
}

/* A 32-bit task at privilege level 0: registers 0x1000 + their number. */
static void build_new_task(void)
{
    put(NEW_TSS + 0x1c, 4, 0x5000);
    put(NEW_TSS + 0x20, 4, 0x12345678);
    put(NEW_TSS + 0x24, 4, RFLAGS_FIXED1 | RFLAGS_IF);
    for (unsigned i = 0; i < 8; i++)
        put(NEW_TSS + 0x28 + 4 * i, 4, 0x1000 + i);
    put(NEW_TSS + 0x38, 4, STACK_TOP);
    put(NEW_TSS + 0x48, 4, DATA0);
    put(NEW_TSS + 0x4c, 4, CODE0);
    put(NEW_TSS + 0x50, 4, DATA0);
    put(NEW_TSS + 0x54, 4, DATA0);
    put(NEW_TSS + 0x58, 4, 0);
    put(NEW_TSS + 0x5c, 4, 0);
    put(NEW_TSS + 0x60, 4, 0);
}

static int setup(void **context)
{
    (void)context;
    memset(&w, 0, sizeof(w));
    memset(&outcome, 0x5a, sizeof(outcome));
    build_gdt();
    build_new_task();
    cpu = (struct task_cpu){
        .eip = 0xabcd0123,
        .eflags = RFLAGS_FIXED1 | RFLAGS_NT | RFLAGS_ZF,
        .ldtr = segment(0, 0, 0, VMX_AR_UNUSABLE),
        .tr = segment(OLD, OLD_TSS, 103, VMX_AR_P | VMX_AR_TYPE_TSS_BUSY),
        .gdt_base = GDT,
        .gdt_limit = GDT_LIMIT,
        .cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_ET,
        .dr7 = 0x7ff,
    };
    for (unsigned i = 0; i < 8; i++)
        cpu.gprs[i] = 0xa0a00000 + i;
    for (unsigned i = 0; i < X86_SEG_COUNT; i++)
        cpu.segments[i] = segment((uint16_t)(0x100 + 8 * i), 0, UINT32_MAX, RIGHTS_DATA | 1);
    return 0;
}

static enum task_result go(uint16_t selector, enum task_source source, bool external)
{
    const struct task_request request = { selector, (uint8_t)source, external };

    return task_switch(&cpu, &request, &ops, &w, &outcome);
}

/* The state as VM entry wants it: SDM "Checks on Guest Segment Registers". */
static void expect_enterable(void)
{
    unsigned cpl = vmx_ar_dpl(cpu.segments[X86_SS].rights);
    uint32_t cs = cpu.segments[X86_CS].rights;

    assert_true(cpu.eflags & RFLAGS_FIXED1);
    assert_int_equal(cpu.eflags & ~RFLAGS_DEFINED, 0);
    assert_int_equal(cpu.tr.rights & (VMX_AR_TYPE_MASK & ~8u), 3);
    assert_true(cpu.tr.rights & VMX_AR_P);
    assert_true((cpu.ldtr.rights & VMX_AR_UNUSABLE) || (cpu.ldtr.rights & VMX_AR_P));
    for (unsigned i = 0; i < X86_SEG_COUNT; i++) {
        const struct task_segment *s = &cpu.segments[i];
        if (cpu.eflags & RFLAGS_VM) {
            assert_int_equal(s->rights, 0xf3);
            assert_int_equal(s->base, (uint32_t)s->selector << 4);
            assert_int_equal(s->limit, 0xffff);
        } else if (!(s->rights & VMX_AR_UNUSABLE)) {
            const uint32_t must = VMX_AR_P | VMX_AR_S | VMX_AR_ACCESSED;
            assert_int_equal(s->rights & must, must);
        }
    }
    if (cpu.eflags & RFLAGS_VM)
        return;
    assert_false(cs & VMX_AR_UNUSABLE);
    assert_true(cs & VMX_AR_CODE);
    if (cs & VMX_AR_CONFORMING)
        assert_true(vmx_ar_dpl(cs) <= cpl);
    else
        assert_int_equal(vmx_ar_dpl(cs), cpl);
}

static void expect_fault(uint8_t vector, uint32_t error)
{
    assert_int_equal(outcome.fault.vector, vector);
    assert_true(outcome.fault.has_error);
    assert_int_equal(outcome.fault.error, error);
}

/* A fault before the commit point: neither processor nor memory have changed. */
static void expect_before(uint16_t selector, enum task_source source, uint8_t vector,
                          uint32_t error)
{
    static struct world before;
    struct task_cpu cpu_before = cpu;

    before = w;
    assert_int_equal(go(selector, source, false), TASK_FAULT_BEFORE);
    expect_fault(vector, error);
    assert_memory_equal(&cpu, &cpu_before, sizeof(cpu));
    assert_memory_equal(w.memory, before.memory, sizeof(w.memory));
    assert_int_equal(w.cr3, before.cr3);
}

/* A fault after it: the new task is in place. */
static void expect_after(uint8_t vector, uint32_t error)
{
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_FAULT_AFTER);
    expect_fault(vector, error);
    assert_int_equal(cpu.tr.selector, NEW);
    assert_int_equal(cpu.eip, 0x12345678);
    assert_true(cpu.cr0 & CR0_TS);
    expect_enterable();
}

static void make_busy(uint16_t selector)
{
    describe(selector, NEW_TSS, 103, VMX_AR_P | 11);
}

/* --- the switch --- */

static void test_saves_the_old_task(void **context)
{
    (void)context;
    memset(w.memory + OLD_TSS, 0xee, 104);
    assert_int_equal(go(NEW, TASK_CALL, false), TASK_DONE);
    assert_int_equal(get(OLD_TSS + 0x20, 4), 0xabcd0123);
    assert_int_equal(get(OLD_TSS + 0x24, 4), RFLAGS_FIXED1 | RFLAGS_NT | RFLAGS_ZF);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(get(OLD_TSS + 0x28 + 4 * i, 4), 0xa0a00000 + i);
    for (unsigned i = 0; i < X86_SEG_COUNT; i++)
        assert_int_equal(get(OLD_TSS + 0x48 + 4 * i, 2), 0x100 + 8 * i);
    /* Static fields and reserved bits are not written. */
    for (unsigned at = 0; at < 0x20; at++)
        assert_int_equal(w.memory[OLD_TSS + at], 0xee);
    assert_int_equal(get(OLD_TSS + 0x4a, 2), 0xeeee);
    for (unsigned at = 0x5e; at < 104; at++)
        assert_int_equal(w.memory[OLD_TSS + at], 0xee);
}

static void test_loads_the_new_task(void **context)
{
    (void)context;
    put(NEW_TSS + 0x60, 2, LDT_SEL);
    put(NEW_TSS + 0x58, 2, 0x0c); /* FS, in the LDT */
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    assert_int_equal(cpu.eip, 0x12345678);
    assert_int_equal(cpu.eflags, RFLAGS_FIXED1 | RFLAGS_IF);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(cpu.gprs[i], i == X86_RSP ? STACK_TOP : 0x1000 + i);
    assert_int_equal(w.cr3, 0x5000);
    assert_true(cpu.cr0 & CR0_TS);
    assert_int_equal(cpu.dr7, 0x7ff & ~0x155);
    assert_int_equal(cpu.tr.selector, NEW);
    assert_int_equal(cpu.tr.base, NEW_TSS);
    assert_int_equal(cpu.tr.limit, 103);
    assert_int_equal(cpu.tr.rights, VMX_AR_P | VMX_AR_TYPE_TSS_BUSY);
    assert_int_equal(cpu.ldtr.selector, LDT_SEL);
    assert_int_equal(cpu.ldtr.base, LDT);
    assert_int_equal(cpu.segments[X86_CS].rights, RIGHTS_CODE | VMX_AR_ACCESSED);
    assert_int_equal(cpu.segments[X86_CS].limit, UINT32_MAX);
    assert_int_equal(cpu.segments[X86_FS].base, 0x100);
    assert_true(cpu.segments[X86_GS].rights & VMX_AR_UNUSABLE);
    assert_true(rights_of(CODE0) & VMX_AR_ACCESSED); /* marked in memory too */
    assert_true(w.memory[LDT + 8 + 5] & VMX_AR_ACCESSED);
    assert_true(outcome.is_32bit);
    assert_false(outcome.debug_trap);
    expect_enterable();
}

/* SDM table "Effect of a Task Switch on Busy Flag, NT Flag, Previous Task Link Field, and TS
 * Flag". */
static void test_call_nests(void **context)
{
    (void)context;
    assert_int_equal(go(NEW, TASK_CALL, false), TASK_DONE);
    assert_int_equal(rights_of(NEW), VMX_AR_P | 11);
    assert_int_equal(rights_of(OLD), VMX_AR_P | 11);
    assert_int_equal(get(NEW_TSS, 2), OLD);
    assert_true(cpu.eflags & RFLAGS_NT);
}

static void test_gate_nests(void **context)
{
    (void)context;
    assert_int_equal(go(NEW, TASK_GATE, true), TASK_DONE);
    assert_int_equal(rights_of(OLD), VMX_AR_P | 11);
    assert_int_equal(get(NEW_TSS, 2), OLD);
    assert_true(cpu.eflags & RFLAGS_NT);
}

static void test_jmp_does_not_nest(void **context)
{
    (void)context;
    put(NEW_TSS, 2, 0x7777);
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    assert_int_equal(rights_of(NEW), VMX_AR_P | 11);
    assert_int_equal(rights_of(OLD), VMX_AR_P | 9);
    assert_int_equal(get(NEW_TSS, 2), 0x7777);
    assert_false(cpu.eflags & RFLAGS_NT);
    assert_true(get(OLD_TSS + 0x24, 4) & RFLAGS_NT); /* unchanged in the saved image */
}

static void test_iret_returns(void **context)
{
    (void)context;
    make_busy(NEW);
    put(NEW_TSS + 0x24, 4, RFLAGS_FIXED1 | RFLAGS_NT);
    assert_int_equal(go(NEW, TASK_IRET, false), TASK_DONE);
    assert_int_equal(rights_of(NEW), VMX_AR_P | 11);
    assert_int_equal(rights_of(OLD), VMX_AR_P | 9);
    assert_false(get(OLD_TSS + 0x24, 4) & RFLAGS_NT); /* cleared in the saved image */
    assert_true(cpu.eflags & RFLAGS_NT);              /* as the new TSS says */
}

static void test_old_descriptor_out_of_reach(void **context)
{
    (void)context;
    cpu.tr.selector = 0;
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    setup(NULL);
    cpu.tr.selector = 0x200; /* the GDT was made smaller */
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    setup(NULL);
    cpu.tr.selector = OLD | 4;
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    assert_int_equal(rights_of(OLD), VMX_AR_P | 11);
}

static void test_eflags_reserved_bits_are_dropped(void **context)
{
    (void)context;
    put(NEW_TSS + 0x24, 4, 0xffc0802au | RFLAGS_TF | RFLAGS_RF | RFLAGS_IOPL);
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    assert_int_equal(cpu.eflags, RFLAGS_FIXED1 | RFLAGS_TF | RFLAGS_RF | RFLAGS_IOPL);
}

static void test_cr3_needs_paging(void **context)
{
    (void)context;
    cpu.cr0 &= ~CR0_PG;
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    assert_int_equal(w.cr3, 0);
}

static void test_debug_trap(void **context)
{
    (void)context;
    put(NEW_TSS + 0x64, 2, 1);
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    assert_true(outcome.debug_trap);
}

static void build_new16(void)
{
    memset(w.memory + NEW_TSS, 0, 104);
    put(NEW_TSS + 0x0e, 2, 0x4321);
    put(NEW_TSS + 0x10, 2, RFLAGS_FIXED1 | RFLAGS_CF);
    for (unsigned i = 0; i < 8; i++)
        put(NEW_TSS + 0x12 + 2 * i, 2, 0x2000 + i);
    put(NEW_TSS + 0x22, 2, DATA0);
    put(NEW_TSS + 0x24, 2, CODE0);
    put(NEW_TSS + 0x26, 2, DATA0);
    put(NEW_TSS + 0x28, 2, READ_ONLY);
    put(NEW_TSS + 0x2a, 2, LDT_SEL);
    put(NEW_TSS + 0x2c, 4, 0xffffffff); /* behind it */
}

static void test_16_bit_new(void **context)
{
    (void)context;
    build_new16();
    assert_int_equal(go(NEW16, TASK_CALL, false), TASK_DONE);
    assert_int_equal(get(NEW_TSS, 2), OLD);
    assert_int_equal(cpu.tr.rights, VMX_AR_P | VMX_AR_TYPE_TSS16_BUSY);
    assert_int_equal(cpu.eip, 0x4321);
    assert_int_equal(cpu.eflags, RFLAGS_FIXED1 | RFLAGS_CF | RFLAGS_NT);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(cpu.gprs[i], 0x2000 + i);
    assert_int_equal(cpu.segments[X86_DS].selector, READ_ONLY);
    assert_int_equal(cpu.segments[X86_FS].selector, 0);
    assert_true(cpu.segments[X86_FS].rights & VMX_AR_UNUSABLE);
    assert_int_equal(cpu.ldtr.base, LDT);
    assert_int_equal(w.cr3, 0); /* there is no CR3 in it */
    assert_false(outcome.debug_trap);
    assert_false(outcome.is_32bit);
    expect_enterable();
}

static void test_16_bit_old(void **context)
{
    (void)context;
    cpu.tr = segment(OLD, OLD_TSS, 43, VMX_AR_P | VMX_AR_TYPE_TSS16_BUSY);
    describe(OLD, OLD_TSS, 43, VMX_AR_P | 3);
    memset(w.memory + OLD_TSS, 0xee, 104);
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    assert_int_equal(rights_of(OLD), VMX_AR_P | 1);
    assert_int_equal(get(OLD_TSS + 0x0c, 2), 0xeeee);
    assert_int_equal(get(OLD_TSS + 0x0e, 2), 0x0123);
    assert_int_equal(get(OLD_TSS + 0x10, 2), RFLAGS_FIXED1 | RFLAGS_NT | RFLAGS_ZF);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(get(OLD_TSS + 0x12 + 2 * i, 2), i);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(get(OLD_TSS + 0x22 + 2 * i, 2), 0x100 + 8 * i);
    assert_int_equal(get(OLD_TSS + 0x2a, 2), 0xeeee); /* LDT: static */
}

static void test_virtual_8086(void **context)
{
    (void)context;
    put(NEW_TSS + 0x24, 4, RFLAGS_FIXED1 | RFLAGS_VM);
    for (unsigned i = 0; i < X86_SEG_COUNT; i++)
        put(NEW_TSS + 0x48 + 4 * i, 2, 0x1111 * (i + 1)); /* no selectors: no checks */
    put(NEW_TSS + 0x60, 2, LDT_SEL);
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    assert_int_equal(cpu.segments[X86_GS].base, 0x66660);
    assert_int_equal(cpu.ldtr.selector, LDT_SEL);
    expect_enterable();
    setup(NULL);
    put(NEW_TSS + 0x24, 4, RFLAGS_FIXED1 | RFLAGS_VM);
    put(NEW_TSS + 0x60, 2, DATA0);
    expect_after(X86_EXC_TS, DATA0);
}

static void test_privilege_level_3(void **context)
{
    (void)context;
    put(NEW_TSS + 0x4c, 2, CODE3 | 3);
    put(NEW_TSS + 0x50, 2, DATA3 | 3);
    put(NEW_TSS + 0x54, 2, DATA3 | 3);
    put(NEW_TSS + 0x48, 2, CONFORMING0 | 3); /* conforming code may be read from everywhere */
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    assert_int_equal(vmx_ar_dpl(cpu.segments[X86_SS].rights), 3);
    expect_enterable();
    setup(NULL);
    put(NEW_TSS + 0x4c, 2, CONFORMING0 | 3);
    put(NEW_TSS + 0x50, 2, DATA3 | 3);
    put(NEW_TSS + 0x54, 2, 0);
    put(NEW_TSS + 0x48, 2, 0);
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    expect_enterable();
}

/* --- the table, row by row: before the commit point --- */

static void test_tss_selector(void **context)
{
    (void)context;
    expect_before(0, TASK_JMP, X86_EXC_GP, 0);
    expect_before(3, TASK_GATE, X86_EXC_GP, 0);
    expect_before(NEW | 4, TASK_CALL, X86_EXC_GP, NEW | 4);
    expect_before(NEW | 4, TASK_IRET, X86_EXC_TS, NEW | 4);
    expect_before(0x90, TASK_CALL, X86_EXC_GP, 0x90);
    expect_before(0x93, TASK_IRET, X86_EXC_TS, 0x90);
    expect_before(DATA0, TASK_CALL, X86_EXC_GP, DATA0);
    expect_before(LDT_SEL, TASK_IRET, X86_EXC_TS, LDT_SEL);
    cpu.gdt_limit = NEW + 6; /* its last byte is missing */
    expect_before(NEW, TASK_JMP, X86_EXC_GP, NEW);
}

static void test_tss_present(void **context)
{
    (void)context;
    describe(NEW, NEW_TSS, 103, 9);
    expect_before(NEW, TASK_JMP, X86_EXC_NP, NEW);
    describe(NEW, NEW_TSS, 103, 11); /* present comes before busy */
    expect_before(NEW, TASK_JMP, X86_EXC_NP, NEW);
}

static void test_tss_busy(void **context)
{
    (void)context;
    expect_before(NEW, TASK_IRET, X86_EXC_TS, NEW);
    expect_before(OLD, TASK_CALL, X86_EXC_GP, OLD); /* tasks are not recursive */
    expect_before(OLD, TASK_JMP, X86_EXC_GP, OLD);
    expect_before(OLD, TASK_GATE, X86_EXC_GP, OLD);
}

static void test_tss_limit(void **context)
{
    (void)context;
    describe(NEW, NEW_TSS, 102, VMX_AR_P | 9);
    expect_before(NEW, TASK_JMP, X86_EXC_TS, NEW);
    describe(NEW16, NEW_TSS, 42, VMX_AR_P | 1);
    expect_before(NEW16, TASK_JMP, X86_EXC_TS, NEW16);
    setup(NULL);
    cpu.tr.limit = 0x5c; /* the old task would not fit into its TSS */
    expect_before(NEW, TASK_JMP, X86_EXC_TS, NEW);
}

static void test_ext_bit(void **context)
{
    (void)context;
    assert_int_equal(go(OLD, TASK_GATE, true), TASK_FAULT_BEFORE);
    expect_fault(X86_EXC_GP, OLD | 1);
    put(NEW_TSS + 0x4c, 2, DATA0);
    assert_int_equal(go(NEW, TASK_GATE, true), TASK_FAULT_AFTER);
    expect_fault(X86_EXC_TS, DATA0 | 1);
}

/* Everything is paged in before anything is written. */
static void test_page_faults_before(void **context)
{
    (void)context;
    w.fault_page = OLD_TSS >> 12;
    expect_before(NEW, TASK_JMP, X86_EXC_PF, X86_PF_W);
    w.fault_page = NEW_TSS >> 12;
    expect_before(NEW, TASK_JMP, X86_EXC_PF, 0);
    w.fault_page = 0;
    w.fault_on_write_page = NEW_TSS >> 12; /* where the link goes */
    expect_before(NEW, TASK_CALL, X86_EXC_PF, X86_PF_W);
    w.fault_on_write_page = GDT >> 12;
    expect_before(NEW, TASK_JMP, X86_EXC_PF, X86_PF_W);
    expect_before(NEW, TASK_CALL, X86_EXC_PF, X86_PF_W);
    w.fault_on_write_page = 0;
    w.fault_page = GDT >> 12;
    expect_before(NEW, TASK_JMP, X86_EXC_PF, 0);
}

static void test_new_tss_may_be_read_only_without_link(void **context)
{
    (void)context;
    w.fault_on_write_page = NEW_TSS >> 12;
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
}

/* --- after the commit point --- */

static void test_cr3(void **context)
{
    (void)context;
    w.bad_cr3 = true;
    expect_after(X86_EXC_GP, 0);
    assert_true(cpu.segments[X86_SS].rights & VMX_AR_UNUSABLE);
}

static void test_ldt(void **context)
{
    (void)context;
    put(NEW_TSS + 0x60, 2, LDT_SEL | 4);
    expect_after(X86_EXC_TS, LDT_SEL | 4);
    setup(NULL);
    put(NEW_TSS + 0x60, 2, 0x90);
    expect_after(X86_EXC_TS, 0x90);
    setup(NULL);
    put(NEW_TSS + 0x60, 2, NEW);
    expect_after(X86_EXC_TS, NEW);
    setup(NULL);
    put(NEW_TSS + 0x60, 2, LDT_SEL);
    describe(LDT_SEL, LDT, 0x1f, VMX_AR_TYPE_LDT); /* present: after the stack's rows */
    put(NEW_TSS + 0x50, 2, READ_ONLY);
    expect_after(X86_EXC_TS, READ_ONLY);
    setup(NULL);
    put(NEW_TSS + 0x60, 2, LDT_SEL);
    describe(LDT_SEL, LDT, 0x1f, VMX_AR_TYPE_LDT);
    put(NEW_TSS + 0x4c, 2, ABSENT_CODE); /* ... and before the code segment's */
    expect_after(X86_EXC_TS, LDT_SEL);
}

static void test_code_segment(void **context)
{
    static const struct { uint16_t selector; uint8_t vector; } bad[] = {
        { CODE0 | 3, X86_EXC_TS }, { CODE3, X86_EXC_TS }, { CONFORMING3, X86_EXC_TS },
        { 0, X86_EXC_TS }, { 0x90, X86_EXC_TS }, { DATA0, X86_EXC_TS }, { NEW, X86_EXC_TS },
        { 0x0c, X86_EXC_TS } /* no LDT */, { ABSENT_CODE, X86_EXC_NP },
    };

    (void)context;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setup(NULL);
        put(NEW_TSS + 0x4c, 2, bad[i].selector);
        if ((bad[i].selector & 3) == 3)
            put(NEW_TSS + 0x50, 2, DATA3 | 3);
        expect_after(bad[i].vector, bad[i].selector & 0xfffcu);
        assert_int_equal(cpu.segments[X86_CS].selector, bad[i].selector);
    }
}

static void test_stack_segment(void **context)
{
    static const struct { uint16_t selector; uint8_t vector; } bad[] = {
        { 0, X86_EXC_TS }, { 0x90, X86_EXC_TS }, { CODE0, X86_EXC_TS }, { READ_ONLY, X86_EXC_TS },
        { LDT_SEL, X86_EXC_TS }, { ABSENT_DATA, X86_EXC_SS }, { DATA3 | 3, X86_EXC_TS },
        { DATA0 | 3, X86_EXC_TS },
    };

    (void)context;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setup(NULL);
        put(NEW_TSS + 0x50, 2, bad[i].selector);
        expect_after(bad[i].vector, bad[i].selector & 0xfffcu);
        assert_true(cpu.segments[X86_SS].rights & VMX_AR_UNUSABLE);
    }
}

static void test_data_segments(void **context)
{
    static const struct { uint16_t selector; uint8_t vector; } bad[] = {
        { 0x90, X86_EXC_TS }, { LDT_SEL, X86_EXC_TS }, { EXECUTE_ONLY, X86_EXC_TS },
        { ABSENT_DATA, X86_EXC_NP }, { DATA0 | 3, X86_EXC_TS }, { 0x0c, X86_EXC_TS },
    };
    static const uint8_t slots[] = { 0x48, 0x54, 0x58, 0x5c };

    (void)context;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (unsigned s = 0; s < sizeof(slots); s++) {
            setup(NULL);
            put(NEW_TSS + slots[s], 2, bad[i].selector);
            expect_after(bad[i].vector, bad[i].selector & 0xfffcu);
            assert_false(cpu.segments[X86_SS].rights & VMX_AR_UNUSABLE);
        }
    }
    setup(NULL);
    put(NEW_TSS + 0x4c, 2, CODE3 | 3);
    put(NEW_TSS + 0x50, 2, DATA3 | 3);
    expect_after(X86_EXC_TS, DATA0); /* DPL 0 seen from level 3 */
}

static void test_page_fault_after(void **context)
{
    (void)context;
    cpu.gdt_base = 0x1800; /* the tables in different pages */
    memmove(w.memory + 0x1800, w.memory + GDT, GDT_LIMIT + 1);
    put(0x1800 + LDT_SEL, 2, 0x1f);
    put(NEW_TSS + 0x60, 2, LDT_SEL);
    put(NEW_TSS + 0x4c, 2, 0x0c);
    w.fault_page = LDT >> 12;
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_FAULT_AFTER);
    expect_fault(X86_EXC_PF, 0);
    assert_int_equal(outcome.fault.cr2, LDT + 8);
    expect_enterable();
    setup(NULL);
    put(NEW_TSS + 0x60, 2, LDT_SEL);
    put(NEW_TSS + 0x54, 2, 0x14);
    w.fault_on_write_page = LDT >> 12; /* its accessed bit cannot be set */
    expect_after(X86_EXC_PF, X86_PF_W);
}

/* --- races and surrender --- */

static void test_races(void **context)
{
    (void)context;
    w.races = 5;
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_DONE);
    assert_int_equal(rights_of(OLD), VMX_AR_P | 9);
    setup(NULL);
    w.races = 1000000;
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_ABORT);
    setup(NULL);
    w.abort_reads = true;
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_ABORT);
}

/* --- the error code --- */

static enum task_result push(uint16_t stack, uint32_t esp, uint16_t tss)
{
    setup(NULL);
    if (tss == NEW16) {
        build_new16();
        put(NEW_TSS + 0x1a, 2, esp);
        put(NEW_TSS + 0x26, 2, stack);
    } else {
        put(NEW_TSS + 0x38, 4, esp);
        put(NEW_TSS + 0x50, 2, stack);
    }
    assert_int_equal(go(tss, TASK_GATE, true), TASK_DONE);
    return task_push_error(&cpu, 0xfeed1234, true, &ops, &w, &outcome);
}

static void test_error_code(void **context)
{
    (void)context;
    assert_int_equal(push(DATA0, STACK_TOP, NEW), TASK_DONE);
    assert_int_equal(cpu.gprs[X86_RSP], STACK_TOP - 4);
    assert_int_equal(get(STACK_TOP - 4, 4), 0xfeed1234);
    assert_int_equal(push(DATA0, STACK_TOP, NEW16), TASK_DONE);
    assert_int_equal(cpu.gprs[X86_RSP], STACK_TOP - 2);
    assert_int_equal(get(STACK_TOP - 4, 4), 0x12340000);
    assert_int_equal(push(STACK16, 0xabcd0002, NEW), TASK_FAULT_AFTER); /* 0xfffe: beyond */
    expect_fault(X86_EXC_SS, 1);
    assert_int_equal(push(STACK16, 0xabcd6000, NEW), TASK_DONE); /* SP alone moves */
    assert_int_equal(cpu.gprs[X86_RSP], 0xabcd5ffc);
    assert_int_equal(get(0x5ffc, 4), 0xfeed1234);
    assert_int_equal(push(SMALL_STACK, 0x1000, NEW), TASK_DONE);
    assert_int_equal(push(SMALL_STACK, 0x1001, NEW), TASK_FAULT_AFTER);
    expect_fault(X86_EXC_SS, 1);
    assert_int_equal(push(DOWN_STACK, 0x4004, NEW), TASK_DONE);
    assert_int_equal(push(DOWN_STACK, 0x4003, NEW), TASK_FAULT_AFTER);
    assert_int_equal(push(DATA0, 0x20000, NEW), TASK_FAULT_AFTER); /* a page fault */
    expect_fault(X86_EXC_PF, X86_PF_W);
    assert_int_equal(cpu.gprs[X86_RSP], 0x20000);
}

/* --- LLDT, LTR --- */

static struct task_segment loaded;
static uint64_t loaded_base;

static enum emul_status system_load(uint16_t selector, bool is_tr, bool mode64)
{
    const struct system_segment_request request = {
        selector, is_tr, mode64, mode64, GDT, GDT_LIMIT
    };

    return system_segment_load(&request, &ops, &w, &loaded, &loaded_base, &outcome.fault);
}

static void expect_refused(uint16_t selector, bool is_tr, bool mode64, uint8_t vector)
{
    assert_int_equal(system_load(selector, is_tr, mode64), EMUL_FAULT);
    expect_fault(vector, selector & 0xfffcu);
}

static void test_lldt(void **context)
{
    (void)context;
    assert_int_equal(system_load(LDT_SEL, false, false), EMUL_OK);
    assert_int_equal(loaded.rights, VMX_AR_P | VMX_AR_TYPE_LDT);
    assert_true(loaded_base == LDT);
    assert_int_equal(system_load(3, false, false), EMUL_OK);
    assert_true(loaded.rights & VMX_AR_UNUSABLE);
    assert_int_equal(loaded.selector, 3);
    expect_refused(LDT_SEL | 4, false, false, X86_EXC_GP);
    expect_refused(0x90, false, false, X86_EXC_GP);
    expect_refused(NEW, false, false, X86_EXC_GP);
    describe(LDT_SEL, LDT, 0x1f, VMX_AR_TYPE_LDT);
    expect_refused(LDT_SEL, false, false, X86_EXC_NP);
}

static void test_ltr(void **context)
{
    (void)context;
    assert_int_equal(system_load(NEW, true, false), EMUL_OK);
    assert_int_equal(loaded.rights, VMX_AR_P | VMX_AR_TYPE_TSS_BUSY);
    assert_int_equal(rights_of(NEW), VMX_AR_P | 11);
    expect_refused(NEW, true, false, X86_EXC_GP); /* busy now */
    assert_int_equal(system_load(NEW16, true, false), EMUL_OK);
    assert_int_equal(loaded.rights, VMX_AR_P | VMX_AR_TYPE_TSS16_BUSY);
    expect_refused(0, true, false, X86_EXC_GP);
    expect_refused(DATA0, true, false, X86_EXC_GP);
    describe(NEW, NEW_TSS, 103, 9);
    expect_refused(NEW, true, false, X86_EXC_NP);
}

static void test_ltr_64(void **context)
{
    (void)context;
    put(GDT + NEW + 8, 4, 0xffff8000);
    put(GDT + NEW + 12, 4, 0);
    assert_int_equal(system_load(NEW, true, true), EMUL_OK);
    assert_true(loaded_base == (0xffff800000000000ull | NEW_TSS));
    describe(NEW, NEW_TSS, 103, VMX_AR_P | 9);
    put(GDT + NEW + 8, 4, 0x8000); /* not canonical */
    expect_refused(NEW, true, true, X86_EXC_GP);
    put(GDT + NEW + 8, 4, 0);
    put(GDT + NEW + 12, 4, 0x100); /* a type in the upper half */
    expect_refused(NEW, true, true, X86_EXC_GP);
    expect_refused(NEW16, true, true, X86_EXC_GP);
    describe(STACK16, NEW_TSS, 103, VMX_AR_P | 9); /* its upper half is behind the limit */
    expect_refused(STACK16, true, true, X86_EXC_GP);
}

static void test_ltr_memory(void **context)
{
    (void)context;
    w.races = 3;
    assert_int_equal(system_load(NEW, true, false), EMUL_OK);
    setup(NULL);
    w.races = 1000000;
    assert_int_equal(system_load(NEW, true, false), EMUL_ABORT);
    setup(NULL);
    w.abort_reads = true;
    assert_int_equal(system_load(NEW, true, false), EMUL_ABORT);
    setup(NULL);
    w.fault_page = GDT >> 12;
    assert_int_equal(system_load(NEW, true, false), EMUL_FAULT);
    expect_fault(X86_EXC_PF, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, setup)
        T(test_saves_the_old_task), T(test_loads_the_new_task), T(test_call_nests),
        T(test_gate_nests), T(test_jmp_does_not_nest), T(test_iret_returns),
        T(test_old_descriptor_out_of_reach), T(test_eflags_reserved_bits_are_dropped),
        T(test_cr3_needs_paging), T(test_debug_trap), T(test_16_bit_new), T(test_16_bit_old),
        T(test_virtual_8086), T(test_privilege_level_3), T(test_tss_selector),
        T(test_tss_present), T(test_tss_busy), T(test_tss_limit), T(test_ext_bit),
        T(test_page_faults_before), T(test_new_tss_may_be_read_only_without_link), T(test_cr3),
        T(test_ldt), T(test_code_segment), T(test_stack_segment), T(test_data_segments),
        T(test_page_fault_after), T(test_races), T(test_error_code), T(test_lldt), T(test_ltr),
        T(test_ltr_64), T(test_ltr_memory),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
