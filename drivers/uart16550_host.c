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
#define IIR_FIFO_ON 0xc0 /* IIR is read where FCR is written */

#define DIVISOR_115200 1
#define FIFO_BYTES 16
/* A port read takes about a microsecond on a real machine; sixteen bytes at 9600 baud, 17 ms. */
#define WAIT_TRIES 500000u

const uint16_t uart_host_bases[UART_HOST_PORTS] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };

struct uart_place uart_host_legacy_place(uint16_t base)
{
    return (struct uart_place){ HV_SPACE_PORT, 1, 1, base, DIVISOR_115200 };
}

uint64_t uart_place_bytes(const struct uart_place *place)
{
    return (uint64_t)UART_MSR * place->stride_bytes + place->access_bytes;
}

static uint8_t reg_read(const struct hv_access *access, const struct uart_place *place, unsigned reg)
{
    return (uint8_t)access->read(access->ctx, place->space, place->base + reg * place->stride_bytes,
                                 place->access_bytes);
}

static void reg_write(const struct hv_access *access, const struct uart_place *place, unsigned reg,
                      uint8_t value)
{
    access->write(access->ctx, place->space, place->base + reg * place->stride_bytes,
                  place->access_bytes, value);
}

static bool wait_for(const struct hv_access *access, const struct uart_place *place, uint8_t bits)
{
    for (unsigned i = 0; i < WAIT_TRIES; i++) {
        uint8_t status = reg_read(access, place, UART_LSR);
        if (status == LSR_ABSENT)
            return false;
        if ((status & bits) == bits)
            return true;
        access->pause(access->ctx);
    }
    return false;
}

static bool loops_lines(const struct hv_access *access, const struct uart_place *place)
{
    reg_write(access, place, UART_MCR, MCR_LOOP_RTS_OUT2);
    if ((reg_read(access, place, UART_MSR) & MSR_LINES) != MSR_CTS_DCD)
        return false;
    reg_write(access, place, UART_MCR, MCR_LOOP_DTR_OUT1);
    return (reg_read(access, place, UART_MSR) & MSR_LINES) == MSR_DSR_RI;
}

static bool loops_byte(const struct hv_access *access, const struct uart_place *place, uint8_t byte)
{
    /* What the far end sent before is not ours. */
    for (unsigned i = 0; i <= FIFO_BYTES; i++) {
        if (!(reg_read(access, place, UART_LSR) & LSR_DATA_READY))
            break;
        reg_read(access, place, UART_DATA);
    }
    reg_write(access, place, UART_DATA, byte);
    return wait_for(access, place, LSR_DATA_READY) && reg_read(access, place, UART_DATA) == byte;
}

bool uart_host_probe(const struct hv_access *access, const struct uart_place *place)
{
    if (reg_read(access, place, UART_LSR) == LSR_ABSENT || !wait_for(access, place, LSR_ALL_EMPTY))
        return false;
    uint8_t lcr = reg_read(access, place, UART_LCR);
    reg_write(access, place, UART_LCR, lcr & (uint8_t)~LCR_DLAB);
    uint8_t ier = reg_read(access, place, UART_IER);
    uint8_t mcr = reg_read(access, place, UART_MCR);
    reg_write(access, place, UART_IER, 0);

    bool found = loops_lines(access, place) && loops_byte(access, place, 0xa5) &&
                 loops_byte(access, place, 0x5a);

    reg_write(access, place, UART_MCR, mcr);
    reg_write(access, place, UART_IER, ier);
    reg_write(access, place, UART_LCR, lcr);
    return found;
}

/* With the divisor latch open. */
static void set_divisor(const struct hv_access *access, const struct uart_place *place)
{
    unsigned divisor = place->divisor;

    if (divisor == 0)
        divisor = reg_read(access, place, UART_DATA) | reg_read(access, place, UART_IER) << 8;
    if (divisor == 0 || divisor == UINT16_MAX)
        divisor = DIVISOR_115200;
    reg_write(access, place, UART_DATA, (uint8_t)divisor);
    reg_write(access, place, UART_IER, (uint8_t)(divisor >> 8));
}

void uart_host_init(struct uart_host *uart, const struct hv_access *access,
                    const struct uart_place *place)
{
    *uart = (struct uart_host){ .access = access, .place = *place };
    (void)wait_for(access, place, LSR_ALL_EMPTY); /* firmware's last words, if they come */
    reg_write(access, place, UART_LCR, LCR_8N1 | LCR_DLAB);
    set_divisor(access, place);
    reg_write(access, place, UART_LCR, LCR_8N1);
    reg_write(access, place, UART_IER, 0);
    reg_write(access, place, UART_FCR, FCR_ENABLE_AND_CLEAR);
    reg_write(access, place, UART_MCR, MCR_DTR_RTS_OUT2);
}

