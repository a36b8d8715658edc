; Entries of the 256 vectors, and the few instructions that may fault on purpose.
;
; Not here: any decision; trap_dispatch and host_irq_dispatch in traps.c make them.
;
; Every exception's stub leaves the same frame (struct trap_frame); an interrupt's, of which nobody
; wants to see one, saves what a function may change. The hypervisor has no user mode, so GS is
; ours at every entry and no SWAPGS is needed. Interrupt gates keep IF clear until IRETQ.
;
; SDM volume 3 "Exception and Interrupt Handling in 64-bit Mode"; System V ABI "Registers".

default rel
bits 64
section .text

extern trap_dispatch
extern host_irq_dispatch

%define FIRST_IRQ_VECTOR 32

; In the order of struct trap_frame, from the end.
%macro push_registers 0
    push    rax
    push    rbx
    push    rcx
    push    rdx
    push    rsi
    push    rdi
    push    rbp
    push    r8
    push    r9
    push    r10
    push    r11
    push    r12
    push    r13
    push    r14
    push    r15
%endmacro

; Vectors that push an error code: #DF #TS #NP #SS #GP #PF #AC #CP.
%define HAS_ERROR(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21)

align 16
global trap_stubs:data hidden
trap_stubs:
%assign vector 0
%rep 256
    align 16
%if !HAS_ERROR(vector)
    push    0
%endif
    push    strict dword vector
%if vector < FIRST_IRQ_VECTOR
    jmp     near trap_common
%else
    jmp     near irq_common
%endif
%assign vector vector + 1
%endrep

    align 16
trap_common:
    push_registers
    cld
    mov     rdi, rsp
    mov     rbp, rsp            ; kept by the callee
    and     rsp, -16            ; where a call expects it, whatever the processor pushed
    call    trap_dispatch
    mov     rsp, rbp
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     r11
    pop     r10
    pop     r9
    pop     r8
    pop     rbp
    pop     rdi
    pop     rsi
    pop     rdx
    pop     rcx
    pop     rbx
    pop     rax
    add     rsp, 16             ; vector and error code
    iretq

; The processor has aligned the stack and pushed 40 bytes, the stub 16; with 72 it is aligned again.
irq_common:
    push    rax
    push    rcx
    push    rdx
    push    rsi
    push    rdi
    push    r8
    push    r9
    push    r10
    push    r11
    cld
    mov     edi, [rsp + 72]
    call    host_irq_dispatch
    pop     r11
    pop     r10
    pop     r9
    pop     r8
    pop     rdi
    pop     rsi
    pop     rdx
    pop     rcx
    pop     rax
    add     rsp, 16
    iretq

; bool rdmsr_safe(uint32_t msr, uint64_t *value)
global rdmsr_safe:function hidden
rdmsr_safe:
    mov     ecx, edi
.access:
    rdmsr
    shl     rdx, 32
    or      rax, rdx
    mov     [rsi], rax
    mov     eax, 1
    ret
.fault:
    xor     eax, eax
    mov     [rsi], rax
    ret

; bool wrmsr_safe(uint32_t msr, uint64_t value)
global wrmsr_safe:function hidden
wrmsr_safe:
    mov     ecx, edi
    mov     eax, esi
    mov     rdx, rsi
    shr     rdx, 32
.access:
    wrmsr
    mov     eax, 1
    ret
.fault:
    xor     eax, eax
    ret

; bool xsetbv_safe(uint32_t xcr, uint64_t value)
global xsetbv_safe:function hidden
xsetbv_safe:
    mov     ecx, edi
    mov     eax, esi
    mov     rdx, rsi
    shr     rdx, 32
.access:
    xsetbv
    mov     eax, 1
    ret
.fault:
    xor     eax, eax
    ret

; void idle_until_interrupt(const uint32_t *unless): sleeps with interrupts open until one comes; not
; at all if *unless is not 0. Interrupts are off before and after. A maskable interrupt that comes
; after the look stays pending until STI has taken effect, behind HLT, and ends it. An NMI between
; idle_look and idle_over goes on at idle_over: traps.c.
global idle_until_interrupt:function hidden
global idle_look:data hidden
global idle_over:data hidden
idle_until_interrupt:
idle_look:
    cmp     dword [rdi], 0
    jne     idle_over
    sti
    hlt
idle_over:
    cli
    ret

; void stack_switch(uint64_t top, void (*next)(void *), void *argument): never returns.
global stack_switch:function hidden
stack_switch:
    mov     rsp, rdi
    xor     ebp, ebp
    mov     rdi, rdx
    call    rsi
    ud2

; void hv_panic(const char *format, ...): keeps the caller's registers as they are, for the first one
; that comes here, and goes on to panic_assertion, which finds the arguments where the caller put them.
; The registers are pushed into a buffer: interrupts are off, and an NMI has a stack of its own.
extern panic_assertion
global hv_panic:function hidden
global panic_registers:data hidden
hv_panic:
    cli
    lock bts dword [panic_taken], 0
    jc      panic_assertion
    mov     [panic_rsp], rsp
    lea     rsp, [panic_registers.end]
    push_registers
    mov     rsp, [panic_rsp]
    jmp     panic_assertion

section .bss

alignb 8
panic_registers: resq 15
.end:
panic_rsp:       resq 1
panic_taken:     resd 1

section .rodata

; Pairs of distances from the table: the instruction that may fault, and where to go on.
global trap_fixups:data hidden
global trap_fixups_end:data hidden
align 4
trap_fixups:
    dd      rdmsr_safe.access - trap_fixups,  rdmsr_safe.fault - trap_fixups
    dd      wrmsr_safe.access - trap_fixups,  wrmsr_safe.fault - trap_fixups
    dd      xsetbv_safe.access - trap_fixups, xsetbv_safe.fault - trap_fixups
trap_fixups_end:

section .note.GNU-stack noalloc noexec nowrite progbits
