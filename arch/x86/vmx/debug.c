/*
 * The operator's debugger: single steps, breakpoints in the guest's debug registers, and stops at
 * exits of a reason. A stop pauses the whole VM.
 *
 * A step runs one instruction of one vCPU of a paused VM: by the monitor trap flag where the
 * processor has it, else by RFLAGS.TF and the #DB exit. No interrupt is delivered meanwhile. With TF
 * the guest can tell: PUSHF, SYSCALL and exceptions save it; and a step over an instruction that
 * faults ends only when the fault's handler has returned.
 * Breakpoints take debug registers that the guest does not use, from the last down; a guest that
 * writes DR7 itself switches them off.
 *
 * Lock: none; everything on the vCPU's own core, with its VMCS current.
 * SDM volume 3 "Debug Registers", "Single-Step Exception Condition", "Monitor Trap Flag".
 */
#include "arch/x86/vmx/monitor.h"
#include "hv/format.h"
#include "hv/log.h"
#include "x86/insn_length.h"
#include "x86/vmx_errors.h"

#define DR7_ENABLE(slot) (UINT64_C(3) << 2 * (slot))
#define DR7_GLOBAL(slot) (UINT64_C(2) << 2 * (slot))
#define DR7_KIND(slot) (UINT64_C(15) << (16 + 4 * (slot))) /* 0: execution, 1 byte */

typedef unsigned long long ull;

static bool host_has_mtf(void)
{
    return vmx_caps_can_set(vmx_host_caps(), VMX_WORD_CPU, CPU_MONITOR_TRAP_FLAG);
}

static uint64_t linear_rip(struct vmx_vcpu *v)
{
    uint64_t rip = vmcs_read(VMCS_GUEST_RIP);

    return vmx_guest_mode(v) == EMUL_MODE_64 ? rip : rip + vmcs_read(VMCS_GUEST_CS_BASE);
}

static void log_place(struct vmx_vcpu *v, const char *what)
{
    uint8_t bytes[EMUL_INSN_BYTES_MAX];
    uint64_t rip = linear_rip(v);
    unsigned got = monitor_read_linear(v, rip, bytes, sizeof(bytes));
    char name[48];

    insn_name(name, sizeof(name), rip, bytes, got, vmx_guest_mode(v));
    hv_info("vm %s vCPU %u: %s %016llx  %s", v->vcpu.vm->config->name, v->vcpu.index, what,
            (ull)rip, name);
}

/* --- one step --- */

static void set_stepping(struct vmx_vcpu *v, bool on)
{
    v->debug.stepping = on;
    v->attention |= VMX_ATTENTION_APICV; /* what it may deliver has changed */
    __atomic_store_n(&v->vcpu.stepping, on, __ATOMIC_RELEASE);
}

static void arm_step(struct vmx_vcpu *v)
{
    uint64_t rflags = vmcs_read(VMCS_GUEST_RFLAGS);

    v->debug.guest_tf = rflags & RFLAGS_TF;
    if (v->debug.by_mtf) {
        vmx_set_cpu_controls(v, CPU_MONITOR_TRAP_FLAG, 0);
        return;
    }
    vmcs_write(VMCS_GUEST_RFLAGS, rflags | RFLAGS_TF);
    /* With TF set, blocking would ask for a pending single-step trap at entry, and that would come
     * before the instruction. What it blocks, interrupts, is kept away anyhow. */
    vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE,
               vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE) &
                   ~(uint64_t)(VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS));
}

static void disarm_step(struct vmx_vcpu *v)
{
    vmx_set_cpu_controls(v, 0, CPU_MONITOR_TRAP_FLAG);
    if (v->debug.by_mtf || v->debug.guest_tf)
        return;
    vmcs_write(VMCS_GUEST_RFLAGS, vmcs_read(VMCS_GUEST_RFLAGS) & ~RFLAGS_TF);
    /* Owed by an instruction that was emulated under our TF. */
    vmcs_write(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS,
               vmcs_read(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS) & ~VMX_PENDING_DBG_BS);
}

/* The instruction has been executed. */
static void step_done(struct vmx_vcpu *v, const char *what)
{
    disarm_step(v);
    log_place(v, what);
    if (v->debug.steps_left > 1 && !v->vcpu.blocked) {
        v->debug.steps_left--;
        arm_step(v);
        return;
    }
    vmx_debug_step_stop(v);
    core_kick(arch_this_core());
}

void vmx_debug_step_stop(struct vmx_vcpu *v)
{
    if (v->debug.stepping)
        disarm_step(v);
    v->debug.steps_left = 0;
    set_stepping(v, false);
    vmx_remove_observer(v, &v->debug.stepper);
}

/* An instruction that exits is over when its handler has moved RIP; HLT, when the vCPU sleeps. */
static void before_step(struct vmx_observer *observer, struct vmx_vcpu *v)
{
    (void)observer;
    (void)v;
}

static void after_step(struct vmx_observer *observer, struct vmx_vcpu *v, unsigned answer)
{
    (void)observer;
    if (!v->debug.stepping || !(answer & EXIT_NEXT))
        return;
    if ((answer & EXIT_ANSWER_NEXT_MASK) == VCPU_BLOCK)
        v->debug.steps_left = 1;
    step_done(v, (answer & EXIT_ANSWER_NEXT_MASK) == VCPU_BLOCK ? "sleeps at" : "step to");
}

