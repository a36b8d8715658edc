/*
 * Port I/O: every size, INS and OUTS with all that can go wrong around them. SDM volume 1
 * "Input/Output"; volume 2 "INS", "OUTS", "REP".
 */
#include "selftest.h"

#define SCRATCH_PORT 0x3ffu  /* UART's scratch register */
#define UNCLAIMED 0x1234u    /* nothing stands there on any machine that we know */
#define CMOS_FREE 0x50u      /* a byte of CMOS memory without a meaning */

static void check_sizes(void)
{
    uint64_t rax = 0x1122334455667788ull;

    outb(SCRATCH_PORT, 0xa7);
    __asm__ volatile("inb %w1, %b0" : "+a"(rax) : "Nd"(SCRATCH_PORT));
    check_equal("IN AL keeps the rest of RAX", rax, 0x11223344556677a7ull);
    rax = 0x1122334455667788ull;
    __asm__ volatile("inw %w1, %w0" : "+a"(rax) : "Nd"(UNCLAIMED));
    check_equal("IN AX keeps the rest of RAX", rax, 0x112233445566ffffull);
    rax = 0x1122334455667788ull;
    __asm__ volatile("inl %w1, %k0" : "+a"(rax) : "Nd"(UNCLAIMED));
    check_equal("IN EAX clears the upper half of RAX", rax, 0xffffffff);
    check_equal("unclaimed port, 8 bits", inb(UNCLAIMED), 0xff);
    check_equal("unclaimed port, 16 bits", inw(UNCLAIMED), 0xffff);
    check_equal("unclaimed port, 32 bits", inl(UNCLAIMED), 0xffffffff);
    outb(UNCLAIMED, 1);
    outw(UNCLAIMED, 2);
    outl(UNCLAIMED, 3);
    outb(0xffff, 0);
    check(true, "writes to unclaimed ports are ignored", " ");
    outb(0x80, 0x3c);
    __asm__ volatile("inb $0x61, %%al" : "+a"(rax));
    check(true, "immediate port number", " ");
}

static void outs_b(uint16_t port, const void *from, uint64_t count)
{
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

static void ins_b(uint16_t port, void *to, uint64_t count)
{
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

static void check_strings(void)
{
    static const uint8_t bytes[] = { 1, 2, 3, 0x55 };
    uint8_t in[8];
    uint64_t rsi = (uint64_t)bytes, rcx = sizeof(bytes), rdi;

    __asm__ volatile("rep outsb" : "+S"(rsi), "+c"(rcx) : "d"(SCRATCH_PORT) : "memory");
    check(rsi == (uint64_t)bytes + 4 && rcx == 0, "REP OUTSB moves RSI and RCX", "0x%lx, %lu",
          rsi - (uint64_t)bytes, rcx);
    check_equal("... and the last byte is there", inb(SCRATCH_PORT), 0x55);
    memset(in, 0, sizeof(in));
    ins_b(SCRATCH_PORT, in, 5);
    check(in[0] == 0x55 && in[4] == 0x55 && in[5] == 0, "REP INSB", "%x %x %x", in[0],
          in[4], in[5]);
    rdi = (uint64_t)&in[7];
    rcx = 3;
    memset(in, 0, sizeof(in));
    __asm__ volatile("std; rep insb; cld" : "+D"(rdi), "+c"(rcx) : "d"(SCRATCH_PORT) : "memory");
    check(rdi == (uint64_t)&in[4] && in[4] == 0 && in[5] == 0x55 && in[7] == 0x55,
          "REP INSB backwards", "RDI 0x%lx, %x %x", rdi - (uint64_t)in, in[4], in[5]);
    rdi = (uint64_t)in;
    rcx = 0;
    in[0] = 9;
    __asm__ volatile("rep insb" : "+D"(rdi), "+c"(rcx) : "d"(SCRATCH_PORT) : "memory");
    check(in[0] == 9 && rdi == (uint64_t)in, "REP INSB with a count of 0", "%x", in[0]);
    rdi = (uint64_t)in;
    __asm__ volatile("insb" : "+D"(rdi) : "d"(SCRATCH_PORT) : "memory");
    check(in[0] == 0x55 && rdi == (uint64_t)in + 1, "INSB without REP", "%x", in[0]);
}

static void check_wide_strings(void)
{
    uint32_t in[4] = { 0, 0, 0, 0 };
    void *to = in;
    uint64_t count = 2;

    __asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(UNCLAIMED) : "memory");
    check(in[0] == 0xffffffff && in[1] == 0, "REP INSW", "0x%x 0x%x", in[0], in[1]);
    to = in;
    count = 3;
    __asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(UNCLAIMED) : "memory");
    check(in[2] == 0xffffffff && in[3] == 0, "REP INSD", "0x%x 0x%x", in[2], in[3]);
}

