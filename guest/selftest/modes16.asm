; Code that runs in real-address mode, in 32-bit protected mode and in compatibility mode. Each ends
; by RETF, with results in registers; what they show is checked by test_modes.c.
global real_segments, real_segments_end, real_interrupt, real_interrupt_end
global real_port, real_port_end, real_big, real_big_end
global real_fault, real_fault_end
global flat_mmio, flat_port, flat_cpuid, compat_mmio, compat_push, flat_paging

%define SCRATCH_PORT 0x3ff
%define IOAPIC 0xfec00000

section .rodata
bits 16
; EAX: CS, DS; EBX: CR0; ECX: a word read through DS after a write through ES at another segment
real_segments:
    mov ax, 0x7310
    mov es, ax
    mov word [es:0], 0x1234
    mov cx, [0x100]             ; DS is 0x7300: the same place
    mov ebx, cr0
    mov ax, cs
    shl eax, 16
    mov ax, ds
    retf
real_segments_end:

; A handler is put into the vector table, INT 0x40 runs it. EAX: what it left; EBX: SP before minus
; SP after; ECX: flags that it saw (IF and TF are cleared on the way in)
real_interrupt:
    push ds
    xor ax, ax
    mov ds, ax
    mov word [0x40 * 4], .handler - real_interrupt
    mov [0x40 * 4 + 2], cs
    pop ds
    xor eax, eax
    xor ecx, ecx
    mov bx, sp
    stc
    int 0x40
    sub bx, sp
    movzx ebx, bx
    retf
.handler:
    mov eax, 0xbeef
    pushf
    pop cx
    iret
real_interrupt_end:

; Ports, by register and by REP INSB to ES:DI; EAX: AL read; EBX: four bytes of string input
real_port:
    mov dx, SCRATCH_PORT
    mov al, 0x6b
    out dx, al
    xor eax, eax
    in al, dx
    push eax
    mov di, 0x200
    mov cx, 4
    cld
    rep insb
    mov ebx, [0x200]
    movzx ecx, di
    pop eax
    retf
real_port_end:

; A device through a 32-bit address: needs a segment limit of 4 GB ("unreal mode"), which DS gets in
; protected mode and keeps. EAX: the I/O APIC's version; ECX: the limit was kept
real_big:
    cli
    push ds
    o32 lgdt [cs:.gdtr - real_big]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp .in_protected
.in_protected:
    mov bx, 8
    mov ds, bx
    and al, 0xfe
    mov cr0, eax
    jmp .in_real
.in_real:
    mov ebx, IOAPIC
    mov dword [ebx], 1
    mov eax, [ebx + 0x10]
    mov dword [ebx], 0x2b
    mov ecx, [ebx]
    o32 lgdt [cs:.old - real_big]
    pop ds
    retf
align 8
.gdt:
    dq 0
    dq 0x00cf93000000ffff
.gdtr:
    dw 15
    dd 0x72000 + .gdt - real_big
.old:
    dw 0                        ; filled in: the limit and base that were before
    dd 0
real_big_end:
global real_big_old
real_big_old equ real_big.old - real_big

; #GP in real mode: a word at offset 0xffff. EAX: 1 if vector 13 was taken; EBX: IP pushed
real_fault:
    push ds
    xor ax, ax
    mov ds, ax
    mov word [13 * 4], .handler - real_fault
    mov [13 * 4 + 2], cs
    pop ds
    xor eax, eax
    mov bp, sp
.bad:
    mov cx, [0xffff]
.after:
    mov ecx, .bad - real_fault
    retf
.handler:
    mov eax, 1
    pop bx
    movzx ebx, bx
    push word .after - real_fault
    iret
real_fault_end:

section .text
bits 32
; Protected mode without paging. EAX: version of the I/O APIC; EBX: its select register
flat_mmio:
    mov ebx, IOAPIC
    mov dword [ebx], 1
    mov eax, [ebx + 0x10]
    mov byte [ebx], 0x15
    movzx ebx, byte [ebx]
    retf

flat_port:
    mov edx, SCRATCH_PORT
    mov al, 0x3d
    out dx, al
    xor eax, eax
    in al, dx
    sub esp, 8
    mov edi, esp
    mov ecx, 5
    cld
    rep insb
    mov ebx, [esp]
    add esp, 8
    retf

flat_cpuid:
    mov eax, 0
    cpuid
    mov eax, cr0
    retf

; 32-bit paging with 4 MB pages: the table's address comes in EDI. EAX: CR0 with paging; EBX: a word
; read through the mapping at 0x80000000 (physical 0)
flat_paging:
    mov eax, cr4
    mov ecx, eax
    or eax, 0x10                ; PSE
    and eax, ~0x20              ; PAE
    mov cr4, eax
    mov cr3, edi
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov edx, eax
    mov ebx, [0x80100000]
    and eax, 0x7fffffff
    mov cr0, eax
    mov cr4, ecx
    mov eax, edx
    retf

; Compatibility mode: 32-bit operand and stack under 64-bit page tables.
compat_mmio:
    mov ebx, IOAPIC
    mov dword [ebx], 1
    mov eax, [ebx + 0x10]
    retf

compat_push:
    mov ecx, esp
    push dword 0x11223344
    sub ecx, esp
    pop eax
    retf
