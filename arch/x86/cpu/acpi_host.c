/*
 * Reader of the machine's ACPI tables.
 *
 * Not here: AML (acpi_s5.c), SPCR (acpi_spcr.c), access to registers (acpi_machine.c).
 * Pure. Firmware is a neighbour like any other: every length is checked against what was mapped,
 * every table against its checksum, every count against a bound; a bad table is counted and left
 * out. Lock: none.
 * ACPI specification "Root System Description Pointer", "System Description Table Header", "FADT",
 * "MADT"; IA-PC HPET specification "HPET Description Table"; PCI Firmware specification "MCFG".
 */
#include "x86/acpi_host.h"

#include "hv/string.h"

#define HEADER_BYTES 36u
#define MAX_TABLE_BYTES (16u << 20)
#define MAX_ROOT_ENTRIES 512u

struct parser {
    const struct acpi_memory *memory;
    struct acpi_host *host;
    uint64_t dsdt;      /* address, from the FADT; 0: none */
};

/* A table that was checked. */
struct table {
    const uint8_t *data;
    uint32_t bytes;
    uint64_t address;
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static bool sums_to_zero(const uint8_t *data, uint32_t bytes)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + data[i]);
    return sum == 0;
}

static const uint8_t *map(const struct parser *parser, uint64_t physical, uint64_t bytes)
{
    if (physical == 0 || physical + bytes < physical)
        return NULL;
    return parser->memory->map(parser->memory->context, physical, bytes);
}

/* Maps a table by the length in its header and checks it. */
static bool open_table(struct parser *parser, uint64_t physical, struct table *table)
{
    const uint8_t *data = map(parser, physical, HEADER_BYTES);
    uint32_t bytes = data ? get32(data + 4) : 0;

    if (bytes >= HEADER_BYTES && bytes <= MAX_TABLE_BYTES) {
        data = map(parser, physical, bytes);
        if (data && sums_to_zero(data, bytes)) {
            *table = (struct table){ data, bytes, physical };
            return true;
        }
    }
    parser->host->bad_tables++;
    return false;
}

static bool signature_is(const struct table *table, const char *signature)
{
    return memcmp(table->data, signature, 4) == 0;
}

/* --- MADT --- */

enum madt_entry {
    MADT_LOCAL_APIC = 0,
    MADT_IO_APIC = 1,
    MADT_LOCAL_APIC_ADDRESS = 5,
    MADT_LOCAL_X2APIC = 9,
};

#define MADT_ENABLED (UINT32_C(1) << 0)

static void add_core(struct acpi_host *host, uint32_t apic_id, uint32_t flags)
{
    if (!(flags & MADT_ENABLED)) {
        host->cores_disabled++;
        return;
    }
    for (unsigned i = 0; i < host->core_count; i++)
        if (host->apic_ids[i] == apic_id)
            return; /* some firmware lists a processor in both formats */
    if (host->core_count == ACPI_HOST_MAX_CORES)
        host->cores_left_out++;
    else
        host->apic_ids[host->core_count++] = apic_id;
}

static void add_ioapic(struct acpi_host *host, const uint8_t *entry)
{
    if (host->ioapic_count < ACPI_HOST_MAX_IOAPICS)
        host->ioapics[host->ioapic_count++] = (struct acpi_ioapic){
            .id = entry[2], .address = get32(entry + 4), .gsi_base = get32(entry + 8) };
}

static void read_madt_entry(struct acpi_host *host, const uint8_t *entry, uint8_t bytes)
{
    if (entry[0] == MADT_LOCAL_APIC && bytes >= 8 && entry[3] != 0xff)
        add_core(host, entry[3], get32(entry + 4));
    else if (entry[0] == MADT_LOCAL_X2APIC && bytes >= 16 && get32(entry + 4) != UINT32_MAX)
        add_core(host, get32(entry + 4), get32(entry + 8));
    else if (entry[0] == MADT_IO_APIC && bytes >= 12)
        add_ioapic(host, entry);
    else if (entry[0] == MADT_LOCAL_APIC_ADDRESS && bytes >= 12)
        host->lapic_address = get64(entry + 4);
}

static void read_madt(struct parser *parser, const struct table *table)
{
    uint32_t at = 44;

    if (parser->host->madt || table->bytes < at)
        return;
    parser->host->madt = true;
    parser->host->lapic_address = get32(table->data + 36);
    while (table->bytes - at >= 2) {
        uint8_t bytes = table->data[at + 1];
        if (bytes < 2 || bytes > table->bytes - at)
            return;
        read_madt_entry(parser->host, table->data + at, bytes);
        at += bytes;
    }
}

/* --- FADT --- */

