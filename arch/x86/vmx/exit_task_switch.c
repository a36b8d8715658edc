/*
 * VM exits for task switches: the guest's state out of the VMCS, through x86/task_switch.h, and
 * back.
 *
 * An event that was being delivered through a task gate is consumed here if the switch happened;
 * if a fault came first, it is merged or queued again like any other.
 * SDM volume 3 "Treatment of Task Switches", "Exit Qualification for Task Switches", "Information
 * for VM Exits That Occur During Event Delivery", "Task-Switch Exception Condition".
 */
#include "arch/x86/vmx/vcpu.h"
#include "hv/string.h"
#include "x86/guest_walk.h"
#include "x86/msr.h"
#include "x86/task_switch.h"

#define WALK_TRIES_MAX 64u /* races with another core that changes the page tables */

/* --- memory --- */

/* Past the commit point nothing can be tried again by running the instruction again. */
static enum emul_status given_up(struct vmx_vcpu *v, enum emul_status status)
{
    if (status != EMUL_RETRY)
        return status;
    vmx_crash(v, "page tables kept changing under a task switch");
    return EMUL_ABORT;
}

static enum emul_status op_read(void *ctx, gva_t linear, unsigned size_bytes, void *bytes,
                                struct x86_fault *fault)
{
    enum emul_status status = EMUL_RETRY;

    for (unsigned i = 0; i < WALK_TRIES_MAX && status == EMUL_RETRY; i++)
        status = vmx_linear_read(ctx, linear, bytes, size_bytes, GUEST_ACCESS_IMPLICIT, fault);
    return given_up(ctx, status);
}

static enum emul_status write_as(struct vmx_vcpu *v, gva_t linear, unsigned size_bytes,
                                 const void *bytes, unsigned access, struct x86_fault *fault)
{
    enum emul_status status = EMUL_RETRY;

    for (unsigned i = 0; i < WALK_TRIES_MAX && status == EMUL_RETRY; i++)
        status = vmx_linear_write(v, linear, bytes, size_bytes, access, fault);
    return given_up(v, status);
}

static enum emul_status op_write(void *ctx, gva_t linear, unsigned size_bytes, const void *bytes,
                                 struct x86_fault *fault)
{
    return write_as(ctx, linear, size_bytes, bytes, GUEST_ACCESS_IMPLICIT, fault);
}

static enum emul_status op_push(void *ctx, gva_t linear, unsigned size_bytes, const void *bytes,
                                struct x86_fault *fault)
{
    return write_as(ctx, linear, size_bytes, bytes, GUEST_ACCESS_WRITE, fault);
}

static enum emul_status op_probe(void *ctx, gva_t linear, unsigned size_bytes, bool write,
                                 struct x86_fault *fault)
{
    unsigned access = GUEST_ACCESS_IMPLICIT | (write ? GUEST_ACCESS_WRITE : GUEST_ACCESS_READ);
    enum emul_status status = EMUL_RETRY;

    for (unsigned i = 0; i < WALK_TRIES_MAX && status == EMUL_RETRY; i++)
        status = vmx_linear_probe(ctx, linear, size_bytes, access, fault);
    return given_up(ctx, status);
}

static enum emul_status op_exchange(void *ctx, gva_t linear, uint8_t expected, uint8_t desired,
                                    struct x86_fault *fault)
{
    return vmx_linear_exchange(ctx, linear, 1, expected, desired, GUEST_ACCESS_IMPLICIT, fault);
}

/* PDPTEs with reserved bits are #GP(0), as for MOV to CR3. */
static enum emul_status op_load_cr3(void *ctx, uint32_t value, struct x86_fault *fault)
{
    if (vmx_set_cr3(ctx, value))
        return EMUL_OK;
    *fault = (struct x86_fault){ .vector = X86_EXC_GP, .has_error = true };
    return EMUL_FAULT;
}

const struct task_ops vmx_task_ops = {
    op_read, op_write, op_probe, op_exchange, op_load_cr3, op_push,
};

/* --- registers --- */

/* ES, CS, SS, DS, FS, GS, LDTR, TR: two apart in the VMCS, in this order. */
enum { FIELD_LDTR = X86_SEG_COUNT, FIELD_TR };

