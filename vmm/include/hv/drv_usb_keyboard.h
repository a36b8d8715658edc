/*
 * A USB keyboard in its boot protocol: reports to the bytes that a VT100 sends, and the descriptors
 * by which it is found.
 *
 * Not the controller (hv/drv_xhci.h). The layout is the PS/2 keyboard's (hv/drv_ps2.h): US. Its
 * lamps stay dark. Pure. Lock: the caller's (the console's).
 * USB Device Class Definition for Human Interface Devices 1.11 "Keyboard: Protocol 1 (Boot)",
 * "Boot Interface Descriptors"; USB HID Usage Tables "Keyboard/Keypad Page (0x07)".
 */
#ifndef HV_DRV_USB_KEYBOARD_H
#define HV_DRV_USB_KEYBOARD_H

#include "hv/drv_ps2.h"
#include "hv/types.h"

#define USB_KEYBOARD_REPORT_BYTES 8
#define USB_KEYBOARD_TYPED 64u

/* All zero is its state at start. */
struct usb_keyboard {
    struct ps2_decoder keys;       /* the layout's modifiers */
    uint8_t modifiers;             /* of the last report */
    uint8_t held[6];               /* usages of the last report; 0: none */
    uint8_t repeating;             /* the usage that repeats; 0: none */
    uint64_t repeat_at_us;
    uint16_t typed[USB_KEYBOARD_TYPED]; /* what has not been read yet: a ring */
    unsigned typed_first, typed_count;
};

/* Takes a report. One that is too short, or that says of more keys than the keyboard can tell apart,
 * changes nothing. Keys for which there is no room are dropped. */
void usb_keyboard_report(struct usb_keyboard *keyboard, const uint8_t *report, size_t bytes,
                         uint64_t now_us);

/* Types the key that is held down again when it is its time: a USB keyboard does not. To be called
 * as often as the keys are read; what was missed is not made up for. */
void usb_keyboard_repeat(struct usb_keyboard *keyboard, uint64_t now_us);

/* The next byte typed, or an enum console_key, or -1. */
int usb_keyboard_next(struct usb_keyboard *keyboard);

/* The keyboard has gone: no key is held any more. What was typed can still be read. */
void usb_keyboard_release(struct usb_keyboard *keyboard);

/* --- descriptors --- */

enum usb_kind { USB_OTHER, USB_KEYBOARD, USB_HUB };

/* An interface that is of use, and its interrupt endpoint towards the host. */
struct usb_interface {
    enum usb_kind kind;
    uint8_t configuration; /* bConfigurationValue */
    uint8_t number;        /* bInterfaceNumber */
    uint8_t endpoint;      /* its number, 1 to 15 */
    uint16_t packet_bytes; /* 1 to 1024 */
    uint8_t interval;      /* bInterval, as it stands */
};

/* Finds the first boot keyboard, or else a hub, in a configuration descriptor and what comes with
 * it. Reads nothing beyond `bytes`, whatever the lengths in it say. False: there is neither. */
bool usb_find_interface(const uint8_t *configuration, size_t bytes, struct usb_interface *found);

#endif
