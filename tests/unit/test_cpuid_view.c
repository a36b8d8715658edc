// SRCS: arch/x86/vmx/cpuid_view.c
/*
 * What a guest may see by CPUID: from the SDM's "CPUID" and from what is virtualized, not from the
 * table that makes it.
 */
#include "fake.h"
#include "x86/cpuid_view.h"
#include "x86/regs.h"

#include <cmocka.h>

/* A processor that has everything: all bits of every feature leaf. */
static struct cpuid_regs everything(uint32_t leaf, uint32_t subleaf)
{
    switch (leaf) {
    case 0:
        return (struct cpuid_regs){ 0x20, 0x756e6547, 0x6c65746e, 0x49656e69 };
    case 4:
        if (subleaf > 3)
            return (struct cpuid_regs){ 0, 0, 0, 0 };
        return (struct cpuid_regs){ 0xfc000000 | 0x3ffc000 | (subleaf < 2 ? 1 : subleaf) << 5 |
                                        (subleaf == 0 ? 1 : 3), 0x01c0003f, 63, 0 };
    case 0xd:
        if (subleaf == 0)
            return (struct cpuid_regs){ 0xe7 | 0x60200, 0x340, 0x2b00, 0 };
        if (subleaf == 1)
            return (struct cpuid_regs){ 0xffffffff, 0x340, 0x1fff, 0 };
        if (subleaf == 2)
            return (struct cpuid_regs){ 256, 576, 0, 0 };
        if (subleaf >= 5 && subleaf <= 7)
            return (struct cpuid_regs){ subleaf == 5 ? 64 : subleaf == 6 ? 512 : 1024,
                                        subleaf == 5 ? 1088 : subleaf == 6 ? 1152 : 1664, 0, 0 };
        if (subleaf == 9)
            return (struct cpuid_regs){ 8, 2688, 0, 0 };
        return (struct cpuid_regs){ 0, 0, 0, 0 };
    case 0x80000000:
        return (struct cpuid_regs){ 0x80000008, 0, 0, 0 };
    case 0x80000008:
        return (struct cpuid_regs){ 0x3034 | 57 << 8, 0xffffffff, 0xffffffff, 0xffffffff };
    default:
        return (struct cpuid_regs){ 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff };
    }
}

static struct cpuid_view view;

static struct cpuid_view_request request(void)
{
    return (struct cpuid_view_request){
        .host = everything,
        .apic_id = 3,
        .vcpus = 4,
        .tsc_hz = 2112000000,
        .xcr0_supported = 0x2e7,
        .compacted_bytes = 576 + 256 + 64 + 512 + 1024 + 8,
        .xsaves = true,
        .rdtscp = true,
        .invpcid = true,
        .kvm = true,
    };
}

static struct cpuid_regs get(uint32_t leaf, uint32_t subleaf)
{
    return cpuid_view_find(&view, leaf, subleaf)->regs;
}

static int setup(void **state)
{
    struct cpuid_view_request r = request();

    (void)state;
    cpuid_view_make(&view, &r);
    return 0;
}

