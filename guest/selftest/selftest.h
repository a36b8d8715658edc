/*
 * The checks of a virtual machine from inside. Each is written from the SDM or a data sheet, whose
 * section the file names.
 *
 * Output: `ok N - name`, `not ok N - name: what was seen`, `skip N - name: why`; at the end
 * `N passed, N failed, N skipped`. The machine ends with the number of failures (at most 250).
 */
#ifndef SELFTEST_H
#define SELFTEST_H

#include "guest.h"

/* Prints one line; the format says what was seen, and is printed on failure only. */
void check(bool ok, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void skip(const char *name, const char *why);

/* The exception that *guest_fault() tells: vector (NO_FAULT: none), and error code. */
void check_fault(const char *name, uint32_t vector, uint32_t error);
void check_no_fault(const char *name);
void check_equal(const char *name, uint64_t seen, uint64_t expected);
/* `seen` within `permille` of `expected`. */
void check_near(const char *name, uint64_t seen, uint64_t expected, unsigned permille);

/* Whose machine it is: emulators differ from the SDM in places; checks of such places are made only
 * where is_strict() is true: on Trapline, or without any hypervisor signature. */
bool is_strict(void);
bool is_trapline(void);
/* Skips the check where is_strict() is false, and says so. */
bool lenient_skip(const char *name);
bool is_intel(void);
bool has_ecx1(unsigned bit);
bool has_edx1(unsigned bit);
bool has_ebx7(unsigned bit);
bool has_ecx7(unsigned bit);
uint32_t cpuid_max(uint32_t range); /* 0, 0x40000000, 0x80000000 */

/* Probes: the instruction, with what it raised in *guest_fault(). */
uint64_t probe_rdmsr(uint32_t msr);
void probe_wrmsr(uint32_t msr, uint64_t value);
void probe_cr0(uint64_t value);
void probe_cr3(uint64_t value);
void probe_cr4(uint64_t value);
void probe_cr8(uint64_t value);
void probe_dr7(uint64_t value);
void probe_dr6(uint64_t value);
void probe_xsetbv(uint32_t index, uint64_t value);
uint32_t probe_read32(uint64_t address);
void probe_write32(uint64_t address, uint32_t value);

/* Machine code given as bytes, run with RAX = RCX = RDX = 0 and RDI at a zeroed buffer of 64 bytes;
 * it must keep RSP. Exceptions are caught. */
struct snippet {
    const char *name;
    uint8_t bytes[16];
    uint8_t length;
};
#define SNIPPET(name, ...)                                                                         \
    { name, { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }) }
void snippet_run(const struct snippet *snippet);
/* At privilege level 3, with these flags (IOPL). */
void snippet_run_user(const struct snippet *snippet, uint64_t flags);
extern uint8_t snippet_code[64], snippet_operand[64];

/* A page of our own, for whatever a check needs. */
extern uint8_t scratch[2 * PAGE_BYTES];

/* --- interrupts --- */
#define TEST_VECTOR 0x61u
/* Counts interrupts of TEST_VECTOR (and of any other vector that it is set for) and ends them at
 * the local APIC. */
void count_interrupt(struct trap_frame *frame);
extern volatile uint32_t interrupt_count;
extern volatile uint64_t interrupt_tsc; /* of the last one */
/* Lets interrupts in until interrupt_count reaches `wanted`, at most so long; returns whether it
 * did. */
bool wait_interrupts(uint32_t wanted, uint64_t microseconds);
/* Lets in whatever is pending: STI and a few instructions. */
void let_in(void);

/* --- sections: test_<name>.c --- */
void test_cpuid(void);
void test_msr(void);
void test_mtrr(void);
void test_cr(void);
void test_xsave(void);
void test_insn(void);
void test_user(void);
void test_port(void);
void test_mmio(void);
void test_exception(void);
void test_paging(void);
void test_debug(void);
void test_time(void);
void test_pic(void);
void test_lapic(void);
void test_x2apic(void);
void test_ioapic(void);
void test_device(void);
void test_modes(void);
void test_task(void);
void test_smp(void);
void test_state(void);

#endif
