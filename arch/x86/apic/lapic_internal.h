/*
 * What the files of the local APIC share among themselves. Not for anybody else.
 */
#ifndef APIC_LAPIC_INTERNAL_H
#define APIC_LAPIC_INTERNAL_H

#include "x86/lapic.h"

#define LVT_VECTOR 0xFFu
#define LVT_DELIVERY_SHIFT 8
#define LVT_DELIVERY (7u << LVT_DELIVERY_SHIFT)
#define LVT_ACTIVE_LOW (1u << 13)
#define LVT_REMOTE_IRR (1u << 14)
#define LVT_LEVEL (1u << 15)

#define SVR_ENABLE (1u << 8)
#define SVR_SUPPRESS_EOI (1u << 12)

#define FIRST_LEGAL_VECTOR 16u

/* `published`: what lapic_matches needs. One word, so that no core sees a half-changed identity. */
#define PUBLISHED_ID UINT64_C(0xFFFFFFFF)
#define PUBLISHED_LDR_SHIFT 32 /* 8 bits, xAPIC only */
#define PUBLISHED_FLAT (UINT64_C(1) << 40)
#define PUBLISHED_X2APIC (UINT64_C(1) << 41)
#define PUBLISHED_ENABLED (UINT64_C(1) << 42)
#define PUBLISHED_SW_ENABLED (UINT64_C(1) << 43)

static inline uint32_t lapic_get(const struct lapic *lapic, uint32_t offset)
{
    return lapic->page[offset / 4];
}

static inline void lapic_put(struct lapic *lapic, uint32_t offset, uint32_t value)
{
    lapic->page[offset / 4] = value;
}

/* The 256-bit registers ISR, TMR and IRR: 32 bits in each 16 bytes. */
static inline uint32_t *lapic_vector_word(struct lapic *lapic, uint32_t base, uint8_t vector)
{
    return &lapic->page[(base + (vector / 32u) * 16u) / 4];
}

static inline void lapic_vector_set(struct lapic *lapic, uint32_t base, uint8_t vector)
{
    *lapic_vector_word(lapic, base, vector) |= 1u << (vector % 32);
}

static inline void lapic_vector_clear(struct lapic *lapic, uint32_t base, uint8_t vector)
{
    *lapic_vector_word(lapic, base, vector) &= ~(1u << (vector % 32));
}

static inline bool lapic_vector_test(const struct lapic *lapic, uint32_t base, uint8_t vector)
{
    return lapic->page[(base + (vector / 32u) * 16u) / 4] >> (vector % 32) & 1;
}

static inline void lapic_owner_set(struct lapic *lapic, uint32_t bits)
{
    lapic->attention.half.owner |= bits;
}

static inline void lapic_owner_clear(struct lapic *lapic, uint32_t bits)
{
    lapic->attention.half.owner &= ~bits;
}

static inline bool lapic_is_sw_enabled(const struct lapic *lapic)
{
    return (lapic_get(lapic, LAPIC_SVR) & SVR_ENABLE) != 0;
}

/* The vector has come into IRR: PPR does not follow IRR, and what was deliverable still is. */
static inline void lapic_note_requested(struct lapic *lapic, uint8_t vector)
{
    if ((vector & 0xF0u) > (lapic_get(lapic, LAPIC_PPR) & 0xF0))
        lapic_owner_set(lapic, LAPIC_ATTENTION_VECTOR);
}

/* lapic_irq.c: priorities, acceptance, the local vector table's pins. Owner only. */

/* Recomputes PPR and attention's VECTOR bit; due after any change of TPR, ISR or IRR. */
void lapic_update(struct lapic *lapic);

/* A fixed interrupt for this APIC itself: IRR and TMR, or an error for an illegal vector. */
void lapic_take_fixed(struct lapic *lapic, uint8_t vector, bool level);

/* A matched message from the owner's own core. */
void lapic_take_message(struct lapic *lapic, const struct irq_message *message);

/* Raises what an LVT entry says, unless it is masked. */
void lapic_lvt_raise(struct lapic *lapic, uint32_t lvt);

/* Records errors for the ESR and raises LVT error. */
void lapic_error(struct lapic *lapic, uint32_t esr_bits);

/* LVT LINT0 or the APIC's mode has changed: what the pins say may mean something else now. */
void lapic_resample_pins(struct lapic *lapic);

/* lapic_timer.c */
enum lapic_timer_mode lapic_timer_mode(const struct lapic *lapic);
void lapic_timer_stop(struct lapic *lapic);
void lapic_timer_write_lvt(struct lapic *lapic, uint32_t value);
void lapic_timer_write_initial(struct lapic *lapic, uint32_t value);
void lapic_timer_write_divide(struct lapic *lapic, uint32_t value);
uint32_t lapic_timer_current(const struct lapic *lapic);

#endif
