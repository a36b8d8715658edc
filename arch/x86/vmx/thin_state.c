/*
 * A core's registers as firmware has them, and as the guest's part of a VMCS.
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

static void capture_segments(struct thin_state *s)
{
    const struct kept_core *kept = &s->kept;
    const uint16_t selectors[] = { kept->es, kept->cs, kept->ss, kept->ds, kept->fs, kept->gs };

    for (unsigned i = 0; i < HV_ARRAY_COUNT(selectors); i++)
        s->segment[i] = read_segment(&kept->gdt, selectors[i], false);
    s->segment[SEG_FS].base = kept->fs_base;
    s->segment[SEG_GS].base = kept->gs_base;
    s->segment[SEG_LDTR] = read_segment(&kept->gdt, kept->ldt, true);
    s->segment[SEG_TR] = read_segment(&kept->gdt, str(), true);
    if (s->segment[SEG_TR].rights & VMX_AR_UNUSABLE)
        s->segment[SEG_TR] = no_task();
    s->segment[SEG_TR].rights |= VMX_AR_TYPE_TSS_BUSY; /* and a loaded task is busy */
}

void thin_state_capture(struct thin_state *s, const struct thin_return *where)
{
    s->where = *where;
    kept_state_save(&s->kept);
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
    const struct kept_core *kept = &s->kept;
    /* The guest has neither: a bit that firmware left set could not be cleared by it. */
    uint64_t cr4 = kept->cr4 & ~(CR4_SMXE | CR4_VMXE);

    for (unsigned i = 0; i < THIN_SEGMENTS; i++)
        write_segment(i, &s->segment[i]);
    vmcs_write(VMCS_GUEST_GDTR_BASE, kept->gdt.base);
    vmcs_write(VMCS_GUEST_GDTR_LIMIT, kept->gdt.limit);
    vmcs_write(VMCS_GUEST_IDTR_BASE, kept->idt.base);
    vmcs_write(VMCS_GUEST_IDTR_LIMIT, kept->idt.limit);
    vmcs_write(VMCS_CR0_READ_SHADOW, kept->cr0);
    vmcs_write(VMCS_GUEST_CR0, vmx_controls_cr0(v->controls, kept->cr0));
    vmcs_write(VMCS_GUEST_CR3, kept->cr3);
    vmcs_write(VMCS_CR4_READ_SHADOW, cr4);
    vmcs_write(VMCS_GUEST_CR4, vmx_controls_cr4(v->controls, cr4));
    vmcs_write(VMCS_GUEST_DR7, kept->dr7);
    vmcs_write(VMCS_GUEST_IA32_EFER, kept->efer);
    vmcs_write(VMCS_GUEST_IA32_PAT, kept->pat);
    vmcs_write(VMCS_GUEST_IA32_DEBUGCTL, kept->debugctl);
    vmcs_write(VMCS_GUEST_IA32_SYSENTER_CS, kept->sysenter_cs);
    vmcs_write(VMCS_GUEST_IA32_SYSENTER_ESP, kept->sysenter_esp);
    vmcs_write(VMCS_GUEST_IA32_SYSENTER_EIP, kept->sysenter_eip);
    vmcs_write(VMCS_ENTRY_CONTROLS, v->controls->entry | ENTRY_IA32E_MODE_GUEST);
    vmcs_write(VMCS_GUEST_RIP, s->where.rip);
    vmcs_write(VMCS_GUEST_RSP, s->where.rsp);
    vmcs_write(VMCS_GUEST_RFLAGS, (s->where.rflags & RFLAGS_DEFINED & ~RFLAGS_IF) | RFLAGS_FIXED1);
    vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE, 0);
    vmcs_write(VMCS_GUEST_ACTIVITY_STATE, VMX_ACTIVITY_ACTIVE);
    vmcs_write(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
}
