/*
 * The machine check: judges the facts, one small function a line.
 *
 * Not here: finding the facts, drawing the page. Pure; no lock.
 * SDM volume 3, "Discovering Support for VMX", "Enabling and Entering VMX Operation",
 * "VPID and EPT Capabilities".
 */
#include "boot/preflight.h"

#include "hv/format.h"
#include "hv/string.h"
#include "x86/msr.h"
#include "x86/vmx_policy.h"

/* What Trapline itself needs beside its guests: tables, devices, log. */
#define OWN_BYTES (UINT64_C(24) << 20)

static void say(struct preflight_report *report, enum preflight_verdict verdict,
                const char *subject, const char *format, ...) HV_PRINTF(4, 5);

static void say(struct preflight_report *report, enum preflight_verdict verdict,
                const char *subject, const char *format, ...)
{
    va_list args;
    if (report->count == PREFLIGHT_MAX_LINES)
        return;
    struct preflight_line *line = &report->lines[report->count++];
    line->verdict = verdict;
    hv_snprintf(line->subject, sizeof(line->subject), "%s", subject);
    va_start(args, format);
    hv_vsnprintf(line->text, sizeof(line->text), format, args);
    va_end(args);
    report->degraded += verdict == PREFLIGHT_DEGRADED;
    report->stops += verdict == PREFLIGHT_STOPS;
}

/* A feature that is there or not. */
static void say_feature(struct preflight_report *report, const char *subject, bool present,
                        enum preflight_verdict absent, const char *text, const char *loss)
{
    say(report, present ? PREFLIGHT_FINE : absent, subject, "%s", present ? text : loss);
}

static void judge_processor(const struct preflight_facts *facts, struct preflight_report *report)
{
    uint32_t s = facts->signature;
    uint32_t family = s >> 8 & 0xf, model = s >> 4 & 0xf;
    if (family == 6 || family == 15)
        model |= s >> 12 & 0xf0;
    if (family == 15)
        family += s >> 20 & 0xff;
    say(report, PREFLIGHT_FINE, "processor", "%s (%s, family %u, model 0x%x, stepping %u)%s%s",
        facts->brand[0] ? facts->brand : "unnamed", facts->vendor, family, model, s & 0xf,
        facts->hypervisor[0] ? ", under the hypervisor " : "", facts->hypervisor);
    say_feature(report, "execute-disable", facts->nx, PREFLIGHT_STOPS,
                "pages can be kept from being executed",
                "off: switch \"Execute Disable Bit\" (XD, NX) on in the firmware's set-up");
}

/* False: without VT-x there is nothing more to say about it. */
static bool judge_vmx(const struct preflight_facts *facts, struct preflight_report *report)
{
    const struct preflight_core *boot = &facts->cores[0];
    if (boot->vmx) {
        say(report, PREFLIGHT_FINE, "VT-x", "VMCS revision 0x%x, %u-bit physical addresses",
            vmx_caps_revision(&boot->caps), boot->caps.physical_address_bits);
        return true;
    }
    if (facts->hypervisor[0])
        say(report, PREFLIGHT_STOPS, "VT-x",
            "this processor has no VT-x: the hypervisor below (%s) does not offer it; switch "
            "nested virtualization on there (KVM: kvm_intel nested=1 and '-cpu host'; Hyper-V: "
            "ExposeVirtualizationExtensions; VMware: 'Virtualize Intel VT-x/EPT')",
            facts->hypervisor);
    else if (strcmp(facts->vendor, "GenuineIntel") != 0)
        say(report, PREFLIGHT_STOPS, "VT-x",
            "this processor has no VT-x: it is a %s, and Trapline needs Intel's", facts->vendor);
    else
        say(report, PREFLIGHT_STOPS, "VT-x",
            "this processor has no VT-x, or the firmware hides it: look for 'Intel Virtualization "
            "Technology', 'VT-x' or 'VMX' in the firmware set-up (often under Advanced, CPU "
            "Configuration), switch it on, and switch the machine off and on again");
    return false;
}

enum gate { GATE_OPEN, GATE_UNLOCKED, GATE_LOCKED_OFF };

