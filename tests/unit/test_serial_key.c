// SRCS: drivers/serial_key.c vmm/lib/format.c
/*
 * The hot key on a port of somebody else's, against a 16550 by its data sheet: RBR and THR only while
 * LCR.DLAB is clear, LSR.DR while there is a character, LSR.THRE when one can be sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hv/drv_serial_key.h"

#define BASE 0x2f8u

static struct {
    const char *input; /* not yet read */
    uint8_t last, lcr, divisor;
    unsigned busy;     /* looks at LSR until the transmitter is empty again */
    unsigned looks_a_byte, looks, other_writes;
    char sent[1000];
    size_t sent_bytes;
} uart;

static struct serial_key key;
static char commands[64];

static uint32_t uart_read(void *ctx, enum hv_space space, uint64_t address, unsigned bytes)
{
    (void)ctx;
    assert_int_equal(space, HV_SPACE_PORT);
    assert_int_equal(bytes, 1);
    switch (address - BASE) {
    case 0:
        if (uart.lcr & 0x80)
            return uart.divisor;
        if (*uart.input)
            uart.last = (uint8_t)*uart.input++;
        return uart.last;
    case 3:
        return uart.lcr;
    case 5:
        uart.looks++;
        if (uart.busy)
            uart.busy--;
        return (*uart.input ? 1 : 0) | (uart.busy ? 0 : 0x20);
    }
    fail_msg("register %d", (int)(address - BASE));
    return 0;
}

static void uart_write(void *ctx, enum hv_space space, uint64_t address, unsigned bytes,
                       uint32_t value)
{
    (void)ctx;
    assert_int_equal(space, HV_SPACE_PORT);
    assert_int_equal(bytes, 1);
    if (address != BASE || (uart.lcr & 0x80) || uart.busy) {
        uart.other_writes++;
        return;
    }
    uart.sent[uart.sent_bytes++] = (char)value;
    uart.busy = uart.looks_a_byte;
}

static void uart_pause(void *ctx)
{
    (void)ctx;
}

static const struct hv_access access = { uart_read, uart_write, NULL, uart_pause, NULL, NULL };

static void on_command(void *ctx, char what)
{
    assert_ptr_equal(ctx, &uart);
    commands[strlen(commands)] = what;
}

static int set_up(void **state)
{
    (void)state;
    memset(&uart, 0, sizeof(uart));
    memset(commands, 0, sizeof(commands));
    uart.input = "";
    key = (struct serial_key){ .access = &access, .base = BASE };
    return 0;
}

static uint8_t owner_reads(void)
{
    return serial_key_read(&key, on_command, &uart);
}

static void test_other_characters_pass(void **state)
{
    (void)state;
    uart.input = "a\x02\xff";
    assert_int_equal(owner_reads(), 'a');
    assert_int_equal(owner_reads(), 2);
    assert_int_equal(owner_reads(), 0xff);
    assert_string_equal(commands, "");
    assert_int_equal(uart.other_writes + uart.sent_bytes, 0);
}

/* The owner reads once for each: what was waiting behind a command comes in its place. */
static void test_key_and_command_are_taken_out(void **state)
{
    (void)state;
    uart.input = "a\x01" "eb";
    assert_int_equal(owner_reads(), 'a');
    assert_int_equal(owner_reads(), 'b');
    assert_string_equal(commands, "e");
}

static void test_one_by_one_the_owner_reads_XON(void **state)
{
    (void)state;
    uart.input = "\x01";
    assert_int_equal(owner_reads(), SERIAL_KEY_XON);
    assert_string_equal(commands, "");
    uart.input = "t";
    assert_int_equal(owner_reads(), SERIAL_KEY_XON);
    assert_string_equal(commands, "t");
    uart.input = "t";
    assert_int_equal(owner_reads(), 't');
    assert_string_equal(commands, "t");
}

static void test_the_key_twice_is_the_key_once(void **state)
{
    (void)state;
    uart.input = "\x01\x01x\x01\x01";
    assert_int_equal(owner_reads(), 1);
    assert_int_equal(owner_reads(), 'x');
    assert_int_equal(owner_reads(), 1);
    assert_string_equal(commands, "");
}

/* A port without a character gives the last one again: that is no second key press. */
static void test_an_empty_port_is_read_as_it_is(void **state)
{
    (void)state;
    uart.input = "\x01";
    assert_int_equal(owner_reads(), SERIAL_KEY_XON);
    assert_int_equal(owner_reads(), 1);
    assert_int_equal(owner_reads(), 1);
    uart.input = "c";
    assert_int_equal(owner_reads(), SERIAL_KEY_XON);
    assert_string_equal(commands, "c");
}

static void test_the_divisor_is_no_character(void **state)
{
    (void)state;
    uart.input = "e";
    uart.lcr = 0x83;
    uart.divisor = 1;
    assert_int_equal(owner_reads(), 1);
    assert_false(key.pending);
    uart.lcr = 3;
    assert_int_equal(owner_reads(), 'e');
    assert_string_equal(commands, "");
}

static void test_a_line_waits_for_room(void **state)
{
    (void)state;
    uart.looks_a_byte = 100;
    serial_key_line(&key, "%s %u", "exits", 5u);
    assert_string_equal(uart.sent, "exits 5\r\n");
    assert_int_equal(uart.other_writes, 0);
}

/* Nothing may hang on a port that takes nothing; it is tried again with the next command. */
static void test_a_port_that_stalls_is_given_up(void **state)
{
    (void)state;
    uart.busy = UINT32_MAX;
    serial_key_line(&key, "a line");
    unsigned looks = uart.looks;
    assert_int_equal(uart.sent_bytes + uart.other_writes, 0);
    serial_key_line(&key, "another");
    assert_int_equal(uart.looks, looks);
    uart.busy = 0;
    uart.input = "\x01?";
    assert_int_equal(owner_reads(), SERIAL_KEY_XON);
    serial_key_line(&key, "help");
    assert_string_equal(uart.sent, "help\r\n");
}

static void test_a_long_line_is_cut(void **state)
{
    char text[900];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    serial_key_line(&key, "%s", text);
    assert_in_range(uart.sent_bytes, 100, 400);
    assert_memory_equal(uart.sent + uart.sent_bytes - 3, "x\r\n", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_other_characters_pass, set_up),
        cmocka_unit_test_setup(test_key_and_command_are_taken_out, set_up),
        cmocka_unit_test_setup(test_one_by_one_the_owner_reads_XON, set_up),
        cmocka_unit_test_setup(test_the_key_twice_is_the_key_once, set_up),
        cmocka_unit_test_setup(test_an_empty_port_is_read_as_it_is, set_up),
        cmocka_unit_test_setup(test_the_divisor_is_no_character, set_up),
        cmocka_unit_test_setup(test_a_line_waits_for_room, set_up),
        cmocka_unit_test_setup(test_a_port_that_stalls_is_given_up, set_up),
        cmocka_unit_test_setup(test_a_long_line_is_cut, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
