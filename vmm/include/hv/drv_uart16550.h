/*
 * The machine's own serial port: a 16550A, or what answers like one, polled.
 *
 * Not the emulated device (hv/dev_uart16550.h). Lock: the caller's (the console's).
 * PC16550D data sheet, "Registers", "Loopback" under MODEM Control Register.
 */
#ifndef HV_DRV_UART16550_H
#define HV_DRV_UART16550_H

#include "hv/console.h"
#include "hv/drv_access.h"
#include "hv/types.h"

/* Where PCs have their serial ports, in the order of COM1 to COM4. */
#define UART_HOST_PORTS 4
extern const uint16_t uart_host_bases[UART_HOST_PORTS];

/* Where a port's eight registers are, and how they are reached. */
struct uart_place {
    enum hv_space space;
    uint8_t stride_bytes; /* from one register to the next: 1, 2, 4 or 8 */
    uint8_t access_bytes; /* of one access: 1, 2 or 4, at most the stride */
    uint64_t base;
    uint16_t divisor;     /* of the port's clock; 0: as firmware has set it */
};

/* A PC's port at its I/O ports, for 115200 baud. */
struct uart_place uart_host_legacy_place(uint16_t base);

/* Bytes from the first register to the end of the last. */
uint64_t uart_place_bytes(const struct uart_place *place);

#define UART_HOST_QUEUE_BYTES 1024u

struct uart_host {
    const struct hv_access *access;
    struct uart_place place;
    uint8_t room;    /* bytes that can be sent before the line status must be asked again */
    bool stalled;    /* it stopped sending; text is dropped until it goes on */
    uint64_t dropped_bytes;
    unsigned queue_first, queued; /* what the backend was given and the port has not taken yet */
    char queue[UART_HOST_QUEUE_BYTES];
};

/* Is there a port that answers? A bounded loopback test; nothing leaves the machine, and the port's
 * own settings are as before. Bytes that the port has yet to send are waited for. */
bool uart_host_probe(const struct hv_access *access, const struct uart_place *place);

/* Sets a port to 8 data bits, no parity, FIFOs on, interrupts off, and to the place's divisor;
 * where that is 0 the divisor stays, unless it makes no sense: then it is 1. */
void uart_host_init(struct uart_host *uart, const struct hv_access *access,
                    const struct uart_place *place);

/* What firmware had in a port's registers. Whether its FIFOs were on is known, the trigger level not. */
struct uart_host_settings {
    uint8_t lcr, ier, mcr, divisor_low, divisor_high;
    bool fifo;
};

/* Reads them, and puts them back once the port has sent what it holds (a bounded wait). */
void uart_host_save(const struct hv_access *access, const struct uart_place *place,
                    struct uart_host_settings *settings);
void uart_host_restore(const struct hv_access *access, const struct uart_place *place,
                       const struct uart_host_settings *settings);

/* Sends bytes, behind those that the backend has queued; waits with a bound, and drops what the port
 * does not take by then. */
void uart_host_write(struct uart_host *uart, const char *bytes, size_t n);

/* The next byte received, or -1. */
int uart_host_read(struct uart_host *uart);

/* The port as a backend of the console; `uart` must stay. What is written goes out as the port takes
 * it, at each write and each read, without waiting; `flush` waits as uart_host_write does. */
struct hv_console_backend uart_host_backend(struct uart_host *uart);

#endif
