/*
 * A byte ring for one producer and one consumer. See hv/ring.h for who may call what.
 *
 * Each side publishes its counter with release order after it has touched the bytes, and reads the
 * other's with acquire order before it does; its own counter needs no order.
 */
#include "hv/ring.h"

#include "hv/string.h"

static uint32_t load_own(const uint32_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static uint32_t load_other(const uint32_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void publish(uint32_t *counter, uint32_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELEASE);
}

void ring_init(struct ring *ring, void *data, uint32_t bytes)
{
    *ring = (struct ring){ .data = data, .mask = bytes - 1 };
}

uint32_t ring_used_bytes(const struct ring *ring)
{
    /* The tail first: it never passes the head, so a head read later cannot be behind it. */
    uint32_t tail = load_other(&ring->tail);
    uint32_t used = load_other(&ring->head) - tail;
    return used <= ring->mask ? used : ring->mask + 1;
}

uint32_t ring_free_bytes(const struct ring *ring)
{
    return ring->mask + 1 - (load_own(&ring->head) - load_other(&ring->tail));
}

bool ring_put(struct ring *ring, uint8_t byte)
{
    uint32_t head = load_own(&ring->head);
    if (head - load_other(&ring->tail) > ring->mask)
        return false;
    ring->data[head & ring->mask] = byte;
    publish(&ring->head, head + 1);
    return true;
}

uint32_t ring_write(struct ring *ring, const void *from, uint32_t bytes)
{
    uint32_t head = load_own(&ring->head);
    uint32_t start = head & ring->mask;
    uint32_t space = ring_free_bytes(ring);
    uint32_t count = bytes < space ? bytes : space;
    uint32_t to_end = ring->mask + 1 - start;
    uint32_t first = count < to_end ? count : to_end;
    memcpy(ring->data + start, from, first);
    memcpy(ring->data, (const uint8_t *)from + first, count - first);
    publish(&ring->head, head + count);
    return count;
}

bool ring_peek(const struct ring *ring, uint8_t *byte)
{
    uint32_t tail = load_own(&ring->tail);
    if (load_other(&ring->head) == tail)
        return false;
    *byte = ring->data[tail & ring->mask];
    return true;
}

bool ring_get(struct ring *ring, uint8_t *byte)
{
    if (!ring_peek(ring, byte))
        return false;
    publish(&ring->tail, load_own(&ring->tail) + 1);
    return true;
}

uint32_t ring_read(struct ring *ring, void *to, uint32_t bytes)
{
    uint32_t tail = load_own(&ring->tail);
    uint32_t start = tail & ring->mask;
    uint32_t used = load_other(&ring->head) - tail;
    uint32_t count = bytes < used ? bytes : used;
    uint32_t to_end = ring->mask + 1 - start;
    uint32_t first = count < to_end ? count : to_end;
    memcpy(to, ring->data + start, first);
    memcpy((uint8_t *)to + first, ring->data, count - first);
    publish(&ring->tail, tail + count);
    return count;
}

void ring_clear(struct ring *ring)
{
    publish(&ring->tail, load_other(&ring->head));
}
