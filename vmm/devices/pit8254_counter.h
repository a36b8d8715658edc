/*
 * One counter of an 8254: how OUT and the counting element follow from what was programmed and from
 * how many CLK pulses have passed. Pure; the caller brings the time in ticks of CLK.
 *
 * Not the ports, not the interrupt: pit8254.c has those.
 *
 * Lock: the caller's.
 * Source: 8254 data sheet, "Mode Definitions", "Counter Latch Command", "Read-Back Command", "Gate
 * Pin Operations Summary".
 */
#ifndef VMM_DEVICES_PIT8254_COUNTER_H
#define VMM_DEVICES_PIT8254_COUNTER_H

#include "hv/dev_pit8254.h"

#define PIT_TICK_AT_TRIGGER UINT64_MAX /* pending_tick: not before the next trigger */
#define PIT_TICK_NEVER UINT64_MAX

/* Every function takes the present tick and brings the counter up to it first. Ticks never go
 * backwards from call to call, but for pit_counter_next_edge's. */

/* The control word for this counter; `control` holds its low six bits, access is not 0. */
void pit_counter_control(struct pit8254_counter_state *c, uint8_t control, uint64_t tick);

/* Loads a count whose time has come. */
void pit_counter_sync(struct pit8254_counter_state *c, uint64_t tick);

/* A byte written to the counter's port. */
void pit_counter_write(struct pit8254_counter_state *c, uint8_t value, uint64_t tick);

/* A byte read from the counter's port. */
uint8_t pit_counter_read(struct pit8254_counter_state *c, uint64_t tick);

void pit_counter_latch_count(struct pit8254_counter_state *c, uint64_t tick);
void pit_counter_latch_status(struct pit8254_counter_state *c, uint64_t tick);
void pit_counter_set_gate(struct pit8254_counter_state *c, bool gate, uint64_t tick);
bool pit_counter_out(struct pit8254_counter_state *c, uint64_t tick);

/* The first tick after `tick` at which OUT rises, or PIT_TICK_NEVER. Changes nothing. */
uint64_t pit_counter_next_edge(const struct pit8254_counter_state *c, uint64_t tick);

/* 0 to 5. */
unsigned pit_counter_mode(const struct pit8254_counter_state *c);

/* Modes 2 and 3. */
bool pit_counter_is_periodic(const struct pit8254_counter_state *c);

bool pit_counter_check(const struct pit8254_counter_state *c);

/* Brings the times of a loaded state into the range that `tick` allows. */
void pit_counter_loaded(struct pit8254_counter_state *c, uint64_t tick);

#endif
