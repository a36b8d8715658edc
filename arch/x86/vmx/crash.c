/*
 * A VM that cannot go on, and an entry that the processor refused: everything that is known, in
 * words, on the log.
 */
#include "arch/x86/vmx/vcpu.h"
#include "hv/boot_info.h"
#include "hv/format.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "x86/vmx_errors.h"

static void log_registers(struct vmx_vcpu *v)
{
    const uint64_t *r = v->gprs.r;

    hv_error("  rip %016llx  rflags %08llx  cs %04llx  cpl %u",
             (unsigned long long)vmcs_read(VMCS_GUEST_RIP),
             (unsigned long long)vmcs_read(VMCS_GUEST_RFLAGS),
             (unsigned long long)vmcs_read(VMCS_GUEST_CS_SELECTOR),
             vmx_ar_dpl((uint32_t)vmcs_read(VMCS_GUEST_SS_ACCESS_RIGHTS)));
    hv_error("  rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx", (unsigned long long)r[X86_RAX],
             (unsigned long long)r[X86_RBX], (unsigned long long)r[X86_RCX],
             (unsigned long long)r[X86_RDX]);
    hv_error("  rsi %016llx  rdi %016llx  rbp %016llx  rsp %016llx", (unsigned long long)r[X86_RSI],
             (unsigned long long)r[X86_RDI], (unsigned long long)r[X86_RBP],
             (unsigned long long)vmcs_read(VMCS_GUEST_RSP));
    hv_error("  r8  %016llx  r9  %016llx  r10 %016llx  r11 %016llx", (unsigned long long)r[X86_R8],
             (unsigned long long)r[X86_R9], (unsigned long long)r[X86_R10],
             (unsigned long long)r[X86_R11]);
    hv_error("  r12 %016llx  r13 %016llx  r14 %016llx  r15 %016llx", (unsigned long long)r[X86_R12],
             (unsigned long long)r[X86_R13], (unsigned long long)r[X86_R14],
             (unsigned long long)r[X86_R15]);
    hv_error("  cr0 %08llx  cr3 %016llx  cr4 %08llx  efer %04llx",
             (unsigned long long)vmcs_read(VMCS_GUEST_CR0),
             (unsigned long long)vmcs_read(VMCS_GUEST_CR3),
             (unsigned long long)vmcs_read(VMCS_GUEST_CR4),
             (unsigned long long)vmcs_read(VMCS_GUEST_IA32_EFER));
}

static void log_instruction(struct vmx_vcpu *v)
{
    uint8_t bytes[EMUL_INSN_BYTES_MAX];
    char text[3 * sizeof(bytes) + 1] = "";
    struct x86_fault fault;
    const struct emul_insn *insn;
    size_t at = 0;

    switch (vmx_fetch_decode(v, &insn, &fault)) {
    case EMUL_FAULT:
    case EMUL_RETRY:
    case EMUL_ABORT:
        return;
    default:
        break;
    }
    for (unsigned i = 0; i < sizeof(bytes); i++)
        at += (size_t)hv_snprintf(text + at, sizeof(text) - at, " %02x", insn->bytes[i]);
    hv_error("  code%s", text);
}

unsigned vmx_crash(struct vmx_vcpu *v, const char *why, ...)
{
    char text[120];
    va_list args;

    va_start(args, why);
    hv_vsnprintf(text, sizeof(text), why, args);
    va_end(args);
    if (!v->crashing) {
        v->crashing = true; /* reading the instruction may come back here */
        hv_error("vm %s vCPU %u: %s", v->vcpu.vm->config->name, v->vcpu.index, text);
        hv_error("  exit reason %u (%s), qualification 0x%llx, IDT-vectoring 0x%x",
                 v->exit.reason & VMX_EXIT_REASON_BASIC_MASK,
                 vmx_exit_reason_name(v->exit.reason),
                 (unsigned long long)vmcs_read(VMCS_EXIT_QUALIFICATION), v->exit.vect_info);
        log_registers(v);
        if (!(v->exit.reason & VMX_EXIT_REASON_ENTRY_FAILURE))
            log_instruction(v);
        vmx_recorder_log_last(v);
        v->crashing = false;
        v->exit.vect_info = 0;
        if (!v->handlers) /* else it is the machine that ends: thin_core.c */
            vm_crash(v->vcpu.vm, "%s", text);
    }
    return EXIT_KEEP | VCPU_END;
}

