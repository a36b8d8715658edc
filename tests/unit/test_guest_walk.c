// SRCS: arch/x86/mm/guest_walk.c
/*
 * The guest's page walk, rule by rule from SDM volume 3 "Paging", on a small fake memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "x86/guest_walk.h"

#define MEMORY_BYTES 0x10000u

#define P 0x1ull
#define W 0x2ull
#define U 0x4ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull
#define XD (1ull << 63)
#define PWU (P | W | U)

struct fake_memory {
    uint8_t bytes[MEMORY_BYTES];
    unsigned reads;
    unsigned updates;
    unsigned races; /* that many updates find another value */
    bool read_only; /* updates find the entry unmapped */
};

static struct fake_memory memory;

static enum guest_walk_status op_read(void *ctx, gpa_t gpa, unsigned size, uint64_t *value)
{
    struct fake_memory *m = ctx;

    assert_int_equal(gpa.v % size, 0);
    m->reads++;
    if (gpa.v > MEMORY_BYTES - size) {
        return GUEST_WALK_UNMAPPED;
    }
    *value = 0;
    memcpy(value, m->bytes + gpa.v, size);
    return GUEST_WALK_OK;
}

static enum guest_walk_status op_cmpxchg(void *ctx, gpa_t gpa, unsigned size, uint64_t expected,
                                         uint64_t desired)
{
    struct fake_memory *m = ctx;

    assert_true(gpa.v <= MEMORY_BYTES - size);
    if (m->read_only) {
        return GUEST_WALK_UNMAPPED;
    }
    if (m->races > 0) {
        m->races--;
        return GUEST_WALK_RETRY;
    }
    assert_memory_equal(m->bytes + gpa.v, &expected, size);
    memcpy(m->bytes + gpa.v, &desired, size);
    m->updates++;
    return GUEST_WALK_OK;
}

static const struct guest_walk_ops ops = { .read = op_read, .cmpxchg = op_cmpxchg };

static void set_entry(uint64_t gpa, unsigned size, uint64_t value)
{
    memcpy(memory.bytes + gpa, &value, size);
}

static uint64_t get_entry(uint64_t gpa, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, memory.bytes + gpa, size);
    return value;
}

static int setup(void **context)
{
    (void)context;
    memset(&memory, 0, sizeof(memory));
    return 0;
}

static struct guest_walk_state state_of(uint64_t cr4, uint64_t efer)
{
    return (struct guest_walk_state){
        .cr0 = CR0_PE | CR0_PG | CR0_WP,
        .cr3 = 0x1000,
        .cr4 = cr4,
        .efer = efer,
        .maxphyaddr_bits = 46,
        .has_1g_pages = true,
    };
}

static struct guest_walk_state state64(void)
{
    return state_of(CR4_PAE, EFER_LMA | EFER_LME | EFER_NXE);
}

static struct guest_walk_result result;

static enum guest_walk_status walk(const struct guest_walk_state *s, uint64_t gva, unsigned access)
{
    memset(&result, 0x5a, sizeof(result));
    return guest_walk(s, GVA(gva), access, &ops, &memory, &result);
}

static void expect_fault(const struct guest_walk_state *s, uint64_t gva, unsigned access,
                         uint32_t error)
{
    assert_int_equal(walk(s, gva, access), GUEST_WALK_FAULT);
    assert_int_equal(result.fault.vector, X86_EXC_PF);
    assert_true(result.fault.has_error);
    assert_int_equal(result.fault.error, error);
    assert_true(result.fault.cr2 == gva);
}

static void expect_gpa(const struct guest_walk_state *s, uint64_t gva, unsigned access,
                       uint64_t gpa, uint64_t page_bytes)
{
    assert_int_equal(walk(s, gva, access), GUEST_WALK_OK);
    assert_true(result.gpa.v == gpa);
    assert_true(result.page_bytes == page_bytes);
}

