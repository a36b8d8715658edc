/*
 * Where the machine check's facts come from.
 */
#ifndef BOOT_PREFLIGHT_FACTS_H
#define BOOT_PREFLIGHT_FACTS_H

#include "boot/preflight.h"
#include "boot/uefi.h"

/* Asks processors and firmware. Changes nothing in the machine. `cores` has room for
 * PREFLIGHT_MAX_CORES and becomes part of the facts. Needs boot_find_machine() before. */
void preflight_collect(struct boot *boot, struct preflight_core *cores,
                       struct preflight_facts *facts);

#endif
