/*
 * A typed line as words and numbers. Pure; no lock.
 */
#include "hv/monitor.h"

unsigned monitor_split(char *line, char *words[MONITOR_MAX_WORDS])
{
    unsigned count = 0;

    for (char *at = line; *at;) {
        if (*at == ' ') {
            if (count <= MONITOR_MAX_WORDS)
                *at = '\0';
            at++;
            continue;
        }
        if (count < MONITOR_MAX_WORDS)
            words[count] = at;
        count++;
        while (*at && *at != ' ')
            at++;
    }
    return count;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool monitor_number(const char *word, unsigned base, uint64_t *value)
{
    uint64_t number = 0;

    if (word[0] == '0' && (word[1] == 'x' || word[1] == 'X')) {
        base = 16;
        word += 2;
    }
    if (!*word)
        return false;
    for (; *word; word++) {
        int digit = digit_value(*word);
        if (digit < 0 || (unsigned)digit >= base ||
            number > (UINT64_MAX - (unsigned)digit) / base)
            return false;
        number = number * base + (unsigned)digit;
    }
    *value = number;
    return true;
}
