/*
 * A guest that misbehaves, in the way that `do=` on its command line names: its VM must end in one
 * clear line, or go on, and no other VM may notice. What each one should come to:
 *
 * its VM crashes:
 *   triple-fault   #UD without an IDT
 *   no-memory      execution from where no RAM is
 *   mmio-jump      execution from a device's page
 *   bad-tables     CR3 into nothing
 *   bad-cr3-read   page tables that lie in a device
 *   no-idt         an IDT that is nowhere
 *   stack          pushes until nothing is left
 *   init           INIT to itself: it starts anew at FFFFFFF0, where nothing is
 * status 0:
 *   ports          random port accesses
 *   mmio           random device memory accesses
 *   apic           random local APIC accesses
 *   msrs           random MSR writes
 *   registers      every bit of the control registers
 *   self-modify    code that changes itself
 *   console        a flood of output
 *   nmi-storm      NMIs to itself
 *   irq-storm      a level interrupt whose cause stays
 *   debug          every debug register, and TF
 *   long-rep       one string instruction over all of RAM and beyond
 *   shutdown       power-off by ACPI
 * goes on for ever:
 *   spin           a loop with interrupts off
 *   halt           HLT with interrupts on
 *   dead           HLT with interrupts off
 *   reset          one reset after another
 * Numbers are pseudo-random with a fixed seed; `seed=N` changes it, `rounds=N` the count.
 */
#include "guest.h"

#define RAM_END_MAX 0xc0000000u
#define NOTHING 0xd0000000u
#define APIC_PAGE 0xfee00000u
#define ROUNDS 20000u

static uint64_t random_state = 0x9e3779b97f4a7c15ull;
static unsigned rounds = ROUNDS;

/* xorshift64*. */
static uint64_t random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1dull;
}

static uint64_t option_number(const char *name, uint64_t otherwise)
{
    size_t length;
    const char *text = guest_option(name, &length);
    uint64_t n = 0;

    if (!text)
        return otherwise;
    for (size_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        n = n * 10 + (uint64_t)(text[i] - '0');
    return n;
}

static void call_address(void *address)
{
    __asm__ volatile("call *%0" : : "r"(address) : "memory");
}

/* --- fatal ones --- */

static void do_triple_fault(void)
{
    const struct table_register none = { 0, 0 };

    lidt(&none);
    __asm__ volatile("ud2");
}

static void do_no_memory(void)
{
    call_address((void *)(uint64_t)NOTHING);
}

static void do_mmio_jump(void)
{
    call_address((void *)(uint64_t)IOAPIC_BASE);
}

static void do_bad_tables(void)
{
    write_cr3(NOTHING);
    guest_print("still here\n");
}

/* The table's entries would be read from the local APIC's registers. */
static void do_bad_cr3_read(void)
{
    write_cr3(APIC_PAGE);
    guest_print("still here\n");
}

static void do_no_idt(void)
{
    const struct table_register far = { 0xfff, NOTHING };

    lidt(&far);
    __asm__ volatile("int3");
}

static void do_stack(void)
{
    for (;;)
        __asm__ volatile("push %%rax" : : : "memory");
}

static void do_init(void)
{
    guest_apic_enable();
    guest_ipi(guest_apic_id(), ICR_INIT | ICR_ASSERT);
    guest_delay_us(100000);
    guest_print("still here\n");
}

static void do_reset(void)
{
    outb(0xcf9, 2);
    outb(0xcf9, 6);
    guest_delay_us(100000);
    outb(0x64, 0xfe);
    guest_delay_us(100000);
}

/* --- for ever --- */

static void do_spin(void)
{
    cli();
    for (;;)
        __asm__ volatile("");
}

static void do_halt(void)
{
    for (;;)
        sti_hlt();
}

static void do_dead(void)
{
    for (;;) {
        cli();
        hlt();
    }
}

/* --- nonsense for devices --- */

/* Ports that end or reset the machine, the PM block, and the console that tells how it went. */
static bool port_is_spared(unsigned port)
{
    return (port >= 0xf1 && port <= 0xf7) || (port >= 0xcf6 && port <= 0xcff) ||
           (port >= 0x600 && port < 0x640) || (port >= 0xb000 && port < 0xb040) || port == 0x64 ||
           port == 0x92 || (port >= 0x61 && port <= 0x63) || (port >= 0x8f && port <= 0x91) ||
           (port >= 0x3f5 && port <= 0x3ff) || port == 0xb2;
}

static unsigned random_port(void)
{
    /* Every other time among those where devices are. */
    static const uint16_t interesting[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42,
                                            0x43, 0x70, 0x71, 0x72, 0x73, 0x60, 0x80, 0xed };
    uint64_t r = random();

    return r & 1 ? (unsigned)(r >> 32 & 0xffff) : interesting[(r >> 32) % ARRAY_COUNT(interesting)];
}

static void do_ports(void)
{
    uint8_t bytes[16];

    for (unsigned i = 0; i < rounds; i++) {
        unsigned port = random_port();
        uint64_t value = random();
        void *at = bytes;
        uint64_t count = value >> 60;
        if (port_is_spared(port))
            continue;
        switch (value >> 56 & 7) {
        case 0: outb((uint16_t)port, (uint8_t)value); break;
        case 1: outw((uint16_t)port, (uint16_t)value); break;
        case 2: outl((uint16_t)port, (uint32_t)value); break;
        case 3: inb((uint16_t)port); break;
        case 4: inw((uint16_t)port); break;
        case 5: inl((uint16_t)port); break;
        case 6: __asm__ volatile("rep insb" : "+D"(at), "+c"(count) : "d"(port) : "memory"); break;
        case 7: __asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(port) : "memory"); break;
        }
    }
}

