/*
 * The machine's own PS/2 keyboard, polled, and its keys as the bytes that a VT100 sends.
 *
 * Not the emulated i8042 (hv/dev_i8042.h). Many USB keyboards look like one as long as nobody
 * drives the USB controller. US layout.
 * Lock: the caller's (the console's).
 * IBM PS/2 hardware interface technical reference, "Keyboard and Auxiliary Device Controller";
 * "Keyboards (101- and 102-key)": scan code sets 1 and 2.
 */
#ifndef HV_DRV_PS2_H
#define HV_DRV_PS2_H

#include "hv/drv_ports.h"
#include "hv/types.h"

#define PS2_KEY_BYTES 8

/* Scan codes to bytes. All zero is its state at start, but for `set2`. */
struct ps2_decoder {
    bool set2;        /* the codes are those of set 2; else of set 1 */
    bool extended;    /* after 0xe0 */
    bool released;    /* after 0xf0, set 2 only */
    uint8_t pause_left; /* bytes of the Pause key's sequence yet to come */
    bool shift_left, shift_right, ctrl_left, ctrl_right, alt_left, alt_right;
    bool caps;
    uint16_t hot_key; /* enum console_key: the last byte fed was a key of the console's; else 0 */
};

/* Feeds one byte from the keyboard; returns how many bytes it types (0 to PS2_KEY_BYTES). */
unsigned ps2_decode(struct ps2_decoder *decoder, uint8_t code, char out[PS2_KEY_BYTES]);

/* The same for one key by its code of set 1, as a keyboard that speaks in other ways has it:
 * `extended` stands for 0xe0 before the code. */
unsigned ps2_type_key(struct ps2_decoder *decoder, uint8_t key, bool extended, bool pressed,
                      char out[PS2_KEY_BYTES]);

struct ps2_keyboard {
    const struct hv_ports *ports;
    struct ps2_decoder decoder;
    char typed[PS2_KEY_BYTES]; /* bytes of the last key that have not been read */
    unsigned typed_count, typed_next;
    int config_before; /* the controller's command byte as firmware had it; -1: it did not say */
};

/* Takes the controller over: empties it, interrupts off, keyboard on. False: none answers. Every
 * wait has a bound. */
bool ps2_keyboard_init(struct ps2_keyboard *keyboard, const struct hv_ports *ports);

/* Firmware has the controller as it was: command byte, and nothing left in it. */
void ps2_keyboard_restore(const struct ps2_keyboard *keyboard);

/* The next byte typed, or an enum console_key, or -1. */
int ps2_keyboard_read(struct ps2_keyboard *keyboard);

#endif
