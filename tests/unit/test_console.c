// SRCS: vmm/core/console.c vmm/core/console_view.c vmm/core/log.c vmm/lib/format.c
/* One machine has one console: the tests run in order, on the same one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "hv/console.h"
#include "hv/log.h"

struct screen {
    char text[200000];
    size_t used;
    int next;
    unsigned flushes;
};

static struct screen first, second;

static void screen_write(void *ctx, const char *bytes, size_t n)
{
    struct screen *s = ctx;
    assert_true(s->used + n <= sizeof(s->text));
    memcpy(s->text + s->used, bytes, n);
    s->used += n;
}

static int screen_read(void *ctx)
{
    struct screen *s = ctx;
    int byte = s->next;
    s->next = -1;
    return byte;
}

static void screen_flush(void *ctx)
{
    struct screen *s = ctx;
    s->flushes++;
}

static void expect(struct screen *s, const char *text)
{
    assert_int_equal(s->used, strlen(text));
    assert_memory_equal(s->text, text, s->used);
    s->used = 0;
}

static void guest(struct console_stream *stream, const char *text)
{
    console_write_guest(stream, text, strlen(text));
}

static void begin(struct console_stream *stream)
{
    assert_int_equal(console_open_stream(stream), HV_OK);
}

static int read_key(void)
{
    unsigned pane;
    return console_read(&pane);
}

static void test_lines_before_the_first_backend_are_shown_to_it(void **state)
{
    (void)state;
    hv_info("early %d", 1);
    assert_int_equal(console_backend_count(), 0);
    assert_int_equal(read_key(), -1);
    first.next = -1;
    struct hv_console_backend b = { "first", screen_write, screen_read, &first, NULL, NULL };
    assert_int_equal(console_add(&b), HV_OK);
    expect(&first, "[-] early 1\r\n");
    struct hv_console_backend c = { "second", screen_write, NULL, &second, screen_flush, NULL };
    assert_int_equal(console_add(&c), HV_OK);
    assert_int_equal(console_backend_count(), 2);
    expect(&second, "[-] early 1\r\n");
    assert_int_equal(second.flushes, 1);
}

static unsigned core_seven(void)
{
    return 7;
}

static void test_levels_and_core_number(void **state)
{
    (void)state;
    log_set_core_number(core_seven);
    hv_error("e");
    hv_warn("w");
    hv_debug("d");
    expect(&first, "[7] error: e\r\n[7] warning: w\r\n");
    log_set_level(HV_LOG_DEBUG);
    hv_debug("d");
    expect(&first, "[7] debug: d\r\n");
    log_set_level(HV_LOG_INFO);
    second.used = 0;
}

static void test_a_long_line_is_cut(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    hv_info("%s", text);
    assert_true(first.used < 600);
    assert_memory_equal(first.text + first.used - 3, "x\r\n", 3);
    first.used = second.used = 0;
}

static void test_log_lines_begin_on_a_fresh_line(void **state)
{
    (void)state;
    static struct console_stream plain;
    begin(&plain);
    guest(&plain, "login: ");
    unsigned before = second.flushes;
    hv_info("hello");
    guest(&plain, "root\r\n");
    assert_int_equal(second.flushes, before + 1); /* once for the line, not for guests' bytes */
    hv_info("again");
    guest(&plain, "");
    console_close_stream(&plain);
    expect(&first, "login: \r\n[7] hello\r\nroot\r\n[7] again\r\n");
    expect(&second, "login: \r\n[7] hello\r\nroot\r\n[7] again\r\n");
}

static void test_one_guest_passes_byte_for_byte(void **state)
{
    (void)state;
    static struct console_stream plain;
    begin(&plain);
    const char bytes[] = "\x1b[2J\x00\xff\r50%\r100%\n\nx";
    console_write_guest(&plain, bytes, sizeof(bytes) - 1);
    assert_int_equal(first.used, sizeof(bytes) - 1);
    assert_memory_equal(first.text, bytes, sizeof(bytes) - 1);
    guest(&plain, "\n");
    console_close_stream(&plain);
    first.used = second.used = 0;
}

static void test_two_guests_are_told_apart(void **state)
{
    (void)state;
    static struct console_stream a = { .tag = "a" }, b = { .tag = "b" };
    begin(&a);
    begin(&b);
    guest(&a, "one\ntw");
    guest(&b, "three\n");
    expect(&first, "[a] one\n[a] tw"); /* what is begun is ended first */
    guest(&a, "o\n");
    expect(&first, "o\n[b] three\n");
    second.used = 0;
    console_close_stream(&a);
    console_close_stream(&b);
}

