/*
 * An instruction that accessed a device, and the way by which it was fetched: what a vCPU keeps of it.
 * What is done with it: code_path.h, guest_fetch.c. Part of vcpu.h.
 */
#ifndef ARCH_X86_VMX_VCPU_CODE_PATH_H
#define ARCH_X86_VMX_VCPU_CODE_PATH_H

#include "x86/emul.h"

/* An access to a device that needs neither the emulator nor a look at sizes: 4 bytes, a register
 * that is not RSP, or an immediate. */
enum vmx_plain_access { VMX_PLAIN_NONE, VMX_PLAIN_LOAD, VMX_PLAIN_STORE, VMX_PLAIN_STORE_IMMEDIATE };

/* The way by which an instruction was fetched in 64-bit mode: what the translation depends on,
 * each paging-structure entry with the value that it had, and where the bytes are. As long as all
 * that is the same, so is the translation: guest_fetch.c. */
#define VMX_CODE_PATH_ENTRIES 4
/* So many are kept, by RIP: drivers go from one register of a device to the next. */
#define VMX_CODE_PATHS 8

struct vmx_code_path {
    _Alignas(256) const uint8_t *code; /* 16 bytes of RAM in one page; NULL: no path is kept */
    uint64_t rip, cr3, efer, code_rights;
    uint64_t masks[2];       /* over those bytes: which are the instruction's */
    uint64_t bytes[2];
    struct {
        const uint64_t *entry; /* one that is not used: this step's own value */
        uint64_t value;
    } step[VMX_CODE_PATH_ENTRIES];
    unsigned count;          /* entries */
    uint8_t plain;           /* enum vmx_plain_access */
    bool base_only;          /* the operand is a register other than RSP, and a displacement */
    struct emul_insn insn;   /* decoded in any mode; length 0: none */
    uint64_t insn_rip;
};

#endif
