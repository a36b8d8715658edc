// SRCS: arch/x86/cpu/acpi_host.c arch/x86/cpu/acpi_s5.c arch/x86/cpu/acpi_spcr.c drivers/uart16550_host.c
/*
 * The reader of the machine's ACPI tables, with tables built here byte by byte from the ACPI
 * specification's offsets, and what must happen when each of them lies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "x86/acpi_host.h"

#define BASE UINT64_C(0x100000)
#define BYTES 0x10000
#define RSDP (BASE + 0x10)

static uint8_t memory[BYTES];
static uint32_t used;
static uint32_t roots[600];
static unsigned root_count;

static const void *fake_map(void *context, uint64_t physical, uint64_t bytes)
{
    (void)context;
    if (physical < BASE || physical - BASE > BYTES || bytes > BYTES - (physical - BASE))
        return NULL;
    return memory + (physical - BASE);
}

static uint8_t *at(uint64_t address)
{
    return memory + (address - BASE);
}

static void put(uint8_t *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static void fix_sum(uint8_t *data, uint32_t bytes, uint32_t where)
{
    uint8_t sum = 0;
    data[where] = 0;
    for (uint32_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + data[i]);
    data[where] = (uint8_t)-sum;
}

static void seal(uint32_t address)
{
    uint32_t bytes;
    memcpy(&bytes, at(address) + 4, 4);
    fix_sum(at(address), bytes, 9);
}

/* An empty table of `bytes` bytes; listed in the root. */
static uint32_t table(const char *signature, uint32_t bytes, uint8_t revision, bool listed)
{
    uint32_t address = (uint32_t)BASE + used;
    used += (bytes + 15) & ~15u;
    assert_true(used <= BYTES);
    memset(at(address), 0, bytes);
    memcpy(at(address), signature, 4);
    put(at(address) + 4, bytes, 4);
    at(address)[8] = revision;
    seal(address);
    if (listed)
        roots[root_count++] = address;
    return address;
}

static struct acpi_host parse(bool xsdt)
{
    static struct acpi_host host;
    struct acpi_memory access = { fake_map, NULL };
    unsigned size = xsdt ? 8 : 4;
    uint32_t root = table(xsdt ? "XSDT" : "RSDT", 36 + size * root_count, 1, false);
    uint8_t *rsdp = at(RSDP);

    for (unsigned i = 0; i < root_count; i++)
        put(at(root) + 36 + size * i, roots[i], size);
    seal(root);
    memset(rsdp, 0, 36);
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = xsdt ? 2 : 0;
    put(rsdp + 16, xsdt ? 0 : root, 4);
    put(rsdp + 20, 36, 4);
    put(rsdp + 24, xsdt ? root : 0, 8);
    fix_sum(rsdp, 20, 8);
    fix_sum(rsdp, 36, 32);
    acpi_host_parse(&access, RSDP, &host);
    return host;
}

static int setup(void **state)
{
    (void)state;
    memset(memory, 0xee, sizeof(memory));
    used = 0x100;
    root_count = 0;
    return 0;
}

/* --- Root --- */

static void test_no_root(void **state)
{
    (void)state;
    struct acpi_memory access = { fake_map, NULL };
    struct acpi_host host;

    acpi_host_parse(&access, 0, &host);
    assert_false(host.present);
    assert_true(host.has_8042);
    acpi_host_parse(&access, BASE - 1, &host);
    assert_false(host.present);
    acpi_host_parse(&access, BASE + BYTES - 19, &host);
    assert_false(host.present);
    acpi_host_parse(&access, UINT64_MAX - 5, &host);
    assert_false(host.present);
    parse(true);
    at(RSDP)[9] ^= 1; /* OEM id: the checksum fails */
    acpi_host_parse(&access, RSDP, &host);
    assert_false(host.present);
    at(RSDP)[9] ^= 1;
    at(RSDP)[0] = 'X';
    fix_sum(at(RSDP), 20, 8);
    acpi_host_parse(&access, RSDP, &host);
    assert_false(host.present);
}

static void test_root_kinds(void **state)
{
    (void)state;
    table("HPET", 56, 1, true);
    assert_true(parse(true).present);
    assert_true(parse(false).present);
}

