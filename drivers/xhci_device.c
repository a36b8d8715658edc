/*
 * A device on an xHCI: its slot, its address, what it is, and its reports.
 *
 * Not here: what makes a hub of it (xhci_hub.c), what the reports mean. Lock: the caller's.
 * xHCI 1.2 "Device Slot Management", "Endpoint Context Initialization", "Interval"; USB 2.0 "USB
 * Device Requests"; HID 1.11 "Class-Specific Requests".
 */
#include "xhci.h"

#include "hv/string.h"

#define GET_DESCRIPTOR 6
#define SET_CONFIGURATION 9
#define SET_IDLE 0x0a
#define SET_PROTOCOL 0x0b
#define DESCRIPTOR_DEVICE 1
#define DESCRIPTOR_CONFIGURATION 2
#define DEVICE_HEAD_BYTES 8
#define CONFIGURATION_BYTES 9
#define MOST_CONFIGURATION_BYTES 1024u
#define MOST_DEPTH 5u
#define AFTER_ADDRESS_US 2000u

static struct xhci_device *current(struct xhci *x)
{
    return &x->devices[x->job.slot];
}

static void ask(struct xhci *x, uint8_t type, uint16_t length, xhci_step *next)
{
    const struct usb_setup setup = { 0x80, GET_DESCRIPTOR, (uint16_t)(type << 8), 0, length };
    xhci_control(x, x->job.slot, &setup, next);
}

/* --- contexts --- */

void xhci_fill_slot(struct xhci *x, unsigned slot, unsigned entries)
{
    const struct xhci_device *d = &x->devices[slot];
    struct xhci_slot_context *context = xhci_input_slot(x);
    bool is_hub = d->hub_ports != 0;

    context->route_speed_entries =
        d->route | SLOT_SPEED(d->speed) | SLOT_ENTRIES(entries) | (is_hub ? SLOT_HUB : 0);
    context->port = SLOT_ROOT_PORT(d->place.root_port) | SLOT_HUB_PORTS(d->hub_ports);
    context->transaction_translator =
        SLOT_TT(d->tt_slot, d->tt_port) |
        (is_hub && d->speed == SPEED_HIGH ? SLOT_TT_THINK(d->hub_think_time) : 0);
}

static uint64_t dequeue_of(const struct xhci_ring *ring)
{
    return (uint64_t)&ring->trbs[ring->next] | ring->cycle;
}

static void fill_control_endpoint(struct xhci *x)
{
    struct xhci_endpoint_context *context = xhci_input_endpoint(x, CONTEXT_EP0);

    context->type = ENDPOINT_RETRIES | ENDPOINT_CONTROL |
                    ENDPOINT_PACKET(current(x)->control_packet_bytes);
    context->dequeue = dequeue_of(&current(x)->control);
    context->lengths = 8;
}

/* As a power of two of 125 us. */
static unsigned interval_exponent(const struct xhci_device *d)
{
    unsigned interval = d->interface.interval ? d->interface.interval : 1;
    unsigned exponent = 3; /* a millisecond */

    if (d->speed == SPEED_HIGH)
        return (interval > 16 ? 16 : interval) - 1;
    while (exponent < 10 && interval >> (exponent - 2))
        exponent++;
    return exponent;
}

static uint16_t report_bytes(const struct xhci_device *d)
{
    return (uint16_t)hv_min_u64(d->interface.packet_bytes, XHCI_REPORT_BYTES);
}

static void fill_report_endpoint(struct xhci *x)
{
    const struct xhci_device *d = current(x);
    struct xhci_endpoint_context *context = xhci_input_endpoint(x, xhci_report_dci(d));

    context->interval = ENDPOINT_INTERVAL(interval_exponent(d));
    context->type = ENDPOINT_RETRIES | ENDPOINT_INTERRUPT_IN |
                    ENDPOINT_PACKET(d->interface.packet_bytes);
    context->dequeue = dequeue_of(&d->reports);
    context->lengths = (uint32_t)d->interface.packet_bytes << 16 | report_bytes(d);
}

/* --- reports --- */

static void expect_report(struct xhci_device *d, unsigned sequence)
{
    xhci_ring_put(&d->reports, (uint64_t)xhci_report_buffer(d, sequence % XHCI_REPORTS),
                  report_bytes(d), TRB_TYPE(TRB_NORMAL) | TRB_REPORT | TRB_SHORT_REPORT);
}

static void ring_reports(struct xhci *x, unsigned slot)
{
    xhci_write(x, x->doorbells + 4 * slot, xhci_report_dci(&x->devices[slot]));
}

/* A keyboard types: it works, and so does each hub on the way to it. What fails now and then may do so
 * for ever. */
static void forgive(struct xhci *x, const struct xhci_device *d)
{
    for (unsigned i = d->depth + 1u; i > 0; i--) {
        *xhci_tries_of(x, &d->place) = 0;
        d = &x->devices[d->place.hub];
    }
}

