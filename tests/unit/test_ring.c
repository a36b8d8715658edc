// SRCS: vmm/lib/ring.c
// LIBS: -lpthread
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "hv/ring.h"

static void test_fills_to_the_last_byte(void **state)
{
    uint8_t data[4], byte;
    struct ring ring;
    (void)state;
    ring_init(&ring, data, sizeof(data));
    assert_int_equal(ring_free_bytes(&ring), 4);
    assert_false(ring_get(&ring, &byte));
    assert_false(ring_peek(&ring, &byte));
    for (unsigned i = 0; i < 4; i++)
        assert_true(ring_put(&ring, (uint8_t)(10 + i)));
    assert_false(ring_put(&ring, 99));
    assert_int_equal(ring_used_bytes(&ring), 4);
    assert_int_equal(ring_free_bytes(&ring), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(ring_peek(&ring, &byte));
        assert_int_equal(byte, 10 + i);
        assert_true(ring_get(&ring, &byte));
        assert_int_equal(byte, 10 + i);
    }
    assert_false(ring_get(&ring, &byte));
}

static void test_blocks_wrap_in_order(void **state)
{
    uint8_t data[8];
    struct ring ring;
    uint8_t next_in = 0, next_out = 0;
    (void)state;
    ring_init(&ring, data, sizeof(data));
    for (unsigned round = 0; round < 200; round++) {
        uint8_t in[12], out[12];
        uint32_t want = round % 12;
        for (unsigned i = 0; i < 12; i++)
            in[i] = (uint8_t)(next_in + i);
        uint32_t space = ring_free_bytes(&ring);
        uint32_t wrote = ring_write(&ring, in, want);
        assert_int_equal(wrote, want < space ? want : space);
        next_in = (uint8_t)(next_in + wrote);
        uint32_t used = ring_used_bytes(&ring);
        want = round * 5 % 11;
        uint32_t got = ring_read(&ring, out, want);
        assert_int_equal(got, want < used ? want : used);
        for (unsigned i = 0; i < got; i++)
            assert_int_equal(out[i], next_out++);
    }
}

static void test_counters_wrap_at_32_bits(void **state)
{
    uint8_t data[8], out[8];
    struct ring ring;
    (void)state;
    ring_init(&ring, data, sizeof(data));
    ring.head = ring.tail = UINT32_MAX - 3;
    assert_int_equal(ring_write(&ring, "abcdefghi", 9), 8);
    assert_int_equal(ring_used_bytes(&ring), 8);
    assert_int_equal(ring_free_bytes(&ring), 0);
    assert_int_equal(ring_read(&ring, out, 8), 8);
    assert_memory_equal(out, "abcdefgh", 8);
    assert_int_equal(ring_used_bytes(&ring), 0);
}

static void test_clear_and_one_byte_ring(void **state)
{
    uint8_t data[8], byte;
    struct ring ring;
    (void)state;
    ring_init(&ring, data, 8);
    assert_int_equal(ring_write(&ring, "abc", 3), 3);
    ring_clear(&ring);
    assert_int_equal(ring_used_bytes(&ring), 0);
    assert_false(ring_get(&ring, &byte));
    ring_init(&ring, data, 1);
    assert_true(ring_put(&ring, 1));
    assert_false(ring_put(&ring, 2));
    assert_true(ring_get(&ring, &byte));
    assert_int_equal(byte, 1);
}

enum { TRANSFER_BYTES = 200000 };

static void *produce(void *argument)
{
    struct ring *ring = argument;
    for (unsigned sent = 0; sent < TRANSFER_BYTES;) {
        if (ring_put(ring, (uint8_t)(sent * 31)))
            sent++;
        else
            sched_yield();
    }
    return NULL;
}

static void test_two_threads_lose_nothing(void **state)
{
    static uint8_t data[64];
    static struct ring ring;
    pthread_t producer;
    (void)state;
    ring_init(&ring, data, sizeof(data));
    assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
    for (unsigned got = 0; got < TRANSFER_BYTES;) {
        uint8_t buffer[16];
        uint32_t count = ring_read(&ring, buffer, sizeof(buffer));
        assert_true(ring_used_bytes(&ring) <= 64);
        for (unsigned i = 0; i < count; i++, got++)
            assert_int_equal(buffer[i], (uint8_t)(got * 31));
        if (!count)
            sched_yield();
    }
    pthread_join(producer, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fills_to_the_last_byte),
        cmocka_unit_test(test_blocks_wrap_in_order),
        cmocka_unit_test(test_counters_wrap_at_32_bits),
        cmocka_unit_test(test_clear_and_one_byte_ring),
        cmocka_unit_test(test_two_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
