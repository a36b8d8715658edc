/*
 * Entering a VMCS whose host state may be wrong, and being this core again after it.
 *
 * A processor that accepts a bad value loads it at the exit, which follows at once. All that C needs
 * to get here is RIP, RSP, paging and 64-bit mode; the rest is loaded anew. Interrupts are closed,
 * and no exception is possible before the tables are ours again.
 * Lock: none; boot core, which runs no vCPU meanwhile. SDM volume 3 "Loading Host State".
 */
#include "arch/x86/vmx/explain.h"
#include "x86/descriptors.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/percpu.h"

#define DESCRIPTOR_TSS_BUSY (UINT64_C(2) << 40)

/* explain_entry.asm */
unsigned explain_enter(void);
extern const char explain_exit_point[];

void explain_host_save(struct explain_host *host)
{
    host->cr0 = read_cr0();
    host->cr3 = read_cr3();
    host->cr4 = read_cr4();
    host->efer = rdmsr(MSR_IA32_EFER);
    host->pat = rdmsr(MSR_IA32_PAT);
    host->sysenter_cs = rdmsr(MSR_IA32_SYSENTER_CS);
    host->sysenter_esp = rdmsr(MSR_IA32_SYSENTER_ESP);
    host->sysenter_eip = rdmsr(MSR_IA32_SYSENTER_EIP);
}

void explain_host_fields(const struct explain_host *host, struct world *w)
{
    struct percpu *cpu = this_cpu();
    uint64_t *v = w->v;

    v[VMCS_INDEX_HOST_CR0] = host->cr0;
    v[VMCS_INDEX_HOST_CR3] = host->cr3;
    v[VMCS_INDEX_HOST_CR4] = host->cr4;
    v[VMCS_INDEX_HOST_IA32_EFER] = host->efer;
    v[VMCS_INDEX_HOST_IA32_PAT] = host->pat;
    v[VMCS_INDEX_HOST_CS_SELECTOR] = HOST_CS;
    v[VMCS_INDEX_HOST_SS_SELECTOR] = HOST_DS;
    v[VMCS_INDEX_HOST_TR_SELECTOR] = HOST_TR;
    v[VMCS_INDEX_HOST_GS_BASE] = (uint64_t)cpu;
    v[VMCS_INDEX_HOST_TR_BASE] = (uint64_t)&cpu->tss;
    v[VMCS_INDEX_HOST_GDTR_BASE] = sgdt().base;
    v[VMCS_INDEX_HOST_IDTR_BASE] = sidt().base;
    v[VMCS_INDEX_HOST_RIP] = (uint64_t)explain_exit_point;
    v[VMCS_INDEX_HOST_RSP] = 0; /* explain_entry.asm writes it */
}

/* `cpu` is passed in, since GS may hold anything. */
static void host_restore(const struct explain_host *host, struct percpu *cpu)
{
    write_cr4(host->cr4);
    write_cr0(host->cr0);
    write_cr3(host->cr3);
    wrmsr(MSR_IA32_EFER, host->efer);
    wrmsr(MSR_IA32_PAT, host->pat);
    wrmsr(MSR_IA32_SYSENTER_CS, host->sysenter_cs);
    wrmsr(MSR_IA32_SYSENTER_ESP, host->sysenter_esp);
    wrmsr(MSR_IA32_SYSENTER_EIP, host->sysenter_eip);
    cpu->gdt[HOST_TR / 8] &= ~DESCRIPTOR_TSS_BUSY;
    descriptors_load(cpu);
}

static bool write_world(const struct world *w, unsigned *field)
{
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        const struct vmcs_field_info *info = &vmcs_fields[i];
        if (info->type == VMCS_TYPE_READ_ONLY || !vmcs_field_exists(&w->caps, info->encoding))
            continue;
        if (vmwrite(info->encoding, w->v[i]) != VMX_OK) {
            *field = i;
            return false;
        }
    }
    return true;
}

static uint64_t read_field(uint32_t encoding)
{
    uint64_t value = 0;

    return vmread(encoding, &value) == VMX_OK ? value : UINT64_MAX;
}

static void read_verdict(unsigned status, struct explain_verdict *verdict)
{
    uint32_t reason;

    *verdict = (struct explain_verdict){ .kind = EXPLAIN_VMFAIL_INVALID };
    if (status == 2) {
        verdict->kind = EXPLAIN_ERROR;
        verdict->number = (uint32_t)read_field(VMCS_VM_INSTRUCTION_ERROR);
    } else if (status == 0) {
        reason = (uint32_t)read_field(VMCS_EXIT_REASON);
        verdict->kind = reason & VMX_EXIT_REASON_ENTRY_FAILURE ? EXPLAIN_EXIT : EXPLAIN_ENTERS;
        verdict->number = reason & VMX_EXIT_REASON_BASIC_MASK;
        verdict->qualification = read_field(VMCS_EXIT_QUALIFICATION);
    }
}

bool explain_enter_world(const struct explain_host *host, const struct world *w, uint64_t vmcs,
                         struct explain_verdict *verdict, unsigned *field)
{
    struct percpu *cpu = this_cpu();
    unsigned status;
    bool written;

    if (vmclear(vmcs) != VMX_OK || vmptrld(vmcs) != VMX_OK) {
        *verdict = (struct explain_verdict){ .kind = EXPLAIN_VMFAIL_INVALID };
        return true;
    }
    written = write_world(w, field);
    if (written) {
        status = explain_enter();
        if (status == 0)
            host_restore(host, cpu);
        read_verdict(status, verdict);
    }
    (void)vmclear(vmcs);
    return written;
}
