/*
 * Writes to control registers that the masks send here, and the registers' real and shown values.
 *
 * The guest's CR0 and CR4 hold what it wrote, but for the bits of the guest/host masks: those are
 * shown from the read shadow and are ours in the register. A write exits only if it would change a
 * masked bit; then the whole write is done here, with every check that the instruction makes.
 * SDM volume 3 "Control Registers", "Changes to Instruction Behavior in VMX Non-Root Operation"
 * (MOV to CR0, MOV to CR4); volume 2 "MOV - Move to/from Control Registers", "LMSW".
 */
#include "arch/x86/vmx/vcpu.h"
#include "x86/guest_walk.h"

static uint64_t shown(uint64_t real, uint64_t shadow, uint64_t mask)
{
    return (real & ~mask) | (shadow & mask);
}

uint64_t vmx_guest_cr0(struct vmx_vcpu *v)
{
    return shown(vmcs_read(VMCS_GUEST_CR0), vmcs_read(VMCS_CR0_READ_SHADOW),
                 v->controls->cr0_mask);
}

uint64_t vmx_guest_cr4(struct vmx_vcpu *v)
{
    return shown(vmcs_read(VMCS_GUEST_CR4), vmcs_read(VMCS_CR4_READ_SHADOW),
                 v->controls->cr4_mask);
}

/* The masks are as wide as the VM's policy says; what the guest's CPUID leaves out is masked too. */
static void install_cr0(struct vmx_vcpu *v, uint64_t value)
{
    vmcs_write(VMCS_CR0_READ_SHADOW, value);
    vmcs_write(VMCS_GUEST_CR0,
               vmx_controls_cr0(v->controls, value & ~(uint64_t)(CR0_CD | CR0_NW)));
}

static void install_cr4(struct vmx_vcpu *v, uint64_t value)
{
    vmcs_write(VMCS_CR4_READ_SHADOW, value);
    vmcs_write(VMCS_GUEST_CR4, vmx_controls_cr4(v->controls, value));
}

static bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

/* SDM "PDPTE Registers": loaded with CR3, and by changes of certain bits of CR0 and CR4. */
static bool load_pdptes(struct vmx_vcpu *v)
{
    uint64_t entries[4];
    uint64_t reserved = ~((UINT64_C(1) << v->vm->physical_address_bits) - 1) | 0x1e6;
    gpa_t table = GPA(vmcs_read(VMCS_GUEST_CR3) & 0xffffffe0u);

    if (gpa_space_read(&v->vcpu.vm->memory, table, entries, sizeof(entries)) != HV_OK)
        return false;
    for (unsigned i = 0; i < 4; i++) {
        if ((entries[i] & 1) && (entries[i] & reserved))
            return false;
    }
    for (unsigned i = 0; i < 4; i++)
        vmcs_write(VMCS_GUEST_PDPTE0 + 2 * i, entries[i]);
    return true;
}

static void set_long_mode(struct vmx_vcpu *v, uint64_t efer, bool on)
{
    uint64_t entry = vmcs_read(VMCS_ENTRY_CONTROLS);

    (void)v;
    vmcs_write(VMCS_GUEST_IA32_EFER, on ? efer | EFER_LMA : efer & ~EFER_LMA);
    vmcs_write(VMCS_ENTRY_CONTROLS,
               on ? entry | ENTRY_IA32E_MODE_GUEST : entry & ~(uint64_t)ENTRY_IA32E_MODE_GUEST);
}

static bool code_is_64bit(void)
{
    return vmcs_read(VMCS_GUEST_CS_ACCESS_RIGHTS) & VMX_AR_L;
}

/* IA-32e mode knows no 16-bit TSS: "Initializing IA-32e Mode". */
static bool task_is_32bit(void)
{
    return (vmcs_read(VMCS_GUEST_TR_ACCESS_RIGHTS) & VMX_AR_TYPE_MASK) == VMX_AR_TYPE_TSS_BUSY;
}

static bool cr0_value_ok(struct vmx_vcpu *v, uint64_t value, uint64_t cr4, uint64_t efer)
{
    bool paging_on = value & CR0_PG;

    (void)v;
    if (value >> 32)
        return false;
    if (paging_on && !(value & CR0_PE))
        return false;
    if ((value & CR0_NW) && !(value & CR0_CD))
        return false;
    if (!paging_on && (cr4 & CR4_PCIDE))
        return false;
    if (!paging_on && (efer & EFER_LMA) && code_is_64bit())
        return false;
    return true;
}

/* MOV to CR0 in full. False: #GP(0), nothing has changed. */
static bool set_cr0(struct vmx_vcpu *v, uint64_t value)
{
    uint64_t old = vmx_guest_cr0(v), cr4 = vmx_guest_cr4(v);
    uint64_t efer = vmcs_read(VMCS_GUEST_IA32_EFER);
    bool turns_on = !(old & CR0_PG) && (value & CR0_PG);
    bool turns_off = (old & CR0_PG) && !(value & CR0_PG);
    const uint64_t pdpte_bits = CR0_CD | CR0_NW | CR0_PG;

    value |= CR0_ET;
    value &= CR0_DEFINED | ~UINT64_C(0xffffffff);
    if (!cr0_value_ok(v, value, cr4, efer))
        return false;
    if (turns_on && (efer & EFER_LME) &&
        (!(cr4 & CR4_PAE) || code_is_64bit() || !task_is_32bit()))
        return false;
    if (((old ^ value) & pdpte_bits) && pae_paging(value, cr4, efer & EFER_LME ? EFER_LMA : 0) &&
        !load_pdptes(v))
        return false;
    if (turns_on && (efer & EFER_LME))
        set_long_mode(v, efer, true);
    if (turns_off && (efer & EFER_LMA))
        set_long_mode(v, efer, false);
    install_cr0(v, value);
    if ((old ^ value) & (CR0_PG | CR0_WP | CR0_PE))
        v->attention |= VMX_ATTENTION_FLUSH;
    return true;
}

