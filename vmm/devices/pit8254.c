/*
 * The 8254 of a PC: its ports, port 0x61, and IRQ0. How a counter counts is in pit8254_counter.c.
 *
 * Lock: the VM's device lock.
 * Source: 8254 data sheet, "Programming the 8254"; chipset data sheets for port 0x61, "NMI Status
 * and Control Register".
 */
#include "vmm/devices/pit8254_counter.h"
#include "vmm/devices/isa.h"

#define COUNTERS 3u
#define PORT_CONTROL 3u

#define CONTROL_SELECT_SHIFT 6
#define CONTROL_ACCESS 0x30u
#define SELECT_READ_BACK 3u
#define READ_BACK_NOT_COUNT 0x20u
#define READ_BACK_NOT_STATUS 0x10u

#define PORT61_GATE2 0x01u
#define PORT61_WRITABLE 0x0Fu /* gate 2, speaker, and the two check enables, which do nothing */
#define PORT61_REFRESH 0x10u
#define PORT61_OUT2 0x20u
#define REFRESH_TICKS 18u /* the refresh bit changes every 15 microseconds */

#define CATCH_UP_DIVISOR 4u

/* The reverse is exact: a tick begins at the first nanosecond that has its number. Split at whole
 * seconds, so that nothing overflows and nothing drifts. */
static uint64_t ns_to_tick(uint64_t ns)
{
    return ns / HV_NS_PER_SECOND * PIT8254_HZ +
           ns % HV_NS_PER_SECOND * PIT8254_HZ / HV_NS_PER_SECOND;
}

static uint64_t tick_to_ns(uint64_t tick)
{
    return tick / PIT8254_HZ * HV_NS_PER_SECOND +
           (tick % PIT8254_HZ * HV_NS_PER_SECOND + PIT8254_HZ - 1) / PIT8254_HZ;
}

static void set_out0(struct pit8254 *pit, bool level)
{
    if (level == pit->state.out0)
        return;
    pit->state.out0 = level;
    irq_set(&pit->wiring.irq, level);
}

/* OUT's fall is not timed; it is made up for here, so that the receiver sees an edge. */
static void deliver_edge(struct pit8254 *pit)
{
    set_out0(pit, false);
    set_out0(pit, true);
}

static bool has_receiver(const struct pit8254 *pit)
{
    return pit->wiring.irq.set != NULL;
}

static void find_edge(struct pit8254_state *s, uint64_t after_tick)
{
    s->edge_tick = pit_counter_next_edge(&s->counter[0], after_tick);
    s->edge_ahead = s->edge_tick != PIT_TICK_NEVER;
}

/* How many of counter 0's edges lie up to `tick`; the next one after that is found. A count that
 * waits is loaded within the first two, then the rest is a division. */
static uint64_t pass_edges(struct pit8254_state *s, uint64_t tick)
{
    struct pit8254_counter_state *c = &s->counter[0];
    uint64_t passed = 0;
    while (s->edge_ahead && s->edge_tick <= tick && passed < 3) {
        passed++;
        pit_counter_sync(c, s->edge_tick);
        find_edge(s, s->edge_tick);
    }
    if (s->edge_ahead && s->edge_tick <= tick) {
        uint64_t more = (tick - s->edge_tick) / c->count + 1;
        passed += more;
        s->edge_tick += more * c->count;
    }
    return passed;
}

static uint64_t period_ns(const struct pit8254_state *s)
{
    return tick_to_ns(s->counter[0].count);
}

/* Owed edges are kept only where the guest could also take them at the faster rate. */
static void limit_backlog(struct pit8254 *pit)
{
    struct pit8254_state *s = &pit->state;
    uint32_t most = PIT8254_BACKLOG_MAX;
    if (!pit_counter_is_periodic(&s->counter[0]) || period_ns(s) < 2 * PIT8254_SPACING_NS)
        most = 0;
    if (s->backlog <= most)
        return;
    pit->lost_edges += s->backlog - most;
    s->backlog = most;
}

static void arm(struct pit8254 *pit, uint64_t not_before_ns, uint64_t now_ns)
{
    struct pit8254_state *s = &pit->state;
    uint64_t deadline = UINT64_MAX;
    if (s->edge_ahead)
        deadline = hv_max_u64(tick_to_ns(s->edge_tick), not_before_ns);
    if (s->backlog) {
        uint64_t step = hv_max_u64(period_ns(s) / CATCH_UP_DIVISOR, PIT8254_SPACING_NS);
        deadline = hv_min_u64(deadline, now_ns + step);
    }
    if (deadline != UINT64_MAX && has_receiver(pit))
        timer_arm(pit->wiring.clock, &pit->timer, deadline);
    else if (pit->timer.armed)
        timer_cancel(pit->wiring.clock, &pit->timer);
}

