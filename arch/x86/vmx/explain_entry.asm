; One VM entry of a VMCS that may be anything, and the way back from it.
;
; No guest instruction runs (the preemption timer stands at 0), so the callee-saved registers keep
; what they held; the stack is found by HOST_RSP alone. What else the exit has loaded may be wrong:
; explain_host.c puts it right.
; SDM volume 3 "VM Entries", "Loading Host State".

%include "offsets.inc"

bits 64
default rel
section .text

global explain_enter:function hidden
global explain_exit_point:function hidden

; unsigned explain_enter(void): 0 after a VM exit, 1 after VMfailInvalid, 2 after VMfailValid
explain_enter:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov eax, FIELD_HOST_RSP
    vmwrite rax, rsp
    vmlaunch
    setc al                         ; no exit happened
    setz ah
    shl ah, 1
    or al, ah
    movzx eax, al
    jmp leave

explain_exit_point:                 ; HOST_RIP
    xor eax, eax
leave:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

section .note.GNU-stack noalloc noexec nowrite progbits
