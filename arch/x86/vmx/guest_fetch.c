/*
 * The instruction that accesses a device is most often one of the few that did so last. Its bytes are
 * compared, and so is everything that led to them: CR3, and each paging-structure entry with the
 * value that it had. That is as good as a new walk, and a fraction of it.
 *
 * In 64-bit mode only, which CS.L and EFER.LMA say, and for instructions that lie in one page. Nothing
 * else of CR0, CR4 and EFER has a part in where an address leads in that mode: there is paging, with
 * four levels (a guest cannot set CR4.LA57). Permissions need no second look: the processor itself
 * has just fetched the instruction.
 */
#include "arch/x86/vmx/code_path.h"
#include "hv/string.h"

void vmx_code_path_begin(struct vmx_vcpu *v, struct vmx_code_path *path)
{
    path->code = NULL;
    path->count = 0;
    v->recording = path;
}

void vmx_code_paths_clear(struct vmx_vcpu *v)
{
    for (unsigned i = 0; i < VMX_CODE_PATHS; i++) {
        v->code_paths[i].code = NULL;
        v->code_paths[i].insn.length_bytes = 0;
    }
}

void vmx_code_path_add(struct vmx_vcpu *v, const void *entry, unsigned size_bytes, uint64_t value)
{
    struct vmx_code_path *path = v->recording;

    if (size_bytes != 8 || path->count == VMX_CODE_PATH_ENTRIES) {
        v->recording = NULL; /* not a walk of 64-bit mode, or one that was repeated */
        path->count = VMX_CODE_PATH_ENTRIES + 1;
        return;
    }
    path->step[path->count].entry = entry;
    path->step[path->count].value = value;
    path->count++;
}

static enum vmx_plain_access plain_access(const struct emul_insn *insn)
{
    if (insn->op != EMUL_OP_MOV || insn->memory_bytes != 4 || (insn->flags & EMUL_F_HIGH8))
        return VMX_PLAIN_NONE;
    if (insn->form == EMUL_FORM_MI)
        return VMX_PLAIN_STORE_IMMEDIATE;
    if (insn->register_bytes != 4 || insn->reg == X86_RSP || insn->reg > X86_R15)
        return VMX_PLAIN_NONE;
    if (insn->form == EMUL_FORM_MR)
        return VMX_PLAIN_STORE;
    return insn->form == EMUL_FORM_RM ? VMX_PLAIN_LOAD : VMX_PLAIN_NONE;
}

/* An accessed flag that the walk has set itself makes the kept value stale: the next fetch walks
 * again, and keeps the new one. */
void vmx_code_path_end(struct vmx_code_path *path, uint64_t rip, const uint8_t *code)
{
    unsigned length = path->insn.length_bytes;

    if (!code || path->count > VMX_CODE_PATH_ENTRIES)
        return;
    path->rip = rip;
    path->cr3 = vmcs_read(VMCS_GUEST_CR3);
    path->efer = vmcs_read(VMCS_GUEST_IA32_EFER);
    path->code_rights = vmcs_read(VMCS_GUEST_CS_ACCESS_RIGHTS);
    path->masks[0] = length >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * length)) - 1;
    path->masks[1] = length <= 8 ? 0 : (UINT64_C(1) << (8 * (length - 8))) - 1;
    memset(path->bytes, 0, sizeof(path->bytes));
    memcpy(path->bytes, path->insn.bytes, length);
    for (unsigned i = path->count; i < VMX_CODE_PATH_ENTRIES; i++)
        path->step[i].entry = &path->step[i].value;
    path->plain = plain_access(&path->insn);
    path->base_only = path->insn.base <= X86_R15 && path->insn.base != X86_RSP &&
                      path->insn.index == EMUL_REG_NONE && path->insn.segment != X86_FS &&
                      path->insn.segment != X86_GS;
    path->code = code;
}
