// SRCS: vmm/core/acpi_tables.c vmm/core/acpi_dsdt.c vmm/core/aml.c
/*
 * The ACPI tables, found and checked as an operating system does it; and read back by ACPICA's
 * disassembler where it is installed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake.h"
#include "hv/acpi_tables.h"
#include "vmm/core/aml.h"

#define BASE 0xE0000u

static uint8_t image[ACPI_TABLES_BYTES];
static size_t used;
static uint32_t ids[ACPI_TABLES_MAX_CPUS];

static struct acpi_config full_config(void)
{
    for (unsigned i = 0; i < ACPI_TABLES_MAX_CPUS; i++)
        ids[i] = i;
    return (struct acpi_config){
        .apic_ids = ids,
        .cpus = 4,
        .lapic_base = GPA(0xFEE00000),
        .ioapic_base = GPA(0xFEC00000),
        .ioapic_id = 4,
        .sci_irq = 9,
        .pm_base = 0x600,
        .century_cmos = 0x32,
        .has_i8042 = true,
        .ecam_base = GPA(0xE0000000),
        .pci_window = GPA(0xC0000000),
        .pci_window_bytes = 0x20000000,
        .com_ports = { 0x3F8, 0, 0x3E8 },
        .com_irqs = { 4, 0, 5 },
    };
}

static void build(const struct acpi_config *config)
{
    memset(image, 0xCC, sizeof(image));
    assert_int_equal(acpi_tables_build(config, image, sizeof(image), GPA(BASE), &used), HV_OK);
    assert_in_range(used, 36, sizeof(image));
    for (size_t i = used; i < sizeof(image); i++)
        assert_int_equal(image[i], 0xCC);
}

static uint8_t sum(const uint8_t *at, size_t bytes)
{
    uint8_t total = 0;
    while (bytes--)
        total = (uint8_t)(total + *at++);
    return total;
}

static uint32_t get32(const uint8_t *at)
{
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get64(const uint8_t *at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static const uint8_t *at_gpa(uint64_t gpa)
{
    assert_in_range(gpa, BASE, BASE + used - 1);
    return image + (gpa - BASE);
}

static const uint8_t *checked_table(uint64_t gpa)
{
    const uint8_t *table = at_gpa(gpa);
    assert_in_range(get32(table + 4), 36, used);
    assert_int_equal(sum(table, get32(table + 4)), 0);
    return table;
}

static const uint8_t *xsdt(void)
{
    assert_memory_equal(image, "RSD PTR ", 8);
    assert_int_equal(sum(image, 20), 0);
    assert_int_equal(sum(image, 36), 0);
    assert_int_equal(image[15], 2);
    const uint8_t *table = checked_table(get64(image + 24));
    assert_memory_equal(table, "XSDT", 4);
    return table;
}

static const uint8_t *find(const char *signature)
{
    const uint8_t *root = xsdt();
    for (unsigned at = 36; at < get32(root + 4); at += 8) {
        const uint8_t *table = checked_table(get64(root + at));
        if (memcmp(table, signature, 4) == 0)
            return table;
    }
    return NULL;
}

static void test_fadt(void **state)
{
    (void)state;
    struct acpi_config config = full_config();
    build(&config);
    const uint8_t *fadt = find("FACP");
    assert_non_null(fadt);
    assert_int_equal(get32(fadt + 4), 276);
    assert_int_equal(fadt[46] | fadt[47] << 8, 9);
    assert_int_equal(get32(fadt + 48), 0); /* no SMI command port: always ACPI mode */
    assert_int_equal(get32(fadt + 56), 0x600);
    assert_int_equal(get32(fadt + 64), 0x604);
    assert_int_equal(get32(fadt + 76), 0x608);
    assert_int_equal(get32(fadt + 80), 0x620);
    assert_int_equal(fadt[88], 4);
    assert_int_equal(fadt[89], 2);
    assert_int_equal(fadt[91], 4);
    assert_int_equal(fadt[92], 4);
    assert_int_equal(fadt[108], 0x32);
    assert_int_equal(fadt[109] & 3, 3);
    assert_int_equal(get32(fadt + 112) & (1u << 20), 0); /* not hardware-reduced */
    assert_int_equal(get32(fadt + 112) & (1u << 10 | 1u << 8), 1u << 10 | 1u << 8);
    assert_int_equal(get64(fadt + 120), 0xCF9);
    assert_int_equal(fadt[128], 6);
    /* 32-bit and 64-bit addresses say the same. */
    assert_int_equal(get32(fadt + 40), get64(fadt + 140));
    assert_int_equal(get64(fadt + 148 + 4), 0x600);
    assert_int_equal(get64(fadt + 172 + 4), 0x604);
    assert_int_equal(get64(fadt + 208 + 4), 0x608);
    assert_int_equal(get64(fadt + 220 + 4), 0x620);
    const uint8_t *facs = at_gpa(get32(fadt + 36));
    assert_memory_equal(facs, "FACS", 4);
    assert_int_equal(get32(facs + 4), 64);
    assert_int_equal(get32(fadt + 36) % 64, 0);
    assert_memory_equal(checked_table(get32(fadt + 40)), "DSDT", 4);
    config.has_i8042 = false;
    build(&config);
    assert_int_equal(find("FACP")[109] & 3, 1);
}

