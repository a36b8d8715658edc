/*
 * The operator's monitor: a prompt on the machine's console, opened by Ctrl-A, whose commands show
 * and steer VMs. Files of vmm/ and of arch/ register commands; the VMs go on running meanwhile.
 *
 * `struct monitor` itself is pure (line editor, words, table of commands, output buffer); what ties
 * it to the machine is vmm/monitor/operator.c.
 * Lock: none. A monitor is used by one core at a time: the core that polls the console, or a
 * core that answers a question of it (core_ask) while that one waits.
 */
#ifndef HV_MONITOR_H
#define HV_MONITOR_H

#include "hv/types.h"

#define MONITOR_OPEN_KEY 0x01 /* Ctrl-A */
#define MONITOR_LINE_BYTES 68 /* with the prompt in front, it fits into 80 columns */
#define MONITOR_HISTORY 16
#define MONITOR_MAX_WORDS 8
#define MONITOR_MAX_TABLES 4
#define MONITOR_PRINT_BYTES 512

struct monitor;
struct vm;

struct monitor_command {
    const char *name;
    const char *arguments; /* as help shows them: "VM [COUNT]" */
    const char *help;      /* one line */
    /* words[0] is the command's name; all are terminated; count is at most MONITOR_MAX_WORDS. */
    void (*run)(struct monitor *m, unsigned count, char *const words[]);
};

/* --- what is typed: vmm/monitor/line_editor.c --- */

struct line_editor {
    char text[MONITOR_LINE_BYTES + 1];
    unsigned length, cursor;
    char history[MONITOR_HISTORY][MONITOR_LINE_BYTES + 1];
    unsigned history_count;  /* lines ever entered */
    unsigned history_back;   /* how many lines back the shown one is; 0: the new one */
    char saved[MONITOR_LINE_BYTES + 1]; /* the new one, while older ones are shown */
    uint8_t escape;          /* how much of an escape sequence has been seen */
    uint8_t parameter;
    uint8_t last_byte;       /* for CR LF */
};

enum line_result {
    LINE_SAME,      /* nothing to show */
    LINE_CHANGED,   /* show it anew */
    LINE_APPENDED,  /* one character came to its end: show that */
    LINE_ENTERED,   /* `text` is a line; line_editor_next() begins the next one */
    LINE_CANCELLED, /* Ctrl-C */
    LINE_LEFT,      /* Ctrl-D on an empty line */
    LINE_COMPLETE,  /* Tab: the owner may complete the word before the cursor */
};

enum line_result line_editor_key(struct line_editor *editor, uint8_t byte);
/* Keeps `text` in the history (unless empty or the same as the last) and empties it. */
void line_editor_next(struct line_editor *editor);
/* Types a string: as much of it as there is room for. */
void line_editor_insert(struct line_editor *editor, const char *text, size_t bytes);

/* --- words: vmm/monitor/words.c --- */

/* Cuts a line at blanks, in place. Returns how many words there are; above MONITOR_MAX_WORDS the
 * rest is not cut: a caller compares. */
unsigned monitor_split(char *line, char *words[MONITOR_MAX_WORDS]);
/* Hexadecimal with 0x in front, else decimal (or hexadecimal, for addresses: `base` 16). The whole
 * word must be a number that fits. */
bool monitor_number(const char *word, unsigned base, uint64_t *value);

/* --- the monitor: vmm/monitor/monitor.c --- */

/* Where its text goes. */
struct monitor_env {
    void (*write)(void *context, const char *bytes, size_t count);
    void *context;
    /* Shows a pane of the console, counted from 0; NULL: there are none. */
    void (*select)(void *context, unsigned pane);
};

struct monitor {
    struct monitor_env env;
    struct line_editor editor;
    struct { const struct monitor_command *commands; unsigned count; } tables[MONITOR_MAX_TABLES];
    unsigned table_count;
    char *out;                /* lines of commands, on their way to the console */
    size_t out_bytes, out_used, out_shown;
    unsigned lost_lines;      /* that had no room */
    uint8_t ahead[32];        /* keys typed while lines were on their way */
    unsigned ahead_count;
    bool open;
    bool fresh;               /* nothing was typed since it was opened */
    bool prompted;            /* the prompt is shown */
};

/* `out` is room for what one command prints. */
void monitor_init(struct monitor *m, const struct monitor_env *env, char *out, size_t out_bytes);
/* HV_ERR_NO_MEMORY: MONITOR_MAX_TABLES are in use. */
enum hv_err monitor_add(struct monitor *m, const struct monitor_command *commands,
                        unsigned count) HV_MUST_CHECK;
/* Shows the prompt, if it is not shown; the next key is one that follows Ctrl-A. */
void monitor_open(struct monitor *m);
/* A key of the operator. False: it is the guest's. Ctrl-A opens the monitor; typed again at once it
 * closes it and is the guest's; a digit (0 for ten) at once closes it and shows that pane. */
bool monitor_key(struct monitor *m, uint8_t byte);
/* Shows the next lines of a command's output, at most `most_bytes` but at least one line. True: there
 * are more. */
bool monitor_show(struct monitor *m, size_t most_bytes);
/* The prompt and what stands behind it, on a fresh line: something else has been printed. */
void monitor_redraw(struct monitor *m);
void monitor_close(struct monitor *m);
/* One line of output, for commands: cut at MONITOR_PRINT_BYTES - 1; control characters in it are
 * shown as '?'. */
void monitor_print(struct monitor *m, const char *format, ...) HV_PRINTF(2, 3);

/* --- the machine's one: vmm/monitor/operator.c --- */

/* Boot core, before VMs run. Without memory there is no monitor, which is said. */
void operator_start(void);
/* Adds commands to the machine's monitor, from anywhere that is initialized before operator_start. */
void operator_add(const struct monitor_command *commands, unsigned count);
bool operator_is_open(void);
/* A key that was typed where this pane is shown: false if it is the guest's. */
bool operator_key(uint8_t byte, unsigned pane);
/* The operator has changed to a pane: the monitor's has a prompt. */
void operator_pane_changed(unsigned pane);
/* Closes the monitor and shows a pane. False: there is no such pane, and nothing is done. */
bool operator_leave_to(unsigned pane);
/* Every turn of the console's poll. True: output waits, come back soon. */
bool operator_poll(void);

/* The VM of that name or index, or NULL. */
struct vm *operator_find_vm(const char *word);
/* The VM of that name or index, or NULL. */
struct vm *operator_find_vm(const char *word);

/* The VM that a command names by name or index; NULL, with a message, when there is none. With
 * `count` <= `index` it is the only VM, if there is only one. */
struct vm *operator_vm(struct monitor *m, unsigned count, char *const words[], unsigned index);

#endif
