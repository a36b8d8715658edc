/*
 * QR codes: codewords to a symbol: function patterns, placement, masks and their penalty.
 *
 * Not here: the codewords (qr.c). Pure; no lock.
 * ISO/IEC 18004, "Function patterns", "Codeword placement in matrix", "Data masking", "Format
 * information", "Version information", "Row/column locations of alignment patterns".
 */
#include "drivers/qr_internal.h"

#include "hv/string.h"

#define FORMAT_GENERATOR 0x537u
#define FORMAT_MASK 0x5412u
#define VERSION_GENERATOR 0x1f25u
#define MASKS 8

/* --- modules --- */

static unsigned index_of(const struct qr_code *qr, unsigned x, unsigned y)
{
    return y * qr->size + x;
}

bool qr_is_dark(const struct qr_code *qr, unsigned x, unsigned y)
{
    unsigned at = index_of(qr, x, y);
    return qr->dark[at / 8] >> at % 8 & 1;
}

static bool is_function(const struct qr_code *qr, unsigned x, unsigned y)
{
    unsigned at = index_of(qr, x, y);
    return qr->function[at / 8] >> at % 8 & 1;
}

static void set(struct qr_code *qr, unsigned x, unsigned y, bool dark)
{
    unsigned at = index_of(qr, x, y);
    uint8_t bit = (uint8_t)(1u << at % 8);
    qr->dark[at / 8] = (uint8_t)(dark ? qr->dark[at / 8] | bit : qr->dark[at / 8] & ~bit);
}

static void set_function(struct qr_code *qr, unsigned x, unsigned y, bool dark)
{
    unsigned at = index_of(qr, x, y);
    qr->function[at / 8] |= (uint8_t)(1u << at % 8);
    set(qr, x, y, dark);
}

/* --- function patterns --- */

/* Squares around a centre, told apart by their distance from it; what falls outside is left out. */
static void draw_squares(struct qr_code *qr, unsigned x, unsigned y, int reach, unsigned light)
{
    for (int dy = -reach; dy <= reach; dy++) {
        for (int dx = -reach; dx <= reach; dx++) {
            unsigned px = x + (unsigned)dx, py = y + (unsigned)dy; /* below 0 wraps: outside */
            unsigned ax = (unsigned)(dx < 0 ? -dx : dx), ay = (unsigned)(dy < 0 ? -dy : dy);
            unsigned ring = ax > ay ? ax : ay;
            if (px < qr->size && py < qr->size)
                set_function(qr, px, py, !(light >> ring & 1));
        }
    }
}

static unsigned alignment_count(unsigned version)
{
    return version == 1 ? 0 : version / 7 + 2;
}

/* The centres' coordinates: 6, then from the far end in even steps. */
static void alignment_centres(const struct qr_code *qr, uint8_t centres[7])
{
    unsigned count = alignment_count(qr->version), at = qr->size - 7;
    unsigned step = qr->version == 32
                        ? 26
                        : (qr->version * 4 + count * 2 + 1) / (count * 2 - 2) * 2;

    for (unsigned i = count - 1; i > 0; i--, at -= step)
        centres[i] = (uint8_t)at;
    centres[0] = 6;
}

static void draw_alignment(struct qr_code *qr)
{
    unsigned last = alignment_count(qr->version) - 1;
    uint8_t centres[7];

    if (qr->version == 1)
        return;
    alignment_centres(qr, centres);
    for (unsigned i = 0; i <= last; i++) {
        for (unsigned j = 0; j <= last; j++) {
            bool finder = (i == 0 && j == 0) || (i == 0 && j == last) || (i == last && j == 0);
            if (!finder)
                draw_squares(qr, centres[i], centres[j], 2, 1u << 1);
        }
    }
}

/* `value` with `degree` check bits of a BCH code behind it. */
static unsigned with_checks(unsigned value, unsigned generator, unsigned degree)
{
    unsigned remainder = value;

    for (unsigned i = 0; i < degree; i++)
        remainder = remainder << 1 ^ (remainder >> (degree - 1)) * generator;
    return value << degree | remainder;
}

static void draw_format(struct qr_code *qr, enum qr_level level, unsigned mask)
{
    unsigned indicator = level == QR_LEVEL_L ? 1 : 0;
    unsigned bits = with_checks(indicator << 3 | mask, FORMAT_GENERATOR, 10) ^ FORMAT_MASK;
    unsigned size = qr->size;

    for (unsigned i = 0; i < 15; i++) {
        bool dark = bits >> i & 1;
        /* Around the first finder, over the timing patterns; and split over the other two. */
        if (i < 8)
            set_function(qr, 8, i < 6 ? i : i + 1, dark);
        else
            set_function(qr, i == 8 ? 7 : 14 - i, 8, dark);
        if (i < 8)
            set_function(qr, size - 1 - i, 8, dark);
        else
            set_function(qr, 8, size - 15 + i, dark);
    }
    set_function(qr, 8, size - 8, true);
}

static void draw_version(struct qr_code *qr)
{
    unsigned bits = with_checks(qr->version, VERSION_GENERATOR, 12);

    for (unsigned i = 0; i < 18 && qr->version >= 7; i++) {
        unsigned far = qr->size - 11 + i % 3, near = i / 3;
        set_function(qr, far, near, bits >> i & 1);
        set_function(qr, near, far, bits >> i & 1);
    }
}