static bool set_cr4(struct vmx_vcpu *v, uint64_t value)
{
    const uint64_t translation = CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP |
                                 CR4_PKE;
    uint64_t old = vmx_guest_cr4(v), cr0 = vmx_guest_cr0(v);
    uint64_t efer = vmcs_read(VMCS_GUEST_IA32_EFER);

    if (value & ~cpuid_view_cr4(&v->cpuid))
        return false;
    if ((efer & EFER_LMA) && !(value & CR4_PAE))
        return false;
    if ((value & CR4_PCIDE) && !(old & CR4_PCIDE) &&
        (!(efer & EFER_LMA) || (vmcs_read(VMCS_GUEST_CR3) & CR3_PCID_MASK)))
        return false;
    if (((old ^ value) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) && pae_paging(cr0, value, efer) &&
        !load_pdptes(v))
        return false;
    install_cr4(v, value);
    if ((old ^ value) & CPUID_VIEW_CR4)
        vmx_cpuid_follow(v);
    if ((old ^ value) & translation)
        v->attention |= VMX_ATTENTION_FLUSH;
    return true;
}

static unsigned answer(struct vmx_vcpu *v, bool ok)
{
    return ok ? EXIT_NEXT | VCPU_RUN : vmx_answer_gp(v);
}

/* MOV to CR3, where the policy asks to see it. Bit 63 is no part of the value: SDM "MOV to CR3". */
bool vmx_set_cr3(struct vmx_vcpu *v, uint64_t value)
{
    uint64_t old = vmcs_read(VMCS_GUEST_CR3);

    if (vmx_guest_cr4(v) & CR4_PCIDE)
        value &= ~CR3_NOFLUSH;
    if ((vmcs_read(VMCS_GUEST_IA32_EFER) & EFER_LMA) && value >> v->vm->physical_address_bits)
        return false;
    vmcs_write(VMCS_GUEST_CR3, value);
    if (pae_paging(vmx_guest_cr0(v), vmx_guest_cr4(v), vmcs_read(VMCS_GUEST_IA32_EFER)) &&
        !load_pdptes(v)) {
        vmcs_write(VMCS_GUEST_CR3, old);
        return false;
    }
    v->attention |= VMX_ATTENTION_FLUSH;
    return true;
}

static bool set_cr8(struct vmx_vcpu *v, uint64_t value)
{
    if (value & ~CR8_TPR_MASK)
        return false;
    lapic_cr8_write(v->lapic, (uint8_t)value);
    return true;
}

static unsigned mov_to_cr(struct vmx_vcpu *v, unsigned cr, unsigned gpr)
{
    uint64_t value = gpr == X86_RSP ? vmx_guest_rsp(v) : v->gprs.r[gpr];

    if (vmx_guest_mode(v) != EMUL_MODE_64)
        value = (uint32_t)value;
    switch (cr) {
    case 0:
        return answer(v, set_cr0(v, value));
    case 3:
        return answer(v, vmx_set_cr3(v, value));
    case 4:
        return answer(v, set_cr4(v, value));
    case 8:
        return answer(v, set_cr8(v, value));
    default:
        return vmx_crash(v, "MOV to CR%u exited", cr);
    }
}

static unsigned mov_from_cr(struct vmx_vcpu *v, unsigned cr, unsigned gpr)
{
    uint64_t value;

    if (cr == 3)
        value = vmcs_read(VMCS_GUEST_CR3);
    else if (cr == 8)
        value = lapic_cr8_read(v->lapic);
    else
        return vmx_crash(v, "MOV from CR%u exited", cr);
    if (gpr == X86_RSP)
        vmcs_write(VMCS_GUEST_RSP, value);
    else
        v->gprs.r[gpr] = value;
    return EXIT_NEXT | VCPU_RUN;
}

unsigned exit_cr_access(struct vmx_vcpu *v)
{
    struct vmx_cr_access access = vmx_cr_access_decode(v->exit.qualification);
    uint64_t cr0 = vmx_guest_cr0(v);

    switch (access.type) {
    case VMX_CR_MOV_TO:
        return mov_to_cr(v, access.cr, access.gpr);
    case VMX_CR_MOV_FROM:
        return mov_from_cr(v, access.cr, access.gpr);
    case VMX_CR_CLTS:
        return answer(v, set_cr0(v, cr0 & ~(uint64_t)CR0_TS));
    default: /* LMSW: sets PE, but never clears it */
        return answer(v, set_cr0(v, (cr0 & ~(uint64_t)(CR0_MP | CR0_EM | CR0_TS)) |
                                        (access.lmsw_source & (CR0_PE | CR0_MP | CR0_EM | CR0_TS))));
    }
}
