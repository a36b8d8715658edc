; debug-exit STATUS: writes STATUS (0 to 255) to the debug-exit port 0xf4 and ends.
; Trapline and QEMU's isa-debug-exit end the machine there and then; on other machines nothing
; happens. A program of its own because the cloud kernel has no /dev/port. Static, without libc;
; system call numbers are those of Linux on x86-64.
bits 64
default rel

SYS_IOPERM  equ 173
SYS_EXIT    equ 60
DEBUG_PORT  equ 0xf4

section .text
global _start
_start:
    cmp     qword [rsp], 2          ; argc
    jne     .usage
    mov     rsi, [rsp + 16]         ; argv[1]
    xor     ebx, ebx
.digit:
    movzx   eax, byte [rsi]
    test    al, al
    jz      .write
    sub     eax, '0'
    cmp     eax, 9
    ja      .usage
    imul    ebx, ebx, 10
    add     ebx, eax
    cmp     ebx, 255
    ja      .usage
    inc     rsi
    jmp     .digit
.write:
    mov     eax, SYS_IOPERM
    mov     edi, DEBUG_PORT
    mov     esi, 1
    mov     edx, 1
    syscall
    test    eax, eax
    js      .refused
    mov     eax, ebx
    out     DEBUG_PORT, al
    xor     edi, edi
    jmp     .end
.usage:
    mov     edi, 2
    jmp     .end
.refused:
    mov     edi, 1
.end:
    mov     eax, SYS_EXIT
    syscall
