/*
 * A fake xHCI controller with devices, written from the specification: capability, operational,
 * runtime and doorbell registers, command ring, event ring, device contexts, transfer rings, and on
 * its ports keyboards and hubs. What a driver must not do is an assertion here. Header-only; for
 * tests with cmocka.
 *
 * eXtensible Host Controller Interface for USB 1.2; USB 2.0 "USB Device Framework", "Hub
 * Specification"; HID 1.11.
 */
#ifndef FAKE_XHC_H
#define FAKE_XHC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/drv_xhci.h"

#define XHC_BASE UINT64_C(0xfeb00000)
#define XHC_BYTES 0x4000u
#define XHC_OP 0x40u
#define XHC_EXTENDED 0x1000u
#define XHC_DOORBELLS 0x2000u
#define XHC_RUNTIME 0x3000u
#define XHC_PORTS 8u
#define XHC_SLOTS 32u
#define XHC_DEVICES 24u
#define XHC_ARENA_BYTES (4u << 20)
#define XHC_QUEUE 32u

enum xhc_kind { XHC_KEYBOARD, XHC_HUB, XHC_OTHER };
enum xhc_speed { XHC_FULL = 1, XHC_LOW = 2, XHC_HIGH = 3, XHC_SUPER = 4 };

/* Something that can be plugged in. */
struct xhc_device {
    enum xhc_kind kind;
    enum xhc_speed speed;
    struct xhc_device *hub; /* where it is plugged in; NULL: a root port */
    unsigned port;          /* from 1 */
    uint8_t packet_bytes;   /* of endpoint 0 */
    uint16_t report_packet; /* wMaxPacketSize of a keyboard's endpoint */
    bool plugged;
    bool stalls_set_idle;
    bool mute;              /* answers no transfer */
    bool babbles;           /* its reports fail */
    unsigned bad_descriptors;
    unsigned address_failures; /* so many times it takes no address */
    unsigned naks_address;     /* so many times it never comes to an end of taking one */
    const uint8_t *device_descriptor; /* instead of its own, 18 bytes; NULL: its own */
    unsigned total_bytes;      /* wTotalLength instead of its own; 0: its own */
    uint8_t interval;          /* bInterval of a keyboard */
    uint64_t configures_in_us; /* how long it takes for SET_CONFIGURATION */
    bool tells_of_short_packets; /* the controller does, of its answers, though nobody asked */
    /* State. */
    bool addressed, configured, boot_protocol, idle_set;
    uint8_t slot;
    uint8_t reports[XHC_QUEUE][8];
    unsigned report_count;
    /* Of a hub. */
    unsigned ports;
    uint32_t port_status[16];
    struct xhc_device *children[16];
    bool powered[16];
    uint32_t hub_status;       /* its own, as it answers GET_STATUS */
    unsigned told_ports;       /* what its descriptor says; 0: the truth */
    unsigned reset_looks;      /* so many times it answers that a reset is under way */
    unsigned looks_left;
    bool keeps_changes;        /* clearing them does nothing */
    bool short_status;         /* half of a port's status is all that it answers */
};

struct xhc_slot {
    bool enabled;
    struct xhc_device *device;
    uint64_t control, reports; /* dequeue pointers */
    bool control_cycle, reports_cycle, control_halted;
    unsigned report_dci, report_packet;
    bool is_hub;
    uint32_t route;
};

struct xhc {
    /* What it is. */
    unsigned ports, slots, scratchpads, context_bytes;
    uint16_t version;
    bool bios_owned, bios_is_deaf, no_protocols;
    bool gone, never_halts, never_runs, deaf_to_commands, no_slots, pages_of_8k;
    unsigned bad_slot;
    bool resets_never_end, nobody_after_reset, powered;
    const uint32_t *extended; /* capabilities instead of its own; NULL: its own */
    unsigned extended_dwords; /* how many; 0: 16 */
    uint32_t extended_at;     /* where it says that they are */
    uint8_t length;           /* CAPLENGTH, DBOFF, RTSOFF as it says */
    uint32_t doorbells_at, runtime_at;
    bool clock_stands;
    bool never_resets;        /* its reset does not end */
    uint64_t port_reset_us;   /* what a port's takes; with early_reset_end, PR says less */
    bool early_reset_end;
    bool no_power_switches;   /* PPC is 0: over-current disables a port, and leaves its power */
    bool hangs_on_disable;    /* a slot's */
    unsigned gone_at_read;    /* it is pulled before the read of this number (from 1; 0: never) */
    /* The request, or command, of this number fails (from 1; 0: none). */
    unsigned stalled_request, lost_request, failed_command;
    unsigned requests, commands, port_resets;
    unsigned usb3_ports; /* the last ones */
    uint64_t ready_after_us; /* how long it is not ready after a reset */
    bool abort_fails;        /* a command that hangs cannot be taken back */
    /* State. */
    uint64_t ready_at_us;
    uint64_t port_reset_at[XHC_PORTS + 1]; /* when it ends; 0: none is under way */
    bool command_hangs;
    uint64_t hanging;        /* the command that does */
    uint64_t late_at_us, late; /* an answer that takes its time, and when it comes; 0: none */
    unsigned late_slot;
    uint32_t usbcmd, usbsts, config;
    uint64_t crcr, dcbaap, erstba, erdp;
    uint32_t erstsz;
    uint32_t legacy, legacy_control;
    uint32_t portsc[XHC_PORTS + 1];
    struct xhc_device *roots[XHC_PORTS + 1];
    uint64_t command;
    bool command_cycle;
    unsigned event_index;
    bool event_cycle;
    struct xhc_slot slot[XHC_SLOTS + 1];
    struct xhc_device *addressing; /* the device that answers to address 0: no two must */
    bool disable_failed;           /* but for a hub that has not disabled a port when it was asked to */
    uint64_t now_us;
    unsigned register_reads, register_writes;
    struct hv_access access;
    struct xhci_memory memory;
    uint8_t *arena;
    size_t arena_used;
};

