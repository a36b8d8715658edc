// SRCS: vmm/monitor/monitor.c vmm/monitor/line_editor.c vmm/monitor/words.c vmm/lib/format.c
/* Any keys, with output shown in between: nothing is overrun, what is shown is printable, and a way
 * out always works. Bytes 0xfe and 0xff of the input show a piece and redraw. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hv/monitor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void shown(void *context, const char *bytes, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++)
        check((bytes[i] >= ' ' && bytes[i] <= '~') || strchr("\r\n\x1b", bytes[i]));
}

static void run_words(struct monitor *m, unsigned count, char *const words[])
{
    uint64_t number;

    check(count >= 1 && count <= MONITOR_MAX_WORDS);
    for (unsigned i = 0; i < count; i++) {
        size_t length = strlen(words[i]);
        check(length > 0 && length <= MONITOR_LINE_BYTES && !memchr(words[i], ' ', length));
        for (unsigned base = 10; base <= 16; base += 6) {
            if (monitor_number(words[i], base, &number))
                monitor_print(m, "%s is %llu", words[i], (unsigned long long)number);
        }
        monitor_print(m, "%s %s %s", words[i], words[0], words[count - 1]);
    }
}

static const struct monitor_command commands[] = {
    { "vms", "", "", run_words },
    { "trace", "", "", run_words },
    { "traps", "", "", run_words },
};

static void check_editor(const struct line_editor *e)
{
    check(e->length <= MONITOR_LINE_BYTES && e->cursor <= e->length);
    check(strlen(e->text) == e->length);
    check(e->history_back <= MONITOR_HISTORY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const struct monitor_env env = { shown, NULL, NULL };
    struct monitor *m = malloc(sizeof(*m));
    size_t room = 300;
    char *out = malloc(room);

    monitor_init(m, &env, out, room);
    check(monitor_add(m, commands, HV_ARRAY_COUNT(commands)) == HV_OK);
    for (size_t i = 0; i < bytes; i++) {
        bool was_open = m->open;
        if (data[i] == 0xff)
            monitor_show(m, 50);
        else if (data[i] == 0xfe)
            monitor_redraw(m);
        else if (!monitor_key(m, data[i]))
            check(!m->open && (!was_open || data[i] == MONITOR_OPEN_KEY));
        check_editor(&m->editor);
        check(m->out_shown <= m->out_used && m->out_used <= room);
        check(m->ahead_count <= sizeof(m->ahead));
    }
    /* Ctrl-C, then a line of its own: it closes. */
    if (m->open) {
        for (unsigned i = 0; i < 200 && monitor_show(m, 50); i++)
            ;
        monitor_key(m, 0x03);
        monitor_show(m, 50);
        for (const char *key = "\x03quit\r"; *key; key++)
            monitor_key(m, (uint8_t)*key);
        check(!m->open);
    }
    free(out);
    free(m);
    return 0;
}
