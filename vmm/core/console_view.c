/*
 * The console's backends, and which pane each of them shows.
 *
 * A backend that keeps its panes itself gets everything; another one gets the text of the pane that
 * it shows, and when that changes the last lines of the new one, which are kept here (the log's by
 * the log, a guest's in its stream).
 * Not here: which text belongs where (console.c).
 * Lock: the console's.
 */
#include "hv/format.h"
#include "hv/log.h"
#include "hv/string.h"
#include "vmm/core/console_internal.h"

#define RING_BYTES 4096u /* a power of two */
#define REPLAY_BYTES 256
/* What a plain backend gets of a pane that it changes to: some 0.1 s at 115200 baud. */
#define REDRAW_BYTES 1500u
#define REDRAW_LINES 20

struct ring {
    uint32_t written; /* bytes ever */
    char bytes[RING_BYTES];
};

struct view {
    struct hv_console_backend backend;
    struct console_pane_ops panes;
    bool keeps_panes;
    unsigned pane;           /* that it shows */
    unsigned before_monitor; /* that it showed */
};

static struct {
    struct view view[CONSOLE_MAX_BACKENDS];
    unsigned count;
    unsigned last_reader;
    struct ring all, monitor;
    char redraw[REDRAW_BYTES];
} views;

unsigned views_count(void)
{
    return views.count;
}

/* --- what was written last --- */

static void ring_append(struct ring *ring, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ring->bytes[ring->written++ % RING_BYTES] = bytes[i];
}

static size_t ring_tail(const char *bytes, uint32_t size, uint32_t written, char *out, size_t room)
{
    uint32_t n = (uint32_t)hv_min_u64(hv_min_u64(written, size), room);

    for (uint32_t i = 0; i < n; i++)
        out[i] = bytes[(written - n + i) % size];
    return n;
}

/* The last bytes of a pane, at most `room`. */
static size_t pane_tail(unsigned pane, char *out, size_t room)
{
    const struct console_stream *stream = console_stream_at(pane);
    uint64_t from = log_written();

    if (stream)
        return ring_tail(stream->history, CONSOLE_HELD_BYTES, stream->written, out, room);
    if (pane == CONSOLE_PANE_ALL)
        return ring_tail(views.all.bytes, RING_BYTES, views.all.written, out, room);
    if (pane == CONSOLE_PANE_MONITOR)
        return ring_tail(views.monitor.bytes, RING_BYTES, views.monitor.written, out, room);
    from = from > room ? from - room : 0;
    return log_read(&from, out, room);
}

/* Where the last REDRAW_LINES lines begin; a piece of a line is left out. */
static size_t last_lines(const char *text, size_t n)
{
    size_t begin = 0;
    unsigned lines = 0;

    for (size_t at = n; at > 0; at--) {
        if (text[at - 1] != '\n' || at == n)
            continue;
        begin = at;
        if (++lines == REDRAW_LINES)
            break;
    }
    return n < REDRAW_BYTES && lines < REDRAW_LINES ? 0 : begin;
}

/* --- backends --- */

static void write_to(const struct view *v, unsigned pane, const char *bytes, size_t n)
{
    if (v->keeps_panes)
        v->panes.write(v->backend.ctx, pane, bytes, n);
    else if (v->pane == pane)
        v->backend.write(v->backend.ctx, bytes, n);
}

static void flush_one(const struct view *v)
{
    if (v->backend.flush)
        v->backend.flush(v->backend.ctx);
}

bool views_add(const struct hv_console_backend *backend, const struct console_pane_ops *panes)
{
    char bytes[REPLAY_BYTES];
    uint64_t from = 0;
    size_t n;
    struct view *v = &views.view[views.count];

    if (views.count == CONSOLE_MAX_BACKENDS)
        return false;
    *v = (struct view){ .backend = *backend, .keeps_panes = panes != NULL };
    if (panes)
        v->panes = *panes;
    while ((n = log_read(&from, bytes, sizeof(bytes))) > 0) {
        for (unsigned pane = CONSOLE_PANE_ALL; pane <= CONSOLE_PANE_LOG; pane++)
            write_to(v, pane, bytes, n);
    }
    flush_one(v);
    views.count++;
    return true;
}