/* Is it plugged in, and all the hubs above it? */
static inline bool xhc_is_there(const struct xhc_device *d)
{
    while (d && d->plugged)
        d = d->hub;
    return !d;
}

/* It is there, and all the ports up to it are enabled. */
static inline bool xhc_hears(const struct xhc *h, const struct xhc_device *d)
{
    if (!xhc_is_there(d))
        return false;
    for (; d->hub; d = d->hub) {
        if (!(d->hub->port_status[d->port] & 2))
            return false;
    }
    return h->portsc[d->port] & 2;
}

/* A reset: it has no address and no configuration any more, and a hub's ports have no power. */
static inline void xhc_reset_device(struct xhc_device *d)
{
    d->addressed = d->configured = d->boot_protocol = d->idle_set = false;
    d->report_count = 0;
    for (unsigned i = 1; i <= d->ports; i++) {
        d->port_status[i] = 0;
        d->powered[i] = false;
        if (d->children[i])
            xhc_reset_device(d->children[i]);
    }
}

/* What is behind a port that is disabled hears nothing any more. */
static inline void xhc_silence(struct xhc *h, const struct xhc_device *d)
{
    const struct xhc_device *at = h->addressing;
    while (at && at != d)
        at = at->hub;
    if (at)
        h->addressing = NULL;
}

static inline void *xhc_memory(struct xhc *h, uint64_t address, size_t bytes)
{
    uint64_t start = (uint64_t)h->arena;
    assert_true(address >= start && address + bytes <= start + h->arena_used);
    return (void *)address;
}

static inline void xhc_event(struct xhc *h, uint64_t parameter, uint32_t status, uint32_t control)
{
    uint64_t *segment = xhc_memory(h, h->erstba, 16);
    uint32_t size = (uint32_t)segment[1];
    assert_int_equal(h->erstsz, 1);
    assert_in_range(size, 16, 4096);
    uint8_t *at = xhc_memory(h, segment[0] + 16 * h->event_index, 16);
    /* "Event Ring": it is full when one more would reach what software has not read. */
    assert_true(segment[0] + 16 * ((h->event_index + 1) % size) != (h->erdp & ~UINT64_C(15)));
    memcpy(at, &parameter, 8);
    memcpy(at + 8, &status, 4);
    control |= h->event_cycle;
    memcpy(at + 12, &control, 4);
    if (++h->event_index == size) {
        h->event_index = 0;
        h->event_cycle = !h->event_cycle;
    }
}

static inline void xhc_port_event(struct xhc *h, unsigned port)
{
    if ((h->usbcmd & 1) && h->erstsz) /* firmware's own rings are not looked at */
        xhc_event(h, (uint64_t)port << 24, 1u << 24, 34u << 10);
}

/* "Port Status Change Events": there is one when the first change bit of a port is set, and none for
 * those that come while others stand. */
static inline void xhc_port_change(struct xhc *h, unsigned port, uint32_t changes)
{
    bool quiet = !(h->portsc[port] & 0x00fe0000);

    h->portsc[port] |= changes;
    if (quiet)
        xhc_port_event(h, port);
}

/* --- reports --- */

/* Puts the next report of a device into its next buffer, if it has both. */
static inline void xhc_send_reports(struct xhc *h, struct xhc_device *d);

/* A bit for the hub, and one for each port. */
static inline uint8_t xhc_hub_bytes(const struct xhc_device *hub)
{
    return (uint8_t)(hub->ports / 8 + 1);
}

static inline void xhc_hub_changed(struct xhc *h, struct xhc_device *hub)
{
    uint16_t bits = 0;
    for (unsigned i = 1; i <= hub->ports; i++)
        bits |= (uint16_t)((hub->port_status[i] >> 16 ? 1u : 0) << i);
    if (hub->hub_status >> 16)
        bits |= 1;
    if (!bits || !hub->configured)
        return;
    memset(hub->reports[0], 0, 8);
    hub->reports[0][0] = (uint8_t)bits;
    hub->reports[0][1] = (uint8_t)(bits >> 8);
    hub->report_count = 1;
    xhc_send_reports(h, hub);
}

static inline void xhc_report(struct xhc *h, struct xhc_device *d, const uint8_t report[8])
{
    assert_true(d->report_count < XHC_QUEUE);
    memcpy(d->reports[d->report_count++], report, 8);
    xhc_send_reports(h, d);
}

/* Follows links; false: the ring has nothing. */
static inline bool xhc_fetch(struct xhc *h, uint64_t *dequeue, bool *cycle, uint64_t trb[2],
                             uint64_t *where)
{
    for (unsigned i = 0; i < 2; i++) {
        memcpy(trb, xhc_memory(h, *dequeue, 16), 16);
        uint32_t control = (uint32_t)(trb[1] >> 32);
        if ((control & 1) != *cycle)
            return false;
        *where = *dequeue;
        if ((control >> 10 & 0x3f) != 6) {
            *dequeue += 16;
            return true;
        }
        *dequeue = trb[0];
        if (control & 2)
            *cycle = !*cycle;
    }
    fail_msg("a link leads to a link");
    return false;
}

