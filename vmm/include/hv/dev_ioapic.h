/*
 * I/O APIC with 24 pins. Source: 82093AA data sheet; the EOI register is that of version 0x20
 * (Intel I/O Controller Hub data sheets, "I/O APIC: EOI Register").
 *
 * Lock: the bus lock, for every function here.
 */
#ifndef HV_DEV_IOAPIC_H
#define HV_DEV_IOAPIC_H

#include "hv/device.h"

#define IOAPIC_DEFAULT_BASE 0xFEC00000u
#define IOAPIC_REGION_BYTES 4096u
#define IOAPIC_PINS 24u /* at most; the version register says how many an I/O APIC has */
#define IOAPIC_VERSION 0x20u

/* Offsets in the region */
#define IOAPIC_REG_SELECT 0x00u
#define IOAPIC_REG_WINDOW 0x10u
#define IOAPIC_REG_EOI 0x40u

/* Redirection entry bits */
#define IOAPIC_RTE_VECTOR UINT64_C(0xFF)
#define IOAPIC_RTE_DELIVERY_SHIFT 8
#define IOAPIC_RTE_LOGICAL (UINT64_C(1) << 11)
#define IOAPIC_RTE_DELIVERY_STATUS (UINT64_C(1) << 12)
#define IOAPIC_RTE_ACTIVE_LOW (UINT64_C(1) << 13)
#define IOAPIC_RTE_REMOTE_IRR (UINT64_C(1) << 14)
#define IOAPIC_RTE_LEVEL (UINT64_C(1) << 15)
#define IOAPIC_RTE_MASKED (UINT64_C(1) << 16)
#define IOAPIC_RTE_DESTINATION_SHIFT 56

struct ioapic_state {
    uint64_t entry[IOAPIC_PINS];
    uint32_t id;      /* bits 27:24 */
    uint32_t select;
    uint32_t lines;   /* bit n: pin n is active (logical level, whatever the polarity bit says) */
};

struct ioapic {
    struct device device; /* MMIO region, tag 0 */
    struct ioapic_state state;
    struct irq_sink sink;
    unsigned pins;    /* 1 to IOAPIC_PINS */
    uint32_t *mirror; /* a page that shows the registers to readers, or NULL */
};

/* Powered up: every entry masked, id 0. A reset keeps the pins' levels: they are other devices'.
 * `pins`: 1 to IOAPIC_PINS. */
void ioapic_init(struct ioapic *ioapic, const struct irq_sink *sink, unsigned pins);

/* Keeps in `page` (4 KB) what a read of each register gives, so that the guest may be let at it for
 * reading: the registers have no side effects when read. NULL: no longer. */
void ioapic_set_mirror(struct ioapic *ioapic, uint32_t *page);

/* Level of a pin; fits `struct irq_line`. `context` is the ioapic; pins that it does not have are ignored. */
void ioapic_set_line(void *context, unsigned pin, bool level);

/* A local APIC has ended a level-triggered interrupt with this vector. */
void ioapic_eoi(struct ioapic *ioapic, uint8_t vector);

#endif
