/*
 * APIC virtualization: in x2APIC mode the processor reads the guest's local APIC from its page,
 * takes TPR, EOI and self-IPI writes, and delivers what stands in IRR, all without an exit.
 *
 * In xAPIC mode, or where the processor lacks any of it, everything exits and event.c injects. A
 * vCPU changes between the two with its APIC's mode. With it on:
 * - RVI follows the highest bit of IRR, and is written when software has changed IRR;
 * - only level-triggered vectors are in the EOI-exit bitmap, for the I/O APIC;
 * - HLT still exits, and a vCPU that wants to sleep compares RVI with PPR first: an interrupt that
 *   arrived between STI and HLT must not be slept through.
 * SDM volume 3 "APIC Virtualization and Virtual Interrupts".
 */
#include "arch/x86/vmx/posted_vcpu.h"
#include "arch/x86/vmx/vcpu.h"
#include "hv/log.h"
#include "hv/platform.h"
#include "hv/string.h"

/* --- a VM's second set of controls --- */

void vmx_apicv_make_controls(struct vmx_vm *x)
{
    struct vm_policy policy = x->policy;
    struct vmx_refusal why;

    policy.tpr_shadow = VM_REQUIRE;
    policy.x2apic_mode = VM_REQUIRE;
    policy.apic_register_virtualization = VM_REQUIRE;
    policy.virtual_interrupt_delivery = VM_REQUIRE;
    policy.posted_interrupts = VM_PREFER;
    policy.cr8_load_exiting = VM_AVOID;
    policy.cr8_store_exiting = VM_AVOID;
    x->apicv_available =
        vmx_policy_to_controls(&policy, vmx_host_caps(), &x->controls_apicv, &why) == HV_OK;
}

/* Registers that may be read from the page: those that it holds as the guest shall see them. Not the
 * current count, which is computed, and not ICR, which is 64 bits wide. */
static const struct {
    uint16_t first, last;
} readable[] = {
    { LAPIC_ID, LAPIC_VERSION },       { LAPIC_TPR, LAPIC_TPR },
    { LAPIC_PPR, LAPIC_PPR },          { LAPIC_LDR, LAPIC_LDR },
    { LAPIC_SVR, LAPIC_ESR },          { LAPIC_LVT_TIMER, LAPIC_INITIAL_COUNT },
    { LAPIC_DIVIDE, LAPIC_DIVIDE },
};

void vmx_apicv_open_msrs(uint8_t *bitmap)
{
    const uint16_t writable[] = { LAPIC_TPR, LAPIC_EOI, LAPIC_SELF_IPI };

    for (unsigned i = 0; i < HV_ARRAY_COUNT(readable); i++) {
        for (unsigned r = readable[i].first; r <= readable[i].last; r += 16)
            vmx_msr_bitmap_clear(bitmap, LAPIC_MSR_BASE + r / 16, false);
    }
    for (unsigned i = 0; i < HV_ARRAY_COUNT(writable); i++)
        vmx_msr_bitmap_clear(bitmap, LAPIC_MSR_BASE + writable[i] / 16u, true);
}

/* --- a vCPU's mode --- */

static __attribute__((noinline)) void update_eoi_bitmap(struct vmx_vcpu *v)
{
    for (unsigned word = 0; word < 4; word++) {
        uint64_t level = lapic_level_word(v->lapic, word);
        if (level == v->eoi_exits[word])
            continue;
        v->eoi_exits[word] = level;
        vmcs_write(VMCS_EOI_EXIT_BITMAP0 + 2 * word, level);
    }
}

/* Vectors become level-triggered once and stay so: before nearly every entry nothing has changed. */
static inline void write_eoi_bitmap(struct vmx_vcpu *v)
{
    const struct lapic *lapic = v->lapic;

    if (HV_UNLIKELY((lapic_level_word(lapic, 0) ^ v->eoi_exits[0]) |
                    (lapic_level_word(lapic, 1) ^ v->eoi_exits[1]) |
                    (lapic_level_word(lapic, 2) ^ v->eoi_exits[2]) |
                    (lapic_level_word(lapic, 3) ^ v->eoi_exits[3])))
        update_eoi_bitmap(v);
}

static void apicv_start(struct vmx_vcpu *v)
{
    int in_service = lapic_highest(v->lapic, LAPIC_ISR);

    vmcs_write(VMCS_VIRTUAL_APIC_ADDRESS, (uint64_t)v->lapic->page);
    vmcs_write(VMCS_TPR_THRESHOLD, 0);
    vmcs_write(VMCS_GUEST_INTERRUPT_STATUS, in_service > 0 ? (uint64_t)in_service << 8 : 0);
    for (unsigned i = 0; i < 4; i++)
        vmcs_write(VMCS_EOI_EXIT_BITMAP0 + 2 * i, v->eoi_exits[i] = 0);
    write_eoi_bitmap(v);
}

void vmx_apicv_update_mode(struct vmx_vcpu *v)
{
    bool wanted = v->vm->apicv_available && lapic_is_x2apic(v->lapic);
    const uint32_t kept =
        CPU_INTERRUPT_WINDOW_EXITING | CPU_NMI_WINDOW_EXITING | CPU_MOV_DR_EXITING;

    if (wanted == v->apicv)
        return;
    v->apicv = wanted;
    vmx_blocking_update(v);
    v->controls = wanted ? &v->vm->controls_apicv : &v->vm->controls;
    vmcs_write(VMCS_PIN_BASED_CONTROLS, v->controls->pin);
    v->cpu_controls = v->controls->cpu | (v->cpu_controls & kept);
    vmcs_write(VMCS_PRIMARY_PROC_BASED_CONTROLS, v->cpu_controls);
    vmcs_write(VMCS_SECONDARY_PROC_BASED_CONTROLS, v->controls->cpu2);
    vmcs_write(VMCS_MSR_BITMAP_ADDRESS,
               wanted ? v->vm->msr_bitmap_apicv.v : v->vm->msr_bitmap.v);
    if (wanted)
        apicv_start(v);
    vmx_posted_start(v, wanted);
    v->attention |= VMX_ATTENTION_APICV;
}

/* --- before an entry --- */

void vmx_apicv_prepare(struct vmx_vcpu *v)
{
    uint64_t status = vmcs_read(VMCS_GUEST_INTERRUPT_STATUS);
    /* The debugger's step keeps interrupts away. */
    int requested = v->debug.stepping ? 0 : lapic_highest(v->lapic, LAPIC_IRR);
    uint64_t wanted = (status & 0xff00) | (requested > 0 ? (uint64_t)requested : 0);

    if (wanted != status)
        vmcs_write(VMCS_GUEST_INTERRUPT_STATUS, wanted);
    write_eoi_bitmap(v);
    /* Delivery is the processor's from here on. */
    v->lapic->attention.half.owner &= ~(uint32_t)LAPIC_ATTENTION_VECTOR;
}

/* After INIT: nothing requested, nothing in service. */
void vmx_apicv_clear(struct vmx_vcpu *v)
{
    if (v->apicv)
        vmcs_write(VMCS_GUEST_INTERRUPT_STATUS, 0);
}

/* --- exits --- */

/* Trap-like: the EOI has been done, RIP is past it. */
unsigned exit_virtualized_eoi(struct vmx_vcpu *v)
{
    platform_eoi(v->vcpu.vm, (uint8_t)v->exit.qualification);
    v->attention |= VMX_ATTENTION_APICV;
    return EXIT_KEEP | VCPU_RUN;
}
