/*
 * RDMSR and WRMSR. SDM volume 4 "Architectural MSRs"; volume 2 "WRMSR": a reserved bit or a
 * non-canonical address is #GP(0).
 */
#include "selftest.h"

#define NON_CANONICAL 0x8000000000000000ull

static void check_read_faults(const char *name, uint32_t msr)
{
    probe_rdmsr(msr);
    check_fault(name, VEC_GP, 0);
}

static void check_write_faults(const char *name, uint32_t msr, uint64_t value)
{
    probe_wrmsr(msr, value);
    check_fault(name, VEC_GP, 0);
}

/* Written and read back, then as it was. */
static void check_kept(const char *name, uint32_t msr, uint64_t value)
{
    uint64_t before = probe_rdmsr(msr), seen;

    if (guest_fault()->vector != NO_FAULT) {
        check_no_fault(name);
        return;
    }
    probe_wrmsr(msr, value);
    if (guest_fault()->vector != NO_FAULT) {
        check_no_fault(name);
        return;
    }
    seen = rdmsr(msr);
    wrmsr(msr, before);
    check_equal(name, seen, value);
}

static void check_unknown(void)
{
    static const uint32_t unknown[] = { 0x12345, 0xdeadbeef, 0xc0001fff, 0x40000000, 0x1fff,
                                        0xc0012345 };
    unsigned i;

    for (i = 0; i < ARRAY_COUNT(unknown); i++) {
        probe_rdmsr(unknown[i]);
        if (guest_fault()->vector != VEC_GP || guest_fault()->error)
            break;
    }
    check(i == ARRAY_COUNT(unknown), "reads of unknown MSRs fault", "0x%x", unknown[i % 6]);
    for (i = 0; i < ARRAY_COUNT(unknown); i++) {
        probe_wrmsr(unknown[i], 0);
        if (guest_fault()->vector != VEC_GP || guest_fault()->error)
            break;
    }
    check(i == ARRAY_COUNT(unknown), "writes of unknown MSRs fault", "0x%x", unknown[i % 6]);
    for (i = MSR_VMX_BASIC; i <= MSR_VMX_LAST; i++) {
        probe_rdmsr(i);
        if (guest_fault()->vector != VEC_GP)
            break;
    }
    check(i > MSR_VMX_LAST, "VMX capability MSRs fault", "0x%x can be read", i);
    if ((cpuid(0xa, 0).eax & 0xff) == 0)
        check_read_faults("performance event select without the feature", MSR_PERFEVTSEL0);
    if (!guest_x2apic())
        check_read_faults("x2APIC register in xAPIC mode", MSR_X2APIC + APIC_ID / 16);
}

static void check_read_only(void)
{
    check_write_faults("MTRRCAP is read-only", MSR_MTRRCAP, 0);
    check_write_faults("PLATFORM_ID is read-only", MSR_PLATFORM_ID, 0);
    if (!is_trapline())
        return;
    check_equal("FEATURE_CONTROL: locked, VMX off", probe_rdmsr(MSR_FEATURE_CONTROL) & 7, 1);
    check_write_faults("FEATURE_CONTROL is locked", MSR_FEATURE_CONTROL, 5);
}

static void check_efer(void)
{
    uint64_t efer = rdmsr(MSR_EFER);

    check(efer & EFER_LMA && efer & EFER_LME, "EFER shows long mode", "0x%lx", efer);
    check_kept("EFER.SCE", MSR_EFER, efer ^ EFER_SCE);
    check_kept("EFER.NXE", MSR_EFER, efer ^ EFER_NXE);
    if (!is_strict())
        return;
    check_write_faults("EFER.LME with paging on", MSR_EFER, efer & ~EFER_LME);
    check_write_faults("EFER reserved bit 1", MSR_EFER, efer | BIT(1));
    check_write_faults("EFER reserved bit 9", MSR_EFER, efer | BIT(9));
    check_write_faults("EFER reserved bit 63", MSR_EFER, efer | BIT(63));
    check_equal("EFER is as before", rdmsr(MSR_EFER), efer);
}

static void check_pat(void)
{
    uint64_t pat = rdmsr(MSR_PAT);

    check_kept("PAT, every type", MSR_PAT, 0x0007040605010006ull);
    if (!is_strict())
        return;
    check_write_faults("PAT reserved type 2", MSR_PAT, (pat & ~0xffull) | 2);
    check_write_faults("PAT reserved type 3", MSR_PAT, (pat & ~0xff00ull) | 0x300);
    check_write_faults("PAT reserved bits of an entry", MSR_PAT, pat | 0x8000000000000000ull);
    check_equal("PAT is as before", rdmsr(MSR_PAT), pat);
}

