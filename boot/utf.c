/*
 * UTF-8 to UCS-2. Pure; no lock.
 * Unicode standard, "UTF-8", table "Well-Formed UTF-8 Byte Sequences".
 */
#include "boot/utf.h"

#define REPLACEMENT 0xfffd

/* The number of bytes that follow a first byte, and the value bits in it; -1: not a first byte. */
static int sequence_of(uint8_t first, uint32_t *value)
{
    if (first < 0x80) {
        *value = first;
        return 0;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        *value = first & 0x1f;
        return 1;
    }
    if (first >= 0xe0 && first <= 0xef) {
        *value = first & 0x0f;
        return 2;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        *value = first & 0x07;
        return 3;
    }
    return -1;
}

uint16_t utf8_next(const char **text)
{
    uint32_t value = REPLACEMENT;
    int more = sequence_of((uint8_t) * (*text)++, &value);
    if (more < 0)
        return REPLACEMENT;
    for (int i = 0; i < more; i++) {
        uint8_t byte = (uint8_t)**text; /* the terminating 0 is no continuation: stops here */
        if ((byte & 0xc0) != 0x80)
            return REPLACEMENT;
        value = value << 6 | (byte & 0x3f);
        (*text)++;
    }
    if (more == 3 || (more == 2 && value < 0x800)) /* outside of the plane, or overlong */
        return REPLACEMENT;
    if (value >= 0xd800 && value <= 0xdfff)
        return REPLACEMENT;
    return (uint16_t)value;
}

bool utf8_to_ucs2(const char *text, uint16_t *out, size_t most)
{
    size_t used = 0;
    while (*text) {
        if (used + 1 >= most)
            return false;
        out[used] = utf8_next(&text);
        if (out[used++] == REPLACEMENT)
            return false;
    }
    if (used >= most)
        return false;
    out[used] = 0;
    return true;
}
