/*
 * What the owner of a thin machine can ask of it at privilege level 0 (x86/thin.h): functions that have
 * numbers, and are reached by RDMSR and WRMSR of an MSR with that number, or by VMCALL.
 *
 * VMCALL without the signature, or from elsewhere than 64-bit code at privilege level 0, is what it is
 * on a machine without VT-x: an invalid opcode. CPUID's leaves, for everybody: thin_hot.c.
 * No lock: the core's own.
 * SDM volume 3 "Instructions That Cause VM Exits Unconditionally".
 */
#include "arch/x86/vmx/thin_internal.h"

static uint64_t ring_next(struct thin_core *core)
{
    const uint64_t *ring = (const uint64_t *)core->v.recorder.trace.records;
    uint64_t words = VMX_TRACE_RECORDS * sizeof(struct vmx_trace_record) / sizeof(uint64_t);

    return ring ? ring[core->ring_word++ % words] : 0;
}

bool thin_ours_read(struct vmx_vcpu *v, uint32_t number, uint64_t *value)
{
    struct thin_core *core = thin_core_of_vcpu(v);

    switch (number) {
    case THIN_MSR_SIGNATURE:
        *value = THIN_SIGNATURE;
        return true;
    case THIN_MSR_COUNT:
        *value = core->v.recorder.trace.count;
        return true;
    case THIN_MSR_SELECT:
        *value = core->ring_word;
        return true;
    case THIN_MSR_DATA:
        *value = ring_next(core);
        return true;
    case THIN_MSR_OFF:
        return thin_off(v);
    default:
        return false;
    }
}

static bool control(struct thin_core *core, uint64_t value)
{
    switch (value) {
    case THIN_CONTROL_FREEZE:
        return vmx_record(&core->v, 0) == HV_OK;
    case THIN_CONTROL_RECORD:
        return vmx_record(&core->v, VMX_RECORD_TICKS | VMX_RECORD_RING) == HV_OK;
    case THIN_CONTROL_ARM:
        core->armed = true;
        return true;
    default:
        return false;
    }
}

bool thin_ours_write(struct vmx_vcpu *v, uint32_t number, uint64_t value)
{
    struct thin_core *core = thin_core_of_vcpu(v);

    if (number == THIN_MSR_CONTROL)
        return control(core, value);
    if (number != THIN_MSR_SELECT)
        return false;
    core->ring_word = value;
    return true;
}

unsigned thin_vmcall(struct vmx_vcpu *v)
{
    uint64_t *r = v->gprs.r, value = r[X86_RDX];
    uint32_t number = (uint32_t)r[X86_RCX];
    bool done;

    if (r[X86_RAX] != THIN_SIGNATURE || vmx_guest_mode(v) != EMUL_MODE_64 ||
        vmx_ar_dpl((uint32_t)vmcs_read(VMCS_GUEST_SS_ACCESS_RIGHTS)) != 0)
        return exit_undefined_opcode(v);
    if (r[X86_RCX] & THIN_CALL_WRITE)
        done = thin_ours_write(v, number, value);
    else
        done = thin_ours_read(v, number, &value);
    if (done)
        r[X86_RDX] = value;
    r[X86_RAX] = done ? THIN_CALL_DONE : THIN_CALL_REFUSED;
    return EXIT_NEXT | VCPU_RUN;
}
