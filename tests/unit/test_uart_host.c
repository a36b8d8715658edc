// SRCS: drivers/uart16550_host.c
/* PC16550D data sheet: a port that behaves, and several that do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/drv_uart16550.h"

enum fault {
    GOOD,
    ABSENT,
    READS_ZERO,
    NO_LINES,
    HALF_LINES,
    NO_BYTE,
    WRONG_BYTE,
    WRONG_SECOND_BYTE,
    NEVER_EMPTY,
    ALWAYS_FULL,   /* there is a byte to read, however many are read */
    GOES_AWAY,     /* at the second look at its status */
};

struct fake_uart {
    enum fault fault;
    uint8_t lcr, mcr, ier, fcr, dll, dlm, rx;
    bool rx_full;
    unsigned in_flight;  /* bytes in the FIFO */
    unsigned drain_after; /* status reads until it is empty */
    unsigned reads;
    char sent[256];
    unsigned sent_count;
};

static uint8_t lines_of(const struct fake_uart *u)
{
    if (!(u->mcr & 0x10))
        return 0xb0;
    if (u->fault == NO_LINES)
        return 0;
    if (u->fault == HALF_LINES)
        return 0x90;
    return (uint8_t)((u->mcr & 2 ? 0x10 : 0) | (u->mcr & 1 ? 0x20 : 0) | (u->mcr & 4 ? 0x40 : 0) |
                     (u->mcr & 8 ? 0x80 : 0));
}

static uint8_t fake_in8(void *ctx, uint16_t port)
{
    struct fake_uart *u = ctx;
    if (u->fault == ABSENT)
        return 0xff;
    if (u->fault == READS_ZERO)
        return 0;
    switch (port & 7) {
    case 0:
        if (u->lcr & 0x80)
            return u->dll;
        u->rx_full = u->fault == ALWAYS_FULL;
        return u->rx;
    case 1:
        return u->lcr & 0x80 ? u->dlm : u->ier;
    case 2:
        return u->fcr & 1 ? 0xc1 : 1;
    case 3:
        return u->lcr;
    case 4:
        return u->mcr;
    case 5:
        u->reads++;
        if (u->fault == NEVER_EMPTY)
            return 0;
        if (u->fault == GOES_AWAY && u->reads > 1)
            return 0xff;
        if (u->in_flight && u->reads >= u->drain_after)
            u->in_flight = 0;
        return (uint8_t)((u->in_flight ? 0 : 0x60) | (u->rx_full ? 1 : 0));
    case 6:
        return lines_of(u);
    default:
        return 0;
    }
}

static void fake_out8(void *ctx, uint16_t port, uint8_t value)
{
    struct fake_uart *u = ctx;
    switch (port & 7) {
    case 0:
        if (u->lcr & 0x80) {
            u->dll = value;
        } else if (u->mcr & 0x10) {
            u->rx_full = u->fault != NO_BYTE;
            u->rx = value;
            if (u->fault == WRONG_BYTE || (u->fault == WRONG_SECOND_BYTE && value == 0x5a))
                u->rx = 0;
        } else {
            assert_true(u->in_flight < 16); /* an overrun would lose a byte */
            u->in_flight++;
            u->reads = 0;
            if (u->sent_count < sizeof(u->sent))
                u->sent[u->sent_count++] = (char)value;
        }
        break;
    case 1:
        if (u->lcr & 0x80)
            u->dlm = value;
        else
            u->ier = value;
        break;
    case 2:
        u->fcr = value;
        break;
    case 3:
        u->lcr = value;
        break;
    case 4:
        u->mcr = value;
        break;
    default:
        break;
    }
}

static void fake_pause(void *ctx)
{
    (void)ctx;
}

/* The registers lie 4 bytes apart in memory, or one after the other at I/O ports. */
#define MMIO_BASE UINT64_C(0xfe032000)
#define STRIDE 4u
static const struct uart_place in_memory = { HV_SPACE_MEMORY, STRIDE, 4, MMIO_BASE, 0 };
static const struct uart_place com1 = { HV_SPACE_PORT, 1, 1, 0x3f8, 1 };

