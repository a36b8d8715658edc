/*
 * Exits that only some policies ask for: time stamps, random numbers, invalidations, the monitor
 * trap flag, the log of modified pages. Each does what the instruction would have done without the exit.
 *
 * What the processor checks before it exits is not checked again: CR4.TSD for RDTSC, CPL for INVLPG
 * and INVPCID. SDM volume 3 "Relative Priority of Faults and VM Exits", "Instructions That Cause VM
 * Exits Conditionally", "Monitor Trap Flag", "Page-Modification Logging".
 */
#include "arch/x86/vmx/vcpu.h"
#include "x86/msr.h"

#define PML_LAST_INDEX 511u
#define PML_NMI_UNBLOCKED (UINT64_C(1) << 12)
#define RANDOM_TRIES 10 /* as the SDM advises software: volume 1 "RDRAND" */

/* --- time --- */

/* SDM "Changes to Instruction Behavior in VMX Non-Root Operation", RDTSC: scaled, then offset. */
static uint64_t guest_tsc(struct vmx_vcpu *v)
{
    uint64_t tsc = rdtsc();

    if (!(v->controls->cpu & CPU_USE_TSC_OFFSETTING))
        return tsc;
    if (v->controls->cpu2 & CPU2_USE_TSC_SCALING)
        tsc = (uint64_t)((unsigned __int128)tsc * vmcs_read(VMCS_TSC_MULTIPLIER) >> 48);
    return tsc + v->tsc_offset;
}

unsigned exit_rdtsc(struct vmx_vcpu *v)
{
    uint64_t tsc = guest_tsc(v);

    v->gprs.r[X86_RAX] = (uint32_t)tsc;
    v->gprs.r[X86_RDX] = tsc >> 32;
    return EXIT_NEXT | VCPU_RUN;
}

/* IA32_TSC_AUX in the core is the guest's. */
unsigned exit_rdtscp(struct vmx_vcpu *v)
{
    v->gprs.r[X86_RCX] = (uint32_t)rdmsr(MSR_IA32_TSC_AUX);
    return exit_rdtsc(v);
}

/* --- random numbers --- */

static unsigned answer_random(struct vmx_vcpu *v, bool (*draw)(uint64_t *value))
{
    const struct vmx_instruction insn = vmx_instruction_decode(v->exit.insn_info);
    uint64_t rflags = vmcs_read(VMCS_GUEST_RFLAGS) & ~(uint64_t)RFLAGS_STATUS;
    uint64_t value = 0;
    bool drawn = false;

    for (unsigned i = 0; i < RANDOM_TRIES && !drawn; i++)
        drawn = draw(&value);
    vmx_guest_gpr_write(v, insn.reg1, 2u << (insn.operand_size_field & 3), drawn ? value : 0);
    vmcs_write(VMCS_GUEST_RFLAGS, rflags | (drawn ? RFLAGS_CF : 0));
    return EXIT_NEXT | VCPU_RUN;
}

static bool draw_rdrand(uint64_t *value)
{
    return rdrand(value);
}

static bool draw_rdseed(uint64_t *value)
{
    return rdseed(value);
}

unsigned exit_rdrand(struct vmx_vcpu *v)
{
    return answer_random(v, draw_rdrand);
}

unsigned exit_rdseed(struct vmx_vcpu *v)
{
    return answer_random(v, draw_rdseed);
}

/* --- invalidations --- */

/* All of the VPID goes, not the one address: INVLPG also drops every paging-structure cache entry
 * of the PCID, which an individual-address INVVPID need not. */
unsigned exit_invlpg(struct vmx_vcpu *v)
{
    v->attention |= VMX_ATTENTION_FLUSH;
    return EXIT_NEXT | VCPU_RUN;
}

enum invpcid_type { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL_GLOBAL, INVPCID_ALL };

static bool canonical(struct vmx_vcpu *v, uint64_t linear)
{
    unsigned unused = vmx_guest_cr4(v) & CR4_LA57 ? 64 - 57 : 64 - 48;

    return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

/* SDM volume 2 "INVPCID", "Protected Mode Exceptions". */
static bool invpcid_valid(struct vmx_vcpu *v, uint64_t type, const uint64_t descriptor[2])
{
    if (type > INVPCID_ALL || (descriptor[0] & ~CR3_PCID_MASK))
        return false;
    if (type <= INVPCID_CONTEXT && descriptor[0] != 0 && !(vmx_guest_cr4(v) & CR4_PCIDE))
        return false;
    return type != INVPCID_ADDRESS || canonical(v, descriptor[1]);
}

/* Every type drops the whole VPID: more than it has to, which is always allowed. */
unsigned exit_invpcid(struct vmx_vcpu *v)
{
    struct vmx_operand operand;
    uint64_t descriptor[2], type;

    if (!vmx_operand_locate(v, sizeof(descriptor), false, &operand) ||
        !vmx_operand_read(v, &operand, descriptor, sizeof(descriptor)))
        return EXIT_KEEP | VCPU_RUN;
    type = vmx_guest_gpr(v, operand.info.reg2);
    if (vmx_guest_mode(v) != EMUL_MODE_64)
        type = (uint32_t)type;
    if (!invpcid_valid(v, type, descriptor))
        return vmx_answer_gp(v);
    v->attention |= VMX_ATTENTION_FLUSH;
    return EXIT_NEXT | VCPU_RUN;
}

/* --- the processor's own events --- */

/* One instruction was asked for; whoever wants the next one sets the flag again. */
unsigned exit_monitor_trap_flag(struct vmx_vcpu *v)
{
    if (vmx_debug_trap_flag(v))
        return EXIT_KEEP | VCPU_YIELD;
    vmx_set_cpu_controls(v, 0, CPU_MONITOR_TRAP_FLAG);
    return EXIT_KEEP | VCPU_RUN;
}

/* The write that found the log full has not been done and will be done again; it is written from
 * its end. Nobody reads it but the observer, who has seen this exit before. */
unsigned exit_pml_full(struct vmx_vcpu *v)
{
    if ((v->exit.qualification & PML_NMI_UNBLOCKED) && !v->exit.vect_info)
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE,
                   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE) | VMX_BLOCKING_BY_NMI);
    vmcs_write(VMCS_PML_INDEX, PML_LAST_INDEX);
    return EXIT_KEEP | VCPU_RUN;
}