/* The linear address 0x7f8040201234 has the indices 255, 1, 1, 1; 57-bit: 0 above them. */
#define GVA4 0x7f8040201234ull
#define PML4E 0x17f8u
#define PDPTE 0x2008u
#define PDE 0x3008u
#define PTE 0x4008u

static void map4(uint64_t pml4e, uint64_t pdpte, uint64_t pde, uint64_t pte)
{
    set_entry(PML4E, 8, pml4e ? 0x2000 | pml4e : 0);
    set_entry(PDPTE, 8, pdpte ? 0x3000 | pdpte : 0);
    set_entry(PDE, 8, pde ? 0x4000 | pde : 0);
    set_entry(PTE, 8, pte);
}

static void test_no_paging(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    s.cr0 = CR0_PE;
    expect_gpa(&s, 0x123456789ull, GUEST_ACCESS_WRITE, 0x23456789, 1ull << 32);
    assert_int_equal(memory.reads, 0);
    assert_true(result.writable && result.user && result.executable);
}

static void test_4level_4k(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    map4(PWU, PWU, PWU, 0x00003fffabcde000ull | PWU);
    expect_gpa(&s, GVA4, GUEST_ACCESS_READ, 0x00003fffabcde234ull, 4096);
    assert_int_equal(result.levels, 4);
    assert_int_equal(memory.updates, 4);
    assert_true(get_entry(PML4E, 8) & A);
    assert_true(get_entry(PDPTE, 8) & A);
    assert_true(get_entry(PDE, 8) & A);
    assert_true((get_entry(PTE, 8) & (A | D)) == A);
    expect_gpa(&s, GVA4, GUEST_ACCESS_READ, 0x00003fffabcde234ull, 4096);
    assert_int_equal(memory.updates, 4);
    expect_gpa(&s, GVA4, GUEST_ACCESS_WRITE, 0x00003fffabcde234ull, 4096);
    assert_int_equal(memory.updates, 5);
    assert_true((get_entry(PTE, 8) & (A | D)) == (A | D));
    assert_false(get_entry(PDE, 8) & D);
}

static void test_4level_2m_and_1g(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    map4(PWU, PWU, PWU, 0);
    set_entry(PDE, 8, 0x40200000ull | (1u << 12) | PS | PWU); /* bit 12 is PAT */
    expect_gpa(&s, GVA4, GUEST_ACCESS_WRITE, 0x40201234, 2u << 20);
    assert_true((get_entry(PDE, 8) & (A | D)) == (A | D));
    assert_int_equal(result.levels, 3);
    set_entry(PDPTE, 8, 0x80000000ull | (1u << 12) | PS | PWU);
    expect_gpa(&s, GVA4, GUEST_ACCESS_READ, 0x80201234, 1u << 30);
    assert_int_equal(result.levels, 2);
}

static void test_5level(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    s.cr4 |= CR4_LA57;
    map4(PWU, PWU, PWU, 0x9000 | PWU);
    s.cr3 = 0x5000;
    set_entry(0x5000 + 8 * 0x101, 8, 0x1000 | PWU);
    expect_gpa(&s, 0xff01000000000000ull | GVA4, GUEST_ACCESS_READ, 0x9234, 4096);
    assert_int_equal(result.levels, 5);
    set_entry(0x5000 + 8 * 0x101, 8, 0x1000 | PWU | PS);
    expect_fault(&s, 0xff01000000000000ull | GVA4, GUEST_ACCESS_READ, X86_PF_P | X86_PF_RSVD);
}

static void test_cr3_low_bits_are_no_address(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    map4(PWU, PWU, PWU, 0x9000 | PWU);
    s.cr3 |= CR3_NOFLUSH | 0xfff;
    expect_gpa(&s, GVA4, GUEST_ACCESS_READ, 0x9234, 4096);
}

