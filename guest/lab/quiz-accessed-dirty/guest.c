/*
 * The quiz on accessed and dirty flags (docs/exam.md, Q19), carried out by the processor: its page
 * tables, its function at linear address 7020H, byte for byte where the bytes are printed.
 */
#include "lab.h"

#define TABLES (LAB_MEMORY + 0x100000)
#define PML4 ((uint64_t *)TABLES)
#define PDPT ((uint64_t *)(TABLES + 0x1000))
#define PD ((uint64_t *)(TABLES + 0x2000))
#define PT ((uint64_t *)(TABLES + 0x3000))
#define FUNCTION 0x7020u

static const struct { uint16_t linear; uint32_t physical; } pages[] = {
    { 0x1, 0x12000 }, { 0x2, 0x14000 }, { 0x4, 0x13000 },
    { 0x5, 0x9000 },  { 0x6, 0x6000 },  { 0x7, 0x7000 },
};

static const uint8_t function[] = {
    0x48, 0x8b, 0x04, 0x25, 0x18, 0x16, 0x00, 0x00, /* mov 0x1618, %rax */
    0x48, 0x89, 0xc3,                               /* mov %rax, %rbx */
    0x48, 0x89, 0x04, 0x25, 0x28, 0x41, 0x00, 0x00, /* mov %rax, 0x4128 */
    0x48, 0x09, 0x3c, 0x25, 0x50, 0x51, 0x00, 0x00, /* or %rdi, 0x5150 */
    0x48, 0xc7, 0xc0, 0x20, 0x24, 0x00, 0x00,       /* mov $0x2420, %rax */
    0x85, 0x38,                                     /* test %edi, (%rax), as the bytes have it */
    0x83, 0x34, 0x25, 0x00, 0x61, 0x00, 0x00, 0x00, /* xorl $0, 0x6100 */
    0xc3,
};

/* The same function with `test %edi, %eax`, as the text of the quiz has it. */
static void as_text(void)
{
    ((uint8_t *)FUNCTION)[sizeof(function) - 10] = 0xf8;
}

static void build(void)
{
    memset(PML4, 0, 0x4000);
    PML4[0] = (uint64_t)PDPT | PTE_P | PTE_W | PTE_A;
    PDPT[0] = (uint64_t)PD | PTE_P | PTE_W | PTE_A;
    PD[0] = (uint64_t)PT | PTE_P | PTE_W | PTE_A;
    /* This program itself, with its flags set already. */
    PD[0x100000 >> 21] = (uint64_t)PT | PTE_P | PTE_W | PTE_A;
    for (unsigned i = 256; i < 512; i++)
        PT[i] = (uint64_t)i << 12 | PTE_P | PTE_W | PTE_A | PTE_D;
    for (unsigned i = 0; i < ARRAY_COUNT(pages); i++)
        PT[pages[i].linear] = pages[i].physical | PTE_P | PTE_W;
    memcpy((void *)(uint64_t)FUNCTION, function, sizeof(function));
    *(volatile uint64_t *)0x12618 = 0;
    *(volatile uint64_t *)0x14420 = 0;
}

static void run(void)
{
    uint64_t before = read_cr3();

    write_cr3((uint64_t)PML4);
    __asm__ volatile("call *%%rdx" : : "d"((uint64_t)FUNCTION), "D"(1ull)
                     : "rax", "rbx", "memory", "cc");
    write_cr3(before);
}

static void report(void)
{
    static char name[] = "guest-1000";

    for (unsigned i = 0; i < ARRAY_COUNT(pages); i++) {
        name[6] = (char)('0' + pages[i].linear);
        lab_value(name, PT[pages[i].linear] >> 5 & 3); /* 1: A, 2: D */
    }
}

int guest_main(void)
{
    build();
    if (lab_variant("as-text"))
        as_text();
    lab_begin();
    lab_stage(1);
    run();
    lab_end();
    report();
    return 0;
}
