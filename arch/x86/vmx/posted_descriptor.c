/*
 * The posted-interrupt descriptor: x86/posted.h. Pure; no lock.
 */
#include "x86/posted.h"

bool posted_request(struct posted_descriptor *descriptor, uint8_t vector)
{
    __atomic_fetch_or(&descriptor->requests[vector / 64], UINT64_C(1) << (vector % 64),
                      __ATOMIC_SEQ_CST);
    return !(__atomic_fetch_or(&descriptor->control, POSTED_ON, __ATOMIC_SEQ_CST) & POSTED_ON);
}

/* In this order: a request that comes in between asks for a notification of its own. */
void posted_take(struct posted_descriptor *descriptor, uint64_t requests[4])
{
    __atomic_fetch_and(&descriptor->control, ~POSTED_ON, __ATOMIC_SEQ_CST);
    for (unsigned word = 0; word < 4; word++)
        requests[word] = __atomic_exchange_n(&descriptor->requests[word], 0, __ATOMIC_SEQ_CST);
}
