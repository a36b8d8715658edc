/*
 * The machine's console: everything that the operator sees goes to every backend (serial port,
 * screen), and what the operator types comes from any of them.
 *
 * Two kinds of text share it: lines of the hypervisor, which always begin on a fresh line and are
 * never torn, and the guests' bytes, which pass through as they are.
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

/* Where text goes and comes from. `write` must not wait without bound; `read` gives the next byte,
 * or -1 when there is none now; NULL: an output only. A backend that shows text with a delay shows
 * all of it on `flush` (NULL: it has no delay), which comes after each line of the hypervisor. All
 * are called with the console's lock. */
struct hv_console_backend {
    const char *name;
    void (*write)(void *ctx, const char *bytes, size_t n);
    int (*read)(void *ctx);
    void *ctx;
    void (*flush)(void *ctx);
};

/* One guest's output. `tag` is put in front of each of its lines, so that several guests can be
 * told apart; NULL: nothing is, and every byte passes as it is. */
struct console_stream {
    const char *tag;
    /* The console's: what it wrote while the operator had the console, the last of it. */
    struct console_stream *next_held;
    uint32_t held_count; /* bytes ever, since then */
    bool is_held;
    char held[CONSOLE_HELD_BYTES];
};

/* Adds a backend and shows it what the log holds so far. Boot core, before the others run.
 * HV_ERR_NO_MEMORY: CONSOLE_MAX_BACKENDS are in use. */
enum hv_err console_add(const struct hv_console_backend *backend) HV_MUST_CHECK;

/* Number of backends: 0 means that nobody sees anything. */
unsigned console_backend_count(void);

/* One line of the hypervisor: `bytes` holds no line end. */
void console_write_line(const char *bytes, size_t n);

/* Bytes of a guest, as they are. Streams are told apart by their address. */
void console_write_guest(struct console_stream *stream, const char *bytes, size_t n);

/* The operator's own prompt and answers, as they are; after a line or a guest's text they begin on a
 * fresh line. Between hold and release guests' bytes are kept back, the last CONSOLE_HELD_BYTES of
 * each; release shows them. */
void console_write_operator(const char *bytes, size_t n);
void console_hold(void);
void console_release(void);
/* Has somebody else written since the operator's last text? */
bool console_disturbed(void);

/* The next byte that the operator typed, or -1. Does not wait. */
int console_read(void);

/* From now on guests' bytes are dropped and the lock is waited for only briefly. For hv_panic,
 * before its first line; a second call does nothing. */
void console_enter_panic(void);

#endif
