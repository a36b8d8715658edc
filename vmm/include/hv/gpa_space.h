/*
 * A VM's guest-physical memory: which ranges are RAM, and where they are in the host.
 *
 * Pure: `host` is an ordinary pointer, on the metal into the identity map and in a host test into
 * an array. How a vCPU translates (the processor's second-level tables) is another matter, told
 * of changes through `arch_ops`.
 *
 * Lock: the table is built before the VM's first entry and does not change after; contents are the
 * guest's and may change under every read, so a value is copied once and checked in the copy.
 */
#ifndef HV_GPA_SPACE_H
#define HV_GPA_SPACE_H

#include "hv/types.h"

#define GPA_SPACE_MAX_SLOTS 16

struct gpa_slot {
    gpa_t start;
    uint64_t bytes;  /* multiple of 4 KB */
    uint8_t *host;
    hpa_t hpa;
    bool writable;   /* by the guest; the hypervisor's own writes ignore it */
};

struct gpa_space {
    struct gpa_slot slots[GPA_SPACE_MAX_SLOTS]; /* sorted, not overlapping */
    unsigned count;
};

/* Adds a range of RAM. HV_ERR_INVALID: not page-aligned, empty, or wraps; HV_ERR_EXISTS: overlaps;
 * HV_ERR_NO_MEMORY: too many slots. */
enum hv_err gpa_space_add(struct gpa_space *space, gpa_t start, uint64_t bytes, void *host,
                          hpa_t hpa, bool writable) HV_MUST_CHECK;

/* The slot that holds `gpa`, or NULL. */
const struct gpa_slot *gpa_space_find(const struct gpa_space *space, gpa_t gpa);

/* A pointer to `bytes` contiguous bytes at `gpa`, or NULL when any of them is not RAM. The range
 * must lie in one slot. */
void *gpa_space_pointer(const struct gpa_space *space, gpa_t gpa, uint64_t bytes);

/* Copy across slots. HV_ERR_RANGE when a byte is not RAM; nothing has been copied then. */
enum hv_err gpa_space_read(const struct gpa_space *space, gpa_t gpa, void *to,
                           uint64_t bytes) HV_MUST_CHECK;
enum hv_err gpa_space_write(const struct gpa_space *space, gpa_t gpa, const void *from,
                            uint64_t bytes) HV_MUST_CHECK;
enum hv_err gpa_space_zero(const struct gpa_space *space, gpa_t gpa, uint64_t bytes) HV_MUST_CHECK;

/* Sum of all slots. */
uint64_t gpa_space_total_bytes(const struct gpa_space *space);

#endif
