/*
 * PCI bus 0: host bridge, configuration mechanism #1 (ports 0xCF8 to 0xCFF), enhanced configuration
 * (ECAM, MMIO), the reset control register at port 0xCF9, and the four interrupt wires.
 *
 * Source: PCI Local Bus Specification 3.0, "Configuration Space" and "Generating Configuration
 * Transactions"; PCI Express Base Specification, "Enhanced Configuration Access Mechanism";
 * PIIX3 data sheet, "RC: Reset Control Register".
 * Lock: the bus lock, for every function here.
 */
#ifndef HV_DEV_PCI_HOST_H
#define HV_DEV_PCI_HOST_H

#include "hv/device.h"

#define PCI_HOST_PORT 0xCF8u
#define PCI_HOST_PORT_BYTES 8u
/* One bus is the region to register; PCIEXBAR's smallest size is the address space to keep free. */
#define PCI_HOST_ECAM_BYTES 0x100000u
#define PCI_HOST_ECAM_RESERVED 0x4000000u
#define PCI_HOST_MAX_FUNCTIONS 32u
#define PCI_HOST_FUNCTIONS 256u /* places on the bus */
#define PCI_CONFIG_BYTES 256u
#define PCI_CONFIG_EXTENDED_BYTES 4096u

/* Tags of the host's regions */
enum pci_host_region { PCI_HOST_PORTS, PCI_HOST_ECAM };

/* Configuration header offsets */
#define PCI_VENDOR_ID 0x00u
#define PCI_DEVICE_ID 0x02u
#define PCI_COMMAND 0x04u
#define PCI_STATUS 0x06u
#define PCI_REVISION 0x08u
#define PCI_CLASS 0x09u /* three bytes: interface, sub-class, base class */
#define PCI_HEADER_TYPE 0x0Eu
#define PCI_BAR0 0x10u
#define PCI_SUBSYSTEM_VENDOR 0x2Cu
#define PCI_SUBSYSTEM_ID 0x2Eu
#define PCI_ROM_BAR 0x30u
#define PCI_CAPABILITIES 0x34u
#define PCI_INTERRUPT_LINE 0x3Cu
#define PCI_INTERRUPT_PIN 0x3Du

#define PCI_COMMAND_IO (1u << 0)
#define PCI_COMMAND_MEMORY (1u << 1)
#define PCI_COMMAND_MASTER (1u << 2)
#define PCI_COMMAND_INTX_DISABLE (1u << 10)
#define PCI_STATUS_INTERRUPT (1u << 3)
#define PCI_STATUS_CAPABILITIES (1u << 4)

#define PCI_DEVFN(device, function) ((uint8_t)((device) << 3 | (function)))

enum pci_bar_kind { PCI_BAR_IO, PCI_BAR_MEMORY32, PCI_BAR_MEMORY64 };

/*
 * One function. Its device owns the storage: `config` and the masks have `config_bytes` bytes each.
 * A bit that is set in `writable` takes what the guest writes; one set in `write_1_clears` is
 * cleared by writing 1; all others are read-only.
 */
struct pci_function {
    uint8_t devfn;
    uint16_t config_bytes; /* 256 or 4096 */
    uint8_t *config;
    uint8_t *writable;
    uint8_t *write_1_clears; /* may be NULL */
    /* Before a read of [offset, offset + size): refresh what changes by itself. May be NULL. */
    void (*before_read)(struct pci_function *function, unsigned offset, unsigned size_bytes);
    /* After a write has been merged. BARs and command may have moved. May be NULL. */
    void (*written)(struct pci_function *function, unsigned offset, unsigned size_bytes);
    uint16_t capabilities_end; /* 0: none yet; use pci_function_add_capability */
    bool intx; /* level of this function's interrupt pin; use pci_host_set_intx */
};

