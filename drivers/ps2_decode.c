/*
 * Scan codes to the bytes of a VT100: US layout.
 *
 * Not here: the controller (ps2_keyboard.c). Pure; never types more than PS2_KEY_BYTES a code.
 * IBM PS/2 hardware interface technical reference, "Keyboards (101- and 102-key)"; the translation
 * of set 2 to set 1 that an 8042 does: ibid., "Keyboard and Auxiliary Device Controller".
 */
#include "hv/drv_ps2.h"

#include "hv/console.h"
#include "hv/string.h"

#define CODE_EXTENDED 0xe0
#define CODE_PAUSE 0xe1
#define CODE_RELEASE_SET2 0xf0
#define CODE_RELEASE_BIT 0x80

/* Set 1 codes of the keys that are no characters. */
enum {
    KEY_CTRL = 0x1d,
    KEY_SHIFT_LEFT = 0x2a,
    KEY_SHIFT_RIGHT = 0x36,
    KEY_ALT = 0x38,
    KEY_CAPS = 0x3a,
    KEY_F1 = 0x3b,
    KEY_F10 = 0x44,
    KEY_F11 = 0x57,
    KEY_F12 = 0x58,
    KEY_PAGE_UP = 0x49, /* behind 0xe0 */
    KEY_PAGE_DOWN = 0x51,
};

/* Set 1, 0x00 to 0x58: without and with shift. 0: types nothing. */
static const char plain[0x59] = {
    0, 27, '1', '2', '3', '4', '5', '6', '7', '8', '9', '0', '-', '=', 0x7f, '\t',
    'q', 'w', 'e', 'r', 't', 'y', 'u', 'i', 'o', 'p', '[', ']', '\r', 0, 'a', 's',
    'd', 'f', 'g', 'h', 'j', 'k', 'l', ';', '\'', '`', 0, '\\', 'z', 'x', 'c', 'v',
    'b', 'n', 'm', ',', '.', '/', 0, '*', 0, ' ', 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, '7', '8', '9', '-', '4', '5', '6', '+', '1',
    '2', '3', '0', '.', 0, 0, '\\', 0, 0,
};
static const char shifted[0x59] = {
    0, 27, '!', '@', '#', '$', '%', '^', '&', '*', '(', ')', '_', '+', 0x7f, '\t',
    'Q', 'W', 'E', 'R', 'T', 'Y', 'U', 'I', 'O', 'P', '{', '}', '\r', 0, 'A', 'S',
    'D', 'F', 'G', 'H', 'J', 'K', 'L', ':', '"', '~', 0, '|', 'Z', 'X', 'C', 'V',
    'B', 'N', 'M', '<', '>', '?', 0, '*', 0, ' ', 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, '7', '8', '9', '-', '4', '5', '6', '+', '1',
    '2', '3', '0', '.', 0, 0, '|', 0, 0,
};

