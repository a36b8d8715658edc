// SRCS: arch/x86/cpu/host_ioapic.c
/* 82093AA data sheet "I/O APIC Registers": an index register, a window, two words an entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "x86/acpi_host.h"
#include "x86/host_apic.h"

#define FIRST UINT64_C(0xfec00000)
#define SECOND UINT64_C(0xfec01000)
#define MASKED 0x10000u
#define LEVEL 0x8000u

static struct chip {
    uint64_t base;
    uint32_t index;
    unsigned last;    /* entry */
    uint32_t low[240], high[240];
    unsigned writes;  /* of entries */
} chips[2];
static uint64_t unmapped;

static struct chip *chip_at(uint64_t address)
{
    for (unsigned i = 0; i < 2; i++)
        if (chips[i].base && address - chips[i].base < 0x20)
            return &chips[i];
    return NULL;
}

static uint32_t read_register(void *ctx, enum hv_space space, uint64_t address, unsigned bytes)
{
    struct chip *chip = chip_at(address);
    (void)ctx;
    assert_int_equal(space, HV_SPACE_MEMORY);
    assert_int_equal(bytes, 4);
    if (!chip)
        return UINT32_MAX;
    assert_int_equal(address, chip->base + 0x10);
    if (chip->index == 1)
        return chip->last << 16 | 0x20;
    assert_in_range(chip->index, 0x10, 0x11 + 2 * chip->last);
    unsigned entry = (chip->index - 0x10) / 2;
    return chip->index % 2 ? chip->high[entry] : chip->low[entry];
}

static void write_register(void *ctx, enum hv_space space, uint64_t address, unsigned bytes,
                           uint32_t value)
{
    struct chip *chip = chip_at(address);
    (void)ctx;
    assert_int_equal(space, HV_SPACE_MEMORY);
    assert_int_equal(bytes, 4);
    if (!chip)
        return;
    if (address == chip->base) {
        chip->index = value;
        return;
    }
    assert_int_equal(chip->index % 2, 0); /* where an entry goes to is not touched */
    chip->low[(chip->index - 0x10) / 2] = value;
    chip->writes++;
}

static bool map_registers(void *ctx, uint64_t address, uint64_t bytes)
{
    (void)ctx;
    assert_true(bytes >= 0x14);
    return address != unmapped;
}

static const struct hv_access access = { read_register, write_register, map_registers, NULL, NULL,
                                         NULL };

static int set_up(void **state)
{
    (void)state;
    memset(chips, 0, sizeof(chips));
    chips[0] = (struct chip){ .base = FIRST, .last = 23 };
    chips[1] = (struct chip){ .base = SECOND, .last = 239 };
    for (unsigned i = 0; i < 240; i++)
        chips[0].low[i] = chips[1].low[i] = MASKED;
    unmapped = 0;
    return 0;
}

static struct acpi_host with(uint64_t first, uint64_t second)
{
    return (struct acpi_host){ .ioapic_count = 2,
                               .ioapics = { { .address = first }, { .address = second } } };
}

static void test_open_entries_are_masked(void **state)
{
    struct acpi_host acpi = with(FIRST, SECOND);
    (void)state;
    chips[0].low[0] = 0x700;           /* ExtINT */
    chips[0].low[16] = LEVEL | 0x2071; /* level, active low */
    chips[0].high[16] = 0x03000000;
    chips[1].low[239] = 0x31;
    host_ioapic_mask(&acpi, &access);
    assert_int_equal(chips[0].low[0], 0x700 | MASKED);
    assert_int_equal(chips[0].low[16], LEVEL | 0x2071 | MASKED);
    assert_int_equal(chips[0].high[16], 0x03000000);
    assert_int_equal(chips[1].low[239], 0x31 | MASKED);
    assert_int_equal(chips[0].writes, 2);
    assert_int_equal(chips[1].writes, 1);
}

/* Delivery mode 2: system-management mode has it, and nobody else can serve it. */
static void test_smi_stays(void **state)
{
    struct acpi_host acpi = with(FIRST, SECOND);
    (void)state;
    chips[0].low[23] = 0x200;
    host_ioapic_mask(&acpi, &access);
    assert_int_equal(chips[0].low[23], 0x200);
}

static void test_chips_that_are_not_there(void **state)
{
    struct acpi_host acpi = with(0xfec02000, SECOND), odd = with(FIRST + 4, SECOND), none = { 0 };
    (void)state;
    chips[0].low[3] = chips[1].low[3] = 0x33;
    host_ioapic_mask(&none, &access);
    assert_int_equal(chips[0].low[3], 0x33);
    unmapped = SECOND;
    host_ioapic_mask(&acpi, &access);
    assert_int_equal(chips[1].low[3], 0x33);
    unmapped = 0;
    host_ioapic_mask(&odd, &access);
    assert_int_equal(chips[0].low[3], 0x33);
    assert_int_equal(chips[1].low[3], 0x33 | MASKED);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open_entries_are_masked),
        TEST(test_smi_stays),
        TEST(test_chips_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