static void check_apic_base(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);
    unsigned bits = cpuid(0x80000008, 0).eax & 0xff;

    check(base & APIC_BASE_BSP, "first processor is BSP", "0x%lx", base);
    check(base & APIC_BASE_ENABLE, "local APIC is on", "0x%lx", base);
    check_equal("local APIC's address", guest_apic_base(), 0xfee00000);
    if (!is_strict())
        return;
    check_write_faults("APIC_BASE reserved bit 0", MSR_APIC_BASE, base | BIT(0));
    check_write_faults("APIC_BASE reserved bit 9", MSR_APIC_BASE, base | BIT(9));
    check_write_faults("APIC_BASE above the address width", MSR_APIC_BASE, base | BIT(bits));
    check_write_faults("x2APIC mode with the APIC off", MSR_APIC_BASE,
                       (base & ~APIC_BASE_ENABLE) | APIC_BASE_X2APIC);
    check_equal("APIC_BASE is as before", rdmsr(MSR_APIC_BASE), base);
}

static void check_bases(void)
{
    check_kept("FS_BASE", MSR_FS_BASE, 0x123456789a);
    check_kept("KERNEL_GS_BASE", MSR_KERNEL_GS_BASE, 0xffff800012345678ull);
    check_kept("STAR", MSR_STAR, 0x0123456789abcdefull);
    check_kept("LSTAR", MSR_LSTAR, 0xffffffff81000000ull);
    check_kept("CSTAR", MSR_CSTAR, 0x7fffffffffffull);
    check_kept("FMASK", MSR_FMASK, 0x47700);
    check_kept("SYSENTER_CS", MSR_SYSENTER_CS, 0x10);
    check_kept("SYSENTER_ESP", MSR_SYSENTER_ESP, 0xffff888000001000ull);
    check_kept("SYSENTER_EIP", MSR_SYSENTER_EIP, 0xffffffff81001000ull);
    if (!is_strict())
        return;
    check_write_faults("FS_BASE non-canonical", MSR_FS_BASE, NON_CANONICAL);
    check_write_faults("KERNEL_GS_BASE non-canonical", MSR_KERNEL_GS_BASE, NON_CANONICAL);
    check_write_faults("LSTAR non-canonical", MSR_LSTAR, NON_CANONICAL);
    check_write_faults("CSTAR non-canonical", MSR_CSTAR, NON_CANONICAL);
    check_write_faults("SYSENTER_EIP non-canonical", MSR_SYSENTER_EIP, NON_CANONICAL);
}

static void check_tsc_aux(void)
{
    uint32_t aux;

    if (!(cpuid(0x80000001, 0).edx & BIT(27))) {
        skip("RDTSCP and TSC_AUX", "no RDTSCP");
        return;
    }
    check_kept("TSC_AUX", MSR_TSC_AUX, 0x89abcdef);
    wrmsr(MSR_TSC_AUX, 0x1234);
    __asm__ volatile("rdtscp" : "=c"(aux) : : "rax", "rdx");
    wrmsr(MSR_TSC_AUX, 0);
    check_equal("RDTSCP gives TSC_AUX", aux, 0x1234);
}

/* SDM volume 3 "IA32_TSC_ADJUST Support": a write of either moves the other by the same amount. */
static void check_tsc_adjust(void)
{
    const uint64_t step = 1ull << 40;
    uint64_t adjust, before, after;
    size_t length;

    if (!has_ebx7(1) || !is_strict()) {
        skip("TSC_ADJUST", "not there, or not on Trapline");
        return;
    }
    if (guest_option("own-core", &length)) {
        skip("TSC_ADJUST", "the TSC is the machine's");
        return;
    }
    adjust = rdmsr(MSR_TSC_ADJUST);
    before = rdtsc();
    wrmsr(MSR_TSC_ADJUST, adjust + step);
    after = rdtsc();
    check(after - before >= step && after - before < step + guest_us(1000),
          "writing TSC_ADJUST moves the TSC", "by 0x%lx", after - before);
    check_equal("TSC_ADJUST reads as written", rdmsr(MSR_TSC_ADJUST), adjust + step);
    wrmsr(MSR_TSC, rdtsc() - step);
    after = rdmsr(MSR_TSC_ADJUST);
    check(after - adjust < guest_us(1000) || adjust - after < guest_us(1000),
          "writing the TSC moves TSC_ADJUST", "0x%lx, before 0x%lx", after, adjust);
    wrmsr(MSR_TSC_ADJUST, adjust);
    check_equal("TSC_ADJUST is as before", rdmsr(MSR_TSC_ADJUST), adjust);
}

static void check_tsc(void)
{
    uint64_t a, b, c;

    if (!is_strict()) {
        skip("RDMSR of the TSC lies between two RDTSC", "not on Trapline");
        return;
    }
    a = rdtsc();
    b = rdmsr(MSR_TSC);
    c = rdtsc();
    check(a <= b && b <= c, "RDMSR of the TSC lies between two RDTSC", "%lu %lu %lu", a, b, c);
}

