/*
 * Switching the machine off and starting it over, by every known way in turn.
 *
 * Not here: what a guest's power button does. AML methods (_PTS) are not run: there is no
 * interpreter. Lock: none; whoever gets here first ends the machine.
 * ACPI specification "Sleeping States", "PM1 Control Registers", "Reset Register"; PIIX3 and ICH
 * data sheets "Reset Control Register"; 8042 "Pulse Output Port".
 */
#include "hv/arch_ops.h"
#include "hv/log.h"
#include "x86/acpi_host.h"
#include "x86/insn.h"
#include "x86/panic.h"
#include "x86/trap.h"
#include "x86/tsc.h"

#define PM1_SCI_EN (1u << 0)
#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_TYP_MASK (7u << 10)
#define PM1_SLP_EN (1u << 13)
#define SLEEP_CONTROL_SLP_TYP_SHIFT 2
#define SLEEP_CONTROL_SLP_EN (1u << 5)
#define EACH_WAY_US 200000
#define LAST_WORDS_US 20000 /* a serial port still holds up to 64 bytes: 6 ms at 115200 baud */
#define ACPI_ENABLE_US 300000

/* Sleep commands are only looked at in ACPI mode, which some firmware leaves to us. */
static void enter_acpi_mode(const struct acpi_host *acpi)
{
    uint64_t deadline = rdtsc() + tsc_from_us(ACPI_ENABLE_US);

    if (acpi->smi_command_port == 0 || acpi->acpi_enable == 0)
        return;
    if (acpi_register_read(&acpi->pm1a_control) & PM1_SCI_EN)
        return;
    out8(acpi->smi_command_port, acpi->acpi_enable);
    while (!(acpi_register_read(&acpi->pm1a_control) & PM1_SCI_EN) && rdtsc() < deadline)
        cpu_pause();
}

static void write_sleep(const struct acpi_register *control, uint8_t type)
{
    uint32_t value = acpi_register_read(control) & ~(PM1_SLP_TYP_MASK | PM1_SLP_EN);

    value |= (uint32_t)type << PM1_SLP_TYP_SHIFT;
    acpi_register_write(control, value);
    acpi_register_write(control, value | PM1_SLP_EN);
}

static void power_off_by_acpi(const struct acpi_host *acpi)
{
    if (!acpi->s5)
        return;
    if (acpi_register_map(&acpi->sleep_control) && acpi->hardware_reduced)
        acpi_register_write(&acpi->sleep_control,
                            (uint32_t)acpi->s5_type_a << SLEEP_CONTROL_SLP_TYP_SHIFT |
                                SLEEP_CONTROL_SLP_EN);
    if (!acpi_register_map(&acpi->pm1a_control))
        return;
    enter_acpi_mode(acpi);
    if (acpi_register_map(&acpi->pm1b_control))
        write_sleep(&acpi->pm1b_control, acpi->s5_type_b);
    write_sleep(&acpi->pm1a_control, acpi->s5_type_a);
}

/* For emulators without tables: PIIX4 as Bochs and QEMU's i440fx place it, ICH9, Bochs' own. */
static void power_off_by_known_ports(void)
{
    static const char word[] = "Shutdown";

    out16(0xb004, PM1_SLP_EN);
    out16(0x604, PM1_SLP_EN);
    for (size_t i = 0; i < sizeof(word) - 1; i++)
        out8(0x8900, (uint8_t)word[i]);
}

void arch_power_off(void)
{
    const struct acpi_host *acpi = acpi_host();

    cli();
    tsc_delay_us(LAST_WORDS_US);
    power_off_by_acpi(acpi);
    tsc_delay_us(acpi->s5 ? EACH_WAY_US : 0);
    /* A real machine has tables; at these ports it may have anything. */
    if (!acpi->present || (cpuid(1, 0).ecx >> 31))
        power_off_by_known_ports();
    tsc_delay_us(EACH_WAY_US);
    hv_error("the machine does not switch itself off: it is safe to do so now");
    cpu_halt_forever();
}

static void reset_by_8042(void)
{
    for (unsigned i = 0; i < 10000 && (in8(0x64) & 2); i++) /* its input buffer is full */
        cpu_pause();
    out8(0x64, 0xfe);
}

void arch_reset(void)
{
    const struct acpi_host *acpi = acpi_host();
    const struct x86_table_register nothing = { 0, 0 };

    cli();
    tsc_delay_us(LAST_WORDS_US);
    if (acpi_register_map(&acpi->reset)) {
        acpi_register_write(&acpi->reset, acpi->reset_value);
        tsc_delay_us(EACH_WAY_US);
    }
    out8(0xcf9, 0x02); /* hard reset, on the change of bit 2 */
    out8(0xcf9, 0x06);
    tsc_delay_us(EACH_WAY_US);
    if (acpi->has_8042) {
        reset_by_8042();
        tsc_delay_us(EACH_WAY_US);
    }
    lidt(&nothing); /* an exception that cannot be delivered, thrice: shutdown, which resets */
    int3();
    cpu_halt_forever();
}
