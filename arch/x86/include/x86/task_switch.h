/*
 * Hardware task switches, done by software: a VM exit comes in place of every one of them.
 *
 * Pure: the processor's state is a plain structure, memory and CR3 come in through
 * `struct task_ops`. Not here: the checks on gates and privilege, which the processor makes before
 * it exits; where the state lives; the delivery of the faults.
 * Only outside of IA-32e mode; there is no task switch in it.
 * No lock: a TSS is claimed by a compare-exchange of its busy bit, as the processor does.
 * SDM volume 3 "Task Management", "Treatment of Task Switches" (VMX non-root operation).
 */
#ifndef X86_TASK_SWITCH_H
#define X86_TASK_SWITCH_H

#include "x86/emul.h"

/* Who asks for the switch; numbered as "Exit Qualification for Task Switches" does. */
enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

/* A segment register, or LDTR or TR. Access rights as the VMCS has them. */
struct task_segment {
    uint16_t selector;
    uint32_t base;
    uint32_t limit;
    uint32_t rights;
};

/* All that a task switch reads and changes. */
struct task_cpu {
    uint32_t gprs[8];                       /* by enum x86_gpr */
    uint32_t eip;                           /* to go on at: what the old TSS is to hold */
    uint32_t eflags;
    struct task_segment segments[X86_SEG_COUNT];
    struct task_segment ldtr, tr;
    uint32_t gdt_base, gdt_limit;
    uint64_t cr0;
    uint32_t dr7;
};

struct task_request {
    uint16_t selector;   /* of the new TSS */
    uint8_t source;      /* enum task_source */
    bool external;       /* faults get the EXT bit: delivery of an interrupt or exception, but not
                            of INT n, INT3, INTO */
};

/*
 * Memory is accessed as "implicit supervisor-mode access", but by `push`: with the new task's CPL.
 * Each gives EMUL_OK; EMUL_FAULT with `fault` filled in; or EMUL_ABORT, having recorded why.
 */
struct task_ops {
    enum emul_status (*read)(void *ctx, gva_t linear, unsigned size_bytes, void *bytes,
                             struct x86_fault *fault);
    enum emul_status (*write)(void *ctx, gva_t linear, unsigned size_bytes, const void *bytes,
                              struct x86_fault *fault);
    /* Could all of it be accessed? */
    enum emul_status (*probe)(void *ctx, gva_t linear, unsigned size_bytes, bool write,
                              struct x86_fault *fault);
    /* Replaces one byte in one atomic step; EMUL_RETRY if it no longer is `expected`. */
    enum emul_status (*exchange)(void *ctx, gva_t linear, uint8_t expected, uint8_t desired,
                                 struct x86_fault *fault);
    /* Loads CR3, and with PAE paging the PDPTEs. What is accessed after it, is so through it. */
    enum emul_status (*load_cr3)(void *ctx, uint32_t value, struct x86_fault *fault);
    enum emul_status (*push)(void *ctx, gva_t linear, unsigned size_bytes, const void *bytes,
                             struct x86_fault *fault);
};

enum task_result {
    TASK_DONE,
    TASK_FAULT_BEFORE, /* nothing has changed; the fault is the old task's */
    TASK_FAULT_AFTER,  /* the switch has happened; the fault comes before the first instruction */
    TASK_ABORT,        /* an operation gave up */
};

struct task_outcome {
    struct x86_fault fault;
    bool is_32bit;     /* the new TSS is; the width of an error code on its stack */
    bool debug_trap;   /* its T flag is set: #DB with DR6.BT is due */
};

/*
 * Switches `cpu` to the task that `request` names: SDM "Task Switching", with the checks of the
 * table "Exception Conditions Checked During a Task Switch" in its order. After TASK_DONE and
 * TASK_FAULT_AFTER `cpu` holds the new task and is fit for VM entry: a segment that was not reached
 * before a fault has its selector and is unusable, and CS is a stand-in of the right privilege.
 */
enum task_result task_switch(struct task_cpu *cpu, const struct task_request *request,
                             const struct task_ops *ops, void *ctx, struct task_outcome *outcome);

/*
 * Pushes the error code of the exception that a task gate was to handle on the new task's stack.
 * Called when everybody else sees `cpu` already. Gives TASK_DONE, TASK_FAULT_AFTER or TASK_ABORT.
 */
enum task_result task_push_error(struct task_cpu *cpu, uint32_t error, bool external,
                                 const struct task_ops *ops, void *ctx,
                                 struct task_outcome *outcome);

/*
 * LLDT and LTR, also in IA-32e mode, which has no 16-bit TSS; in 64-bit mode descriptors have 16
 * bytes. `wide_base` is the base in full. Gives EMUL_OK with `out` (unusable for LLDT of a null selector),
 * EMUL_FAULT, or EMUL_ABORT. SDM volume 2 "LLDT", "LTR".
 */
struct system_segment_request {
    uint16_t selector;
    bool is_tr;
    bool ia32e;
    bool mode64;
    uint64_t gdt_base;
    uint32_t gdt_limit;
};

enum emul_status system_segment_load(const struct system_segment_request *request,
                                     const struct task_ops *ops, void *ctx,
                                     struct task_segment *out, uint64_t *wide_base,
                                     struct x86_fault *fault);

#endif