static uint16_t port_of(enum hv_space space, uint64_t address, unsigned bytes)
{
    if (space == HV_SPACE_PORT) {
        assert_int_equal(bytes, 1);
        assert_in_range(address, 0x3f8, 0x3ff);
        return (uint16_t)address;
    }
    assert_int_equal(bytes, 4);
    assert_in_range(address, MMIO_BASE, MMIO_BASE + 7 * STRIDE);
    assert_int_equal((address - MMIO_BASE) % STRIDE, 0);
    return (uint16_t)(0x3f8 + (address - MMIO_BASE) / STRIDE);
}

static uint32_t fake_read(void *ctx, enum hv_space space, uint64_t address, unsigned bytes)
{
    uint8_t value = fake_in8(ctx, port_of(space, address, bytes));
    return space == HV_SPACE_PORT ? value : 0xa5a5a500 | value; /* the lanes above are undefined */
}

static void fake_write(void *ctx, enum hv_space space, uint64_t address, unsigned bytes,
                       uint32_t value)
{
    fake_out8(ctx, port_of(space, address, bytes), (uint8_t)value);
}

static struct hv_access access_of(struct fake_uart *u)
{
    return (struct hv_access){ fake_read, fake_write, NULL, fake_pause, NULL, u };
}

static void test_probe_finds_and_leaves_alone(void **state)
{
    (void)state;
    struct fake_uart u = { .lcr = 0x83, .mcr = 0x0b, .ier = 5, .rx = 'x', .rx_full = true };
    struct hv_access access = access_of(&u);
    assert_true(uart_host_probe(&access, &com1));
    assert_int_equal(u.lcr, 0x83);
    assert_int_equal(u.mcr, 0x0b);
    assert_int_equal(u.ier, 5);
    assert_int_equal(u.sent_count, 0);
}

static void test_probe_refuses_what_is_no_port(void **state)
{
    (void)state;
    static const enum fault faults[] = { ABSENT, READS_ZERO, NO_LINES, HALF_LINES, NO_BYTE,
                                         WRONG_BYTE, WRONG_SECOND_BYTE, NEVER_EMPTY, GOES_AWAY };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct fake_uart u = { .fault = faults[i], .lcr = 3, .mcr = 8 };
        struct hv_access access = access_of(&u);
        assert_false(uart_host_probe(&access, &com1));
        assert_int_equal(u.lcr, 3);
        assert_int_equal(u.mcr, 8);
    }
}

/* Bytes that come in faster than they can be thrown away: the wait is bounded. */
static void test_probe_of_a_port_that_is_flooded(void **state)
{
    (void)state;
    struct fake_uart u = { .fault = ALWAYS_FULL, .rx_full = true, .rx = 'x', .lcr = 3, .mcr = 8 };
    struct hv_access access = access_of(&u);
    assert_true(uart_host_probe(&access, &com1));
    assert_int_equal(u.lcr, 3);
}

static void test_init_sets_115200_8n1(void **state)
{
    (void)state;
    struct fake_uart u = { .ier = 0xf };
    struct hv_access access = access_of(&u);
    struct uart_host uart;
    uart_host_init(&uart, &access, &com1);
    assert_int_equal(u.dll, 1);
    assert_int_equal(u.dlm, 0);
    assert_int_equal(u.lcr, 3);
    assert_int_equal(u.ier, 0);
    assert_int_equal(u.fcr & 1, 1);
    assert_int_equal(u.mcr & 0x10, 0);
}

static void test_write_fills_the_fifo_and_waits(void **state)
{
    (void)state;
    struct fake_uart u = { .drain_after = 20 };
    struct hv_access access = access_of(&u);
    struct uart_host uart;
    char text[100];
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(' ' + i % 64);
    uart_host_init(&uart, &access, &com1);
    uart_host_write(&uart, text, sizeof(text));
    assert_int_equal(u.sent_count, sizeof(text));
    assert_memory_equal(u.sent, text, sizeof(text));
    assert_int_equal(uart.dropped_bytes, 0);
}