/* Set 2 to set 1, as the 8042 translates; 0: no such key. */
static const uint8_t set1_of_set2[0x84] = {
    [0x01] = 0x43, [0x03] = 0x3f, [0x04] = 0x3d, [0x05] = 0x3b, [0x06] = 0x3c, [0x07] = 0x58,
    [0x09] = 0x44, [0x0a] = 0x42, [0x0b] = 0x40, [0x0c] = 0x3e, [0x0d] = 0x0f, [0x0e] = 0x29,
    [0x11] = 0x38, [0x12] = 0x2a, [0x14] = 0x1d, [0x15] = 0x10, [0x16] = 0x02, [0x1a] = 0x2c,
    [0x1b] = 0x1f, [0x1c] = 0x1e, [0x1d] = 0x11, [0x1e] = 0x03, [0x21] = 0x2e, [0x22] = 0x2d,
    [0x23] = 0x20, [0x24] = 0x12, [0x25] = 0x05, [0x26] = 0x04, [0x29] = 0x39, [0x2a] = 0x2f,
    [0x2b] = 0x21, [0x2c] = 0x14, [0x2d] = 0x13, [0x2e] = 0x06, [0x31] = 0x31, [0x32] = 0x30,
    [0x33] = 0x23, [0x34] = 0x22, [0x35] = 0x15, [0x36] = 0x07, [0x3a] = 0x32, [0x3b] = 0x24,
    [0x3c] = 0x16, [0x3d] = 0x08, [0x3e] = 0x09, [0x41] = 0x33, [0x42] = 0x25, [0x43] = 0x17,
    [0x44] = 0x18, [0x45] = 0x0b, [0x46] = 0x0a, [0x49] = 0x34, [0x4a] = 0x35, [0x4b] = 0x26,
    [0x4c] = 0x27, [0x4d] = 0x19, [0x4e] = 0x0c, [0x52] = 0x28, [0x54] = 0x1a, [0x55] = 0x0d,
    [0x58] = 0x3a, [0x59] = 0x36, [0x5a] = 0x1c, [0x5b] = 0x1b, [0x5d] = 0x2b, [0x61] = 0x56,
    [0x66] = 0x0e, [0x69] = 0x4f, [0x6b] = 0x4b, [0x6c] = 0x47, [0x70] = 0x52, [0x71] = 0x53,
    [0x72] = 0x50, [0x73] = 0x4c, [0x74] = 0x4d, [0x75] = 0x48, [0x76] = 0x01, [0x77] = 0x45,
    [0x78] = 0x57, [0x79] = 0x4e, [0x7a] = 0x51, [0x7b] = 0x4a, [0x7c] = 0x37, [0x7d] = 0x49,
    [0x7e] = 0x46, [0x83] = 0x41,
};

static unsigned type_text(const char *text, char out[PS2_KEY_BYTES])
{
    size_t n = strlen(text);
    memcpy(out, text, n);
    return (unsigned)n;
}

/* Function keys as xterm sends them. */
static unsigned type_function(uint8_t key, char out[PS2_KEY_BYTES])
{
    static const char *const texts[10] = {
        "\x1bOP",   "\x1bOQ",   "\x1bOR",   "\x1bOS",   "\x1b[15~",
        "\x1b[17~", "\x1b[18~", "\x1b[19~", "\x1b[20~", "\x1b[21~",
    };
    if (key == KEY_F11)
        return type_text("\x1b[23~", out);
    if (key == KEY_F12)
        return type_text("\x1b[24~", out);
    return type_text(texts[key - KEY_F1], out);
}

/* Keys behind 0xe0. */
static unsigned type_extended(uint8_t key, char out[PS2_KEY_BYTES])
{
    switch (key) {
    case 0x1c:
        return type_text("\r", out);
    case 0x35:
        return type_text("/", out);
    case 0x47:
        return type_text("\x1b[H", out);
    case 0x48:
        return type_text("\x1b[A", out);
    case 0x49:
        return type_text("\x1b[5~", out);
    case 0x4b:
        return type_text("\x1b[D", out);
    case 0x4d:
        return type_text("\x1b[C", out);
    case 0x4f:
        return type_text("\x1b[F", out);
    case 0x50:
        return type_text("\x1b[B", out);
    case 0x51:
        return type_text("\x1b[6~", out);
    case 0x52:
        return type_text("\x1b[2~", out);
    case 0x53:
        return type_text("\x1b[3~", out);
    default:
        return 0;
    }
}

static char with_control(char c)
{
    if (c >= '@' && c <= '_')
        return (char)(c - '@');
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 1);
    switch (c) {
    case ' ':
    case '2':
        return 0;
    case '/':
    case '-':
        return 0x1f;
    case '6':
        return 0x1e;
    default:
        return c;
    }
}

