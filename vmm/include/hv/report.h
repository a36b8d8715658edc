/*
 * What a run has found out, as text: the lines of the laboratory and of the explainer, kept beside
 * being shown, for who writes them to the boot volume when firmware is kept.
 * Lock: none; the boot core alone writes reports.
 */
#ifndef HV_REPORT_H
#define HV_REPORT_H

#include "hv/types.h"

/* From here on lines are kept in `room`. What does not fit is left out, and the last line says so. */
void report_start(char *room, size_t bytes);

/* One line, without its end: to the console, and to the report if one is kept. */
void report_line(const char *line, size_t n);

/* The text so far, with CRLF line ends; NULL: none is kept. */
const char *report_text(size_t *bytes);

#endif
