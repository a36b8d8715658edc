// SRCS: arch/x86/vmx/lab_facts.c arch/x86/vmx/lab_check.c arch/x86/vmx/errors.c arch/x86/vmx/vmcs_fields.c vmm/lib/format.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "x86/lab.h"

static struct lab_observed observed;
static struct lab_record record;
static char lines[2000];
static enum lab_verdict worst;

static void take_line(struct lab_judge *judge, enum lab_verdict verdict, const char *text)
{
    size_t at = strlen(lines);

    (void)judge;
    if (verdict > worst)
        worst = verdict;
    snprintf(lines + at, sizeof(lines) - at, "%s\n", text);
}

static enum lab_verdict judge(const struct lab_variant *variant)
{
    struct lab_judge j = { take_line };

    lines[0] = 0;
    worst = LAB_PASS;
    return lab_judge_variant(variant, &observed, &j);
}

static void assert_says(const char *text)
{
    if (!strstr(lines, text))
        fail_msg("'%s' does not say '%s'", lines, text);
}

static uint64_t fact(const char *name)
{
    uint64_t value = 0;

    if (!lab_fact(&record, name, &value))
        fail_msg("no fact %s", name);
    return value;
}

/* --- facts: numbers from the SDM's tables of exit qualifications --- */

static void test_io_facts(void **state)
{
    (void)state;
    record = (struct lab_record){ .reason = 30, .facts.qualification = 0x02f00000 | 1 << 4 | 1 << 5 | 3 };
    assert_int_equal(fact("io.port"), 0x2f0);
    assert_int_equal(fact("io.size"), 4);
    assert_int_equal(fact("io.in"), 0);
    assert_int_equal(fact("io.string"), 1);
    assert_int_equal(fact("io.rep"), 1);
    assert_int_equal(fact("io.immediate"), 0);
    record.facts.qualification = 0x00800048;
    assert_int_equal(fact("io.port"), 0x80);
    assert_int_equal(fact("io.size"), 1);
    assert_int_equal(fact("io.in"), 1);
    assert_int_equal(fact("io.immediate"), 1);
}

static void test_cr_dr_facts(void **state)
{
    (void)state;
    record = (struct lab_record){ .reason = 28, .facts.qualification = 0x3b0070 };
    assert_int_equal(fact("cr.type"), 3);
    assert_int_equal(fact("lmsw.source"), 0x3b);
    assert_int_equal(fact("lmsw.memory"), 1);
    record.facts.qualification = 0x913;
    assert_int_equal(fact("cr.number"), 3);
    assert_int_equal(fact("cr.type"), 1);
    assert_int_equal(fact("cr.gpr"), 9);
    record.facts.qualification = 0x317;
    assert_int_equal(fact("dr.number"), 7);
    assert_int_equal(fact("dr.from"), 1);
    assert_int_equal(fact("dr.gpr"), 3);
}

static void test_memory_facts(void **state)
{
    (void)state;
    record = (struct lab_record){ .reason = 48,
                                  .facts = { .qualification = 0x1aa, .guest_physical = 0x400000 } };
    assert_int_equal(fact("ept.read"), 0);
    assert_int_equal(fact("ept.write"), 1);
    assert_int_equal(fact("ept.fetch"), 0);
    assert_int_equal(fact("ept.allowed"), 5);
    assert_int_equal(fact("ept.linear"), 1);
    assert_int_equal(fact("ept.translated"), 1);
    assert_int_equal(fact("gpa"), 0x400000);
    record.facts.qualification = 0x1030;
    assert_int_equal(fact("apic.offset"), 0x30);
    assert_int_equal(fact("apic.type"), 1);
    record.facts.qualification = 0x800000d0;
    assert_int_equal(fact("task.selector"), 0xd0);
    assert_int_equal(fact("task.source"), 2);
}

