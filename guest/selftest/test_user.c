/*
 * Privilege level 3: what faults there although it exits at level 0, and the other way round. The
 * processor checks privilege before it exits; SDM volume 3 "Relative Priority of Faults and VM
 * Exits". SYSCALL and SYSENTER: volume 3 "Fast System Calls in 64-Bit Mode".
 */
#include "selftest.h"

#define IOPL3 0x3000ull
#define SCRATCH_REGISTER 0x3ffu /* of the UART: whatever is written is read back */

static const struct snippet privileged[] = {
    SNIPPET("HLT", 0xf4),
    SNIPPET("CLI with IOPL 0", 0xfa),
    SNIPPET("STI with IOPL 0", 0xfb),
    SNIPPET("IN with IOPL 0", 0xe4, 0x61),
    SNIPPET("OUT with IOPL 0", 0xe6, 0x80),
    SNIPPET("RDMSR", 0x0f, 0x32),
    SNIPPET("WRMSR", 0x0f, 0x30),
    SNIPPET("MOV to CR3", 0x0f, 0x22, 0xd8),
    SNIPPET("MOV from CR0", 0x0f, 0x20, 0xc0),
    SNIPPET("MOV from DR0", 0x0f, 0x21, 0xc0),
    SNIPPET("CLTS", 0x0f, 0x06),
    SNIPPET("LMSW", 0x0f, 0x01, 0xf0),
    SNIPPET("INVD", 0x0f, 0x08),
    SNIPPET("WBINVD", 0x0f, 0x09),
    SNIPPET("INVLPG", 0x0f, 0x01, 0x3f),
    SNIPPET("LGDT", 0x0f, 0x01, 0x17),
    SNIPPET("LIDT", 0x0f, 0x01, 0x1f),
    SNIPPET("LTR", 0x0f, 0x00, 0xd8),
    SNIPPET("SWAPGS", 0x0f, 0x01, 0xf8),
};

static const struct snippet allowed[] = {
    SNIPPET("CPUID", 0x53, 0x0f, 0xa2, 0x5b),
    SNIPPET("RDTSC", 0x0f, 0x31),
    SNIPPET("SMSW", 0x0f, 0x01, 0xe0),
    SNIPPET("SGDT", 0x0f, 0x01, 0x07),
    SNIPPET("STR", 0x0f, 0x00, 0xc8),
};

static void check_privileged(void)
{
    for (unsigned i = 0; i < ARRAY_COUNT(privileged); i++) {
        snippet_run_user(&privileged[i], 0);
        check_fault(privileged[i].name, VEC_GP, 0);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(allowed); i++) {
        snippet_run_user(&allowed[i], 0);
        check_no_fault(allowed[i].name);
    }
}

static void check_undefined(void)
{
    static const struct snippet undefined[] = {
        SNIPPET("VMREAD", 0x0f, 0x78, 0xc0),
        SNIPPET("VMXON", 0xf3, 0x0f, 0xc7, 0x37),
        SNIPPET("INVEPT", 0x66, 0x0f, 0x38, 0x80, 0x07),
        SNIPPET("MONITOR", 0x0f, 0x01, 0xc8),
    };

    for (unsigned i = 0; i < ARRAY_COUNT(undefined); i++) {
        if (!is_trapline()) {
            skip(undefined[i].name, "not on Trapline");
            continue;
        }
        snippet_run_user(&undefined[i], 0);
        check_fault(undefined[i].name, VEC_UD, 0);
    }
}

static uint64_t user_port(uint64_t port)
{
    outb((uint16_t)port, 0x5a);
    return inb((uint16_t)port);
}

/* SDM volume 1 "I/O Permission Bit Map". */
static void check_ports(void)
{
    uint64_t result = 0;
    uint8_t *bits = guest_tss[0].io_bits;

    check(!guest_user(user_port, SCRATCH_REGISTER, IOPL3, &result) && result == 0x5a,
          "port access with IOPL 3", "vector %d, 0x%lx", (int)guest_fault()->vector, result);
    bits[SCRATCH_REGISTER / 8] &= (uint8_t)~BIT(SCRATCH_REGISTER % 8);
    result = 0;
    check(!guest_user(user_port, SCRATCH_REGISTER, 0, &result) && result == 0x5a,
          "port access by the permission bit map", "vector %d, 0x%lx", (int)guest_fault()->vector,
          result);
    bits[SCRATCH_REGISTER / 8] |= (uint8_t)BIT(SCRATCH_REGISTER % 8);
    guest_user(user_port, SCRATCH_REGISTER, 0, NULL);
    check_fault("port access against the permission bit map", VEC_GP, 0);
}

static void check_tsd(void)
{
    static const struct snippet rdtsc = SNIPPET("RDTSC with TSD", 0x0f, 0x31);
    uint64_t cr4 = read_cr4();

    write_cr4(cr4 | CR4_TSD);
    snippet_run_user(&rdtsc, 0);
    check_fault(rdtsc.name, VEC_GP, 0);
    write_cr4(cr4);
}

static void check_umip(void)
{
    static const struct snippet sgdt = SNIPPET("SGDT with UMIP", 0x0f, 0x01, 0x07);
    uint64_t cr4 = read_cr4();

    if (!has_ecx7(2)) {
        skip(sgdt.name, "no UMIP");
        return;
    }
    write_cr4(cr4 | CR4_UMIP);
    snippet_run_user(&sgdt, 0);
    check_fault(sgdt.name, VEC_GP, 0);
    write_cr4(cr4);
}