static enum gate gate_of(const struct preflight_core *core)
{
    if (!(core->feature_control & FEATURE_CONTROL_LOCK))
        return GATE_UNLOCKED;
    return core->feature_control & FEATURE_CONTROL_VMX ? GATE_OPEN : GATE_LOCKED_OFF;
}

/* IA32_FEATURE_CONTROL of the boot core: without it nothing runs. */
static void judge_gate(const struct preflight_facts *facts, struct preflight_report *report)
{
    unsigned long long value = facts->cores[0].feature_control;
    switch (gate_of(&facts->cores[0])) {
    case GATE_OPEN:
        say(report, PREFLIGHT_FINE, "feature control", "0x%llx: VT-x is on and locked", value);
        break;
    case GATE_UNLOCKED:
        say(report, PREFLIGHT_FINE, "feature control",
            "0x%llx: unlocked; Trapline switches VT-x on", value);
        break;
    case GATE_LOCKED_OFF:
        say(report, PREFLIGHT_STOPS, "feature control",
            "0x%llx: VT-x is switched off in the firmware set-up; look for 'Intel Virtualization "
            "Technology', 'VT-x' or 'Virtualization' (often under Advanced, CPU Configuration), "
            "switch it on, and switch the machine off and on again",
            value);
        break;
    }
}

static bool is_thin(const struct preflight_facts *facts)
{
    return facts->config && facts->config->mode == CONFIG_MODE_THIN;
}

static void judge_cores(const struct preflight_facts *facts, struct preflight_report *report)
{
    unsigned bad = 0;
    uint32_t first_bad = 0;
    for (uint32_t i = 1; i < facts->core_count; i++) {
        const struct preflight_core *core = &facts->cores[i];
        if (core->vmx && gate_of(core) != GATE_LOCKED_OFF)
            continue;
        if (bad++ == 0)
            first_bad = core->apic_id;
    }
    if (facts->enabled_count == 0)
        say(report, PREFLIGHT_DEGRADED, "cores",
            "firmware has no MP services: the other cores are only seen when they are started");
    else if (facts->core_count < facts->enabled_count)
        say(report, PREFLIGHT_DEGRADED, "cores", "%u of %u answered; the others are tried again",
            facts->core_count, facts->enabled_count);
    else if (bad == 0)
        say(report, PREFLIGHT_FINE, "cores", "%u, each with VT-x on or unlocked",
            facts->core_count);
    /* Thin mode takes a machine whole: a core beside it would see what is hidden. */
    if (bad > 0)
        say(report, is_thin(facts) ? PREFLIGHT_STOPS : PREFLIGHT_DEGRADED, "cores",
            "%u of %u can't use VT-x (the first has APIC id %u) and %s", bad, facts->core_count,
            first_bad, is_thin(facts) ? "thin mode needs all of them" : "will be parked");
}

/* A hybrid machine runs with what all its cores can do. */
static struct vmx_caps common_caps(const struct preflight_facts *facts,
                                   struct preflight_report *report)
{
    struct vmx_caps common = facts->cores[0].caps;
    unsigned unlike = 0;
    for (uint32_t i = 1; i < facts->core_count; i++) {
        struct vmx_caps narrowed = common;
        const struct preflight_core *core = &facts->cores[i];
        if (!core->vmx || gate_of(core) == GATE_LOCKED_OFF)
            continue;
        if (vmx_caps_common(&narrowed, &core->caps) == HV_OK)
            common = narrowed;
        else
            unlike++;
    }
    if (unlike > 0)
        say(report, PREFLIGHT_DEGRADED, "cores",
            "%u differ so much from the boot core in VT-x that they will be parked", unlike);
    return common;
}

static bool has2(const struct vmx_caps *caps, uint32_t bits)
{
    return vmx_caps_can_set(caps, VMX_WORD_CPU, CPU_ACTIVATE_SECONDARY_CONTROLS) &&
           vmx_caps_can_set(caps, VMX_WORD_CPU2, bits);
}

