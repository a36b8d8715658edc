/*
 * What goes on on an xHCI: its events, its ports, and one job after the other.
 *
 * A job is one port that has changed, from its reset to a device that is ready, or a device that has
 * gone. Only one is under way, as only one device may answer to address 0; each of its steps ends
 * with an operation whose end calls the next step. Lock: the caller's.
 * xHCI 1.2 "Port Status Change Event", "Device Detach", "Root Hub Port State Machines", "Aborting a
 * Command", "Over-current"; USB 2.0 "Bus Enumeration".
 */
#include "xhci.h"

#include "hv/string.h"

#define EVENTS_A_ROUND 64u
#define ROUNDS_A_POLL 4u
#define SETTLE_US 100000u  /* TATTDB */
#define RESET_LOOK_US 20000u
#define RESET_LOOKS 25u
#define RECOVERY_US 20000u /* TRSTRCY is 10 ms */

/* --- jobs --- */

static uint64_t port_address(const struct xhci *x, unsigned port)
{
    return x->operational + OP_PORTSC + (uint64_t)(port - 1) * OP_PORT_STRIDE;
}

void xhci_port_changed(struct xhci *x, unsigned port)
{
    if (port >= 1 && port <= x->ports)
        x->changed_ports[port / 32] |= 1u << port % 32;
}

unsigned xhci_find_device(const struct xhci *x, const struct xhci_place *place)
{
    for (unsigned i = 1; i <= x->slots; i++) {
        const struct xhci_device *d = &x->devices[i];
        if (d->state == XHCI_DEVICE_READY && memcmp(&d->place, place, sizeof(*place)) == 0)
            return i;
    }
    return 0;
}

static void lose(struct xhci *x, struct xhci_device *device)
{
    if (device->state == XHCI_DEVICE_READY)
        xhci_note(x, &device->place, device->interface.kind == USB_HUB ? "a hub has gone"
                                                                       : "a keyboard has gone");
    device->state = XHCI_DEVICE_GONE;
    usb_keyboard_release(&device->keyboard);
}

/* With a hub goes all that is behind it. */
void xhci_device_lost(struct xhci *x, unsigned slot)
{
    bool more = true;

    lose(x, &x->devices[slot]);
    while (more) {
        more = false;
        for (unsigned i = 1; i <= x->slots; i++) {
            struct xhci_device *d = &x->devices[i];
            if (d->state == XHCI_DEVICE_FREE || d->state == XHCI_DEVICE_GONE || d->place.hub == 0 ||
                x->devices[d->place.hub].state != XHCI_DEVICE_GONE)
                continue;
            lose(x, d);
            more = true;
        }
    }
}

void xhci_job_done(struct xhci *x)
{
    x->operation = XHCI_NOTHING;
    memset(&x->job, 0, sizeof(x->job));
}

uint8_t *xhci_tries_of(struct xhci *x, const struct xhci_place *place)
{
    return place->hub ? &x->devices[place->hub].hub_tries[place->hub_port]
                      : &x->port_tries[place->root_port];
}

/* Looks at a place again, later. */
static void look_again(struct xhci *x, const struct xhci_place *place)
{
    if (place->hub)
        x->devices[place->hub].hub_changed |= (uint16_t)(1u << place->hub_port);
    else
        xhci_port_changed(x, place->root_port);
}

void xhci_device_failed(struct xhci *x, unsigned slot)
{
    const struct xhci_place place = x->devices[slot].place;

    xhci_device_lost(x, slot);
    ++*xhci_tries_of(x, &place);
    look_again(x, &place);
}

void xhci_job_over(struct xhci *x, unsigned code)
{
    (void)code;
    xhci_job_done(x);
}

/* A device that is not spoken to any more must not hear what is meant for others: its address may be
 * given to another one, and a device without one hears what goes to address 0. */
static void disable_port(struct xhci *x, xhci_step *next)
{
    const struct xhci_place *place = &x->job.place;

    if (place->hub && x->devices[place->hub].state == XHCI_DEVICE_READY) {
        xhci_hub_disable_port(x, next);
        return;
    }
    if (!place->hub) {
        uint64_t address = port_address(x, place->root_port);
        uint32_t now = xhci_read(x, address);
        if (now & PORTSC_ENABLED)
            xhci_write(x, address, (now & PORTSC_KEEP) | PORTSC_ENABLED);
    }
    next(x, CODE_SUCCESS);
}

