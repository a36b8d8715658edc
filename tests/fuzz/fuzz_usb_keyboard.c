// SRCS: drivers/usb_keyboard.c drivers/usb_descriptors.c drivers/ps2_decode.c
/*
 * Whatever a keyboard says of itself and sends: nothing is read beyond the bytes that there are, what is
 * found keeps to its bounds, and nobody types more than was pressed. The first byte says how many bytes
 * are the configuration descriptor; the rest are reports, with their lengths, and time that passes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hv/console.h"
#include "hv/drv_usb_keyboard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* The bytes in a piece of memory of just their length, so that one more would be noticed. */
static uint8_t *alone(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes ? bytes : 1);
    if (!copy)
        abort();
    memcpy(copy, data, bytes);
    return copy;
}

static void describe(const uint8_t *data, size_t bytes)
{
    struct usb_interface found = { 0 };
    uint8_t *copy = alone(data, bytes);

    if (usb_find_interface(copy, bytes, &found) &&
        ((found.kind != USB_KEYBOARD && found.kind != USB_HUB) || found.endpoint < 1 ||
         found.endpoint > 15 || found.packet_bytes < 1 || found.packet_bytes > 1024))
        abort();
    free(copy);
}

static void read_keys(struct usb_keyboard *keyboard, unsigned most)
{
    unsigned count = 0;
    int key;

    while ((key = usb_keyboard_next(keyboard)) >= 0) {
        bool hot = (key >= CONSOLE_KEY_PANE && key < CONSOLE_KEY_PANE + CONSOLE_PANES) ||
                   key == CONSOLE_KEY_BACK || key == CONSOLE_KEY_FORWARD;
        if ((key > 255 && !hot) || ++count > most)
            abort();
    }
}

static void report(struct usb_keyboard *keyboard, const uint8_t *data, size_t bytes, uint64_t now_us)
{
    uint8_t *copy = alone(data, bytes);
    usb_keyboard_report(keyboard, copy, bytes, now_us);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct usb_keyboard keyboard = { 0 };
    uint64_t now_us = 0;

    if (bytes < 1 || bytes > 4096)
        return 0;
    size_t at = 1 + (data[0] < bytes - 1 ? data[0] : bytes - 1);
    describe(data + 1, at - 1);
    while (bytes - at >= 2) {
        size_t length = data[at] & 15;
        now_us += (uint64_t)data[at + 1] * 10000;
        if (data[at] & 0x80)
            read_keys(&keyboard, USB_KEYBOARD_TYPED);
        if (data[at] & 0x40)
            usb_keyboard_release(&keyboard);
        at += 2;
        if (length > bytes - at)
            length = bytes - at;
        report(&keyboard, data + at, length, now_us);
        usb_keyboard_repeat(&keyboard, now_us);
        at += length;
    }
    read_keys(&keyboard, USB_KEYBOARD_TYPED);
    usb_keyboard_release(&keyboard);
    usb_keyboard_repeat(&keyboard, UINT64_MAX);
    read_keys(&keyboard, 0); /* who has gone holds no key */
    return 0;
}
