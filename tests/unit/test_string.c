// SRCS:
/* The memory functions of the metal, under other names, against the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void *tl_memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *tl_memmove(void *to, const void *from, size_t bytes);
void *tl_memset(void *to, int value, size_t bytes);
int tl_memcmp(const void *a, const void *b, size_t bytes);
void *tl_memchr(const void *s, int c, size_t bytes);
size_t tl_strlen(const char *s);
size_t tl_strnlen(const char *s, size_t most);
int tl_strcmp(const char *a, const char *b);
int tl_strncmp(const char *a, const char *b, size_t most);
char *tl_strchr(const char *s, int c);

#define memcpy tl_memcpy
#define memmove tl_memmove
#define memset tl_memset
#define memcmp tl_memcmp
#define memchr tl_memchr
#define strlen tl_strlen
#define strnlen tl_strnlen
#define strcmp tl_strcmp
#define strncmp tl_strncmp
#define strchr tl_strchr
#include "vmm/lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

enum { ROOM = 200 };

static void fill(uint8_t *buffer, unsigned seed)
{
    for (unsigned i = 0; i < ROOM; i++)
        buffer[i] = (uint8_t)(i * 7 + seed);
}

static void test_memcpy_every_length_and_alignment(void **state)
{
    uint8_t from[ROOM], got[ROOM], want[ROOM];
    (void)state;
    fill(from, 1);
    for (unsigned to_offset = 0; to_offset < 9; to_offset++) {
        for (unsigned from_offset = 0; from_offset < 9; from_offset++) {
            for (unsigned bytes = 0; bytes < 100; bytes++) {
                fill(got, 99);
                fill(want, 99);
                memcpy(want + to_offset, from + from_offset, bytes);
                void *back = tl_memcpy(got + to_offset, from + from_offset, bytes);
                assert_ptr_equal(back, got + to_offset);
                assert_memory_equal(got, want, ROOM);
            }
        }
    }
}

static void test_memmove_overlaps_both_ways(void **state)
{
    uint8_t got[ROOM], want[ROOM];
    (void)state;
    for (unsigned to = 0; to < 80; to++) {
        for (unsigned from = 0; from < 80; from += 3) {
            for (unsigned bytes = 0; bytes < 100; bytes += 1 + to % 3) {
                fill(got, 5);
                fill(want, 5);
                memmove(want + to, want + from, bytes);
                assert_ptr_equal(tl_memmove(got + to, got + from, bytes), got + to);
                assert_memory_equal(got, want, ROOM);
            }
        }
    }
}

static void test_memset_every_length(void **state)
{
    uint8_t got[ROOM], want[ROOM];
    (void)state;
    for (unsigned offset = 0; offset < 9; offset++) {
        for (unsigned bytes = 0; bytes < 100; bytes++) {
            fill(got, 5);
            fill(want, 5);
            memset(want + offset, 0x1a5, bytes);
            assert_ptr_equal(tl_memset(got + offset, 0x1a5, bytes), got + offset);
            assert_memory_equal(got, want, ROOM);
        }
    }
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void test_memcmp_finds_each_difference(void **state)
{
    uint8_t a[64], b[64];
    (void)state;
    memset(a, 0x80, sizeof(a));
    for (unsigned bytes = 0; bytes <= sizeof(a); bytes++) {
        memcpy(b, a, sizeof(b));
        assert_int_equal(tl_memcmp(a, b, bytes), 0);
        for (unsigned at = 0; at < bytes; at++) {
            memcpy(b, a, sizeof(b));
            b[at] = 0x7f;
            assert_int_equal(sign(tl_memcmp(a, b, bytes)), 1);
            b[at] = 0xff;
            b[bytes - 1] = at == bytes - 1 ? 0xff : 0;
            assert_int_equal(sign(tl_memcmp(a, b, bytes)), -1);
        }
    }
}

static void test_memchr(void **state)
{
    const char text[] = "abc\xff" "abc";
    (void)state;
    assert_ptr_equal(tl_memchr(text, 'b', 7), text + 1);
    assert_ptr_equal(tl_memchr(text, 0xff, 7), text + 3);
    assert_ptr_equal(tl_memchr(text, -1, 7), text + 3);
    assert_null(tl_memchr(text, 'c', 2));
    assert_null(tl_memchr(text, 'a', 0));
}

static void test_lengths(void **state)
{
    (void)state;
    assert_int_equal(tl_strlen(""), 0);
    assert_int_equal(tl_strlen("abc"), 3);
    assert_int_equal(tl_strnlen("abc", 2), 2);
    assert_int_equal(tl_strnlen("abc", 3), 3);
    assert_int_equal(tl_strnlen("abc", 9), 3);
    assert_int_equal(tl_strnlen("abc", 0), 0);
}

static void test_comparisons(void **state)
{
    static const char *words[] = { "", "a", "ab", "abc", "abd", "b", "\x80", "\xff" };
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned j = 0; j < 8; j++) {
            assert_int_equal(sign(tl_strcmp(words[i], words[j])), sign((int)i - (int)j));
            for (unsigned most = 0; most < 5; most++)
                assert_int_equal(sign(tl_strncmp(words[i], words[j], most)),
                                 sign(strncmp(words[i], words[j], most)));
        }
    }
}

static void test_strchr(void **state)
{
    const char *text = "abcabc";
    (void)state;
    assert_ptr_equal(tl_strchr(text, 'c'), text + 2);
    assert_ptr_equal(tl_strchr(text, 0), text + 6);
    assert_null(tl_strchr(text, 'x'));
    assert_null(tl_strchr("", 'x'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memcpy_every_length_and_alignment),
        cmocka_unit_test(test_memmove_overlaps_both_ways),
        cmocka_unit_test(test_memset_every_length),
        cmocka_unit_test(test_memcmp_finds_each_difference),
        cmocka_unit_test(test_memchr),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_strchr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
