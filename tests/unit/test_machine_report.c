// SRCS: boot/machine_report.c vmm/lib/format.c
/* The raw numbers: every fact has its line, and no machine is too large for the page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/machine_report.h"

static uint32_t highest_basic, highest_extended;
static bool endless;
static struct preflight_core cores[PREFLIGHT_MAX_CORES];
static struct preflight_facts check;
static struct boot_info *info;
static struct acpi_host acpi;
static struct mtrr_state mtrr;
static struct machine_facts facts;
static char text[MACHINE_REPORT_BYTES];

static void fake_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    memset(out, 0, 4 * sizeof(*out));
    if (leaf == 0 || leaf == 0x80000000 || leaf == 0x40000000)
        out[0] = leaf == 0 ? highest_basic : leaf == 0x80000000 ? highest_extended : 0x40000001;
    else if (leaf == 0xb && !endless) {
        out[1] = subleaf < 2;
        out[2] = subleaf; /* whatever is asked for */
    } else if (endless || (leaf == 7 && subleaf < 2) || (leaf == 0xd && subleaf == 9) ||
             (subleaf == 0 && leaf != 0x12))
        out[1] = leaf << 8 | subleaf;
}

static int set_up(void **state)
{
    (void)state;
    highest_basic = 0x16;
    highest_extended = 0x80000008;
    endless = false;
    memset(cores, 0, sizeof(cores));
    memset(&acpi, 0, sizeof(acpi));
    memset(&mtrr, 0, sizeof(mtrr));
    info = calloc(1, sizeof(*info));
    check = (struct preflight_facts){ .cores = cores, .core_count = 1, .enabled_count = 2 };
    facts = (struct machine_facts){ .firmware_vendor = "Vendor", .firmware_revision = 0x10007,
                                    .uefi_revision = 0x20046, .check = &check, .info = info,
                                    .acpi = &acpi, .mtrr = &mtrr, .cpuid = fake_cpuid };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(info);
    return 0;
}

static bool has(const char *line)
{
    return strstr(text, line) != NULL;
}

static void render(void)
{
    size_t length = machine_report_render(&facts, text, sizeof(text));
    assert_int_equal(length, strlen(text));
    assert_true(length > 2 && memcmp(text + length - 2, "\r\n", 2) == 0);
    for (size_t i = 0; i < length; i++)
        assert_true((text[i] >= ' ' && text[i] <= '~') || text[i] == '\r' || text[i] == '\n');
}

static void test_processor(void **state)
{
    (void)state;
    render();
    assert_true(has("firmware: Vendor, revision 0x10007, UEFI 0x20046\r\n"));
    assert_true(has("cpuid 00000000.0  00000016 "));
    assert_true(has("cpuid 00000007.1  00000000 00000701 "));
    assert_false(has("cpuid 00000007.2"));
    assert_true(has("cpuid 0000000b.1"));
    assert_false(has("cpuid 0000000b.2"));
    assert_true(has("cpuid 0000000d.9")); /* behind empty ones */
    assert_true(has("cpuid 00000016.0"));
    assert_false(has("cpuid 00000017"));
    assert_false(has("cpuid 00000003")); /* a serial number */
    assert_false(has("cpuid 00000012")); /* empty */
    assert_true(has("cpuid 80000008.0"));
    assert_false(has("cpuid 40000000"));
    strcpy(check.hypervisor, "KVM");
    render();
    assert_true(has("cpuid 40000001.0"));
}

static void test_cores_that_differ(void **state)
{
    (void)state;
    cores[0] = (struct preflight_core){ .apic_id = 0, .vmx = true, .feature_control = 5,
                                        .caps = { .basic = 0x11, .misc = 0x22 } };
    cores[1] = cores[0];
    cores[1].apic_id = 0x40;
    cores[1].caps.misc = 0x33;
    check.core_count = 2;
    acpi.core_count = 3;
    acpi.cores_disabled = 4;
    render();
    assert_true(has("cores: 2 answered, 2 enabled by MP services, 3 in the MADT (4 more disabled)"));
    const char *second = strstr(text, "core with APIC id 64: VMX, IA32_FEATURE_CONTROL 0x5");
    assert_non_null(second);
    assert_true(has("  msr 480 IA32_VMX_BASIC "));
    assert_non_null(strstr(second, "  msr 485 IA32_VMX_MISC                  0000000000000033"));
    assert_null(strstr(second, "IA32_VMX_BASIC"));
}

