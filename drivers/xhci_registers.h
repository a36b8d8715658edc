/*
 * The xHCI's registers, rings and contexts as the specification lays them out.
 *
 * eXtensible Host Controller Interface for USB, revision 1.2: "Register Interface", "Data
 * Structures".
 */
#ifndef XHCI_REGISTERS_H
#define XHCI_REGISTERS_H

#include "hv/types.h"

/* Capability registers, from the start. */
#define CAP_LENGTH_VERSION 0x00
#define CAP_HCSPARAMS1 0x04
#define CAP_HCSPARAMS2 0x08
#define CAP_HCCPARAMS1 0x10
#define CAP_DBOFF 0x14
#define CAP_RTSOFF 0x18

#define CAP_MIN_LENGTH 0x20u
#define MIN_VERSION 0x0096u
#define HCSPARAMS1_SLOTS(v) ((v) & 0xff)
#define HCSPARAMS1_PORTS(v) ((v) >> 24)
#define HCSPARAMS2_SCRATCHPADS(v) (((v) >> 21 & 0x1f) << 5 | (v) >> 27)
#define HCCPARAMS1_CSZ (1u << 2)
#define HCCPARAMS1_EXTENDED(v) (((v) >> 16) * 4)

/* Extended capabilities. */
#define EXTENDED_ID(v) ((v) & 0xff)
#define EXTENDED_NEXT(v) (((v) >> 8 & 0xff) * 4)
#define EXTENDED_LEGACY 1u
#define EXTENDED_PROTOCOL 2u
#define LEGACY_BIOS_OWNED (1u << 16)
#define LEGACY_OS_OWNED (1u << 24)
#define LEGACY_CONTROL 4u
/* USBLEGCTLSTS: the SMI enables are taken away, the RW1C states at the top cleared. */
#define LEGACY_CONTROL_KEEP 0x000e1feeu
#define LEGACY_CONTROL_STATES 0xe0000000u
#define PROTOCOL_MAJOR(v) ((v) >> 24)
#define PROTOCOL_PORTS 8u
#define PROTOCOL_FIRST_PORT(v) ((v) & 0xff)
#define PROTOCOL_PORT_COUNT(v) ((v) >> 8 & 0xff)

/* Operational registers, from CAPLENGTH on. */
#define OP_USBCMD 0x00
#define OP_USBSTS 0x04
#define OP_PAGESIZE 0x08
#define OP_DNCTRL 0x14
#define OP_CRCR 0x18
#define OP_DCBAAP 0x30
#define OP_CONFIG 0x38
#define OP_PORTSC 0x400
#define OP_PORT_STRIDE 0x10

#define USBCMD_RUN (1u << 0)
#define USBCMD_RESET (1u << 1)
#define USBSTS_HALTED (1u << 0)
#define USBSTS_HOST_SYSTEM_ERROR (1u << 2)
#define USBSTS_NOT_READY (1u << 11)
#define USBSTS_CONTROLLER_ERROR (1u << 12)
#define PAGESIZE_4K (1u << 0)
#define CRCR_CYCLE (1u << 0)
#define CRCR_ABORT (1u << 2)

#define PORTSC_CONNECTED (1u << 0)
#define PORTSC_ENABLED (1u << 1) /* written as 1, it disables */
#define PORTSC_OVER_CURRENT (1u << 3)
#define PORTSC_RESET (1u << 4)
#define PORTSC_POWER (1u << 9)
#define PORTSC_SPEED(v) ((v) >> 10 & 0xf)
#define PORTSC_CONNECT_CHANGE (1u << 17)
#define PORTSC_CURRENT_CHANGE (1u << 20)
#define PORTSC_RESET_CHANGE (1u << 21)
#define PORTSC_CHANGES 0x00fe0000u
/* What a write must not change: power, indicator, wake enables. */
#define PORTSC_KEEP 0x0e00c200u

/* Runtime registers, interrupter 0. */
#define RT_IMAN 0x20
#define RT_ERSTSZ 0x28
#define RT_ERSTBA 0x30
#define RT_ERDP 0x38
#define RT_BYTES 0x40u
#define ERDP_BUSY (1u << 3)

/* Speeds: default speed IDs. */
enum xhci_speed { SPEED_FULL = 1, SPEED_LOW = 2, SPEED_HIGH = 3 };