void vmx_debug_step(struct vmx_vcpu *v, unsigned steps)
{
    vmx_remove_observer(v, &v->debug.stepper);
    v->debug.stepper.before = before_step;
    v->debug.stepper.after = after_step;
    v->debug.by_mtf = host_has_mtf() && !v->debug.mtf_is_dead;
    v->debug.steps_left = steps;
    arm_step(v);
    vmx_add_observer(v, &v->debug.stepper);
    set_stepping(v, true);
}

bool vmx_debug_trap_flag(struct vmx_vcpu *v)
{
    if (!v->debug.stepping)
        return false;
    step_done(v, "step to");
    return true;
}

/* --- breakpoints --- */

static void write_address(struct vmx_vcpu *v, unsigned slot, uint64_t address)
{
    uint64_t *const saved[VMX_BREAKPOINTS] = { &v->switched.dr0, &v->switched.dr1, &v->switched.dr2,
                                               &v->switched.dr3 };

    *saved[slot] = address;
    if (!v->loaded)
        return;
    switch (slot) {
    case 0:
        write_dr0(address);
        break;
    case 1:
        write_dr1(address);
        break;
    case 2:
        write_dr2(address);
        break;
    default:
        write_dr3(address);
        break;
    }
}

bool vmx_debug_break_add(struct vmx_vcpu *v, uint64_t address)
{
    uint64_t dr7 = vmcs_read(VMCS_GUEST_DR7);

    for (unsigned slot = VMX_BREAKPOINTS; slot-- > 0;) {
        if ((v->debug.slots >> slot & 1) || (dr7 & DR7_ENABLE(slot)))
            continue;
        v->debug.slots |= 1u << slot;
        v->debug.address[slot] = address;
        write_address(v, slot, address);
        vmx_breakpoints_set(v);
        vmcs_write(VMCS_GUEST_DR7, (dr7 & ~DR7_KIND(slot)) | DR7_GLOBAL(slot));
        return true;
    }
    return false;
}

void vmx_debug_break_clear(struct vmx_vcpu *v)
{
    uint64_t dr7 = vmcs_read(VMCS_GUEST_DR7);

    for (unsigned slot = 0; slot < VMX_BREAKPOINTS; slot++) {
        if (v->debug.slots >> slot & 1)
            dr7 &= ~DR7_ENABLE(slot);
    }
    vmcs_write(VMCS_GUEST_DR7, dr7);
    v->debug.slots = 0;
    v->debug.exits[0] = v->debug.exits[1] = 0;
    vmx_remove_observer(v, &v->debug.breaker);
}

/* Is it one of ours that was met? A guest may have taken the register for itself meanwhile. */
static bool break_met(struct vmx_vcpu *v)
{
    uint64_t met = v->exit.qualification & v->debug.slots;
    uint64_t rip = linear_rip(v);

    for (unsigned slot = 0; slot < VMX_BREAKPOINTS; slot++) {
        if ((met >> slot & 1) && v->debug.address[slot] == rip)
            return true;
    }
    return false;
}

bool vmx_debug_exception(struct vmx_vcpu *v)
{
    if (vmx_intr_type(v->exit.intr_info) != VMX_INTR_HARDWARE_EXCEPTION)
        return false;
    if (v->debug.slots && break_met(v)) {
        if (v->debug.stepping)
            vmx_debug_step_stop(v);
        /* The breakpoint is a fault: RF lets the instruction run when the VM goes on. */
        vmcs_write(VMCS_GUEST_RFLAGS, vmcs_read(VMCS_GUEST_RFLAGS) | RFLAGS_RF);
        log_place(v, "break at");
        vm_pause(v->vcpu.vm);
        return true;
    }
    if (v->debug.stepping && !v->debug.by_mtf && (v->exit.qualification & DR6_BS)) {
        step_done(v, "step to");
        return !v->debug.guest_tf;
    }
    return false;
}

/* --- stops at exits --- */

static void before_break(struct vmx_observer *observer, struct vmx_vcpu *v)
{
    struct vmx_debug *debug = HV_CONTAINER_OF(observer, struct vmx_debug, breaker);
    uint32_t reason = v->exit.reason;
    char what[64];

    if (!(debug->exits[reason / 64] >> reason % 64 & 1))
        return;
    hv_snprintf(what, sizeof(what), "exit %s at", vmx_exit_reason_name(reason));
    log_place(v, what);
    vm_pause(v->vcpu.vm);
}

static void after_break(struct vmx_observer *observer, struct vmx_vcpu *v, unsigned answer)
{
    (void)observer;
    (void)v;
    (void)answer;
}

void vmx_debug_break_exit(struct vmx_vcpu *v, uint32_t reason)
{
    v->debug.exits[reason / 64] |= UINT64_C(1) << reason % 64;
    v->debug.breaker.before = before_break;
    v->debug.breaker.after = after_break;
    vmx_remove_observer(v, &v->debug.breaker);
    vmx_add_observer(v, &v->debug.breaker);
}

void vmx_debug_reset(struct vmx_vcpu *v)
{
    vmx_remove_observer(v, &v->debug.stepper);
    v->debug.slots = 0;
    v->debug.steps_left = 0;
    set_stepping(v, false);
}
