/*
 * Taking an xHCI over: from firmware, to rings of our own.
 *
 * Not here: what happens on its ports (xhci_port.c). Lock: the caller's.
 * xHCI 1.2 "Host Controller Initialization", "USB Legacy Support Capability", "xHCI Supported
 * Protocol Capability", "Scratchpad Buffers".
 */
#include "xhci.h"

#include "hv/string.h"

#define HAND_OVER_US 1000000u
#define HALT_US 100000u
#define RESET_US 5000000u
#define AFTER_RESET_US 1000u /* some answer nonsense, or hang, when they are asked earlier */
#define WAIT_TRIES 20000000u /* where the clock stands */
#define MAX_EXTENDED 64u

/* The first page: DCBAA, event ring segment table, command ring. */
#define SEGMENT_TABLE_AT 2048u
#define COMMANDS_AT 3072u
#define SCRATCHPAD_LIST_PAGES 2u
#define FIXED_PAGES (3u + SCRATCHPAD_LIST_PAGES)
#define DEVICE_PAGES 2u
_Static_assert(COMMANDS_AT + XHCI_RING_TRBS * sizeof(struct xhci_trb) <= HV_PAGE_BYTES, "first page");
_Static_assert(XHCI_EVENT_TRBS * sizeof(struct xhci_trb) == HV_PAGE_BYTES, "event ring");
_Static_assert(XHCI_MAX_SCRATCHPADS * 8 <= SCRATCHPAD_LIST_PAGES * HV_PAGE_BYTES, "scratchpads");
_Static_assert(XHCI_BUFFER_BYTES + XHCI_REPORTS * XHCI_REPORT_BYTES <= HV_PAGE_BYTES, "buffers");
_Static_assert(2048 + 2 * XHCI_RING_TRBS * sizeof(struct xhci_trb) <= HV_PAGE_BYTES, "device page");

/* Waits until the bits of a register are as wanted. All ones are no answer. */
static bool wait_for(const struct xhci *x, uint64_t address, uint32_t mask, uint32_t value,
                     uint64_t limit_us)
{
    uint64_t end_us = xhci_now(x) + limit_us;

    for (unsigned i = 0; i < WAIT_TRIES; i++) {
        uint32_t now = xhci_read(x, address);
        if (now == UINT32_MAX)
            return false;
        if ((now & mask) == value)
            return true;
        if (xhci_now(x) >= end_us)
            return false;
        x->access->pause(x->access->ctx);
    }
    return false;
}

static void stand_still(const struct xhci *x, uint64_t us)
{
    uint64_t end_us = xhci_now(x) + us;
    for (unsigned i = 0; i < WAIT_TRIES && xhci_now(x) < end_us; i++)
        x->access->pause(x->access->ctx);
}

/* Firmware may drive a keyboard from SMM until it is asked to let go; what does not answer is taken
 * anyway, and its SMIs are switched off. */
static void take_from_firmware(const struct xhci *x, uint64_t address)
{
    uint32_t owner = xhci_read(x, address);

    if (owner & LEGACY_BIOS_OWNED) {
        xhci_write(x, address, owner | LEGACY_OS_OWNED);
        if (!wait_for(x, address, LEGACY_BIOS_OWNED, 0, HAND_OVER_US))
            xhci_write(x, address, (owner | LEGACY_OS_OWNED) & ~LEGACY_BIOS_OWNED);
    }
    uint32_t control = xhci_read(x, address + LEGACY_CONTROL);
    xhci_write(x, address + LEGACY_CONTROL, (control & LEGACY_CONTROL_KEEP) | LEGACY_CONTROL_STATES);
}

static void note_protocol(struct xhci *x, uint64_t address, uint32_t head)
{
    uint32_t range = xhci_read(x, address + PROTOCOL_PORTS);
    unsigned first = PROTOCOL_FIRST_PORT(range);

    if (PROTOCOL_MAJOR(head) != 2 || first == 0)
        return;
    for (unsigned i = 0; i < PROTOCOL_PORT_COUNT(range) && first + i <= x->ports; i++)
        x->usb2_ports[(first + i) / 32] |= 1u << (first + i) % 32;
}

static void read_extended(struct xhci *x, uint32_t hccparams)
{
    uint64_t offset = HCCPARAMS1_EXTENDED(hccparams);
    bool protocols = false;

    for (unsigned i = 0; i < MAX_EXTENDED && offset != 0 && offset + 12 <= x->bytes; i++) {
        uint64_t address = x->registers + offset;
        uint32_t head = xhci_read(x, address);
        if (head == UINT32_MAX)
            break;
        if (EXTENDED_ID(head) == EXTENDED_LEGACY)
            take_from_firmware(x, address);
        if (EXTENDED_ID(head) == EXTENDED_PROTOCOL) {
            note_protocol(x, address, head);
            protocols = true;
        }
        offset = EXTENDED_NEXT(head) > 0 ? offset + EXTENDED_NEXT(head) : 0;
    }
    if (!protocols) /* then a port's speed alone tells */
        memset(x->usb2_ports, 0xff, sizeof(x->usb2_ports));
}

