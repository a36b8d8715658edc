/*
 * RDMSR and WRMSR that exit. The rows of msr.def make the bitmap and the look-up alike, so that
 * what passes and what is done here cannot disagree.
 * SDM volume 4; volume 3 "Memory Type Range Registers (MTRRs)", "Time-Stamp Counter Adjustment".
 */
#include "arch/x86/vmx/mitigate.h"
#include "arch/x86/vmx/kvm_clock.h"
#include "arch/x86/vmx/vcpu.h"
#include "hv/log.h"
#include "hv/string.h"
#include "x86/msr.h"

/* --- time --- */

static void set_tsc_offset(struct vmx_vcpu *v, uint64_t offset)
{
    uint64_t delta = offset - v->tsc_offset;

    v->tsc_offset = offset;
    vmcs_write(VMCS_TSC_OFFSET, offset);
    lapic_tsc_changed(v->lapic, (int64_t)delta);
}

static bool write_tsc(struct vmx_vcpu *v, uint64_t value)
{
    uint64_t delta = value - (rdtsc() + v->tsc_offset);

    if (v->vm->owns_cores)
        return vmx_own_core_tsc_write(v);
    v->msrs.tsc_adjust += delta;
    set_tsc_offset(v, v->tsc_offset + delta);
    vmx_kvm_clock_tsc_changed(v);
    return true;
}

static bool read_tsc_adjust(struct vmx_vcpu *v, uint64_t *value)
{
    *value = v->msrs.tsc_adjust;
    return true;
}

static bool write_tsc_adjust(struct vmx_vcpu *v, uint64_t value)
{
    if (v->vm->owns_cores)
        return value == 0 || vmx_own_core_tsc_write(v);
    set_tsc_offset(v, v->tsc_offset + (value - v->msrs.tsc_adjust));
    v->msrs.tsc_adjust = value;
    vmx_kvm_clock_tsc_changed(v);
    return true;
}

static bool read_tsc_deadline(struct vmx_vcpu *v, uint64_t *value)
{
    *value = lapic_tsc_deadline_read(v->lapic);
    return true;
}

static bool write_tsc_deadline(struct vmx_vcpu *v, uint64_t value)
{
    lapic_tsc_deadline_write(v->lapic, value);
    return true;
}

/* --- local APIC --- */

static bool read_apic_base(struct vmx_vcpu *v, uint64_t *value)
{
    *value = lapic_base_read(v->lapic);
    return true;
}

static bool write_apic_base(struct vmx_vcpu *v, uint64_t value)
{
    enum lapic_base_answer answer = lapic_base_write(v->lapic, value);

    v->msrs.apic_base = lapic_base_read(v->lapic);
    if (answer == LAPIC_BASE_CHANGED) {
        vmx_apicv_update_mode(v);
        vmx_cpuid_follow(v);
    }
    return answer != LAPIC_BASE_FAULT;
}

/* --- the rest, row by row --- */

static bool read_zero(struct vmx_vcpu *v, uint64_t *value)
{
    (void)v;
    *value = 0;
    return true;
}

static bool write_only_zero(struct vmx_vcpu *v, uint64_t value)
{
    (void)v;
    return value == 0;
}

static bool read_debugctl(struct vmx_vcpu *v, uint64_t *value)
{
    (void)v;
    *value = vmcs_read(VMCS_GUEST_IA32_DEBUGCTL);
    return true;
}

/* Branch single-stepping works; last-branch records and tracing are not shown to the guest. */
static bool write_debugctl(struct vmx_vcpu *v, uint64_t value)
{
    (void)v;
    if (value & ~DEBUGCTL_BTF)
        return false;
    vmcs_write(VMCS_GUEST_IA32_DEBUGCTL, value);
    return true;
}

static bool read_bios_sign_id(struct vmx_vcpu *v, uint64_t *value)
{
    *value = v->msrs.bios_sign_id;
    return true;
}

static bool write_bios_sign_id(struct vmx_vcpu *v, uint64_t value)
{
    /* Software writes 0 before CPUID, to read the revision after it: SDM "Microcode Update
     * Resources". There is no revision to report. */
    (void)v;
    (void)value;
    return true;
}

static bool read_misc_enable(struct vmx_vcpu *v, uint64_t *value)
{
    *value = v->msrs.misc_enable;
    return true;
}

