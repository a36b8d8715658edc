/*
 * Interrupt lines and messages inside a VM.
 *
 * A line is a level that its owner sets; what an edge means is the receiver's affair. A message is
 * what an MSI write or an I/O APIC entry says, decoded once.
 */
#ifndef HV_IRQ_H
#define HV_IRQ_H

#include "hv/types.h"

struct irq_line {
    void (*set)(void *context, unsigned line, bool level);
    void *context;
    unsigned line;
};

static inline void irq_set(const struct irq_line *irq, bool level)
{
    if (irq->set)
        irq->set(irq->context, irq->line, level);
}

/* Delivery modes, with the encodings of the local APIC's ICR and the I/O APIC's entries. */
enum irq_delivery {
    IRQ_FIXED = 0,
    IRQ_LOWEST = 1,
    IRQ_SMI = 2,
    IRQ_NMI = 4,
    IRQ_INIT = 5,
    IRQ_STARTUP = 6,
    IRQ_EXTINT = 7,
};

struct irq_message {
    uint32_t destination; /* APIC id, or logical destination */
    uint8_t vector;
    enum irq_delivery delivery;
    bool logical;         /* destination mode */
    bool level_triggered;
    bool asserted;        /* meaningful for level-triggered messages and INIT */
};

/* Where messages go: the VM's local APICs. */
struct irq_sink {
    void (*deliver)(void *context, const struct irq_message *message);
    void *context;
};

static inline void irq_deliver(const struct irq_sink *sink, const struct irq_message *message)
{
    sink->deliver(sink->context, message);
}

#endif
