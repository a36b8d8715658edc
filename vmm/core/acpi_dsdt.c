/*
 * The DSDT's contents: what a guest cannot find out by asking the hardware itself.
 *
 * Not the tables around it: acpi_tables.c. Pure; no lock.
 * Source: ACPI specification, "Device Configuration", "_PRT (PCI Routing Table)", "\_Sx (System
 * States)"; Plug and Play ids of the standard PC devices.
 */
#include "acpi_dsdt.h"
#include "hv/dev_acpi_pm.h"
#include "hv/dev_acpi_sleep.h"
#include "hv/dev_debug_exit.h"
#include "hv/dev_isa_misc.h"
#include "hv/dev_pci_host.h"

#define OP_STORE 0x70u
#define OP_IF 0xA0u
#define OP_RETURN 0xA4u
#define OP_ARG0 0x68u

#define PIN_COUNT 4u
#define DEVICES 32u

static void sleep_states(struct aml *aml)
{
    aml_name(aml, "\\_S5_");
    aml_package(aml, 4);
    aml_integer(aml, ACPI_SLP_TYP_S5);
    aml_integer(aml, ACPI_SLP_TYP_S5);
    aml_integer(aml, 0);
    aml_integer(aml, 0);
    aml_end(aml);
}

/* The operating system says by _PIC which interrupt controller it uses; _PRT answers to that. */
static void interrupt_model(struct aml *aml)
{
    aml_name_integer(aml, "\\PICM", 0);
    aml_method(aml, "\\_PIC", 1);
    aml_byte(aml, OP_STORE);
    aml_byte(aml, OP_ARG0);
    aml_path(aml, "\\PICM");
    aml_end(aml);
}

enum routing { ROUTING_PIC, ROUTING_IOAPIC, ROUTING_REDUCED };

static uint32_t wire_gsi(enum routing routing, unsigned wire)
{
    if (routing == ROUTING_REDUCED)
        return ACPI_PCI_GSI_REDUCED(wire);
    return routing == ROUTING_IOAPIC ? ACPI_PCI_GSI(wire) : ACPI_PCI_PIC_IRQ(wire);
}

static void route(struct aml *aml, unsigned device, unsigned pin, enum routing routing)
{
    unsigned wire = (device + pin) % PIN_COUNT;

    aml_package(aml, 4);
    aml_integer(aml, device << 16 | 0xFFFF);
    aml_integer(aml, pin);
    aml_integer(aml, 0);
    aml_integer(aml, wire_gsi(routing, wire));
    aml_end(aml);
}

/* Device 0 is the host bridge, which has no interrupt. */
static void routing_table(struct aml *aml, const char *name, enum routing routing)
{
    aml_name(aml, name);
    aml_package(aml, (DEVICES - 1) * PIN_COUNT);
    for (unsigned device = 1; device < DEVICES; device++) {
        for (unsigned pin = 0; pin < PIN_COUNT; pin++)
            route(aml, device, pin, routing);
    }
    aml_end(aml);
}

/* Without a PIC there is nothing to choose from. */
static void routing(struct aml *aml, bool reduced)
{
    if (reduced) {
        routing_table(aml, "_PRT", ROUTING_REDUCED);
        return;
    }
    routing_table(aml, "PRTP", ROUTING_PIC);
    routing_table(aml, "PRTA", ROUTING_IOAPIC);
    aml_method(aml, "_PRT", 0);
    /* if (PICM) return PRTA; return PRTP. The If's length: itself, a name with its root, Return. */
    aml_byte(aml, OP_IF);
    aml_byte(aml, 1 + 5 + 1 + 4);
    aml_path(aml, "\\PICM");
    aml_byte(aml, OP_RETURN);
    aml_path(aml, "PRTA");
    aml_byte(aml, OP_RETURN);
    aml_path(aml, "PRTP");
    aml_end(aml);
}

static void bridge_resources(struct aml *aml, const struct acpi_config *config)
{
    aml_crs_begin(aml);
    aml_crs_bus_window(aml, 0, 0);
    aml_crs_io(aml, PCI_HOST_PORT, PCI_HOST_PORT_BYTES);
    aml_crs_io_window(aml, 0, PCI_HOST_PORT - 1);
    aml_crs_io_window(aml, PCI_HOST_PORT + PCI_HOST_PORT_BYTES, 0xFFFF);
    if (config->pci_window_bytes)
        aml_crs_memory_window(aml, (uint32_t)config->pci_window.v,
                              (uint32_t)(config->pci_window.v + config->pci_window_bytes - 1));
    aml_crs_end(aml);
}

