// SRCS: drivers/panes.c drivers/screen.c drivers/terminal.c drivers/terminal_csi.c drivers/terminal_grid.c drivers/qr.c drivers/qr_symbol.c vmm/lib/format.c
/* Panes on a screen of 64 by 40 characters, whose font has a pixel for each bit of a character. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/drv_panes.h"
#include "hv/report_text.h"

#define COLUMNS 64
#define ROWS 40
#define FONT_HEIGHT 2

/* A glyph's first row is the character's code, its second one is solid. */
static uint8_t glyphs[128 * FONT_HEIGHT];
static struct font_point points[128];
static struct font font = { 8, FONT_HEIGHT, 128, 128, glyphs, points };

static uint32_t pixels[COLUMNS * 8 * ROWS * FONT_HEIGHT];
static struct panes panes;
static const char *names[CONSOLE_PANES];
static void *taken[CONSOLE_PANES + 1];
static unsigned takes, takes_most;

static void *take(void *ctx, size_t bytes)
{
    (void)ctx;
    if (takes == takes_most)
        return NULL;
    return taken[takes++] = malloc(bytes); /* the sanitizer guards its end */
}

static const char *name(void *ctx, unsigned pane)
{
    (void)ctx;
    return names[pane];
}

static int forget(void **state)
{
    (void)state;
    while (takes)
        free(taken[--takes]);
    return 0;
}

static bool start(unsigned memory, uint32_t rows)
{
    const struct boot_framebuffer buffer = { (uintptr_t)pixels, sizeof(pixels), COLUMNS * 8,
                                             rows * FONT_HEIGHT, COLUMNS * 8 * 4, BOOT_PIXEL_RGBX };
    const struct panes_env env = { take, name, NULL };

    for (unsigned i = 0; i < 128; i++) {
        points[i] = (struct font_point){ (uint16_t)i, (uint16_t)i };
        glyphs[i * FONT_HEIGHT] = (uint8_t)i;
        glyphs[i * FONT_HEIGHT + 1] = 0xff;
    }
    memset(names, 0, sizeof(names));
    names[0] = "all";
    names[1] = "monitor";
    names[2] = "log";
    forget(NULL);
    takes_most = memory;
    return panes_init(&panes, &buffer, &font, &env);
}

/* What stands in a row of pixels. */
static const char *row_of(unsigned row)
{
    static char text[COLUMNS + 1];
    unsigned n = COLUMNS;

    for (unsigned column = 0; column < COLUMNS; column++) {
        const uint32_t *at = pixels + row * FONT_HEIGHT * COLUMNS * 8 + column * 8;
        uint32_t ink = at[COLUMNS * 8];
        unsigned code = 0;
        for (unsigned bit = 0; bit < 8; bit++)
            code = code << 1 | (at[bit] == ink);
        text[column] = code == 0xff ? ' ' : (char)code; /* a blank of one colour */
    }
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = '\0';
    return text;
}

static void put(unsigned pane, const char *text)
{
    panes_write(&panes, pane, text, strlen(text));
    panes_flush(&panes);
}

static void test_panes_are_apart(void **state)
{
    (void)state;
    assert_true(start(9, ROWS));
    put(CONSOLE_PANE_ALL, "together");
    put(CONSOLE_PANE_LOG, "a line of the log");
    assert_string_equal(row_of(0), "together");
    panes_select(&panes, CONSOLE_PANE_LOG);
    assert_string_equal(row_of(0), "a line of the log");
    panes_select(&panes, CONSOLE_PANE_ALL);
    assert_string_equal(row_of(0), "together");
    put(CONSOLE_PANE_MONITOR, "not news: the log is in it");
    assert_false(panes.news[CONSOLE_PANE_MONITOR]);
    put(CONSOLE_PANE_LOG, "one");
    put(CONSOLE_PANE_LOG, "two");
    assert_true(panes.news[CONSOLE_PANE_LOG]);
    put(CONSOLE_PANES, "nowhere");
    panes_select(&panes, CONSOLE_PANES);
    assert_int_equal(panes.shown, CONSOLE_PANE_ALL);
}

