// SRCS: drivers/terminal.c drivers/terminal_csi.c drivers/terminal_grid.c
/* ECMA-48 and the VT100: what a Linux shell, an editor and a boot log send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <string.h>

#include "drivers/terminal_grid.h"

#define CELLS (TERMINAL_MOST_COLUMNS * TERMINAL_MOST_ROWS)

static struct terminal t;
static struct terminal_cell cells[CELLS];

static void feed(const char *text)
{
    terminal_write(&t, text, strlen(text));
}

static void begin(uint32_t columns, uint32_t rows)
{
    terminal_init(&t, columns, rows, cells, CELLS);
}

/* The row without trailing blanks; characters above ASCII as '~'. */
static const char *row(uint32_t r)
{
    static char text[TERMINAL_MOST_COLUMNS + 1];
    uint32_t n = t.columns;
    for (uint32_t c = 0; c < n; c++)
        text[c] = (char)(grid_row(&t, r)[c].code < 128 ? grid_row(&t, r)[c].code : '~');
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = 0;
    return text;
}

static void at(uint32_t r, uint32_t c)
{
    assert_int_equal(t.pen.row, r);
    assert_int_equal(t.pen.column, c);
}

static void test_text_and_controls(void **state)
{
    (void)state;
    begin(20, 4);
    feed("ab\r\ncd\be\tX\a");
    assert_string_equal(row(0), "ab");
    assert_string_equal(row(1), "ce      X");
    at(1, 9);
    feed("\v\f");
    at(3, 9);
    begin(0, 0); /* sizes are brought into range */
    assert_int_equal(t.columns, 2);
    assert_int_equal(t.rows, 2);
    begin(100000, 100000);
    assert_int_equal(t.columns, TERMINAL_MOST_COLUMNS);
    assert_int_equal(t.rows, TERMINAL_MOST_ROWS);
}

static void test_the_last_column_waits(void **state)
{
    (void)state;
    begin(5, 3);
    feed("abcde");
    at(0, 4);
    assert_true(t.pen.wrap_pending);
    feed("f");
    assert_string_equal(row(1), "f");
    begin(5, 3);
    feed("abcde\r\nx"); /* no empty line in between */
    assert_string_equal(row(1), "x");
    begin(5, 3);
    feed("\x1b[?7labcdefgh"); /* without wrapping the last column is overwritten */
    assert_string_equal(row(0), "abcdh");
    assert_string_equal(row(1), "");
    feed("\x1b[?7h");
}

static void test_scrolling(void **state)
{
    (void)state;
    begin(10, 3);
    feed("1\r\n2\r\n3\r\n4");
    assert_string_equal(row(0), "2");
    assert_string_equal(row(2), "4");
    assert_int_equal(t.scrolled, 1);
    feed("\x1b[2;3r\x1b[3;1H\nx"); /* a region leaves the rest alone */
    assert_string_equal(row(0), "2");
    assert_string_equal(row(1), "4");
    assert_string_equal(row(2), "x");
    feed("\x1b[2;1H\x1bM");
    assert_string_equal(row(0), "2");
    assert_string_equal(row(1), "");
    assert_string_equal(row(2), "4");
    feed("\x1b[1;1H\x1bM\x1bM"); /* above the region nothing scrolls */
    at(0, 0);
    feed("\x1b[3;2r"); /* no region: ignored */
    assert_int_equal(t.top, 1);
    feed("\x1b[r\x1b[3;1H\x1b" "D");
    assert_string_equal(row(1), "4");
    feed("\x1b[S");
    assert_string_equal(row(0), "4");
    feed("\x1b[T");
    assert_string_equal(row(1), "4");
    feed("\x1b[99S");
    assert_string_equal(row(1), "");
    feed("x\x1b[99T\x1b" "Ey");
    assert_string_equal(row(2), "y");
}

