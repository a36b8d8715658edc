/*
 * Which of the machine's devices become its console. Boot core, once each, before the other cores
 * run.
 */
#ifndef HV_DRV_CONSOLE_H
#define HV_DRV_CONSOLE_H

#include "hv/boot_info.h"
#include "hv/drv_pci.h"
#include "hv/drv_uart16550.h"
#include "hv/drv_xhci.h"

/* Probes for a serial port and makes the first one that answers a backend, unless the operator's
 * file says `console = screen`. Needs nothing but the ports: the first thing to call, so that
 * everything after it can speak. Returns its base, or 0. */
uint16_t console_start_serial(const struct boot_info *info);

/* What is known of the machine once its tables are read. */
struct console_hardware {
    const struct hv_pci *pci;
    const struct uart_place *firmware_port;       /* that firmware uses (ACPI SPCR); NULL: none */
    const struct pci_address *firmware_port_pci;  /* the function that it is; NULL: it is none */
    const struct xhci_memory *memory;             /* for devices that write to memory by themselves */
};

/* Looks for further serial ports, unless the operator's file says `console = screen`: the one that
 * firmware uses becomes a console beside the one that there is (or gives it firmware's rate); where
 * there is none by then, the first PCI card that answers becomes it. */
void console_find_serial(const struct boot_info *info, const struct console_hardware *hardware);

/* Makes the firmware's framebuffer a backend, and the PS/2 keyboard its input, unless the operator's
 * file says `console = serial` and there is a serial console. The framebuffer must be mapped at its
 * physical address: by firmware's page tables or ours. False: there is no screen to draw on. */
bool console_start_screen(const struct boot_info *info);

/* Takes the machine's USB controllers over, and lets their keyboards type where the screen's keyboard
 * does; unless there is no screen, firmware is to have the machine back, or nobody reads keys. Once
 * the clock runs. */
void console_find_keyboards(const struct boot_info *info, const struct console_hardware *hardware);

/* The next byte typed on a USB keyboard, or an enum console_key, or -1. Also goes on with whatever is
 * to be done on USB. With the console's lock. */
int usb_keyboards_read(void);

/* Logs what has happened on USB. Without the console's lock, on the core that reads the console. */
void usb_keyboards_log(void);

/* Is there a screen, and so a seat for a keyboard? */
bool console_has_screen(void);

/* console_stop's part for serial ports. */
void console_stop_serial(void);

/* Gives the ports and the keyboard controller back as firmware had them. Boot core, when the others
 * have gone; nothing may be written to the console after it. */
void console_stop(void);

#endif
