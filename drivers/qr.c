/*
 * QR codes: bytes to codewords, with Reed-Solomon error correction in interleaved blocks.
 *
 * Not here: where the codewords lie in the symbol, and masks (qr_symbol.c). Pure; no lock.
 * ISO/IEC 18004, "Data encodation", "Error correction", "Final message codeword sequence"; its
 * "Error correction characteristics" is the two tables.
 */
#include "hv/string.h"
#include "drivers/qr_internal.h"

#define LEVELS 2
#define MODE_BYTE 4u
#define MOST_CHECK_CODEWORDS 30

/* Error correction codewords in each block, by version. */
static const uint8_t check_codewords[LEVELS][QR_MOST_VERSION + 1] = {
    { 0,  7,  10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28,
      28, 28, 30, 30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30 },
    { 0,  10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26,
      26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28 },
};
static const uint8_t block_counts[LEVELS][QR_MOST_VERSION + 1] = {
    { 0, 1, 1, 1,  1,  1,  2,  2,  2,  2,  4,  4,  4,  4,  4,  6,  6,  6,  6,  7,  8,
      8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25 },
    { 0,  1,  1,  1,  2,  2,  4,  4,  4,  5,  5,  5,  8,  9,  9,  10, 10, 11, 13, 14, 16,
      17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49 },
};

/* --- sizes --- */

static unsigned all_codewords(unsigned version)
{
    return qr_data_modules(version) / 8;
}

static unsigned data_codewords(unsigned version, enum qr_level level)
{
    return all_codewords(version) -
           (unsigned)check_codewords[level][version] * block_counts[level][version];
}

/* The bits that say how many bytes follow. */
static unsigned count_bits(unsigned version)
{
    return version < 10 ? 8 : 16;
}

size_t qr_capacity_bytes(unsigned version, enum qr_level level)
{
    return (data_codewords(version, level) * 8 - 4 - count_bits(version)) / 8;
}

unsigned qr_version_for(size_t bytes, enum qr_level level)
{
    for (unsigned version = 1; version <= QR_MOST_VERSION; version++) {
        if (bytes <= qr_capacity_bytes(version, level))
            return version;
    }
    return 0;
}

/* --- data --- */

static void put_bits(uint8_t *out, unsigned *at, unsigned value, unsigned count)
{
    for (unsigned i = count; i-- > 0; (*at)++) {
        if (value >> i & 1)
            out[*at / 8] |= (uint8_t)(0x80u >> *at % 8);
    }
}

/* Mode, count, bytes, a terminator, and the two pad codewords in turn. */
static void make_data(struct qr_code *qr, const uint8_t *bytes, size_t n, enum qr_level level)
{
    unsigned total = data_codewords(qr->version, level), at = 0;

    memset(qr->data, 0, sizeof(qr->data));
    put_bits(qr->data, &at, MODE_BYTE, 4);
    put_bits(qr->data, &at, (unsigned)n, count_bits(qr->version));
    for (size_t i = 0; i < n; i++)
        put_bits(qr->data, &at, bytes[i], 8);
    /* The terminator is what is left of the codeword: four bits at least, as long as there are any. */
    at = (at + 4 + 7) / 8;
    for (unsigned pad = 0xec; at < total; pad ^= 0xec ^ 0x11)
        qr->data[at++] = (uint8_t)pad;
}

/* --- Reed-Solomon over GF(256), polynomial 0x11d --- */

static uint8_t multiply(uint8_t a, uint8_t b)
{
    unsigned product = 0;

    for (int i = 7; i >= 0; i--) {
        product = product << 1 ^ (product >> 7) * 0x11d;
        product ^= (b >> i & 1u) * a;
    }
    return (uint8_t)product;
}

/* The generator's coefficients without the leading 1, highest power first: (x - 1)(x - 2)(x - 4)... */
static void make_generator(uint8_t *generator, unsigned degree)
{
    uint8_t root = 1;

    memset(generator, 0, degree);
    generator[degree - 1] = 1;
    for (unsigned i = 0; i < degree; i++) {
        for (unsigned j = 0; j < degree; j++) {
            generator[j] = multiply(generator[j], root);
            if (j + 1 < degree)
                generator[j] ^= generator[j + 1];
        }
        root = multiply(root, 2);
    }
}

static void make_remainder(const uint8_t *data, unsigned n, const uint8_t *generator,
                           unsigned degree, uint8_t *remainder)
{
    memset(remainder, 0, degree);
    for (unsigned i = 0; i < n; i++) {
        uint8_t factor = data[i] ^ remainder[0];
        memmove(remainder, remainder + 1, degree - 1);
        remainder[degree - 1] = 0;
        for (unsigned j = 0; j < degree; j++)
            remainder[j] ^= multiply(generator[j], factor);
    }
}

/* Blocks' codewords in turn, first the data, then the checks. Short blocks come first and have one
 * codeword of data less. */
static void interleave(struct qr_code *qr, enum qr_level level)
{
    uint8_t generator[MOST_CHECK_CODEWORDS], remainder[MOST_CHECK_CODEWORDS];
    unsigned blocks = block_counts[level][qr->version], checks = check_codewords[level][qr->version];
    unsigned total = data_codewords(qr->version, level);
    unsigned short_length = total / blocks, short_blocks = blocks - total % blocks;
    const uint8_t *data = qr->data;

    make_generator(generator, checks);
    for (unsigned block = 0; block < blocks; block++) {
        unsigned length = short_length + (block >= short_blocks);
        for (unsigned i = 0; i < short_length; i++)
            qr->codewords[i * blocks + block] = data[i];
        if (length > short_length)
            qr->codewords[short_length * blocks + block - short_blocks] = data[short_length];
        make_remainder(data, length, generator, checks, remainder);
        for (unsigned i = 0; i < checks; i++)
            qr->codewords[total + i * blocks + block] = remainder[i];
        data += length;
    }
}

bool qr_encode(struct qr_code *qr, const uint8_t *bytes, size_t n, enum qr_level level,
               unsigned least_version, unsigned mask)
{
    unsigned version = qr_version_for(n, level);

    if (version == 0)
        return false;
    memset(qr, 0, sizeof(*qr));
    qr->version = version < least_version ? least_version : version;
    qr->size = 17 + 4 * qr->version;
    make_data(qr, bytes, n, level);
    interleave(qr, level);
    qr_draw(qr, level, mask);
    return true;
}
