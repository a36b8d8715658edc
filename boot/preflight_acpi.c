/*
 * What the machine's ACPI tables are good for, found by the reader that is used after the hand-over.
 *
 * A pointer to nowhere would end in firmware's exception handler, and the machine with it: only what
 * lies in memory that the memory map knows is looked at. Pure; no lock.
 * ACPI specification, "Root System Description Pointer (RSDP)", "System Description Table Header".
 */
#include "boot/preflight.h"
#include "x86/acpi_host.h"

/* Tables of older firmware lie among its ROMs, which not every map lists. */
#define FIRST_MB UINT64_C(0x100000)

struct known_memory {
    const struct boot_memory *ranges; /* sorted */
    uint32_t count;
};

static const void *map_known(void *context, uint64_t physical, uint64_t bytes)
{
    const struct known_memory *known = context;
    uint64_t at = physical, end = physical + bytes;

    if (at < FIRST_MB && at >= HV_PAGE_BYTES)
        at = hv_min_u64(end, FIRST_MB);
    for (uint32_t i = 0; i < known->count && at < end; i++) {
        const struct boot_memory *range = &known->ranges[i];
        if (range->kind == BOOT_MEMORY_MMIO || range->start > at ||
            range->start + range->bytes <= at)
            continue;
        at = range->start + range->bytes;
    }
    return at >= end ? (const void *)(uintptr_t)physical : NULL;
}

void preflight_read_acpi(const struct boot_memory *ranges, uint32_t count,
                         struct preflight_facts *facts, struct acpi_host *host)
{
    struct known_memory known = { ranges, count };
    const struct acpi_memory memory = { map_known, &known };

    acpi_host_parse(&memory, facts->rsdp, host);
    facts->acpi_tables = (host->fadt ? PREFLIGHT_ACPI_FADT : 0) |
                         (host->madt ? PREFLIGHT_ACPI_MADT : 0) |
                         (host->hpet_address ? PREFLIGHT_ACPI_HPET : 0) |
                         (host->ecam_count ? PREFLIGHT_ACPI_MCFG : 0) |
                         (host->dmar_address ? PREFLIGHT_ACPI_DMAR : 0) |
                         (host->spcr.present ? PREFLIGHT_ACPI_SPCR : 0);
    facts->acpi_bad_tables = host->bad_tables;
    facts->acpi_s5 = host->s5;
}
