// SRCS: vmm/monitor/monitor.c vmm/monitor/line_editor.c vmm/monitor/words.c vmm/lib/format.c
/*
 * The monitor's session as an operator sees it: what is typed, what a VT100 shows of it, which
 * command runs with which words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/monitor.h"

/* --- a terminal of one long line a row, which knows CR, LF, ESC [ K and ESC [ n D --- */

static char screen[200][200];
static unsigned row, column;

static void screen_clear(void)
{
    memset(screen, 0, sizeof(screen));
    row = column = 0;
}

static size_t screen_escape(const char *bytes, size_t count)
{
    size_t i = 2;
    unsigned n = 0;

    assert_true(count > 2 && bytes[1] == '[');
    while (i < count && bytes[i] >= '0' && bytes[i] <= '9')
        n = n * 10 + (unsigned)(bytes[i++] - '0');
    assert_true(i < count);
    if (bytes[i] == 'K') {
        memset(screen[row] + column, 0, sizeof(screen[row]) - column);
    } else {
        assert_int_equal(bytes[i], 'D');
        assert_true(n <= column);
        column -= n;
    }
    return i + 1;
}

static int selected_pane = -1;

static void select_pane(void *context, unsigned pane)
{
    (void)context;
    selected_pane = (int)pane;
}

static void screen_write(void *context, const char *bytes, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count;) {
        if (bytes[i] == '\x1b') {
            i += screen_escape(bytes + i, count - i);
            continue;
        }
        if (bytes[i] == '\r')
            column = 0;
        else if (bytes[i] == '\n')
            row++;
        else
            screen[row][column++] = bytes[i];
        i++;
        assert_true(row < 200 && column < 200);
    }
}

/* --- a monitor with a few commands --- */

static struct monitor m;
static char out[4096];
static char called[200];
static unsigned lines_to_print;

static void run_any(struct monitor *monitor, unsigned count, char *const words[])
{
    assert_ptr_equal(monitor, &m);
    called[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        strcat(called, words[i]);
        strcat(called, "|");
    }
    for (unsigned i = 0; i < lines_to_print; i++)
        monitor_print(monitor, "line %u", i);
}

static const struct monitor_command commands[] = {
    { "vms", "", "all VMs", run_any },
    { "trace", "[COUNT]", "exits", run_any },
    { "traps", "", "something else", run_any },
    { "log", "", "the log", run_any },
};

static int setup(void **state)
{
    const struct monitor_env env = { screen_write, NULL, select_pane };

    (void)state;
    screen_clear();
    called[0] = '\0';
    lines_to_print = 0;
    monitor_init(&m, &env, out, sizeof(out));
    return monitor_add(&m, commands, HV_ARRAY_COUNT(commands)) == HV_OK ? 0 : -1;
}

static void type_bytes(const char *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(monitor_key(&m, (uint8_t)keys[i]));
}

static void type(const char *keys)
{
    type_bytes(keys, strlen(keys));
}

static void open_it(void)
{
    assert_true(monitor_key(&m, MONITOR_OPEN_KEY));
}

static void show_all(void)
{
    for (unsigned i = 0; monitor_show(&m, 100); i++)
        assert_true(i < 1000);
}

/* The line with the prompt, and where the cursor stands in it. */
static void expect_line(const char *text, unsigned cursor)
{
    char wanted[100];

    snprintf(wanted, sizeof(wanted), "trapline> %s", text);
    assert_string_equal(screen[row], wanted);
    assert_int_equal(column, 10 + cursor);
    assert_string_equal(m.editor.text, text);
    assert_int_equal(m.editor.cursor, cursor);
}

/* --- opening and closing --- */

static void keys_are_the_guest_s_until_ctrl_a(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        if (byte != 1)
            assert_false(monitor_key(&m, (uint8_t)byte));
    }
    assert_int_equal(row + column, 0);
    open_it();
    assert_true(m.open);
    assert_string_equal(screen[1], "trapline> ");
}

static void ctrl_a_twice_is_the_guest_s(void **state)
{
    (void)state;
    open_it();
    assert_false(monitor_key(&m, MONITOR_OPEN_KEY));
    assert_false(m.open);
    /* Not twice at once: then it is the key for the start of the line. */
    open_it();
    type("ab\x01");
    expect_line("ab", 0);
}

