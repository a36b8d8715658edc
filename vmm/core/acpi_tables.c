/*
 * The ACPI tables of a VM, written one after the other behind the RSDP.
 *
 * A PC has PIC, PIT and the fixed registers, and is always in ACPI mode, so that the FADT names no SMI
 * command port. A hardware-reduced machine has none of them, but two sleep registers. Pure; no lock.
 * Source: ACPI specification, "ACPI System Description Tables"; PCI Firmware Specification, "MCFG
 * Table Description".
 */
#include "acpi_dsdt.h"
#include "hv/acpi_tables.h"
#include "hv/dev_acpi_pm.h"
#include "hv/dev_acpi_sleep.h"
#include "hv/dev_pci_host.h"
#include "hv/string.h"

#define HEADER_BYTES 36u
#define FADT_BYTES 276u
#define FACS_BYTES 64u

/* FADT flags */
#define FADT_WBINVD (1u << 0)
#define FADT_PROC_C1 (1u << 2)
#define FADT_NO_SLEEP_BUTTON (1u << 5)
#define FADT_NO_FIXED_RTC_WAKE (1u << 6)
#define FADT_TMR_VAL_EXT (1u << 8)
#define FADT_NO_POWER_BUTTON (1u << 4)
#define FADT_RESET_REG_SUP (1u << 10)
#define FADT_HW_REDUCED (1u << 20)

/* IA-PC boot architecture flags */
#define BOOT_LEGACY_DEVICES (1u << 0)
#define BOOT_8042 (1u << 1)
#define BOOT_NO_VGA (1u << 2)
#define BOOT_NO_ASPM (1u << 4)
#define BOOT_NO_CMOS_RTC (1u << 5)

/* MADT entries */
#define MADT_PCAT_COMPAT 1u
#define MADT_LAPIC 0u
#define MADT_IOAPIC 1u
#define MADT_OVERRIDE 2u
#define MADT_LAPIC_NMI 4u
#define MADT_X2APIC 9u
#define MADT_X2APIC_NMI 10u
#define MADT_CPU_ENABLED 1u
#define MADT_ACTIVE_HIGH_LEVEL 0x000Du
#define MADT_CONFORMS 0u

#define RESET_PORT 0xCF9u
#define RESET_VALUE 0x06u
#define PIT_GSI 2u

struct builder {
    struct aml out; /* the same bounded appending serves the tables themselves */
    uint64_t base;  /* guest-physical address of the buffer */
    const struct acpi_config *config;
};

static void bytes(struct builder *b, const void *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        aml_byte(&b->out, ((const uint8_t *)from)[i]);
}

static void qword(struct builder *b, uint64_t value)
{
    aml_dword(&b->out, (uint32_t)value);
    aml_dword(&b->out, (uint32_t)(value >> 32));
}

static void zeros(struct builder *b, size_t count)
{
    while (count--)
        aml_byte(&b->out, 0);
}

static void align(struct builder *b, size_t to)
{
    while (!b->out.overflow && (b->base + b->out.used) % to)
        aml_byte(&b->out, 0);
}

static uint8_t sum(const uint8_t *from, size_t count)
{
    uint8_t total = 0;
    while (count--)
        total = (uint8_t)(total + *from++);
    return total;
}

/* Starts a table; returns where it stands in the buffer. */
static size_t table_begin(struct builder *b, const char *signature, uint8_t revision)
{
    align(b, 16);
    size_t start = b->out.used;
    bytes(b, signature, 4);
    aml_dword(&b->out, 0); /* length, at the end */
    aml_byte(&b->out, revision);
    aml_byte(&b->out, 0); /* checksum, at the end */
    bytes(b, "TRAPLN", 6);
    bytes(b, "TRAPLINE", 8);
    aml_dword(&b->out, 1);
    bytes(b, "TRPL", 4);
    aml_dword(&b->out, 1);
    return start;
}

