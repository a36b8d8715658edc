/*
 * Formatted output without a C library: the subset of printf that Trapline uses.
 * %d %i %u %x %X %o %c %s %p %% with flags '-', '0', '#', '+', ' ', width, precision, '*', and the
 * lengths hh h l ll z j t.
 */
#ifndef HV_FORMAT_H
#define HV_FORMAT_H

#include "hv/types.h"

/* Formats into `out` (at most `bytes`, always terminated when bytes > 0). Returns the length that
 * the whole text has, as snprintf does. An unknown conversion is copied literally. */
int hv_snprintf(char *out, size_t bytes, const char *format, ...) HV_PRINTF(3, 4);
int hv_vsnprintf(char *out, size_t bytes, const char *format, va_list args) HV_PRINTF(3, 0);

#endif
