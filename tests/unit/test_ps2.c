// SRCS: drivers/ps2_decode.c drivers/ps2_keyboard.c
/* Scan codes of sets 1 and 2, and an i8042 that behaves or does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/console.h"
#include "hv/drv_ps2.h"

static struct ps2_decoder d;

static const char *typed(const uint8_t *codes, size_t n)
{
    static char text[64];
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        char out[PS2_KEY_BYTES];
        unsigned got = ps2_decode(&d, codes[i], out);
        assert_true(got <= PS2_KEY_BYTES);
        memcpy(text + used, out, got);
        used += got;
    }
    text[used] = 0;
    return text;
}
#define TYPED(...) typed((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void test_set_1(void **state)
{
    (void)state;
    d = (struct ps2_decoder){ 0 };
    assert_string_equal(TYPED(0x1e, 0x9e, 0x2a, 0x1e, 0x9e, 0xaa, 0x30), "aAb");
    assert_string_equal(TYPED(0x36, 0x02, 0xb6, 0x02), "!1");
    assert_string_equal(TYPED(0x3a, 0xba, 0x1e, 0x02, 0x2a, 0x1e, 0xaa, 0x3a, 0x1e), "A1aa");
    assert_string_equal(TYPED(0x1d, 0x2e, 0x9d, 0x2e), "\003c");
    assert_string_equal(TYPED(0xe0, 0x1d, 0x20, 0xe0, 0x9d, 0x20), "\004d");
    assert_string_equal(TYPED(0x38, 0x21, 0xb8), "\033f");
    assert_string_equal(TYPED(0xe0, 0x38, 0x21, 0xe0, 0xb8, 0x21), "\033ff");
    assert_string_equal(TYPED(0x1c, 0x0e, 0x0f, 0x01, 0x39), "\r\177\t\033 ");
    assert_string_equal(TYPED(0xe0, 0x48, 0xe0, 0xc8, 0xe0, 0x50, 0xe0, 0x4b, 0xe0, 0x4d),
                        "\033[A\033[B\033[D\033[C");
    assert_string_equal(TYPED(0xe0, 0x47, 0xe0, 0x4f, 0xe0, 0x49, 0xe0, 0x51, 0xe0, 0x52, 0xe0, 0x53),
                        "\033[H\033[F\033[5~\033[6~\033[2~\033[3~");
    assert_string_equal(TYPED(0xe0, 0x1c, 0xe0, 0x35, 0xe0, 0x5b), "\r/");
    assert_string_equal(TYPED(0x3b, 0x3f, 0x44, 0x57, 0x58), "\033OP\033[15~\033[21~\033[23~\033[24~");
    assert_string_equal(TYPED(0x47, 0x37, 0x4e), "7*+");
    assert_string_equal(TYPED(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, 0x1e), "a"); /* Pause */
    assert_string_equal(TYPED(0xe0, 0x2a, 0xe0, 0x48, 0x1e), "\033[Aa"); /* no real shift */
    assert_string_equal(TYPED(0xe0, 0x36, 0x1e, 0xe0, 0xb6), "a");
    assert_string_equal(TYPED(0x45, 0x46, 0x54, 0x7f, 0x00, 0xe0, 0x3a, 0x1e), "a");
}

static void test_keys_of_the_console(void **state)
{
    char out[PS2_KEY_BYTES];

    (void)state;
    for (unsigned set2 = 0; set2 < 2; set2++) {
        static const uint8_t keys[2][12] = {
            { 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44, 0x57, 0x58 },
            { 0x05, 0x06, 0x04, 0x0c, 0x03, 0x0b, 0x83, 0x0a, 0x01, 0x09, 0x78, 0x07 },
        };
        d = (struct ps2_decoder){ .set2 = set2, .alt_left = true };
        for (unsigned i = 0; i < CONSOLE_PANES; i++) {
            assert_int_equal(ps2_decode(&d, keys[set2][i], out), 0);
            assert_int_equal(d.hot_key, CONSOLE_KEY_PANE + i);
        }
        assert_string_equal(TYPED(keys[set2][11]), "\033[24~");
        assert_int_equal(d.hot_key, 0);
        d.alt_left = false;
        assert_string_equal(TYPED(keys[set2][0]), "\033OP");
    }
    d = (struct ps2_decoder){ .shift_right = true };
    assert_string_equal(TYPED(0xe0, 0xaa, 0xe0, 0x49), ""); /* as keyboards send it with shift */
    assert_int_equal(d.hot_key, CONSOLE_KEY_BACK);
    assert_string_equal(TYPED(0xe0, 0xc9), "");
    assert_int_equal(d.hot_key, 0);
    assert_string_equal(TYPED(0xe0, 0x51), "");
    assert_int_equal(d.hot_key, CONSOLE_KEY_FORWARD);
    assert_string_equal(TYPED(0xe0, 0x48, 0x3b), "\033[A\033OP");
    d = (struct ps2_decoder){ .alt_right = true };
    assert_string_equal(TYPED(0xe0, 0x49), "\033[5~");
}

