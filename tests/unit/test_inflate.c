// SRCS: boot/unpack/inflate.c
// LIBS: -lz
/*
 * Unpacking, with zlib as the packer: all its block types, strategies and sizes; and with damage,
 * which the check sum of RFC 1952 must show. What is written outside is found by the sanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "boot/unpack/inflate.h"

#define GZIP_WINDOW (15 + 16)
#define MEDIUM_BYTES 100000u

static struct inflate_work work;

static uint8_t *pack(const uint8_t *data, size_t bytes, int level, int strategy, size_t *packed_bytes)
{
    z_stream z = { 0 };
    size_t room = bytes + bytes / 100 + 4096;
    uint8_t *packed = malloc(room);

    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW, 9, strategy), Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)data;
    z.avail_in = (unsigned)bytes;
    z.next_out = packed;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *packed_bytes = z.total_out;
    deflateEnd(&z);
    return packed;
}

/* An input and an output of exactly their sizes, so that a byte beyond is seen. */
static bool unpack(const uint8_t *packed, size_t packed_bytes, uint8_t *out, size_t room)
{
    uint8_t *in = malloc(packed_bytes ? packed_bytes : 1), *to = malloc(room ? room : 1);
    bool right;

    memcpy(in, packed, packed_bytes);
    right = inflate_gzip(&work, in, packed_bytes, to, room);
    if (right)
        memcpy(out, to, room);
    free(in);
    free(to);
    return right;
}

/* From all zeros to noise, by `kind`. */
static void fill(uint8_t *data, size_t bytes, unsigned kind)
{
    uint32_t x = 12345 + kind;

    for (size_t i = 0; i < bytes; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = kind == 0   ? 0
                  : kind == 1 ? (uint8_t)(x >> 24)
                  : kind == 2 ? (uint8_t)("the guest cannot get out "[i % 25])
                  : kind == 3 ? (uint8_t)((x >> 28) * (x >> 30))
                              : (uint8_t)(i % 40000 < 7000 ? x >> 27 : i >> 8);
    }
}

static void round_trip(size_t bytes, unsigned kind, int level, int strategy)
{
    uint8_t *data = malloc(bytes + 1), *out = malloc(bytes + 1);
    size_t packed_bytes;

    fill(data, bytes, kind);
    uint8_t *packed = pack(data, bytes, level, strategy, &packed_bytes);
    assert_true(unpack(packed, packed_bytes, out, bytes));
    assert_memory_equal(out, data, bytes);
    free(data);
    free(out);
    free(packed);
}

static void test_what_zlib_packs_comes_back(void **context)
{
    static const size_t sizes[] = { 0, 1, 2, 258, 259, 4096, MEDIUM_BYTES };
    static const int strategies[] = { Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED };
    (void)context;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (unsigned kind = 0; kind < 5; kind++)
            for (size_t t = 0; t < sizeof(strategies) / sizeof(strategies[0]); t++)
                for (int level = 0; level <= 9; level += 3)
                    round_trip(sizes[s], kind, level, strategies[t]);
}

static void test_the_farthest_match_is_32768_back(void **context)
{
    (void)context;
    size_t bytes = 3 * 32768;
    uint8_t *data = malloc(bytes), *out = malloc(bytes);
    size_t packed_bytes;

    fill(data, 32768, 1);
    memcpy(data + 32768, data, 32768);
    memcpy(data + 65536, data, 32768);
    uint8_t *packed = pack(data, bytes, 9, Z_DEFAULT_STRATEGY, &packed_bytes);
    assert_true(unpack(packed, packed_bytes, out, bytes));
    assert_memory_equal(out, data, bytes);
    free(data);
    free(out);
    free(packed);
}

static void test_any_other_room_is_refused(void **context)
{
    uint8_t data[500], out[600];
    size_t packed_bytes;
    (void)context;
    fill(data, sizeof(data), 3);
    uint8_t *packed = pack(data, sizeof(data), 6, Z_DEFAULT_STRATEGY, &packed_bytes);
    for (size_t room = 0; room < sizeof(out); room++)
        assert_int_equal(unpack(packed, packed_bytes, out, room), room == sizeof(data));
    free(packed);
}

