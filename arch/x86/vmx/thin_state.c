/*
 * A core's registers: as firmware has them, as the guest's part of a VMCS, and back.
 *
 * Descriptors are read from the GDT in memory, which holds what the processor loaded as long as
 * nobody has written to it since; firmware does not. TR is 0 under EDK2 and others, which VM entry
 * does not take for "unusable": it gets the least that passes, a busy TSS without contents. No
 * ring other than 0 is in use then, so nothing ever looks into it.
 * No lock: a core's own registers.
 * SDM volume 3 "Checks on Guest Segment Registers", "Segment Descriptors", "Loading Guest State".
 */
#include "arch/x86/vmx/thin_internal.h"
#include "x86/descriptors.h"
#include "x86/msr.h"

#define SELECTOR_INDEX 0xfff8u
#define DESCRIPTOR_G (UINT64_C(1) << 55)
#define TSS_BYTES_LEAST 104u

/* --- capture --- */

static struct thin_segment unusable(uint16_t selector)
{
    return (struct thin_segment){ selector, 0, VMX_AR_UNUSABLE, 0 };
}

/* "Segment Descriptors": the limit in two pieces, the base in three, the rights from bit 40 on. */
static struct thin_segment from_descriptor(uint16_t selector, uint64_t low, uint64_t high)
{
    struct thin_segment s = { .selector = selector };

    s.limit = (uint32_t)((low & 0xffff) | (low >> 32 & 0xf0000));
    if (low & DESCRIPTOR_G)
        s.limit = s.limit << 12 | 0xfff;
    s.rights = (uint32_t)(low >> 40) & 0xf0ff;
    s.base = (low >> 16 & 0xffffff) | (low >> 32 & 0xff000000) | high << 32;
    /* What the processor has loaded is accessed, whatever has become of the copy in memory. */
    if (s.rights & VMX_AR_S)
        s.rights |= VMX_AR_ACCESSED;
    return s;
}

static struct thin_segment read_segment(const struct x86_table_register *gdt, uint16_t selector,
                                        bool system)
{
    uint32_t at = selector & SELECTOR_INDEX;
    const uint64_t *entry = (const uint64_t *)(gdt->base + at);

    if (at == 0 || (selector & SELECTOR_TI) || at + (system ? 15u : 7u) > gdt->limit)
        return unusable(selector);
    return from_descriptor(selector, entry[0], system ? entry[1] & UINT32_MAX : 0);
}

static struct thin_segment no_task(void)
{
    return (struct thin_segment){ 0, TSS_BYTES_LEAST - 1, VMX_AR_P | VMX_AR_TYPE_TSS_BUSY, 0 };
}

/* XCR0 can only be read with CR4.OSXSAVE, which the caller's CR4 may not have. */
static uint64_t read_xcr0(void)
{
    uint64_t cr4 = read_cr4(), value;

    if (!(cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_XSAVE))
        return 0;
    write_cr4(cr4 | CR4_OSXSAVE);
    value = xgetbv(0);
    write_cr4(cr4);
    return value;
}

static void capture_segments(struct thin_state *s)
{
    const uint16_t selectors[] = { read_es(), read_cs(), read_ss(), read_ds(), read_fs(), read_gs() };

    s->gdtr = sgdt();
    s->idtr = sidt();
    for (unsigned i = 0; i < HV_ARRAY_COUNT(selectors); i++)
        s->segment[i] = read_segment(&s->gdtr, selectors[i], false);
    s->segment[SEG_FS].base = rdmsr(MSR_IA32_FS_BASE);
    s->segment[SEG_GS].base = rdmsr(MSR_IA32_GS_BASE);
    s->segment[SEG_LDTR] = read_segment(&s->gdtr, sldt(), true);
    s->segment[SEG_TR] = read_segment(&s->gdtr, str(), true);
    if (s->segment[SEG_TR].rights & VMX_AR_UNUSABLE)
        s->segment[SEG_TR] = no_task();
    s->segment[SEG_TR].rights |= VMX_AR_TYPE_TSS_BUSY; /* and a loaded task is busy */
}

void thin_state_capture(struct thin_state *s, const struct thin_return *where)
{
    s->where = *where;
    s->cr0 = read_cr0();
    s->cr3 = read_cr3();
    s->cr4 = read_cr4();
    s->dr7 = read_dr7();
    s->xcr0 = read_xcr0();
    s->efer = rdmsr(MSR_IA32_EFER);
    s->pat = rdmsr(MSR_IA32_PAT);
    s->debugctl = rdmsr(MSR_IA32_DEBUGCTL);
    s->sysenter_cs = rdmsr(MSR_IA32_SYSENTER_CS);
    s->sysenter_esp = rdmsr(MSR_IA32_SYSENTER_ESP);
    s->sysenter_eip = rdmsr(MSR_IA32_SYSENTER_EIP);
    capture_segments(s);
}

