// SRCS: vmm/devices/i8042.c
/*
 * Keyboard controller against the PC AT and PS/2 technical references.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake.h"
#include "fields.h"
#include "hv/dev_i8042.h"

static struct i8042 kbc;
static struct fake_lines lines;
static unsigned requests;

static void request(void *context, enum vm_request what, unsigned status)
{
    (void)context;
    assert_int_equal(what, VM_REQUEST_RESET);
    assert_int_equal(status, 0);
    requests++;
}

static const struct vm_control control = { request, NULL };

static int setup(void **state)
{
    (void)state;
    struct irq_line kbd = fake_line(&lines, 1), aux = fake_line(&lines, 12);
    struct irq_line a20 = fake_line(&lines, 20);
    memset(&lines, 0, sizeof(lines));
    requests = 0;
    i8042_init(&kbc, &kbd, &aux, &a20, &control);
    return 0;
}

static uint8_t status(void)
{
    return (uint8_t)fake_access(&kbc.device, I8042_COMMAND, BUS_PORT, 0, 1, false, 0, NULL);
}

static uint8_t data(void)
{
    return (uint8_t)fake_access(&kbc.device, I8042_DATA, BUS_PORT, 0, 1, false, 0, NULL);
}

static void command(uint8_t value)
{
    fake_access(&kbc.device, I8042_COMMAND, BUS_PORT, 0, 1, true, value, NULL);
}

static void write(uint8_t value)
{
    fake_access(&kbc.device, I8042_DATA, BUS_PORT, 0, 1, true, value, NULL);
}

/* Sends a command that has an answer. */
static uint8_t ask(uint8_t value)
{
    command(value);
    assert_int_equal(status() & 0x01, 0x01);
    uint8_t answer = data();
    assert_int_equal(status() & 0x01, 0);
    return answer;
}

static void test_power_up(void **state)
{
    (void)state;
    assert_int_equal(status(), 0x14);
    assert_int_equal(ask(0x20), 0x65);
    assert_false(lines.level[1]);
    assert_true(lines.level[20]);
}

static void test_answers(void **state)
{
    (void)state;
    assert_int_equal(ask(0xAA), 0x55);
    assert_int_equal(ask(0xAB), 0x00);
    assert_int_equal(ask(0xA9), 0x01);
    assert_int_equal(ask(0xA4), 0xF1);
    assert_int_equal(ask(0xC0), 0x80);
    assert_int_equal(ask(0xE0), 0x03);
    command(0x01); /* none of its commands */
    assert_int_equal(status(), 0x1C);
}

static void test_command_byte(void **state)
{
    (void)state;
    command(0x60);
    assert_int_equal(status() & 8, 8);
    write(0xFF);
    assert_int_equal(status() & 8, 0);
    assert_int_equal(ask(0x20), 0x7F);
    command(0x60);
    write(0x00);
    assert_int_equal(status() & 4, 0); /* the system flag follows */
    command(0xAA);
    data();
    assert_int_equal(status() & 4, 4);
    assert_int_equal(ask(0x20), 0x04);
    command(0xAD);
    assert_int_equal(ask(0x20), 0x14);
    command(0xAE);
    assert_int_equal(ask(0x20), 0x04);
    command(0xA7);
    assert_int_equal(ask(0x20), 0x24);
    command(0xA8);
    assert_int_equal(ask(0x20), 0x04);
}

static void test_ram(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 32; i++) {
        command((uint8_t)(0x60 + i));
        write((uint8_t)(0x80 + i));
    }
    for (unsigned i = 1; i < 32; i++)
        assert_int_equal(ask((uint8_t)(0x20 + i)), 0x80 + i);
}

static void test_interrupt_follows_buffer(void **state)
{
    (void)state;
    command(0xD2);
    write(0x1E);
    assert_true(lines.level[1]);
    assert_int_equal(status() & 0x21, 0x01);
    assert_int_equal(data(), 0x1E);
    assert_false(lines.level[1]);
    assert_int_equal(data(), 0x1E); /* the latch keeps it */
    command(0x60);
    write(0x44); /* interrupt off */
    command(0xD2);
    write(0x1E);
    assert_false(lines.level[1]);
    command(0x60);
    write(0x45); /* and on, with the buffer full */
    assert_true(lines.level[1]);
}

