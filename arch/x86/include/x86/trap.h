/*
 * Exceptions, NMIs and interrupts that hit the hypervisor itself.
 * Not here: what the guest gets. SDM volume 3 "Interrupt and Exception Handling".
 */
#ifndef X86_TRAP_H
#define X86_TRAP_H

#include "hv/types.h"

/* What cpu/traps.asm pushes, from the lowest address up. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector;
    uint64_t error; /* 0 where the processor pushes none */
    uint64_t rip, cs, rflags, rsp, ss;
};

_Static_assert(sizeof(struct trap_frame) == 22 * 8, "15 registers, 2 words, 5 from the processor");

/* Interrupt vectors of the host. Device interrupts may use HOST_VECTOR_DEVICE_FIRST to _LAST. */
enum host_vector {
    HOST_VECTOR_PIC_MASTER = 0x20, /* 8259A, all masked: only spurious ones arrive */
    HOST_VECTOR_PIC_SLAVE = 0x28,
    HOST_VECTOR_DEVICE_FIRST = 0x30,
    HOST_VECTOR_DEVICE_LAST = 0xef,
    HOST_VECTOR_TIMER = 0xf0,
    HOST_VECTOR_KICK = 0xf1,
    HOST_VECTOR_POSTED = 0xf2, /* to a guest that runs: posted.c */
    HOST_VECTOR_APIC_ERROR = 0xfe,
    HOST_VECTOR_SPURIOUS = 0xff, /* low four bits set, as old APICs force them */
};

typedef void host_irq_handler(unsigned vector);

/* Names the handler of a vector (32 to 255) on every core. It runs with interrupts off, before the
 * EOI. HV_ERR_RANGE: an exception's vector; HV_ERR_EXISTS: taken. Boot core, before others run. */
enum hv_err host_irq_register(unsigned vector, host_irq_handler *handler) HV_MUST_CHECK;

/* Runs the handler of an interrupt that a VM exit has acknowledged, or that cpu/traps.asm was entered
 * by, and sends the EOI. Interrupts are off. A vector without a handler is counted and acknowledged. */
void host_irq_dispatch(unsigned vector);

/* Sleeps until an interrupt or NMI, unless *unless is not 0 when interrupts are opened. Interrupts
 * are off before and after. */
void idle_until_interrupt(const uint32_t *unless);

/* The exception or NMI that cpu/traps.asm was entered by. */
void trap_dispatch(struct trap_frame *frame);

#endif
