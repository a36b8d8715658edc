/*
 * Unpacks what gzip packed: DEFLATE in a gzip member.
 *
 * Pure, and trusts nothing: a damaged stick gives damaged bytes. Not here: optional header fields and
 * several members, which the build does not make; they are refused.
 * RFC 1951 "Compressed representation overview" and "Detailed specification"; RFC 1952.
 */
#include "boot/unpack/inflate.h"

#include "hv/string.h"

#define GZIP_DEFLATE 0x00088b1fu /* the two bytes of the format, DEFLATE, no optional field */
#define GZIP_HEADER_BYTES 10
#define GZIP_TRAILER_BYTES 8
#define LITERALS 288
#define DISTANCES 30
#define LENGTH_CODES 19
#define END_OF_BLOCK 256

struct stream {
    const uint8_t *at, *end;
    uint64_t held; /* bits not yet taken, the next one lowest */
    unsigned held_bits;
    bool bad; /* more was asked for than there is, or what is there means nothing */
    uint8_t *to;
    size_t done, room;
};

static void hold(struct stream *s)
{
    while (s->held_bits <= 56 && s->at < s->end) {
        s->held |= (uint64_t)*s->at++ << s->held_bits;
        s->held_bits += 8;
    }
}

static void drop(struct stream *s, unsigned bits)
{
    if (bits > s->held_bits) {
        s->bad = true;
        bits = s->held_bits;
    }
    s->held >>= bits;
    s->held_bits -= bits;
}

/* At most 16 bits. */
static unsigned take(struct stream *s, unsigned bits)
{
    hold(s);
    unsigned value = (unsigned)(s->held & ((1u << bits) - 1));
    drop(s, bits);
    return value;
}

static unsigned take_symbol(struct stream *s, const struct inflate_code *code)
{
    hold(s);
    uint16_t entry = code->entry[s->held & ((1u << code->bits) - 1)];
    if (entry == 0)
        s->bad = true;
    drop(s, entry & 15);
    return entry >> 4;
}

static unsigned reversed(unsigned code, unsigned bits)
{
    unsigned out = 0;
    for (unsigned i = 0; i < bits; i++)
        out |= (code >> i & 1) << (bits - 1 - i);
    return out;
}

/* The code with these lengths (0: the symbol does not occur). False when more codes of a length are
 * asked for than there are. RFC 1951 "Use of Huffman coding in the deflate format". */
static bool make_code(struct inflate_code *code, const uint8_t *lengths, unsigned symbols)
{
    unsigned count[INFLATE_MAX_CODE_BITS + 1] = { 0 }, next[INFLATE_MAX_CODE_BITS + 1];
    unsigned value = 0;

    for (unsigned i = 0; i < symbols; i++)
        count[lengths[i]]++;
    count[0] = 0;
    code->bits = 1;
    for (unsigned bits = 1; bits <= INFLATE_MAX_CODE_BITS; bits++) {
        value = (value + count[bits - 1]) << 1;
        next[bits] = value;
        if (value + count[bits] > 1u << bits)
            return false;
        if (count[bits] != 0)
            code->bits = bits;
    }
    memset(code->entry, 0, sizeof(code->entry[0]) << code->bits);
    for (unsigned i = 0; i < symbols; i++) {
        if (lengths[i] == 0)
            continue;
        unsigned at = reversed(next[lengths[i]]++, lengths[i]);
        for (; at < 1u << code->bits; at += 1u << lengths[i])
            code->entry[at] = (uint16_t)(i << 4 | lengths[i]);
    }
    return true;
}

static bool read_fixed_codes(struct inflate_work *work)
{
    uint8_t lengths[LITERALS];

    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    if (!make_code(&work->literal, lengths, LITERALS))
        return false;
    memset(lengths, 5, DISTANCES);
    return make_code(&work->distance, lengths, DISTANCES);
}

/* The lengths of both codes, themselves coded, with runs. */
static bool read_lengths(struct stream *s, const struct inflate_code *code, uint8_t *lengths,
                         unsigned symbols)
{
    for (unsigned n = 0; n < symbols;) {
        unsigned symbol = take_symbol(s, code), repeat = 1;
        uint8_t length = (uint8_t)symbol;
        if (symbol == 16) {
            if (n == 0)
                return false;
            length = lengths[n - 1];
            repeat = 3 + take(s, 2);
        } else if (symbol > 16) {
            length = 0;
            repeat = symbol == 17 ? 3 + take(s, 3) : 11 + take(s, 7);
        }
        if (s->bad || repeat > symbols - n)
            return false;
        memset(lengths + n, length, repeat);
        n += repeat;
    }
    return true;
}

