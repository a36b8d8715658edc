/*
 * The machine check as the operator meets it: on the firmware's console, and as a file.
 *
 * Not here: facts and judgement (preflight*.c). No lock: one core runs.
 */
#include "boot/preflight_facts.h"
#include "hv/string.h"

#define PAGE_FILE "preflight.txt"
#define READING_SECONDS 300

/* Too large for firmware's stack. */
struct check {
    struct preflight_facts facts;
    struct preflight_report report;
    struct preflight_core cores[PREFLIGHT_MAX_CORES];
    char page[PREFLIGHT_PAGE_BYTES];
};

/* Somebody who asked for the page reads it from its first line; before a guest it scrolls. */
static void turn_leaf(struct boot *boot, unsigned *row)
{
    if (++*row + 2 < boot_screen_rows(boot))
        return;
    boot_print(boot, "More: press a key.\n");
    boot_wait_for_key(boot, READING_SECONDS);
    boot_clear_screen(boot);
    *row = 0;
}

static void print_page(struct boot *boot, struct check *check, bool leaves)
{
    unsigned row = 0;
    preflight_render(&check->report, "\n", check->page, sizeof(check->page));
    const char *line = check->page;
    boot_clear_screen(boot);
    while (*line) {
        const char *end = strchr(line, '\n');
        boot_print(boot, "%.*s\n", (int)(end ? end - line : (long)strlen(line)), line);
        line = end ? end + 1 : line + strlen(line);
        if (leaves && *line)
            turn_leaf(boot, &row);
    }
}

static void write_page(struct boot *boot, struct check *check, bool page_alone)
{
    size_t n = preflight_render(&check->report, "\r\n", check->page, sizeof(check->page));
    const char *why = boot_log_write(boot, PAGE_FILE, check->page, n);
    /* For whoever shall find out from afar why the machine won't do. */
    if (!why && (check->report.stops > 0 || page_alone))
        why = boot_machine_write(boot, &check->facts);
    if (why)
        boot_print(boot, "This page could not be written to the boot volume: %s. That stops "
                         "nothing.\n", why);
}

/* Each reason on a line of its own; the first one is the application's. */
static bool print_reasons(struct boot *boot, const struct preflight_report *report)
{
    for (unsigned i = 0; i < report->count; i++) {
        const struct preflight_line *line = &report->lines[i];
        if (line->verdict != PREFLIGHT_STOPS)
            continue;
        boot_refuse(boot, "%s", line->text);
        boot_print(boot, "TRAPLINE: refused: %s\n", line->text);
        boot->reason_printed = true;
    }
    return report->stops == 0;
}

bool boot_check_machine(struct boot *boot, const char *config_refusal)
{
    struct check *check = (struct check *)boot_allocate(boot, sizeof(struct check));
    if (!check)
        return boot_refuse(boot, "there is no memory for the machine check");
    bool page_alone = !config_refusal && boot->info->config.mode == CONFIG_MODE_PREFLIGHT;
    preflight_collect(boot, check->cores, &check->facts);
    check->facts.config = config_refusal ? NULL : &boot->info->config;
    check->facts.config_refusal = config_refusal;
    preflight_decide(&check->facts, &check->report);
    print_page(boot, check, page_alone);
    write_page(boot, check, page_alone);
    bool ok = page_alone || print_reasons(boot, &check->report);
    boot_free(boot, (uint64_t)check);
    return ok;
}
