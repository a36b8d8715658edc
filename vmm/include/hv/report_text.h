/*
 * The lines of a report in few bytes, for a picture that carries it: runs of blanks become one, and
 * numbers lose their leading zeros. Pure; no lock.
 */
#ifndef HV_REPORT_TEXT_H
#define HV_REPORT_TEXT_H

#include "hv/types.h"

/* What a QR code of version 29, level L, carries: 133 modules a side. */
#define REPORT_TEXT_BYTES 1628

struct report_text {
    char text[REPORT_TEXT_BYTES]; /* lines, each with a line feed; no zero at the end */
    size_t used;
};

/* Adds a line, unless it does not fit: then it is left out, and a shorter one may still fit. */
void report_text_add(struct report_text *report, const char *line);

#endif
