/*
 * Layouts of descriptors, the TSS and gates, and the selectors of Trapline's own GDT.
 * Only layouts; cpu/descriptors.c fills them. SDM volume 3 "Protected-Mode Memory Management",
 * "Task Management in 64-bit Mode", "64-Bit Mode IDT".
 */
#ifndef X86_DESCRIPTORS_H
#define X86_DESCRIPTORS_H

#include "hv/types.h"

/* Every core's GDT has the same layout, so that host selectors are constants. */
enum host_selector {
    HOST_CS = 0x08,
    HOST_DS = 0x10, /* SS, DS, ES; FS and GS too, with bases of their own */
    HOST_TR = 0x18, /* 16 bytes */
};

enum { HOST_GDT_ENTRIES = 5 };

#define GDT_CODE64 0x00af9b000000ffffull /* present, DPL 0, execute/read, accessed, L */
#define GDT_DATA   0x00cf93000000ffffull /* present, DPL 0, read/write, accessed, G, B */

/* Interrupt-stack-table slots; 0 means "stay on the stack in use". */
enum host_ist { HOST_IST_NMI = 1, HOST_IST_DF = 2, HOST_IST_MC = 3, HOST_IST_SLOTS = 3 };

/* SDM "64-Bit TSS Format". */
struct __attribute__((packed)) x86_tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base; /* beyond the limit: no I/O bitmap */
};

_Static_assert(sizeof(struct x86_tss) == 104, "TR limit 67H is the least that VM exits assume");
_Static_assert(offsetof(struct x86_tss, ist) == 36, "IST1 stands at offset 24H");

struct x86_gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type; /* with P and DPL */
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

_Static_assert(sizeof(struct x86_gate) == 16, "64-bit gates have 16 bytes");

#define GATE_INTERRUPT64 0x8e /* present, DPL 0, interrupt gate: IF is cleared */

struct percpu;

/* Fills this core's GDT and TSS in *cpu. Pure. */
void descriptors_build(struct percpu *cpu);
/* Fills the IDT that all cores share. Boot core, once. */
void idt_build(void);
/* Loads GDTR, the segment registers, TR, IDTR, LDTR (none) and the GS base on this core. After
 * this this_cpu() works and exceptions are ours. */
void descriptors_load(struct percpu *cpu);
/* Has this core done so? */
bool descriptors_are_loaded(void);

#endif