static void hides_what_is_not_virtualized(void **state)
{
    struct cpuid_regs f1 = get(1, 0), f7 = get(7, 0);

    (void)state;
    assert_int_equal(f1.ecx & (CPUID_1_ECX_VMX | CPUID_1_ECX_SMX | CPUID_1_ECX_MONITOR |
                               CPUID_1_ECX_EIST | CPUID_1_ECX_TM2 | CPUID_1_ECX_SDBG |
                               CPUID_1_ECX_PDCM | CPUID_1_ECX_DTES64 | CPUID_1_ECX_DS_CPL |
                               CPUID_1_ECX_XTPR | CPUID_1_ECX_DCA | CPUID_1_ECX_CNXT_ID), 0);
    assert_int_equal(f1.edx & (CPUID_1_EDX_DS | CPUID_1_EDX_ACPI | CPUID_1_EDX_TM |
                               CPUID_1_EDX_PBE | CPUID_1_EDX_PSN), 0);
    assert_int_equal(f7.ebx & (CPUID_7_EBX_SGX | CPUID_7_EBX_PT | CPUID_7_EBX_PQM |
                               CPUID_7_EBX_PQE | CPUID_7_EBX_MPX | CPUID_7_EBX_RTM |
                               CPUID_7_EBX_HLE), 0);
    assert_int_equal(f7.ecx & (CPUID_7_ECX_WAITPKG | CPUID_7_ECX_CET_SS | CPUID_7_ECX_LA57 |
                               CPUID_7_ECX_KL | CPUID_7_ECX_ENQCMD | CPUID_7_ECX_PKS |
                               CPUID_7_ECX_BUS_LOCK), 0);
    assert_int_equal(f7.edx & (CPUID_7_EDX_UINTR | CPUID_7_EDX_HYBRID | CPUID_7_EDX_ARCH_LBR |
                               CPUID_7_EDX_CET_IBT | CPUID_7_EDX_IBRS_IBPB | CPUID_7_EDX_STIBP |
                               CPUID_7_EDX_SSBD | CPUID_7_EDX_ARCH_CAP | CPUID_7_EDX_CORE_CAP), 0);
    const uint32_t empty[] = { 3, 5, 8, 9, 0xa, 0xc, 0xe, 0xf, 0x10, 0x11, 0x12, 0x13, 0x14 };
    for (unsigned i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        struct cpuid_regs r = get(empty[i], 0);
        assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
    }
}

static void leaf_7_shows_what_it_is_told_about_speculation(void **state)
{
    struct cpuid_view_request r = request();
    static struct cpuid_view own;
    uint32_t edx;

    (void)state;
    cpuid_view_make(&own, &r);
    edx = cpuid_view_find(&own, 7, 0)->regs.edx;
    assert_int_equal(edx & 0xac000400, 0);
    assert_int_equal(cpuid_view_find(&own, 7, 0)->regs.eax, 0);
    r.leaf7_edx = 1u << 26 | 1u << 29;
    cpuid_view_make(&own, &r);
    assert_int_equal(cpuid_view_find(&own, 7, 0)->regs.edx, edx | r.leaf7_edx);
    assert_int_equal(cpuid_view_find(&own, 7, 0)->regs.eax, 0);
    r.leaf7_2_edx = 0x10;
    cpuid_view_make(&own, &r);
    assert_int_equal(cpuid_view_find(&own, 7, 0)->regs.eax, 2);
    assert_int_equal(cpuid_view_find(&own, 7, 1)->regs.edx, 0);
    assert_int_equal(cpuid_view_find(&own, 7, 2)->regs.edx, 0x10);
    assert_int_equal(cpuid_view_find(&own, 7, 3)->regs.edx, 0);
}

static void shows_a_hypervisor(void **state)
{
    struct cpuid_regs r = get(0x40000000, 0);

    (void)state;
    assert_true(get(1, 0).ecx & CPUID_1_ECX_HYPERVISOR);
    assert_true(get(1, 0).ecx & CPUID_1_ECX_X2APIC);
    assert_true(get(1, 0).ecx & CPUID_1_ECX_TSC_DEADLINE);
    assert_int_equal(r.eax, 0x40000010);
    assert_memory_equal(&r.ebx, "Trap", 4);
    assert_memory_equal(&r.ecx, "line", 4);
    assert_memory_equal(&r.edx, "VT-x", 4);
    r = get(0x40000100, 0);
    assert_memory_equal(&r.ebx, "KVMK", 4);
    assert_memory_equal(&r.ecx, "VMKV", 4);
    assert_memory_equal(&r.edx, "M\0\0\0", 4);
    assert_int_equal(r.eax, 0x40000101);
    /* No delays at ports, the clock's newer registers, and time that agrees between vCPUs: the
     * machine's TSC is invariant. */
    assert_int_equal(get(0x40000101, 0).eax, 1u << 1 | 1u << 3 | 1u << 24);
    r = get(0x40000200, 0);
    assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
}