static void judge_ept(const struct vmx_caps *caps, struct preflight_report *report)
{
    uint64_t can = caps->ept_vpid_cap;
    uint64_t needed = VMX_EPT_CAP_WALK_4 | VMX_EPT_CAP_WB | VMX_EPT_CAP_INVEPT;
    if (!has2(caps, CPU2_ENABLE_EPT))
        say(report, PREFLIGHT_STOPS, "EPT",
            "absent: this processor is older than extended page tables (Nehalem, 2008), or the "
            "hypervisor below does not offer them");
    else if ((can & needed) != needed)
        say(report, PREFLIGHT_STOPS, "EPT",
            "IA32_VMX_EPT_VPID_CAP is 0x%llx: tables of 4 levels, write-back, and INVEPT are "
            "needed (0x%llx)",
            (unsigned long long)can, (unsigned long long)needed);
    else if ((can & (VMX_EPT_CAP_2M | VMX_EPT_CAP_1G)) == (VMX_EPT_CAP_2M | VMX_EPT_CAP_1G))
        say(report, PREFLIGHT_FINE, "EPT", "4 levels, write-back, pages of 1 GB and 2 MB");
    else
        say(report, PREFLIGHT_DEGRADED, "EPT", "no pages of %s: more memory for tables, more TLB "
            "misses", can & VMX_EPT_CAP_2M ? "1 GB" : "2 MB");
}

static void judge_needs(const struct vmx_caps *caps, struct preflight_report *report)
{
    say_feature(report, "64-bit host", vmx_caps_can_set(caps, VMX_WORD_EXIT,
                                                        EXIT_HOST_ADDRESS_SPACE_SIZE),
                PREFLIGHT_STOPS, "exits into long mode",
                "exits can't return to long mode: VT-x of a 32-bit processor");
    judge_ept(caps, report);
    say_feature(report, "unrestricted", has2(caps, CPU2_UNRESTRICTED_GUEST), PREFLIGHT_STOPS,
                "guests start in real mode, as on a machine",
                "unrestricted guest is absent: guests can't start in real mode (processors before "
                "Westmere, 2010, and some hypervisors below lack it)");
}

/* The same function decides when a guest is made: what it would refuse then is said now. */
static void judge_controls(const struct vmx_caps *caps, bool thin, struct preflight_report *report)
{
    struct vm_policy policy = thin ? vm_policy_thin() : vm_policy_default(VM_INTERRUPTS_VMM);
    struct vmx_controls controls;
    struct vmx_refusal why;
    char text[PREFLIGHT_TEXT_BYTES];
    if (report->stops > 0 || vmx_policy_to_controls(&policy, caps, &controls, &why) == HV_OK)
        return;
    vmx_refusal_text(text, sizeof(text), &why);
    say(report, PREFLIGHT_STOPS, "controls", "%s", text);
}

static void judge_wants(const struct vmx_caps *caps, struct preflight_report *report)
{
    bool registers = has2(caps, CPU2_APIC_REGISTER_VIRTUALIZATION |
                                    CPU2_VIRTUAL_INTERRUPT_DELIVERY);
    say_feature(report, "VPID", has2(caps, CPU2_ENABLE_VPID), PREFLIGHT_DEGRADED,
                "translations survive entries and exits",
                "absent: every entry and exit flushes the TLB");
    say_feature(report, "preemption timer",
                vmx_caps_can_set(caps, VMX_WORD_PIN, PIN_ACTIVATE_PREEMPTION_TIMER),
                PREFLIGHT_DEGRADED, "guests' deadlines cost no interrupt",
                "absent: the local APIC's timer is used, one interrupt a deadline");
    say_feature(report, "APICv", registers, PREFLIGHT_DEGRADED,
                "APIC registers and interrupts by the processor",
                "absent: guests' APIC accesses exit");
    say_feature(report, "posted irqs",
                vmx_caps_can_set(caps, VMX_WORD_PIN, PIN_PROCESS_POSTED_INTERRUPTS),
                PREFLIGHT_DEGRADED, "interrupts reach a running guest without an exit",
                "absent: interrupting a running guest is an exit");
    say_feature(report, "PML", has2(caps, CPU2_ENABLE_PML), PREFLIGHT_DEGRADED,
                "written pages are logged by the processor",
                "absent: finding written pages takes write-protection");
}

