/* Each kind of access to guest-physical memory that the EPT do not allow. */
#include "lab.h"

#define TABLES (LAB_MEMORY + 0x100000)
#define OTHER_TREE 0x10000000000ull /* a PML4 entry of its own */

static void write_it(void)
{
    __asm__ volatile("movl %%ecx, (%%rbx)" : : "b"(LAB_MEMORY), "c"(7) : "memory");
}

static uint32_t read_it(uint64_t address)
{
    uint32_t value;

    __asm__ volatile("movl (%%rbx), %%eax" : "=a"(value) : "b"(address) : "memory");
    return value;
}

static void call_it(void *unused)
{
    (void)unused;
    __asm__ volatile("call *%%rbx" : : "b"(LAB_MEMORY) : "memory");
}

/* A second tree of page tables, all in the 4 KB that the EPT do not let through. */
static void make_tables(void)
{
    uint64_t *table = (uint64_t *)TABLES;

    table[0] = TABLES | PTE_P | PTE_W;              /* it is its own next level */
    guest_pml4[OTHER_TREE >> 39] = TABLES | PTE_P | PTE_W;
}

int guest_main(void)
{
    *(uint8_t *)LAB_MEMORY = 0xc3; /* RET */
    make_tables();
    lab_begin();
    lab_stage(1);
    if (lab_variant("write"))
        write_it();
    else if (lab_variant("fetch"))
        call_it(NULL);
    else if (lab_variant("page-walk") || lab_variant("page-walk-write") ||
             lab_variant("page-walk-dirty"))
        (void)read_it(OTHER_TREE);
    else if (lab_variant("device"))
        lab_value("version", read_it(0xfee00030));
    else
        lab_value("read", read_it(LAB_MEMORY));
    lab_end();
    return 0;
}