static void test_every_shorter_input_is_refused(void **context)
{
    uint8_t data[2000], out[2000];
    size_t packed_bytes;
    (void)context;
    for (int level = 0; level <= 9; level += 9) {
        fill(data, sizeof(data), 3);
        uint8_t *packed = pack(data, sizeof(data), level, Z_DEFAULT_STRATEGY, &packed_bytes);
        for (size_t bytes = 0; bytes < packed_bytes; bytes++)
            assert_false(unpack(packed, bytes, out, sizeof(out)));
        free(packed);
    }
}

/* Any bit but those of the header that say nothing of the data: MTIME, XFL and OS, bytes 4 to 9. */
static void test_every_changed_bit_is_refused(void **context)
{
    uint8_t data[600], out[600];
    size_t packed_bytes;
    (void)context;
    for (unsigned kind = 1; kind < 5; kind++) {
        fill(data, sizeof(data), kind);
        uint8_t *packed = pack(data, sizeof(data), kind == 1 ? 0 : 9, Z_DEFAULT_STRATEGY, &packed_bytes);
        for (size_t bit = 0; bit < packed_bytes * 8; bit++) {
            packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
            bool right = unpack(packed, packed_bytes, out, sizeof(out));
            bool silent = bit / 8 >= 4 && bit / 8 < 10;
            if (right && !silent) /* bits that fill up the last byte, or equal data by another way */
                assert_memory_equal(out, data, sizeof(data));
            assert_true(!silent || right);
            packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        free(packed);
    }
}

/* A block written by hand: BFINAL, type, then bits from the lowest on. RFC 1951, "Details of block
 * format". */
static bool unpack_block(const uint8_t *block, size_t bytes)
{
    uint8_t packed[64] = { 0x1f, 0x8b, 8 }, out[16];
    memcpy(packed + 10, block, bytes);
    return unpack(packed, 10 + bytes + 8, out, sizeof(out));
}

static void test_blocks_that_mean_nothing_are_refused(void **context)
{
    static const uint8_t reserved_type[] = { 0x07, 0, 0 };
    static const uint8_t stored_wrong_complement[] = { 0x01, 4, 0, 4, 0, 1, 2, 3, 4 };
    static const uint8_t fixed_match_before_the_start[] = { 0x03, 0x02, 0x00, 0x00 };
    static const uint8_t too_many_literals[] = { 0xfd, 0x00, 0x00, 0x00, 0x00 };
    static const uint8_t too_many_distances[] = { 0x05, 0x1f, 0x00, 0x00, 0x00 };
    static const uint8_t all_lengths_codes_of_one_bit[] = { 0x05, 0xe0, 0x49, 0x92, 0x24, 0x49, 0x92, 0x24 };
    (void)context;
    assert_false(unpack_block(reserved_type, sizeof(reserved_type)));
    assert_false(unpack_block(stored_wrong_complement, sizeof(stored_wrong_complement)));
    assert_false(unpack_block(fixed_match_before_the_start, sizeof(fixed_match_before_the_start)));
    assert_false(unpack_block(too_many_literals, sizeof(too_many_literals)));
    assert_false(unpack_block(too_many_distances, sizeof(too_many_distances)));
    assert_false(unpack_block(all_lengths_codes_of_one_bit, sizeof(all_lengths_codes_of_one_bit)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_zlib_packs_comes_back),
        cmocka_unit_test(test_the_farthest_match_is_32768_back),
        cmocka_unit_test(test_any_other_room_is_refused),
        cmocka_unit_test(test_every_shorter_input_is_refused),
        cmocka_unit_test(test_every_changed_bit_is_refused),
        cmocka_unit_test(test_blocks_that_mean_nothing_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
