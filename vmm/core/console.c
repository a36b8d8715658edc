/*
 * The machine's console: whole lines among the guests' bytes, and guests' lines among each other's.
 *
 * Not here: the backends and which pane each shows (console_view.c), the devices behind them
 * (drivers/), the format of a log line (log.c), who gets what the operator types (the monitor).
 * Lock: console.lock, taken with a bound (see hv/console.h). There is one console, as there is one
 * machine.
 */
#include "hv/log.h"
#include "hv/spinlock.h"
#include "hv/string.h"
#include "vmm/core/console_internal.h"

/* A long line at 115200 baud takes 20 ms; these are some hundred. */
#define LOCK_TRIES 20000000u
#define LOCK_TRIES_PANIC 2000000u
/* Bytes wait for another guest's line as long as they are fewer, and for so many calls of
 * console_age(). */
#define WAITING_MOST 1024u
#define WAITING_AGE 2

struct console {
    struct spinlock lock;
    struct console_stream *streams[CONSOLE_GUEST_PANES];
    const void *writer; /* the stream whose bytes stand on the line, or the operator; NULL: the log */
    bool line_open;                      /* the cursor is behind text */
    bool holding;                        /* the operator has it: guests' bytes are kept back */
    uint32_t panic;                      /* atomic */
};

static struct console console;
/* Stands for the operator as the writer. */
static const char the_operator;

bool console_in_panic(void)
{
    return __atomic_load_n(&console.panic, __ATOMIC_ACQUIRE) != 0;
}

