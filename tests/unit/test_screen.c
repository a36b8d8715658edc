// SRCS: drivers/screen.c drivers/terminal.c drivers/terminal_csi.c drivers/terminal_grid.c drivers/qr.c drivers/qr_symbol.c
/* Cells to pixels, on a framebuffer with guards around it and a font that can be recognised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hv/drv_screen.h"

/* 8x2 glyphs: '?' is solid on top, ' ' empty, 'A' 0x81 0x18. */
static const uint8_t glyphs[] = { 0xff, 0x00, 0x00, 0x00, 0x81, 0x18 };
static const struct font_point points[] = { { ' ', 1 }, { '?', 0 }, { 'A', 2 }, { 'B', 77 } };
static const struct font font = { 8, 2, 3, 4, glyphs, points };

static struct screen screen;
static struct terminal terminal;
static struct terminal_cell cells[TERMINAL_MOST_COLUMNS * (TERMINAL_MOST_ROWS + 10)];
static uint32_t *pixels;
static struct boot_framebuffer buffer;

static bool begin(uint32_t width, uint32_t height, uint32_t pitch_pixels,
                  enum boot_pixel_format format)
{
    free(pixels);
    pixels = malloc((size_t)height * pitch_pixels * 4); /* the sanitizer guards its ends */
    for (size_t i = 0; i < (size_t)height * pitch_pixels; i++)
        pixels[i] = 0xdeadbeef;
    buffer = (struct boot_framebuffer){ (uintptr_t)pixels, (uint64_t)height * pitch_pixels * 4,
                                        width, height, pitch_pixels * 4, format };
    if (!screen_init(&screen, &buffer, &font, screen_scale(width, &font)))
        return false;
    terminal_init(&terminal, screen.columns, screen.rows, cells, sizeof(cells) / sizeof(cells[0]));
    screen_show(&screen, &terminal);
    return true;
}

static void write_text(const char *bytes, size_t n)
{
    terminal_write(&terminal, bytes, n);
    screen_changed(&screen);
}

static uint32_t pixel(uint32_t x, uint32_t y)
{
    return pixels[y * (buffer.pitch_bytes / 4) + x];
}

static void test_font_lookup(void **state)
{
    (void)state;
    assert_ptr_equal(font_glyph(&font, 'A'), glyphs + 4);
    assert_ptr_equal(font_glyph(&font, ' '), glyphs + 2);
    assert_ptr_equal(font_glyph(&font, 0xffff), glyphs); /* '?' */
    assert_ptr_equal(font_glyph(&font, 0), glyphs);
    assert_ptr_equal(font_glyph(&font, 'B'), glyphs);    /* a glyph that does not exist */
    static const struct font empty = { 8, 2, 1, 0, glyphs, points };
    assert_ptr_equal(font_glyph(&empty, 'A'), glyphs);
}

