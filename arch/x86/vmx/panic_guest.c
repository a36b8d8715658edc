/*
 * What a panic says of the guest that ran on its core: which, and its last exits.
 *
 * Not here: the rest of the report (arch/x86/cpu/panic_report.c).
 * Lock: none; the other cores are stopped. Reads memory, and the guest's RIP from the VMCS if there
 * is a current one: nothing here may fail.
 */
#include "arch/x86/vmx/vcpu.h"
#include "x86/panic.h"
#include "x86/percpu.h"
#include "x86/vmx_core.h"
#include "x86/vmx_errors.h"

#define PANIC_EXITS 8

static void say_guest(const struct percpu *cpu)
{
    struct vcpu *last = cpu->core ? cpu->core->last : NULL;
    struct vmx_vcpu *v = last ? vmx_of(last) : NULL;
    uint64_t rip = 0;
    char text[200];

    if (!v)
        return;
    if (v->loaded)
        (void)vmread(VMCS_GUEST_RIP, &rip);
    panic_line("  vm %s vCPU %u at %#llx, last exit %s", v->vcpu.vm->config->name, v->vcpu.index,
               (unsigned long long)rip, vmx_exit_reason_name(v->exit.reason));
    if (!v->recorder.trace.records)
        return;
    for (uint64_t n = vmx_trace_first(&v->recorder.trace, PANIC_EXITS); n < v->recorder.trace.count;
         n++) {
        vmx_trace_describe(text, sizeof(text), vmx_trace_at(&v->recorder.trace, n),
                           v->vm->start_tsc);
        panic_line("  %s", text);
    }
}

void vmx_panic_start(void)
{
    panic_set_guest_report(say_guest);
}
