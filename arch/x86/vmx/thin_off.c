/*
 * One core out of VMX operation, with its operating system running on: THIN_MSR_OFF.
 *
 * The guest's registers are in the core or in the VMCS; this brings the second kind into the core.
 * Segments are loaded from a GDT of our own that has the guest's descriptors, as the VMCS knows
 * them, at the guest's selectors: its own GDT is not mapped here, and may not be writable there,
 * which LTR asks for. The last steps are in thin_leave.asm, which says how CR3 is changed under a
 * program that knows nothing of us.
 *
 * The guest finds its registers as RDMSR leaves them, but for RAX and RDX, whose values mean
 * nothing: no result was promised.
 *
 * Not every guest can be left alone: it must be in 64-bit mode at privilege level 0, with paging of
 * as many levels as firmware had (the number cannot be changed without leaving 64-bit mode), with
 * execute-disable on, without LASS, and in the upper half of its addresses (our own are in the
 * lower). Under FRED no IRET of its would open NMIs again. Else the read is refused by #GP, and the
 * guest stays.
 * No lock: a core's own; pages come from the allocator, which has one, and are not given back: a
 * refusal for the guest's mode takes one, once.
 * SDM volume 3 "VMM Setup & Tear Down".
 */
#include "arch/x86/vmx/thin_internal.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "hv/string.h"
#include "x86/host_apic_regs.h"
#include "x86/host_paging.h"
#include "x86/msr.h"

#define GDT_ENTRIES (HV_PAGE_BYTES / 8)
#define TSS_BUSY (UINT64_C(2) << 40)
#define PTE_PRESENT 1ull
#define PTE_WRITE 2ull
#define PTE_ADDRESS 0x000ffffffffff000ull
#define TAIL_BYTES 8
#define NMI_TRIES 1000000u

/* thin_leave.asm */
HV_NORETURN void thin_leave(struct thin_leave *leave);

static void *take_page(void)
{
    hpa_t page;

    if (page_alloc_take(machine_pages(), 1, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &page) != HV_OK)
        return NULL;
    return (void *)page.v;
}

/* --- segments ------------------------------------------------------------------------------- */

static struct thin_segment segment_of(unsigned index)
{
    uint32_t step = 2 * index;

    return (struct thin_segment){
        .selector = (uint16_t)vmcs_read(VMCS_GUEST_ES_SELECTOR + step),
        .limit = (uint32_t)vmcs_read(VMCS_GUEST_ES_LIMIT + step),
        .rights = (uint32_t)vmcs_read(VMCS_GUEST_ES_ACCESS_RIGHTS + step),
        .base = vmcs_read(VMCS_GUEST_ES_BASE + step),
    };
}

/* "Segment Descriptors", the other way round. */
static uint64_t descriptor_of(const struct thin_segment *s)
{
    uint32_t limit = s->rights & VMX_AR_G ? s->limit >> 12 : s->limit;

    return (limit & 0xffff) | (uint64_t)(limit & 0xf0000) << 32 | (s->base & 0xffffff) << 16 |
           (s->base & 0xff000000) << 32 | (uint64_t)(s->rights & 0xf0ff) << 40;
}

/* False: the selector is none that our GDT can have. */
static bool put_segment(uint64_t *gdt, unsigned index, uint32_t *selector)
{
    struct thin_segment s = segment_of(index);
    unsigned entry = s.selector / 8u;

    *selector = s.selector;
    if (entry == 0)
        return true;
    if ((s.selector & SELECTOR_TI) || entry + 1 >= GDT_ENTRIES)
        return false;
    if (s.rights & VMX_AR_UNUSABLE) {
        *selector = 0;
        return true;
    }
    gdt[entry] = descriptor_of(&s);
    if (index == SEG_TR)
        gdt[entry] &= ~TSS_BUSY; /* LTR sets it */
    if (index == SEG_TR || index == SEG_LDTR)
        gdt[entry + 1] = s.base >> 32;
    return true;
}

static bool put_segments(struct thin_leave *leave)
{
    uint64_t *gdt = take_page();

    if (!gdt)
        return false;
    leave->own_gdtr = (struct x86_table_register){ HV_PAGE_BYTES - 1, (uint64_t)gdt };
    for (unsigned i = 0; i < THIN_SEGMENTS; i++) {
        if (!put_segment(gdt, i, &leave->selector[i]))
            return false;
    }
    leave->fs_base = vmcs_read(VMCS_GUEST_FS_BASE);
    leave->gs_base = vmcs_read(VMCS_GUEST_GS_BASE);
    leave->gdtr = (struct x86_table_register){ (uint16_t)vmcs_read(VMCS_GUEST_GDTR_LIMIT),
                                               vmcs_read(VMCS_GUEST_GDTR_BASE) };
    leave->idtr = (struct x86_table_register){ (uint16_t)vmcs_read(VMCS_GUEST_IDTR_LIMIT),
                                               vmcs_read(VMCS_GUEST_IDTR_BASE) };
    return true;
}

/* --- the way over --------------------------------------------------------------------------- */

/* Maps one page of ours for execution at a linear address of the guest's. */
static bool map_page(uint64_t *root, unsigned levels, uint64_t linear, const void *page)
{
    uint64_t *table = root;

    for (unsigned level = levels; level > 1; level--) {
        uint64_t *entry = &table[linear >> (12 + 9 * (level - 1)) & 511];
        if (!(*entry & PTE_PRESENT)) {
            void *below = take_page();
            if (!below)
                return false;
            *entry = (uint64_t)below | PTE_PRESENT | PTE_WRITE;
        }
        table = (uint64_t *)(*entry & PTE_ADDRESS);
    }
    table[linear >> 12 & 511] = (uint64_t)page | PTE_PRESENT;
    return true;
}