static void test_not_present(void **context)
{
    struct guest_walk_state s = state64();
    const uint64_t levels[] = { PML4E, PDPTE, PDE, PTE };

    (void)context;
    for (unsigned i = 0; i < 4; i++) {
        map4(PWU, PWU, PWU, 0x9000 | PWU);
        /* Everything but P set: a reserved bit in an entry that is not present says nothing. */
        set_entry(levels[i], 8, ~P);
        expect_fault(&s, GVA4, GUEST_ACCESS_READ, 0);
        s.cpl = 3;
        expect_fault(&s, GVA4, GUEST_ACCESS_WRITE, X86_PF_W | X86_PF_U);
        expect_fault(&s, GVA4, GUEST_ACCESS_FETCH, X86_PF_U | X86_PF_I);
        expect_fault(&s, GVA4, GUEST_ACCESS_READ | GUEST_ACCESS_IMPLICIT, 0);
        s.cpl = 0;
        assert_int_equal(memory.updates, 0);
    }
}

/* I/D is reported if NXE (and PAE) or SMEP is on, and otherwise not. */
static void test_fetch_bit_of_error_code(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    s.efer &= ~EFER_NXE;
    expect_fault(&s, GVA4, GUEST_ACCESS_FETCH, 0);
    s.cr4 |= CR4_SMEP;
    expect_fault(&s, GVA4, GUEST_ACCESS_FETCH, X86_PF_I);
    s = state_of(0, EFER_NXE);
    expect_fault(&s, 0x1000, GUEST_ACCESS_FETCH, 0);
}

static void test_reserved_bits_4level(void **context)
{
    struct guest_walk_state s = state64();
    const uint64_t levels[] = { PML4E, PDPTE, PDE, PTE };

    (void)context;
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned bit = 8; bit < 64; bit++) {
            bool address = bit >= 12 && bit < 46;
            bool reserved = bit >= 46 && bit <= 51;

            map4(PWU, PWU, PWU, 0x9000 | PWU);
            if (address) {
                continue;
            }
            set_entry(levels[i], 8, get_entry(levels[i], 8) | (1ull << bit));
            if (reserved) {
                expect_fault(&s, GVA4, GUEST_ACCESS_READ, X86_PF_P | X86_PF_RSVD);
            } else {
                expect_gpa(&s, GVA4, GUEST_ACCESS_READ, 0x9234, 4096);
            }
        }
        map4(PWU, PWU, PWU, 0x9000 | PWU);
        set_entry(levels[i], 8, get_entry(levels[i], 8) | XD);
        s.efer &= ~EFER_NXE;
        expect_fault(&s, GVA4, GUEST_ACCESS_READ, X86_PF_P | X86_PF_RSVD);
        s.efer |= EFER_NXE;
        expect_gpa(&s, GVA4, GUEST_ACCESS_READ, 0x9234, 4096);
        assert_false(result.executable);
    }
    s.maxphyaddr_bits = 52;
    map4(PWU, PWU, PWU, 0x000f000000009000ull | PWU);
    expect_gpa(&s, GVA4, GUEST_ACCESS_READ, 0x000f000000009234ull, 4096);
}

static void test_reserved_bits_large_pages(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    for (unsigned bit = 13; bit <= 20; bit++) {
        map4(PWU, PWU, 0, 0);
        set_entry(PDE, 8, 0x40200000ull | PS | PWU | (1ull << bit));
        expect_fault(&s, GVA4, GUEST_ACCESS_READ, X86_PF_P | X86_PF_RSVD);
    }
    for (unsigned bit = 13; bit <= 29; bit++) {
        map4(PWU, 0, 0, 0);
        set_entry(PDPTE, 8, 0x40000000ull | PS | PWU | (1ull << bit));
        expect_fault(&s, GVA4, GUEST_ACCESS_READ, X86_PF_P | X86_PF_RSVD);
    }
    set_entry(PDPTE, 8, 0x40000000ull | PS | PWU);
    s.has_1g_pages = false;
    expect_fault(&s, GVA4, GUEST_ACCESS_READ, X86_PF_P | X86_PF_RSVD);
    set_entry(PML4E, 8, 0x2000 | PS | PWU);
    expect_fault(&s, GVA4, GUEST_ACCESS_READ, X86_PF_P | X86_PF_RSVD);
}

