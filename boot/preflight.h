/*
 * The machine check: facts in, one readable page out. Every line is fine, degraded (what is lost)
 * or stops (what to do).
 *
 * Not here: how the facts are found (preflight_facts.c). Pure; host-tested.
 * SDM volume 3, "Discovering Support for VMX", "VPID and EPT Capabilities".
 */
#ifndef BOOT_PREFLIGHT_H
#define BOOT_PREFLIGHT_H

#include "hv/boot_info.h"
#include "hv/drv_uart16550.h"
#include "x86/vmx_caps.h"

#define PREFLIGHT_MAX_CORES 256
#define PREFLIGHT_MAX_LINES 29
#define PREFLIGHT_SUBJECT_BYTES 18
#define PREFLIGHT_TEXT_BYTES 360
#define PREFLIGHT_PAGE_BYTES 12288

/* What one core said of itself. */
struct preflight_core {
    uint32_t apic_id;
    bool vmx;                 /* CPUID.1:ECX.VMX; the rest is 0 without it */
    uint64_t feature_control; /* IA32_FEATURE_CONTROL */
    struct vmx_caps caps;
};

enum preflight_secure_boot {
    PREFLIGHT_SECURE_BOOT_UNKNOWN,
    PREFLIGHT_SECURE_BOOT_OFF,
    PREFLIGHT_SECURE_BOOT_ON,
};

/* ACPI tables that Trapline has a use for. */
enum preflight_acpi {
    PREFLIGHT_ACPI_FADT = 1 << 0,
    PREFLIGHT_ACPI_MADT = 1 << 1,
    PREFLIGHT_ACPI_HPET = 1 << 2,
    PREFLIGHT_ACPI_MCFG = 1 << 3,
    PREFLIGHT_ACPI_DMAR = 1 << 4,
    PREFLIGHT_ACPI_SPCR = 1 << 5,
};

struct preflight_facts {
    char vendor[13];
    char brand[49];          /* empty: the processor does not say */
    uint32_t signature;      /* CPUID.1:EAX */
    char hypervisor[13];     /* empty: nobody runs below us */
    bool nx;                 /* pages can be kept from execution */
    bool invariant_tsc;
    bool tsc_deadline;
    /* The boot core first. Cores that did not answer are not among them. */
    const struct preflight_core *cores;
    uint32_t core_count;     /* at least 1 */
    uint32_t enabled_count;  /* by MP Services; 0: firmware does not have them */
    uint64_t free_bytes;
    bool start_page;
    uint64_t rsdp;           /* 0: no ACPI */
    uint32_t acpi_tables;    /* enum preflight_acpi */
    uint32_t acpi_bad_tables;/* damaged, or where there is no memory */
    bool acpi_s5;            /* the values that switch the machine off were found */
    enum preflight_secure_boot secure_boot;
    bool serial[UART_HOST_PORTS];
    bool keyboard_controller;/* an i8042 answers */
    struct boot_framebuffer framebuffer;
    uint64_t epoch_seconds;  /* 0: the clock could not be read */
    const struct config *config; /* NULL: it could not be read */
    const char *config_refusal;  /* then: why */
};

enum preflight_verdict { PREFLIGHT_FINE, PREFLIGHT_DEGRADED, PREFLIGHT_STOPS };

struct preflight_line {
    enum preflight_verdict verdict;
    char subject[PREFLIGHT_SUBJECT_BYTES];
    char text[PREFLIGHT_TEXT_BYTES];
};

struct preflight_report {
    struct preflight_line lines[PREFLIGHT_MAX_LINES];
    unsigned count;
    unsigned degraded, stops; /* how many lines are */
};

/* Judges. */
void preflight_decide(const struct preflight_facts *facts, struct preflight_report *report);

/* The report as text of at most 79 columns, each line ended by `eol`. Returns its length; a page
 * that does not fit is cut. */
size_t preflight_render(const struct preflight_report *report, const char *eol, char *out,
                        size_t bytes);

struct acpi_host;

/* Fills acpi_tables and what follows it, and *host, from facts->rsdp and the memory map's ranges. */
void preflight_read_acpi(const struct boot_memory *ranges, uint32_t count,
                         struct preflight_facts *facts, struct acpi_host *host);

#endif
