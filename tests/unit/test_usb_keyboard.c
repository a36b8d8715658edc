// SRCS: drivers/usb_keyboard.c drivers/usb_descriptors.c drivers/ps2_decode.c
/* Boot-protocol reports, and descriptors, as HID 1.11 and the HID usage tables have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/console.h"
#include "hv/drv_usb_keyboard.h"

static struct usb_keyboard k;
static uint64_t now;

/* What has been typed since the last call. */
static const char *typed(void)
{
    static char text[256];
    size_t n = 0;
    int key;
    while ((key = usb_keyboard_next(&k)) >= 0) {
        assert_true(n + 1 < sizeof(text) && key < 256);
        text[n++] = (char)key;
    }
    text[n] = 0;
    return text;
}

static void report(uint8_t modifiers, uint8_t a, uint8_t b, uint8_t c)
{
    const uint8_t bytes[8] = { modifiers, 0xff, a, b, c, 0, 0, 0 };
    usb_keyboard_report(&k, bytes, sizeof(bytes), now);
}

static const char *press(uint8_t modifiers, uint8_t usage)
{
    report(modifiers, usage, 0, 0);
    report(0, 0, 0, 0);
    return typed();
}

static int setup(void **state)
{
    (void)state;
    memset(&k, 0, sizeof(k));
    now = 1000000;
    return 0;
}

static void test_characters(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < 26; i++) {
        assert_int_equal(press(0, (uint8_t)(4 + i))[0], 'a' + i);
        assert_int_equal(press(0x02, (uint8_t)(4 + i))[0], 'A' + i);
        assert_int_equal(press(0x10, (uint8_t)(4 + i))[0], 1 + i); /* right control */
    }
    static const char digits[] = "1234567890\r\033\177\t -=[]\\\\;'`,./";
    static const char with_shift[] = "!@#$%^&*()\r\033\177\t _+{}||:\"~<>?";
    for (uint8_t i = 0; i < sizeof(digits) - 1; i++) {
        assert_int_equal(press(0, (uint8_t)(0x1e + i))[0], digits[i]);
        assert_int_equal(press(0x20, (uint8_t)(0x1e + i))[0], with_shift[i]);
    }
    assert_string_equal(press(0x04, 0x1b), "\033x");
    assert_string_equal(press(0x40, 0x1b), "\033x");
    assert_string_equal(press(0x08, 0x1b), "x"); /* a logo key */
}

static void test_other_keys(void **state)
{
    (void)state;
    static const char *const functions[] = { "\033OP", "\033OQ", "\033OR", "\033OS", "\033[15~",
                                             "\033[17~", "\033[18~", "\033[19~", "\033[20~",
                                             "\033[21~", "\033[23~", "\033[24~" };
    for (uint8_t i = 0; i < 12; i++)
        assert_string_equal(press(0, (uint8_t)(0x3a + i)), functions[i]);
    static const char *const moves[] = { "\033[2~", "\033[H", "\033[5~", "\033[3~", "\033[F",
                                         "\033[6~", "\033[C", "\033[D", "\033[B", "\033[A" };
    for (uint8_t i = 0; i < 10; i++)
        assert_string_equal(press(0, (uint8_t)(0x49 + i)), moves[i]);
    static const char keypad[] = "/*-+\r1234567890.\\";
    for (uint8_t i = 0; i < sizeof(keypad) - 1; i++)
        assert_int_equal(press(0, (uint8_t)(0x54 + i))[0], keypad[i]);
    assert_string_equal(press(0, 0x46), ""); /* Print Screen */
    assert_string_equal(press(0, 0x65), "");
    assert_string_equal(press(0, 0xff), "");
}

static void test_caps_lock(void **state)
{
    (void)state;
    assert_string_equal(press(0, 0x39), "");
    assert_string_equal(press(0, 0x04), "A");
    assert_string_equal(press(0x02, 0x04), "a");
    assert_string_equal(press(0, 0x39), "");
    assert_string_equal(press(0, 0x04), "a");
}

static void test_hot_keys(void **state)
{
    (void)state;
    report(0x04, 0x3b, 0, 0);
    assert_int_equal(usb_keyboard_next(&k), CONSOLE_KEY_PANE + 1);
    report(0x02, 0x4b, 0, 0);
    assert_int_equal(usb_keyboard_next(&k), CONSOLE_KEY_BACK);
    assert_int_equal(usb_keyboard_next(&k), -1);
}

