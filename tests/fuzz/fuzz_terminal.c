// SRCS: drivers/terminal.c drivers/terminal_csi.c drivers/terminal_grid.c
/* Whatever a guest prints, the terminal stays inside of its grid. The first two bytes are its size,
 * the third is how far the view is moved after half of it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "hv/drv_terminal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct terminal *t)
{
    if (t->history > t->line_count - t->rows || t->back > t->history || t->pen.row >= t->rows || t->pen.column >= t->columns || t->top >= t->bottom ||
        t->bottom >= t->rows || t->parameter_count > TERMINAL_PARAMETERS)
        abort();
    for (uint32_t row = 0; row < t->rows; row++) {
        if (t->dirty_to[row] > t->columns)
            abort();
        for (uint32_t column = 0; column < t->columns; column++) {
            struct terminal_cell cell = terminal_shown(t, row, column);
            if (cell.foreground > 15 || cell.background > 15)
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct terminal t;
    static struct terminal_cell cells[TERMINAL_MOST_COLUMNS * (TERMINAL_MOST_ROWS + 3)];
    if (size < 3 || size > 4096)
        return 0;
    terminal_init(&t, data[0], data[1], cells, sizeof(cells) / sizeof(cells[0]));
    size_t half = (size - 3) / 2;
    terminal_write(&t, (const char *)data + 3, half);
    terminal_scroll(&t, (int8_t)data[2]);
    terminal_write(&t, (const char *)data + 3 + half, size - 3 - half);
    check(&t);
    return 0;
}
