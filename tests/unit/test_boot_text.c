// SRCS: boot/utf.c boot/civil_time.c
/* Unicode "UTF-8"; UEFI "GetTime()". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "boot/civil_time.h"
#include "boot/utf.h"

static void test_plain_and_wide_characters(void **state)
{
    (void)state;
    uint16_t out[8];
    assert_true(utf8_to_ucs2("a\xc3\xbc\xe2\x82\xac", out, 8));
    assert_int_equal(out[0], 'a');
    assert_int_equal(out[1], 0xfc);
    assert_int_equal(out[2], 0x20ac);
    assert_int_equal(out[3], 0);
}

static void test_malformed_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80", "\xc0\x80", "\xc3", "\xe2\x82", "\xe0\x80\x80", "\xed\xa0\x80",
        "\xf0\x9f\x98\x80", "\xff", "\xc3" "a", "\xf0\x80\x80\x80",
    };
    uint16_t out[16];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(utf8_to_ucs2(bad[i], out, 16));
        for (const char *at = bad[i]; *at;) {
            const char *before = at;
            utf8_next(&at);
            assert_true(at > before);
            assert_true(at <= bad[i] + strlen(bad[i]));
        }
    }
}

static void test_room(void **state)
{
    (void)state;
    uint16_t out[4];
    assert_true(utf8_to_ucs2("abc", out, 4));
    assert_false(utf8_to_ucs2("abcd", out, 4));
    assert_true(utf8_to_ucs2("", out, 1));
    assert_false(utf8_to_ucs2("", out, 0));
}

static uint64_t epoch(uint32_t y, uint32_t mo, uint32_t d, uint32_t h, uint32_t mi, uint32_t s, int32_t zone)
{
    struct civil_time t = { y, mo, d, h, mi, s, zone };
    return civil_time_to_epoch(&t);
}

static void test_known_dates(void **state)
{
    (void)state;
    assert_int_equal(epoch(1970, 1, 1, 0, 0, 1, 0), 1);
    assert_int_equal(epoch(2000, 2, 29, 0, 0, 0, 2047), 951782400);
    assert_int_equal(epoch(2023, 11, 14, 22, 13, 20, 0), 1700000000);
    assert_int_equal(epoch(2023, 11, 14, 23, 13, 20, -60), 1700000000);
    assert_int_equal(epoch(2038, 1, 19, 3, 14, 8, 0), UINT64_C(2147483648));
}

static void test_against_the_c_library(void **state)
{
    (void)state;
    for (uint64_t t = 1; t < UINT64_C(8000000000); t += 86400 * 13 + 12345) {
        time_t at = (time_t)t;
        struct tm tm;
        gmtime_r(&at, &tm);
        assert_int_equal(epoch((uint32_t)tm.tm_year + 1900, (uint32_t)tm.tm_mon + 1, (uint32_t)tm.tm_mday,
                               (uint32_t)tm.tm_hour, (uint32_t)tm.tm_min, (uint32_t)tm.tm_sec, 0),
                         t);
    }
}

static void test_what_is_no_date_gives_zero(void **state)
{
    (void)state;
    assert_int_equal(epoch(1969, 12, 31, 0, 0, 0, 0), 0);
    assert_int_equal(epoch(10000, 1, 1, 0, 0, 0, 0), 0);
    assert_int_equal(epoch(2023, 0, 1, 0, 0, 0, 0), 0);
    assert_int_equal(epoch(2023, 13, 1, 0, 0, 0, 0), 0);
    assert_int_equal(epoch(2023, 1, 0, 0, 0, 0, 0), 0);
    assert_int_equal(epoch(2023, 2, 29, 0, 0, 0, 0), 0);
    assert_int_equal(epoch(1900 + 200, 2, 29, 0, 0, 0, 0), 0);
    assert_int_equal(epoch(2023, 1, 1, 24, 0, 0, 0), 0);
    assert_int_equal(epoch(2023, 1, 1, 0, 60, 0, 0), 0);
    assert_int_equal(epoch(2023, 1, 1, 0, 0, 60, 0), 0);
    assert_int_equal(epoch(2023, 1, 1, 0, 0, 0, 1441), 0);
    assert_int_equal(epoch(2023, 1, 1, 0, 0, 0, -1441), 0);
    assert_int_equal(epoch(1970, 1, 1, 0, 0, 0, -60), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_and_wide_characters),
        cmocka_unit_test(test_malformed_text_is_refused),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_known_dates),
        cmocka_unit_test(test_against_the_c_library),
        cmocka_unit_test(test_what_is_no_date_gives_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