static struct cpuid_regs no_steady_tsc(uint32_t leaf, uint32_t subleaf)
{
    if (leaf == 0x80000007)
        return (struct cpuid_regs){ 0, 0, 0, 0 };
    return everything(leaf, subleaf);
}

static void offers_of_kvm_what_it_is_told_to(void **state)
{
    struct cpuid_view_request r = request();

    (void)state;
    r.host = no_steady_tsc;
    cpuid_view_make(&view, &r);
    assert_int_equal(get(0x40000101, 0).eax, 1u << 1 | 1u << 3);
    r.kvm = false;
    cpuid_view_make(&view, &r);
    for (uint32_t leaf = 0x40000100; leaf <= 0x40000101; leaf++) {
        struct cpuid_regs none = get(leaf, 0);
        assert_int_equal(none.eax | none.ebx | none.ecx | none.edx, 0);
    }
    assert_int_equal(get(0x40000000, 0).eax, 0x40000010);
}

static void a_leaf_above_the_highest_is_answered_with_the_highest(void **state)
{
    struct cpuid_regs highest = get(get(0, 0).eax, 0);

    (void)state;
    struct cpuid_regs beyond = get(0x1000, 0), far = get(0x80001000, 0);
    assert_memory_equal(&beyond, &highest, sizeof(highest));
    assert_memory_equal(&far, &highest, sizeof(highest));
}

static void the_short_way_agrees_with_the_long_one(void **state)
{
    unsigned found = 0;

    (void)state;
    for (uint32_t leaf = 0; leaf < 0x40; leaf++) {
        for (uint32_t subleaf = 0; subleaf < 8; subleaf++) {
            const struct cpuid_regs *regs = cpuid_view_find_static(&view, leaf, subleaf);
            const struct cpuid_view_entry *entry = cpuid_view_find(&view, leaf, subleaf);
            if (!regs)
                continue;
            found++;
            assert_ptr_equal(regs, &entry->regs);
            assert_int_not_equal(entry->dynamic, CPUID_DYNAMIC_FEATURES);
            assert_int_not_equal(entry->dynamic, CPUID_DYNAMIC_OSPKE);
        }
    }
    assert_true(found >= 8);
    assert_null(cpuid_view_find_static(&view, 1, 0));
    assert_null(cpuid_view_find_static(&view, 7, 0));
    assert_null(cpuid_view_find_static(&view, 0x80000000, 0));
}

static void follow(uint64_t cr4, uint64_t xcr0, bool apic)
{
    const struct cpuid_view_registers registers = { cr4, xcr0, apic };

    cpuid_view_follow(&view, &registers);
}

/* SDM "CPUID": OSXSAVE, OSPKE, the APIC bit, and leaf 0DH's EBX are the registers' of the moment. */
static void follows_the_guests_registers(void **state)
{
    struct cpuid_view_request r = request();

    (void)state;
    r.cr4_seen = true;
    cpuid_view_make(&view, &r);
    follow(0, XCR0_X87, true);
    assert_false(get(1, 0).ecx & CPUID_1_ECX_OSXSAVE);
    assert_true(get(1, 0).edx & CPUID_1_EDX_APIC);
    assert_false(get(7, 0).ecx & CPUID_7_ECX_OSPKE);
    assert_int_equal(get(0xd, 0).ebx, 576);
    follow(CR4_OSXSAVE, XCR0_X87 | XCR0_SSE | XCR0_AVX, false);
    assert_true(get(1, 0).ecx & CPUID_1_ECX_OSXSAVE);
    assert_false(get(1, 0).edx & CPUID_1_EDX_APIC);
    assert_false(get(7, 0).ecx & CPUID_7_ECX_OSPKE);
    assert_int_equal(get(0xd, 0).ebx, 832);
    follow(CR4_PKE, XCR0_X87, true);
    assert_false(get(1, 0).ecx & CPUID_1_ECX_OSXSAVE);
    assert_true(get(1, 0).edx & CPUID_1_EDX_APIC);
    assert_true(get(7, 0).ecx & CPUID_7_ECX_OSPKE);
    assert_int_equal(get(0xd, 0).ebx, 576);
    /* What is up to date goes the short way. */
    assert_ptr_equal(cpuid_view_find_static(&view, 1, 9), &cpuid_view_find(&view, 1, 0)->regs);
    assert_non_null(cpuid_view_find_static(&view, 7, 0));
    r.cr4_seen = false;
    cpuid_view_make(&view, &r);
    assert_null(cpuid_view_find_static(&view, 1, 0));
}

