/*
 * The monitor's commands that are the same on every processor: VMs, their state, the log.
 * Lock: none; on the boot core. What is read of running VMs are single words.
 */
#include "hv/arch_ops.h"
#include "hv/clock.h"
#include "hv/console.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/monitor.h"
#include "hv/panic.h"
#include "hv/string.h"
#include "hv/vm.h"
#include "monitor_commands.h"

#define LOG_LINES 40

static const char *vm_state(const struct vm *vm)
{
    switch (vm_phase(vm)) {
    case VM_RUNNING:
        return vm_is_paused(vm) ? "paused" : "running";
    case VM_RESETTING:
        return "resetting";
    case VM_ENDING:
        return "ending";
    case VM_ENDED:
        break;
    }
    return "ended";
}

/* Milliseconds of its own time: a paused VM's stands still. */
static uint64_t vm_time_ms(struct vm *vm)
{
    if (!vm->clock.clock.now_ns)
        return 0;
    if (!vm_is_paused(vm) || vm_owns_cores(vm))
        return clock_now_ns(&vm->clock.clock) / 1000000;
    return hv_mul_div_u64(vm->frozen_tsc - vm->clock.start_tsc, 1000, arch_tsc_hz());
}

static const char *vcpu_state(const struct vcpu *vcpu)
{
    if (vcpu->parked)
        return "parked";
    return vcpu->blocked ? "sleeps" : "runs";
}

static void run_vms(struct monitor *m, unsigned count, char *const words[])
{
    (void)count;
    (void)words;
    monitor_print(m, "  # name             state      vCPUs   memory  time");
    for (unsigned i = 0; i < vm_count(); i++) {
        struct vm *vm = vm_at(i);
        uint64_t ms = vm_time_ms(vm);
        monitor_print(m, "%3u %-16s %-9s %6u %6lluMB  %llu.%03llu s%s", i, vm->config->name,
                      vm_state(vm), vm->vcpu_count,
                      (unsigned long long)(vm->config->memory_bytes >> 20),
                      (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000),
                      vm == machine_console_owner() ? "  has the keyboard" : "");
        for (unsigned c = 0; c < vm->vcpu_count; c++)
            monitor_print(m, "      vCPU %-2u on core %-2u %-7s %llu exits", c, vm->vcpus[c]->core,
                          vcpu_state(vm->vcpus[c]),
                          (unsigned long long)arch_vcpu_exit_count(vm->vcpus[c]));
    }
}

static void answer_nothing(void *context)
{
    (void)context;
}

/* Each core that has answered has seen the pause. */
static void wait_stopped(struct monitor *m, const struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        if (!core_ask(vm->vcpus[i]->core, answer_nothing, NULL))
            monitor_print(m, "vCPU %u: core %u does not answer; it may still run", i,
                          vm->vcpus[i]->core);
    }
}

static struct vm *running_vm(struct monitor *m, unsigned count, char *const words[])
{
    struct vm *vm = operator_vm(m, count, words, 1);

    if (vm && vm_phase(vm) == VM_RUNNING)
        return vm;
    if (vm)
        monitor_print(m, "%s: it is %s", vm->config->name, vm_state(vm));
    return NULL;
}

static void run_pause(struct monitor *m, unsigned count, char *const words[])
{
    struct vm *vm = running_vm(m, count, words);

    if (!vm)
        return;
    vm_pause(vm);
    wait_stopped(m, vm);
    monitor_print(m, "%s: paused%s", vm->config->name,
                  vm_owns_cores(vm) ? "; its clock goes on, since its cores' TSC is its own" : "");
}

static void run_resume(struct monitor *m, unsigned count, char *const words[])
{
    struct vm *vm = running_vm(m, count, words);

    if (!vm)
        return;
    if (!vm_is_paused(vm)) {
        monitor_print(m, "%s: it is not paused", vm->config->name);
        return;
    }
    vm_resume(vm);
    monitor_print(m, "%s: runs", vm->config->name);
}