static void test_cursor_moves_stay_inside(void **state)
{
    (void)state;
    begin(10, 5);
    feed("\x1b[3;4H");
    at(2, 3);
    feed("\x1b[A");
    at(1, 3);
    feed("\x1b[99A");
    at(0, 3);
    feed("\x1b[2B\x1b[2C");
    at(2, 5);
    feed("\x1b[99B\x1b[99C");
    at(4, 9);
    feed("\x1b[99D");
    at(4, 0);
    feed("\x1b[2;5f\x1b[E");
    at(2, 0);
    feed("\x1b[5G\x1b[F");
    at(1, 0);
    feed("\x1b[4d\x1b[3`");
    at(3, 2);
    feed("\x1b[99;99H");
    at(4, 9);
    feed("\x1b[H\x1b[e\x1b[a");
    at(1, 1);
    feed("\x1b[2;4r\x1b[99A"); /* from row 0, above the region, up to the top of the screen */
    at(0, 0);
    feed("\x1b[3;1H\x1b[99A");
    at(1, 0);
    feed("\x1b[99B");
    at(3, 0);
    feed("\x1b[5;1H\x1b[99B");
    at(4, 0);
    feed("\x1b[?6h"); /* origin mode counts from the region */
    at(1, 0);
    feed("\x1b[99;1H");
    at(3, 0);
    feed("\x1b[1;1H");
    at(1, 0);
    feed("\x1b[?6l");
    at(0, 0);
}

static void test_erasing(void **state)
{
    (void)state;
    begin(6, 3);
    feed("abcdef\x1b[2;1Habcdef\x1b[3;1Habcdef\x1b[2;3H\x1b[K");
    assert_string_equal(row(1), "ab");
    feed("\x1b[2;1Habcdef\x1b[2;3H\x1b[1K");
    assert_string_equal(row(1), "   def");
    feed("\x1b[X");
    assert_string_equal(row(1), "   def");
    feed("\x1b[2;4H\x1b[2X");
    assert_string_equal(row(1), "     f");
    feed("\x1b[2K\x1b[7K");
    assert_string_equal(row(1), "");
    feed("\x1b[2;3H\x1b[J");
    assert_string_equal(row(0), "abcdef");
    assert_string_equal(row(2), "");
    feed("\x1b[3;1Hxyz\x1b[2;3H\x1b[1J");
    assert_string_equal(row(0), "");
    assert_string_equal(row(2), "xyz");
    feed("\x1b[9J\x1b[2J");
    assert_string_equal(row(2), "");
    at(1, 2);
    feed("\x1b[44mx\x1b[K"); /* blanks have the pen's background */
    assert_int_equal(grid_row(&t, 1)[4].background, 4);
}

static void test_inserting_and_deleting(void **state)
{
    (void)state;
    begin(6, 4);
    feed("abcdef\x1b[1;2H\x1b[2@");
    assert_string_equal(row(0), "a  bcd");
    feed("\x1b[2P");
    assert_string_equal(row(0), "abcd");
    feed("\x1b[99P");
    assert_string_equal(row(0), "a");
    feed("\x1b[99@");
    assert_string_equal(row(0), "a");
    feed("\x1b[1;1H1\x1b[2;1H2\x1b[3;1H3\x1b[4;1H4\x1b[2;3H\x1b[L");
    assert_string_equal(row(1), "");
    assert_string_equal(row(2), "2");
    at(1, 0);
    feed("\x1b[M");
    assert_string_equal(row(1), "2");
    assert_string_equal(row(3), "");
    feed("\x1b[2;3r\x1b[1;1H\x1b[L"); /* outside of the region: nothing */
    assert_string_equal(row(0), "1");
    feed("\x1b[4;1H\x1b[M");
    assert_string_equal(row(0), "1");
    begin(6, 2);
    feed("ab\x1b[1;1H\x1b[4hxy\x1b[4l");
    assert_string_equal(row(0), "xyab");
    feed("\x1b[2b");
    assert_string_equal(row(0), "xyyy");
    feed("\x1b[9999b");
}

static struct terminal_cell cell(uint32_t c)
{
    return grid_row(&t, 0)[c];
}

