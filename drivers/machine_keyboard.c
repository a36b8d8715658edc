/*
 * Finds the USB keyboards that type into the machine's console.
 *
 * Not here: the controllers (xhci_*.c), the PS/2 keyboard (machine_console.c). Controllers write to
 * memory by themselves: only to what is taken here, and no guest's. The machine's IOMMU is not used:
 * where firmware has left one on that blocks them, they do not answer a command, and are given up.
 * Lock: the console's, from console_find_keyboards on.
 * PCI Code and ID Assignment specification "Base Class 0Ch": USB, xHCI.
 */
#include "hv/drv_console.h"
#include "hv/drv_xhci.h"
#include "hv/log.h"

#define CLASS_SERIAL_BUS 0x0c
#define SUBCLASS_USB 0x03
#define INTERFACE_XHCI 0x30
#define MAX_CONTROLLERS 4u

/* Boot-once: the console keeps them from here on. */
static struct {
    struct xhci controllers[MAX_CONTROLLERS];
    unsigned count;
    bool started;
} usb;

struct search {
    const struct console_hardware *hardware;
    unsigned left_out;
};

/* The chip sets that have an EHCI beside their xHCI: ports are the EHCI's until they are switched,
 * and firmware without an xHCI driver does not. The masks say which ports can be.
 * Intel 7 Series Chipset Family PCH datasheet "XUSB2PR", "XUSB2PRM". */
#define VENDOR_INTEL 0x8086
#define INTEL_PORT_ROUTING 0xd0
#define INTEL_PORT_ROUTING_MASK 0xd4

static void route_ports(const struct hv_pci *pci, const struct pci_function *function)
{
    static const uint16_t models[] = { 0x1e31, 0x8c31, 0x9c31, 0x8cb1, 0x9cb1 };

    for (unsigned i = 0; i < HV_ARRAY_COUNT(models) && function->vendor == VENDOR_INTEL; i++) {
        if (function->device != models[i])
            continue;
        uint32_t ports = pci->read(pci->ctx, function->at, INTEL_PORT_ROUTING_MASK);
        uint32_t routed = pci->read(pci->ctx, function->at, INTEL_PORT_ROUTING);
        pci->write(pci->ctx, function->at, INTEL_PORT_ROUTING, routed | ports);
    }
}

static void start_controller(const struct console_hardware *hardware,
                             const struct pci_function *function)
{
    const struct hv_access *access = &hv_machine_access;
    const struct pci_address at = function->at;
    struct pci_bar bar = pci_read_bar(hardware->pci, function, 0);
    const char *why;

    if (bar.space != HV_SPACE_MEMORY || bar.bytes == 0)
        why = "it has no registers";
    else if (!pci_wake(hardware->pci, at, access))
        why = "it stays asleep";
    else if (!access->map(access->ctx, bar.address, bar.bytes))
        why = "its registers cannot be mapped";
    else {
        pci_enable(hardware->pci, at, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
        route_ports(hardware->pci, function);
        why = xhci_start(&usb.controllers[usb.count], access, bar.address, bar.bytes,
                         hardware->memory);
    }
    if (!why) {
        usb.count++;
        return;
    }
    hv_warn("USB controller at %02x:%02x.%u: %s", at.bus, at.device, at.function, why);
    /* It may still be at work for firmware, in memory that is others' by now. */
    pci_disable(hardware->pci, at, PCI_COMMAND_MASTER);
}

static bool try_controller(void *ctx, const struct pci_function *function)
{
    struct search *search = ctx;

    if (function->class_code != CLASS_SERIAL_BUS || function->subclass != SUBCLASS_USB ||
        function->interface != INTERFACE_XHCI)
        return true;
    if (usb.count == MAX_CONTROLLERS)
        search->left_out++;
    else
        start_controller(search->hardware, function);
    return true;
}

void console_find_keyboards(const struct boot_info *info, const struct console_hardware *hardware)
{
    struct search search = { hardware, 0 };

    /* Firmware that is to have the machine back has drivers of its own for them; the laboratory and
     * the comparison of the explainer read no keys. */
    if (usb.started || !console_has_screen() || info->config.on_exit == CONFIG_ON_EXIT_FIRMWARE ||
        info->config.lab[0] || info->config.explain[0])
        return;
    usb.started = true;
    pci_scan(hardware->pci, try_controller, &search);
    if (usb.count)
        hv_info("USB: %u controller%s; keyboards come as they are found", usb.count,
                usb.count == 1 ? "" : "s");
    if (search.left_out)
        hv_warn("USB: %u controllers beyond %u are left out", search.left_out, MAX_CONTROLLERS);
}

static int read_controller(unsigned index)
{
    struct xhci *x = &usb.controllers[index];
    int key = xhci_read_key(x);

    if (key < 0 && !x->dead) {
        xhci_poll(x);
        key = xhci_read_key(x);
    }
    return key;
}

int usb_keyboards_read(void)
{
    int key = -1;

    for (unsigned i = 0; i < usb.count && key < 0; i++)
        key = read_controller(i);
    return key;
}

static void log_note(unsigned controller, const struct xhci_note *note)
{
    if (note->place.root_port == 0)
        hv_warn("USB controller %u is given up: %s", controller, note->what);
    else if (note->place.hub)
        hv_info("USB: port %u, port %u of its hub: %s", note->place.root_port,
                note->place.hub_port, note->what);
    else
        hv_info("USB: port %u: %s", note->place.root_port, note->what);
}

void usb_keyboards_log(void)
{
    struct xhci_note note;

    for (unsigned i = 0; i < usb.count; i++) {
        while (xhci_take_note(&usb.controllers[i], &note))
            log_note(i, &note);
    }
}
