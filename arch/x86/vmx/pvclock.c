/*
 * The clock page of a paravirtual guest: x86/pvclock.h. Pure; no lock.
 */
#include "x86/pvclock.h"

#include "hv/clock.h"
#include "hv/string.h"

/* Offsets of the documented structures; both begin with the version. */
enum { TIME_TSC = 8, TIME_SYSTEM = 16, TIME_MUL = 24, TIME_SHIFT = 28, TIME_FLAGS = 29 };
enum { WALL_SECONDS = 4, WALL_NS = 8 };

void pvclock_set_rate(struct pvclock_time *time, uint64_t tsc_hz)
{
    uint64_t ns = HV_NS_PER_SECOND, ticks = tsc_hz;
    int shift = 0;

    while (ns >= ticks) {
        ticks *= 2;
        shift++;
    }
    while (ns < ticks - ns) {
        ns *= 2;
        shift--;
    }
    time->tsc_to_system_mul = (uint32_t)hv_mul_div_u64(ns, UINT64_C(1) << 32, ticks);
    time->tsc_shift = (int8_t)shift;
}

/* The body is copied behind an odd version; a reader that sees parts of it sees that, too. */
static void publish(uint8_t *at, const uint8_t *image, size_t bytes)
{
    uint32_t *version = (uint32_t *)at;
    uint32_t begun = __atomic_load_n(version, __ATOMIC_RELAXED) | 1;

    __atomic_store_n(version, begun, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy(at + 4, image + 4, bytes - 4);
    __atomic_store_n(version, begun + 1, __ATOMIC_RELEASE);
}

void pvclock_write_time(void *at, const struct pvclock_time *time)
{
    uint8_t image[PVCLOCK_TIME_BYTES] = { 0 };

    memcpy(image + TIME_TSC, &time->tsc_timestamp, 8);
    memcpy(image + TIME_SYSTEM, &time->system_ns, 8);
    memcpy(image + TIME_MUL, &time->tsc_to_system_mul, 4);
    image[TIME_SHIFT] = (uint8_t)time->tsc_shift;
    image[TIME_FLAGS] = time->flags;
    publish(at, image, sizeof(image));
}

void pvclock_write_wall(void *at, uint64_t seconds, uint32_t ns)
{
    uint8_t image[PVCLOCK_WALL_BYTES] = { 0 };
    uint32_t low = (uint32_t)seconds;

    memcpy(image + WALL_SECONDS, &low, 4);
    memcpy(image + WALL_NS, &ns, 4);
    publish(at, image, sizeof(image));
}
