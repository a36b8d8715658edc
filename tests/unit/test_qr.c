// SRCS: drivers/qr.c drivers/qr_symbol.c
/*
 * QR codes against ISO/IEC 18004 and against a reader that is not ours: zbarimg reads every version,
 * level and mask back from a picture.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/qr.h"

static struct qr_code qr;

static void test_capacities(void **state)
{
    /* ISO/IEC 18004, "Number of symbol characters and input data capacity". */
    static const struct { unsigned version; size_t l, m; } cases[] = {
        { 1, 17, 14 },    { 2, 32, 26 },    { 5, 106, 84 },     { 6, 134, 106 },   { 7, 154, 122 },
        { 9, 230, 180 },  { 10, 271, 213 }, { 20, 858, 666 },   { 25, 1273, 997 }, { 27, 1465, 1125 },
        { 32, 1952, 1538 }, { 39, 2809, 2213 }, { 40, 2953, 2331 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(qr_capacity_bytes(cases[i].version, QR_LEVEL_L), cases[i].l);
        assert_int_equal(qr_capacity_bytes(cases[i].version, QR_LEVEL_M), cases[i].m);
        assert_int_equal(qr_version_for(cases[i].l, QR_LEVEL_L), cases[i].version);
        assert_int_equal(qr_version_for(cases[i].m + 1, QR_LEVEL_M),
                         cases[i].version < 40 ? cases[i].version + 1 : 0);
    }
    assert_int_equal(qr_version_for(0, QR_LEVEL_M), 1);
}

static uint8_t text[3000];

static void fill(unsigned seed, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz0123456789+x#.\n";
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245 + 12345;
        text[i] = (uint8_t)letters[seed >> 16 & 63];
    }
}

static bool dark(unsigned x, unsigned y)
{
    return qr_is_dark(&qr, x, y);
}

/* The fifteen bits of format information at both of their places, bit 0 first. */
static unsigned format_at(bool second)
{
    static const uint8_t x[15] = { 8, 8, 8, 8, 8, 8, 8, 8, 7, 5, 4, 3, 2, 1, 0 };
    static const uint8_t y[15] = { 0, 1, 2, 3, 4, 5, 7, 8, 8, 8, 8, 8, 8, 8, 8 };
    unsigned bits = 0;
    for (unsigned i = 0; i < 15; i++) {
        bool bit = second ? (i < 8 ? dark(qr.size - 1 - i, 8) : dark(8, qr.size - 15 + i))
                          : dark(x[i], y[i]);
        bits |= (unsigned)bit << i;
    }
    return bits;
}

static void test_format_information(void **state)
{
    /* "Valid format information bit sequences": L and M by mask. */
    static const unsigned wanted[2][8] = {
        { 0x77c4, 0x72f3, 0x7daa, 0x789d, 0x662f, 0x6318, 0x6c41, 0x6976 },
        { 0x5412, 0x5125, 0x5e7c, 0x5b4b, 0x45f9, 0x40ce, 0x4f97, 0x4aa0 },
    };

    (void)state;
    for (unsigned level = 0; level < 2; level++) {
        for (unsigned mask = 0; mask < 8; mask++) {
            assert_true(qr_encode(&qr, (const uint8_t *)"x", 1, (enum qr_level)level, 1 + mask, mask));
            assert_int_equal(qr.version, 1 + mask);
            assert_int_equal(format_at(false), wanted[level][mask]);
            assert_int_equal(format_at(true), wanted[level][mask]);
            assert_true(dark(8, qr.size - 8));
        }
    }
}

static void test_version_information(void **state)
{
    /* "Version information bit stream for each version": 7, 21 and 40. */
    static const unsigned cases[][2] = { { 7, 0x07c94 }, { 21, 0x15683 }, { 40, 0x28c69 } };

    (void)state;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        unsigned bits = 0, turned = 0;
        assert_true(qr_encode(&qr, (const uint8_t *)"x", 1, QR_LEVEL_L, cases[c][0], QR_BEST_MASK));
        for (unsigned i = 0; i < 18; i++) {
            bits |= (unsigned)dark(qr.size - 11 + i % 3, i / 3) << i;
            turned |= (unsigned)dark(i / 3, qr.size - 11 + i % 3) << i;
        }
        assert_int_equal(bits, cases[c][1]);
        assert_int_equal(turned, cases[c][1]);
    }
}

static void test_codewords_of_a_small_code(void **state)
{
    /* Mode and count, the bytes, a terminator, pads; and the polynomial of all codewords has the roots
     * of the generator. */
    static const uint8_t bytes[] = "ABCDE123";
    unsigned root = 1;

    (void)state;
    assert_true(qr_encode(&qr, bytes, 8, QR_LEVEL_L, 1, 0));
    assert_int_equal(qr.codewords[0], 0x40);
    assert_int_equal(qr.codewords[1], 0x84);
    assert_int_equal(qr.codewords[9], 0x30);
    assert_int_equal(qr.codewords[10], 0xec);
    assert_int_equal(qr.codewords[11], 0x11);
    for (unsigned i = 0; i < 7; i++) { /* the polynomial's value at 2^i is 0 */
        unsigned sum = 0;
        for (unsigned c = 0; c < 26; c++) {
            unsigned product = 0;
            for (unsigned bit = 8; bit-- > 0;) {
                product <<= 1;
                if (product & 0x100)
                    product ^= 0x11d;
                if (root >> bit & 1)
                    product ^= sum;
            }
            sum = product ^ qr.codewords[c];
        }
        assert_int_equal(sum, 0);
        root = root << 1 ^ (root & 0x80 ? 0x11d : 0);
    }
}

