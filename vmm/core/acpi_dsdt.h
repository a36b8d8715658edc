/*
 * The contents of the DSDT. Shared by acpi_tables.c and acpi_dsdt.c only.
 */
#ifndef VMM_CORE_ACPI_DSDT_H
#define VMM_CORE_ACPI_DSDT_H

#include "aml.h"
#include "hv/acpi_tables.h"

/* Appends the DSDT's terms, without its table header. */
void acpi_dsdt_emit(struct aml *aml, const struct acpi_config *config);

#endif
