/*
 * Switching the machine off and starting it over, by every known way in turn.
 *
 * Not here: which ways (power_plan.c), what a guest's power button does. Lock: none; whoever gets
 * here first ends the machine.
 * ACPI specification "Legacy/ACPI Select and the SCI Interrupt", "PM1 Control Registers".
 */
#include "hv/arch_ops.h"
#include "hv/log.h"
#include "x86/acpi_host.h"
#include "x86/cpuid.h"
#include "x86/insn.h"
#include "x86/panic.h"
#include "x86/percpu.h"
#include "x86/power_plan.h"
#include "x86/trap.h"
#include "x86/tsc.h"
#include "x86/vmx_core.h"

#define PM1_SCI_EN (1u << 0)
#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_TYP_MASK (7u << 10)
#define PM1_SLP_EN (1u << 13)
#define STATUS_8042_INPUT_FULL 2
#define READY_SPINS 10000
#define EACH_WAY_US 200000
#define LAST_WORDS_US 20000 /* a serial port still holds up to 64 bytes: 6 ms at 115200 baud */
#define ACPI_ENABLE_US 300000

/* Sleep commands are only looked at in ACPI mode, which some firmware leaves to us. */
static void enter_acpi_mode(const struct acpi_register *control)
{
    const struct acpi_host *acpi = acpi_host();
    uint64_t deadline = rdtsc() + tsc_from_us(ACPI_ENABLE_US);

    if (acpi->smi_command_port == 0 || acpi->acpi_enable == 0)
        return;
    if (acpi_register_read(control) & PM1_SCI_EN)
        return;
    out8(acpi->smi_command_port, acpi->acpi_enable);
    while (!(acpi_register_read(control) & PM1_SCI_EN) && rdtsc() < deadline)
        cpu_pause();
}

static void write_sleep(const struct acpi_register *control, uint32_t type)
{
    uint32_t value = acpi_register_read(control) & ~(PM1_SLP_TYP_MASK | PM1_SLP_EN);

    value |= type << PM1_SLP_TYP_SHIFT;
    acpi_register_write(control, value);
    acpi_register_write(control, value | PM1_SLP_EN);
}

static void wait_for_8042(const struct acpi_register *status)
{
    for (unsigned i = 0; i < READY_SPINS; i++) {
        if (!(acpi_register_read(status) & STATUS_8042_INPUT_FULL))
            return;
        cpu_pause();
    }
}

static void do_step(const struct power_step *step)
{
    if (step->action == POWER_WAIT) {
        tsc_delay_us(EACH_WAY_US);
        return;
    }
    if (!acpi_register_map(&step->at))
        return;
    if (step->action == POWER_WRITE)
        acpi_register_write(&step->at, step->value);
    else if (step->action == POWER_SLEEP)
        write_sleep(&step->at, step->value);
    else if (step->action == POWER_ACPI_MODE)
        enter_acpi_mode(&step->at);
    else
        wait_for_8042(&step->at);
}

static void do_steps(const struct power_step *steps, unsigned count)
{
    cli();
    tsc_delay_us(LAST_WORDS_US);
    for (unsigned i = 0; i < count; i++)
        do_step(&steps[i]);
}

void arch_power_off(void)
{
    struct power_step steps[POWER_MOST_STEPS];
    bool emulated = cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_HYPERVISOR;

    do_steps(steps, power_off_plan(acpi_host(), emulated, steps));
    hv_error("the machine does not switch itself off: it is safe to do so now");
    cpu_halt_forever();
}

void arch_reset(void)
{
    struct power_step steps[POWER_MOST_STEPS];
    const struct x86_table_register nothing = { 0, 0 };

    cli();
    this_cpu()->on_nmi = NULL;
    vmx_core_disable(); /* the keyboard controller and a shutdown end in INIT, which VMX holds back */
    do_steps(steps, power_reset_plan(acpi_host(), steps));
    lidt(&nothing); /* an exception that cannot be delivered, thrice: shutdown, which resets */
    int3();
    cpu_halt_forever();
}