/* Each key once, however often it is reported and wherever in the report it stands. */
static void test_several_keys_at_once(void **state)
{
    (void)state;
    report(0, 4, 0, 0);
    report(0, 4, 5, 0);
    report(0, 5, 4, 0);
    report(0, 5, 0, 0);
    report(0, 4, 5, 0);
    assert_string_equal(typed(), "aba");
    report(0, 4, 5, 6);
    report(0x02, 4, 5, 6);
    assert_string_equal(typed(), "c");
}

static void test_too_many_keys_say_nothing(void **state)
{
    (void)state;
    const uint8_t phantom[8] = { 0x02, 0, 1, 1, 1, 1, 1, 1 };
    report(0, 4, 0, 0);
    usb_keyboard_report(&k, phantom, 8, now);
    report(0x02, 4, 5, 0); /* the first is still held; shift was taken */
    assert_string_equal(typed(), "aB");
    report(0, 2, 6, 0);
    report(0, 3, 6, 0);
    usb_keyboard_report(&k, phantom, 7, now);
    usb_keyboard_report(&k, phantom, 0, now);
    assert_string_equal(typed(), "");
}

static void test_repeat(void **state)
{
    (void)state;
    report(0, 4, 0, 0);
    assert_string_equal(typed(), "a");
    now += 499999;
    usb_keyboard_repeat(&k, now);
    assert_string_equal(typed(), "");
    now += 1;
    usb_keyboard_repeat(&k, now);
    usb_keyboard_repeat(&k, now);
    assert_string_equal(typed(), "a");
    now += 10000000; /* a late poll makes up for nothing */
    usb_keyboard_repeat(&k, now);
    usb_keyboard_repeat(&k, now);
    assert_string_equal(typed(), "a");
    report(0, 4, 5, 0);
    now += 500000;
    usb_keyboard_repeat(&k, now);
    assert_string_equal(typed(), "bb"); /* the last one */
    report(0, 4, 0, 0);
    now += 500000;
    usb_keyboard_repeat(&k, now);
    assert_string_equal(typed(), "");
    report(0, 0x39, 0, 0); /* Caps Lock does not */
    now += 500000;
    usb_keyboard_repeat(&k, now);
    report(0, 5, 0, 0);
    assert_string_equal(typed(), "B");
    usb_keyboard_release(&k);
    now += 500000;
    usb_keyboard_repeat(&k, now);
    assert_string_equal(typed(), "");
}

static void test_gone_while_held(void **state)
{
    (void)state;
    report(0x02, 4, 0, 0);
    usb_keyboard_release(&k);
    report(0, 4, 0, 0);
    assert_string_equal(typed(), "Aa");
}

static void test_nobody_reads(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        report(0, 0x3e, 0, 0);
        report(0, 0, 0, 0);
    }
    const char *text = typed();
    assert_true(strlen(text) <= USB_KEYBOARD_TYPED);
    assert_int_equal(strlen(text) % 5, 0); /* whole keys */
    assert_string_equal(press(0, 4), "a");
}

/* --- descriptors --- */
static const uint8_t both[] = {
    9, 2, 66, 0, 2, 3, 0, 0xa0, 50,
    9, 4, 0, 0, 1, 9, 0, 0, 0,
    7, 5, 0x81, 3, 1, 0, 12,
    9, 4, 2, 0, 2, 3, 1, 1, 0,
    9, 0x21, 0x11, 1, 0, 1, 0x22, 65, 0,
    7, 5, 0x02, 3, 8, 0, 1,  /* to the device */
    7, 5, 0x85, 3, 64, 0, 4,
    9, 4, 3, 0, 1, 3, 1, 1, 0,
};

static void test_a_keyboard_goes_before_a_hub(void **state)
{
    (void)state;
    struct usb_interface found = { 0 };
    assert_true(usb_find_interface(both, sizeof(both), &found));
    assert_int_equal(found.kind, USB_KEYBOARD);
    assert_int_equal(found.configuration, 3);
    assert_int_equal(found.number, 2);
    assert_int_equal(found.endpoint, 5);
    assert_int_equal(found.packet_bytes, 64);
    assert_int_equal(found.interval, 4);
    assert_true(usb_find_interface(both, 25, &found)); /* cut off: the hub is left */
    assert_int_equal(found.kind, USB_HUB);
    assert_int_equal(found.endpoint, 1);
}