static unsigned count_lines(const char *line)
{
    unsigned count = 0;
    for (const char *at = first.text; (at = strstr(at, line)); at++)
        count += at == first.text || at[-1] == '\n';
    return count;
}

/* Byte by byte, as serial ports send. */
static void test_two_guests_that_print_at_once_are_not_torn(void **state)
{
    static struct console_stream a = { .tag = "a" }, b = { .tag = "b" };
    static const char one[] = "the first of two guests\r\n", two[] = "and the second one\r\n";

    (void)state;
    begin(&a);
    begin(&b);
    for (unsigned i = 0; i < 5 * (sizeof(one) - 1); i++) {
        console_write_guest(&a, &one[i % (sizeof(one) - 1)], 1);
        console_write_guest(&b, &two[i % (sizeof(two) - 1)], 1);
    }
    console_close_stream(&b);
    console_close_stream(&a);
    hv_info("-");
    first.text[first.used] = '\0';
    assert_int_equal(count_lines("[a] the first of two guests\r\n"), 5);
    assert_int_equal(count_lines("[b] and the second one\r\n"), 6);
    first.used = second.used = 0;
}

static void test_a_guest_without_a_line_end_is_not_held_up(void **state)
{
    static struct console_stream a = { .tag = "a" }, b = { .tag = "b" };

    (void)state;
    begin(&a);
    begin(&b);
    guest(&a, "login: ");
    expect(&first, "[a] login: "); /* a prompt appears at once */
    guest(&b, "pass");
    assert_true(console_age());
    guest(&b, "word: ");
    assert_int_equal(first.used, 0);
    guest(&a, "root"); /* what is typed echoes at once */
    expect(&first, "root");
    assert_false(console_age());
    expect(&first, "\r\n[b] password: ");
    guest(&b, "x");
    expect(&first, "x");
    guest(&a, "!");
    assert_int_equal(first.used, 0);
    for (unsigned i = 0; i < 1023; i++)
        guest(&a, "."); /* much of it does not wait at all */
    assert_true(first.used > 1000);
    first.used = 0;
    hv_info("a line"); /* comes after what was before it */
    guest(&a, "2");
    guest(&b, "3");
    hv_info("another");
    expect(&first, "\r\n[7] a line\r\n[a] 2\r\n[b] 3\r\n[7] another\r\n");
    guest(&b, "4");
    guest(&a, "last words");
    console_close_stream(&a);
    expect(&first, "[b] 4\r\n[a] last words");
    guest(&a, "lost");
    console_close_stream(&a);
    console_close_stream(&b);
    hv_info("-");
    expect(&first, "\r\n[7] -\r\n");
    second.used = 0;
}

static void test_each_has_its_turn(void **state)
{
    static struct console_stream s[CONSOLE_GUEST_PANES + 1];
    static const char *const tags[] = { "0", "1", "2", "3", "4", "5", "6", "7" };

    (void)state;
    for (unsigned i = 0; i < CONSOLE_GUEST_PANES; i++) {
        s[i].tag = tags[i];
        begin(&s[i]);
    }
    assert_int_equal(console_open_stream(&s[CONSOLE_GUEST_PANES]), HV_ERR_NO_MEMORY);
    guest(&s[5], "a");
    for (unsigned i = 0; i < CONSOLE_GUEST_PANES; i++)
        guest(&s[i], i == 6 ? "x" : "x\n");
    guest(&s[6], "\n");
    expect(&first, "[5] ax\n[0] x\n[1] x\n[2] x\n[3] x\n[4] x\n[6] x\n[7] x\n");
    for (unsigned i = 0; i < CONSOLE_GUEST_PANES; i++)
        console_close_stream(&s[i]);
    second.used = 0;
}

/* --- panes --- */

static void type(int key)
{
    first.next = key;
}

