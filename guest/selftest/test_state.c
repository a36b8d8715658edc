/*
 * What belongs to a virtual processor stays its own: every register file is filled with another
 * pattern on each processor, all of them wait together for longer than a time slice, and look. With
 * more virtual processors than cores, or with another VM beside, they have been switched meanwhile.
 */
#include "selftest.h"

#define SPIN_US 60000u
#define GPR_ROUNDS 200000u
#define ZMM_BYTES (32u * 64u + 16u)
#define XCR0_X87_SSE 3ull
#define XCR0_AVX BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))

uint64_t state_gprs(uint64_t seed, uint64_t rounds);
void state_legacy(void *image, uint64_t until);
void state_ymm(void *registers, uint64_t until);
void state_zmm(void *registers, uint64_t until);

static uint8_t areas[GUEST_MAX_CPUS][ZMM_BYTES + 48] __attribute__((aligned(64)));
static volatile uint32_t wrong[GUEST_MAX_CPUS];
static volatile uint32_t together;

static uint64_t pattern(unsigned cpu, unsigned i)
{
    uint64_t x = (cpu + 1) * 0x9e3779b97f4a7c15ull + i * 0xbf58476d1ce4e5b9ull;

    x ^= x >> 29;
    return x * 0x94d049bb133111ebull;
}

/* All processors begin at about the same time. */
static void meet(void)
{
    uint64_t start = rdtsc();

    __atomic_add_fetch(&together, 1, __ATOMIC_SEQ_CST);
    while (together < guest_cpu_count && rdtsc() - start < guest_us(1000000))
        pause();
}

static uint64_t until(void)
{
    return rdtsc() + guest_us(SPIN_US);
}

static void fill(uint8_t *area, unsigned cpu, unsigned bytes)
{
    for (unsigned i = 0; i < bytes / 8; i++) {
        uint64_t value = pattern(cpu, i);
        memcpy(area + i * 8, &value, 8);
    }
}

static unsigned differences(const uint8_t *area, unsigned cpu, unsigned bytes)
{
    unsigned count = 0;

    for (unsigned i = 0; i < bytes / 8; i++) {
        uint64_t value = pattern(cpu, i);
        count += memcmp(area + i * 8, &value, 8) != 0;
    }
    return count;
}

/* --- one function for each register file, run by all --- */

static void keep_gprs(void *unused)
{
    unsigned cpu = guest_cpu();

    (void)unused;
    meet();
    wrong[cpu] = (uint32_t)state_gprs(pattern(cpu, 0), GPR_ROUNDS);
}

/* FCW, FTW, MXCSR with legal values that differ, ST0-7 as normal numbers, XMM0-15. */
static void keep_legacy(void *unused)
{
    unsigned cpu = guest_cpu();
    uint8_t *image = areas[cpu], before[512];
    uint16_t fcw = (uint16_t)(0x037f ^ (cpu & 3) << 10);
    uint32_t mxcsr = 0x1f80 ^ (cpu & 3) << 13;

    (void)unused;
    fill(image, cpu, 512);
    memset(image, 0, 32);
    memcpy(image, &fcw, 2);
    image[4] = 0xff; /* all registers are in use */
    memcpy(image + 24, &mxcsr, 4);
    for (unsigned i = 0; i < 8; i++) {
        image[32 + i * 16 + 7] |= 0x80;
        image[32 + i * 16 + 9] = 0x3f;
        memset(image + 32 + i * 16 + 10, 0, 6);
    }
    memcpy(before, image, 416);
    meet();
    state_legacy(image, until());
    wrong[cpu] = 0;
    for (unsigned i = 0; i < 416; i++) {
        /* Not the mask of MXCSR, nor the last instruction's pointers. */
        if ((i >= 8 && i < 24) || (i >= 28 && i < 32))
            continue;
        wrong[cpu] += image[i] != before[i];
    }
    __asm__ volatile("fninit");
}

static void keep_ymm(void *unused)
{
    unsigned cpu = guest_cpu();

    (void)unused;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    xsetbv(0, XCR0_X87_SSE | XCR0_AVX);
    fill(areas[cpu], cpu, 16 * 32);
    meet();
    state_ymm(areas[cpu], until());
    wrong[cpu] = differences(areas[cpu], cpu, 16 * 32);
}

static void keep_zmm(void *unused)
{
    unsigned cpu = guest_cpu();

    (void)unused;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    xsetbv(0, XCR0_X87_SSE | XCR0_AVX | XCR0_AVX512);
    fill(areas[cpu], cpu, ZMM_BYTES);
    meet();
    state_zmm(areas[cpu], until());
    wrong[cpu] = differences(areas[cpu], cpu, ZMM_BYTES);
}

static void keep_xcr0(void *unused)
{
    unsigned cpu = guest_cpu();
    uint64_t all = cpuid(0xd, 0).eax, end, value = cpu & 1 ? XCR0_X87_SSE : all;

    (void)unused;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    xsetbv(0, value);
    meet();
    wrong[cpu] = 0;
    for (end = until(); rdtsc() < end;)
        wrong[cpu] += xgetbv(0) != value;
}

