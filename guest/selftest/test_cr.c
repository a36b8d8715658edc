/*
 * Control registers. SDM volume 3 "Control Registers"; volume 2 "MOV - Move to/from Control
 * Registers", "LMSW", "SMSW", "CLTS".
 */
#include "selftest.h"

static void check_cr0_faults(void)
{
    uint64_t cr0 = read_cr0();
    static const char *const names[] = { "CR0.PG without PE", "CR0.NW without CD",
                                         "CR0.PG cleared in 64-bit mode", "CR0 bit 32",
                                         "CR0 bit 63" };
    const uint64_t values[] = { cr0 & ~CR0_PE, (cr0 | CR0_NW) & ~CR0_CD, cr0 & ~CR0_PG,
                                cr0 | BIT(32), cr0 | BIT(63) };

    for (unsigned i = 0; i < ARRAY_COUNT(values); i++) {
        if (!is_strict()) {
            skip(names[i], "not on Trapline");
            continue;
        }
        probe_cr0(values[i]);
        check_fault(names[i], VEC_GP, 0);
    }
    check_equal("CR0 is as before", read_cr0(), cr0);
}

static void check_cr0_bits(void)
{
    uint64_t cr0 = read_cr0(), seen;
    static const struct {
        const char *name;
        uint64_t bits;
    } kept[] = {
        { "CR0.WP is kept", CR0_WP },       { "CR0.AM is kept", CR0_AM },
        { "CR0.NE is kept", CR0_NE },       { "CR0.MP is kept", CR0_MP },
        { "CR0.TS is kept", CR0_TS },       { "CR0.EM is kept", CR0_EM },
        { "CR0.CD is kept", CR0_CD },       { "CR0.CD and NW are kept", CR0_CD | CR0_NW },
    };

    for (unsigned i = 0; i < ARRAY_COUNT(kept); i++) {
        write_cr0(cr0 ^ kept[i].bits);
        seen = read_cr0();
        write_cr0(cr0);
        check_equal(kept[i].name, seen, cr0 ^ kept[i].bits);
    }
    write_cr0(cr0 & ~CR0_ET);
    check(read_cr0() & CR0_ET, "CR0.ET is always 1", "0x%lx", read_cr0());
    write_cr0(cr0);
}

static void check_msw(void)
{
    uint64_t cr0 = read_cr0(), after, msw;
    uint32_t msw16 = 0xffff0000;

    __asm__ volatile("lmsw %w0" : : "r"((uint16_t)(CR0_TS | CR0_MP | CR0_EM)) : "memory");
    after = read_cr0();
    check_equal("LMSW sets TS, EM, MP and cannot clear PE", after,
                cr0 | CR0_TS | CR0_MP | CR0_EM);
    __asm__ volatile("lmsw %w0" : : "r"((uint16_t)0xfff1) : "memory");
    after = read_cr0();
    check_equal("LMSW touches the low four bits only", after, cr0 & ~(CR0_TS | CR0_MP | CR0_EM));
    write_cr0(cr0 | CR0_TS);
    __asm__ volatile("clts" : : : "memory");
    check_equal("CLTS", read_cr0(), cr0 & ~CR0_TS);
    write_cr0(cr0);
    __asm__ volatile("smsw %0" : "=r"(msw));
    check_equal("SMSW of 64 bits is CR0", msw, cr0);
    __asm__ volatile("smsw %w0" : "+r"(msw16));
    check_equal("SMSW of 16 bits keeps the rest", msw16, 0xffff0000 | (cr0 & 0xffff));
}

/* Does CPUID have the feature that this bit of CR4 belongs to? */
static bool cr4_bit_exists(unsigned bit)
{
    switch (bit) {
    case 0: case 1: return has_edx1(1);
    case 2: return has_edx1(4);
    case 3: return has_edx1(2);
    case 4: return has_edx1(3);
    case 5: return has_edx1(6);
    case 6: return has_edx1(7);
    case 7: return has_edx1(13);
    case 8: return true;
    case 9: return has_edx1(24);
    case 10: return has_edx1(25);
    case 11: return has_ecx7(2);
    case 12: return has_ecx7(16);
    case 13: return has_ecx1(5);
    case 14: return has_ecx1(6);
    case 16: return has_ebx7(0);
    case 17: return has_ecx1(17);
    case 18: return has_ecx1(26);
    case 19: return has_ecx7(23);
    case 20: return has_ebx7(7);
    case 21: return has_ebx7(20);
    case 22: return has_ecx7(3);
    case 23: return has_ecx7(7) || cpuid(7, 0).edx & BIT(20);
    case 24: return has_ecx7(31);
    case 25: return cpuid(7, 0).edx & BIT(5);
    case 27: return cpuid(7, 1).eax & BIT(6);
    case 28: return cpuid(7, 1).eax & BIT(26);
    default: return false;
    }
}

/* Those that depend on something else, and PAE, which 64-bit mode cannot be without. */
static bool cr4_bit_is_free(unsigned bit)
{
    return bit != 5 && bit != 12 && bit != 13 && bit != 14 && bit != 19 && bit != 23 && bit != 27;
}