/* Walks the MADT and counts entries by type. */
static void count_madt(unsigned counts[16])
{
    const uint8_t *madt = find("APIC");
    unsigned at = 44;
    assert_non_null(madt);
    memset(counts, 0, 16 * sizeof(*counts));
    while (at < get32(madt + 4)) {
        assert_in_range(madt[at], 0, 15);
        assert_true(madt[at + 1] >= 6);
        counts[madt[at]]++;
        at += madt[at + 1];
    }
    assert_int_equal(at, get32(madt + 4));
}

static void test_madt(void **state)
{
    (void)state;
    struct acpi_config config = full_config();
    unsigned counts[16];
    build(&config);
    const uint8_t *madt = find("APIC");
    assert_int_equal(get32(madt + 36), 0xFEE00000);
    assert_int_equal(get32(madt + 40), 1);
    count_madt(counts);
    assert_int_equal(counts[0], 4);
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 2);
    assert_int_equal(counts[4], 1);
    const uint8_t *entry = madt + 44 + 4 * 8;
    assert_int_equal(entry[2], 4);
    assert_int_equal(get32(entry + 4), 0xFEC00000);
    entry += 12; /* IRQ 0 is at pin 2 */
    assert_int_equal(entry[3], 0);
    assert_int_equal(get32(entry + 4), 2);
    entry += 10; /* the SCI: level, active high */
    assert_int_equal(entry[3], 9);
    assert_int_equal(get32(entry + 4), 9);
    assert_int_equal(entry[8], 0x0D);
}

static void test_reduced(void **state)
{
    (void)state;
    struct acpi_config config = full_config();
    unsigned counts[16];
    config.reduced = true;
    build(&config);
    const uint8_t *fadt = find("FACP");
    assert_int_equal(get32(fadt + 4), 276);
    /* "IA-PC Boot Architecture Flags": no 8042, no VGA, no ASPM, no CMOS RTC, no ISA devices. */
    assert_int_equal(fadt[109] | fadt[110] << 8, 1u << 2 | 1u << 4 | 1u << 5);
    assert_true(get32(fadt + 112) & 1u << 20);
    assert_int_equal(get32(fadt + 112) & (1u << 8), 0);
    /* No fixed hardware: SCI, PM1, PM timer, GPE. */
    assert_int_equal(fadt[46] | fadt[47] << 8, 0);
    for (unsigned at = 56; at < 109; at++)
        assert_int_equal(fadt[at], 0);
    for (unsigned at = 148; at < 244; at++)
        assert_int_equal(fadt[at], 0);
    assert_int_equal(get64(fadt + 120), 0xCF9);
    /* "Sleep Control and Status Registers": a byte each, by ports. */
    assert_int_equal(fadt[244], 1);
    assert_int_equal(fadt[245], 8);
    assert_int_equal(get64(fadt + 248), 0x600);
    assert_int_equal(get64(fadt + 260), 0x601);
    const uint8_t *madt = find("APIC");
    assert_int_equal(get32(madt + 40), 0); /* no 8259A */
    count_madt(counts);
    assert_int_equal(counts[0], 4);
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 0);
}

static void test_madt_large_ids(void **state)
{
    (void)state;
    struct acpi_config config = full_config();
    unsigned counts[16];
    config.cpus = ACPI_TABLES_MAX_CPUS;
    ids[7] = 0x12345;
    build(&config);
    count_madt(counts);
    assert_int_equal(counts[0], 254);
    assert_int_equal(counts[9], 2); /* 0x12345, and the 256th */
    assert_int_equal(counts[10], 1);
    assert_int_equal(find("APIC")[44 + 7 * 8], 9);
    assert_int_equal(get32(find("APIC") + 44 + 7 * 8 + 4), 0x12345);
}

