/*
 * From one core with firmware's tables to all cores with ours.
 * SDM volume 3 "Multiple-Processor (MP) Initialization".
 */
#ifndef X86_START_H
#define X86_START_H

#include "hv/boot_info.h"
#include "x86/percpu.h"

/* Where boot/ jumps to: interrupts off, identity-mapped, firmware's descriptor tables. */
HV_NORETURN void arch_entry(struct boot_info *info);

/* What of that does not need the machine for itself: memory, page tables, IDT. Firmware's tables stay
 * in use. Boot core, once; the descriptors of each core come with descriptors_load. */
void arch_start_thin(const struct boot_info *info);

/* Called on every core, in its own context: own stack, descriptors, page tables, local APIC on,
 * interrupts off. Other cores call it as they come up, one after the other; the boot core (index 0)
 * last, when every other one has come up or has been given up. It belongs to the VMX code. */
HV_NORETURN void arch_core_main(unsigned index);

/* What boot/ handed over. Constant. */
const struct boot_info *arch_boot_info(void);

/* Starts every other core and reports each one's outcome. Boot core, once. Whether all cores that
 * firmware and ACPI know of run our code now: none can be in a loop of firmware's any more. */
bool smp_start(const struct boot_info *info);

/* Says what became of this core. CORE_PARKED: `reason` is one phrase, and the call does not
 * return. */
void core_report(enum core_state state, const char *reason);

/* Waits until each core that was started is CORE_READY or CORE_PARKED, at most `timeout_us`; names
 * the ones that are not. Returns how many are CORE_READY. */
unsigned core_wait_ready(uint64_t timeout_us);

/* One-way gate: cores wait in core_wait_release until the boot core calls core_release_all. */
void core_wait_release(void);
void core_release_all(void);

#endif