void xhci_job_failed(struct xhci *x, const char *what)
{
    struct xhci_place place = x->job.place;
    uint8_t *tries = xhci_tries_of(x, &place);

    if (x->job.slot)
        xhci_device_lost(x, x->job.slot);
    if (++*tries == XHCI_TRIES)
        xhci_note(x, &place, what);
    look_again(x, &place);
    if (x->job.speed && !x->job.slot) /* was reset; where it has a slot, that comes with it */
        disable_port(x, xhci_job_over); /* if that fails, it is reset before it is spoken to */
    else
        xhci_job_done(x);
}

/* --- root ports --- */

static void look_at_reset(struct xhci *x, unsigned code)
{
    uint64_t address = port_address(x, x->job.place.root_port);
    uint32_t now = xhci_read(x, address);

    (void)code;
    if (now == UINT32_MAX) {
        xhci_give_up(x, "it is gone");
    } else if ((now & PORTSC_RESET) || !(now & PORTSC_RESET_CHANGE)) {
        if (x->job.tries-- > 0)
            xhci_wait(x, RESET_LOOK_US, look_at_reset);
        else
            xhci_job_failed(x, "its reset does not end");
    } else {
        xhci_write(x, address, (now & PORTSC_KEEP) | PORTSC_RESET_CHANGE);
        x->job.speed = (uint8_t)PORTSC_SPEED(now);
        if (!(now & PORTSC_ENABLED))
            xhci_job_failed(x, "nobody answers after a reset");
        else if (x->job.speed >= SPEED_FULL && x->job.speed <= SPEED_HIGH)
            xhci_wait(x, RECOVERY_US, xhci_device_begin);
        else { /* USB 3: no keyboard */
            x->port_tries[x->job.place.root_port] = XHCI_TRIES;
            disable_port(x, xhci_job_over);
        }
    }
}

static void reset_port(struct xhci *x, unsigned code)
{
    uint64_t address = port_address(x, x->job.place.root_port);
    uint32_t now = xhci_read(x, address);

    (void)code;
    if (now == UINT32_MAX || !(now & PORTSC_CONNECTED)) {
        look_again(x, &x->job.place);
        xhci_job_done(x);
        return;
    }
    x->job.tries = RESET_LOOKS;
    xhci_write(x, address, (now & PORTSC_KEEP) | PORTSC_RESET);
    xhci_wait(x, RESET_LOOK_US, look_at_reset);
}

static void look_at_port(struct xhci *x, unsigned port)
{
    const struct xhci_place place = { .root_port = (uint8_t)port };
    uint64_t address = port_address(x, port);
    uint32_t now = xhci_read(x, address);
    unsigned slot = xhci_find_device(x, &place);
    bool gone = !(now & PORTSC_CONNECTED) || (now & PORTSC_CONNECT_CHANGE);
    uint32_t power = now & PORTSC_OVER_CURRENT ? 0 : PORTSC_POWER; /* which may have taken it away */

    if (now == UINT32_MAX) {
        xhci_give_up(x, "it is gone");
        return;
    }
    if ((now & PORTSC_CHANGES) || (power & ~now))
        xhci_write(x, address, (now & (PORTSC_KEEP | PORTSC_CHANGES)) | power);
    if (slot && (gone || !(now & PORTSC_ENABLED))) /* a port that sees noise is disabled */
        xhci_device_failed(x, slot);
    if (gone || (now & PORTSC_CURRENT_CHANGE)) /* what failed for want of power may work now */
        x->port_tries[port] = 0;
    if (slot || !(now & PORTSC_CONNECTED) || !(x->usb2_ports[port / 32] >> port % 32 & 1) ||
        x->port_tries[port] >= XHCI_TRIES)
        return;
    x->job.place = place;
    xhci_wait(x, SETTLE_US, reset_port);
}

/* --- what is to be done --- */