/* "Determination of Access Rights", sentence by sentence. */
static bool manual_allows(const struct guest_walk_state *s, unsigned access, bool user_address,
                          bool writable, bool xd)
{
    bool user_mode = s->cpl == 3 && !(access & GUEST_ACCESS_IMPLICIT);
    bool implicit = access & GUEST_ACCESS_IMPLICIT;
    bool wp = s->cr0 & CR0_WP;
    bool smap = s->cr4 & CR4_SMAP;
    bool ac = s->rflags & RFLAGS_AC;
    bool nx = (s->efer & EFER_NXE) && xd;

    if (!user_mode && !(access & (GUEST_ACCESS_WRITE | GUEST_ACCESS_FETCH))) {
        if (!user_address) {
            return true; /* data may be read from any supervisor-mode address */
        }
        return smap ? (ac && !implicit) : true;
    }
    if (!user_mode && (access & GUEST_ACCESS_WRITE)) {
        if (!user_address) {
            return wp ? writable : true;
        }
        if (!wp) {
            return smap ? (ac && !implicit) : true;
        }
        return smap ? (ac && !implicit && writable) : writable;
    }
    if (!user_mode) {
        if (!user_address) {
            return !nx;
        }
        return (s->cr4 & CR4_SMEP) ? false : !nx;
    }
    if (access & GUEST_ACCESS_WRITE) {
        return user_address && writable;
    }
    return user_address && !((access & GUEST_ACCESS_FETCH) && nx);
}

static void check_rights(const struct guest_walk_state *s, unsigned access, unsigned rights,
                         unsigned level)
{
    const uint64_t levels[] = { PML4E, PDPTE, PDE, PTE };
    bool user_address = rights & 1;
    bool writable = rights & 2;
    bool xd = rights & 4;
    uint64_t clear = (user_address ? 0 : U) | (writable ? 0 : W);
    enum guest_walk_status status;

    if (xd && !(s->efer & EFER_NXE)) {
        return;
    }
    map4(PWU, PWU, PWU, 0x9000 | PWU);
    set_entry(levels[level], 8, (get_entry(levels[level], 8) & ~clear) | (xd ? XD : 0));
    memory.updates = 0;
    status = walk(s, GVA4, access);
    if (manual_allows(s, access, user_address, writable, xd)) {
        assert_int_equal(status, GUEST_WALK_OK);
        assert_true(result.gpa.v == 0x9234);
        assert_int_equal(result.user, user_address);
        assert_int_equal(result.writable, writable);
        assert_int_equal(result.executable, !xd);
    } else {
        assert_int_equal(status, GUEST_WALK_FAULT);
        assert_true(result.fault.error & X86_PF_P);
        assert_false(result.fault.error & (X86_PF_RSVD | X86_PF_PK));
        assert_int_equal(memory.updates, 0);
    }
}

/* Every mode of access, control bit, and right, withheld at each of the four levels. */
static void test_access_rights(void **context)
{
    const unsigned kinds[] = { GUEST_ACCESS_READ, GUEST_ACCESS_WRITE, GUEST_ACCESS_FETCH,
                               GUEST_ACCESS_READ | GUEST_ACCESS_IMPLICIT,
                               GUEST_ACCESS_WRITE | GUEST_ACCESS_IMPLICIT };

    (void)context;
    for (unsigned control = 0; control < 64; control++) {
        struct guest_walk_state s = state64();

        s.cr0 = CR0_PE | CR0_PG | ((control & 1) ? CR0_WP : 0);
        s.cr4 |= ((control & 2) ? CR4_SMEP : 0) | ((control & 4) ? CR4_SMAP : 0);
        s.rflags = (control & 8) ? RFLAGS_AC : 0;
        s.efer = EFER_LMA | ((control & 16) ? EFER_NXE : 0);
        s.cpl = (control & 32) ? 3 : 0;
        for (unsigned kind = 0; kind < 5; kind++) {
            for (unsigned rights = 0; rights < 8; rights++) {
                for (unsigned level = 0; level < 4; level++) {
                    check_rights(&s, kinds[kind], rights, level);
                }
            }
        }
    }
}