void xhci_device_report(struct xhci *x, unsigned slot, const struct xhci_trb *event)
{
    struct xhci_device *d = &x->devices[slot];
    unsigned code = TRB_CODE_OF(event->status), left = TRB_LEFT_OF(event->status);
    unsigned index = d->reports_done % XHCI_REPORTS;
    const struct xhci_trb *expected = &d->reports.trbs[d->reports_done % (XHCI_RING_TRBS - 1)];
    uint8_t report[XHCI_REPORT_BYTES];

    if (event->parameter != (uint64_t)expected || left > report_bytes(d) ||
        (code != CODE_SUCCESS && code != CODE_SHORT_PACKET)) {
        xhci_device_failed(x, slot);
        return;
    }
    size_t bytes = report_bytes(d) - left;
    memcpy(report, xhci_report_buffer(d, index), sizeof(report));
    if (d->interface.kind == USB_HUB) {
        xhci_hub_report(d, report, bytes);
    } else {
        usb_keyboard_report(&d->keyboard, report, bytes, xhci_now(x));
        forgive(x, d);
    }
    expect_report(d, d->reports_done + XHCI_REPORTS);
    d->reports_done++;
    ring_reports(x, slot);
}

void xhci_device_ready(struct xhci *x)
{
    struct xhci_device *d = current(x);

    /* Pulled in the meantime; or its hub failed before it was one of those that go with it. */
    if (d->state != XHCI_DEVICE_SETUP ||
        (d->place.hub && x->devices[d->place.hub].state != XHCI_DEVICE_READY)) {
        xhci_job_failed(x, "its hub has gone");
        return;
    }
    d->state = XHCI_DEVICE_READY;
    for (unsigned i = 0; i < XHCI_REPORTS; i++)
        expect_report(d, i);
    ring_reports(x, x->job.slot);
    xhci_note(x, &d->place, d->interface.kind == USB_HUB ? "a hub" : "a keyboard");
    xhci_job_done(x);
}

/* --- from a reset port to a device that is ready, step by step --- */

static void on_idle_set(struct xhci *x, unsigned code)
{
    (void)code; /* a keyboard need not know it: it then says more often that nothing has changed */
    xhci_device_ready(x);
}

static void on_protocol_set(struct xhci *x, unsigned code)
{
    const struct usb_setup setup = { 0x21, SET_IDLE, 0, current(x)->interface.number, 0 };

    if (code == CODE_NONE)
        xhci_job_failed(x, "it does not answer");
    else
        xhci_control(x, x->job.slot, &setup, on_idle_set);
}

static void on_configured(struct xhci *x, unsigned code)
{
    const struct usb_setup setup = { 0x21, SET_PROTOCOL, 0, current(x)->interface.number, 0 };

    if (code != CODE_SUCCESS)
        xhci_job_failed(x, "it takes no configuration");
    else if (current(x)->interface.kind == USB_HUB)
        xhci_hub_begin(x);
    else
        xhci_control(x, x->job.slot, &setup, on_protocol_set);
}

static void on_endpoint(struct xhci *x, unsigned code)
{
    const struct usb_setup setup = { 0x00, SET_CONFIGURATION,
                                     current(x)->interface.configuration, 0, 0 };

    if (code != CODE_SUCCESS)
        xhci_job_failed(x, "the controller has no room for its endpoint");
    else
        xhci_control(x, x->job.slot, &setup, on_configured);
}

static void configure(struct xhci *x)
{
    unsigned dci = xhci_report_dci(current(x));

    xhci_input_begin(x, 1u << CONTEXT_SLOT | 1u << dci);
    xhci_fill_slot(x, x->job.slot, dci);
    fill_report_endpoint(x);
    xhci_command(x, (uint64_t)x->input, TRB_TYPE(TRB_CONFIGURE_ENDPOINT) | TRB_SLOT(x->job.slot),
                 on_endpoint);
}

/* No keyboard and no hub: it is let go, and not asked again until something else is plugged in. */
static void leave_alone(struct xhci *x)
{
    const struct xhci_place place = x->job.place;

    if (place.hub)
        x->devices[place.hub].hub_tries[place.hub_port] = XHCI_TRIES;
    else
        x->port_tries[place.root_port] = XHCI_TRIES;
    xhci_device_lost(x, x->job.slot);
    xhci_job_done(x);
}

static void on_configuration(struct xhci *x, unsigned code)
{
    static const uint16_t most_bytes[] = { [SPEED_FULL] = 64, [SPEED_LOW] = 8, [SPEED_HIGH] = 1024 };
    struct xhci_device *d = current(x);
    uint8_t copy[MOST_CONFIGURATION_BYTES];

    memcpy(copy, xhci_buffer(d), x->job.length);
    if (code != CODE_SUCCESS)
        xhci_job_failed(x, "it does not say what it is");
    else if (!usb_find_interface(copy, x->job.length, &d->interface) ||
             (d->interface.kind == USB_HUB && d->depth == MOST_DEPTH))
        leave_alone(x);
    else {
        /* Some promise more than their speed allows, which the controller would refuse. */
        if (d->interface.packet_bytes > most_bytes[d->speed])
            d->interface.packet_bytes = most_bytes[d->speed];
        configure(x);
    }
}

