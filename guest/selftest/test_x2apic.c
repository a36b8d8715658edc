/* Local APIC in x2APIC mode. SDM volume 3 "Extended XAPIC (x2APIC)". */
#include "selftest.h"

#define X2(reg) (MSR_X2APIC + (reg) / 16)

static void check_faults(const char *name, uint32_t msr, uint64_t value, bool write)
{
    if (write)
        probe_wrmsr(msr, value);
    else
        probe_rdmsr(msr);
    check_fault(name, VEC_GP, 0);
}

static void check_transitions(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    check(base & APIC_BASE_X2APIC && base & APIC_BASE_ENABLE, "x2APIC mode is on", "0x%lx", base);
    check_faults("from x2APIC to xAPIC mode", MSR_APIC_BASE, base & ~APIC_BASE_X2APIC, true);
    check_equal("APIC_BASE is as before", rdmsr(MSR_APIC_BASE), base);
}

static void check_registers(void)
{
    uint32_t id = (uint32_t)rdmsr(X2(APIC_ID));

    check_equal("id is leaf 0BH's", id, cpuid(0xb, 0).edx);
    check_equal("LDR is derived from the id", rdmsr(X2(APIC_LDR)),
                (id >> 4) << 16 | BIT(id & 15));
    check_faults("id is read-only", X2(APIC_ID), 0, true);
    check_faults("LDR is read-only", X2(APIC_LDR), 0, true);
    check_faults("DFR is not there", X2(APIC_DFR), 0, false);
    check_faults("ICR's second half is not there", X2(APIC_ICR_HIGH), 0, false);
    check_faults("EOI is write-only", X2(APIC_EOI), 0, false);
    check_faults("EOI takes 0 only", X2(APIC_EOI), 1, true);
    check_faults("ESR takes 0 only", X2(APIC_ESR), 1, true);
    check_faults("SELF IPI is write-only", X2(APIC_SELF_IPI), 0, false);
    check_faults("TPR reserved bits", X2(APIC_TPR), 0x100, true);
    check_faults("TPR upper half", X2(APIC_TPR), BIT(32), true);
    check_faults("SVR reserved bits", X2(APIC_SVR), BIT(16) | 0x1ff, true);
    check_faults("an unused register", MSR_X2APIC, 0, false);
    check_faults("a register beyond the last", 0x840, 0, false);
    wrmsr(X2(APIC_TPR), 0x35);
    check_equal("TPR is read back", rdmsr(X2(APIC_TPR)), 0x35);
    check_equal("... and seen in CR8", read_cr8(), 3);
    wrmsr(X2(APIC_TPR), 0);
}

static void check_ipi(void)
{
    uint32_t id = (uint32_t)rdmsr(X2(APIC_ID));

    interrupt_count = 0;
    wrmsr(X2(APIC_SELF_IPI), TEST_VECTOR);
    check_equal("requested in IRR",
                rdmsr(X2(APIC_IRR) + TEST_VECTOR / 32) >> TEST_VECTOR % 32 & 1, 1);
    let_in();
    check_equal("SELF IPI", interrupt_count, 1);
    guest_ipi(id, ICR_ASSERT | TEST_VECTOR);
    let_in();
    check_equal("IPI to its own id", interrupt_count, 2);
    guest_ipi((uint32_t)rdmsr(X2(APIC_LDR)), ICR_ASSERT | ICR_LOGICAL | TEST_VECTOR);
    let_in();
    check_equal("IPI to its logical id", interrupt_count, 3);
    guest_ipi(0xffffffff, ICR_ASSERT | TEST_VECTOR);
    let_in();
    check_equal("IPI to all", interrupt_count, 4);
    guest_ipi(0x12345678, ICR_ASSERT | TEST_VECTOR);
    let_in();
    check_equal("IPI to nobody", interrupt_count, 4);
    guest_ipi(0, ICR_SELF | ICR_ASSERT | TEST_VECTOR);
    let_in();
    check_equal("self by shorthand", interrupt_count, 5);
    check_faults("ICR reserved bits", X2(APIC_ICR), BIT(20), true);
}

/* Between STI and CLI stands one instruction, which most hypervisors execute: behind it, and not later,
 * an interrupt that waits is taken. Often enough to meet a hypervisor in all its moods. */
#define WINDOW(name, code)                                                                         \
    do {                                                                                           \
        unsigned missed_ = 0;                                                                      \
        for (unsigned i_ = 0; i_ < 40; i_++) {                                                     \
            interrupt_count = 0;                                                                   \
            wrmsr(X2(APIC_SELF_IPI), TEST_VECTOR);                                                 \
            __asm__ volatile("mov $0x1b, %%ecx; mov $0x1b, %%eax\n"                                \
                             "sti; " code "; cli" : : : "rax", "rbx", "rcx", "rdx", "memory");     \
            missed_ += interrupt_count != 1;                                                       \
            let_in();                                                                              \
        }                                                                                          \
        check_equal(name, missed_, 0);                                                             \
    } while (0)

static void check_windows(void)
{
    WINDOW("an interrupt comes in over NOP", "nop");
    WINDOW("... over CPUID", "cpuid");
    WINDOW("... over RDMSR", "rdmsr");
    WINDOW("... over IN", "in $0x61, %%al");
    WINDOW("... over OUT", "out %%al, $0x80");
    WINDOW("... over WBINVD", "wbinvd");
}

static void check_timer(void)
{
    uint64_t start;

    interrupt_count = 0;
    wrmsr(X2(APIC_TIMER_DIVIDE), APIC_DIVIDE_BY_1);
    wrmsr(X2(APIC_LVT_TIMER), APIC_TIMER_PERIODIC | TEST_VECTOR);
    start = rdtsc();
    wrmsr(X2(APIC_TIMER_INITIAL), 50000);
    wait_interrupts(5, 1000000);
    wrmsr(X2(APIC_TIMER_INITIAL), 0);
    check(interrupt_count >= 5, "periodic timer", "%u after %lu ticks", interrupt_count,
          rdtsc() - start);
    wrmsr(X2(APIC_LVT_TIMER), APIC_LVT_MASKED);
    let_in();
    if (!has_ecx1(24))
        return;
    interrupt_count = 0;
    wrmsr(X2(APIC_LVT_TIMER), APIC_TIMER_TSC_DEADLINE | TEST_VECTOR);
    for (unsigned i = 1; i <= 10; i++) {
        wrmsr(MSR_TSC_DEADLINE, rdtsc() + guest_us(100));
        sti_hlt();
        wait_interrupts(i, 100000);
    }
    check_equal("10 TSC deadlines in HLT", interrupt_count, 10);
    wrmsr(X2(APIC_LVT_TIMER), APIC_LVT_MASKED);
}

void test_x2apic(void)
{
    bool before = guest_x2apic();

    if (!guest_x2apic_set(true)) {
        skip("x2APIC", "not there");
        return;
    }
    guest_apic_enable();
    guest_trap_set(TEST_VECTOR, count_interrupt);
    check_transitions();
    check_registers();
    check_ipi();
    check_windows();
    check_timer();
    guest_trap_set(TEST_VECTOR, NULL);
    if (before)
        return;
    check(guest_x2apic_set(false), "back to xAPIC mode over off", "0x%lx", rdmsr(MSR_APIC_BASE));
    check_equal("... which resets it", mmio_read32(0xfee00000 + APIC_LVT_TIMER), APIC_LVT_MASKED);
}
