/*
 * Which cores shall be started. Pure; host-tested.
 */
#ifndef X86_CORE_LIST_H
#define X86_CORE_LIST_H

#include "hv/types.h"

#define CORE_LIST_MOST 255 /* beside the boot core */

/* Somebody's list of the enabled processors' APIC ids. */
struct core_ids {
    const uint32_t *ids;
    unsigned count; /* 0: there is no such list */
};

struct core_list {
    uint32_t ids[CORE_LIST_MOST]; /* without the boot core's */
    unsigned count;
    unsigned unreachable; /* left out: their ids are only reached in x2APIC mode */
    unsigned beyond;      /* left out: more than CORE_LIST_MOST */
    bool known;           /* false: nobody has a list */
};

/* From the ACPI tables' list and firmware's, of which the longer one holds: a table that names fewer
 * cores than firmware has started is wrong. In xAPIC mode ids go up to 0xfe (0xff is everybody). */
void core_list_make(struct core_ids acpi, struct core_ids firmware, uint32_t boot_core, bool x2apic,
                    struct core_list *out);

#endif
