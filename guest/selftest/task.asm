; The two tasks of test_task.c, in 32-bit protected mode without paging. What they see of each other
; goes to task_log, for the 64-bit part to judge.
%include "layout.inc"

%define SEL_TASK_A 0x1e0
%define SEL_TASK_B 0x1e8
%define CR0_TS 8

global task_main, task_b_entry, task_log, task_idt_pointer
extern task_tss_a

section .data
align 4
task_idt_pointer: dw 0, 0, 0, 0  ; 32-bit LIDT; filled in by test_task.c
task_log:
.visits:     dd 0
.call_flags: dd 0                ; EFLAGS of B after CALL
.call_tr:    dd 0
.call_cr0:   dd 0
.back_eax:   dd 0                ; A's registers after IRET from B
.back_ebp:   dd 0
.back_tr:    dd 0
.jmp_flags:  dd 0                ; EFLAGS of B after JMP
.int_flags:  dd 0                ; EFLAGS of B after INT n through a task gate
.error:      dd 0                ; error code that #GP left on B's stack
.step_tr:    dd 0

section .text
bits 32
; Called far; all of A's segments are flat.
task_main:
    lidt [task_idt_pointer]
    mov ax, SEL_TASK_A
    ltr ax
    clts
    mov eax, 0x11223344
    mov ebp, 0x55667788
    call SEL_TASK_B:0
    mov [task_log.back_eax], eax
    mov [task_log.back_ebp], ebp
    xor eax, eax
    str eax
    mov [task_log.back_tr], eax
    jmp SEL_TASK_B:0
    int 0x40
    mov ax, 0xfff8              ; behind the GDT's limit: #GP through a task gate
    mov gs, ax
task_main_after_gp:
    clts
    retf

task_b_entry:
    pushfd
    pop dword [task_log.call_flags]
    xor eax, eax
    str eax
    mov [task_log.call_tr], eax
    mov eax, cr0
    mov [task_log.call_cr0], eax
    inc dword [task_log.visits]
    iret                        ; back to A; B goes on here when it is entered again
    pushfd
    pop dword [task_log.jmp_flags]
    inc dword [task_log.visits]
    jmp SEL_TASK_A:0
    pushfd
    pop dword [task_log.int_flags]
    inc dword [task_log.visits]
    iret
    pop dword [task_log.error]
    inc dword [task_log.visits]
    mov dword [task_tss_a + 0x20], task_main_after_gp
    iret
