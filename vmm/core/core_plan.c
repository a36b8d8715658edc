/*
 * Which cores belong to VMs whose guests take their interrupts themselves (interrupts = guest).
 *
 * Not here: which vCPU lives on which of the others (vm.c).
 * Lock: none. The plan is made once, before the first VM, and constant then.
 */
#include "hv/arch_ops.h"
#include "hv/vm.h"

static unsigned count_free(const bool *online, unsigned cores, const unsigned *owner)
{
    unsigned count = 0;

    for (unsigned i = 0; i < cores; i++)
        count += online[i] && !owner[i];
    return count;
}

static bool any_shares(const struct config *config)
{
    for (unsigned i = 0; i < config->vm_count; i++) {
        if (config->vms[i].interrupts != CONFIG_INTERRUPTS_GUEST)
            return true;
    }
    return false;
}

void core_plan_make(const struct config *config, const bool *online, unsigned cores,
                    unsigned *owner)
{
    unsigned kept = any_shares(config) ? 1 : 0;

    for (unsigned i = 0; i < cores; i++)
        owner[i] = 0;
    for (unsigned i = 0; i < config->vm_count; i++) {
        unsigned wanted = config->vms[i].vcpus;
        if (config->vms[i].interrupts != CONFIG_INTERRUPTS_GUEST ||
            wanted + kept > count_free(online, cores, owner))
            continue;
        for (unsigned core = cores; wanted > 0 && core > 0; core--) {
            if (!online[core - 1] || owner[core - 1])
                continue;
            owner[core - 1] = i + 1;
            wanted--;
        }
    }
}

void core_plan_apply(const struct config *config)
{
    bool online[HV_MAX_CORES] = { false };
    unsigned owner[HV_MAX_CORES] = { 0 };
    unsigned cores = arch_core_count();

    for (unsigned i = 0; i < cores; i++)
        online[i] = hv_cores[i].online;
    core_plan_make(config, online, cores, owner);
    for (unsigned i = 0; i < cores; i++)
        hv_cores[i].owner = owner[i];
}

unsigned core_plan_count(unsigned vm_index)
{
    unsigned count = 0;

    for (unsigned i = 0; i < arch_core_count(); i++)
        count += hv_cores[i].owner == vm_index + 1;
    return count;
}

bool core_plan_is_crowded(const struct config *config)
{
    unsigned vcpus = 0, cores = 0;

    for (unsigned i = 0; i < config->vm_count; i++) {
        if (config->vms[i].interrupts != CONFIG_INTERRUPTS_GUEST)
            vcpus += config->vms[i].vcpus;
    }
    for (unsigned i = 0; i < arch_core_count(); i++)
        cores += hv_cores[i].online && !hv_cores[i].owner;
    return vcpus > cores;
}

unsigned core_plan_housekeeper(void)
{
    for (unsigned i = 0; i < arch_core_count(); i++) {
        if (hv_cores[i].online && !hv_cores[i].owner)
            return i;
    }
    return 0;
}
