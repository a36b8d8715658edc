/*
 * A ticket lock: cores get it in the order in which they asked, so none starves.
 *
 * Not recursive, and it does not know about NMIs: code that an NMI can run takes no lock. A holder
 * must not wait for another core except for a lock that is ordered after this one.
 */
#ifndef HV_SPINLOCK_H
#define HV_SPINLOCK_H

#include "hv/types.h"

struct spinlock {
    uint32_t next;  /* ticket for the next one who asks */
    uint32_t owner; /* ticket that is served */
};

#define SPINLOCK_INIT { 0, 0 }

static inline void spin_init(struct spinlock *lock)
{
    *lock = (struct spinlock)SPINLOCK_INIT;
}

static inline void spin_lock(struct spinlock *lock)
{
    uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
    while (HV_UNLIKELY(__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket))
        __builtin_ia32_pause();
}

/* Takes the lock if nobody holds it or waits for it. */
static inline bool spin_try_lock(struct spinlock *lock)
{
    uint32_t ticket = __atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE);
    return __atomic_compare_exchange_n(&lock->next, &ticket, ticket + 1, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static inline void spin_unlock(struct spinlock *lock)
{
    /* Only the holder writes `owner`, so this needs no locked instruction. */
    uint32_t owner = __atomic_load_n(&lock->owner, __ATOMIC_RELAXED);
    __atomic_store_n(&lock->owner, owner + 1, __ATOMIC_RELEASE);
}

/* For assertions: somebody holds it. */
static inline bool spin_is_locked(const struct spinlock *lock)
{
    return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) !=
           __atomic_load_n(&lock->next, __ATOMIC_RELAXED);
}

#endif
