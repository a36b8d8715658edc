/*
 * The hypervisor's log: one line a call, to every console and to a ring in memory.
 * A line is formatted into a bounded buffer and cut, never split. Safe on every core.
 */
#ifndef HV_LOG_H
#define HV_LOG_H

#include "hv/types.h"

enum hv_log_level { HV_LOG_ERROR, HV_LOG_WARN, HV_LOG_INFO, HV_LOG_DEBUG };

void hv_log(enum hv_log_level level, const char *format, ...) HV_PRINTF(2, 3);

#define hv_error(...) hv_log(HV_LOG_ERROR, __VA_ARGS__)
#define hv_warn(...) hv_log(HV_LOG_WARN, __VA_ARGS__)
#define hv_info(...) hv_log(HV_LOG_INFO, __VA_ARGS__)
#define hv_debug(...) hv_log(HV_LOG_DEBUG, __VA_ARGS__)

#endif
