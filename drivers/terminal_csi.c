/*
 * A terminal's control sequences: what follows ESC [.
 *
 * Not here: collecting them (terminal.c). Reports (DSR, DA) are not answered: a serial terminal
 * that shows the same text answers already, and two answers would be one too many. Pure.
 * Lock: the caller's.
 * ECMA-48, "Control functions"; DEC VT100 user guide, "Control Sequences".
 */
#include "drivers/terminal_grid.h"

/* A parameter that was left out, or is 0, counts as `otherwise`. */
static uint32_t parameter(const struct terminal *t, unsigned index, uint32_t otherwise)
{
    if (index >= t->parameter_count || t->parameters[index] == 0)
        return otherwise;
    return t->parameters[index];
}

static uint32_t at_most(uint32_t n, uint32_t most)
{
    return n < most ? n : most;
}

static void erase_display(struct terminal *t)
{
    uint32_t row = t->pen.row, column = t->pen.column;
    switch (parameter(t, 0, 0)) {
    case 0:
        grid_erase(t, row, column, t->columns);
        for (uint32_t r = row + 1; r < t->rows; r++)
            grid_erase(t, r, 0, t->columns);
        break;
    case 1:
        for (uint32_t r = 0; r < row; r++)
            grid_erase(t, r, 0, t->columns);
        grid_erase(t, row, 0, column + 1);
        break;
    case 2:
    case 3:
        for (uint32_t r = 0; r < t->rows; r++)
            grid_erase(t, r, 0, t->columns);
        break;
    default:
        break;
    }
}

static void erase_line(struct terminal *t)
{
    switch (parameter(t, 0, 0)) {
    case 0:
        grid_erase(t, t->pen.row, t->pen.column, t->columns);
        break;
    case 1:
        grid_erase(t, t->pen.row, 0, t->pen.column + 1);
        break;
    case 2:
        grid_erase(t, t->pen.row, 0, t->columns);
        break;
    default:
        break;
    }
}

/* xterm's 256 colours, brought to the 16 that there are. */
static uint8_t nearest_of_rgb(uint32_t red, uint32_t green, uint32_t blue)
{
    uint32_t most = red > green ? red : green;
    uint32_t half;
    most = blue > most ? blue : most;
    if (most < 48)
        return 0;
    half = most / 2;
    return (uint8_t)((red > half ? 1 : 0) | (green > half ? 2 : 0) | (blue > half ? 4 : 0) |
                     (most > 176 ? 8 : 0));
}

static uint8_t nearest_of_256(uint32_t index)
{
    if (index < 16)
        return (uint8_t)index;
    if (index > 255)
        return TERMINAL_DEFAULT_FOREGROUND;
    if (index >= 232)
        return nearest_of_rgb((index - 232) * 10 + 8, (index - 232) * 10 + 8,
                              (index - 232) * 10 + 8);
    index -= 16;
    return nearest_of_rgb(index / 36 * 51, index / 6 % 6 * 51, index % 6 * 51);
}

/* 38 and 48: how many parameters belong to the colour, which goes to *color. */
static unsigned extended_color(const struct terminal *t, unsigned at, uint8_t *color)
{
    switch (parameter(t, at + 1, 0)) {
    case 5:
        *color = nearest_of_256(parameter(t, at + 2, 0));
        return 2;
    case 2:
        *color = nearest_of_rgb(parameter(t, at + 2, 0), parameter(t, at + 3, 0),
                                parameter(t, at + 4, 0));
        return 4;
    default:
        return 0;
    }
}

/* One attribute; returns how many more parameters it used. */
static unsigned select_attribute(struct terminal *t, unsigned at)
{
    struct terminal_pen *pen = &t->pen;
    uint32_t n = parameter(t, at, 0);
    if (n == 0) {
        pen->foreground = TERMINAL_DEFAULT_FOREGROUND;
        pen->background = TERMINAL_DEFAULT_BACKGROUND;
        pen->bold = pen->reverse = false;
    } else if (n == 1 || n == 22) {
        pen->bold = n == 1;
    } else if (n == 7 || n == 27) {
        pen->reverse = n == 7;
    } else if (n >= 30 && n <= 37) {
        pen->foreground = (uint8_t)(n - 30);
    } else if (n == 38) {
        return extended_color(t, at, &pen->foreground);
    } else if (n == 39) {
        pen->foreground = TERMINAL_DEFAULT_FOREGROUND;
    } else if (n >= 40 && n <= 47) {
        pen->background = (uint8_t)(n - 40);
    } else if (n == 48) {
        return extended_color(t, at, &pen->background);
    } else if (n == 49) {
        pen->background = TERMINAL_DEFAULT_BACKGROUND;
    } else if (n >= 90 && n <= 97) {
        pen->foreground = (uint8_t)(n - 90 + 8);
    } else if (n >= 100 && n <= 107) {
        pen->background = (uint8_t)(n - 100 + 8);
    }
    return 0;
}

static void select_attributes(struct terminal *t)
{
    unsigned count = t->parameter_count ? t->parameter_count : 1;
    for (unsigned at = 0; at < count; at++)
        at += select_attribute(t, at);
}

