/*
 * Looks a name up in the table of functions: from its start, since it is coded by differences.
 *
 * Not here: the table (made by tools/gen-symbols). Pure; no lock. A damaged table gives no name or
 * a wrong one, and is never read beyond its end: it is used when something is broken already.
 */
#include "hv/symbols.h"

/* The next number of the table. False: it has none. */
static bool read_number(const uint8_t *table, size_t bytes, size_t *at, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; *at < bytes && shift < 64; shift += 7) {
        uint8_t byte = table[(*at)++];
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* The next name, over the one before. */
static bool read_name(const uint8_t *table, size_t bytes, size_t *at, char name[SYMBOL_NAME_BYTES])
{
    size_t length;

    if (*at == bytes)
        return false;
    length = table[(*at)++];
    while (*at < bytes && length < SYMBOL_NAME_BYTES) {
        name[length] = (char)table[(*at)++];
        if (name[length++] == '\0')
            return true;
    }
    return false;
}

bool symbol_find(const uint8_t *table, size_t bytes, uint64_t offset, struct symbol *found)
{
    struct symbol next = { { 0 }, 0 };
    uint64_t distance;
    size_t at = 0;
    bool any = false;

    while (read_number(table, bytes, &at, &distance) && next.start + distance <= offset) {
        next.start += distance;
        if (!read_name(table, bytes, &at, next.name))
            break;
        *found = next;
        any = next.name[0] != '\0';
    }
    return any;
}
