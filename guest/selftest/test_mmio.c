/*
 * Instructions on memory-mapped devices: what the hypervisor decodes and executes in the place of
 * the processor. Two kinds of places: the I/O APIC's window on a redirection entry (32 bits wide),
 * and guest-physical addresses where nothing is: they read all ones and ignore writes.
 * SDM volume 2 for each instruction; 82093AA data sheet.
 */
#include "selftest.h"

#define NOTHING 0xd0000000u /* between RAM and the I/O APIC, in no window in use */
#define WINDOW (IOAPIC_BASE + IOAPIC_WINDOW)
/* The low half of redirection entry 23: vector, bits 8-11, 13, 15, 16 can be written. */
#define ENTRY23_LOW (0x10 + 2 * 23)
#define LOW_VALUE 0x18955u /* masked, level, lowest priority, vector 0x55 */

static uint32_t window(void)
{
    return mmio_read32(WINDOW);
}

static void select_low(uint32_t value)
{
    guest_ioapic_write(ENTRY23_LOW, value);
}

static void check_moves(void)
{
    uint64_t rax;

    select_low(LOW_VALUE);
    __asm__ volatile("movl (%1), %k0" : "=r"(rax) : "r"((uint64_t)WINDOW) : "memory");
    check_equal("MOV r32, m32 clears the upper half", rax, LOW_VALUE);
    __asm__ volatile("movl $0x18966, (%0)" : : "r"((uint64_t)WINDOW) : "memory");
    check_equal("MOV m32, imm32", window(), 0x18966);
    __asm__ volatile("movabs 0xfec00010, %%eax" : "=a"(rax) : : "memory");
    check_equal("MOV EAX, moffs64", rax & 0xffffffff, 0x18966);
    __asm__ volatile("movabs %%eax, 0xfec00010" : : "a"(0x18977) : "memory");
    check_equal("MOV moffs64, EAX", window(), 0x18977);
    __asm__ volatile("mov $0x18988, %%r9d\n movl %%r9d, 4(%0,%1,4)"
                     : : "r"((uint64_t)WINDOW - 16), "r"(3ull) : "memory", "r9");
    check_equal("MOV with base, index and displacement", window(), 0x18988);
    __asm__ volatile("movnti %k0, (%1)" : : "r"(0x18999ull), "r"((uint64_t)WINDOW) : "memory");
    check_equal("MOVNTI", window(), 0x18999);
}

static void check_narrow_reads(void)
{
    uint64_t r;
    const uint64_t nothing = NOTHING;

    if (!is_strict()) {
        skip("narrow reads of nothing", "not on Trapline");
        return;
    }
    __asm__ volatile("movzbl (%1), %k0" : "=r"(r) : "r"(nothing) : "memory");
    check_equal("MOVZX r32, m8", r, 0xff);
    __asm__ volatile("movzwl (%1), %k0" : "=r"(r) : "r"(nothing) : "memory");
    check_equal("MOVZX r32, m16", r, 0xffff);
    __asm__ volatile("movsbq (%1), %0" : "=r"(r) : "r"(nothing) : "memory");
    check_equal("MOVSX r64, m8", r, ~0ull);
    __asm__ volatile("movswl (%1), %k0" : "=r"(r) : "r"(nothing) : "memory");
    check_equal("MOVSX r32, m16", r, 0xffffffff);
    __asm__ volatile("movslq (%1), %0" : "=r"(r) : "r"(nothing) : "memory");
    check_equal("MOVSXD r64, m32", r, ~0ull);
    __asm__ volatile("movq (%1), %0" : "=r"(r) : "r"(nothing) : "memory");
    check_equal("MOV r64, m64", r, ~0ull);
    r = 0x1122334455667788ull;
    __asm__ volatile("movb (%1), %b0" : "+q"(r) : "r"(nothing) : "memory");
    check_equal("MOV r8, m8 keeps the rest", r, 0x11223344556677ffull);
    r = 0x1122334455667788ull;
    __asm__ volatile("movb (%1), %%ah" : "+a"(r) : "r"(nothing) : "memory");
    check_equal("MOV AH, m8 keeps the rest", r, 0x112233445566ff88ull);
    __asm__ volatile("movb $0, (%0); movw $0, (%0); movl $0, (%0); movq $0, (%0)"
                     : : "r"(nothing) : "memory");
    check_equal("writes to nothing are ignored", mmio_read32(NOTHING), 0xffffffff);
}

/* One read-modify-write: the flags of the ALU and the value in the register. */
#define RMW(name, insn, before, operand, after, flags_set, flags_clear)                            \
    do {                                                                                           \
        uint64_t flags_;                                                                           \
        select_low(before);                                                                        \
        __asm__ volatile(insn "; pushfq; popq %0"                                                  \
                         : "=r"(flags_) : "r"((uint64_t)WINDOW), "r"(operand) : "memory", "cc");   \
        check(window() == (after) && (flags_ & (flags_set)) == (flags_set) &&                      \
                  !(flags_ & (flags_clear)),                                                       \
              name, "0x%x, expected 0x%x; flags 0x%lx", window(), (unsigned)(after), flags_);      \
    } while (0)

