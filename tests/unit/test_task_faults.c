// SRCS: arch/x86/emul/task_switch.c arch/x86/emul/task_load.c arch/x86/emul/system_segment.c
/*
 * Task switches that fault: the rows of SDM volume 3's table "Exception Conditions Checked During a
 * Task Switch" that come after the commit point, page faults and races at every access, the error
 * code on the new stack. And LLDT and LTR, from volume 2.
 */
#include "task_world.h"

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

/* Another core takes a page away between the probe and the access: whatever the moment, the result
 * says which task goes on, and that one can be entered. */
static void fail_every_call(enum task_source source, enum emul_status failure)
{
    bool done = false;

    for (unsigned n = 1; !done; n++) {
        struct task_cpu before;
        enum task_result result;
        setup(NULL);
        put(NEW_TSS + 0x60, 2, LDT_SEL);
        put(NEW_TSS + 0x54, 2, 0x14);
        if (source == TASK_IRET)
            make_busy(NEW);
        w.fail_at = n;
        w.failure = failure;
        before = cpu;
        result = go(NEW, source, false);
        done = w.calls < n;
        assert_int_equal(done, result == TASK_DONE);
        if (!done && failure == EMUL_ABORT)
            assert_int_equal(result, TASK_ABORT);
        if (result == TASK_FAULT_BEFORE)
            assert_memory_equal(&cpu, &before, sizeof(cpu));
        if (result == TASK_FAULT_AFTER)
            expect_enterable();
        assert_true(n < 100);
    }
}

static void test_every_access_may_fail(void **context)
{
    (void)context;
    for (enum task_source source = TASK_CALL; source <= TASK_GATE; source++) {
        fail_every_call(source, EMUL_FAULT);
        fail_every_call(source, EMUL_ABORT);
    }
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
        T(test_cr3), T(test_ldt), T(test_code_segment), T(test_stack_segment),
        T(test_data_segments), T(test_page_fault_after), T(test_races),
        T(test_every_access_may_fail), T(test_error_code), T(test_lldt), T(test_ltr),
        T(test_ltr_64), T(test_ltr_memory),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
