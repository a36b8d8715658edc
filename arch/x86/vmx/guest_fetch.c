/*
 * The instruction that accesses a device is most often the one that did so last. Its bytes are
 * compared, and so is everything that led to them: control registers, and each paging-structure
 * entry with the value that it had. That is as good as a new walk, and a fraction of it.
 *
 * In 64-bit mode only, and for instructions that lie in one page. Permissions need no second look:
 * the processor itself has just fetched the instruction.
 */
#include "arch/x86/vmx/vcpu.h"
#include "hv/string.h"

const struct emul_insn *vmx_fetch_again(struct vmx_vcpu *v)
{
    const struct vmx_code_path *path = &v->code_path;
    uint64_t now[2], differs;

    if (!path->code)
        return NULL;
    differs = path->rip ^ vmcs_read(VMCS_GUEST_RIP);
    differs |= path->cr3 ^ vmcs_read(VMCS_GUEST_CR3);
    differs |= path->cr4 ^ vmcs_read(VMCS_GUEST_CR4);
    differs |= path->cr0 ^ vmcs_read(VMCS_GUEST_CR0);
    differs |= path->code_rights ^ vmcs_read(VMCS_GUEST_CS_ACCESS_RIGHTS);
    for (unsigned i = 0; i < path->count; i++)
        differs |= path->value[i] ^ __atomic_load_n(path->entry[i], __ATOMIC_RELAXED);
    __builtin_memcpy(now, path->code, sizeof(now));
    differs |= (now[0] ^ path->bytes[0]) & path->masks[0];
    differs |= (now[1] ^ path->bytes[1]) & path->masks[1];
    return HV_LIKELY(differs == 0) ? &v->decoded : NULL;
}

void vmx_code_path_begin(struct vmx_vcpu *v)
{
    v->code_path.code = NULL;
    v->code_path.count = 0;
    v->code_path.recording = true;
}

void vmx_code_path_add(struct vmx_vcpu *v, const void *entry, unsigned size_bytes, uint64_t value)
{
    struct vmx_code_path *path = &v->code_path;

    if (size_bytes != 8 || path->count == VMX_CODE_PATH_ENTRIES) {
        path->recording = false; /* not a walk of 64-bit mode, or one that was repeated */
        path->count = VMX_CODE_PATH_ENTRIES + 1;
        return;
    }
    path->entry[path->count] = entry;
    path->value[path->count] = value;
    path->count++;
}

/* An accessed flag that the walk has set itself makes the kept value stale: the next fetch walks
 * again, and keeps the new one. */
void vmx_code_path_end(struct vmx_vcpu *v, uint64_t rip, const uint8_t *code)
{
    struct vmx_code_path *path = &v->code_path;
    unsigned length = v->decoded.length_bytes;

    if (!code || path->count > VMX_CODE_PATH_ENTRIES)
        return;
    path->rip = rip;
    path->cr0 = vmcs_read(VMCS_GUEST_CR0);
    path->cr3 = vmcs_read(VMCS_GUEST_CR3);
    path->cr4 = vmcs_read(VMCS_GUEST_CR4);
    path->code_rights = vmcs_read(VMCS_GUEST_CS_ACCESS_RIGHTS);
    path->masks[0] = length >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * length)) - 1;
    path->masks[1] = length <= 8 ? 0 : (UINT64_C(1) << (8 * (length - 8))) - 1;
    memset(path->bytes, 0, sizeof(path->bytes));
    memcpy(path->bytes, v->decoded.bytes, length);
    path->code = code;
}
