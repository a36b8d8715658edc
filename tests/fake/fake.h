/*
 * Stand-ins for what a module gets from its surroundings: a clock that only a test moves, interrupt
 * lines that are recorded, a log that can be read. Header-only; include it from one test file.
 */
#ifndef FAKE_H
#define FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/clock.h"
#include "hv/device.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/panic.h"

/* --- clock --- */
struct fake_clock {
    struct hv_clock clock;
    uint64_t now;
    struct hv_timer *head; /* sorted by deadline */
};

static inline uint64_t fake_clock_now(struct hv_clock *clock)
{
    return HV_CONTAINER_OF(clock, struct fake_clock, clock)->now;
}

static inline void fake_clock_cancel(struct hv_clock *clock, struct hv_timer *timer)
{
    struct fake_clock *fake = HV_CONTAINER_OF(clock, struct fake_clock, clock);
    for (struct hv_timer **at = &fake->head; *at; at = &(*at)->next) {
        if (*at == timer) {
            *at = timer->next;
            break;
        }
    }
    timer->armed = false;
}

static inline void fake_clock_arm(struct hv_clock *clock, struct hv_timer *timer, uint64_t deadline)
{
    struct fake_clock *fake = HV_CONTAINER_OF(clock, struct fake_clock, clock);
    fake_clock_cancel(clock, timer);
    timer->deadline_ns = deadline;
    timer->armed = true;
    struct hv_timer **at = &fake->head;
    while (*at && (*at)->deadline_ns <= deadline)
        at = &(*at)->next;
    timer->next = *at;
    *at = timer;
}

static inline void fake_clock_init(struct fake_clock *fake)
{
    *fake = (struct fake_clock){
        .clock = { fake_clock_now, fake_clock_arm, fake_clock_cancel, 0 },
    };
}

/* Moves time to `to` and fires every timer on the way at its own deadline. */
static inline void fake_clock_advance_to(struct fake_clock *fake, uint64_t to)
{
    while (fake->head && fake->head->deadline_ns <= to) {
        struct hv_timer *timer = fake->head;
        fake->head = timer->next;
        timer->armed = false;
        if (timer->deadline_ns > fake->now)
            fake->now = timer->deadline_ns;
        timer->fire(timer, fake->now);
    }
    if (to > fake->now)
        fake->now = to;
}

static inline void fake_clock_advance(struct fake_clock *fake, uint64_t ns)
{
    fake_clock_advance_to(fake, fake->now + ns);
}

/* --- interrupt lines --- */
#define FAKE_LINES 32
struct fake_lines {
    bool level[FAKE_LINES];
    unsigned rises[FAKE_LINES];
};

static inline void fake_line_set(void *context, unsigned line, bool level)
{
    struct fake_lines *lines = context;
    if (line >= FAKE_LINES)
        abort();
    if (level && !lines->level[line])
        lines->rises[line]++;
    lines->level[line] = level;
}

static inline struct irq_line fake_line(struct fake_lines *lines, unsigned line)
{
    return (struct irq_line){ fake_line_set, lines, line };
}

/* --- one access, as the bus would make it --- */

/* A device's shorter way for 32-bit reads must say the same as its access function does. (It is for
 * registers that may be read twice.) */
static inline void fake_check_read32(struct device *device, unsigned tag,
                                     const struct bus_access *done)
{
    if (done->write || done->size != 4 || !device->ops->read32)
        return;
    int64_t value = device->ops->read32(device, tag, done->offset);
    if (value >= 0 && (uint64_t)value != done->value)
        abort();
}

static inline uint64_t fake_access(struct device *device, unsigned tag, enum bus_space space,
                                   uint64_t offset, unsigned size, bool write, uint64_t value,
                                   enum bus_answer *answer)
{
    struct bus_access access = { space, (uint8_t)size, write, offset, value & bus_size_mask(size) };
    enum bus_answer got = device->ops->access(device, tag, &access);
    if (answer)
        *answer = got;
    fake_check_read32(device, tag, &access);
    if (got == BUS_UNCLAIMED && !write)
        return bus_size_mask(size);
    return access.value;
}

/* --- log and panic: define FAKE_NO_LOG to bring your own --- */
#ifndef FAKE_NO_LOG
static char fake_log_text[4096];

void hv_log(enum hv_log_level level, const char *format, ...)
{
    (void)level;
    va_list args;
    va_start(args, format);
    vsnprintf(fake_log_text, sizeof(fake_log_text), format, args);
    va_end(args);
}

/* A test that expects a panic sets fake_panic_expected and calls setjmp(fake_panic_jump). */
static jmp_buf fake_panic_jump;
static bool fake_panic_expected;

HV_NORETURN void hv_panic(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (fake_panic_expected) {
        fake_panic_expected = false;
        longjmp(fake_panic_jump, 1);
    }
    abort();
}
#endif

#endif