static void test_colours(void **state)
{
    (void)state;
    begin(40, 2);
    feed("\x1b[31mr\x1b[1mb\x1b[22mn\x1b[7mi\x1b[27;42mg\x1b[39;49md\x1b[95;103mh\x1b[0mz\x1b[1m\x1b[mz");
    assert_int_equal(cell(0).foreground, 1);
    assert_int_equal(cell(1).foreground, 9);
    assert_int_equal(cell(2).foreground, 1);
    assert_int_equal(cell(3).foreground, 0);
    assert_int_equal(cell(3).background, 1);
    assert_int_equal(cell(4).background, 2);
    assert_int_equal(cell(5).foreground, 7);
    assert_int_equal(cell(5).background, 0);
    assert_int_equal(cell(6).foreground, 13);
    assert_int_equal(cell(6).background, 11);
    assert_int_equal(cell(7).foreground, 7);
    assert_int_equal(cell(8).foreground, 7);
    begin(40, 2);
    feed("\x1b[38;5;9ma\x1b[38;5;196mb\x1b[38;5;232mc\x1b[38;5;255md\x1b[48;2;0;0;255me\x1b[38;2;10;10;10mf");
    feed("\x1b[38;5;999mg\x1b[38;9mh\x1b[38mi\x1b[38;5;46;7mj\x1b[73mk\x1b[48;2;128;0;0ml");
    assert_int_equal(cell(0).foreground, 9);
    assert_int_equal(cell(1).foreground, 9);
    assert_int_equal(cell(2).foreground, 0);
    assert_int_equal(cell(3).foreground, 15);
    assert_int_equal(cell(4).background, 12);
    assert_int_equal(cell(5).foreground, 0);
    assert_int_equal(cell(6).foreground, 7);
    assert_int_equal(cell(9).background, 10); /* the 7 behind the colour is reverse */
}

static void test_saving_and_resetting(void **state)
{
    (void)state;
    begin(10, 4);
    feed("\x1b[2;3H\x1b[31m\x1b" "7\x1b[H\x1b[0m\x1b" "8x");
    assert_int_equal(grid_row(&t, 1)[2].foreground, 1);
    feed("\x1b[3;3H\x1b[s\x1b[H\x1b[u");
    at(2, 2);
    feed("\x1b" "c");
    at(0, 0);
    assert_string_equal(row(1), "");
    feed("\x1b#8");
    assert_string_equal(row(3), "EEEEEEEEEE");
    feed("\x1b[2;2H\x1b[?1049h");
    assert_string_equal(row(3), "");
    feed("\x1b[4;4Hx\x1b[?1049l");
    at(1, 1);
    assert_string_equal(row(3), "");
    feed("\x1b[?25l");
    assert_false(t.cursor_visible);
    feed("\x1b[?25;7h\x1b[?9999h\x1b[20h\x1b[>4h");
    assert_true(t.cursor_visible);
}

static void test_tabs(void **state)
{
    (void)state;
    begin(30, 2);
    feed("\t");
    at(0, 8);
    feed("\t\t\t\t\t");
    at(0, 29);
    feed("\r\x1b[4C\x1bH\r\t");
    at(0, 4);
    feed("\x1b[g\r\t");
    at(0, 8);
    feed("\x1b[3g\r\t");
    at(0, 29);
}

static void test_line_drawing(void **state)
{
    (void)state;
    begin(10, 2);
    feed("\x1b(0lqk\x1b(Bq\x1b)0\x0eq\x0fq");
    assert_int_equal(cell(0).code, 0x250c);
    assert_int_equal(cell(1).code, 0x2500);
    assert_int_equal(cell(2).code, 0x2510);
    assert_int_equal(cell(3).code, 'q');
    assert_int_equal(cell(4).code, 0x2500);
    assert_int_equal(cell(5).code, 'q');
}

static void test_utf8(void **state)
{
    (void)state;
    begin(40, 2);
    feed("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80|");
    assert_int_equal(cell(0).code, 0xe4);
    assert_int_equal(cell(1).code, 0x20ac);
    assert_int_equal(cell(2).code, 0xfffd); /* outside of the plane */
    assert_int_equal(cell(3).code, '|');
    feed("\r\x80\xff\xc3|\xe2\x82\xc3\xa4\xed\xa0\x80\xc3\n");
    assert_int_equal(cell(0).code, 0xfffd);
    assert_int_equal(cell(1).code, 0xfffd);
    assert_int_equal(cell(2).code, 0xfffd);
    assert_int_equal(cell(3).code, '|');
    assert_int_equal(cell(4).code, 0xfffd);
    assert_int_equal(cell(5).code, 0xe4);
    assert_int_equal(cell(6).code, 0xfffd);
    assert_int_equal(cell(7).code, 0xfffd);
    at(1, 8);
}

