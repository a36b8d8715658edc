; The last steps of a core out of VMX operation: from Trapline's tables to the guest's.
;
; Not here: VMXOFF, what is put together for this (thin_off.c).
; Runs inside an NMI's handler, so that no other NMI can come while GS, GDT and IDT are neither ours
; nor whole: the processor holds them back until the guest executes IRET.
;
; The change of CR3 is the last instruction before the guest's own. It has to stand where the guest's
; next instruction is preceded by nothing that is ours in the guest's address space: so the tables in
; use then (THIN_LEAVE_CR3) have a page of ours in place of the guest's code page, in which the eight
; bytes before the guest's RIP are ENDBR64, STI or NOP, MOV CR3, RAX. The instruction after that
; comes from the guest's page, at the same address.
; ENDBR64: the guest's CR4 is in force, and with it its indirect-branch tracking. No CALL or RET
; after it: the shadow stack is the guest's, too.
; SDM volume 2 "MOV - Move to/from Control Registers"; volume 3 "Invalidation of TLBs and
; Paging-Structure Caches", "Nonmaskable Interrupt (NMI)".

%include "offsets.inc"

%define MSR_FS_BASE 0xc0000100
%define MSR_GS_BASE 0xc0000101

default rel
bits 64
section .text

global thin_leave:function hidden

%macro load_registers 1-*
%rep %0
    mov %1, [rdx + THIN_LEAVE_ %+ %1]
%rotate 1
%endrep
%endmacro

; void thin_leave(struct thin_leave *leave): never returns
thin_leave:
    mov     rdx, rdi
    lgdt    [rdx + THIN_LEAVE_OWN_GDTR]     ; with the guest's descriptors at the guest's selectors
    mov     eax, [rdx + THIN_LEAVE_DS]
    mov     ds, eax
    mov     eax, [rdx + THIN_LEAVE_ES]
    mov     es, eax
    mov     eax, [rdx + THIN_LEAVE_SS]
    mov     ss, eax
    mov     eax, [rdx + THIN_LEAVE_FS]
    mov     fs, eax
    mov     eax, [rdx + THIN_LEAVE_GS]
    mov     gs, eax
    mov     eax, [rdx + THIN_LEAVE_LDTR]
    lldt    ax
    mov     eax, [rdx + THIN_LEAVE_TR]
    test    eax, eax
    jz      .no_task
    ltr     ax
.no_task:
    mov     rsi, rdx
    mov     ecx, MSR_FS_BASE
    mov     eax, [rsi + THIN_LEAVE_FS_BASE]
    mov     edx, [rsi + THIN_LEAVE_FS_BASE + 4]
    wrmsr
    mov     ecx, MSR_GS_BASE
    mov     eax, [rsi + THIN_LEAVE_GS_BASE]
    mov     edx, [rsi + THIN_LEAVE_GS_BASE + 4]
    wrmsr
    mov     rdx, rsi
    mov     eax, [rdx + THIN_LEAVE_CS]
    push    rax
    lea     rax, [.in_cs]
    push    rax
    o64 retf
.in_cs:
    mov     rax, [rdx + THIN_LEAVE_CR0]
    mov     cr0, rax
    mov     rax, [rdx + THIN_LEAVE_CR4]
    mov     cr4, rax                        ; PCIDE is allowed: our own CR3 has PCID 0
    mov     rcx, [rdx + THIN_LEAVE_CR3]     ; with the guest's PCID
    mov     cr3, rcx
    mov     rcx, rax
    xor     rcx, CR4_PGE_BIT
    mov     cr4, rcx                        ; a change of PGE drops the translations of all PCIDs,
    mov     cr4, rax                        ; and the last MOV CR3 those of the guest's
    lgdt    [rdx + THIN_LEAVE_GDTR]
    lidt    [rdx + THIN_LEAVE_IDTR]
    mov     rax, [rdx + THIN_LEAVE_DR7]
    mov     dr7, rax
    push    qword [rdx + THIN_LEAVE_RFLAGS] ; IF is 0 in it
    popfq
    load_registers rcx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    mov     rax, [rdx + THIN_LEAVE_GUEST_CR3]
    jmp     [rdx + THIN_LEAVE_TARGET]

section .note.GNU-stack noalloc noexec nowrite progbits