static void test_error_code_of_a_violation(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    s.cpl = 3;
    map4(PWU, PWU, P | W, 0x9000 | PWU | XD);
    expect_fault(&s, GVA4, GUEST_ACCESS_READ, X86_PF_P | X86_PF_U);
    expect_fault(&s, GVA4, GUEST_ACCESS_WRITE, X86_PF_P | X86_PF_U | X86_PF_W);
    expect_fault(&s, GVA4, GUEST_ACCESS_FETCH, X86_PF_P | X86_PF_U | X86_PF_I);
    s.cpl = 0;
    expect_fault(&s, GVA4, GUEST_ACCESS_FETCH, X86_PF_P | X86_PF_I);
    map4(PWU, PWU, PWU, 0x9000 | P | U);
    expect_fault(&s, GVA4, GUEST_ACCESS_WRITE, X86_PF_P | X86_PF_W);
}

static void test_protection_keys_of_user_pages(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    s.cpl = 3;
    map4(PWU, PWU, PWU, 0x9000 | PWU | (5ull << 59));
    s.pkru = 1u << 10; /* AD5 */
    expect_gpa(&s, GVA4, GUEST_ACCESS_READ, 0x9234, 4096); /* PKE is off */
    s.cr4 |= CR4_PKE;
    expect_fault(&s, GVA4, GUEST_ACCESS_READ, X86_PF_P | X86_PF_U | X86_PF_PK);
    expect_fault(&s, GVA4, GUEST_ACCESS_WRITE, X86_PF_P | X86_PF_U | X86_PF_W | X86_PF_PK);
    expect_gpa(&s, GVA4, GUEST_ACCESS_FETCH, 0x9234, 4096);
    s.pkru = 2u << 10; /* WD5 */
    expect_gpa(&s, GVA4, GUEST_ACCESS_READ, 0x9234, 4096);
    expect_fault(&s, GVA4, GUEST_ACCESS_WRITE, X86_PF_P | X86_PF_U | X86_PF_W | X86_PF_PK);
    s.cpl = 0;
    expect_fault(&s, GVA4, GUEST_ACCESS_WRITE, X86_PF_P | X86_PF_W | X86_PF_PK);
    s.cr0 &= ~CR0_WP;
    expect_gpa(&s, GVA4, GUEST_ACCESS_WRITE, 0x9234, 4096);
    s.pkru = ~(3u << 10);
    s.cr0 |= CR0_WP;
    expect_gpa(&s, GVA4, GUEST_ACCESS_WRITE, 0x9234, 4096);
    s.pkru = 1u << 10;
    map4(PWU, PWU, PWU, 0x9000 | P | W | (5ull << 59)); /* PKRU does not govern this page */
    expect_gpa(&s, GVA4, GUEST_ACCESS_WRITE, 0x9234, 4096);
}

static void test_protection_keys_of_supervisor_pages(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    map4(PWU, PWU, PWU, 0x9000 | P | W | (15ull << 59));
    s.pkrs = 1u << 30;
    expect_gpa(&s, GVA4, GUEST_ACCESS_READ, 0x9234, 4096);
    s.cr4 |= CR4_PKS;
    expect_fault(&s, GVA4, GUEST_ACCESS_READ, X86_PF_P | X86_PF_PK);
    s.pkrs = 2u << 30;
    expect_gpa(&s, GVA4, GUEST_ACCESS_READ, 0x9234, 4096);
    expect_fault(&s, GVA4, GUEST_ACCESS_WRITE, X86_PF_P | X86_PF_W | X86_PF_PK);
    s.cr0 &= ~CR0_WP;
    expect_gpa(&s, GVA4, GUEST_ACCESS_WRITE, 0x9234, 4096);
}