static void set_private_mode(struct terminal *t, uint32_t mode, bool on)
{
    switch (mode) {
    case 6: /* DECOM */
        t->pen.origin = on;
        grid_move_to(t, on ? t->top : 0, 0);
        break;
    case 7: /* DECAWM */
        t->autowrap = on;
        break;
    case 25: /* DECTCEM */
        t->cursor_visible = on;
        grid_touch_cursor(t);
        break;
    case 47: /* the other screen of full-screen programs: a clean one at least */
    case 1047:
    case 1049:
        t->parameter_count = 1;
        t->parameters[0] = 2;
        if (on)
            t->saved = t->pen;
        erase_display(t);
        if (!on)
            grid_restore(t);
        break;
    default:
        break;
    }
}

static void set_modes(struct terminal *t, bool on)
{
    unsigned count = t->parameter_count;
    for (unsigned i = 0; i < count && i < TERMINAL_PARAMETERS; i++) {
        uint32_t mode = t->parameters[i];
        if (t->private_mark == '?')
            set_private_mode(t, mode, on);
        else if (t->private_mark == 0 && mode == 4)
            t->insert = on;
    }
}

static void set_region(struct terminal *t)
{
    uint32_t top = parameter(t, 0, 1) - 1;
    uint32_t bottom = at_most(parameter(t, 1, t->rows), t->rows) - 1;
    if (top >= bottom)
        return;
    t->top = top;
    t->bottom = bottom;
    grid_move_to(t, t->pen.origin ? top : 0, 0);
}

/* Lines come and go between the cursor and the region's end, if the cursor is inside. */
static void insert_or_delete_lines(struct terminal *t, bool insert)
{
    if (t->pen.row < t->top || t->pen.row > t->bottom)
        return;
    if (insert)
        grid_scroll_down(t, t->pen.row, t->bottom, parameter(t, 0, 1));
    else
        grid_scroll_up(t, t->pen.row, t->bottom, parameter(t, 0, 1));
    grid_move_to(t, t->pen.row, 0);
}

/* Up and down stop at the region's edge when they begin inside of it. */
static void move_vertically(struct terminal *t, bool up, uint32_t column)
{
    uint32_t n = parameter(t, 0, 1), row = t->pen.row;
    uint32_t edge;
    if (up) {
        edge = row >= t->top ? t->top : 0;
        grid_move_to(t, row - at_most(n, row - edge), column);
    } else {
        edge = row <= t->bottom ? t->bottom : t->rows - 1;
        grid_move_to(t, row + at_most(n, edge - row), column);
    }
}

static void move_to_row(struct terminal *t, uint32_t row, uint32_t column)
{
    row = at_most(row, t->rows) - 1;
    grid_move_to(t, t->pen.origin ? row + t->top : row, column);
}

static void clear_tabs(struct terminal *t)
{
    uint32_t which = parameter(t, 0, 0);
    if (which == 0)
        t->tab[t->pen.column] = false;
    for (uint32_t i = 0; which == 3 && i < t->columns; i++)
        t->tab[i] = false;
}

static bool run_cursor(struct terminal *t, uint8_t final)
{
    uint32_t n = parameter(t, 0, 1), row = t->pen.row, column = t->pen.column;
    switch (final) {
    case 'A':
    case 'F':
        move_vertically(t, true, final == 'F' ? 0 : column);
        return true;
    case 'B':
    case 'e':
    case 'E':
        move_vertically(t, false, final == 'E' ? 0 : column);
        return true;
    case 'C':
    case 'a':
        grid_move_to(t, row, column + at_most(n, t->columns));
        return true;
    case 'D':
        grid_move_to(t, row, column - at_most(n, column));
        return true;
    case 'G':
    case '`':
        grid_move_to(t, row, n - 1);
        return true;
    case 'd':
        move_to_row(t, n, column);
        return true;
    case 'H':
    case 'f':
        move_to_row(t, n, parameter(t, 1, 1) - 1);
        return true;
    default:
        return false;
    }
}

static bool run_edit(struct terminal *t, uint8_t final)
{
    uint32_t n = parameter(t, 0, 1);
    switch (final) {
    case 'J':
        erase_display(t);
        return true;
    case 'K':
        erase_line(t);
        return true;
    case 'L':
    case 'M':
        insert_or_delete_lines(t, final == 'L');
        return true;
    case 'P':
        grid_delete_cells(t, n);
        return true;
    case '@':
        grid_insert_cells(t, n);
        return true;
    case 'X':
        grid_erase(t, t->pen.row, t->pen.column, t->pen.column + at_most(n, t->columns));
        return true;
    case 'S':
        grid_scroll_up(t, t->top, t->bottom, n);
        return true;
    case 'T':
        grid_scroll_down(t, t->top, t->bottom, n);
        return true;
    case 'b':
        for (n = at_most(n, t->columns * t->rows); n > 0; n--)
            grid_put(t, t->last_code);
        return true;
    default:
        return false;
    }
}

void terminal_run_csi(struct terminal *t, uint8_t final)
{
    if (final == 'h' || final == 'l') {
        set_modes(t, final == 'h');
        return;
    }
    if (t->private_mark != 0 || run_cursor(t, final) || run_edit(t, final))
        return;
    switch (final) {
    case 'm':
        select_attributes(t);
        break;
    case 'r':
        set_region(t);
        break;
    case 'g':
        clear_tabs(t);
        break;
    case 's':
        t->saved = t->pen;
        break;
    case 'u':
        grid_restore(t);
        break;
    default:
        break;
    }
}
