/*
 * What the monitor's commands for VT-x share. Not for others.
 */
#ifndef ARCH_X86_VMX_MONITOR_H
#define ARCH_X86_VMX_MONITOR_H

#include "arch/x86/vmx/vcpu.h"
#include "hv/monitor.h"
#include "x86/vmx_caps.h"

/* What a command wants to know of a vCPU, asked on the core that it lives on with its VMCS current. */
struct monitor_visit {
    struct monitor *m;
    struct vmx_vcpu *v;
    unsigned count;        /* of words that follow the vCPU's */
    char *const *words;
    void (*look)(struct monitor_visit *visit);
};

/* The vCPU that words[1] names: VM or VM.N, or nothing where there is one VM. *next is the index of
 * the word behind. NULL, with a message: there is none. */
struct vmx_vcpu *monitor_vcpu(struct monitor *m, unsigned count, char *const words[],
                              unsigned *next);
/* The same for a VM. */
struct vmx_vm *monitor_vm(struct monitor *m, unsigned count, char *const words[], unsigned *next);

/* Finds the vCPU, goes there, and calls `look`. A VM that has ended, or is being reset, has nothing
 * to look at: then, and when the core does not answer, there is a message. */
void monitor_visit(struct monitor *m, unsigned count, char *const words[],
                   void (*look)(struct monitor_visit *visit));
/* The same with the vCPU at hand. False: `look` was not called. */
bool monitor_visit_vcpu(struct monitor *m, struct vmx_vcpu *v, unsigned count,
                        char *const words[], void (*look)(struct monitor_visit *visit));

/* Bytes at a guest-linear address, through the guest's page tables; how many there are before the
 * first page that is not mapped or not RAM. With the VMCS current. */
unsigned monitor_read_linear(struct vmx_vcpu *v, uint64_t linear, uint8_t *bytes, unsigned count);

/* --- commands --- */
typedef void monitor_run(struct monitor *m, unsigned count, char *const words[]);
monitor_run monitor_run_exits, monitor_run_trace;                      /* monitor_exits.c */
monitor_run monitor_run_vmcs, monitor_run_regs, monitor_run_caps;      /* monitor_state.c */
monitor_run monitor_run_mem, monitor_run_disas, monitor_run_ept;       /* monitor_memory.c */
monitor_run monitor_run_step, monitor_run_break;                       /* monitor_debug.c */
monitor_run monitor_run_mitigations;                               /* monitor_mitigations.c */

#endif