static inline void xhc_send_reports(struct xhc *h, struct xhc_device *d)
{
    struct xhc_slot *slot = &h->slot[d->slot];
    uint64_t trb[2], where;

    if (!d->slot || !slot->enabled || slot->device != d || !slot->report_dci || d->mute ||
        !d->configured || !xhc_hears(h, d))
        return;
    while (d->report_count && xhc_fetch(h, &slot->reports, &slot->reports_cycle, trb, &where)) {
        uint32_t room = (uint32_t)trb[1] & 0x1ffff;
        uint32_t bytes = d->kind == XHC_HUB ? xhc_hub_bytes(d) : 8;
        uint32_t code = d->babbles ? 3 : room > bytes ? 13 : 1;
        assert_int_equal((uint32_t)(trb[1] >> 32) >> 10 & 0x3f, 1); /* a normal TRB */
        assert_true((uint32_t)(trb[1] >> 32) & 0x20);
        assert_true(room >= bytes);
        memcpy(xhc_memory(h, trb[0], room), d->reports[0], bytes);
        memmove(d->reports, d->reports + 1, sizeof(d->reports) - 8);
        d->report_count--;
        xhc_event(h, where, code << 24 | (room - bytes),
                  32u << 10 | slot->report_dci << 16 | (uint32_t)d->slot << 24);
    }
}

/* --- devices' answers --- */

static inline bool xhc_descriptor(struct xhc_device *d, uint16_t value, uint16_t length, uint8_t *out)
{
    uint8_t device[18] = { 18, 1, 0, 2, d->kind == XHC_HUB ? 9 : 0, 0, 0, d->packet_bytes };
    uint8_t keyboard[] = {
        9, 2, 59, 0, 2, 7, 0, 0xa0, 50,
        9, 4, 0, 0, 1, 3, 0, 2, 0,  /* a mouse comes first */
        7, 5, 0x81, 3, 4, 0, 10,
        9, 4, 1, 0, 1, 3, 1, 1, 0,  /* the keyboard */
        9, 0x21, 0x11, 1, 0, 1, 0x22, 65, 0,
        7, 5, 0x82, 3, (uint8_t)d->report_packet, (uint8_t)(d->report_packet >> 8), d->interval,
        9, 4, 1, 1, 0, 3, 1, 1, 0,
    };
    uint8_t hub[] = { 9, 2, 25, 0, 1, 1, 0, 0xe0, 0, 9, 4, 0, 0, 1, 9, 0, 0, 0,
                      7, 5, 0x81, 3, xhc_hub_bytes(d), 0, 12 };
    uint8_t other[] = { 9, 2, 25, 0, 1, 1, 0, 0x80, 0, 9, 4, 0, 0, 1, 8, 6, 80, 0,
                        7, 5, 0x81, 2, 64, 0, 0 };
    if (d->device_descriptor)
        memcpy(device, d->device_descriptor, sizeof(device));
    if (d->total_bytes)
        keyboard[2] = (uint8_t)d->total_bytes, keyboard[3] = (uint8_t)(d->total_bytes >> 8);
    const uint8_t *from = value >> 8 == 1 ? device
                          : d->kind == XHC_KEYBOARD ? keyboard
                          : d->kind == XHC_HUB      ? hub
                                                    : other;
    size_t have = value >> 8 == 1           ? sizeof(device)
                  : d->kind == XHC_KEYBOARD ? sizeof(keyboard)
                                            : sizeof(hub);
    if (d->bad_descriptors) {
        d->bad_descriptors--;
        memset(out, 0xff, length);
        return true;
    }
    memcpy(out, from, have < length ? have : length);
    return true;
}

static inline bool xhc_hub_request(struct xhc *h, struct xhc_device *hub, const uint8_t *setup,
                                   uint8_t *out)
{
    uint16_t value = (uint16_t)(setup[2] | setup[3] << 8);
    unsigned port = setup[4];

    if (setup[0] == 0xa0 && setup[1] == 6) {
        const uint8_t descriptor[9] = { 9, 0x29, (uint8_t)(hub->told_ports ? hub->told_ports & 0xff
                                                                              : hub->ports), 0x20, 0, 50, 0, 0, 0xff };
        assert_true(hub->configured);
        memcpy(out, descriptor, 9);
        return true;
    }
    if (setup[0] == 0x20) { /* C_HUB_LOCAL_POWER, C_HUB_OVER_CURRENT */
        assert_int_equal(setup[1], 1);
        assert_in_range(value, 0, 1);
        assert_int_equal(setup[4], 0);
        hub->hub_status &= ~(0x10000u << value);
        return true;
    }
    assert_in_range(port, 1, hub->ports);
    uint32_t *status = &hub->port_status[port];
    struct xhc_device *child = hub->children[port];
    if (setup[0] == 0xa3 && setup[1] == 0) {
        memcpy(out, status, hub->short_status ? 2 : 4);
        if (hub->looks_left && (*status & 0x100000)) {
            hub->looks_left--;
            out[0] |= 0x10; /* PORT_RESET, and not enabled yet */
            out[0] &= 0xfd;
            out[2] &= 0xef;
        }
        return true;
    }
    assert_int_equal(setup[0], 0x23);
    if (setup[1] == 3 && value == 8) {
        if (*status & 8)
            return true; /* not into a short circuit */
        hub->powered[port] = true;
        *status |= 0x100;
        if (child && child->plugged)
            *status |= 0x10001;
        return true;
    }
    if (setup[1] == 3 && value == 4) {
        if (!hub->powered[port])
            return true; /* over-current has been faster */
        assert_true(!h->addressing || h->addressing == child || h->disable_failed);
        if (child && child->plugged && !h->resets_never_end) {
            *status |= 0x100002 | (child->speed == XHC_HIGH ? 0x400 : child->speed == XHC_LOW ? 0x200 : 0);
            xhc_reset_device(child);
            hub->looks_left = hub->reset_looks;
            h->addressing = child;
        }
        return true;
    }
    assert_int_equal(setup[1], 1);
    if (value == 1) { /* PORT_ENABLE: it hears nothing any more */
        *status &= ~0x602u;
        if (child)
            xhc_silence(h, child);
        return true;
    }
    assert_in_range(value, 16, 20);
    if (!hub->keeps_changes)
        *status &= ~(1u << value);
    return true;
}

