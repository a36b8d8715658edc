/*
 * What the two halves of a task switch share. Internal to arch/x86/emul; see x86/task_switch.h.
 * One struct task_run lives on the stack for one switch; no lock.
 */
#ifndef EMUL_TASK_H
#define EMUL_TASK_H

#include "x86/task_switch.h"
#include "x86/vmx_bits.h"

#define TASK_TYPE_TSS16 1u
#define TASK_TYPE_TSS32 9u
#define TASK_TYPE_BUSY 2u

/* Lost races for a descriptor before it is given up. */
#define TASK_RETRIES_MAX 64u

struct task_descriptor {
    uint32_t low, high;
    gva_t at;
    bool in_table;             /* the selector is not null and lies within its table */
};

struct task_run {
    struct task_cpu *cpu;
    const struct task_request *request;
    const struct task_ops *ops;
    void *ctx;
    struct x86_fault *fault;
};

/* What the new TSS holds. */
struct task_image {
    uint32_t cr3, eip, eflags;
    uint32_t gprs[8];
    uint16_t selectors[X86_SEG_COUNT];
    uint16_t ldt;
    bool trap;
};

static inline bool selector_is_null(uint16_t selector)
{
    return (selector & 0xfffcu) == 0;
}

static inline bool in_ldt(uint16_t selector)
{
    return selector & 4u;
}

static inline unsigned rpl_of(uint16_t selector)
{
    return selector & 3u;
}

static inline uint32_t descriptor_rights(const struct task_descriptor *d)
{
    return vmx_ar_from_descriptor(d->high);
}

static inline unsigned descriptor_dpl(const struct task_descriptor *d)
{
    return vmx_ar_dpl(descriptor_rights(d));
}

static inline bool is_code(uint32_t rights)
{
    return (rights & (VMX_AR_S | VMX_AR_CODE)) == (VMX_AR_S | VMX_AR_CODE);
}

static inline bool task_tss_is_32bit(uint32_t rights)
{
    return (rights & VMX_AR_TYPE_MASK & ~TASK_TYPE_BUSY) == TASK_TYPE_TSS32;
}

static inline bool task_nests(const struct task_run *t)
{
    return t->request->source == TASK_CALL || t->request->source == TASK_GATE;
}

uint32_t task_descriptor_base(const struct task_descriptor *d);
uint32_t task_descriptor_limit(const struct task_descriptor *d);
struct task_segment task_segment_of(uint16_t selector, const struct task_descriptor *d);

/* Fills in the fault, with the selector and EXT as its error code. Gives EMUL_FAULT. */
enum emul_status task_fail(struct task_run *t, enum x86_exception vector, uint16_t selector);

/* Reads the descriptor that `selector` names, if it names one: see `in_table`. */
enum emul_status task_descriptor_read(struct task_run *t, uint16_t selector,
                                      struct task_descriptor *d);

/* Sets bits of the type field of a descriptor that has been read, in memory and in `d`; EMUL_RETRY
 * if it is another one in memory now. */
enum emul_status task_descriptor_mark(struct task_run *t, struct task_descriptor *d, uint8_t bits);

/* The commit point: from here on `t->cpu` is the new task, with no descriptor loaded but TR's. */
void task_enter(struct task_run *t, const struct task_segment *tr, const struct task_image *image);

/* CR3, LDTR and the segments, with the table's checks from "LDT segment selector" on. */
enum emul_status task_load(struct task_run *t, const struct task_image *image);

#endif
