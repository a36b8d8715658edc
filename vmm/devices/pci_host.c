/*
 * PCI bus 0: host bridge, both ways to configuration space, reset control, interrupt wires.
 *
 * A configuration register is a byte with two masks (what the guest may write, what writing 1
 * clears); everything else of a function is its device's. There is one bus and no bridge behind the
 * host bridge. The bridge's PCIEXBAR is read-only.
 *
 * Lock: the bus lock.
 * Source: PCI Local Bus Specification 3.0, "Configuration Space", "Software Generation of
 * Configuration Transactions"; Intel Q35 data sheet, "CONFIG_ADDRESS", "PCIEXBAR"; PIIX3 data
 * sheet, "RC: Reset Control Register".
 */
#include "hv/dev_pci_host.h"
#include "hv/string.h"

#define CONFIG_ENABLE (1u << 31)
#define CONFIG_ADDRESS_WRITABLE 0x80FFFFFCu
#define PORT_ADDRESS 0u
#define PORT_RESET_CONTROL 1u
#define PORT_DATA 4u

#define RESET_HARD (1u << 1)
#define RESET_NOW (1u << 2) /* its rise resets */
#define RESET_FULL (1u << 3)

#define BRIDGE_PCIEXBAR 0x60u
#define PCIEXBAR_64MB (2u << 1)
#define PCIEXBAR_ENABLE 1u

#define BAR_IO 1u
#define BAR_64 4u
#define BAR_PREFETCHABLE 8u

/* ---- functions ---- */

void pci_function_put16(struct pci_function *function, unsigned offset, uint16_t value)
{
    function->config[offset] = (uint8_t)value;
    function->config[offset + 1] = (uint8_t)(value >> 8);
}

void pci_function_put32(struct pci_function *function, unsigned offset, uint32_t value)
{
    pci_function_put16(function, offset, (uint16_t)value);
    pci_function_put16(function, offset + 2, (uint16_t)(value >> 16));
}

uint16_t pci_function_get16(const struct pci_function *function, unsigned offset)
{
    return (uint16_t)(function->config[offset] | function->config[offset + 1] << 8);
}

uint32_t pci_function_get32(const struct pci_function *function, unsigned offset)
{
    return pci_function_get16(function, offset) |
           (uint32_t)pci_function_get16(function, offset + 2) << 16;
}

static void put_mask32(struct pci_function *function, unsigned offset, uint32_t mask)
{
    for (unsigned i = 0; i < 4; i++)
        function->writable[offset + i] = (uint8_t)(mask >> (i * 8));
}

static uint32_t get_mask32(const struct pci_function *function, unsigned offset)
{
    uint32_t mask = 0;
    for (unsigned i = 0; i < 4; i++)
        mask |= (uint32_t)function->writable[offset + i] << (i * 8);
    return mask;
}

void pci_function_identify(struct pci_function *function, uint16_t vendor, uint16_t device,
                           uint32_t class_code, uint8_t revision)
{
    const uint16_t command =
        PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;

    pci_function_put16(function, PCI_VENDOR_ID, vendor);
    pci_function_put16(function, PCI_DEVICE_ID, device);
    pci_function_put32(function, PCI_REVISION, class_code << 8 | revision);
    function->writable[PCI_COMMAND] = (uint8_t)command;
    function->writable[PCI_COMMAND + 1] = (uint8_t)(command >> 8);
    function->writable[PCI_INTERRUPT_LINE] = 0xFF;
}

enum hv_err pci_function_set_bar(struct pci_function *function, unsigned index,
                                 enum pci_bar_kind kind, uint64_t size_bytes, bool prefetchable)
{
    unsigned offset = PCI_BAR0 + index * 4;
    uint64_t smallest = kind == PCI_BAR_IO ? 4 : 16;
    uint64_t largest = kind == PCI_BAR_IO         ? 0x10000
                       : kind == PCI_BAR_MEMORY32 ? UINT64_C(1) << 31
                                                  : UINT64_C(1) << 62;

    if (index > 5 || (kind == PCI_BAR_MEMORY64 && index == 5) || size_bytes < smallest ||
        size_bytes > largest || (size_bytes & (size_bytes - 1)) != 0 ||
        (kind == PCI_BAR_IO && prefetchable))
        return HV_ERR_INVALID;
    uint64_t mask = ~(size_bytes - 1);
    uint32_t kind_bits = kind == PCI_BAR_IO ? BAR_IO : kind == PCI_BAR_MEMORY64 ? BAR_64 : 0;