static void ctrl_a_and_a_digit_shows_a_pane(void **state)
{
    (void)state;
    open_it();
    assert_true(monitor_key(&m, '1'));
    assert_false(m.open);
    assert_int_equal(selected_pane, 0);
    open_it();
    assert_true(monitor_key(&m, '0'));
    assert_int_equal(selected_pane, 9);
    selected_pane = -1;
    open_it();
    type("a1");
    expect_line("a1", 2);
    monitor_open(&m); /* from elsewhere: Ctrl-A was typed there */
    expect_line("a1", 2);
    assert_int_equal(selected_pane, -1);
    type("4");
    assert_int_equal(selected_pane, 3);
    m.env.select = NULL; /* a console without panes */
    open_it();
    type("2");
    expect_line("a12", 3); /* what was typed is still there */
    assert_int_equal(selected_pane, 3);
}

static void every_way_out(void **state)
{
    const char *const ways[] = { "quit\r", "q\r", "continue\r", "con\r", "\x04" };

    (void)state;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(ways); i++) {
        open_it();
        type(ways[i]);
        assert_false(m.open);
        assert_false(monitor_key(&m, 'x'));
    }
    open_it();
    type("a\x04");
    assert_true(m.open);
}

/* --- lines --- */

static void editing(void **state)
{
    (void)state;
    open_it();
    type("hello");
    expect_line("hello", 5);
    type("\x7f\b");
    expect_line("hel", 3);
    type("\x1b[D\x1b[D");
    expect_line("hel", 1);
    type("XY");
    expect_line("hXYel", 3);
    type("\x1b[3~");
    expect_line("hXYl", 3);
    type("\x01");
    expect_line("hXYl", 0);
    type("\x05");
    expect_line("hXYl", 4);
    type("\x1b[H\x06\x06\x0b");
    expect_line("hX", 2);
    type("\x1bOH\x1b[4~ two words\x17");
    expect_line("hX two ", 7);
    type("\x17");
    expect_line("hX ", 3);
    type("\x15");
    expect_line("", 0);
    /* Nothing there to move over or to erase. */
    type("\x7f\x15\x17\x0b\x1b[C\x1b[D\x1b[3~\x1b[A\x1b[B\x06\x02\x05\x01");
    expect_line("", 0);
}

static void the_cursor_keys_of_all_terminals(void **state)
{
    (void)state;
    open_it();
    type("abc");
    type("\x1b[1~");
    expect_line("abc", 0);
    type("\x1b[4~");
    expect_line("abc", 3);
    type("\x1b[7~");
    expect_line("abc", 0);
    type("\x1b[8~");
    expect_line("abc", 3);
    type("\x1bOD\x1bOD");
    expect_line("abc", 1);
    type("\x1bOC");
    expect_line("abc", 2);
    type("\x1b[F");
    expect_line("abc", 3);
    /* With a modifier, unknown ones, and ones that are cut off by a control key. */
    type("\x1b[1;5D");
    expect_line("abc", 2);
    type("\x1b[Z\x1b[99~\x1b[99999999~\x1bZ");
    expect_line("abc", 2);
    type("\x1b\x05");
    expect_line("abc", 3);
    type("\x1b[\x01x");
    expect_line("xabc", 1);
}

static void a_line_never_outgrows_its_room(void **state)
{
    char text[MONITOR_LINE_BYTES + 1];

    (void)state;
    memset(text, 'a', MONITOR_LINE_BYTES);
    text[MONITOR_LINE_BYTES] = '\0';
    open_it();
    for (unsigned i = 0; i < 500; i++)
        type("a");
    expect_line(text, MONITOR_LINE_BYTES);
    type("\x01z");
    expect_line(text, 0);
    type("\x7f");
    expect_line(text, 0);
}

static void bytes_that_no_key_makes_are_ignored(void **state)
{
    (void)state;
    open_it();
    type("a");
    for (unsigned byte = 0x80; byte < 0x100; byte++)
        assert_true(monitor_key(&m, (uint8_t)byte));
    type_bytes("\0\x07\x0e\x0f\x10\x11\x12\x13\x14\x16\x18\x19\x1a\x1c\x1d\x1e\x1f", 17);
    expect_line("a", 1);
}

static void history(void **state)
{
    (void)state;
    open_it();
    type("one\r");
    show_all();
    type("two\r");
    show_all();
    type("two\r"); /* the same again is kept once */
    show_all();
    type("\r");
    show_all();
    type("new");
    type("\x1b[A");
    expect_line("two", 3);
    type("\x10");
    expect_line("one", 3);
    type("\x1b[A");
    expect_line("one", 3);
    type("\x1b[B");
    expect_line("two", 3);
    type("\x0e");
    expect_line("new", 3);
    type("\x0e");
    expect_line("new", 3);
    type("\x1b[A\x1b[A!\r");
    show_all();
    type("\x1b[A");
    expect_line("one!", 4);
}