static void tells_the_true_frequency(void **state)
{
    const uint64_t rates[] = { 100000000, 24000000, 1, 2112000000, 3493437000, 6000000000 };

    (void)state;
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct cpuid_view_request r = request();
        r.tsc_hz = rates[i];
        cpuid_view_make(&view, &r);
        struct cpuid_regs tsc = get(0x15, 0);
        assert_int_not_equal(tsc.eax, 0);
        uint64_t told = (uint64_t)tsc.ecx * tsc.ebx / tsc.eax;
        int64_t off = (int64_t)(told - rates[i]);
        assert_true((off < 0 ? -off : off) * 1000000 <= (int64_t)rates[i]);
        assert_int_equal(get(0x40000010, 0).eax, rates[i] / 1000);
    }
}

/* SDM "APIC Timer": where leaf 15H tells the crystal, the timer counts it. */
static void tells_the_machines_timer(void **state)
{
    static const struct {
        uint64_t tsc_hz, timer_hz;
    } rates[] = { { 100000000, 100000000 }, { 2112000000, 23999423 }, { 3493437000, 1000000000 },
                  { 3000000000, 25000011 } };

    (void)state;
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct cpuid_view_request r = request();
        r.tsc_hz = rates[i].tsc_hz;
        r.apic_timer_hz = rates[i].timer_hz;
        cpuid_view_make(&view, &r);
        struct cpuid_regs tsc = get(0x15, 0);
        int64_t off = (int64_t)((uint64_t)tsc.ecx * tsc.ebx / tsc.eax - rates[i].tsc_hz);
        assert_true((off < 0 ? -off : off) * 1000000 <= (int64_t)rates[i].tsc_hz);
        off = (int64_t)tsc.ecx - (int64_t)rates[i].timer_hz;
        assert_true((off < 0 ? -off : off) * 1000 <= (int64_t)rates[i].timer_hz);
        assert_int_equal(get(0x40000010, 0).ebx, tsc.ecx / 1000);
    }
}

static void topology_has_the_vms_vcpus(void **state)
{
    (void)state;
    assert_int_equal(get(1, 0).ebx >> 24, 3);
    assert_int_equal(get(1, 0).ebx >> 16 & 0xff, 4);
    assert_true(get(1, 0).edx & CPUID_1_EDX_HTT);
    assert_int_equal(get(0xb, 0).eax, 0);
    assert_int_equal(get(0xb, 0).ecx, 0x100);
    assert_int_equal(get(0xb, 1).eax, 2);
    assert_int_equal(get(0xb, 1).ebx, 4);
    assert_int_equal(get(0xb, 1).ecx, 0x201);
    assert_int_equal(get(0xb, 1).edx, 3);
    assert_int_equal(get(0xb, 2).ecx, 2);
    /* Caches: the first two levels for one, the third for all. */
    assert_int_equal(get(4, 0).eax >> 14 & 0xfff, 0);
    assert_int_equal(get(4, 3).eax >> 14 & 0xfff, 3);
    assert_int_equal(get(4, 4).eax, 0);
}