static void check_machine_check(void)
{
    uint64_t cap;

    if (!has_edx1(14)) {
        skip("machine-check MSRs", "no MCA");
        return;
    }
    cap = probe_rdmsr(MSR_MCG_CAP);
    check_no_fault("MCG_CAP");
    probe_rdmsr(MSR_MCG_STATUS);
    check_no_fault("MCG_STATUS");
    if (is_strict())
        check_read_faults("bank beyond MCG_CAP", 0x400 + 4 * (uint32_t)(cap & 0xff));
}

static void check_others(void)
{
    uint64_t high;

    probe_rdmsr(MSR_MISC_ENABLE);
    check_no_fault("MISC_ENABLE");
    wrmsr(MSR_BIOS_SIGN_ID, 0);
    cpuid(1, 0);
    probe_rdmsr(MSR_BIOS_SIGN_ID);
    check_no_fault("BIOS_SIGN_ID");
    if (is_strict()) {
        check_write_faults("DEBUGCTL reserved bits", MSR_DEBUGCTL, BIT(63));
        check_write_faults("XSS with an unsupported component", MSR_XSS, BIT(62));
    }
    high = ~0ull;
    __asm__ volatile("rdmsr" : "+d"(high) : "c"(MSR_EFER) : "rax");
    check_equal("RDMSR clears the upper half of RDX", high, 0);
}

/* SDM volume 4, IA32_SPEC_CTRL, IA32_PRED_CMD, IA32_FLUSH_CMD, IA32_ARCH_CAPABILITIES; volume 2
 * "CPUID", leaf 7: which of them there are. */
static void check_command(const char *name, const char *absent, const char *reads, uint32_t msr,
                          bool there)
{
    if (!there) {
        check_write_faults(absent, msr, 1);
        return;
    }
    probe_wrmsr(msr, 1);
    check_no_fault(name);
    check_read_faults(reads, msr);
}

static void check_spec_ctrl(uint32_t edx)
{
    const uint64_t all = (edx >> 26 & 1) | (edx >> 26 & 3 ? BIT(1) : 0) | (edx >> 31 & 1) << 2;
    uint64_t seen;

    if (!all) {
        check_read_faults("SPEC_CTRL that CPUID does not show", MSR_SPEC_CTRL);
        check_write_faults("SPEC_CTRL that CPUID does not show, written", MSR_SPEC_CTRL, 0);
        return;
    }
    check_kept("SPEC_CTRL, all bits", MSR_SPEC_CTRL, all);
    check_kept("SPEC_CTRL 0", MSR_SPEC_CTRL, 0);
    wrmsr(MSR_SPEC_CTRL, all & ~1ull);
    cpuid(1, 0);
    seen = rdmsr(MSR_SPEC_CTRL);
    wrmsr(MSR_SPEC_CTRL, 0);
    check_equal("SPEC_CTRL without IBRS is the same after an exit", seen, all & ~1ull);
    cpuid(1, 0);
    check_equal("SPEC_CTRL is 0 again", rdmsr(MSR_SPEC_CTRL), 0);
    check_write_faults("SPEC_CTRL reserved bit 9", MSR_SPEC_CTRL, BIT(9));
    check_write_faults("SPEC_CTRL reserved bit 63", MSR_SPEC_CTRL, BIT(63));
    check_equal("SPEC_CTRL is as before a fault", rdmsr(MSR_SPEC_CTRL), 0);
}

static void check_speculation(void)
{
    uint32_t edx = cpuid(7, 0).edx;
    uint64_t caps;

    check_spec_ctrl(edx);
    check_command("IBPB by PRED_CMD", "PRED_CMD that CPUID does not show", "PRED_CMD is not read",
                  MSR_PRED_CMD, edx & BIT(26));
    check_command("L1D flush by FLUSH_CMD", "FLUSH_CMD that CPUID does not show",
                  "FLUSH_CMD is not read", MSR_FLUSH_CMD, edx & BIT(28));
    if (!(edx & BIT(29))) {
        check_read_faults("ARCH_CAPABILITIES that CPUID does not show", MSR_ARCH_CAPABILITIES);
        return;
    }
    caps = probe_rdmsr(MSR_ARCH_CAPABILITIES);
    check_no_fault("ARCH_CAPABILITIES");
    /* SKIP_L1DFL_VMENTRY, TSX_CTRL, MISC_PACKAGE_CTLS, FB_CLEAR_CTRL, XAPIC_DISABLE_STATUS,
     * GDS_CTRL: for who has the registers. */
    check_equal("ARCH_CAPABILITIES promises no register that is not there", caps & 0x2240488, 0);
    check_write_faults("ARCH_CAPABILITIES is read-only", MSR_ARCH_CAPABILITIES, caps);
}

void test_msr(void)
{
    if (is_strict()) {
        check_unknown();
        check_read_only();
        check_speculation();
    } else {
        skip("unknown and read-only MSRs", "not on Trapline");
    }
    check_efer();
    check_pat();
    check_apic_base();
    check_bases();
    check_tsc();
    check_tsc_aux();
    check_tsc_adjust();
    check_machine_check();
    check_others();
}
