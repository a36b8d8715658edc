// SRCS: drivers/xhci_start.c drivers/xhci_ring.c drivers/xhci_port.c drivers/xhci_device.c drivers/xhci_hub.c drivers/usb_keyboard.c drivers/usb_descriptors.c drivers/ps2_decode.c
// LIBS: -lcmocka
/*
 * A controller that keeps to its specification (tests/fake/xhc.h), and a bus on which anything happens
 * at any time: hubs and keyboards come and go, ports see noise and over-current, requests stall or are
 * lost, commands fail, reports fail. The fake asserts what a driver must not do; the driver never gives
 * such a controller up; when peace has come all that is there is in use, unless it failed three times; and
 * when all has been pulled no slot is in use, and a keyboard that is plugged in then types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "xhc_world.h"

#define DEVICES 7u
#define HUBS 2u
#define MOST_STEPS 60u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct xhc_device devices[DEVICES];
static bool over_current[DEVICES];
static unsigned failing; /* commands: a slot that could not be disabled stays in use */

static bool is_taken(const struct xhc_device *hub, unsigned port)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        if (devices[i].plugged && devices[i].hub == hub && devices[i].port == port)
            return true;
    }
    return false;
}

/* The second hub may be behind the first, a keyboard behind either. */
static void plug(unsigned i, uint8_t where)
{
    struct xhc_device *d = &devices[i];
    unsigned hubs = i < HUBS ? i : HUBS, at = where % (hubs + 1);
    struct xhc_device *hub = at ? &devices[at - 1] : NULL;
    unsigned port = 1 + (where >> 2) % (hub ? hub->ports : XHC_PORTS - 2);

    if (!d->plugged && !is_taken(hub, port) && !over_current[i])
        xhc_plug(&h, d, hub, port);
}

/* It must still be known where it is: the over-current is of its port. */
static void unplug(unsigned i)
{
    if (over_current[i])
        xhc_over_current(&h, &devices[i], false);
    over_current[i] = false;
    if (devices[i].plugged)
        xhc_unplug(&h, &devices[i]);
}

static void turn_current(unsigned i)
{
    if (!devices[i].plugged || !xhc_is_there(&devices[i]))
        return;
    over_current[i] = !over_current[i];
    xhc_over_current(&h, &devices[i], over_current[i]);
}

static void fail_report(unsigned i)
{
    struct xhc_device *d = &devices[i];

    d->babbles = true;
    if (d->report_count == 0)
        d->report_count = 1;
    xhc_send_reports(&h, d);
    d->babbles = false;
}

static void step(uint8_t what, uint8_t how)
{
    unsigned i = how % DEVICES;

    switch (what % 13) {
    case 0:
        plug(i, how / DEVICES);
        break;
    case 1:
        unplug(i);
        break;
    case 2:
        if (xhc_is_there(&devices[i]) && devices[i].plugged && xhc_hears(&h, &devices[i]))
            xhc_disable_port(&h, &devices[i]);
        break;
    case 3:
        turn_current(i);
        break;
    case 4:
        fail_report(i);
        break;
    case 5:
        h.stalled_request = h.requests + 1 + how % 8;
        break;
    case 6:
        h.lost_request = h.requests + 1 + how % 8;
        break;
    case 7:
        h.failed_command = h.commands + 1 + how % 4;
        failing++;
        break;
    case 8:
        if (i >= HUBS && devices[i].report_count < XHC_QUEUE - 2)
            press(&devices[i], 4 + how % 26);
        break;
    case 9:
        devices[i % HUBS].hub_status |= 0x10000u << (how & 1);
        break;
    case 10:
        devices[i].naks_address = 1;
        break;
    case 11:
        devices[i].mute = !devices[i].mute;
        break;
    default:
        h.early_reset_end = how & 1;
        h.port_reset_us = how * 1000u;
    }
}

static void check(void)
{
    struct xhci_note note;

    if (x.dead)
        abort();
    while (xhci_take_note(&x, &note))
        ;
    (void)typed();
}

static bool is_ready(const struct xhc_device *d)
{
    return d->slot && x.devices[d->slot].state == XHCI_DEVICE_READY;
}

/* Each that is there, and whose hub is in use, is in use, or has been given up after failing. */
static void expect_all_served(void)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        const struct xhc_device *d = &devices[i];
        if (!d->plugged || !xhc_is_there(d) || (d->hub && !is_ready(d->hub)) || is_ready(d))
            continue;
        if ((d->hub ? x.devices[d->hub->slot].hub_tries[d->port] : x.port_tries[d->port]) < 3)
            abort();
    }
}

/* Until nothing goes on any more, and nothing has come of what has just been told. */
static void settle(void)
{
    unsigned quiet = 0;

    for (unsigned i = 0; i < 1000 && quiet < 3; i++) {
        run_ms(200);
        check();
        quiet = xhci_is_busy(&x) ? 0 : quiet + 1;
    }
    if (quiet < 3)
        abort();
}

static void heal(void)
{
    h.stalled_request = h.lost_request = h.failed_command = 0;
    for (unsigned i = 0; i < DEVICES; i++) {
        devices[i].mute = false;
        if (over_current[i])
            xhc_over_current(&h, &devices[i], false);
        over_current[i] = false;
    }
    settle();
    expect_all_served();
}

/* All goes, and one comes. */
static void end(void)
{
    struct xhc_device last = keyboard(XHC_FULL);
    unsigned slots = 0;

    for (unsigned i = 0; i < DEVICES; i++)
        unplug(i);
    settle();
    for (unsigned i = 1; i <= XHC_SLOTS; i++)
        slots += h.slot[i].enabled;
    if (slots > failing || xhci_keyboards(&x) != 0)
        abort();
    xhc_plug(&h, &last, NULL, 1);
    run_ms(800);
    check();
    press(&last, 0x04);
    if (strcmp(typed(), "a") != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    memset(over_current, 0, sizeof(over_current));
    failing = 0;
    for (unsigned i = 0; i < DEVICES; i++)
        devices[i] = i < HUBS ? hub(i ? XHC_FULL : XHC_HIGH, 4) : keyboard(1 + i % 3);
    setup(NULL);
    if (start())
        abort();
    for (size_t at = 0; at + 2 < bytes && at / 3 < MOST_STEPS; at += 3) {
        step(data[at], data[at + 1]);
        run_ms(data[at + 2] & 0x80 ? (data[at + 2] & 0x7f) * 40u : data[at + 2] % 8 * 20u);
        check();
    }
    heal();
    end();
    return 0;
}