static void test_mcfg(void **state)
{
    (void)state;
    struct acpi_config config = full_config();
    build(&config);
    const uint8_t *mcfg = find("MCFG");
    assert_non_null(mcfg);
    assert_int_equal(get32(mcfg + 4), 60);
    assert_int_equal(get64(mcfg + 44), 0xE0000000);
    assert_int_equal(mcfg[54], 0);
    assert_int_equal(mcfg[55], 0);
    config.ecam_base = GPA(0);
    build(&config);
    assert_null(find("MCFG"));
}

static void test_refusals(void **state)
{
    (void)state;
    struct acpi_config good = full_config(), bad;
    const gpa_t at = GPA(BASE);
    size_t n = sizeof(image);
#define REFUSED(change, where, room, want)                                                         \
    do {                                                                                           \
        bad = good;                                                                                \
        change;                                                                                    \
        assert_int_equal(acpi_tables_build(&bad, image, room, where, NULL), want);                 \
    } while (0)
    REFUSED((void)bad, at, n, HV_OK);
    REFUSED(bad.cpus = 0, at, n, HV_ERR_INVALID);
    REFUSED(bad.cpus = 257, at, n, HV_ERR_INVALID);
    REFUSED(bad.apic_ids = NULL, at, n, HV_ERR_INVALID);
    REFUSED((void)bad, GPA(BASE + 8), n, HV_ERR_INVALID);
    REFUSED((void)bad, GPA(UINT64_C(1) << 32), n, HV_ERR_INVALID);
    REFUSED((void)bad, GPA(0xFFFFF000), n, HV_ERR_INVALID);
    REFUSED(bad.lapic_base = GPA(UINT64_C(1) << 32), at, n, HV_ERR_INVALID);
    REFUSED(bad.ioapic_base = GPA(UINT64_C(1) << 32), at, n, HV_ERR_INVALID);
    REFUSED(bad.ecam_base = GPA(UINT64_C(1) << 32), at, n, HV_ERR_INVALID);
    REFUSED(bad.pci_window = GPA(UINT64_C(1) << 32), at, n, HV_ERR_INVALID);
    REFUSED(bad.pci_window_bytes = UINT64_C(1) << 31, at, n, HV_ERR_INVALID);
    /* Whatever the room, nothing is written behind it. */
    assert_int_equal(acpi_tables_build(&good, image, n, at, &used), HV_OK);
    for (size_t room = 0; room <= used; room++) {
        memset(image, 0xCC, n);
        enum hv_err err = acpi_tables_build(&good, image, room, at, NULL);
        assert_int_equal(err, room < used ? HV_ERR_RANGE : HV_OK);
        assert_int_equal(image[room], 0xCC);
    }
#undef REFUSED
}

static void test_without_options(void **state)
{
    (void)state;
    struct acpi_config config = full_config();
    config.ecam_base = GPA(0);
    config.pci_window_bytes = 0;
    memset(config.com_ports, 0, sizeof(config.com_ports));
    build(&config);
    const uint8_t *dsdt = checked_table(get32(find("FACP") + 40));
    for (uint32_t at = 36; at + 4 <= get32(dsdt + 4); at++)
        assert_memory_not_equal(dsdt + at, "COM1", 4);
}

/* ---- the emitter ---- */

static void test_aml_encodings(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct aml aml = { .buffer = bytes, .limit = sizeof(bytes) };
    assert_int_equal(aml_eisa_id("PNP0A03"), 0x030AD041);
    assert_int_equal(aml_eisa_id("PNP0C02"), 0x020CD041);
    aml_integer(&aml, 0);
    aml_integer(&aml, 1);
    aml_integer(&aml, 2);
    aml_integer(&aml, 0x1234);
    aml_integer(&aml, 0x12345678);
    aml_path(&aml, "\\_SB_.PCI0");
    static const uint8_t want[] = { 0x00, 0x01, 0x0A, 0x02, 0x0B, 0x34, 0x12, 0x0C, 0x78, 0x56,
                                    0x34, 0x12, '\\', 0x2E, '_', 'S', 'B', '_', 'P', 'C', 'I',
                                    '0' };
    assert_int_equal(aml.used, sizeof(want));
    assert_memory_equal(bytes, want, sizeof(want));
    aml.used = 0;
    aml_package(&aml, 2);
    aml_integer(&aml, 1);
    aml_integer(&aml, 0);
    aml_end(&aml);
    static const uint8_t package[] = { 0x12, 0x86, 0x00, 0x00, 0x02, 0x01, 0x00 };
    assert_int_equal(aml.used, sizeof(package));
    assert_memory_equal(bytes, package, sizeof(package));
}