/* Fills in length and checksum; returns the table's guest-physical address. */
static uint64_t table_end(struct builder *b, size_t start)
{
    if (!b->out.overflow) {
        uint8_t *table = b->out.buffer + start;
        uint32_t length = (uint32_t)(b->out.used - start);
        memcpy(table + 4, &length, sizeof(length));
        table[9] = (uint8_t)-sum(table, length);
    }
    return b->base + start;
}

static uint64_t build_dsdt(struct builder *b)
{
    size_t start = table_begin(b, "DSDT", 2);
    acpi_dsdt_emit(&b->out, b->config);
    return table_end(b, start);
}

/* No checksum; aligned to 64 bytes. Nobody wakes from it, but its lock word has a place. */
static uint64_t build_facs(struct builder *b)
{
    align(b, 64);
    size_t start = b->out.used;
    bytes(b, "FACS", 4);
    aml_dword(&b->out, FACS_BYTES);
    zeros(b, 24);
    aml_byte(&b->out, 2); /* version */
    zeros(b, FACS_BYTES - 33);
    return b->base + start;
}

/* Generic address structure of an I/O port register. */
static void port_address(struct builder *b, uint16_t port, uint8_t bits, uint8_t access)
{
    aml_byte(&b->out, 1);
    aml_byte(&b->out, bits);
    aml_byte(&b->out, 0);
    aml_byte(&b->out, access); /* 1 = byte, 2 = word, 3 = dword */
    qword(b, port);
}

static void no_address(struct builder *b)
{
    zeros(b, 12);
}

#define FADT_FIXED_BYTES 53u    /* from PM1a_EVT_BLK to CENTURY */
#define FADT_EXTENDED_BYTES 96u /* from X_PM1a_EVT_BLK to X_GPE1_BLK */

static void fadt_fixed_blocks(struct builder *b)
{
    uint16_t pm = b->config->pm_base;

    if (b->config->reduced) {
        zeros(b, FADT_FIXED_BYTES);
        return;
    }
    aml_dword(&b->out, pm + ACPI_PM1_STATUS);
    aml_dword(&b->out, 0); /* no PM1b */
    aml_dword(&b->out, pm + ACPI_PM1_CONTROL);
    aml_dword(&b->out, 0);
    aml_dword(&b->out, 0); /* no PM2 */
    aml_dword(&b->out, pm + ACPI_PM_TIMER);
    aml_dword(&b->out, pm + ACPI_PM_GPE0_STATUS);
    aml_dword(&b->out, 0); /* no GPE1 */
    aml_byte(&b->out, 4);  /* PM1 event */
    aml_byte(&b->out, 2);  /* PM1 control */
    aml_byte(&b->out, 0);
    aml_byte(&b->out, 4); /* PM timer */
    aml_byte(&b->out, 2 * ACPI_PM_GPE0_BYTES);
    aml_byte(&b->out, 0);
    aml_byte(&b->out, 0); /* GPE1 base */
    aml_byte(&b->out, 0); /* no _CST notification */
    aml_word(&b->out, 0xFFFF); /* no C2 */
    aml_word(&b->out, 0xFFFF); /* no C3 */
    aml_word(&b->out, 0);      /* flush size and stride: WBINVD works */
    aml_word(&b->out, 0);
    aml_byte(&b->out, 0); /* no duty cycle */
    aml_byte(&b->out, 0);
    aml_byte(&b->out, 0); /* no alarm day, no alarm month */
    aml_byte(&b->out, 0);
    aml_byte(&b->out, b->config->century_cmos);
}

static void fadt_extended_blocks(struct builder *b)
{
    uint16_t pm = b->config->pm_base;

    if (b->config->reduced) {
        zeros(b, FADT_EXTENDED_BYTES);
        port_address(b, pm + ACPI_SLEEP_CONTROL, 8, 1);
        port_address(b, pm + ACPI_SLEEP_STATUS, 8, 1);
        zeros(b, 8);
        return;
    }
    port_address(b, pm + ACPI_PM1_STATUS, 32, 2);
    no_address(b);
    port_address(b, pm + ACPI_PM1_CONTROL, 16, 2);
    no_address(b);
    no_address(b);
    port_address(b, pm + ACPI_PM_TIMER, 32, 3);
    port_address(b, pm + ACPI_PM_GPE0_STATUS, 16 * ACPI_PM_GPE0_BYTES, 1);
    no_address(b);
    no_address(b); /* sleep control and status: hardware-reduced only */
    no_address(b);
    zeros(b, 8); /* hypervisor vendor identity */
}

