/*
 * USB 2 hubs: their ports' power, changes and resets.
 *
 * Not here: the device behind a port (xhci_device.c). A hub with several transaction translators is
 * used as one with a single one. Lock: the caller's.
 * USB 2.0 "Hub Descriptor", "Hub Class Requests", "Port Status", "Hub and Port Status Change
 * Bitmap"; xHCI 1.2 "USB 2.0 Hubs" under "Slot Context".
 */
#include "xhci.h"

#define HUB_GET_STATUS 0
#define HUB_CLEAR_FEATURE 1
#define HUB_SET_FEATURE 3
#define HUB_GET_DESCRIPTOR 6
#define HUB_DESCRIPTOR 0x2900
#define HUB_DESCRIPTOR_BYTES 9
#define TO_HUB 0xa0
#define TO_HUB_WRITE 0x20
#define TO_PORT_READ 0xa3
#define TO_PORT_WRITE 0x23
#define FEATURE_HUB_POWER_CHANGE 0 /* C_HUB_LOCAL_POWER */
#define FEATURE_HUB_CURRENT_CHANGE 1
#define FEATURE_ENABLE 1
#define FEATURE_RESET 4
#define FEATURE_POWER 8
#define FEATURE_FIRST_CHANGE 16 /* C_PORT_CONNECTION; the others in the order of their bits */
#define FEATURE_RESET_CHANGE 20

#define STATUS_CONNECTED (1u << 0)
#define STATUS_ENABLED (1u << 1)
#define STATUS_OVER_CURRENT (1u << 3)
#define STATUS_RESET (1u << 4)
#define STATUS_POWER (1u << 8)
#define STATUS_LOW_SPEED (1u << 9)
#define STATUS_HIGH_SPEED (1u << 10)
#define CHANGES 0x1fu
#define CHANGE_CONNECTION (1u << 0)

#define MOST_CHANGES 16u /* of a port in a row, before it is left for later */
#define SETTLE_US 100000u
#define RESET_LOOK_US 20000u
#define RESET_LOOKS 25u
#define RECOVERY_US 20000u

static void look(struct xhci *x, unsigned code);
static void power_next(struct xhci *x, unsigned code);

/* A request to the port that the job is about; 0 is the hub itself. */
static void ask_port(struct xhci *x, uint8_t request, uint16_t feature, xhci_step *next)
{
    bool reads = request == HUB_GET_STATUS;
    uint8_t port = x->job.place.hub_port;
    const struct usb_setup setup = { reads  ? TO_PORT_READ
                                     : port ? TO_PORT_WRITE
                                            : TO_HUB_WRITE,
                                     request, feature, port, reads ? 4 : 0 };
    xhci_control(x, x->job.place.hub, &setup, next);
}

static uint32_t port_status(const struct xhci *x)
{
    const uint8_t *b = xhci_buffer(&x->devices[x->job.place.hub]);
    return __atomic_load_n((const uint32_t *)(const void *)b, __ATOMIC_RELAXED);
}

/* The hub itself fails: it is set up anew by its own port. */
static void hub_failed(struct xhci *x)
{
    unsigned hub = x->job.place.hub;

    x->job.place = x->devices[hub].place;
    x->job.slot = (uint8_t)hub;
    xhci_job_failed(x, "a hub does not answer");
}

/* --- one port --- */

static void wait_for_recovery(struct xhci *x, unsigned code)
{
    if (code != CODE_SUCCESS)
        hub_failed(x);
    else
        xhci_wait(x, RECOVERY_US, xhci_device_begin);
}

static void ask_after_reset(struct xhci *x, unsigned code);

static void look_at_reset(struct xhci *x, unsigned code)
{
    uint32_t status = port_status(x);

    if (code != CODE_SUCCESS) {
        hub_failed(x);
    } else if ((status & STATUS_RESET) || !(status & STATUS_ENABLED)) {
        if (x->job.tries-- > 0)
            xhci_wait(x, RESET_LOOK_US, ask_after_reset);
        else
            xhci_job_failed(x, "its reset does not end");
    } else {
        x->job.speed = status & STATUS_HIGH_SPEED  ? SPEED_HIGH
                       : status & STATUS_LOW_SPEED ? SPEED_LOW
                                                   : SPEED_FULL;
        ask_port(x, HUB_CLEAR_FEATURE, FEATURE_RESET_CHANGE, wait_for_recovery);
    }
}

static void ask_after_reset(struct xhci *x, unsigned code)
{
    (void)code;
    ask_port(x, HUB_GET_STATUS, 0, look_at_reset);
}

static void wait_for_reset(struct xhci *x, unsigned code)
{
    if (code != CODE_SUCCESS)
        hub_failed(x);
    else
        xhci_wait(x, RESET_LOOK_US, ask_after_reset);
}

static void reset_port(struct xhci *x, unsigned code)
{
    (void)code;
    x->job.tries = RESET_LOOKS;
    ask_port(x, HUB_SET_FEATURE, FEATURE_RESET, wait_for_reset);
}

/* Its changes are cleared: is somebody new there? */
static void decide(struct xhci *x, uint32_t status)
{
    const struct xhci_place place = x->job.place;
    uint8_t *tries = xhci_tries_of(x, &place);
    unsigned slot = xhci_find_device(x, &place);
    bool gone = !(status & STATUS_CONNECTED) || x->job.hub_feature;

    if (slot && (gone || !(status & STATUS_ENABLED))) /* a port that sees noise is disabled */
        xhci_device_failed(x, slot);
    if (gone)
        *tries = 0;
    if (!(status & (STATUS_CONNECTED | STATUS_POWER | STATUS_OVER_CURRENT)))
        ask_port(x, HUB_SET_FEATURE, FEATURE_POWER, xhci_job_over); /* it was taken away */
    else if (!(status & STATUS_CONNECTED) || slot || *tries >= XHCI_TRIES)
        xhci_job_done(x);
    else
        xhci_wait(x, SETTLE_US, reset_port);
}