static void draw_functions(struct qr_code *qr, enum qr_level level)
{
    const unsigned light_rings = 1u << 2 | 1u << 4;

    for (unsigned i = 0; i < qr->size; i++) {
        set_function(qr, 6, i, i % 2 == 0);
        set_function(qr, i, 6, i % 2 == 0);
    }
    draw_squares(qr, 3, 3, 4, light_rings);
    draw_squares(qr, qr->size - 4, 3, 4, light_rings);
    draw_squares(qr, 3, qr->size - 4, 4, light_rings);
    draw_alignment(qr);
    draw_format(qr, level, 0); /* for its place; the mask is not known yet */
    draw_version(qr);
}

unsigned qr_data_modules(unsigned version)
{
    unsigned size = 17 + 4 * version, n = alignment_count(version);
    /* Finders with separators, timing between them, format information and its dark module. */
    unsigned used = 3 * 64 + 2 * (size - 16) + 31;

    if (n)
        used += 25 * (n * n - 3) - 2 * 5 * (n - 2); /* those on the timing patterns share five */
    if (version >= 7)
        used += 36;
    return size * size - used;
}

/* --- codewords --- */

/* Two columns at a time from the right, upwards and downwards in turn, over the timing column. */
static void place_codewords(struct qr_code *qr)
{
    unsigned count = qr_data_modules(qr->version) / 8 * 8, at = 0;
    bool upward = true;

    for (unsigned right = qr->size - 1; right < qr->size; right -= 2, upward = !upward) {
        if (right == 6)
            right = 5;
        for (unsigned i = 0; i < qr->size; i++) {
            unsigned y = upward ? qr->size - 1 - i : i;
            for (unsigned x = right; x + 1 >= right && x < qr->size; x--) {
                if (is_function(qr, x, y) || at == count)
                    continue; /* what is left over stays light */
                set(qr, x, y, qr->codewords[at / 8] >> (7 - at % 8) & 1);
                at++;
            }
        }
    }
}

/* --- masks --- */

static bool mask_inverts(unsigned mask, unsigned x, unsigned y)
{
    switch (mask) {
    case 0:
        return (x + y) % 2 == 0;
    case 1:
        return y % 2 == 0;
    case 2:
        return x % 3 == 0;
    case 3:
        return (x + y) % 3 == 0;
    case 4:
        return (x / 3 + y / 2) % 2 == 0;
    case 5:
        return x * y % 2 + x * y % 3 == 0;
    case 6:
        return (x * y % 2 + x * y % 3) % 2 == 0;
    default:
        return ((x + y) % 2 + x * y % 3) % 2 == 0;
    }
}

/* Done twice, it undoes itself. */
static void apply_mask(struct qr_code *qr, unsigned mask)
{
    for (unsigned y = 0; y < qr->size; y++) {
        for (unsigned x = 0; x < qr->size; x++) {
            if (!is_function(qr, x, y) && mask_inverts(mask, x, y))
                set(qr, x, y, !qr_is_dark(qr, x, y));
        }
    }
}

static bool at_line(const struct qr_code *qr, bool column, unsigned line, unsigned i)
{
    return column ? qr_is_dark(qr, line, i) : qr_is_dark(qr, i, line);
}

/* Runs of one colour, and what looks like a finder: 1:1:3:1:1 with four light modules on a side. */
static unsigned line_penalty(const struct qr_code *qr, bool column, unsigned line)
{
    unsigned penalty = 0, run = 0, last = 0;
    bool previous = false;

    for (unsigned i = 0; i < qr->size; i++) {
        bool dark = at_line(qr, column, line, i);
        run = i > 0 && dark == previous ? run + 1 : 1;
        if (run == 5)
            penalty += 3;
        else if (run > 5)
            penalty++;
        previous = dark;
        last = (last << 1 | dark) & 0x7ff;
        if (i >= 10 && (last == 0x05d || last == 0x5d0))
            penalty += 40;
    }
    return penalty;
}

static unsigned block_penalty(const struct qr_code *qr)
{
    unsigned penalty = 0;

    for (unsigned y = 0; y + 1 < qr->size; y++) {
        for (unsigned x = 0; x + 1 < qr->size; x++) {
            bool dark = qr_is_dark(qr, x, y);
            if (dark == qr_is_dark(qr, x + 1, y) && dark == qr_is_dark(qr, x, y + 1) &&
                dark == qr_is_dark(qr, x + 1, y + 1))
                penalty += 3;
        }
    }
    return penalty;
}

/* Ten for each full 5% that the share of dark modules is away from a half. */
static unsigned balance_penalty(const struct qr_code *qr)
{
    unsigned total = qr->size * qr->size, dark = 0, twice_off;

    for (unsigned i = 0; i < total; i++)
        dark += qr->dark[i / 8] >> i % 8 & 1;
    twice_off = 2 * dark > total ? 2 * dark - total : total - 2 * dark;
    return 10 * (twice_off * 10 / total);
}

static unsigned penalty_of(const struct qr_code *qr)
{
    unsigned penalty = block_penalty(qr) + balance_penalty(qr);

    for (unsigned i = 0; i < qr->size; i++)
        penalty += line_penalty(qr, false, i) + line_penalty(qr, true, i);
    return penalty;
}

static unsigned best_mask(struct qr_code *qr, enum qr_level level)
{
    unsigned best = 0, least = 0;

    for (unsigned mask = 0; mask < MASKS; mask++) {
        apply_mask(qr, mask);
        draw_format(qr, level, mask);
        unsigned penalty = penalty_of(qr);
        if (mask == 0 || penalty < least) {
            best = mask;
            least = penalty;
        }
        apply_mask(qr, mask);
    }
    return best;
}

void qr_draw(struct qr_code *qr, enum qr_level level, unsigned mask)
{
    draw_functions(qr, level);
    place_codewords(qr);
    qr->mask = mask < MASKS ? mask : best_mask(qr, level);
    apply_mask(qr, qr->mask);
    draw_format(qr, level, qr->mask);
}