static void test_the_bar(void **state)
{
    (void)state;
    assert_true(start(9, ROWS));
    assert_memory_equal(row_of(ROWS - 1), "  F1 all   F2 monitor   F3 log   Alt-F1", 39);
    names[CONSOLE_PANE_GUEST + 1] = "debian";
    put(CONSOLE_PANE_GUEST + 1, "login: ");
    assert_memory_equal(row_of(ROWS - 1), "  F1 all   F2 monitor   F3 log   F5 debian*   Alt", 48);
    panes_select(&panes, CONSOLE_PANE_GUEST + 1);
    assert_memory_equal(row_of(ROWS - 1), "  F1 all   F2 monitor   F3 log   F5 debian   Alt", 48);
    names[3] = "a-name-that-is-longer-than-what-the-rest-of-the-line-has-room-for";
    put(CONSOLE_PANE_ALL, "x");
    assert_int_equal(strlen(row_of(ROWS - 1)), COLUMNS);
}

static void test_scrolling_back(void **state)
{
    char line[20];

    (void)state;
    assert_true(start(9, ROWS));
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(line, sizeof(line), "line %u\r\n", i);
        put(CONSOLE_PANE_ALL, line);
    }
    assert_string_equal(row_of(0), "line 1962");
    panes_scroll(&panes, 1);
    assert_string_equal(row_of(0), "line 1925");
    assert_non_null(strstr(row_of(ROWS - 1), "37 lines back"));
    put(CONSOLE_PANE_ALL, "more\r\n");
    assert_string_equal(row_of(0), "line 1925");
    panes_scroll(&panes, -1);
    assert_string_equal(row_of(0), "line 1962");
    panes_scroll(&panes, 1000);
    assert_string_equal(row_of(0), "line 963");
    panes_end_scroll(&panes);
    assert_string_equal(row_of(0), "line 1963");
    assert_null(strstr(row_of(ROWS - 1), "back"));
    panes_end_scroll(&panes);
    assert_string_equal(row_of(0), "line 1963");
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_false(start(0, ROWS));
    assert_false(start(9, 2)); /* no room for a bar */
    assert_false(start(9, 1));
    assert_true(start(1, ROWS));
    put(CONSOLE_PANE_ALL, "here");
    put(CONSOLE_PANE_LOG, "there");
    panes_select(&panes, CONSOLE_PANE_LOG);
    assert_int_equal(panes.shown, CONSOLE_PANE_ALL);
    assert_string_equal(row_of(0), "here");
    assert_true(start(9, 3)); /* the smallest: a page is at least a line */
    put(CONSOLE_PANE_ALL, "1\r\n2\r\n3");
    panes_scroll(&panes, 1);
    assert_string_equal(row_of(0), "1");
}

static void test_panic(void **state)
{
    static char text[3000];

    (void)state;
    assert_true(start(9, ROWS));
    put(CONSOLE_PANE_ALL, "before");
    panes_select(&panes, CONSOLE_PANE_LOG);
    panes_scroll(&panes, 1);
    panes.screen.buffer.format = BOOT_PIXEL_NONE; /* as if the memory were broken: nothing happens */
    panes_panic(&panes);
    assert_false(panes.in_panic);
    panes.screen.buffer.format = BOOT_PIXEL_RGBX;
    panes_write(&panes, CONSOLE_PANE_GUEST, "x", 1);
    panes_panic(&panes);
    put(CONSOLE_PANE_LOG, "not shown");
    put(CONSOLE_PANE_ALL, "PANIC");
    panes_panic(&panes); /* once more does nothing */
    assert_string_equal(row_of(0), "PANIC");
    assert_string_equal(row_of(ROWS - 1), ""); /* no bar */
    panes_show_code(&panes, "the report", 10);
    assert_int_equal(pixels[COLUMNS * 8 * ROWS * FONT_HEIGHT - 1], 0xffffff);
    memset(text, 'x', sizeof(text));
    panes_show_code(&panes, text, sizeof(text)); /* no code carries it */
}