static void xsave_follows_what_may_be_enabled(void **state)
{
    struct cpuid_view_request r = request();

    (void)state;
    assert_int_equal(get(0xd, 0).eax, 0x2e7);
    assert_int_equal(get(0xd, 0).ecx, 2688 + 8);
    assert_int_equal(get(0xd, 1).eax, 0xf);
    assert_int_equal(get(0xd, 1).ecx, 0);
    assert_int_equal(get(0xd, 2).ebx, 576);
    assert_int_equal(get(0xd, 9).ebx, 2688);
    assert_int_equal(get(0xd, 3).eax, 0);
    r.xcr0_supported = 3;
    r.xsaves = false;
    r.compacted_bytes = 576;
    cpuid_view_make(&view, &r);
    assert_int_equal(get(0xd, 0).ecx, 576);
    assert_int_equal(get(0xd, 1).eax, 7);
    assert_int_equal(get(7, 0).ebx & (CPUID_7_EBX_AVX2 | CPUID_7_EBX_AVX512F), 0);
    assert_int_equal(get(1, 0).ecx & (CPUID_1_ECX_AVX | CPUID_1_ECX_FMA | CPUID_1_ECX_F16C), 0);
    r.xcr0_supported = 0;
    cpuid_view_make(&view, &r);
    assert_int_equal(get(1, 0).ecx & CPUID_1_ECX_XSAVE, 0);
    assert_int_equal(get(0xd, 0).eax, 0);
}

/* One processor gave the standard size for both: the guest's kernel warned. */
static void xsave_area_sizes_are_the_sums_of_their_components(void **state)
{
    (void)state;
    assert_int_equal(cpuid_view_xsave_bytes(&view, 1, false), 576);
    assert_int_equal(cpuid_view_xsave_bytes(&view, 7, false), 832);
    assert_int_equal(cpuid_view_xsave_bytes(&view, 0xe7, false), 2688);
    assert_int_equal(cpuid_view_xsave_bytes(&view, 0xe7, true), 576 + 256 + 64 + 512 + 1024);
    assert_int_equal(cpuid_view_xsave_bytes(&view, 0x2e7, true), 576 + 256 + 64 + 512 + 1024 + 8);
    assert_int_equal(cpuid_view_xsave_bytes(&view, 0x203, true), 576 + 8);
    assert_int_equal(cpuid_view_xsave_bytes(&view, 0x203, false), 2696);
}

/* The guest corrupted its own registers with XSAVES on such a processor. */
static void a_processor_that_contradicts_itself_has_no_compacted_format(void **state)
{
    struct cpuid_view_request r = request();

    (void)state;
    r.compacted_bytes = 2696;
    cpuid_view_make(&view, &r);
    assert_int_equal(get(0xd, 1).eax, CPUID_D_1_EAX_XSAVEOPT | CPUID_D_1_EAX_XGETBV_1);
}

static void controls_that_are_off_hide_their_instructions(void **state)
{
    struct cpuid_view_request r = request();

    (void)state;
    r.rdtscp = r.invpcid = false;
    cpuid_view_make(&view, &r);
    assert_int_equal(get(0x80000001, 0).edx & CPUID_80000001_EDX_RDTSCP, 0);
    assert_int_equal(get(7, 0).ecx & CPUID_7_ECX_RDPID, 0);
    assert_int_equal(get(7, 0).ebx & CPUID_7_EBX_INVPCID, 0);
    assert_int_equal(get(1, 0).ecx & CPUID_1_ECX_PCID, 0);
}

static void cr4_is_what_cpuid_shows(void **state)
{
    uint64_t cr4 = cpuid_view_cr4(&view);

    (void)state;
    assert_true(cr4 & CR4_PAE);
    assert_true(cr4 & CR4_OSXSAVE);
    assert_true(cr4 & CR4_PKE);
    assert_int_equal(cr4 & (CR4_VMXE | CR4_SMXE | CR4_LA57 | CR4_CET | CR4_PKS | CR4_UINTR), 0);
}

static void addresses_are_those_of_four_levels(void **state)
{
    (void)state;
    assert_int_equal(get(0x80000008, 0).eax & 0xff, 0x34);
    assert_int_equal(get(0x80000008, 0).eax >> 8 & 0xff, 48);
}

/* SDM volume 1 "XSAVE-Managed State": components need not lie in the order of their numbers, and some
 * begin on 64 bytes in the compacted format. */