static void check_gates(void)
{
    static const struct snippet int3 = SNIPPET("INT3", 0xcc);
    static const struct snippet int40 = SNIPPET("INT 0x40 by a gate of level 0", 0xcd, 0x40);

    snippet_run_user(&int3, 0);
    check_fault(int3.name, VEC_BP, 0);
    snippet_run_user(&int40, 0);
    if (is_strict()) /* QEMU's TCG gives 0x40 * 16 + 2 */
        check_fault(int40.name, VEC_GP, 0x40 * 8 + 2);
    else
        skip(int40.name, "not on Trapline");
}

/* The user's page without the U bit, and with it but read-only. */
static uint64_t user_store(uint64_t address)
{
    *(volatile uint32_t *)address = 1;
    return *(volatile uint32_t *)address;
}

static void check_page_faults(void)
{
    guest_map(GUEST_WINDOW, (uint64_t)scratch, PTE_P | PTE_W);
    guest_user(user_store, GUEST_WINDOW, 0, NULL);
    check_fault("store to a supervisor page", VEC_PF, PF_P | PF_W | PF_U);
    check_equal("... with its address in CR2", guest_fault()->cr2, GUEST_WINDOW);
    guest_map(GUEST_WINDOW, (uint64_t)scratch, PTE_P | PTE_U);
    guest_user(user_store, GUEST_WINDOW, 0, NULL);
    check_fault("store to a read-only page", VEC_PF, PF_P | PF_W | PF_U);
    guest_map(GUEST_WINDOW, (uint64_t)scratch, PTE_P | PTE_U | PTE_W);
    guest_user(user_store, GUEST_WINDOW, 0, NULL);
    check_no_fault("store to a user page");
    guest_map(GUEST_WINDOW, 0, 0);
}

extern const uint8_t user_syscall[], syscall_entry[], user_sysenter[], sysenter_entry[];
__asm__(".text\n"
        "user_syscall:\n mov $0x1111, %eax\n syscall\n ret\n"
        /* At level 0: RCX is where to return to, R11 the flags. */
        "syscall_entry:\n add $0x2222, %eax\n mov %cs, %edx\n sysretq\n"
        "user_sysenter:\n mov %rsp, %rcx\n lea 1f(%rip), %rdx\n mov $0x3333, %eax\n sysenter\n"
        "1: ret\n"
        "sysenter_entry:\n add $0x4444, %eax\n rex.w sysexit\n");

static void check_fast_calls(void)
{
    uint64_t efer = rdmsr(MSR_EFER), result = 0;
    const unsigned at = GDT_ENTRIES - 8;

    wrmsr(MSR_EFER, efer | EFER_SCE);
    wrmsr(MSR_STAR, (uint64_t)(SEL_USER_CODE32) << 48 | (uint64_t)SEL_CODE64 << 32);
    wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
    wrmsr(MSR_FMASK, FLAG_IF | FLAG_TF);
    guest_user((uint64_t (*)(uint64_t))(void *)user_syscall, 0, 0, &result);
    check(guest_fault()->vector == NO_FAULT && result == 0x3333, "SYSCALL and SYSRET",
          "vector %d, result 0x%lx", (int)guest_fault()->vector, result);
    wrmsr(MSR_EFER, efer);
    if (!is_intel()) {
        skip("SYSENTER and SYSEXIT", "not an Intel processor");
        return;
    }
    /* SYSEXIT takes CS and SS at +32 and +40 of SYSENTER_CS: at the end of the table they stand in
     * that order. */
    guest_gdt[at] = guest_gdt[SEL_CODE64 / 8];
    guest_gdt[at + 1] = guest_gdt[SEL_DATA / 8];
    guest_gdt[at + 4] = guest_gdt[SEL_USER_CODE64 / 8];
    guest_gdt[at + 5] = guest_gdt[SEL_USER_DATA / 8];
    wrmsr(MSR_SYSENTER_CS, at * 8);
    wrmsr(MSR_SYSENTER_EIP, (uint64_t)sysenter_entry);
    wrmsr(MSR_SYSENTER_ESP, (uint64_t)scratch + PAGE_BYTES);
    guest_user((uint64_t (*)(uint64_t))(void *)user_sysenter, 0, 0, &result);
    check(guest_fault()->vector == NO_FAULT && result == 0x7777, "SYSENTER and SYSEXIT",
          "vector %d, result 0x%lx", (int)guest_fault()->vector, result);
    wrmsr(MSR_SYSENTER_CS, 0);
}

static uint64_t user_unaligned(uint64_t address)
{
    return *(volatile uint32_t *)(address + 1);
}

static void check_alignment(void)
{
    uint64_t cr0 = read_cr0();

    write_cr0(cr0 | CR0_AM);
    guest_user(user_unaligned, (uint64_t)scratch, FLAG_AC, NULL);
    if (is_strict())
        check_fault("alignment check", VEC_AC, 0);
    else
        skip("alignment check", "not on Trapline");
    guest_user(user_unaligned, (uint64_t)scratch, 0, NULL);
    check_no_fault("no alignment check without RFLAGS.AC");
    write_cr0(cr0);
}

void test_user(void)
{
    guest_user_open(true);
    check_privileged();
    check_undefined();
    check_ports();
    check_tsd();
    check_umip();
    check_gates();
    check_page_faults();
    check_fast_calls();
    check_alignment();
    guest_user_open(false);
}
