/*
 * Debug registers, single steps, breakpoints: also over instructions that the hypervisor executes.
 * SDM volume 3 "Debug Registers", "Debug Exceptions".
 */
#include "selftest.h"

#define LOG_MAX 24u

static struct {
    uint64_t rip[LOG_MAX], dr6[LOG_MAX];
    unsigned count;
} stepped;

static void log_step(struct trap_frame *frame)
{
    if (stepped.count < LOG_MAX) {
        stepped.rip[stepped.count] = frame->rip;
        stepped.dr6[stepped.count] = read_dr6();
    } else {
        frame->rflags &= ~FLAG_TF;
    }
    stepped.count++;
    write_dr6(DR6_FIXED);
    frame->rflags |= FLAG_RF;
}

/* Runs the code between the labels with TF set; each instruction behind the first must trap, at its
 * end, with BS. */
#define STEP(name, steps, code)                                                                    \
    do {                                                                                           \
        uint64_t first_, last_;                                                                    \
        stepped.count = 0;                                                                         \
        guest_trap_set(VEC_DB, log_step);                                                          \
        write_dr6(DR6_FIXED);                                                                      \
        __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq\n"                                    \
                         "1: " code "\n"                                                           \
                         "2: pushfq; andl $~0x100, (%%rsp); popfq\n"                               \
                         "lea 1b(%%rip), %0; lea 2b(%%rip), %1"                                    \
                         : "=&r"(first_), "=&r"(last_) : "D"(scratch)                              \
                         : "rax", "rbx", "rcx", "rdx", "memory", "cc");                            \
        guest_trap_set(VEC_DB, NULL);                                                              \
        check_steps(name, steps, first_, last_);                                                   \
    } while (0)

/* Behind POPFQ, which sets TF, the first trap comes after the first instruction; the three that
 * clear TF trap too, but for the last. */
static void check_steps(const char *name, unsigned steps, uint64_t first, uint64_t last)
{
    unsigned i, bad = 0;

    for (i = 0; i < steps && i < LOG_MAX; i++)
        bad += !(stepped.dr6[i] & DR6_BS) || stepped.rip[i] <= first || stepped.rip[i] > last;
    check(!bad && stepped.count == steps + 3 && steps && stepped.rip[steps - 1] == last, name,
          "%u steps, expected %u; %u bad; the last at 0x%lx, expected 0x%lx", stepped.count,
          steps + 3, bad, stepped.rip[steps ? steps - 1 : 0], last);
}

static void check_single_steps(void)
{
    STEP("TF over NOP", 3, "nop; nop; nop");
    STEP("TF over CPUID", 2, "xor %%eax, %%eax; cpuid");
    STEP("TF over RDMSR that exits", 2, "mov $0x1b, %%ecx; rdmsr");
    STEP("TF over IN", 2, "in $0x61, %%al; nop");
    STEP("TF over OUT", 3, "mov $1, %%al; out %%al, $0x80; nop");
    STEP("TF over a device's memory", 3, "mov $0xfec00010, %%ebx; mov (%%rbx), %%eax; nop");
    STEP("TF over WBINVD", 2, "wbinvd; nop");
    STEP("TF over MOV to CR0 and from CR3", 3,
         "mov %%cr0, %%rax; mov %%rax, %%cr0; mov %%cr3, %%rax");
    STEP("TF over XCHG with a device", 4,
         "mov $0xfec00010, %%ebx; mov (%%rbx), %%eax; xchg %%eax, (%%rbx); nop");
    if (is_trapline())
        STEP("TF over VMCALL", 2, "xor %%eax, %%eax; vmcall");
    else
        skip("TF over VMCALL", "not on Trapline");
}

/* A trap at each iteration of a repeated string instruction. */
static void check_string_steps(void)
{
    /* Each iteration leaves RIP at the instruction itself but the last. */
    stepped.count = 0;
    guest_trap_set(VEC_DB, log_step);
    __asm__ volatile("mov $4, %%ecx; mov $0x3ff, %%edx\n"
                     "pushfq; orl $0x100, (%%rsp); popfq\n"
                     "rep insb\n"
                     "pushfq; andl $~0x100, (%%rsp); popfq"
                     : : "D"(scratch) : "rcx", "rdx", "memory", "cc");
    guest_trap_set(VEC_DB, NULL);
    check(stepped.count == 4 + 3, "TF traps each iteration of REP INSB", "%u traps, expected 7",
          stepped.count);
}

/* No trap between MOV SS and the instruction behind it. */
static void check_mov_ss(void)
{
    STEP("TF is held back by MOV SS", 2, "mov %%ss, %%eax; mov %%eax, %%ss; nop");
}

/* --- breakpoints --- */

static void log_hit(struct trap_frame *frame)
{
    log_step(frame);
}

static void arm(uint64_t address, uint64_t dr7)
{
    stepped.count = 0;
    guest_trap_set(VEC_DB, log_hit);
    write_dr6(DR6_FIXED);
    write_dr0(address);
    write_dr7(DR7_FIXED | DR7_L(0) | dr7);
}

static void disarm(void)
{
    write_dr7(DR7_FIXED);
    guest_trap_set(VEC_DB, NULL);
}

static void check_hit(const char *name, unsigned expected)
{
    disarm();
    check(stepped.count == expected && (!expected || stepped.dr6[0] & DR6_B(0)), name,
          "%u times, expected %u; DR6 0x%lx", stepped.count, expected, stepped.dr6[0]);
}

extern const uint8_t debug_target[], debug_mov_ss[], debug_behind_mov_ss[];
__asm__(".text\ndebug_target: xor %eax, %eax\n cpuid\n ret\n"
        "debug_mov_ss: mov %ss, %eax\n mov %eax, %ss\n cpuid\n"
        "debug_behind_mov_ss: nop\n ret\n");

static void call_target(const uint8_t *at)
{
    __asm__ volatile("call *%0" : : "r"(at) : "rax", "rbx", "rcx", "rdx", "memory");
}

static void check_breakpoints(void)
{
    volatile uint32_t *word = (volatile uint32_t *)scratch;

    arm((uint64_t)debug_target, DR7_RW(0, DR7_EXECUTE));
    call_target(debug_target);
    check_hit("execution breakpoint", 1);
    arm((uint64_t)debug_target + 2, DR7_RW(0, DR7_EXECUTE));
    call_target(debug_target);
    check_hit("execution breakpoint on CPUID", 1);
    arm((uint64_t)debug_behind_mov_ss, DR7_RW(0, DR7_EXECUTE));
    call_target(debug_mov_ss);
    check_hit("MOV SS blocks no more behind CPUID", 1);
    arm((uint64_t)word, DR7_RW(0, DR7_WRITE) | DR7_LEN(0, 3));
    (void)*word;
    *word = 1;
    check_hit("write breakpoint", 1);
    arm((uint64_t)word, DR7_RW(0, DR7_ACCESS) | DR7_LEN(0, 3));
    (void)*word;
    *word = 1;
    check_hit("access breakpoint", 2);
    arm((uint64_t)word, DR7_RW(0, DR7_WRITE) | DR7_LEN(0, 0));
    *((volatile uint8_t *)word + 1) = 1;
    check_hit("write beside a breakpoint of one byte", 0);
}

/* An access that the hypervisor makes in the place of the processor: INS stores to RAM. */
static void check_emulated_breakpoints(void)
{
    uint64_t cr4 = read_cr4(), to;

    if (lenient_skip("breakpoints in what is emulated"))
        return;
    to = (uint64_t)scratch;
    arm(to, DR7_RW(0, DR7_WRITE));
    __asm__ volatile("insb" : "+D"(to) : "d"(0x3ff) : "memory");
    check_hit("write breakpoint hit by INSB", 1);
    write_cr4(cr4 | CR4_DE);
    arm(0x3ff, DR7_RW(0, DR7_IO));
    inb(0x3ff);
    check_hit("I/O breakpoint", 1);
    arm(0x3fe, DR7_RW(0, DR7_IO));
    inb(0x3ff);
    check_hit("port beside an I/O breakpoint", 0);
    write_cr4(cr4);
    arm(IOAPIC_BASE + IOAPIC_WINDOW, DR7_RW(0, DR7_ACCESS) | DR7_LEN(0, 3));
    mmio_read32(IOAPIC_BASE + IOAPIC_WINDOW);
    check_hit("access breakpoint on a device", 1);
}

static void check_registers(void)
{
    uint64_t cr4 = read_cr4(), value;

    write_dr0(0x123456789abcull);
    write_dr3(0xffff800000001000ull);
    check(read_dr0() == 0x123456789abcull && read_dr3() == 0xffff800000001000ull,
          "DR0 and DR3 keep 64 bits", "0x%lx 0x%lx", read_dr0(), read_dr3());
    write_dr7(0);
    check_equal("DR7 bit 10 is always 1", read_dr7(), DR7_FIXED);
    write_dr6(0);
    check_equal("fixed bits of DR6", read_dr6(), DR6_FIXED);
    probe_dr7(BIT(32));
    check_fault("DR7 upper half", VEC_GP, 0);
    probe_dr6(BIT(63));
    check_fault("DR6 upper half", VEC_GP, 0);
    write_cr4(cr4 | CR4_DE);
    guest_fault_clear();
    __asm__ volatile("1: .byte 0x0f, 0x21, 0xe0\n2:\n" EXTABLE(1b, 2b) : : : "rax", "memory");
    check_fault("DR4 with CR4.DE", VEC_UD, 0);
    write_cr4(cr4 & ~CR4_DE);
    guest_fault_clear();
    __asm__ volatile("1: .byte 0x0f, 0x21, 0xf8\n2:\n" EXTABLE(1b, 2b) : "=a"(value) : : "memory");
    check_no_fault("DR7 without CR4.DE");
    write_cr4(cr4);
}

static void check_general_detect(void)
{
    write_dr6(DR6_FIXED);
    write_dr7(DR7_FIXED | DR7_GD);
    guest_fault_clear();
    __asm__ volatile("1: mov %%dr0, %%rax\n2:\n" EXTABLE(1b, 2b) : : : "rax", "memory");
    check_fault("DR7.GD", VEC_DB, 0);
    check(guest_fault()->dr6 & DR6_BD, "... sets DR6.BD", "0x%lx", guest_fault()->dr6);
    check_equal("... and is cleared", read_dr7() & DR7_GD, 0);
    write_dr7(DR7_FIXED);
    write_dr6(DR6_FIXED);
}

void test_debug(void)
{
    check_registers();
    if (!lenient_skip("DR7.GD"))
        check_general_detect();
    if (lenient_skip("single steps"))
        return;
    check_single_steps();
    check_string_steps();
    check_mov_ss();
    check_breakpoints();
    check_emulated_breakpoints();
}