/* A revision-2 pointer whose XSDT is damaged falls back to its RSDT. */
static void test_fall_back_to_rsdt(void **state)
{
    (void)state;
    struct acpi_memory access = { fake_map, NULL };
    struct acpi_host host;
    uint32_t rsdt = table("RSDT", 36, 1, false);

    parse(true);
    put(at(RSDP) + 16, rsdt, 4);
    fix_sum(at(RSDP), 20, 8);
    fix_sum(at(RSDP), 36, 32);
    uint64_t xsdt = 0;
    memcpy(&xsdt, at(RSDP) + 24, 8);
    at(xsdt)[10] ^= 0xff;
    acpi_host_parse(&access, RSDP, &host);
    assert_true(host.present);
    assert_int_equal(host.bad_tables, 1);
    /* The extended checksum is wrong: the XSDT is not even looked at. */
    at(RSDP)[33] ^= 1;
    acpi_host_parse(&access, RSDP, &host);
    assert_true(host.present);
    assert_int_equal(host.bad_tables, 0);
    /* The table at the address has another signature. */
    memcpy(at(rsdt), "XXXX", 4);
    seal(rsdt);
    acpi_host_parse(&access, RSDP, &host);
    assert_false(host.present);
}

static void test_bad_tables_are_left_out(void **state)
{
    (void)state;
    uint32_t short_one = table("HPET", 56, 1, true);
    put(at(short_one) + 4, 35, 4);
    uint32_t long_one = table("HPET", 56, 1, true);
    put(at(long_one) + 4, 0x7fffffff, 4);
    uint32_t beyond = table("HPET", 56, 1, true);
    put(at(beyond) + 4, BYTES, 4);
    uint32_t sum = table("HPET", 56, 1, true);
    at(sum)[40] ^= 1;
    roots[root_count++] = 0;
    roots[root_count++] = 0x20; /* not memory */
    struct acpi_host host = parse(true);
    assert_true(host.present);
    assert_int_equal(host.bad_tables, 5); /* an entry of 0 is no table, not a bad one */
    assert_int_equal(host.hpet_address, 0);
}

/* --- MADT --- */

static void test_madt(void **state)
{
    (void)state;
    static const uint8_t entries[] = {
        0, 8, 0, 0, 1, 0, 0, 0,                            /* enabled, id 0 */
        0, 8, 1, 4, 1, 0, 0, 0,                            /* enabled, id 4 */
        0, 8, 2, 6, 0, 0, 0, 0,                            /* disabled */
        0, 8, 3, 7, 2, 0, 0, 0,                            /* online capable, not there */
        0, 8, 4, 0xff, 1, 0, 0, 0,                         /* "use the x2APIC entry" */
        1, 12, 9, 0, 0, 0, 0xc0, 0xfe, 0x18, 0, 0, 0,      /* I/O APIC 9, GSI 24 */
        9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,   /* x2APIC id 256 */
        9, 16, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,   /* id 4 again */
        9, 16, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 1, 0, 0, 0, /* broadcast id */
        2, 10, 0, 0, 2, 0, 0, 0, 0, 0,                     /* source override: not needed */
        5, 12, 0, 0, 0, 0, 0xe0, 0xfe, 1, 0, 0, 0,         /* APIC at 1FEE00000H */
    };
    uint32_t madt = table("APIC", 44 + sizeof(entries), 3, true);
    put(at(madt) + 36, 0xfee00000, 4);
    memcpy(at(madt) + 44, entries, sizeof(entries));
    seal(madt);
    struct acpi_host host = parse(true);
    assert_true(host.madt);
    assert_int_equal(host.core_count, 3);
    assert_int_equal(host.apic_ids[0], 0);
    assert_int_equal(host.apic_ids[1], 4);
    assert_int_equal(host.apic_ids[2], 256);
    assert_int_equal(host.cores_disabled, 2);
    assert_int_equal(host.ioapic_count, 1);
    assert_int_equal(host.ioapics[0].id, 9);
    assert_int_equal(host.ioapics[0].address, 0xfec00000);
    assert_int_equal(host.ioapics[0].gsi_base, 24);
    assert_int_equal(host.lapic_address, UINT64_C(0x1fee00000));
}

static void test_madt_lies(void **state)
{
    (void)state;
    /* A first entry that is fine, then each kind of nonsense: what was read before it counts. */
    static const uint8_t bad[][4] = {
        { 0, 0, 1, 1 },  /* no length: would loop for ever */
        { 0, 1, 1, 1 },
        { 0, 8, 1, 1 },  /* longer than the table */
        { 0, 4, 1, 1 },  /* shorter than its kind */
        { 9, 4, 1, 1 }, { 1, 4, 1, 1 }, { 5, 4, 1, 1 }, { 77, 4, 1, 1 },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setup(NULL);
        uint32_t madt = table("APIC", 44 + 8 + 4, 3, true);
        memcpy(at(madt) + 44, (uint8_t[]){ 0, 8, 0, 3, 1, 0, 0, 0 }, 8);
        memcpy(at(madt) + 52, bad[i], 4);
        seal(madt);
        struct acpi_host host = parse(false);
        assert_int_equal(host.core_count, 1);
        assert_int_equal(host.apic_ids[0], 3);
        assert_int_equal(host.ioapic_count, 0);
    }
    setup(NULL);
    table("APIC", 40, 3, true); /* ends before its entries */
    assert_false(parse(true).madt);
    setup(NULL);
    uint32_t tail = table("APIC", 45, 3, true); /* one stray byte */
    seal(tail);
    assert_true(parse(true).madt);
}