static void test_a_plain_backend_shows_one_pane(void **state)
{
    static struct console_stream a = { .tag = "a", .name = "alpha" }, b = { .tag = "b", .name = "b" };
    unsigned pane;
    char text[40];

    (void)state;
    assert_null(console_pane_name(CONSOLE_PANE_GUEST));
    begin(&a);
    begin(&b);
    assert_int_equal(a.pane, CONSOLE_PANE_GUEST);
    assert_string_equal(console_pane_name(a.pane), "alpha");
    assert_string_equal(console_pane_name(CONSOLE_PANE_ALL), "all");
    assert_null(console_pane_name(CONSOLE_PANES));
    for (unsigned i = 0; i < 30; i++) {
        snprintf(text, sizeof(text), "line %u\r\n", i);
        guest(&a, text);
    }
    guest(&a, "# ");
    guest(&b, "bee\r\n");
    console_age();
    console_age();
    first.used = second.used = 0;
    type(CONSOLE_KEY_PANE + a.pane);
    assert_int_equal(console_read(&pane), CONSOLE_PANE_CHANGED);
    assert_int_equal(pane, a.pane);
    first.text[first.used] = '\0';
    assert_null(strstr(first.text, "line 10\r\n"));
    assert_non_null(strstr(first.text, "\x1b[2J--- 4 alpha ---\r\nline 11\r\nline 12\r\n"));
    assert_string_equal(first.text + first.used - 11, "line 29\r\n# ");
    first.used = 0;
    guest(&a, "echo\n");
    guest(&b, "not here\n");
    hv_info("nor this");
    expect(&first, "echo\n");
    hv_error("but this");
    expect(&first, "\r\n[7] error: but this\r\n");
    hv_notice("and this");
    expect(&first, "\r\n[7] and this\r\n");
    type('k');
    assert_int_equal(console_read(&pane), 'k');
    assert_int_equal(pane, a.pane);
    type(CONSOLE_KEY_BACK); /* the terminal at the far end has its own */
    assert_int_equal(console_read(&pane), -1);
    type(CONSOLE_KEY_PANE + CONSOLE_PANE_GUEST + 5);
    assert_int_equal(console_read(&pane), -1);
    assert_false(console_select(CONSOLE_PANES));

    second.used = 0;
    assert_true(console_select(CONSOLE_PANE_LOG));
    first.text[first.used] = '\0';
    assert_non_null(strstr(first.text, "--- 3 log ---\r\n[-] early 1\r\n"));
    assert_non_null(strstr(first.text, "nor this\r\n"));
    assert_int_equal(second.used, 0); /* nobody typed there */
    first.used = 0;
    guest(&a, "not now\n");
    hv_info("a line");
    expect(&first, "[7] a line\r\n");

    assert_true(console_select(CONSOLE_PANE_MONITOR));
    first.used = 0;
    console_hold();
    console_write_operator("> ", 2);
    guest(&a, "held");
    hv_info("step");
    expect(&first, "> [7] step\r\n");
    console_release();
    console_leave_monitor();
    first.text[first.used] = '\0';
    assert_non_null(strstr(first.text, "--- 3 log ---"));
    assert_true(console_select(CONSOLE_PANE_MONITOR));
    assert_true(console_select(CONSOLE_PANE_MONITOR));
    assert_true(console_select(b.pane));
    assert_true(console_select(CONSOLE_PANE_MONITOR));
    console_close_stream(&b);
    console_leave_monitor(); /* the one before is gone */
    first.used = 0;
    guest(&a, "x\n");
    expect(&first, "x\n");
    assert_true(console_select(a.pane));
    console_close_stream(&a);
    first.text[first.used] = '\0';
    assert_non_null(strstr(first.text, "--- 1 all ---"));
    first.used = second.used = 0;
}

static void test_the_last_lines_of_a_pane_without_any(void **state)
{
    static struct console_stream a = { .name = "a" };

    (void)state;
    begin(&a);
    assert_true(console_select(a.pane));
    expect(&first, "\x1b[0m\x1b[H\x1b[2J--- 4 a ---\r\n");
    guest(&a, "no line end");
    first.used = 0;
    assert_true(console_select(a.pane));
    expect(&first, "\x1b[0m\x1b[H\x1b[2J--- 4 a ---\r\nno line end");
    for (unsigned i = 0; i < 20000; i++)
        guest(&a, "z");
    first.used = 0;
    assert_true(console_select(a.pane));
    assert_true(first.used > 1500 && first.used < 1600);
    console_close_stream(&a);
    hv_info("-");
    first.used = second.used = 0;
}

/* A backend that keeps its panes itself gets everything. */
static struct {
    char text[CONSOLE_PANES][5000];
    size_t used[CONSOLE_PANES];
    unsigned pane;
    int scrolled, next;
    char code[50];
} keeper;

static void keeper_write(void *ctx, const char *bytes, size_t n)
{
    (void)ctx;
    (void)bytes;
    (void)n;
    fail();
}

static int keeper_read(void *ctx)
{
    int key = keeper.next;
    (void)ctx;
    keeper.next = -1;
    return key;
}