static void test_memory(void **state)
{
    (void)state;
    mtrr.cap = 0x508;
    mtrr.variable_count = 2;
    mtrr.variable[1].base = 0x80000000;
    info->memory_count = 2;
    info->memory[0] = (struct boot_memory){ 0, 4096, BOOT_MEMORY_FIRMWARE };
    info->memory[1] = (struct boot_memory){ 0x100000, 1 << 20, BOOT_MEMORY_FREE };
    render();
    assert_true(has("MTRRs: cap 508, default 0"));
    assert_true(has("  variable  1 base 000080000000 mask 000000000000"));
    assert_false(has("  variable  2"));
    assert_true(has("  000000100000         1024 KB free"));
    facts.mtrr = NULL;
    render();
    assert_true(has("MTRRs: none"));
}

static void test_acpi(void **state)
{
    (void)state;
    acpi.s5 = acpi.madt = acpi.x2apic_opt_out = true;
    acpi.s5_type_a = 5;
    acpi.pm1a_control = (struct acpi_register){ ACPI_SPACE_PORT, 2, 0x1804 };
    acpi.reset = (struct acpi_register){ ACPI_SPACE_MEMORY, 1, 0xfed00000 };
    acpi.ecam_count = 1;
    acpi.ecam[0] = (struct acpi_ecam){ 0xe0000000, 0, 0, 255 };
    acpi.hpet_address = 0xfed00000;
    acpi.dmar_address = 0x1000;
    render();
    assert_true(has(", MADT, x2APIC opt-out\r\n"));
    assert_true(has("  _S5: 5, 0\r\n"));
    assert_true(has("  PM1a control: port 1804, 2 bytes\r\n"));
    assert_true(has("  reset: memory fed00000, 1 bytes\r\n"));
    assert_false(has("PM1b"));
    assert_true(has("  ECAM: e0000000, buses 0 to 255"));
}

/* "Hardware-Reduced ACPI", "IA-PC Boot Architecture Flags": said where they are so, and only there; and
 * a range of a kind that this version does not know, a processor without extended leaves. */
static void test_what_is_unusual(void **state)
{
    (void)state;
    acpi.fadt = acpi.hardware_reduced = true;
    acpi.sleep_control = (struct acpi_register){ ACPI_SPACE_MEMORY, 1, 0xfed80000 };
    info->memory_count = 1;
    info->memory[0] = (struct boot_memory){ 0, 4096, 77 };
    highest_extended = 0; /* nothing there */
    render();
    assert_true(has(", FADT, hardware-reduced\r\n"));
    assert_true(has("            4 KB ?\r\n"));
    assert_false(has("cpuid 80000000"));
    acpi.hardware_reduced = false;
    acpi.has_8042 = true;
    render();
    assert_true(has(", FADT, 8042\r\n"));
}

/* A processor that claims every leaf there is, 256 cores that all differ, a full map. */
static void test_the_largest_machine_is_cut_at_a_line(void **state)
{
    (void)state;
    highest_basic = 0x3fffffff;
    highest_extended = UINT32_MAX;
    endless = true;
    check.core_count = PREFLIGHT_MAX_CORES;
    for (unsigned i = 0; i < PREFLIGHT_MAX_CORES; i++)
        memset(&cores[i].caps, (int)(i + 1) & 0x7f, offsetof(struct vmx_caps, physical_address_bits));
    info->memory_count = BOOT_INFO_MAX_MEMORY;
    render();
    assert_true(strlen(text) > sizeof(text) - 300);
    assert_true(has("core with APIC id 0"));
    char small[100];
    assert_true(machine_report_render(&facts, small, sizeof(small)) < sizeof(small));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_processor),
        TEST(test_cores_that_differ),
        TEST(test_memory),
        TEST(test_acpi),
        TEST(test_what_is_unusual),
        TEST(test_the_largest_machine_is_cut_at_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