static void test_madt_too_many(void **state)
{
    (void)state;
    unsigned cores = 300;
    uint32_t madt = table("APIC", 44 + 16 * cores + 12 * 20, 3, true);
    uint8_t *entry = at(madt) + 44;
    for (unsigned i = 0; i < cores; i++, entry += 16) {
        memset(entry, 0, 16);
        entry[0] = 9;
        entry[1] = 16;
        put(entry + 4, i, 4);
        put(entry + 8, 1, 4);
    }
    for (unsigned i = 0; i < 20; i++, entry += 12)
        memcpy(entry, (uint8_t[]){ 1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0 }, 12);
    seal(madt);
    table("APIC", 44, 3, true); /* a second one is ignored */
    struct acpi_host host = parse(true);
    assert_int_equal(host.core_count, ACPI_HOST_MAX_CORES);
    assert_int_equal(host.cores_left_out, cores - ACPI_HOST_MAX_CORES);
    assert_int_equal(host.ioapic_count, ACPI_HOST_MAX_IOAPICS);
}

/* --- FADT --- */

static void put_gas(uint8_t *p, uint8_t space, uint64_t address)
{
    memset(p, 0, 12);
    p[0] = space;
    put(p + 4, address, 8);
}

/* As QEMU's i440fx has it: revision 1, 116 bytes, no RESET_REG. */
static void test_fadt_revision_1(void **state)
{
    (void)state;
    uint32_t fadt = table("FACP", 116, 1, true);
    put(at(fadt) + 48, 0xb2, 4);
    at(fadt)[52] = 0xf1;
    put(at(fadt) + 56, 0xb000, 4);
    put(at(fadt) + 64, 0xb004, 4);
    put(at(fadt) + 76, 0xb008, 4);
    at(fadt)[88] = 4;
    at(fadt)[89] = 2;
    at(fadt)[91] = 4;
    put(at(fadt) + 112, 1u << 10, 4); /* RESET_REG_SUP, though the table has none */
    seal(fadt);
    struct acpi_host host = parse(false);
    assert_true(host.fadt);
    assert_int_equal(host.pm1a_status.address, 0xb000);
    assert_int_equal(host.pm1b_status.address, 0);
    assert_int_equal(host.pm1a_control.address, 0xb004);
    assert_int_equal(host.pm1a_control.space, ACPI_SPACE_PORT);
    assert_int_equal(host.pm1a_control.size_bytes, 2);
    assert_int_equal(host.pm1b_control.address, 0);
    assert_int_equal(host.pm_timer.address, 0xb008);
    assert_false(host.pm_timer_32bit);
    assert_int_equal(host.reset.address, 0);
    assert_int_equal(host.smi_command_port, 0xb2);
    assert_int_equal(host.acpi_enable, 0xf1);
    assert_true(host.has_8042);
    assert_false(host.s5);
}

static uint32_t modern_fadt(uint8_t revision)
{
    uint32_t fadt = table("FACP", 276, revision, true);
    put(at(fadt) + 64, 0x604, 4);
    put(at(fadt) + 76, 0x608, 4);
    at(fadt)[88] = 4;
    at(fadt)[89] = 2;
    at(fadt)[91] = 4;
    put(at(fadt) + 112, 1u << 10 | 1u << 8, 4);
    put_gas(at(fadt) + 116, 1, 0xcf9);
    at(fadt)[128] = 0x0f;
    put_gas(at(fadt) + 148, 1, 0x1800);
    put_gas(at(fadt) + 160, 0, 0xfed00ff0);
    put_gas(at(fadt) + 172, 1, 0x1804);
    put_gas(at(fadt) + 184, 0, 0xfed01000);
    put_gas(at(fadt) + 208, 1, 0x1808);
    put_gas(at(fadt) + 244, 0, 0xfed02000);
    seal(fadt);
    return fadt;
}

