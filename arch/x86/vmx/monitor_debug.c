/*
 * The monitor's `step` and `break`. What they do is in debug.c; what happened comes as a line of the
 * log, since the vCPU may run on the very core that the monitor is on.
 */
#include "arch/x86/vmx/monitor.h"
#include "hv/string.h"
#include "x86/vmx_errors.h"

#define STEPS_MAX 1000

typedef unsigned long long ull;

static void look_step(struct monitor_visit *visit)
{
    uint64_t steps = 1;
    struct vmx_vcpu *v = visit->v;

    if (visit->count > 1 ||
        (visit->count && (!monitor_number(visit->words[0], 10, &steps) || steps == 0))) {
        monitor_print(visit->m, "step [VM[.N]] [COUNT]");
        return;
    }
    if (!vm_is_paused(v->vcpu.vm)) {
        monitor_print(visit->m, "%s runs; 'pause' it first", v->vcpu.vm->config->name);
        return;
    }
    if (v->debug.stepping) {
        vmx_debug_step_stop(v);
        monitor_print(visit->m, "the step before this one had not ended%s",
                      v->debug.by_mtf ? "; from now on by RFLAGS.TF" : "");
        v->debug.mtf_is_dead = v->debug.by_mtf;
        return;
    }
    if (v->vcpu.blocked) {
        monitor_print(visit->m, "vCPU %u sleeps: it goes on with an event, which steps keep away",
                      v->vcpu.index);
        return;
    }
    vmx_debug_step(v, (unsigned)hv_min_u64(steps, STEPS_MAX));
    core_kick(v->vcpu.core);
}

void monitor_run_step(struct monitor *m, unsigned count, char *const words[])
{
    monitor_visit(m, count, words, look_step);
}

/* --- break --- */

/* What `break` was asked for, while it goes from vCPU to vCPU. */
struct break_request {
    uint64_t address;
    uint32_t reason;
};

static struct break_request request; /* there is one operator */

static void look_break_add(struct monitor_visit *visit)
{
    if (!vmx_debug_break_add(visit->v, request.address))
        monitor_print(visit->m, "vCPU %u: no debug register is free", visit->v->vcpu.index);
}

static void look_break_exit(struct monitor_visit *visit)
{
    vmx_debug_break_exit(visit->v, request.reason);
}

static void look_break_clear(struct monitor_visit *visit)
{
    vmx_debug_break_clear(visit->v);
}

static void look_break_list(struct monitor_visit *visit)
{
    const struct vmx_debug *d = &visit->v->debug;

    for (unsigned slot = 0; slot < VMX_BREAKPOINTS; slot++) {
        if (d->slots >> slot & 1)
            monitor_print(visit->m, "vCPU %u: at %016llx, in DR%u%s", visit->v->vcpu.index,
                          (ull)d->address[slot], slot,
                          vmcs_read(VMCS_GUEST_DR7) >> 2 * slot & 3 ? ""
                                                                    : "; the guest switched it off");
    }
    for (uint32_t reason = 0; reason < VMEXIT_COUNT; reason++) {
        if (d->exits[reason / 64] >> reason % 64 & 1)
            monitor_print(visit->m, "vCPU %u: at exits %s", visit->v->vcpu.index,
                          vmx_exit_reason_name(reason));
    }
}

static bool same_word(const char *a, const char *b)
{
    while (*a && (*a == *b || (*a | 0x20) == (*b | 0x20) || (*a == '_' && *b == '-')))
        a++, b++;
    return *a == *b;
}

/* By its name in exits.def, in either case, or its number. */
static bool find_reason(const char *word, uint32_t *reason)
{
    uint64_t number;

    if (monitor_number(word, 10, &number) && number < VMEXIT_COUNT) {
        *reason = (uint32_t)number;
        return strcmp(vmx_exit_reason_name(*reason), "UNKNOWN") != 0;
    }
    for (uint32_t i = 0; i < VMEXIT_COUNT; i++) {
        if (same_word(vmx_exit_reason_name(i), word)) {
            *reason = i;
            return true;
        }
    }
    return false;
}

static void each_vcpu(struct monitor *m, struct vmx_vm *x, void (*look)(struct monitor_visit *visit))
{
    for (unsigned i = 0; i < x->vm->vcpu_count; i++) {
        if (!monitor_visit_vcpu(m, vmx_of(x->vm->vcpus[i]), 0, NULL, look))
            return;
    }
}

void monitor_run_break(struct monitor *m, unsigned count, char *const words[])
{
    unsigned next, left;
    struct vmx_vm *x = monitor_vm(m, count, words, &next);

    if (!x)
        return;
    left = count - next;
    if (left == 0)
        each_vcpu(m, x, look_break_list);
    else if (left == 1 && strcmp(words[next], "clear") == 0)
        each_vcpu(m, x, look_break_clear);
    else if (left == 2 && strcmp(words[next], "exit") == 0 &&
             find_reason(words[next + 1], &request.reason))
        each_vcpu(m, x, look_break_exit);
    else if (left == 1 && monitor_number(words[next], 16, &request.address))
        each_vcpu(m, x, look_break_add);
    else
        monitor_print(m, "break [VM] [ADDRESS | exit REASON | clear]; reasons as 'exits' shows them");
}
