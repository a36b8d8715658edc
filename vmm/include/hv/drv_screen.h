/*
 * The machine's framebuffer as a grid of character cells: it shows a terminal, and a line below it.
 *
 * What has been drawn is kept in memory, so that only cells that differ are drawn and the
 * framebuffer, which is slow to read, is never read. Text that scrolls is drawn in batches: at once
 * when half a screen has gone by, else when somebody asks (console_read does, all the time).
 * Lock: the caller's (the console's).
 * UEFI specification, "Graphics Output Protocol": pixel formats.
 */
#ifndef HV_DRV_SCREEN_H
#define HV_DRV_SCREEN_H

#include "hv/boot_info.h"
#include "hv/drv_font.h"
#include "hv/drv_terminal.h"
#include "hv/qr.h"
#include "hv/types.h"

struct screen {
    struct boot_framebuffer buffer;
    const struct font *font;
    uint32_t scale;             /* pixels a font pixel */
    uint32_t columns, rows;     /* that there is room for */
    uint32_t left, top;         /* of the grid, in pixels: it is centred */
    uint32_t palette[16];       /* in the framebuffer's format */
    struct terminal *shown;     /* in the first rows; NULL: nothing */
    uint64_t drawn_scrolled;    /* shown->scrolled when the screen was last drawn */
    struct terminal_cell drawn[TERMINAL_MOST_ROWS][TERMINAL_MOST_COLUMNS];
};

/* How large a font pixel is, so that lines have about 130 characters. */
uint32_t screen_scale(uint32_t width, const struct font *font);

/* Clears the screen and begins; `scale` is that of screen_scale() or another one. False: it is none,
 * or too small for text. The framebuffer must be mapped at its physical address; write-combining is
 * what makes it fast. `screen` is large: it does not belong on a stack. */
bool screen_init(struct screen *screen, const struct boot_framebuffer *buffer,
                 const struct font *font, uint32_t scale);

/* Shows a terminal, which must stay and have no more columns and rows than the screen. */
void screen_show(struct screen *screen, struct terminal *terminal);

/* The terminal that is shown has changed: draws it, now or soon. */
void screen_changed(struct screen *screen);

/* Draws what is not drawn yet. */
void screen_flush(struct screen *screen);

/* Draws screen->columns cells as a row of their own. */
void screen_draw_row(struct screen *screen, uint32_t row, const struct terminal_cell *cells);

/* Draws a QR code over the lower right corner, as large as a part of the screen allows. */
void screen_draw_code(const struct screen *screen, const struct qr_code *qr);

#endif