static void history_keeps_the_last_ones(void **state)
{
    char line[16];

    (void)state;
    open_it();
    for (unsigned i = 0; i < MONITOR_HISTORY + 5; i++) {
        snprintf(line, sizeof(line), "n%u\r", i);
        type(line);
        show_all();
    }
    for (unsigned i = 0; i < MONITOR_HISTORY + 5; i++)
        type("\x1b[A");
    expect_line("n5", 2);
}

static void ctrl_c_gives_a_line_up(void **state)
{
    (void)state;
    open_it();
    type("vms\x03");
    expect_line("", 0);
    type("\r");
    show_all();
    assert_string_equal(called, "");
}

/* --- commands --- */

static void run(const char *line)
{
    called[0] = '\0';
    screen_clear();
    type(line);
    type("\r");
    show_all();
}

static void words_and_shortened_names(void **state)
{
    (void)state;
    open_it();
    run("trace 5");
    assert_string_equal(called, "trace|5|");
    run("   log   a  b ");
    assert_string_equal(called, "log|a|b|");
    run("v");
    assert_string_equal(called, "v|");
    run("tra 1");
    assert_string_equal(called, "");
    assert_non_null(strstr(screen[1], "'tra' may be one of 2 commands"));
    run("nothing");
    assert_string_equal(called, "");
    assert_non_null(strstr(screen[1], "no command 'nothing'"));
    run("log 1 2 3 4 5 6 7");
    assert_string_equal(called, "log|1|2|3|4|5|6|7|");
    run("log 1 2 3 4 5 6 7 8");
    assert_string_equal(called, "");
    assert_non_null(strstr(screen[1], "no command takes more than 8"));
    run("");
    run("     ");
    assert_string_equal(called, "");
}

static void cr_lf_is_one_key(void **state)
{
    (void)state;
    open_it();
    type("vms\r");
    show_all();
    type("\n");
    assert_string_equal(m.editor.text, "");
    assert_int_equal(row, 2);
    called[0] = '\0';
    type("log\n");
    show_all();
    assert_string_equal(called, "log|");
}

static void help(void **state)
{
    (void)state;
    open_it();
    run("help");
    assert_non_null(strstr(screen[1], "help [COMMAND]"));
    assert_non_null(strstr(screen[4], "vms"));
    assert_non_null(strstr(screen[5], "trace [COUNT]"));
    run("help tr");
    assert_non_null(strstr(screen[1], "trace"));
    assert_non_null(strstr(screen[2], "traps"));
    assert_string_equal(screen[3], "trapline> ");
    run("help zz");
    assert_non_null(strstr(screen[1], "no command begins with 'zz'"));
}

static void tab_completes(void **state)
{
    (void)state;
    open_it();
    type("l\t");
    expect_line("log ", 4);
    type("\t");
    expect_line("log ", 4);
    type("\x15t\t");
    expect_line("tra", 3);
    type("c\t");
    expect_line("trace ", 6);
    type("\x15zz\t");
    expect_line("zz", 2);
    type("\x01\t");
    expect_line("zz", 0);
}

/* --- output --- */

static void long_output_comes_in_pieces_of_whole_lines(void **state)
{
    (void)state;
    lines_to_print = 30;
    open_it();
    type("vms\r");
    assert_int_equal(row, 2);
    assert_true(monitor_show(&m, 20)); /* two lines of 8 or 9 bytes */
    assert_int_equal(row, 4);
    assert_int_equal(column, 0);
    assert_true(monitor_show(&m, 1)); /* at least one */
    assert_int_equal(row, 5);
    show_all();
    assert_string_equal(screen[31], "line 29");
    expect_line("", 0);
    assert_false(monitor_show(&m, 100));
}