/* SDM "Interrupt 8--Double Fault Exception (#DF)": a processor that shuts down is reset by what
 * stands around it. */
unsigned vmx_triple_fault(struct vmx_vcpu *v, const char *why, ...)
{
    struct vm *vm = v->vcpu.vm;
    char text[120];
    va_list args;

    va_start(args, why);
    hv_vsnprintf(text, sizeof(text), why, args);
    va_end(args);
    if (v->handlers || vm->config->triple_fault == CONFIG_TRIPLE_FAULT_STOP)
        return vmx_crash(v, "%s", text);
    hv_warn("vm %s vCPU %u: %s", vm->config->name, v->vcpu.index, text);
    v->exit.vect_info = 0;
    vm_reset(vm);
    return EXIT_KEEP | VCPU_YIELD;
}

uint64_t arch_vcpu_exit_count(const struct vcpu *vcpu)
{
    const struct vmx_vcpu *v = HV_CONTAINER_OF(vcpu, const struct vmx_vcpu, vcpu);
    uint64_t total = 0;

    for (unsigned i = 0; i < VMEXIT_COUNT; i++)
        total += __atomic_load_n(&v->exits[i], __ATOMIC_RELAXED);
    return total;
}

/* What a tick of the guest's clock has cost: the timer of its local APIC has fired so often, and
 * exits of the preemption timer and for external interrupts were so many. */
static void log_timer(const struct vmx_vcpu *v)
{
    uint64_t expiries = v->exits[VMEXIT_PREEMPTION_TIMER] + v->exits[VMEXIT_EXTERNAL_INTERRUPT];

    if (v->apic_timer_fires)
        hv_info("TIMER vm=%s vcpu=%u fired=%llu expired=%llu", v->vcpu.vm->config->name,
                v->vcpu.index, (unsigned long long)v->apic_timer_fires,
                (unsigned long long)expiries);
}

/* From the file's first instruction to the guest's. */
static void log_start(uint64_t entry_tsc)
{
    const struct boot_info *info = machine_boot_info();
    uint64_t loading = info->handover_tsc - info->unpacked_tsc - info->files_ticks;

    hv_info("START ticks=%llu unpacking=%llu loading=%llu files=%llu hypervisor=%llu",
            (unsigned long long)(entry_tsc - info->start_tsc),
            (unsigned long long)(info->unpacked_tsc - info->start_tsc),
            (unsigned long long)loading, (unsigned long long)info->files_ticks,
            (unsigned long long)(entry_tsc - info->handover_tsc));
}

void arch_vcpu_describe(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);
    uint64_t total = 0;
    char text[400] = "";
    size_t at = 0;

    for (unsigned i = 0; i < VMEXIT_COUNT; i++) {
        total += v->exits[i];
        if (v->exits[i] && at < sizeof(text))
            at += (size_t)hv_snprintf(text + at, sizeof(text) - at, " %s=%llu", vmx_exit_reason_name(i),
                                      (unsigned long long)v->exits[i]);
    }
    if (vcpu->vm->index == 0 && vcpu->index == 0 && !vcpu->vm->extra)
        log_start(v->vm->entry_tsc);
    hv_info("EXITS vm=%s vcpu=%u total=%llu%s", vcpu->vm->config->name, vcpu->index,
            (unsigned long long)total, text);
    log_timer(v);
    vmx_recorder_log_end(v);
}
