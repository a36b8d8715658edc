/*
 * The serial port that firmware uses as its console: the SPCR table.
 *
 * Not here: whether a port answers there (drivers/uart16550_host.c); ports that are no 16550.
 * Pure. Lock: none.
 * Microsoft "Serial Port Console Redirection Table"; its interface types: Microsoft "Debug Port
 * Table 2 (DBG2)", "Debug port types and subtypes"; ACPI specification "Generic Address Structure".
 */
#include "x86/acpi_host.h"

#include "hv/string.h"

enum spcr_offset {
    SPCR_REVISION = 8, /* of the table's header */
    SPCR_INTERFACE = 36,
    SPCR_BASE = 40,
    SPCR_BAUD = 58,
    SPCR_PCI_DEVICE = 64,
    SPCR_PCI_VENDOR = 66,
    SPCR_PCI_BUS = 68,
    SPCR_PCI_DEV = 69,
    SPCR_PCI_FUNCTION = 70,
    SPCR_PCI_SEGMENT = 75,
    SPCR_CLOCK = 76,
    SPCR_PRECISE_BAUD = 80,
};

/* Interface types that are 16550s. */
enum spcr_interface {
    SPCR_16550 = 0x00,
    SPCR_16550_DBGP = 0x01,
    SPCR_16550_GAS = 0x12,
};

#define SPCR_MIN_BYTES 76u /* revision 1 */
#define PORT_CLOCK_HZ 1843200u
#define CLOCKS_A_BIT 16u

static uint32_t get_bytes(const uint8_t *p, unsigned bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)p[i] << 8 * i;
    return value;
}

/* "Configured Baud Rate"; 0: whatever it has been set to. */
static uint32_t baud_of_code(uint8_t code)
{
    switch (code) {
    case 3:
        return 9600;
    case 4:
        return 19200;
    case 6:
        return 57600;
    case 7:
        return 115200;
    default:
        return 0;
    }
}

/* The rate that is wanted as a divisor; 0 unless rate and clock are both known. */
static uint16_t find_divisor(const uint8_t *table, uint32_t bytes, enum hv_space space)
{
    uint32_t clock = space == HV_SPACE_PORT ? PORT_CLOCK_HZ : 0;
    uint32_t baud = baud_of_code(table[SPCR_BAUD]);

    if (table[SPCR_REVISION] >= 3 && bytes >= SPCR_CLOCK + 4 && get_bytes(table + SPCR_CLOCK, 4))
        clock = get_bytes(table + SPCR_CLOCK, 4);
    if (table[SPCR_REVISION] >= 4 && bytes >= SPCR_PRECISE_BAUD + 4 &&
        get_bytes(table + SPCR_PRECISE_BAUD, 4))
        baud = get_bytes(table + SPCR_PRECISE_BAUD, 4);
    if (clock == 0 || baud == 0 || baud > clock / CLOCKS_A_BIT)
        return 0;
    uint32_t bit = baud * CLOCKS_A_BIT;
    uint32_t divisor = clock / bit + (clock % bit >= bit / 2);
    return divisor <= UINT16_MAX ? (uint16_t)divisor : 0;
}

/* Register bit width is the distance of the registers, access size that of one access. */
static void read_widths(const uint8_t *gas, struct uart_place *place)
{
    uint8_t stride = gas[1] / 8, access = 0;

    if (gas[3] >= 1 && gas[3] <= 3)
        access = (uint8_t)(1u << (gas[3] - 1));
    if (gas[1] % 8 || (stride != 1 && stride != 2 && stride != 4 && stride != 8))
        stride = access ? access : 1;
    if (access == 0)
        access = stride;
    if (access > stride)
        stride = access; /* "32 bits of a register of 8": they are 4 bytes apart */
    place->stride_bytes = stride;
    place->access_bytes = access > 4 ? 4 : access;
}

static bool is_sane(const struct uart_place *place)
{
    uint64_t last = place->base + uart_place_bytes(place) - 1;

    if (place->base == 0 || last < place->base || place->base % place->access_bytes)
        return false;
    return place->space == HV_SPACE_MEMORY || last <= UINT16_MAX;
}

bool acpi_spcr_read(const uint8_t *table, uint32_t bytes, struct acpi_spcr *spcr)
{
    struct acpi_spcr found = { 0 };
    const uint8_t *gas = table + SPCR_BASE;

    if (bytes < SPCR_MIN_BYTES || gas[0] > ACPI_SPACE_PORT)
        return false;
    uint8_t interface = table[SPCR_INTERFACE];
    if (interface != SPCR_16550 && interface != SPCR_16550_DBGP && interface != SPCR_16550_GAS)
        return false;
    found.place.space = gas[0] == ACPI_SPACE_PORT ? HV_SPACE_PORT : HV_SPACE_MEMORY;
    found.place.base = get_bytes(gas + 4, 4) | (uint64_t)get_bytes(gas + 8, 4) << 32;
    read_widths(gas, &found.place);
    if (!is_sane(&found.place))
        return false;
    found.place.divisor = find_divisor(table, bytes, found.place.space);
    found.on_pci = get_bytes(table + SPCR_PCI_VENDOR, 2) != 0xffff &&
                   get_bytes(table + SPCR_PCI_DEVICE, 2) != 0xffff &&
                   (get_bytes(table + SPCR_PCI_VENDOR, 2) != 0);
    found.pci = (struct pci_address){ table[SPCR_PCI_SEGMENT], table[SPCR_PCI_BUS],
                                      table[SPCR_PCI_DEV] & 31, table[SPCR_PCI_FUNCTION] & 7 };
    found.present = true;
    *spcr = found;
    return true;
}
