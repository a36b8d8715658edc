/* Between the files of guest/lib only. */
#ifndef GUEST_INTERNAL_H
#define GUEST_INTERNAL_H

#include "guest.h"

#define STACK_BYTES 16384

extern const uint8_t guest_trap_entries[256 * 16];
extern const uint8_t guest_landing[], guest_user_return[];
extern const uint8_t guest_ap_page[], guest_ap_page_end[];
extern const uint8_t guest_real_page[], guest_real_page_end[];
extern uint8_t guest_stacks[GUEST_MAX_CPUS][STACK_BYTES];
extern uint64_t guest_pd[4 * 512];
extern uint32_t guest_boot_magic, guest_boot_info;
extern volatile uint32_t guest_ap_next;

bool guest_catch_enter(void (*fn)(void *), void *arg, uint64_t *stack_pointer);
bool guest_user_enter(uint64_t (*fn)(uint64_t), uint64_t arg, uint64_t *stack_pointer,
                      uint64_t flags, uint64_t user_stack);
void guest_mode_call(uint32_t code, struct mode_registers *registers, unsigned kind);

void guest_console_init(void);
void guest_start(void);
void guest_ap_start(unsigned cpu);
void guest_trap(struct trap_frame *frame);

/* Gates of every vector; then, for this processor, its TSS and task register. */
void guest_trap_init(void);
void guest_trap_init_cpu(unsigned cpu);

#endif
