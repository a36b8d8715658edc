/*
 * What the machine's ACPI tables say, as far as Trapline needs it.
 *
 * Not here: the tables that a guest gets (hv/acpi_tables.h), AML beyond the one object \_S5.
 * ACPI specification "ACPI Software Programming Model"; IA-PC HPET and PCI Firmware specifications.
 */
#ifndef X86_ACPI_HOST_H
#define X86_ACPI_HOST_H

#include "hv/drv_uart16550.h"
#include "hv/types.h"

#define ACPI_HOST_MAX_CORES 256
#define ACPI_HOST_MAX_IOAPICS 16
#define ACPI_HOST_MAX_ECAM 16

/* In PCI configuration space, where only the reset register may be, an address is that of bus 0 as port
 * 0xcf8 wants it. */
enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_PORT = 1, ACPI_SPACE_PCI = 2 };

/* A register that the tables describe. address 0: there is none. */
struct acpi_register {
    enum acpi_space space;
    uint8_t size_bytes; /* of the access: 1, 2 or 4 */
    uint64_t address;
};

struct acpi_ioapic {
    uint8_t id;
    uint32_t gsi_base;
    uint64_t address;
};

/* One stretch of buses whose configuration space lies in memory (MCFG). */
struct acpi_ecam {
    uint64_t address; /* of bus 0, even when first_bus is not 0 */
    uint16_t segment;
    uint8_t first_bus, last_bus;
};

/* The serial port that firmware uses as its console (SPCR). */
struct acpi_spcr {
    bool present;
    struct uart_place place;
    bool on_pci; /* then it answers once this function decodes its addresses */
    struct pci_address pci;
};

struct acpi_host {
    bool present;       /* a root table that can be believed */
    uint8_t revision;   /* of the root pointer */
    unsigned bad_tables; /* left out: checksum, length or address wrong */

    /* MADT */
    bool madt;
    uint64_t lapic_address;
    unsigned core_count;
    uint32_t apic_ids[ACPI_HOST_MAX_CORES]; /* of enabled processors, in the table's order */
    unsigned cores_disabled;                /* listed and not enabled */
    unsigned cores_left_out;                /* enabled, beyond ACPI_HOST_MAX_CORES */
    unsigned ioapic_count;
    struct acpi_ioapic ioapics[ACPI_HOST_MAX_IOAPICS];

    /* FADT */
    bool fadt;
    bool hardware_reduced;
    bool has_8042;      /* meaningful from revision 3 of the FADT on, else true */
    uint16_t smi_command_port; /* 0: ACPI mode needs no switching on */
    uint8_t acpi_enable;       /* the value for it */
    struct acpi_register pm1a_status, pm1b_status;
    struct acpi_register pm1a_control, pm1b_control;
    struct acpi_register pm_timer;
    bool pm_timer_32bit;
    struct acpi_register reset;
    uint8_t reset_value;
    struct acpi_register sleep_control; /* hardware-reduced machines */

    /* \_S5 */
    bool s5;
    uint8_t s5_type_a, s5_type_b;

    uint64_t hpet_address; /* 0: none */

    unsigned ecam_count;
    struct acpi_ecam ecam[ACPI_HOST_MAX_ECAM];

    struct acpi_spcr spcr;

    uint64_t dmar_address; /* 0: none; checked, for the IOMMU code to read */
    uint32_t dmar_bytes;
    bool x2apic_opt_out;   /* DMAR: firmware asks not to enter x2APIC mode */
};

/* How the parser reaches physical memory: a pointer to `bytes` readable bytes, or NULL. What was
 * given out stays valid until the parser returns. */
struct acpi_memory {
    const void *(*map)(void *context, uint64_t physical, uint64_t bytes);
    void *context;
};

/* Reads what hangs on the root pointer at `rsdp` (0: none). Always fills *host; what is missing or
 * cannot be believed is left out. Bounded whatever the tables hold. Pure. */
void acpi_host_parse(const struct acpi_memory *memory, uint64_t rsdp, struct acpi_host *host);

/* Looks for `Name (\_S5, Package () {a, b, ...})` in AML bytes. Pure. */
bool acpi_find_s5(const uint8_t *aml, uint32_t bytes, uint8_t *type_a, uint8_t *type_b);

/* Reads a Serial Port Console Redirection table, header included. False, and *spcr as it was: it is
 * too short, its port is no 16550, or its address cannot be. Pure. */
bool acpi_spcr_read(const uint8_t *table, uint32_t bytes, struct acpi_spcr *spcr);

/* --- The machine's: acpi_machine.c ---------------------------------------------------------- */

/* Reads the machine's tables. Boot core, once. */
void acpi_host_init(uint64_t rsdp);
const struct acpi_host *acpi_host(void);

/* Makes the register usable: maps it when it lies in memory. False: there is none, or it cannot. */
bool acpi_register_map(const struct acpi_register *reg);
/* For a register that acpi_register_map has passed. */
uint32_t acpi_register_read(const struct acpi_register *reg);
void acpi_register_write(const struct acpi_register *reg, uint32_t value);

#endif