static uint16_t fadt_boot_flags(const struct acpi_config *config)
{
    if (config->reduced)
        return BOOT_NO_VGA | BOOT_NO_ASPM | BOOT_NO_CMOS_RTC;
    return BOOT_LEGACY_DEVICES | BOOT_NO_VGA | BOOT_NO_ASPM | (config->has_i8042 ? BOOT_8042 : 0);
}

static uint32_t fadt_flags(const struct acpi_config *config)
{
    const uint32_t both = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON |
                          FADT_NO_FIXED_RTC_WAKE | FADT_RESET_REG_SUP;

    return both | (config->reduced ? FADT_HW_REDUCED | FADT_NO_POWER_BUTTON : FADT_TMR_VAL_EXT);
}

static uint64_t build_fadt(struct builder *b, uint64_t facs, uint64_t dsdt)
{
    const struct acpi_config *config = b->config;
    size_t start = table_begin(b, "FACP", 6);

    aml_dword(&b->out, (uint32_t)facs);
    aml_dword(&b->out, (uint32_t)dsdt);
    aml_byte(&b->out, 0);
    aml_byte(&b->out, 4); /* preferred profile: enterprise server */
    aml_word(&b->out, config->reduced ? 0 : config->sci_irq);
    zeros(b, 8); /* no SMI command port, nothing to write to it */
    fadt_fixed_blocks(b);
    aml_word(&b->out, fadt_boot_flags(config));
    aml_byte(&b->out, 0);
    aml_dword(&b->out, fadt_flags(config));
    port_address(b, RESET_PORT, 8, 1);
    aml_byte(&b->out, RESET_VALUE);
    aml_word(&b->out, 0); /* ARM */
    aml_byte(&b->out, 3); /* minor version: ACPI 6.3 */
    qword(b, 0);          /* the 32-bit FACS address holds */
    qword(b, dsdt);
    fadt_extended_blocks(b);
    return table_end(b, start);
}

static void madt_cpu(struct builder *b, unsigned uid, uint32_t apic_id)
{
    if (apic_id < 255 && uid < 255) {
        aml_byte(&b->out, MADT_LAPIC);
        aml_byte(&b->out, 8);
        aml_byte(&b->out, (uint8_t)uid);
        aml_byte(&b->out, (uint8_t)apic_id);
        aml_dword(&b->out, MADT_CPU_ENABLED);
        return;
    }
    aml_byte(&b->out, MADT_X2APIC);
    aml_byte(&b->out, 16);
    aml_word(&b->out, 0);
    aml_dword(&b->out, apic_id);
    aml_dword(&b->out, MADT_CPU_ENABLED);
    aml_dword(&b->out, uid);
}

static void madt_override(struct builder *b, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    aml_byte(&b->out, MADT_OVERRIDE);
    aml_byte(&b->out, 10);
    aml_byte(&b->out, 0); /* ISA */
    aml_byte(&b->out, irq);
    aml_dword(&b->out, gsi);
    aml_word(&b->out, flags);
}

/* LINT1 is the NMI pin of every processor. */
static void madt_nmi(struct builder *b, bool has_x2apic_entries)
{
    aml_byte(&b->out, MADT_LAPIC_NMI);
    aml_byte(&b->out, 6);
    aml_byte(&b->out, 0xFF);
    aml_word(&b->out, MADT_CONFORMS);
    aml_byte(&b->out, 1);
    if (!has_x2apic_entries)
        return;
    aml_byte(&b->out, MADT_X2APIC_NMI);
    aml_byte(&b->out, 12);
    aml_word(&b->out, MADT_CONFORMS);
    aml_dword(&b->out, UINT32_MAX);
    aml_byte(&b->out, 1);
    zeros(b, 3);
}