static void legacy_devices(struct aml *aml)
{
    aml_device(aml, "PIC_");
    aml_name_eisa_id(aml, "_HID", "PNP0000");
    aml_crs_begin(aml);
    aml_crs_io(aml, 0x20, 2);
    aml_crs_io(aml, 0xA0, 2);
    aml_crs_io(aml, 0x4D0, 2);
    aml_crs_irq(aml, 2);
    aml_crs_end(aml);
    aml_end(aml);

    aml_device(aml, "TIMR");
    aml_name_eisa_id(aml, "_HID", "PNP0100");
    aml_crs_begin(aml);
    aml_crs_io(aml, 0x40, 4);
    aml_crs_irq(aml, 0);
    aml_crs_end(aml);
    aml_end(aml);

    aml_device(aml, "RTC_");
    aml_name_eisa_id(aml, "_HID", "PNP0B00");
    aml_crs_begin(aml);
    aml_crs_io(aml, 0x70, 2);
    aml_crs_irq(aml, 8);
    aml_crs_end(aml);
    aml_end(aml);

    aml_device(aml, "SPKR");
    aml_name_eisa_id(aml, "_HID", "PNP0800");
    aml_crs_begin(aml);
    aml_crs_io(aml, 0x61, 1);
    aml_crs_end(aml);
    aml_end(aml);
}

static void serial_ports(struct aml *aml, const struct acpi_config *config)
{
    char name[] = "COM1";

    for (unsigned i = 0; i < HV_ARRAY_COUNT(config->com_ports); i++) {
        if (!config->com_ports[i])
            continue;
        name[3] = (char)('1' + i);
        aml_device(aml, name);
        aml_name_eisa_id(aml, "_HID", "PNP0501");
        aml_name_integer(aml, "_UID", i + 1);
        aml_crs_begin(aml);
        aml_crs_io(aml, config->com_ports[i], 8);
        if (config->reduced)
            aml_crs_gsi(aml, config->com_irqs[i]);
        else
            aml_crs_irq(aml, config->com_irqs[i]);
        aml_crs_end(aml);
        aml_end(aml);
    }
}

/* Ports and memory that belong to the board itself, so that nothing is placed there. A kernel
 * trusts ECAM only where this says that it is taken. */
static void board_resources(struct aml *aml, const struct acpi_config *config)
{
    aml_device(aml, "MBRD");
    aml_name_eisa_id(aml, "_HID", "PNP0C02");
    aml_name_integer(aml, "_UID", 0);
    aml_crs_begin(aml);
    aml_crs_io(aml, ISA_POST_PORT, 1);
    if (!config->reduced)
        aml_crs_io(aml, ISA_PORT92, 1);
    aml_crs_io(aml, ISA_DELAY_PORT, 1);
    aml_crs_io(aml, DEBUG_EXIT_PORT, DEBUG_EXIT_PORT_BYTES);
    aml_crs_io(aml, config->pm_base,
               config->reduced ? ACPI_SLEEP_REGION_BYTES : ACPI_PM_REGION_BYTES);
    aml_crs_memory32(aml, (uint32_t)config->ioapic_base.v, HV_PAGE_BYTES);
    aml_crs_memory32(aml, (uint32_t)config->lapic_base.v, HV_PAGE_BYTES);
    if (config->ecam_base.v)
        aml_crs_memory32(aml, (uint32_t)config->ecam_base.v, PCI_HOST_ECAM_RESERVED);
    aml_crs_end(aml);
    aml_end(aml);
}

void acpi_dsdt_emit(struct aml *aml, const struct acpi_config *config)
{
    sleep_states(aml);
    if (!config->reduced)
        interrupt_model(aml);
    aml_scope(aml, "\\_SB_");
    aml_device(aml, "PCI0");
    aml_name_eisa_id(aml, "_HID", "PNP0A03");
    aml_name_integer(aml, "_UID", 0);
    aml_name_integer(aml, "_BBN", 0);
    aml_name_integer(aml, "_SEG", 0);
    bridge_resources(aml, config);
    routing(aml, config->reduced);
    if (!config->reduced)
        legacy_devices(aml);
    serial_ports(aml, config);
    aml_end(aml);
    board_resources(aml, config);
    aml_end(aml);
}
