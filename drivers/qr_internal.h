/*
 * Between the parts of the QR encoder: qr.c makes codewords, qr_symbol.c lays them out.
 */
#ifndef DRIVERS_QR_INTERNAL_H
#define DRIVERS_QR_INTERNAL_H

#include "hv/qr.h"

/* Modules that carry data, error correction included; not all of them make a whole codeword. */
unsigned qr_data_modules(unsigned version);

/* Lays out qr->codewords, masked, in a symbol of qr->version. */
void qr_draw(struct qr_code *qr, enum qr_level level, unsigned mask);

#endif