static void on_configuration_head(struct xhci *x, unsigned code)
{
    const uint8_t *buffer = xhci_buffer(current(x));
    unsigned total = __atomic_load_n(buffer + 2, __ATOMIC_RELAXED) |
                     (unsigned)__atomic_load_n(buffer + 3, __ATOMIC_RELAXED) << 8;

    if (code != CODE_SUCCESS || total < CONFIGURATION_BYTES) {
        xhci_job_failed(x, "it does not say what it is");
        return;
    }
    x->job.length = (uint16_t)hv_min_u64(total, MOST_CONFIGURATION_BYTES);
    ask(x, DESCRIPTOR_CONFIGURATION, x->job.length, on_configuration);
}

static void on_evaluated(struct xhci *x, unsigned code)
{
    if (code != CODE_SUCCESS)
        xhci_job_failed(x, "the controller refuses its packet size");
    else
        ask(x, DESCRIPTOR_CONFIGURATION, CONFIGURATION_BYTES, on_configuration_head);
}

static bool is_packet_size(const struct xhci_device *d, unsigned bytes)
{
    if (d->speed == SPEED_HIGH)
        return bytes == 64;
    return bytes == 8 || (d->speed == SPEED_FULL && (bytes == 16 || bytes == 32 || bytes == 64));
}

static void on_device(struct xhci *x, unsigned code)
{
    struct xhci_device *d = current(x);
    uint8_t head[DEVICE_HEAD_BYTES];

    memcpy(head, xhci_buffer(d), sizeof(head));
    if (code != CODE_SUCCESS || head[1] != DESCRIPTOR_DEVICE || !is_packet_size(d, head[7])) {
        xhci_job_failed(x, "it does not say what it is");
        return;
    }
    if (head[7] == d->control_packet_bytes) {
        on_evaluated(x, CODE_SUCCESS);
        return;
    }
    d->control_packet_bytes = head[7];
    xhci_input_begin(x, 1u << CONTEXT_EP0);
    fill_control_endpoint(x);
    xhci_command(x, (uint64_t)x->input, TRB_TYPE(TRB_EVALUATE_CONTEXT) | TRB_SLOT(x->job.slot),
                 on_evaluated);
}

static void ask_device(struct xhci *x, unsigned code)
{
    (void)code;
    ask(x, DESCRIPTOR_DEVICE, DEVICE_HEAD_BYTES, on_device);
}

static void on_address(struct xhci *x, unsigned code)
{
    if (code != CODE_SUCCESS)
        xhci_job_failed(x, "it takes no address");
    else
        xhci_wait(x, AFTER_ADDRESS_US, ask_device);
}

/* Its place in the tree, and the hub that speaks to it in its own speed. */
static void place_device(struct xhci *x, struct xhci_device *d)
{
    const struct xhci_device *hub = &x->devices[d->place.hub];

    if (d->place.hub == 0)
        return;
    d->depth = (uint8_t)(hub->depth + 1);
    d->route = hub->route | (uint32_t)d->place.hub_port << 4 * hub->depth;
    if (d->speed == SPEED_HIGH)
        return;
    d->tt_slot = hub->speed == SPEED_HIGH ? d->place.hub : hub->tt_slot;
    d->tt_port = hub->speed == SPEED_HIGH ? d->place.hub_port : hub->tt_port;
}

static void on_slot(struct xhci *x, unsigned code)
{
    unsigned slot = x->answer_slot;
    struct xhci_device *d = &x->devices[slot <= x->slots ? slot : 0];

    if (code != CODE_SUCCESS) {
        xhci_job_failed(x, "the controller has no slot for it");
        return;
    }
    if (slot < 1 || slot > x->slots || d->state != XHCI_DEVICE_FREE) {
        xhci_give_up(x, "it gives out a slot that it does not have");
        return;
    }
    *d = (struct xhci_device){ .state = XHCI_DEVICE_SETUP, .place = x->job.place,
                               .speed = x->job.speed, .page = d->page };
    d->control_packet_bytes = d->speed == SPEED_HIGH ? 64 : 8;
    x->job.slot = (uint8_t)slot;
    place_device(x, d);
    memset(d->page, 0, 2 * HV_PAGE_BYTES);
    xhci_ring_init(&d->control, d->page + 2048);
    xhci_ring_init(&d->reports, d->page + 2048 + XHCI_RING_TRBS * sizeof(struct xhci_trb));
    x->contexts[slot] = (uint64_t)d->page;
    xhci_input_begin(x, 1u << CONTEXT_SLOT | 1u << CONTEXT_EP0);
    xhci_fill_slot(x, slot, CONTEXT_EP0);
    fill_control_endpoint(x);
    xhci_command(x, (uint64_t)x->input, TRB_TYPE(TRB_ADDRESS_DEVICE) | TRB_SLOT(slot), on_address);
}

void xhci_device_begin(struct xhci *x, unsigned code)
{
    (void)code;
    xhci_command(x, 0, TRB_TYPE(TRB_ENABLE_SLOT), on_slot);
}