static void slot_is_free(struct xhci *x, unsigned code)
{
    /* If the controller does not give it up, it does not give it out again either; and what it writes
     * there goes to the slot's memory, which stays what it is. */
    x->devices[x->job.slot].state = XHCI_DEVICE_FREE;
    xhci_job_over(x, code);
}

static void disable_slot(struct xhci *x, unsigned code)
{
    (void)code; /* the port of a device that was pulled need not be disabled */
    xhci_command(x, 0, TRB_TYPE(TRB_DISABLE_SLOT) | TRB_SLOT(x->job.slot), slot_is_free);
}

static bool free_gone(struct xhci *x)
{
    for (unsigned i = 1; i <= x->slots; i++) {
        if (x->devices[i].state != XHCI_DEVICE_GONE)
            continue;
        x->job.slot = (uint8_t)i;
        x->job.place = x->devices[i].place;
        disable_port(x, disable_slot);
        return true;
    }
    return false;
}

static bool look_at_changed_port(struct xhci *x)
{
    for (unsigned i = 0; i < HV_ARRAY_COUNT(x->changed_ports); i++) {
        if (!x->changed_ports[i])
            continue;
        unsigned bit = (unsigned)__builtin_ctz(x->changed_ports[i]);
        x->changed_ports[i] &= ~(1u << bit);
        look_at_port(x, 32 * i + bit);
        return true;
    }
    return false;
}

static bool look_at_changed_hub(struct xhci *x)
{
    for (unsigned i = 1; i <= x->slots; i++) {
        struct xhci_device *hub = &x->devices[i];
        if (hub->state != XHCI_DEVICE_READY || !hub->hub_changed)
            continue;
        unsigned port = (unsigned)__builtin_ctz(hub->hub_changed);
        hub->hub_changed &= (uint16_t)~(1u << port);
        if (port > hub->hub_ports)
            return true;
        x->job.place = (struct xhci_place){ hub->place.root_port, (uint8_t)i, (uint8_t)port };
        xhci_hub_port_begin(x);
        return true;
    }
    return false;
}

void xhci_job_begin(struct xhci *x)
{
    if (!free_gone(x) && !look_at_changed_port(x))
        (void)look_at_changed_hub(x);
}

/* --- events --- */

static void finish(struct xhci *x, unsigned code)
{
    xhci_step *next = x->next;

    x->operation = XHCI_NOTHING;
    x->next = NULL;
    next(x, code);
}

/* After a failed transfer the endpoint stands still until it is told where to go on. */
static void endpoint_goes_on(struct xhci *x, unsigned code)
{
    (void)code; /* if it does not, the next transfer is not answered */
    x->job.after(x, x->job.code);
}

static void endpoint_is_reset(struct xhci *x, unsigned code)
{
    const struct xhci_ring *ring = &x->devices[x->operation_slot].control;

    (void)code;
    xhci_command(x, (uint64_t)&ring->trbs[ring->next] | ring->cycle,
                 TRB_TYPE(TRB_SET_DEQUEUE) | TRB_SLOT(x->operation_slot) |
                     TRB_ENDPOINT(CONTEXT_EP0),
                 endpoint_goes_on);
}

static void on_control(struct xhci *x, unsigned slot, const struct xhci_trb *event)
{
    unsigned code = TRB_CODE_OF(event->status);

    if (x->operation != XHCI_CONTROL || slot != x->operation_slot)
        return;
    if (code == CODE_SUCCESS || code == CODE_SHORT_PACKET) {
        if (event->parameter == x->operation_trb)
            finish(x, CODE_SUCCESS);
        return;
    }
    x->job.code = code;
    x->job.after = x->next;
    xhci_command(x, 0,
                 TRB_TYPE(TRB_RESET_ENDPOINT) | TRB_SLOT(slot) | TRB_ENDPOINT(CONTEXT_EP0),
                 endpoint_is_reset);
}

