/* Page faults and what else follows from the page tables. SDM volume 3 "Paging". */
#include "selftest.h"

#define A GUEST_WINDOW
#define PHYSICAL ((uint64_t)scratch)

static void call_address(void *address)
{
    __asm__ volatile("call *%0" : : "r"(address) : "memory");
}

static void check_error_codes(void)
{
    guest_map(A, 0, 0);
    probe_read32(A + 8);
    check_fault("read of a missing page", VEC_PF, 0);
    check_equal("... with its address in CR2", guest_fault()->cr2, A + 8);
    probe_write32(A + 12, 1);
    check_fault("write of a missing page", VEC_PF, PF_W);
    guest_map(A, PHYSICAL, PTE_P);
    probe_write32(A, 1);
    check_fault("write of a read-only page with WP", VEC_PF, PF_P | PF_W);
    guest_map(A, PHYSICAL, PTE_P | PTE_W);
    probe_write32(A, 1);
    check_no_fault("write of a writable page");
}

static void check_write_protect(void)
{
    uint64_t cr0 = read_cr0();

    guest_map(A, PHYSICAL, PTE_P);
    write_cr0(cr0 & ~CR0_WP);
    probe_write32(A, 0x1234);
    check_no_fault("write of a read-only page without WP");
    write_cr0(cr0);
    check_equal("... is done", *(volatile uint32_t *)scratch, 0x1234);
}

static void check_execute_disable(void)
{
    scratch[0] = 0xc3;
    guest_map(A, PHYSICAL, PTE_P | PTE_W | PTE_NX);
    guest_catch(call_address, (void *)A);
    check_fault("fetch from a page without execution", VEC_PF, PF_P | PF_FETCH);
    check_equal("... RIP is there", guest_fault()->rip, A);
    guest_map(A, PHYSICAL, PTE_P | PTE_W);
    guest_catch(call_address, (void *)A);
    check_no_fault("fetch from a page with execution");
}

static void check_reserved(void)
{
    unsigned bits = cpuid(0x80000008, 0).eax & 0xff;

    if (bits >= 52 || !is_strict()) {
        skip("reserved bits of a page-table entry", "not on Trapline");
        return;
    }
    guest_map(A, PHYSICAL | BIT(bits), PTE_P | PTE_W);
    probe_read32(A);
    check_fault("address bit above the width in an entry", VEC_PF, PF_P | PF_RSVD);
    guest_map(A, PHYSICAL | BIT(51), PTE_P | PTE_W);
    probe_write32(A, 0);
    check_fault("address bit 51 in an entry", VEC_PF, PF_P | PF_RSVD | PF_W);
}

static void check_accessed_dirty(void)
{
    guest_map(A, PHYSICAL, PTE_P | PTE_W);
    check_equal("an entry not used yet", *guest_pte(A) & (PTE_A | PTE_D), 0);
    probe_read32(A);
    check_equal("a read sets A", *guest_pte(A) & (PTE_A | PTE_D), PTE_A);
    probe_write32(A, 0);
    check_equal("a write sets D", *guest_pte(A) & (PTE_A | PTE_D), PTE_A | PTE_D);
}

/* What CR3, INVLPG and CR4.PGE flush; and that a change of mapping is seen. */
static void check_flush(void)
{
    uint64_t cr4 = read_cr4();

    memset(scratch, 0x11, PAGE_BYTES);
    memset(scratch + PAGE_BYTES, 0x22, PAGE_BYTES);
    guest_map(A, PHYSICAL, PTE_P | PTE_W);
    probe_read32(A);
    *guest_pte(A) = (PHYSICAL + PAGE_BYTES) | PTE_P;
    invlpg(A);
    check_equal("INVLPG", *(volatile uint32_t *)A, 0x22222222);
    *guest_pte(A) = PHYSICAL | PTE_P;
    write_cr3(read_cr3());
    check_equal("MOV to CR3", *(volatile uint32_t *)A, 0x11111111);
    write_cr4(cr4 | CR4_PGE);
    *guest_pte(A) = PHYSICAL | PTE_P | PTE_G;
    invlpg(A);
    probe_read32(A);
    *guest_pte(A) = (PHYSICAL + PAGE_BYTES) | PTE_P | PTE_G;
    write_cr4(cr4 & ~CR4_PGE);
    check_equal("clearing CR4.PGE flushes global pages", *(volatile uint32_t *)A, 0x22222222);
    write_cr4(cr4);
}

static void check_smep_smap(void)
{
    uint64_t cr4 = read_cr4();

    scratch[0] = 0xc3;
    guest_map(A, PHYSICAL, PTE_P | PTE_W | PTE_U);
    if (has_ebx7(7)) {
        write_cr4(cr4 | CR4_SMEP);
        guest_catch(call_address, (void *)A);
        check_fault("SMEP", VEC_PF, PF_P | PF_FETCH);
        write_cr4(cr4);
    } else {
        skip("SMEP", "not there");
    }
    if (has_ebx7(20)) {
        write_cr4(cr4 | CR4_SMAP);
        probe_read32(A);
        check_fault("SMAP", VEC_PF, PF_P);
        write_flags(read_flags() | FLAG_AC);
        probe_read32(A);
        check_no_fault("SMAP with RFLAGS.AC");
        write_flags(read_flags() & ~FLAG_AC);
        write_cr4(cr4);
    } else {
        skip("SMAP", "not there");
    }
}

/* Memory behind each other, up to what the loader said: the first and the last word of each MB. */
static void check_ram(void)
{
    uint64_t top = (1024ull + guest_boot.mem_upper_kb) * 1024, at;

    if (!guest_boot.mem_upper_kb || top > BIT(32)) {
        skip("RAM as the loader told", "not told, or too much");
        return;
    }
    for (at = 8 * BIT(20); at + 8 <= top; at += BIT(20)) {
        volatile uint64_t *word = (volatile uint64_t *)at;
        uint64_t before = *word;
        *word = at ^ 0x5555555555555555ull;
        if (*word != (at ^ 0x5555555555555555ull))
            break;
        *word = before;
    }
    check(at + 8 > top, "RAM as the loader told", "not at 0x%lx of 0x%lx", at, top);
}

void test_paging(void)
{
    check_error_codes();
    check_write_protect();
    check_execute_disable();
    check_reserved();
    check_accessed_dirty();
    check_flush();
    check_smep_smap();
    check_ram();
    guest_map(A, 0, 0);
}
