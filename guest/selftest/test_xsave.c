/*
 * XSETBV and what CPUID says of the XSAVE area. SDM volume 1 "XSAVE-Supported Features and
 * State-Component Bitmaps"; volume 2 "XSETBV".
 */
#include "selftest.h"

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
#define XCR0_MPX (BIT(3) | BIT(4))
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))
#define LEGACY_BYTES (512u + 64u)

static uint32_t area_bytes(uint64_t components, bool compacted)
{
    uint32_t end = LEGACY_BYTES;

    for (unsigned i = 2; i < 63; i++) {
        struct cpuid_answer r;
        if (!(components >> i & 1))
            continue;
        r = cpuid(0xd, i);
        if (!compacted)
            end = r.ebx + r.eax > end ? r.ebx + r.eax : end;
        else
            end = (r.ecx & 2 ? (end + 63) & ~63u : end) + r.eax;
    }
    return end;
}

static void check_xcr0_faults(uint64_t all)
{
    probe_xsetbv(0, 0);
    check_fault("XCR0 without x87", VEC_GP, 0);
    probe_xsetbv(0, all | BIT(63));
    check_fault("XCR0 bit 63", VEC_GP, 0);
    probe_xsetbv(1, 1);
    check_fault("XCR1", VEC_GP, 0);
    probe_xsetbv(0xffffffff, 1);
    check_fault("XCR number 0xffffffff", VEC_GP, 0);
    for (unsigned i = 2; i < 63; i++) {
        if (all >> i & 1)
            continue;
        probe_xsetbv(0, all | BIT(i));
        check_fault("XCR0 with an unsupported component", VEC_GP, 0);
        break;
    }
    if (all & XCR0_AVX) {
        probe_xsetbv(0, XCR0_X87 | XCR0_AVX);
        check_fault("XCR0: AVX without SSE", VEC_GP, 0);
    }
    if ((all & XCR0_AVX512) == XCR0_AVX512) {
        probe_xsetbv(0, XCR0_X87 | XCR0_SSE | XCR0_AVX | BIT(5));
        check_fault("XCR0: a part of AVX-512", VEC_GP, 0);
        probe_xsetbv(0, XCR0_X87 | XCR0_SSE | XCR0_AVX512);
        check_fault("XCR0: AVX-512 without AVX", VEC_GP, 0);
    }
    if (all & XCR0_MPX) {
        probe_xsetbv(0, XCR0_X87 | BIT(3));
        check_fault("XCR0: one half of MPX", VEC_GP, 0);
    }
    check_equal("XCR0 is as before", xgetbv(0), all);
}

static void check_size(const char *name, uint64_t components)
{
    uint32_t size;

    probe_xsetbv(0, components);
    check_no_fault(name);
    check_equal("... and read back", xgetbv(0), components);
    size = cpuid(0xd, 0).ebx;
    check_equal("... and the area's size follows", size, area_bytes(components, false));
    if (cpuid(0xd, 1).eax & BIT(1))
        check_equal("... and the compacted size", cpuid(0xd, 1).ebx,
                    area_bytes(components, true));
}

void test_xsave(void)
{
    uint64_t cr4 = read_cr4(), all;

    if (!has_ecx1(26)) {
        skip("XSAVE", "not there");
        return;
    }
    write_cr4(cr4 & ~CR4_OSXSAVE);
    probe_xsetbv(0, 1);
    check_fault("XSETBV without OSXSAVE", VEC_UD, 0);
    write_cr4(cr4 | CR4_OSXSAVE);
    all = cpuid(0xd, 0).eax | (uint64_t)cpuid(0xd, 0).edx << 32;
    check((all & 3) == 3, "x87 and SSE can be saved", "0x%lx", all);
    check_equal("the largest area's size", cpuid(0xd, 0).ecx, area_bytes(all, false));
    check_size("XCR0 = x87", XCR0_X87);
    check_size("XCR0 = x87 and SSE", XCR0_X87 | XCR0_SSE);
    if (all & XCR0_AVX)
        check_size("XCR0 = x87, SSE and AVX", XCR0_X87 | XCR0_SSE | XCR0_AVX);
    check_size("XCR0 = everything", all);
    check_xcr0_faults(all);
    if (cpuid(0xd, 1).eax & BIT(3) && is_strict()) {
        probe_wrmsr(MSR_XSS, 0);
        check_no_fault("XSS = 0");
    }
    xsetbv(0, XCR0_X87);
    write_cr4(cr4);
}
