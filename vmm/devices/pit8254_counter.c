/*
 * One counter of an 8254. See pit8254_counter.h.
 */
#include "vmm/devices/pit8254_counter.h"

enum pit_mode {
    MODE_TERMINAL_COUNT = 0,
    MODE_ONE_SHOT = 1,
    MODE_RATE = 2,
    MODE_SQUARE = 3,
    MODE_SOFT_STROBE = 4,
    MODE_HARD_STROBE = 5,
};

#define CONTROL_BCD 0x01u
#define CONTROL_MODE_SHIFT 1
#define CONTROL_ACCESS_SHIFT 4
#define CONTROL_ALL 0x3Fu

#define ACCESS_LSB 1u
#define ACCESS_MSB 2u
#define ACCESS_BOTH 3u

#define STATUS_OUT 0x80u
#define STATUS_NULL_COUNT 0x40u

#define COUNT_MAX 65536u

/* Bit 2 of the mode is don't-care for modes 2 and 3. */
unsigned pit_counter_mode(const struct pit8254_counter_state *c)
{
    unsigned mode = c->control >> CONTROL_MODE_SHIFT & 7;
    return mode > MODE_HARD_STROBE ? mode - 4 : mode;
}

bool pit_counter_is_periodic(const struct pit8254_counter_state *c)
{
    unsigned mode = pit_counter_mode(c);
    return mode == MODE_RATE || mode == MODE_SQUARE;
}

/* Modes 1 and 5 start by a trigger; GATE low does not stop them. */
static bool starts_by_trigger(const struct pit8254_counter_state *c)
{
    unsigned mode = pit_counter_mode(c);
    return mode == MODE_ONE_SHOT || mode == MODE_HARD_STROBE;
}

static unsigned access_of(const struct pit8254_counter_state *c)
{
    return c->control >> CONTROL_ACCESS_SHIFT & 3;
}

static uint32_t modulus(const struct pit8254_counter_state *c)
{
    return c->control & CONTROL_BCD ? 10000 : COUNT_MAX;
}

/* A count of 0 stands for the largest one. Digits above 9 are taken at their weight. */
static uint32_t decode_count(const struct pit8254_counter_state *c, uint16_t raw)
{
    uint32_t count = raw;
    if (c->control & CONTROL_BCD)
        count = (raw >> 12) * 1000u + (raw >> 8 & 15) * 100u + (raw >> 4 & 15) * 10u + (raw & 15);
    return count ? count : modulus(c);
}

static uint16_t encode_count(const struct pit8254_counter_state *c, uint32_t count)
{
    if (!(c->control & CONTROL_BCD))
        return (uint16_t)count;
    return (uint16_t)((count / 1000 % 10) << 12 | (count / 100 % 10) << 8 | (count / 10 % 10) << 4 |
                      count % 10);
}

/* A start that lies ahead, which only a foreign snapshot has, counts as the present. */
static uint64_t elapsed(const struct pit8254_counter_state *c, uint64_t tick)
{
    if (c->paused)
        return c->paused_ticks;
    int64_t ticks = (int64_t)(tick - c->start_tick);
    return ticks < 0 ? 0 : (uint64_t)ticks;
}

/* Mode 3: an odd count gives the extra tick to the high half. */
static uint32_t high_half(uint32_t count)
{
    return (count + 1) / 2;
}

/* The counting element, as a read shows it. */
static uint16_t counting_element(const struct pit8254_counter_state *c, uint64_t tick)
{
    if (!c->loaded)
        return c->frozen;
    uint64_t ticks = elapsed(c, tick);
    uint32_t phase = (uint32_t)(ticks % c->count);
    switch (pit_counter_mode(c)) {
    case MODE_RATE:
        return encode_count(c, c->count - phase);
    case MODE_SQUARE: /* counts by two, twice per period, from an even number */
        if (phase >= high_half(c->count))
            phase -= high_half(c->count);
        return encode_count(c, (c->count & ~1u) - 2 * phase);
    default: { /* goes on from the top after it has reached 0 */
        uint32_t m = modulus(c);
        return encode_count(c, (c->count % m + m - (uint32_t)(ticks % m)) % m);
    }
    }
}

static bool out_level(const struct pit8254_counter_state *c, uint64_t tick)
{
    unsigned mode = pit_counter_mode(c);
    if (!c->loaded)
        return mode != MODE_TERMINAL_COUNT;
    uint64_t ticks = elapsed(c, tick);
    switch (mode) {
    case MODE_TERMINAL_COUNT:
    case MODE_ONE_SHOT:
        return ticks >= c->count;
    case MODE_RATE:
        return c->paused || ticks % c->count != c->count - 1;
    case MODE_SQUARE:
        return c->paused || ticks % c->count < high_half(c->count);
    default: /* the strobe is low for one CLK */
        return c->paused || ticks != c->count;
    }
}

