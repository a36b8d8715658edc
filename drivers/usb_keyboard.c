/*
 * Boot-protocol reports to bytes, with key repeat.
 *
 * Not here: the layout (ps2_decode.c), how reports arrive (xhci_*.c). Pure. Lock: the caller's.
 * USB Device Class Definition for Human Interface Devices 1.11 "Keyboard: Protocol 1 (Boot)",
 * appendix C "Keyboard Implementation"; USB HID Usage Tables "Keyboard/Keypad Page (0x07)".
 */
#include "hv/drv_usb_keyboard.h"

#include "hv/string.h"

#define REPORT_MODIFIERS 0
#define REPORT_KEYS 2
#define MAX_KEYS 6
#define USAGE_ROLL_OVER 0x01  /* to USAGE_UNDEFINED: the report says nothing of keys */
#define USAGE_UNDEFINED 0x03
#define USAGE_CAPS_LOCK 0x39

/* As a PC's keyboard after power-on, rounded to what the console's poll can show. */
#define REPEAT_DELAY_US 500000u
#define REPEAT_PERIOD_US 40000u

#define EXTENDED 0x100

/* Usages as codes of set 1, 0x04 to 0x64; 0: types nothing. */
static const uint16_t code_of_usage[0x65] = {
    [0x04] = 0x1e, 0x30, 0x2e, 0x20, 0x12, 0x21, 0x22, 0x23, 0x17, 0x24, 0x25, 0x26, /* a to l */
    [0x10] = 0x32, 0x31, 0x18, 0x19, 0x10, 0x13, 0x1f, 0x14, 0x16, 0x2f, 0x11, 0x2d, 0x15, 0x2c,
    [0x1e] = 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, /* 1 to 0 */
    [0x28] = 0x1c, 0x01, 0x0e, 0x0f, 0x39, 0x0c, 0x0d, 0x1a, 0x1b, 0x2b, 0x2b, 0x27, 0x28, 0x29,
    [0x36] = 0x33, 0x34, 0x35, 0x3a,
    [0x3a] = 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44, 0x57, 0x58, /* F1 to F12 */
    [0x49] = EXTENDED | 0x52, EXTENDED | 0x47, EXTENDED | 0x49, EXTENDED | 0x53, EXTENDED | 0x4f,
    [0x4e] = EXTENDED | 0x51, EXTENDED | 0x4d, EXTENDED | 0x4b, EXTENDED | 0x50, EXTENDED | 0x48,
    [0x54] = EXTENDED | 0x35, 0x37, 0x4a, 0x4e, EXTENDED | 0x1c, /* the keypad */
    [0x59] = 0x4f, 0x50, 0x51, 0x4b, 0x4c, 0x4d, 0x47, 0x48, 0x49, 0x52, 0x53, 0x56,
};

/* The bits of a report's first byte; the logo keys type nothing. */
static const uint16_t code_of_modifier[8] = {
    0x1d, 0x2a, 0x38, 0, EXTENDED | 0x1d, 0x36, EXTENDED | 0x38, 0,
};

static void type_one(struct usb_keyboard *keyboard, uint16_t what)
{
    unsigned at = (keyboard->typed_first + keyboard->typed_count) % USB_KEYBOARD_TYPED;

    keyboard->typed[at] = what;
    keyboard->typed_count++;
}

static void turn_key(struct usb_keyboard *keyboard, uint16_t code, bool pressed)
{
    char bytes[PS2_KEY_BYTES];

    if (code == 0)
        return;
    unsigned n = ps2_type_key(&keyboard->keys, (uint8_t)code, code & EXTENDED, pressed, bytes);
    /* A key whole or not at all: half an escape sequence would be another key. */
    if (USB_KEYBOARD_TYPED - keyboard->typed_count < PS2_KEY_BYTES)
        return;
    if (keyboard->keys.hot_key)
        type_one(keyboard, keyboard->keys.hot_key);
    for (unsigned i = 0; i < n; i++)
        type_one(keyboard, (uint8_t)bytes[i]);
}

static uint16_t usage_code(uint8_t usage)
{
    return usage < HV_ARRAY_COUNT(code_of_usage) ? code_of_usage[usage] : 0;
}

static void turn_modifiers(struct usb_keyboard *keyboard, uint8_t now)
{
    uint8_t changed = now ^ keyboard->modifiers;

    for (unsigned bit = 0; bit < 8; bit++) {
        if (changed >> bit & 1)
            turn_key(keyboard, code_of_modifier[bit], now >> bit & 1);
    }
    keyboard->modifiers = now;
}

static bool is_held(const uint8_t *keys, uint8_t usage)
{
    return memchr(keys, usage, MAX_KEYS) != NULL;
}

static bool says_nothing(const uint8_t *keys)
{
    for (unsigned i = 0; i < MAX_KEYS; i++) {
        if (keys[i] >= USAGE_ROLL_OVER && keys[i] <= USAGE_UNDEFINED)
            return true;
    }
    return false;
}

static void press(struct usb_keyboard *keyboard, uint8_t usage, uint64_t now_us)
{
    turn_key(keyboard, usage_code(usage), true);
    if (usage == USAGE_CAPS_LOCK)
        return;
    keyboard->repeating = usage;
    keyboard->repeat_at_us = now_us + REPEAT_DELAY_US;
}

void usb_keyboard_report(struct usb_keyboard *keyboard, const uint8_t *report, size_t bytes,
                         uint64_t now_us)
{
    const uint8_t *keys = report + REPORT_KEYS;

    if (bytes < USB_KEYBOARD_REPORT_BYTES)
        return;
    turn_modifiers(keyboard, report[REPORT_MODIFIERS]); /* they are right in any case */
    if (says_nothing(keys))
        return;
    for (unsigned i = 0; i < MAX_KEYS; i++) {
        if (keys[i] && !is_held(keyboard->held, keys[i]))
            press(keyboard, keys[i], now_us);
    }
    memcpy(keyboard->held, keys, MAX_KEYS);
    if (keyboard->repeating && !is_held(keyboard->held, keyboard->repeating))
        keyboard->repeating = 0;
}

void usb_keyboard_repeat(struct usb_keyboard *keyboard, uint64_t now_us)
{
    if (!keyboard->repeating || now_us < keyboard->repeat_at_us)
        return;
    turn_key(keyboard, usage_code(keyboard->repeating), true);
    keyboard->repeat_at_us = now_us + REPEAT_PERIOD_US;
}

int usb_keyboard_next(struct usb_keyboard *keyboard)
{
    if (keyboard->typed_count == 0)
        return -1;
    int what = keyboard->typed[keyboard->typed_first];
    keyboard->typed_first = (keyboard->typed_first + 1) % USB_KEYBOARD_TYPED;
    keyboard->typed_count--;
    return what;
}

void usb_keyboard_release(struct usb_keyboard *keyboard)
{
    turn_modifiers(keyboard, 0);
    memset(keyboard->held, 0, sizeof(keyboard->held));
    keyboard->repeating = 0;
}
