/*
 * The machine check's page: columns, and text wrapped at 79.
 *
 * Not here: the judgement (preflight.c). Pure; no lock.
 */
#include "boot/preflight.h"
#include "hv/format.h"
#include "hv/string.h"

#define PAGE_COLUMNS 79
#define TEXT_COLUMN 30

struct page {
    char *out;
    size_t bytes, used;
    const char *eol;
};

static void put(struct page *page, const char *text, size_t n)
{
    size_t room = page->bytes - page->used - 1;
    if (n > room)
        n = room;
    memcpy(page->out + page->used, text, n);
    page->used += n;
    page->out[page->used] = 0;
}

static void put_line(struct page *page, const char *text, size_t n)
{
    put(page, text, n);
    put(page, page->eol, strlen(page->eol));
}

/* How much of the text goes on this line: up to the last space that fits; a word that is longer
 * than a line is broken. */
static size_t wrap_at(const char *text, size_t width)
{
    size_t length = strlen(text), cut = width;
    if (length <= width)
        return length;
    while (cut > 0 && text[cut] != ' ')
        cut--;
    return cut > 0 ? cut : width;
}

static void put_wrapped(struct page *page, const char *text)
{
    static const char indent[TEXT_COLUMN + 1] = "                              ";
    size_t n = wrap_at(text, PAGE_COLUMNS - TEXT_COLUMN);
    put_line(page, text, n);
    for (text += n; *text; text += n) {
        if (*text == ' ')
            text++;
        n = wrap_at(text, PAGE_COLUMNS - TEXT_COLUMN);
        put(page, indent, TEXT_COLUMN);
        put_line(page, text, n);
    }
}

static void put_row(struct page *page, const struct preflight_line *line)
{
    static const char *const words[] = {
        [PREFLIGHT_FINE] = "fine",
        [PREFLIGHT_DEGRADED] = "degraded",
        [PREFLIGHT_STOPS] = "STOPS",
    };
    char head[TEXT_COLUMN + 1];
    hv_snprintf(head, sizeof(head), "  %-8s  %-18s", words[line->verdict], line->subject);
    put(page, head, TEXT_COLUMN);
    put_wrapped(page, line->text);
}

size_t preflight_render(const struct preflight_report *report, const char *eol, char *out,
                        size_t bytes)
{
    struct page page = { out, bytes, 0, eol };
    char summary[PAGE_COLUMNS + 1];
    if (bytes == 0)
        return 0;
    out[0] = 0;
    if (report->stops > 0)
        hv_snprintf(summary, sizeof(summary), "Trapline preflight: this machine can't run it: "
                    "see what STOPS");
    else if (report->degraded > 0)
        hv_snprintf(summary, sizeof(summary), "Trapline preflight: this machine will do; %u line%s "
                    "say%s what is lost", report->degraded, report->degraded == 1 ? "" : "s",
                    report->degraded == 1 ? "s" : "");
    else
        hv_snprintf(summary, sizeof(summary), "Trapline preflight: all fine");
    put_line(&page, summary, strlen(summary));
    for (unsigned i = 0; i < report->count; i++)
        put_row(&page, &report->lines[i]);
    return page.used;
}