/* A control request; false: it stalls. */
static inline bool xhc_request(struct xhc *h, struct xhc_device *d, const uint8_t *setup, uint8_t *out)
{
    uint16_t value = (uint16_t)(setup[2] | setup[3] << 8);
    uint16_t length = (uint16_t)(setup[6] | setup[7] << 8);

    if (setup[0] == 0x80 && setup[1] == 6)
        return xhc_descriptor(d, value, length, out);
    if (setup[0] == 0x00 && setup[1] == 9) {
        assert_int_equal(value, d->kind == XHC_KEYBOARD ? 7 : 1);
        d->configured = true;
        return true;
    }
    if (d->kind == XHC_HUB)
        return xhc_hub_request(h, d, setup, out);
    assert_int_equal(setup[0], 0x21);
    assert_int_equal(setup[4], 1); /* the keyboard's interface */
    assert_true(d->configured);
    if (setup[1] == 0x0b) {
        assert_int_equal(value, 0);
        d->boot_protocol = true;
        return true;
    }
    assert_int_equal(setup[1], 0x0a);
    d->idle_set = !d->stalls_set_idle;
    return !d->stalls_set_idle;
}

/* One transfer on endpoint 0; false: there is none, or it does not come to an end. */
static inline bool xhc_transfer(struct xhc *h, unsigned number)
{
    struct xhc_slot *slot = &h->slot[number];
    struct xhc_device *d = slot->device;
    uint64_t trb[2], where;
    uint8_t setup[8], data[2048] = { 0 };
    uint64_t buffer = 0;

    const uint64_t dequeue = slot->control;
    const bool cycle = slot->control_cycle;

    if (!xhc_fetch(h, &slot->control, &slot->control_cycle, trb, &where))
        return false;
    uint32_t control = (uint32_t)(trb[1] >> 32);
    assert_int_equal(control >> 10 & 0x3f, 2);
    assert_true(control & 0x40);
    assert_int_equal((uint32_t)trb[1], 8);
    memcpy(setup, trb, 8);
    uint16_t length = (uint16_t)(setup[6] | setup[7] << 8);
    assert_int_equal(control >> 16 & 3, length == 0 ? 0 : setup[0] & 0x80 ? 3 : 2);
    if (!xhc_hears(h, d) || !d->addressed || d->slot != number || d->mute) { /* nothing comes: it is tried again and again */
        slot->control = dequeue;
        slot->control_cycle = cycle;
        return false;
    }
    uint64_t setup_at = where, data_at = 0;
    if (length) {
        assert_true(xhc_fetch(h, &slot->control, &slot->control_cycle, trb, &where));
        assert_int_equal((uint32_t)(trb[1] >> 42) & 0x3f, 3);
        assert_int_equal((uint32_t)trb[1], length);
        buffer = trb[0];
        data_at = where;
        assert_true(length <= sizeof(data));
    }
    assert_true(xhc_fetch(h, &slot->control, &slot->control_cycle, trb, &where));
    control = (uint32_t)(trb[1] >> 32);
    assert_int_equal(control >> 10 & 0x3f, 4);
    assert_true(control & 0x20);
    assert_int_equal(control >> 16 & 1, length == 0 || !(setup[0] & 0x80));
    h->requests++;
    if (h->requests == h->lost_request || h->requests == h->stalled_request)
        h->disable_failed |= setup[0] == 0x23 && setup[1] == 1 && setup[2] == 1;
    if (h->requests == h->lost_request)
        return true;
    if (h->requests == h->stalled_request || !xhc_request(h, d, setup, data)) {
        slot->control_halted = true;
        xhc_event(h, setup_at, 6u << 24, 32u << 10 | 1u << 16 | (uint32_t)number << 24);
        return false;
    }
    if (length)
        memcpy(xhc_memory(h, buffer, length), data, length);
    if (d->configures_in_us && setup[0] == 0 && setup[1] == 9) {
        h->late_at_us = h->now_us + d->configures_in_us;
        h->late = where;
        h->late_slot = number;
        return true;
    }
    if (length && d->tells_of_short_packets)
        xhc_event(h, data_at, 13u << 24 | 1, 32u << 10 | 1u << 16 | (uint32_t)number << 24);
    xhc_event(h, where, 1u << 24, 32u << 10 | 1u << 16 | (uint32_t)number << 24);
    return true;
}

/* Endpoint 0's ring has been rung. */
static inline void xhc_control(struct xhc *h, unsigned number)
{
    assert_false(h->slot[number].control_halted);
    while (!h->slot[number].control_halted && xhc_transfer(h, number))
        ;
}

/* --- commands --- */

static inline uint32_t *xhc_input(struct xhc *h, uint64_t address, unsigned index)
{
    return xhc_memory(h, address + index * h->context_bytes, h->context_bytes);
}

static inline struct xhc_device *xhc_find(struct xhc *h, unsigned root, uint32_t route)
{
    struct xhc_device *d = root >= 1 && root <= h->ports ? h->roots[root] : NULL;
    for (; d && route; route >>= 4) {
        assert_int_equal(d->kind, XHC_HUB);
        assert_true(h->slot[d->slot].is_hub); /* the controller must know that it is one */
        assert_in_range(route & 15, 1, d->ports);
        d = d->children[route & 15];
    }
    return d;
}

/* The hub that translates for a device. */
static inline void xhc_check_translator(struct xhc_device *d, uint32_t translator)
{
    const struct xhc_device *below = d;
    if (d->speed != XHC_HIGH) {
        while (below->hub && below->hub->speed != XHC_HIGH)
            below = below->hub;
        if (below->hub) {
            assert_int_equal(translator & 0xff, below->hub->slot);
            assert_int_equal(translator >> 8 & 0xff, below->port);
            return;
        }
    }
    assert_int_equal(translator & 0xffff, 0);
}

