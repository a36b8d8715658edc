/*
 * For each rule of the entry checks a value that just passes and one that just fails: as data, for
 * the unit test and for whoever enters them for real. They start from the VMCS of
 * vmx_check_world.h. Header-only.
 */
#ifndef VMX_CHECK_CASES_H
#define VMX_CHECK_CASES_H

#include "vmx_check_world.h"

enum check_operation { CHECK_SET, CHECK_ON, CHECK_OFF };

struct check_set {
    bool used;
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

/* CASE(rule, FIELD, good value, bad value, SETUP(...), TWEAK(...), ALSO(...)): the last three may
 * be left out. A setup is SET(FIELD, value), ON(FIELD, bits) or OFF(FIELD, bits). In a MEMORY_CASE the
 * values go to an offset in the memory at WORLD_MEMORY, with a number of bytes. */
#define CASE(rule_, field_, good_, bad_, ...) \
    { .rule = #rule_, .field = VMCS_INDEX_##field_, .good = (good_), .bad = (bad_), __VA_ARGS__ },
#define MEMORY_CASE(rule_, offset, bytes, good_, bad_, ...)                               \
    { .rule = #rule_, .on_memory = true, .memory_offset = (offset),                       \
      .memory_bytes = (bytes), .good = (good_), .bad = (bad_), __VA_ARGS__ },
#define SETUP(...) .setup = { __VA_ARGS__ }
#define TWEAK(...) .tweak = { __VA_ARGS__ }
#define ALSO(rule_) .also = #rule_
#define SET(field_, value_) { true, CHECK_SET, VMCS_INDEX_##field_, (value_) }
#define ON(field_, value_) { true, CHECK_ON, VMCS_INDEX_##field_, (value_) }
#define OFF(field_, value_) { true, CHECK_OFF, VMCS_INDEX_##field_, (value_) }

static const struct check_case check_cases[] = {
#include "vmx_check_execution.def"
#include "vmx_check_exit_entry.def"
#include "vmx_check_host.def"
#include "vmx_check_segments.def"
#include "vmx_check_guest.def"
};

#undef CASE
#undef MEMORY_CASE
#undef SETUP
#undef TWEAK
#undef ALSO
#undef SET
#undef ON
#undef OFF

static const size_t check_cases_count = HV_ARRAY_COUNT(check_cases);

#endif
