/*
 * Is the guest at an instruction that was decoded before, and has nothing on the way to it changed?
 * guest_fetch.c says why this is enough.
 */
#ifndef ARCH_X86_VMX_CODE_PATH_H
#define ARCH_X86_VMX_CODE_PATH_H

#include "arch/x86/vmx/vcpu.h"

/* --- guest_fetch.c --- */

/* Around the walk for an instruction fetch: keeps the entries that it reads. */
void vmx_code_path_begin(struct vmx_vcpu *v, struct vmx_code_path *path);
void vmx_code_path_add(struct vmx_vcpu *v, const void *entry, unsigned size_bytes, uint64_t value);
void vmx_code_path_end(struct vmx_code_path *path, uint64_t rip, const uint8_t *code);
/* Forgets all. */
void vmx_code_paths_clear(struct vmx_vcpu *v);

/* --- */

/* The place of what is at `rip`. */
static inline struct vmx_code_path *vmx_code_path_at(struct vmx_vcpu *v, uint64_t rip)
{
    return &v->code_paths[(rip ^ rip >> 3) % VMX_CODE_PATHS];
}

/* The path to the guest's instruction, or NULL. */
static inline __attribute__((always_inline)) struct vmx_code_path *vmx_code_path_find(
    struct vmx_vcpu *v)
{
    uint64_t rip = vmcs_read(VMCS_GUEST_RIP);
    struct vmx_code_path *path = vmx_code_path_at(v, rip);
    const uint8_t *code = path->code;
    uint64_t now[2], differs;

    if (HV_UNLIKELY(!code))
        return NULL;
    differs = path->rip ^ rip;
    differs |= path->cr3 ^ vmcs_read(VMCS_GUEST_CR3);
    differs |= path->efer ^ vmcs_read(VMCS_GUEST_IA32_EFER);
    differs |= path->code_rights ^ vmcs_read(VMCS_GUEST_CS_ACCESS_RIGHTS);
    /* Unrolled: each turn of a loop would cost as much as its work. */
#define STEP_DIFFERS(i)                                                                            \
    (path->step[i].value ^ __atomic_load_n(path->step[i].entry, __ATOMIC_RELAXED))
    differs |= STEP_DIFFERS(0) | STEP_DIFFERS(1) | STEP_DIFFERS(2) | STEP_DIFFERS(3);
#undef STEP_DIFFERS
    __builtin_memcpy(now, code, sizeof(now));
    differs |= (now[0] ^ path->bytes[0]) & path->masks[0];
    differs |= (now[1] ^ path->bytes[1]) & path->masks[1];
    return HV_LIKELY(differs == 0) ? path : NULL;
}

#endif