/* CR goes into the counting element. A square wave that is in its low half then goes on with the
 * low half of the new count. */
static void load_count(struct pit8254_counter_state *c)
{
    uint64_t start = c->pending_tick;
    if (pit_counter_mode(c) == MODE_SQUARE && c->loaded && !c->paused &&
        elapsed(c, start) % c->count >= high_half(c->count))
        start -= high_half(c->pending_count);
    c->start_tick = start;
    c->count = c->pending_count;
    c->pending_count = 0;
    c->loaded = 1;
    c->null_count = 0;
    c->paused = !c->gate && !starts_by_trigger(c);
    c->paused_ticks = 0;
}

void pit_counter_sync(struct pit8254_counter_state *c, uint64_t tick)
{
    if (c->pending_count && c->pending_tick != PIT_TICK_AT_TRIGGER && tick >= c->pending_tick)
        load_count(c);
}

bool pit_counter_out(struct pit8254_counter_state *c, uint64_t tick)
{
    pit_counter_sync(c, tick);
    return out_level(c, tick);
}

void pit_counter_control(struct pit8254_counter_state *c, uint8_t control, uint64_t tick)
{
    pit_counter_sync(c, tick);
    *c = (struct pit8254_counter_state){
        .frozen = counting_element(c, tick),
        .control = control & CONTROL_ALL,
        .null_count = 1,
        .gate = c->gate,
    };
}

static void pend(struct pit8254_counter_state *c, uint64_t tick)
{
    c->pending_count = c->last_count;
    c->pending_tick = tick;
}

/* Mode 0: OUT goes low at once and counting stops until the new count is loaded. */
static void stop_counting(struct pit8254_counter_state *c, uint64_t tick)
{
    c->frozen = counting_element(c, tick);
    c->loaded = 0;
    c->paused = 0;
    c->pending_count = 0;
}

/* Modes 2 and 3: a running counter takes a new count at the end of its (half) cycle. */
static uint64_t cycle_end(const struct pit8254_counter_state *c, uint64_t tick)
{
    uint32_t phase = (uint32_t)(elapsed(c, tick) % c->count);
    if (pit_counter_mode(c) == MODE_SQUARE && phase < high_half(c->count))
        return tick + high_half(c->count) - phase;
    return tick + c->count - phase;
}

static void count_written(struct pit8254_counter_state *c, uint16_t raw, uint64_t tick)
{
    c->last_count = decode_count(c, raw);
    c->null_count = 1;
    switch (pit_counter_mode(c)) {
    case MODE_TERMINAL_COUNT:
        stop_counting(c, tick);
        pend(c, tick + 1);
        break;
    case MODE_SOFT_STROBE:
        pend(c, tick + 1);
        break;
    case MODE_RATE:
    case MODE_SQUARE:
        if (!c->loaded)
            pend(c, tick + 1);
        else if (!c->paused)
            pend(c, cycle_end(c, tick));
        else
            pend(c, c->gate ? tick + 1 : PIT_TICK_AT_TRIGGER);
        break;
    default:
        if (c->pending_count) /* triggered, and CR is read at the next CLK */
            c->pending_count = c->last_count;
        break;
    }
}

void pit_counter_write(struct pit8254_counter_state *c, uint8_t value, uint64_t tick)
{
    pit_counter_sync(c, tick);
    switch (access_of(c)) {
    case ACCESS_LSB:
        count_written(c, value, tick);
        break;
    case ACCESS_MSB:
        count_written(c, (uint16_t)(value << 8), tick);
        break;
    default:
        c->write_msb = !c->write_msb;
        if (c->write_msb) {
            c->write_lsb = value;
            if (pit_counter_mode(c) == MODE_TERMINAL_COUNT)
                stop_counting(c, tick);
        } else {
            count_written(c, (uint16_t)(value << 8 | c->write_lsb), tick);
        }
        break;
    }
}

uint8_t pit_counter_read(struct pit8254_counter_state *c, uint64_t tick)
{
    pit_counter_sync(c, tick);
    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    uint16_t count = c->latched ? c->latch : counting_element(c, tick);
    bool msb = access_of(c) == ACCESS_MSB;
    if (access_of(c) == ACCESS_BOTH) {
        msb = c->read_msb;
        c->read_msb = !c->read_msb;
    }
    if (!c->read_msb) /* everything that the access mode gives has been read */
        c->latched = 0;
    return (uint8_t)(msb ? count >> 8 : count);
}