static void test_control_characters(void **state)
{
    (void)state;
    d = (struct ps2_decoder){ .ctrl_left = true };
    char out[PS2_KEY_BYTES];
    static const struct { uint8_t code; char c; } cases[] = {
        { 0x39, 0 }, { 0x03, 0 }, { 0x1a, 0x1b }, { 0x2b, 0x1c }, { 0x1b, 0x1d }, { 0x07, 0x1e },
        { 0x35, 0x1f }, { 0x0c, 0x1f }, { 0x02, '1' },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(ps2_decode(&d, cases[i].code, out), 1);
        assert_int_equal(out[0], cases[i].c);
    }
}

static void test_set_2_types_the_same(void **state)
{
    (void)state;
    d = (struct ps2_decoder){ .set2 = true };
    assert_string_equal(TYPED(0x1c, 0xf0, 0x1c, 0x12, 0x1c, 0xf0, 0x1c, 0xf0, 0x12, 0x32), "aAb");
    assert_string_equal(TYPED(0x14, 0x21, 0xf0, 0x21, 0xf0, 0x14), "\003");
    assert_string_equal(TYPED(0xe0, 0x75, 0xe0, 0xf0, 0x75, 0xe0, 0x72), "\033[A\033[B");
    assert_string_equal(TYPED(0x05, 0x83, 0x07, 0x5a, 0x66), "\033OP\033[18~\033[24~\r\177");
    assert_string_equal(TYPED(0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77, 0x1c), "a");
    assert_string_equal(TYPED(0xff, 0x00, 0x84, 0xfa, 0x1c), "a");
}

static void test_every_code_is_bounded(void **state)
{
    (void)state;
    for (unsigned set2 = 0; set2 < 2; set2++) {
        d = (struct ps2_decoder){ .set2 = set2 };
        for (unsigned a = 0; a < 256; a++) {
            for (unsigned b = 0; b < 256; b++) {
                char out[PS2_KEY_BYTES];
                assert_true(ps2_decode(&d, (uint8_t)a, out) <= PS2_KEY_BYTES);
                assert_true(ps2_decode(&d, (uint8_t)b, out) <= PS2_KEY_BYTES);
            }
        }
    }
}

/* --- the controller --- */
struct fake_8042 {
    bool absent, deaf, mute, no_translation, stuck_full;
    unsigned writes_until_deaf, writes_until_mute; /* 0: never */
    unsigned reads_until_absent;
    unsigned mouse_bytes; /* that it says before each answer */
    uint8_t config, command;
    uint8_t queue[128];
    bool mouse[128];
    unsigned count, next;
    bool keyboard_on;
};

static void queue(struct fake_8042 *k, uint8_t byte, bool mouse)
{
    assert_true(k->count < sizeof(k->queue));
    k->mouse[k->count] = mouse;
    k->queue[k->count++] = byte;
}

static uint8_t fake_in8(void *ctx, uint16_t port)
{
    struct fake_8042 *k = ctx;
    if (k->reads_until_absent && --k->reads_until_absent == 0)
        k->absent = true;
    if (k->absent)
        return 0xff;
    if (k->stuck_full)
        return port == 0x64 ? 1 : 0xaa;
    bool full = k->next < k->count;
    if (port == 0x64)
        return (uint8_t)((full ? 1 : 0) | (k->deaf ? 2 : 0) | (full && k->mouse[k->next] ? 0x20 : 0));
    return full ? k->queue[k->next++] : 0;
}