/* --- into the VMCS --- */

static void write_segment(unsigned index, const struct thin_segment *s)
{
    uint32_t step = 2 * index;

    vmcs_write(VMCS_GUEST_ES_SELECTOR + step, s->selector);
    vmcs_write(VMCS_GUEST_ES_BASE + step, s->base);
    vmcs_write(VMCS_GUEST_ES_LIMIT + step, s->limit);
    vmcs_write(VMCS_GUEST_ES_ACCESS_RIGHTS + step, s->rights);
}

void thin_state_to_vmcs(struct vmx_vcpu *v, const struct thin_state *s)
{
    /* The guest has neither: a bit that firmware left set could not be cleared by it. */
    uint64_t cr4 = s->cr4 & ~(CR4_SMXE | CR4_VMXE);

    for (unsigned i = 0; i < THIN_SEGMENTS; i++)
        write_segment(i, &s->segment[i]);
    vmcs_write(VMCS_GUEST_GDTR_BASE, s->gdtr.base);
    vmcs_write(VMCS_GUEST_GDTR_LIMIT, s->gdtr.limit);
    vmcs_write(VMCS_GUEST_IDTR_BASE, s->idtr.base);
    vmcs_write(VMCS_GUEST_IDTR_LIMIT, s->idtr.limit);
    vmcs_write(VMCS_CR0_READ_SHADOW, s->cr0);
    vmcs_write(VMCS_GUEST_CR0, vmx_controls_cr0(v->controls, s->cr0));
    vmcs_write(VMCS_GUEST_CR3, s->cr3);
    vmcs_write(VMCS_CR4_READ_SHADOW, cr4);
    vmcs_write(VMCS_GUEST_CR4, vmx_controls_cr4(v->controls, cr4));
    vmcs_write(VMCS_GUEST_DR7, s->dr7);
    vmcs_write(VMCS_GUEST_IA32_EFER, s->efer);
    vmcs_write(VMCS_GUEST_IA32_PAT, s->pat);
    vmcs_write(VMCS_GUEST_IA32_DEBUGCTL, s->debugctl);
    vmcs_write(VMCS_GUEST_IA32_SYSENTER_CS, s->sysenter_cs);
    vmcs_write(VMCS_GUEST_IA32_SYSENTER_ESP, s->sysenter_esp);
    vmcs_write(VMCS_GUEST_IA32_SYSENTER_EIP, s->sysenter_eip);
    vmcs_write(VMCS_ENTRY_CONTROLS, v->controls->entry | ENTRY_IA32E_MODE_GUEST);
    vmcs_write(VMCS_GUEST_RIP, s->where.rip);
    vmcs_write(VMCS_GUEST_RSP, s->where.rsp);
    vmcs_write(VMCS_GUEST_RFLAGS, (s->where.rflags & RFLAGS_DEFINED & ~RFLAGS_IF) | RFLAGS_FIXED1);
    vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE, 0);
    vmcs_write(VMCS_GUEST_ACTIVITY_STATE, VMX_ACTIVITY_ACTIVE);
    vmcs_write(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
}

/* --- back --- */

/* The way by which host_paging_load and descriptors_load have come, backwards. CS is reloaded from
 * firmware's GDT, which is only mapped again behind CR3; so is its stack, which nobody uses before
 * the caller's caller. TR stays: LTR would need an available TSS, and firmware has none. */
void thin_state_restore(const struct thin_state *s)
{
    write_cr4((read_cr4() & ~CR4_VMXE) | (s->cr4 & CR4_PGE));
    write_cr0(s->cr0 & ~CR0_WP);
    wrmsr(MSR_IA32_PAT, s->pat);
    wrmsr(MSR_IA32_EFER, s->efer | EFER_NXE);
    write_cr3(s->cr3);
    write_cr4(s->cr4);
    write_cr0(s->cr0);
    wrmsr(MSR_IA32_EFER, s->efer);
    lgdt(&s->gdtr);
    write_cs(s->segment[SEG_CS].selector);
    write_ss(s->segment[SEG_SS].selector);
    write_ds(s->segment[SEG_DS].selector);
    write_es(s->segment[SEG_ES].selector);
    write_fs(s->segment[SEG_FS].selector);
    write_gs(s->segment[SEG_GS].selector);
    wrmsr(MSR_IA32_FS_BASE, s->segment[SEG_FS].base);
    wrmsr(MSR_IA32_GS_BASE, s->segment[SEG_GS].base);
    lidt(&s->idtr);
}