/* Delivers one of the edges that have passed and owes the others. True if it delivered. */
static bool run_edges(struct pit8254 *pit, uint64_t now_ns, bool owed_too)
{
    struct pit8254_state *s = &pit->state;
    uint64_t passed = pass_edges(s, ns_to_tick(now_ns));
    bool deliver = passed || (owed_too && s->backlog);
    passed = hv_min_u64(passed, UINT32_MAX / 2);
    if (deliver) {
        s->backlog += (uint32_t)passed;
        s->backlog--;
        deliver_edge(pit);
    }
    limit_backlog(pit);
    return deliver;
}

static void timer_fired(struct hv_timer *timer, uint64_t now_ns)
{
    struct pit8254 *pit = HV_CONTAINER_OF(timer, struct pit8254, timer);
    run_edges(pit, now_ns, true);
    arm(pit, now_ns + PIT8254_SPACING_NS, now_ns);
}

/* After counter 0 was programmed. OUT takes its initial level at once; edges come by the timer. */
static void counter0_programmed(struct pit8254 *pit, bool new_mode, uint64_t now_ns)
{
    struct pit8254_state *s = &pit->state;
    uint64_t tick = ns_to_tick(now_ns);
    if (new_mode)
        s->backlog = 0;
    if (new_mode || pit_counter_mode(&s->counter[0]) == 0)
        set_out0(pit, pit_counter_out(&s->counter[0], tick));
    find_edge(s, tick);
    arm(pit, now_ns, now_ns);
}

static void read_back(struct pit8254_state *s, uint8_t value, uint64_t tick)
{
    for (unsigned i = 0; i < COUNTERS; i++) {
        if (!(value >> (i + 1) & 1))
            continue;
        if (!(value & READ_BACK_NOT_COUNT))
            pit_counter_latch_count(&s->counter[i], tick);
        if (!(value & READ_BACK_NOT_STATUS))
            pit_counter_latch_status(&s->counter[i], tick);
    }
}

static void control_write(struct pit8254 *pit, uint8_t value, uint64_t now_ns)
{
    struct pit8254_state *s = &pit->state;
    uint64_t tick = ns_to_tick(now_ns);
    unsigned select = value >> CONTROL_SELECT_SHIFT;
    if (select == SELECT_READ_BACK) {
        read_back(s, value, tick);
        return;
    }
    if (!(value & CONTROL_ACCESS)) {
        pit_counter_latch_count(&s->counter[select], tick);
        return;
    }
    if (select == 0)
        run_edges(pit, now_ns, false);
    pit_counter_control(&s->counter[select], value & 0x3F, tick);
    if (select == 0)
        counter0_programmed(pit, true, now_ns);
}

static void counter_write(struct pit8254 *pit, unsigned counter, uint8_t value, uint64_t now_ns)
{
    if (counter == 0)
        run_edges(pit, now_ns, false);
    pit_counter_write(&pit->state.counter[counter], value, ns_to_tick(now_ns));
    if (counter == 0)
        counter0_programmed(pit, false, now_ns);
}

static void port61_write(struct pit8254_state *s, uint8_t value, uint64_t tick)
{
    s->port61 = value & PORT61_WRITABLE;
    pit_counter_set_gate(&s->counter[2], s->port61 & PORT61_GATE2, tick);
}

static uint8_t port61_read(struct pit8254_state *s, uint64_t tick)
{
    uint8_t value = s->port61;
    if (tick / REFRESH_TICKS & 1)
        value |= PORT61_REFRESH;
    if (pit_counter_out(&s->counter[2], tick))
        value |= PORT61_OUT2;
    return value;
}

/* The control word cannot be read. */
static int pit_read8(struct device *device, unsigned tag, uint64_t offset)
{
    struct pit8254 *pit = HV_CONTAINER_OF(device, struct pit8254, dev);
    if (offset >= (tag == PIT8254_TAG_PORT61 ? 1 : COUNTERS))
        return BUS_READ_UNCLAIMED;
    uint64_t tick = ns_to_tick(clock_now_ns(pit->wiring.clock));
    if (tag == PIT8254_TAG_PORT61)
        return port61_read(&pit->state, tick);
    return pit_counter_read(&pit->state.counter[offset], tick);
}

static enum bus_answer pit_write8(struct device *device, unsigned tag, uint64_t offset,
                                  uint8_t value)
{
    struct pit8254 *pit = HV_CONTAINER_OF(device, struct pit8254, dev);
    if (offset > (tag == PIT8254_TAG_PORT61 ? 0 : PORT_CONTROL))
        return BUS_UNCLAIMED;
    uint64_t now_ns = clock_now_ns(pit->wiring.clock);
    if (tag == PIT8254_TAG_PORT61)
        port61_write(&pit->state, value, ns_to_tick(now_ns));
    else if (offset < COUNTERS)
        counter_write(pit, (unsigned)offset, value, now_ns);
    else
        control_write(pit, value, now_ns);
    return BUS_DONE;
}

bool pit8254_out(struct pit8254 *pit, unsigned counter)
{
    if (counter >= COUNTERS)
        return false;
    return pit_counter_out(&pit->state.counter[counter],
                           ns_to_tick(clock_now_ns(pit->wiring.clock)));
}