    pci_function_put32(function, offset, kind_bits | (prefetchable ? BAR_PREFETCHABLE : 0));
    put_mask32(function, offset, (uint32_t)mask);
    if (kind == PCI_BAR_MEMORY64) {
        pci_function_put32(function, offset + 4, 0);
        put_mask32(function, offset + 4, (uint32_t)(mask >> 32));
    }
    return HV_OK;
}

bool pci_function_bar(const struct pci_function *function, unsigned index, uint64_t *base,
                      uint64_t *size_bytes)
{
    unsigned offset = PCI_BAR0 + index * 4;
    uint64_t mask = index > 5 ? 0 : get_mask32(function, offset);

    if (index > 5)
        return false;
    uint32_t low = pci_function_get32(function, offset);
    uint64_t address = low & mask;
    uint16_t decode = (low & BAR_IO) ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    if ((low & (BAR_IO | BAR_64)) == BAR_64) {
        address |= (uint64_t)pci_function_get32(function, offset + 4) << 32;
        mask |= (uint64_t)get_mask32(function, offset + 4) << 32;
    } else if (mask) {
        mask |= UINT64_C(0xFFFFFFFF) << 32;
    }
    *base = address;
    *size_bytes = ~mask + 1;
    return mask != 0 && address != 0 && address + *size_bytes > address &&
           (pci_function_get16(function, PCI_COMMAND) & decode);
}

unsigned pci_function_add_capability(struct pci_function *function, uint8_t id, unsigned bytes)
{
    unsigned offset = function->capabilities_end ? function->capabilities_end : 0x40;
    unsigned link = PCI_CAPABILITIES;

    if (bytes < 2 || bytes > PCI_CONFIG_BYTES - offset)
        return 0;
    while (function->config[link] != 0)
        link = function->config[link] + 1u;
    function->config[link] = (uint8_t)offset;
    function->config[offset] = id;
    function->config[offset + 1] = 0;
    function->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    function->capabilities_end = (uint16_t)hv_align_up(offset + bytes, 4);
    return offset;
}

/* ---- the bus ---- */

static struct pci_function *find_function(const struct pci_host *host, uint8_t devfn)
{
    for (unsigned i = 0; i < host->count; i++) {
        if (host->functions[i]->devfn == devfn)
            return host->functions[i];
    }
    return NULL;
}

/* Bit 7 of function 0's header type says that the device has more functions. */
static void mark_multifunction(struct pci_host *host, uint8_t devfn)
{
    struct pci_function *first = find_function(host, devfn & 0xF8);
    unsigned on_device = 0;

    for (unsigned i = 0; i < host->count; i++)
        on_device += (host->functions[i]->devfn & 0xF8) == (devfn & 0xF8);
    if (first && on_device > 1)
        first->config[PCI_HEADER_TYPE] |= 0x80;
}

/* After every change of the bridge. A conventional function has no extended registers: they are 0. */
static void mirror(const struct pci_host *host)
{
    if (host->mirror)
        memcpy(host->mirror, host->bridge.config, host->bridge.config_bytes);
}

void pci_host_set_mirror(struct pci_host *host, uint8_t *page)
{
    host->mirror = page;
    if (page)
        memset(page, 0, PCI_CONFIG_EXTENDED_BYTES);
    mirror(host);
}

bool pci_host_is_vacant(const struct pci_host *host, uint8_t devfn)
{
    return !find_function(host, devfn);
}

enum hv_err pci_host_add(struct pci_host *host, struct pci_function *function)
{
    if (!function->config || !function->writable ||
        (function->config_bytes != PCI_CONFIG_BYTES &&
         function->config_bytes != PCI_CONFIG_EXTENDED_BYTES))
        return HV_ERR_INVALID;
    if (find_function(host, function->devfn))
        return HV_ERR_EXISTS;
    if (host->count == PCI_HOST_MAX_FUNCTIONS)
        return HV_ERR_NO_MEMORY;
    host->functions[host->count++] = function;
    mark_multifunction(host, function->devfn);
    mirror(host);
    return HV_OK;
}

static struct pci_function *target(const struct pci_host *host, unsigned bus, uint8_t devfn,
                                   unsigned offset, unsigned size_bytes)
{
    struct pci_function *function = bus == 0 ? find_function(host, devfn) : NULL;

    if (!function || offset + size_bytes > PCI_CONFIG_EXTENDED_BYTES)
        return NULL;
    return function;
}

