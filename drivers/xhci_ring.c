/*
 * An xHCI's registers, rings, and the one operation that is under way.
 *
 * Memory that the controller writes is copied before it is looked at, and no pointer of its is
 * followed. Lock: the caller's.
 * xHCI 1.2 "Ring Management", "Command Ring", "Event Ring", "Control Transfers".
 */
#include "xhci.h"

#include "hv/string.h"

#define CONTROL_LIMIT_US 5000000u /* USB 2.0 "Request Processing Timing" */

uint32_t xhci_read(const struct xhci *x, uint64_t address)
{
    return x->access->read(x->access->ctx, HV_SPACE_MEMORY, address, 4);
}

void xhci_write(const struct xhci *x, uint64_t address, uint32_t value)
{
    x->access->write(x->access->ctx, HV_SPACE_MEMORY, address, 4, value);
}

/* The low half first, as "Register Interface" asks of those who write halves. */
void xhci_write64(const struct xhci *x, uint64_t address, uint64_t value)
{
    xhci_write(x, address, (uint32_t)value);
    xhci_write(x, address + 4, (uint32_t)(value >> 32));
}

uint64_t xhci_now(const struct xhci *x)
{
    return x->access->now_us(x->access->ctx);
}

void xhci_note(struct xhci *x, const struct xhci_place *place, const char *what)
{
    unsigned at = (x->notes_first + x->notes_count) % XHCI_NOTES;

    if (x->notes_count == XHCI_NOTES)
        return;
    x->notes[at] = (struct xhci_note){ what, *place };
    x->notes_count++;
}

bool xhci_take_note(struct xhci *x, struct xhci_note *note)
{
    if (x->notes_count == 0)
        return false;
    *note = x->notes[x->notes_first];
    x->notes_first = (x->notes_first + 1) % XHCI_NOTES;
    x->notes_count--;
    return true;
}

void xhci_give_up(struct xhci *x, const char *why)
{
    const struct xhci_place nowhere = { 0 };

    x->dead = why;
    xhci_note(x, &nowhere, why);
    x->operation = XHCI_NOTHING;
    for (unsigned i = 1; i <= XHCI_MAX_DEVICES; i++)
        usb_keyboard_release(&x->devices[i].keyboard);
}

/* --- rings --- */

static struct xhci_trb *link_of(struct xhci_ring *ring)
{
    return &ring->trbs[XHCI_RING_TRBS - 1];
}

void xhci_ring_init(struct xhci_ring *ring, void *trbs)
{
    memset(trbs, 0, XHCI_RING_TRBS * sizeof(struct xhci_trb));
    *ring = (struct xhci_ring){ trbs, 0, 1 };
    link_of(ring)->parameter = (uint64_t)trbs;
}

/* The controller may take the TRB as soon as its cycle bit is right: that comes last. */
static void put_control(struct xhci_trb *trb, uint32_t control)
{
    __atomic_store_n(&trb->control, control, __ATOMIC_RELEASE);
}

uint64_t xhci_ring_put(struct xhci_ring *ring, uint64_t parameter, uint32_t status,
                       uint32_t control)
{
    struct xhci_trb *trb = &ring->trbs[ring->next];

    trb->parameter = parameter;
    trb->status = status;
    put_control(trb, (control & ~TRB_CYCLE) | ring->cycle);
    if (++ring->next == XHCI_RING_TRBS - 1) {
        put_control(link_of(ring), TRB_TYPE(TRB_LINK) | TRB_TOGGLE | ring->cycle);
        ring->next = 0;
        ring->cycle ^= 1;
    }
    return (uint64_t)trb;
}

bool xhci_next_event(struct xhci *x, struct xhci_trb *event)
{
    struct xhci_ring *ring = &x->events;
    const struct xhci_trb *trb = &ring->trbs[ring->next];
    uint32_t control = __atomic_load_n(&trb->control, __ATOMIC_ACQUIRE);

    if ((control & TRB_CYCLE) != ring->cycle)
        return false;
    event->parameter = __atomic_load_n(&trb->parameter, __ATOMIC_RELAXED);
    event->status = __atomic_load_n(&trb->status, __ATOMIC_RELAXED);
    event->control = control;
    if (++ring->next == XHCI_EVENT_TRBS) {
        ring->next = 0;
        ring->cycle ^= 1;
    }
    return true;
}

/* --- the one operation --- */

void xhci_command(struct xhci *x, uint64_t parameter, uint32_t control, xhci_step *next)
{
    x->operation = XHCI_COMMAND;
    x->operation_trb = xhci_ring_put(&x->commands, parameter, 0, control);
    x->deadline_us = xhci_now(x) + XHCI_COMMAND_LIMIT_US;
    x->answer_slot = 0;
    x->aborting = false;
    x->next = next;
    xhci_write(x, x->doorbells, 0);
}

void xhci_control(struct xhci *x, unsigned slot, const struct usb_setup *setup, xhci_step *next)
{
    struct xhci_device *device = &x->devices[slot];
    uint32_t stage = setup->length == 0 ? TRB_SETUP_NO_DATA : TRB_SETUP_IN;
    uint64_t packet = setup->request_type | (uint64_t)setup->request << 8 |
                      (uint64_t)setup->value << 16 | (uint64_t)setup->index << 32 |
                      (uint64_t)setup->length << 48;

    memset(xhci_buffer(device), 0, setup->length); /* what does not come is 0 */
    xhci_ring_put(&device->control, packet, 8, TRB_TYPE(TRB_SETUP) | TRB_IMMEDIATE | stage);
    if (setup->length)
        xhci_ring_put(&device->control, (uint64_t)xhci_buffer(device), setup->length,
                      TRB_TYPE(TRB_DATA) | TRB_DIRECTION_IN);
    x->operation = XHCI_CONTROL;
    x->operation_slot = (uint8_t)slot;
    x->operation_trb =
        xhci_ring_put(&device->control, 0, 0,
                      TRB_TYPE(TRB_STATUS) | TRB_REPORT |
                          (setup->length == 0 ? TRB_DIRECTION_IN : 0));
    x->deadline_us = xhci_now(x) + CONTROL_LIMIT_US;
    x->next = next;
    xhci_write(x, x->doorbells + 4 * slot, CONTEXT_EP0);
}

void xhci_wait(struct xhci *x, uint64_t us, xhci_step *next)
{
    x->operation = XHCI_TIME;
    x->deadline_us = xhci_now(x) + us;
    x->next = next;
}

/* --- contexts and buffers: page 0 of a device is its output context and the two rings, page 1 the
 * buffers. --- */

void xhci_input_begin(struct xhci *x, uint32_t add)
{
    memset(x->input, 0, 33 * x->context_bytes);
    memcpy(x->input + 4, &add, sizeof(add));
}

struct xhci_slot_context *xhci_input_slot(struct xhci *x)
{
    return (struct xhci_slot_context *)(void *)(x->input + x->context_bytes);
}

struct xhci_endpoint_context *xhci_input_endpoint(struct xhci *x, unsigned dci)
{
    return (struct xhci_endpoint_context *)(void *)(x->input + (1 + dci) * x->context_bytes);
}

uint8_t *xhci_buffer(const struct xhci_device *device)
{
    return device->page + HV_PAGE_BYTES;
}

uint8_t *xhci_report_buffer(const struct xhci_device *device, unsigned index)
{
    return device->page + HV_PAGE_BYTES + XHCI_BUFFER_BYTES + index * XHCI_REPORT_BYTES;
}

unsigned xhci_report_dci(const struct xhci_device *device)
{
    return 2u * device->interface.endpoint + 1;
}