/* One page at `base`, any offset and size. */
static void write_page(uint64_t base)
{
    uint64_t r = random(), value = random();
    uint64_t at = base + (r & 0xfff);

    switch (r >> 60 & 7) {
    case 0: *(volatile uint8_t *)at = (uint8_t)value; break;
    case 1: *(volatile uint16_t *)at = (uint16_t)value; break;
    case 2: case 3: *(volatile uint32_t *)(at & ~3ull) = (uint32_t)value; break;
    case 4: *(volatile uint64_t *)at = value; break;
    case 5: (void)*(volatile uint32_t *)at; break;
    case 6: (void)*(volatile uint64_t *)at; break;
    case 7: __atomic_fetch_or((uint32_t *)(at & ~3ull), (uint32_t)value, __ATOMIC_SEQ_CST); break;
    }
}

static void do_mmio(void)
{
    static const uint64_t bases[] = { IOAPIC_BASE, IOAPIC_BASE, NOTHING, 0xe0000000, 0xfed00000,
                                      0xfec01000, 0xfffff000, 0xc0000000 };

    for (unsigned i = 0; i < rounds; i++)
        write_page(bases[random() % ARRAY_COUNT(bases)]);
}

/* Not the ICR: an INIT or a start-up IPI to itself is another misdeed. */
static void do_apic(void)
{
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t r = random();
        unsigned reg = (unsigned)(r & 0x3f) * 16;
        if (reg == APIC_ICR || reg == APIC_ICR_HIGH)
            continue;
        if (r & BIT(32))
            (void)mmio_read32(APIC_PAGE + reg);
        else
            mmio_write32(APIC_PAGE + reg, (uint32_t)(r >> 33));
    }
    mmio_write32(APIC_PAGE + APIC_SVR, 0xff);
}

/* --- nonsense for the processor --- */

static unsigned faults;