/* 32-bit addresses in 64-bit mode: ESI, EDI and ECX count and their upper halves are cleared. */
static void check_address_size(void)
{
    static uint8_t in[4];
    uint64_t rdi = (uint64_t)in | 0xabcd00000000ull, rcx = 0x500000002ull;

    memset(in, 0, sizeof(in));
    __asm__ volatile("addr32 rep insb" : "+D"(rdi), "+c"(rcx) : "d"(SCRATCH_PORT) : "memory");
    check(in[0] == 0x55 && in[1] == 0x55 && in[2] == 0 && rdi == (uint64_t)in + 2 && rcx == 0,
          "REP INSB with 32-bit addresses", "RDI 0x%lx RCX 0x%lx", rdi, rcx);
}

static void check_segment(void)
{
    static const uint8_t bytes[] = { 0x11, 0x22, 0x33 };
    uint64_t offset = 1;

    wrmsr(MSR_FS_BASE, (uint64_t)bytes);
    __asm__ volatile("outsb %%fs:(%%rsi), %%dx" : "+S"(offset) : "d"(SCRATCH_PORT) : "memory");
    wrmsr(MSR_FS_BASE, 0);
    check(inb(SCRATCH_PORT) == 0x22 && offset == 2, "OUTSB with a segment override", "0x%x",
          inb(SCRATCH_PORT));
}

/* A string that runs into a page that is not there: what came before is done, the registers stand
 * at the element that faulted, and nothing of that element has happened. */
static void check_page_fault(void)
{
    uint64_t rdi = GUEST_WINDOW + PAGE_BYTES - 3, rcx = 8;

    guest_map(GUEST_WINDOW, (uint64_t)scratch, PTE_P | PTE_W);
    guest_map(GUEST_WINDOW + PAGE_BYTES, 0, 0);
    outb(SCRATCH_PORT, 0x66);
    memset(scratch, 0, PAGE_BYTES);
    guest_fault_clear();
    __asm__ volatile("1: rep insb\n2:\n" EXTABLE(1b, 2b)
                     : "+D"(rdi), "+c"(rcx) : "d"(SCRATCH_PORT) : "memory");
    check_fault("REP INSB into a missing page", VEC_PF, PF_W);
    check(rdi == GUEST_WINDOW + PAGE_BYTES && rcx == 5 &&
              guest_fault()->cr2 == GUEST_WINDOW + PAGE_BYTES,
          "... stops at the fault", "RDI 0x%lx RCX %lu CR2 0x%lx", rdi - GUEST_WINDOW, rcx,
          guest_fault()->cr2 - GUEST_WINDOW);
    check(scratch[PAGE_BYTES - 3] == 0x66 && scratch[PAGE_BYTES - 1] == 0x66,
          "... with what was before it done", "%x", scratch[PAGE_BYTES - 3]);
    guest_map(GUEST_WINDOW, (uint64_t)scratch, PTE_P);
    rdi = GUEST_WINDOW;
    guest_fault_clear();
    __asm__ volatile("1: insb\n2:\n" EXTABLE(1b, 2b)
                     : "+D"(rdi) : "d"(SCRATCH_PORT) : "memory");
    check_fault("INSB into a read-only page", VEC_PF, PF_P | PF_W);
    rdi = GUEST_WINDOW + PAGE_BYTES;
    guest_fault_clear();
    __asm__ volatile("1: outsb\n2:\n" EXTABLE(1b, 2b)
                     : "+S"(rdi) : "d"(SCRATCH_PORT) : "memory");
    check_fault("OUTSB from a missing page", VEC_PF, 0);
    check_equal("... writes nothing", inb(SCRATCH_PORT), 0x66);
    guest_map(GUEST_WINDOW, 0, 0);
    rdi = BIT(63);
    guest_fault_clear();
    __asm__ volatile("1: outsb\n2:\n" EXTABLE(1b, 2b)
                     : "+S"(rdi) : "d"(SCRATCH_PORT) : "memory");
    check_fault("OUTSB from a non-canonical address", VEC_GP, 0);
}

/* A long string crosses pages and must not lose anything. */
static void check_long_string(void)
{
    unsigned i;

    memset(scratch, 0, sizeof(scratch));
    outb(SCRATCH_PORT, 0x77);
    ins_b(SCRATCH_PORT, scratch + 100, 6000);
    for (i = 100; i < 6100 && scratch[i] == 0x77; i++)
        ;
    check(i == 6100 && scratch[99] == 0 && scratch[6100] == 0, "REP INSB over a page boundary",
          "wrong from byte %u", i);
    outs_b(SCRATCH_PORT, scratch + 4000, 2000);
    check_equal("REP OUTSB over a page boundary", inb(SCRATCH_PORT), 0x77);
}

static void check_wide_access(void)
{
    uint8_t a, b;

    /* 16 bits at two 8-bit ports: index and data of the CMOS in one access, as on an ISA bus. */
    outb(0x70, CMOS_FREE);
    outb(0x71, 0x42);
    a = guest_cmos_read(CMOS_FREE);
    outw(0x70, 0x4300 | CMOS_FREE);
    b = guest_cmos_read(CMOS_FREE);
    check(a == 0x42 && b == 0x43, "a 16-bit write reaches two 8-bit ports", "0x%x 0x%x", a, b);
}

void test_port(void)
{
    check_sizes();
    check_strings();
    check_wide_strings();
    check_address_size();
    check_segment();
    check_page_fault();
    check_long_string();
    check_wide_access();
}