static void on_transfer(struct xhci *x, const struct xhci_trb *event)
{
    unsigned slot = TRB_SLOT_OF(event->control);
    unsigned dci = TRB_ENDPOINT_OF(event->control);

    if (slot < 1 || slot > x->slots)
        return;
    if (dci == CONTEXT_EP0)
        on_control(x, slot, event);
    else if (x->devices[slot].state == XHCI_DEVICE_READY && dci == xhci_report_dci(&x->devices[slot]))
        xhci_device_report(x, slot, event);
}

/* A command that is taken back is over when the ring has stopped, and not before: until then it is not
 * to be rung. */
static void on_command(struct xhci *x, const struct xhci_trb *event)
{
    unsigned code = TRB_CODE_OF(event->status);

    if (x->operation != XHCI_COMMAND || x->aborting != (code == CODE_RING_STOPPED))
        return;
    if (x->aborting) {
        finish(x, CODE_NONE);
    } else if (event->parameter == x->operation_trb) {
        x->answer_slot = (uint8_t)TRB_SLOT_OF(event->control);
        finish(x, code);
    }
}

static void on_event(struct xhci *x, const struct xhci_trb *event)
{
    switch (TRB_TYPE_OF(event->control)) {
    case TRB_COMMAND_EVENT:
        on_command(x, event);
        return;
    case TRB_TRANSFER_EVENT:
        on_transfer(x, event);
        return;
    case TRB_PORT_EVENT:
        xhci_port_changed(x, TRB_PORT_OF(event->parameter));
        return;
    default:
        return;
    }
}

static bool take_events(struct xhci *x)
{
    struct xhci_trb event;
    unsigned count = 0;

    while (count < EVENTS_A_ROUND && !x->dead && xhci_next_event(x, &event)) {
        on_event(x, &event);
        count++;
    }
    if (count && !x->dead)
        xhci_write64(x, x->runtime + RT_ERDP,
                     (uint64_t)&x->events.trbs[x->events.next] | ERDP_BUSY);
    return count != 0;
}

/* What is late, what is due, and what is next. */
static void go_on(struct xhci *x)
{
    if (x->operation == XHCI_NOTHING) {
        xhci_job_begin(x);
        return;
    }
    if (xhci_now(x) < x->deadline_us)
        return;
    if (x->operation == XHCI_COMMAND && !x->aborting) {
        /* A device that does not take its address for ever holds the command up. */
        x->aborting = true;
        x->deadline_us += XHCI_COMMAND_LIMIT_US;
        xhci_write64(x, x->operational + OP_CRCR, CRCR_ABORT);
    } else if (x->operation == XHCI_COMMAND)
        xhci_give_up(x, "it does not answer a command");
    else
        finish(x, x->operation == XHCI_TIME ? CODE_SUCCESS : CODE_NONE);
}

static bool is_alive(struct xhci *x)
{
    uint32_t status = xhci_read(x, x->operational + OP_USBSTS);

    if (status == UINT32_MAX)
        xhci_give_up(x, "it is gone");
    else if (status & (USBSTS_HALTED | USBSTS_HOST_SYSTEM_ERROR | USBSTS_CONTROLLER_ERROR))
        xhci_give_up(x, "it has stopped with an error");
    return !x->dead;
}

void xhci_poll(struct xhci *x)
{
    if (x->dead || !is_alive(x))
        return;
    for (unsigned i = 0; i < ROUNDS_A_POLL && !x->dead; i++) {
        bool came = take_events(x);
        if (!x->dead)
            go_on(x);
        if (!came && i > 0)
            break;
    }
    for (unsigned i = 1; i <= x->slots; i++)
        usb_keyboard_repeat(&x->devices[i].keyboard, xhci_now(x));
}

int xhci_read_key(struct xhci *x)
{
    for (unsigned i = 1; i <= x->slots; i++) {
        int byte = usb_keyboard_next(&x->devices[i].keyboard);
        if (byte >= 0)
            return byte;
    }
    return -1;
}

unsigned xhci_keyboards(const struct xhci *x)
{
    unsigned count = 0;

    for (unsigned i = 1; i <= x->slots; i++) {
        const struct xhci_device *d = &x->devices[i];
        count += d->state == XHCI_DEVICE_READY && d->interface.kind == USB_KEYBOARD;
    }
    return x->dead ? 0 : count;
}
