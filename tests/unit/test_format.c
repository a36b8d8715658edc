// SRCS: vmm/lib/format.c
/* hv_snprintf against the C library's snprintf, which ISO C17 defines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hv/format.h"

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

/* The compiler does not check calls through these pointers: some formats are wrong on purpose. */
static int (*volatile ours)(char *, size_t, const char *, ...) = hv_snprintf;
static int (*volatile theirs)(char *, size_t, const char *, ...) = snprintf;

#define SAME(...)                                                                                  \
    do {                                                                                           \
        char mine[300], want[300];                                                                 \
        memset(mine, 'x', sizeof(mine));                                                           \
        int got_length = ours(mine, sizeof(mine), __VA_ARGS__);                                    \
        int want_length = theirs(want, sizeof(want), __VA_ARGS__);                                 \
        assert_string_equal(mine, want);                                                           \
        assert_int_equal(got_length, want_length);                                                 \
    } while (0)

static void test_every_flag_width_and_precision(void **state)
{
    static const char *flags[] = { "", "-", "0", "#", "+", " ", "-0", "+ ", "#0", "-#", "0+", "0 ",
                                   "-+#0 " };
    static const char *widths[] = { "", "1", "8", "25" };
    static const char *precisions[] = { "", ".", ".0", ".1", ".5", ".22" };
    static const unsigned long long values[] = { 0, 1, 7, 8, 255, 0x7fffffff, 0x80000000,
                                                 0xffffffff, 0x7fffffffffffffff,
                                                 0x8000000000000000, 0xffffffffffffffff };
    static const char *lengths[] = { "ll", "l", "j", "z", "t" };
    (void)state;
    for (unsigned f = 0; f < HV_ARRAY_COUNT(flags); f++)
        for (unsigned w = 0; w < HV_ARRAY_COUNT(widths); w++)
            for (unsigned p = 0; p < HV_ARRAY_COUNT(precisions); p++)
                for (const char *kind = "diuxXo"; *kind; kind++)
                    for (unsigned v = 0; v < HV_ARRAY_COUNT(values); v++)
                        for (unsigned l = 0; l < HV_ARRAY_COUNT(lengths); l++) {
                            char format[40];
                            snprintf(format, sizeof(format), "<%%%s%s%s%s%c>", flags[f], widths[w],
                                     precisions[p], lengths[l], *kind);
                            SAME(format, values[v]);
                        }
}

static void test_short_lengths(void **state)
{
    static const int values[] = { 0, 1, -1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, INT_MIN,
                                  INT_MAX };
    (void)state;
    for (unsigned v = 0; v < HV_ARRAY_COUNT(values); v++) {
        for (const char *kind = "diuxXo"; *kind; kind++) {
            static const char *lengths[] = { "", "h", "hh" };
            for (unsigned l = 0; l < HV_ARRAY_COUNT(lengths); l++) {
                char format[20];
                snprintf(format, sizeof(format), "%%%s%c", lengths[l], *kind);
                SAME(format, values[v]);
            }
        }
    }
}

static void test_strings_and_characters(void **state)
{
    (void)state;
    SAME("%s", "");
    SAME("%s|%10s|%-10s|", "abc", "abc", "abc");
    SAME("%.2s|%10.2s|%-10.2s|%.0s", "abc", "abc", "abc", "abc");
    SAME("%.9s", "abc");
    SAME("%c%5c%-5c|", 'a', 'b', 'c');
    SAME("100%% plain text");
    SAME("");
    char unterminated[3] = { 'a', 'b', 'c' };
    SAME("%.3s", unterminated);
    SAME("%s", (char *)NULL);
}

static void test_star_arguments(void **state)
{
    (void)state;
    SAME("%*d|%-*d|%.*d", 8, 42, 8, 42, 5, 42);
    SAME("%*d|%.*d|%.*s", -8, 42, -1, 42, 2, "abc");
    SAME("%*.*x", 10, 4, 0xabu);
}

static void test_pointer(void **state)
{
    char got[40];
    int on_stack;
    (void)state;
    SAME("%p", (void *)&on_stack);
    SAME("%20p|%-20p|", (void *)0x1234, (void *)0x1234);
    assert_int_equal(ours(got, sizeof(got), "%p", (void *)NULL), 3);
    assert_string_equal(got, "0x0");
}

static void test_cuts_and_counts(void **state)
{
    char got[8];
    (void)state;
    memset(got, 'x', sizeof(got));
    assert_int_equal(ours(got, 4, "%d%s", 12, "3456"), 6);
    assert_memory_equal(got, "123\0xxxx", 8);
    assert_int_equal(ours(got, 1, "abc"), 3);
    assert_memory_equal(got, "\0" "23", 3);
    assert_int_equal(ours(got, 0, "abc"), 3);
    assert_int_equal(ours(NULL, 0, "%5d", 1), 5);
    assert_int_equal(ours(got, 7, "abcdef"), 6);
    assert_string_equal(got, "abcdef");
    assert_int_equal(ours(got, 6, "abcdef"), 6);
    assert_string_equal(got, "abcde");
    /* Padding across the end, and starting behind it. */
    assert_int_equal(ours(got, 4, "%10d", 5), 10);
    assert_string_equal(got, "   ");
    assert_int_equal(ours(got, 4, "abcdef%-10d", 5), 16);
    assert_string_equal(got, "abc");
}

static void test_huge_width_does_not_take_forever(void **state)
{
    char got[8];
    (void)state;
    assert_int_equal(ours(got, 8, "%2147483647d", 1), INT_MAX);
    assert_string_equal(got, "       ");
    assert_int_equal(ours(got, 8, "%99999999999999d", 1), INT_MAX);
    assert_int_equal(ours(got, 8, "%*d", INT_MIN, 1), INT_MAX);
    assert_int_equal(ours(got, 8, "%2147483647d%2147483647d", 1, 1), INT_MAX);
    assert_int_equal(ours(got, 8, "%.2147483647d", 1), INT_MAX);
    assert_string_equal(got, "0000000");
}

static void test_unknown_conversions_are_copied(void **state)
{
    char got[40];
    (void)state;
    ours(got, sizeof(got), "a%qb");
    assert_string_equal(got, "a%qb");
    ours(got, sizeof(got), "%-08.3lfz");
    assert_string_equal(got, "%-08.3lfz");
    ours(got, sizeof(got), "%n|%d", 3);
    assert_string_equal(got, "%n|3");
    assert_int_equal(ours(got, sizeof(got), "end%"), 4);
    assert_string_equal(got, "end%");
    ours(got, sizeof(got), "end%-5ll");
    assert_string_equal(got, "end%-5ll");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_flag_width_and_precision),
        cmocka_unit_test(test_short_lengths),
        cmocka_unit_test(test_strings_and_characters),
        cmocka_unit_test(test_star_arguments),
        cmocka_unit_test(test_pointer),
        cmocka_unit_test(test_cuts_and_counts),
        cmocka_unit_test(test_huge_width_does_not_take_forever),
        cmocka_unit_test(test_unknown_conversions_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
