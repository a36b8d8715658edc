// SRCS: boot/preflight.c boot/preflight_render.c boot/preflight_acpi.c arch/x86/cpu/acpi_host.c arch/x86/cpu/acpi_spcr.c arch/x86/cpu/acpi_s5.c arch/x86/vmx/caps.c arch/x86/vmx/policy.c arch/x86/vmx/vmcs_fields.c vmm/lib/format.c drivers/uart16550_host.c
/* The machine check: each fact alone decides its own line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "boot/preflight.h"
#include "x86/acpi_host.h"
#include "vmx_profiles.h"

#define GB (UINT64_C(1) << 30)

static struct config config;
static struct preflight_core cores[4];
static struct preflight_report report;

/* A machine of which every line is fine: Tiger Lake with posted interrupts. */
static struct preflight_facts good(void)
{
    memset(&config, 0, sizeof(config));
    config.vm_count = 1;
    config.vms[0].vcpus = 1;
    config.vms[0].memory_bytes = GB;
    for (unsigned i = 0; i < 4; i++)
        cores[i] = (struct preflight_core){ i, true, 5, vmx_profile_caps("Bochs 3.1 tiger lake") };
    return (struct preflight_facts){
        .vendor = "GenuineIntel",
        .brand = "Some Processor",
        .signature = 0x50654,
        .nx = true,
        .invariant_tsc = true,
        .tsc_deadline = true,
        .cores = cores,
        .core_count = 2,
        .enabled_count = 2,
        .free_bytes = 4 * GB,
        .start_page = true,
        .rsdp = 0xe0000,
        .acpi_tables = PREFLIGHT_ACPI_FADT | PREFLIGHT_ACPI_MADT,
        .acpi_s5 = true,
        .secure_boot = PREFLIGHT_SECURE_BOOT_OFF,
        .serial = { true },
        .keyboard_controller = true,
        .framebuffer = { 0xc0000000, 4096000, 1280, 800, 5120, BOOT_PIXEL_BGRX },
        .epoch_seconds = 1700000000,
        .config = &config,
    };
}

static void decide(const struct preflight_facts *facts)
{
    memset(&report, 0xee, sizeof(report));
    preflight_decide(facts, &report);
}

/* The one line that is not fine. */
static const struct preflight_line *only(const struct preflight_facts *facts,
                                         enum preflight_verdict verdict, const char *subject)
{
    const struct preflight_line *found = NULL;
    decide(facts);
    for (unsigned i = 0; i < report.count; i++) {
        if (report.lines[i].verdict == PREFLIGHT_FINE)
            continue;
        if (found)
            fail_msg("a second line: %s: %s", report.lines[i].subject, report.lines[i].text);
        found = &report.lines[i];
    }
    assert_non_null(found);
    assert_string_equal(found->subject, subject);
    assert_int_equal(found->verdict, verdict);
    assert_int_equal(report.degraded, verdict == PREFLIGHT_DEGRADED);
    assert_int_equal(report.stops, verdict == PREFLIGHT_STOPS);
    return found;
}

static const char *line(const char *subject)
{
    for (unsigned i = 0; i < report.count; i++) {
        if (strcmp(report.lines[i].subject, subject) == 0)
            return report.lines[i].text;
    }
    return "";
}

static bool line_is(const char *subject, enum preflight_verdict verdict)
{
    for (unsigned i = 0; i < report.count; i++) {
        if (strcmp(report.lines[i].subject, subject) == 0)
            return report.lines[i].verdict == verdict;
    }
    return false;
}

static void test_a_good_machine_is_fine(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    decide(&f);
    assert_int_equal(report.degraded + report.stops, 0);
    assert_non_null(strstr(line("processor"), "family 6, model 0x55, stepping 4"));
    f.signature = 0x00b00f21; /* an extended family */
    decide(&f);
    assert_non_null(strstr(line("processor"), "family 26, model 0x2, stepping 1"));
    f.signature = 0x000005e1; /* family 5: the extended model does not count */
    f.brand[0] = 0;
    decide(&f);
    assert_non_null(strstr(line("processor"), "unnamed (GenuineIntel, family 5, model 0xe"));
}

