; VM entry and exit. vmx_run_guest stays here from exit to entry for as long as the handlers ask for
; it, so the callee-saved registers of the core's loop are saved once a turn, not once an exit.
;
; On the stack while a guest runs (HOST_RSP points here):   [rsp] = struct vmx_vcpu *
; Interrupts are closed throughout. What arrives between the last look at pending work in
; vmx_exit() and VMRESUME is held by the local APIC and forces an exit at once, since
; external-interrupt exiting does not depend on the guest's RFLAGS.IF.
;
; Three ways, by what has to be saved: the hot one (hot.c) uses five registers; the warm one (warm.c)
; is ordinary code, which keeps RBX, RBP and R12 to R15 in place; the long one (run.c) has all of
; them in memory. Each of the first two may refuse before it has changed anything.
; Each of them exists twice: plain, and with what guard.inc adds, for processors that need it. Which one
; it is, HOST_RIP says at an exit and VCPU_LAUNCHED at the first entry of a turn, so that it costs
; nothing to have the choice.
; SDM volume 3 "VM Entries", "VM Exits".

%include "offsets.inc"

bits 64
default rel
section .text

global vmx_run_guest:function hidden
global vmx_exit_point:function hidden
global vmx_exit_point_guarded:function hidden
global vmx_fill_rsb:function hidden
extern vmx_exit
extern vmx_exit_go_on

%macro load_registers 1-*
%rep %0
    mov %1, [rdi + VCPU_ %+ %1]
%rotate 1
%endrep
%endmacro

%macro save_registers 1-*
%rep %0
    mov [rdi + VCPU_ %+ %1], %1
%rotate 1
%endrep
%endmacro

%include "arch/x86/vmx/guard.inc"

; enter GUARDED, REGISTERS: into the guest; the other registers are its already. RDI is the vCPU.
%macro enter 2-*
%if %1
    guard_entry
%endif
%rep %0 - 1
%rotate 1
    mov %1, [rdi + VCPU_ %+ %1]
%endrep
    vmresume                        ; launched: this exit came from it
    jmp entry_failed
%endmacro

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
    cmp byte [rdi + VCPU_LAUNCHED], LAUNCHED_PLAIN
    load_registers rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15   ; MOV leaves the flags alone
    load_registers rax, rbx, rcx, rdx, rdi
    jne .unusual
    vmresume
    jmp entry_failed
.unusual:                           ; not launched, or guarded
    mov rdi, [rsp]                  ; what was loaded is in memory still
    cmp dword [rdi + VCPU_GUARD_ACTIONS], 0
    je .launch
    guard_l1d
    cmp byte [rdi + VCPU_LAUNCHED], 0
    je .launch_guarded
    enter 1, rax, rbx, rcx, rdx, rdi
.launch_guarded:
    guard_entry
    mov byte [rdi + VCPU_LAUNCHED], LAUNCHED_GUARDED
    jmp .go
.launch:
    mov byte [rdi + VCPU_LAUNCHED], LAUNCHED_PLAIN
.go:
    load_registers rax, rbx, rcx, rdx, rdi
    vmlaunch
    mov rdi, [rsp]
    mov byte [rdi + VCPU_LAUNCHED], 0   ; MOV leaves the flags alone
entry_failed:                       ; no exit happened: the guest's registers are still in the core
    mov rdi, [rsp]
    setc al
    setz ah
    shl ah, 1
    or al, ah
    mov [rdi + VCPU_ENTRY_STATUS], al
    test dword [rdi + VCPU_GUARD_ACTIONS], ACT_EXIT_SPEC_CTRL
    jz .leave
    guard_host_spec_ctrl
.leave:
    mov eax, RESULT_ENTRY_FAILED
    jmp leave_guest

; What follows a VM exit. %1: with what this processor needs against guests that use speculation.
%macro exit_way 1
    push rdi
    mov rdi, [rsp + 8]
    save_registers rax, rbx, rcx, rdx
    pop qword [rdi + VCPU_rdi]
%if %1
    guard_exit
%endif
    mov eax, FIELD_EXIT_REASON
    vmread rax, rax
    cmp eax, REASON_CPUID
    jne .not_cpuid
    call [rdi + VCPU_HOT_CPUID]     ; keeps RSI, R8 to R15 and RBP, which are still the guest's
.hot:
    test rax, rax
    jz .hot_refused
    mov rdi, rax
    enter %1, rax, rbx, rcx, rdx, rdi
.not_cpuid:
    cmp eax, REASON_VMCALL
    je .vmcall
    lea ecx, [rax - REASON_IO_INSTRUCTION]      ; IN and OUT, RDMSR, WRMSR
    cmp ecx, REASON_WRMSR - REASON_IO_INSTRUCTION
    ja .not_instruction
.warm:
    save_registers rsi, r8, r9, r10, r11
    call [rdi + VCPU_WARM + rcx * 8]    ; keeps RBX, RBP and R12 to R15, which are still the guest's
    mov rdi, [rsp]
    test eax, eax
    jnz .warm_unusual
    load_registers rsi, r8, r9, r10, r11
    enter %1, rax, rcx, rdx, rdi
.vmcall:
    call [rdi + VCPU_HOT_VMCALL]
    jmp .hot
.not_instruction:
    cmp eax, REASON_PREEMPTION_TIMER
    jne .long_way
    mov ecx, WARM_TIMER
    jmp .warm
.hot_refused:
    mov rdi, [rsp]
    mov eax, FIELD_EXIT_REASON
    vmread rax, rax
.long_way:
    save_registers rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
.saved:
    mov [rdi + VCPU_EXIT_REASON], eax
    mov rbx, rdi
    call vmx_exit
.answered:
    mov rdi, rbx
    test eax, eax
    jnz leave_guest
%if %1
    guard_l1d
%endif
    load_registers rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    enter %1, rax, rbx, rcx, rdx, rdi

.warm_unusual:
    save_registers rbp, r12, r13, r14, r15
    cmp eax, WARM_REFUSED
    je .warm_refused
    mov rbx, rdi
    call vmx_exit_go_on
    jmp .answered
.warm_refused:
    mov eax, FIELD_EXIT_REASON
    vmread rax, rax
    jmp .saved
%endmacro

vmx_exit_point:                     ; HOST_RIP
    exit_way 0

vmx_exit_point_guarded:             ; HOST_RIP where v->guard.actions are not 0
    exit_way 1

; void vmx_fill_rsb(void)
vmx_fill_rsb:
    fill_rsb
    ret

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