static void test_what_is_not_understood_leaves_no_trace(void **state)
{
    (void)state;
    static const char *const strange[] = {
        "\x1b]0;title\x07", "\x1b]0;title\x1b\\", "\x1bPq#0\x1b\\", "\x1b_x\x1b\\", "\x1bX\x18",
        "\x1b^\x1a", "\x1b[6n", "\x1b[c", "\x1b[>c", "\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17m",
        "\x1b[!p", "\x1b[12 q", "\x1b[?5$p", "\x1b=", "\x1b>", "\x1bZ", "\x1b%G", "\x1b F", "\x1b(B",
        "\x1b\x18", "\x1b[1\x18", "\x1b[3x", "\x1b[1?m", "\x1b]8;;x\x1b[m", "\x7f", "\x05", "\x1b*0",
    };
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        begin(10, 2);
        feed(strange[i]);
        feed("ok");
        assert_string_equal(row(0), "ok");
    }
}

static void test_numbers_are_bounded(void **state)
{
    (void)state;
    begin(10, 3);
    feed("\x1b[99999999999999999999;4294967297H");
    at(2, 9);
    feed("\x1b[4294967295A\x1b[0;0H");
    at(0, 0);
}

static void test_what_is_shown_and_dirty(void **state)
{
    (void)state;
    begin(10, 3);
    for (uint32_t r = 0; r < 3; r++)
        terminal_clean(&t, r);
    feed("ab");
    assert_int_equal(t.dirty_from[0], 0);
    assert_int_equal(t.dirty_to[0], 3);
    assert_int_equal(t.dirty_to[1], 0);
    struct terminal_cell cursor = terminal_shown(&t, 0, 2);
    assert_int_equal(cursor.foreground, 0);
    assert_int_equal(cursor.background, 7);
    assert_int_equal(terminal_shown(&t, 0, 1).foreground, 7);
    terminal_clean(&t, 0);
    feed("\x1b[?25l");
    assert_int_equal(terminal_shown(&t, 0, 2).foreground, 7);
    assert_int_equal(t.dirty_to[0], 3);
    terminal_clean(&t, 0);
    feed("\x1b[3;1H\x1b" "8"); /* both places of the cursor */
    assert_true(t.dirty_to[0] > 0 && t.dirty_to[2] > 0);
}

/* --- lines that have left the grid --- */

/* The first character of each row of the view. */
static const char *view(void)
{
    static char text[TERMINAL_MOST_ROWS + 1];
    for (uint32_t r = 0; r < t.rows; r++)
        text[r] = (char)terminal_shown(&t, r, 0).code;
    text[t.rows] = 0;
    return text;
}

static void begin_with_history(uint32_t rows, uint32_t lines)
{
    terminal_init(&t, 4, rows, cells, 4 * lines);
}

static void test_lines_that_have_left_can_be_seen(void **state)
{
    (void)state;
    begin_with_history(3, 7);
    feed("a\r\nb\r\nc\r\nd\r\ne");
    assert_string_equal(view(), "cde");
    terminal_scroll(&t, 1);
    assert_string_equal(view(), "bcd");
    terminal_scroll(&t, 100);
    assert_string_equal(view(), "abc");
    assert_int_equal(t.back, 2);
    terminal_scroll(&t, 1); /* there are no more */
    assert_int_equal(t.back, 2);
    terminal_scroll(&t, -1);
    assert_string_equal(view(), "bcd");
    terminal_scroll(&t, INT_MIN);
    assert_string_equal(view(), "cde");
    assert_int_equal(terminal_shown(&t, 2, 1).background, 7); /* the cursor */
}