static void test_fadt_modern(void **state)
{
    (void)state;
    modern_fadt(4);
    struct acpi_host host = parse(true);
    assert_int_equal(host.pm1a_status.address, 0x1800);
    assert_int_equal(host.pm1a_status.size_bytes, 2);
    assert_int_equal(host.pm1b_status.address, 0xfed00ff0);
    assert_int_equal(host.pm1b_status.space, ACPI_SPACE_MEMORY);
    assert_int_equal(host.pm1a_control.address, 0x1804); /* the extended form wins */
    assert_int_equal(host.pm1b_control.address, 0xfed01000);
    assert_int_equal(host.pm1b_control.space, ACPI_SPACE_MEMORY);
    assert_int_equal(host.pm_timer.address, 0x1808);
    assert_true(host.pm_timer_32bit);
    assert_int_equal(host.reset.address, 0xcf9);
    assert_int_equal(host.reset.size_bytes, 1);
    assert_int_equal(host.reset_value, 0x0f);
    assert_int_equal(host.sleep_control.address, 0); /* from revision 5 on */
    assert_false(host.has_8042);                     /* IAPC_BOOT_ARCH says none */
}

static void test_fadt_hardware_reduced(void **state)
{
    (void)state;
    uint32_t fadt = modern_fadt(5);
    put(at(fadt) + 109, 2, 2);
    put(at(fadt) + 112, 1u << 20 | 1u << 10, 4);
    seal(fadt);
    struct acpi_host host = parse(true);
    assert_true(host.hardware_reduced);
    assert_true(host.has_8042);
    assert_int_equal(host.pm1a_control.address, 0);
    assert_int_equal(host.pm_timer.address, 0);
    assert_int_equal(host.sleep_control.address, 0xfed02000);
    assert_int_equal(host.reset.address, 0xcf9);
}

static void test_fadt_lies(void **state)
{
    (void)state;
    uint32_t fadt = modern_fadt(4);
    put_gas(at(fadt) + 116, 3, 0xcf9);          /* an embedded controller */
    put_gas(at(fadt) + 172, 1, 0x12345);        /* not a port: the old field counts */
    put_gas(at(fadt) + 184, 0, 0xfed01001);     /* not aligned */
    put(at(fadt) + 68, 0x10000, 4);             /* not a port either */
    put_gas(at(fadt) + 208, 1, 0);
    put(at(fadt) + 76, 0x609, 4);               /* not aligned */
    put(at(fadt) + 48, 0x10000, 4);
    seal(fadt);
    struct acpi_host host = parse(true);
    assert_int_equal(host.reset.address, 0);
    assert_int_equal(host.pm1a_control.address, 0x604);
    assert_int_equal(host.pm1b_control.address, 0);
    assert_int_equal(host.pm_timer.address, 0);
    assert_int_equal(host.smi_command_port, 0);
    /* Blocks whose length says that they are not there. */
    at(fadt)[89] = 0;
    at(fadt)[91] = 0;
    seal(fadt);
    host = parse(true);
    assert_int_equal(host.pm1a_control.address, 0);
    /* A revision that promises more than the table has. */
    setup(NULL);
    fadt = table("FACP", 116, 6, true);
    put(at(fadt) + 112, 1u << 10, 4);
    put(at(fadt) + 64, 0x404, 4);
    at(fadt)[89] = 2;
    seal(fadt);
    host = parse(true);
    assert_true(host.fadt);
    assert_int_equal(host.reset.address, 0);
    assert_int_equal(host.sleep_control.address, 0);
    assert_int_equal(host.pm1a_control.address, 0x404);
    setup(NULL);
    table("FACP", 115, 1, true);
    assert_false(parse(true).fadt);
    /* A second one is ignored. */
    setup(NULL);
    modern_fadt(4);
    fadt = modern_fadt(4);
    put_gas(at(fadt) + 116, 1, 0x64);
    seal(fadt);
    assert_int_equal(parse(true).reset.address, 0xcf9);
}

/* The reset register alone may be in configuration space: bits 47:32 are the device, 31:16 the
 * function, 15:0 the offset, on bus 0. */
static void test_reset_register_in_pci_space(void **state)
{
    (void)state;
    static const uint64_t bad[] = { UINT64_C(0x20) << 32, 8 << 16, 0x100, UINT64_C(1) << 48 };
    uint32_t fadt = modern_fadt(4);
    put_gas(at(fadt) + 116, 2, UINT64_C(0x1f) << 32 | 3 << 16 | 0xac);
    seal(fadt);
    struct acpi_host host = parse(true);
    assert_int_equal(host.reset.space, ACPI_SPACE_PCI);
    assert_int_equal(host.reset.address, UINT32_C(0x8000fbac));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put_gas(at(fadt) + 116, 2, bad[i]);
        seal(fadt);
        assert_int_equal(parse(true).reset.address, 0);
    }
    /* No other register may be there. */
    put_gas(at(fadt) + 172, 2, 0x40);
    seal(fadt);
    assert_int_equal(parse(true).pm1a_control.address, 0x604);
}

