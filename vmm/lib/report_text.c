/*
 * A report's lines, made short. Pure; no lock.
 */
#include "hv/report_text.h"

#include "hv/string.h"

#define NUMBER_DIGITS 8 /* shorter words of digits are left as they are */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* How many zeros lead a number of NUMBER_DIGITS digits or more; one digit stays. */
static size_t leading_zeros(const char *word)
{
    size_t digits = 0, zeros = 0;

    while (is_hex(word[digits]))
        digits++;
    if (digits < NUMBER_DIGITS)
        return 0;
    while (zeros + 1 < digits && word[zeros] == '0')
        zeros++;
    return zeros;
}

void report_text_add(struct report_text *report, const char *line)
{
    size_t at = report->used;
    bool word_begins = true;

    while (*line == ' ')
        line++;
    while (*line && at < REPORT_TEXT_BYTES) {
        if (word_begins)
            line += leading_zeros(line);
        word_begins = *line == ' ';
        report->text[at++] = *line++;
        while (word_begins && *line == ' ')
            line++;
    }
    if (*line || at == REPORT_TEXT_BYTES)
        return;
    report->text[at++] = '\n';
    report->used = at;
}
