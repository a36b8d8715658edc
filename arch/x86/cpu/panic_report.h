/*
 * What a panic says. Called by the core that owns it, one line after the other.
 */
#ifndef CPU_PANIC_REPORT_H
#define CPU_PANIC_REPORT_H

#include "x86/panic.h"
#include "x86/percpu.h"

/* Which exception, and what belongs to it. */
void panic_report_exception(const struct trap_frame *frame, unsigned core);

/* Where, registers, what ran last, who called, the other cores. `cpu` may be NULL. */
void panic_report_state(const struct trap_frame *frame, const struct percpu *cpu);

/* The report as a picture, on screens: the last thing, since it is the largest. */
void panic_report_show_code(void);

#endif