/* False: the bound was reached, and the caller goes on without the lock. */
static bool lock(void)
{
    unsigned tries = console_in_panic() ? LOCK_TRIES_PANIC : LOCK_TRIES;
    while (tries-- > 0) {
        if (spin_try_lock(&console.lock))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

static void unlock(bool locked)
{
    if (locked)
        spin_unlock(&console.lock);
}

/* --- the pane of all --- */

static void put(const char *bytes, size_t n)
{
    views_put(CONSOLE_PANE_ALL, bytes, n);
}

static void fresh_line(void)
{
    if (console.line_open)
        put("\r\n", 2);
    console.line_open = false;
}

/* A line of this stream begins: say whose it is. */
static void put_tag(const struct console_stream *stream)
{
    if (!stream->tag)
        return;
    put("[", 1);
    put(stream->tag, strlen(stream->tag));
    put("] ", 2);
}

/* The bytes up to and with the next line end. */
static size_t line_length(const char *bytes, size_t n)
{
    const char *end = memchr(bytes, '\n', n);
    return end ? (size_t)(end - bytes) + 1 : n;
}

static void show_bytes(const struct console_stream *stream, const char *bytes, size_t n)
{
    if (console.writer != stream && console.writer)
        fresh_line();
    console.writer = stream;
    while (n > 0) {
        size_t part = line_length(bytes, n);
        if (!console.line_open)
            put_tag(stream);
        put(bytes, part);
        /* A lone carriage return puts the cursor to the start, but over text that is there. */
        console.line_open = bytes[part - 1] != '\n';
        bytes += part;
        n -= part;
    }
}

/* What of a stream has not been shown yet. */
static void show(struct console_stream *stream)
{
    static const char lost[] = "(some output was lost here)\r\n";
    uint32_t waiting = stream->written - stream->shown;
    uint32_t kept = waiting < CONSOLE_HELD_BYTES ? waiting : CONSOLE_HELD_BYTES;
    uint32_t from = (stream->written - kept) % CONSOLE_HELD_BYTES;
    uint32_t first = (uint32_t)hv_min_u64(kept, CONSOLE_HELD_BYTES - from);

    stream->shown = stream->written;
    stream->age = 0;
    if (kept < waiting) {
        fresh_line();
        put(lost, sizeof(lost) - 1);
    }
    if (first)
        show_bytes(stream, stream->history + from, first);
    if (kept > first)
        show_bytes(stream, stream->history, kept - first);
}

static bool waits(const struct console_stream *stream)
{
    return stream && stream->written != stream->shown;
}

static bool may_be_shown(const struct console_stream *stream)
{
    if (console.holding)
        return false;
    return !stream->tag || !console.line_open || console.writer == stream ||
           stream->written - stream->shown >= WAITING_MOST;
}

/* Those that wait for the line to end, the next behind `after` first, so that each has its turn. */
static void show_others(const struct console_stream *after)
{
    for (unsigned i = 0; i < CONSOLE_GUEST_PANES; i++) {
        unsigned slot = (after->pane - CONSOLE_PANE_GUEST + 1 + i) % CONSOLE_GUEST_PANES;
        struct console_stream *stream = console.streams[slot];
        if (waits(stream) && may_be_shown(stream))
            show(stream);
    }
}

static void show_waiting(void)
{
    for (unsigned i = 0; i < CONSOLE_GUEST_PANES; i++) {
        if (waits(console.streams[i]))
            show(console.streams[i]);
    }
}

/* --- backends and panes --- */

enum hv_err console_add_panes(const struct hv_console_backend *backend,
                              const struct console_pane_ops *panes)
{
    return views_add(backend, panes) ? HV_OK : HV_ERR_NO_MEMORY;
}

enum hv_err console_add(const struct hv_console_backend *backend)
{
    return console_add_panes(backend, NULL);
}

unsigned console_backend_count(void)
{
    return views_count();
}

const struct console_stream *console_stream_at(unsigned pane)
{
    if (pane < CONSOLE_PANE_GUEST || pane >= CONSOLE_PANES)
        return NULL;
    return console.streams[pane - CONSOLE_PANE_GUEST];
}

const char *console_pane_name(unsigned pane)
{
    static const char *const names[] = { "all", "monitor", "log" };
    const struct console_stream *stream = console_stream_at(pane);

    if (stream)
        return stream->name;
    return pane < HV_ARRAY_COUNT(names) ? names[pane] : NULL;
}

bool console_select(unsigned pane)
{
    bool locked = lock();
    bool selected = views_select(pane);
    unlock(locked);
    return selected;
}

void console_leave_monitor(void)
{
    bool locked = lock();
    views_leave_monitor();
    unlock(locked);
}

/* --- lines --- */

static void write_line(const char *bytes, size_t n, bool everywhere)
{
    bool locked = lock();

    if (console_in_panic())
        views_panic();
    else if (!console.holding)
        show_waiting(); /* what a guest wrote before comes before */
    fresh_line();
    put(bytes, n);
    put("\r\n", 2);
    views_put(CONSOLE_PANE_LOG, bytes, n);
    views_put(CONSOLE_PANE_LOG, "\r\n", 2);
    views_put(CONSOLE_PANE_MONITOR, bytes, n);
    views_put(CONSOLE_PANE_MONITOR, "\r\n", 2);
    if (everywhere)
        views_put_elsewhere(bytes, n);
    views_flush();
    console.writer = NULL;
    unlock(locked);
}

void console_write_line(const char *bytes, size_t n)
{
    write_line(bytes, n, false);
}

void console_write_notice(const char *bytes, size_t n)
{
    write_line(bytes, n, true);
}

/* --- guests --- */

enum hv_err console_open_stream(struct console_stream *stream)
{
    enum hv_err err = HV_ERR_NO_MEMORY;
    bool locked = lock();

    stream->pane = stream->age = stream->written = stream->shown = 0;
    for (unsigned i = 0; i < CONSOLE_GUEST_PANES && err != HV_OK; i++) {
        if (console.streams[i])
            continue;
        console.streams[i] = stream;
        stream->pane = CONSOLE_PANE_GUEST + i;
        err = HV_OK;
    }
    unlock(locked);
    return err;
}

void console_close_stream(struct console_stream *stream)
{
    bool locked = lock();

    if (stream == console_stream_at(stream->pane)) {
        if (waits(stream))
            show(stream);
        console.streams[stream->pane - CONSOLE_PANE_GUEST] = NULL;
        views_forget(stream->pane);
        if (console.writer == stream)
            console.writer = &the_operator; /* not NULL: its line may be open */
    }
    unlock(locked);
}

void console_write_guest(struct console_stream *stream, const char *bytes, size_t n)
{
    if (n == 0 || console_in_panic() || stream != console_stream_at(stream->pane))
        return;
    bool locked = lock();
    for (size_t i = 0; i < n; i++)
        stream->history[stream->written++ % CONSOLE_HELD_BYTES] = bytes[i];
    views_put(stream->pane, bytes, n);
    if (may_be_shown(stream)) {
        show(stream);
        if (!console.line_open)
            show_others(stream);
    }
    unlock(locked);
}

bool console_age(void)
{
    bool waiting = false, locked = lock();

    for (unsigned i = 0; i < CONSOLE_GUEST_PANES && !console.holding; i++) {
        if (!waits(console.streams[i]))
            continue;
        if (++console.streams[i]->age >= WAITING_AGE)
            show(console.streams[i]);
        else
            waiting = true;
    }
    unlock(locked);
    return waiting;
}

/* --- the operator --- */

void console_write_operator(const char *bytes, size_t n)
{
    if (n == 0 || console_in_panic())
        return;
    bool locked = lock();
    if (console.writer != &the_operator)
        fresh_line();
    console.writer = &the_operator;
    put(bytes, n);
    console.line_open = bytes[n - 1] != '\n';
    views_put(CONSOLE_PANE_MONITOR, bytes, n);
    views_flush();
    unlock(locked);
}

bool console_disturbed(void)
{
    return console.writer != &the_operator;
}

void console_hold(void)
{
    bool locked = lock();
    show_waiting();
    console.holding = true;
    unlock(locked);
}

void console_release(void)
{
    bool locked = lock();
    console.holding = false;
    show_waiting();
    views_flush();
    unlock(locked);
}

int console_read(unsigned *pane)
{
    int key;

    *pane = CONSOLE_PANE_ALL;
    /* Asked for often and by several cores: who does not get the lock at once asks again later. */
    if (!spin_try_lock(&console.lock))
        return -1;
    key = views_read(pane);
    spin_unlock(&console.lock);
    return key;
}

bool console_is_busy(void)
{
    return views_are_busy();
}

/* --- panic --- */

void console_enter_panic(void)
{
    __atomic_store_n(&console.panic, 1, __ATOMIC_RELEASE);
}

void console_show_code(const char *text, size_t n)
{
    bool locked = lock();
    views_show_code(text, n);
    unlock(locked);
}
