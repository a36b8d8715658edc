// SRCS: boot/menu.c boot/utf.c vmm/lib/format.c
/* The menu of a stick: keys, clock, and rows on screens of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "boot/menu.h"
#include "boot/utf.h"

static struct config_menu entries;
static struct menu menu;
static struct menu_page page;

static void begin(unsigned count, unsigned seconds, const char *last)
{
    memset(&entries, 0, sizeof(entries));
    entries.count = count;
    entries.seconds = seconds;
    for (unsigned i = 0; i < count; i++) {
        snprintf(entries.entries[i].title, CONFIG_TITLE_BYTES, "entry %c", 'a' + i);
        snprintf(entries.entries[i].config, CONFIG_PATH_BYTES, "%c.cfg", 'a' + i);
    }
    menu_begin(&menu, &entries, last);
}

static void test_arrows_go_round(void **state)
{
    (void)state;
    begin(3, 0, NULL);
    assert_int_equal(menu.marked, 0);
    assert_int_equal(menu_press(&menu, MENU_KEY_UP), MENU_WAITS);
    assert_int_equal(menu.marked, 2);
    menu_press(&menu, MENU_KEY_DOWN);
    assert_int_equal(menu.marked, 0);
    menu_press(&menu, MENU_KEY_DOWN);
    assert_int_equal(menu.marked, 1);
    menu_press(&menu, MENU_KEY_UP);
    assert_int_equal(menu.marked, 0);
    menu_press(&menu, MENU_KEY_LAST);
    assert_int_equal(menu.marked, 2);
    menu_press(&menu, MENU_KEY_FIRST);
    assert_int_equal(menu.marked, 0);
    begin(1, 0, NULL);
    menu_press(&menu, MENU_KEY_DOWN);
    assert_int_equal(menu.marked, 0);
    menu_press(&menu, MENU_KEY_UP);
    assert_int_equal(menu.marked, 0);
}

static void test_digits_mark_what_is_there(void **state)
{
    (void)state;
    begin(3, 0, NULL);
    menu_press(&menu, MENU_KEY_NUMBER + 3);
    assert_int_equal(menu.marked, 2);
    menu_press(&menu, MENU_KEY_NUMBER + 1);
    assert_int_equal(menu.marked, 0);
    assert_int_equal(menu_press(&menu, MENU_KEY_NUMBER + 4), MENU_WAITS);
    assert_int_equal(menu.marked, 0);
    menu_press(&menu, MENU_KEY_NUMBER);
    menu_press(&menu, MENU_KEY_OTHER);
    assert_int_equal(menu.marked, 0);
}

static void test_enter_and_escape_answer(void **state)
{
    (void)state;
    begin(2, 5, NULL);
    assert_int_equal(menu_press(&menu, MENU_KEY_ENTER), MENU_STARTS);
    begin(2, 5, NULL);
    assert_int_equal(menu_press(&menu, MENU_KEY_ESCAPE), MENU_LEAVES);
}

static void test_the_clock_starts_the_marked_entry(void **state)
{
    (void)state;
    begin(3, 2, "entry c");
    assert_int_equal(menu.marked, 2);
    assert_int_equal(menu_tick(&menu), MENU_WAITS);
    assert_int_equal(menu.seconds_left, 1);
    assert_int_equal(menu_tick(&menu), MENU_STARTS);
    /* None: it waits for as long as it takes. */
    begin(3, 0, NULL);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(menu_tick(&menu), MENU_WAITS);
}

static void test_any_key_stops_the_clock(void **state)
{
    (void)state;
    for (unsigned key = 0; key < MENU_KEY_NUMBER + 10; key++) {
        begin(3, 5, NULL);
        menu_press(&menu, key);
        assert_int_equal(menu.seconds_left, 0);
        assert_int_equal(menu_tick(&menu), MENU_WAITS);
    }
}

static void test_the_last_choice_is_found_by_its_title(void **state)
{
    (void)state;
    begin(3, 5, "entry b");
    assert_int_equal(menu.marked, 1);
    begin(3, 5, "entry");
    assert_int_equal(menu.marked, 0);
    begin(3, 5, "");
    assert_int_equal(menu.marked, 0);
}

static bool row_has(unsigned row, const char *text)
{
    return strstr(page.rows[row].text, text) != NULL;
}

/* The text, and then spaces up to the width of the block. */
static bool row_is(int row, const char *text)
{
    const char *found = page.rows[row].text;
    size_t length = strlen(text);
    return strncmp(found, text, length) == 0 && strlen(found) == MENU_MOST_COLUMNS &&
           strspn(found + length, " ") == MENU_MOST_COLUMNS - length;
}

static int row_with(const char *text)
{
    for (unsigned i = 0; i < page.count; i++)
        if (row_has(i, text))
            return (int)i;
    return -1;
}