static void test_execute_disable_switched_off(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    f.nx = false;
    assert_non_null(strstr(only(&f, PREFLIGHT_STOPS, "execute-disable")->text, "switch"));
}

static void test_no_vtx(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    cores[0] = (struct preflight_core){ 0 };
    assert_non_null(strstr(only(&f, PREFLIGHT_STOPS, "VT-x")->text, "firmware hides it"));
    strcpy(f.vendor, "AuthenticAMD");
    assert_non_null(strstr(only(&f, PREFLIGHT_STOPS, "VT-x")->text, "it is a AuthenticAMD"));
    strcpy(f.hypervisor, "KVMKVMKVM");
    assert_non_null(strstr(only(&f, PREFLIGHT_STOPS, "VT-x")->text, "nested"));
    assert_non_null(strstr(line("processor"), "KVMKVMKVM"));
    for (unsigned i = 0; i < report.count; i++) /* nothing is said of what is not there */
        assert_string_not_equal(report.lines[i].subject, "EPT");
    assert_int_equal(strncmp(line("VT-x"), "this processor has no VT-x", 26), 0);
}

static void test_feature_control(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    static const struct { uint64_t value; bool ok; } cases[] = {
        { 0, true }, { 4, true }, { 5, true }, { 7, true }, { 0x40005, true },
        { 1, false }, { 3, false }, { 0x40001, false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cores[0].feature_control = cases[i].value;
        decide(&f);
        assert_int_equal(report.stops, !cases[i].ok);
        assert_true(line_is("feature control", cases[i].ok ? PREFLIGHT_FINE : PREFLIGHT_STOPS));
    }
    assert_non_null(strstr(line("feature control"), "Intel Virtualization Technology"));
}

static void test_other_cores(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    f.core_count = f.enabled_count = 4;
    cores[2].feature_control = 1;
    cores[3].vmx = false;
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "cores")->text, "2 of 4"));
    assert_non_null(strstr(line("cores"), "APIC id 2"));
    f = good();
    f.enabled_count = 4;
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "cores")->text, "2 of 4 answered"));
    f = good();
    f.enabled_count = 0;
    f.core_count = 1;
    only(&f, PREFLIGHT_DEGRADED, "cores");
}

static void test_thin_mode_takes_all_cores_or_none(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    config.mode = CONFIG_MODE_THIN;
    config.vm_count = 0;
    decide(&f);
    assert_int_equal(report.stops, 0);
    assert_non_null(strstr(line("configuration"), "thin mode"));
    f.core_count = f.enabled_count = 4;
    cores[3].vmx = false;
    assert_non_null(strstr(only(&f, PREFLIGHT_STOPS, "cores")->text, "thin mode needs all"));
}

/* The guests' memory is not asked for where no guest is made. */
static void test_thin_mode_needs_little_memory(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    config.mode = CONFIG_MODE_THIN;
    config.vms[0].memory_bytes = 64 * GB;
    decide(&f);
    assert_int_equal(report.stops, 0);
}

static void test_a_hybrid_machine_has_what_all_cores_have(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    cores[1].caps = vmx_profile_caps("Bochs 2.7 cannon lake");
    decide(&f);
    assert_true(line_is("APICv", PREFLIGHT_DEGRADED));
    assert_true(line_is("PML", PREFLIGHT_DEGRADED));
    assert_int_equal(report.stops, 0);
    /* A core that insists on what another forbids is not one to run with. */
    cores[1].caps = cores[0].caps;
    cores[1].caps.true_pinbased = UINT64_C(0xff00000000ff);
    cores[1].caps.pinbased = UINT64_C(0xff00000000ff);
    cores[1].caps.basic ^= UINT64_C(0xf) << 50;
    decide(&f);
    bool told = false;
    for (unsigned i = 0; i < report.count; i++)
        told |= strstr(report.lines[i].text, "1 differ so much") != NULL;
    assert_true(told);
    assert_int_equal(report.stops, 0);
}