static struct task_segment segment_get(unsigned segment)
{
    uint32_t step = 2 * segment;

    return (struct task_segment){
        .selector = (uint16_t)vmcs_read(VMCS_GUEST_ES_SELECTOR + step),
        .base = (uint32_t)vmcs_read(VMCS_GUEST_ES_BASE + step),
        .limit = (uint32_t)vmcs_read(VMCS_GUEST_ES_LIMIT + step),
        .rights = (uint32_t)vmcs_read(VMCS_GUEST_ES_ACCESS_RIGHTS + step),
    };
}

static void segment_put(unsigned segment, const struct task_segment *s)
{
    uint32_t step = 2 * segment;

    vmcs_write(VMCS_GUEST_ES_SELECTOR + step, s->selector);
    vmcs_write(VMCS_GUEST_ES_BASE + step, s->base);
    vmcs_write(VMCS_GUEST_ES_LIMIT + step, s->limit);
    vmcs_write(VMCS_GUEST_ES_ACCESS_RIGHTS + step, s->rights);
}

static void cpu_get(struct vmx_vcpu *v, struct task_cpu *cpu)
{
    vmx_guest_rsp(v);
    for (unsigned i = 0; i < HV_ARRAY_COUNT(cpu->gprs); i++)
        cpu->gprs[i] = (uint32_t)v->gprs.r[i];
    cpu->eip = (uint32_t)vmcs_read(VMCS_GUEST_RIP);
    cpu->eflags = (uint32_t)vmcs_read(VMCS_GUEST_RFLAGS);
    for (unsigned i = 0; i < X86_SEG_COUNT; i++)
        cpu->segments[i] = segment_get(i);
    cpu->ldtr = segment_get(FIELD_LDTR);
    cpu->tr = segment_get(FIELD_TR);
    cpu->gdt_base = (uint32_t)vmcs_read(VMCS_GUEST_GDTR_BASE);
    cpu->gdt_limit = (uint32_t)vmcs_read(VMCS_GUEST_GDTR_LIMIT);
    cpu->cr0 = vmcs_read(VMCS_GUEST_CR0);
    cpu->dr7 = (uint32_t)vmcs_read(VMCS_GUEST_DR7);
}

/* CR3 is in its place already. */
static void cpu_put(struct vmx_vcpu *v, const struct task_cpu *cpu)
{
    for (unsigned i = 0; i < HV_ARRAY_COUNT(cpu->gprs); i++)
        v->gprs.r[i] = cpu->gprs[i];
    vmcs_write(VMCS_GUEST_RSP, cpu->gprs[X86_RSP]);
    vmcs_write(VMCS_GUEST_RIP, cpu->eip);
    vmcs_write(VMCS_GUEST_RFLAGS, cpu->eflags);
    for (unsigned i = 0; i < X86_SEG_COUNT; i++)
        segment_put(i, &cpu->segments[i]);
    segment_put(FIELD_LDTR, &cpu->ldtr);
    segment_put(FIELD_TR, &cpu->tr);
    vmcs_write(VMCS_GUEST_CR0, cpu->cr0);
    vmcs_write(VMCS_CR0_READ_SHADOW, vmcs_read(VMCS_CR0_READ_SHADOW) | CR0_TS);
    vmcs_write(VMCS_GUEST_DR7, cpu->dr7);
}

/* --- what surrounds the switch --- */

static bool is_software(uint32_t vect_info)
{
    return vect_info && vmx_intr_is_software(vect_info);
}

/* INT1 counts as external (SDM "Error Code"), INT n, INT3 and INTO do not. */
static bool is_external(const struct vmx_task_switch *t, uint32_t vect_info)
{
    return t->source == VMX_TASK_GATE &&
           (!is_software(vect_info) ||
            vmx_intr_type(vect_info) == VMX_INTR_PRIVILEGED_SOFTWARE_EXCEPTION);
}

/* Blocking ends with the instruction, or with the event's delivery; an NMI starts its own, and IRET
 * ends that even if it faults. */