static struct cpuid_regs other_components(uint32_t leaf, uint32_t subleaf)
{
    static const struct cpuid_regs components[] = {
        [2] = { 256, 576, 0, 0 },  [5] = { 64, 832, 0, 0 },    [6] = { 512, 896, 0, 0 },
        [7] = { 1024, 1408, 0, 0 }, [9] = { 8, 2432, 0, 0 },   [11] = { 24, 2440, 0, 0 },
        [17] = { 64, 2496, 2, 0 },  [18] = { 8192, 2560, 6, 0 }, [19] = { 16, 2464, 0, 0 },
    };

    if (leaf == 0xd && subleaf >= 2)
        return subleaf < 20 ? components[subleaf] : (struct cpuid_regs){ 0, 0, 0, 0 };
    return everything(leaf, subleaf);
}

static void xsave_areas_in_any_order(void **state)
{
    struct cpuid_view_request r = request();

    (void)state;
    r.host = other_components;
    r.xcr0_supported = 0xe02e7;
    /* 9 ends at 576 + 256 + 64 + 512 + 1024 + 8 = 2440; 17 begins at 2496. */
    r.compacted_bytes = 2496 + 64 + 8192 + 16;
    cpuid_view_make(&view, &r);
    assert_int_equal(get(0xd, 0).eax, 0xe02e7);
    assert_int_equal(get(0xd, 0).ecx, 2560 + 8192);
    assert_int_equal(get(0xd, 1).eax & (CPUID_D_1_EAX_XSAVEC | CPUID_D_1_EAX_XSAVES),
                     CPUID_D_1_EAX_XSAVEC | CPUID_D_1_EAX_XSAVES);
    assert_int_equal(get(0xd, 11).eax, 0); /* it was not said to be supported */
    assert_int_equal(get(0xd, 18).ecx, 6);
    assert_int_equal(get(0xd, 20).eax, 0);
    assert_int_equal(cpuid_view_xsave_bytes(&view, 7, true), 832);
    assert_int_equal(cpuid_view_xsave_bytes(&view, 0x207, true), 840);
    assert_int_equal(cpuid_view_xsave_bytes(&view, 0x207, false), 2440);
    assert_int_equal(cpuid_view_xsave_bytes(&view, 0x20207, true), 896 + 64);
    assert_int_equal(cpuid_view_xsave_bytes(&view, 0xa0207, false), 2560);
    assert_int_equal(cpuid_view_xsave_bytes(&view, UINT64_C(0x8000000000000003), true), 576);
}

/* A processor of long ago, or an emulator's simplest: few leaves, no extensions of them. */
static struct cpuid_regs the_least(uint32_t leaf, uint32_t subleaf)
{
    (void)subleaf;
    switch (leaf) {
    case 0:
        return (struct cpuid_regs){ 1, 0x756e6547, 0x6c65746e, 0x49656e69 };
    case 1:
        return (struct cpuid_regs){ 0x6f2, 0, 0, CPUID_1_EDX_APIC | CPUID_1_EDX_TSC };
    case 0x80000000:
        return (struct cpuid_regs){ 0x80000001, 0, 0, 0 };
    case 0x80000001:
        return (struct cpuid_regs){ 0, 0, 0, 1u << 29 };
    default: /* the highest leaf's answer, as the SDM has it for what is beyond */
        return (struct cpuid_regs){ 0x6f2, 0xdead, 0xbeef, 0xffffffff };
    }
}

static void leaves_that_the_processor_lacks_are_empty(void **state)
{
    static const uint32_t leaves[] = { 2, 4, 7, 0xd, 0x80000002, 0x80000004, 0x80000006, 0x80000007 };
    struct cpuid_view_request r = request();

    (void)state;
    r.host = the_least;
    r.vcpus = 1;
    r.xcr0_supported = 0;
    cpuid_view_make(&view, &r);
    for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        struct cpuid_regs regs = get(leaves[i], 0);
        assert_int_equal(regs.eax | regs.ebx | regs.ecx | regs.edx, 0);
    }
    assert_int_equal(get(1, 0).edx & CPUID_1_EDX_HTT, 0); /* one processor */
    assert_int_equal(get(1, 0).ebx >> 16 & 0xff, 1);
    assert_int_equal(get(0x80000008, 0).eax, 36 | 48 << 8);
    assert_int_equal(cpuid_view_cr4(&view) & (CR4_VME | CR4_PVI | CR4_OSXSAVE | CR4_PAE), 0);
    assert_int_equal(cpuid_view_cr4(&view) & CR4_TSD, CR4_TSD);
}