/* --- S5 --- */

static const uint8_t qemu_s5[] = { 0x08, 0x5f, 0x53, 0x35, 0x5f, 0x12, 0x06, 0x04, 0, 0, 0, 0 };

static void test_s5_in_dsdt_or_ssdt(void **state)
{
    (void)state;
    uint8_t aml[sizeof(qemu_s5)];
    memcpy(aml, qemu_s5, sizeof(aml));
    aml[8] = 1; /* One */
    for (int where = 0; where < 3; where++) {
        setup(NULL);
        uint32_t fadt = modern_fadt(4);
        uint32_t t = table(where == 2 ? "SSDT" : "DSDT", 36 + 5 + sizeof(aml), 2, where == 2);
        memcpy(at(t) + 41, aml, sizeof(aml));
        seal(t);
        if (where == 0)
            put(at(fadt) + 40, t, 4);
        if (where == 1) {
            put(at(fadt) + 40, 0x20, 4); /* the extended form wins */
            put(at(fadt) + 140, t, 8);
        }
        seal(fadt);
        struct acpi_host host = parse(true);
        assert_true(host.s5);
        assert_int_equal(host.s5_type_a, 1);
        assert_int_equal(host.s5_type_b, 0);
    }
}

static void test_dsdt_that_is_none(void **state)
{
    (void)state;
    uint32_t fadt = modern_fadt(4);
    uint32_t t = table("OEM1", 36 + sizeof(qemu_s5), 2, false);
    memcpy(at(t) + 36, qemu_s5, sizeof(qemu_s5));
    seal(t);
    put(at(fadt) + 40, t, 4);
    seal(fadt);
    assert_false(parse(true).s5);
}

static bool find(const uint8_t *aml, uint32_t bytes, int a, int b)
{
    uint8_t type_a = 99, type_b = 99;
    uint8_t copy[64];
    memcpy(copy, aml, bytes);
    if (!acpi_find_s5(copy, bytes, &type_a, &type_b))
        return false;
    assert_int_equal(type_a, a);
    assert_int_equal(type_b, b);
    return true;
}

#define S5(...) ((uint8_t[]){ __VA_ARGS__ }), sizeof((uint8_t[]){ __VA_ARGS__ })
#define NAME '_', 'S', '5', '_'

static void test_s5_encodings(void **state)
{
    (void)state;
    assert_true(find(S5(8, NAME, 0x12, 6, 4, 0x0a, 5, 0x0a, 7, 0), 5, 7));
    assert_true(find(S5(8, '\\', NAME, 0x12, 6, 4, 0x0a, 5, 1, 0, 0), 5, 1));
    assert_true(find(S5(8, NAME, 0x12, 6, 2, 0x0b, 0x07, 0x00, 0x0c, 6, 0, 0, 0), 7, 6));
    assert_true(find(S5(8, NAME, 0x12, 6, 1, 0x0a, 0xfd), 5, 0)); /* three bits; one element */
    assert_true(find(S5(8, NAME, 0x12, 0x40, 0x0a, 4, 0xff, 0), 7, 0)); /* two length bytes; Ones */
    /* A mention of the name before the definition. */
    assert_true(find(S5(0x70, NAME, 8, NAME, 0x12, 6, 4, 1, 0, 0, 0), 1, 0));
}

static void test_s5_nonsense(void **state)
{
    (void)state;
    assert_false(find(S5(NAME, 0x12, 6, 4, 1, 0), 0, 0));      /* no Name before it */
    assert_false(find(S5('\\', NAME, 0x12, 6, 4, 1, 0), 0, 0));
    assert_false(find(S5(7, '\\', NAME, 0x12, 6, 4, 1, 0), 0, 0));
    assert_false(find(S5(8, NAME, 0x11, 6, 4, 1, 0), 0, 0));   /* a buffer */
    assert_false(find(S5(8, NAME, 0x12, 6, 0, 1, 0), 0, 0));   /* no elements */
    assert_false(find(S5(8, NAME, 0x12, 6, 4, 0x0d, 0), 0, 0)); /* a string */
    assert_false(find(S5(8, NAME, 0x12, 6, 4, 1, 0x0d), 0, 0));
    /* Cut off after every byte. */
    static const uint8_t full[] = { 8, NAME, 0x12, 0x40, 6, 4, 0x0b, 1, 0, 0x0a, 2 };
    for (uint32_t n = 0; n < sizeof(full); n++)
        assert_false(find(full, n, 0, 0));
    assert_true(find(full, sizeof(full), 1, 2));
}

