/*
 * Checks of a device's table of snapshot fields, and a copy of a state that goes through the table
 * alone, so that a field that the table lacks is noticed. Header-only, after fake.h.
 */
#ifndef FAKE_FIELDS_H
#define FAKE_FIELDS_H

#include "fake.h"

/* Copies what the table names from one state to another and marks the bytes that it names. */
static inline void fake_fields_copy(const struct device_field *fields, const uint8_t *from,
                                    uint8_t *to, uint8_t *marks)
{
    for (; fields->name; fields++) {
        for (uint32_t i = 0; i < fields->count; i++) {
            size_t at = fields->offset + (size_t)i * fields->size_bytes;
            if (fields->nested) {
                fake_fields_copy(fields->nested, from + at, to + at, marks + at);
                continue;
            }
            for (uint32_t byte = 0; byte < fields->size_bytes; byte++) {
                to[at + byte] = from[at + byte];
                marks[at + byte]++;
            }
        }
    }
}

/* Is every byte of the state named exactly once, but for padding? Padding is less than 8 bytes in a
 * row. */
static inline bool fake_fields_cover(const struct device_ops *ops)
{
    uint8_t *from = calloc(1, ops->state_bytes), *to = calloc(1, ops->state_bytes);
    uint8_t *marks = calloc(1, ops->state_bytes);
    fake_fields_copy(ops->fields, from, to, marks);
    bool good = true;
    unsigned unnamed = 0;
    for (size_t i = 0; i < ops->state_bytes; i++) {
        unnamed = marks[i] ? 0 : unnamed + 1;
        if (marks[i] > 1 || unnamed >= 8)
            good = false;
    }
    free(from);
    free(to);
    free(marks);
    return good;
}

/* What loading a snapshot does: state by the table, `check`, then `loaded`. False: refused. */
static inline bool fake_fields_load(struct device *to, const struct device *from)
{
    const struct device_ops *ops = to->ops;
    uint8_t *state = calloc(1, ops->state_bytes), *marks = calloc(1, ops->state_bytes);
    fake_fields_copy(ops->fields, (const uint8_t *)from + ops->state_offset, state, marks);
    bool good = !ops->check || ops->check(state);
    if (good) {
        memcpy((uint8_t *)to + ops->state_offset, state, ops->state_bytes);
        if (ops->loaded)
            ops->loaded(to);
    }
    free(state);
    free(marks);
    return good;
}

#endif