static void test_event_and_instruction_facts(void **state)
{
    (void)state;
    record = (struct lab_record){ .facts = { .interruption = 0x80000b0e, .interruption_error = 3,
                                             .vectoring = 0x80000061, .instruction = 0x31818d00 } };
    assert_int_equal(fact("intr.valid"), 1);
    assert_int_equal(fact("intr.vector"), 14);
    assert_int_equal(fact("intr.type"), 3);
    assert_int_equal(fact("intr.has_error"), 1);
    assert_int_equal(fact("intr.error"), 3);
    assert_int_equal(fact("vect.valid"), 1);
    assert_int_equal(fact("vect.vector"), 0x61);
    assert_int_equal(fact("insn.identity"), 3);
    assert_int_equal(fact("insn.reg2"), 3);
}

static void test_state_facts(void **state)
{
    uint64_t value;

    (void)state;
    record = (struct lab_record){ .gprs_before = { 1, 2 }, .gprs_after = { 3, 4 }, .error = 7 };
    record.before[VMCS_INDEX_GUEST_RIP] = 0x1000;
    record.after[VMCS_INDEX_GUEST_RIP] = 0x1003;
    record.before[VMCS_INDEX_GUEST_ACTIVITY_STATE] = 1;
    assert_int_equal(fact("before.RAX"), 1);
    assert_int_equal(fact("after.RCX"), 4);
    assert_int_equal(fact("before.GUEST_RIP"), 0x1000);
    assert_int_equal(fact("rip"), 3);
    assert_int_equal(fact("activity"), 1);
    assert_int_equal(fact("error"), 7);
    assert_false(lab_fact(&record, "nonsense", &value));
    assert_false(lab_fact(&record, "before.NONSENSE", &value));
    assert_false(lab_fact(&record, "before.RSP", &value)); /* it is in the VMCS */
    assert_false(lab_fact(&record, "", &value));
}

static void test_every_defined_fact_exists(void **state)
{
    (void)state;
    record = (struct lab_record){ 0 };
    for (uint32_t reason = 0; reason < 128; reason++) {
        char names[200], *save = NULL;
        snprintf(names, sizeof(names), "%s", lab_fact_names(reason));
        for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save))
            (void)fact(name);
    }
    assert_string_equal(lab_fact_names(LAB_VMFAIL), "error");
    assert_string_equal(lab_reason_name(LAB_VMFAIL), "VMFAIL");
    assert_string_equal(lab_reason_name(10), "CPUID");
    assert_string_equal(lab_gpr_name(16), "?");
}

/* --- the judge --- */

static const struct lab_check length_is_2[] = { { "length", LAB_EQ, 2, 3, "an emulator gives 3" } };
static const struct lab_check value_is_5[] = { { "seen", LAB_GE, 5, 0, NULL } };
static const struct lab_expect plain[] = {
    { LAB_EXPECT_EXIT, 10, 1, 1, length_is_2, 1, NULL },
    { LAB_EXPECT_EXIT, 12, 1, 2, NULL, 0, NULL },
    { LAB_EXPECT_VALUE, 0, 0, 0, value_is_5, 1, NULL },
};
static const struct lab_variant variant = {
    .name = "", .expects = plain, .expect_count = 3, .end = "debug-exit", .begins = true,
    .limit_ms = 1000,
};

static void see(unsigned reason, uint32_t length)
{
    struct lab_record *r = &observed.records[observed.record_count++];

    memset(r, 0, sizeof(*r));
    r->reason = reason;
    r->facts.length = length;
    observed.counts[reason]++;
}

static void begin(void)
{
    memset(&observed, 0, sizeof(observed));
    observed.began = observed.ended = true;
    strcpy(observed.end, "debug-exit");
    strcpy(observed.values[0].name, "seen");
    observed.values[0].value = 5;
    observed.value_count = 1;
}

static void test_pass(void **state)
{
    (void)state;
    begin();
    see(10, 2);
    see(1, 0); /* the machine's own interrupts are passed over */
    see(12, 1);
    see(52, 0);
    see(12, 1);
    assert_int_equal(judge(&variant), LAB_PASS);
    assert_int_equal(worst, LAB_PASS);
}