static void test_absent_keyboard(void **state)
{
    (void)state;
    command(0xAD);
    write(0xF2);
    assert_int_equal(status() & 0xE1, 0x41); /* time-out */
    assert_true(lines.level[1]);
    assert_int_equal(data(), 0xFE);
    assert_int_equal(status() & 0xE1, 0);
    assert_int_equal(ask(0x20) & 0x10, 0); /* sending has switched the interface on */
}

static void test_absent_aux(void **state)
{
    (void)state;
    command(0xD3); /* loops back as keyboard data: software sees that there is no port */
    write(0x5A);
    assert_int_equal(status() & 0x21, 0x01);
    assert_int_equal(data(), 0x5A);
    command(0x60);
    write(0x47);
    command(0xD4);
    write(0xF4);
    assert_int_equal(status() & 0x61, 0x61);
    assert_true(lines.level[12]);
    assert_false(lines.level[1]);
    assert_int_equal(ask(0xD0) & 0x30, 0x20); /* AUX buffer full, until the answer replaced it */
    assert_false(lines.level[12]);
}

static void test_output_port_and_a20(void **state)
{
    (void)state;
    assert_int_equal(ask(0xD0), 0xCF);
    command(0xD1);
    write(0xFD);
    assert_false(lines.level[20]);
    assert_int_equal(ask(0xD0), 0xCD);
    assert_int_equal(requests, 0);
    command(0xD1);
    write(0x02);
    assert_true(lines.level[20]);
    assert_int_equal(requests, 1);
    command(0xD2);
    write(0x55);
    command(0xD0);
    assert_int_equal(data() & 0x30, 0x10);
}

static void test_pulse_reset(void **state)
{
    (void)state;
    command(0xFF);
    command(0xF1);
    assert_int_equal(requests, 0);
    command(0xFE);
    assert_int_equal(requests, 1);
    command(0xF0);
    assert_int_equal(requests, 2);
}

static void test_command_replaces_pending_one(void **state)
{
    (void)state;
    command(0x60);
    command(0xAE);
    write(0x00); /* goes to the keyboard, not into the command byte */
    assert_int_equal(data(), 0xFE);
    assert_int_equal(ask(0x20), 0x65);
}

static void test_wide_access(void **state)
{
    (void)state;
    enum bus_answer answer;
    assert_int_equal(fake_access(&kbc.device, I8042_COMMAND, BUS_PORT, 0, 2, false, 0, &answer),
                     0xFF14);
    assert_int_equal(answer, BUS_DONE);
    fake_access(&kbc.device, I8042_COMMAND, BUS_PORT, 1, 1, false, 0, &answer);
    assert_int_equal(answer, BUS_UNCLAIMED);
}

static void test_check_and_load(void **state)
{
    (void)state;
    bool (*check)(const void *) = kbc.device.ops->check;
    struct i8042_state good, bad;
    command(0xD2);
    write(1);
    command(0xD1);
    good = kbc.state;
    assert_true(check(&good));
    bad = good, bad.command = 0xD5;
    assert_false(check(&bad));
    bad = good, bad.command = 0x59;
    assert_false(check(&bad));
    bad = good, bad.status |= 2;
    assert_false(check(&bad));
    bad = good, bad.status &= 0xEF;
    assert_false(check(&bad));
    bad = good, bad.ram[0] = 0x80;
    assert_false(check(&bad));
    bad = good, bad.output_port = 0x30;
    assert_false(check(&bad));
    kbc.device.ops->reset(&kbc.device);
    assert_false(lines.level[1]);
    kbc.state = good;
    kbc.device.ops->loaded(&kbc.device);
    assert_true(lines.level[1]);
    good.command = 0;
    assert_true(check(&good));
}

static void test_fields_cover_the_state(void **state)
{
    (void)state;
    assert_true(fake_fields_cover(kbc.device.ops));
}

#define T(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(power_up), T(answers), T(command_byte), T(ram), T(interrupt_follows_buffer),
        T(absent_keyboard), T(absent_aux), T(output_port_and_a20), T(pulse_reset),
        T(command_replaces_pending_one), T(wide_access), T(check_and_load),
        T(fields_cover_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