/* "Deterministic Cache Parameters": the list ends where it says so; one that does not is cut. */
static struct cpuid_regs endless_caches(uint32_t leaf, uint32_t subleaf)
{
    if (leaf == 4)
        return (struct cpuid_regs){ 3u << 5 | 3, 0x01c0003f, subleaf, 0 };
    return everything(leaf, subleaf);
}

static void caches_without_an_end(void **state)
{
    struct cpuid_view_request r = request();

    (void)state;
    r.host = endless_caches;
    cpuid_view_make(&view, &r);
    assert_int_equal(get(4, 7).ecx, 7);
    assert_int_equal(get(4, 8).eax & 0x1f, 0);
    assert_int_equal(get(7, 0).ebx & CPUID_7_EBX_SMEP, CPUID_7_EBX_SMEP); /* what follows has room */
    assert_int_equal(get(0x80000008, 0).eax, 0x3034);
}

/* A timer's rate that was measured badly: the product is the TSC's rate as far as 32 bits go, and
 * nobody divides by 0. */
static void a_timer_of_any_rate(void **state)
{
    static const uint64_t rates[] = { 1, 1000, 24000000, 2112000000, UINT64_C(100000000000000) };

    (void)state;
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct cpuid_view_request r = request();
        r.apic_timer_hz = rates[i];
        cpuid_view_make(&view, &r);
        struct cpuid_regs ratio = get(0x15, 0);
        assert_int_equal(ratio.eax, 1000);
        assert_true(ratio.ebx >= 1);
        if (rates[i] >= 1000 && rates[i] <= r.tsc_hz) {
            uint64_t product = (uint64_t)ratio.ecx * ratio.ebx / 1000;
            assert_in_range(product, r.tsc_hz - r.tsc_hz / 1000, r.tsc_hz + r.tsc_hz / 1000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(xsave_areas_in_any_order, setup),
        cmocka_unit_test_setup(leaves_that_the_processor_lacks_are_empty, setup),
        cmocka_unit_test_setup(caches_without_an_end, setup),
        cmocka_unit_test_setup(a_timer_of_any_rate, setup),
        cmocka_unit_test_setup(hides_what_is_not_virtualized, setup),
        cmocka_unit_test_setup(leaf_7_shows_what_it_is_told_about_speculation, setup),
        cmocka_unit_test_setup(shows_a_hypervisor, setup),
        cmocka_unit_test_setup(offers_of_kvm_what_it_is_told_to, setup),
        cmocka_unit_test_setup(a_leaf_above_the_highest_is_answered_with_the_highest, setup),
        cmocka_unit_test_setup(the_short_way_agrees_with_the_long_one, setup),
        cmocka_unit_test_setup(follows_the_guests_registers, setup),
        cmocka_unit_test_setup(tells_the_true_frequency, setup),
        cmocka_unit_test_setup(tells_the_machines_timer, setup),
        cmocka_unit_test_setup(topology_has_the_vms_vcpus, setup),
        cmocka_unit_test_setup(xsave_follows_what_may_be_enabled, setup),
        cmocka_unit_test_setup(xsave_area_sizes_are_the_sums_of_their_components, setup),
        cmocka_unit_test_setup(a_processor_that_contradicts_itself_has_no_compacted_format, setup),
        cmocka_unit_test_setup(controls_that_are_off_hide_their_instructions, setup),
        cmocka_unit_test_setup(cr4_is_what_cpuid_shows, setup),
        cmocka_unit_test_setup(addresses_are_those_of_four_levels, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