static void test_every_profile_is_judged_as_the_policy_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vmx_profiles) / sizeof(vmx_profiles[0]); i++) {
        struct preflight_facts f = good();
        cores[0].caps = cores[1].caps = vmx_profile_caps(vmx_profiles[i].name);
        decide(&f);
        if ((report.stops > 0) != (vmx_profiles[i].refused != NULL))
            fail_msg("%s: %u stops", vmx_profiles[i].name, report.stops);
    }
}

static void set_ept(uint64_t clear, uint32_t clear_controls)
{
    for (unsigned i = 0; i < 4; i++) {
        cores[i].caps.ept_vpid_cap &= ~clear;
        cores[i].caps.procbased2 &= ~((uint64_t)clear_controls << 32);
    }
}

static void test_what_stops(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    set_ept(0, CPU2_ENABLE_EPT | CPU2_UNRESTRICTED_GUEST);
    decide(&f);
    assert_true(line_is("EPT", PREFLIGHT_STOPS));
    assert_true(line_is("unrestricted", PREFLIGHT_STOPS));
    static const uint64_t needed[] = { VMX_EPT_CAP_WALK_4, VMX_EPT_CAP_WB, VMX_EPT_CAP_INVEPT };
    for (unsigned i = 0; i < 3; i++) {
        f = good();
        set_ept(needed[i], 0);
        decide(&f);
        assert_true(line_is("EPT", PREFLIGHT_STOPS));
    }
    f = good();
    for (unsigned i = 0; i < 4; i++) {
        cores[i].caps.exit &= ~((uint64_t)EXIT_HOST_ADDRESS_SPACE_SIZE << 32);
        cores[i].caps.true_exit &= ~((uint64_t)EXIT_HOST_ADDRESS_SPACE_SIZE << 32);
    }
    decide(&f);
    assert_true(line_is("64-bit host", PREFLIGHT_STOPS));
    f = good(); /* something that only the policy knows to be needed */
    for (unsigned i = 0; i < 4; i++) {
        cores[i].caps.procbased &= ~((uint64_t)CPU_USE_MSR_BITMAPS << 32);
        cores[i].caps.true_procbased &= ~((uint64_t)CPU_USE_MSR_BITMAPS << 32);
    }
    decide(&f);
    assert_true(line_is("controls", PREFLIGHT_STOPS));
}

static void test_what_is_only_slower(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    set_ept(VMX_EPT_CAP_1G, 0);
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "EPT")->text, "1 GB"));
    set_ept(VMX_EPT_CAP_2M, 0);
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "EPT")->text, "2 MB"));
    f = good();
    set_ept(0, CPU2_ENABLE_VPID);
    only(&f, PREFLIGHT_DEGRADED, "VPID");
    f = good();
    set_ept(0, CPU2_ENABLE_PML);
    only(&f, PREFLIGHT_DEGRADED, "PML");
}

static void test_time(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    f.invariant_tsc = false;
    assert_null(strstr(only(&f, PREFLIGHT_DEGRADED, "time")->text, "one-shot"));
    f.tsc_deadline = false;
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "time")->text, "; no TSC-deadline"));
    f.invariant_tsc = true;
    assert_null(strstr(only(&f, PREFLIGHT_DEGRADED, "time")->text, "invariant"));
    f = good();
    f.epoch_seconds = 0;
    only(&f, PREFLIGHT_DEGRADED, "clock");
}