enum fadt_offset {
    FADT_REVISION = 8, /* of the table's header */
    FADT_DSDT = 40,
    FADT_SMI_CMD = 48,
    FADT_ACPI_ENABLE = 52,
    FADT_PM1A_EVT_BLK = 56,
    FADT_PM1B_EVT_BLK = 60,
    FADT_PM1A_CNT_BLK = 64,
    FADT_PM1B_CNT_BLK = 68,
    FADT_PM_TMR_BLK = 76,
    FADT_PM1_EVT_LEN = 88,
    FADT_PM1_CNT_LEN = 89,
    FADT_PM_TMR_LEN = 91,
    FADT_IAPC_BOOT_ARCH = 109,
    FADT_FLAGS = 112,
    FADT_RESET_REG = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_EVT_BLK = 148,
    FADT_X_PM1B_EVT_BLK = 160,
    FADT_X_PM1A_CNT_BLK = 172,
    FADT_X_PM1B_CNT_BLK = 184,
    FADT_X_PM_TMR_BLK = 208,
    FADT_SLEEP_CONTROL_REG = 244,
};

#define FADT_FLAG_TMR_VAL_EXT (UINT32_C(1) << 8)
#define FADT_FLAG_RESET_REG_SUP (UINT32_C(1) << 10)
#define FADT_FLAG_HW_REDUCED_ACPI (UINT32_C(1) << 20)
#define FADT_BOOT_8042 (1u << 1)
#define FADT_MIN_BYTES 116u /* ACPI 1.0 */
#define GAS_BYTES 12u

/* A generic address structure with an access of `size_bytes`; address 0 unless it can be used. */
static struct acpi_register read_gas(const struct table *table, uint32_t offset,
                                     uint8_t size_bytes)
{
    const uint8_t *gas = table->data + offset;
    struct acpi_register none = { ACPI_SPACE_PORT, size_bytes, 0 };
    uint64_t address;

    if (table->bytes < offset + GAS_BYTES || gas[0] > ACPI_SPACE_PORT)
        return none;
    address = get64(gas + 4);
    if (gas[0] == ACPI_SPACE_PORT && address > UINT16_MAX)
        return none;
    if (address % size_bytes)
        return none;
    return (struct acpi_register){ (enum acpi_space)gas[0], size_bytes, address };
}

#define PCI_CONFIG_ENABLE (UINT32_C(1) << 31)

/* In configuration space: device, function and offset, 16 bits each above the other, on bus 0. */
static struct acpi_register read_reset(const struct table *table)
{
    const uint8_t *gas = table->data + FADT_RESET_REG;
    uint32_t offset = get16(gas + 4), function = get16(gas + 6), device = get16(gas + 8);

    if (gas[0] != ACPI_SPACE_PCI)
        return read_gas(table, FADT_RESET_REG, 1);
    if (offset > 0xff || function > 7 || device > 31 || get16(gas + 10))
        return (struct acpi_register){ ACPI_SPACE_PORT, 1, 0 };
    return (struct acpi_register){ ACPI_SPACE_PCI, 1,
                                   PCI_CONFIG_ENABLE | device << 11 | function << 8 | offset };
}

/* The extended form where the table has one, else the port number of ACPI 1.0. */
static struct acpi_register read_block(const struct table *table, uint32_t extended, uint32_t old,
                                       uint8_t size_bytes)
{
    struct acpi_register reg = { ACPI_SPACE_PORT, size_bytes, 0 };
    uint32_t port = get32(table->data + old);

    if (table->data[FADT_REVISION] >= 2)
        reg = read_gas(table, extended, size_bytes);
    if (reg.address == 0 && port <= UINT16_MAX && port % size_bytes == 0)
        reg = (struct acpi_register){ ACPI_SPACE_PORT, size_bytes, port };
    return reg;
}

static void read_fixed_hardware(struct acpi_host *host, const struct table *table)
{
    const uint8_t *data = table->data;

    if (get32(data + FADT_SMI_CMD) <= UINT16_MAX)
        host->smi_command_port = (uint16_t)get32(data + FADT_SMI_CMD);
    host->acpi_enable = data[FADT_ACPI_ENABLE];
    if (data[FADT_PM1_EVT_LEN] >= 4) {
        host->pm1a_status = read_block(table, FADT_X_PM1A_EVT_BLK, FADT_PM1A_EVT_BLK, 2);
        host->pm1b_status = read_block(table, FADT_X_PM1B_EVT_BLK, FADT_PM1B_EVT_BLK, 2);
    }
    if (data[FADT_PM1_CNT_LEN] >= 2) {
        host->pm1a_control = read_block(table, FADT_X_PM1A_CNT_BLK, FADT_PM1A_CNT_BLK, 2);
        host->pm1b_control = read_block(table, FADT_X_PM1B_CNT_BLK, FADT_PM1B_CNT_BLK, 2);
    }
    if (data[FADT_PM_TMR_LEN] >= 4)
        host->pm_timer = read_block(table, FADT_X_PM_TMR_BLK, FADT_PM_TMR_BLK, 4);
}