uint32_t pci_host_config_read(struct pci_host *host, unsigned bus, uint8_t devfn, unsigned offset,
                              unsigned size_bytes)
{
    struct pci_function *function = target(host, bus, devfn, offset, size_bytes);
    uint32_t value = 0;

    if (!function)
        return (uint32_t)bus_size_mask(size_bytes);
    if (offset + size_bytes > function->config_bytes)
        return 0; /* a conventional function has no extended registers */
    if (function->before_read)
        function->before_read(function, offset, size_bytes);
    for (unsigned i = 0; i < size_bytes; i++)
        value |= (uint32_t)function->config[offset + i] << (i * 8);
    return value;
}

void pci_host_config_write(struct pci_host *host, unsigned bus, uint8_t devfn, unsigned offset,
                           unsigned size_bytes, uint32_t value)
{
    struct pci_function *function = target(host, bus, devfn, offset, size_bytes);

    if (!function || offset + size_bytes > function->config_bytes)
        return;
    for (unsigned i = 0; i < size_bytes; i++) {
        uint8_t byte = (uint8_t)(value >> (i * 8));
        uint8_t mask = function->writable[offset + i];
        uint8_t *at = &function->config[offset + i];

        *at = (uint8_t)((*at & ~mask) | (byte & mask));
        if (function->write_1_clears)
            *at &= (uint8_t)~(byte & function->write_1_clears[offset + i]);
    }
    if (function->written)
        function->written(function, offset, size_bytes);
    if (function == &host->bridge)
        mirror(host);
}

void pci_host_set_intx(struct pci_host *host, struct pci_function *function, bool level)
{
    uint8_t pin = function->config[PCI_INTERRUPT_PIN];

    if (pin < 1 || pin > 4)
        return;
    function->intx = level;
    unsigned wire = ((function->devfn >> 3) + pin - 1u) & 3;
    bool any = false;
    for (unsigned i = 0; i < host->count; i++) {
        const struct pci_function *other = host->functions[i];
        unsigned other_pin = other->config[PCI_INTERRUPT_PIN];
        if (other->intx && (((other->devfn >> 3) + other_pin - 1u) & 3) == wire)
            any = true;
    }
    irq_set(&host->wires[wire], any);
}

/* ---- the two windows ---- */

/* One access, cut at dword boundaries: a configuration transaction never crosses one. */
static void config_access(struct pci_host *host, unsigned bus, uint8_t devfn, unsigned offset,
                          unsigned size, struct bus_access *access)
{
    uint64_t value = 0;

    for (unsigned done = 0, piece; done < size; done += piece) {
        unsigned at = offset + done;
        piece = 4 - (at & 3) < size - done ? 4 - (at & 3) : size - done;
        if (access->write)
            pci_host_config_write(host, bus, devfn, at, piece,
                                  (uint32_t)(access->value >> (done * 8)));
        else
            value |= (uint64_t)pci_host_config_read(host, bus, devfn, at, piece) << (done * 8);
    }
    if (!access->write) /* bytes past the window are nobody's */
        access->value = value | (bus_size_mask(access->size) & ~bus_size_mask(size));
}

static void write_reset_control(struct pci_host *host, uint8_t value)
{
    bool rise = (value & RESET_NOW) && !(host->state.reset_control & RESET_NOW);

    host->state.reset_control = value & (RESET_HARD | RESET_NOW | RESET_FULL);
    if (rise)
        vm_control_request(host->control, VM_REQUEST_RESET, 0);
}

/* CONFIG_DATA. Without the enable bit this is an ordinary port, at which nobody is. */
static enum bus_answer data_access(struct pci_host *host, struct bus_access *access)
{
    uint32_t address = host->state.address;
    unsigned lane = (unsigned)(access->offset - PORT_DATA);
    unsigned size = access->size < 4 - lane ? access->size : 4 - lane;

    if (!(address & CONFIG_ENABLE))
        return BUS_UNCLAIMED;
    config_access(host, address >> 16 & 0xFF, (uint8_t)(address >> 8), (address & 0xFC) + lane,
                  size, access);
    return BUS_DONE;
}

/* CONFIG_ADDRESS answers to nothing but a dword; a byte at 0xCF9 is the reset control register. */
static enum bus_answer ports_access(struct pci_host *host, struct bus_access *access)
{
    if (access->offset >= PORT_DATA)
        return access->offset < PCI_HOST_PORT_BYTES ? data_access(host, access) : BUS_UNCLAIMED;
    if (access->offset == PORT_ADDRESS && access->size == 4) {
        if (access->write)
            host->state.address = (uint32_t)access->value & CONFIG_ADDRESS_WRITABLE;
        else
            access->value = host->state.address;
        return BUS_DONE;
    }
    if (access->offset == PORT_RESET_CONTROL && access->size == 1) {
        if (access->write)
            write_reset_control(host, (uint8_t)access->value);
        else
            access->value = host->state.reset_control;
        return BUS_DONE;
    }
    return BUS_UNCLAIMED;
}

