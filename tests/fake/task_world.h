/*
 * A flat memory with a GDT, an LDT and two tasks in it, for the tests of task switches. `setup`
 * builds it anew. Header-only; include it from one test file.
 */
#ifndef TASK_WORLD_H
#define TASK_WORLD_H

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
    unsigned calls, fail_at; /* that call of any operation fails; 0: none */
    enum emul_status failure;
};

static struct world w;
static struct task_cpu cpu;
static struct task_outcome outcome;

static inline enum emul_status page_fault(struct x86_fault *fault, uint64_t at, bool write)
{
    *fault = (struct x86_fault){ X86_EXC_PF, true, write ? X86_PF_W : 0, at };
    return EMUL_FAULT;
}

static inline enum emul_status reach(gva_t at, unsigned bytes, bool write, struct x86_fault *fault)
{
    assert_true(at.v <= UINT32_MAX);
    if (++w.calls == w.fail_at) {
        *fault = (struct x86_fault){ X86_EXC_PF, true, 0, at.v };
        return w.failure;
    }
    if (at.v + bytes > MEMORY_BYTES || (w.fault_page && at.v >> 12 == w.fault_page) ||
        (write && w.fault_on_write_page && at.v >> 12 == w.fault_on_write_page))
        return page_fault(fault, at.v, write);
    return EMUL_OK;
}

static inline enum emul_status op_read(void *ctx, gva_t at, unsigned bytes, void *to,
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

static inline enum emul_status op_write(void *ctx, gva_t at, unsigned bytes, const void *from,
                                 struct x86_fault *fault)
{
    enum emul_status status = reach(at, bytes, true, fault);

    assert_ptr_equal(ctx, &w);
    if (status == EMUL_OK)
        memcpy(w.memory + at.v, from, bytes);
    return status;
}

static inline enum emul_status op_probe(void *ctx, gva_t at, unsigned bytes, bool write,
                                 struct x86_fault *fault)
{
    assert_ptr_equal(ctx, &w);
    w.probes++;
    return reach(at, bytes, write, fault);
}

static inline enum emul_status op_exchange(void *ctx, gva_t at, uint8_t expected, uint8_t desired,
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

static inline enum emul_status op_load_cr3(void *ctx, uint32_t value, struct x86_fault *fault)
{
    assert_ptr_equal(ctx, &w);
    if (w.bad_cr3) {
        *fault = (struct x86_fault){ X86_EXC_GP, true, 0, 0 };
        return EMUL_FAULT;
    }
    w.cr3 = value;
    return EMUL_OK;
}

static inline enum emul_status op_push(void *ctx, gva_t at, unsigned bytes, const void *from,
                                struct x86_fault *fault)
{
    w.pushes++;
    return op_write(ctx, at, bytes, from, fault);
}

static const struct task_ops ops = {
    op_read, op_write, op_probe, op_exchange, op_load_cr3, op_push,
};

/* --- the world --- */

static inline void put(uint32_t at, unsigned bytes, uint32_t value)
{
    memcpy(w.memory + at, &value, bytes);
}

static inline uint32_t get(uint32_t at, unsigned bytes)
{
    uint32_t value = 0;

    memcpy(&value, w.memory + at, bytes);
    return value;
}

static inline void describe_at(uint32_t at, uint32_t base, uint32_t limit, uint32_t rights)
{
    put(at, 4, (limit & 0xffff) | base << 16);
    put(at + 4, 4, (base >> 16 & 0xff) | rights << 8 | (limit & 0xf0000) | (base & 0xff000000u));
}

static inline void describe(uint16_t selector, uint32_t base, uint32_t limit, uint32_t rights)
{
    describe_at(GDT + (selector & 0xfff8u), base, limit, rights);
}

static inline uint32_t rights_of(uint16_t selector)
{
    return get(GDT + (selector & 0xfff8u) + 4, 4) >> 8 & 0xf0ff;
}

static inline struct task_segment segment(uint16_t selector, uint32_t base, uint32_t limit,
                                   uint32_t rights)
{
    return (struct task_segment){ selector, base, limit, rights };
}

static inline void build_gdt(void)
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
static inline void build_new_task(void)
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

/* A 16-bit task in the same place. */
static inline void build_new16(void)
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

static inline int setup(void **context)
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

static inline enum task_result go(uint16_t selector, enum task_source source, bool external)
{
    const struct task_request request = { selector, (uint8_t)source, external };

    return task_switch(&cpu, &request, &ops, &w, &outcome);
}

/* The state as VM entry wants it: SDM "Checks on Guest Segment Registers". */
static inline void expect_enterable(void)
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

static inline void expect_fault(uint8_t vector, uint32_t error)
{
    assert_int_equal(outcome.fault.vector, vector);
    assert_true(outcome.fault.has_error);
    assert_int_equal(outcome.fault.error, error);
}

/* A fault before the commit point: neither processor nor memory have changed. */
static inline void expect_before(uint16_t selector, enum task_source source, uint8_t vector,
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
static inline void expect_after(uint8_t vector, uint32_t error)
{
    assert_int_equal(go(NEW, TASK_JMP, false), TASK_FAULT_AFTER);
    expect_fault(vector, error);
    assert_int_equal(cpu.tr.selector, NEW);
    assert_int_equal(cpu.eip, 0x12345678);
    assert_true(cpu.cr0 & CR0_TS);
    expect_enterable();
}

static inline void make_busy(uint16_t selector)
{
    describe(selector, NEW_TSS, 103, VMX_AR_P | 11);
}

#endif