/* Modes and accesses as a PC's firmware leaves them, but with nothing counting. */
static void pit_reset(struct device *device)
{
    struct pit8254 *pit = HV_CONTAINER_OF(device, struct pit8254, dev);
    pit->state = (struct pit8254_state){
        .counter = {
            { .control = 0x36, .null_count = 1, .gate = 1 },
            { .control = 0x14, .null_count = 1, .gate = 1 },
            { .control = 0x36, .null_count = 1, .gate = 0 },
        },
        .out0 = 1,
    };
    irq_set(&pit->wiring.irq, true);
    arm(pit, 0, 0);
}

/* Counters 0 and 1 have GATE tied high: nothing stops them, and nothing triggers them either. */
static bool ungated_check(const struct pit8254_counter_state *c)
{
    unsigned mode = pit_counter_mode(c);
    if (!c->gate || c->paused)
        return false;
    return (mode != 1 && mode != 5) || (!c->loaded && !c->pending_count);
}

static bool pit_check(const void *state)
{
    const struct pit8254_state *s = state;
    const struct pit8254_counter_state *c = &s->counter[0];
    for (unsigned i = 0; i < COUNTERS; i++)
        if (!pit_counter_check(&s->counter[i]))
            return false;
    if (!ungated_check(&s->counter[0]) || !ungated_check(&s->counter[1]))
        return false;
    if ((s->port61 & ~PORT61_WRITABLE) || s->counter[2].gate != (s->port61 & PORT61_GATE2))
        return false;
    if (s->edge_ahead > 1 || s->out0 > 1 || s->backlog > PIT8254_BACKLOG_MAX)
        return false;
    return !s->backlog || (c->loaded && pit_counter_is_periodic(c));
}

/* Edges that the saved VM was owed stay owed; one that lies too far ahead is found anew. */
static void pit_loaded(struct device *device)
{
    struct pit8254 *pit = HV_CONTAINER_OF(device, struct pit8254, dev);
    struct pit8254_state *s = &pit->state;
    uint64_t now_ns = clock_now_ns(pit->wiring.clock);
    uint64_t tick = ns_to_tick(now_ns);
    for (unsigned i = 0; i < COUNTERS; i++)
        pit_counter_loaded(&s->counter[i], tick);
    if (!s->edge_ahead || s->edge_tick > tick)
        find_edge(s, tick);
    irq_set(&pit->wiring.irq, s->out0);
    arm(pit, now_ns, now_ns);
}

static const struct device_field counter_fields[] = {
    DEVICE_FIELD(struct pit8254_counter_state, pending_tick),
    DEVICE_FIELD(struct pit8254_counter_state, start_tick),
    DEVICE_FIELD(struct pit8254_counter_state, paused_ticks),
    DEVICE_FIELD(struct pit8254_counter_state, count),
    DEVICE_FIELD(struct pit8254_counter_state, pending_count),
    DEVICE_FIELD(struct pit8254_counter_state, last_count),
    DEVICE_FIELD(struct pit8254_counter_state, frozen),
    DEVICE_FIELD(struct pit8254_counter_state, latch),
    DEVICE_FIELD(struct pit8254_counter_state, control),
    DEVICE_FIELD(struct pit8254_counter_state, loaded),
    DEVICE_FIELD(struct pit8254_counter_state, null_count),
    DEVICE_FIELD(struct pit8254_counter_state, gate),
    DEVICE_FIELD(struct pit8254_counter_state, paused),
    DEVICE_FIELD(struct pit8254_counter_state, write_msb),
    DEVICE_FIELD(struct pit8254_counter_state, write_lsb),
    DEVICE_FIELD(struct pit8254_counter_state, read_msb),
    DEVICE_FIELD(struct pit8254_counter_state, latched),
    DEVICE_FIELD(struct pit8254_counter_state, status),
    DEVICE_FIELD(struct pit8254_counter_state, status_latched),
    DEVICE_FIELD_END,
};

static const struct device_field pit_fields[] = {
    DEVICE_FIELD_NESTED_ARRAY(struct pit8254_state, counter, counter_fields),
    DEVICE_FIELD(struct pit8254_state, edge_tick),
    DEVICE_FIELD(struct pit8254_state, backlog),
    DEVICE_FIELD(struct pit8254_state, edge_ahead),
    DEVICE_FIELD(struct pit8254_state, out0),
    DEVICE_FIELD(struct pit8254_state, port61),
    DEVICE_FIELD_END,
};

const struct device_ops pit8254_ops = {
    .name = "pit8254",
    .version = 1,
    .state_offset = offsetof(struct pit8254, state),
    .state_bytes = sizeof(struct pit8254_state),
    .reset = pit_reset,
    .access = isa_split_access,
    .read8 = pit_read8,
    .write8 = pit_write8,
    .fields = pit_fields,
    .check = pit_check,
    .loaded = pit_loaded,
};

void pit8254_init(struct pit8254 *pit, const struct pit8254_wiring *wiring)
{
    *pit = (struct pit8254){
        .dev = { &pit8254_ops },
        .wiring = *wiring,
        .timer = { .fire = timer_fired },
    };
    pit_reset(&pit->dev);
}
