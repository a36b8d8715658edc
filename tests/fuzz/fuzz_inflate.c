// SRCS: boot/unpack/inflate.c
// LIBS: -lz
/*
 * Unpacking of any bytes: never a byte outside, and whatever zlib unpacks comes out the same here.
 * The header and the trailer are put around the input, with the check sum of what zlib makes of it:
 * a fuzzer would never guess one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "boot/unpack/inflate.h"

#define MOST_OUT 70000u
#define HEADER_BYTES 10u
#define TRAILER_BYTES 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* True when all of `data` is one stream whose output fits. */
static int oracle(const uint8_t *data, size_t size, uint8_t *out, size_t *out_bytes)
{
    z_stream z = { .next_in = (uint8_t *)(uintptr_t)data, .avail_in = (unsigned)size };
    int status;

    if (inflateInit2(&z, -15) != Z_OK)
        abort();
    z.next_out = out;
    z.avail_out = MOST_OUT;
    status = inflate(&z, Z_FINISH);
    *out_bytes = z.total_out;
    inflateEnd(&z);
    return status == Z_STREAM_END && z.avail_in == 0;
}

static void put(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct inflate_work work;
    static uint8_t theirs[MOST_OUT];
    size_t bytes = 0, packed_bytes = HEADER_BYTES + size + TRAILER_BYTES;
    int good = oracle(data, size, theirs, &bytes);
    uint8_t *packed = calloc(1, packed_bytes), *ours = malloc(bytes ? bytes : 1);

    memcpy(packed, "\x1f\x8b\x08", 3);
    memcpy(packed + HEADER_BYTES, data, size);
    put(packed + HEADER_BYTES + size, (uint32_t)crc32(0, theirs, (unsigned)bytes));
    put(packed + HEADER_BYTES + size + 4, (uint32_t)bytes);
    if (inflate_gzip(&work, packed, packed_bytes, ours, bytes) ? memcmp(ours, theirs, bytes) : good)
        abort();
    free(packed);
    free(ours);
    return 0;
}
