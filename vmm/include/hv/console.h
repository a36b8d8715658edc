/*
 * The machine's console: what the operator sees on every backend (serial ports, screen), and what the
 * operator types on any of them.
 *
 * All text belongs to panes: one for each guest, the monitor's, the log's; and one in which all of it
 * comes together, which is what a backend shows at first. There, lines of the hypervisor begin on a
 * fresh line and are never torn. The bytes of a guest that is alone pass at once and as they are; of
 * several guests, one has the line that is open and its bytes pass at once, while the others' wait
 * until that line ends, but not longer than two calls of console_age().
 *
 * Lock: one inside. It is taken with a bound: a core that dies while it prints must not take the
 * others' last words with it; after the bound, text is printed without it. Not for NMI handlers,
 * except in a panic.
 */
#ifndef HV_CONSOLE_H
#define HV_CONSOLE_H

#include "hv/types.h"

#define CONSOLE_MAX_BACKENDS 4
#define CONSOLE_HELD_BYTES 8192u /* a power of two */
#define CONSOLE_GUEST_PANES 8

/* The operator counts them from 1. */
enum console_pane {
    CONSOLE_PANE_ALL,
    CONSOLE_PANE_MONITOR,
    CONSOLE_PANE_LOG,
    CONSOLE_PANE_GUEST, /* the first of CONSOLE_GUEST_PANES */
    CONSOLE_PANES = CONSOLE_PANE_GUEST + CONSOLE_GUEST_PANES,
};

/* What `read` gives beside bytes: keys that the console itself takes. */
enum console_key {
    CONSOLE_KEY_PANE = 0x100, /* to CONSOLE_KEY_PANE + CONSOLE_PANES - 1: show that pane */
    CONSOLE_KEY_BACK = 0x180, /* scroll back a page */
    CONSOLE_KEY_FORWARD,
};

/* What console_read gives when the operator has changed the pane. */
#define CONSOLE_PANE_CHANGED 0x1ff

/* Where text goes and comes from. `write` must not wait without bound; `read` gives the next byte,
 * or -1 when there is none now, or one of enum console_key; NULL: an output only. A backend that
 * shows text with a delay shows all of it on `flush` (NULL: it has no delay), which comes after each
 * line of the hypervisor. `busy` (NULL: never): is there text that `read` would send on? Asked without
 * the console's lock; all others are called with it. */
struct hv_console_backend {
    const char *name;
    void (*write)(void *ctx, const char *bytes, size_t n);
    int (*read)(void *ctx);
    void *ctx;
    void (*flush)(void *ctx);
    bool (*busy)(void *ctx);
};

/* What a backend offers that keeps all panes itself, and shows one of them. A backend without gets
 * the text of the pane that it shows, and the last lines of one that it changes to. */
struct console_pane_ops {
    void (*write)(void *ctx, unsigned pane, const char *bytes, size_t n);
    void (*select)(void *ctx, unsigned pane);
    void (*scroll)(void *ctx, int pages);  /* above 0: back */
    void (*panic)(void *ctx);              /* the pane of all, empty, for a report; may come again */
    /* Shows a text as a picture that a camera reads, beside what the pane shows. */
    void (*show_code)(void *ctx, const char *text, size_t n);
};

/* One guest's output. `tag` is put in front of each of its lines where several guests come together;
 * NULL: nothing is. */
struct console_stream {
    const char *tag;
    const char *name; /* of its pane */
    /* The console's. */
    unsigned pane;    /* 0: it has none */
    unsigned age;     /* calls of console_age since bytes wait */
    uint32_t written; /* bytes ever */
    uint32_t shown;   /* of them, in the pane of all */
    char history[CONSOLE_HELD_BYTES]; /* the last ones */
};

/* Adds a backend and shows it what the log holds so far; `panes` may be NULL. Boot core, before the
 * others run. HV_ERR_NO_MEMORY: CONSOLE_MAX_BACKENDS are in use. */
enum hv_err console_add(const struct hv_console_backend *backend) HV_MUST_CHECK;
enum hv_err console_add_panes(const struct hv_console_backend *backend,
                              const struct console_pane_ops *panes) HV_MUST_CHECK;

/* Number of backends: 0 means that nobody sees anything. */
unsigned console_backend_count(void);

/* One line of the hypervisor: `bytes` holds no line end. It goes to the panes of the log, the monitor
 * and all; a notice also to whatever pane is shown. */
void console_write_line(const char *bytes, size_t n);
void console_write_notice(const char *bytes, size_t n);

/* Gives a guest a pane; `stream` must stay until it is closed. HV_ERR_NO_MEMORY: there is none left. */
enum hv_err console_open_stream(struct console_stream *stream) HV_MUST_CHECK;
void console_close_stream(struct console_stream *stream);

/* Bytes of a guest, as they are. */
void console_write_guest(struct console_stream *stream, const char *bytes, size_t n);

/* Some 20 to 250 ms have passed: guests' bytes that have waited for another's line are shown. True:
 * some still wait, and 20 ms are enough from here on. */
bool console_age(void);

/* The operator's own prompt and answers, as they are; after a line or a guest's text they begin on a
 * fresh line. Between hold and release guests' bytes are kept out of the pane of all, the last
 * CONSOLE_HELD_BYTES of each; release shows them. */
void console_write_operator(const char *bytes, size_t n);
void console_hold(void);
void console_release(void);
/* Has somebody else written since the operator's last text? */
bool console_disturbed(void);

/* The next byte that the operator typed, or -1, or CONSOLE_PANE_CHANGED; *pane is the one that is
 * shown where it was typed. Does not wait. */
int console_read(unsigned *pane);

/* Is there text that is sent on by console_read, and should soon be? */
bool console_is_busy(void);

/* Shows a pane on the backend from which the last byte came. A pane that does not exist changes
 * nothing: false. */
bool console_select(unsigned pane);
/* The monitor was closed: backends that show its pane go back to the one before. */
void console_leave_monitor(void);
/* The name of a pane, or NULL: there is none. */
const char *console_pane_name(unsigned pane);

/* From now on guests' bytes are dropped, every backend shows the pane of all, and the lock is waited
 * for only briefly. For hv_panic, before its first line; a second call does nothing. */
void console_enter_panic(void);

/* Shows a text as a picture on each backend that can. */
void console_show_code(const char *text, size_t n);

#endif
