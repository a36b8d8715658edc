/*
 * The machine in raw numbers, as a text for whoever wants to know why it behaves as it does: CPUID,
 * capability MSRs of each core, MTRRs, memory map, ACPI. Pure; host-tested.
 *
 * Not here: judgement (preflight.c).
 */
#ifndef BOOT_MACHINE_REPORT_H
#define BOOT_MACHINE_REPORT_H

#include "boot/preflight.h"
#include "x86/acpi_host.h"
#include "x86/mtrr.h"

#define MACHINE_REPORT_BYTES (96u * 1024)

struct machine_facts {
    char firmware_vendor[64];
    uint32_t firmware_revision, uefi_revision;
    const struct preflight_facts *check;
    const struct boot_info *info; /* memory map, framebuffer, processors, rate of the TSC */
    const struct acpi_host *acpi;
    const struct mtrr_state *mtrr; /* NULL: the processor has none */
    void (*cpuid)(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
};

/* Lines ended by CR LF. Returns the length; what does not fit is cut at the end of a line. */
size_t machine_report_render(const struct machine_facts *facts, char *out, size_t bytes);

#endif