static uint64_t build_madt(struct builder *b)
{
    const struct acpi_config *config = b->config;
    size_t start = table_begin(b, "APIC", 5);
    bool has_x2apic_entries = false;

    aml_dword(&b->out, (uint32_t)config->lapic_base.v);
    aml_dword(&b->out, config->reduced ? 0 : MADT_PCAT_COMPAT);
    for (unsigned i = 0; i < config->cpus; i++) {
        madt_cpu(b, i, config->apic_ids[i]);
        has_x2apic_entries |= config->apic_ids[i] >= 255 || i >= 255;
    }
    aml_byte(&b->out, MADT_IOAPIC);
    aml_byte(&b->out, 12);
    aml_byte(&b->out, config->ioapic_id);
    aml_byte(&b->out, 0);
    aml_dword(&b->out, (uint32_t)config->ioapic_base.v);
    aml_dword(&b->out, 0);
    if (!config->reduced) {
        madt_override(b, 0, PIT_GSI, MADT_CONFORMS);
        madt_override(b, config->sci_irq, config->sci_irq, MADT_ACTIVE_HIGH_LEVEL);
    }
    madt_nmi(b, has_x2apic_entries);
    return table_end(b, start);
}

static uint64_t build_mcfg(struct builder *b)
{
    size_t start = table_begin(b, "MCFG", 1);

    zeros(b, 8);
    qword(b, b->config->ecam_base.v);
    aml_word(&b->out, 0); /* segment */
    aml_byte(&b->out, 0); /* first and last bus */
    aml_byte(&b->out, 0);
    aml_dword(&b->out, 0);
    return table_end(b, start);
}

static void build_rsdp(uint8_t *rsdp, uint64_t xsdt)
{
    memset(rsdp, 0, HEADER_BYTES);
    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + 9, "TRAPLN", 6);
    rsdp[15] = 2;
    rsdp[20] = HEADER_BYTES;
    memcpy(rsdp + 24, &xsdt, sizeof(xsdt));
    rsdp[8] = (uint8_t)-sum(rsdp, 20);
    rsdp[32] = (uint8_t)-sum(rsdp, HEADER_BYTES);
}

static bool is_valid(const struct acpi_config *config, gpa_t at, size_t room)
{
    const uint64_t top = UINT64_C(1) << 32;

    return config->cpus >= 1 && config->cpus <= ACPI_TABLES_MAX_CPUS && config->apic_ids &&
           at.v % 16 == 0 && at.v < top && room <= top - at.v && config->lapic_base.v < top &&
           config->ioapic_base.v < top && config->ecam_base.v < top &&
           config->pci_window.v < top &&
           config->pci_window_bytes <= top - config->pci_window.v;
}

enum hv_err acpi_tables_build(const struct acpi_config *config, void *buffer, size_t room,
                              gpa_t at, size_t *used_bytes)
{
    struct builder b = { .out = { .buffer = buffer, .limit = room }, .base = at.v,
                         .config = config };
    uint64_t tables[3];
    unsigned count = 0;

    if (!is_valid(config, at, room))
        return HV_ERR_INVALID;
    zeros(&b, HEADER_BYTES); /* the RSDP, when all is known */
    uint64_t facs = build_facs(&b);
    uint64_t dsdt = build_dsdt(&b);
    tables[count++] = build_fadt(&b, facs, dsdt);
    tables[count++] = build_madt(&b);
    if (config->ecam_base.v)
        tables[count++] = build_mcfg(&b);
    size_t start = table_begin(&b, "XSDT", 1);
    for (unsigned i = 0; i < count; i++)
        qword(&b, tables[i]);
    uint64_t xsdt = table_end(&b, start);
    if (b.out.overflow)
        return HV_ERR_RANGE;
    build_rsdp(buffer, xsdt);
    if (used_bytes)
        *used_bytes = b.out.used;
    return HV_OK;
}
