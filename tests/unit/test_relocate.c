// SRCS: boot/relocate.c
/*
 * The packed table of relative relocations, by the generic ELF ABI, "Relative Relocation Table":
 * an even entry is the address of a word; an odd one, by bit n (from 1), the n-1st of the 63 words
 * that follow the last one told of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/relocate.h"

#define DELTA 0x12345000u
#define WORDS 200u

static uint64_t image[WORDS], expected[WORDS];

static int setup(void **context)
{
    (void)context;
    for (unsigned i = 0; i < WORDS; i++)
        image[i] = expected[i] = 1000 + i;
    return 0;
}

static void check(const uint64_t *table, size_t entries)
{
    image_relocate((uint64_t)image, table, entries, DELTA);
    assert_memory_equal(image, expected, sizeof(image));
}

static void test_an_empty_table_changes_nothing(void **context)
{
    (void)context;
    check(NULL, 0);
}

static void test_an_address_names_one_word(void **context)
{
    static const uint64_t table[] = { 3 * 8, 7 * 8 };
    (void)context;
    expected[3] += DELTA;
    expected[7] += DELTA;
    check(table, 2);
}

static void test_a_bitmap_names_the_words_behind_the_address(void **context)
{
    /* The word behind the address is bit 1; the 63rd is bit 63. */
    static const uint64_t table[] = { 10 * 8, 1 | 1ull << 1 | 1ull << 5 | 1ull << 63 };
    (void)context;
    expected[10] += DELTA;
    expected[11] += DELTA;
    expected[15] += DELTA;
    expected[11 + 62] += DELTA;
    check(table, 2);
}

static void test_each_further_bitmap_stands_for_the_next_63_words(void **context)
{
    static const uint64_t table[] = { 0, 1, 1 | 1ull << 1, UINT64_MAX, 199 * 8 };
    (void)context;
    expected[0] += DELTA;
    expected[1 + 63] += DELTA;
    for (unsigned i = 0; i < 63; i++)
        expected[1 + 126 + i] += DELTA;
    expected[199] += DELTA;
    check(table, 5);
}

static void test_a_copy_is_moved_by_the_difference(void **context)
{
    static const uint64_t table[] = { 2 * 8, 1 | 1ull << 2 };
    (void)context;
    image_relocate((uint64_t)image, table, 2, DELTA);
    image_relocate((uint64_t)image, table, 2, 0 - (uint64_t)DELTA);
    assert_memory_equal(image, expected, sizeof(image));
}

/* ELF gABI, "Dynamic Section": the table is found by its tag, its length by another, in any order and
 * between others; an image without one stays as it is. */
long _relocate(uint64_t base, const void *dynamic, void *loaded, void *system);

static void test_the_table_is_found(void **context)
{
    static const uint64_t none[] = { 5, 0x1234, 0, 0, 36, 8 };
    (void)context;
    assert_int_equal(_relocate((uint64_t)image, none, NULL, NULL), 0);
    assert_memory_equal(image, expected, sizeof(image));
    for (unsigned swapped = 0; swapped < 2; swapped++) {
        const uint64_t dynamic[] = { 5, 0x1234, swapped ? 36 : 35, swapped ? 100 * 8 : 2 * 8, 37, 8,
                                     swapped ? 35 : 36, swapped ? 2 * 8 : 100 * 8, 0, 0, 35, 999 };
        setup(NULL);
        image[100] = expected[100] = 3 * 8; /* it lies in the image itself */
        image[101] = expected[101] = 1 | 1ull << 2;
        expected[3] += (uint64_t)image;
        expected[5] += (uint64_t)image;
        assert_int_equal(_relocate((uint64_t)image, dynamic, NULL, NULL), 0);
        assert_memory_equal(image, expected, sizeof(image));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_table_is_found, setup),
        cmocka_unit_test_setup(test_an_empty_table_changes_nothing, setup),
        cmocka_unit_test_setup(test_an_address_names_one_word, setup),
        cmocka_unit_test_setup(test_a_bitmap_names_the_words_behind_the_address, setup),
        cmocka_unit_test_setup(test_each_further_bitmap_stands_for_the_next_63_words, setup),
        cmocka_unit_test_setup(test_a_copy_is_moved_by_the_difference, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
