/*
 * What an experiment's guest says to the laboratory: where it begins and ends, and what it has seen.
 *
 * Each is a VMCALL that the laboratory takes before the hypervisor's own handler and does not
 * record. The handler leaves "unknown hypercall" in RAX, as for any other program.
 */
#ifndef GUEST_LAB_H
#define GUEST_LAB_H

#include "guest.h"

#define LAB_MAGIC 0x4c41424fu /* in EAX; EBX: what; RCX, RDX: its operands */
enum { LAB_CALL_BEGIN = 1, LAB_CALL_END, LAB_CALL_VALUE, LAB_CALL_STAGE };

/* Memory for the experiment: 2 MB aligned, 2 MB, zeroed. */
#define LAB_MEMORY 0x400000ull
#define LAB_MEMORY_BYTES 0x200000ull

static inline void lab_call(uint64_t what, uint64_t c, uint64_t d)
{
    uint64_t a = LAB_MAGIC;

    __asm__ volatile("vmcall" : "+a"(a) : "b"(what), "c"(c), "d"(d) : "memory");
}

/* From here on exits are recorded, until lab_end(). */
static inline void lab_begin(void)
{
    lab_call(LAB_CALL_BEGIN, 0, 0);
}

static inline void lab_end(void)
{
    lab_call(LAB_CALL_END, 0, 0);
}

/* Reports a value: letters, digits, '-', '.' and '_', at most 31. */
static inline void lab_value(const char *name, uint64_t value)
{
    lab_call(LAB_CALL_VALUE, (uint64_t)name, value);
}

/* Carries out the experiment's "at <stage>" lines. */
static inline void lab_stage(unsigned stage)
{
    lab_call(LAB_CALL_STAGE, stage, 0);
}

/* Is this the variant of that name? */
bool lab_variant(const char *name);

/* Runs fn(arg) and reports under `name` which exception ended it: 255 for none. */
void lab_probe(const char *name, void (*fn)(void *), void *arg);

#endif