void uart_host_save(const struct hv_access *access, const struct uart_place *place,
                    struct uart_host_settings *settings)
{
    uint8_t lcr = reg_read(access, place, UART_LCR);

    settings->lcr = lcr;
    settings->mcr = reg_read(access, place, UART_MCR);
    settings->fifo = (reg_read(access, place, UART_FCR) & IIR_FIFO_ON) == IIR_FIFO_ON;
    reg_write(access, place, UART_LCR, lcr | LCR_DLAB);
    settings->divisor_low = reg_read(access, place, UART_DATA);
    settings->divisor_high = reg_read(access, place, UART_IER);
    reg_write(access, place, UART_LCR, lcr & (uint8_t)~LCR_DLAB);
    settings->ier = reg_read(access, place, UART_IER);
    reg_write(access, place, UART_LCR, lcr);
}

void uart_host_restore(const struct hv_access *access, const struct uart_place *place,
                       const struct uart_host_settings *settings)
{
    (void)wait_for(access, place, LSR_ALL_EMPTY);
    reg_write(access, place, UART_LCR, settings->lcr | LCR_DLAB);
    reg_write(access, place, UART_DATA, settings->divisor_low);
    reg_write(access, place, UART_IER, settings->divisor_high);
    reg_write(access, place, UART_LCR, settings->lcr & (uint8_t)~LCR_DLAB);
    if (!settings->fifo)
        reg_write(access, place, UART_FCR, 0);
    reg_write(access, place, UART_MCR, settings->mcr);
    reg_write(access, place, UART_IER, settings->ier);
    reg_write(access, place, UART_LCR, settings->lcr);
}

/* Makes room for at least one byte. A port that has stalled is asked once, not waited for. */
static bool make_room(struct uart_host *uart)
{
    if (uart->room > 0)
        return true;
    if (uart->stalled)
        uart->stalled = !(reg_read(uart->access, &uart->place, UART_LSR) & LSR_THR_EMPTY);
    else
        uart->stalled = !wait_for(uart->access, &uart->place, LSR_THR_EMPTY);
    uart->room = uart->stalled ? 0 : FIFO_BYTES;
    return !uart->stalled;
}

static bool has_room(struct uart_host *uart)
{
    uint8_t status;

    if (uart->room > 0)
        return true;
    status = reg_read(uart->access, &uart->place, UART_LSR);
    if (status == LSR_ABSENT || !(status & LSR_THR_EMPTY))
        return false;
    uart->stalled = false;
    uart->room = FIFO_BYTES;
    return true;
}

static void send_first(struct uart_host *uart)
{
    reg_write(uart->access, &uart->place, UART_DATA, (uint8_t)uart->queue[uart->queue_first]);
    uart->room--;
    uart->queue_first = (uart->queue_first + 1) % UART_HOST_QUEUE_BYTES;
    uart->queued--;
}

static void send_what_fits(struct uart_host *uart)
{
    while (uart->queued > 0 && has_room(uart))
        send_first(uart);
}

static void send_all(struct uart_host *uart)
{
    while (uart->queued > 0 && make_room(uart))
        send_first(uart);
    uart->dropped_bytes += uart->queued;
    uart->queued = 0;
}

void uart_host_write(struct uart_host *uart, const char *bytes, size_t n)
{
    send_all(uart);
    for (size_t i = 0; i < n; i++) {
        if (!make_room(uart)) {
            uart->dropped_bytes += n - i;
            return;
        }
        reg_write(uart->access, &uart->place, UART_DATA, (uint8_t)bytes[i]);
        uart->room--;
    }
}

int uart_host_read(struct uart_host *uart)
{
    uint8_t status = reg_read(uart->access, &uart->place, UART_LSR);
    if (status == LSR_ABSENT || !(status & LSR_DATA_READY))
        return -1;
    return reg_read(uart->access, &uart->place, UART_DATA);
}

static void backend_write(void *ctx, const char *bytes, size_t n)
{
    struct uart_host *uart = ctx;

    for (size_t i = 0; i < n; i++) {
        if (uart->queued == UART_HOST_QUEUE_BYTES && make_room(uart))
            send_first(uart);
        if (uart->queued == UART_HOST_QUEUE_BYTES) {
            uart->dropped_bytes += n - i;
            return;
        }
        uart->queue[(uart->queue_first + uart->queued++) % UART_HOST_QUEUE_BYTES] = bytes[i];
    }
    send_what_fits(uart);
}

static int backend_read(void *ctx)
{
    send_what_fits(ctx);
    return uart_host_read(ctx);
}

static void backend_flush(void *ctx)
{
    send_all(ctx);
}

static bool backend_busy(void *ctx)
{
    return ((const struct uart_host *)ctx)->queued > 0;
}

struct hv_console_backend uart_host_backend(struct uart_host *uart)
{
    return (struct hv_console_backend){ "serial", backend_write, backend_read, uart,
                                         backend_flush, backend_busy };
}
