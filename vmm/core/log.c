/*
 * The hypervisor's log: formats a line, keeps it in a ring, shows it on the console.
 *
 * Not here: the console (console.c). There is one log, as there is one machine.
 * Lock: `lock` guards the ring; it is taken with a bound and held for a copy only. It is the inner
 * one: the console reads the ring with its own.
 */
#include "hv/log.h"

#include "hv/console.h"
#include "hv/format.h"
#include "hv/spinlock.h"
#include "hv/string.h"

#define LINE_BYTES 512
#define LOCK_TRIES 1000000u

struct log {
    struct spinlock lock;
    unsigned (*this_core)(void);
    enum hv_log_level most;
    uint64_t written; /* bytes ever; the ring holds the last LOG_RING_BYTES of them */
};

static struct log hv_log_state = { .most = HV_LOG_INFO };
static char hv_log_ring[LOG_RING_BYTES]; /* apart, so that its zeros take no room in the image */

static bool lock(void)
{
    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        if (spin_try_lock(&hv_log_state.lock))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

static void unlock(bool locked)
{
    if (locked)
        spin_unlock(&hv_log_state.lock);
}

static void ring_append(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hv_log_ring[hv_log_state.written++ % LOG_RING_BYTES] = bytes[i];
}

static void keep(const char *line, size_t n)
{
    bool locked = lock();
    ring_append(line, n);
    ring_append("\r\n", 2);
    unlock(locked);
}

static const char *level_word(enum hv_log_level level)
{
    switch (level) {
    case HV_LOG_ERROR:
        return "error: ";
    case HV_LOG_WARN:
        return "warning: ";
    case HV_LOG_DEBUG:
        return "debug: ";
    case HV_LOG_NOTHING:
    case HV_LOG_NOTICE:
    case HV_LOG_INFO:
        break;
    }
    return "";
}

/* The length of what stands in a buffer of `room` after snprintf wanted `wanted`. */
static size_t fitted(int wanted, size_t room)
{
    return (size_t)wanted < room ? (size_t)wanted : room - 1;
}

static size_t put_prefix(char *line, size_t room, enum hv_log_level level)
{
    unsigned (*this_core)(void) = hv_log_state.this_core;
    if (!this_core)
        return fitted(hv_snprintf(line, room, "[-] %s", level_word(level)), room);
    return fitted(hv_snprintf(line, room, "[%u] %s", this_core(), level_word(level)), room);
}

void hv_log(enum hv_log_level level, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    size_t n = put_prefix(line, sizeof(line), level);
    va_start(args, format);
    n += fitted(hv_vsnprintf(line + n, sizeof(line) - n, format, args), sizeof(line) - n);
    va_end(args);
    keep(line, n);
    if (level > hv_log_state.most)
        return;
    if (level <= HV_LOG_NOTICE)
        console_write_notice(line, n);
    else
        console_write_line(line, n);
}

void log_set_core_number(unsigned (*this_core)(void))
{
    hv_log_state.this_core = this_core;
}

void log_set_level(enum hv_log_level most)
{
    hv_log_state.most = most;
}

size_t log_read(uint64_t *from, char *out, size_t bytes)
{
    bool locked = lock();
    uint64_t end = hv_log_state.written;
    uint64_t oldest = end > LOG_RING_BYTES ? end - LOG_RING_BYTES : 0;
    size_t n = 0;
    if (*from < oldest)
        *from = oldest;
    while (n < bytes && *from < end)
        out[n++] = hv_log_ring[(*from)++ % LOG_RING_BYTES];
    unlock(locked);
    return n;
}

uint64_t log_written(void)
{
    return __atomic_load_n(&hv_log_state.written, __ATOMIC_RELAXED);
}
