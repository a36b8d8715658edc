/*
 * UTF-8 to the UCS-2 of UEFI's names and texts. Pure; host-tested.
 */
#ifndef BOOT_UTF_H
#define BOOT_UTF_H

#include "hv/types.h"

/* Takes one character off *text (which must not be at its end). What is not well-formed UTF-8, or
 * lies outside of the Basic Multilingual Plane, comes back as U+FFFD; *text always advances. */
uint16_t utf8_next(const char **text);

/* Translates into `out` (`most` units, the terminating 0 among them). False: it did not fit, or is
 * not UTF-8 that UCS-2 can hold. */
bool utf8_to_ucs2(const char *text, uint16_t *out, size_t most);

#endif
