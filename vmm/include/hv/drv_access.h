/*
 * Registers of the machine's own devices, in memory or I/O space, and the PCI configuration space,
 * as the drivers see them: so that they run on the host under a test with a fake device behind them.
 * Drivers only; emulated devices have the bus.
 */
#ifndef HV_DRV_ACCESS_H
#define HV_DRV_ACCESS_H

#include "hv/types.h"

enum hv_space { HV_SPACE_MEMORY, HV_SPACE_PORT };

struct hv_access {
    /* One access of 1, 2 or 4 bytes, naturally aligned. */
    uint32_t (*read)(void *ctx, enum hv_space space, uint64_t address, unsigned bytes);
    void (*write)(void *ctx, enum hv_space space, uint64_t address, unsigned bytes, uint32_t value);
    /* Makes registers in memory usable; false: they cannot be (logged). Before the first access. */
    bool (*map)(void *ctx, uint64_t address, uint64_t bytes);
    void (*pause)(void *ctx); /* between two looks at a register */
    uint64_t (*now_us)(void *ctx); /* a clock that never goes back */
    void *ctx;
};

/* The machine's real registers (arch/x86/cpu/device_access.c). Its clock stands until the TSC's
 * rate is known. */
extern const struct hv_access hv_machine_access;

struct pci_address {
    uint16_t segment;
    uint8_t bus, device, function;
};

/* Buses of a segment that can be reached. */
struct pci_range {
    uint16_t segment;
    uint8_t first_bus, last_bus;
};

#define HV_PCI_MAX_RANGES 8

struct hv_pci {
    /* 4 bytes at a multiple of 4 below 256; all ones: nobody answers. */
    uint32_t (*read)(void *ctx, struct pci_address at, unsigned offset);
    void (*write)(void *ctx, struct pci_address at, unsigned offset, uint32_t value);
    void *ctx;
    unsigned range_count;
    struct pci_range ranges[HV_PCI_MAX_RANGES];
};

/* The machine's configuration space (arch/x86/cpu/pci_machine.c). Boot core, after the ACPI tables
 * were read; constant. */
const struct hv_pci *hv_machine_pci(void);

#endif
