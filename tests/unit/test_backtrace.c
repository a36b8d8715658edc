// SRCS: arch/x86/cpu/backtrace.c vmm/lib/symbols.c vmm/lib/report_text.c
/*
 * What a panic is made of: names of functions, return addresses on a stack, lines made short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/report_text.h"
#include "hv/symbols.h"
#include "x86/backtrace.h"

/* --- names --- */

/* alpha at 0x10, alphabet at 0x30, beta at 0x130: distance, letters shared, the others. */
static const uint8_t table[] = { 0x10, 0, 'a', 'l', 'p', 'h', 'a', 0,  0x20, 5, 'b', 'e', 't', 0,
                                 0x80, 2, 0,   'b', 'e', 't', 'a', 0 };

static const char *name_at(uint64_t offset)
{
    static struct symbol symbol;
    return symbol_find(table, sizeof(table), offset, &symbol) ? symbol.name : "-";
}

static void test_names(void **state)
{
    struct symbol symbol;

    (void)state;
    assert_string_equal(name_at(0xf), "-");
    assert_string_equal(name_at(0x10), "alpha");
    assert_string_equal(name_at(0x2f), "alpha");
    assert_string_equal(name_at(0x30), "alphabet");
    assert_string_equal(name_at(0x12f), "alphabet");
    assert_string_equal(name_at(0x130), "beta");
    assert_string_equal(name_at(UINT64_MAX), "beta");
    assert_true(symbol_find(table, sizeof(table), 0x31, &symbol));
    assert_int_equal(symbol.start, 0x30);
    assert_false(symbol_find(table, 0, 0x31, &symbol));
    static const uint8_t gap[] = { 0, 0, 'a', 0, 0x10, 0, 0, 0x10, 0, 'b', 0 };
    assert_true(symbol_find(gap, sizeof(gap), 0xf, &symbol));
    assert_false(symbol_find(gap, sizeof(gap), 0x10, &symbol)); /* one without a name */
    assert_true(symbol_find(gap, sizeof(gap), 0x20, &symbol));
    assert_string_equal(symbol.name, "b");
}

/* Cut anywhere, or full of nonsense, it is never read beyond its end: the sanitizer looks. */
static void test_a_damaged_table(void **state)
{
    static const uint8_t long_number[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                           0x80, 0x80, 0 };
    static uint8_t long_name[100];
    struct symbol symbol;

    (void)state;
    for (size_t n = 0; n <= sizeof(table); n++) {
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, table, n);
        (void)symbol_find(copy, n, 0x130, &symbol);
        for (unsigned value = 0; value < 256 && n > 1; value++) {
            copy[n - 1] = (uint8_t)value;
            (void)symbol_find(copy, n, 0x130, &symbol);
        }
        free(copy);
    }
    assert_false(symbol_find(long_number, sizeof(long_number), 5, &symbol));
    memset(long_name, 'x', sizeof(long_name));
    long_name[0] = long_name[1] = 0;
    assert_false(symbol_find(long_name, sizeof(long_name), 5, &symbol));
    long_name[1] = SYMBOL_NAME_BYTES;
    assert_false(symbol_find(long_name, sizeof(long_name), 5, &symbol));
}

/* --- a stack --- */

#define BASE UINT64_C(0x40000000)
static uint8_t text[0x200];
static const struct backtrace_code code = { BASE, sizeof(text), text, table, sizeof(table) };

/* A call to `target` that ends at `end`. */
static uint64_t call_direct(unsigned end, int target)
{
    int32_t distance = target - (int)end;
    text[end - 5] = 0xe8;
    memcpy(text + end - 4, &distance, 4);
    return BASE + end;
}

static void expect_frames(const uint64_t *stack, size_t words, const char *wanted)
{
    struct backtrace_frame frames[4];
    unsigned count = backtrace_find(&code, BASE + 0x15, stack, words, frames, 4);
    char got[200] = "";

    for (unsigned i = 0; i < count; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%llx%s", i ? " " : "",
                 (unsigned long long)(frames[i].address - BASE), frames[i].sure ? "" : "?");
    assert_string_equal(got, wanted);
}

