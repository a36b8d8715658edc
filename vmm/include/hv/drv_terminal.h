/*
 * A terminal of the VT100 family over a grid of character cells: bytes in, cells out. Lines that leave
 * the grid at the top can be looked at as long as there is room for them.
 *
 * Not here: pixels (hv/drv_screen.h). Pure: no hardware, no clock. Nothing that it is fed can make
 * it write outside of its grid, or loop.
 * ECMA-48; DEC VT100 user guide, "Control Sequences"; xterm's control sequences for the rest.
 * Lock: the caller's (the console's).
 */
#ifndef HV_DRV_TERMINAL_H
#define HV_DRV_TERMINAL_H

#include "hv/types.h"

#define TERMINAL_MOST_COLUMNS 240
#define TERMINAL_MOST_ROWS 136
#define TERMINAL_PARAMETERS 16

struct terminal_cell {
    uint16_t code;      /* Basic Multilingual Plane */
    uint8_t foreground; /* 0 to 15: ANSI colours */
    uint8_t background;
};

/* How characters are drawn, and where the cursor is: what ESC 7 saves. */
struct terminal_pen {
    uint32_t column, row;
    uint8_t foreground, background;
    bool bold, reverse;
    bool origin;            /* rows count from the scrolling region's top */
    bool wrap_pending;      /* the last column is full; the next character begins a line */
    uint8_t charset;        /* 0 or 1: G0 or G1 */
    bool graphics[2];       /* DEC special graphics in G0, G1 */
};

enum terminal_state {
    TERMINAL_GROUND,
    TERMINAL_ESCAPE,
    TERMINAL_ESCAPE_ONE,    /* one more byte belongs to the sequence: charset, '#' */
    TERMINAL_CSI,
    TERMINAL_CSI_IGNORE,
    TERMINAL_STRING,        /* OSC, DCS and relatives: swallowed up to their end */
    TERMINAL_STRING_ESCAPE,
};

struct terminal {
    uint32_t columns, rows;
    struct terminal_pen pen, saved;
    uint32_t top, bottom;   /* of the scrolling region, inclusive */
    bool autowrap, insert, cursor_visible;
    enum terminal_state state;
    uint8_t introducer;     /* of TERMINAL_ESCAPE_ONE */
    uint8_t private_mark;   /* '?', '>' ... of a CSI sequence, or 0 */
    uint32_t parameters[TERMINAL_PARAMETERS];
    unsigned parameter_count;
    uint32_t utf8_value;
    uint8_t utf8_left;
    uint16_t last_code;     /* for REP */
    uint64_t scrolled;      /* lines, ever: how much work a redraw is */
    struct terminal_cell *lines; /* a ring of line_count lines of `columns` cells */
    uint32_t line_count;    /* at least `rows` */
    uint32_t first;         /* of them, the grid's first row */
    uint32_t history;       /* lines above it that were shown: at most line_count - rows */
    uint32_t back;          /* of them, how many the view begins above the grid */
    /* Columns of each row of the view that may have changed since terminal_clean(): [from, to). */
    uint32_t dirty_from[TERMINAL_MOST_ROWS], dirty_to[TERMINAL_MOST_ROWS];
    bool tab[TERMINAL_MOST_COLUMNS];
};

/* An empty terminal; sizes are brought into 2 to the most columns, 2 to the most rows. Its lines are
 * kept in `cells`, of which there are at least columns * rows after that; those beyond keep lines that
 * have left the grid. */
void terminal_init(struct terminal *terminal, uint32_t columns, uint32_t rows,
                   struct terminal_cell *cells, size_t cell_count);

void terminal_write(struct terminal *terminal, const char *bytes, size_t n);

/* Moves the view: above 0 back, below 0 forward; as far as there are lines. What is written meanwhile
 * does not move it. */
void terminal_scroll(struct terminal *terminal, int lines);

/* The cell of a row of the view as it is to be shown: the cursor, if visible, is the reverse. */
struct terminal_cell terminal_shown(const struct terminal *terminal, uint32_t row,
                                    uint32_t column);

/* Says that a row of the view has been shown, or that all must be. */
void terminal_clean(struct terminal *terminal, uint32_t row);
void terminal_touch_all(struct terminal *terminal);

#endif
