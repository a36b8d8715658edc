/*
 * The machine's PCI configuration space: ports 0xcf8 and 0xcfc for segment 0, which every PC
 * decodes and which need no table to be believed; memory (MCFG) for the other segments, and for
 * segment 0 where the ports do not answer.
 *
 * Not here: who is on the buses (drivers/pci_scan.c). Boot core only: no lock guards the ports.
 * PCI Local Bus specification 3.0 "Configuration Mechanism #1"; PCI Express Base specification
 * "PCI Express Enhanced Configuration Access Mechanism (ECAM)".
 */
#include "hv/drv_access.h"
#include "x86/acpi_host.h"
#include "x86/host_paging.h"
#include "x86/insn.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_ENABLE (UINT32_C(1) << 31)

/* Boot-once. */
static struct {
    struct hv_pci pci;
    bool ports_answer;
    bool mapped[ACPI_HOST_MAX_ECAM]; /* of the MCFG's stretches, which are in use */
    bool filled;
} machine;

static uint32_t port_address(struct pci_address at, unsigned offset)
{
    return CONFIG_ENABLE | (uint32_t)at.bus << 16 | (uint32_t)(at.device & 31) << 11 |
           (uint32_t)(at.function & 7) << 8 | (offset & 0xfc);
}

/* The register in memory; NULL: no table tells of this bus. */
static volatile void *memory_address(struct pci_address at, unsigned offset)
{
    const struct acpi_host *acpi = acpi_host();

    for (unsigned i = 0; i < acpi->ecam_count; i++) {
        const struct acpi_ecam *ecam = &acpi->ecam[i];
        if (!machine.mapped[i] || ecam->segment != at.segment || at.bus < ecam->first_bus ||
            at.bus > ecam->last_bus)
            continue;
        return (volatile void *)(ecam->address + ((uint64_t)at.bus << 20 |
                                                  (uint64_t)(at.device & 31) << 15 |
                                                  (uint64_t)(at.function & 7) << 12 |
                                                  (offset & 0xfc)));
    }
    return NULL;
}

static uint32_t machine_pci_read(void *ctx, struct pci_address at, unsigned offset)
{
    (void)ctx;
    if (at.segment == 0 && machine.ports_answer) {
        out32(CONFIG_ADDRESS, port_address(at, offset));
        return in32(CONFIG_DATA);
    }
    volatile void *mmio = memory_address(at, offset);
    return mmio ? mmio_read32(mmio) : UINT32_MAX;
}

static void machine_pci_write(void *ctx, struct pci_address at, unsigned offset, uint32_t value)
{
    (void)ctx;
    if (at.segment == 0 && machine.ports_answer) {
        out32(CONFIG_ADDRESS, port_address(at, offset));
        out32(CONFIG_DATA, value);
        return;
    }
    volatile void *mmio = memory_address(at, offset);
    if (mmio)
        mmio_write32(mmio, value);
}

/* The host bridge of a PC answers at bus 0, device 0. */
static bool ports_answer(void)
{
    const struct pci_address host_bridge = { 0, 0, 0, 0 };
    out32(CONFIG_ADDRESS, port_address(host_bridge, 0));
    uint32_t id = in32(CONFIG_DATA);
    return id != UINT32_MAX && id != 0;
}

static void add_range(struct pci_range range)
{
    if (machine.pci.range_count < HV_PCI_MAX_RANGES)
        machine.pci.ranges[machine.pci.range_count++] = range;
}

static void add_memory_ranges(void)
{
    const struct acpi_host *acpi = acpi_host();

    for (unsigned i = 0; i < acpi->ecam_count; i++) {
        const struct acpi_ecam *ecam = &acpi->ecam[i];
        uint64_t start = ecam->address + ((uint64_t)ecam->first_bus << 20);
        uint64_t bytes = (uint64_t)(ecam->last_bus - ecam->first_bus + 1) << 20;
        if (ecam->segment == 0 && machine.ports_answer)
            continue;
        machine.mapped[i] = host_map_mmio(start, bytes) != NULL;
        if (machine.mapped[i])
            add_range((struct pci_range){ ecam->segment, ecam->first_bus, ecam->last_bus });
    }
}

const struct hv_pci *hv_machine_pci(void)
{
    if (machine.filled)
        return &machine.pci;
    machine.filled = true;
    machine.pci.read = machine_pci_read;
    machine.pci.write = machine_pci_write;
    machine.ports_answer = ports_answer();
    if (machine.ports_answer)
        add_range((struct pci_range){ 0, 0, UINT8_MAX });
    add_memory_ranges();
    return &machine.pci;
}
