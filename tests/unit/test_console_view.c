// SRCS: vmm/core/console.c vmm/core/console_view.c vmm/core/log.c vmm/lib/format.c
/*
 * Backends that come one after the other, and what each of them shows. There is one console: the tests
 * run in order, on the same one. The rest of it is in test_console.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "hv/console.h"
#include "hv/log.h"

static struct backend {
    char text[16384];
    size_t used;
    int key;
    bool busy;
    unsigned selected;
} plain, quiet, keeper;

static void put(void *ctx, const char *bytes, size_t n)
{
    struct backend *b = ctx;
    assert_true(b->used + n < sizeof(b->text));
    memcpy(b->text + b->used, bytes, n);
    b->used += n;
    b->text[b->used] = 0;
}

static int get(void *ctx)
{
    struct backend *b = ctx;
    int key = b->key;
    b->key = -1;
    return key;
}

static bool is_busy(void *ctx)
{
    return ((const struct backend *)ctx)->busy;
}

static void put_in_pane(void *ctx, unsigned pane, const char *bytes, size_t n)
{
    if (pane == CONSOLE_PANE_ALL)
        put(ctx, bytes, n);
}

static void select_pane(void *ctx, unsigned pane)
{
    ((struct backend *)ctx)->selected = pane;
}

static void scroll(void *ctx, int pages)
{
    (void)ctx;
    (void)pages;
}

static void panic(void *ctx)
{
    ((struct backend *)ctx)->selected = CONSOLE_PANES;
}

static void test_nobody_is_there_yet(void **state)
{
    (void)state;
    assert_false(console_select(CONSOLE_PANE_LOG));
    assert_false(console_is_busy());
    console_show_code("code", 4);
}

/* It is asked as long as it says that there is more, and not if it cannot say. */
static void test_text_that_waits(void **state)
{
    (void)state;
    const struct hv_console_backend without = { "quiet", put, NULL, &quiet, NULL, NULL };
    const struct hv_console_backend with = { "plain", put, get, &plain, NULL, is_busy };
    plain.key = -1;
    assert_int_equal(console_add(&without), HV_OK);
    assert_false(console_is_busy());
    assert_int_equal(console_add(&with), HV_OK);
    assert_false(console_is_busy());
    plain.busy = true;
    assert_true(console_is_busy());
    plain.busy = false;
    assert_false(console_is_busy());
}

/* The log's pane on a serial line: its last twenty lines, from the beginning of the first of them. */
static void test_the_end_of_a_long_log(void **state)
{
    (void)state;
    unsigned pane;
    plain.key = 'x'; /* who typed last is who is asked to change */
    assert_int_equal(console_read(&pane), 'x');
    hv_info("short");
    plain.used = 0;
    assert_true(console_select(CONSOLE_PANE_LOG));
    assert_non_null(strstr(plain.text, "[-] short\r\n"));
    for (unsigned i = 0; i < 500; i++) {
        hv_info("line %u", i);
        plain.used = quiet.used = 0;
    }
    assert_true(console_select(CONSOLE_PANE_ALL));
    plain.used = 0;
    assert_true(console_select(CONSOLE_PANE_LOG));
    const char *first = strstr(plain.text, "---\r\n");
    assert_non_null(first);
    assert_memory_equal(first + 5, "[-] line 480\r\n", 14);
    assert_non_null(strstr(plain.text, "[-] line 499\r\n"));
    for (unsigned i = 0; i < 20; i++) { /* lines so long that twenty are more than there is room for */
        hv_info("%0200u", i);
        plain.used = quiet.used = 0;
    }
    assert_true(console_select(CONSOLE_PANE_LOG));
    first = strstr(plain.text, "---\r\n");
    assert_memory_equal(first + 5, "[-] 000", 7); /* no piece of a line */
    assert_true(plain.used < 1700);
    assert_false(console_select(CONSOLE_PANES));
}

/* A backend with panes need not be able to show a code. */
static void test_a_code_that_cannot_be_shown(void **state)
{
    (void)state;
    const struct hv_console_backend backend = { "keeper", put, NULL, &keeper, NULL, NULL };
    const struct console_pane_ops panes = { put_in_pane, select_pane, scroll, panic, NULL };
    assert_int_equal(console_add_panes(&backend, &panes), HV_OK);
    plain.used = quiet.used = 0;
    console_enter_panic();
    console_show_code("code", 4);
    assert_int_equal(plain.used + quiet.used, 0);
    hv_error("last words");
    assert_int_equal(keeper.selected, CONSOLE_PANES);
    assert_non_null(strstr(keeper.text, "last words"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_is_there_yet),
        cmocka_unit_test(test_text_that_waits),
        cmocka_unit_test(test_the_end_of_a_long_log),
        cmocka_unit_test(test_a_code_that_cannot_be_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