static void set_blocking(const struct vmx_task_switch *t, uint32_t vect_info)
{
    uint32_t blocking = (uint32_t)vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE);

    blocking &= ~(VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS);
    if (t->source == VMX_TASK_IRET)
        blocking &= ~VMX_BLOCKING_BY_NMI;
    if (t->source == VMX_TASK_GATE && vect_info && vmx_intr_type(vect_info) == VMX_INTR_NMI)
        blocking |= VMX_BLOCKING_BY_NMI;
    vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE, blocking);
}

void vmx_set_debug_cause(struct vmx_vcpu *v, uint64_t why)
{
    uint64_t dr6 = read_dr6() & ~(uint64_t)(DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3);

    (void)v;
    write_dr6(dr6 | DR6_RTM | why);
    vmcs_write(VMCS_GUEST_DR7, vmcs_read(VMCS_GUEST_DR7) & ~(uint64_t)DR7_GD);
    vmcs_write(VMCS_GUEST_IA32_DEBUGCTL,
               vmcs_read(VMCS_GUEST_IA32_DEBUGCTL) & ~(DEBUGCTL_LBR | DEBUGCTL_BTF));
}

/* #DB before the new task's first instruction: for the T flag of its TSS, and for a single step
 * over the instruction that switched. */
static void raise_debug(struct vmx_vcpu *v, bool task_trap, bool single_step)
{
    uint64_t why = (task_trap ? DR6_BT : 0) | (single_step ? DR6_BS : 0);

    vmcs_write(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
    if (!why)
        return;
    vmx_set_debug_cause(v, why);
    vmx_queue_exception(v, X86_EXC_DB, false, 0);
}

/* A fault of the new task: it still counts as met while the event was delivered, and the event is
 * gone. */
static unsigned fault_after(struct vmx_vcpu *v, const struct x86_fault *fault)
{
    vmx_queue_fault(v, fault);
    v->exit.vect_info = 0;
    return EXIT_KEEP | VCPU_RUN;
}

static unsigned finish(struct vmx_vcpu *v, struct task_cpu *cpu, bool external,
                       struct task_outcome *outcome, bool single_step)
{
    uint32_t info = v->exit.vect_info;
    enum task_result result = TASK_DONE;

    if (info & VMX_INTR_ERROR_CODE) {
        result = task_push_error(cpu, v->exit.vect_error, external, &vmx_task_ops, v, outcome);
        vmcs_write(VMCS_GUEST_RSP, cpu->gprs[X86_RSP]);
        v->gprs.r[X86_RSP] = cpu->gprs[X86_RSP];
    }
    if (result == TASK_FAULT_AFTER)
        return fault_after(v, &outcome->fault);
    if (result == TASK_ABORT)
        return vmx_crash(v, "a task switch's error code found no memory");
    v->exit.vect_info = 0;
    raise_debug(v, outcome->debug_trap, single_step);
    return EXIT_KEEP | VCPU_RUN;
}

unsigned exit_task_switch(struct vmx_vcpu *v)
{
    const struct vmx_task_switch t = vmx_task_switch_decode(v->exit.qualification);
    bool by_instruction = t.source != VMX_TASK_GATE;
    bool external = is_external(&t, v->exit.vect_info);
    const struct task_request request = { t.selector, t.source, external };
    bool single_step = by_instruction && (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_TF);
    struct task_outcome outcome;
    struct task_cpu cpu;
    enum task_result result;

    if (vmcs_read(VMCS_GUEST_IA32_EFER) & EFER_LMA)
        return vmx_crash(v, "a task switch in IA-32e mode");
    cpu_get(v, &cpu);
    if (by_instruction || is_software(v->exit.vect_info))
        cpu.eip += v->exit.length;
    result = task_switch(&cpu, &request, &vmx_task_ops, v, &outcome);
    if (result == TASK_ABORT)
        return vmx_crash(v, "a task switch to 0x%04x found no memory", t.selector);
    if (result == TASK_FAULT_BEFORE) {
        if (t.source == VMX_TASK_IRET)
            set_blocking(&t, 0);
        vmx_queue_fault(v, &outcome.fault);
        return EXIT_KEEP | VCPU_RUN;
    }
    set_blocking(&t, v->exit.vect_info);
    cpu_put(v, &cpu);
    if (result == TASK_FAULT_AFTER)
        return fault_after(v, &outcome.fault);
    return finish(v, &cpu, external, &outcome, single_step);
}