static void test_pae(void **context)
{
    struct guest_walk_state s = state_of(CR4_PAE, EFER_NXE);
    /* 0xc0601234: PDPTE 3, PDE 3, PTE 1 */

    (void)context;
    s.cr3 = 0xfffff000; /* not used: the processor holds the PDPTEs */
    s.pdptes[3] = 0x3000 | P;
    set_entry(0x3018, 8, 0x4000 | PWU);
    set_entry(0x4008, 8, 0x123456000ull | PWU);
    expect_gpa(&s, 0xc0601234, GUEST_ACCESS_WRITE, 0x123456234ull, 4096);
    assert_int_equal(result.levels, 2);
    /* the upper half of the address is not there */
    assert_int_equal(walk(&s, 0xffffffffc0601234ull, GUEST_ACCESS_READ), GUEST_WALK_OK);
    assert_true(result.gpa.v == 0x123456234ull);

    set_entry(0x3018, 8, 0x40200000ull | PS | PWU | XD);
    expect_gpa(&s, 0xc0601234, GUEST_ACCESS_READ, 0x40201234, 2u << 20);
    expect_fault(&s, 0xc0601234, GUEST_ACCESS_FETCH, X86_PF_P | X86_PF_I);

    for (unsigned bit = 46; bit < 63; bit++) { /* up to 62, where 4-level paging ignores 62:52 */
        set_entry(0x3018, 8, 0x4000 | PWU | (1ull << bit));
        expect_fault(&s, 0xc0601234, GUEST_ACCESS_READ, X86_PF_P | X86_PF_RSVD);
    }
    s.pdptes[3] = 0x3000;
    expect_fault(&s, 0xc0601234, GUEST_ACCESS_WRITE, X86_PF_W);
}

/* PAE has no protection keys, though CR4.PKE may be set. */
static void test_pae_has_no_keys(void **context)
{
    struct guest_walk_state s = state_of(CR4_PAE | CR4_PKE, 0);

    (void)context;
    s.pdptes[0] = 0x3000 | P;
    set_entry(0x3000, 8, 0x4000 | PWU);
    set_entry(0x4000, 8, 0x5000 | PWU);
    s.pkru = 0xffffffff;
    expect_gpa(&s, 0x10, GUEST_ACCESS_WRITE, 0x5010, 4096);
}

static void test_32bit(void **context)
{
    struct guest_walk_state s = state_of(0, EFER_NXE);
    /* 0x00c02345: PDE 3, PTE 2 */

    (void)context;
    set_entry(0x100c, 4, 0x2000 | PWU | PS); /* PS is ignored without CR4.PSE */
    set_entry(0x2008, 4, 0xfffff000 | PWU);
    expect_gpa(&s, 0x00c02345, GUEST_ACCESS_WRITE, 0xfffff345, 4096);
    assert_true(get_entry(0x100c, 4) == (0x2000 | PWU | PS | A));
    assert_true(get_entry(0x2008, 4) == (0xfffff000 | PWU | A | D));
    assert_int_equal(get_entry(0x200c, 4), 0); /* the neighbour is not touched */
    set_entry(0x2008, 4, 0x5000 | P);
    s.cpl = 3;
    expect_fault(&s, 0x00c02345, GUEST_ACCESS_READ, X86_PF_P | X86_PF_U);
    expect_fault(&s, 0x00402345, GUEST_ACCESS_READ, X86_PF_U);
}