static void test_aml_limits(void **state)
{
    (void)state;
    static uint8_t big[0x110000];
    struct aml aml = { .buffer = big, .limit = sizeof(big) };
    aml_end(&aml); /* nothing is open */
    assert_true(aml.overflow);
    aml = (struct aml){ .buffer = big, .limit = sizeof(big) };
    for (unsigned i = 0; i <= AML_MAX_DEPTH; i++)
        aml_package(&aml, 1);
    assert_true(aml.overflow);
    aml = (struct aml){ .buffer = big, .limit = sizeof(big) };
    aml_package(&aml, 1);
    for (unsigned i = 0; i < 0x100000; i++)
        aml_byte(&aml, 0);
    aml_end(&aml); /* longer than a package length can say */
    assert_true(aml.overflow);
}

/* ---- ACPICA's opinion ---- */

static bool has_iasl(void)
{
    return access("/usr/bin/iasl", X_OK) == 0;
}

static void write_file(const char *directory, const char *name, const void *from, size_t bytes)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(from, 1, bytes, file), bytes);
    fclose(file);
}

static char *read_file(const char *directory, const char *name)
{
    char path[256];
    static char text[1 << 18];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return text;
}

/* The DSDT as text, after it went through the compiler again without a warning. */
static char *disassembled(const struct acpi_config *config)
{
    char directory[] = "/tmp/acpi_tables_XXXXXX", line[512];
    static char dsdt_text[1 << 18];
    build(config);
    assert_non_null(mkdtemp(directory));
    const uint8_t *dsdt = checked_table(get32(find("FACP") + 40));
    write_file(directory, "DSDT.aml", dsdt, get32(dsdt + 4));
    write_file(directory, "FACP.aml", find("FACP"), get32(find("FACP") + 4));
    write_file(directory, "APIC.aml", find("APIC"), get32(find("APIC") + 4));
    write_file(directory, "MCFG.aml", find("MCFG"), get32(find("MCFG") + 4));
    snprintf(line, sizeof(line),
             "cd %s && for t in DSDT FACP APIC MCFG; do iasl -d $t.aml >$t.log 2>&1 || exit 1; done"
             " && iasl -we -p again DSDT.dsl >compile.log 2>&1", directory);
    assert_int_equal(system(line), 0);
    strcpy(dsdt_text, read_file(directory, "DSDT.dsl"));
    assert_non_null(strstr(read_file(directory, "compile.log"), "0 Errors, 0 Warnings"));
    assert_null(strstr(read_file(directory, "FACP.dsl"), "Invalid"));
    snprintf(line, sizeof(line), "rm -r %s", directory);
    assert_int_equal(system(line), 0);
    assert_null(strstr(dsdt_text, "Device (COM2)"));
    assert_null(strstr(dsdt_text, "Unknown"));
    return dsdt_text;
}

static void expect_words(const char *text, const char *const wanted[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_non_null(strstr(text, wanted[i]));
}

static void test_disassembles_and_compiles(void **state)
{
    (void)state;
    struct acpi_config config = full_config();
    static const char *const wanted[] = {
        "Name (\\_S5, Package (0x04)", "Method (\\_PIC, 1", "EisaId (\"PNP0A03\")",
        "EisaId (\"PNP0501\")", "Device (COM1)", "Device (COM3)", "EisaId (\"PNP0B00\")",
        "WordBusNumber", "DWordMemory", "Method (_PRT, 0", "Return (PRTA)", "Return (PRTP)",
    };
    static const char *const reduced[] = {
        "Name (\\_S5, Package (0x04)", "EisaId (\"PNP0A03\")", "Name (_PRT, Package",
        "EisaId (\"PNP0501\")", "Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive",
    };
    if (!has_iasl())
        skip();
    expect_words(disassembled(&config), wanted, HV_ARRAY_COUNT(wanted));
    config.reduced = true;
    const char *text = disassembled(&config);
    expect_words(text, reduced, HV_ARRAY_COUNT(reduced));
    assert_null(strstr(text, "_PIC"));
    assert_null(strstr(text, "PNP0B00"));
    assert_null(strstr(text, "PNP0000"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fadt),
        cmocka_unit_test(test_madt),
        cmocka_unit_test(test_reduced),
        cmocka_unit_test(test_madt_large_ids),
        cmocka_unit_test(test_mcfg),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_without_options),
        cmocka_unit_test(test_aml_encodings),
        cmocka_unit_test(test_aml_limits),
        cmocka_unit_test(test_disassembles_and_compiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
