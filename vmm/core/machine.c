/*
 * The machine: the operator's VMs are built, their consoles fed, and when all have ended it is
 * switched off.
 */
#include "hv/machine.h"

#include "hv/arch_ops.h"
#include "hv/boot_info.h"
#include "hv/console.h"
#include "hv/drv_console.h"
#include "hv/log.h"
#include "hv/monitor.h"
#include "hv/platform.h"
#include "hv/string.h"
#include "hv/vm.h"

/* The console is polled: a serial port's interrupt is not to be relied on across machines, and a
 * person types slowly. A guest is not interrupted for a poll that another timer can take along. Where
 * every core belongs to a guest, each poll takes one away from it: they are fewer while nobody types. */
#define CONSOLE_POLLS_PER_SECOND 50
#define CONSOLE_SLOW_POLLS_PER_SECOND 4
#define CONSOLE_SENDS_PER_SECOND 720 /* 16 bytes at 115200 baud */
#define CONSOLE_TYPING_POLLS 100 /* so many after the last byte are of the first kind */
#define CONSOLE_BATCH 16
/* A guest that takes no keys for so long has them thrown away, so that Ctrl-A gets through. */
#define CONSOLE_STUCK_POLLS (5 * CONSOLE_POLLS_PER_SECOND)

/* Boot-once, and the console's poll on its core. */
static struct {
    struct tq_timer poll;
    unsigned core;
    unsigned typing;   /* polls until nobody types any more */
    uint8_t waiting[64]; /* keys that the guest had no room for yet */
    unsigned count;
    unsigned stuck_polls;
    struct vm *chosen; /* by the operator; NULL: none */
} input;

unsigned machine_vm_total(void)
{
    return machine_boot_info()->config.vm_count;
}

struct vm *machine_console_owner(void)
{
    if (input.chosen && vm_phase(input.chosen) == VM_RUNNING)
        return input.chosen;
    for (unsigned i = 0; i < vm_count(); i++) {
        if (vm_phase(vm_at(i)) == VM_RUNNING)
            return vm_at(i);
    }
    return NULL;
}

static uint64_t poll_interval(unsigned polls_per_second)
{
    return arch_tsc_hz() / polls_per_second;
}

void machine_give_console(struct vm *vm)
{
    input.chosen = vm;
    input.count = 0;
}

/* Who types in a guest's pane types into that guest. False: it has ended. */
static bool follow_pane(unsigned pane)
{
    if (pane < CONSOLE_PANE_GUEST)
        return true;
    for (unsigned i = 0; i < vm_count(); i++) {
        struct vm *vm = vm_at(i);
        if (platform_console_pane(vm) != pane || vm_phase(vm) != VM_RUNNING)
            continue;
        if (vm != machine_console_owner())
            machine_give_console(vm);
        return true;
    }
    return false;
}

static void take_key(uint8_t byte, unsigned pane)
{
    bool guest_listens = follow_pane(pane);

    if (!operator_key(byte, pane) && guest_listens && input.count < sizeof(input.waiting))
        input.waiting[input.count++] = byte;
}

/* Keys of the operator: to the monitor, or into the queue for the guest. */
static void read_keys(void)
{
    for (unsigned i = 0; i < CONSOLE_BATCH; i++) {
        unsigned pane;
        /* Reading also draws what the screen has pending. */
        int key = operator_is_open() || input.count < sizeof(input.waiting) ? console_read(&pane) : -1;
        if (key < 0)
            break;
        input.typing = CONSOLE_TYPING_POLLS;
        if (key == CONSOLE_PANE_CHANGED)
            operator_pane_changed(pane);
        else
            take_key((uint8_t)key, pane);
    }
}

static void feed_guest(void)
{
    struct vm *vm = machine_console_owner();
    size_t taken = 0;

    if (vm && input.count)
        taken = platform_console_input(vm, input.waiting, input.count);
    input.count -= (unsigned)taken;
    memmove(input.waiting, input.waiting + taken, input.count);
    if (taken || input.count < sizeof(input.waiting))
        input.stuck_polls = 0;
    else if (++input.stuck_polls >= CONSOLE_STUCK_POLLS)
        input.count = 0;
}

static void console_poll(struct tq_timer *timer, uint64_t now_tsc)
{
    const uint64_t slow_tsc = now_tsc + poll_interval(CONSOLE_SLOW_POLLS_PER_SECOND);
    const uint64_t fast_tsc = now_tsc + poll_interval(CONSOLE_POLLS_PER_SECOND);
    uint64_t next_tsc, latest_tsc = slow_tsc;
    bool typing, waiting;

    read_keys();
    usb_keyboards_log();
    feed_guest();
    waiting = console_age();
    typing = input.typing > 0;
    input.typing -= typing;
    next_tsc = !typing && hv_cores[input.core].owner ? slow_tsc : fast_tsc;
    if (waiting)
        next_tsc = fast_tsc;
    if (typing || waiting || operator_is_open())
        latest_tsc = next_tsc;
    if (console_is_busy()) {
        next_tsc = now_tsc + poll_interval(CONSOLE_SENDS_PER_SECOND);
        latest_tsc = hv_min_u64(latest_tsc, fast_tsc);
    }
    if (operator_poll()) {
        /* A listing is under way: it and the guests of this core share its time. */
        uint64_t end_tsc = arch_tsc();
        next_tsc = hv_min_u64(next_tsc, end_tsc + (end_tsc - now_tsc));
        latest_tsc = next_tsc;
    }
    core_timer_arm_patient(timer, next_tsc, hv_max_u64(next_tsc, latest_tsc));
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
    operator_start();
    tq_timer_init(&input.poll, console_poll);
    input.core = core_plan_housekeeper();
    core_timer_arm(input.core, &input.poll, arch_tsc() + 1);
}

void machine_end(void)
{
    enum config_on_exit how = machine_boot_info()->config.on_exit;
    static const char *const words[] = {
        [CONFIG_ON_EXIT_POWEROFF] = "switching off",
        [CONFIG_ON_EXIT_RESET] = "starting the machine over",
        [CONFIG_ON_EXIT_FIRMWARE] = "back to firmware",
    };

    console_release(); /* the guests' last words, if the operator has the console */
    hv_notice("all VMs have ended: %s", words[how]);
    if (how == CONFIG_ON_EXIT_FIRMWARE)
        arch_back_to_firmware();
    if (how == CONFIG_ON_EXIT_RESET)
        arch_reset();
    arch_power_off();
}