void views_put(unsigned pane, const char *bytes, size_t n)
{
    if (pane == CONSOLE_PANE_ALL)
        ring_append(&views.all, bytes, n);
    else if (pane == CONSOLE_PANE_MONITOR)
        ring_append(&views.monitor, bytes, n);
    for (unsigned i = 0; i < views.count; i++)
        write_to(&views.view[i], pane, bytes, n);
}

void views_put_elsewhere(const char *line, size_t n)
{
    for (unsigned i = 0; i < views.count; i++) {
        const struct view *v = &views.view[i];
        if (v->pane < CONSOLE_PANE_GUEST)
            continue;
        write_to(v, v->pane, "\r\n", 2);
        write_to(v, v->pane, line, n);
        write_to(v, v->pane, "\r\n", 2);
    }
}

void views_flush(void)
{
    for (unsigned i = 0; i < views.count; i++)
        flush_one(&views.view[i]);
}

bool views_are_busy(void)
{
    for (unsigned i = 0; i < views.count; i++) {
        const struct hv_console_backend *backend = &views.view[i].backend;
        if (backend->busy && backend->busy(backend->ctx))
            return true;
    }
    return false;
}

/* --- which pane --- */

static void redraw(const struct view *v)
{
    char head[80];
    size_t n = pane_tail(v->pane, views.redraw, REDRAW_BYTES);
    size_t from = last_lines(views.redraw, n);
    int length = hv_snprintf(head, sizeof(head), "\x1b[0m\x1b[H\x1b[2J--- %u %s ---\r\n",
                             v->pane + 1, console_pane_name(v->pane));

    v->backend.write(v->backend.ctx, head, hv_min_u64((uint64_t)length, sizeof(head) - 1));
    v->backend.write(v->backend.ctx, views.redraw + from, n - from);
}

static bool show_pane(struct view *v, unsigned pane)
{
    if (!console_pane_name(pane))
        return false;
    if (pane == CONSOLE_PANE_MONITOR && v->pane != CONSOLE_PANE_MONITOR)
        v->before_monitor = v->pane;
    v->pane = pane;
    if (v->keeps_panes)
        v->panes.select(v->backend.ctx, pane);
    else
        redraw(v);
    return true;
}

bool views_select(unsigned pane)
{
    return views.last_reader < views.count && show_pane(&views.view[views.last_reader], pane);
}

void views_leave_monitor(void)
{
    for (unsigned i = 0; i < views.count; i++) {
        struct view *v = &views.view[i];
        if (v->pane == CONSOLE_PANE_MONITOR && !show_pane(v, v->before_monitor))
            (void)show_pane(v, CONSOLE_PANE_ALL);
    }
}

void views_forget(unsigned pane)
{
    for (unsigned i = 0; i < views.count; i++) {
        if (views.view[i].pane == pane)
            (void)show_pane(&views.view[i], CONSOLE_PANE_ALL);
    }
}

void views_panic(void)
{
    for (unsigned i = 0; i < views.count; i++) {
        struct view *v = &views.view[i];
        v->pane = CONSOLE_PANE_ALL;
        if (v->keeps_panes)
            v->panes.panic(v->backend.ctx);
    }
}

void views_show_code(const char *text, size_t n)
{
    for (unsigned i = 0; i < views.count; i++) {
        const struct view *v = &views.view[i];
        if (v->keeps_panes && v->panes.show_code)
            v->panes.show_code(v->backend.ctx, text, n);
    }
}

/* --- keys --- */

/* One key of one backend: a byte, CONSOLE_PANE_CHANGED, or -1 for one that is dealt with. */
static int take_key(struct view *v, int key)
{
    if (key < CONSOLE_KEY_PANE)
        return key;
    if (key == CONSOLE_KEY_BACK || key == CONSOLE_KEY_FORWARD) {
        if (v->keeps_panes)
            v->panes.scroll(v->backend.ctx, key == CONSOLE_KEY_BACK ? 1 : -1);
        return -1;
    }
    return show_pane(v, (unsigned)(key - CONSOLE_KEY_PANE)) ? CONSOLE_PANE_CHANGED : -1;
}

int views_read(unsigned *pane)
{
    int key = -1;

    for (unsigned i = 0; i < views.count && key < 0; i++) {
        struct view *v = &views.view[i];
        if (!v->backend.read)
            continue;
        key = take_key(v, v->backend.read(v->backend.ctx));
        if (key < 0)
            continue;
        views.last_reader = i;
        *pane = v->pane;
    }
    return key;
}
