// SRCS: vmm/core/console.c vmm/core/log.c vmm/lib/format.c
/* One machine has one console: the tests run in order, on the same one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
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

static void test_lines_before_the_first_backend_are_shown_to_it(void **state)
{
    (void)state;
    hv_info("early %d", 1);
    assert_int_equal(console_backend_count(), 0);
    assert_int_equal(console_read(), -1);
    first.next = -1;
    struct hv_console_backend b = { "first", screen_write, screen_read, &first, NULL };
    assert_int_equal(console_add(&b), HV_OK);
    expect(&first, "[-] early 1\r\n");
    struct hv_console_backend c = { "second", screen_write, NULL, &second, screen_flush };
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
    guest(&plain, "login: ");
    unsigned before = second.flushes;
    hv_info("hello");
    guest(&plain, "root\r\n");
    assert_int_equal(second.flushes, before + 1); /* once for the line, not for guests' bytes */
    hv_info("again");
    guest(&plain, "");
    expect(&first, "login: \r\n[7] hello\r\nroot\r\n[7] again\r\n");
    expect(&second, "login: \r\n[7] hello\r\nroot\r\n[7] again\r\n");
}

static void test_one_guest_passes_byte_for_byte(void **state)
{
    (void)state;
    static struct console_stream plain;
    const char bytes[] = "\x1b[2J\x00\xff\r50%\r100%\n\nx";
    console_write_guest(&plain, bytes, sizeof(bytes) - 1);
    assert_int_equal(first.used, sizeof(bytes) - 1);
    assert_memory_equal(first.text, bytes, sizeof(bytes) - 1);
    guest(&plain, "\n");
    first.used = second.used = 0;
}

static void test_two_guests_are_told_apart(void **state)
{
    (void)state;
    static struct console_stream a = { .tag = "a" }, b = { .tag = "b" };
    guest(&a, "one\ntw");
    guest(&b, "three\n");
    guest(&a, "o\n");
    expect(&first, "[a] one\n[a] tw\r\n[b] three\n[a] o\n");
    second.used = 0;
}

static void test_reading(void **state)
{
    (void)state;
    first.next = 'k';
    assert_int_equal(console_read(), 'k');
    assert_int_equal(console_read(), -1);
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
    assert_int_equal(console_read(), -1);
    hv_error("panic inside");
}

static void test_too_many_backends(void **state)
{
    (void)state;
    static struct screen sink;
    struct hv_console_backend b = { "sink", screen_write, screen_read, &sink, NULL };
    sink.next = -1;
    assert_int_equal(console_add(&b), HV_OK);
    struct hv_console_backend c = { "faulting", faulting_write, NULL, NULL, NULL };
    assert_int_equal(console_add(&c), HV_OK);
    assert_int_equal(console_add(&b), HV_ERR_NO_MEMORY);
    assert_int_equal(console_backend_count(), CONSOLE_MAX_BACKENDS);
}

static void test_panic_while_the_lock_is_held(void **state)
{
    (void)state;
    static struct console_stream plain;
    first.used = 0;
    faults_now = true;
    hv_info("begun");
    expect(&first, "[7] begun[7] error: panic inside\r\n\r\n");
    guest(&plain, "not any more");
    assert_int_equal(first.used, 0);
    hv_error("last words");
    expect(&first, "[7] error: last words\r\n");
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
    console_release();
    expect(&first, "\r\n[b] three\r\n[a] one\r\n[a] two");
    assert_true(console_disturbed());
    guest(&a, "!\r\n");
    expect(&first, "!\r\n");
}

static void test_the_last_of_much_output_is_kept(void **state)
{
    static struct console_stream plain;
    static char wanted[CONSOLE_HELD_BYTES + 100];
    const char lost[] = "(some output was lost here)\r\n";

    (void)state;
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
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_guests_wait_while_the_operator_has_the_console),
        cmocka_unit_test(test_the_last_of_much_output_is_kept),
        cmocka_unit_test(test_the_ring_keeps_the_newest),
        cmocka_unit_test(test_too_many_backends),
        cmocka_unit_test(test_panic_while_the_lock_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
