/* Runs machine code that is given as bytes. */
#include "selftest.h"

#define OPCODE_RET 0xc3

uint8_t snippet_code[64] __attribute__((aligned(64)));
uint8_t snippet_operand[64] __attribute__((aligned(64)));

static void prepare(const struct snippet *s)
{
    memcpy(snippet_code, s->bytes, s->length);
    snippet_code[s->length] = OPCODE_RET;
    memset(snippet_operand, 0, sizeof(snippet_operand));
}

static void call(void *code)
{
    uint64_t a = 0, c = 0, d = 0;

    __asm__ volatile("call *%[code]"
                     : "+a"(a), "+c"(c), "+d"(d)
                     : [code] "r"(code), "D"(snippet_operand)
                     : "rbx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
}

void snippet_run(const struct snippet *s)
{
    prepare(s);
    guest_catch(call, snippet_code);
}

/* The argument comes in RDI; RAX, RCX and RDX are what the way to user mode left. */
void snippet_run_user(const struct snippet *s, uint64_t flags)
{
    prepare(s);
    guest_user((uint64_t (*)(uint64_t))(void *)snippet_code, (uint64_t)snippet_operand, flags,
               NULL);
}
