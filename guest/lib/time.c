/*
 * Time by the TSC, whose rate is measured against counter 2 of the PIT.
 * 8254 data sheet "Mode 0"; ISA system architecture, port 0x61: bit 0 gates counter 2, bit 5 is its
 * output.
 */
#include "guest.h"

#define PIT_COUNTER2 0x42u
#define PIT_CONTROL 0x43u
#define PIT_COUNTER2_MODE0 0xb0u
#define PORT61 0x61u
#define PORT61_GATE 1u
#define PORT61_SPEAKER 2u
#define PORT61_OUT 0x20u
#define POLLS_MAX 50000000u
#define MEASUREMENTS 8u
#define FALLBACK_HZ 1000000000ull

uint64_t guest_tsc_hz;

static uint64_t measure_once(unsigned milliseconds)
{
    unsigned count = PIT_HZ * milliseconds / 1000;
    uint8_t before = inb(PORT61);
    uint64_t start, end;
    unsigned polls = 0;

    outb(PORT61, (uint8_t)((before & ~PORT61_SPEAKER) | PORT61_GATE));
    outb(PIT_CONTROL, PIT_COUNTER2_MODE0);
    outb(PIT_COUNTER2, (uint8_t)count);
    start = rdtsc();
    outb(PIT_COUNTER2, (uint8_t)(count >> 8));
    while (!(inb(PORT61) & PORT61_OUT) && polls++ < POLLS_MAX)
        ;
    end = rdtsc();
    outb(PORT61, before & 0x0f);
    if (polls >= POLLS_MAX)
        return FALLBACK_HZ;
    return (end - start) * PIT_HZ / (count + 1);
}

/* The end of the count may be seen late, if another virtual processor had the core, and never
 * early: the least of several is the best. */
uint64_t guest_measure_tsc_hz(unsigned milliseconds)
{
    uint64_t best = ~0ull;

    for (unsigned i = 0; i < MEASUREMENTS; i++) {
        uint64_t hz = measure_once(milliseconds);
        if (hz < best)
            best = hz;
    }
    return best;
}

uint64_t guest_us(uint64_t microseconds)
{
    return microseconds * (guest_tsc_hz / 1000) / 1000;
}

void guest_delay_us(uint64_t microseconds)
{
    uint64_t start = rdtsc(), ticks = guest_us(microseconds);

    while (rdtsc() - start < ticks)
        pause();
}

bool guest_wait(volatile uint32_t *flag, uint64_t microseconds)
{
    uint64_t start = rdtsc(), ticks = guest_us(microseconds);

    while (!*flag && rdtsc() - start < ticks)
        pause();
    return *flag != 0;
}