static bool write_misc_enable(struct vmx_vcpu *v, uint64_t value)
{
    v->msrs.misc_enable = (v->msrs.misc_enable & ~VMX_MISC_ENABLE_WRITABLE) |
                          (value & VMX_MISC_ENABLE_WRITABLE);
    return true;
}

static bool read_mcg_status(struct vmx_vcpu *v, uint64_t *value)
{
    *value = v->msrs.mcg_status;
    return true;
}

static bool write_mcg_status(struct vmx_vcpu *v, uint64_t value)
{
    if (value != 0)
        return false; /* SDM "IA32_MCG_STATUS MSR": anything but 0 is #GP */
    v->msrs.mcg_status = 0;
    return true;
}

/* --- MTRRs --- */

static bool mtrr_type_valid(uint64_t type)
{
    return type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
}

static bool read_mtrr_def_type(struct vmx_vcpu *v, uint64_t *value)
{
    *value = v->msrs.mtrr_def_type;
    return true;
}

static bool write_mtrr_def_type(struct vmx_vcpu *v, uint64_t value)
{
    if ((value & ~UINT64_C(0xcff)) || !mtrr_type_valid(value & 0xff))
        return false;
    v->msrs.mtrr_def_type = value;
    return true;
}

/* The fixed-range registers in the order of their addresses. */
static int mtrr_fixed_index(uint32_t msr)
{
    if (msr == MSR_IA32_MTRR_FIX64K_00000)
        return 0;
    if (msr - MSR_IA32_MTRR_FIX16K_80000 < 2)
        return 1 + (int)(msr - MSR_IA32_MTRR_FIX16K_80000);
    if (msr - MSR_IA32_MTRR_FIX4K_C0000 < 8)
        return 3 + (int)(msr - MSR_IA32_MTRR_FIX4K_C0000);
    return -1;
}

static uint64_t *mtrr_register(struct vmx_vcpu *v, uint32_t msr)
{
    uint32_t index = msr - MSR_IA32_MTRR_PHYSBASE0;
    int fixed = mtrr_fixed_index(msr);

    if (fixed >= 0)
        return &v->msrs.mtrr_fixed[fixed];
    if (index >= 2 * VMX_GUEST_MTRR_VARIABLE)
        return NULL;
    return index & 1 ? &v->msrs.mtrr_mask[index / 2] : &v->msrs.mtrr_base[index / 2];
}

static bool mtrr_value_valid(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
    uint64_t beyond = ~((UINT64_C(1) << v->vm->physical_address_bits) - 1);

    if (mtrr_fixed_index(msr) >= 0) {
        for (unsigned i = 0; i < 8; i++) {
            if (!mtrr_type_valid(value >> (8 * i) & 0xff))
                return false;
        }
        return true;
    }
    if (msr & 1)
        return !(value & (beyond | 0x7ff));
    return !(value & (beyond | 0xf00)) && mtrr_type_valid(value & 0xff);
}

/* --- look-up --- */

static bool msr_read_row(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
    const uint64_t *mtrr;

    switch (msr) {
#define MSR_PASS(number, when)
#define MSR_PASS_READ(number, write)
#define MSR_EMULATED(number, read, write)                                                          \
    case number:                                                                                   \
        return read(v, value);
#define MSR_CONSTANT(number, constant)                                                             \
    case number:                                                                                   \
        *value = (constant);                                                                       \
        return true;
#define MSR_IGNORED(number, constant) MSR_CONSTANT(number, constant)
#include "arch/x86/vmx/msr.def"
#undef MSR_PASS
#undef MSR_PASS_READ
#undef MSR_EMULATED
#undef MSR_CONSTANT
#undef MSR_IGNORED
    default:
        mtrr = mtrr_register(v, msr);
        if (!mtrr)
            return false;
        *value = *mtrr;
        return true;
    }
}

static bool msr_write_row(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
    uint64_t *mtrr;

    switch (msr) {
#define MSR_PASS(number, when)
#define MSR_PASS_READ(number, write)                                                               \
    case number:                                                                                   \
        return write(v, value);
#define MSR_EMULATED(number, read, write)                                                          \
    case number:                                                                                   \
        return write(v, value);
#define MSR_CONSTANT(number, constant)                                                             \
    case number:                                                                                   \
        return false;
#define MSR_IGNORED(number, constant)                                                              \
    case number:                                                                                   \
        return true;
#include "arch/x86/vmx/msr.def"
#undef MSR_PASS
#undef MSR_PASS_READ
#undef MSR_EMULATED
#undef MSR_CONSTANT
#undef MSR_IGNORED
    default:
        mtrr = mtrr_register(v, msr);
        if (!mtrr || !mtrr_value_valid(v, msr, value))
            return false;
        *mtrr = value;
        return true;
    }
}