static void fake_out8(void *ctx, uint16_t port, uint8_t value)
{
    struct fake_8042 *k = ctx;
    if (k->writes_until_deaf && --k->writes_until_deaf == 0)
        k->deaf = true;
    if (k->writes_until_mute && --k->writes_until_mute == 0)
        k->mute = true;
    if (port == 0x64) {
        k->command = value;
        for (unsigned i = 0; value == 0x20 && i < k->mouse_bytes; i++)
            queue(k, 0xff, true);
        if (value == 0x20 && !k->mute)
            queue(k, k->config, false);
        if (value == 0xa7)
            k->config |= 0x20;
        if (value == 0xae)
            k->config &= (uint8_t)~0x10;
    } else if (k->command == 0x60) {
        k->config = k->no_translation ? value & (uint8_t)~0x40 : value;
        k->command = 0;
    } else if (value == 0xf4) {
        k->keyboard_on = true;
        if (!k->mute)
            queue(k, 0xfa, false);
    }
}

static void fake_pause(void *ctx)
{
    (void)ctx;
}

static struct hv_ports ports_of(struct fake_8042 *k)
{
    return (struct hv_ports){ fake_in8, fake_out8, fake_pause, k };
}

static void test_init_and_read(void **state)
{
    (void)state;
    struct fake_8042 k = { .config = 0x37 };
    struct hv_ports ports = ports_of(&k);
    struct ps2_keyboard keyboard;
    queue(&k, 0x1e, false); /* left over from firmware */
    assert_true(ps2_keyboard_init(&keyboard, &ports));
    assert_int_equal(k.config & 0x03, 0);
    assert_int_equal(k.config & 0x10, 0);
    assert_int_equal(k.config & 0x20, 0x20);
    assert_true(k.keyboard_on);
    assert_false(keyboard.decoder.set2);
    assert_int_equal(ps2_keyboard_read(&keyboard), -1);
    queue(&k, 0x1e, true); /* the mouse is not the keyboard */
    queue(&k, 0x9e, false);
    queue(&k, 0x30, false);
    assert_int_equal(ps2_keyboard_read(&keyboard), 'b');
    queue(&k, 0xe0, false);
    queue(&k, 0x48, false);
    assert_int_equal(ps2_keyboard_read(&keyboard), 0x1b);
    assert_int_equal(ps2_keyboard_read(&keyboard), '[');
    assert_int_equal(ps2_keyboard_read(&keyboard), 'A');
    assert_int_equal(ps2_keyboard_read(&keyboard), -1);
    k.absent = true;
    assert_int_equal(ps2_keyboard_read(&keyboard), -1);
}

static void test_a_controller_without_translation(void **state)
{
    (void)state;
    struct fake_8042 k = { .no_translation = true };
    struct hv_ports ports = ports_of(&k);
    struct ps2_keyboard keyboard;
    assert_true(ps2_keyboard_init(&keyboard, &ports));
    assert_true(keyboard.decoder.set2);
    queue(&k, 0x1c, false);
    assert_int_equal(ps2_keyboard_read(&keyboard), 'a');
}

static void test_what_is_no_controller(void **state)
{
    (void)state;
    struct ps2_keyboard keyboard;
    struct fake_8042 absent = { .absent = true }, deaf = { .deaf = true }, mute = { .mute = true };
    struct hv_ports ports = ports_of(&absent);
    assert_false(ps2_keyboard_init(&keyboard, &ports));
    ports = ports_of(&deaf);
    assert_false(ps2_keyboard_init(&keyboard, &ports));
    ports = ports_of(&mute);
    assert_false(ps2_keyboard_init(&keyboard, &ports));
    /* A buffer that is never empty: bounded, in init and in reading. */
    struct fake_8042 stuck = { .stuck_full = true };
    ports = ports_of(&stuck);
    assert_true(ps2_keyboard_init(&keyboard, &ports));
    assert_int_equal(ps2_keyboard_read(&keyboard), -1);
}

