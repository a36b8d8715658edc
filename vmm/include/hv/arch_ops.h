/*
 * What vmm/ asks of the processor. One architecture is linked in, so these are plain functions.
 */
#ifndef HV_ARCH_OPS_H
#define HV_ARCH_OPS_H

#include "hv/irq.h"
#include "hv/vm.h"

/* --- the machine --- */
unsigned arch_core_count(void);
unsigned arch_this_core(void);
/* The host's time stamp counter, and its measured rate in ticks a second. */
uint64_t arch_tsc(void);
uint64_t arch_tsc_hz(void);
/* Zeroes whole pages the cheapest way. */
void arch_zero(void *start, uint64_t bytes);
/* What the machine lacks for giving cores to guests (interrupts = guest); NULL: nothing. */
const char *arch_cannot_own_cores(void);
/* Makes another core leave its guest or its idle state. */
void arch_kick_core(unsigned core);
/* Waits with interrupts open until `deadline_tsc` (UINT64_MAX: without end) or an interrupt. Returns
 * at once if `*unless` is not 0 by the time interrupts are closed. */
void arch_idle(uint64_t deadline_tsc, const uint32_t *unless);
HV_NORETURN void arch_power_off(void);
HV_NORETURN void arch_reset(void);
/* The run is over, and firmware was kept: every core goes back to it. Any core, when no vCPU runs any
 * more. Comes back nowhere: each core goes on in firmware, where it came from. */
HV_NORETURN void arch_back_to_firmware(void);
/* Has somebody called it? Then this core calls arch_leave_run, which is its part. */
bool arch_run_is_over(void);
HV_NORETURN void arch_leave_run(void);

/* --- VMs --- */

/* Second-level tables over vm->memory and what else the processor needs for a VM. */
enum hv_err arch_vm_create(struct vm *vm) HV_MUST_CHECK;

/* Gives back what they have taken; vCPUs first. On the boot core, with all parked. vm->arch may be
 * NULL, and what it points to half built. */
void arch_vcpu_destroy(struct vcpu *vcpu);
void arch_vm_destroy(struct vm *vm);

/* Lets the guest read the page at `gpa` without an exit; writes and fetches exit as before. Before
 * the first entry. HV_ERR_UNSUPPORTED: the processor has no such mapping. */
enum hv_err arch_vm_map_readable(struct vm *vm, gpa_t gpa, hpa_t hpa) HV_MUST_CHECK;

/* A vCPU in the state after power-on (the first one ready to be given an entry point, the others
 * waiting for a start-up message). NULL: no memory, or the policy was refused (logged). */
struct vcpu *arch_vcpu_create(struct vm *vm, unsigned index);

/* Back to the state after power-on. */
void arch_vcpu_reset(struct vcpu *vcpu);

/* Puts a vCPU at the entry point that a loader has prepared. */
void arch_vcpu_enter_at(struct vcpu *vcpu, const struct loader_result *at);

/* Runs the vCPU on this core until something has to be done for others. `slice_end_tsc`: when its
 * turn is over at the latest. Interrupts are closed before and after. */
enum vcpu_next arch_vcpu_run(struct vcpu *vcpu, uint64_t slice_end_tsc);

/* Takes the vCPU's registers out of this core, so that another vCPU can run here. */
void arch_vcpu_put(struct vcpu *vcpu);

/* As arch_vcpu_put, and gives up what ties the vCPU to this core, so that another core may change it. */
void arch_vcpu_release(struct vcpu *vcpu);

/* Is there an event that a blocked vCPU should wake for? */
bool arch_vcpu_has_event(struct vcpu *vcpu);

/* Sends an interrupt message to the VM's local interrupt controllers, from any core. */
void arch_vm_deliver(struct vm *vm, const struct irq_message *message);

/* The level of the legacy interrupt controller's INTR output has changed. */
void arch_vm_set_pic_output(struct vm *vm, bool level);

/* A vCPU's time stands still, on its own core: its timer is kept from firing; and goes on, with
 * `ticks` of the host's TSC left out. */
void arch_vcpu_freeze(struct vcpu *vcpu);
void arch_vcpu_thaw(struct vcpu *vcpu, uint64_t ticks);

/* How often the vCPU has left its guest. From any core. */
uint64_t arch_vcpu_exit_count(const struct vcpu *vcpu);

/* One line a vCPU on the log: where it is, what it has counted. */
void arch_vcpu_describe(struct vcpu *vcpu);

#endif
