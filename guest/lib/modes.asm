; Out of 64-bit mode and back: compatibility mode, protected mode without paging, real-address mode.
; One processor at a time: what has to survive stands in memory, since the upper halves of the
; registers need not.
; SDM volume 3 "Switching Out of IA-32e Mode Operation", "Switching Back to Real-Address Mode".
%include "layout.inc"

extern guest_pml4
global guest_mode_call, guest_real_page, guest_real_page_end

section .bss
alignb 8
saved_rsp: resq 1
target: resd 1                  ; far pointer
        resw 1
alignb 8
registers: resd 1               ; struct mode_registers
kind: resd 1

%define KIND_COMPATIBILITY 0
%define KIND_PROTECTED 1
%define KIND_REAL 2

section .text
bits 64
; void guest_mode_call(uint32_t code, struct mode_registers *, unsigned kind). Interrupts off.
guest_mode_call:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [saved_rsp], rsp
    mov [target], edi
    mov word [target + 4], SEL_CODE32
    mov [registers], esi
    mov [kind], edx
    push SEL_CODE32
    push in32
    retfq

bits 32
in32:
    mov ax, SEL_DATA
    mov ss, ax
    mov ds, ax
    mov es, ax
    mov esp, [saved_rsp]
    cmp dword [kind], KIND_COMPATIBILITY
    jne .leave
    call call_target
    jmp back_to_64
.leave:
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov ecx, MSR_EFER
    rdmsr
    and eax, ~EFER_LME
    wrmsr
    mov eax, cr4
    and eax, ~0x20              ; PAE
    mov cr4, eax
    cmp dword [kind], KIND_REAL
    je .real
    call call_target
    jmp enter_long
.real:
    jmp SEL_CODE16:(real_entry - guest_real_page + REAL_THUNK - LOW_PAGE)
from_real:
    mov ax, SEL_DATA
    mov ss, ax
    mov ds, ax
    mov es, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    mov esp, [saved_rsp]
    mov edi, [registers]
    mov esi, REAL_THUNK + (real_registers - guest_real_page)
    mov ecx, 8
    rep movsd
enter_long:
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, guest_pml4
    mov cr3, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_LME
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
back_to_64:
    jmp SEL_CODE64:back64

; Calls the far pointer in `target` with *registers.
call_target:
    mov esi, [registers]
    mov eax, [esi]
    mov ebx, [esi + 4]
    mov ecx, [esi + 8]
    mov edx, [esi + 12]
    mov edi, [esi + 20]
    mov ebp, [esi + 24]
    mov esi, [esi + 16]
    call far [target]
    pushfd
    push esi
    mov esi, [registers]
    mov [esi], eax
    mov [esi + 4], ebx
    mov [esi + 8], ecx
    mov [esi + 12], edx
    pop dword [esi + 16]
    mov [esi + 20], edi
    mov [esi + 24], ebp
    pop dword [esi + 28]
    cld
    ret

bits 64
back64:
    mov ax, SEL_DATA
    mov ss, ax
    mov ds, ax
    mov es, ax
    mov rsp, [saved_rsp]
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

; Copied to REAL_THUNK, with the registers for the code put in by the caller.
section .rodata
bits 16
guest_real_page:
real_registers: times 8 dd 0
real_entry:                     ; 16-bit protected mode, CS based at LOW_PAGE
    mov ax, SEL_DATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    mov eax, cr0
    and eax, ~CR0_PE
    mov cr0, eax
    jmp (REAL_THUNK >> 4):(.in_real - guest_real_page)
.in_real:
    mov ax, REAL_DATA_SEGMENT
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ax, REAL_STACK_SEGMENT
    mov ss, ax
    mov esp, 0x1000
    o32 lidt [cs:real_idt - guest_real_page]
    mov eax, [cs:real_registers - guest_real_page]
    mov ebx, [cs:real_registers - guest_real_page + 4]
    mov ecx, [cs:real_registers - guest_real_page + 8]
    mov edx, [cs:real_registers - guest_real_page + 12]
    mov esi, [cs:real_registers - guest_real_page + 16]
    mov edi, [cs:real_registers - guest_real_page + 20]
    mov ebp, [cs:real_registers - guest_real_page + 24]
    call REAL_CODE_SEGMENT:0
    cli
    mov [cs:real_registers - guest_real_page], eax
    mov [cs:real_registers - guest_real_page + 4], ebx
    mov [cs:real_registers - guest_real_page + 8], ecx
    mov [cs:real_registers - guest_real_page + 12], edx
    mov [cs:real_registers - guest_real_page + 16], esi
    mov [cs:real_registers - guest_real_page + 20], edi
    mov [cs:real_registers - guest_real_page + 24], ebp
    pushfd
    pop dword [cs:real_registers - guest_real_page + 28]
    cld
    mov eax, cr0
    or eax, CR0_PE
    mov cr0, eax
    jmp dword SEL_CODE32:from_real
align 8
real_idt:
    dw 0x3ff
    dd 0
guest_real_page_end:
