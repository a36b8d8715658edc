/*
 * Writes ACPI Machine Language. See aml.h.
 */
#include "aml.h"

#define OP_ZERO 0x00u
#define OP_ONE 0x01u
#define OP_NAME 0x08u
#define OP_BYTE 0x0Au
#define OP_WORD 0x0Bu
#define OP_DWORD 0x0Cu
#define OP_SCOPE 0x10u
#define OP_BUFFER 0x11u
#define OP_PACKAGE 0x12u
#define OP_METHOD 0x14u
#define OP_DUAL_NAME 0x2Eu
#define OP_EXTENDED 0x5Bu
#define OP_EXTENDED_DEVICE 0x82u

#define LENGTH_BYTES 3u
#define LENGTH_MAX 0xFFFFFu

/* Resource descriptors */
#define RES_IRQ_NO_FLAGS 0x22u
#define RES_IO 0x47u
#define RES_END 0x79u
#define RES_MEMORY32_FIXED 0x86u
#define RES_DWORD_SPACE 0x87u
#define RES_WORD_SPACE 0x88u
#define RES_INTERRUPT 0x89u
#define SPACE_MEMORY 0u
#define SPACE_IO 1u
#define SPACE_BUS 2u
/* Producer, positive decode, minimum and maximum fixed. */
#define SPACE_WINDOW_FLAGS 0x0Cu
#define SPACE_IO_ENTIRE_RANGE 0x03u
#define SPACE_MEMORY_READ_WRITE 0x01u

void aml_byte(struct aml *aml, uint8_t value)
{
    if (aml->overflow || aml->used >= aml->limit) {
        aml->overflow = true;
        return;
    }
    aml->buffer[aml->used++] = value;
}

void aml_word(struct aml *aml, uint16_t value)
{
    aml_byte(aml, (uint8_t)value);
    aml_byte(aml, (uint8_t)(value >> 8));
}

void aml_dword(struct aml *aml, uint32_t value)
{
    aml_word(aml, (uint16_t)value);
    aml_word(aml, (uint16_t)(value >> 16));
}

void aml_path(struct aml *aml, const char *path)
{
    bool dual = false;

    if (*path == '\\')
        aml_byte(aml, (uint8_t)*path++);
    for (const char *at = path; *at; at++)
        dual |= *at == '.';
    if (dual)
        aml_byte(aml, OP_DUAL_NAME);
    for (; *path; path++) {
        if (*path != '.')
            aml_byte(aml, (uint8_t)*path);
    }
}

void aml_integer(struct aml *aml, uint32_t value)
{
    if (value <= 1) {
        aml_byte(aml, value ? OP_ONE : OP_ZERO);
    } else if (value <= UINT8_MAX) {
        aml_byte(aml, OP_BYTE);
        aml_byte(aml, (uint8_t)value);
    } else if (value <= UINT16_MAX) {
        aml_byte(aml, OP_WORD);
        aml_word(aml, (uint16_t)value);
    } else {
        aml_byte(aml, OP_DWORD);
        aml_dword(aml, value);
    }
}

static uint32_t hex_digit(char c)
{
    return c >= 'A' ? (uint32_t)(c - 'A' + 10) : (uint32_t)(c - '0');
}

/* Three letters of 5 bits, four hexadecimal digits, stored with the highest byte first. */
uint32_t aml_eisa_id(const char *id)
{
    uint32_t value = (uint32_t)(id[0] & 0x1F) << 26 | (uint32_t)(id[1] & 0x1F) << 21 |
                     (uint32_t)(id[2] & 0x1F) << 16;

    for (unsigned i = 0; i < 4; i++)
        value |= hex_digit(id[3 + i]) << (12 - i * 4);
    return __builtin_bswap32(value);
}

/* ---- terms with a length ---- */

static void begin(struct aml *aml)
{
    if (aml->depth == AML_MAX_DEPTH) {
        aml->overflow = true;
        return;
    }
    aml->open[aml->depth++] = aml->used;
    for (unsigned i = 0; i < LENGTH_BYTES; i++)
        aml_byte(aml, 0);
}

/* PkgLength, "Package Length Encoding": the count of further bytes in bits 7:6 of the first, then 4
 * bits of length, then 8 in each byte. It counts itself. */
void aml_end(struct aml *aml)
{
    if (aml->overflow || aml->depth == 0) {
        aml->overflow = true;
        return;
    }
    size_t at = aml->open[--aml->depth];
    size_t length = aml->used - at;
    if (length > LENGTH_MAX) {
        aml->overflow = true;
        return;
    }
    aml->buffer[at] = (uint8_t)((LENGTH_BYTES - 1) << 6 | (length & 0xF));
    aml->buffer[at + 1] = (uint8_t)(length >> 4);
    aml->buffer[at + 2] = (uint8_t)(length >> 12);
}

