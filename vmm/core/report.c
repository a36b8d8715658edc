/*
 * The report of a run, in memory. See hv/report.h.
 *
 * Not here: the log (log.c), which is a ring; a report is whole or says that it is not.
 */
#include "hv/report.h"

#include "hv/console.h"
#include "hv/string.h"

static const char cut[] = "(the report is cut here: it is longer than its memory)\r\n";

/* Boot-once, but for `used`. There is one report, as there is one run. */
static struct {
    char *room;
    size_t bytes, used;
    bool full;
} report;

void report_start(char *room, size_t bytes)
{
    report.room = bytes >= sizeof(cut) ? room : NULL;
    report.bytes = bytes;
    report.used = 0;
    report.full = false;
}

static void append(const char *text, size_t n)
{
    memcpy(report.room + report.used, text, n);
    report.used += n;
}

static void keep(const char *line, size_t n)
{
    if (report.full)
        return;
    /* Room for the words that say so is left at any time. */
    if (n > report.bytes || report.used + n + 2 + sizeof(cut) > report.bytes) {
        report.full = true;
        append(cut, sizeof(cut) - 1);
        return;
    }
    append(line, n);
    append("\r\n", 2);
}

void report_line(const char *line, size_t n)
{
    console_write_line(line, n);
    if (report.room)
        keep(line, n);
}

const char *report_text(size_t *bytes)
{
    *bytes = report.used;
    return report.room;
}
