/*
 * For each rule of the entry checks a value that just passes and one that just fails: as data, for
 * the unit test and for the processor itself. They start from the VMCS of check_world.h.
 * Pure; no lock.
 */
#ifndef ARCH_X86_VMX_CHECK_CASES_H
#define ARCH_X86_VMX_CHECK_CASES_H

#include "arch/x86/vmx/check_world.h"

enum check_operation { CHECK_NONE, CHECK_SET, CHECK_ON, CHECK_OFF };

struct check_set {
    uint8_t operation;
    uint16_t field;     /* index */
    uint64_t value;
};

#define CHECK_SETS 5
#define CHECK_TWEAKS 2

struct check_case {
    const char *rule;
    const char *also;   /* a second rule that the bad value can't help breaking */
    uint16_t field;     /* index; unless the values go into memory */
    uint64_t good, bad;
    struct check_set setup[CHECK_SETS];
    void (*tweak[CHECK_TWEAKS])(struct world *w);
    bool on_memory;
    uint16_t memory_offset;
    uint8_t memory_bytes;
};

/* Case `index`, with the values that it has in the base `w`. False: there are fewer. */
bool check_case_get(const struct world *w, size_t index, struct check_case *out);

/* Turns the base `w` into the case's VMCS with one of the two values. */
void check_case_apply(struct world *w, const struct check_case *test, bool good);

#endif
