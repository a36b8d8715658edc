/*
 * A terminal's grid: cells, cursor, scrolling.
 *
 * Not here: the bytes that ask for it (terminal.c). Pure. Lock: the caller's.
 * DEC VT100 user guide, "Control Sequences": DECSTBM, DECAWM, IND, RI.
 */
#include "drivers/terminal_grid.h"

#include "hv/string.h"

/* A row of the grid, counted from a line that may lie above it. */
static struct terminal_cell *line_at(const struct terminal *t, uint32_t from, uint32_t row)
{
    return t->lines + (size_t)((from + row) % t->line_count) * t->columns;
}

struct terminal_cell *grid_row(const struct terminal *t, uint32_t row)
{
    return line_at(t, t->first, row);
}

void grid_touch(struct terminal *t, uint32_t row, uint32_t from, uint32_t to)
{
    row += t->back;
    if (row >= t->rows) /* below the view */
        return;
    if (t->dirty_from[row] >= t->dirty_to[row]) {
        t->dirty_from[row] = from;
        t->dirty_to[row] = to;
        return;
    }
    if (from < t->dirty_from[row])
        t->dirty_from[row] = from;
    if (to > t->dirty_to[row])
        t->dirty_to[row] = to;
}

void grid_touch_cursor(struct terminal *t)
{
    grid_touch(t, t->pen.row, t->pen.column, t->pen.column + 1);
}

static struct terminal_cell cell_of(const struct terminal *t, uint16_t code)
{
    uint8_t foreground = t->pen.foreground, background = t->pen.background;
    if (t->pen.bold && foreground < 8)
        foreground += 8;
    if (t->pen.reverse)
        return (struct terminal_cell){ code, background, foreground };
    return (struct terminal_cell){ code, foreground, background };
}

void grid_erase(struct terminal *t, uint32_t row, uint32_t from, uint32_t to)
{
    struct terminal_cell blank = { ' ', t->pen.foreground, t->pen.background };
    if (to > t->columns)
        to = t->columns;
    for (uint32_t column = from; column < to; column++)
        grid_row(t, row)[column] = blank;
    grid_touch(t, row, from, to);
}

static void copy_row(struct terminal *t, uint32_t to, uint32_t from)
{
    memcpy(grid_row(t, to), grid_row(t, from), t->columns * sizeof(struct terminal_cell));
    grid_touch(t, to, 0, t->columns);
}

/* The whole grid moves down the ring. A view that is moved back keeps its lines, until they are
 * written over. */
static void scroll_into_history(struct terminal *t, uint32_t n)
{
    uint32_t most = t->line_count - t->rows;
    t->first = (t->first + n) % t->line_count;
    t->history = t->history + n < most ? t->history + n : most;
    if (t->back && t->back + n <= t->history) {
        t->back += n;
    } else {
        t->back = t->back ? t->history : 0;
        terminal_touch_all(t);
    }
    for (uint32_t row = t->rows - n; row < t->rows; row++)
        grid_erase(t, row, 0, t->columns);
    t->scrolled += n;
}

void grid_scroll_up(struct terminal *t, uint32_t first, uint32_t last, uint32_t n)
{
    uint32_t height = last - first + 1;
    if (n > height)
        n = height;
    if (height == t->rows) {
        scroll_into_history(t, n);
        return;
    }
    for (uint32_t row = first; row + n <= last; row++)
        copy_row(t, row, row + n);
    for (uint32_t row = last + 1 - n; row <= last; row++)
        grid_erase(t, row, 0, t->columns);
    t->scrolled += n;
}

void grid_scroll_down(struct terminal *t, uint32_t first, uint32_t last, uint32_t n)
{
    uint32_t height = last - first + 1;
    if (n > height)
        n = height;
    for (uint32_t row = last; row >= first + n; row--)
        copy_row(t, row, row - n);
    for (uint32_t row = first; row < first + n; row++)
        grid_erase(t, row, 0, t->columns);
    t->scrolled += n;
}