/* Where its register blocks are; NULL: they are all inside. */
static const char *find_registers(struct xhci *x)
{
    uint32_t head = xhci_read(x, x->registers + CAP_LENGTH_VERSION);
    uint32_t params = xhci_read(x, x->registers + CAP_HCSPARAMS1);
    uint64_t length = head & 0xff;
    uint64_t doorbells = xhci_read(x, x->registers + CAP_DBOFF) & ~3u;
    uint64_t runtime = xhci_read(x, x->registers + CAP_RTSOFF) & ~31u;

    if (head == UINT32_MAX || params == UINT32_MAX)
        return "it does not answer";
    x->ports = HCSPARAMS1_PORTS(params);
    x->slots = (unsigned)hv_min_u64(HCSPARAMS1_SLOTS(params), XHCI_MAX_DEVICES);
    if (length < CAP_MIN_LENGTH || length % 4 || head >> 16 < MIN_VERSION || x->slots == 0 ||
        x->ports == 0 ||
        length + OP_PORTSC + (uint64_t)x->ports * OP_PORT_STRIDE > x->bytes ||
        doorbells + 4 * (x->slots + 1) > x->bytes || runtime + RT_BYTES > x->bytes)
        return "its registers make no sense";
    x->operational = x->registers + length;
    x->doorbells = x->registers + doorbells;
    x->runtime = x->registers + runtime;
    return NULL;
}

static const char *reset(const struct xhci *x)
{
    uint64_t command = x->operational + OP_USBCMD, status = x->operational + OP_USBSTS;

    if (!wait_for(x, status, USBSTS_NOT_READY, 0, RESET_US)) /* it may have been switched on just now */
        return "it is never ready";
    xhci_write(x, command, xhci_read(x, command) & ~USBCMD_RUN);
    if (!wait_for(x, status, USBSTS_HALTED, USBSTS_HALTED, HALT_US))
        return "it does not halt";
    xhci_write(x, command, USBCMD_RESET);
    stand_still(x, AFTER_RESET_US);
    if (!wait_for(x, command, USBCMD_RESET, 0, RESET_US) ||
        !wait_for(x, status, USBSTS_NOT_READY, 0, RESET_US))
        return "it does not come out of its reset";
    return xhci_read(x, x->operational + OP_PAGESIZE) & PAGESIZE_4K ? NULL
                                                                    : "its pages are not of 4 KB";
}

/* All of its memory, from one piece. */
static const char *share_memory(struct xhci *x, const struct xhci_memory *memory)
{
    unsigned scratchpads = HCSPARAMS2_SCRATCHPADS(xhci_read(x, x->registers + CAP_HCSPARAMS2));
    uint64_t pages = FIXED_PAGES + x->slots * DEVICE_PAGES + scratchpads;
    uint8_t *at = memory->take(memory->ctx, pages * HV_PAGE_BYTES);

    if (!at)
        return "there is no memory for it";
    x->contexts = (uint64_t *)(void *)at;
    struct xhci_segment *segment = (struct xhci_segment *)(void *)(at + SEGMENT_TABLE_AT);
    xhci_ring_init(&x->commands, at + COMMANDS_AT);
    x->input = at + HV_PAGE_BYTES;
    x->events = (struct xhci_ring){ (struct xhci_trb *)(void *)(at + 2 * HV_PAGE_BYTES), 0, 1 };
    segment->base = (uint64_t)x->events.trbs;
    segment->trbs = XHCI_EVENT_TRBS;
    uint64_t *list = (uint64_t *)(void *)(at + 3 * HV_PAGE_BYTES);
    at += FIXED_PAGES * HV_PAGE_BYTES;
    for (unsigned i = 1; i <= x->slots; i++, at += DEVICE_PAGES * HV_PAGE_BYTES)
        x->devices[i].page = at;
    for (unsigned i = 0; i < scratchpads; i++, at += HV_PAGE_BYTES)
        list[i] = (uint64_t)at;
    if (scratchpads)
        x->contexts[0] = (uint64_t)list;
    return NULL;
}

static const char *run(const struct xhci *x)
{
    uint64_t segment = (uint64_t)x->contexts + SEGMENT_TABLE_AT;

    xhci_write(x, x->operational + OP_CONFIG, x->slots);
    xhci_write64(x, x->operational + OP_DCBAAP, (uint64_t)x->contexts);
    xhci_write64(x, x->operational + OP_CRCR, (uint64_t)x->commands.trbs | CRCR_CYCLE);
    xhci_write(x, x->runtime + RT_IMAN, 0); /* polled */
    xhci_write(x, x->runtime + RT_ERSTSZ, 1);
    xhci_write64(x, x->runtime + RT_ERDP, (uint64_t)x->events.trbs);
    xhci_write64(x, x->runtime + RT_ERSTBA, segment); /* the last of the three: it starts the ring */
    xhci_write(x, x->operational + OP_USBCMD, USBCMD_RUN);
    return wait_for(x, x->operational + OP_USBSTS, USBSTS_HALTED, 0, HALT_US) ? NULL
                                                                             : "it does not start";
}

const char *xhci_start(struct xhci *x, const struct hv_access *access, uint64_t registers,
                       uint64_t bytes, const struct xhci_memory *memory)
{
    memset(x, 0, sizeof(*x));
    x->access = access;
    x->registers = registers;
    x->bytes = bytes;
    x->dead = bytes < CAP_MIN_LENGTH ? "it has no registers" : find_registers(x);
    if (x->dead)
        return x->dead;
    uint32_t hccparams = xhci_read(x, registers + CAP_HCCPARAMS1);
    x->context_bytes = hccparams & HCCPARAMS1_CSZ ? 64 : 32;
    read_extended(x, hccparams);
    x->dead = reset(x);
    if (!x->dead)
        x->dead = share_memory(x, memory);
    if (!x->dead)
        x->dead = run(x);
    for (unsigned port = 1; port <= x->ports; port++)
        xhci_port_changed(x, port);
    return x->dead;
}
