/*
 * Our own bug: say what and where on every console, stop every core, do not go on.
 */
#ifndef HV_PANIC_H
#define HV_PANIC_H

#include "hv/types.h"

HV_NORETURN void hv_panic(const char *format, ...) HV_PRINTF(1, 2);

#define HV_ASSERT(condition)                                                                       \
    do {                                                                                           \
        if (HV_UNLIKELY(!(condition)))                                                             \
            hv_panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #condition);               \
    } while (0)

#endif
