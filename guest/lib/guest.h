/*
 * What every guest program stands on: it is started from a multiboot 1 loader, runs in 64-bit mode
 * with the first 4 GB mapped one to one, and has output, traps that it can survive, time,
 * interrupt controllers, other processors, and a way to end with a status.
 *
 * A program defines guest_main(); its result is the status that the machine ends with.
 * Interrupts are off when it starts, both interrupt controllers are masked, and the local APIC is
 * as the firmware or the loader left it.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "insn.h"
#include "x86.h"

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GUEST_MAX_CPUS 8u
#define PAGE_BYTES 4096u

/* Selectors. Order of the user ones: SYSRET's. */
enum {
    SEL_CODE64 = 0x08, SEL_DATA = 0x10, SEL_CODE32 = 0x18, SEL_CODE16 = 0x20, SEL_DATA16 = 0x28,
    SEL_USER_CODE32 = 0x33, SEL_USER_DATA = 0x3b, SEL_USER_CODE64 = 0x43, SEL_TSS = 0x50,
    SEL_FREE = 0x50 + 16 * 8, /* the rest of the table is the program's */
    GDT_ENTRIES = 64,
};
extern uint64_t guest_gdt[GDT_ENTRIES];

/* --- the program's own --- */
int guest_main(void);

/* --- start: what the loader said --- */
struct guest_boot {
    uint32_t magic;
    uint32_t flags;
    uint32_t mem_lower_kb, mem_upper_kb;
    char cmdline[512]; /* cut there; empty if there is none */
};
extern struct guest_boot guest_boot;
#define MULTIBOOT_MAGIC 0x2badb002u

/* The value of `name=value` on the command line, or NULL; it ends at a blank. */
const char *guest_option(const char *name, size_t *length);

/* --- output: COM1, polled; each wait has a bound --- */
void guest_putc(char c);
void guest_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void guest_vprint(const char *format, va_list args);

/* --- end --- */
/* Ends the machine with the low byte of `status`; never returns. Under QEMU the exit status is
 * (status << 1) | 1. Where port 0xf4 does nothing the machine is powered off by ACPI. */
void guest_exit(unsigned status) __attribute__((noreturn));

/* --- traps --- */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
typedef void trap_handler(struct trap_frame *frame);

#define NO_FAULT 0xffffffffu
struct guest_fault {
    uint32_t vector; /* NO_FAULT: none */
    uint32_t error;
    uint64_t rip, cs, rflags, rsp, cr2, dr6;
};

/* A handler for a vector, on every processor; NULL: none. Handlers of interrupts end them
 * themselves (guest_eoi). Without a handler an exception ends the program, unless a probe or
 * guest_catch waits for it; an interrupt from 32 up is counted, ended at the local APIC, and
 * nothing else. */
void guest_trap_set(unsigned vector, trap_handler *handler);
extern volatile uint32_t guest_unexpected[256]; /* interrupts without a handler */

/* Runs fn(arg); true if an exception without a handler ended it, which guest_fault() then tells. */
bool guest_catch(void (*fn)(void *), void *arg);

/* What happened last on this processor; guest_fault_clear() forgets it. */
struct guest_fault *guest_fault(void);
void guest_fault_clear(void);

/* As guest_catch, with fn run at privilege level 3 on a stack of its own, with `flags` (IOPL and
 * the like); it ends when it returns. Everything that it touches must be mapped for user mode:
 * guest_user_open() opens the first 4 GB. */
bool guest_user(uint64_t (*fn)(uint64_t), uint64_t arg, uint64_t flags, uint64_t *result);

/* The processor's table of interrupt gates, to be changed at one's own risk. */
struct idt_gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, zero;
};
extern struct idt_gate guest_idt[256];
void guest_idt_load(void);

/* 64-bit task state segment; SDM volume 3 "64-Bit Task State Segment". */
struct tss64 {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map;
    uint8_t io_bits[8192 + 1];
} __attribute__((packed));
extern struct tss64 guest_tss[GUEST_MAX_CPUS];

/* Number of this processor, 0: the first. From the task register: it works in every handler. */
unsigned guest_cpu(void);

/* --- memory --- */
#define GUEST_WINDOW UINT64_C(0x8000000000) /* virtual: nothing is mapped there at first */

