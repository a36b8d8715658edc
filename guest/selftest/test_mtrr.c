/* Memory-type range registers. SDM volume 3 "Memory Type Range Registers (MTRRs)". */
#include "selftest.h"

static unsigned address_bits(void)
{
    return cpuid(0x80000008, 0).eax & 0xff;
}

static void check_write(const char *name, uint32_t msr, uint64_t value, bool allowed)
{
    uint64_t before = rdmsr(msr), seen;

    probe_wrmsr(msr, value);
    if (!allowed) {
        check_fault(name, VEC_GP, 0);
        check_equal("... and nothing is written", rdmsr(msr), before);
        return;
    }
    check_no_fault(name);
    seen = rdmsr(msr);
    wrmsr(msr, before);
    check_equal("... and read back", seen, value);
}

static void check_variable(unsigned count)
{
    uint64_t mask = (BIT(address_bits()) - 1) & ~0xfffull & ~(BIT(21) - 1);

    check_write("PHYSBASE0, write-combining", MSR_MTRR_PHYSBASE0, 0xd0000001, true);
    check_write("PHYSMASK0, valid", MSR_MTRR_PHYSMASK0, mask | BIT(11), true);
    check_write("PHYSBASE0 with reserved type 2", MSR_MTRR_PHYSBASE0, 0xd0000002, false);
    check_write("PHYSBASE0 with reserved bit 8", MSR_MTRR_PHYSBASE0, 0xd0000106, false);
    check_write("PHYSBASE0 above the address width", MSR_MTRR_PHYSBASE0, BIT(address_bits()),
                false);
    check_write("PHYSMASK0 with reserved bit 0", MSR_MTRR_PHYSMASK0, mask | 1, false);
    check_write("PHYSMASK0 above the address width", MSR_MTRR_PHYSMASK0, mask | BIT(63), false);
    probe_rdmsr(MSR_MTRR_PHYSBASE0 + 2 * count);
    check_fault("variable range beyond MTRRCAP", VEC_GP, 0);
}

void test_mtrr(void)
{
    uint64_t cap, type;

    if (!has_edx1(12) || !is_strict()) {
        skip("MTRRs", "not there, or not on Trapline");
        return;
    }
    cap = rdmsr(MSR_MTRRCAP);
    type = rdmsr(MSR_MTRR_DEF_TYPE);
    check_write("DEF_TYPE, uncacheable and enabled", MSR_MTRR_DEF_TYPE, 0x800, true);
    check_write("DEF_TYPE with reserved type 3", MSR_MTRR_DEF_TYPE, (type & ~0xffull) | 3, false);
    check_write("DEF_TYPE with reserved bit 9", MSR_MTRR_DEF_TYPE, type | BIT(9), false);
    if (cap & 0xff)
        check_variable((unsigned)(cap & 0xff));
    if (cap & BIT(8)) {
        check_write("FIX64K, every legal type", MSR_MTRR_FIX64K, 0x0606050504010100ull, true);
        check_write("FIX4K_C0000 with a reserved type", MSR_MTRR_FIX4K_C0000, 0x0606060606060602ull,
                    false);
    }
    check_equal("DEF_TYPE is as before", rdmsr(MSR_MTRR_DEF_TYPE), type);
}