static unsigned type_character(const struct ps2_decoder *decoder, uint8_t key,
                               char out[PS2_KEY_BYTES])
{
    bool shift = decoder->shift_left || decoder->shift_right;
    bool ctrl = decoder->ctrl_left || decoder->ctrl_right;
    unsigned n = 0;
    char c = plain[key];
    if (c == 0)
        return 0;
    if (c >= 'a' && c <= 'z' && decoder->caps)
        shift = !shift;
    if (shift)
        c = shifted[key];
    if (decoder->alt_left || decoder->alt_right)
        out[n++] = 0x1b;
    out[n++] = ctrl ? with_control(c) : c;
    return n;
}

/* The console's own keys: Alt with a function key, Shift with Page Up or Down. 0: it is none. */
static uint16_t hot_key(const struct ps2_decoder *decoder, uint8_t key, bool extended)
{
    if (extended && (decoder->shift_left || decoder->shift_right)) {
        if (key == KEY_PAGE_UP)
            return CONSOLE_KEY_BACK;
        if (key == KEY_PAGE_DOWN)
            return CONSOLE_KEY_FORWARD;
    }
    if (extended || !(decoder->alt_left || decoder->alt_right))
        return 0;
    if (key >= KEY_F1 && key <= KEY_F10)
        return (uint16_t)(CONSOLE_KEY_PANE + key - KEY_F1);
    return key == KEY_F11 ? CONSOLE_KEY_PANE + 10 : 0;
}

/* True: the key was one that changes others. */
static bool take_modifier(struct ps2_decoder *decoder, uint8_t key, bool extended, bool pressed)
{
    switch (key) {
    case KEY_SHIFT_LEFT:
        if (!extended) /* 0xe0 0x2a comes around the grey keys and is no shift */
            decoder->shift_left = pressed;
        return true;
    case KEY_SHIFT_RIGHT:
        if (!extended)
            decoder->shift_right = pressed;
        return true;
    case KEY_CTRL:
        *(extended ? &decoder->ctrl_right : &decoder->ctrl_left) = pressed;
        return true;
    case KEY_ALT:
        *(extended ? &decoder->alt_right : &decoder->alt_left) = pressed;
        return true;
    case KEY_CAPS:
        if (pressed && !extended)
            decoder->caps = !decoder->caps;
        return true;
    default:
        return false;
    }
}

unsigned ps2_type_key(struct ps2_decoder *decoder, uint8_t key, bool extended, bool pressed,
                      char out[PS2_KEY_BYTES])
{
    decoder->hot_key = 0;
    if (take_modifier(decoder, key, extended, pressed) || !pressed)
        return 0;
    decoder->hot_key = hot_key(decoder, key, extended);
    if (decoder->hot_key)
        return 0;
    if (extended)
        return type_extended(key, out);
    if ((key >= KEY_F1 && key <= KEY_F10) || key == KEY_F11 || key == KEY_F12)
        return type_function(key, out);
    return key < sizeof(plain) ? type_character(decoder, key, out) : 0;
}

static unsigned press_or_release(struct ps2_decoder *decoder, uint8_t key, bool pressed,
                                 char out[PS2_KEY_BYTES])
{
    bool extended = decoder->extended;
    decoder->extended = decoder->released = false;
    return ps2_type_key(decoder, key, extended, pressed, out);
}

unsigned ps2_decode(struct ps2_decoder *decoder, uint8_t code, char out[PS2_KEY_BYTES])
{
    decoder->hot_key = 0;
    if (decoder->pause_left > 0) {
        decoder->pause_left--;
        return 0;
    }
    if (code == CODE_EXTENDED) {
        decoder->extended = true;
        return 0;
    }
    if (code == CODE_PAUSE) {
        decoder->pause_left = decoder->set2 ? 7 : 5;
        return 0;
    }
    if (!decoder->set2)
        return press_or_release(decoder, code & 0x7f, !(code & CODE_RELEASE_BIT), out);
    if (code == CODE_RELEASE_SET2) {
        decoder->released = true;
        return 0;
    }
    bool pressed = !decoder->released;
    uint8_t key = code < sizeof(set1_of_set2) ? set1_of_set2[code] : 0;
    return press_or_release(decoder, key, pressed, out);
}
