/*
 * The processor's posted-interrupt descriptor: where another core leaves an edge for a vCPU that runs.
 *
 * Pure. Lock: none; every word is atomic. Who delivers what stands there: arch/x86/vmx/posted.c.
 * Source: SDM volume 3 "Posted-Interrupt Processing", table "Format of Posted-Interrupt Descriptor".
 */
#ifndef X86_POSTED_H
#define X86_POSTED_H

#include "hv/types.h"

#define POSTED_ON UINT64_C(1) /* a notification is outstanding */

struct posted_descriptor {
    _Alignas(64) uint64_t requests[4]; /* PIR: a bit a vector */
    uint64_t control;                  /* bit 0: POSTED_ON; the rest is not used */
    uint64_t available[3];
};

_Static_assert(sizeof(struct posted_descriptor) == 64, "a cache line");
_Static_assert(offsetof(struct posted_descriptor, control) == 32, "ON is bit 256");

/* From any core. True: a notification is to be sent; false: one is outstanding. A full barrier, so that
 * a look at whether the vCPU runs may follow. */
bool posted_request(struct posted_descriptor *descriptor, uint8_t vector) HV_MUST_CHECK;

static inline bool posted_is_outstanding(const struct posted_descriptor *descriptor)
{
    return __atomic_load_n(&descriptor->control, __ATOMIC_SEQ_CST) & POSTED_ON;
}

/* Takes all requests, as the processor does when a notification arrives: first ON, then PIR. */
void posted_take(struct posted_descriptor *descriptor, uint64_t requests[4]);

#endif
