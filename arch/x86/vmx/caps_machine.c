/*
 * The core that runs this, as the source of its own capabilities. The one place where the pure
 * readers of MSRs and CPUID (caps.c, mtrr.c) meet the machine. No lock.
 */
#include "x86/insn.h"
#include "x86/vmx_caps.h"

static uint64_t machine_rdmsr(void *context, uint32_t index)
{
    (void)context;
    return rdmsr(index);
}

static void machine_cpuid(void *context, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    struct cpuid_regs r = cpuid(leaf, subleaf);

    (void)context;
    out[0] = r.eax;
    out[1] = r.ebx;
    out[2] = r.ecx;
    out[3] = r.edx;
}

const struct vmx_caps_source vmx_caps_machine = { machine_rdmsr, machine_cpuid, NULL };
