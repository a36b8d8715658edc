/*
 * Calls into 16-bit and 32-bit code; the way there and back is modes.asm.
 */
#include "guest_internal.h"

enum { KIND_COMPATIBILITY, KIND_PROTECTED, KIND_REAL };
#define REAL_THUNK (GUEST_LOW_PAGE + 0x1000)

static void call(uint32_t code, struct mode_registers *registers, unsigned kind)
{
    uint64_t flags = read_flags();

    cli();
    guest_mode_call(code, registers, kind);
    guest_idt_load();
    write_flags(flags);
}

void guest_real_mode(const void *code, size_t bytes, struct mode_registers *registers)
{
    memcpy((void *)(uint64_t)REAL_THUNK, guest_real_page,
           (size_t)(guest_real_page_end - guest_real_page));
    memcpy((void *)(uint64_t)REAL_THUNK, registers, sizeof(*registers));
    memcpy((void *)(uint64_t)(GUEST_REAL_CODE << 4), code, bytes < PAGE_BYTES ? bytes : PAGE_BYTES);
    call(0, registers, KIND_REAL);
}

void guest_protected_mode(const void *code, struct mode_registers *registers, bool paging)
{
    call((uint32_t)(uint64_t)code, registers, paging ? KIND_COMPATIBILITY : KIND_PROTECTED);
}
