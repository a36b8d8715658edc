; A core's way into the guest and out of this function on the other side.
;
; Not here: everything that happens in between (arch/x86/vmx/thin_core.c, in the copy of the image).
; The guest continues in this image, at .inside, since the copy is hidden from it.
; System V ABI, "Registers", "The Stack Frame".

default rel
bits 64
section .text

global thin_switch:function hidden

; const char *thin_switch(struct percpu *cpu, uint64_t stack_top,
;                         const char *(*enter)(struct percpu *, const struct thin_return *))
; NULL: this is the guest now. Else why not.
thin_switch:
    pushfq
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    cli
    cld
    mov     rbx, rsp            ; kept by the callee
    mov     rcx, rsi
    lea     rax, [.inside]
    push    qword [rsp + 48]    ; struct thin_return: rflags
    push    rbx                 ; rsp
    push    rax                 ; rip
    mov     rsi, rsp
    mov     rsp, rcx
    xor     ebp, ebp
    call    rdx
    mov     rsp, rbx
    jmp     .out
.inside:                        ; RSP as RBX was; no other register has a value
    xor     eax, eax
.out:
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    popfq
    ret

section .note.GNU-stack noalloc noexec nowrite progbits
