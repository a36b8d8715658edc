/*
 * MOV to and from debug registers: until the guest has set a breakpoint, and where the policy asks to
 * see it.
 *
 * A guest that has set none is known to have none, so that no exit has to read DR7; the first MOV to
 * DR7 that enables one is the last that exits.
 *
 * This exit comes before the instruction's own faults, unlike others: all of them are raised here.
 * DR0 to DR3 and DR6 are in the core while the vCPU is loaded, DR7 is in the VMCS.
 * SDM volume 3 "Relative Priority of Faults and VM Exits", "Exit Qualification for MOV DR", "Debug
 * Registers"; volume 2 "MOV - Move to/from Debug Registers".
 */
#include "arch/x86/vmx/vcpu.h"

#define DR7_FIXED0 UINT64_C(0xd000) /* bits 12, 14, 15 */

/* Breakpoints, or MOV DR itself, may trap. */
#define DR7_IN_USE (BREAKPOINT_DR7_ENABLES | DR7_GD)

/*
 * Blocking by STI or MOV SS ends with the instruction. Whether it was there matters if an interrupt
 * waits behind it that the processor would deliver by itself, for which RFLAGS.IF must be set; or if
 * a breakpoint may be met, since MOV SS blocks debug exceptions too (SDM "Masking Exceptions and
 * Interrupts When Switching Stacks"). An interrupt that waits in software opens a window, and then
 * nothing goes a short way.
 */
void vmx_blocking_update(struct vmx_vcpu *v)
{
    if (!v->dr7_watched)
        v->blocking_matters = RFLAGS_FIXED1; /* always */
    else
        v->blocking_matters = v->apicv || v->vm->owns_cores ? RFLAGS_IF : 0;
}

void vmx_breakpoints_watch(struct vmx_vcpu *v)
{
    /* An experiment says itself what exits. */
    v->dr7_watched = v->vm->policy.mov_dr_exiting == VM_AVOID && !v->vcpu.vm->extra &&
                     vmx_caps_can_set(vmx_host_caps(), VMX_WORD_CPU, CPU_MOV_DR_EXITING);
    if (v->dr7_watched)
        vmx_set_cpu_controls(v, CPU_MOV_DR_EXITING, 0);
    vmx_blocking_update(v);
}

void vmx_breakpoints_set(struct vmx_vcpu *v)
{
    if (!v->dr7_watched)
        return;
    v->dr7_watched = false;
    vmx_set_cpu_controls(v, 0, CPU_MOV_DR_EXITING & ~v->controls->cpu);
    vmx_blocking_update(v);
}

static uint8_t guest_cpl(void)
{
    return (uint8_t)vmx_ar_dpl((uint32_t)vmcs_read(VMCS_GUEST_SS_ACCESS_RIGHTS));
}

static uint64_t debug_register_read(unsigned dr)
{
    switch (dr) {
    case 0:
        return read_dr0();
    case 1:
        return read_dr1();
    case 2:
        return read_dr2();
    case 3:
        return read_dr3();
    case 6:
        return read_dr6();
    default:
        return vmcs_read(VMCS_GUEST_DR7);
    }
}

static void write_dr7_field(struct vmx_vcpu *v, uint64_t value)
{
    bool rtm = cpuid_view_find(&v->cpuid, CPUID_LEAF_EXTENDED_FEATURES, 0)->regs.ebx &
               CPUID_7_EBX_RTM;

    value &= ~(DR7_FIXED0 | (rtm ? 0 : DR7_RTM));
    vmcs_write(VMCS_GUEST_DR7, value | DR7_FIXED1);
    if (value & DR7_IN_USE)
        vmx_breakpoints_set(v);
}

/* False: #GP(0), for a 1 in the upper half of DR6 or DR7. */
static bool debug_register_write(struct vmx_vcpu *v, unsigned dr, uint64_t value)
{
    if (dr >= 6 && value >> 32)
        return false;
    switch (dr) {
    case 0:
        write_dr0(value);
        break;
    case 1:
        write_dr1(value);
        break;
    case 2:
        write_dr2(value);
        break;
    case 3:
        write_dr3(value);
        break;
    case 6:
        write_dr6(value);
        break;
    default:
        write_dr7_field(v, value);
        break;
    }
    return true;
}

static unsigned answer_general_detect(struct vmx_vcpu *v)
{
    vmx_set_debug_cause(v, DR6_BD);
    vmcs_write(VMCS_GUEST_RFLAGS, vmcs_read(VMCS_GUEST_RFLAGS) | RFLAGS_RF); /* it is a fault */
    vmx_queue_exception(v, X86_EXC_DB, false, 0);
    return EXIT_KEEP | VCPU_RUN;
}

unsigned exit_mov_dr(struct vmx_vcpu *v)
{
    const struct vmx_dr_access access = vmx_dr_access_decode(v->exit.qualification);
    bool mode64 = vmx_guest_mode(v) == EMUL_MODE_64;
    unsigned dr = access.dr;
    uint64_t value;

    if (dr == 4 || dr == 5) {
        if (vmx_guest_cr4(v) & CR4_DE)
            return vmx_answer_ud(v);
        dr += 2; /* aliases */
    }
    if ((vmcs_read(VMCS_GUEST_CR0) & CR0_PE) && guest_cpl() != 0)
        return vmx_answer_gp(v);
    if (vmcs_read(VMCS_GUEST_DR7) & DR7_GD)
        return answer_general_detect(v);
    if (access.from_dr) {
        vmx_guest_gpr_write(v, access.gpr, mode64 ? 8 : 4, debug_register_read(dr));
        return EXIT_NEXT | VCPU_RUN;
    }
    value = vmx_guest_gpr(v, access.gpr);
    if (!debug_register_write(v, dr, mode64 ? value : (uint32_t)value))
        return vmx_answer_gp(v);
    return EXIT_NEXT | VCPU_RUN;
}
