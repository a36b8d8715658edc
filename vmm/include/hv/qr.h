/*
 * QR codes: bytes in, a square of modules out. Byte mode, levels L and M, versions 1 to 40.
 *
 * Not here: how it is shown (drivers/screen.c). Pure; no lock.
 * ISO/IEC 18004, "Symbol description", "Encode procedure", "Data masking", "Format information",
 * "Version information".
 */
#ifndef HV_QR_H
#define HV_QR_H

#include "hv/types.h"

#define QR_MOST_VERSION 40
#define QR_MOST_SIZE (17 + 4 * QR_MOST_VERSION) /* modules a side */
#define QR_MOST_CODEWORDS 3706
#define QR_QUIET_ZONE 4 /* light modules that must be around it */
#define QR_BEST_MASK 8

enum qr_level { QR_LEVEL_L, QR_LEVEL_M };

/* Large: it does not belong on a stack. */
struct qr_code {
    unsigned version, size, mask;
    uint8_t dark[(QR_MOST_SIZE * QR_MOST_SIZE + 7) / 8];
    uint8_t function[(QR_MOST_SIZE * QR_MOST_SIZE + 7) / 8]; /* modules that carry no data */
    uint8_t data[QR_MOST_CODEWORDS];      /* without error correction, block after block */
    uint8_t codewords[QR_MOST_CODEWORDS]; /* in the order of the symbol */
};

/* How many bytes a version (1 to QR_MOST_VERSION) carries. */
size_t qr_capacity_bytes(unsigned version, enum qr_level level);

/* The smallest version that carries so many bytes, or 0: none does. */
unsigned qr_version_for(size_t bytes, enum qr_level level);

/* Makes the code of the smallest version, at least `least_version`, that carries the bytes. `mask`:
 * 0 to 7, or QR_BEST_MASK for the one with the least penalty. False: they are too many. */
bool qr_encode(struct qr_code *qr, const uint8_t *bytes, size_t n, enum qr_level level,
               unsigned least_version, unsigned mask);

/* Is this module dark? `x` and `y` are below qr->size. */
bool qr_is_dark(const struct qr_code *qr, unsigned x, unsigned y);

#endif
