/*
 * A ring of bytes between one producer and one consumer, on any two cores, without a lock.
 *
 * ring_put, ring_write and ring_free_bytes are the producer's; ring_get, ring_peek, ring_read and
 * ring_clear the consumer's; ring_used_bytes may be asked by both. Two producers (or two consumers)
 * need a lock of their own around their side.
 */
#ifndef HV_RING_H
#define HV_RING_H

#include "hv/types.h"

/* `head` and `tail` count all bytes ever written and read, modulo 2^32. */
struct ring {
    uint8_t *data;
    uint32_t mask; /* size - 1 */
    uint32_t head; /* written by the producer only */
    uint32_t tail; /* written by the consumer only */
};

/* `bytes` is a power of two, 1 to 2^31; the whole of it can be filled. */
void ring_init(struct ring *ring, void *data, uint32_t bytes);

uint32_t ring_used_bytes(const struct ring *ring);
uint32_t ring_free_bytes(const struct ring *ring);

/* False when the ring is full; the byte is not taken then. */
bool ring_put(struct ring *ring, uint8_t byte);
/* As many of `bytes` as fit; returns how many. The consumer sees them at once or not yet. */
uint32_t ring_write(struct ring *ring, const void *from, uint32_t bytes);

/* False when the ring is empty. */
bool ring_get(struct ring *ring, uint8_t *byte);
/* As ring_get, and leaves the byte in the ring. */
bool ring_peek(const struct ring *ring, uint8_t *byte);
/* At most `bytes`; returns how many. */
uint32_t ring_read(struct ring *ring, void *to, uint32_t bytes);
/* Drops what the consumer can see now. */
void ring_clear(struct ring *ring);

#endif
