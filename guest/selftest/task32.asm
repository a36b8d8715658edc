; 32-bit hardware task switches: by JMP, CALL with IRET, by a task gate in the IDT, and with #TS.
; Runs in protected mode without paging; the tables are made by test_task.c.
; SDM volume 3 "Task Management".
global task_jmp, task_call, task_gate, task_other, task_back, task_gate_handler
global task_nested_flags

%define SEL_MAIN 0x180          ; TSS descriptors, as in test_task.c
%define SEL_OTHER 0x188

section .bss
alignb 4
task_nested_flags: resd 1

section .text
bits 32
; EAX in: 0. The other task adds 0x1000 to what it finds in its own EAX and jumps back.
; EAX: EAX here afterwards; EBX: TR here afterwards; ECX: CR0
task_jmp:
    push ebp
    mov ax, SEL_MAIN
    ltr ax
    mov eax, 0x55
    mov ebp, 0x77
    jmp SEL_OTHER:0
    ; here again
    mov ecx, cr0
    str bx
    movzx ebx, bx
    mov edx, ebp
    pop ebp
    retf

task_back:                      ; the other task, entered by JMP
    add eax, 0x1000
    mov esi, eax
    jmp SEL_MAIN:0
    jmp task_back

; The other task is called and returns by IRET with NT.
task_call:
    mov ax, SEL_MAIN
    ltr ax
    mov eax, 0x66
    call SEL_OTHER:0
    mov ecx, cr0
    str bx
    movzx ebx, bx
    pushfd
    pop edx
    retf

task_other:                     ; the other task, entered by CALL
    pushfd
    pop dword [task_nested_flags]
    inc eax
    iret
    jmp task_other

; INT 0x30 through a task gate.
task_gate:
    mov ax, SEL_MAIN
    ltr ax
    mov eax, 0x88
    int 0x30
    str bx
    movzx ebx, bx
    pushfd
    pop edx
    retf

task_gate_handler:
    pushfd
    pop dword [task_nested_flags]
    add eax, 0x10
    iret
    jmp task_gate_handler