static void test_what_does_not_fit(void **state)
{
    (void)state;
    fill(1, sizeof(text));
    assert_true(qr_encode(&qr, text, 2953, QR_LEVEL_L, 1, 0));
    assert_int_equal(qr.version, 40);
    assert_false(qr_encode(&qr, text, 2954, QR_LEVEL_L, 1, 0));
    assert_false(qr_encode(&qr, text, 2332, QR_LEVEL_M, 1, 0));
    assert_true(qr_encode(&qr, text, 0, QR_LEVEL_M, 1, QR_BEST_MASK));
    assert_int_equal(qr.version, 1);
    assert_true(qr.mask < 8);
}

/* --- a reader --- */

static char folder[] = "/tmp/trapline-qr-XXXXXX";
#define PIXELS 3

static void write_picture(const char *name)
{
    char path[100];
    unsigned modules = qr.size + 2 * QR_QUIET_ZONE;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.pbm", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "P1\n%u %u\n", modules * PIXELS, modules * PIXELS);
    for (unsigned y = 0; y < modules * PIXELS; y++) {
        for (unsigned x = 0; x < modules * PIXELS; x++) {
            unsigned mx = x / PIXELS - QR_QUIET_ZONE, my = y / PIXELS - QR_QUIET_ZONE;
            fputs(mx < qr.size && my < qr.size && dark(mx, my) ? "1" : "0", file);
        }
        fputc('\n', file);
    }
    fclose(file);
}

/* Reads every picture of the folder; in the order of their names, a line "== NAME" after each. */
static char *read_pictures(void)
{
    char command[300];
    size_t room = 4 << 20;
    char *output = malloc(room);
    FILE *pipe;

    snprintf(command, sizeof(command),
             "cd %s && for f in *.pbm; do zbarimg -q --raw --nodbus $f; echo \"== $f\"; done", folder);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    output[fread(output, 1, room - 1, pipe)] = '\0';
    pclose(pipe);
    return output;
}

static void remove_folder(void)
{
    char command[100];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

/* A case's name says what is in it. */
static size_t make_case(unsigned version, unsigned level, unsigned mask, char name[40])
{
    size_t n = qr_capacity_bytes(version, (enum qr_level)level);

    n -= (version * 7 + mask) % (version < 3 ? 3 : 9);
    fill(version << 8 | level << 4 | mask, n);
    snprintf(name, 40, "%02u-%c-%u", version, "LM"[level], mask);
    return n;
}

static const char *expect_read(const char *at, unsigned version, unsigned level, unsigned mask)
{
    char name[40], end[60];
    size_t n = make_case(version, level, mask, name);

    snprintf(end, sizeof(end), "\n== %s.pbm\n", name);
    if (strncmp(at, (const char *)text, n) != 0 || strncmp(at + n, end, strlen(end)) != 0)
        fail_msg("%s is not read back", name);
    return at + n + strlen(end);
}

static void for_each_case(void (*run)(unsigned version, unsigned level, unsigned mask))
{
    for (unsigned version = 1; version <= QR_MOST_VERSION; version++) {
        for (unsigned level = 0; level < 2; level++) {
            for (unsigned mask = 0; mask < 8; mask++)
                if (version <= 10 || mask == (version * 3 + level * 4) % 8)
                    run(version, level, mask);
        }
    }
}

static void picture(unsigned version, unsigned level, unsigned mask)
{
    char name[40];
    size_t n = make_case(version, level, mask, name);

    assert_true(qr_encode(&qr, text, n, (enum qr_level)level, version, mask));
    assert_int_equal(qr.version, version);
    write_picture(name);
}

static const char *read_at;

static void compare(unsigned version, unsigned level, unsigned mask)
{
    read_at = expect_read(read_at, version, level, mask);
}

static void test_another_reader_reads_them(void **state)
{
    char *output;

    (void)state;
    if (system("command -v zbarimg >/dev/null") != 0) {
        print_message("zbarimg is not installed: nothing was read back\n");
        skip();
    }
    assert_non_null(mkdtemp(folder));
    for_each_case(picture);
    output = read_pictures();
    remove_folder();
    read_at = output;
    for_each_case(compare);
    free(output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capacities),
        cmocka_unit_test(test_format_information),
        cmocka_unit_test(test_version_information),
        cmocka_unit_test(test_codewords_of_a_small_code),
        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_another_reader_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
