// SRCS: arch/x86/emul/task_switch.c arch/x86/emul/task_load.c arch/x86/emul/system_segment.c
/*
 * Hardware task switches, from SDM volume 3 "Task Management": what is saved and loaded, the busy
 * bits, NT and the link for each source, and the rows of the table "Exception Conditions Checked
 * During a Task Switch" that come before the commit point.
 */
#include "task_world.h"

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
        T(test_page_faults_before), T(test_new_tss_may_be_read_only_without_link),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