/* ENDBR64; STI or NOP; MOV CR3, RAX. */
static bool put_tail(struct thin_leave *leave, uint64_t rip, bool interrupts)
{
    const uint8_t tail[TAIL_BYTES] = { 0xf3, 0x0f, 0x1e, 0xfa, interrupts ? 0xfb : 0x90,
                                       0x0f, 0x22, 0xd8 };
    uint64_t target = rip - TAIL_BYTES;
    unsigned levels = read_cr4() & CR4_LA57 ? 5 : 4;
    uint64_t *root = take_page();
    uint8_t *page[2] = { take_page(), take_page() };

    if (!root || !page[0] || !page[1])
        return false;
    memcpy(root, (const void *)host_cr3(), HV_PAGE_BYTES);
    for (unsigned i = 0; i < TAIL_BYTES; i++)
        page[((target + i) ^ target) >> HV_PAGE_SHIFT ? 1 : 0][(target + i) & HV_PAGE_MASK] = tail[i];
    leave->target = target;
    leave->cr3 = (uint64_t)root | (leave->cr4 & CR4_PCIDE ? leave->guest_cr3 & CR3_PCID_MASK : 0);
    return map_page(root, levels, target, page[0]) &&
           (((rip - 1) ^ target) >> HV_PAGE_SHIFT == 0 ||
            map_page(root, levels, rip - 1, page[1]));
}

static bool can_leave(struct vmx_vcpu *v, uint64_t rip)
{
    uint64_t cr4 = vmcs_read(VMCS_GUEST_CR4);
    uint64_t efer = vmcs_read(VMCS_GUEST_IA32_EFER);

    return vmx_guest_mode(v) == EMUL_MODE_64 && (efer & EFER_NXE) &&
           !((cr4 ^ read_cr4()) & CR4_LA57) && !(cr4 & (CR4_LASS | CR4_FRED)) &&
           (rip - TAIL_BYTES) >> 63 &&
           !(vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_TF);
}

static bool prepare(struct thin_core *core, struct thin_leave *leave)
{
    struct vmx_vcpu *v = &core->v;
    uint64_t rip = vmcs_read(VMCS_GUEST_RIP) + v->exit.length;
    uint64_t rflags = vmcs_read(VMCS_GUEST_RFLAGS);

    if (!can_leave(v, rip))
        return false;
    leave->gprs = v->gprs;
    leave->gprs.r[X86_RSP] = vmcs_read(VMCS_GUEST_RSP);
    leave->cr0 = vmx_guest_cr0(v);
    leave->cr4 = vmx_guest_cr4(v);
    leave->guest_cr3 = vmcs_read(VMCS_GUEST_CR3);
    leave->dr7 = vmcs_read(VMCS_GUEST_DR7);
    leave->rflags = rflags & ~(RFLAGS_IF | RFLAGS_RF);
    return put_segments(leave) && put_tail(leave, rip, rflags & RFLAGS_IF);
}

/* What can be given back while we still stand on our own tables. */
static void give_msrs_back(void)
{
    uint64_t debugctl = vmcs_read(VMCS_GUEST_IA32_DEBUGCTL);

    wrmsr(MSR_IA32_SYSENTER_CS, vmcs_read(VMCS_GUEST_IA32_SYSENTER_CS));
    wrmsr(MSR_IA32_SYSENTER_ESP, vmcs_read(VMCS_GUEST_IA32_SYSENTER_ESP));
    wrmsr(MSR_IA32_SYSENTER_EIP, vmcs_read(VMCS_GUEST_IA32_SYSENTER_EIP));
    wrmsr(MSR_IA32_PAT, vmcs_read(VMCS_GUEST_IA32_PAT));
    wrmsr(MSR_IA32_EFER, vmcs_read(VMCS_GUEST_IA32_EFER));
    if (debugctl)
        wrmsr(MSR_IA32_DEBUGCTL, debugctl);
}

/* Has an NMI of the guest's come since the exit? Before the exit's first look it is in the VMCS; after
 * that it has been counted, as our own has if it came. One that is neither is pending still. */
static bool guest_has_nmi(const struct thin_core *core)
{
    uint64_t came = this_cpu()->nmi_count - core->nmis_seen;

    return came > (core->nmi_sent ? 1 : 0) ||
           vmx_intr_valid((uint32_t)vmcs_read(VMCS_ENTRY_INTERRUPTION_INFORMATION));
}

/* In the handler of an NMI, or without one where none came. An NMI that is sent in here comes when the
 * guest opens them by its next IRET. */
static HV_NORETURN void leave_now(struct thin_core *core)
{
    if (guest_has_nmi(core))
        thin_apic_send_nmi();
    hv_info("thin: core %u leaves VMX operation", core->v.vcpu.index);
    give_msrs_back();
    (void)vmclear(core->v.vmcs.v);
    (void)vmxoff();
    this_cpu()->in_vmx = false;
    write_cr4(read_cr4() & ~CR4_VMXE);
    thin_leave(core->leave);
}

static void leave_in_nmi(struct percpu *cpu)
{
    leave_now(thin_core_of_vcpu(cpu->vmx));
}

bool thin_off(struct vmx_vcpu *v)
{
    struct thin_core *core = thin_core_of_vcpu(v);
    struct percpu *cpu = this_cpu();
    bool armed = core->armed;

    core->armed = false;
    if (armed && !core->leave)
        core->leave = take_page();
    if (!armed || !core->leave || !prepare(core, core->leave))
        return false;
    cpu->on_nmi = leave_in_nmi;
    core->nmi_sent = true;
    thin_apic_send_nmi();
    for (unsigned i = 0; i < NMI_TRIES; i++)
        cpu_pause();
    leave_now(core); /* a local APIC that is off sends nothing */
}
