/*
 * Drives a device by what a fuzzer brings: accesses of all widths, time that passes on time or
 * late, snapshots into a twin, and states from a hostile file. After each step the device's own
 * `check` must hold and the target's `invariant`. Header-only; deterministic; every input ends.
 */
#ifndef FAKE_FUZZ_DEVICE_H
#define FAKE_FUZZ_DEVICE_H

#include "fake.h"
#include "fields.h"

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
    if (!in->left)
        return 0;
    in->left--;
    return *in->at++;
}

static inline uint32_t fuzz_word(struct fuzz_input *in)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++)
        value = value << 8 | fuzz_byte(in);
    return value;
}

struct fuzz_device {
    struct device *device;
    struct device *twin; /* of the same kind, for snapshots */
    struct fake_clock *clock;
    unsigned tags;
    unsigned ports;      /* one more is tried than there are */
    void (*input)(struct fuzz_input *in); /* from the device's other side */
    bool (*invariant)(void);
};

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static inline void fuzz_sane(const struct fuzz_device *fuzz)
{
    const struct device_ops *ops = fuzz->device->ops;
    FUZZ_CHECK(ops->check((const uint8_t *)fuzz->device + ops->state_offset));
    FUZZ_CHECK(fuzz->invariant());
}

static inline void fuzz_access(const struct fuzz_device *fuzz, struct fuzz_input *in, bool write)
{
    static const unsigned sizes[8] = { 1, 1, 1, 1, 1, 2, 4, 8 };
    uint8_t how = fuzz_byte(in);
    unsigned size = sizes[how >> 5];
    unsigned tag = fuzz->tags > 1 ? fuzz_byte(in) % fuzz->tags : 0;
    uint64_t value = write ? fuzz_byte(in) : 0;
    if (size > 1)
        value = (uint64_t)fuzz_word(in) << 32 | fuzz_word(in);
    enum bus_answer answer;
    uint64_t got = fake_access(fuzz->device, tag, BUS_PORT, (how & 15) % (fuzz->ports + 1), size,
                               write, value, &answer);
    FUZZ_CHECK(answer != BUS_FAULT);
    FUZZ_CHECK((got & ~bus_size_mask(size)) == 0);
}

/* On time for at most 17 ms, so that the fastest timer fires a bounded number of times; or late. */
static inline void fuzz_time(const struct fuzz_device *fuzz, struct fuzz_input *in)
{
    uint8_t how = fuzz_byte(in);
    uint64_t ns = (uint64_t)fuzz_byte(in) << 8 | fuzz_byte(in);
    if (how & 0x80) {
        uint64_t to = fuzz->clock->now + (ns << (how & 0x1F));
        if (to < UINT64_C(1) << 60)
            fuzz->clock->now = to;
        fake_clock_advance(fuzz->clock, 0);
    } else {
        fake_clock_advance(fuzz->clock, ns << (how & 8));
    }
}

/* The state of a hostile file: taken only if `check` finds nothing, and then harmless. */
static inline void fuzz_hostile_state(const struct fuzz_device *fuzz, struct fuzz_input *in)
{
    const struct device_ops *ops = fuzz->twin->ops;
    uint8_t *state = (uint8_t *)fuzz->twin + ops->state_offset;
    uint8_t changes = fuzz_byte(in) & 7;
    uint8_t *saved = malloc(ops->state_bytes);
    memcpy(saved, state, ops->state_bytes);
    for (unsigned i = 0; i < changes; i++) {
        size_t at = ((size_t)fuzz_byte(in) << 8 | fuzz_byte(in)) % ops->state_bytes;
        state[at] = fuzz_byte(in);
    }
    fake_fields_load(fuzz->device, fuzz->twin);
    memcpy(state, saved, ops->state_bytes);
    free(saved);
}

static inline void fuzz_device_run(const struct fuzz_device *fuzz, struct fuzz_input *in)
{
    fuzz_sane(fuzz);
    while (in->left) {
        uint8_t op = fuzz_byte(in);
        switch (op & 15) {
        case 0: case 1: case 2: case 3: case 4: case 5: fuzz_access(fuzz, in, true); break;
        case 6: case 7: case 8: fuzz_access(fuzz, in, false); break;
        case 9: case 10: fuzz_time(fuzz, in); break;
        case 11: FUZZ_CHECK(fake_fields_load(fuzz->twin, fuzz->device)); break;
        case 12: FUZZ_CHECK(fake_fields_load(fuzz->device, fuzz->device)); break;
        case 13: fuzz_hostile_state(fuzz, in); break;
        case 14:
            if (op >> 4 == 0)
                fuzz->device->ops->reset(fuzz->device);
            break;
        default: fuzz->input(in); break;
        }
        fuzz_sane(fuzz);
    }
}

#endif