static void check_modify(void)
{
    RMW("OR m32, r32", "orl %k2, (%1)", 0x10055, 0x8000ull, 0x18055, 0ull, FLAG_ZF | FLAG_CF);
    RMW("AND m32, imm32", "andl $0x100ff, (%1)", 0x18955, 0ull, 0x10055, 0ull, FLAG_CF | FLAG_OF);
    RMW("XOR m32, r32", "xorl %k2, (%1)", 0x10055, 0xffull, 0x100aa, FLAG_PF, FLAG_ZF);
    RMW("ADD m32, imm8", "addl $1, (%1)", 0x10055, 0ull, 0x10056, 0ull, FLAG_ZF | FLAG_CF);
    RMW("SUB m32, r32", "subl %k2, (%1)", 0x10055, 0x55ull, 0x10000, FLAG_PF, FLAG_ZF | FLAG_CF);
    RMW("INC m32", "incl (%1)", 0x10020, 0ull, 0x10021, 0ull, FLAG_ZF);
    RMW("DEC m32", "decl (%1)", 0x10021, 0ull, 0x10020, 0ull, FLAG_ZF);
    RMW("LOCK OR m32, imm", "lock orl $0x10, (%1)", 0x10020, 0ull, 0x10030, 0ull, FLAG_ZF);
    RMW("BTS m32, imm8", "btsl $0, (%1)", 0x10020, 0ull, 0x10021, 0ull, FLAG_CF);
    RMW("BTR m32, imm8", "btrl $5, (%1)", 0x10020, 0ull, 0x10000, FLAG_CF, 0ull);
}

static void check_exchange(void)
{
    uint32_t r = 0x10044, eax = 0x10055;
    uint8_t equal;

    select_low(0x10055);
    __asm__ volatile("xchgl %0, (%1)" : "+r"(r) : "r"((uint64_t)WINDOW) : "memory");
    check(r == 0x10055 && window() == 0x10044, "XCHG", "0x%x 0x%x", r, window());
    __asm__ volatile("lock cmpxchgl %3, (%2); sete %1"
                     : "+a"(eax), "=q"(equal) : "r"((uint64_t)WINDOW), "r"(0x10066) : "memory",
                       "cc");
    check(!equal && eax == 0x10044 && window() == 0x10044, "CMPXCHG, different",
          "%u 0x%x 0x%x", equal, eax, window());
    __asm__ volatile("lock cmpxchgl %3, (%2); sete %1"
                     : "+a"(eax), "=q"(equal) : "r"((uint64_t)WINDOW), "r"(0x10066) : "memory",
                       "cc");
    check(equal && eax == 0x10044 && window() == 0x10066, "CMPXCHG, equal", "%u 0x%x 0x%x", equal,
          eax, window());
    r = 1;
    __asm__ volatile("lock xaddl %0, (%1)" : "+r"(r) : "r"((uint64_t)WINDOW) : "memory", "cc");
    check(r == 0x10066 && window() == 0x10067, "XADD", "0x%x 0x%x", r, window());
}

static void check_compare(void)
{
    uint64_t flags;

    select_low(0x10055);
    __asm__ volatile("cmpl $0x10055, (%1); pushfq; popq %0"
                     : "=r"(flags) : "r"((uint64_t)WINDOW) : "memory", "cc");
    check(flags & FLAG_ZF, "CMP m32, imm32", "flags 0x%lx", flags);
    __asm__ volatile("testl $0xaa, (%1); pushfq; popq %0"
                     : "=r"(flags) : "r"((uint64_t)WINDOW) : "memory", "cc");
    check(flags & FLAG_ZF, "TEST m32, imm32", "flags 0x%lx", flags);
    __asm__ volatile("stc; movl (%1), %%eax; pushfq; popq %0"
                     : "=r"(flags) : "r"((uint64_t)WINDOW) : "memory", "cc", "rax");
    check(flags & FLAG_CF, "MOV keeps the flags", "flags 0x%lx", flags);
    __asm__ volatile("btl $6, (%1); pushfq; popq %0"
                     : "=r"(flags) : "r"((uint64_t)WINDOW) : "memory", "cc");
    check(flags & FLAG_CF, "BT m32, imm8", "flags 0x%lx", flags);
}

