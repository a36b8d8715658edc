/*
 * The machine's monitor: the one prompt on its console.
 *
 * Not here: the session itself (monitor.c), what commands do. There is one operator, as there is one
 * console. Lock: none; the boot core's, which polls the console.
 */
#include "hv/arch_ops.h"
#include "hv/console.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/monitor.h"
#include "hv/page_alloc.h"
#include "hv/string.h"
#include "monitor_commands.h"

/* Room for the longest listing, a ring of 1,024 exits. */
#define OUT_BYTES (192u << 10)
/* What is shown in a turn: some 10 ms of a serial line. */
#define SHOW_BYTES 128

/* Boot-once, then the boot core's. */
static struct {
    struct monitor monitor;
    bool usable;
    const struct monitor_command *commands[MONITOR_MAX_TABLES];
    unsigned counts[MONITOR_MAX_TABLES];
    unsigned tables;
} machine_operator;

static void write_console(void *context, const char *bytes, size_t count)
{
    (void)context;
    console_write_operator(bytes, count);
}

static void select_pane(void *context, unsigned pane)
{
    (void)context;
    (void)console_select(pane);
}

void operator_add(const struct monitor_command *commands, unsigned count)
{
    if (machine_operator.tables == MONITOR_MAX_TABLES)
        return;
    machine_operator.commands[machine_operator.tables] = commands;
    machine_operator.counts[machine_operator.tables++] = count;
}

void operator_start(void)
{
    const struct monitor_env env = { write_console, NULL, select_pane };
    struct monitor *m = &machine_operator.monitor;
    hpa_t out;
    enum hv_err err = page_alloc_take(machine_pages(), OUT_BYTES >> HV_PAGE_SHIFT, PAGE_ALIGN_4K, 0,
                                      &out);

    if (err != HV_OK) {
        hv_warn("there is no monitor: no memory for its output");
        return;
    }
    monitor_init(m, &env, (char *)out.v, OUT_BYTES);
    err = monitor_add(m, monitor_vm_commands, monitor_vm_command_count);
    for (unsigned i = 0; i < machine_operator.tables && err == HV_OK; i++)
        err = monitor_add(m, machine_operator.commands[i], machine_operator.counts[i]);
    machine_operator.usable = err == HV_OK;
}

/* Guests' output is kept back while the prompt is shown. */
static void follow_open(bool was_open)
{
    if (machine_operator.monitor.open == was_open)
        return;
    if (was_open) {
        struct vm *vm = machine_console_owner();
        if (vm && !vm_is_paused(vm))
            console_write_operator("(back to the guest)\r\n", 21);
        else if (vm)
            console_write_operator("(back to the guest, which is paused)\r\n", 38);
        console_release();
        console_leave_monitor();
    } else {
        console_hold();
    }
}

bool operator_is_open(void)
{
    return machine_operator.monitor.open;
}

static void open_monitor(void)
{
    bool was_open = machine_operator.monitor.open;

    monitor_open(&machine_operator.monitor);
    follow_open(was_open);
}

void operator_pane_changed(unsigned pane)
{
    if (machine_operator.usable && pane == CONSOLE_PANE_MONITOR)
        open_monitor();
}

/* Where a guest's pane or the log's is shown, keys are not the monitor's, but for the one that goes
 * to its pane. */
static bool key_elsewhere(uint8_t byte, unsigned pane)
{
    if (byte != MONITOR_OPEN_KEY)
        return pane == CONSOLE_PANE_LOG;
    (void)console_select(CONSOLE_PANE_MONITOR);
    open_monitor();
    return true;
}

bool operator_key(uint8_t byte, unsigned pane)
{
    struct monitor *m = &machine_operator.monitor;
    bool was_open = m->open, taken;

    if (!machine_operator.usable)
        return false;
    if (pane >= CONSOLE_PANE_LOG)
        return key_elsewhere(byte, pane);
    taken = monitor_key(m, byte);
    follow_open(was_open);
    return taken;
}

bool operator_leave_to(unsigned pane)
{
    if (!console_pane_name(pane))
        return false;
    monitor_close(&machine_operator.monitor);
    return console_select(pane);
}

bool operator_poll(void)
{
    struct monitor *m = &machine_operator.monitor;
    bool more;

    if (!m->open)
        return false;
    more = monitor_show(m, SHOW_BYTES);
    follow_open(true);
    if (!more && m->open && console_disturbed())
        monitor_redraw(m);
    return more;
}

struct vm *operator_find_vm(const char *word)
{
    uint64_t number;

    for (unsigned i = 0; i < vm_count(); i++) {
        if (strcmp(vm_at(i)->config->name, word) == 0)
            return vm_at(i);
    }
    if (monitor_number(word, 10, &number) && number < vm_count())
        return vm_at((unsigned)number);
    return NULL;
}

struct vm *operator_vm(struct monitor *m, unsigned count, char *const words[], unsigned index)
{
    struct vm *vm = NULL;

    if (count > index)
        vm = operator_find_vm(words[index]);
    else if (vm_count() == 1)
        vm = vm_at(0);
    if (!vm && count > index)
        monitor_print(m, "no VM '%s'; 'vms' shows them", words[index]);
    else if (!vm)
        monitor_print(m, "which VM? 'vms' shows them");
    return vm;
}
