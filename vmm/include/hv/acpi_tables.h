/*
 * The ACPI tables of a VM: RSDP, XSDT, FADT, FACS, MADT, MCFG, DSDT.
 * Pure: writes into a buffer that will lie at a known guest-physical address.
 * Source: ACPI specification 6.x, "ACPI Software Programming Model" and "ACPI Machine Language
 * (AML) Specification"; PCI Firmware Specification, "MCFG".
 */
#ifndef HV_ACPI_TABLES_H
#define HV_ACPI_TABLES_H

#include "hv/types.h"

#define ACPI_TABLES_MAX_CPUS 256u
#define ACPI_TABLES_BYTES 0x4000u /* enough for every config with up to 256 processors */

/* Where PCI interrupt wire n (0 = PIRQA) arrives: at the I/O APIC (of a PC; of a hardware-reduced
 * machine), and at the PIC (level). */
#define ACPI_PCI_GSI(wire) (16u + (wire))
#define ACPI_PCI_GSI_REDUCED(wire) (0u + (wire))
#define ACPI_PCI_PIC_IRQ(wire) (10u + ((wire) & 1u))

struct acpi_config {
    const uint32_t *apic_ids; /* one for each vCPU, the boot processor first */
    unsigned cpus;
    gpa_t lapic_base;
    gpa_t ioapic_base;
    uint8_t ioapic_id;
    uint8_t sci_irq;          /* usually 9; level-triggered, active high */
    bool reduced;             /* hardware-reduced: no PIC, PIT, clock, fixed registers */
    uint16_t pm_base;         /* port of the acpi_pm device, e.g. 0x600; reduced: of acpi_sleep */
    uint8_t century_cmos;     /* CMOS index of the century, e.g. 0x32; 0 = none */
    bool has_i8042;
    gpa_t ecam_base;          /* of bus 0, 1 MB used, 64 MB reserved; v == 0: no MCFG */
    gpa_t pci_window;         /* 32-bit memory for BARs; page-aligned */
    uint64_t pci_window_bytes;/* 0: none */
    uint16_t com_ports[4];    /* I/O bases of COM1..4, 0 = absent; e.g. {0x3F8} */
    uint8_t com_irqs[4];
};

/* Fills `buffer` (to lie at `at`, 16-byte aligned, below 4 GB). The RSDP is its first byte, so that
 * a region in 0xE0000-0xFFFFF is found by scanning. HV_ERR_RANGE: it does not fit; HV_ERR_INVALID:
 * no CPU or too many, or addresses above 4 GB. `used_bytes` may be NULL.
 * The DSDT names the host bridge (PNP0A03), PIC, PIT, RTC, speaker port (not when reduced), serial
 * ports and the board's own ports and memory. Interrupt pin INTx of device d is wire (d + x) mod 4. */
enum hv_err acpi_tables_build(const struct acpi_config *config, void *buffer, size_t bytes,
                              gpa_t at, size_t *used_bytes) HV_MUST_CHECK;

#endif
