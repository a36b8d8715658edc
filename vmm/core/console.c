/*
 * The machine's console: fan-out to backends, and whole lines among the guests' bytes.
 *
 * Not here: the devices behind the backends (drivers/), the format of a log line (log.c), who gets
 * what the operator types (the monitor).
 * Lock: console.lock, taken with a bound (see hv/console.h). There is one console, as there is one
 * machine.
 */
#include "hv/console.h"

#include "hv/log.h"
#include "hv/spinlock.h"
#include "hv/string.h"

/* A long line at 115200 baud takes 20 ms; these are some hundred. */
#define LOCK_TRIES 20000000u
#define LOCK_TRIES_PANIC 2000000u
#define REPLAY_BYTES 256

struct console {
    struct spinlock lock;
    struct hv_console_backend backends[CONSOLE_MAX_BACKENDS];
    unsigned backend_count;
    const struct console_stream *writer; /* whose bytes stand on the line; NULL: the log's */
    bool line_open;                      /* the cursor is behind text */
    bool holding;                        /* the operator has it: guests' bytes are kept back */
    struct console_stream *first_held;
    uint32_t panic;                      /* atomic */
};

static struct console console;
/* Stands for the operator as the writer. */
static const struct console_stream operator_stream;

static bool in_panic(void)
{
    return __atomic_load_n(&console.panic, __ATOMIC_ACQUIRE) != 0;
}

/* False: the bound was reached, and the caller goes on without the lock. */
static bool lock(void)
{
    unsigned tries = in_panic() ? LOCK_TRIES_PANIC : LOCK_TRIES;
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

static void put(const char *bytes, size_t n)
{
    for (unsigned i = 0; i < console.backend_count; i++)
        console.backends[i].write(console.backends[i].ctx, bytes, n);
}

static void flush(void)
{
    for (unsigned i = 0; i < console.backend_count; i++) {
        if (console.backends[i].flush)
            console.backends[i].flush(console.backends[i].ctx);
    }
}

static void fresh_line(void)
{
    if (console.line_open)
        put("\r\n", 2);
    console.line_open = false;
}

enum hv_err console_add(const struct hv_console_backend *backend)
{
    char bytes[REPLAY_BYTES];
    uint64_t from = 0;
    size_t n;
    if (console.backend_count == CONSOLE_MAX_BACKENDS)
        return HV_ERR_NO_MEMORY;
    while ((n = log_read(&from, bytes, sizeof(bytes))) > 0)
        backend->write(backend->ctx, bytes, n);
    if (backend->flush)
        backend->flush(backend->ctx);
    console.backends[console.backend_count++] = *backend;
    return HV_OK;
}

unsigned console_backend_count(void)
{
    return console.backend_count;
}

void console_write_line(const char *bytes, size_t n)
{
    bool locked = lock();
    fresh_line();
    put(bytes, n);
    put("\r\n", 2);
    flush();
    console.writer = NULL;
    unlock(locked);
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

static void keep(struct console_stream *stream, const char *bytes, size_t n)
{
    if (!stream->is_held) {
        stream->is_held = true;
        stream->held_count = 0;
        stream->next_held = console.first_held;
        console.first_held = stream;
    }
    for (size_t i = 0; i < n; i++)
        stream->held[stream->held_count++ % CONSOLE_HELD_BYTES] = bytes[i];
}

static void show_guest(const struct console_stream *stream, const char *bytes, size_t n)
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

void console_write_guest(struct console_stream *stream, const char *bytes, size_t n)
{
    if (n == 0 || in_panic())
        return;
    bool locked = lock();
    if (console.holding)
        keep(stream, bytes, n);
    else
        show_guest(stream, bytes, n);
    unlock(locked);
}

/* --- the operator --- */

void console_write_operator(const char *bytes, size_t n)
{
    if (n == 0 || in_panic())
        return;
    bool locked = lock();
    if (console.writer != &operator_stream)
        fresh_line();
    console.writer = &operator_stream;
    put(bytes, n);
    console.line_open = bytes[n - 1] != '\n';
    flush();
    unlock(locked);
}

bool console_disturbed(void)
{
    return console.writer != &operator_stream;
}

void console_hold(void)
{
    bool locked = lock();
    console.holding = true;
    unlock(locked);
}

static void show_held(struct console_stream *stream)
{
    static const char lost[] = "(some output was lost here)\r\n";
    uint32_t kept = stream->held_count < CONSOLE_HELD_BYTES ? stream->held_count : CONSOLE_HELD_BYTES;
    uint32_t from = (stream->held_count - kept) % CONSOLE_HELD_BYTES;
    uint32_t first = (uint32_t)hv_min_u64(kept, CONSOLE_HELD_BYTES - from);
    stream->is_held = false;
    if (kept < stream->held_count) {
        fresh_line();
        put(lost, sizeof(lost) - 1);
    }
    if (first)
        show_guest(stream, stream->held + from, first);
    if (kept > first)
        show_guest(stream, stream->held, kept - first);
}

void console_release(void)
{
    bool locked = lock();
    console.holding = false;
    while (console.first_held) {
        struct console_stream *stream = console.first_held;
        console.first_held = stream->next_held;
        show_held(stream);
    }
    flush();
    unlock(locked);
}

int console_read(void)
{
    int byte = -1;
    /* Asked for often and by several cores: who does not get the lock at once asks again later. */
    if (!spin_try_lock(&console.lock))
        return -1;
    for (unsigned i = 0; i < console.backend_count && byte < 0; i++) {
        const struct hv_console_backend *backend = &console.backends[i];
        if (backend->read)
            byte = backend->read(backend->ctx);
    }
    spin_unlock(&console.lock);
    return byte;
}

void console_enter_panic(void)
{
    __atomic_store_n(&console.panic, 1, __ATOMIC_RELEASE);
}
