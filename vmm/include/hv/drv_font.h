/*
 * A bitmap font: glyphs of 8 pixels' width, one byte a row, the leftmost pixel in bit 7.
 * The one that is linked in (`hv_font`) is made at build time by tools/gen-font.
 */
#ifndef HV_DRV_FONT_H
#define HV_DRV_FONT_H

#include "hv/types.h"

struct font_point {
    uint16_t code;
    uint16_t glyph;
};

struct font {
    uint32_t width, height;           /* pixels */
    uint32_t glyph_count, point_count;
    const uint8_t *glyphs;            /* height bytes each */
    const struct font_point *points;  /* sorted by code */
};

extern const struct font hv_font;

/* The rows of a character's glyph; those of '?' for one that the font lacks. */
const uint8_t *font_glyph(const struct font *font, uint16_t code);

#endif
