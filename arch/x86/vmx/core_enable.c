/*
 * Puts a core into VMX operation, and keeps what all such cores can do.
 *
 * The first core's capabilities are narrowed by every further one (hybrid machines differ). A core
 * that cannot is named and parked by the caller; the others go on.
 * SDM volume 3 "Enabling and Entering VMX Operation", "Restrictions on VMX Operation".
 */
#include "x86/vmx_core.h"

#include "arch/x86/vmx/mitigate.h"
#include "arch/x86/vmx/vcpu.h"
#include "hv/log.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "hv/spinlock.h"
#include "x86/feature_control.h"
#include "x86/host_paging.h"
#include "x86/msr.h"
#include "x86/percpu.h"

/* Boot-once: written while the cores start, only read after. */
static struct {
    struct spinlock lock;
    bool valid;
    struct vmx_caps caps;
    uint64_t xcr0;
    uint32_t compacted_bytes;
} host;

const struct vmx_caps *vmx_host_caps(void)
{
    return &host.caps;
}

uint64_t vmx_host_xcr0(void)
{
    return host.xcr0;
}

uint32_t vmx_host_compacted_bytes(void)
{
    return host.compacted_bytes;
}

enum hv_err vmx_core_caps(struct vmx_caps *caps)
{
    return vmx_caps_read(caps, &vmx_caps_machine);
}

/* Components whose state XSAVE's standard format holds and that need nothing else of us. */
static uint64_t core_xcr0(void)
{
    const uint64_t known = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_OPMASK | XCR0_ZMM_HI256 |
                           XCR0_HI16_ZMM | XCR0_PKRU;
    struct cpuid_regs r;

    if (!(cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_XSAVE))
        return 0;
    r = cpuid(CPUID_LEAF_XSAVE, 0);
    return (r.eax | (uint64_t)r.edx << 32) & known;
}

static void core_set_registers(const struct vmx_caps *caps)
{
    uint64_t cr4 = read_cr4();
    struct cpuid_regs f7 = { 0, 0, 0, 0 };

    if (cpuid(CPUID_LEAF_VENDOR, 0).eax >= CPUID_LEAF_EXTENDED_FEATURES)
        f7 = cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0);
    if (core_xcr0())
        cr4 |= CR4_OSXSAVE;
    if (f7.ecx & CPUID_7_ECX_PKU)
        cr4 |= CR4_PKE; /* no page of ours is a user page: it only makes RDPKRU legal */
    write_cr0((read_cr0() | caps->cr0_fixed0) & caps->cr0_fixed1);
    write_cr4((cr4 | CR4_VMXE | caps->cr4_fixed0) & caps->cr4_fixed1);
    if (core_xcr0() & XCR0_PKRU)
        wrpkru(0);
    if (core_xcr0()) {
        xsetbv(0, core_xcr0());
        host.compacted_bytes = cpuid(CPUID_LEAF_XSAVE, 1).ebx;
    }
    if (caps->xsaves)
        wrmsr(MSR_IA32_XSS, 0);
}

static void core_set_all(const struct vmx_caps *caps)
{
    vmx_spec_core_share();
    core_set_registers(caps);
}

/* CR0.CD and NW are as the guest has them; XCR0 and IA32_XSS stay its own. */
static void core_set_registers_thin(const struct vmx_caps *caps)
{
    write_cr0((read_cr0() | caps->cr0_fixed0) & caps->cr0_fixed1);
    write_cr4((read_cr4() | CR4_VMXE | caps->cr4_fixed0) & caps->cr4_fixed1);
}

static enum hv_err core_vmxon(const struct vmx_caps *caps)
{
    hpa_t region;
    enum hv_err err =
        page_alloc_take(hv_pages(), 1, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO | PAGE_ALLOC_BELOW_4G, &region);

    if (err != HV_OK)
        return err;
    *(uint32_t *)region.v = vmx_caps_revision(caps);
    this_cpu()->vmxon_region = (void *)region.v;
    return vmxon(region.v) == VMX_OK ? HV_OK : HV_ERR_UNSUPPORTED;
}

/* Translations outlive VMXOFF and VMXON: what a run before this one has left is tagged with VPIDs and
 * tables that may be in use again. SDM "Guidelines for Use of the INVVPID Instruction". */
static void drop_translations(const struct vmx_caps *caps)
{
    const uint64_t can = caps->ept_vpid_cap;

    if ((can & VMX_EPT_CAP_INVEPT) && (can & VMX_EPT_CAP_INVEPT_ALL) &&
        invept(INVEPT_GLOBAL, 0) != VMX_OK)
        hv_panic("core %u: INVEPT failed", this_cpu()->index);
    if ((can & VMX_EPT_CAP_INVVPID) && (can & VMX_EPT_CAP_INVVPID_ALL) &&
        invvpid(INVVPID_ALL_CONTEXTS, 0, 0) != VMX_OK)
        hv_panic("core %u: INVVPID failed", this_cpu()->index);
}

static enum hv_err core_share_caps(const struct vmx_caps *caps)
{
    enum hv_err err = HV_OK;

    spin_lock(&host.lock);
    if (!host.valid) {
        host.caps = *caps;
        host.xcr0 = core_xcr0();
        host.valid = true;
    } else if (!vmx_caps_same_vmcs(&host.caps, caps) || core_xcr0() != host.xcr0) {
        err = HV_ERR_UNSUPPORTED;
    } else {
        err = vmx_caps_common(&host.caps, caps);
    }
    spin_unlock(&host.lock);
    return err;
}

static enum hv_err enable(const char **why, void (*set_registers)(const struct vmx_caps *caps))
{
    struct vmx_caps caps;
    enum hv_err err;

    *why = "the processor has no VT-x";
    err = vmx_core_caps(&caps);
    if (err != HV_OK)
        return err;
    err = host_feature_control_enable(why);
    if (err != HV_OK)
        return err;
    *why = "its VMX capabilities do not go together with those of the cores before it";
    err = core_share_caps(&caps);
    if (err != HV_OK)
        return err;
    set_registers(&caps);
    *why = "VMXON failed";
    err = core_vmxon(&caps);
    if (err != HV_OK)
        return err;
    this_cpu()->in_vmx = true;
    drop_translations(&caps);
    *why = NULL;
    return HV_OK;
}

void vmx_core_disable(void)
{
    if (!this_cpu()->in_vmx)
        return;
    this_cpu()->in_vmx = false;
    vmx_spec_core_stop();
    drop_translations(&host.caps);
    if (vmxoff() != VMX_OK)
        hv_panic("core %u: VMXOFF failed", this_cpu()->index);
    write_cr4(read_cr4() & ~CR4_VMXE);
}

enum hv_err vmx_core_enable(const char **why)
{
    return enable(why, core_set_all);
}

enum hv_err vmx_core_enable_thin(const char **why)
{
    return enable(why, core_set_registers_thin);
}
