/*
 * Cells and QR codes to pixels on the machine's framebuffer.
 *
 * Not here: what the bytes mean (terminal*.c), which terminal is shown (panes.c), the font's pixels
 * (made at build time). Writes only
 * inside of the framebuffer that it was given, whatever the terminal holds. Lock: the caller's.
 */
#include "hv/drv_screen.h"

#include "hv/string.h"

#define COLUMNS_AIMED_AT 128
#define CELL_NEVER_DRAWN 0xffff

/* xterm's colours, but the dark blue, which nobody can read on black. */
static const uint8_t colors[16][3] = {
    { 0, 0, 0 },       { 205, 0, 0 },   { 0, 205, 0 },   { 205, 205, 0 },
    { 40, 80, 238 },   { 205, 0, 205 }, { 0, 205, 205 }, { 229, 229, 229 },
    { 127, 127, 127 }, { 255, 0, 0 },   { 0, 255, 0 },   { 255, 255, 0 },
    { 110, 140, 255 }, { 255, 0, 255 }, { 0, 255, 255 }, { 255, 255, 255 },
};

const uint8_t *font_glyph(const struct font *font, uint16_t code)
{
    uint32_t low = 0, high = font->point_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct font_point *point = &font->points[middle];
        if (point->code == code && point->glyph < font->glyph_count)
            return font->glyphs + (size_t)point->glyph * font->height;
        if (point->code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return code == '?' ? font->glyphs : font_glyph(font, '?');
}

uint32_t screen_scale(uint32_t width, const struct font *font)
{
    uint32_t aim = COLUMNS_AIMED_AT * font->width;
    uint32_t scale = (width + aim / 2) / aim;
    return scale > 0 ? scale : 1;
}

static uint32_t pixel_of(const struct boot_framebuffer *buffer, const uint8_t color[3])
{
    uint32_t red = color[0], green = color[1], blue = color[2];
    if (buffer->format == BOOT_PIXEL_RGBX)
        return red | green << 8 | blue << 16;
    return blue | green << 8 | red << 16;
}

static volatile uint32_t *line_at(const struct screen *screen, uint32_t y)
{
    return (volatile uint32_t *)(uintptr_t)(screen->buffer.start +
                                            (uint64_t)y * screen->buffer.pitch_bytes);
}

static void clear(const struct screen *screen)
{
    for (uint32_t y = 0; y < screen->buffer.height; y++) {
        volatile uint32_t *line = line_at(screen, y);
        for (uint32_t x = 0; x < screen->buffer.width; x++)
            line[x] = screen->palette[0];
    }
}

bool screen_init(struct screen *screen, const struct boot_framebuffer *buffer,
                 const struct font *font, uint32_t scale)
{
    uint32_t cell_width, cell_height;
    if (buffer->format == BOOT_PIXEL_NONE || buffer->start == 0 || buffer->start % 4 != 0 ||
        buffer->width > buffer->pitch_bytes / 4 ||
        (uint64_t)buffer->height * buffer->pitch_bytes > buffer->bytes)
        return false;
    memset(screen, 0, sizeof(*screen));
    screen->buffer = *buffer;
    screen->font = font;
    screen->scale = scale;
    cell_width = font->width * scale;
    cell_height = font->height * scale;
    screen->columns = (uint32_t)hv_min_u64(buffer->width / cell_width, TERMINAL_MOST_COLUMNS);
    screen->rows = (uint32_t)hv_min_u64(buffer->height / cell_height, TERMINAL_MOST_ROWS);
    if (screen->columns < 2 || screen->rows < 2)
        return false;
    for (unsigned i = 0; i < 16; i++)
        screen->palette[i] = pixel_of(buffer, colors[i]);
    screen->left = (buffer->width - screen->columns * cell_width) / 2;
    screen->top = (buffer->height - screen->rows * cell_height) / 2;
    for (uint32_t row = 0; row < TERMINAL_MOST_ROWS; row++) {
        for (uint32_t column = 0; column < TERMINAL_MOST_COLUMNS; column++)
            screen->drawn[row][column].code = CELL_NEVER_DRAWN;
    }
    clear(screen);
    return true;
}

/* One row of a glyph, `scale` pixels for each of its bits. */
static void draw_bits(volatile uint32_t *at, uint8_t bits, uint32_t width, uint32_t scale,
                      uint32_t ink, uint32_t paper)
{
    for (uint32_t i = 0; i < width; i++) {
        uint32_t pixel = bits & (0x80u >> i) ? ink : paper;
        for (uint32_t j = 0; j < scale; j++)
            *at++ = pixel;
    }
}

static void draw_cell(const struct screen *screen, uint32_t row, uint32_t column,
                      struct terminal_cell cell)
{
    const struct font *font = screen->font;
    const uint8_t *glyph = font_glyph(font, cell.code);
    uint32_t ink = screen->palette[cell.foreground & 15];
    uint32_t paper = screen->palette[cell.background & 15];
    uint32_t x = screen->left + column * font->width * screen->scale;
    uint32_t y = screen->top + row * font->height * screen->scale;
    for (uint32_t i = 0; i < font->height * screen->scale; i++)
        draw_bits(line_at(screen, y + i) + x, glyph[i / screen->scale], font->width, screen->scale,
                  ink, paper);
}

static void show_cell(struct screen *screen, uint32_t row, uint32_t column,
                      struct terminal_cell cell)
{
    struct terminal_cell *drawn = &screen->drawn[row][column];
    if (memcmp(&cell, drawn, sizeof(cell)) == 0)
        return;
    draw_cell(screen, row, column, cell);
    *drawn = cell;
}

void screen_flush(struct screen *screen)
{
    struct terminal *terminal = screen->shown;
    for (uint32_t row = 0; terminal && row < terminal->rows; row++) {
        for (uint32_t column = terminal->dirty_from[row]; column < terminal->dirty_to[row]; column++)
            show_cell(screen, row, column, terminal_shown(terminal, row, column));
        terminal_clean(terminal, row);
    }
    if (terminal)
        screen->drawn_scrolled = terminal->scrolled;
}

void screen_show(struct screen *screen, struct terminal *terminal)
{
    screen->shown = terminal;
    terminal_touch_all(terminal);
    screen_flush(screen);
}

void screen_changed(struct screen *screen)
{
    uint64_t behind = screen->shown->scrolled - screen->drawn_scrolled;
    if (behind == 0 || behind >= screen->shown->rows / 2)
        screen_flush(screen);
}

void screen_draw_row(struct screen *screen, uint32_t row, const struct terminal_cell *cells)
{
    for (uint32_t column = 0; column < screen->columns; column++)
        show_cell(screen, row, column, cells[column]);
}

/* --- QR codes --- */

/* Pixels a module: the picture takes half of the width and two thirds of the height at most. */
static uint32_t module_pixels(const struct screen *screen, uint32_t modules)
{
    uint32_t room = (uint32_t)hv_min_u64(screen->buffer.width / 2,
                                         (uint64_t)screen->buffer.height * 2 / 3);
    return room / modules;
}

void screen_draw_code(const struct screen *screen, const struct qr_code *qr)
{
    uint32_t modules = qr->size + 2 * QR_QUIET_ZONE, pixels = module_pixels(screen, modules);
    uint32_t left = screen->buffer.width - modules * pixels;
    uint32_t top = screen->buffer.height - modules * pixels;
    for (uint32_t y = 0; y < modules * pixels; y++) {
        volatile uint32_t *line = line_at(screen, top + y) + left;
        for (uint32_t x = 0; x < modules * pixels; x++) {
            uint32_t mx = x / pixels - QR_QUIET_ZONE, my = y / pixels - QR_QUIET_ZONE;
            bool dark = mx < qr->size && my < qr->size && qr_is_dark(qr, mx, my);
            line[x] = screen->palette[dark ? 0 : 15];
        }
    }
}
