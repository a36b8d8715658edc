/*
 * Writes ACPI Machine Language into a bounded buffer: as much of it as a static DSDT needs.
 *
 * Every function appends; once something did not fit, `overflow` is set and nothing more is
 * written. Package lengths are reserved in their three-byte form and filled in by aml_end.
 * Pure; no lock. Source: ACPI specification, "ACPI Machine Language (AML) Specification" and
 * "Resource Data Types for ACPI".
 */
#ifndef VMM_CORE_AML_H
#define VMM_CORE_AML_H

#include "hv/types.h"

#define AML_MAX_DEPTH 8u

struct aml {
    uint8_t *buffer;
    size_t limit;
    size_t used;
    bool overflow;
    unsigned depth;
    size_t open[AML_MAX_DEPTH]; /* where the package lengths of the open terms stand */
    size_t template_start;      /* of the open resource template's data */
};

void aml_byte(struct aml *aml, uint8_t value);
void aml_word(struct aml *aml, uint16_t value);
void aml_dword(struct aml *aml, uint32_t value);

/* A path as it stands in AML source: "\\_SB", "_HID", "\\_SB.PCI0". Segments have 4 characters. */
void aml_path(struct aml *aml, const char *path);

/* An integer in its shortest form. */
void aml_integer(struct aml *aml, uint32_t value);

/* "PNP0A03" as the integer that EisaId() makes. */
uint32_t aml_eisa_id(const char *id);

/* Terms with a package length; each is closed by aml_end. */
void aml_scope(struct aml *aml, const char *path);
void aml_device(struct aml *aml, const char *name);
void aml_method(struct aml *aml, const char *path, unsigned arguments);
void aml_package(struct aml *aml, uint8_t elements);
void aml_end(struct aml *aml);

void aml_name(struct aml *aml, const char *name); /* Name (name, <the next object>) */
void aml_name_integer(struct aml *aml, const char *name, uint32_t value);
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id);

/* A resource template, as the value of _CRS. */
void aml_crs_begin(struct aml *aml);
void aml_crs_io(struct aml *aml, uint16_t base, uint8_t bytes);
void aml_crs_irq(struct aml *aml, unsigned irq); /* edge, active high, exclusive */
/* An interrupt of the I/O APIC: edge, active high, exclusive. */
void aml_crs_gsi(struct aml *aml, uint32_t gsi);
void aml_crs_memory32(struct aml *aml, uint32_t base, uint32_t bytes);
void aml_crs_bus_window(struct aml *aml, uint16_t first, uint16_t last);
void aml_crs_io_window(struct aml *aml, uint16_t first, uint16_t last);
void aml_crs_memory_window(struct aml *aml, uint32_t first, uint32_t last);
void aml_crs_end(struct aml *aml);

#endif
