/*
 * The MSRs of a thin guest: all pass, but the few that would let it into VMX operation or that we
 * have to know of.
 *
 * - IA32_FEATURE_CONTROL reads as locked without VMX, and cannot be written then; the capability
 *   MSRs do not exist.
 * - MTRRs are written as asked, and the EPT follow.
 * - IA32_APIC_BASE is written as asked, but not to where we are: we would find registers there.
 * - What makes the processor write to memory past the page tables or the EPT is not there, as CPUID
 *   says (thin_exits.c): PEBS and Processor Trace cannot be switched on. The thread director's table
 *   (IA32_HW_FEEDBACK_PTR) may be anywhere else.
 * - A microcode update is not done: in VMX non-root operation the processor would read it by
 *   guest-linear address, and the SDM wants nobody else to run meanwhile. The revision stays, which
 *   is how an operating system sees an update that did not take.
 * - What the bitmap has no bit for exits always: ours (thin_call.c), or done as asked.
 * No lock. SDM volume 3 "MSR-Bitmap Address", "Microcode Update Facilities".
 */
#include "arch/x86/vmx/thin_internal.h"
#include "x86/msr.h"

#define RTIT_CTL_TRACE_EN 1u

#define VMX_MSR_FIRST MSR_IA32_VMX_BASIC
#define VMX_MSR_LAST MSR_IA32_VMX_EXIT_CTLS2

static bool is_vmx_capability(uint32_t msr)
{
    return msr - VMX_MSR_FIRST <= VMX_MSR_LAST - VMX_MSR_FIRST;
}

static bool is_mtrr(uint32_t msr)
{
    return (msr >= MSR_IA32_MTRR_PHYSBASE0 && msr < MSR_IA32_MTRR_FIX64K_00000) ||
           msr == MSR_IA32_MTRR_FIX64K_00000 || msr - MSR_IA32_MTRR_FIX16K_80000 < 2 ||
           msr - MSR_IA32_MTRR_FIX4K_C0000 < 8 || msr == MSR_IA32_MTRR_DEF_TYPE;
}

/* SDM "MSR-Bitmap Address": a bit an MSR, read bitmap of the low range first; the write bitmap of
 * the same range 2 KB behind it. */
#define BITMAP_WRITE_OFFSET 2048u

static void exit_on(uint8_t *bitmap, uint32_t msr, bool write)
{
    bitmap[(write ? BITMAP_WRITE_OFFSET : 0) + msr / 8] |= (uint8_t)(1u << msr % 8);
}

void thin_msr_bitmap_fill(uint8_t *bitmap)
{
    exit_on(bitmap, MSR_IA32_FEATURE_CONTROL, false);
    exit_on(bitmap, MSR_IA32_FEATURE_CONTROL, true);
    exit_on(bitmap, MSR_IA32_APIC_BASE, true);
    exit_on(bitmap, MSR_IA32_BIOS_UPDT_TRIG, true);
    exit_on(bitmap, MSR_IA32_PEBS_ENABLE, true);
    exit_on(bitmap, MSR_IA32_RTIT_CTL, true);
    exit_on(bitmap, MSR_IA32_HW_FEEDBACK_PTR, true);
    for (uint32_t msr = VMX_MSR_FIRST; msr <= VMX_MSR_LAST; msr++) {
        exit_on(bitmap, msr, false);
        exit_on(bitmap, msr, true);
    }
    for (uint32_t msr = MSR_IA32_MTRR_PHYSBASE0; msr <= MSR_IA32_MTRR_DEF_TYPE; msr++) {
        if (is_mtrr(msr))
            exit_on(bitmap, msr, true);
    }
}

/* --- exits --- */

static bool read_msr(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
    if (thin_is_ours(msr))
        return thin_ours_read(v, msr, value);
    if (is_vmx_capability(msr))
        return false;
    if (!rdmsr_safe(msr, value))
        return false;
    if (msr == MSR_IA32_FEATURE_CONTROL)
        *value = (*value & ~(FEATURE_CONTROL_VMX | FEATURE_CONTROL_VMX_IN_SMX)) |
                 FEATURE_CONTROL_LOCK;
    return true;
}

static bool meets_block(struct vmx_vcpu *v, uint64_t at, uint64_t bytes)
{
    const struct thin_setup *setup = &thin_machine_of(v)->setup;

    return at < setup->block_start + setup->block_bytes && at + bytes > setup->block_start;
}

/* CPUID.06H:EDX[11:8]: pages of the table, minus one. SDM "Hardware Feedback Interface Pointer". */
static uint64_t feedback_bytes(void)
{
    return (uint64_t)((cpuid(CPUID_LEAF_POWER, 0).edx >> 8 & 0xf) + 1) << HV_PAGE_SHIFT;
}

/* What would make a write of this value reach us. */
static bool is_dangerous(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case MSR_IA32_PEBS_ENABLE:
        return value != 0;
    case MSR_IA32_RTIT_CTL:
        return value & RTIT_CTL_TRACE_EN;
    case MSR_IA32_APIC_BASE:
        return meets_block(v, value & APIC_BASE_ADDRESS, HV_PAGE_BYTES);
    case MSR_IA32_HW_FEEDBACK_PTR:
        return meets_block(v, value & APIC_BASE_ADDRESS, feedback_bytes());
    default:
        return false;
    }
}

static bool write_msr(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
    if (thin_is_ours(msr))
        return thin_ours_write(v, msr, value);
    if (is_vmx_capability(msr) || msr == MSR_IA32_FEATURE_CONTROL || is_dangerous(v, msr, value))
        return false;
    if (msr == MSR_IA32_BIOS_UPDT_TRIG)
        return true;
    if (!wrmsr_safe(msr, value))
        return false;
    if (is_mtrr(msr))
        thin_memory_retype(v);
    return true;
}

unsigned thin_rdmsr(struct vmx_vcpu *v)
{
    uint64_t value;

    if (!read_msr(v, (uint32_t)v->gprs.r[X86_RCX], &value))
        return vmx_answer_gp(v);
    v->gprs.r[X86_RAX] = (uint32_t)value;
    v->gprs.r[X86_RDX] = value >> 32;
    return EXIT_NEXT | VCPU_RUN;
}

unsigned thin_wrmsr(struct vmx_vcpu *v)
{
    uint64_t value = (uint32_t)v->gprs.r[X86_RAX] | v->gprs.r[X86_RDX] << 32;

    if (!write_msr(v, (uint32_t)v->gprs.r[X86_RCX], value))
        return vmx_answer_gp(v);
    return EXIT_NEXT | VCPU_RUN;
}