static inline unsigned xhc_address_device(struct xhc *h, unsigned number, uint64_t input)
{
    const uint32_t *add = xhc_input(h, input, 0), *slot_context = xhc_input(h, input, 1);
    const uint32_t *endpoint = xhc_input(h, input, 2);
    struct xhc_slot *slot = &h->slot[number];
    struct xhc_device *d = xhc_find(h, slot_context[1] >> 16 & 0xff, slot_context[0] & 0xfffff);
    uint64_t output;

    assert_int_equal(add[0], 0);
    assert_int_equal(add[1], 3);
    assert_int_equal(slot_context[0] >> 27, 1);
    memcpy(&output, xhc_memory(h, h->dcbaap + 8 * number, 8), 8);
    xhc_memory(h, output, 32 * h->context_bytes);
    assert_int_equal(output & 63, 0);
    if (!d || h->addressing != d || !xhc_hears(h, d))
        return 4; /* USB Transaction Error: nobody has been reset and answers to address 0 */
    if (d->address_failures) {
        d->address_failures--;
        return 4;
    }
    if (d->naks_address) {
        d->naks_address--;
        return 0;
    }
    assert_int_equal(slot_context[0] >> 20 & 15, d->speed);
    xhc_check_translator(d, slot_context[2]);
    assert_int_equal(endpoint[1] >> 3 & 7, 4);
    assert_int_equal(endpoint[1] >> 16, d->speed == XHC_HIGH ? 64 : 8);
    memcpy(&slot->control, endpoint + 2, 8);
    slot->control_cycle = slot->control & 1;
    slot->control &= ~UINT64_C(15);
    slot->device = d;
    slot->route = slot_context[0] & 0xfffff;
    d->slot = (uint8_t)number;
    d->addressed = true;
    h->addressing = NULL;
    return 1;
}

/* "Endpoint Type vs. Interval Calculation": 125 us times 2 to this, 0 to 15 at high speed, where
 * bInterval is the exponent plus 1; else 3 to 10, where it is a number of milliseconds. */
static inline unsigned xhc_interval(const struct xhc_device *d)
{
    unsigned told = d->kind == XHC_HUB ? 12 : d->interval, exponent = 3;

    if (told == 0)
        told = 1;
    if (d->speed == XHC_HIGH)
        return told > 16 ? 15 : told - 1;
    while (exponent < 10 && (125u << (exponent + 1)) <= told * 1000)
        exponent++;
    return exponent;
}

static inline unsigned xhc_configure(struct xhc *h, unsigned number, uint64_t input)
{
    const uint32_t *add = xhc_input(h, input, 0), *slot_context = xhc_input(h, input, 1);
    struct xhc_slot *slot = &h->slot[number];

    assert_int_equal(add[0], 0);
    assert_int_equal(add[1] & 3, 1);
    if (slot_context[0] >> 26 & 1) {
        assert_int_equal(slot->device->kind, XHC_HUB);
        assert_int_equal(slot_context[1] >> 24, slot->device->ports);
        slot->is_hub = true;
    }
    if (add[1] == 1)
        return 1;
    unsigned dci = (unsigned)__builtin_ctz(add[1] & ~1u);
    const uint32_t *endpoint = xhc_input(h, input, 1 + dci);
    assert_int_equal(slot_context[0] >> 27, dci);
    assert_int_equal(dci, slot->device->kind == XHC_HUB ? 3 : 5);
    assert_int_equal(endpoint[1] >> 3 & 7, 7);
    unsigned packet = endpoint[1] >> 16;
    if (packet > (slot->device->speed == XHC_LOW ? 8u : slot->device->speed == XHC_FULL ? 64u : 1024u))
        return 17; /* Parameter Error: no such packets at this speed */
    if (slot->device->kind == XHC_HUB)
        assert_int_equal(packet, xhc_hub_bytes(slot->device));
    else
        assert_true(packet >= 8 && packet <= slot->device->report_packet);
    assert_true((endpoint[4] & 0xffff) >= 8 || slot->device->kind == XHC_HUB);
    assert_int_equal(endpoint[0] >> 16 & 0xff, xhc_interval(slot->device));
    memcpy(&slot->reports, endpoint + 2, 8);
    slot->reports_cycle = slot->reports & 1;
    slot->reports &= ~UINT64_C(15);
    slot->report_dci = dci;
    return 1;
}

static inline unsigned xhc_enable_slot(struct xhc *h, unsigned *number)
{
    if (h->bad_slot) {
        *number = h->bad_slot;
        return 1;
    }
    for (unsigned i = 1; i <= (h->config & 0xff) && !h->no_slots; i++) {
        if (h->slot[i].enabled)
            continue;
        memset(&h->slot[i], 0, sizeof(h->slot[i]));
        h->slot[i].enabled = true;
        *number = i;
        return 1;
    }
    return 9;
}

static inline unsigned xhc_execute(struct xhc *h, const uint64_t trb[2], unsigned *number)
{
    uint32_t control = (uint32_t)(trb[1] >> 32);
    unsigned type = control >> 10 & 0x3f;
    struct xhc_slot *slot;

    *number = control >> 24;
    if (type == 9)
        return xhc_enable_slot(h, number);
    assert_in_range(*number, 1, h->config & 0xff);
    slot = &h->slot[*number];
    assert_true(slot->enabled);
    switch (type) {
    case 10:
        if (h->hangs_on_disable)
            return 0;
        if (slot->device && slot->device->slot == *number)
            slot->device->slot = 0;
        memset(slot, 0, sizeof(*slot));
        return 1;
    case 11:
        return xhc_address_device(h, *number, trb[0]);
    case 12:
        return xhc_configure(h, *number, trb[0]);
    case 13:
        assert_int_equal(xhc_input(h, trb[0], 0)[1], 2);
        assert_int_equal(xhc_input(h, trb[0], 2)[1] >> 16, slot->device->packet_bytes);
        return 1;
    case 14:
        assert_int_equal(control >> 16 & 31, 1);
        assert_true(slot->control_halted);
        return 1;
    case 16:
        slot->control_halted = false;
        slot->control = trb[0] & ~UINT64_C(15);
        slot->control_cycle = trb[0] & 1;
        return 1;
    default:
        fail_msg("command of type %u", type);
        return 5;
    }
}

