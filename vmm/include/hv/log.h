/*
 * The hypervisor's log: one line a call, to every console and to a ring in memory.
 * A line is formatted into a bounded buffer and cut, never split. Safe on every core.
 */
#ifndef HV_LOG_H
#define HV_LOG_H

#include "hv/types.h"

/* HV_LOG_NOTHING: for log_set_level only. Errors and notices are shown in every pane of the console. */
enum hv_log_level {
    HV_LOG_NOTHING,
    HV_LOG_ERROR,
    HV_LOG_NOTICE,
    HV_LOG_WARN,
    HV_LOG_INFO,
    HV_LOG_DEBUG,
};

void hv_log(enum hv_log_level level, const char *format, ...) HV_PRINTF(2, 3);

#define hv_error(...) hv_log(HV_LOG_ERROR, __VA_ARGS__)
#define hv_notice(...) hv_log(HV_LOG_NOTICE, __VA_ARGS__)
#define hv_warn(...) hv_log(HV_LOG_WARN, __VA_ARGS__)
#define hv_info(...) hv_log(HV_LOG_INFO, __VA_ARGS__)
#define hv_debug(...) hv_log(HV_LOG_DEBUG, __VA_ARGS__)

#define LOG_RING_BYTES (64u * 1024)

/* How each line begins: with the core's number, once it is known how to ask for it. Boot core, when
 * the per-core data of the boot core is up. */
void log_set_core_number(unsigned (*this_core)(void));

/* Which lines consoles show; the ring keeps all of them. HV_LOG_INFO at start. */
void log_set_level(enum hv_log_level most);

/* Copies from the ring: `from` counts all bytes ever logged. Returns the number copied, 0 at the
 * end; *from moves on, and over what has been overwritten in the meantime. */
size_t log_read(uint64_t *from, char *out, size_t bytes);

/* Bytes ever logged. */
uint64_t log_written(void);

#endif