static void check_cr4_bits(void)
{
    uint64_t cr4 = read_cr4(), wrong = 0, stuck = 0;

    for (unsigned bit = 0; bit < 64; bit++) {
        /* QEMU's TCG never ends a write of a reserved bit. */
        if (!is_strict() && !(cr4_bit_exists(bit) && cr4_bit_is_free(bit)))
            continue;
        probe_cr4(cr4 ^ BIT(bit));
        if (cr4_bit_exists(bit)) {
            if (cr4_bit_is_free(bit) &&
                (guest_fault()->vector != NO_FAULT || read_cr4() != (cr4 ^ BIT(bit))))
                stuck |= BIT(bit);
        } else if (guest_fault()->vector != VEC_GP || guest_fault()->error || read_cr4() != cr4) {
            wrong |= BIT(bit);
        }
        write_cr4(cr4);
    }
    check(!wrong, "CR4 bits without their feature fault", "not these: 0x%lx", wrong);
    check(!stuck, "CR4 bits with their feature can be changed", "not these: 0x%lx", stuck);
    if (is_trapline()) {
        probe_cr4(cr4 | CR4_VMXE);
        check_fault("CR4.VMXE", VEC_GP, 0);
        check(!(read_cr4() & CR4_VMXE), "CR4.VMXE reads 0", "0x%lx", read_cr4());
    }
    if (is_strict()) {
        probe_cr4(cr4 & ~CR4_PAE);
        check_fault("CR4.PAE in 64-bit mode", VEC_GP, 0);
    }
    check_equal("CR4 is as before", read_cr4(), cr4);
}

static void check_cr3(void)
{
    uint64_t cr3 = read_cr3();
    unsigned bits = cpuid(0x80000008, 0).eax & 0xff;

    write_cr3(cr3 | 0x18);
    check_equal("CR3.PCD and PWT are kept", read_cr3(), cr3 | 0x18);
    write_cr3(cr3);
    if (!is_strict()) {
        skip("CR3 reserved bits", "not on Trapline");
        return;
    }
    probe_cr3(cr3 | BIT(bits));
    check_fault("CR3 above the address width", VEC_GP, 0);
    probe_cr3(cr3 | BIT(63));
    check_fault("CR3 bit 63 without PCIDs", VEC_GP, 0);
    check_equal("CR3 is as before", read_cr3(), cr3);
}

static void check_pcid(void)
{
    uint64_t cr3 = read_cr3(), cr4 = read_cr4();

    if (!has_ecx1(17)) {
        skip("PCID", "not there");
        return;
    }
    write_cr3(cr3 | 0x18);
    probe_cr4(cr4 | CR4_PCIDE);
    check_fault("CR4.PCIDE with bits 11:0 of CR3 set", VEC_GP, 0);
    write_cr3(cr3);
    write_cr4(cr4 | CR4_PCIDE);
    write_cr3(cr3 | 0x123);
    check_equal("CR3 holds a PCID", read_cr3(), cr3 | 0x123);
    write_cr3(cr3 | 0x124 | BIT(63));
    check_equal("CR3 bit 63 is not kept", read_cr3(), cr3 | 0x124);
    if (is_strict()) {
        probe_cr0(read_cr0() & ~CR0_PG);
        check_fault("CR0.PG cleared with PCIDs on", VEC_GP, 0);
    }
    write_cr3(cr3);
    write_cr4(cr4);
    check_equal("CR4.PCIDE is off again", read_cr4(), cr4);
}

static void check_cr8(void)
{
    bool same;

    write_cr8(0xb);
    same = guest_apic_read(APIC_TPR) == 0xb0;
    check(same, "CR8 is the upper half of TPR", "TPR 0x%x", guest_apic_read(APIC_TPR));
    guest_apic_write(APIC_TPR, 0x5f);
    check_equal("TPR is seen in CR8", read_cr8(), 5);
    write_cr8(0);
    check_equal("CR8 0 clears all of TPR", guest_apic_read(APIC_TPR), 0);
    if (!is_strict())
        return;
    probe_cr8(0x10);
    check_fault("CR8 reserved bit", VEC_GP, 0);
}

static void check_other_registers(void)
{
    write_cr2(0x123456789abcdef0ull);
    check_equal("CR2 keeps 64 bits", read_cr2(), 0x123456789abcdef0ull);
    guest_fault_clear();
    __asm__ volatile("1: .byte 0x0f, 0x20, 0xc8\n2:\n" EXTABLE(1b, 2b) : : : "rax", "memory");
    check_fault("MOV from CR1", VEC_UD, 0);
    guest_fault_clear();
    __asm__ volatile("1: .byte 0x0f, 0x22, 0xe8\n2:\n" EXTABLE(1b, 2b) : : : "memory");
    check_fault("MOV to CR5", VEC_UD, 0);
}

void test_cr(void)
{
    check_cr0_faults();
    check_cr0_bits();
    check_msw();
    check_cr3();
    check_cr4_bits();
    check_pcid();
    check_cr8();
    check_other_registers();
}
