/*
 * Registers of the host's local APIC, for host_apic.c and host_timer.c alone.
 * SDM volume 3 tables "Local APIC Register Address Map", "Local APIC Register Address Map Supported
 * by x2APIC" (the MSR is 800H + offset / 16).
 */
#ifndef X86_HOST_APIC_REGS_H
#define X86_HOST_APIC_REGS_H

#include "hv/types.h"

enum apic_register {
    APIC_VERSION = 0x030,
    APIC_TPR = 0x080,
    APIC_EOI = 0x0b0,
    APIC_LDR = 0x0d0, /* read-only in x2APIC mode */
    APIC_DFR = 0x0e0, /* xAPIC only */
    APIC_SPURIOUS = 0x0f0,
    APIC_ISR = 0x100,
    APIC_IRR = 0x200,
    APIC_ERROR_STATUS = 0x280,
    APIC_LVT_CMCI = 0x2f0,
    APIC_ICR_LOW = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_THERMAL = 0x330,
    APIC_LVT_PERFORMANCE = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_INITIAL_COUNT = 0x380,
    APIC_CURRENT_COUNT = 0x390,
    APIC_DIVIDE = 0x3e0,
    APIC_SELF_IPI = 0x3f0, /* x2APIC only */
};

#define APIC_SPURIOUS_ENABLE      (1u << 8)
#define APIC_TPR_EXCEPTIONS       0x10u /* holds vectors up to 31 back */
#define APIC_TPR_DEVICES          0xe0u /* holds vectors up to 0xef back: all but the host's own */
#define APIC_LVT_MASKED           (1u << 16)
#define APIC_LVT_DELIVERY         (7u << 8)
#define APIC_LVT_DELIVERY_SMI     (2u << 8)
#define APIC_LVT_DELIVERY_NMI     (4u << 8)
#define APIC_LVT_READ_ONLY        (1u << 12 | 1u << 14) /* delivery status, remote IRR */
#define APIC_LVT_TIMER_DEADLINE   (2u << 17)
#define APIC_DIVIDE_BY_16         3u
#define APIC_ICR_NMI              (4u << 8)
#define APIC_ICR_INIT             (5u << 8)
#define APIC_ICR_STARTUP          (6u << 8)
#define APIC_ICR_PENDING          (1u << 12) /* xAPIC only */
#define APIC_ICR_ASSERT           (1u << 14)
#define APIC_ICR_ALL_BUT_SELF     (3u << 18)

uint32_t apic_read(enum apic_register reg);
void apic_write(enum apic_register reg, uint32_t value);

#endif
