/*
 * The machine: the operator's VMs are built, their consoles fed, and when all have ended it is
 * switched off.
 */
#include "hv/machine.h"

#include "hv/arch_ops.h"
#include "hv/boot_info.h"
#include "hv/console.h"
#include "hv/log.h"
#include "hv/platform.h"
#include "hv/vm.h"

/* The console is polled: a serial port's interrupt is not to be relied on across machines, and a
 * person types slowly. Where every core belongs to a guest, each poll takes one away from it: they
 * are fewer while nobody types. */
#define CONSOLE_POLLS_PER_SECOND 50
#define CONSOLE_SLOW_POLLS_PER_SECOND 4
#define CONSOLE_TYPING_POLLS 100 /* so many after the last byte are of the first kind */
#define CONSOLE_BATCH 16

/* Boot-once, and the console's poll on its core. */
static struct {
    struct tq_timer poll;
    unsigned core;
    unsigned typing;   /* polls until nobody types any more */
    uint8_t held;      /* a byte that the guest had no room for */
    bool holds;
} input;

unsigned machine_vm_total(void)
{
    return machine_boot_info()->config.vm_count;
}

/* The VM that has the operator's keyboard: the first one that runs. */
static struct vm *console_owner(void)
{
    for (unsigned i = 0; i < vm_count(); i++) {
        if (vm_phase(vm_at(i)) == VM_RUNNING)
            return vm_at(i);
    }
    return NULL;
}

static uint64_t console_poll_interval(void)
{
    bool slow = hv_cores[input.core].owner && input.typing == 0;

    if (input.typing)
        input.typing--;
    return arch_tsc_hz() / (slow ? CONSOLE_SLOW_POLLS_PER_SECOND : CONSOLE_POLLS_PER_SECOND);
}

static void console_poll(struct tq_timer *timer, uint64_t now_tsc)
{
    struct vm *vm = console_owner();

    for (unsigned i = 0; i < CONSOLE_BATCH; i++) {
        if (!input.holds) {
            int byte = console_read(); /* which also draws what the screen has pending */
            if (byte < 0)
                break;
            input.held = (uint8_t)byte;
            input.holds = true;
            input.typing = CONSOLE_TYPING_POLLS;
        }
        if (!vm || platform_console_input(vm, &input.held, 1) == 0)
            break;
        input.holds = false;
    }
    core_timer_arm(input.core, timer, now_tsc + console_poll_interval());
}

void machine_start(const struct boot_info *info)
{
    unsigned made = 0;

    core_plan_apply(&info->config);
    for (unsigned i = 0; i < info->config.vm_count; i++) {
        struct vm *vm;
        if (vm_create(&info->config.vms[i], info, NULL, &vm) == HV_OK)
            made++;
    }
    if (info->config.lab[0] || info->config.explain[0])
        return;
    hv_info("%u of %u VMs are ready", made, info->config.vm_count);
    tq_timer_init(&input.poll, console_poll);
    input.core = core_plan_housekeeper();
    core_timer_arm(input.core, &input.poll, arch_tsc() + 1);
}

void machine_end(void)
{
    bool reset = machine_boot_info()->config.on_exit == CONFIG_ON_EXIT_RESET;

    hv_info("all VMs have ended: %s", reset ? "starting the machine over" : "switching off");
    if (reset)
        arch_reset();
    arch_power_off();
}
