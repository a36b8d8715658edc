/*
 * Operations on a terminal's grid, for the parts of the terminal: each keeps the cursor and the
 * region inside of the grid and marks what it changes. See hv/drv_terminal.h.
 */
#ifndef DRIVERS_TERMINAL_GRID_H
#define DRIVERS_TERMINAL_GRID_H

#include "hv/drv_terminal.h"

#define TERMINAL_DEFAULT_FOREGROUND 7
#define TERMINAL_DEFAULT_BACKGROUND 0

/* A row of the grid. */
struct terminal_cell *grid_row(const struct terminal *t, uint32_t row);

void grid_touch(struct terminal *t, uint32_t row, uint32_t from, uint32_t to);
void grid_touch_cursor(struct terminal *t);

/* Blanks the columns [from, to) of a row, in the pen's background. */
void grid_erase(struct terminal *t, uint32_t row, uint32_t from, uint32_t to);

/* Moves the rows [first, last] up or down by n; blank ones come in. */
void grid_scroll_up(struct terminal *t, uint32_t first, uint32_t last, uint32_t n);
void grid_scroll_down(struct terminal *t, uint32_t first, uint32_t last, uint32_t n);

/* Moves the rest of the cursor's row right or left by n. */
void grid_insert_cells(struct terminal *t, uint32_t n);
void grid_delete_cells(struct terminal *t, uint32_t n);

/* Puts the cursor at a place, brought into the grid (and, in origin mode, into the region). */
void grid_move_to(struct terminal *t, uint32_t row, uint32_t column);

/* What ESC 8 does: the pen as it was saved, cursor included. */
void grid_restore(struct terminal *t);

/* Down and up by one, scrolling at the region's edge. */
void grid_line_feed(struct terminal *t);
void grid_reverse_line_feed(struct terminal *t);

/* Writes one character at the cursor. */
void grid_put(struct terminal *t, uint16_t code);

/* Runs a control sequence whose parameters have been collected; `final` ends it. */
void terminal_run_csi(struct terminal *t, uint8_t final);

#endif
