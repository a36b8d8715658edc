/*
 * Looks for a keyboard or a hub in a configuration descriptor.
 *
 * Pure. A device is a neighbour like any other: no length of its is believed. Lock: none.
 * USB 2.0 specification "Standard USB Descriptor Definitions"; HID 1.11 "Boot Interface
 * Descriptors".
 */
#include "hv/drv_usb_keyboard.h"

enum { DESCRIPTOR_CONFIGURATION = 2, DESCRIPTOR_INTERFACE = 4, DESCRIPTOR_ENDPOINT = 5 };

#define CONFIGURATION_BYTES 9
#define INTERFACE_BYTES 9
#define ENDPOINT_BYTES 7

#define CLASS_HID 3
#define SUBCLASS_BOOT 1
#define PROTOCOL_KEYBOARD 1
#define CLASS_HUB 9
#define ENDPOINT_IN 0x80
#define ENDPOINT_TYPE 0x03
#define ENDPOINT_INTERRUPT 0x03
#define MAX_INTERRUPT_BYTES 1024

static enum usb_kind interface_kind(const uint8_t *d)
{
    if (d[3] != 0)
        return USB_OTHER; /* an alternate setting, which would have to be asked for */
    if (d[5] == CLASS_HID && d[6] == SUBCLASS_BOOT && d[7] == PROTOCOL_KEYBOARD)
        return USB_KEYBOARD;
    return d[5] == CLASS_HUB ? USB_HUB : USB_OTHER;
}

/* Takes an endpoint that fits. */
static bool take_endpoint(const uint8_t *d, struct usb_interface *interface)
{
    uint16_t packet = (uint16_t)((d[4] | d[5] << 8) & 0x7ff);

    if (!(d[2] & ENDPOINT_IN) || (d[3] & ENDPOINT_TYPE) != ENDPOINT_INTERRUPT ||
        (d[2] & 0x0f) == 0 || packet == 0 || packet > MAX_INTERRUPT_BYTES)
        return false;
    interface->endpoint = d[2] & 0x0f;
    interface->packet_bytes = packet;
    interface->interval = d[6];
    return true;
}

bool usb_find_interface(const uint8_t *configuration, size_t bytes, struct usb_interface *found)
{
    struct usb_interface current = { 0 };
    bool have = false;

    if (bytes < CONFIGURATION_BYTES || configuration[0] < CONFIGURATION_BYTES ||
        configuration[1] != DESCRIPTOR_CONFIGURATION)
        return false;
    for (size_t at = configuration[0]; at < bytes && bytes - at >= 2;) {
        const uint8_t *d = configuration + at;
        if (d[0] < 2 || d[0] > bytes - at)
            break;
        if (d[1] == DESCRIPTOR_INTERFACE && d[0] >= INTERFACE_BYTES) {
            current = (struct usb_interface){ .kind = interface_kind(d), .number = d[2],
                                              .configuration = configuration[5] };
        } else if (d[1] == DESCRIPTOR_ENDPOINT && d[0] >= ENDPOINT_BYTES &&
                   current.kind != USB_OTHER && take_endpoint(d, &current)) {
            if (!have || (found->kind == USB_HUB && current.kind == USB_KEYBOARD))
                *found = current;
            have = true;
            current.kind = USB_OTHER; /* its first one is enough */
        }
        at += d[0];
    }
    return have;
}