static void judge_tsc(const struct preflight_facts *facts, struct preflight_report *report)
{
    if (facts->invariant_tsc && facts->tsc_deadline)
        say(report, PREFLIGHT_FINE, "time", "invariant TSC, TSC-deadline timer");
    else
        say(report, PREFLIGHT_DEGRADED, "time", "%s%s%s",
            facts->invariant_tsc ? "" : "the TSC is not invariant: clocks may drift when the "
                                        "processor changes its frequency",
            facts->invariant_tsc || facts->tsc_deadline ? "" : "; ",
            facts->tsc_deadline ? "" : "no TSC-deadline timer: the slower one-shot timer is used");
    if (facts->epoch_seconds == 0)
        say(report, PREFLIGHT_DEGRADED, "clock",
            "firmware gives no valid date: guests start in 1970");
}

static void judge_memory(const struct preflight_facts *facts, struct preflight_report *report)
{
    uint64_t wanted = OWN_BYTES;
    for (unsigned i = 0; facts->config && !is_thin(facts) && i < facts->config->vm_count; i++)
        wanted += facts->config->vms[i].memory_bytes;
    if (wanted > facts->free_bytes)
        say(report, PREFLIGHT_STOPS, "memory",
            "%llu MB are free, and the guests need %llu MB: make them smaller, or fewer",
            (unsigned long long)(facts->free_bytes >> 20), (unsigned long long)(wanted >> 20));
    else
        say(report, PREFLIGHT_FINE, "memory", "%llu MB are free, %llu MB needed",
            (unsigned long long)(facts->free_bytes >> 20), (unsigned long long)(wanted >> 20));
    if (!facts->start_page && facts->enabled_count != 1)
        say(report, PREFLIGHT_DEGRADED, "low memory",
            "no free page below 1 MB: only the boot core can be used");
}

static void judge_config(const struct preflight_facts *facts, struct preflight_report *report)
{
    const struct config *config = facts->config;
    unsigned vcpus = 0;
    if (!config) {
        say(report, PREFLIGHT_STOPS, "configuration", "%s", facts->config_refusal);
        return;
    }
    if (is_thin(facts)) {
        say(report, PREFLIGHT_FINE, "configuration", "thin mode: the machine itself is the guest");
        return;
    }
    if (config->vm_count == 0) {
        say(report, PREFLIGHT_FINE, "configuration", "%s",
            config->lab[0]       ? "the laboratory"
            : config->explain[0] ? "the cases of the VM-entry checks"
                                 : "this page alone");
        return;
    }
    for (unsigned i = 0; i < config->vm_count; i++)
        vcpus += config->vms[i].vcpus;
    if (facts->enabled_count > 0 && vcpus > facts->enabled_count)
        say(report, PREFLIGHT_DEGRADED, "configuration",
            "%u VM%s with %u vCPUs on %u cores: they take turns", config->vm_count,
            config->vm_count == 1 ? "" : "s", vcpus, facts->enabled_count);
    else
        say(report, PREFLIGHT_FINE, "configuration", "%u VM%s with %u vCPU%s", config->vm_count,
            config->vm_count == 1 ? "" : "s", vcpus, vcpus == 1 ? "" : "s");
}

static void judge_acpi(const struct preflight_facts *facts, struct preflight_report *report)
{
    uint32_t t = facts->acpi_tables;
    if (facts->rsdp == 0)
        say(report, PREFLIGHT_DEGRADED, "ACPI",
            "no tables: power-off may fail, the PIT tells time");
    else if (!(t & PREFLIGHT_ACPI_FADT) || !(t & PREFLIGHT_ACPI_MADT))
        say(report, PREFLIGHT_DEGRADED, "ACPI", "no %s: %s",
            t & PREFLIGHT_ACPI_FADT ? "MADT" : "FADT",
            t & PREFLIGHT_ACPI_FADT ? "the usual interrupt controllers are assumed"
                                    : "power-off may not work");
    else
        say(report, facts->acpi_s5 ? PREFLIGHT_FINE : PREFLIGHT_DEGRADED, "ACPI",
            "FADT, MADT%s%s%s%s%s", t & PREFLIGHT_ACPI_HPET ? ", HPET" : "",
            t & PREFLIGHT_ACPI_MCFG ? ", MCFG" : "", t & PREFLIGHT_ACPI_DMAR ? ", DMAR (VT-d)" : "",
            t & PREFLIGHT_ACPI_SPCR ? ", SPCR" : "",
            facts->acpi_s5 ? "" : "; no \\_S5: power-off by the value that Intel's chipsets have");
    if (facts->acpi_bad_tables > 0)
        say(report, PREFLIGHT_DEGRADED, "ACPI", "%u table%s left out: damaged, or where there is "
            "no memory", facts->acpi_bad_tables, facts->acpi_bad_tables == 1 ? "" : "s");
}

