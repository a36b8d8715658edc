/*
 * The operator's commands that know VT-x: their table, and how they get at a vCPU, whose VMCS only
 * the core that it lives on can read.
 *
 * Lock: none. Commands run on the boot core; `look` runs on the vCPU's core while the boot core
 * waits (core_ask).
 */
#include "arch/x86/vmx/monitor.h"
#include "hv/string.h"
#include "x86/vmx_core.h"

static const struct monitor_command commands[] = {
    { "exits", "[VM] [on|off]", "exits by reason; on: count their ticks", monitor_run_exits },
    { "trace", "[VM[.N]] [COUNT|on|off|dump]", "the last exits, decoded", monitor_run_trace },
    { "regs", "[VM[.N]]", "registers of a vCPU", monitor_run_regs },
    { "vmcs", "[VM[.N]] [PART]", "its VMCS, or the fields with PART in the name", monitor_run_vmcs },
    { "mem", "[VM[.N]] ADDR [BYTES] [phys]", "guest memory, linear or physical", monitor_run_mem },
    { "disas", "[VM[.N]] [ADDR] [COUNT]", "instructions, as far as known", monitor_run_disas },
    { "ept", "[VM] GPA", "the EPT walk of an address", monitor_run_ept },
    { "step", "[VM[.N]] [COUNT]", "run an instruction of a paused VM", monitor_run_step },
    { "break", "[VM] [ADDR|exit NAME|clear]", "stop at an address or exit", monitor_run_break },
    { "caps", "[true] [CORE]", "what VMX can do, by control", monitor_run_caps },
    { "mitigations", "", "what is done against speculation, and why", monitor_run_mitigations },
};

void vmx_monitor_start(void)
{
    operator_add(commands, HV_ARRAY_COUNT(commands));
}

/* --- which vCPU --- */

/* "VM.N", where no VM has that very name: its vCPU. */
static struct vm *find_dotted(const char *word, unsigned *index)
{
    char name[MONITOR_LINE_BYTES + 1];
    size_t length = strnlen(word, MONITOR_LINE_BYTES), dot = length;
    uint64_t number;
    struct vm *vm;

    while (dot && word[dot] != '.')
        dot--;
    if (dot == 0 || !monitor_number(word + dot + 1, 10, &number))
        return NULL;
    memcpy(name, word, dot);
    name[dot] = '\0';
    vm = operator_find_vm(name);
    if (!vm || number >= vm->vcpu_count)
        return NULL;
    *index = (unsigned)number;
    return vm;
}

static struct vm *find(struct monitor *m, unsigned count, char *const words[], unsigned *next,
                       unsigned *index)
{
    struct vm *vm = NULL;

    *index = 0;
    *next = 2;
    if (count > 1) {
        vm = operator_find_vm(words[1]);
        if (!vm)
            vm = find_dotted(words[1], index);
    }
    if (vm)
        return vm;
    *next = 1;
    if (vm_count() == 1)
        return vm_at(0);
    if (count > 1)
        monitor_print(m, "no VM or vCPU '%s'; 'vms' shows them", words[1]);
    else
        monitor_print(m, "which VM? 'vms' shows them");
    return NULL;
}

struct vmx_vm *monitor_vm(struct monitor *m, unsigned count, char *const words[], unsigned *next)
{
    unsigned index;
    struct vm *vm = find(m, count, words, next, &index);

    if (vm && !vm->arch)
        monitor_print(m, "%s: it was not built", vm->config->name);
    return vm ? vm->arch : NULL;
}

struct vmx_vcpu *monitor_vcpu(struct monitor *m, unsigned count, char *const words[],
                              unsigned *next)
{
    unsigned index;
    struct vm *vm = find(m, count, words, next, &index);

    if (!vm)
        return NULL;
    if (index < vm->vcpu_count)
        return vmx_of(vm->vcpus[index]);
    monitor_print(m, "%s: it has no vCPU", vm->config->name);
    return NULL;
}

/* --- going there --- */

static void look_at_current(void *context)
{
    struct monitor_visit *visit = context;

    visit->look(visit);
}

/* On the vCPU's core. A VM that stops takes each vCPU's VMCS from its core, and is not looked at: it
 * can't be taken while this core is here. */
static void visit_answer(void *context)
{
    struct monitor_visit *visit = context;
    const struct vm *vm = visit->v->vcpu.vm;

    if (vm_phase(vm) == VM_RUNNING && !visit->v->vcpu.parked)
        vmx_vmcs_visit(visit->v, look_at_current, visit);
    else
        monitor_print(visit->m, "%s: it does not run any more", vm->config->name);
}

bool monitor_visit_vcpu(struct monitor *m, struct vmx_vcpu *v, unsigned count,
                        char *const words[], void (*look)(struct monitor_visit *visit))
{
    /* Outlives a core that comes too late. There is one operator. */
    static struct monitor_visit visit;

    visit = (struct monitor_visit){ m, v, count, words, look };
    if (core_ask(v->vcpu.core, visit_answer, &visit))
        return true;
    monitor_print(m, "core %u does not answer", v->vcpu.core);
    return false;
}

void monitor_visit(struct monitor *m, unsigned count, char *const words[],
                   void (*look)(struct monitor_visit *visit))
{
    unsigned next;
    struct vmx_vcpu *v = monitor_vcpu(m, count, words, &next);

    if (v)
        monitor_visit_vcpu(m, v, count - next, words + next, look);
}