struct pci_host_state {
    uint32_t address; /* CONFADD, port 0xCF8 */
    uint8_t reset_control;
    uint8_t bridge_config[PCI_CONFIG_BYTES];
};

struct pci_host {
    struct device device;
    struct pci_host_state state;
    struct pci_function bridge;
    struct pci_function *functions[PCI_HOST_MAX_FUNCTIONS];
    unsigned count;
    struct irq_line wires[4]; /* PIRQA to PIRQD */
    const struct vm_control *control;
    uint8_t bridge_writable[PCI_CONFIG_BYTES];
    uint64_t ecam_base;
    uint8_t *mirror; /* a page that shows the bridge to readers of ECAM, or NULL */
};

/* Bus 0 with the host bridge at 0:0.0 (8086:29C0). `ecam_base` is shown in the bridge's PCIEXBAR
 * (read-only here; a multiple of 64 MB), 0 when there is no ECAM. `wires` are PIRQA to PIRQD.
 * `control` must outlive the device. */
void pci_host_init(struct pci_host *host, uint64_t ecam_base, const struct irq_line wires[4],
                   const struct vm_control *control);

/* Keeps in `page` (4 KB) what ECAM reads of the host bridge give: they have no side effects. NULL: no
 * longer. */
void pci_host_set_mirror(struct pci_host *host, uint8_t *page);

/* Is there no function at this place? */
bool pci_host_is_vacant(const struct pci_host *host, uint8_t devfn);

/* Adds a function. HV_ERR_EXISTS: the place is taken; HV_ERR_NO_MEMORY: too many; HV_ERR_INVALID:
 * no storage or a wrong size. */
enum hv_err pci_host_add(struct pci_host *host, struct pci_function *function) HV_MUST_CHECK;

/* One configuration access; every path ends here. `devfn` on bus 0; `offset` below 4096, and the
 * access must not cross a dword. A missing function reads all ones and ignores writes. */
uint32_t pci_host_config_read(struct pci_host *host, unsigned bus, uint8_t devfn, unsigned offset,
                              unsigned size_bytes);
void pci_host_config_write(struct pci_host *host, unsigned bus, uint8_t devfn, unsigned offset,
                           unsigned size_bytes, uint32_t value);

/* Sets the function's interrupt pin (as its Interrupt Pin register says); wires are shared (OR).
 * Wire = (device + pin) mod 4, as the _PRT of the ACPI tables says. */
void pci_host_set_intx(struct pci_host *host, struct pci_function *function, bool level);

/* ---- for devices that fill in their function ---- */

void pci_function_put16(struct pci_function *function, unsigned offset, uint16_t value);
void pci_function_put32(struct pci_function *function, unsigned offset, uint32_t value);
uint16_t pci_function_get16(const struct pci_function *function, unsigned offset);
uint32_t pci_function_get32(const struct pci_function *function, unsigned offset);

/* Identity, command register's write mask, header type 0. */
void pci_function_identify(struct pci_function *function, uint16_t vendor, uint16_t device,
                           uint32_t class_code, uint8_t revision);

/* Declares BAR `index` (0-5): size is a power of two, at least 16 (memory; 4 for I/O). Sizing by
 * writing all ones follows from the write mask. HV_ERR_INVALID otherwise. */
enum hv_err pci_function_set_bar(struct pci_function *function, unsigned index,
                                 enum pci_bar_kind kind, uint64_t size_bytes,
                                 bool prefetchable) HV_MUST_CHECK;

/* Where BAR `index` is now. false: decoding is off in the command register, the BAR is absent, or
 * it holds an address at which it would wrap (as it does while being sized). */
bool pci_function_bar(const struct pci_function *function, unsigned index, uint64_t *base,
                      uint64_t *size_bytes);

/* Appends a capability of `bytes` bytes (id and next included); returns its offset, 0 if it does
 * not fit. */
unsigned pci_function_add_capability(struct pci_function *function, uint8_t id, unsigned bytes);

#endif
