/*
 * The machine's own USB: an xHCI controller, polled, as far as keyboards need it: root ports, hubs,
 * and boot keyboards behind them.
 *
 * Not here: USB 3 devices (no keyboard is one), interrupts, isochronous and bulk transfers, power
 * management. One operation at a time is under way on a controller (a command or a control
 * transfer); reports of keyboards and hubs come beside it. Everything that the controller writes is
 * read once and bounded; every wait has an end; a controller that breaks its rules is given up.
 * Lock: the caller's (the console's).
 * eXtensible Host Controller Interface for Universal Serial Bus, revision 1.2; USB 2.0 specification
 * "USB Device Framework", "Hub Specification".
 */
#ifndef HV_DRV_XHCI_H
#define HV_DRV_XHCI_H

#include "hv/drv_access.h"
#include "hv/drv_usb_keyboard.h"

#define XHCI_MAX_DEVICES 16u /* that are in use or being asked what they are, hubs included */
#define XHCI_HUB_PORTS 15u   /* a route string tells so many apart */
#define XHCI_MAX_SCRATCHPADS 1023u

/* Memory that the controller reaches too: whole pages, zeroed, below 4 GB, at the same address for
 * both. NULL: there is none. Never given back. */
struct xhci_memory {
    void *(*take)(void *ctx, uint64_t bytes);
    void *ctx;
};

struct xhci_trb;

struct xhci_ring {
    struct xhci_trb *trbs;
    unsigned next;  /* where software writes, or reads, next */
    unsigned cycle;
};

enum xhci_device_state { XHCI_DEVICE_FREE, XHCI_DEVICE_SETUP, XHCI_DEVICE_READY, XHCI_DEVICE_GONE };

/* Where a device is plugged in. */
struct xhci_place {
    uint8_t root_port; /* from 1 */
    uint8_t hub;       /* the slot of the hub that it is behind; 0: none */
    uint8_t hub_port;  /* from 1 */
};

struct xhci_device {
    enum xhci_device_state state;
    struct xhci_place place;
    uint8_t speed;
    uint8_t depth;  /* hubs above it */
    uint32_t route;
    uint16_t control_packet_bytes;
    uint8_t tt_slot, tt_port; /* of the hub that translates for it; 0: none */
    uint8_t *page;            /* two pages: contexts, rings, buffers */
    struct xhci_ring control, reports;
    unsigned reports_done;    /* the next report's TRB, in the order of the ring */
    struct usb_interface interface;
    struct usb_keyboard keyboard;
    /* Of a hub. */
    uint8_t hub_ports;
    uint8_t hub_think_time;
    uint16_t hub_power_ms;
    uint16_t hub_changed;     /* bit N: port N is to be looked at */
    uint8_t hub_tries[XHCI_HUB_PORTS + 1];
};

/* Something worth a line of the log. */
struct xhci_note {
    const char *what;
    struct xhci_place place; /* root_port 0: the controller itself */
};

#define XHCI_NOTES 8u

struct xhci;
/* What comes next: when the operation is over (with its completion code), or it is time. */
typedef void xhci_step(struct xhci *x, unsigned code);

enum xhci_operation { XHCI_NOTHING, XHCI_COMMAND, XHCI_CONTROL, XHCI_TIME };

struct xhci {
    const struct hv_access *access;
    const char *dead;      /* why it was given up; NULL: it works */
    uint64_t registers, operational, runtime, doorbells;
    uint64_t bytes;        /* of the registers */
    unsigned slots, ports; /* how many are in use */
    unsigned context_bytes;
    /* Memory shared with the controller. */
    uint64_t *contexts;    /* device context base address array */
    uint8_t *input;        /* input context */
    struct xhci_ring commands, events;
    /* The one operation. */
    enum xhci_operation operation;
    uint64_t operation_trb;
    uint8_t operation_slot;
    bool aborting;         /* the command was not answered in time, and is being taken back */
    uint64_t deadline_us;
    xhci_step *next;
    uint8_t answer_slot;   /* of the last command's event */
    /* The one port that is looked at, and the device that is set up. */
    struct {
        struct xhci_place place;
        uint8_t speed;
        uint8_t slot;      /* 0: none yet */
        uint8_t tries;
        uint8_t hub_feature;
        uint16_t length;
        unsigned code;
        xhci_step *after;
    } job;
    uint32_t usb2_ports[8];    /* a bit a port */
    uint32_t changed_ports[8];
    uint8_t port_tries[256];
    struct xhci_note notes[XHCI_NOTES]; /* a ring; what does not fit is left out */
    unsigned notes_first, notes_count;
    struct xhci_device devices[XHCI_MAX_DEVICES + 1]; /* by slot; 0 is nobody */
};

/* Takes a controller over from firmware, resets and starts it. `registers` are mapped; the function
 * decodes its addresses and may write to memory. Takes at most some seconds, when it does not
 * answer. NULL: it runs, else why not. */
const char *xhci_start(struct xhci *x, const struct hv_access *access, uint64_t registers,
                       uint64_t bytes, const struct xhci_memory *memory);

/* Goes on with whatever is to be done. Bounded; to be called as often as keys are read. */
void xhci_poll(struct xhci *x);

/* The next byte typed on any of its keyboards, or an enum console_key, or -1. */
int xhci_read_key(struct xhci *x);

/* Keyboards that are ready. */
unsigned xhci_keyboards(const struct xhci *x);

/* What has happened, one after the other; false: nothing else. The driver itself logs nothing: the
 * console's lock is held while it is polled. */
bool xhci_take_note(struct xhci *x, struct xhci_note *note);

#endif