/* --- HPET, MCFG, DMAR --- */

static void test_hpet(void **state)
{
    (void)state;
    uint32_t hpet = table("HPET", 56, 1, true);
    put_gas(at(hpet) + 40, 0, 0xfed00000);
    seal(hpet);
    uint32_t second = table("HPET", 56, 1, true);
    put_gas(at(second) + 40, 0, 0xfed40000);
    seal(second);
    assert_int_equal(parse(true).hpet_address, 0xfed00000);
    put_gas(at(hpet) + 40, 1, 0x80); /* in port space: not a thing */
    put_gas(at(second) + 40, 0, 0xfed00004);
    seal(hpet);
    seal(second);
    assert_int_equal(parse(true).hpet_address, 0);
    setup(NULL);
    table("HPET", 50, 1, true);
    assert_int_equal(parse(true).hpet_address, 0);
}

static void test_mcfg(void **state)
{
    (void)state;
    uint32_t mcfg = table("MCFG", 44 + 16 * 4 + 8, 1, true);
    uint8_t *entry = at(mcfg) + 44;
    put(entry, 0xb0000000, 8);
    entry[11] = 0xff;
    put(entry + 16, 0x1000000000, 8);
    put(entry + 24, 1, 2);
    entry[26] = 0x80;
    entry[27] = 0x8f;
    put(entry + 32, 0xb0000001, 8); /* not aligned */
    put(entry + 48, 0xc0000000, 8);
    entry[58] = 2;                  /* from bus 2 to bus 1 */
    entry[59] = 1;
    seal(mcfg);
    struct acpi_host host = parse(true);
    assert_int_equal(host.ecam_count, 2);
    assert_int_equal(host.ecam[0].address, 0xb0000000);
    assert_int_equal(host.ecam[0].first_bus, 0);
    assert_int_equal(host.ecam[0].last_bus, 0xff);
    assert_int_equal(host.ecam[1].address, UINT64_C(0x1000000000));
    assert_int_equal(host.ecam[1].segment, 1);
    assert_int_equal(host.ecam[1].first_bus, 0x80);
    setup(NULL);
    mcfg = table("MCFG", 44 + 16 * 20, 1, true);
    for (unsigned i = 0; i < 20; i++)
        put(at(mcfg) + 44 + 16 * i, 0xb0000000, 8);
    seal(mcfg);
    assert_int_equal(parse(true).ecam_count, ACPI_HOST_MAX_ECAM);
    setup(NULL);
    table("MCFG", 40, 1, true);
    assert_int_equal(parse(true).ecam_count, 0);
}

static void test_dmar_and_strangers(void **state)
{
    (void)state;
    table("WAET", 40, 1, true);
    uint32_t dmar = table("DMAR", 0x60, 1, true);
    table("DMAR", 0x50, 1, true);
    struct acpi_host host = parse(true);
    assert_int_equal(host.dmar_address, dmar);
    assert_int_equal(host.dmar_bytes, 0x60);
    assert_false(host.x2apic_opt_out);
}

static void test_dmar_flags(void **state)
{
    (void)state;
    uint32_t dmar = table("DMAR", 48, 1, true);
    at(dmar)[37] = 0x03; /* INTR_REMAP, X2APIC_OPT_OUT */
    seal(dmar);
    assert_true(parse(true).x2apic_opt_out);
}

static void test_root_with_too_many_entries(void **state)
{
    (void)state;
    uint32_t hpet = table("HPET", 56, 1, false);
    put_gas(at(hpet) + 40, 0, 0xfed00000);
    seal(hpet);
    uint32_t other = table("WAET", 40, 1, false);
    for (unsigned i = 0; i < 599; i++)
        roots[root_count++] = other;
    roots[root_count++] = hpet; /* beyond the bound */
    struct acpi_host host = parse(false);
    assert_true(host.present);
    assert_int_equal(host.hpet_address, 0);
}

/* --- SPCR: Microsoft "Serial Port Console Redirection Table" --- */

/* A table of the given revision with its port at a generic address. */
static uint32_t spcr(uint8_t revision, uint8_t interface, uint8_t space, uint8_t bits,
                     uint8_t access, uint64_t address)
{
    uint32_t t = table("SPCR", revision >= 4 ? 90 : 80, revision, true);
    at(t)[36] = interface;
    at(t)[40] = space;
    at(t)[41] = bits;
    at(t)[43] = access;
    put(at(t) + 44, address, 8);
    at(t)[58] = 7;
    put(at(t) + 64, 0xffffffff, 4); /* no PCI function */
    seal(t);
    return t;
}

