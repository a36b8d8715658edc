/*
 * The monitor's `mitigations`: what is done against guests that use speculation, and why.
 */
#include "arch/x86/vmx/mitigate.h"
#include "arch/x86/vmx/monitor.h"
#include "hv/boot_info.h"
#include "hv/format.h"
#include "hv/machine.h"
#include "hv/string.h"

static const struct {
    uint32_t action;
    const char *text;
} actions[] = {
    { SPEC_EXIT_SPEC_CTRL, "exit: IBRS" },
    { SPEC_EXIT_IBPB, "exit: IBPB" },
    { SPEC_EXIT_RSB_FILL, "exit: return stack" },
    { SPEC_EXIT_RSB_ONE, "exit: one return" },
    { SPEC_EXIT_HISTORY, "exit: branch history" },
    { SPEC_ENTRY_VERW, "entry: VERW" },
    { SPEC_ENTRY_L1D, "entry: L1D flush" },
    { SPEC_SWITCH_IBPB, "change of vCPU: IBPB" },
    { SPEC_START_TSX_OFF, "once: TSX off" },
};

static void print_actions(struct monitor *m, const char *what, uint32_t bits)
{
    char text[256];
    size_t length = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < HV_ARRAY_COUNT(actions); i++) {
        if (bits & actions[i].action) {
            hv_snprintf(text + length, sizeof(text) - length, "%s%s", length ? "; " : "",
                        actions[i].text);
            length = strlen(text);
        }
    }
    monitor_print(m, "%s%s", what, length ? text : "nothing");
}

static const char *guest_register(const struct spec_plan *plan)
{
    switch (plan->guest_control) {
    case SPEC_GUEST_PASSES:
        return "passes";
    case SPEC_GUEST_EXITS:
        return "exits; the host's bits stay set";
    default:
        return "is not there";
    }
}

void monitor_run_mitigations(struct monitor *m, unsigned count, char *const words[])
{
    static const char *const modes[] = { "auto", "off", "full" };
    const struct spec_plan *plan = vmx_spec_plan();
    struct spec_facts facts;
    uint32_t efficient = vmx_spec_efficient(&facts);

    (void)count;
    (void)words;
    monitor_print(m, "mitigations = %s on %s (signature %x%s)",
                  modes[machine_boot_info()->config.mitigations], spec_processor_name(&facts),
                  facts.signature, facts.smt ? ", threads share cores" : "");
    print_actions(m, "done: ", plan->actions);
    if (efficient != plan->actions)
        print_actions(m, "efficient cores: ", efficient);
    monitor_print(m, "SPEC_CTRL %llx in root operation; a guest's %s; its ARCH_CAPABILITIES %llx",
                  (unsigned long long)vmx_spec_ctrl_now(), guest_register(plan),
                  (unsigned long long)plan->guest_arch_capabilities);
    for (unsigned i = 0; i < SPEC_ISSUE_COUNT; i++)
        monitor_print(m, "%-33s %-13s %s", spec_issue_name(i),
                      spec_status_name(plan->issues[i].status), plan->issues[i].why);
}
