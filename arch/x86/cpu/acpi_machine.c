/*
 * The machine's own ACPI tables and registers.
 *
 * Not here: the parser (acpi_host.c, pure).
 * Lock: none; filled once by the boot core, constant then.
 */
#include "hv/log.h"
#include "x86/acpi_host.h"
#include "x86/host_paging.h"
#include "x86/insn.h"

/* Boot-once. */
static struct acpi_host machine_acpi;

static const void *map_table(void *context, uint64_t physical, uint64_t bytes)
{
    (void)context;
    return host_map_firmware(physical, bytes);
}

void acpi_host_init(uint64_t rsdp)
{
    const struct acpi_memory memory = { map_table, NULL };
    struct acpi_host *host = &machine_acpi;

    acpi_host_parse(&memory, rsdp, host);
    if (!host->present) {
        hv_warn("ACPI: no tables; processors by firmware's list, power-off by known ports");
        return;
    }
    hv_info("ACPI: %u cores%s%s%s%s%s%s", host->core_count, host->fadt ? ", FADT" : "",
            host->s5 ? ", S5" : "", host->hpet_address ? ", HPET" : "",
            host->ecam_count ? ", ECAM" : "", host->dmar_address ? ", DMAR" : "",
            host->spcr.present ? ", SPCR" : "");
    if (host->bad_tables)
        hv_warn("ACPI: %u tables are damaged and were left out", host->bad_tables);
    if (host->cores_left_out)
        hv_warn("ACPI: %u cores beyond %d are left out", host->cores_left_out, ACPI_HOST_MAX_CORES);
}

const struct acpi_host *acpi_host(void)
{
    return &machine_acpi;
}

bool acpi_register_map(const struct acpi_register *reg)
{
    if (reg->address == 0)
        return false;
    return reg->space == ACPI_SPACE_PORT || host_map_mmio(reg->address, reg->size_bytes);
}

uint32_t acpi_register_read(const struct acpi_register *reg)
{
    uint16_t port = (uint16_t)reg->address;
    const volatile void *mmio = (const volatile void *)reg->address;

    switch (reg->size_bytes) {
    case 1:
        return reg->space == ACPI_SPACE_PORT ? in8(port) : mmio_read8(mmio);
    case 2:
        return reg->space == ACPI_SPACE_PORT ? in16(port) : mmio_read16(mmio);
    default:
        return reg->space == ACPI_SPACE_PORT ? in32(port) : mmio_read32(mmio);
    }
}

void acpi_register_write(const struct acpi_register *reg, uint32_t value)
{
    uint16_t port = (uint16_t)reg->address;
    volatile void *mmio = (volatile void *)reg->address;
    bool is_port = reg->space == ACPI_SPACE_PORT;

    if (reg->size_bytes == 1)
        is_port ? out8(port, (uint8_t)value) : mmio_write8(mmio, (uint8_t)value);
    else if (reg->size_bytes == 2)
        is_port ? out16(port, (uint16_t)value) : mmio_write16(mmio, (uint16_t)value);
    else
        is_port ? out32(port, value) : mmio_write32(mmio, value);
}