static void test_failures(void **state)
{
    (void)state;
    begin();
    see(10, 4);
    see(12, 1);
    assert_int_equal(judge(&variant), LAB_FAIL);
    assert_says("length is 0x4; expected 0x2");
    begin();
    see(12, 1);
    assert_int_equal(judge(&variant), LAB_FAIL);
    assert_says("CPUID: 0 exits; expected 1, then came HLT");
    begin();
    see(10, 2);
    assert_int_equal(judge(&variant), LAB_FAIL);
    assert_says("HLT: 0 exits; expected at least 1, then came nothing");
    begin();
    see(10, 2);
    see(12, 1);
    see(18, 3);
    assert_int_equal(judge(&variant), LAB_FAIL);
    assert_says("exit 3, VMCALL: not expected");
}

static void test_values_and_ends(void **state)
{
    (void)state;
    begin();
    see(10, 2);
    see(12, 1);
    observed.values[0].value = 4;
    assert_int_equal(judge(&variant), LAB_FAIL);
    assert_says("value seen is 0x4; expected at least 0x5");
    observed.value_count = 0;
    assert_int_equal(judge(&variant), LAB_FAIL);
    assert_says("value seen is not there");
    observed.value_count = 1;
    observed.values[0].value = 6;
    observed.status = 1;
    assert_int_equal(judge(&variant), LAB_FAIL);
    assert_says("it ended by debug-exit, status 1");
    observed.status = 0;
    observed.watchdog = true;
    assert_int_equal(judge(&variant), LAB_FAIL);
    assert_says("the watchdog stopped it after 1000 ms");
    observed.watchdog = false;
    observed.began = false;
    assert_int_equal(judge(&variant), LAB_FAIL);
    assert_says("did not get to lab_begin()");
}

static void test_known_differences(void **state)
{
    static const struct lab_expect missing[] = {
        { LAB_EXPECT_EXIT, 48, 1, 1, NULL, 0, "an emulator does not exit" },
    };
    const struct lab_variant crash = { .name = "", .expects = missing, .expect_count = 1,
                                       .end = "crash", .begins = true };
    (void)state;
    begin();
    see(10, 3);
    see(12, 1);
    assert_int_equal(judge(&variant), LAB_KNOWN);
    assert_says("length is 0x3, not 0x2: an emulator gives 3");
    begin();
    assert_int_equal(judge(&crash), LAB_KNOWN); /* and the guest's end is another one */
    assert_says("EPT_VIOLATION: no exit: an emulator does not exit");
    see(10, 2);
    assert_int_equal(judge(&crash), LAB_FAIL); /* but not instead of something else */
}

static void test_counts(void **state)
{
    static const struct lab_expect counts[] = { { LAB_EXPECT_COUNT, 40, 2, 3, NULL, 0, NULL } };
    const struct lab_variant v = { .name = "", .expects = counts, .expect_count = 1,
                                   .end = "debug-exit", .begins = true };
    (void)state;
    begin();
    see(40, 2);
    see(10, 2); /* the order, and others, are not looked at */
    assert_int_equal(judge(&v), LAB_FAIL);
    see(40, 2);
    assert_int_equal(judge(&v), LAB_PASS);
    see(40, 2);
    see(40, 2);
    assert_int_equal(judge(&v), LAB_FAIL);
}

static void test_not_honoured(void **state)
{
    static const struct lab_expect expects[] = { { LAB_EXPECT_EXIT, 37, 1, 1, NULL, 0, NULL } };
    const struct lab_variant v = { .name = "", .expects = expects, .expect_count = 1,
                                   .end = "debug-exit", .begins = true,
                                   .honoured = "monitor trap flag", .honoured_reason = 37 };
    (void)state;
    begin();
    assert_int_equal(judge(&v), LAB_SKIPPED);
    assert_says("offers 'monitor trap flag' and does not honour it");
    see(37, 0);
    assert_int_equal(judge(&v), LAB_PASS);
}

