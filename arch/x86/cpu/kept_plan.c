/*
 * What of firmware's state must be thought about before it can be loaded again.
 *
 * Pure; no lock. SDM volume 3 "TSS Descriptor in 64-bit mode", "Segment Selectors", "APIC Timer";
 * volume 2 "LTR", "LLDT".
 */
#include "x86/kept.h"

#include "hv/string.h"
#include "x86/msr.h"
#include "x86/regs.h"

#define SELECTOR_TI 4u
#define SELECTOR_INDEX 0xfff8u
#define SYSTEM_DESCRIPTOR_BYTES 16u
#define TYPE_SHIFT 40
#define TYPE_MASK (UINT64_C(0x1f) << TYPE_SHIFT) /* S and type */
#define TYPE_TSS_AVAILABLE UINT64_C(9)
#define TYPE_BUSY (UINT64_C(2) << TYPE_SHIFT)
#define PRESENT (UINT64_C(1) << 47)
/* Limit 67H and base 0, available, present. */
#define DORMANT_TSS (UINT64_C(0x67) | TYPE_TSS_AVAILABLE << TYPE_SHIFT | PRESENT)
#define TIMER_MODE_SHIFT 17
#define TIMER_MODE_MASK 3u

enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

static bool inside(uint16_t selector, uint32_t gdt_bytes)
{
    return (selector & SELECTOR_INDEX) != 0 && !(selector & SELECTOR_TI) &&
           (selector & SELECTOR_INDEX) + SYSTEM_DESCRIPTOR_BYTES <= gdt_bytes;
}

static bool is_tss(uint64_t low)
{
    return (low & PRESENT) &&
           ((low & TYPE_MASK & ~TYPE_BUSY) >> TYPE_SHIFT) == TYPE_TSS_AVAILABLE;
}

struct kept_task kept_task_plan(uint16_t selector, const uint64_t *gdt, uint32_t gdt_bytes)
{
    struct kept_task task = { KEPT_TASK_SELECTOR, { DORMANT_TSS, 0 } };

    if (!inside(selector, gdt_bytes) || !is_tss(gdt[selector / 8]))
        return task;
    task.selector = selector;
    task.descriptor.low = gdt[selector / 8] & ~TYPE_BUSY;
    task.descriptor.high = gdt[selector / 8 + 1];
    return task;
}

bool kept_ldt_fits(uint16_t selector, uint32_t gdt_bytes)
{
    return inside(selector, gdt_bytes);
}

uint32_t kept_apic_count(const struct kept_apic *apic)
{
    switch (apic->timer >> TIMER_MODE_SHIFT & TIMER_MODE_MASK) {
    case TIMER_PERIODIC:
        return apic->initial;
    case TIMER_ONE_SHOT:
        return apic->current;
    default:
        return 0;
    }
}

#define FIELD(name, member)                                                                        \
    { name, offsetof(struct kept_core, member), sizeof(((struct kept_core *)0)->member) }

/* All but what is nobody's state (rsp), and what counts on (the timer's counts, the deadline). */
static const struct {
    const char *name;
    uint16_t offset, bytes;
} compared[] = {
    { "x87 or SSE state", offsetof(struct kept_core, fx), 416 }, /* what is behind it is nobody's */
    FIELD("CR0", cr0), FIELD("CR2", cr2), FIELD("CR3", cr3), FIELD("CR4", cr4),
    FIELD("XCR0", xcr0), FIELD("PKRU", pkru),
    FIELD("IA32_EFER", efer), FIELD("IA32_PAT", pat), FIELD("IA32_DEBUGCTL", debugctl),
    FIELD("IA32_XSS", xss), FIELD("IA32_SPEC_CTRL", spec_ctrl), FIELD("IA32_TSX_CTRL", tsx_ctrl),
    FIELD("FS base", fs_base), FIELD("GS base", gs_base),
    FIELD("IA32_KERNEL_GS_BASE", kernel_gs_base), FIELD("IA32_STAR", star),
    FIELD("IA32_LSTAR", lstar), FIELD("IA32_CSTAR", cstar), FIELD("IA32_FMASK", fmask),
    FIELD("IA32_SYSENTER_CS", sysenter_cs), FIELD("IA32_SYSENTER_ESP", sysenter_esp),
    FIELD("IA32_SYSENTER_EIP", sysenter_eip), FIELD("IA32_TSC_AUX", tsc_aux),
    FIELD("DR0", dr0), FIELD("DR1", dr1), FIELD("DR2", dr2), FIELD("DR3", dr3),
    FIELD("DR6", dr6), FIELD("DR7", dr7),
    FIELD("CS", cs), FIELD("SS", ss), FIELD("DS", ds), FIELD("ES", es), FIELD("FS", fs),
    FIELD("GS", gs), FIELD("LDTR", ldt), FIELD("GDTR", gdt), FIELD("IDTR", idt),
    FIELD("TR", task.selector), FIELD("TR", task.descriptor),
    FIELD("APIC TPR", apic.tpr), FIELD("APIC SVR", apic.spurious),
    FIELD("APIC LVT timer", apic.timer), FIELD("APIC LVT LINT0", apic.lint0),
    FIELD("APIC LVT LINT1", apic.lint1), FIELD("APIC LVT error", apic.error),
    FIELD("APIC LVT performance", apic.performance), FIELD("APIC LVT thermal", apic.thermal),
    FIELD("APIC LVT CMCI", apic.cmci), FIELD("APIC divide", apic.divide),
};

const char *kept_difference(const struct kept_core *before, const struct kept_core *after)
{
    for (unsigned i = 0; i < HV_ARRAY_COUNT(compared); i++) {
        if (memcmp((const uint8_t *)before + compared[i].offset,
                   (const uint8_t *)after + compared[i].offset, compared[i].bytes) != 0)
            return compared[i].name;
    }
    return NULL;
}

const char *kept_refusal(uint64_t apic_base, uint64_t cr4)
{
    if (!(apic_base & APIC_BASE_EN))
        return "firmware has switched the local APIC off";
    if (cr4 & CR4_CET)
        return "firmware runs with shadow stacks or branch tracking (CR4.CET), which a return "
               "from here would break";
    if (cr4 & CR4_VMXE)
        return "firmware, or something that it started, is in VMX operation already";
    return NULL;
}