static inline void xhc_commands(struct xhc *h)
{
    uint64_t trb[2], where;
    unsigned number, code;

    assert_true(h->usbcmd & 1);
    while (!h->deaf_to_commands && !h->command_hangs &&
           xhc_fetch(h, &h->command, &h->command_cycle, trb, &where)) {
        number = (uint32_t)(trb[1] >> 56);
        code = ++h->commands == h->failed_command ? 5 : xhc_execute(h, trb, &number);
        if (code == 0) { /* it does not come to an end */
            h->command_hangs = true;
            h->hanging = where;
            return;
        }
        xhc_event(h, where, code << 24, 33u << 10 | number << 24);
    }
}

/* "Aborting a Command": the one under way ends as aborted, then the ring is said to have stopped, with
 * the place where it will go on. */
static inline void xhc_abort(struct xhc *h)
{
    if (h->abort_fails || h->deaf_to_commands)
        return;
    if (h->command_hangs)
        xhc_event(h, h->hanging, 25u << 24, 33u << 10);
    h->command_hangs = false;
    xhc_event(h, h->command, 24u << 24, 33u << 10);
}

/* --- registers --- */

static inline bool xhc_is_ready(const struct xhc *h)
{
    return h->now_us >= h->ready_at_us;
}

static inline void xhc_run(struct xhc *h)
{
    uint64_t first;

    assert_int_equal(h->erstsz, 1);
    assert_int_equal(h->erstba & 63, 0);
    assert_int_equal(h->dcbaap & 63, 0);
    assert_int_equal(h->crcr & 63, 1);
    assert_in_range(h->config & 0xff, 1, h->slots);
    memcpy(&first, xhc_memory(h, h->dcbaap, 8), 8);
    for (unsigned i = 0; i < h->scratchpads; i++) {
        uint64_t pad;
        memcpy(&pad, xhc_memory(h, first + 8 * i, 8), 8);
        assert_int_equal(pad & 4095, 0);
        memset(xhc_memory(h, pad, 4096), 0xaa, 4096); /* it is the controller's own */
    }
    if (h->scratchpads == 0)
        assert_int_equal(first, 0);
    h->command = h->crcr & ~UINT64_C(63);
    h->command_cycle = h->crcr & 1;
    h->event_index = 0;
    h->event_cycle = true;
    if (!h->never_runs)
        h->usbsts &= ~1u;
}

static inline void xhc_reset(struct xhc *h)
{
    assert_true(h->usbsts & 1); /* only a halted one may be reset */
    h->usbcmd = 0;
    h->usbsts = 1;
    h->ready_at_us = h->now_us + h->ready_after_us;
    h->command_hangs = false;
    h->crcr = h->dcbaap = h->erstba = h->erdp = h->config = h->erstsz = 0;
    memset(h->slot, 0, sizeof(h->slot));
    for (unsigned i = 1; i <= h->ports; i++)
        h->portsc[i] = (h->powered && h->roots[i] && h->roots[i]->plugged ? 0x00020001u : 0) |
                       (h->powered ? 0x200u : 0);
}

/* Ports whose reset has taken its time. */
static inline void xhc_end_resets(struct xhc *h)
{
    for (unsigned port = 1; port <= h->ports && port <= XHC_PORTS; port++) {
        uint32_t *sc = &h->portsc[port];
        struct xhc_device *d = h->roots[port];
        if (!h->port_reset_at[port] || h->now_us < h->port_reset_at[port])
            continue;
        h->port_reset_at[port] = 0;
        *sc &= ~0x10u;
        if (d && d->plugged && !h->nobody_after_reset && !(*sc & 8)) {
            h->addressing = d;
            xhc_reset_device(d);
            *sc = (*sc & ~0x3c00u) | 2 | (uint32_t)d->speed << 10;
        }
        xhc_port_change(h, port, 0x200000);
    }
}

static inline void xhc_port_write(struct xhc *h, unsigned port, uint32_t value)
{
    uint32_t *sc = &h->portsc[port];
    struct xhc_device *d = h->roots[port];

    if (value & 2) { /* disables it; not together with something else */
        assert_int_equal(value & 0x00fe0010, 0);
        *sc &= ~0x3c02u;
        if (d)
            xhc_silence(h, d);
    }
    *sc &= ~(value & 0x00fe0000);
    assert_false((value & 0x200) && (*sc & 0x208) == 8); /* not into a short circuit */
    bool goes_on = (value & 0x200) && !(*sc & 0x200);
    *sc = (*sc & ~0x200u) | (value & 0x200) | (h->no_power_switches ? 0x200 : 0);
    if (goes_on && d && d->plugged && !(*sc & 1)) {
        *sc |= 1;
        xhc_port_change(h, port, 0x20000);
    }
    if (!(value & 0x10) || !d || !d->plugged)
        return;
    assert_true(value & 0x200);
    assert_true(d->speed != XHC_SUPER || h->no_protocols);
    assert_true(!h->addressing || h->addressing == d || h->disable_failed);
    assert_true(!h->port_reset_at[port] || h->resets_never_end);
    h->port_resets++;
    *sc = (*sc & ~2u) | (h->early_reset_end ? 0 : 0x10);
    h->port_reset_at[port] = h->resets_never_end ? UINT64_MAX : h->now_us + h->port_reset_us;
    xhc_end_resets(h);
}

