/*
 * A VM's PC: its devices, where they stand, and how their interrupt lines run.
 *
 * Lock: the VM's bus lock, which guards every device. The functions here take it themselves unless
 * they say otherwise.
 */
#ifndef HV_PLATFORM_H
#define HV_PLATFORM_H

#include "hv/vm.h"

/* Guest-physical layout. RAM below the hole, the rest from 4 GB up. */
#define PLATFORM_LOW_RAM_END UINT64_C(0xC0000000)
#define PLATFORM_ECAM_BASE UINT64_C(0xE0000000)
#define PLATFORM_ECAM_BYTES UINT64_C(0x4000000) /* reserved for it; the first bus is there */
#define PLATFORM_HIGH_RAM_START UINT64_C(0x100000000)

/* Ports that the guest's ACPI tables name. */
#define PLATFORM_PM_PORT 0x600u
#define PLATFORM_SCI_IRQ 9u

/* Makes the VM's devices and registers them on its bus. */
enum hv_err platform_create(struct vm *vm) HV_MUST_CHECK;

/* Gives its memory back. With the VM ended. */
void platform_destroy(struct vm *vm);

/* Power-on state of every device. With the VM stopped. */
void platform_reset(struct vm *vm);

/* Writes the ACPI tables into guest memory; the RSDP's address, or 0. */
enum hv_err platform_write_acpi(struct vm *vm, gpa_t *rsdp) HV_MUST_CHECK;

/* The INTA cycle: the PIC's vector, or -1 when it has none. */
int platform_pic_acknowledge(struct vm *vm);

/* A local APIC has ended a level-triggered interrupt. */
void platform_eoi(struct vm *vm, uint8_t vector);

/* Bytes from the console to the VM's first UART; returns how many it had room for. */
size_t platform_console_input(struct vm *vm, const uint8_t *bytes, size_t count);

/* The pane that shows its output (hv/console.h); that of all, if it has none. */
unsigned platform_console_pane(const struct vm *vm);

#endif
