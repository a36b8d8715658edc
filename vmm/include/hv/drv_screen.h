/*
 * A terminal on the machine's framebuffer.
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
#include "hv/types.h"

struct screen {
    struct boot_framebuffer buffer;
    const struct font *font;
    uint32_t scale;             /* pixels a font pixel */
    uint32_t left, top;         /* of the grid, in pixels: it is centred */
    uint32_t palette[16];       /* in the framebuffer's format */
    uint64_t drawn_scrolled;    /* terminal.scrolled when the screen was last drawn */
    struct terminal terminal;
    struct terminal_cell drawn[TERMINAL_MOST_ROWS][TERMINAL_MOST_COLUMNS];
};

/* How large a font pixel is, so that lines have about 130 characters. */
uint32_t screen_scale(uint32_t width, const struct font *font);

/* Clears the screen and begins. False: it is none, or too small for text. The framebuffer must be
 * mapped at its physical address; write-combining is what makes it fast. `screen` is large: it
 * does not belong on a stack. */
bool screen_init(struct screen *screen, const struct boot_framebuffer *buffer,
                 const struct font *font);

/* Shows bytes, now or soon. */
void screen_write(struct screen *screen, const char *bytes, size_t n);

/* Draws what is not drawn yet. */
void screen_flush(struct screen *screen);

#endif