static void run_keyboard(struct monitor *m, unsigned count, char *const words[])
{
    struct vm *vm = running_vm(m, count, words);

    if (!vm)
        return;
    machine_give_console(vm);
    monitor_print(m, "%s: has the keyboard", vm->config->name);
}

/* --- panes --- */

static bool pane_named(const char *word, unsigned *pane)
{
    uint64_t number;

    for (unsigned i = 0; i < CONSOLE_PANES; i++) {
        const char *name = console_pane_name(i);
        *pane = i;
        if (name && strcmp(name, word) == 0)
            return true;
    }
    if (!monitor_number(word, 10, &number) || number == 0 || number > CONSOLE_PANES)
        return false;
    *pane = (unsigned)number - 1;
    return console_pane_name(*pane) != NULL;
}

static void run_view(struct monitor *m, unsigned count, char *const words[])
{
    unsigned pane;

    if (count > 1) {
        if (!pane_named(words[1], &pane) || !operator_leave_to(pane))
            monitor_print(m, "no pane '%s'; 'view' shows them", words[1]);
        return;
    }
    for (unsigned i = 0; i < CONSOLE_PANES; i++) {
        if (console_pane_name(i))
            monitor_print(m, "%3u %s", i + 1, console_pane_name(i));
    }
    monitor_print(m, "Ctrl-A and a digit shows one, or Alt-F1 to Alt-F%u", CONSOLE_PANES);
}

/* --- log --- */

/* A line of the log, gathered byte by byte. */
struct log_line {
    struct monitor *m;
    char text[MONITOR_PRINT_BYTES];
    size_t length;
    uint64_t number, first;  /* of lines; those before `first` are only counted */
};

static void log_byte(struct log_line *line, char c)
{
    if (c == '\r')
        return;
    if (c != '\n') {
        if (line->length < sizeof(line->text) - 1)
            line->text[line->length++] = c;
        return;
    }
    line->text[line->length] = '\0';
    if (line->m && line->number >= line->first)
        monitor_print(line->m, "%s", line->text);
    line->number++;
    line->length = 0;
}

static void log_pass(struct log_line *line)
{
    char bytes[256];
    uint64_t from = 0;
    size_t n;

    while ((n = log_read(&from, bytes, sizeof(bytes))) > 0) {
        for (size_t i = 0; i < n; i++)
            log_byte(line, bytes[i]);
    }
}

static void run_log(struct monitor *m, unsigned count, char *const words[])
{
    struct log_line counted = { 0 }, shown = { .m = m };
    uint64_t lines = LOG_LINES;

    if (count > 1 && !monitor_number(words[1], 10, &lines)) {
        monitor_print(m, "log [LINES]: '%s' is no number", words[1]);
        return;
    }
    log_pass(&counted);
    shown.first = counted.number > lines ? counted.number - lines : 0;
    log_pass(&shown);
}

/* --- panic --- */

static void run_panic(struct monitor *m, unsigned count, char *const words[])
{
    /* An address that no page table of ours maps. */
    static volatile uint64_t *volatile const nowhere = (volatile uint64_t *)UINT64_C(0x7ffffffff000);

    if (count == 2 && strcmp(words[1], "now") == 0)
        hv_panic("the operator asked for it");
    if (count == 2 && strcmp(words[1], "fault") == 0)
        *nowhere = 0;
    monitor_print(m, "'panic now' ends everything, as a fault of Trapline's own does: to see what it "
                     "says then.");
    monitor_print(m, "'panic fault' does so by writing where no memory is.");
}

const struct monitor_command monitor_vm_commands[] = {
    { "vms", "", "VMs and their vCPUs", run_vms },
    { "pause", "[VM]", "stop a VM where it is", run_pause },
    { "resume", "[VM]", "let it go on", run_resume },
    { "keyboard", "VM", "what is typed goes to this VM", run_keyboard },
    { "view", "[PANE]", "show another pane of the console; alone: list", run_view },
    { "panic", "[now|fault]", "what a fault of Trapline's own looks like", run_panic },
    { "log", "[LINES]", "the last lines of the hypervisor's log", run_log },
};
const unsigned monitor_vm_command_count = HV_ARRAY_COUNT(monitor_vm_commands);