static void test_scale(void **state)
{
    (void)state;
    static const uint32_t cases[][2] = { { 640, 1 },  { 800, 1 },  { 1024, 1 }, { 1280, 1 },
                                         { 1920, 2 }, { 2560, 3 }, { 3840, 4 }, { 1, 1 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(screen_scale(cases[i][0], &font), cases[i][1]);
}

static void test_pixels_of_both_formats(void **state)
{
    (void)state;
    assert_true(begin(80, 20, 96, BOOT_PIXEL_BGRX));
    write_text("\x1b[?25l\x1b[91mA", 13);
    assert_int_equal(pixel(0, 0), 0xff0000);
    assert_int_equal(pixel(1, 0), 0);
    assert_int_equal(pixel(7, 0), 0xff0000);
    assert_int_equal(pixel(3, 1), 0xff0000);
    assert_int_equal(pixel(0, 1), 0);
    assert_int_equal(pixel(80, 0), 0xdeadbeef); /* what the pitch adds is nobody's */
    assert_true(begin(80, 20, 80, BOOT_PIXEL_RGBX));
    write_text("\x1b[91mA", 6);
    assert_int_equal(pixel(0, 0), 0x0000ff);
}

static void test_scaled_and_centred(void **state)
{
    (void)state;
    assert_true(begin(2051, 23, 2051, BOOT_PIXEL_RGBX));
    assert_int_equal(screen.scale, 2);
    assert_int_equal(terminal.columns, 128);
    assert_int_equal(terminal.rows, 5);
    assert_int_equal(screen.left, 1);
    assert_int_equal(screen.top, 1);
    write_text("\x1b[97mA", 6);
    for (uint32_t y = 1; y < 3; y++) {
        assert_int_equal(pixel(0, y), 0);
        assert_int_equal(pixel(1, y), 0xffffff);
        assert_int_equal(pixel(2, y), 0xffffff);
        assert_int_equal(pixel(3, y), 0);
    }
}

static void test_only_what_changes_is_drawn(void **state)
{
    (void)state;
    assert_true(begin(80, 20, 80, BOOT_PIXEL_RGBX));
    write_text("AAAA\x1b[?25l", 10);
    for (size_t i = 0; i < 80 * 20; i++)
        pixels[i] = 0x12345678;
    write_text("\rAAA\x1b[1;1HA", 11); /* the same again */
    for (size_t i = 0; i < 80 * 20; i++)
        assert_int_equal(pixels[i], 0x12345678);
    write_text("?", 1);
    assert_int_equal(pixel(8, 0), 229 * 0x10101);
    assert_int_equal(pixel(0, 0), 0x12345678);
}

static void test_scrolling_is_drawn_in_batches(void **state)
{
    (void)state;
    assert_true(begin(80, 20, 80, BOOT_PIXEL_RGBX)); /* 10 rows */
    write_text("\x1b[?25l\x1b[10;1H?\n", 15);
    assert_int_equal(pixel(0, 18), 0); /* put off: row 9 has scrolled and is not drawn yet */
    screen_flush(&screen);
    assert_int_equal(pixel(0, 16), 229 * 0x10101);
    write_text("\n\n\n\n", 4);
    assert_int_equal(pixel(0, 16), 229 * 0x10101);
    write_text("\n", 1); /* half a screen */
    assert_int_equal(pixel(0, 16), 0);
    assert_int_equal(pixel(0, 6), 229 * 0x10101);
}

static void test_the_cursor_is_reverse(void **state)
{
    (void)state;
    assert_true(begin(80, 20, 80, BOOT_PIXEL_RGBX));
    assert_int_equal(pixel(0, 0), 229 * 0x10101);
    write_text("\x1b[?25l", 6);
    assert_int_equal(pixel(0, 0), 0);
}

static void test_huge_screens_are_filled_as_far_as_the_grid_goes(void **state)
{
    (void)state;
    assert_true(begin(300, 600, 300, BOOT_PIXEL_RGBX)); /* 300 rows of this font */
    assert_int_equal(terminal.rows, TERMINAL_MOST_ROWS);
    write_text("\x1b[999;999HA", 11);
    screen_flush(&screen);
}

static void test_another_terminal_is_shown(void **state)
{
    static struct terminal other;
    static struct terminal_cell lines[80 * 20];

    (void)state;
    assert_true(begin(80, 20, 80, BOOT_PIXEL_RGBX));
    write_text("\x1b[?25lA?", 8);
    terminal_init(&other, screen.columns, screen.rows, lines, 80 * 20);
    terminal_write(&other, "\x1b[?25lAA", 8);
    for (size_t i = 0; i < 80 * 20; i++)
        pixels[i] = 0x12345678;
    screen_show(&screen, &other);
    assert_int_equal(pixel(0, 0), 0x12345678); /* the same there: not drawn again */
    assert_int_equal(pixel(8, 0), 229 * 0x10101);
    assert_int_equal(pixel(9, 0), 0);
    screen_show(&screen, &terminal);
    assert_int_equal(pixel(9, 0), 229 * 0x10101);
}

static void test_a_line_of_cells(void **state)
{
    static struct terminal_cell bar[10];

    (void)state;
    assert_true(begin(80, 20, 80, BOOT_PIXEL_RGBX));
    for (unsigned i = 0; i < 10; i++)
        bar[i] = (struct terminal_cell){ i ? ' ' : '?', 0, 7 };
    screen_draw_row(&screen, 9, bar);
    assert_int_equal(pixel(0, 18), 0);
    assert_int_equal(pixel(8, 18), 229 * 0x10101);
    assert_int_equal(pixel(0, 19), 229 * 0x10101);
}

static void test_a_code_is_drawn_in_whole_pixels(void **state)
{
    static struct qr_code qr;

    (void)state;
    assert_true(qr_encode(&qr, (const uint8_t *)"x", 1, QR_LEVEL_L, 1, 0)); /* 21 + 8 modules */
    assert_true(begin(120, 100, 120, BOOT_PIXEL_RGBX));
    screen_draw_code(&screen, &qr); /* two pixels each: 58 of the 60 that half of the width has */
    assert_int_equal(pixel(62, 42), 0xffffff); /* quiet */
    assert_int_equal(pixel(61, 42), 0);
    assert_int_equal(pixel(69, 50), 0xffffff);
    assert_int_equal(pixel(70, 50), 0); /* a finder's corner */
    assert_int_equal(pixel(72, 52), 0xffffff);
    assert_int_equal(pixel(119, 99), 0xffffff);
    assert_true(begin(56, 40, 56, BOOT_PIXEL_RGBX));
    screen_draw_code(&screen, &qr); /* no room: nothing */
    assert_int_equal(pixel(55, 39), 0);
}

static void test_what_is_no_screen(void **state)
{
    (void)state;
    assert_false(begin(80, 20, 80, BOOT_PIXEL_NONE));
    assert_false(begin(8, 20, 8, BOOT_PIXEL_RGBX));
    assert_false(begin(80, 2, 80, BOOT_PIXEL_RGBX));
    assert_true(begin(80, 20, 80, BOOT_PIXEL_RGBX));
    struct boot_framebuffer bad = buffer;
    bad.width = 81;
    assert_false(screen_init(&screen, &bad, &font, 1));
    bad = buffer;
    bad.bytes--;
    assert_false(screen_init(&screen, &bad, &font, 1));
    bad = buffer;
    bad.start = 0;
    assert_false(screen_init(&screen, &bad, &font, 1));
    bad = buffer;
    bad.start++;
    assert_false(screen_init(&screen, &bad, &font, 1));
    free(pixels);
    pixels = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_font_lookup),
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_pixels_of_both_formats),
        cmocka_unit_test(test_scaled_and_centred),
        cmocka_unit_test(test_only_what_changes_is_drawn),
        cmocka_unit_test(test_scrolling_is_drawn_in_batches),
        cmocka_unit_test(test_the_cursor_is_reverse),
        cmocka_unit_test(test_huge_screens_are_filled_as_far_as_the_grid_goes),
        cmocka_unit_test(test_another_terminal_is_shown),
        cmocka_unit_test(test_a_line_of_cells),
        cmocka_unit_test(test_a_code_is_drawn_in_whole_pixels),
        cmocka_unit_test(test_what_is_no_screen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
