/*
 * Real-address mode, protected mode without paging, 32-bit paging, compatibility mode: as an
 * unrestricted guest has them. SDM volume 3 "8086 Emulation", "Protected-Mode Memory Management",
 * "32-Bit Paging".
 */
#include "selftest.h"

#define PIECE(name) extern const uint8_t name[], name##_end[]
PIECE(real_segments);
PIECE(real_interrupt);
PIECE(real_port);
PIECE(real_big);
PIECE(real_fault);
extern const uint8_t flat_mmio[], flat_port[], flat_cpuid[], flat_paging[], compat_mmio[],
    compat_push[];
extern const uint8_t real_big_old[]; /* an offset */

static struct mode_registers r;

static void run_real(const uint8_t *code, const uint8_t *end)
{
    memset(&r, 0, sizeof(r));
    guest_real_mode(code, (size_t)(end - code), &r);
}

static void check_real(void)
{
    static uint8_t copy[PAGE_BYTES];
    struct table_register gdt = sgdt();
    uint32_t base = (uint32_t)gdt.base;
    uint32_t version = guest_ioapic_read(1);

    run_real(real_segments, real_segments_end);
    check(r.eax == (GUEST_REAL_CODE << 16 | GUEST_REAL_DATA), "real mode: CS and DS",
          "0x%x", r.eax);
    check(!(r.ebx & (CR0_PE | CR0_PG)), "real mode: CR0", "0x%x", r.ebx);
    check_equal("real mode: segments are shifted by four", r.ecx & 0xffff, 0x1234);
    run_real(real_interrupt, real_interrupt_end);
    check(r.eax == 0xbeef && r.ebx == 0, "real mode: INT by the vector table", "0x%x 0x%x", r.eax,
          r.ebx);
    run_real(real_port, real_port_end);
    check(r.eax == 0x6b && r.ebx == 0x6b6b6b6b && r.ecx == 0x204, "real mode: IN, OUT, REP INSB",
          "0x%x 0x%x 0x%x", r.eax, r.ebx, r.ecx);
    if (!lenient_skip("real mode: #GP at the segment's end")) {
        run_real(real_fault, real_fault_end);
        check(r.eax == 1 && r.ebx == r.ecx, "real mode: #GP at the segment's end",
              "0x%x 0x%x 0x%x", r.eax, r.ebx, r.ecx);
    }
    memcpy(copy, real_big, (size_t)(real_big_end - real_big));
    memcpy(copy + (uint64_t)real_big_old, &gdt.limit, 2);
    memcpy(copy + (uint64_t)real_big_old + 2, &base, 4);
    memset(&r, 0, sizeof(r));
    guest_real_mode(copy, (size_t)(real_big_end - real_big), &r);
    check(r.eax == version && (r.ecx & 0xff) == 0x2b, "real mode with a 4 GB segment: a device",
          "0x%x, expected 0x%x; 0x%x", r.eax, version, r.ecx);
}

static void check_protected(void)
{
    static uint32_t directory[1024] __attribute__((aligned(4096)));
    uint32_t version = guest_ioapic_read(1);

    memset(&r, 0, sizeof(r));
    guest_protected_mode(flat_mmio, &r, false);
    check(r.eax == version && r.ebx == 0x15, "protected mode without paging: a device", "0x%x 0x%x",
          r.eax, r.ebx);
    memset(&r, 0, sizeof(r));
    guest_protected_mode(flat_port, &r, false);
    check(r.eax == 0x3d && r.ebx == 0x3d3d3d3d, "protected mode: ports", "0x%x 0x%x", r.eax, r.ebx);
    memset(&r, 0, sizeof(r));
    guest_protected_mode(flat_cpuid, &r, false);
    check((r.eax & (CR0_PE | CR0_PG)) == CR0_PE, "protected mode: CR0 after CPUID", "0x%x", r.eax);
    for (unsigned i = 0; i < 1024; i++)
        directory[i] = (i < 512 ? i : i - 512) << 22 | 0x83;
    memset(&r, 0, sizeof(r));
    r.edi = (uint32_t)(uint64_t)directory;
    guest_protected_mode(flat_paging, &r, false);
    check(r.eax & CR0_PG, "32-bit paging", "CR0 0x%x", r.eax);
    check_equal("... maps", r.ebx, *(const uint32_t *)0x100000);
}

static void check_compatibility(void)
{
    uint32_t version = guest_ioapic_read(1);

    memset(&r, 0, sizeof(r));
    guest_protected_mode(compat_mmio, &r, true);
    check_equal("compatibility mode: a device", r.eax, version);
    memset(&r, 0, sizeof(r));
    guest_protected_mode(compat_push, &r, true);
    check(r.eax == 0x11223344 && r.ecx == 4, "compatibility mode: PUSH moves by 4", "0x%x %u",
          r.eax, r.ecx);
}

/* And 64-bit mode is as it was. */
static void check_after(void)
{
    check(read_cr0() & CR0_PG && rdmsr(MSR_EFER) & EFER_LMA, "64-bit mode again", "CR0 0x%lx",
          read_cr0());
    probe_read32(BIT(63));
    check_fault("... with its exceptions", VEC_GP, 0);
}

void test_modes(void)
{
    check_protected();
    check_compatibility();
    check_real();
    check_after();
}
