/*
 * The machine's I/O APICs, kept quiet: what firmware has left open is masked.
 *
 * A level-triggered line that nobody serves would interrupt without end, and no guest would get on.
 * Not here: routing; no device interrupts the hypervisor. Lock: none; boot core, once.
 * 82093AA data sheet "I/O Redirection Table Registers"; ACPI specification "I/O APIC Structure".
 */
#include "x86/acpi_host.h"
#include "x86/host_apic.h"

#define IOREGSEL 0x00
#define IOWIN 0x10
#define IOAPIC_BYTES 0x20
#define REG_VERSION 1
#define REG_REDIRECTION 0x10
#define REDIRECTION_MASKED (1u << 16)
#define DELIVERY_MASK (7u << 8)
#define DELIVERY_SMI (2u << 8)

static uint32_t ioapic_read(const struct hv_access *access, uint64_t at, unsigned reg)
{
    access->write(access->ctx, HV_SPACE_MEMORY, at + IOREGSEL, 4, reg);
    return access->read(access->ctx, HV_SPACE_MEMORY, at + IOWIN, 4);
}

/* What raises an SMI is firmware's for as long as the machine runs. */
static void mask_entry(const struct hv_access *access, uint64_t at, unsigned reg)
{
    uint32_t low = ioapic_read(access, at, reg);

    if ((low & REDIRECTION_MASKED) || (low & DELIVERY_MASK) == DELIVERY_SMI)
        return;
    access->write(access->ctx, HV_SPACE_MEMORY, at + IOWIN, 4, low | REDIRECTION_MASKED);
}

void host_ioapic_mask(const struct acpi_host *acpi, const struct hv_access *access)
{
    for (unsigned i = 0; i < acpi->ioapic_count; i++) {
        uint64_t at = acpi->ioapics[i].address;

        if (at % IOAPIC_BYTES || !access->map(access->ctx, at, IOAPIC_BYTES))
            continue;
        uint32_t version = ioapic_read(access, at, REG_VERSION);
        if (version == UINT32_MAX)
            continue; /* nobody there */
        for (unsigned entry = 0; entry <= (version >> 16 & 0xff); entry++)
            mask_entry(access, at, REG_REDIRECTION + 2 * entry);
    }
}