static void test_a_view_stays_while_text_comes(void **state)
{
    (void)state;
    begin_with_history(3, 7);
    feed("a\r\nb\r\nc\r\nd");
    terminal_scroll(&t, 1);
    assert_string_equal(view(), "abc");
    for (uint32_t r = 0; r < 3; r++)
        terminal_clean(&t, r);
    feed("\r\ne\r\nf");
    assert_string_equal(view(), "abc");
    for (uint32_t r = 0; r < 3; r++)
        assert_int_equal(t.dirty_to[r], 0); /* nothing to draw */
    feed("\x1b[HX"); /* a row of the grid that is below the view */
    assert_string_equal(view(), "abc");
    feed("\x1b[3;1Hf\r\ng"); /* a, b, c and X are what there is room for */
    assert_string_equal(view(), "abc");
    feed("\r\nh"); /* now a is lost, and the view moves */
    assert_string_equal(view(), "bcX");
    assert_int_equal(t.dirty_to[0], 4);
    terminal_scroll(&t, -2);
    assert_string_equal(view(), "Xef");
    feed("\x1b[2;1HY");
    terminal_scroll(&t, -1);
    assert_string_equal(view(), "efY");
}

static void test_edges(void **state)
{
    (void)state;
    begin(10, 5);
    feed("\b");
    at(0, 0);
    feed("ab\x1b[1;9H\x1b[99X"); /* more than the row has */
    assert_string_equal(row(0), "ab");
    feed("\x1b[1;95mX"); /* bold changes dark colours only */
    assert_int_equal(grid_row(&t, 0)[8].foreground, 13);
    feed("\x1b[m\x1b[1;2r\x1b[5;1H\n"); /* below the region there is no scrolling */
    at(4, 0);
    feed("\x1b[2;4r\x1b[1;1H\x1bM"); /* nor above it */
    at(0, 0);
    feed("\x1b[r\x1b[?6h\x1b" "7\x1b[2;4r\x1b" "8\r"); /* a saved cursor outside of the region */
    at(1, 0);
    begin(10, 5);
    feed("\x1b(0A\xc3\xa4\x7e\x1b(B\x1b#3\xc1\xf5\xf8|");
    assert_int_equal(cell(0).code, 'A'); /* outside of the graphics */
    assert_int_equal(cell(1).code, 0xe4);
    assert_int_equal(cell(2).code, 0xb7);
    for (unsigned i = 3; i < 6; i++)
        assert_int_equal(cell(i).code, 0xfffd);
    assert_int_equal(cell(6).code, '|');
    feed("\x1b[;3H"); /* a parameter left out */
    at(0, 2);
    feed("\x1b[3:4H");
    at(2, 3);
    feed("\x1b[\xc3H\x1b[??25l\x1b[>?c\x1b[?1;2$p"); /* nonsense moves nothing */
    at(2, 3);
    assert_true(t.cursor_visible);
    feed("\x1b[5n\x1b[9g\x1b[3;1H\x1b[7g");
    at(2, 0);
}

static void test_only_the_whole_grid_leaves_lines(void **state)
{
    (void)state;
    begin_with_history(4, 10);
    feed("a\r\nb\r\nc\r\nd\x1b[1;3r\x1b[3;1H\n\n");
    assert_int_equal(t.history, 0);
    feed("\x1b[r\x1b[2S");
    assert_int_equal(t.history, 2);
    feed("\x1b[99S"); /* never more than the grid */
    assert_int_equal(t.history, 6);
    terminal_scroll(&t, 6);
    assert_string_equal(view(), "c  d");
    feed("\x1b" "c"); /* a reset keeps them */
    assert_int_equal(t.history, 6);
    begin_with_history(3, 3); /* no room for any */
    feed("a\r\nb\r\nc\r\nd");
    assert_int_equal(t.history, 0);
    terminal_scroll(&t, 5);
    assert_string_equal(view(), "bcd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_and_controls),
        cmocka_unit_test(test_the_last_column_waits),
        cmocka_unit_test(test_scrolling),
        cmocka_unit_test(test_cursor_moves_stay_inside),
        cmocka_unit_test(test_erasing),
        cmocka_unit_test(test_inserting_and_deleting),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_saving_and_resetting),
        cmocka_unit_test(test_tabs),
        cmocka_unit_test(test_line_drawing),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_what_is_not_understood_leaves_no_trace),
        cmocka_unit_test(test_numbers_are_bounded),
        cmocka_unit_test(test_what_is_shown_and_dirty),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_lines_that_have_left_can_be_seen),
        cmocka_unit_test(test_a_view_stays_while_text_comes),
        cmocka_unit_test(test_only_the_whole_grid_leaves_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