static void read_fadt(struct parser *parser, const struct table *table)
{
    struct acpi_host *host = parser->host;
    const uint8_t *data = table->data;
    uint32_t flags;
    uint8_t revision;

    if (host->fadt || table->bytes < FADT_MIN_BYTES)
        return;
    host->fadt = true;
    revision = data[FADT_REVISION];
    flags = get32(data + FADT_FLAGS);
    host->hardware_reduced = revision >= 5 && (flags & FADT_FLAG_HW_REDUCED_ACPI);
    host->has_8042 = revision < 3 || (get16(data + FADT_IAPC_BOOT_ARCH) & FADT_BOOT_8042);
    host->pm_timer_32bit = flags & FADT_FLAG_TMR_VAL_EXT;
    if (!host->hardware_reduced)
        read_fixed_hardware(host, table);
    /* RESET_REG came with revision 2; a shorter table ends before it. */
    if (revision >= 2 && (flags & FADT_FLAG_RESET_REG_SUP) && table->bytes > FADT_RESET_VALUE) {
        host->reset = read_reset(table);
        host->reset_value = data[FADT_RESET_VALUE];
    }
    if (revision >= 5)
        host->sleep_control = read_gas(table, FADT_SLEEP_CONTROL_REG, 1);
    parser->dsdt = get32(data + FADT_DSDT);
    if (revision >= 2 && table->bytes >= FADT_X_DSDT + 8 && get64(data + FADT_X_DSDT))
        parser->dsdt = get64(data + FADT_X_DSDT);
}

/* --- HPET, MCFG, DMAR, AML --- */

static void read_hpet(struct parser *parser, const struct table *table)
{
    struct acpi_register base = read_gas(table, 40, 1);

    if (base.space == ACPI_SPACE_MEMORY && base.address % 8 == 0 && !parser->host->hpet_address)
        parser->host->hpet_address = base.address;
}

static void read_mcfg(struct parser *parser, const struct table *table)
{
    struct acpi_host *host = parser->host;

    for (uint32_t at = 44; at <= table->bytes && table->bytes - at >= 16; at += 16) {
        const uint8_t *entry = table->data + at;
        struct acpi_ecam ecam = { get64(entry), get16(entry + 8), entry[10], entry[11] };
        if (host->ecam_count == ACPI_HOST_MAX_ECAM)
            return;
        if (ecam.address && ecam.address % (1u << 20) == 0 && ecam.first_bus <= ecam.last_bus)
            host->ecam[host->ecam_count++] = ecam;
    }
}

#define DMAR_FLAGS 37u
#define DMAR_X2APIC_OPT_OUT (1u << 1)

static void read_aml(struct parser *parser, const struct table *table)
{
    struct acpi_host *host = parser->host;

    if (!host->s5)
        host->s5 = acpi_find_s5(table->data + HEADER_BYTES, table->bytes - HEADER_BYTES,
                                &host->s5_type_a, &host->s5_type_b);
}

static void read_table(struct parser *parser, const struct table *table)
{
    if (signature_is(table, "APIC"))
        read_madt(parser, table);
    else if (signature_is(table, "FACP"))
        read_fadt(parser, table);
    else if (signature_is(table, "HPET"))
        read_hpet(parser, table);
    else if (signature_is(table, "MCFG"))
        read_mcfg(parser, table);
    else if (signature_is(table, "SSDT"))
        read_aml(parser, table);
    else if (signature_is(table, "SPCR"))
        (void)acpi_spcr_read(table->data, table->bytes, &parser->host->spcr);
    else if (signature_is(table, "DMAR") && !parser->host->dmar_address) {
        parser->host->dmar_address = table->address;
        parser->host->dmar_bytes = table->bytes;
        parser->host->x2apic_opt_out =
            table->bytes > DMAR_FLAGS && (table->data[DMAR_FLAGS] & DMAR_X2APIC_OPT_OUT);
    }
}

/* --- The root --- */

static void read_root_table(struct parser *parser, uint64_t physical, const char *signature,
                            uint32_t entry_bytes)
{
    struct table root, table;
    uint32_t count;

    if (!open_table(parser, physical, &root) || !signature_is(&root, signature))
        return;
    parser->host->present = true;
    count = (root.bytes - HEADER_BYTES) / entry_bytes;
    if (count > MAX_ROOT_ENTRIES)
        count = MAX_ROOT_ENTRIES;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *entry = root.data + HEADER_BYTES + i * entry_bytes;
        uint64_t address = entry_bytes == 8 ? get64(entry) : get32(entry);
        if (address && open_table(parser, address, &table)) /* some firmware leaves entries empty */
            read_table(parser, &table);
    }
    /* The DSDT comes first in AML's order, but only the FADT knows where it is. */
    if (parser->dsdt && open_table(parser, parser->dsdt, &table) && signature_is(&table, "DSDT"))
        read_aml(parser, &table);
}

void acpi_host_parse(const struct acpi_memory *memory, uint64_t rsdp, struct acpi_host *host)
{
    struct parser parser = { memory, host, 0 };
    const uint8_t *root;

    memset(host, 0, sizeof(*host));
    host->has_8042 = true;
    root = map(&parser, rsdp, 20);
    if (!root || memcmp(root, "RSD PTR ", 8) || !sums_to_zero(root, 20))
        return;
    host->revision = root[15];
    if (host->revision >= 2) {
        const uint8_t *extended = map(&parser, rsdp, 36);
        if (extended && sums_to_zero(extended, 36) && get64(extended + 24)) {
            read_root_table(&parser, get64(extended + 24), "XSDT", 8);
            if (host->present)
                return;
        }
    }
    read_root_table(&parser, get32(root + 16), "RSDT", 4);
}
