/*
 * A core's timers in the order of their deadlines, in absolute host TSC.
 *
 * Intrusive and without allocation: a timer is a member of what it belongs to. The first deadline
 * is one load, for the path to VM entry. Adding is O(timers before it), removing O(1); a core has
 * a few dozen. Timers with the same deadline come out in the order in which they went in.
 *
 * Pure. Lock: none; the queue belongs to its core, or to whoever holds the lock that the owner of
 * the queue names.
 */
#ifndef HV_TIMER_QUEUE_H
#define HV_TIMER_QUEUE_H

#include "hv/types.h"

#define TQ_NEVER UINT64_MAX

struct tq_timer {
    struct tq_timer *next, *prev; /* the queue's; both NULL while not queued */
    uint64_t deadline_tsc;
    void (*fire)(struct tq_timer *timer, uint64_t now_tsc); /* for the owner of the queue to call */
};

struct timer_queue {
    uint64_t first_tsc;   /* deadline of the first timer, or TQ_NEVER */
    struct tq_timer head; /* of the ring; its deadline is TQ_NEVER */
};

void tq_init(struct timer_queue *queue);
/* A timer that is in no queue. */
void tq_timer_init(struct tq_timer *timer, void (*fire)(struct tq_timer *timer, uint64_t now_tsc));

static inline bool tq_is_queued(const struct tq_timer *timer)
{
    return timer->next != NULL;
}

/* The earliest deadline, or TQ_NEVER. */
static inline uint64_t tq_first_tsc(const struct timer_queue *queue)
{
    return queue->first_tsc;
}

/* Queues the timer; one that is queued (in this queue) is moved. TQ_NEVER takes it out. */
void tq_add(struct timer_queue *queue, struct tq_timer *timer, uint64_t deadline_tsc);
/* Gives a queued timer another deadline where it keeps its place with it. False: tq_add. */
static inline bool tq_move_in_place(struct timer_queue *queue, struct tq_timer *timer,
                                    uint64_t deadline_tsc)
{
    /* Behind those with the same deadline, as if it were new. The head's deadline is TQ_NEVER:
     * nothing stands behind it. */
    if (!tq_is_queued(timer) || deadline_tsc >= timer->next->deadline_tsc ||
        (timer->prev != &queue->head && timer->prev->deadline_tsc > deadline_tsc))
        return false;
    timer->deadline_tsc = deadline_tsc;
    queue->first_tsc = queue->head.next->deadline_tsc;
    return true;
}

/* Takes the timer out; does nothing when it is not queued. */
void tq_remove(struct timer_queue *queue, struct tq_timer *timer);
/* Takes out and returns the first timer whose deadline is not after `now_tsc`, or NULL. */
struct tq_timer *tq_pop_expired(struct timer_queue *queue, uint64_t now_tsc);

#endif
