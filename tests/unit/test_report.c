// SRCS: vmm/core/report.c
/* What hv/report.h promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv/console.h"
#include "hv/report.h"

static unsigned shown;

void console_write_line(const char *bytes, size_t n)
{
    (void)bytes;
    (void)n;
    shown++;
}

static void test_lines_are_shown_and_only_then_kept(void **state)
{
    char room[256];
    size_t bytes;
    (void)state;
    shown = 0;
    report_start(NULL, 0);
    report_line("nobody keeps this", 17);
    assert_null(report_text(&bytes));
    report_start(room, sizeof(room));
    report_line("one", 3);
    report_line("", 0);
    report_line("two!", 3);
    assert_int_equal(shown, 4);
    assert_ptr_equal(report_text(&bytes), room);
    assert_int_equal(bytes, 12);
    assert_memory_equal(room, "one\r\n\r\ntwo\r\n", 12);
}

static void test_what_does_not_fit_is_said_once(void **state)
{
    char room[120];
    size_t bytes, before;
    (void)state;
    memset(room, 'x', sizeof(room));
    report_start(room, 100);
    report_line("a line of some thirty letters.", 30);
    report_line("a line of some thirty letters.", 30);
    report_text(&before);
    assert_memory_equal(room + before - 2, "\r\n", 2);
    assert_non_null(strstr(room, "(the report is cut here"));
    report_line("z", 1);
    report_text(&bytes);
    assert_int_equal(bytes, before);
    assert_true(bytes <= 100);
    assert_int_equal(room[100], 'x');
}

static void test_a_line_longer_than_the_room(void **state)
{
    static char room[100], line[200];
    size_t bytes;
    (void)state;
    report_start(room, sizeof(room));
    report_line(line, sizeof(line));
    assert_memory_equal(report_text(&bytes), "(the report is cut here", 23);
}

static void test_a_room_too_small_for_anything_keeps_nothing(void **state)
{
    char room[8];
    size_t bytes;
    (void)state;
    report_start(room, sizeof(room));
    assert_null(report_text(&bytes));
    report_line("a", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_shown_and_only_then_kept),
        cmocka_unit_test(test_what_does_not_fit_is_said_once),
        cmocka_unit_test(test_a_line_longer_than_the_room),
        cmocka_unit_test(test_a_room_too_small_for_anything_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
