; The way of a starting core from real mode to C.
;
; The part from smp_start_begin to smp_start_end is copied to a page below 1 MB; smp.c fills in the
; variables at its end. It runs in real, then protected, then 64-bit mode, and writes nothing, so
; that its page can be mapped without the right to.
; Not here: which core this is and where its stack lies; smp_claim decides.
;
; SDM volume 3 "Typical AP Initialization Sequence", "Initializing IA-32e Mode".

%define CR0_PROTECTED   0x00000031          ; PE, ET, NE; CD and NW clear: INIT leaves them as set
%define CR0_PAGING      0x80010033          ; and PG, WP, MP
%define EFER_MSR        0xc0000080
%define EFER_LME_NXE    0x00000900
%define SELECTOR_CODE64 0x08
%define SELECTOR_DATA   0x10
%define SELECTOR_CODE32 0x18
%define AT(label)       ((label) - smp_start_begin)

section .rodata

align 16
global smp_start_begin:data hidden
global smp_start_end:data hidden
global smp_start_gdt_register:data hidden
global smp_start_gdt:data hidden
global smp_start_protected:data hidden
global smp_start_long:data hidden
global smp_start_cr3:data hidden
global smp_start_cr4:data hidden
global smp_start_entry:data hidden
global smp_start_offset32:data hidden
global smp_start_offset64:data hidden

smp_start_begin:
bits 16
    cli
    cld
    mov     ax, cs
    mov     ds, ax
    xor     ebx, ebx
    mov     bx, ax
    shl     ebx, 4                          ; the page's address
    o32 lgdt [AT(smp_start_gdt_register)]
    mov     eax, CR0_PROTECTED
    mov     cr0, eax
    o32 jmp far [AT(smp_start_protected)]

bits 32
.protected:
    mov     ax, SELECTOR_DATA
    mov     ds, ax
    mov     es, ax
    mov     ss, ax
    mov     eax, [ebx + AT(smp_start_cr4)]
    mov     cr4, eax
    mov     eax, [ebx + AT(smp_start_cr3)]
    mov     cr3, eax
    mov     ecx, EFER_MSR
    xor     edx, edx
    mov     eax, EFER_LME_NXE
    wrmsr
    mov     eax, CR0_PAGING
    mov     cr0, eax
    jmp far [ebx + AT(smp_start_long)]

bits 64
.long:
    mov     ebx, ebx                        ; bits 63:32 are undefined after the change of mode
    mov     rax, [rbx + AT(smp_start_entry)]
    jmp     rax

align 8
smp_start_gdt:
    dq      0
    dq      0x00af9b000000ffff              ; 64-bit code, accessed: the processor need not write
    dq      0x00cf93000000ffff              ; data, accessed
    dq      0x00cf9b000000ffff              ; 32-bit code, accessed
smp_start_gdt_register:
    dw      smp_start_gdt_register - smp_start_gdt - 1
    dd      0                               ; address of the copied table
    dw      0
smp_start_protected:                        ; far pointers: offset, selector
    dd      0
    dw      SELECTOR_CODE32, 0
smp_start_long:
    dd      0
    dw      SELECTOR_CODE64, 0
smp_start_cr3:
    dd      0
smp_start_cr4:
    dd      0
smp_start_entry:
    dq      0                               ; smp_entry
smp_start_end:

align 4
smp_start_offset32: dd AT(smp_start_begin.protected)
smp_start_offset64: dd AT(smp_start_begin.long)

section .text
default rel

extern smp_claim
extern smp_core_main
extern smp_first_stack
extern smp_first_stack_lock

; Here a core is in 64-bit mode with the final page tables and without a stack. One stack is shared
; for the time that it takes to find the core's own; a core that is not wanted stops for good.
global smp_entry:function hidden
smp_entry:
    mov     eax, 1
    xchg    [smp_first_stack_lock], eax
    test    eax, eax
    jz      .locked
    pause
    jmp     smp_entry
.locked:
    mov     rsp, [smp_first_stack]          ; its top
    xor     ebp, ebp
    call    smp_claim                       ; 0, or a stack with struct percpu * on it
    mov     rsp, rax
    mov     dword [smp_first_stack_lock], 0 ; the shared stack is not used after this
    test    rax, rax
    jz      .park
    pop     rdi
    call    smp_core_main
.park:
    cli
    hlt
    jmp     .park

section .note.GNU-stack noalloc noexec nowrite progbits
