/*
 * The end of the machine. Port 0xf4 first (QEMU's isa-debug-exit, Trapline's own); then ACPI's
 * power-off with the sleep types in use (5: Trapline's tables; 0: QEMU's PC); then a triple fault.
 * ACPI specification, "PM1 Control Registers".
 */
#include "guest.h"

#define DEBUG_EXIT 0xf4u
#define PM1_CONTROL 0x604u
#define SLP_EN (1u << 13)

void guest_exit(unsigned status)
{
    const struct table_register none = { 0, 0 };

    cli();
    outb(DEBUG_EXIT, (uint8_t)status);
    outw(PM1_CONTROL, (uint16_t)(5u << 10 | SLP_EN));
    outw(PM1_CONTROL, SLP_EN);
    lidt(&none);
    for (;;)
        __asm__ volatile("ud2");
}