static inline uint32_t xhc_extended_read(struct xhc *h, uint32_t offset)
{
    if (h->extended)
        return offset / 4 < (h->extended_dwords ? h->extended_dwords : 16) ? h->extended[offset / 4] : 0;
    switch (offset) {
    case 0x00:
        return h->legacy | 0x00000401; /* the next one is 16 bytes on */
    case 0x04:
        return h->legacy_control;
    case 0x10:
        return h->no_protocols ? 0x00000000 : 0x02000402;
    case 0x18:
        return 1 | (h->ports - h->usb3_ports) << 8;
    case 0x20:
        return 0x03000002;
    case 0x28:
        return (h->ports - h->usb3_ports + 1) | h->usb3_ports << 8;
    default:
        return 0;
    }
}

static inline uint32_t xhc_read(void *ctx, enum hv_space space, uint64_t address, unsigned bytes)
{
    struct xhc *h = ctx;
    uint32_t offset = (uint32_t)(address - XHC_BASE);

    assert_int_equal(space, HV_SPACE_MEMORY);
    assert_int_equal(bytes, 4);
    assert_true(address >= XHC_BASE && offset + 4 <= XHC_BYTES && offset % 4 == 0);
    if (++h->register_reads == h->gone_at_read)
        h->gone = true;
    if (h->gone)
        return UINT32_MAX;
    xhc_end_resets(h);
    if (offset >= XHC_EXTENDED && offset < XHC_DOORBELLS)
        return xhc_extended_read(h, offset - XHC_EXTENDED);
    if (offset >= XHC_OP + 0x400 && offset < XHC_OP + 0x400 + 16 * h->ports)
        return offset % 16 ? 0 : h->portsc[(offset - XHC_OP - 0x400) / 16 + 1];
    switch (offset) {
    case 0x00:
        return h->length | (uint32_t)h->version << 16;
    case 0x04:
        return h->slots | 1u << 8 | h->ports << 24;
    case 0x08:
        return (h->scratchpads & 31) << 27 | (h->scratchpads >> 5) << 21;
    case 0x10:
        return 1 | (h->context_bytes == 64 ? 4u : 0) | h->extended_at / 4 << 16;
    case 0x14:
        return h->doorbells_at | 3; /* its low bits are reserved */
    case 0x18:
        return h->runtime_at | 31;
    case XHC_OP:
        return h->usbcmd;
    case XHC_OP + 4:
        return h->usbsts | (xhc_is_ready(h) ? 0 : 1u << 11);
    case XHC_OP + 8:
        return h->pages_of_8k ? 2 : 1;
    case XHC_OP + 0x38:
        return h->config;
    default:
        return 0;
    }
}

static inline void xhc_set_half(uint64_t *value, bool high, uint32_t half)
{
    *value = high ? (*value & UINT32_MAX) | (uint64_t)half << 32
                  : (*value & ~UINT64_C(0xffffffff)) | half;
}

static inline void xhc_legacy_write(struct xhc *h, uint32_t offset, uint32_t value)
{
    if (offset == 0) {
        h->legacy = value & 0x01010000;
        if ((h->legacy & (1u << 24)) && !h->bios_is_deaf)
            h->legacy &= ~(1u << 16);
    } else if (offset == 4) {
        h->legacy_control = value & ~0xe0000000;
    }
}

static inline void xhc_operational_write(struct xhc *h, uint32_t offset, uint32_t value)
{
    assert_true(offset == 4 || xhc_is_ready(h)); /* "Controller Not Ready" */
    switch (offset) {
    case 0x00:
        if (value & 2) {
            xhc_reset(h);
            h->usbcmd |= h->never_resets ? 2 : 0;
            return;
        }
        if ((value & 1) && !(h->usbcmd & 1))
            xhc_run(h);
        if (!(value & 1) && !h->never_halts)
            h->usbsts |= 1;
        h->usbcmd = value;
        return;
    case 0x18:
        if ((value & 4) && (h->usbcmd & 1)) {
            xhc_abort(h);
            return;
        }
        assert_int_equal(h->usbcmd & 1, 0); /* the pointer of a ring at work is left alone */
        /* fall through */
    case 0x1c:
        if (!(h->usbcmd & 1))
            xhc_set_half(&h->crcr, offset == 0x1c, value);
        return;
    case 0x30:
    case 0x34:
        xhc_set_half(&h->dcbaap, offset == 0x34, value);
        return;
    case 0x38:
        h->config = value;
        return;
    default:
        if (offset >= 0x400 && offset % 16 == 0)
            xhc_port_write(h, (offset - 0x400) / 16 + 1, value);
    }
}

static inline void xhc_write(void *ctx, enum hv_space space, uint64_t address, unsigned bytes,
                             uint32_t value)
{
    struct xhc *h = ctx;
    uint32_t offset = (uint32_t)(address - XHC_BASE);

    assert_int_equal(space, HV_SPACE_MEMORY);
    assert_int_equal(bytes, 4);
    assert_true(address >= XHC_BASE && offset + 4 <= XHC_BYTES && offset % 4 == 0);
    h->register_writes++;
    if (h->gone)
        return;
    assert_true(offset < XHC_DOORBELLS || offset >= XHC_RUNTIME || xhc_is_ready(h));
    if (offset == XHC_DOORBELLS) {
        xhc_commands(h);
    } else if (offset > XHC_DOORBELLS && offset <= XHC_DOORBELLS + 4 * h->slots) {
        unsigned slot = (offset - XHC_DOORBELLS) / 4;
        assert_true(h->slot[slot].enabled && h->slot[slot].device);
        if (value == 1)
            xhc_control(h, slot);
        else
            xhc_send_reports(h, h->slot[slot].device);
    } else if (offset >= XHC_RUNTIME) {
        if (offset == XHC_RUNTIME + 0x28)
            h->erstsz = value;
        if (offset == XHC_RUNTIME + 0x30 || offset == XHC_RUNTIME + 0x34)
            xhc_set_half(&h->erstba, offset % 8 == 4, value);
        if (offset == XHC_RUNTIME + 0x38 || offset == XHC_RUNTIME + 0x3c)
            xhc_set_half(&h->erdp, offset % 8 == 4, value);
    } else if (offset >= XHC_EXTENDED) {
        xhc_legacy_write(h, offset - XHC_EXTENDED, value);
    } else {
        assert_true(offset >= XHC_OP); /* capabilities are read only */
        xhc_operational_write(h, offset - XHC_OP, value);
    }
}