static void test_32bit_4m(void **context)
{
    struct guest_walk_state s = state_of(CR4_PSE, 0);

    (void)context;
    set_entry(0x100c, 4, 0x10400000 | PS | PWU | (1u << 12));
    expect_gpa(&s, 0x00c02345, GUEST_ACCESS_WRITE, 0x10402345, 4u << 20);
    /* PSE-36: bits 20:13 are address bits 39:32 */
    set_entry(0x100c, 4, 0x10400000 | PS | PWU | (0xa5u << 13));
    expect_gpa(&s, 0x00c02345, GUEST_ACCESS_READ, 0xa510402345ull, 4u << 20);
    set_entry(0x100c, 4, 0x10400000 | PS | PWU | (1u << 21));
    expect_fault(&s, 0x00c02345, GUEST_ACCESS_READ, X86_PF_P | X86_PF_RSVD);
    s.maxphyaddr_bits = 36;
    set_entry(0x100c, 4, 0x10400000 | PS | PWU | (0xfu << 13));
    expect_gpa(&s, 0x00c02345, GUEST_ACCESS_READ, 0xf10402345ull, 4u << 20);
    set_entry(0x100c, 4, 0x10400000 | PS | PWU | (0x10u << 13));
    expect_fault(&s, 0x00c02345, GUEST_ACCESS_READ, X86_PF_P | X86_PF_RSVD);
    s.maxphyaddr_bits = 32;
    set_entry(0x100c, 4, 0x10400000 | PS | PWU | (0x1u << 13));
    expect_fault(&s, 0x00c02345, GUEST_ACCESS_READ, X86_PF_P | X86_PF_RSVD);
}

static void test_peek_changes_nothing(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    map4(PWU, PWU, PWU, 0x9000 | PWU);
    expect_gpa(&s, GVA4, GUEST_ACCESS_WRITE | GUEST_ACCESS_PEEK, 0x9234, 4096);
    assert_int_equal(memory.updates, 0);
}

static void test_lost_races(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    map4(PWU, PWU, PWU, 0x9000 | PWU);
    memory.races = 2;
    expect_gpa(&s, GVA4, GUEST_ACCESS_WRITE, 0x9234, 4096);
    assert_true((get_entry(PTE, 8) & (A | D)) == (A | D));
    map4(PWU, PWU, PWU, 0x9000 | PWU);
    memory.races = 1000000;
    assert_int_equal(walk(&s, GVA4, GUEST_ACCESS_WRITE), GUEST_WALK_RETRY);
    assert_true(memory.races > 999000); /* it gave up soon */
}

static void test_tables_outside_of_memory(void **context)
{
    struct guest_walk_state s = state64();

    (void)context;
    s.cr3 = 0x0000300000000000ull;
    assert_int_equal(walk(&s, GVA4, GUEST_ACCESS_READ), GUEST_WALK_UNMAPPED);
    assert_true(result.gpa.v == 0x00003000000007f8ull);
    s.cr3 = 0x1000;
    map4(PWU, PWU, PWU, 0x9000 | PWU);
    memory.read_only = true;
    assert_int_equal(walk(&s, GVA4, GUEST_ACCESS_READ), GUEST_WALK_UNMAPPED);
    assert_true(result.gpa.v == PML4E);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_no_paging, setup),
        cmocka_unit_test_setup(test_4level_4k, setup),
        cmocka_unit_test_setup(test_4level_2m_and_1g, setup),
        cmocka_unit_test_setup(test_5level, setup),
        cmocka_unit_test_setup(test_cr3_low_bits_are_no_address, setup),
        cmocka_unit_test_setup(test_not_present, setup),
        cmocka_unit_test_setup(test_fetch_bit_of_error_code, setup),
        cmocka_unit_test_setup(test_reserved_bits_4level, setup),
        cmocka_unit_test_setup(test_reserved_bits_large_pages, setup),
        cmocka_unit_test_setup(test_access_rights, setup),
        cmocka_unit_test_setup(test_error_code_of_a_violation, setup),
        cmocka_unit_test_setup(test_protection_keys_of_user_pages, setup),
        cmocka_unit_test_setup(test_protection_keys_of_supervisor_pages, setup),
        cmocka_unit_test_setup(test_pae, setup),
        cmocka_unit_test_setup(test_pae_has_no_keys, setup),
        cmocka_unit_test_setup(test_32bit, setup),
        cmocka_unit_test_setup(test_32bit_4m, setup),
        cmocka_unit_test_setup(test_peek_changes_nothing, setup),
        cmocka_unit_test_setup(test_lost_races, setup),
        cmocka_unit_test_setup(test_tables_outside_of_memory, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