static void test_memory_and_configuration(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    f.free_bytes = GB;
    assert_non_null(strstr(only(&f, PREFLIGHT_STOPS, "memory")->text, "1024 MB are free"));
    f = good();
    f.start_page = false;
    only(&f, PREFLIGHT_DEGRADED, "low memory");
    f.enabled_count = f.core_count = 1;
    decide(&f);
    assert_int_equal(report.degraded, 0);
    f = good();
    config.vm_count = 2;
    config.vms[1] = config.vms[0];
    config.vms[1].vcpus = 2;
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "configuration")->text, "2 VMs with 3 vCPUs"));
    config.vms[1].vcpus = 1;
    decide(&f);
    assert_string_equal(line("configuration"), "2 VMs with 2 vCPUs");
    config.vm_count = 1;
    config.vms[0].vcpus = 9;
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "configuration")->text,
                           "1 VM with 9 vCPUs on"));
    config.vms[0].vcpus = 1;
    decide(&f);
    assert_string_equal(line("configuration"), "1 VM with 1 vCPU");
    config.vm_count = 0; /* what there is to do instead */
    decide(&f);
    assert_string_equal(line("configuration"), "this page alone");
    strcpy(config.explain, "cases");
    decide(&f);
    assert_string_equal(line("configuration"), "the cases of the VM-entry checks");
    strcpy(config.lab, "lab.elf");
    decide(&f);
    assert_string_equal(line("configuration"), "the laboratory");
    f = good();
    f.config = NULL;
    f.config_refusal = "trapline.cfg, line 3: no";
    assert_string_equal(only(&f, PREFLIGHT_STOPS, "configuration")->text, "trapline.cfg, line 3: no");
}

static void test_firmware_and_consoles(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    f.rsdp = 0;
    only(&f, PREFLIGHT_DEGRADED, "ACPI");
    f.rsdp = 1;
    f.acpi_tables = PREFLIGHT_ACPI_FADT;
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "ACPI")->text, "no MADT"));
    f.acpi_tables = 31 & ~PREFLIGHT_ACPI_FADT;
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "ACPI")->text, "no FADT"));
    f.acpi_tables = 31;
    decide(&f);
    assert_string_equal(line("ACPI"), "FADT, MADT, HPET, MCFG, DMAR (VT-d)");
    f.acpi_tables = 63;
    decide(&f);
    assert_string_equal(line("ACPI"), "FADT, MADT, HPET, MCFG, DMAR (VT-d), SPCR");
    f = good();
    f.serial[0] = false;
    f.serial[2] = f.serial[3] = true;
    f.secure_boot = PREFLIGHT_SECURE_BOOT_ON;
    decide(&f);
    assert_string_equal(line("serial"), "COM3 at 0x3e8, COM4 at 0x2e8");
    assert_non_null(strstr(line("Secure Boot"), "on"));
    f = good();
    f.serial[0] = false;
    only(&f, PREFLIGHT_DEGRADED, "serial");
    f.keyboard_controller = false;
    decide(&f);
    assert_true(line_is("keyboard", PREFLIGHT_DEGRADED));
    f.framebuffer.format = BOOT_PIXEL_NONE;
    decide(&f);
    assert_true(line_is("screen", PREFLIGHT_STOPS));
    f.acpi_tables |= PREFLIGHT_ACPI_SPCR;
    decide(&f);
    assert_true(line_is("screen", PREFLIGHT_DEGRADED));
    f.serial[1] = true;
    only(&f, PREFLIGHT_DEGRADED, "screen");
}

static void test_page_columns_and_cut(void **state)
{
    (void)state;
    static char page[PREFLIGHT_PAGE_BYTES];
    struct preflight_facts f = good();
    strcpy(f.hypervisor, "KVMKVMKVM");
    cores[0].vmx = false;
    f.serial[0] = false;
    decide(&f);
    size_t n = preflight_render(&report, "\r\n", page, sizeof(page));
    assert_int_equal(n, strlen(page));
    for (char *at = page; *at;) {
        char *end = strstr(at, "\r\n");
        assert_non_null(end);
        assert_true(end - at <= 79);
        at = end + 2;
    }
    assert_non_null(strstr(page, "STOPS     VT-x"));
    assert_non_null(strstr(page, "can't run it"));
    for (size_t room = 0; room < n; room += 7) { /* too little room: cut, terminated */
        char *small = malloc(room + 1);
        size_t got = preflight_render(&report, "\n", small, room);
        assert_true(room == 0 ? got == 0 : got < room && strlen(small) == got);
        free(small);
    }
}

