/*
 * The machine in raw numbers, onto the stick: \trapline\machine.txt.
 *
 * Not here: the text (machine_report.c). No lock: one core runs.
 */
#include "boot/machine_report.h"
#include "boot/uefi.h"
#include "x86/cpuid.h"
#include "x86/insn.h"

#define REPORT_FILE "machine.txt"

/* Too large for firmware's stack. */
struct report {
    struct machine_facts facts;
    struct acpi_host acpi;
    struct mtrr_state mtrr;
    char text[MACHINE_REPORT_BYTES];
};

static void read_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    struct cpuid_regs r = cpuid(leaf, subleaf);
    out[0] = r.eax;
    out[1] = r.ebx;
    out[2] = r.ecx;
    out[3] = r.edx;
}

static uint64_t read_msr(void *context, uint32_t index)
{
    (void)context;
    return rdmsr(index);
}

static void copy_vendor(const CHAR16 *from, char *to, size_t bytes)
{
    size_t used = 0;
    for (; from && from[used] && used + 1 < bytes; used++)
        to[used] = from[used] >= ' ' && from[used] <= '~' ? (char)from[used] : '?';
    to[used] = 0;
}

static void collect(struct boot *boot, const struct preflight_facts *check, struct report *report)
{
    struct machine_facts *facts = &report->facts;
    bool has_mtrrs = cpuid(CPUID_LEAF_FEATURES, 0).edx & CPUID_1_EDX_MTRR;
    struct preflight_facts ignored = { .rsdp = boot->info->rsdp };

    copy_vendor(boot->system->FirmwareVendor, facts->firmware_vendor,
                sizeof(facts->firmware_vendor));
    facts->firmware_revision = boot->system->FirmwareRevision;
    facts->uefi_revision = boot->system->Hdr.Revision;
    facts->check = check;
    facts->info = boot->info;
    facts->cpuid = read_cpuid;
    preflight_read_acpi(boot->info->memory, boot->info->memory_count, &ignored, &report->acpi);
    facts->acpi = &report->acpi;
    if (has_mtrrs &&
        mtrr_read(&report->mtrr, read_msr, NULL, check->cores[0].caps.physical_address_bits, true,
                  false) == HV_OK)
        facts->mtrr = &report->mtrr;
}

const char *boot_machine_write(struct boot *boot, const struct preflight_facts *check)
{
    struct report *report = (struct report *)boot_allocate(boot, sizeof(struct report));
    if (!report)
        return "there is no memory for it";
    collect(boot, check, report);
    size_t bytes = machine_report_render(&report->facts, report->text, sizeof(report->text));
    const char *why = boot_log_write(boot, REPORT_FILE, report->text, bytes);
    boot_free(boot, (uint64_t)report);
    return why;
}