static void keeper_put(void *ctx, unsigned pane, const char *bytes, size_t n)
{
    (void)ctx;
    if (keeper.used[pane] + n >= sizeof(keeper.text[pane]))
        keeper.used[pane] = 0;
    memcpy(keeper.text[pane] + keeper.used[pane], bytes, n);
    keeper.used[pane] += n;
    keeper.text[pane][keeper.used[pane]] = '\0';
}

static void keeper_select(void *ctx, unsigned pane)
{
    (void)ctx;
    keeper.pane = pane;
}

static void keeper_panic(void *ctx)
{
    (void)ctx;
    keeper.pane = CONSOLE_PANES;
}

static void keeper_scroll(void *ctx, int pages)
{
    (void)ctx;
    keeper.scrolled += pages;
}

static void keeper_show_code(void *ctx, const char *text, size_t n)
{
    (void)ctx;
    memcpy(keeper.code, text, n);
}

static void test_a_backend_that_keeps_its_panes(void **state)
{
    static struct console_stream a = { .name = "a" };
    const struct hv_console_backend backend = { "keeper", keeper_write, keeper_read, NULL, NULL, NULL };
    const struct console_pane_ops panes = { keeper_put, keeper_select, keeper_scroll,
                                            keeper_panic, keeper_show_code };
    unsigned pane;

    (void)state;
    keeper.next = -1;
    assert_int_equal(console_add_panes(&backend, &panes), HV_OK);
    assert_non_null(strstr(keeper.text[CONSOLE_PANE_LOG], "early 1"));
    memset(keeper.used, 0, sizeof(keeper.used));
    begin(&a);
    guest(&a, "hello\n");
    hv_info("line");
    assert_string_equal(keeper.text[CONSOLE_PANE_ALL], "hello\n[7] line\r\n");
    assert_string_equal(keeper.text[CONSOLE_PANE_LOG], "[7] line\r\n");
    assert_string_equal(keeper.text[CONSOLE_PANE_MONITOR], "[7] line\r\n");
    assert_string_equal(keeper.text[a.pane], "hello\n");
    keeper.next = CONSOLE_KEY_PANE + (int)a.pane;
    assert_int_equal(console_read(&pane), CONSOLE_PANE_CHANGED);
    assert_int_equal(keeper.pane, a.pane);
    hv_error("crash");
    assert_string_equal(keeper.text[a.pane], "hello\n\r\n[7] error: crash\r\n");
    keeper.next = CONSOLE_KEY_BACK;
    assert_int_equal(console_read(&pane), -1);
    assert_int_equal(keeper.scrolled, 1);
    keeper.next = CONSOLE_KEY_FORWARD;
    assert_int_equal(console_read(&pane), -1);
    assert_int_equal(keeper.scrolled, 0);
    console_show_code("code", 5);
    assert_string_equal(keeper.code, "code");
    console_close_stream(&a);
    assert_int_equal(keeper.pane, CONSOLE_PANE_ALL);
    assert_true(console_select(CONSOLE_PANE_LOG)); /* for the panic's test */
    first.used = second.used = 0;
}

static void test_reading(void **state)
{
    (void)state;
    first.next = 'k';
    assert_int_equal(read_key(), 'k');
    assert_int_equal(read_key(), -1);
}

static void test_the_ring_keeps_the_newest(void **state)
{
    (void)state;
    static char all[LOG_RING_BYTES + 1];
    uint64_t from = 0;
    size_t n = 0, part;
    for (unsigned i = 0; i < 3000; i++) {
        hv_info("line number %u of many that follow each other", i);
        first.used = second.used = 0;
    }
    while ((part = log_read(&from, all + n, 100)) > 0)
        n += part;
    assert_int_equal(n, LOG_RING_BYTES);
    assert_non_null(strstr(all, "line number 2999 of many"));
    assert_null(strstr(all, "line number 1 of many"));
    hv_debug("only in the ring");
    part = log_read(&from, all, 100);
    assert_int_equal(part, strlen("[7] debug: only in the ring\r\n"));
    assert_int_equal(first.used, 0);
}

/* A backend that faults in the middle of a line, and so comes back into the console while its lock
 * is held: the bound ends the wait, and the text comes out. */
static bool faults_now;

static void faulting_write(void *ctx, const char *bytes, size_t n)
{
    (void)ctx;
    (void)bytes;
    (void)n;
    if (!faults_now)
        return;
    faults_now = false;
    console_enter_panic();
    assert_int_equal(read_key(), -1);
    hv_error("panic inside");
}

