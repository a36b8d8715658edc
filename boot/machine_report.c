/*
 * The machine in raw numbers. Pure; no lock.
 * SDM volume 2, "CPUID"; volume 3, "Memory Type Range Registers", "Capabilities of VMX".
 */
#include "boot/machine_report.h"

#include "hv/format.h"
#include "hv/string.h"
#include "x86/cpuid.h"

#define LINE_BYTES 200
#define MOST_BASIC_LEAVES 0x40u
#define MOST_EXTENDED_LEAVES 0x24u
#define MOST_SUBLEAVES 12u
#define LEAF_SERIAL_NUMBER 3u /* of the Pentium III: nobody's business */

struct page {
    char *out;
    size_t used, bytes;
};

static void say(struct page *page, const char *format, ...) HV_PRINTF(2, 3);

static void say(struct page *page, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    hv_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    size_t length = strlen(line);
    if (page->used + length + 3 > page->bytes) {
        page->bytes = page->used; /* nothing shorter comes behind the cut */
        return;
    }
    memcpy(page->out + page->used, line, length);
    memcpy(page->out + page->used + length, "\r\n", 3);
    page->used += length + 2;
}

/* --- CPUID --- */

static bool has_subleaves(uint32_t leaf)
{
    static const uint32_t leaves[] = { 4, 7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1a,
                                       0x1b, 0x1d, 0x1e, 0x1f, 0x20, 0x23, 0x24 };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(leaves); i++)
        if (leaves[i] == leaf)
            return true;
    return false;
}

/* False: there is nothing. The topology leaves repeat their subleaf, and the core's id. */
static bool say_leaf(struct page *page, const struct machine_facts *facts, uint32_t leaf,
                     uint32_t subleaf)
{
    uint32_t r[4];
    bool topology = leaf == 0xb || leaf == 0x1f;
    facts->cpuid(leaf, subleaf, r);
    if ((r[0] | r[1]) == 0 && (topology || (r[2] | r[3]) == 0))
        return false;
    say(page, "cpuid %08x.%u  %08x %08x %08x %08x", leaf, subleaf, r[0], r[1], r[2], r[3]);
    return true;
}

static void say_leaves(struct page *page, const struct machine_facts *facts, uint32_t first,
                       uint32_t most)
{
    uint32_t r[4];
    facts->cpuid(first, 0, r);
    if (r[0] < first)
        return;
    uint32_t last = first + (uint32_t)hv_min_u64(r[0] - first, most - 1);
    for (uint32_t leaf = first; leaf <= last; leaf++) {
        uint32_t subleaves = has_subleaves(leaf) ? MOST_SUBLEAVES : 1;
        for (uint32_t i = 0; leaf != LEAF_SERIAL_NUMBER && i < subleaves; i++)
            if (!say_leaf(page, facts, leaf, i) && leaf != 0xd && i > 0)
                break; /* leaf 0DH has holes, and some begin with an empty one */
    }
}

static void say_cpuid(struct page *page, const struct machine_facts *facts)
{
    say_leaves(page, facts, 0, MOST_BASIC_LEAVES);
    if (facts->check->hypervisor[0])
        say_leaves(page, facts, CPUID_LEAF_HYPERVISOR, 0x10);
    say_leaves(page, facts, CPUID_LEAF_EXTENDED, MOST_EXTENDED_LEAVES);
}

/* --- cores --- */

/* Of the boot core all of them, of each other core those that differ. */
static void say_core(struct page *page, const struct preflight_core *core,
                     const struct preflight_core *boot)
{
    say(page, "core with APIC id %u: %s, IA32_FEATURE_CONTROL 0x%llx", core->apic_id,
        core->vmx ? "VMX" : "no VMX", (unsigned long long)core->feature_control);
#define VMX_CAP_MSR(index_, field_, name_)                                                         \
    if (core->caps.field_ != (core == boot ? 0 : boot->caps.field_))                               \
        say(page, "  msr %03x %-30s %016llx", index_, #name_,                                      \
            (unsigned long long)core->caps.field_);
#include "arch/x86/vmx/vmx_cap_msrs.def"
#undef VMX_CAP_MSR
}

static void say_cores(struct page *page, const struct machine_facts *facts)
{
    const struct preflight_facts *check = facts->check;
    say(page, "cores: %u answered, %u enabled by MP services, %u in the MADT (%u more disabled)",
        check->core_count, check->enabled_count, facts->acpi->core_count,
        facts->acpi->cores_disabled);
    for (uint32_t i = 0; i < check->core_count; i++)
        say_core(page, &check->cores[i], &check->cores[0]);
}

/* --- memory --- */

