/*
 * Which values of the comparison the operator's file chooses.
 * Pure; no lock.
 */
#include "arch/x86/vmx/explain.h"

#define MOST 100000u /* far more values than there are */

static unsigned take_number(const char **text)
{
    unsigned number = 0;

    for (; **text >= '0' && **text <= '9'; (*text)++) {
        number = number * 10 + (unsigned)(**text - '0');
        if (number > MOST)
            number = MOST;
    }
    return number;
}

static bool in_range(const char *text, unsigned number)
{
    unsigned first = take_number(&text), last = first, step = 1;

    if (*text == '-') {
        text++;
        last = take_number(&text);
    }
    if (*text == '/') {
        text++;
        step = take_number(&text);
    }
    return !*text && step && number >= first && number <= last && (number - first) % step == 0;
}

bool explain_selects(const char *selection, const char *name, unsigned number)
{
    size_t length = strlen(selection);

    if (strcmp(selection, "all") == 0)
        return true;
    if (selection[0] >= '0' && selection[0] <= '9')
        return in_range(selection, number);
    return length && strncmp(name, selection, length) == 0 &&
           (name[length] == 0 || name[length] == '.');
}
