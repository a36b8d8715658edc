/*
 * The machine's own PCI functions: who is there, where its registers are, and switching it on.
 *
 * Not the emulated bus (hv/dev_pci_host.h). Nothing is assigned here: firmware has done that, and
 * what it left without an address stays unused. Lock: the caller's; boot core only.
 * PCI Local Bus specification 3.0 "Configuration Space Organization", "Base Addresses"; PCI Bus
 * Power Management Interface specification "Power Management Register Block".
 */
#ifndef HV_DRV_PCI_H
#define HV_DRV_PCI_H

#include "hv/drv_access.h"

#define PCI_COMMAND_IO 0x1u
#define PCI_COMMAND_MEMORY 0x2u
#define PCI_COMMAND_MASTER 0x4u

#define PCI_BARS 6

struct pci_function {
    struct pci_address at;
    uint16_t vendor, device;
    uint8_t class_code, subclass, interface;
};

/* What a base address register says. `bytes` 0: it is not there, or has no address. */
struct pci_bar {
    enum hv_space space;
    uint64_t address;
    uint64_t bytes;
};

/* Shows every ordinary function (no bridges) to `visit`, until that returns false. Every bus is
 * looked at, as several may be roots; bounded by the ranges that the machine has. */
void pci_scan(const struct hv_pci *pci, bool (*visit)(void *ctx, const struct pci_function *function),
              void *ctx);

/* Reads and sizes a base address register; the function does not decode its addresses meanwhile. */
struct pci_bar pci_read_bar(const struct hv_pci *pci, const struct pci_function *function,
                            unsigned index);

/* Sets PCI_COMMAND_ bits, and clears none; interrupts by INTx are off then. */
void pci_enable(const struct hv_pci *pci, struct pci_address at, uint32_t command);

/* Clears PCI_COMMAND_ bits. */
void pci_disable(const struct hv_pci *pci, struct pci_address at, uint32_t command);

/* Wakes a function that sleeps (D0), and gives it the 10 ms that it may take, and its addresses again,
 * which most forget. False: it stays asleep. A function that cannot sleep is awake. */
bool pci_wake(const struct hv_pci *pci, struct pci_address at, const struct hv_access *access);

#endif
