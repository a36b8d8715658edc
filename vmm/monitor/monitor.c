/*
 * The monitor's session: keys to lines, lines to commands, commands' output to the console piece by
 * piece, so that a long listing does not keep the core from its guests.
 *
 * Not here: what commands do. Pure; no lock. What is typed may be anything.
 */
#include "hv/monitor.h"

#include "hv/format.h"
#include "hv/string.h"

#define PROMPT "trapline> "
#define CTRL_C 0x03

static void put(struct monitor *m, const char *bytes, size_t count)
{
    m->env.write(m->env.context, bytes, count);
}

static void put_text(struct monitor *m, const char *text)
{
    put(m, text, strlen(text));
}

enum hv_err monitor_add(struct monitor *m, const struct monitor_command *commands, unsigned count)
{
    if (m->table_count == MONITOR_MAX_TABLES)
        return HV_ERR_NO_MEMORY;
    m->tables[m->table_count].commands = commands;
    m->tables[m->table_count++].count = count;
    return HV_OK;
}

/* --- output --- */

static void out_append(struct monitor *m, const char *text, size_t length)
{
    if (m->out_bytes - m->out_used < length + 2) {
        m->lost_lines++;
        return;
    }
    for (size_t i = 0; i < length; i++)
        m->out[m->out_used++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    m->out[m->out_used++] = '\r';
    m->out[m->out_used++] = '\n';
}

void monitor_print(struct monitor *m, const char *format, ...)
{
    char line[MONITOR_PRINT_BYTES];
    va_list args;

    va_start(args, format);
    int wanted = hv_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    out_append(m, line, hv_min_u64((uint64_t)(wanted < 0 ? 0 : wanted), sizeof(line) - 1));
}

/* --- the line --- */

static void show_line(struct monitor *m)
{
    char back[16];

    put_text(m, "\r" PROMPT);
    put(m, m->editor.text, m->editor.length);
    put_text(m, "\x1b[K");
    if (m->editor.cursor < m->editor.length) {
        hv_snprintf(back, sizeof(back), "\x1b[%uD", m->editor.length - m->editor.cursor);
        put_text(m, back);
    }
}

void monitor_redraw(struct monitor *m)
{
    if (m->open && m->prompted)
        show_line(m);
}

static void prompt(struct monitor *m)
{
    m->prompted = true;
    show_line(m);
}

/* --- commands --- */

static const struct monitor_command *command_at(const struct monitor *m, unsigned index)
{
    for (unsigned t = 0; t < m->table_count; t++) {
        if (index < m->tables[t].count)
            return &m->tables[t].commands[index];
        index -= m->tables[t].count;
    }
    return NULL;
}

/* By its whole name, or by a beginning that only one has. */
static const struct monitor_command *find(const struct monitor *m, const char *word,
                                          unsigned *matches)
{
    const struct monitor_command *command, *found = NULL;
    size_t length = strlen(word);

    *matches = 0;
    for (unsigned i = 0; (command = command_at(m, i)); i++) {
        if (strcmp(command->name, word) == 0) {
            *matches = 1;
            return command;
        }
        if (strncmp(command->name, word, length) == 0) {
            (*matches)++;
            found = command;
        }
    }
    return *matches == 1 ? found : NULL;
}

static void run_help(struct monitor *m, unsigned count, char *const words[])
{
    const char *of = count > 1 ? words[1] : NULL;
    const struct monitor_command *command;
    char usage[64];
    bool any = false;

    for (unsigned i = 0; (command = command_at(m, i)); i++) {
        if (of && strncmp(command->name, of, strlen(of)) != 0)
            continue;
        hv_snprintf(usage, sizeof(usage), "%s %s", command->name, command->arguments);
        monitor_print(m, "  %-30s %s", usage, command->help);
        any = true;
    }
    if (!any)
        monitor_print(m, "no command begins with '%s'; 'help' shows all", of);
    if (of)
        return;
    monitor_print(m, "A command may be shortened. VM is a name or number, and may be left out while "
                     "there is one.");
    monitor_print(m, "Addresses are hexadecimal, other numbers decimal unless 0x stands in front. "
                     "Ctrl-C ends a listing.");
}

static void run_quit(struct monitor *m, unsigned count, char *const words[])
{
    (void)count;
    (void)words;
    monitor_close(m);
}

static const struct monitor_command own_commands[] = {
    { "help", "[COMMAND]", "this list", run_help },
    { "quit", "", "back to the guest (also Ctrl-D)", run_quit },
    { "continue", "", "the same", run_quit },
};

void monitor_init(struct monitor *m, const struct monitor_env *env, char *out, size_t out_bytes)
{
    memset(m, 0, sizeof(*m));
    m->env = *env;
    m->out = out;
    m->out_bytes = out_bytes;
    m->tables[m->table_count].commands = own_commands;
    m->tables[m->table_count++].count = HV_ARRAY_COUNT(own_commands);
}

static void run_words(struct monitor *m, unsigned count, char *words[])
{
    unsigned matches;
    const struct monitor_command *command;

    if (count > MONITOR_MAX_WORDS) {
        monitor_print(m, "%u words; no command takes more than %u", count, MONITOR_MAX_WORDS);
        return;
    }
    command = find(m, words[0], &matches);
    if (command)
        command->run(m, count, words);
    else if (matches)
        monitor_print(m, "'%s' may be one of %u commands; 'help %s' shows them", words[0], matches,
                      words[0]);
    else
        monitor_print(m, "no command '%s'; 'help' shows all", words[0]);
}

static void run_line(struct monitor *m)
{
    char line[MONITOR_LINE_BYTES + 1];
    char *words[MONITOR_MAX_WORDS];
    unsigned count;

    memcpy(line, m->editor.text, sizeof(line));
    line_editor_next(&m->editor);
    put_text(m, "\r\n");
    m->prompted = false;
    m->out_used = m->out_shown = 0;
    m->lost_lines = 0;
    count = monitor_split(line, words);
    if (count)
        run_words(m, count, words);
}

/* The names that begin with what was typed: completed as far as they agree. */
static void complete(struct monitor *m)
{
    const struct monitor_command *command;
    const char *first = NULL;
    size_t typed = m->editor.length, common = 0;
    unsigned matches = 0;

    if (m->editor.cursor != m->editor.length || memchr(m->editor.text, ' ', typed))
        return;
    for (unsigned i = 0; (command = command_at(m, i)); i++) {
        if (strncmp(command->name, m->editor.text, typed) != 0)
            continue;
        if (!first) {
            first = command->name;
            common = strlen(first);
        }
        while (strncmp(first, command->name, common) != 0)
            common--;
        matches++;
    }
    if (!first)
        return;
    line_editor_insert(&m->editor, first + typed, common - typed);
    if (matches == 1)
        line_editor_insert(&m->editor, " ", 1);
    show_line(m);
}

/* --- keys --- */

static void edit(struct monitor *m, uint8_t byte)
{
    switch (line_editor_key(&m->editor, byte)) {
    case LINE_APPENDED:
        put(m, &m->editor.text[m->editor.length - 1], 1);
        break;
    case LINE_CHANGED:
        show_line(m);
        break;
    case LINE_COMPLETE:
        complete(m);
        break;
    case LINE_ENTERED:
        run_line(m);
        break;
    case LINE_CANCELLED:
        m->editor.history_back = 0;
        m->editor.length = m->editor.cursor = 0;
        m->editor.text[0] = '\0';
        put_text(m, "^C\r\n");
        show_line(m);
        break;
    case LINE_LEFT:
        put_text(m, "\r\n");
        monitor_close(m);
        break;
    case LINE_SAME:
        break;
    }
}

static bool showing(const struct monitor *m)
{
    return m->open && !m->prompted;
}

/* While lines are on their way, keys wait; but for Ctrl-C, which ends the listing. */
static void wait_key(struct monitor *m, uint8_t byte)
{
    if (byte == CTRL_C) {
        m->out_shown = m->out_used;
        m->lost_lines = 0;
        m->ahead_count = 0;
        put_text(m, "^C\r\n");
    } else if (m->ahead_count < sizeof(m->ahead)) {
        m->ahead[m->ahead_count++] = byte;
    }
}

void monitor_open(struct monitor *m)
{
    m->fresh = true;
    if (m->open)
        return;
    m->open = true;
    m->out_used = m->out_shown = 0;
    put_text(m, "\r\n");
    prompt(m);
}

static bool key_selects(struct monitor *m, uint8_t byte)
{
    if (byte < '0' || byte > '9' || !m->env.select)
        return false;
    put_text(m, "\r\n");
    monitor_close(m);
    m->env.select(m->env.context, byte == '0' ? 9u : (unsigned)(byte - '1'));
    return true;
}

bool monitor_key(struct monitor *m, uint8_t byte)
{
    if (!m->open) {
        if (byte != MONITOR_OPEN_KEY)
            return false;
        monitor_open(m);
        return true;
    }
    if (m->fresh && byte == MONITOR_OPEN_KEY) {
        put_text(m, "\r\n");
        monitor_close(m);
        return false;
    }
    if (m->fresh && key_selects(m, byte))
        return true;
    m->fresh = false;
    if (showing(m))
        wait_key(m, byte);
    else
        edit(m, byte);
    return true;
}

void monitor_close(struct monitor *m)
{
    m->open = m->prompted = false;
    m->ahead_count = 0;
    m->editor.escape = 0;
    m->out_used = m->out_shown = 0;
}

/* --- lines on their way --- */

static size_t next_part(const struct monitor *m, size_t most_bytes)
{
    size_t left = m->out_used - m->out_shown, end = 0;

    /* Whole lines: a line of somebody else may come in between. */
    while (end < left) {
        const char *newline = memchr(m->out + m->out_shown + end, '\n', left - end);
        size_t line_end = (size_t)(newline - (m->out + m->out_shown)) + 1;
        if (end && line_end > most_bytes)
            break;
        end = line_end;
    }
    return end;
}

bool monitor_show(struct monitor *m, size_t most_bytes)
{
    size_t part;

    if (!showing(m))
        return false;
    part = next_part(m, most_bytes);
    put(m, m->out + m->out_shown, part);
    m->out_shown += part;
    if (m->out_shown < m->out_used)
        return true;
    if (m->lost_lines) {
        m->out_used = m->out_shown = 0;
        unsigned lost = m->lost_lines;
        m->lost_lines = 0;
        monitor_print(m, "(%u more lines had no room)", lost);
        return true;
    }
    prompt(m);
    while (m->ahead_count && m->prompted) {
        uint8_t byte = m->ahead[0];
        memmove(m->ahead, m->ahead + 1, --m->ahead_count);
        edit(m, byte);
    }
    return showing(m);
}