static void test_summaries(void **state)
{
    char text[80];

    (void)state;
    begin();
    lab_observed_text(&observed, text, sizeof(text));
    assert_string_equal(text, "none");
    see(10, 2);
    see(12, 1);
    see(12, 1);
    lab_observed_text(&observed, text, sizeof(text));
    assert_string_equal(text, "CPUID, HLT x2");
    lab_expected_text(&variant, text, sizeof(text));
    assert_string_equal(text, "CPUID, HLT x1..2");
    lab_observed_text(&observed, text, 8); /* cut, and terminated */
    assert_true(strlen(text) < 8);
}

/* Each way of comparing, both ways out. */
static void test_comparisons(void **state)
{
    static const struct { enum lab_op op; uint64_t wanted, right, wrong; const char *says; } cases[] = {
        { LAB_EQ, 7, 7, 6, "expected 0x7" },
        { LAB_NE, 7, 6, 7, "expected not 0x7" },
        { LAB_GE, 7, 7, 6, "expected at least 0x7" },
        { LAB_LE, 7, 7, 8, "expected at most 0x7" },
        { LAB_BITS, 6, 0xf6, 0xf4, "expected the bits of 0x6" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct lab_check checks[] = { { "seen", cases[i].op, cases[i].wanted, 0, NULL } };
        const struct lab_expect expects[] = { { LAB_EXPECT_VALUE, 0, 0, 0, checks, 1, NULL } };
        const struct lab_variant v = { .name = "", .expects = expects, .expect_count = 1,
                                       .end = "debug-exit", .begins = true };
        begin();
        observed.values[0].value = cases[i].right;
        assert_int_equal(judge(&v), LAB_PASS);
        observed.values[0].value = cases[i].wrong;
        assert_int_equal(judge(&v), LAB_FAIL);
        assert_says(cases[i].says);
        strcpy(observed.values[0].name, "another");
        strcpy(observed.values[1].name, "seen");
        observed.values[1].value = cases[i].right;
        observed.value_count = 2;
        assert_int_equal(judge(&v), LAB_PASS);
        observed.value_count = 1;
        assert_int_equal(judge(&v), LAB_FAIL);
        assert_says("value seen is not there");
    }
}

/* The machine's own interrupts are passed over, but not where the experiment is about them; and a
 * reason that nobody has does not lead out of the counts. */
static void test_interrupts_that_are_meant(void **state)
{
    static const struct lab_expect expects[] = { { LAB_EXPECT_EXIT, 1, 2, 2, NULL, 0, NULL } };
    static const struct lab_expect beyond[] = { { LAB_EXPECT_COUNT, LAB_REASONS, 1, 9, NULL, 0, NULL } };
    struct lab_variant v = { .name = "", .expects = expects, .expect_count = 1, .end = "debug-exit",
                             .begins = true };

    (void)state;
    begin();
    see(1, 0);
    see(7, 0);
    see(1, 0);
    assert_int_equal(judge(&v), LAB_PASS);
    see(1, 0);
    assert_int_equal(judge(&v), LAB_FAIL);
    assert_says("exit 4, EXTERNAL_INTERRUPT: not expected");
    v.expects = beyond;
    assert_int_equal(judge(&v), LAB_FAIL);
    assert_says("0 exits in all; expected 1 to 9");
}

/* Some experiments end by the watchdog; some never begin; more exits than are recorded are said. */
static void test_unusual_ends(void **state)
{
    static const struct lab_expect late[] = { { LAB_EXPECT_EXIT, 10, 2, 2, NULL, 0, "known" } };
    struct lab_variant v = { .name = "", .end = "watchdog", .limit_ms = 5 };

    (void)state;
    begin();
    observed.watchdog = true;
    observed.began = false;
    strcpy(observed.end, "watchdog");
    observed.dropped = 3;
    assert_int_equal(judge(&v), LAB_PASS);
    assert_says("it ended by watchdog");
    assert_says("3 exits more were counted, not recorded");
    strcpy(observed.end, "crash");
    assert_int_equal(judge(&v), LAB_FAIL);
    v = (struct lab_variant){ .name = "", .expects = late, .expect_count = 1, .end = "debug-exit",
                              .honoured = "something", .honoured_reason = 37, .begins = true };
    begin();
    observed.began = false; /* then nothing can be said of what is honoured */
    see(10, 2);
    assert_int_equal(judge(&v), LAB_FAIL);
    assert_says("did not get to lab_begin()");
    assert_says("CPUID: 1 exits; expected 2"); /* one instead of two is no known difference */
}

/* When there are more exits than are recorded, those that are not must still be none that nobody
 * expects. */
static void test_exits_beyond_the_record(void **state)
{
    static const struct lab_expect expects[] = { { LAB_EXPECT_EXIT, 10, 1, 1, NULL, 0, NULL } };
    const struct lab_variant v = { .name = "", .expects = expects, .expect_count = 1,
                                   .end = "debug-exit", .begins = true };

    (void)state;
    static const struct lab_expect entry[] = { { LAB_EXPECT_EXIT, 0xffff, 1, 1, NULL, 0, NULL } };
    const struct lab_variant refused = { .name = "", .expects = entry, .expect_count = 1,
                                         .end = "debug-exit", .begins = true };
    begin();
    observed.records[observed.record_count++].reason = 0xffff; /* VMFAIL is no exit, and not counted */
    assert_int_equal(judge(&refused), LAB_PASS);
    begin();
    see(10, 2);
    while (observed.record_count < LAB_RECORDS)
        see(1, 0);
    assert_int_equal(judge(&v), LAB_PASS);
    observed.counts[1] += 7; /* the machine's interrupts went on */
    observed.dropped = 7;
    assert_int_equal(judge(&v), LAB_PASS);
    observed.counts[18] += 2;
    observed.dropped += 2;
    assert_int_equal(judge(&v), LAB_FAIL);
    assert_says("2 exits beyond those recorded: not expected");
}

static void test_long_summaries(void **state)
{
    static const struct lab_expect many[] = {
        { LAB_EXPECT_EXIT, 10, 1, 1, NULL, 0, NULL }, { LAB_EXPECT_EXIT, 10, 2, 3, NULL, 0, NULL },
        { LAB_EXPECT_EXIT, 18, 0, 0, NULL, 0, NULL }, { LAB_EXPECT_COUNT, 18, 2, 2, NULL, 0, NULL },
        { LAB_EXPECT_EXIT, 18, 2, 2, NULL, 0, NULL }, { LAB_EXPECT_EXIT, 12, 1, 1, NULL, 0, NULL },
    };
    const struct lab_variant v = { .name = "", .expects = many, .expect_count = 6 };
    char text[80];

    (void)state;
    lab_expected_text(&v, text, sizeof(text));
    assert_string_equal(text, "CPUID x3..4, VMCALL x2, VMCALL x2, HLT");
    for (size_t room = 1; room < 40; room++) { /* cut wherever it may be */
        memset(text, '#', sizeof(text));
        lab_expected_text(&v, text, room);
        assert_true(strlen(text) < room);
        assert_int_equal(text[room], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_interrupts_that_are_meant),
        cmocka_unit_test(test_unusual_ends),
        cmocka_unit_test(test_exits_beyond_the_record),
        cmocka_unit_test(test_long_summaries),
        cmocka_unit_test(test_io_facts),
        cmocka_unit_test(test_cr_dr_facts),
        cmocka_unit_test(test_memory_facts),
        cmocka_unit_test(test_event_and_instruction_facts),
        cmocka_unit_test(test_state_facts),
        cmocka_unit_test(test_every_defined_fact_exists),
        cmocka_unit_test(test_pass),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_values_and_ends),
        cmocka_unit_test(test_known_differences),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_not_honoured),
        cmocka_unit_test(test_summaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
