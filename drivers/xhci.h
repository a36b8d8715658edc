/*
 * What the parts of the xHCI driver share: registers and rings (xhci_ring.c), the take-over
 * (xhci_start.c), ports (xhci_port.c), hubs (xhci_hub.c), devices (xhci_device.c).
 */
#ifndef XHCI_H
#define XHCI_H

#include "hv/drv_xhci.h"
#include "xhci_registers.h"

#define XHCI_RING_TRBS 64u   /* the last one is the link */
#define XHCI_EVENT_TRBS 256u
#define XHCI_REPORTS 16u     /* that a device may send between two polls */
#define XHCI_REPORT_BYTES 64u
#define XHCI_BUFFER_BYTES 2048u
#define XHCI_COMMAND_LIMIT_US 5000000u
#define XHCI_TRIES 3u        /* a port that fails so often is left alone until it is unplugged */

/* --- xhci_ring.c --- */
uint32_t xhci_read(const struct xhci *x, uint64_t address);
void xhci_write(const struct xhci *x, uint64_t address, uint32_t value);
void xhci_write64(const struct xhci *x, uint64_t address, uint64_t value);
uint64_t xhci_now(const struct xhci *x);
void xhci_ring_init(struct xhci_ring *ring, void *trbs);
/* Puts a TRB on a ring; returns its address. */
uint64_t xhci_ring_put(struct xhci_ring *ring, uint64_t parameter, uint32_t status,
                       uint32_t control);
/* The next event, copied; false: there is none. */
bool xhci_next_event(struct xhci *x, struct xhci_trb *event);
void xhci_note(struct xhci *x, const struct xhci_place *place, const char *what);
void xhci_give_up(struct xhci *x, const char *why);

/* The one operation: each ends with a call of `next`, at the latest after its time limit. */
void xhci_command(struct xhci *x, uint64_t parameter, uint32_t control, xhci_step *next);
struct usb_setup {
    uint8_t request_type, request;
    uint16_t value, index, length;
};
/* Data comes from the device, into its buffer; nothing here sends any. */
void xhci_control(struct xhci *x, unsigned slot, const struct usb_setup *setup, xhci_step *next);
void xhci_wait(struct xhci *x, uint64_t us, xhci_step *next);

/* --- contexts and buffers of a device --- */
struct xhci_slot_context *xhci_input_slot(struct xhci *x);
struct xhci_endpoint_context *xhci_input_endpoint(struct xhci *x, unsigned dci);
/* Clears the input context and says which contexts it adds. */
void xhci_input_begin(struct xhci *x, uint32_t add);
uint8_t *xhci_buffer(const struct xhci_device *device);
uint8_t *xhci_report_buffer(const struct xhci_device *device, unsigned index);
unsigned xhci_report_dci(const struct xhci_device *device);

/* --- xhci_port.c: the job --- */
void xhci_job_begin(struct xhci *x);
void xhci_job_done(struct xhci *x);
/* The port's device is given up for now. */
void xhci_job_failed(struct xhci *x, const char *what);
/* As a step: whatever the last operation said. */
void xhci_job_over(struct xhci *x, unsigned code);
void xhci_device_lost(struct xhci *x, unsigned slot);
/* It does not work any more, but is there: it is set up anew, unless that has been tried too often. */
void xhci_device_failed(struct xhci *x, unsigned slot);
/* How often what is at a place has failed in a row. */
uint8_t *xhci_tries_of(struct xhci *x, const struct xhci_place *place);
/* The slot of the device at a place; 0: nobody. */
unsigned xhci_find_device(const struct xhci *x, const struct xhci_place *place);
void xhci_port_changed(struct xhci *x, unsigned port);

/* --- xhci_device.c --- */
/* A port has been reset, and its device has recovered: who is there? The job says where and how fast. */
void xhci_device_begin(struct xhci *x, unsigned code);
void xhci_device_report(struct xhci *x, unsigned slot, const struct xhci_trb *event);
/* The slot's context for an input context, without the state that is the controller's. */
void xhci_fill_slot(struct xhci *x, unsigned slot, unsigned entries);
void xhci_device_ready(struct xhci *x);

/* --- xhci_hub.c --- */
void xhci_hub_begin(struct xhci *x);
void xhci_hub_report(struct xhci_device *hub, const uint8_t *report, size_t bytes);
void xhci_hub_port_begin(struct xhci *x);
void xhci_hub_disable_port(struct xhci *x, xhci_step *next);

#endif
