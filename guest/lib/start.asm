; From a multiboot 1 loader (32-bit protected mode, paging off) to C in 64-bit mode, and the same
; way for every other processor from its start-up IPI.
; Multiboot Specification 0.6.96, "Machine state"; SDM volume 3 "Initializing IA-32e Mode" and
; "MP Initialization".
%include "layout.inc"

extern guest_start, guest_ap_start
global _start, guest_gdt, guest_pml4, guest_pd, guest_stacks
global guest_ap_page, guest_ap_page_end, guest_ap_next
global guest_boot_magic, guest_boot_info

%define MULTIBOOT_HEADER 0x1badb002
%define MULTIBOOT_FLAGS 3       ; modules on page boundaries, memory information

section .multiboot
align 4
    dd MULTIBOOT_HEADER, MULTIBOOT_FLAGS, -(MULTIBOOT_HEADER + MULTIBOOT_FLAGS)

section .data
align 16
guest_gdt:
    dq 0
    dq 0x00af9b000000ffff       ; 08 64-bit code
    dq 0x00cf93000000ffff       ; 10 data
    dq 0x00cf9b000000ffff       ; 18 32-bit code
    dq 0x00009b070000ffff       ; 20 16-bit code, from LOW_PAGE
    dq 0x000093070000ffff       ; 28 16-bit data, from LOW_PAGE
    dq 0x00cffb000000ffff       ; 30 32-bit code, user
    dq 0x00cff3000000ffff       ; 38 data, user
    dq 0x00affb000000ffff       ; 40 64-bit code, user
    dq 0
    times 64 - 10 dq 0          ; 50 and up: a TSS for each processor, then free
gdt_end:
gdt_pointer:
    dw gdt_end - guest_gdt - 1
    dq guest_gdt
guest_boot_magic: dd 0
guest_boot_info: dd 0
guest_ap_next: dd 1             ; number that the next processor to start takes

section .bss
alignb 4096
guest_pml4: resb 4096
pdpt: resb 4096
guest_pd: resb 4 * 4096
alignb 16
guest_stacks: resb GUEST_MAX_CPUS * STACK_BYTES

section .text
bits 32
_start:
    cli
    cld
    mov [guest_boot_magic], eax
    mov [guest_boot_info], ebx
    mov esp, guest_stacks + STACK_BYTES
    ; the first 4 GB one to one, in 2 MB pages
    mov eax, pdpt
    or eax, 3
    mov [guest_pml4], eax
    mov eax, guest_pd
    or eax, 3
    mov edi, pdpt
    mov ecx, 4
.pdpt:
    mov [edi], eax
    add eax, 4096
    add edi, 8
    loop .pdpt
    mov eax, 0x83               ; present, writable, large
    mov edi, guest_pd
    mov ecx, 2048
.pd:
    mov [edi], eax
    add eax, 0x200000
    add edi, 8
    loop .pd
    lgdt [gdt_pointer]
    mov eax, CR4_LONG
    mov cr4, eax
    mov eax, guest_pml4
    mov cr3, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_LME_NXE
    wrmsr
    mov eax, CR0_LONG
    mov cr0, eax
    jmp SEL_CODE64:start64

bits 64
start64:
    mov ax, SEL_DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov rsp, guest_stacks + STACK_BYTES
    xor eax, eax
    mov fs, ax
    mov gs, ax
    xor ebp, ebp
    call guest_start
.stop:
    cli
    hlt
    jmp .stop

ap_start64:
    mov ax, SEL_DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov edi, 1
    lock xadd [guest_ap_next], edi
    cmp edi, GUEST_MAX_CPUS
    jae .stop
    lea eax, [rdi + 1]
    imul eax, eax, STACK_BYTES
    lea rsp, [rax + guest_stacks]
    xor ebp, ebp
    call guest_ap_start
.stop:
    cli
    hlt
    jmp .stop

; Copied to LOW_PAGE, where a start-up IPI sends a processor to.
section .rodata
bits 16
guest_ap_page:
    cli
    cld
    mov ax, cs
    mov ds, ax
    o32 lgdt [ap_gdt_pointer - guest_ap_page]
    mov eax, CR0_PE | 0x30      ; caches on: CD and NW are set after INIT
    mov cr0, eax
    jmp dword SEL_CODE32:(ap_start32 - guest_ap_page + LOW_PAGE)
bits 32
ap_start32:
    mov ax, SEL_DATA
    mov ds, ax
    mov eax, CR4_LONG
    mov cr4, eax
    mov eax, guest_pml4
    mov cr3, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_LME_NXE
    wrmsr
    mov eax, CR0_LONG
    mov cr0, eax
    jmp SEL_CODE64:ap_start64
align 8
ap_gdt_pointer:
    dw gdt_end - guest_gdt - 1
    dd guest_gdt
guest_ap_page_end:
