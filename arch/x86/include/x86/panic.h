/*
 * The end of the road: reports on every console, other cores stopped. hv_panic (hv/panic.h) is the
 * front door; these are for the trap code.
 */
#ifndef X86_PANIC_H
#define X86_PANIC_H

#include "hv/types.h"
#include "x86/trap.h"

/* Where the image lies, so that addresses are printed as offsets into it. Boot core, once. */
void panic_init(uint64_t text_start, uint64_t text_bytes);

struct percpu;

/* What knows the guests says in a panic which one ran on the core that reports. Boot core, once. */
void panic_set_guest_report(void (*say)(const struct percpu *cpu));
/* A line of the report. For the reporting core. */
void panic_line(const char *format, ...) HV_PRINTF(1, 2);

/* What hv_panic (traps.asm) goes on to, with its arguments. */
HV_NORETURN void panic_assertion(const char *format, ...) HV_PRINTF(1, 2);

/* An exception of the hypervisor itself: registers, backtrace, halt. */
HV_NORETURN void panic_exception(const struct trap_frame *frame);

/* Is another core panicking? For the NMI handler. */
bool panic_is_active(void);

/* Halts this core for good, on behalf of a panic elsewhere; tells where it was. */
HV_NORETURN void panic_stop_this_core(const struct trap_frame *frame);

/* Halts this core for good, interrupts off. */
HV_NORETURN void cpu_halt_forever(void);

#endif