static struct uart_place spcr_place(uint8_t space, uint8_t bits, uint8_t access, uint64_t address)
{
    setup(NULL);
    spcr(2, 0, space, bits, access, address);
    return parse(true).spcr.place;
}

static void test_spcr_legacy_port(void **state)
{
    (void)state;
    uint32_t t = spcr(1, 0, 1, 8, 0, 0x2f8);
    struct acpi_host host = parse(true);
    assert_true(host.spcr.present);
    assert_false(host.spcr.on_pci);
    assert_int_equal(host.spcr.place.space, HV_SPACE_PORT);
    assert_int_equal(host.spcr.place.base, 0x2f8);
    assert_int_equal(host.spcr.place.stride_bytes, 1);
    assert_int_equal(host.spcr.place.access_bytes, 1);
    assert_int_equal(host.spcr.place.divisor, 1);
    static const struct { uint8_t code; uint16_t divisor; } rates[] = {
        { 0, 0 }, { 3, 12 }, { 4, 6 }, { 5, 0 }, { 6, 2 }, { 7, 1 }, { 8, 0 },
    };
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        at(t)[58] = rates[i].code;
        seal(t);
        assert_int_equal(parse(true).spcr.place.divisor, rates[i].divisor);
    }
}

static void test_spcr_in_memory(void **state)
{
    (void)state;
    struct uart_place place = spcr_place(0, 32, 3, UINT64_C(0x1fe032000));
    assert_int_equal(place.space, HV_SPACE_MEMORY);
    assert_int_equal(place.base, UINT64_C(0x1fe032000));
    assert_int_equal(place.stride_bytes, 4);
    assert_int_equal(place.access_bytes, 4);
    assert_int_equal(place.divisor, 0); /* nobody says what its clock is */
    static const struct { uint8_t bits, access, stride_is, access_is; } widths[] = {
        { 8, 0, 1, 1 },  { 8, 1, 1, 1 },  { 32, 0, 4, 4 }, { 32, 1, 4, 1 },
        { 16, 2, 2, 2 }, { 8, 3, 4, 4 },  { 64, 3, 8, 4 }, { 64, 4, 8, 4 },
        { 0, 0, 1, 1 },  { 0, 3, 4, 4 },  { 12, 1, 1, 1 }, { 255, 9, 1, 1 },
        { 24, 0, 1, 1 },
    };
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        place = spcr_place(0, widths[i].bits, widths[i].access, 0xfe032000);
        assert_int_equal(place.stride_bytes, widths[i].stride_is);
        assert_int_equal(place.access_bytes, widths[i].access_is);
    }
}

static void test_spcr_clock_and_precise_rate(void **state)
{
    (void)state;
    uint32_t t = spcr(4, 0x12, 0, 32, 3, 0xfe032000);
    put(at(t) + 76, 48000000, 4);
    seal(t);
    assert_int_equal(parse(true).spcr.place.divisor, 26); /* 115200 by its code */
    put(at(t) + 80, 1500000, 4);
    seal(t);
    assert_int_equal(parse(true).spcr.place.divisor, 2);
    put(at(t) + 80, 3000001, 4); /* faster than the clock allows */
    seal(t);
    assert_int_equal(parse(true).spcr.place.divisor, 0);
    put(at(t) + 80, UINT32_MAX, 4);
    seal(t);
    assert_int_equal(parse(true).spcr.place.divisor, 0);
    put(at(t) + 76, UINT32_MAX, 4);
    put(at(t) + 80, 1, 4); /* a divisor of more than 16 bits */
    seal(t);
    assert_int_equal(parse(true).spcr.place.divisor, 0);
}

/* Tables say that they are of a revision, and are shorter than it; or leave the new fields at 0. */
static void test_spcr_shorter_than_its_revision(void **state)
{
    (void)state;
    for (uint8_t revision = 2; revision <= 4; revision++) {
        for (uint32_t bytes = 76; bytes <= 90; bytes += 2) {
            setup(NULL);
            uint32_t t = table("SPCR", bytes, revision, true);
            at(t)[40] = 1;
            at(t)[41] = 8;
            put(at(t) + 44, 0x2f8, 8);
            at(t)[58] = 3; /* 9600 baud */
            if (bytes >= 80)
                put(at(t) + 76, 3686400, 4);
            if (bytes >= 84)
                put(at(t) + 80, 38400, 4);
            seal(t);
            uint32_t clock = revision >= 3 && bytes >= 80 ? 3686400 : 1843200;
            uint32_t baud = revision >= 4 && bytes >= 84 ? 38400 : 9600;
            struct acpi_spcr found = parse(true).spcr;
            assert_int_equal(found.present, bytes >= 76);
            if (found.present)
                assert_int_equal(found.place.divisor, clock / 16 / baud);
            if (bytes >= 84) { /* 0: as before */
                put(at(t) + 76, 0, 8);
                seal(t);
                assert_int_equal(parse(true).spcr.place.divisor, 12);
            }
        }
    }
}