/* Transfer request blocks. */
struct xhci_trb {
    uint64_t parameter;
    uint32_t status;
    uint32_t control; /* with the cycle bit: written last, read first */
};
_Static_assert(sizeof(struct xhci_trb) == 16, "TRB Template");

struct xhci_segment { /* of the event ring */
    uint64_t base;
    uint32_t trbs;
    uint32_t reserved;
};
_Static_assert(sizeof(struct xhci_segment) == 16, "Event Ring Segment Table");

#define TRB_CYCLE (1u << 0)
#define TRB_TOGGLE (1u << 1)       /* of a link */
#define TRB_SHORT_REPORT (1u << 2) /* an event for a short packet */
#define TRB_REPORT (1u << 5)       /* an event on completion */
#define TRB_IMMEDIATE (1u << 6)
#define TRB_DIRECTION_IN (1u << 16)
#define TRB_SETUP_NO_DATA (0u << 16)
#define TRB_SETUP_IN (3u << 16)
#define TRB_TYPE(type) ((uint32_t)(type) << 10)
#define TRB_TYPE_OF(control) ((control) >> 10 & 0x3f)
#define TRB_SLOT(slot) ((uint32_t)(slot) << 24)
#define TRB_SLOT_OF(control) ((control) >> 24)
#define TRB_ENDPOINT(dci) ((uint32_t)(dci) << 16)
#define TRB_ENDPOINT_OF(control) ((control) >> 16 & 0x1f)
#define TRB_CODE_OF(status) ((status) >> 24)
#define TRB_LEFT_OF(status) ((status) & 0xffffff)
#define TRB_PORT_OF(parameter) ((unsigned)((parameter) >> 24 & 0xff))

enum xhci_trb_type {
    TRB_NORMAL = 1,
    TRB_SETUP = 2,
    TRB_DATA = 3,
    TRB_STATUS = 4,
    TRB_LINK = 6,
    TRB_ENABLE_SLOT = 9,
    TRB_DISABLE_SLOT = 10,
    TRB_ADDRESS_DEVICE = 11,
    TRB_CONFIGURE_ENDPOINT = 12,
    TRB_EVALUATE_CONTEXT = 13,
    TRB_RESET_ENDPOINT = 14,
    TRB_SET_DEQUEUE = 16,
    TRB_TRANSFER_EVENT = 32,
    TRB_COMMAND_EVENT = 33,
    TRB_PORT_EVENT = 34,
};

enum xhci_code {
    CODE_NONE = 0, /* here: nothing came in time */
    CODE_SUCCESS = 1,
    CODE_SHORT_PACKET = 13,
    CODE_RING_STOPPED = 24,
};

/* Contexts: the 32 bytes that have a meaning; with CSZ each takes 64. */
struct xhci_slot_context {
    uint32_t route_speed_entries;
    uint32_t port;
    uint32_t transaction_translator;
    uint32_t state;
    uint32_t reserved[4];
};
_Static_assert(sizeof(struct xhci_slot_context) == 32, "Slot Context");

struct xhci_endpoint_context {
    uint32_t interval;
    uint32_t type;
    uint64_t dequeue;
    uint32_t lengths;
    uint32_t reserved[3];
};
_Static_assert(sizeof(struct xhci_endpoint_context) == 32, "Endpoint Context");

#define SLOT_SPEED(speed) ((uint32_t)(speed) << 20)
#define SLOT_MULTI_TT (1u << 25)
#define SLOT_HUB (1u << 26)
#define SLOT_ENTRIES(dci) ((uint32_t)(dci) << 27)
#define SLOT_ROOT_PORT(port) ((uint32_t)(port) << 16)
#define SLOT_HUB_PORTS(count) ((uint32_t)(count) << 24)
#define SLOT_TT(slot, port) ((uint32_t)(slot) | (uint32_t)(port) << 8)
#define SLOT_TT_THINK(time) ((uint32_t)(time) << 16)
#define ENDPOINT_RETRIES (3u << 1)
#define ENDPOINT_CONTROL (4u << 3)
#define ENDPOINT_INTERRUPT_IN (7u << 3)
#define ENDPOINT_PACKET(bytes) ((uint32_t)(bytes) << 16)
#define ENDPOINT_INTERVAL(exponent) ((uint32_t)(exponent) << 16)
#define DEQUEUE_CYCLE 1u
#define CONTEXT_SLOT 0u
#define CONTEXT_EP0 1u

#endif
