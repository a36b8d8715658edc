// SRCS:
// LIBS: -lpthread
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "hv/spinlock.h"

enum { THREADS = 3, ROUNDS = 2000 };

static struct spinlock lock;
static unsigned inside, most_inside, count;

/* Gives the processor away while it holds the lock, so that the others meet it taken. */
static void *contend(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        spin_lock(&lock);
        inside++;
        if (inside > most_inside)
            most_inside = inside;
        if (i % 64 == 0)
            sched_yield();
        count++;
        inside--;
        spin_unlock(&lock);
        sched_yield();
    }
    return NULL;
}

static void test_one_at_a_time(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    spin_init(&lock);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(count, THREADS * ROUNDS);
    assert_int_equal(most_inside, 1);
    assert_false(spin_is_locked(&lock));
}

static void test_try_lock_does_not_wait(void **state)
{
    struct spinlock mine = SPINLOCK_INIT;
    (void)state;
    assert_true(spin_try_lock(&mine));
    assert_false(spin_try_lock(&mine));
    assert_true(spin_is_locked(&mine));
    spin_unlock(&mine);
    assert_false(spin_is_locked(&mine));
    assert_true(spin_try_lock(&mine));
}

static void test_tickets_wrap(void **state)
{
    struct spinlock mine = { UINT32_MAX, UINT32_MAX };
    (void)state;
    spin_lock(&mine);
    assert_false(spin_try_lock(&mine));
    spin_unlock(&mine);
    assert_int_equal(mine.owner, 0);
    assert_true(spin_try_lock(&mine));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_try_lock_does_not_wait),
        cmocka_unit_test(test_tickets_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