static void ask_again(struct xhci *x, unsigned code)
{
    if (code != CODE_SUCCESS)
        hub_failed(x);
    else
        ask_port(x, HUB_GET_STATUS, 0, look);
}

static void look(struct xhci *x, unsigned code)
{
    uint32_t status = port_status(x);
    uint32_t changes = status >> 16 & CHANGES;

    if (code != CODE_SUCCESS) {
        hub_failed(x);
    } else if (changes && x->job.tries-- > 0) {
        if (changes & CHANGE_CONNECTION)
            x->job.hub_feature = 1; /* to be remembered: who was there has gone */
        ask_port(x, HUB_CLEAR_FEATURE,
                 (uint16_t)(FEATURE_FIRST_CHANGE + __builtin_ctz(changes)), ask_again);
    } else {
        decide(x, status);
    }
}

void xhci_hub_disable_port(struct xhci *x, xhci_step *next)
{
    ask_port(x, HUB_CLEAR_FEATURE, FEATURE_ENABLE, next);
}

/* --- the hub itself: it has lost its supply, or too much current flew through all of its ports. Where
 * that has taken their power they get it again. --- */

static uint16_t all_ports(const struct xhci_device *hub)
{
    return (uint16_t)((2u << hub->hub_ports) - 2);
}

static void look_at_ports(struct xhci *x, unsigned code)
{
    struct xhci_device *hub = &x->devices[x->job.place.hub];

    (void)code; /* a hub that does not answer is found out at its ports */
    hub->hub_changed |= all_ports(hub);
    xhci_job_done(x);
}

static void clear_current_change(struct xhci *x, unsigned code)
{
    (void)code;
    ask_port(x, HUB_CLEAR_FEATURE, FEATURE_HUB_CURRENT_CHANGE, look_at_ports);
}

void xhci_hub_port_begin(struct xhci *x)
{
    x->job.tries = MOST_CHANGES;
    if (x->job.place.hub_port == 0)
        ask_port(x, HUB_CLEAR_FEATURE, FEATURE_HUB_POWER_CHANGE, clear_current_change);
    else
        ask_port(x, HUB_GET_STATUS, 0, look);
}

void xhci_hub_report(struct xhci_device *hub, const uint8_t *report, size_t bytes)
{
    if (bytes >= 1)
        hub->hub_changed |= (uint16_t)(report[0] | (bytes >= 2 ? report[1] << 8 : 0));
}

/* --- a new hub --- */

static void power_is_good(struct xhci *x, unsigned code)
{
    struct xhci_device *hub = &x->devices[x->job.slot];

    (void)code;
    hub->hub_changed = all_ports(hub);
    xhci_device_ready(x);
}

static void power_next(struct xhci *x, unsigned code)
{
    const struct xhci_device *hub = &x->devices[x->job.slot];
    struct usb_setup setup = { TO_PORT_WRITE, HUB_SET_FEATURE, FEATURE_POWER, 0, 0 };

    if (code == CODE_NONE) {
        xhci_job_failed(x, "it does not answer");
    } else if (x->job.tries++ < hub->hub_ports) {
        setup.index = x->job.tries;
        xhci_control(x, x->job.slot, &setup, power_next);
    } else {
        xhci_wait(x, hub->hub_power_ms * 1000u + SETTLE_US, power_is_good);
    }
}

static void on_hub_context(struct xhci *x, unsigned code)
{
    if (code != CODE_SUCCESS) {
        xhci_job_failed(x, "the controller takes it for no hub");
        return;
    }
    x->job.tries = 0;
    power_next(x, CODE_SUCCESS);
}

static void on_hub_descriptor(struct xhci *x, unsigned code)
{
    struct xhci_device *hub = &x->devices[x->job.slot];
    const uint8_t *b = xhci_buffer(hub);
    uint8_t ports = __atomic_load_n(b + 2, __ATOMIC_RELAXED);

    if (code != CODE_SUCCESS || ports == 0) {
        xhci_job_failed(x, "a hub that does not say how many ports it has");
        return;
    }
    hub->hub_ports = ports > XHCI_HUB_PORTS ? XHCI_HUB_PORTS : ports;
    hub->hub_think_time = __atomic_load_n(b + 3, __ATOMIC_RELAXED) >> 5 & 3;
    hub->hub_power_ms = (uint16_t)(2u * __atomic_load_n(b + 5, __ATOMIC_RELAXED));
    xhci_input_begin(x, 1u << CONTEXT_SLOT);
    xhci_fill_slot(x, x->job.slot, xhci_report_dci(hub));
    xhci_command(x, (uint64_t)x->input, TRB_TYPE(TRB_CONFIGURE_ENDPOINT) | TRB_SLOT(x->job.slot),
                 on_hub_context);
}

void xhci_hub_begin(struct xhci *x)
{
    const struct usb_setup setup = { TO_HUB, HUB_GET_DESCRIPTOR, HUB_DESCRIPTOR, 0,
                                     HUB_DESCRIPTOR_BYTES };
    xhci_control(x, x->job.slot, &setup, on_hub_descriptor);
}
