/*
 * See hv/drv_serial_key.h.
 */
#include "hv/drv_serial_key.h"

#include "hv/format.h"

enum { UART_DATA = 0, UART_LCR = 3, UART_LSR = 5 };

#define LCR_DLAB 0x80
#define LSR_DATA_READY 0x01
#define LSR_THR_EMPTY 0x20
/* A port read takes about a microsecond on a real machine; a character at 300 baud, 33 ms. */
#define WAIT_TRIES 50000u
#define LINE_BYTES 320

static uint8_t reg_read(const struct serial_key *key, unsigned reg)
{
    return (uint8_t)key->access->read(key->access->ctx, HV_SPACE_PORT, key->base + reg, 1);
}

/* Is there a character? With the divisor latch open the register is another one, and an empty port
 * gives the last character once more. */
static bool is_character(const struct serial_key *key)
{
    return !(reg_read(key, UART_LCR) & LCR_DLAB) && (reg_read(key, UART_LSR) & LSR_DATA_READY);
}

/* False: it is the owner's. */
static bool take(struct serial_key *key, uint8_t byte, void (*command)(void *ctx, char what),
                 void *ctx)
{
    bool was_pending = key->pending;

    key->pending = !was_pending && byte == SERIAL_KEY;
    if (key->pending)
        return true;
    if (!was_pending || byte == SERIAL_KEY)
        return false;
    key->stopped = false;
    command(ctx, (char)byte);
    return true;
}

uint8_t serial_key_read(struct serial_key *key, void (*command)(void *ctx, char what), void *ctx)
{
    bool taken = false;

    while (is_character(key)) {
        uint8_t byte = reg_read(key, UART_DATA);
        if (!take(key, byte, command, ctx))
            return byte;
        taken = true;
    }
    return taken ? SERIAL_KEY_XON : reg_read(key, UART_DATA);
}

static void send(struct serial_key *key, char byte)
{
    unsigned tries = 0;

    while (!key->stopped && !(reg_read(key, UART_LSR) & LSR_THR_EMPTY)) {
        key->access->pause(key->access->ctx);
        key->stopped = ++tries == WAIT_TRIES;
    }
    if (!key->stopped)
        key->access->write(key->access->ctx, HV_SPACE_PORT, key->base + UART_DATA, 1, (uint8_t)byte);
}

void serial_key_line(struct serial_key *key, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    va_start(args, format);
    hv_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (const char *at = line; *at; at++)
        send(key, *at);
    send(key, '\r');
    send(key, '\n');
}
