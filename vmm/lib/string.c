/*
 * The C library's memory and string functions, for the metal.
 *
 * Plain loops over 64-bit words. The compiler itself emits calls to these functions, so this file
 * is compiled with -fno-tree-loop-distribute-patterns: no loop here may become a call to the
 * function that it stands in. Pure, no lock. ISO C17 "String handling <string.h>".
 */
#include "hv/string.h"

#include "hv/types.h"

/* A word at any address, of memory of any type. x86 needs no alignment. */
typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;

#define WORD_BYTES sizeof(word_t)
#define BLOCK_BYTES (4 * WORD_BYTES)

/* A block is loaded before any of it is stored: right for a `to` below an overlapping `from`. */
static void copy_upwards(uint8_t *to, const uint8_t *from, size_t bytes)
{
    while (bytes >= BLOCK_BYTES) {
        const word_t *source = (const word_t *)from;
        word_t *target = (word_t *)to;
        uint64_t a = source[0], b = source[1], c = source[2], d = source[3];
        target[0] = a;
        target[1] = b;
        target[2] = c;
        target[3] = d;
        to += BLOCK_BYTES;
        from += BLOCK_BYTES;
        bytes -= BLOCK_BYTES;
    }
    while (bytes >= WORD_BYTES) {
        *(word_t *)to = *(const word_t *)from;
        to += WORD_BYTES;
        from += WORD_BYTES;
        bytes -= WORD_BYTES;
    }
    while (bytes) {
        *to++ = *from++;
        bytes--;
    }
}

static void copy_downwards(uint8_t *to, const uint8_t *from, size_t bytes)
{
    while (bytes >= WORD_BYTES) {
        bytes -= WORD_BYTES;
        *(word_t *)(to + bytes) = *(const word_t *)(from + bytes);
    }
    while (bytes) {
        bytes--;
        to[bytes] = from[bytes];
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    copy_upwards(to, from, bytes);
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    if ((uintptr_t)to - (uintptr_t)from < bytes)
        copy_downwards(to, from, bytes);
    else
        copy_upwards(to, from, bytes);
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    uint8_t *at = to;
    uint64_t pattern = (uint8_t)value * UINT64_C(0x0101010101010101);
    while (bytes >= BLOCK_BYTES) {
        word_t *target = (word_t *)at;
        target[0] = pattern;
        target[1] = pattern;
        target[2] = pattern;
        target[3] = pattern;
        at += BLOCK_BYTES;
        bytes -= BLOCK_BYTES;
    }
    while (bytes >= WORD_BYTES) {
        *(word_t *)at = pattern;
        at += WORD_BYTES;
        bytes -= WORD_BYTES;
    }
    while (bytes) {
        *at++ = (uint8_t)value;
        bytes--;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *left = a, *right = b;
    while (bytes >= WORD_BYTES && *(const word_t *)left == *(const word_t *)right) {
        left += WORD_BYTES;
        right += WORD_BYTES;
        bytes -= WORD_BYTES;
    }
    for (; bytes; left++, right++, bytes--)
        if (*left != *right)
            return *left - *right;
    return 0;
}

void *memchr(const void *s, int c, size_t bytes)
{
    for (const uint8_t *at = s; bytes; at++, bytes--)
        if (*at == (uint8_t)c)
            return (void *)(uintptr_t)at;
    return NULL;
}

size_t strlen(const char *s)
{
    const char *end = s;
    while (*end)
        end++;
    return (size_t)(end - s);
}

size_t strnlen(const char *s, size_t most)
{
    size_t length = 0;
    while (length < most && s[length])
        length++;
    return length;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t most)
{
    for (; most; a++, b++, most--) {
        if (*a != *b)
            return (unsigned char)*a - (unsigned char)*b;
        if (!*a)
            break;
    }
    return 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)(uintptr_t)s;
        if (!*s)
            return NULL;
    }
}