static void test_descriptors_that_lie(void **state)
{
    (void)state;
    struct usb_interface found;
    static const uint8_t cases[][20] = {
        { 9, 3, 16, 0, 1, 1, 0, 0, 0, 9, 4 },                              /* no configuration */
        { 8, 2, 16, 0, 1, 1, 0, 0, 9, 4 },                                 /* too short */
        { 9, 2, 20, 0, 1, 1, 0, 0, 0, 0, 0 },                              /* length 0 */
        { 9, 2, 20, 0, 1, 1, 0, 0, 0, 1, 4, 0, 0 },
        { 9, 2, 20, 0, 1, 1, 0, 0, 0, 255, 4, 0, 0 },
        { 255, 2, 20, 0, 1, 1, 0, 0, 0, 9, 4, 0, 0 },
        { 9, 2, 20, 0, 1, 1, 0, 0, 0, 8, 4, 0, 0, 1, 3, 1, 1 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_false(usb_find_interface(cases[i], 20, &found));
    for (size_t n = 0; n < 25; n++)
        assert_false(usb_find_interface(both, n, &found));
    /* One byte wrong at a time: another interface, endpoint, type, size. */
    uint8_t copy[sizeof(both)];
    static const struct { uint8_t at, value; } changes[] = {
        { 28, 1 }, { 30, 2 }, { 31, 0 }, { 32, 2 }, { 52, 0x80 }, { 52, 0x05 }, { 53, 2 }, { 54, 0 },
        { 55, 7 },
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        memcpy(copy, both, sizeof(both));
        copy[changes[i].at] = changes[i].value;
        assert_true(usb_find_interface(copy, sizeof(copy), &found));
        assert_int_equal(found.kind, USB_HUB);
    }
}

/* "Standard USB Descriptor Definitions": what counts is the first keyboard, wherever it stands; a hub
 * only where there is none; and an endpoint is one only in its full length. */
static void test_which_one_is_found(void **state)
{
    (void)state;
    struct usb_interface found;
    static const uint8_t keyboard_first[] = {
        9, 2, 75, 0, 3, 1, 0, 0xa0, 50,
        9, 4, 4, 0, 1, 3, 1, 1, 0, 7, 5, 0x81, 3, 8, 0, 10,
        9, 4, 5, 0, 1, 9, 0, 0, 0, 7, 5, 0x82, 3, 1, 0, 12,
        9, 4, 6, 0, 1, 3, 1, 1, 0, 7, 5, 0x83, 3, 8, 0, 10,
    };
    static const uint8_t short_endpoint[] = {
        9, 2, 31, 0, 1, 1, 0, 0xa0, 50,
        9, 4, 4, 0, 2, 3, 1, 1, 0, 6, 5, 0x81, 3, 8, 0, 7, 5, 0x82, 3, 8, 0, 10,
    };
    static const uint8_t two_endpoints[] = { /* of a hub, and one of nobody's */
        9, 2, 39, 0, 1, 1, 0, 0xa0, 50, 7, 5, 0x84, 3, 8, 0, 10,
        9, 4, 4, 0, 2, 9, 0, 0, 0, 7, 5, 0x81, 3, 1, 0, 12, 7, 5, 0x82, 3, 1, 0, 12,
        9, 4, 5, 0, 1, 9, 0, 0, 0, 7, 5, 0x83, 3, 1, 0, 12,
    };
    assert_true(usb_find_interface(keyboard_first, sizeof(keyboard_first), &found));
    assert_int_equal(found.number, 4);
    assert_int_equal(found.endpoint, 1);
    assert_true(usb_find_interface(short_endpoint, sizeof(short_endpoint), &found));
    assert_int_equal(found.endpoint, 2);
    assert_true(usb_find_interface(two_endpoints, sizeof(two_endpoints), &found));
    assert_int_equal(found.kind, USB_HUB);
    assert_int_equal(found.number, 4);
    assert_int_equal(found.endpoint, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_characters, setup),
        cmocka_unit_test_setup(test_other_keys, setup),
        cmocka_unit_test_setup(test_caps_lock, setup),
        cmocka_unit_test_setup(test_hot_keys, setup),
        cmocka_unit_test_setup(test_several_keys_at_once, setup),
        cmocka_unit_test_setup(test_too_many_keys_say_nothing, setup),
        cmocka_unit_test_setup(test_repeat, setup),
        cmocka_unit_test_setup(test_gone_while_held, setup),
        cmocka_unit_test_setup(test_nobody_reads, setup),
        cmocka_unit_test_setup(test_a_keyboard_goes_before_a_hub, setup),
        cmocka_unit_test_setup(test_descriptors_that_lie, setup),
        cmocka_unit_test_setup(test_which_one_is_found, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
