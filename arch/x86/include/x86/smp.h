/*
 * What smp_start.asm and smp.c share.
 */
#ifndef X86_SMP_H
#define X86_SMP_H

#include "hv/types.h"

struct percpu;

/* Top of the stack that starting cores share, and its lock (1: taken). */
extern uint64_t smp_first_stack;
extern uint32_t smp_first_stack_lock;

uint64_t smp_claim(void);

/* The block that waits for the core with this id, which is online from here on. NULL: nobody waits
 * for it (any more). Without logging, and without this_cpu(). */
struct percpu *smp_claim_block(uint32_t apic_id);

HV_NORETURN void smp_core_main(struct percpu *cpu);

#endif
