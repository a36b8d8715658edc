/*
 * An entry that the processor refused: which field, which value, which rule of the SDM.
 *
 * The processor says no more than a number; the checks of x86/vmx_check.h are applied to the VMCS as
 * it stands, and everything that breaks one is named.
 * SDM volume 3 "VM Entries", "VM-Instruction Error Numbers".
 */
#include "arch/x86/vmx/vcpu.h"
#include "hv/boot_info.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/string.h"
#include "x86/vmx_check.h"
#include "x86/vmx_errors.h"

#define VIOLATIONS_SHOWN 8
/* VM-instruction errors that the checks explain. */
#define ERROR_CONTROLS 7
#define ERROR_HOST_STATE 8

static uint64_t check_read(void *context, uint32_t encoding)
{
    uint64_t value = 0;

    (void)context;
    vmread(encoding, &value);
    return value;
}

/* Memory that our identity map holds. */
static bool is_ours(uint64_t start, size_t bytes)
{
    const struct boot_info *info = machine_boot_info();

    for (unsigned i = 0; i < info->memory_count; i++) {
        const struct boot_memory *m = &info->memory[i];
        if ((m->kind == BOOT_MEMORY_FREE || m->kind == BOOT_MEMORY_TRAPLINE ||
             m->kind == BOOT_MEMORY_RECLAIM) && start >= m->start &&
            start - m->start < m->bytes && bytes <= m->bytes - (start - m->start))
            return true;
    }
    return false;
}

/* What the processor would look into: the virtual-APIC page, MSR areas, a linked VMCS. */
static bool check_read_memory(void *context, uint64_t hpa, void *to, size_t bytes)
{
    (void)context;
    if (!is_ours(hpa, bytes))
        return false;
    memcpy(to, (const void *)hpa, bytes);
    return true;
}

static void explain(const struct vmx_vcpu *v)
{
    struct vmx_check_input input = {
        .caps = vmx_host_caps(),
        .read = check_read,
        .read_memory = check_read_memory,
        .ia32e_mode = true,
        .current_vmcs = v->vmcs.v,
    };
    struct vmx_violation found[VIOLATIONS_SHOWN];
    char text[320];
    size_t count;

    vmx_check_masks(&input, cpuid);
    count = vmx_check_entry(&input, found, VIOLATIONS_SHOWN);
    for (size_t i = 0; i < count && i < VIOLATIONS_SHOWN; i++) {
        vmx_violation_text(text, sizeof(text), &found[i]);
        hv_error("  %s", text);
    }
    if (count > VIOLATIONS_SHOWN)
        hv_error("  and %zu more", count - VIOLATIONS_SHOWN);
    if (count == 0)
        hv_error("  this VMCS breaks none of the SDM's rules: the reason lies in an MSR that can't be "
                 "loaded, in memory that is not ours, or in the processor");
}

/* VMLAUNCH or VMRESUME went on to the next instruction. */
void vmx_log_entry_failure(struct vmx_vcpu *v)
{
    const char *name = v->vcpu.vm->config->name;
    uint64_t number = 0;

    if (v->entry_status & 1) {
        hv_error("vm %s vCPU %u: VM entry: VMfailInvalid (no current VMCS, or it is a shadow VMCS)",
                 name, v->vcpu.index);
        return;
    }
    vmread(VMCS_VM_INSTRUCTION_ERROR, &number);
    hv_error("vm %s vCPU %u: VM entry: VMfailValid, error %llu: %s", name, v->vcpu.index,
             (unsigned long long)number, vmx_instruction_error_text((uint32_t)number));
    if (number == ERROR_CONTROLS || number == ERROR_HOST_STATE)
        explain(v);
}

/* An entry that got as far as loading guest state: an exit with bit 31 of its reason set. */
unsigned exit_entry_failed(struct vmx_vcpu *v)
{
    v->exit.qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);
    v->exit.vect_info = 0;
    hv_error("vm %s vCPU %u: exit reason %u: %s", v->vcpu.vm->config->name, v->vcpu.index,
             v->exit.reason & VMX_EXIT_REASON_BASIC_MASK, vmx_exit_reason_doc(v->exit.reason));
    if ((v->exit.reason & VMX_EXIT_REASON_BASIC_MASK) == VMEXIT_ENTRY_FAIL_MSR_LOADING)
        hv_error("  at entry %llu of the VM-entry MSR-load area",
                 (unsigned long long)v->exit.qualification);
    explain(v);
    return vmx_crash(v, "VM entry refused (%s)", vmx_exit_reason_name(v->exit.reason));
}
