; Register files filled with a pattern, left alone for a while, and looked at again: what a switch
; between virtual processors must keep.
global state_gprs, state_legacy, state_ymm, state_zmm

section .text
bits 64

; uint64_t state_gprs(uint64_t seed, uint64_t rounds): rounds in which a register had changed
state_gprs:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    sub rsp, 128                ; [rsp + 8 n]: the pattern; + 112: rounds; + 120: bad ones
    mov [rsp + 112], rsi
    mov qword [rsp + 120], 0
%assign i 0
%rep 14
    mov [rsp + i * 8], rdi
    imul rdi, rdi, 0x5deece6d
    add rdi, 0xb
%assign i i + 1
%endrep
    mov rax, [rsp]
    mov rbx, [rsp + 8]
    mov rcx, [rsp + 16]
    mov rdx, [rsp + 24]
    mov rsi, [rsp + 32]
    mov rdi, [rsp + 40]
    mov r8, [rsp + 48]
    mov r9, [rsp + 56]
    mov r10, [rsp + 64]
    mov r11, [rsp + 72]
    mov r12, [rsp + 80]
    mov r13, [rsp + 88]
    mov r14, [rsp + 96]
    mov r15, [rsp + 104]
    mov rbp, 0x0f1e2d3c4b5a6978
.round:
    cmp rax, [rsp]
    jne .bad
    cmp rbx, [rsp + 8]
    jne .bad
    cmp rcx, [rsp + 16]
    jne .bad
    cmp rdx, [rsp + 24]
    jne .bad
    cmp rsi, [rsp + 32]
    jne .bad
    cmp rdi, [rsp + 40]
    jne .bad
    cmp r8, [rsp + 48]
    jne .bad
    cmp r9, [rsp + 56]
    jne .bad
    cmp r10, [rsp + 64]
    jne .bad
    cmp r11, [rsp + 72]
    jne .bad
    cmp r12, [rsp + 80]
    jne .bad
    cmp r13, [rsp + 88]
    jne .bad
    cmp r14, [rsp + 96]
    jne .bad
    cmp r15, [rsp + 104]
    jne .bad
    jmp .next
.bad:
    inc qword [rsp + 120]
.next:
    dec qword [rsp + 112]
    jnz .round
    mov rax, 0x0f1e2d3c4b5a6978
    cmp rbp, rax
    mov rax, [rsp + 120]
    je .done
    inc rax
.done:
    add rsp, 128
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

; Waits until the TSC is past RSI; RAX, RDX are used.
%macro wait_tsc 0
%%again:
    rdtsc
    shl rdx, 32
    or rax, rdx
    cmp rax, rsi
    jb %%again
%endmacro

; void state_legacy(void *image, uint64_t until): x87, MXCSR and XMM by an FXSAVE image of 512 bytes
state_legacy:
    fxrstor64 [rdi]
    wait_tsc
    fxsave64 [rdi]
    ret

; void state_ymm(void *registers, uint64_t until): 16 registers of 32 bytes
state_ymm:
%assign i 0
%rep 16
    vmovdqu ymm %+ i, [rdi + i * 32]
%assign i i + 1
%endrep
    wait_tsc
%assign i 0
%rep 16
    vmovdqu [rdi + i * 32], ymm %+ i
%assign i i + 1
%endrep
    vzeroall
    ret

; void state_zmm(void *registers, uint64_t until): 32 registers of 64 bytes, then k0 to k7 of 2
state_zmm:
%assign i 0
%rep 32
    vmovdqu64 zmm %+ i, [rdi + i * 64]
%assign i i + 1
%endrep
%assign i 0
%rep 8
    kmovw k %+ i, [rdi + 2048 + i * 2]
%assign i i + 1
%endrep
    wait_tsc
%assign i 0
%rep 8
    kmovw [rdi + 2048 + i * 2], k %+ i
%assign i i + 1
%endrep
%assign i 0
%rep 32
    vmovdqu64 [rdi + i * 64], zmm %+ i
%assign i i + 1
%endrep
    vzeroall
    ret
