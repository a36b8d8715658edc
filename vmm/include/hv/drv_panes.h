/*
 * The console's panes on a screen: a terminal each, one of which is shown, with a line below it that
 * names all of them.
 *
 * Memory for a pane's lines is taken when the first text comes for it, and is bounded: PANES_LINES
 * beyond what the screen shows.
 * Lock: the caller's (the console's).
 */
#ifndef HV_DRV_PANES_H
#define HV_DRV_PANES_H

#include "hv/console.h"
#include "hv/drv_screen.h"

#define PANES_LINES 1000

/* What panes need of those around them. */
struct panes_env {
    void *(*take)(void *ctx, size_t bytes);            /* memory for good, or NULL */
    const char *(*name)(void *ctx, unsigned pane);     /* or NULL: there is no such pane */
    void *ctx;
};

struct panes {
    struct panes_env env;
    struct screen screen;
    struct terminal terminal[CONSOLE_PANES]; /* those without lines are not in use */
    bool news[CONSOLE_PANES];                /* text has come since it was shown */
    unsigned shown;
    bool in_panic;
    bool bar_is_old;
    struct qr_code code;
};

/* Begins on a framebuffer, with the pane of all. False: it is none, too small, or there is no memory.
 * `panes` is large: it does not belong on a stack. */
bool panes_init(struct panes *panes, const struct boot_framebuffer *buffer, const struct font *font,
                const struct panes_env *env);

/* What a backend of the console needs. */
void panes_write(struct panes *panes, unsigned pane, const char *bytes, size_t n);
void panes_select(struct panes *panes, unsigned pane);
/* Moves the view of the pane that is shown by so many screens; above 0: back. */
void panes_scroll(struct panes *panes, int pages);
/* Somebody types: the view goes to where text is written. */
void panes_end_scroll(struct panes *panes);
void panes_flush(struct panes *panes);

/* From now on the pane of all is shown, empty, on the whole screen, in letters that are small enough
 * for a report. */
void panes_panic(struct panes *panes);

/* Shows a text as a QR code over the lower right corner; one that is too long for any code is left
 * out. */
void panes_show_code(struct panes *panes, const char *text, size_t n);

#endif