static void test_an_ordinary_screen(void **state)
{
    (void)state;
    begin(3, 9, "entry b");
    menu_render(&menu, 80, 25, &page);
    int row = row_with("entry a");
    assert_true(row > 0);
    assert_true(row_is(row, "   1  entry a"));
    assert_false(page.rows[row].marked);
    assert_true(row_is(row + 1, " > 2  entry b"));
    assert_true(page.rows[row + 1].marked);
    assert_true(row_with("starts in 9 seconds; any key stops the clock") > row);
    assert_true(row_with("Up, Down: mark   Enter: start   Esc: leave") > row);
    menu.seconds_left = 1;
    menu_render(&menu, 80, 25, &page);
    assert_true(row_with("starts in 1 second; ") > row);
    unsigned count = page.count;
    menu.seconds_left = 0;
    menu_render(&menu, 80, 25, &page);
    assert_int_equal(row_with("starts in"), -1);
    assert_int_equal(strlen(page.rows[row_with("Up, Down") - 2].text), MENU_MOST_COLUMNS);
    assert_int_equal(page.count, count); /* nothing moves when the clock stops */
}

static void test_the_block_stands_in_the_middle_of_wide_screens(void **state)
{
    (void)state;
    begin(2, 0, NULL);
    menu_render(&menu, 240, 67, &page);
    assert_int_equal(page.rows[0].column, (240 - MENU_MOST_COLUMNS) / 2);
    menu_render(&menu, 80, 25, &page);
    assert_int_equal(page.rows[0].column, 1);
}

static void test_a_message_is_wrapped_at_spaces(void **state)
{
    (void)state;
    begin(2, 0, NULL);
    snprintf(menu.message, sizeof(menu.message),
             "entry a was refused: one two three four five six seven eight nine ten eleven twelve "
             "thirteen");
    menu_render(&menu, 80, 25, &page);
    int row = row_with("entry a was refused");
    assert_true(row > 0);
    assert_int_equal(row, (int)page.count - 2);
    assert_int_equal(page.rows[row + 1].text[0] == ' ', 0);
    assert_true(row_has((unsigned)row + 1, "thirteen"));
    memset(menu.message, 'x', sizeof(menu.message) - 1);
    menu.message[sizeof(menu.message) - 1] = 0;
    menu_render(&menu, 80, 25, &page);
    assert_int_equal(page.rows[page.count - 1].text[0], 'x');
    assert_int_equal(strlen(page.rows[page.count - 1].text), 78);
}

static unsigned columns_of(const char *text)
{
    unsigned columns = 0;
    for (; *text; columns++)
        (void)utf8_next(&text);
    return columns;
}

/* Whatever the firmware says of its console: inside of it, and the marked entry is seen. */
static void test_every_size_of_screen(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= CONFIG_MAX_MENU; count += 3) {
        begin(count, 5, NULL);
        strcpy(menu.entries[0].title, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3"
                                      "\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
        strcpy(menu.message, "something to say, and a little more of it than fits into one line "
                             "of a small screen");
        for (unsigned rows = 0; rows <= 140; rows += rows < 40 ? 1 : 25) {
            for (unsigned columns = 0; columns <= 480; columns += columns < 90 ? 3 : 130) {
                unsigned marked = 0, room = columns < 20 ? 20 : columns;
                menu.marked = (rows + columns) % count;
                menu_render(&menu, columns, rows, &page);
                assert_true(page.count <= rows);
                for (unsigned i = 0; i < page.count; i++) {
                    marked += page.rows[i].marked;
                    assert_true(page.rows[i].column + columns_of(page.rows[i].text) < room);
                }
                assert_int_equal(marked, rows ? 1 : 0);
            }
        }
    }
}

static void test_a_tab_is_a_space(void **state)
{
    (void)state;
    begin(1, 0, NULL);
    strcpy(menu.entries[0].title, "a\tb");
    menu_render(&menu, 80, 25, &page);
    assert_true(row_with("a b") > 0);
}

static void test_more_entries_than_rows_scroll(void **state)
{
    (void)state;
    begin(16, 0, NULL);
    menu_render(&menu, 80, 14, &page);
    assert_true(row_with("entry f ...") > 0);
    assert_int_equal(row_with("entry g"), -1);
    menu_press(&menu, MENU_KEY_LAST);
    menu_render(&menu, 80, 14, &page);
    assert_int_equal(row_with("entry j"), -1);
    assert_true(row_with("entry k ...") > 0);
    assert_true(page.rows[row_with("entry p")].marked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrows_go_round),
        cmocka_unit_test(test_digits_mark_what_is_there),
        cmocka_unit_test(test_enter_and_escape_answer),
        cmocka_unit_test(test_the_clock_starts_the_marked_entry),
        cmocka_unit_test(test_any_key_stops_the_clock),
        cmocka_unit_test(test_the_last_choice_is_found_by_its_title),
        cmocka_unit_test(test_an_ordinary_screen),
        cmocka_unit_test(test_the_block_stands_in_the_middle_of_wide_screens),
        cmocka_unit_test(test_a_message_is_wrapped_at_spaces),
        cmocka_unit_test(test_every_size_of_screen),
        cmocka_unit_test(test_a_tab_is_a_space),
        cmocka_unit_test(test_more_entries_than_rows_scroll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
