/*
 * The machine's own serial port: probe, polled output with a bound, polled input.
 *
 * Not here: an emulated UART (vmm/devices/uart16550.c); flow control: nothing at the far end may
 * stop the hypervisor. Lock: the caller's (the console's).
 * PC16550D data sheet, "Registers", "Loopback" under MODEM Control Register.
 */
#include "hv/drv_uart16550.h"

enum {
    UART_DATA = 0, /* RBR, THR; with DLAB: divisor, low */
    UART_IER = 1,  /* with DLAB: divisor, high */
    UART_FCR = 2,
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_MSR = 6,
};

#define FCR_ENABLE_AND_CLEAR 0x07
#define LCR_8N1 0x03
#define LCR_DLAB 0x80
#define MCR_DTR_RTS_OUT2 0x0b
#define MCR_LOOP_RTS_OUT2 0x1a
#define MCR_LOOP_DTR_OUT1 0x15
#define MSR_LINES 0xf0
#define MSR_CTS_DCD 0x90
#define MSR_DSR_RI 0x60
#define LSR_DATA_READY 0x01
#define LSR_THR_EMPTY 0x20
#define LSR_ALL_EMPTY 0x40
#define LSR_ABSENT 0xff

#define DIVISOR_115200 1
#define FIFO_BYTES 16
/* A port read takes about a microsecond on a real machine; sixteen bytes at 9600 baud, 17 ms. */
#define WAIT_TRIES 500000u

const uint16_t uart_host_bases[UART_HOST_PORTS] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };

static bool wait_for(const struct hv_ports *ports, uint16_t base, uint8_t bits)
{
    for (unsigned i = 0; i < WAIT_TRIES; i++) {
        uint8_t status = ports_in8(ports, base + UART_LSR);
        if (status == LSR_ABSENT)
            return false;
        if ((status & bits) == bits)
            return true;
        ports->pause(ports->ctx);
    }
    return false;
}

static bool loops_lines(const struct hv_ports *ports, uint16_t base)
{
    ports_out8(ports, base + UART_MCR, MCR_LOOP_RTS_OUT2);
    if ((ports_in8(ports, base + UART_MSR) & MSR_LINES) != MSR_CTS_DCD)
        return false;
    ports_out8(ports, base + UART_MCR, MCR_LOOP_DTR_OUT1);
    return (ports_in8(ports, base + UART_MSR) & MSR_LINES) == MSR_DSR_RI;
}

static bool loops_byte(const struct hv_ports *ports, uint16_t base, uint8_t byte)
{
    /* What the far end sent before is not ours. */
    for (unsigned i = 0; i <= FIFO_BYTES; i++) {
        if (!(ports_in8(ports, base + UART_LSR) & LSR_DATA_READY))
            break;
        ports_in8(ports, base + UART_DATA);
    }
    ports_out8(ports, base + UART_DATA, byte);
    return wait_for(ports, base, LSR_DATA_READY) && ports_in8(ports, base + UART_DATA) == byte;
}

bool uart_host_probe(const struct hv_ports *ports, uint16_t base)
{
    if (ports_in8(ports, base + UART_LSR) == LSR_ABSENT || !wait_for(ports, base, LSR_ALL_EMPTY))
        return false;
    uint8_t lcr = ports_in8(ports, base + UART_LCR);
    ports_out8(ports, base + UART_LCR, lcr & (uint8_t)~LCR_DLAB);
    uint8_t ier = ports_in8(ports, base + UART_IER);
    uint8_t mcr = ports_in8(ports, base + UART_MCR);
    ports_out8(ports, base + UART_IER, 0);

    bool found = loops_lines(ports, base) && loops_byte(ports, base, 0xa5) &&
                 loops_byte(ports, base, 0x5a);

    ports_out8(ports, base + UART_MCR, mcr);
    ports_out8(ports, base + UART_IER, ier);
    ports_out8(ports, base + UART_LCR, lcr);
    return found;
}

void uart_host_init(struct uart_host *uart, const struct hv_ports *ports, uint16_t base)
{
    *uart = (struct uart_host){ .ports = ports, .base = base };
    (void)wait_for(ports, base, LSR_ALL_EMPTY); /* firmware's last words, if they come */
    ports_out8(ports, base + UART_LCR, LCR_8N1 | LCR_DLAB);
    ports_out8(ports, base + UART_DATA, DIVISOR_115200);
    ports_out8(ports, base + UART_IER, 0);
    ports_out8(ports, base + UART_LCR, LCR_8N1);
    ports_out8(ports, base + UART_IER, 0);
    ports_out8(ports, base + UART_FCR, FCR_ENABLE_AND_CLEAR);
    ports_out8(ports, base + UART_MCR, MCR_DTR_RTS_OUT2);
}

/* Makes room for at least one byte. A port that has stalled is asked once, not waited for. */
static bool make_room(struct uart_host *uart)
{
    if (uart->room > 0)
        return true;
    if (uart->stalled)
        uart->stalled = !(ports_in8(uart->ports, uart->base + UART_LSR) & LSR_THR_EMPTY);
    else
        uart->stalled = !wait_for(uart->ports, uart->base, LSR_THR_EMPTY);
    uart->room = uart->stalled ? 0 : FIFO_BYTES;
    return !uart->stalled;
}

void uart_host_write(struct uart_host *uart, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!make_room(uart)) {
            uart->dropped_bytes += n - i;
            return;
        }
        ports_out8(uart->ports, uart->base + UART_DATA, (uint8_t)bytes[i]);
        uart->room--;
    }
}

int uart_host_read(struct uart_host *uart)
{
    uint8_t status = ports_in8(uart->ports, uart->base + UART_LSR);
    if (status == LSR_ABSENT || !(status & LSR_DATA_READY))
        return -1;
    return ports_in8(uart->ports, uart->base + UART_DATA);
}

static void backend_write(void *ctx, const char *bytes, size_t n)
{
    uart_host_write(ctx, bytes, n);
}

static int backend_read(void *ctx)
{
    return uart_host_read(ctx);
}

struct hv_console_backend uart_host_backend(struct uart_host *uart)
{
    return (struct hv_console_backend){ "serial", backend_write, backend_read, uart, NULL };
}
