/*
 * The GDT and TSS of each core and the IDT of all.
 *
 * Not here: what the vectors do (traps.c). Lock: none; each core loads its own.
 * SDM volume 3 "Segment Descriptors", "TSS Descriptor in 64-bit mode", "64-Bit Mode IDT".
 */
#include "x86/descriptors.h"

#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/percpu.h"
#include "x86/regs.h"

#define IDT_VECTORS 256
#define STUB_BYTES 16 /* traps.asm aligns each stub to this */

extern const uint8_t trap_stubs[IDT_VECTORS * STUB_BYTES];

/* Boot-once: filled before the first LIDT. */
static struct x86_gate host_idt[IDT_VECTORS];

void descriptors_build(struct percpu *cpu)
{
    uint64_t tss = (uint64_t)&cpu->tss;
    uint64_t limit = sizeof(cpu->tss) - 1;

    cpu->gdt[0] = 0;
    cpu->gdt[HOST_CS / 8] = GDT_CODE64;
    cpu->gdt[HOST_DS / 8] = GDT_DATA;
    /* Present, DPL 0, type 9: available 64-bit TSS. LTR makes it busy. */
    cpu->gdt[HOST_TR / 8] = limit | (tss & 0xffffff) << 16 | UINT64_C(0x89) << 40 |
                            (tss >> 24 & 0xff) << 56;
    cpu->gdt[HOST_TR / 8 + 1] = tss >> 32;
    cpu->tss.io_map_base = sizeof(cpu->tss);
}

static uint8_t gate_ist(unsigned vector)
{
    switch (vector) {
    case X86_EXC_NMI:
        return HOST_IST_NMI;
    case X86_EXC_DF:
        return HOST_IST_DF;
    case X86_EXC_MC:
        return HOST_IST_MC;
    default:
        return 0;
    }
}

void idt_build(void)
{
    for (unsigned vector = 0; vector < IDT_VECTORS; vector++) {
        uint64_t entry = (uint64_t)trap_stubs + vector * STUB_BYTES;
        host_idt[vector] = (struct x86_gate){
            .offset_low = (uint16_t)entry,
            .selector = HOST_CS,
            .ist = gate_ist(vector),
            .type = GATE_INTERRUPT64,
            .offset_middle = (uint16_t)(entry >> 16),
            .offset_high = (uint32_t)(entry >> 32),
        };
    }
}

void descriptors_load(struct percpu *cpu)
{
    struct x86_table_register gdt = { sizeof(cpu->gdt) - 1, (uint64_t)cpu->gdt };
    struct x86_table_register idt = { sizeof(host_idt) - 1, (uint64_t)host_idt };

    lgdt(&gdt);
    write_cs(HOST_CS);
    write_ss(HOST_DS);
    write_ds(HOST_DS);
    write_es(HOST_DS);
    write_fs(HOST_DS);
    write_gs(HOST_DS);
    wrmsr(MSR_IA32_FS_BASE, 0);
    wrmsr(MSR_IA32_GS_BASE, (uint64_t)cpu); /* after the selector, which zeroes it */
    lldt(0);
    ltr(HOST_TR);
    lidt(&idt);
}

bool descriptors_are_loaded(void)
{
    return sidt().base == (uint64_t)host_idt;
}