static void test_a_stalled_port_costs_one_wait_and_recovers(void **state)
{
    (void)state;
    struct fake_uart u = { .drain_after = 1 };
    struct hv_access access = access_of(&u);
    struct uart_host uart;
    uart_host_init(&uart, &access, &com1);
    u.fault = NEVER_EMPTY;
    uart_host_write(&uart, "abc", 3);
    assert_int_equal(uart.dropped_bytes, 3);
    u.reads = 0;
    uart_host_write(&uart, "def", 3);
    assert_int_equal(u.reads, 1);
    assert_int_equal(uart.dropped_bytes, 6);
    u.fault = GOOD;
    uart_host_write(&uart, "ghi", 3);
    assert_int_equal(u.sent_count, 3);
    assert_memory_equal(u.sent, "ghi", 3);
}

/* A backend's bytes go out 16 at a time, as the port empties, and nobody waits. */
static void test_the_backend_queues(void **state)
{
    (void)state;
    struct fake_uart u = { .drain_after = 3 };
    struct hv_access access = access_of(&u);
    static struct uart_host uart;
    struct hv_console_backend backend = uart_host_backend(&uart);
    char text[40];
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)('0' + i);
    uart_host_init(&uart, &access, &com1);
    assert_false(backend.busy(backend.ctx));
    u.in_flight = 0;
    backend.write(backend.ctx, text, sizeof(text));
    assert_true(u.sent_count <= 16);
    assert_true(backend.busy(backend.ctx));
    for (unsigned i = 0; i < 20 && backend.busy(backend.ctx); i++) {
        unsigned before = u.sent_count;
        assert_int_equal(backend.read(backend.ctx), -1);
        assert_true(u.sent_count - before <= 16);
    }
    assert_false(backend.busy(backend.ctx));
    assert_int_equal(u.sent_count, sizeof(text));
    assert_memory_equal(u.sent, text, sizeof(text));
    assert_int_equal(uart.dropped_bytes, 0);
}

/* What is written at once comes behind what is queued; flush waits for all of it. */
static void test_order_and_flush(void **state)
{
    (void)state;
    struct fake_uart u = { .drain_after = 3 };
    struct hv_access access = access_of(&u);
    static struct uart_host uart;
    struct hv_console_backend backend = uart_host_backend(&uart);
    uart_host_init(&uart, &access, &com1);
    backend.write(backend.ctx, "abcdefghijklmnopqrstuvwxyz", 26);
    uart_host_write(&uart, "!", 1);
    assert_int_equal(u.sent_count, 27);
    assert_memory_equal(u.sent, "abcdefghijklmnopqrstuvwxyz!", 27);
    backend.write(backend.ctx, "abcdefghijklmnopqrstuvwxyz", 26);
    backend.flush(backend.ctx);
    assert_int_equal(u.sent_count, 27 + 26);
    assert_false(backend.busy(backend.ctx));
}

/* A port that takes nothing keeps the queue full, costs one bounded wait, and what is too much is
 * counted. */
static void test_a_full_queue(void **state)
{
    (void)state;
    struct fake_uart u = { 0 };
    struct hv_access access = access_of(&u);
    static struct uart_host uart;
    static char text[UART_HOST_QUEUE_BYTES + 100];
    struct hv_console_backend backend = uart_host_backend(&uart);
    memset(text, 'x', sizeof(text));
    uart_host_init(&uart, &access, &com1);
    u.fault = NEVER_EMPTY;
    backend.write(backend.ctx, text, sizeof(text));
    assert_int_equal(uart.queued, UART_HOST_QUEUE_BYTES);
    assert_int_equal(uart.dropped_bytes, 100);
    backend.flush(backend.ctx);
    assert_false(backend.busy(backend.ctx));
    assert_int_equal(uart.dropped_bytes, sizeof(text));
    u.fault = GOOD;
    u.sent_count = 0;
    backend.write(backend.ctx, "back", 4);
    backend.flush(backend.ctx);
    assert_memory_equal(u.sent, "back", 4);
}

