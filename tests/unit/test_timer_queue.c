// SRCS: vmm/core/timer_queue.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hv/timer_queue.h"

static void fire(struct tq_timer *timer, uint64_t now_tsc)
{
    (void)timer;
    (void)now_tsc;
}

static void test_empty(void **state)
{
    struct timer_queue queue;
    struct tq_timer timer;
    (void)state;
    tq_init(&queue);
    assert_true(tq_first_tsc(&queue) == TQ_NEVER);
    assert_null(tq_pop_expired(&queue, 0));
    assert_null(tq_pop_expired(&queue, UINT64_MAX));
    tq_timer_init(&timer, fire);
    assert_false(tq_is_queued(&timer));
    assert_ptr_equal(timer.fire, fire);
    tq_remove(&queue, &timer);
    assert_false(tq_is_queued(&timer));
}

static void test_order_and_first(void **state)
{
    struct timer_queue queue;
    struct tq_timer t[5];
    (void)state;
    tq_init(&queue);
    for (unsigned i = 0; i < 5; i++)
        tq_timer_init(&t[i], fire);
    tq_add(&queue, &t[0], 300);
    assert_int_equal(tq_first_tsc(&queue), 300);
    tq_add(&queue, &t[1], 100);
    assert_int_equal(tq_first_tsc(&queue), 100);
    tq_add(&queue, &t[2], 200);
    tq_add(&queue, &t[3], 100);
    tq_add(&queue, &t[4], 0);
    assert_int_equal(tq_first_tsc(&queue), 0);
    assert_ptr_equal(tq_pop_expired(&queue, 0), &t[4]);
    assert_false(tq_is_queued(&t[4]));
    assert_null(tq_pop_expired(&queue, 99));
    assert_ptr_equal(tq_pop_expired(&queue, 200), &t[1]);
    assert_ptr_equal(tq_pop_expired(&queue, 200), &t[3]);
    assert_ptr_equal(tq_pop_expired(&queue, 200), &t[2]);
    assert_null(tq_pop_expired(&queue, 200));
    assert_int_equal(tq_first_tsc(&queue), 300);
}

static void test_move_remove_and_never(void **state)
{
    struct timer_queue queue;
    struct tq_timer a, b;
    (void)state;
    tq_init(&queue);
    tq_timer_init(&a, fire);
    tq_timer_init(&b, fire);
    tq_add(&queue, &a, 10);
    tq_add(&queue, &b, 20);
    tq_add(&queue, &a, 30);
    assert_int_equal(tq_first_tsc(&queue), 20);
    tq_remove(&queue, &b);
    assert_false(tq_is_queued(&b));
    assert_int_equal(tq_first_tsc(&queue), 30);
    tq_add(&queue, &a, TQ_NEVER);
    assert_false(tq_is_queued(&a));
    assert_true(tq_first_tsc(&queue) == TQ_NEVER);
    /* The last deadline that is one. */
    tq_add(&queue, &a, TQ_NEVER - 1);
    assert_true(tq_first_tsc(&queue) == TQ_NEVER - 1);
    assert_ptr_equal(tq_pop_expired(&queue, TQ_NEVER), &a);
}

static void test_random_against_a_scan(void **state)
{
    enum { TIMERS = 24 };
    struct timer_queue queue;
    struct tq_timer t[TIMERS];
    (void)state;
    srand(2);
    tq_init(&queue);
    for (unsigned i = 0; i < TIMERS; i++)
        tq_timer_init(&t[i], fire);
    for (unsigned round = 0; round < 20000; round++) {
        struct tq_timer *timer = &t[rand() % TIMERS];
        if (rand() % 3)
            tq_add(&queue, timer, (uint64_t)(rand() % 500));
        else if (rand() % 2)
            tq_remove(&queue, timer);
        else
            tq_pop_expired(&queue, (uint64_t)(rand() % 300));
        uint64_t first = TQ_NEVER;
        for (unsigned i = 0; i < TIMERS; i++)
            if (tq_is_queued(&t[i]) && t[i].deadline_tsc < first)
                first = t[i].deadline_tsc;
        assert_true(tq_first_tsc(&queue) == first);
    }
}

/* A timer that is moved stands where a new one would, whether its place changes or not. */
static void test_moved_is_as_new(void **state)
{
    struct tq_timer timers[4];
    (void)state;
    for (unsigned moved = 0; moved < 4; moved++) {
        for (uint64_t deadline = 5; deadline <= 45; deadline += 5) {
            struct timer_queue queue;
            uint64_t before = 0;
            tq_init(&queue);
            for (unsigned i = 0; i < 4; i++) {
                tq_timer_init(&timers[i], fire);
                tq_add(&queue, &timers[i], 10 * (i + 1));
            }
            tq_add(&queue, &timers[moved], deadline);
            for (unsigned i = 0; i < 4; i++) {
                struct tq_timer *first = queue.head.next;
                assert_true(tq_first_tsc(&queue) == first->deadline_tsc);
                assert_true(first->deadline_tsc >= before);
                before = first->deadline_tsc;
                /* Behind one with the same deadline. */
                if (first == &timers[moved])
                    assert_true(first->deadline_tsc == deadline &&
                                first->next->deadline_tsc != deadline);
                assert_ptr_equal(tq_pop_expired(&queue, UINT64_MAX - 1), first);
            }
            assert_true(tq_first_tsc(&queue) == TQ_NEVER);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_moved_is_as_new),
        cmocka_unit_test(test_order_and_first),
        cmocka_unit_test(test_move_remove_and_never),
        cmocka_unit_test(test_random_against_a_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