bool vmx_msr_read(struct vmx_vcpu *v, uint32_t msr, uint64_t *value)
{
    if (msr - LAPIC_MSR_BASE <= LAPIC_MSR_LAST - LAPIC_MSR_BASE)
        return lapic_msr_read(v->lapic, msr, value);
    if (msr_read_row(v, msr, value))
        return true;
    v->msrs.refused_reads++;
    v->msrs.refused_last = msr;
    return false;
}

static bool apic_register_write(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
    if (v->apicv)
        v->attention |= VMX_ATTENTION_APICV;
    else if (v->vm->owns_cores)
        return vmx_own_core_apic_write(v, msr, value);
    return lapic_msr_write(v->lapic, msr, value);
}

bool vmx_msr_write(struct vmx_vcpu *v, uint32_t msr, uint64_t value)
{
    if (msr - LAPIC_MSR_BASE <= LAPIC_MSR_LAST - LAPIC_MSR_BASE)
        return apic_register_write(v, msr, value);
    if (msr_write_row(v, msr, value))
        return true;
    v->msrs.refused_writes++;
    v->msrs.refused_last = msr;
    return false;
}

unsigned exit_rdmsr(struct vmx_vcpu *v)
{
    uint64_t value;

    if (!vmx_msr_read(v, (uint32_t)v->gprs.r[X86_RCX], &value))
        return vmx_answer_gp(v);
    v->gprs.r[X86_RAX] = (uint32_t)value;
    v->gprs.r[X86_RDX] = value >> 32;
    return EXIT_NEXT | VCPU_RUN;
}

unsigned exit_wrmsr(struct vmx_vcpu *v)
{
    uint64_t value = (uint32_t)v->gprs.r[X86_RAX] | v->gprs.r[X86_RDX] << 32;
    uint32_t msr = (uint32_t)v->gprs.r[X86_RCX];

    /* A guest's clock ticks by it; every other one is found by its row. */
    if (msr == MSR_IA32_TSC_DEADLINE) {
        write_tsc_deadline(v, value);
        return EXIT_NEXT | VCPU_RUN;
    }
    if (!vmx_msr_write(v, msr, value))
        return vmx_answer_gp(v);
    return EXIT_NEXT | VCPU_RUN;
}

void vmx_msrs_reset(struct vmx_vcpu *v)
{
    memset(&v->msrs, 0, sizeof(v->msrs));
    v->msrs.apic_base = lapic_base_read(v->lapic);
    v->msrs.misc_enable =
        MISC_ENABLE_FAST_STRINGS | MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE;
}

/* --- bitmap --- */

/* SDM "MSR-Bitmap Address": read bitmap for low MSRs at 0, for high ones at 1024; write bitmaps at
 * 2048 and 3072. A 1 exits. MSRs outside of both ranges always exit. */
void vmx_msr_bitmap_clear(uint8_t *bitmap, uint32_t msr, bool write)
{
    uint32_t bit = msr & 0x1fff;
    uint32_t base = (write ? 2048u : 0u) + (msr >= 0xc0000000u ? 1024u : 0u);

    bitmap[base + bit / 8] &= (uint8_t)~(1u << (bit % 8));
}

void vmx_msr_bitmap_fill(uint8_t *bitmap, const struct vmx_vm *vm)
{
    memset(bitmap, 0xff, HV_PAGE_BYTES);
#define MSR_PASS(number, when)                                                                     \
    if (when) {                                                                                    \
        vmx_msr_bitmap_clear(bitmap, number, false);                                                       \
        vmx_msr_bitmap_clear(bitmap, number, true);                                                        \
    }
#define MSR_PASS_READ(number, write) vmx_msr_bitmap_clear(bitmap, number, false);
#define MSR_EMULATED(number, read, write)
#define MSR_CONSTANT(number, constant)
#define MSR_IGNORED(number, constant)
#include "arch/x86/vmx/msr.def"
#undef MSR_PASS
#undef MSR_PASS_READ
#undef MSR_EMULATED
#undef MSR_CONSTANT
#undef MSR_IGNORED
}