void grid_insert_cells(struct terminal *t, uint32_t n)
{
    struct terminal_cell *row = grid_row(t, t->pen.row);
    uint32_t at = t->pen.column, room = t->columns - at;
    if (n > room)
        n = room;
    memmove(row + at + n, row + at, (room - n) * sizeof(*row));
    grid_erase(t, t->pen.row, at, at + n);
    grid_touch(t, t->pen.row, at, t->columns);
}

void grid_delete_cells(struct terminal *t, uint32_t n)
{
    struct terminal_cell *row = grid_row(t, t->pen.row);
    uint32_t at = t->pen.column, room = t->columns - at;
    if (n > room)
        n = room;
    memmove(row + at, row + at + n, (room - n) * sizeof(*row));
    grid_erase(t, t->pen.row, t->columns - n, t->columns);
    grid_touch(t, t->pen.row, at, t->columns);
}

void grid_move_to(struct terminal *t, uint32_t row, uint32_t column)
{
    uint32_t last = t->pen.origin ? t->bottom : t->rows - 1;
    grid_touch_cursor(t);
    t->pen.row = row > last ? last : row;
    if (t->pen.origin && t->pen.row < t->top)
        t->pen.row = t->top;
    t->pen.column = column >= t->columns ? t->columns - 1 : column;
    t->pen.wrap_pending = false;
    grid_touch_cursor(t);
}

void grid_restore(struct terminal *t)
{
    grid_touch_cursor(t);
    t->pen = t->saved;
    grid_touch_cursor(t);
}

void grid_line_feed(struct terminal *t)
{
    grid_touch_cursor(t);
    t->pen.wrap_pending = false;
    if (t->pen.row == t->bottom)
        grid_scroll_up(t, t->top, t->bottom, 1);
    else if (t->pen.row + 1 < t->rows)
        t->pen.row++;
    grid_touch_cursor(t);
}

void grid_reverse_line_feed(struct terminal *t)
{
    grid_touch_cursor(t);
    t->pen.wrap_pending = false;
    if (t->pen.row == t->top)
        grid_scroll_down(t, t->top, t->bottom, 1);
    else if (t->pen.row > 0)
        t->pen.row--;
    grid_touch_cursor(t);
}

void grid_put(struct terminal *t, uint16_t code)
{
    if (t->pen.wrap_pending && t->autowrap) {
        grid_move_to(t, t->pen.row, 0);
        grid_line_feed(t);
    }
    if (t->insert)
        grid_insert_cells(t, 1);
    grid_row(t, t->pen.row)[t->pen.column] = cell_of(t, code);
    grid_touch_cursor(t);
    t->last_code = code;
    if (t->pen.column + 1 < t->columns)
        t->pen.column++;
    else
        t->pen.wrap_pending = true;
    grid_touch_cursor(t);
}

struct terminal_cell terminal_shown(const struct terminal *terminal, uint32_t row, uint32_t column)
{
    uint32_t top = terminal->first + terminal->line_count - terminal->back;
    struct terminal_cell cell = line_at(terminal, top, row)[column];
    if (terminal->cursor_visible && terminal->pen.row + terminal->back == row &&
        terminal->pen.column == column)
        return (struct terminal_cell){ cell.code, cell.background, cell.foreground };
    return cell;
}

void terminal_clean(struct terminal *terminal, uint32_t row)
{
    terminal->dirty_from[row] = terminal->dirty_to[row] = 0;
}

void terminal_touch_all(struct terminal *terminal)
{
    for (uint32_t row = 0; row < terminal->rows; row++) {
        terminal->dirty_from[row] = 0;
        terminal->dirty_to[row] = terminal->columns;
    }
}

void terminal_scroll(struct terminal *terminal, int lines)
{
    int64_t back = (int64_t)terminal->back + lines;
    if (back < 0)
        back = 0;
    if (back > terminal->history)
        back = terminal->history;
    if (back == terminal->back)
        return;
    terminal->back = (uint32_t)back;
    terminal_touch_all(terminal);
}