/* Maps one 4 KB page below GUEST_WINDOW + 2 MB; flags as in a page-table entry; 0 unmaps. */
void guest_map(uint64_t virtual, uint64_t physical, uint64_t flags);
uint64_t *guest_pte(uint64_t virtual);
/* Sets or clears the U bit over the first 4 GB. */
void guest_user_open(bool open);
extern uint64_t guest_pml4[512];

void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *s);

/* --- time --- */
extern uint64_t guest_tsc_hz; /* measured against counter 2 of the PIT */
uint64_t guest_measure_tsc_hz(unsigned milliseconds); /* the least of several such times */
uint64_t guest_us(uint64_t microseconds); /* in TSC ticks */
void guest_delay_us(uint64_t microseconds);
/* Spins until *flag is not 0, at most so long; returns *flag != 0. */
bool guest_wait(volatile uint32_t *flag, uint64_t microseconds);
#define PIT_HZ 1193182u
#define PM_TIMER_HZ 3579545u

/* --- interrupt controllers --- */
/* ICW1-4 with these vector bases (multiples of 8), everything masked. */
void guest_pic_init(uint8_t master, uint8_t slave);
void guest_pic_mask(uint16_t masked); /* bit n: IRn; the cascade needs bit 2 clear */
void guest_pic_eoi(unsigned irq);
#define PIC_BASE 0x20u /* after start */
#define PIC_SLAVE_BASE 0x28u

uint64_t guest_apic_base(void);
bool guest_x2apic(void); /* is it in x2APIC mode? */
uint32_t guest_apic_read(unsigned reg);
void guest_apic_write(unsigned reg, uint32_t value);
uint32_t guest_apic_id(void);
void guest_apic_enable(void); /* software-enables it: SVR with vector 0xff */
void guest_eoi(void);
/* Sends an IPI; xAPIC: waits for idle. `to` is an APIC id (or logical destination). */
void guest_ipi(uint32_t to, uint32_t command);
/* False if the processor has no x2APIC or is not in the mode asked for afterwards. */
bool guest_x2apic_set(bool on);

uint32_t guest_ioapic_read(unsigned reg);
void guest_ioapic_write(unsigned reg, uint32_t value);
void guest_ioapic_route(unsigned pin, uint32_t low, uint32_t apic_id);

uint8_t guest_cmos_read(uint8_t index);
void guest_cmos_write(uint8_t index, uint8_t value);

/* --- other processors --- */
/* INIT-SIPI-SIPI to all others; returns how many processors there are then, this one included. */
unsigned guest_smp_start(void);
extern volatile unsigned guest_cpu_count;
extern uint32_t guest_cpu_apic_id[GUEST_MAX_CPUS];
/* Lets another processor run fn(arg); it waits for work by spinning. False: it did not take it. */
bool guest_cpu_run(unsigned cpu, void (*fn)(void *), void *arg);
/* Waits for the end of it, at most so long. */
bool guest_cpu_wait(unsigned cpu, uint64_t microseconds);
/* INIT, and start-up from the beginning; the processor keeps its number. guest_cpu_stop() is the
 * first half. */
void guest_cpu_stop(unsigned cpu);
bool guest_cpu_restart(unsigned cpu);
/* Page whose number is the start-up vector, with the code that starts a processor. */
#define GUEST_LOW_PAGE 0x70000u

/* --- 16-bit and 32-bit code --- */
struct mode_registers {
    uint32_t eax, ebx, ecx, edx, esi, edi, ebp, eflags;
};
/* Runs a piece of 16-bit code in real-address mode, at GUEST_REAL_CODE:0, DS=ES=GUEST_REAL_DATA,
 * interrupts off; it returns by RETF. At most 4 KB are copied. Registers go in and out. */
void guest_real_mode(const void *code, size_t bytes, struct mode_registers *registers);
#define GUEST_REAL_CODE 0x7200u /* segments */
#define GUEST_REAL_DATA 0x7300u
#define GUEST_REAL_STACK 0x7400u
/* Calls 32-bit code, flat segments, in the given mode; it returns by RETF. The code must lie below
 * 4 GB. `paging` false: protected mode without paging; true: compatibility mode. */
void guest_protected_mode(const void *code, struct mode_registers *registers, bool paging);

#endif
