/*
 * Every core's way from "up" to its run loop, and the machine as vmm/ sees it.
 */
#include "arch/x86/vmx/mitigate.h"
#include "arch/x86/vmx/vcpu.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "x86/explain.h"
#include "x86/lab.h"
#include "x86/host_paging.h"
#include "x86/percpu.h"
#include "x86/start.h"
#include "x86/vmx_core.h"

/* How long the boot core waits for the others to say that they are in VMX operation. */
#define READY_TIMEOUT_US 1000000

const struct boot_info *machine_boot_info(void)
{
    return arch_boot_info();
}

struct page_alloc *machine_pages(void)
{
    return hv_pages();
}

void arch_zero(void *start, uint64_t bytes)
{
    rep_stosq_zero(start, bytes / 8);
}

static void core_prepare(unsigned index)
{
    struct core *core = &hv_cores[index];

    core->index = index;
    spin_init(&core->timer_lock);
    tq_init(&core->timers);
    core->online = true;
    this_cpu()->core = core;
}

HV_NORETURN void arch_core_main(unsigned index)
{
    const char *why;

    core_prepare(index);
    if (index != 0 && vmx_spec_core_is_spare()) {
        hv_cores[index].online = false;
        core_report(CORE_PARKED, "another thread of its core runs guests (mitigations = full)");
    }
    if (vmx_core_enable(&why) != HV_OK) {
        hv_cores[index].online = false;
        hv_error("core %u: %s", index, why);
        if (index != 0)
            core_report(CORE_PARKED, why);
        hv_error("the boot core cannot run VMs: nothing to do");
        if (arch_boot_info()->config.on_exit == CONFIG_ON_EXIT_FIRMWARE)
            arch_back_to_firmware();
        arch_power_off();
    }
    core_report(CORE_READY, NULL);
    if (index == 0) {
        hv_info("%u of %u cores are in VMX operation", core_wait_ready(READY_TIMEOUT_US),
                arch_core_count());
        vmx_spec_machine_start();
        vmx_spec_core_start();
        vmx_monitor_start();
        vmx_panic_start();
        machine_start(arch_boot_info());
        core_release_all();
        if (arch_boot_info()->config.lab[0])
            lab_run(arch_boot_info());
        if (arch_boot_info()->config.explain[0])
            explain_run(arch_boot_info());
    } else {
        core_wait_release();
        vmx_spec_core_start();
    }
    core_run(index);
}