/* Firmware that has mouse and interrupts on gets them back, though the mouse had the last word. */
static void test_restore(void **state)
{
    (void)state;
    struct fake_8042 k = { .config = 0x47 };
    struct hv_ports ports = ports_of(&k);
    struct ps2_keyboard keyboard;
    assert_true(ps2_keyboard_init(&keyboard, &ports));
    assert_int_equal(keyboard.config_before, 0x47);
    assert_int_equal(k.config & 0x23, 0x20);
    queue(&k, 0x08, true);
    queue(&k, 0x1e, false);
    ps2_keyboard_restore(&keyboard);
    assert_int_equal(k.config, 0x47);
    assert_int_equal(k.next, k.count);
    keyboard.config_before = -1;
    k.config = 0x65;
    ps2_keyboard_restore(&keyboard);
    assert_int_equal(k.config, 0x65);
    k.deaf = true;
    ps2_keyboard_restore(&keyboard);
}

/* The mouse speaks between a command and its answer; more of it than is waited for is too much. */
static void test_a_mouse_that_speaks_first(void **state)
{
    (void)state;
    struct ps2_keyboard keyboard;
    struct fake_8042 some = { .config = 0x47, .mouse_bytes = 5 }, many = { .mouse_bytes = 40 };
    struct hv_ports ports = ports_of(&some);
    assert_true(ps2_keyboard_init(&keyboard, &ports));
    assert_int_equal(keyboard.config_before, 0x47);
    assert_int_equal(some.config & 0x33, 0x20);
    ports = ports_of(&many);
    assert_false(ps2_keyboard_init(&keyboard, &ports));
}

/* Keys of the console come as what they mean. */
static void test_a_hot_key(void **state)
{
    (void)state;
    struct fake_8042 k = { 0 };
    struct hv_ports ports = ports_of(&k);
    struct ps2_keyboard keyboard;
    assert_true(ps2_keyboard_init(&keyboard, &ports));
    queue(&k, 0x38, false);
    queue(&k, 0x3c, false);
    queue(&k, 0xb8, false);
    queue(&k, 0x1e, false);
    assert_int_equal(ps2_keyboard_read(&keyboard), CONSOLE_KEY_PANE + 1);
    assert_int_equal(ps2_keyboard_read(&keyboard), 'a');
}

/* All ones: it has gone, at any moment. Nothing is waited for any more. */
static void test_a_controller_that_goes(void **state)
{
    (void)state;
    for (unsigned reads = 1; reads < 40; reads++) {
        struct fake_8042 k = { .reads_until_absent = reads };
        struct hv_ports ports = ports_of(&k);
        struct ps2_keyboard keyboard;
        bool usable = ps2_keyboard_init(&keyboard, &ports);
        if (usable)
            ps2_keyboard_restore(&keyboard);
        k.absent = true;
        if (usable)
            assert_int_equal(ps2_keyboard_read(&keyboard), -1);
        assert_true(usable || reads < 25);
    }
    struct fake_8042 k = { .config = 0x47 };
    struct hv_ports ports = ports_of(&k);
    struct ps2_keyboard keyboard;
    assert_true(ps2_keyboard_init(&keyboard, &ports));
    k.deaf = true; /* it takes nothing back */
    ps2_keyboard_restore(&keyboard);
    assert_int_equal(k.config & 0x23, 0x20);
}

/* It may stop answering at any step: init ends, and says so where the keyboard can't be used. */
static void test_a_controller_that_dies_on_the_way(void **state)
{
    (void)state;
    for (unsigned after = 1; after <= 8; after++) {
        struct ps2_keyboard keyboard;
        struct fake_8042 deaf = { .writes_until_deaf = after };
        struct hv_ports ports = ports_of(&deaf);
        bool usable = ps2_keyboard_init(&keyboard, &ports);
        assert_int_equal(usable, after >= 7);
        struct fake_8042 mute = { .writes_until_mute = after };
        ports = ports_of(&mute);
        usable = ps2_keyboard_init(&keyboard, &ports);
        assert_int_equal(usable, after > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_1),
        cmocka_unit_test(test_keys_of_the_console),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_set_2_types_the_same),
        cmocka_unit_test(test_every_code_is_bounded),
        cmocka_unit_test(test_init_and_read),
        cmocka_unit_test(test_a_controller_without_translation),
        cmocka_unit_test(test_what_is_no_controller),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_a_mouse_that_speaks_first),
        cmocka_unit_test(test_a_hot_key),
        cmocka_unit_test(test_a_controller_that_goes),
        cmocka_unit_test(test_a_controller_that_dies_on_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