static void test_return_addresses(void **state)
{
    uint64_t beta_calls_alphabet, alphabet_calls_alpha, nobody_calls, by_pointer, last_of_alphabet;

    (void)state;
    memset(text, 0x90, sizeof(text));
    alphabet_calls_alpha = call_direct(0x40, 0x10);
    beta_calls_alphabet = call_direct(0x150, 0x30);
    nobody_calls = call_direct(0x60, 0x33); /* the middle of a function */
    last_of_alphabet = call_direct(0x130, 0x10); /* what is behind it is beta's */
    text[0x180 - 3] = 0xff; /* call *8(%rax) */
    text[0x180 - 2] = 0x50;
    text[0x180 - 1] = 8;
    by_pointer = BASE + 0x180;
    text[0x1a0 - 2] = 0xff; /* jmp *%rax is none */
    text[0x1a0 - 1] = 0xe0;

    const uint64_t plain[] = { 7, alphabet_calls_alpha, BASE - 1, beta_calls_alphabet };
    expect_frames(plain, 4, "40 150");
    const uint64_t stale[] = { nobody_calls, alphabet_calls_alpha, nobody_calls, beta_calls_alphabet };
    expect_frames(stale, 4, "60? 40 60? 150");
    const uint64_t noreturn[] = { last_of_alphabet, beta_calls_alphabet };
    expect_frames(noreturn, 2, "130 150");
    const uint64_t pointer[] = { by_pointer, nobody_calls, BASE + 0x1a0, BASE + 2 };
    expect_frames(pointer, 4, "180? 60?");
    const uint64_t skipped[] = { beta_calls_alphabet, alphabet_calls_alpha };
    expect_frames(skipped, 2, "150? 40");
    const uint64_t many[] = { nobody_calls, nobody_calls, nobody_calls, nobody_calls, nobody_calls };
    expect_frames(many, 5, "60? 60? 60? 60?");
    expect_frames(many, 0, "");
    /* A call through a pointer, whose function is called by name. */
    text[0x50 - 2] = 0xff;
    text[0x50 - 1] = 0xd0;
    const uint64_t through[] = { BASE + 0x50, nobody_calls, beta_calls_alphabet };
    expect_frames(through, 3, "50? 60? 150");
    /* A direct call to outside is none, unless its bytes are those of an indirect one too. */
    call_direct(0x1b0, 0x4000);
    const uint64_t outside[] = { BASE + 0x1b0, BASE + sizeof(text), BASE + 8 };
    expect_frames(outside, 3, "");
}

static void test_without_names(void **state)
{
    const struct backtrace_code bare = { BASE, sizeof(text), text, table, 0 };
    const uint64_t stack[] = { BASE + 0x40 };
    struct backtrace_frame frames[2];

    (void)state;
    assert_int_equal(backtrace_find(&bare, 0, stack, 1, frames, 2), 1);
    assert_false(frames[0].sure);
}

/* --- short lines --- */

static struct report_text report;

static void test_lines_are_made_short(void **state)
{
    (void)state;
    report.used = 0;
    report_text_add(&report, "  rax 0000000000000000  rbx 00000000deadbeef r8  0000123x 0012");
    report_text_add(&report, "");
    report_text_add(&report, "at run+0x00000012 00000000");
    report.text[report.used] = '\0';
    assert_string_equal(report.text,
                        "rax 0 rbx deadbeef r8 0000123x 0012\n\nat run+0x00000012 0\n");
}

static void test_what_does_not_fit_is_left_out(void **state)
{
    char line[REPORT_TEXT_BYTES + 10];

    (void)state;
    memset(line, 'x', sizeof(line));
    line[REPORT_TEXT_BYTES] = '\0';
    report.used = 0;
    report_text_add(&report, line);
    assert_int_equal(report.used, 0);
    line[REPORT_TEXT_BYTES] = 'x';
    line[REPORT_TEXT_BYTES + 5] = '\0';
    report_text_add(&report, line);
    assert_int_equal(report.used, 0);
    line[REPORT_TEXT_BYTES - 3] = '\0';
    report_text_add(&report, line);
    assert_int_equal(report.used, REPORT_TEXT_BYTES - 2);
    report_text_add(&report, "yz");
    assert_int_equal(report.used, REPORT_TEXT_BYTES - 2);
    report_text_add(&report, "y");
    assert_int_equal(report.used, REPORT_TEXT_BYTES);
    report_text_add(&report, "");
    assert_int_equal(report.used, REPORT_TEXT_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_damaged_table),
        cmocka_unit_test(test_return_addresses),
        cmocka_unit_test(test_without_names),
        cmocka_unit_test(test_lines_are_made_short),
        cmocka_unit_test(test_what_does_not_fit_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
