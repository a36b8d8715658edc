/*
 * A VM's clock and its timers, as devices see them. Every device of a VM derives its time from one
 * clock, which stands still while the VM is paused and is saved with it.
 *
 * Timers are one-shot; a periodic device arms again from the deadline that it had, not from "now",
 * so that nothing drifts. A callback runs with the VM's device lock held.
 */
#ifndef HV_CLOCK_H
#define HV_CLOCK_H

#include "hv/types.h"

#define HV_NS_PER_SECOND UINT64_C(1000000000)

struct hv_timer {
    struct hv_timer *next;   /* owned by the clock */
    uint64_t deadline_ns;    /* in the VM's clock; valid while armed */
    bool armed;
    void (*fire)(struct hv_timer *timer, uint64_t now_ns);
};

struct hv_clock {
    uint64_t (*now_ns)(struct hv_clock *clock);
    void (*arm)(struct hv_clock *clock, struct hv_timer *timer, uint64_t deadline_ns);
    void (*cancel)(struct hv_clock *clock, struct hv_timer *timer);
    /* Seconds since 1970-01-01 00:00 UTC at now_ns == 0. */
    uint64_t epoch_seconds;
};

/* Nanoseconds since the VM was started. Monotonic. */
static inline uint64_t clock_now_ns(struct hv_clock *clock)
{
    return clock->now_ns(clock);
}

/* Arms (or re-arms) the timer for an absolute time; a deadline that has passed fires soon. */
static inline void timer_arm(struct hv_clock *clock, struct hv_timer *timer, uint64_t deadline_ns)
{
    clock->arm(clock, timer, deadline_ns);
}

static inline void timer_cancel(struct hv_clock *clock, struct hv_timer *timer)
{
    clock->cancel(clock, timer);
}

/* a * b / c without overflow in between; c must not be 0; the result is cut to 64 bits. */
static inline uint64_t hv_mul_div_u64(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t high, low, quotient, remainder;
    unsigned __int128 product = (unsigned __int128)a * b;
    high = (uint64_t)(product >> 64);
    low = (uint64_t)product;
    if (high == 0)
        return low / c;
    /* Long division of high:low by c, since a 128-bit division would need libgcc. */
    high %= c;
    quotient = 0;
    remainder = high;
    for (int bit = 63; bit >= 0; bit--) {
        bool carry = remainder >> 63;
        remainder = remainder << 1 | (low >> bit & 1);
        quotient <<= 1;
        if (carry || remainder >= c) {
            remainder -= c;
            quotient |= 1;
        }
    }
    return quotient;
}

#endif
