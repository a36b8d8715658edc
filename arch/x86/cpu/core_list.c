/*
 * Which cores shall be started: from the lists of ACPI and of firmware.
 *
 * Not here: starting them (smp.c). Pure; no lock.
 * ACPI specification "Multiple APIC Description Table (MADT)"; SDM volume 3 "Determining IPI
 * Destination", "x2APIC IDs and Related Tables".
 */
#include "x86/core_list.h"

#include "hv/string.h"

#define XAPIC_HIGHEST_ID 0xfeu

static bool has(const struct core_list *list, uint32_t id)
{
    for (unsigned i = 0; i < list->count; i++)
        if (list->ids[i] == id)
            return true;
    return false;
}

void core_list_make(struct core_ids acpi, struct core_ids firmware, uint32_t boot_core, bool x2apic,
                    struct core_list *out)
{
    struct core_ids from = firmware.count > acpi.count ? firmware : acpi;

    memset(out, 0, sizeof(*out));
    out->known = from.count > 0;
    for (unsigned i = 0; i < from.count; i++) {
        uint32_t id = from.ids[i];
        if (id == boot_core || has(out, id))
            continue;
        if (id > XAPIC_HIGHEST_ID && !x2apic)
            out->unreachable++;
        else if (out->count == CORE_LIST_MOST)
            out->beyond++;
        else
            out->ids[out->count++] = id;
    }
}