static inline void xhc_pause(void *ctx)
{
    struct xhc *h = ctx;
    h->now_us += h->clock_stands ? 0 : 10;
}

static inline uint64_t xhc_now(void *ctx)
{
    return ((struct xhc *)ctx)->now_us;
}

static inline void *xhc_take(void *ctx, uint64_t bytes)
{
    struct xhc *h = ctx;
    if (bytes > XHC_ARENA_BYTES)
        return NULL;
    assert_int_equal(h->arena_used, 0);
    h->arena_used = bytes;
    memset(h->arena, 0, bytes);
    return h->arena;
}

/* --- for tests --- */

/* A controller that works, as firmware leaves it: running. */
static inline void xhc_init(struct xhc *h)
{
    uint8_t *arena = h->arena ? h->arena : aligned_alloc(4096, XHC_ARENA_BYTES);
    *h = (struct xhc){ .ports = XHC_PORTS, .slots = XHC_SLOTS, .context_bytes = 32, .version = 0x110,
                       .scratchpads = 3, .usb3_ports = 2, .usbcmd = 5, .arena = arena,
                       .extended_at = XHC_EXTENDED, .length = XHC_OP, .doorbells_at = XHC_DOORBELLS,
                       .runtime_at = XHC_RUNTIME, .port_reset_us = 50000 };
    h->access = (struct hv_access){ xhc_read, xhc_write, NULL, xhc_pause, xhc_now, h };
    h->memory = (struct xhci_memory){ xhc_take, h };
}

static inline void xhc_plug(struct xhc *h, struct xhc_device *d, struct xhc_device *hub, unsigned port)
{
    d->hub = hub;
    d->port = port;
    d->plugged = true;
    if (!d->packet_bytes)
        d->packet_bytes = d->speed == XHC_HIGH ? 64 : 8;
    if (!d->report_packet) { /* an interval may be 0 */
        d->report_packet = 8;
        d->interval = d->interval ? d->interval : 10;
    }
    if (hub) {
        hub->children[port] = d;
        if (hub->powered[port])
            hub->port_status[port] |= 0x10001;
        xhc_hub_changed(h, hub);
        return;
    }
    h->roots[port] = d;
    if (d->speed == XHC_SUPER)
        h->portsc[port] |= 2 | 4u << 10;
    if (!(h->portsc[port] & 0x200))
        return; /* without power nobody is seen */
    h->portsc[port] |= 1;
    xhc_port_change(h, port, 0x00020000);
}

static inline void xhc_unplug(struct xhc *h, struct xhc_device *d)
{
    d->plugged = false;
    if (h->addressing && !xhc_is_there(h->addressing))
        h->addressing = NULL;
    if (d->hub) {
        d->hub->children[d->port] = NULL;
        d->hub->port_status[d->port] = (d->hub->port_status[d->port] & ~0x603u) | 0x10000;
        xhc_hub_changed(h, d->hub);
        return;
    }
    h->roots[d->port] = NULL;
    h->portsc[d->port] &= ~0x3c03u;
    xhc_port_change(h, d->port, 0x00020000);
}

/* The port of a device has seen noise, or babble, and is disabled; the device is still there.
 * xHCI "Root Hub Port State Machines"; USB 2.0 "PORT_ENABLE", "C_PORT_ENABLE". */
static inline void xhc_disable_port(struct xhc *h, struct xhc_device *d)
{
    xhc_silence(h, d);
    if (d->hub) {
        d->hub->port_status[d->port] = (d->hub->port_status[d->port] & ~2u) | 0x20000;
        xhc_hub_changed(h, d->hub);
    } else {
        h->portsc[d->port] &= ~2u;
        xhc_port_change(h, d->port, 0x00040000);
    }
}

/* Too much current flows, or no longer does; with it a port loses its power, and who is there goes.
 * xHCI "Over-current"; USB 2.0 "Over-current Reporting and Recovery", "PORT_OVER_CURRENT". */
static inline void xhc_over_current(struct xhc *h, struct xhc_device *d, bool flows)
{
    uint32_t *sc = d->hub ? &d->hub->port_status[d->port] : &h->portsc[d->port];

    *sc = (*sc & ~8u) | (flows ? 8u : 0);
    if (flows)
        xhc_silence(h, d);
    if (flows && d->hub) {
        *sc &= ~0x703u;
        d->hub->powered[d->port] = false;
    } else if (flows) {
        *sc &= h->no_power_switches ? ~2u : ~0x3e03u;
    }
    if (d->hub) {
        *sc |= 0x80000 | (flows ? 0x10000u : 0);
        xhc_hub_changed(h, d->hub);
    } else {
        xhc_port_change(h, d->port, 0x00100000 | (!flows                ? 0
                                                  : h->no_power_switches ? 0x40000u
                                                                         : 0x20000u));
    }
}

/* As time passes: hubs tell of their changes again and again, as long as they stand. */
static inline void xhc_tick(struct xhc *h)
{
    if (h->late_at_us && h->now_us >= h->late_at_us) {
        h->late_at_us = 0;
        xhc_event(h, h->late, 1u << 24, 32u << 10 | 1u << 16 | (uint32_t)h->late_slot << 24);
    }
    for (unsigned i = 1; i <= h->slots; i++) {
        struct xhc_device *d = h->slot[i].device;
        if (h->slot[i].enabled && d && d->kind == XHC_HUB && xhc_is_there(d))
            xhc_hub_changed(h, d);
    }
}

#endif
