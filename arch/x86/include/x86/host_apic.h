/*
 * The local APIC of the core that executes: interrupts between cores, the one-shot timer, EOI.
 * Not here: a guest's local APIC (x86/lapic.h). SDM volume 3 "Advanced Programmable Interrupt
 * Controller (APIC)".
 */
#ifndef X86_HOST_APIC_H
#define X86_HOST_APIC_H

#include "hv/drv_access.h"

#define HOST_APIC_ID_UNKNOWN UINT32_MAX

/* Chooses the mode for all cores (x2APIC wherever the processor has it, else xAPIC; where firmware is
 * kept, the one that it is in: the way back would reset the APIC), and masks the 8259As. Boot core,
 * once, before host_apic_init_core. Panics without a local APIC. */
void host_apic_init(void);

/* Switches this core's local APIC on in the chosen mode: spurious vector, LINT0 masked, LINT1 NMI,
 * error interrupt, timer stopped, nothing left in service. HV_ERR_UNSUPPORTED: the core's APIC is
 * disabled for good, or cannot be brought into the mode. */
enum hv_err host_apic_init_core(void) HV_MUST_CHECK;

struct acpi_host;

/* Masks every entry of the I/O APICs that the tables name, but those that raise an SMI. Boot core, once,
 * before interrupts are opened; not where firmware is kept. One that does not answer is left out. */
void host_ioapic_mask(const struct acpi_host *acpi, const struct hv_access *access);

struct kept_apic;

/* What firmware has in this core's local APIC. Its registers must be mapped: by firmware's tables or
 * ours. Changes nothing. */
void host_apic_read(struct kept_apic *apic);

/* Firmware has this core's local APIC, and on the boot core the 8259As, as they were. Nothing of ours
 * is left requested in it; what devices have requested meanwhile was held back, and is firmware's.
 * Interrupts are off. */
void host_apic_give_back(const struct kept_apic *before);

/* Finds the rate of the timer where there is no TSC-deadline mode. Boot core, after tsc_calibrate
 * and host_apic_init_core; takes 10 ms at most. */
void host_timer_init(void);

/* This core's id, of 32 bits where the processor has them. Works before everything else. */
uint32_t host_apic_id(void);

bool host_apic_is_x2apic(void);

/* Is an interrupt with this vector being served? A spurious one is not. */
bool host_apic_in_service(uint8_t vector);
/* Has one arrived that waits for interrupts to be opened? */
bool host_apic_requested(uint8_t vector);

/* This core's local APIC becomes a guest's, in the state after power-up but for `spurious`, which
 * is the SVR, and for the pins and sensors, whose entries stay the host's. From here on interrupts
 * must stay closed while the hypervisor runs: what comes is the guest's. Kicks come as NMIs; one
 * that comes outside of the guest sets the preemption timer of the current VMCS to 0. x2APIC mode,
 * TSC-deadline mode; interrupts are off. */
void host_apic_lend(uint32_t spurious);

/* And is the host's again, whatever the guest has left in it: what it had requested is dropped. */
void host_apic_take_back(void);

/* The guest has written its SVR, while the APIC is lent. */
void host_apic_lent_svr(uint32_t spurious);

/* Interrupts the core that executes. x2APIC mode. */
void host_apic_self_ipi(uint8_t vector);

void host_apic_eoi(void);

/* Interrupts another core. In xAPIC mode the ICR is two registers, and a handler that sends an
 * interrupt between them would spoil it: interrupts are held off inside. */
void host_apic_send(uint32_t apic_id, uint8_t vector);
void host_apic_send_nmi(uint32_t apic_id);
void host_apic_send_init(uint32_t apic_id);
/* The core starts in real mode at page_address, which is below 1 MB and page-aligned. */
void host_apic_send_startup(uint32_t apic_id, uint32_t page_address);
/* The last two, to every core but this one. */
void host_apic_broadcast_init(void);
void host_apic_broadcast_startup(uint32_t page_address);

/* Arms this core's timer, which interrupts once with HOST_VECTOR_TIMER when the TSC reaches the
 * value; at once when it has. Without TSC-deadline mode it may come early, when the time is longer
 * than the counter holds: who waits looks at the TSC and arms again. */
void host_timer_arm_tsc(uint64_t deadline_tsc);
/* An interrupt that is pending already still comes. */
void host_timer_stop(void);
bool host_timer_is_deadline_mode(void);

/* Rate of the count-down timer, undivided; 0: it does not count. Measured at the first call, in
 * 10 ms. Boot core, before it runs vCPUs. */
uint64_t host_timer_counter_hz(void);

#endif
