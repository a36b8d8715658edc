// SRCS: arch/x86/vmx/posted_descriptor.c
/*
 * The posted-interrupt descriptor against the SDM's "Posted-Interrupt Processing".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>

#include "x86/posted.h"

#define ROUNDS 20000u

static struct posted_descriptor descriptor;

static int setup(void **state)
{
    (void)state;
    memset(&descriptor, 0, sizeof(descriptor));
    return 0;
}

/* "Posted-interrupt requests: one bit for each interrupt vector", 255:0; "outstanding notification",
 * 256. */
static void bits_are_where_the_processor_looks(void **state)
{
    (void)state;
    const uint8_t *bytes = (const uint8_t *)&descriptor;
    for (unsigned vector = 0; vector < 256; vector++) {
        memset(&descriptor, 0, sizeof(descriptor));
        assert_true(posted_request(&descriptor, (uint8_t)vector));
        for (unsigned bit = 0; bit < 512; bit++)
            assert_int_equal(bytes[bit / 8] >> (bit % 8) & 1, bit == vector || bit == 256);
    }
    assert_int_equal((uintptr_t)&descriptor % 64, 0);
}

static void one_notification_stands_for_many(void **state)
{
    (void)state;
    uint64_t taken[4];
    assert_false(posted_is_outstanding(&descriptor));
    assert_true(posted_request(&descriptor, 0x31));
    assert_false(posted_request(&descriptor, 0x31));
    assert_false(posted_request(&descriptor, 0xec));
    assert_true(posted_is_outstanding(&descriptor));
    posted_take(&descriptor, taken);
    assert_false(posted_is_outstanding(&descriptor));
    assert_true(taken[0] == UINT64_C(1) << 0x31 && !taken[1] && !taken[2]);
    assert_true(taken[3] == UINT64_C(1) << (0xec - 192));
    posted_take(&descriptor, taken);
    assert_false(taken[0] | taken[1] | taken[2] | taken[3]);
    assert_true(posted_request(&descriptor, 0x31));
}

static uint32_t notifications;

static void *poster(void *argument)
{
    uint8_t base = *(uint8_t *)argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (posted_request(&descriptor, (uint8_t)(base + i % 16)))
            __atomic_fetch_add(&notifications, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

/* Whoever takes once for each notification has everything in the end. */
static void no_request_is_left_behind(void **state)
{
    (void)state;
    pthread_t threads[2];
    uint8_t bases[2] = { 0x40, 0x90 };
    uint64_t taken[4], all[4] = { 0 };
    uint32_t takes = 0, sent;
    unsigned running = 2;
    notifications = 0;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, poster, &bases[i]), 0);
    for (;;) {
        sent = __atomic_load_n(&notifications, __ATOMIC_SEQ_CST);
        if (sent != takes) {
            posted_take(&descriptor, taken);
            for (unsigned word = 0; word < 4; word++)
                all[word] |= taken[word];
            takes++;
        } else if (running > 0) {
            pthread_join(threads[--running], NULL);
        } else {
            break;
        }
    }
    assert_int_equal(descriptor.control, 0);
    assert_false(descriptor.requests[0] | descriptor.requests[1] | descriptor.requests[2] |
                 descriptor.requests[3]);
    assert_true(all[1] == 0xffff && all[2] == UINT64_C(0xffff) << (0x90 - 128));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bits_are_where_the_processor_looks, setup),
        cmocka_unit_test_setup(one_notification_stands_for_many, setup),
        cmocka_unit_test_setup(no_request_is_left_behind, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