static bool read_dynamic_codes(struct stream *s, struct inflate_work *work)
{
    static const uint8_t order[LENGTH_CODES] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                 11, 4,  12, 3, 13, 2, 14, 1, 15 };
    uint8_t lengths[LITERALS + DISTANCES + 2] = { 0 };
    unsigned literals = 257 + take(s, 5), distances = 1 + take(s, 5), codes = 4 + take(s, 4);

    if (literals > 286 || distances > DISTANCES)
        return false;
    for (unsigned i = 0; i < codes; i++)
        lengths[order[i]] = (uint8_t)take(s, 3);
    if (s->bad || !make_code(&work->literal, lengths, LENGTH_CODES) ||
        !read_lengths(s, &work->literal, lengths, literals + distances))
        return false;
    return make_code(&work->literal, lengths, literals) &&
           make_code(&work->distance, lengths + literals, distances);
}

static bool copy_back(struct stream *s, size_t distance, size_t length)
{
    if (distance > s->done || length > s->room - s->done)
        return false;
    for (; length > 0; length--, s->done++)
        s->to[s->done] = s->to[s->done - distance];
    return true;
}

/* Lengths 3 to 258 by symbol 257 to 285, distances 1 to 32,768 by symbol 0 to 29: a base, and some
 * further bits. RFC 1951 "Compressed blocks (length and distance codes)". */
static bool copy_match(struct stream *s, const struct inflate_code *distances, unsigned symbol)
{
    unsigned length = symbol - 254, extra;

    if (symbol > 285)
        return false;
    if (symbol == 285) {
        length = 258;
    } else if (symbol >= 265) {
        extra = (symbol - 261) / 4;
        length = 3 + ((4 + (symbol - 265) % 4) << extra) + take(s, extra);
    }
    unsigned code = take_symbol(s, distances);
    size_t distance = code + 1;
    if (code >= 4) {
        extra = code / 2 - 1;
        distance = 1 + ((2 + (size_t)code % 2) << extra) + take(s, extra);
    }
    return !s->bad && copy_back(s, distance, length);
}

static bool read_packed(struct stream *s, const struct inflate_work *work)
{
    for (;;) {
        unsigned symbol = take_symbol(s, &work->literal);
        if (s->bad)
            return false;
        if (symbol == END_OF_BLOCK)
            return true;
        if (symbol > END_OF_BLOCK) {
            if (!copy_match(s, &work->distance, symbol))
                return false;
        } else if (s->done == s->room) {
            return false;
        } else {
            s->to[s->done++] = (uint8_t)symbol;
        }
    }
}

static bool read_stored(struct stream *s)
{
    drop(s, s->held_bits % 8);
    unsigned length = take(s, 16), complement = take(s, 16);

    if (s->bad || (length ^ complement) != 0xffff || length > s->room - s->done)
        return false;
    for (; length > 0; length--)
        s->to[s->done++] = (uint8_t)take(s, 8);
    return !s->bad;
}

static bool read_block(struct stream *s, struct inflate_work *work)
{
    switch (take(s, 2)) {
    case 0:
        return read_stored(s);
    case 1:
        return read_fixed_codes(work) && read_packed(s, work);
    case 2:
        return read_dynamic_codes(s, work) && read_packed(s, work);
    default:
        return false;
    }
}

static uint32_t crc32(const uint8_t *from, size_t bytes)
{
    uint32_t table[256], crc = UINT32_MAX;

    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (unsigned bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
    }
    for (size_t i = 0; i < bytes; i++)
        crc = crc >> 8 ^ table[(crc ^ from[i]) & 0xff];
    return ~crc;
}

static uint32_t little_endian(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

bool inflate_gzip(struct inflate_work *work, const uint8_t *from, size_t bytes, uint8_t *to,
                  size_t room)
{
    bool last = false;

    if (bytes < GZIP_HEADER_BYTES + GZIP_TRAILER_BYTES || little_endian(from) != GZIP_DEFLATE)
        return false;
    const uint8_t *trailer = from + bytes - GZIP_TRAILER_BYTES;
    struct stream s = { .at = from + GZIP_HEADER_BYTES, .end = trailer, .to = to, .room = room };
    while (!last) {
        last = take(&s, 1);
        if (!read_block(&s, work))
            return false;
    }
    return s.at == s.end && s.held_bits < 8 && s.done == room &&
           little_endian(trailer + 4) == (uint32_t)room && little_endian(trailer) == crc32(to, room);
}
