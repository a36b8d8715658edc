/*
 * Finds the serial ports that become the console: COM1 to COM4, the one that firmware uses (ACPI
 * SPCR), and PCI serial cards.
 *
 * Not here: the port itself (uart16550_host.c). Boot core only; no lock.
 * PCI Code and ID Assignment specification "Base Class 07h": 16550-compatible serial controller.
 */
#include "hv/drv_console.h"
#include "hv/drv_uart16550.h"
#include "hv/log.h"

#define CLASS_COMMUNICATION 0x07
#define SUBCLASS_SERIAL 0x00
#define INTERFACE_16550 0x02
#define INTERFACE_16950 0x06 /* those between are 16550s with more */
#define UART_PORTS 8u

/* Boot-once: the console keeps them from here on. */
static struct {
    struct uart_host legacy, firmware, card;
    bool has_legacy, has_firmware, has_card;
    struct serial_before {
        struct uart_place place;
        struct uart_host_settings settings;
    } before[3]; /* as firmware had those that were touched */
    unsigned touched;
} serial;

static bool start_port(struct uart_host *uart, const struct uart_place *place, const char *who)
{
    struct hv_console_backend backend = uart_host_backend(uart);

    if (serial.touched == HV_ARRAY_COUNT(serial.before))
        return false;
    serial.before[serial.touched].place = *place;
    uart_host_save(&hv_machine_access, place, &serial.before[serial.touched++].settings);
    uart_host_init(uart, &hv_machine_access, place);
    if (console_add(&backend) != HV_OK)
        return false;
    hv_info("serial console at %s 0x%llx%s", place->space == HV_SPACE_PORT ? "port" : "address",
            (unsigned long long)place->base, who);
    return true;
}

uint16_t console_start_serial(const struct boot_info *info)
{
    if (info->config.console == CONFIG_CONSOLE_SCREEN)
        return 0;
    for (unsigned i = 0; i < UART_HOST_PORTS; i++) {
        const struct uart_place place = uart_host_legacy_place(uart_host_bases[i]);
        if (!uart_host_probe(&hv_machine_access, &place))
            continue;
        serial.has_legacy = start_port(&serial.legacy, &place, "");
        return serial.has_legacy ? uart_host_bases[i] : 0;
    }
    return 0;
}

static bool answers(const struct uart_place *place)
{
    const struct hv_access *access = &hv_machine_access;

    if (place->space == HV_SPACE_MEMORY &&
        !access->map(access->ctx, place->base, uart_place_bytes(place)))
        return false;
    return uart_host_probe(access, place);
}

/* A port that is the console already keeps its place, and takes firmware's rate. Firmware that stays
 * uses the port, so that its function is awake: its registers are left as they are. */
static void start_firmware_port(const struct console_hardware *hardware, bool firmware_stays)
{
    struct uart_place place = *hardware->firmware_port;

    if (serial.has_legacy && place.space == HV_SPACE_PORT && place.base == serial.legacy.place.base) {
        if (place.divisor && place.divisor != serial.legacy.place.divisor) {
            hv_info("serial console: now at firmware's rate, divisor %u", place.divisor);
            uart_host_init(&serial.legacy, &hv_machine_access, &place);
        }
        return;
    }
    if (hardware->firmware_port_pci && !firmware_stays) {
        (void)pci_wake(hardware->pci, *hardware->firmware_port_pci, &hv_machine_access);
        pci_enable(hardware->pci, *hardware->firmware_port_pci,
                   place.space == HV_SPACE_PORT ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
    }
    if (answers(&place))
        serial.has_firmware = start_port(&serial.firmware, &place, " (firmware's: SPCR)");
    else
        hv_info("SPCR: no 16550 answers at %s 0x%llx",
                place.space == HV_SPACE_PORT ? "port" : "address", (unsigned long long)place.base);
}

static bool try_card_bar(const struct console_hardware *hardware,
                         const struct pci_function *function, unsigned index)
{
    struct pci_bar bar = pci_read_bar(hardware->pci, function, index);
    struct uart_place place = { bar.space, 1, 1, bar.address, 1 };

    if (bar.bytes < UART_PORTS)
        return false;
    pci_enable(hardware->pci, function->at,
               bar.space == HV_SPACE_PORT ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
    if (!answers(&place))
        return false;
    serial.has_card = start_port(&serial.card, &place, " (PCI card)");
    return serial.has_card;
}

static bool try_card(void *ctx, const struct pci_function *function)
{
    const struct console_hardware *hardware = ctx;

    if (function->class_code != CLASS_COMMUNICATION || function->subclass != SUBCLASS_SERIAL ||
        function->interface < INTERFACE_16550 || function->interface > INTERFACE_16950)
        return true;
    if (!pci_wake(hardware->pci, function->at, &hv_machine_access))
        return true;
    for (unsigned i = 0; i < PCI_BARS; i++) {
        if (try_card_bar(hardware, function, i))
            return false;
    }
    return true;
}

void console_find_serial(const struct boot_info *info, const struct console_hardware *hardware)
{
    if (info->config.console == CONFIG_CONSOLE_SCREEN)
        return;
    bool firmware_stays = info->config.on_exit == CONFIG_ON_EXIT_FIRMWARE;
    if (hardware->firmware_port && !serial.has_firmware)
        start_firmware_port(hardware, firmware_stays);
    if (firmware_stays)
        return; /* the search changes settings of cards that firmware has drivers for */
    if (!serial.has_legacy && !serial.has_firmware && !serial.has_card)
        pci_scan(hardware->pci, try_card, (void *)hardware);
}

void console_stop_serial(void)
{
    for (unsigned i = 0; i < serial.touched; i++)
        uart_host_restore(&hv_machine_access, &serial.before[i].place, &serial.before[i].settings);
}