static void test_too_many_backends(void **state)
{
    (void)state;
    static struct screen sink;
    struct hv_console_backend b = { "sink", screen_write, screen_read, &sink, NULL, NULL };
    sink.next = -1;
    struct hv_console_backend c = { "faulting", faulting_write, NULL, NULL, NULL, NULL };
    assert_int_equal(console_add(&c), HV_OK);
    assert_int_equal(console_add(&b), HV_ERR_NO_MEMORY);
    assert_int_equal(console_backend_count(), CONSOLE_MAX_BACKENDS);
}

static void test_panic_while_the_lock_is_held(void **state)
{
    (void)state;
    static struct console_stream plain;
    first.used = 0;
    begin(&plain);
    faults_now = true;
    hv_info("begun");
    expect(&first, "[7] begun[7] error: panic inside\r\n\r\n");
    guest(&plain, "not any more");
    assert_int_equal(first.used, 0);
    hv_error("last words");
    expect(&first, "[7] error: last words\r\n");
    assert_int_equal(keeper.pane, CONSOLE_PANES);
    console_write_operator("nor this", 8);
    assert_int_equal(first.used, 0);
}

/* --- the operator --- */

static void operator(const char *text)
{
    console_write_operator(text, strlen(text));
}

static void test_guests_wait_while_the_operator_has_the_console(void **state)
{
    static struct console_stream a = { .tag = "a" }, b = { .tag = "b" };

    (void)state;
    begin(&a);
    begin(&b);
    guest(&a, "before\r\n");
    console_hold();
    operator("\r\n> ");
    expect(&first, "[a] before\r\n\r\n> ");
    assert_false(console_disturbed());
    guest(&a, "one\r\ntwo");
    guest(&b, "three\r\n");
    assert_int_equal(first.used, 0);
    hv_info("a line");
    expect(&first, "\r\n[7] a line\r\n");
    assert_true(console_disturbed());
    operator("> ");
    assert_false(console_disturbed());
    first.used = 0;
    console_age();
    assert_int_equal(first.used, 0);
    console_release();
    expect(&first, "\r\n[a] one\r\n[a] two\r\n[b] three\r\n");
    assert_true(console_disturbed());
    guest(&a, "!\r\n");
    expect(&first, "[a] !\r\n");
    console_close_stream(&a);
    console_close_stream(&b);
}

static void test_the_last_of_much_output_is_kept(void **state)
{
    static struct console_stream plain;
    static char wanted[CONSOLE_HELD_BYTES + 100];
    const char lost[] = "(some output was lost here)\r\n";

    (void)state;
    begin(&plain);
    console_hold();
    for (unsigned i = 0; i < CONSOLE_HELD_BYTES + 3; i++)
        console_write_guest(&plain, &"abcdefghij\n"[i % 11], 1);
    console_release();
    memcpy(wanted, lost, sizeof(lost) - 1);
    for (unsigned i = 0; i < CONSOLE_HELD_BYTES; i++)
        wanted[sizeof(lost) - 1 + i] = "abcdefghij\n"[(i + 3) % 11];
    wanted[sizeof(lost) - 1 + CONSOLE_HELD_BYTES] = '\0';
    expect(&first, wanted);
    /* Held again, it starts over. */
    console_hold();
    guest(&plain, "x\n");
    console_release();
    expect(&first, "x\n");
    console_release();
    assert_int_equal(first.used, 0);
    console_close_stream(&plain);
    second.used = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_before_the_first_backend_are_shown_to_it),
        cmocka_unit_test(test_levels_and_core_number),
        cmocka_unit_test(test_a_long_line_is_cut),
        cmocka_unit_test(test_log_lines_begin_on_a_fresh_line),
        cmocka_unit_test(test_one_guest_passes_byte_for_byte),
        cmocka_unit_test(test_two_guests_are_told_apart),
        cmocka_unit_test(test_two_guests_that_print_at_once_are_not_torn),
        cmocka_unit_test(test_a_guest_without_a_line_end_is_not_held_up),
        cmocka_unit_test(test_each_has_its_turn),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_guests_wait_while_the_operator_has_the_console),
        cmocka_unit_test(test_the_last_of_much_output_is_kept),
        cmocka_unit_test(test_a_plain_backend_shows_one_pane),
        cmocka_unit_test(test_the_last_lines_of_a_pane_without_any),
        cmocka_unit_test(test_a_backend_that_keeps_its_panes),
        cmocka_unit_test(test_the_ring_keeps_the_newest),
        cmocka_unit_test(test_too_many_backends),
        cmocka_unit_test(test_panic_while_the_lock_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
