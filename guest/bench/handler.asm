; The shortest handlers there are: what is measured is the way to them.
global bench_tick_x2apic, bench_tick_xapic, bench_page_fault, bench_syscall
global bench_handler_tsc, bench_handler_count

section .bss
alignb 8
bench_handler_tsc: resq 1
bench_handler_count: resd 1

section .text
bits 64

%macro note_tsc 0
    push rax
    push rdx
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov [bench_handler_tsc], rax
%endmacro

; An interrupt, ended at the local APIC in x2APIC mode.
bench_tick_x2apic:
    note_tsc
    push rcx
    mov ecx, 0x80b
    xor eax, eax
    xor edx, edx
    wrmsr
    pop rcx
    inc dword [bench_handler_count]
    pop rdx
    pop rax
    iretq

; ... in xAPIC mode.
bench_tick_xapic:
    note_tsc
    mov eax, 0xfee000b0
    mov dword [rax], 0
    inc dword [bench_handler_count]
    pop rdx
    pop rax
    iretq

; A page fault that goes on at RBX.
bench_page_fault:
    add rsp, 8
    mov [rsp], rbx
    iretq

; A system call made at privilege level 0, which needs no SYSRET.
bench_syscall:
    jmp rcx
