/*
 * A core's timers: a sorted ring with a head that never expires. See hv/timer_queue.h.
 */
#include "hv/timer_queue.h"

void tq_init(struct timer_queue *queue)
{
    queue->first_tsc = TQ_NEVER;
    queue->head = (struct tq_timer){ .deadline_tsc = TQ_NEVER };
    queue->head.next = &queue->head;
    queue->head.prev = &queue->head;
}

void tq_timer_init(struct tq_timer *timer, void (*fire)(struct tq_timer *timer, uint64_t now_tsc))
{
    *timer = (struct tq_timer){ .deadline_tsc = TQ_NEVER, .fire = fire };
}

static void unlink_timer(struct tq_timer *timer)
{
    timer->prev->next = timer->next;
    timer->next->prev = timer->prev;
    timer->next = NULL;
    timer->prev = NULL;
}

void tq_remove(struct timer_queue *queue, struct tq_timer *timer)
{
    if (!tq_is_queued(timer))
        return;
    unlink_timer(timer);
    queue->first_tsc = queue->head.next->deadline_tsc;
}

void tq_add(struct timer_queue *queue, struct tq_timer *timer, uint64_t deadline_tsc)
{
    if (tq_move_in_place(queue, timer, deadline_tsc))
        return;
    tq_remove(queue, timer);
    timer->deadline_tsc = deadline_tsc;
    if (deadline_tsc == TQ_NEVER)
        return;
    struct tq_timer *after = queue->head.next;
    while (after->deadline_tsc <= deadline_tsc)
        after = after->next;
    timer->next = after;
    timer->prev = after->prev;
    after->prev->next = timer;
    after->prev = timer;
    queue->first_tsc = queue->head.next->deadline_tsc;
}

struct tq_timer *tq_pop_expired(struct timer_queue *queue, uint64_t now_tsc)
{
    struct tq_timer *first = queue->head.next;
    if (first->deadline_tsc > now_tsc || first == &queue->head)
        return NULL;
    queue->head.next = first->next;
    first->next->prev = &queue->head;
    queue->first_tsc = first->next->deadline_tsc;
    first->next = NULL;
    first->prev = NULL;
    return first;
}