/* A large screen: letters become smaller, so that a report has room. */
static void test_panic_on_a_large_screen(void **state)
{
    const uint32_t width = 2048, height = 200;
    uint32_t *large = calloc((size_t)width * height, 4);
    const struct boot_framebuffer buffer = { (uintptr_t)large, (uint64_t)width * height * 4, width,
                                             height, width * 4, BOOT_PIXEL_BGRX };
    const struct panes_env env = { take, name, NULL };

    (void)state;
    assert_true(start(9, ROWS));
    assert_true(panes_init(&panes, &buffer, &font, &env));
    assert_int_equal(panes.screen.scale, 2);
    assert_int_equal(panes.screen.rows, 50);
    panes.screen.scale = 4; /* as with a font of more rows */
    panes_panic(&panes);
    assert_int_equal(panes.screen.scale, 2);
    assert_int_equal(panes.terminal[CONSOLE_PANE_ALL].rows, 50);
    free(large);
}

/* --- what a camera would read --- */

/* A report of the greatest length, on a screen of this size, read by a reader that is not ours. */
static void read_code(uint32_t width, uint32_t height)
{
    uint32_t *large = calloc((size_t)width * height, 4);
    const struct boot_framebuffer buffer = { (uintptr_t)large, (uint64_t)width * height * 4, width,
                                             height, width * 4, BOOT_PIXEL_RGBX };
    const struct panes_env env = { take, name, NULL };
    char path[] = "/tmp/trapline-panes-XXXXXX", command[100];
    char text[REPORT_TEXT_BYTES + 1], read[REPORT_TEXT_BYTES + 3];
    FILE *file = fdopen(mkstemp(path), "w");
    size_t n;

    assert_non_null(file);
    for (unsigned i = 0; i < REPORT_TEXT_BYTES; i++)
        text[i] = "called from run_exit+0x1f (text+0x5a78b)\n"[i % 41];
    text[REPORT_TEXT_BYTES] = '\0';
    assert_true(start(9, ROWS));
    assert_true(panes_init(&panes, &buffer, &font, &env));
    panes_panic(&panes);
    panes_show_code(&panes, text, REPORT_TEXT_BYTES);
    fprintf(file, "P5 %u %u 255\n", width, height);
    for (size_t i = 0; i < (size_t)width * height; i++)
        fputc((int)(large[i] & 0xff), file);
    fclose(file);
    free(large);
    snprintf(command, sizeof(command), "zbarimg -q --raw --nodbus %s", path);
    file = popen(command, "r");
    assert_non_null(file);
    n = fread(read, 1, sizeof(read), file);
    pclose(file);
    unlink(path);
    assert_int_equal(n, REPORT_TEXT_BYTES + 1); /* and a line end */
    assert_memory_equal(read, text, REPORT_TEXT_BYTES);
}

static void test_the_code_is_read_on_screens_of_all_sizes(void **state)
{
    static const uint32_t sizes[][2] = { { 640, 480 },   { 800, 600 },   { 1024, 768 }, { 1280, 800 },
                                         { 1366, 768 }, { 1920, 1080 }, { 3840, 2160 } };

    (void)state;
    if (system("command -v zbarimg >/dev/null") != 0) {
        print_message("zbarimg is not installed: nothing was read back\n");
        skip();
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        read_code(sizes[i][0], sizes[i][1]);
        forget(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_panes_are_apart, forget),
        cmocka_unit_test_teardown(test_the_bar, forget),
        cmocka_unit_test_teardown(test_scrolling_back, forget),
        cmocka_unit_test_teardown(test_without_memory, forget),
        cmocka_unit_test_teardown(test_panic, forget),
        cmocka_unit_test_teardown(test_panic_on_a_large_screen, forget),
        cmocka_unit_test_teardown(test_the_code_is_read_on_screens_of_all_sizes, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