static void test_read(void **state)
{
    (void)state;
    struct fake_uart u = { 0 };
    struct hv_access access = access_of(&u);
    struct uart_host uart;
    struct hv_console_backend backend = uart_host_backend(&uart);
    uart_host_init(&uart, &access, &com1);
    assert_int_equal(backend.read(backend.ctx), -1);
    u.rx = 0xe4;
    u.rx_full = true;
    assert_int_equal(backend.read(backend.ctx), 0xe4);
    assert_int_equal(backend.read(backend.ctx), -1);
    u.fault = ABSENT; /* a port that goes away does not type 0xff for ever */
    assert_int_equal(backend.read(backend.ctx), -1);
}

static void test_registers_in_memory(void **state)
{
    (void)state;
    struct fake_uart u = { .dll = 0x1a, .dlm = 0x01, .lcr = 3 };
    struct hv_access access = access_of(&u);
    struct uart_host uart;
    assert_true(uart_host_probe(&access, &in_memory));
    uart_host_init(&uart, &access, &in_memory);
    assert_int_equal(u.dll, 0x1a); /* nobody knows its clock: the rate stays */
    assert_int_equal(u.dlm, 0x01);
    uart_host_write(&uart, "hello", 5);
    assert_memory_equal(u.sent, "hello", 5);
    u.rx = 'k';
    u.rx_full = true;
    assert_int_equal(uart_host_read(&uart), 'k');
    assert_int_equal(uart_place_bytes(&in_memory), 6 * 4 + 4);
}

static void test_a_divisor_that_makes_no_sense_is_set(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct fake_uart u = { .dll = i ? 0xff : 0, .dlm = i ? 0xff : 0 };
        struct hv_access access = access_of(&u);
        struct uart_host uart;
        uart_host_init(&uart, &access, &in_memory);
        assert_int_equal(u.dll, 1);
        assert_int_equal(u.dlm, 0);
    }
}

static void test_a_rate_that_is_wanted(void **state)
{
    (void)state;
    struct fake_uart u = { .dll = 7 };
    struct hv_access access = access_of(&u);
    struct uart_place place = com1;
    struct uart_host uart;
    place.divisor = 0x180; /* 300 baud */
    uart_host_init(&uart, &access, &place);
    assert_int_equal(u.dll, 0x80);
    assert_int_equal(u.dlm, 0x01);
}

static void test_firmware_gets_its_settings_back(void **state)
{
    (void)state;
    for (unsigned fifo = 0; fifo < 2; fifo++) {
        struct fake_uart u = { .lcr = 0x1b, .mcr = 0x03, .ier = 0x05, .fcr = (uint8_t)fifo,
                               .dll = 0x0c, .dlm = 0x01 };
        struct hv_access access = access_of(&u);
        struct uart_host_settings settings;
        struct uart_host uart;
        uart_host_save(&access, &com1, &settings);
        assert_int_equal(u.lcr, 0x1b);
        assert_int_equal(settings.fifo, fifo);
        uart_host_init(&uart, &access, &com1);
        assert_int_equal(u.ier, 0);
        uart_host_restore(&access, &com1, &settings);
        assert_int_equal(u.lcr, 0x1b);
        assert_int_equal(u.mcr, 0x03);
        assert_int_equal(u.ier, 0x05);
        assert_int_equal(u.dll, 0x0c);
        assert_int_equal(u.dlm, 0x01);
        assert_int_equal(u.fcr & 1, fifo);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe_finds_and_leaves_alone),
        cmocka_unit_test(test_probe_refuses_what_is_no_port),
        cmocka_unit_test(test_probe_of_a_port_that_is_flooded),
        cmocka_unit_test(test_init_sets_115200_8n1),
        cmocka_unit_test(test_write_fills_the_fifo_and_waits),
        cmocka_unit_test(test_a_stalled_port_costs_one_wait_and_recovers),
        cmocka_unit_test(test_the_backend_queues),
        cmocka_unit_test(test_order_and_flush),
        cmocka_unit_test(test_a_full_queue),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_registers_in_memory),
        cmocka_unit_test(test_a_divisor_that_makes_no_sense_is_set),
        cmocka_unit_test(test_a_rate_that_is_wanted),
        cmocka_unit_test(test_firmware_gets_its_settings_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
