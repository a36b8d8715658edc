; VM entry and exit. vmx_run_guest stays here from exit to entry for as long as the handlers ask for
; it, so the callee-saved registers of the core's loop are saved once a turn, not once an exit.
;
; On the stack while a guest runs (HOST_RSP points here):   [rsp] = struct vmx_vcpu *
; Interrupts are closed throughout. What arrives between the last look at pending work in
; vmx_exit() and VMRESUME is held by the local APIC and forces an exit at once, since
; external-interrupt exiting does not depend on the guest's RFLAGS.IF.
; SDM volume 3 "VM Entries", "VM Exits".

%include "offsets.inc"

bits 64
default rel
section .text

global vmx_run_guest:function hidden
global vmx_exit_point:function hidden
extern vmx_exit

; unsigned vmx_run_guest(struct vmx_vcpu *v)
vmx_run_guest:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    push rdi                        ; now 16-byte aligned
    cmp [rdi + VCPU_HOST_RSP], rsp
    je enter_guest
    mov [rdi + VCPU_HOST_RSP], rsp
    mov eax, FIELD_HOST_RSP
    vmwrite rax, rsp
enter_guest:
    cmp byte [rdi + VCPU_LAUNCHED], 0
    mov rax, [rdi + VCPU_RAX]       ; MOV leaves the flags alone
    mov rcx, [rdi + VCPU_RCX]
    mov rdx, [rdi + VCPU_RDX]
    mov rbx, [rdi + VCPU_RBX]
    mov rbp, [rdi + VCPU_RBP]
    mov rsi, [rdi + VCPU_RSI]
    mov r8, [rdi + VCPU_R8]
    mov r9, [rdi + VCPU_R9]
    mov r10, [rdi + VCPU_R10]
    mov r11, [rdi + VCPU_R11]
    mov r12, [rdi + VCPU_R12]
    mov r13, [rdi + VCPU_R13]
    mov r14, [rdi + VCPU_R14]
    mov r15, [rdi + VCPU_R15]
    mov rdi, [rdi + VCPU_RDI]
    je .launch
    vmresume
    jmp .failed
.launch:
    vmlaunch
.failed:                            ; no exit happened: the guest's registers are still in the core
    mov rdi, [rsp]
    setc al
    setz ah
    shl ah, 1
    or al, ah
    mov [rdi + VCPU_ENTRY_STATUS], al
    mov eax, RESULT_ENTRY_FAILED
    jmp leave_guest

vmx_exit_point:                     ; HOST_RIP
    push rdi
    mov rdi, [rsp + 8]
    mov [rdi + VCPU_RAX], rax
    mov [rdi + VCPU_RCX], rcx
    mov [rdi + VCPU_RDX], rdx
    mov [rdi + VCPU_RBX], rbx
    mov [rdi + VCPU_RBP], rbp
    mov [rdi + VCPU_RSI], rsi
    mov [rdi + VCPU_R8], r8
    mov [rdi + VCPU_R9], r9
    mov [rdi + VCPU_R10], r10
    mov [rdi + VCPU_R11], r11
    mov [rdi + VCPU_R12], r12
    mov [rdi + VCPU_R13], r13
    mov [rdi + VCPU_R14], r14
    mov [rdi + VCPU_R15], r15
    pop qword [rdi + VCPU_RDI]
    mov byte [rdi + VCPU_LAUNCHED], 1
    call vmx_exit
    mov rdi, [rsp]
    test eax, eax
    jz enter_guest

leave_guest:
    add rsp, 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

section .note.GNU-stack noalloc noexec nowrite progbits
