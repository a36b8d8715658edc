/*
 * The PC's 8254 programmable interval timer with its surroundings in port 0x61: counter 0 drives
 * IRQ0, counter 1 was memory refresh, counter 2 the speaker, gated by port 0x61.
 *
 * Counting is a function of the VM's clock: no timer runs for counters 1 and 2, and one for
 * counter 0 only while a rising edge of its OUT lies ahead.
 *
 * When the host is late, every edge of a periodic counter 0 that was missed is owed to the guest,
 * up to PIT8254_BACKLOG_MAX, and made up for at four times the rate, so that a guest that counts
 * ticks keeps the time. Further ones are lost and counted. A guest gets no more than one edge in
 * PIT8254_SPACING_NS, whatever it programs.
 *
 * Power-on, which the data sheet leaves open: no counter counts, OUT is high.
 *
 * Lock: the VM's device lock for every function here; the interrupt line is set with it held.
 */
#ifndef HV_DEV_PIT8254_H
#define HV_DEV_PIT8254_H

#include "hv/device.h"

#define PIT8254_HZ UINT64_C(1193182)

/* The regions: 0x40 with four ports, 0x61 with one. */
enum pit8254_tag { PIT8254_TAG_COUNTERS, PIT8254_TAG_PORT61 };

#define PIT8254_PORTS 4u
#define PIT8254_BACKLOG_MAX 32u
#define PIT8254_SPACING_NS UINT64_C(100000)

struct pit8254_counter_state {
    uint64_t pending_tick;  /* when the new count is loaded; UINT64_MAX: at the next trigger */
    uint64_t start_tick;    /* when the count in effect was loaded; modulo 2^64 */
    uint64_t paused_ticks;  /* how far it had counted when GATE went low */
    uint32_t count;         /* in effect, 1 to 65536 */
    uint32_t pending_count; /* written and not loaded yet; 0 = none */
    uint32_t last_count;    /* the last count written: what a trigger loads; 0 = none yet */
    uint16_t frozen;        /* what the counting element shows while nothing is in effect */
    uint16_t latch;
    uint8_t control;        /* low six bits of the control word: access, mode, BCD */
    uint8_t loaded;         /* a count is in effect */
    uint8_t null_count;     /* a count was written, or asked for, and is not in effect yet */
    uint8_t gate;
    uint8_t paused;         /* GATE stopped it (modes 0, 2, 3, 4) */
    uint8_t write_msb;      /* the next byte written is the second of two ... */
    uint8_t write_lsb;      /* ... and this was the first */
    uint8_t read_msb;       /* the next byte read is the second of two */
    uint8_t latched;
    uint8_t status;
    uint8_t status_latched;
};

struct pit8254_state {
    struct pit8254_counter_state counter[3];
    uint64_t edge_tick; /* counter 0's next rising edge; valid while one lies ahead */
    uint32_t backlog;   /* edges that came too late and are still owed to the guest */
    uint8_t edge_ahead;
    uint8_t out0;       /* level of the interrupt line */
    uint8_t port61;     /* the writable bits */
};

struct pit8254_wiring {
    struct hv_clock *clock;
    struct irq_line irq; /* IRQ0; with `set` NULL no timer ever runs */
};

struct pit8254 {
    struct device dev;
    struct pit8254_state state;
    struct pit8254_wiring wiring;
    struct hv_timer timer;
    uint64_t lost_edges; /* statistics: edges that were neither delivered nor owed */
};

extern const struct device_ops pit8254_ops;

/* Drives IRQ0 high, as reset does: what receives it must be initialised before. */
void pit8254_init(struct pit8254 *pit, const struct pit8254_wiring *wiring);

/* Level of OUT of counter 0, 1 or 2 at this moment; false for other numbers. */
bool pit8254_out(struct pit8254 *pit, unsigned counter);

#endif
