; The last step of the UEFI stage: a new stack, and one jump into the hypervisor.
;
; Not here: anything that could still fail. No way leads back.
;
; System V ABI, "The Stack Frame" (alignment at a call), "Function Prologues" (RBP = 0 ends a
; chain of frames).

default rel
bits 64
section .text

global boot_handover:function hidden
extern arch_entry

; void boot_handover(struct boot_info *info, uint64_t stack_top)
boot_handover:
    cli                         ; boot services may have set it again in their last call
    cld
    mov     rsp, rsi
    xor     ebp, ebp
    call    arch_entry
.stop:                          ; arch_entry does not return
    cli
    hlt
    jmp     .stop

section .note.GNU-stack noalloc noexec nowrite progbits