static void judge_secure_boot(const struct preflight_facts *facts,
                              struct preflight_report *report)
{
    static const char *const texts[] = {
        [PREFLIGHT_SECURE_BOOT_UNKNOWN] = "firmware does not have it",
        [PREFLIGHT_SECURE_BOOT_OFF] = "off",
        [PREFLIGHT_SECURE_BOOT_ON] = "on, and it has accepted this image",
    };
    say(report, PREFLIGHT_FINE, "Secure Boot", "%s", texts[facts->secure_boot]);
}

static bool any_serial(const struct preflight_facts *facts)
{
    for (unsigned i = 0; i < UART_HOST_PORTS; i++) {
        if (facts->serial[i])
            return true;
    }
    return false;
}

static void judge_serial(const struct preflight_facts *facts, struct preflight_report *report)
{
    char list[64] = "";
    size_t used = 0;
    for (unsigned i = 0; i < UART_HOST_PORTS; i++) {
        if (facts->serial[i])
            used += (size_t)hv_snprintf(list + used, sizeof(list) - used, "%sCOM%u at 0x%x",
                                        used ? ", " : "", i + 1, uart_host_bases[i]);
    }
    if (used > 0)
        say(report, PREFLIGHT_FINE, "serial", "%s", list);
    else
        say(report, PREFLIGHT_DEGRADED, "serial", "COM1 to COM4 do not answer; ACPI and PCI are "
            "asked later; else the console is the screen's");
}

static void judge_screen(const struct preflight_facts *facts, struct preflight_report *report)
{
    const struct boot_framebuffer *screen = &facts->framebuffer;
    if (screen->format != BOOT_PIXEL_NONE)
        say(report, PREFLIGHT_FINE, "screen", "%u x %u pixels at 0x%llx", screen->width,
            screen->height, (unsigned long long)screen->start);
    else if (any_serial(facts))
        say(report, PREFLIGHT_DEGRADED, "screen", "none that can be drawn on: serial only");
    else if (facts->acpi_tables & PREFLIGHT_ACPI_SPCR)
        say(report, PREFLIGHT_DEGRADED, "screen",
            "none that can be drawn on: only the serial port that ACPI names, if it answers");
    else
        say(report, PREFLIGHT_STOPS, "screen",
            "neither a screen nor a serial port: nobody would ever see anything");
    if (!facts->keyboard_controller && !any_serial(facts))
        say(report, PREFLIGHT_DEGRADED, "keyboard",
            "no PS/2 controller: without a USB keyboard on an xHCI controller guests can be "
            "watched, not typed to");
}

void preflight_decide(const struct preflight_facts *facts, struct preflight_report *report)
{
    report->count = report->degraded = report->stops = 0;
    judge_processor(facts, report);
    if (judge_vmx(facts, report)) {
        judge_gate(facts, report);
        judge_cores(facts, report);
        struct vmx_caps caps = common_caps(facts, report);
        judge_needs(&caps, report);
        judge_controls(&caps, is_thin(facts), report);
        judge_wants(&caps, report);
    }
    judge_tsc(facts, report);
    judge_memory(facts, report);
    judge_config(facts, report);
    judge_acpi(facts, report);
    judge_secure_boot(facts, report);
    judge_serial(facts, report);
    judge_screen(facts, report);
}