void aml_scope(struct aml *aml, const char *path)
{
    aml_byte(aml, OP_SCOPE);
    begin(aml);
    aml_path(aml, path);
}

void aml_device(struct aml *aml, const char *name)
{
    aml_byte(aml, OP_EXTENDED);
    aml_byte(aml, OP_EXTENDED_DEVICE);
    begin(aml);
    aml_path(aml, name);
}

void aml_method(struct aml *aml, const char *path, unsigned arguments)
{
    aml_byte(aml, OP_METHOD);
    begin(aml);
    aml_path(aml, path);
    aml_byte(aml, (uint8_t)(arguments & 7));
}

void aml_package(struct aml *aml, uint8_t elements)
{
    aml_byte(aml, OP_PACKAGE);
    begin(aml);
    aml_byte(aml, elements);
}

void aml_name(struct aml *aml, const char *name)
{
    aml_byte(aml, OP_NAME);
    aml_path(aml, name);
}

void aml_name_integer(struct aml *aml, const char *name, uint32_t value)
{
    aml_name(aml, name);
    aml_integer(aml, value);
}

void aml_name_eisa_id(struct aml *aml, const char *name, const char *id)
{
    aml_name(aml, name);
    aml_byte(aml, OP_DWORD);
    aml_dword(aml, aml_eisa_id(id));
}

/* ---- resource templates ---- */

/* The buffer's size is an integer in front of its data; a word, filled in at the end. */
void aml_crs_begin(struct aml *aml)
{
    aml_name(aml, "_CRS");
    aml_byte(aml, OP_BUFFER);
    begin(aml);
    aml_byte(aml, OP_WORD);
    aml_word(aml, 0);
    aml->template_start = aml->used;
}

void aml_crs_end(struct aml *aml)
{
    aml_byte(aml, RES_END);
    aml_byte(aml, 0); /* a checksum of 0 is taken as right */
    if (!aml->overflow) {
        size_t bytes = aml->used - aml->template_start;
        aml->buffer[aml->template_start - 2] = (uint8_t)bytes;
        aml->buffer[aml->template_start - 1] = (uint8_t)(bytes >> 8);
    }
    aml_end(aml);
}

void aml_crs_io(struct aml *aml, uint16_t base, uint8_t bytes)
{
    aml_byte(aml, RES_IO);
    aml_byte(aml, 1); /* decodes all 16 bits */
    aml_word(aml, base);
    aml_word(aml, base);
    aml_byte(aml, 1);
    aml_byte(aml, bytes);
}

void aml_crs_irq(struct aml *aml, unsigned irq)
{
    aml_byte(aml, RES_IRQ_NO_FLAGS);
    aml_word(aml, (uint16_t)(1u << (irq & 15)));
}

void aml_crs_gsi(struct aml *aml, uint32_t gsi)
{
    aml_byte(aml, RES_INTERRUPT);
    aml_word(aml, 6);
    aml_byte(aml, 1 | 1 << 1); /* consumer, edge */
    aml_byte(aml, 1);
    aml_dword(aml, gsi);
}

void aml_crs_memory32(struct aml *aml, uint32_t base, uint32_t bytes)
{
    aml_byte(aml, RES_MEMORY32_FIXED);
    aml_word(aml, 9);
    aml_byte(aml, 1); /* read and write */
    aml_dword(aml, base);
    aml_dword(aml, bytes);
}

static void word_window(struct aml *aml, uint8_t type, uint8_t type_flags, uint16_t first,
                        uint16_t last)
{
    aml_byte(aml, RES_WORD_SPACE);
    aml_word(aml, 13);
    aml_byte(aml, type);
    aml_byte(aml, SPACE_WINDOW_FLAGS);
    aml_byte(aml, type_flags);
    aml_word(aml, 0); /* granularity */
    aml_word(aml, first);
    aml_word(aml, last);
    aml_word(aml, 0); /* translation */
    aml_word(aml, (uint16_t)(last - first + 1));
}

void aml_crs_bus_window(struct aml *aml, uint16_t first, uint16_t last)
{
    word_window(aml, SPACE_BUS, 0, first, last);
}

void aml_crs_io_window(struct aml *aml, uint16_t first, uint16_t last)
{
    word_window(aml, SPACE_IO, SPACE_IO_ENTIRE_RANGE, first, last);
}

void aml_crs_memory_window(struct aml *aml, uint32_t first, uint32_t last)
{
    aml_byte(aml, RES_DWORD_SPACE);
    aml_word(aml, 23);
    aml_byte(aml, SPACE_MEMORY);
    aml_byte(aml, SPACE_WINDOW_FLAGS);
    aml_byte(aml, SPACE_MEMORY_READ_WRITE);
    aml_dword(aml, 0); /* granularity */
    aml_dword(aml, first);
    aml_dword(aml, last);
    aml_dword(aml, 0); /* translation */
    aml_dword(aml, last - first + 1);
}
