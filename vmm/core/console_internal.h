/*
 * Between the parts of the console: console.c decides what goes where, console_view.c knows the
 * backends and what each of them shows. All of it is called with the console's lock.
 */
#ifndef CORE_CONSOLE_INTERNAL_H
#define CORE_CONSOLE_INTERNAL_H

#include "hv/console.h"

/* --- console.c --- */

/* The open stream of a guest's pane, or NULL. */
const struct console_stream *console_stream_at(unsigned pane);
bool console_in_panic(void);

/* --- console_view.c --- */

/* False: there are CONSOLE_MAX_BACKENDS. */
bool views_add(const struct hv_console_backend *backend, const struct console_pane_ops *panes);
unsigned views_count(void);
/* Text of one pane: kept, where nobody else keeps it, and shown by those that show the pane. */
void views_put(unsigned pane, const char *bytes, size_t n);
/* A line for backends that show another pane than `all`, the monitor's or the log's. */
void views_put_elsewhere(const char *line, size_t n);
void views_flush(void);
bool views_are_busy(void);
void views_panic(void);
void views_show_code(const char *text, size_t n);
int views_read(unsigned *pane);
bool views_select(unsigned pane);
void views_leave_monitor(void);
/* A pane is gone: who shows it shows all. */
void views_forget(unsigned pane);

#endif
