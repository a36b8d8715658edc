/*
 * Between the two halves of the comparison with the processor: explain_run.c chooses and compares,
 * explain_host.c enters and comes back. Private to explain*.c.
 */
#ifndef ARCH_X86_VMX_EXPLAIN_H
#define ARCH_X86_VMX_EXPLAIN_H

#include "arch/x86/vmx/check_cases.h"

/* What a VM exit may have loaded wrong. */
struct explain_host {
    uint64_t cr0, cr3, cr4;
    uint64_t efer, pat;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
};

enum explain_kind {
    EXPLAIN_ENTERS,             /* `number`: the exit's reason */
    EXPLAIN_VMFAIL_INVALID,
    EXPLAIN_ERROR,              /* VMfailValid; `number`: the VM-instruction error */
    EXPLAIN_EXIT,               /* failed later; `number`: 33 or 34, with `qualification` */
};

struct explain_verdict {
    enum explain_kind kind;
    uint32_t number;
    uint64_t qualification;
};

/* --- explain_select.c --- */

/* Whether `selection` ("all"; N, N-M or N-M/STEP; a rule, RULE.N, RULE.N.good) takes in the value
 * with this name and this number, counted from 1. */
bool explain_selects(const char *selection, const char *name, unsigned number);

/* --- explain_host.c --- */

/* Remembers this core's state; before the first entry. */
void explain_host_save(struct explain_host *host);

/* The fields of the host-state area as this core needs them. */
void explain_host_fields(const struct explain_host *host, struct world *w);

/* Makes the VMCS at `vmcs` hold w->v, enters it, and restores the core. False: a field could not be
 * written, whose index is in *field. */
bool explain_enter_world(const struct explain_host *host, const struct world *w, uint64_t vmcs,
                         struct explain_verdict *verdict, unsigned *field);

#endif