static void test_spcr_on_pci(void **state)
{
    (void)state;
    uint32_t t = spcr(2, 1, 1, 8, 1, 0xf0a0);
    put(at(t) + 64, 0x02e0, 2);
    put(at(t) + 66, 0x8086, 2);
    at(t)[68] = 5;
    at(t)[69] = 0xf6; /* 22, and bits that no device number has */
    at(t)[70] = 3;
    at(t)[75] = 2;
    seal(t);
    struct acpi_spcr found = parse(true).spcr;
    assert_true(found.on_pci);
    assert_int_equal(found.pci.bus, 5);
    assert_int_equal(found.pci.device, 22);
    assert_int_equal(found.pci.function, 3);
    assert_int_equal(found.pci.segment, 2);
    put(at(t) + 64, 0, 4); /* some firmware writes zeros where it means none */
    seal(t);
    assert_false(parse(true).spcr.on_pci);
    put(at(t) + 64, 0xffff02e0, 4); /* half of a name is none */
    seal(t);
    assert_false(parse(true).spcr.on_pci);
    put(at(t) + 64, 0x8086ffff, 4);
    seal(t);
    assert_false(parse(true).spcr.on_pci);
}

static void test_spcr_that_is_of_no_use(void **state)
{
    (void)state;
    static const struct { uint8_t interface, space; uint64_t address; } bad[] = {
        { 3, 0, 0x09000000 },  /* an ARM PL011 */
        { 0xff, 1, 0x3f8 },    { 0, 2, 0x3f8 },          { 0, 1, 0 },
        { 0, 1, 0x10000 },     { 0, 1, 0xfffe },         { 0, 0, 0 },
        { 0, 0, UINT64_MAX },  { 0, 0, UINT64_MAX - 3 },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setup(NULL);
        spcr(2, bad[i].interface, bad[i].space, 8, 1, bad[i].address);
        assert_false(parse(true).spcr.present);
    }
    assert_int_equal(spcr_place(0, 32, 3, 0xfe032002).base, 0); /* not aligned */
    setup(NULL);
    table("SPCR", 75, 1, true);
    assert_false(parse(true).spcr.present);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_no_root, setup),
        cmocka_unit_test_setup(test_root_kinds, setup),
        cmocka_unit_test_setup(test_fall_back_to_rsdt, setup),
        cmocka_unit_test_setup(test_bad_tables_are_left_out, setup),
        cmocka_unit_test_setup(test_madt, setup),
        cmocka_unit_test_setup(test_madt_lies, setup),
        cmocka_unit_test_setup(test_madt_too_many, setup),
        cmocka_unit_test_setup(test_fadt_revision_1, setup),
        cmocka_unit_test_setup(test_fadt_modern, setup),
        cmocka_unit_test_setup(test_fadt_hardware_reduced, setup),
        cmocka_unit_test_setup(test_fadt_lies, setup),
        cmocka_unit_test_setup(test_reset_register_in_pci_space, setup),
        cmocka_unit_test_setup(test_s5_in_dsdt_or_ssdt, setup),
        cmocka_unit_test_setup(test_dsdt_that_is_none, setup),
        cmocka_unit_test_setup(test_s5_encodings, setup),
        cmocka_unit_test_setup(test_s5_nonsense, setup),
        cmocka_unit_test_setup(test_hpet, setup),
        cmocka_unit_test_setup(test_mcfg, setup),
        cmocka_unit_test_setup(test_spcr_legacy_port, setup),
        cmocka_unit_test_setup(test_spcr_in_memory, setup),
        cmocka_unit_test_setup(test_spcr_clock_and_precise_rate, setup),
        cmocka_unit_test_setup(test_spcr_shorter_than_its_revision, setup),
        cmocka_unit_test_setup(test_spcr_on_pci, setup),
        cmocka_unit_test_setup(test_spcr_that_is_of_no_use, setup),
        cmocka_unit_test_setup(test_dmar_and_strangers, setup),
        cmocka_unit_test_setup(test_dmar_flags, setup),
        cmocka_unit_test_setup(test_root_with_too_many_entries, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
