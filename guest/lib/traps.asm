; Entry of every vector, and the three ways in and out that C cannot write: catching an exception,
; running code at privilege level 3, and the end of either.
%include "layout.inc"

extern guest_trap
global guest_trap_entries, guest_catch_enter, guest_user_enter, guest_landing, guest_user_return

section .text
bits 64

; One stub of 16 bytes for each vector. Those with an error code: SDM volume 3, "Exception and
; Interrupt Reference".
align 16
guest_trap_entries:
%assign vector 0
%rep 256
    align 16
%if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
    vector == 29 || vector == 30
%else
    push 0
%endif
    push vector
    jmp near trap_common
%assign vector vector + 1
%endrep

trap_common:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    mov rbx, rsp
    and rsp, -16
    call guest_trap
    mov rsp, rbx
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16
    iretq

%macro save 0
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    pushfq
%endmacro

; bool guest_catch_enter(void (*fn)(void *), void *arg, uint64_t *stack_pointer)
guest_catch_enter:
    save
    mov [rdx], rsp
    mov rax, rdi
    mov rdi, rsi
    call rax
    xor eax, eax
    ; the trap handler returns here with the stack pointer stored above and its verdict in RAX
guest_landing:
    popfq
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

; bool guest_user_enter(fn, arg, uint64_t *stack_pointer, uint64_t flags, uint64_t user_stack)
guest_user_enter:
    save
    mov [rdx], rsp
    push SEL_USER_DATA
    push r8
    push rcx
    push SEL_USER_CODE64
    push rdi
    mov rdi, rsi
    iretq

; Where a function that ran at privilege level 3 returns to: its result is in RAX.
guest_user_return:
    int 0x80
    ud2
