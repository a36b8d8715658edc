/*
 * The clock page that a paravirtual guest reads: how many nanoseconds a TSC is, without an exit.
 *
 * Not here: who asked for it and where it lies (arch/x86/vmx/kvm_clock.c). Pure; no lock.
 * Source: Linux's documentation "KVM-specific MSRs" (MSR_KVM_WALL_CLOCK_NEW,
 * MSR_KVM_SYSTEM_TIME_NEW), which defines both structures.
 */
#ifndef X86_PVCLOCK_H
#define X86_PVCLOCK_H

#include "hv/types.h"

#define PVCLOCK_TSC_STABLE (1u << 0)
#define PVCLOCK_TIME_BYTES 32u
#define PVCLOCK_WALL_BYTES 12u

/* What the page says: at the guest's TSC `tsc_timestamp` it was `system_ns`. */
struct pvclock_time {
    uint64_t tsc_timestamp;
    uint64_t system_ns;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags;
};

/* Multiplier and shift of a TSC rate (not 0): nanoseconds = (ticks shifted by tsc_shift) * mul >> 32,
 * where a negative shift goes right. The multiplier has its highest bit set. */
void pvclock_set_rate(struct pvclock_time *time, uint64_t tsc_hz);

/* Writes PVCLOCK_TIME_BYTES or PVCLOCK_WALL_BYTES of guest memory, 4-byte aligned: the version is
 * odd while the rest changes, and even and another one after. The memory is the guest's: nothing
 * follows from what stands there. */
void pvclock_write_time(void *at, const struct pvclock_time *time);
/* `seconds` since 1970 when the system time was 0. The structure has 32 bits for them. */
void pvclock_write_wall(void *at, uint64_t seconds, uint32_t ns);

#endif
