/* Counting interrupts, for the sections that make them. */
#include "selftest.h"

volatile uint32_t interrupt_count;
volatile uint64_t interrupt_tsc;

void count_interrupt(struct trap_frame *frame)
{
    (void)frame;
    interrupt_tsc = rdtsc();
    interrupt_count++;
    guest_eoi();
}

bool wait_interrupts(uint32_t wanted, uint64_t microseconds)
{
    uint64_t start = rdtsc(), ticks = guest_us(microseconds);

    sti();
    while (interrupt_count < wanted && rdtsc() - start < ticks)
        pause();
    cli();
    return interrupt_count >= wanted;
}

void let_in(void)
{
    sti();
    for (unsigned i = 0; i < 64; i++)
        pause();
    cli();
}
