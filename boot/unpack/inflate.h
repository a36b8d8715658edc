/*
 * Unpacking of a gzip member (inflate.c).
 */
#ifndef BOOT_UNPACK_INFLATE_H
#define BOOT_UNPACK_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFLATE_MAX_CODE_BITS 15

/* A prefix code as a table: by the next `bits` bits of the stream, symbol << 4 | length; 0: no code. */
struct inflate_code {
    unsigned bits;
    uint16_t entry[1u << INFLATE_MAX_CODE_BITS];
};

/* Room to work in; its contents are nobody else's. */
struct inflate_work {
    struct inflate_code literal, distance;
};

/* Unpacks one gzip member of `bytes` at `from` to `to`. True when it gave exactly `room` bytes and
 * its check sum and length are right; false for anything else, with `to` in any state, but nothing
 * outside its `room` written. Neither input is trusted. RFC 1952 "Member format", RFC 1951. No lock. */
bool inflate_gzip(struct inflate_work *work, const uint8_t *from, size_t bytes, uint8_t *to,
                  size_t room);

#endif
