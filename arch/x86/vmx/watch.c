/*
 * The guest's data and I/O breakpoints on accesses that exit: the processor has not made them, so
 * it has not compared them either. What is met becomes a pending debug exception, which the next
 * entry delivers as the trap that it is, after the instruction or the iteration.
 *
 * Called only where DR7 enables something; DR0 to DR3 are in the core while the vCPU is loaded.
 * Not compared: the tables that a task switch reads, and operands of instructions whose exit the
 * policy asks for (x86/lab.h).
 * Lock: none; everything on the vCPU's own core, with its VMCS current.
 * SDM volume 3 "Data Memory and I/O Breakpoint Exception Conditions", "Guest Non-Register State".
 */
#include "arch/x86/vmx/vcpu.h"

void vmx_watch(struct vmx_vcpu *v, enum breakpoint_access access, uint64_t address, unsigned bytes)
{
    const struct breakpoint_registers registers = {
        .dr = { read_dr0(), read_dr1(), read_dr2(), read_dr3() },
        .dr7 = vmcs_read(VMCS_GUEST_DR7),
        .cr4 = vmx_guest_cr4(v),
    };

    v->watch_met |= (uint8_t)breakpoint_match(&registers, access, address, bytes);
}

void vmx_watch_raise(struct vmx_vcpu *v)
{
    if (v->watch_met)
        vmcs_write(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS,
                   vmcs_read(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS) | VMX_PENDING_DBG_ENABLED |
                       v->watch_met);
    v->watch_met = 0;
}
