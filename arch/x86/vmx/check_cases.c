/*
 * The cases of the entry checks: see check_cases.h.
 *
 * The lists are one long switch, since their values depend on the processor: the physical-address
 * width, the controls of the base, where the memory lies.
 */
#include "arch/x86/vmx/check_cases.h"

/* CASE(rule, FIELD, good value, bad value, SETUP(...), TWEAK(...), ALSO(...)): the last three may
 * be left out. A setup is SET(FIELD, value), ON(FIELD, bits) or OFF(FIELD, bits). In a MEMORY_CASE
 * the values go to an offset in the memory at WORLD_MEMORY, with a number of bytes. */
#define CASE(rule_, field_, good_, bad_, ...)                                              \
    if (i++ == *index) {                                                                    \
        *out = (struct check_case){ .rule = #rule_, .field = VMCS_INDEX_##field_,          \
                                    .good = (good_), .bad = (bad_), __VA_ARGS__ };         \
        return true;                                                                       \
    }
#define MEMORY_CASE(rule_, offset_, bytes_, good_, bad_, ...)                              \
    if (i++ == *index) {                                                                    \
        *out = (struct check_case){ .rule = #rule_, .on_memory = true,                     \
                                    .memory_offset = (offset_), .memory_bytes = (bytes_),  \
                                    .good = (good_), .bad = (bad_), __VA_ARGS__ };         \
        return true;                                                                       \
    }
#define SETUP(...) .setup = { __VA_ARGS__ }
#define TWEAK(...) .tweak = { __VA_ARGS__ }
#define ALSO(rule_) .also = #rule_
#define SET(field_, value_) { CHECK_SET, VMCS_INDEX_##field_, (value_) }
#define ON(field_, value_) { CHECK_ON, VMCS_INDEX_##field_, (value_) }
#define OFF(field_, value_) { CHECK_OFF, VMCS_INDEX_##field_, (value_) }

static bool controls_case(const struct world *w, size_t *index, struct check_case *out)
{
    size_t i = 0;
#include "arch/x86/vmx/check_cases_execution.def"
    *index -= i;
    return false;
}

static bool exit_entry_case(const struct world *w, size_t *index, struct check_case *out)
{
    size_t i = 0;
#include "arch/x86/vmx/check_cases_exit_entry.def"
    *index -= i;
    return false;
}

static bool host_case(const struct world *w, size_t *index, struct check_case *out)
{
    size_t i = 0;
#include "arch/x86/vmx/check_cases_host.def"
    *index -= i;
    return false;
}

static bool segments_case(const struct world *w, size_t *index, struct check_case *out)
{
    size_t i = 0;
#include "arch/x86/vmx/check_cases_segments.def"
    *index -= i;
    return false;
}

static bool guest_case(const struct world *w, size_t *index, struct check_case *out)
{
    size_t i = 0;
#include "arch/x86/vmx/check_cases_guest.def"
    *index -= i;
    return false;
}


bool check_case_get(const struct world *w, size_t index, struct check_case *out)
{
    return controls_case(w, &index, out) || exit_entry_case(w, &index, out) ||
           host_case(w, &index, out) || segments_case(w, &index, out) ||
           guest_case(w, &index, out);
}

static void apply_set(struct world *w, const struct check_set *set)
{
    uint64_t *field = &w->v[set->field];
    switch (set->operation) {
    case CHECK_SET:
        *field = set->value;
        break;
    case CHECK_ON:
        *field |= set->value;
        break;
    case CHECK_OFF:
        *field &= ~set->value;
        break;
    default:
        break;
    }
}

void check_case_apply(struct world *w, const struct check_case *test, bool good)
{
    uint64_t value = good ? test->good : test->bad;
    for (size_t i = 0; i < CHECK_TWEAKS && test->tweak[i]; i++)
        test->tweak[i](w);
    for (size_t i = 0; i < CHECK_SETS; i++)
        apply_set(w, &test->setup[i]);
    if (test->on_memory)
        memcpy(w->memory + test->memory_offset, &value, test->memory_bytes);
    else
        w->v[test->field] = value;
}
