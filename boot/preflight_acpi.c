/*
 * Which ACPI tables there are. Only signatures are looked at; whoever uses a table checks it.
 *
 * Pure, apart from following the tables' own pointers in identity-mapped memory. No lock.
 * ACPI specification, "Root System Description Pointer (RSDP)", "Extended System Description Table".
 */
#include "boot/preflight.h"
#include "hv/string.h"

#define MOST_TABLES 256
#define HEADER_BYTES 36
#define RSDP_REVISION 15
#define RSDP_RSDT 16
#define RSDP_XSDT 24

static uint64_t load(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

static uint32_t table_bit(const uint8_t *table)
{
    static const struct {
        char signature[5];
        uint32_t bit;
    } known[] = {
        { "FACP", PREFLIGHT_ACPI_FADT }, { "APIC", PREFLIGHT_ACPI_MADT },
        { "HPET", PREFLIGHT_ACPI_HPET }, { "MCFG", PREFLIGHT_ACPI_MCFG },
        { "DMAR", PREFLIGHT_ACPI_DMAR }, { "SPCR", PREFLIGHT_ACPI_SPCR },
    };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(known); i++) {
        if (memcmp(table, known[i].signature, 4) == 0)
            return known[i].bit;
    }
    return 0;
}

/* A root table holds pointers of 4 (RSDT) or 8 bytes (XSDT) behind its header. */
static uint32_t scan_root(const uint8_t *root, const char *signature, unsigned pointer_bytes)
{
    uint32_t found = 0;
    if (memcmp(root, signature, 4) != 0)
        return 0;
    uint64_t bytes = load(root + 4, 4);
    uint64_t count = bytes > HEADER_BYTES ? (bytes - HEADER_BYTES) / pointer_bytes : 0;
    for (uint64_t i = 0; i < hv_min_u64(count, MOST_TABLES); i++) {
        uint64_t at = load(root + HEADER_BYTES + i * pointer_bytes, pointer_bytes);
        if (at != 0)
            found |= table_bit((const uint8_t *)(uintptr_t)at);
    }
    return found;
}

uint32_t preflight_scan_acpi(const void *rsdp)
{
    const uint8_t *root = rsdp;
    uint64_t xsdt = root[RSDP_REVISION] >= 2 ? load(root + RSDP_XSDT, 8) : 0;
    uint64_t rsdt = load(root + RSDP_RSDT, 4);
    if (xsdt != 0)
        return scan_root((const uint8_t *)(uintptr_t)xsdt, "XSDT", 8);
    if (rsdt != 0)
        return scan_root((const uint8_t *)(uintptr_t)rsdt, "RSDT", 4);
    return 0;
}