static enum bus_answer ecam_access(struct pci_host *host, struct bus_access *access)
{
    unsigned offset = (unsigned)(access->offset & 0xFFF);
    unsigned room = PCI_CONFIG_EXTENDED_BYTES - offset;

    config_access(host, (unsigned)(access->offset >> 20), (uint8_t)(access->offset >> 12), offset,
                  access->size < room ? access->size : room, access);
    return BUS_DONE;
}

/* The common read: a dword of a function that has no part in it. The rest goes the long way. */
static int64_t pci_host_read32(struct device *device, unsigned tag, uint64_t offset)
{
    struct pci_host *host = (struct pci_host *)device;
    const struct pci_function *function;
    const uint8_t *bytes;
    unsigned at = (unsigned)(offset & 0xFFF);

    if (tag != PCI_HOST_ECAM || (at & 3) != 0 || offset >> 20 != 0)
        return BUS_READ_UNCLAIMED;
    function = find_function(host, (uint8_t)(offset >> 12));
    if (!function)
        return UINT32_MAX;
    if (function->before_read || at + 4 > function->config_bytes)
        return BUS_READ_UNCLAIMED;
    bytes = &function->config[at];
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static enum bus_answer pci_host_access(struct device *device, unsigned tag,
                                       struct bus_access *access)
{
    struct pci_host *host = (struct pci_host *)device;
    return tag == PCI_HOST_ECAM ? ecam_access(host, access) : ports_access(host, access);
}

/* ---- the host bridge, and the device as a whole ---- */

/* The bridge's registers come up the same each time; other functions belong to their devices. */
static void pci_host_reset(struct device *device)
{
    struct pci_host *host = (struct pci_host *)device;

    memset(&host->state, 0, sizeof(host->state));
    pci_function_identify(&host->bridge, 0x8086, 0x29C0, 0x060000, 0x02);
    pci_function_put16(&host->bridge, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    /* Memory space and bus master are always on in this bridge; it has no I/O BAR and no pin. */
    host->bridge.writable[PCI_COMMAND] = 0;
    host->bridge.writable[PCI_COMMAND + 1] = 0;
    host->bridge.writable[PCI_INTERRUPT_LINE] = 0;
    if (host->ecam_base) {
        pci_function_put32(&host->bridge, BRIDGE_PCIEXBAR,
                           (uint32_t)host->ecam_base | PCIEXBAR_64MB | PCIEXBAR_ENABLE);
        pci_function_put32(&host->bridge, BRIDGE_PCIEXBAR + 4, (uint32_t)(host->ecam_base >> 32));
    }
    mark_multifunction(host, host->bridge.devfn);
    mirror(host);
}

static bool pci_host_check(const void *loaded)
{
    const struct pci_host_state *state = loaded;

    return !(state->address & ~CONFIG_ADDRESS_WRITABLE) &&
           !(state->reset_control & ~(RESET_HARD | RESET_NOW | RESET_FULL)) &&
           state->bridge_config[PCI_VENDOR_ID] == 0x86 &&
           state->bridge_config[PCI_VENDOR_ID + 1] == 0x80;
}

static const struct device_field pci_host_fields[] = {
    DEVICE_FIELD(struct pci_host_state, address),
    DEVICE_FIELD(struct pci_host_state, reset_control),
    DEVICE_FIELD_ARRAY(struct pci_host_state, bridge_config),
    DEVICE_FIELD_END,
};

static const struct device_ops pci_host_ops = {
    .name = "pci_host",
    .version = 1,
    .state_offset = offsetof(struct pci_host, state),
    .state_bytes = sizeof(struct pci_host_state),
    .reset = pci_host_reset,
    .access = pci_host_access,
    .read32 = pci_host_read32,
    .fields = pci_host_fields,
    .check = pci_host_check,
};

void pci_host_init(struct pci_host *host, uint64_t ecam_base, const struct irq_line wires[4],
                   const struct vm_control *control)
{
    memset(host, 0, sizeof(*host));
    host->device.ops = &pci_host_ops;
    host->ecam_base = ecam_base;
    host->control = control;
    for (unsigned i = 0; i < 4; i++)
        host->wires[i] = wires[i];
    host->bridge.config_bytes = PCI_CONFIG_BYTES;
    host->bridge.config = host->state.bridge_config;
    host->bridge.writable = host->bridge_writable;
    host->functions[host->count++] = &host->bridge;
    pci_host_reset(&host->device);
}