static void check_strings(void)
{
    uint32_t ram[4] = { 0, 0, 0, 0 };
    uint64_t rsi = WINDOW, rdi = (uint64_t)ram, rcx;

    select_low(0x10055);
    __asm__ volatile("movsl" : "+S"(rsi), "+D"(rdi) : : "memory");
    check(ram[0] == 0x10055 && rsi == WINDOW + 4 && rdi == (uint64_t)&ram[1],
          "MOVS from a device to RAM", "0x%x", ram[0]);
    ram[1] = 0x10066;
    rsi = (uint64_t)&ram[1];
    rdi = WINDOW;
    __asm__ volatile("movsl" : "+S"(rsi), "+D"(rdi) : : "memory");
    check_equal("MOVS from RAM to a device", window(), 0x10066);
    rdi = WINDOW;
    __asm__ volatile("stosl" : "+D"(rdi) : "a"(0x10077) : "memory");
    check(window() == 0x10077 && rdi == WINDOW + 4, "STOS", "0x%x", window());
    rsi = WINDOW;
    __asm__ volatile("lodsl" : "+S"(rsi), "=a"(rcx) : : "memory");
    check_equal("LODS", (uint32_t)rcx, 0x10077);
    if (!is_strict())
        return;
    rsi = NOTHING;
    rdi = (uint64_t)scratch;
    rcx = 16;
    memset(scratch, 0, 128);
    __asm__ volatile("rep movsl" : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
    check(scratch[63] == 0xff && scratch[64] == 0 && rcx == 0 && rsi == NOTHING + 64,
          "REP MOVS from nothing", "%x %x", scratch[63], scratch[64]);
    rdi = NOTHING;
    rcx = 16;
    __asm__ volatile("rep stosq" : "+D"(rdi), "+c"(rcx) : "a"(0ull) : "memory");
    check(rcx == 0 && rdi == NOTHING + 128, "REP STOS to nothing", "0x%lx", rdi);
}

static void check_stack(void)
{
    uint64_t r = 0;

    if (!is_strict()) {
        skip("PUSH of nothing", "not on Trapline");
        return;
    }
    __asm__ volatile("pushq (%1); popq %0" : "=r"(r) : "r"((uint64_t)NOTHING) : "memory");
    check_equal("PUSH m64", r, ~0ull);
}

/* The same page at another address, by tables; and an access whose first half is RAM. */
static void check_mapped(void)
{
    uint64_t value;

    select_low(0x10055);
    guest_map(GUEST_WINDOW, (uint64_t)scratch, PTE_P | PTE_W);
    guest_map(GUEST_WINDOW + PAGE_BYTES, IOAPIC_BASE, PTE_P | PTE_W | PTE_PCD);
    check_equal("a device through another address", mmio_read32(GUEST_WINDOW + PAGE_BYTES + 0x10),
                0x10055);
    if (is_strict()) {
        guest_map(GUEST_WINDOW + PAGE_BYTES, NOTHING, PTE_P | PTE_W | PTE_PCD);
        memset(scratch, 0x11, PAGE_BYTES);
        value = *(volatile uint32_t *)(GUEST_WINDOW + PAGE_BYTES - 2);
        check_equal("a read that begins in RAM and ends in nothing", value, 0xffff1111);
        *(volatile uint32_t *)(GUEST_WINDOW + PAGE_BYTES - 2) = 0x22222222;
        check_equal("... and a write", *(volatile uint16_t *)(GUEST_WINDOW + PAGE_BYTES - 2),
                    0x2222);
    }
    guest_map(GUEST_WINDOW, 0, 0);
    probe_read32(GUEST_WINDOW + PAGE_BYTES - 2);
    check_fault("the same with the first page missing", VEC_PF, 0);
    guest_map(GUEST_WINDOW + PAGE_BYTES, IOAPIC_BASE, PTE_P | PTE_PCD);
    probe_write32(GUEST_WINDOW + PAGE_BYTES + 0x10, 0);
    check_fault("write to a device's page mapped read-only", VEC_PF, PF_P | PF_W);
    check_equal("... and nothing is written", window(), 0x10055);
    guest_map(GUEST_WINDOW + PAGE_BYTES, 0, 0);
}

/* The instruction itself lies across a page boundary. */
static void check_split_code(void)
{
    /* mov (%rdi), %eax; ret */
    static const uint8_t code[] = { 0x8b, 0x07, 0xc3 };
    uint32_t value;

    guest_map(GUEST_WINDOW, (uint64_t)scratch, PTE_P | PTE_W);
    guest_map(GUEST_WINDOW + PAGE_BYTES, (uint64_t)scratch + PAGE_BYTES, PTE_P | PTE_W);
    memcpy(scratch + PAGE_BYTES - 1, code, sizeof(code));
    select_low(0x10055);
    __asm__ volatile("call *%1" : "=a"(value) : "r"(GUEST_WINDOW + PAGE_BYTES - 1),
                     "D"((uint64_t)WINDOW) : "memory");
    check_equal("an instruction that lies across two pages", value, 0x10055);
    guest_map(GUEST_WINDOW, 0, 0);
    guest_map(GUEST_WINDOW + PAGE_BYTES, 0, 0);
}

void test_mmio(void)
{
    uint32_t before = guest_ioapic_read(ENTRY23_LOW);

    check_moves();
    check_narrow_reads();
    check_modify();
    check_exchange();
    check_compare();
    check_strings();
    check_stack();
    check_mapped();
    check_split_code();
    guest_ioapic_write(ENTRY23_LOW, before);
}