static void keys_wait_while_lines_come(void **state)
{
    (void)state;
    lines_to_print = 5;
    open_it();
    type("vms\r");
    type("log\rtr");
    assert_string_equal(called, "vms|");
    while (strcmp(called, "log|") != 0)
        assert_true(monitor_show(&m, 1));
    show_all();
    expect_line("tr", 2);
    /* More than there is room for are dropped, and nothing breaks. */
    type("\x15vms\r");
    for (unsigned i = 0; i < 1000; i++)
        type("x");
    show_all();
    expect_line("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 32);
}

static void ctrl_c_ends_a_listing(void **state)
{
    (void)state;
    lines_to_print = 100;
    open_it();
    type("vms\r");
    assert_true(monitor_show(&m, 10));
    type("abc\x03");
    assert_false(monitor_show(&m, 10));
    assert_int_equal(row, 4);
    expect_line("", 0);
}

static void output_beyond_the_room_is_counted(void **state)
{
    (void)state;
    /* 10 of 8 bytes, 90 of 9 and 320 of 10 fit into 4,096. */
    lines_to_print = 600;
    open_it();
    type("vms\r");
    for (unsigned i = 0; i < 200 && m.lost_lines; i++) {
        monitor_show(&m, 400);
        if (row > 150) {
            memset(screen, 0, sizeof(screen));
            row = 0;
        }
    }
    show_all();
    assert_string_equal(screen[row - 1], "(180 more lines had no room)");
}

static void a_printed_line_is_cut_and_printable(void **state)
{
    char longest[2 * MONITOR_PRINT_BYTES];

    (void)state;
    memset(longest, 'y', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    open_it();
    type("vms\r");
    monitor_print(&m, "a\x1b[2Jb\n\xff");
    monitor_print(&m, "%s", longest);
    assert_memory_equal(out, "a?[2Jb??\r\nyyy", 13);
    assert_int_equal(m.out_used, 10 + MONITOR_PRINT_BYTES - 1 + 2);
}

static void redraw_after_somebody_else_wrote(void **state)
{
    (void)state;
    open_it();
    type("abc\x1b[D");
    screen_write(NULL, "\r\na line of the log\r\n", 21);
    monitor_redraw(&m);
    expect_line("abc", 2);
    monitor_close(&m);
    screen_clear();
    monitor_redraw(&m);
    assert_int_equal(column, 0);
}

static void tables_are_limited(void **state)
{
    (void)state;
    for (unsigned i = 2; i < MONITOR_MAX_TABLES; i++)
        assert_int_equal(monitor_add(&m, commands, 1), HV_OK);
    assert_int_equal(monitor_add(&m, commands, 1), HV_ERR_NO_MEMORY);
}

/* --- words --- */

static void numbers(void **state)
{
    uint64_t n = 77;

    (void)state;
    assert_true(monitor_number("0", 10, &n) && n == 0);
    assert_true(monitor_number("123", 10, &n) && n == 123);
    assert_true(monitor_number("0x1F", 10, &n) && n == 31);
    assert_true(monitor_number("0XaB", 10, &n) && n == 171);
    assert_true(monitor_number("ffffffff81000000", 16, &n) && n == 0xffffffff81000000);
    assert_true(monitor_number("18446744073709551615", 10, &n) && n == UINT64_MAX);
    assert_true(monitor_number("0xffffffffffffffff", 10, &n) && n == UINT64_MAX);
    n = 5;
    const char *const bad[] = { "", "0x", "12a", "a", "-1", "+1", "1.5", "18446744073709551616",
                                "0x10000000000000000", "99999999999999999999999", " 1", "0xg" };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(bad); i++)
        assert_false(monitor_number(bad[i], 10, &n));
    assert_int_equal(n, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(keys_are_the_guest_s_until_ctrl_a, setup),
        cmocka_unit_test_setup(ctrl_a_twice_is_the_guest_s, setup),
        cmocka_unit_test_setup(ctrl_a_and_a_digit_shows_a_pane, setup),
        cmocka_unit_test_setup(every_way_out, setup),
        cmocka_unit_test_setup(editing, setup),
        cmocka_unit_test_setup(the_cursor_keys_of_all_terminals, setup),
        cmocka_unit_test_setup(a_line_never_outgrows_its_room, setup),
        cmocka_unit_test_setup(bytes_that_no_key_makes_are_ignored, setup),
        cmocka_unit_test_setup(history, setup),
        cmocka_unit_test_setup(history_keeps_the_last_ones, setup),
        cmocka_unit_test_setup(ctrl_c_gives_a_line_up, setup),
        cmocka_unit_test_setup(words_and_shortened_names, setup),
        cmocka_unit_test_setup(cr_lf_is_one_key, setup),
        cmocka_unit_test_setup(help, setup),
        cmocka_unit_test_setup(tab_completes, setup),
        cmocka_unit_test_setup(long_output_comes_in_pieces_of_whole_lines, setup),
        cmocka_unit_test_setup(keys_wait_while_lines_come, setup),
        cmocka_unit_test_setup(ctrl_c_ends_a_listing, setup),
        cmocka_unit_test_setup(output_beyond_the_room_is_counted, setup),
        cmocka_unit_test_setup(a_printed_line_is_cut_and_printable, setup),
        cmocka_unit_test_setup(redraw_after_somebody_else_wrote, setup),
        cmocka_unit_test_setup(tables_are_limited, setup),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