static void say_mtrrs(struct page *page, const struct mtrr_state *mtrr)
{
    if (!mtrr) {
        say(page, "MTRRs: none");
        return;
    }
    say(page, "MTRRs: cap %llx, default %llx", (unsigned long long)mtrr->cap,
        (unsigned long long)mtrr->def_type);
    for (unsigned i = 0; i < HV_ARRAY_COUNT(mtrr->fixed); i++)
        say(page, "  fixed %2u %016llx", i, (unsigned long long)mtrr->fixed[i]);
    for (unsigned i = 0; i < mtrr->variable_count; i++)
        say(page, "  variable %2u base %012llx mask %012llx", i,
            (unsigned long long)mtrr->variable[i].base, (unsigned long long)mtrr->variable[i].mask);
}

static void say_memory(struct page *page, const struct boot_info *info)
{
    static const char *const kinds[] = {
        [BOOT_MEMORY_FREE] = "free",          [BOOT_MEMORY_TRAPLINE] = "Trapline",
        [BOOT_MEMORY_FIRMWARE] = "firmware",  [BOOT_MEMORY_ACPI] = "ACPI",
        [BOOT_MEMORY_MMIO] = "registers",     [BOOT_MEMORY_RECLAIM] = "boot services",
    };
    say(page, "memory map: %u ranges", info->memory_count);
    for (uint32_t i = 0; i < info->memory_count; i++)
        say(page, "  %012llx %12llu KB %s", (unsigned long long)info->memory[i].start,
            (unsigned long long)(info->memory[i].bytes >> 10),
            info->memory[i].kind < HV_ARRAY_COUNT(kinds) ? kinds[info->memory[i].kind] : "?");
}

/* --- ACPI --- */

static void say_register(struct page *page, const char *name, const struct acpi_register *reg)
{
    static const char *const spaces[] = {
        [ACPI_SPACE_MEMORY] = "memory", [ACPI_SPACE_PORT] = "port", [ACPI_SPACE_PCI] = "PCI",
    };
    if (reg->address)
        say(page, "  %s: %s %llx, %u bytes", name, spaces[reg->space],
            (unsigned long long)reg->address, reg->size_bytes);
}

static void say_acpi(struct page *page, const struct machine_facts *facts)
{
    const struct acpi_host *acpi = facts->acpi;
    say(page, "ACPI: root %llx revision %u, %u bad tables%s%s%s%s%s",
        (unsigned long long)facts->info->rsdp, acpi->revision, acpi->bad_tables,
        acpi->madt ? ", MADT" : "", acpi->fadt ? ", FADT" : "",
        acpi->hardware_reduced ? ", hardware-reduced" : "", acpi->has_8042 ? ", 8042" : "",
        acpi->x2apic_opt_out ? ", x2APIC opt-out" : "");
    if (acpi->s5)
        say(page, "  _S5: %u, %u", acpi->s5_type_a, acpi->s5_type_b);
    say_register(page, "PM1a control", &acpi->pm1a_control);
    say_register(page, "PM1b control", &acpi->pm1b_control);
    say_register(page, "PM timer", &acpi->pm_timer);
    say_register(page, "reset", &acpi->reset);
    say_register(page, "sleep control", &acpi->sleep_control);
    if (acpi->hpet_address)
        say(page, "  HPET: %llx", (unsigned long long)acpi->hpet_address);
    if (acpi->dmar_address)
        say(page, "  DMAR: %llx, %u bytes", (unsigned long long)acpi->dmar_address,
            acpi->dmar_bytes);
    for (unsigned i = 0; i < acpi->ecam_count; i++)
        say(page, "  ECAM: %llx, buses %u to %u", (unsigned long long)acpi->ecam[i].address,
            acpi->ecam[i].first_bus, acpi->ecam[i].last_bus);
}

size_t machine_report_render(const struct machine_facts *facts, char *out, size_t bytes)
{
    struct page page = { out, 0, bytes };
    const struct boot_framebuffer *screen = &facts->info->framebuffer;

    out[0] = 0;
    say(&page, "Trapline: the machine in numbers (hexadecimal without 0x where columns are)");
    say(&page, "firmware: %s, revision 0x%x, UEFI 0x%x", facts->firmware_vendor,
        facts->firmware_revision, facts->uefi_revision);
    say(&page, "TSC by firmware's wait: %llu Hz",
        (unsigned long long)facts->info->firmware_tsc_hz);
    say(&page, "framebuffer: %u x %u, %u bytes a line, at %llx", screen->width, screen->height,
        screen->pitch_bytes, (unsigned long long)screen->start);
    say(&page, "page to start cores from: %llx", (unsigned long long)facts->info->start_page);
    say_cpuid(&page, facts);
    say_cores(&page, facts);
    say_mtrrs(&page, facts->mtrr);
    say_acpi(&page, facts);
    say_memory(&page, facts->info);
    return page.used;
}
