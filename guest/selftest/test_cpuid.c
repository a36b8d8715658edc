/* CPUID. SDM volume 2 "CPUID - CPU Identification"; the range 0x40000000 is a convention. */
#include "selftest.h"

#define OSXSAVE_BIT 27
#define PKE_BIT 3

static void check_hypervisor(void)
{
    struct cpuid_answer hv = cpuid(0x40000000, 0);

    if (!is_trapline()) {
        skip("hypervisor leaves", "not on Trapline");
        return;
    }
    check(has_ecx1(31), "hypervisor bit", "CPUID.1:ECX[31] is 0");
    check(hv.eax >= 0x40000000 && hv.eax < 0x40000100, "highest hypervisor leaf", "0x%x", hv.eax);
    if (hv.eax >= 0x40000010)
        check_near("TSC frequency of leaf 0x40000010", cpuid(0x40000010, 0).eax,
                   guest_tsc_hz / 1000, 10);
}

static void check_no_vmx(void)
{
    if (!is_trapline()) {
        skip("no VMX", "not on Trapline");
        return;
    }
    check(!has_ecx1(5), "no VMX", "CPUID.1:ECX[5] is 1");
    check(!has_ecx1(6), "no SMX", "CPUID.1:ECX[6] is 1");
    check(!has_ecx1(3), "no MONITOR", "CPUID.1:ECX[3] is 1");
    check(!has_ebx7(2), "no SGX", "CPUID.7.0:EBX[2] is 1");
    check_equal("no performance monitoring", cpuid(0xa, 0).eax & 0xff, 0);
}

/* "If a value entered for CPUID.EAX is higher than the maximum input value for basic or extended
 * function for that processor then the data for the highest basic information leaf is returned." */
static void check_beyond(void)
{
    static const char *const names[] = { "leaf above the highest basic one", "leaf 0x7fffffff",
                                         "leaf above the highest extended one",
                                         "leaf 0xffffffff" };
    uint32_t max = cpuid_max(0), extended = cpuid_max(0x80000000);
    const uint32_t leaves[] = { max + 1, 0x7fffffff, extended + 1, 0xffffffff };
    struct cpuid_answer highest = cpuid(max, 0);

    for (unsigned i = 0; i < ARRAY_COUNT(leaves); i++) {
        struct cpuid_answer r = cpuid(leaves[i], 0);
        if (!is_strict())
            skip(names[i], "not on Trapline");
        else
            check(memcmp(&r, &highest, sizeof(r)) == 0, names[i], "0x%x 0x%x 0x%x 0x%x", r.eax,
                  r.ebx, r.ecx, r.edx);
    }
}

static void check_follows(const char *name, uint32_t leaf, bool ecx_bit, uint64_t cr4_bit)
{
    uint64_t cr4 = read_cr4();
    uint32_t mask = (uint32_t)BIT(ecx_bit ? OSXSAVE_BIT : 4), off, on;

    write_cr4(cr4 & ~cr4_bit);
    off = cpuid(leaf, 0).ecx & mask;
    write_cr4(cr4 | cr4_bit);
    on = cpuid(leaf, 0).ecx & mask;
    write_cr4(cr4);
    check(!off && on, name, "0x%x with the bit clear, 0x%x with it set", off, on);
}

static void check_dynamic_bits(void)
{
    if (has_ecx1(26))
        check_follows("OSXSAVE follows CR4", 1, true, CR4_OSXSAVE);
    else
        skip("OSXSAVE follows CR4", "no XSAVE");
    if (has_ecx7(PKE_BIT))
        check_follows("OSPKE follows CR4", 7, false, CR4_PKE);
    else
        skip("OSPKE follows CR4", "no PKU");
}

static void check_topology(void)
{
    uint32_t id = guest_apic_id();
    unsigned level, last_shift = 0;
    bool good = true;

    check_equal("initial APIC id of leaf 1", cpuid(1, 0).ebx >> 24, id & 0xff);
    if (cpuid_max(0) < 0xb || cpuid(0xb, 0).ebx == 0) {
        skip("leaf 0BH", "not there");
        return;
    }
    check_equal("x2APIC id of leaf 0BH", cpuid(0xb, 0).edx, id);
    check_equal("x2APIC id beyond the last level", cpuid(0xb, 99).edx, id);
    for (level = 0; level < 8; level++) {
        struct cpuid_answer r = cpuid(0xb, level);
        if ((r.ecx >> 8 & 0xff) == 0)
            break;
        good = good && (r.ecx & 0xff) == level && r.ebx != 0 && (r.eax & 31) >= last_shift;
        last_shift = r.eax & 31;
    }
    check(good && level > 0 && level < 8, "levels of leaf 0BH", "%u levels, good %d", level, good);
    check_equal("subleaf beyond the levels is repeated in ECX", cpuid(0xb, 99).ecx, 99);
}

static void check_frequency(void)
{
    struct cpuid_answer r = cpuid(0x15, 0);

    if (!is_trapline() || cpuid_max(0) < 0x15 || !r.eax || !r.ebx || !r.ecx) {
        skip("TSC frequency of leaf 15H", "not given, or not on Trapline");
        return;
    }
    check_near("TSC frequency of leaf 15H", (uint64_t)r.ecx * r.ebx / r.eax, guest_tsc_hz, 10);
    if (cpuid_max(0) >= 0x16)
        check_near("base frequency of leaf 16H", cpuid(0x16, 0).eax & 0xffff,
                   (guest_tsc_hz + 500000) / 1000000, 20);
}

static void check_registers(void)
{
    uint64_t a = 0xdeadbeef00000000, b = ~0ull, c = 0xdeadbeef00000000, d = ~0ull, before, after;

    before = read_flags();
    __asm__ volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
    after = read_flags();
    check((a | b | c | d) >> 32 == 0, "upper halves are cleared", "%lx %lx %lx %lx", a, b, c, d);
    check_equal("flags are kept", after & FLAGS_ARITHMETIC, before & FLAGS_ARITHMETIC);
}

static void check_sizes(void)
{
    uint32_t sizes;

    check(cpuid_max(0) >= 0xb, "highest basic leaf", "0x%x", cpuid_max(0));
    check(cpuid_max(0x80000000) >= 0x80000008, "highest extended leaf", "0x%x",
          cpuid_max(0x80000000));
    sizes = cpuid(0x80000008, 0).eax;
    check((sizes & 0xff) >= 36 && (sizes & 0xff) <= 52, "physical address bits", "%u",
          sizes & 0xff);
    check_equal("linear address bits", sizes >> 8 & 0xff, has_ecx7(16) ? 57 : 48);
    check(cpuid(0x80000001, 0).edx & BIT(29), "long mode", "CPUID.80000001H:EDX[29] is 0");
}

static void check_caches(void)
{
    unsigned i;

    if (cpuid_max(0) < 4 || (cpuid(4, 0).eax & 31) == 0) {
        skip("leaf 4", "not there");
        return;
    }
    for (i = 0; i < 16 && cpuid(4, i).eax & 31; i++)
        ;
    check(i < 16, "cache levels of leaf 4 end", "more than %u", i);
}

void test_cpuid(void)
{
    check_hypervisor();
    check_no_vmx();
    check_sizes();
    check_beyond();
    check_registers();
    check_dynamic_bits();
    check_topology();
    check_caches();
    check_frequency();
}
