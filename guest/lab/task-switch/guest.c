/* A hardware task switch, from 32-bit protected mode: 64-bit mode has none. */
#include "lab.h"

struct tss32 {
    uint32_t words[26];
};

static struct tss32 new_task __attribute__((aligned(128)));
static uint8_t code[8] __attribute__((aligned(16)));

static void prepare(uint8_t opcode)
{
    uint64_t base = (uint64_t)&new_task;
    const uint16_t selector = SEL_FREE;

    guest_gdt[SEL_FREE / 8] = (sizeof(new_task) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
                              (base >> 24 & 0xff) << 56;
    code[0] = opcode;
    code[5] = (uint8_t)selector;
    code[6] = (uint8_t)(selector >> 8);
}

int guest_main(void)
{
    struct mode_registers registers = { 0 };

    prepare(lab_variant("call") ? 0x9a : 0xea); /* far CALL, far JMP */
    lab_begin();
    guest_protected_mode(code, &registers, false);
    lab_end();
    return 0;
}