static void probe_msr(uint32_t msr, uint64_t value)
{
    guest_fault_clear();
    __asm__ volatile("1: wrmsr\n2:\n" EXTABLE(1b, 2b)
                     : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
    faults += guest_fault()->vector != NO_FAULT;
    guest_fault_clear();
    __asm__ volatile("1: rdmsr\n2:\n" EXTABLE(1b, 2b) : : "c"(msr) : "rax", "rdx", "memory");
}

/* Legal values of these would take the program's own feet away. */
static bool msr_is_spared(uint32_t msr)
{
    return msr == MSR_EFER || msr == MSR_APIC_BASE || (msr >= 0x830 && msr <= 0x830);
}

static void do_msrs(void)
{
    static const uint32_t bases[] = { 0, 0x170, 0x1a0, 0x200, 0x250, 0x277, 0x2f0, 0x400, 0x480,
                                      0x6e0, 0x800, 0xda0, 0xc0000080, 0xc0000100, 0x40000000 };

    for (unsigned i = 0; i < rounds; i++) {
        uint64_t r = random();
        uint32_t msr = r & BIT(40) ? (uint32_t)random()
                                   : bases[(r >> 32 & 0xff) % ARRAY_COUNT(bases)] + (r & 0x3f);
        if (!msr_is_spared(msr))
            probe_msr(msr, random() >> (r >> 48 & 63));
    }
    guest_print("%u of them faulted\n", faults);
}

#define PROBE_REGISTER(name, value)                                                                \
    do {                                                                                           \
        guest_fault_clear();                                                                       \
        __asm__ volatile("1: mov %0, %%" name "\n2:\n" EXTABLE(1b, 2b)                             \
                         : : "r"((uint64_t)(value)) : "memory");                                   \
        faults += guest_fault()->vector != NO_FAULT;                                               \
    } while (0)

/* Single bits, so that nothing legal and fatal is written: paging, PE, PAE and LA57 stay. */
static void do_registers(void)
{
    uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();

    for (unsigned bit = 0; bit < 64; bit++) {
        if (bit != 0 && bit != 31) {
            PROBE_REGISTER("cr0", cr0 ^ BIT(bit));
            write_cr0(cr0);
        }
        if (bit != 5 && bit != 12) {
            PROBE_REGISTER("cr4", cr4 ^ BIT(bit));
            write_cr4(cr4);
        }
        if (bit >= 40) {
            PROBE_REGISTER("cr3", cr3 | BIT(bit));
            write_cr3(cr3);
        }
        PROBE_REGISTER("cr8", BIT(bit));
        write_cr8(0);
        PROBE_REGISTER("dr7", DR7_FIXED | BIT(bit & ~1u));
        write_dr7(DR7_FIXED);
        probe_msr(MSR_EFER, rdmsr(MSR_EFER) ^ (bit == 8 || bit == 10 ? BIT(63) : BIT(bit)));
        wrmsr(MSR_EFER, EFER_LME | EFER_NXE);
        guest_fault_clear();
        __asm__ volatile("1: xsetbv\n2:\n" EXTABLE(1b, 2b)
                         : : "c"(bit), "a"(0x55), "d"(bit) : "memory");
    }
    guest_print("%u of them faulted\n", faults);
}

static void do_self_modify(void)
{
    /* mov $n, %eax; ret, on the page that is written to */
    static uint8_t code[PAGE_BYTES] __attribute__((aligned(4096)));
    unsigned wrong = 0;

    code[0] = 0xb8;
    code[5] = 0xc3;
    for (unsigned i = 0; i < rounds; i++) {
        uint32_t seen;
        memcpy(code + 1, &i, sizeof(i));
        __asm__ volatile("call *%1" : "=a"(seen) : "r"(code) : "memory");
        wrong += seen != i;
    }
    if (wrong)
        guest_exit(1);
}

static void do_console(void)
{
    for (unsigned i = 0; i < rounds; i++)
        guest_putc((char)(i % 100 == 99 ? '\n' : 32 + random() % 224));
    guest_print("\nflood over\n");
}

static volatile uint32_t interrupts;

static void count_nmi(struct trap_frame *frame)
{
    (void)frame;
    interrupts++;
}

static void do_nmi_storm(void)
{
    guest_trap_set(VEC_NMI, count_nmi);
    guest_apic_enable();
    for (unsigned i = 0; i < rounds; i++)
        guest_ipi(guest_apic_id(), ICR_NMI | ICR_ASSERT);
    guest_print("%u NMIs\n", interrupts);
}

/* Ended at the local APIC, never at the device: it comes back at once, for ever. */
static void count_level(struct trap_frame *frame)
{
    guest_eoi();
    if (++interrupts >= rounds)
        frame->rflags &= ~FLAG_IF;
}

static void do_irq_storm(void)
{
    const unsigned pin = 4, vector = 0x60;

    guest_trap_set(vector, count_level);
    guest_apic_enable();
    guest_ioapic_route(pin, vector | RTE_LEVEL, guest_apic_id());
    outb(0x3fc, 0x0b);
    outb(0x3f9, 2); /* transmitter empty: at once, and again whenever it is not read */
    sti();
    for (unsigned i = 0; i < 1000 && interrupts < rounds; i++)
        guest_delay_us(1000);
    cli();
    outb(0x3f9, 0);
    guest_ioapic_route(pin, RTE_MASKED, 0);
    guest_print("%u interrupts\n", interrupts);
}

static void count_debug(struct trap_frame *frame)
{
    uint64_t dr7 = read_dr7();

    write_dr7(DR7_FIXED); /* or the handler's own accesses are caught, and theirs ... */
    interrupts++;
    frame->rflags |= FLAG_RF;
    if (interrupts >= rounds)
        frame->rflags &= ~FLAG_TF;
    write_dr6(DR6_FIXED);
    write_dr7(dr7);
}

static void do_debug(void)
{
    guest_trap_set(VEC_DB, count_debug);
    write_dr0((uint64_t)&interrupts);
    write_dr1((uint64_t)guest_putc);
    write_dr2((uint64_t)&random_state);
    write_dr3(0x3fd);
    write_dr7(0xffff06ffull & ~DR7_GD);
    write_flags(read_flags() | FLAG_TF);
    while (interrupts < rounds)
        random();
    write_flags(read_flags() & ~FLAG_TF);
    write_dr7(DR7_FIXED);
    guest_print("%u debug exceptions\n", interrupts);
}

/* All of RAM behind the program, and on into nothing. */
static void do_long_rep(void)
{
    uint64_t from = 16 << 20, to = 1024ull * guest_boot.mem_upper_kb + (1 << 20) + 65536;
    uint64_t count = (to - from) / 8;

    if (to > RAM_END_MAX || to < from)
        return;
    __asm__ volatile("rep stosq" : "+D"(from), "+c"(count) : "a"(0ull) : "memory");
}

static void do_shutdown(void)
{
    outw(0x604, 5 << 10 | 1 << 13);
    guest_delay_us(100000);
    guest_exit(99);
}

static const struct deed {
    const char *name;
    void (*run)(void);
    bool survives; /* status 0 */
} deeds[] = {
    { "triple-fault", do_triple_fault, false }, { "no-memory", do_no_memory, false },
    { "mmio-jump", do_mmio_jump, false },       { "bad-tables", do_bad_tables, false },
    { "bad-cr3-read", do_bad_cr3_read, false }, { "no-idt", do_no_idt, false },
    { "stack", do_stack, false },               { "init", do_init, false },
    { "reset", do_reset, false },
    { "spin", do_spin, false },                 { "halt", do_halt, false },
    { "dead", do_dead, false },                 { "ports", do_ports, true },
    { "mmio", do_mmio, true },                  { "apic", do_apic, true },
    { "msrs", do_msrs, true },                  { "registers", do_registers, true },
    { "self-modify", do_self_modify, true },    { "console", do_console, true },
    { "nmi-storm", do_nmi_storm, true },        { "irq-storm", do_irq_storm, true },
    { "debug", do_debug, true },                { "long-rep", do_long_rep, true },
    { "shutdown", do_shutdown, true },
};

int guest_main(void)
{
    size_t length;
    const char *name = guest_option("do", &length);

    random_state += option_number("seed", 0);
    rounds = (unsigned)option_number("rounds", ROUNDS);
    for (unsigned i = 0; name && i < ARRAY_COUNT(deeds); i++) {
        if (strlen(deeds[i].name) != length || memcmp(deeds[i].name, name, length) != 0)
            continue;
        guest_print("badguest: %s\n", deeds[i].name);
        deeds[i].run();
        guest_print("badguest: %s is over\n", deeds[i].name);
        return deeds[i].survives ? 0 : 101;
    }
    guest_print("badguest: do= names no deed\n");
    return 100;
}
