/*
 * The machine's own serial port: a 16550A, or what answers like one, polled.
 *
 * Not the emulated device (hv/dev_uart16550.h). Lock: the caller's (the console's).
 * PC16550D data sheet, "Registers", "Loopback" under MODEM Control Register.
 */
#ifndef HV_DRV_UART16550_H
#define HV_DRV_UART16550_H

#include "hv/console.h"
#include "hv/drv_ports.h"
#include "hv/types.h"

/* Where PCs have their serial ports, in the order of COM1 to COM4. */
#define UART_HOST_PORTS 4
extern const uint16_t uart_host_bases[UART_HOST_PORTS];

struct uart_host {
    const struct hv_ports *ports;
    uint16_t base;
    uint8_t room;    /* bytes that can be sent before the line status must be asked again */
    bool stalled;    /* it stopped sending; text is dropped until it goes on */
    uint64_t dropped_bytes;
};

/* Is there a port at `base` that answers? A bounded loopback test; nothing leaves the machine, and
 * the port's own settings are as before. Bytes that the port has yet to send are waited for. */
bool uart_host_probe(const struct hv_ports *ports, uint16_t base);

/* Sets a port to 115200 baud, 8 data bits, no parity, FIFOs on, interrupts off. */
void uart_host_init(struct uart_host *uart, const struct hv_ports *ports, uint16_t base);

/* Sends bytes; waits with a bound, and drops what the port does not take by then. */
void uart_host_write(struct uart_host *uart, const char *bytes, size_t n);

/* The next byte received, or -1. */
int uart_host_read(struct uart_host *uart);

/* The port as a backend of the console; `uart` must stay. */
struct hv_console_backend uart_host_backend(struct uart_host *uart);

#endif