static void test_page_summaries_and_long_words(void **state)
{
    (void)state;
    static char page[PREFLIGHT_PAGE_BYTES];
    struct preflight_facts f = good();
    decide(&f);
    preflight_render(&report, "\n", page, sizeof(page));
    assert_non_null(strstr(page, "all fine\n"));
    f.epoch_seconds = 0;
    decide(&f);
    preflight_render(&report, "\n", page, sizeof(page));
    assert_non_null(strstr(page, "1 line says"));
    f.invariant_tsc = false;
    decide(&f);
    preflight_render(&report, "\n", page, sizeof(page));
    assert_non_null(strstr(page, "2 lines say"));
    memset(report.lines[0].text, 'x', 120);
    report.lines[0].text[120] = 0;
    preflight_render(&report, "\n", page, sizeof(page));
    for (char *at = page; *at; at = strchr(at, '\n') + 1)
        assert_true(strchr(at, '\n') - at <= 79);
}

/* --- ACPI: tables in a page of memory that the map knows, and around it none --- */

#define AREA_BYTES 65536u

static struct boot_memory acpi_map[2];

static uint8_t *acpi_area(void)
{
    /* Below 4 GB, so that an RSDT can point to it. */
    uint8_t *area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    assert_true(area != MAP_FAILED);
    acpi_map[0] = (struct boot_memory){ (uintptr_t)area, AREA_BYTES / 2, BOOT_MEMORY_ACPI };
    acpi_map[1] = (struct boot_memory){ (uintptr_t)area + AREA_BYTES / 2, AREA_BYTES / 2,
                                        BOOT_MEMORY_FIRMWARE };
    return area;
}

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    memcpy(at, &value, bytes);
}

static void seal(uint8_t *at, unsigned bytes, unsigned sum_at)
{
    at[sum_at] = 0;
    uint8_t sum = 0;
    for (unsigned i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + at[i]);
    at[sum_at] = (uint8_t)-sum;
}

static void put_table(uint8_t *at, const char *signature, unsigned bytes)
{
    memcpy(at, signature, 4);
    put(at + 4, bytes, 4);
    seal(at, bytes, 9);
}

/* An RSDP of revision 0 at the start, an RSDT with so many tables. */
static void put_root(uint8_t *area, const uint64_t *tables, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        put(area + 0x100 + 36 + i * 4, tables[i], 4);
    put_table(area + 0x100, "RSDT", 36 + count * 4);
    memcpy(area, "RSD PTR ", 8);
    put(area + 16, (uintptr_t)area + 0x100, 4);
    seal(area, 20, 8);
}

static struct preflight_facts read_acpi(const uint8_t *area)
{
    struct preflight_facts facts = { .rsdp = (uintptr_t)area };
    struct acpi_host host;
    preflight_read_acpi(acpi_map, 2, &facts, &host);
    return facts;
}

static void test_acpi_tables_are_found(void **state)
{
    (void)state;
    uint8_t *m = acpi_area();
    const uint8_t s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 6, 2, 0x0a, 5, 0x0a, 5 };
    put_table(m + 0x1000, "FACP", 244);
    put_table(m + 0x2000, "APIC", 44);
    put_table(m + 0x3000, "DMAR", 48);
    memcpy(m + 0x4000 + 36, s5, sizeof(s5));
    put_table(m + 0x4000, "SSDT", 36 + sizeof(s5));
    put_root(m, (uint64_t[]){ (uintptr_t)m + 0x1000, (uintptr_t)m + 0x2000, (uintptr_t)m + 0x3000,
                              (uintptr_t)m + 0x4000 }, 4);
    struct preflight_facts facts = read_acpi(m);
    assert_int_equal(facts.acpi_tables,
                     PREFLIGHT_ACPI_FADT | PREFLIGHT_ACPI_MADT | PREFLIGHT_ACPI_DMAR);
    assert_int_equal(facts.acpi_bad_tables, 0);
    assert_true(facts.acpi_s5);
    munmap(m, AREA_BYTES);
}

/* ACPI specification "System Description Tables"; PCI Firmware specification "MCFG"; IA-PC HPET
 * specification; Microsoft "SPCR": what is there is said, each by itself. */
