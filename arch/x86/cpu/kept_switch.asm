; From firmware's stack to ours, and back to the same place.
;
; Not here: every other register (kept_state.c). Interrupts are off on the way in both directions.
;
; System V ABI, "Registers" (those that a function keeps), "The Stack Frame".

default rel
bits 64
section .text

; void kept_call(uint64_t *saved_rsp, uint64_t stack_top, void (*next)(void *), void *argument)
global kept_call:function hidden
kept_call:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    mov     [rdi], rsp
    mov     rsp, rsi
    xor     ebp, ebp
    mov     rdi, rcx
    call    rdx
    ud2                         ; the way back is kept_return

; void kept_return(uint64_t rsp): as if kept_call returned
global kept_return:function hidden
kept_return:
    mov     rsp, rdi
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    cld
    ret

section .note.GNU-stack noalloc noexec nowrite progbits