/* A second latch before the first was read is ignored; the same for the status. */
void pit_counter_latch_count(struct pit8254_counter_state *c, uint64_t tick)
{
    pit_counter_sync(c, tick);
    if (c->latched)
        return;
    c->latched = 1;
    c->latch = counting_element(c, tick);
}

void pit_counter_latch_status(struct pit8254_counter_state *c, uint64_t tick)
{
    pit_counter_sync(c, tick);
    if (c->status_latched)
        return;
    c->status_latched = 1;
    c->status = (uint8_t)((out_level(c, tick) ? STATUS_OUT : 0) |
                          (c->null_count ? STATUS_NULL_COUNT : 0) | c->control);
}

static void gate_rises(struct pit8254_counter_state *c, uint64_t tick)
{
    if (starts_by_trigger(c)) {
        if (c->last_count)
            pend(c, tick + 1);
    } else if (c->loaded && pit_counter_is_periodic(c)) {
        pend(c, tick + 1);
    } else if (c->paused) {
        c->start_tick = tick - c->paused_ticks;
        c->paused = 0;
    }
}

static void gate_falls(struct pit8254_counter_state *c, uint64_t tick)
{
    if (starts_by_trigger(c) || !c->loaded)
        return;
    c->paused_ticks = elapsed(c, tick);
    c->paused = 1;
    if (pit_counter_is_periodic(c))
        c->pending_tick = PIT_TICK_AT_TRIGGER;
}

void pit_counter_set_gate(struct pit8254_counter_state *c, bool gate, uint64_t tick)
{
    pit_counter_sync(c, tick);
    if (gate == c->gate)
        return;
    c->gate = gate;
    if (gate)
        gate_rises(c, tick);
    else
        gate_falls(c, tick);
}

/* With the count in effect alone. */
static uint64_t next_edge_loaded(const struct pit8254_counter_state *c, uint64_t tick)
{
    if (!c->loaded || c->paused)
        return PIT_TICK_NEVER;
    uint64_t ticks = elapsed(c, tick);
    switch (pit_counter_mode(c)) {
    case MODE_TERMINAL_COUNT:
    case MODE_ONE_SHOT:
        return ticks < c->count ? tick + (c->count - ticks) : PIT_TICK_NEVER;
    case MODE_RATE:
    case MODE_SQUARE: /* 1 is not a legal count, and gives a level */
        return c->count < 2 ? PIT_TICK_NEVER : tick + (c->count - ticks % c->count);
    default:
        return ticks <= c->count ? tick + (c->count + 1 - ticks) : PIT_TICK_NEVER;
    }
}

uint64_t pit_counter_next_edge(const struct pit8254_counter_state *c, uint64_t tick)
{
    struct pit8254_counter_state next = *c;
    pit_counter_sync(&next, tick);
    uint64_t edge = next_edge_loaded(&next, tick);
    if (!next.pending_count || next.pending_tick == PIT_TICK_AT_TRIGGER ||
        edge <= next.pending_tick)
        return edge;
    uint64_t load_tick = next.pending_tick;
    load_count(&next);
    return next_edge_loaded(&next, load_tick);
}

static bool flags_check(const struct pit8254_counter_state *c)
{
    return c->loaded <= 1 && c->null_count <= 1 && c->gate <= 1 && c->paused <= 1 &&
           c->write_msb <= 1 && c->read_msb <= 1 && c->latched <= 1 && c->status_latched <= 1;
}

bool pit_counter_check(const struct pit8254_counter_state *c)
{
    if (!flags_check(c) || (c->control & ~CONTROL_ALL) || !access_of(c))
        return false;
    if (c->count > COUNT_MAX || c->pending_count > COUNT_MAX || c->last_count > COUNT_MAX)
        return false;
    if (c->loaded ? !c->count : c->paused)
        return false;
    if (c->paused && starts_by_trigger(c))
        return false;
    if (access_of(c) != ACCESS_BOTH && (c->write_msb || c->read_msb))
        return false;
    if ((c->loaded || c->pending_count) && !c->last_count)
        return false;
    return true;
}

void pit_counter_loaded(struct pit8254_counter_state *c, uint64_t tick)
{
    /* No count is loaded later than after one whole (half) cycle. */
    if (c->pending_tick != PIT_TICK_AT_TRIGGER && c->pending_tick > tick + COUNT_MAX)
        c->pending_tick = tick + 1;
}