static void test_each_acpi_table_is_said(void **state)
{
    (void)state;
    static const struct { const char *signature; unsigned bytes, bit; } tables[] = {
        { "HPET", 56, PREFLIGHT_ACPI_HPET },
        { "MCFG", 60, PREFLIGHT_ACPI_MCFG },
        { "SPCR", 80, PREFLIGHT_ACPI_SPCR },
    };
    for (unsigned i = 0; i < 3; i++) {
        uint8_t *m = acpi_area(), *t = m + 0x1000;
        if (i == 0)
            put(t + 44, 0xfed00000, 8);
        if (i == 1) {
            put(t + 44, 0xe0000000, 8);
            t[55] = 0xff;
        }
        if (i == 2) {
            t[40] = 1;
            t[41] = 8;
            put(t + 44, 0x2f8, 8);
        }
        put_table(t, tables[i].signature, tables[i].bytes);
        put_root(m, (uint64_t[]){ (uintptr_t)t }, 1);
        assert_int_equal(read_acpi(m).acpi_tables, tables[i].bit);
        munmap(m, AREA_BYTES);
    }
}

/* None of these may be followed: there is nothing behind them, or no memory. */
static void test_acpi_pointers_to_nowhere(void **state)
{
    (void)state;
    uint8_t *m = acpi_area();
    put_table(m + 0x2000, "APIC", 44);
    put_table(m + AREA_BYTES / 2 - 40, "FACP", 244); /* across two ranges that touch */
    put_table(m + AREA_BYTES - 0x100, "HPET", 0x100);
    put(m + AREA_BYTES - 0x100 + 4, 0x1000, 4); /* its length leads out of memory */
    put_root(m, (uint64_t[]){ (uintptr_t)m + 0x2000, (uintptr_t)m + AREA_BYTES / 2 - 40,
                              0xfffff000, (uintptr_t)m + AREA_BYTES, 0x10,
                              (uintptr_t)m + AREA_BYTES - 0x100, 0 }, 7);
    struct preflight_facts facts = read_acpi(m);
    assert_int_equal(facts.acpi_tables, PREFLIGHT_ACPI_MADT | PREFLIGHT_ACPI_FADT);
    assert_int_equal(facts.acpi_bad_tables, 4); /* the empty entry is none */
    acpi_map[1].kind = BOOT_MEMORY_MMIO; /* registers are no tables */
    assert_int_equal(read_acpi(m).acpi_tables, PREFLIGHT_ACPI_MADT);
    put(m + 16, 0xfffff000, 4);
    seal(m, 20, 8);
    assert_int_equal(read_acpi(m).acpi_tables, 0);
    munmap(m, AREA_BYTES);
}

static void test_acpi_damage_is_said(void **state)
{
    (void)state;
    struct preflight_facts f = good();
    f.acpi_bad_tables = 3;
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "ACPI")->text, "3 tables left out"));
    f.acpi_bad_tables = 1;
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "ACPI")->text, "1 table left out: damag"));
    f.acpi_bad_tables = 0;
    f.acpi_s5 = false;
    assert_non_null(strstr(only(&f, PREFLIGHT_DEGRADED, "ACPI")->text, "no \\_S5: power-off by"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_machine_is_fine),
        cmocka_unit_test(test_execute_disable_switched_off),
        cmocka_unit_test(test_no_vtx),
        cmocka_unit_test(test_feature_control),
        cmocka_unit_test(test_other_cores),
        cmocka_unit_test(test_thin_mode_takes_all_cores_or_none),
        cmocka_unit_test(test_thin_mode_needs_little_memory),
        cmocka_unit_test(test_a_hybrid_machine_has_what_all_cores_have),
        cmocka_unit_test(test_every_profile_is_judged_as_the_policy_does),
        cmocka_unit_test(test_what_stops),
        cmocka_unit_test(test_what_is_only_slower),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_memory_and_configuration),
        cmocka_unit_test(test_firmware_and_consoles),
        cmocka_unit_test(test_page_columns_and_cut),
        cmocka_unit_test(test_page_summaries_and_long_words),
        cmocka_unit_test(test_acpi_tables_are_found),
        cmocka_unit_test(test_each_acpi_table_is_said),
        cmocka_unit_test(test_acpi_pointers_to_nowhere),
        cmocka_unit_test(test_acpi_damage_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