static void keep_debug(void *unused)
{
    unsigned cpu = guest_cpu();
    uint64_t dr7 = DR7_FIXED | DR7_RW(cpu & 3, DR7_WRITE) | DR7_LEN(cpu & 3, 3), end;

    (void)unused;
    write_dr0(pattern(cpu, 0) >> 20);
    write_dr1(pattern(cpu, 1) >> 20);
    write_dr2(pattern(cpu, 2) >> 20);
    write_dr3(pattern(cpu, 3) >> 20);
    write_dr6(DR6_FIXED | DR6_B(cpu & 3));
    write_dr7(dr7);
    meet();
    for (end = until(); rdtsc() < end;)
        ;
    wrong[cpu] = (read_dr0() != pattern(cpu, 0) >> 20) + (read_dr1() != pattern(cpu, 1) >> 20) +
                 (read_dr2() != pattern(cpu, 2) >> 20) + (read_dr3() != pattern(cpu, 3) >> 20) +
                 (read_dr6() != (DR6_FIXED | DR6_B(cpu & 3))) + (read_dr7() != dr7);
    write_dr7(DR7_FIXED);
    write_dr6(DR6_FIXED);
}

static const uint32_t own_msrs[] = {
    MSR_KERNEL_GS_BASE, MSR_LSTAR, MSR_CSTAR, MSR_STAR, MSR_FS_BASE, MSR_GS_BASE,
    MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_FMASK, MSR_SYSENTER_CS, MSR_TSC_AUX, MSR_SPEC_CTRL,
};

static uint64_t msr_pattern(unsigned cpu, unsigned i)
{
    uint64_t value = pattern(cpu, i);

    switch (own_msrs[i]) {
    case MSR_STAR:
        return value;
    case MSR_FMASK:
        return value & 0x3f7fd5;
    case MSR_SYSENTER_CS:
        return value & 0xfff8;
    case MSR_TSC_AUX:
        return value & 0xffffffff;
    case MSR_SPEC_CTRL:
        return (cpu + 1) & 3; /* IBRS, STIBP */
    default:
        return value >> 17; /* canonical */
    }
}

static bool msr_exists(uint32_t msr)
{
    if (msr == MSR_SPEC_CTRL)
        return cpuid(7, 0).edx & BIT(26);
    return msr != MSR_TSC_AUX || cpuid(0x80000001, 0).edx & BIT(27);
}

static void keep_msrs(void *unused)
{
    unsigned cpu = guest_cpu();
    uint64_t end;

    (void)unused;
    for (unsigned i = 0; i < ARRAY_COUNT(own_msrs); i++) {
        if (msr_exists(own_msrs[i]))
            wrmsr(own_msrs[i], msr_pattern(cpu, i));
    }
    meet();
    for (end = until(); rdtsc() < end;)
        ;
    wrong[cpu] = 0;
    for (unsigned i = 0; i < ARRAY_COUNT(own_msrs); i++) {
        if (!msr_exists(own_msrs[i]))
            continue;
        wrong[cpu] += rdmsr(own_msrs[i]) != msr_pattern(cpu, i);
        wrmsr(own_msrs[i], 0);
    }
}

/* CR2, CR8 and the segment registers' hidden parts. */
static void keep_control(void *unused)
{
    unsigned cpu = guest_cpu();
    uint64_t end, cr2 = pattern(cpu, 7);

    (void)unused;
    write_cr2(cr2);
    write_cr8(cpu & 15);
    meet();
    wrong[cpu] = 0;
    for (end = until(); rdtsc() < end;)
        wrong[cpu] += read_cr2() != cr2 || read_cr8() != (cpu & 15);
    write_cr8(0);
}

static void keep_pkru(void *unused)
{
    unsigned cpu = guest_cpu();
    uint32_t value = (uint32_t)pattern(cpu, 9) & ~3u, seen, ignored;
    uint64_t end;

    (void)unused;
    write_cr4(read_cr4() | CR4_PKE);
    __asm__ volatile(".byte 0x0f, 0x01, 0xef" : : "a"(value), "c"(0), "d"(0));
    meet();
    for (end = until(); rdtsc() < end;)
        ;
    __asm__ volatile(".byte 0x0f, 0x01, 0xee" : "=a"(seen), "=d"(ignored) : "c"(0));
    wrong[cpu] = seen != value;
    __asm__ volatile(".byte 0x0f, 0x01, 0xef" : : "a"(0), "c"(0), "d"(0));
    write_cr4(read_cr4() & ~CR4_PKE);
}

/* --- running them --- */

static void check_kept(const char *name, bool exists, void (*keep)(void *))
{
    uint32_t total = 0, late = 0;

    if (!exists) {
        skip(name, "not there");
        return;
    }
    together = 0;
    for (unsigned i = 0; i < guest_cpu_count; i++)
        wrong[i] = 0;
    for (unsigned i = 1; i < guest_cpu_count; i++)
        late += !guest_cpu_run(i, keep, NULL);
    keep(NULL);
    for (unsigned i = 1; i < guest_cpu_count; i++)
        late += !guest_cpu_wait(i, 5000000);
    for (unsigned i = 0; i < guest_cpu_count; i++)
        total += wrong[i];
    check(!total && !late, name, "%u differences on %u processors, %u late", total,
          guest_cpu_count, late);
}

void test_state(void)
{
    uint64_t cr4 = read_cr4(), all = has_ecx1(26) ? cpuid(0xd, 0).eax : 0;

    if (guest_cpu_count < 2)
        guest_smp_start();
    check_kept("general registers", true, keep_gprs);
    check_kept("x87, MXCSR, XMM", true, keep_legacy);
    check_kept("YMM", all & XCR0_AVX, keep_ymm);
    check_kept("ZMM and masks", (all & XCR0_AVX512) == XCR0_AVX512, keep_zmm);
    check_kept("XCR0", all != 0, keep_xcr0);
    check_kept("debug registers", true, keep_debug);
    check_kept("MSRs", true, keep_msrs);
    check_kept("CR2 and CR8", true, keep_control);
    check_kept("PKRU", has_ecx7(3), keep_pkru);
    if (all) {
        write_cr4(cr4 | CR4_OSXSAVE);
        xsetbv(0, 1);
    }
    write_cr4(cr4);
}
