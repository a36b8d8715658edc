// SRCS: drivers/xhci_start.c drivers/xhci_ring.c drivers/xhci_port.c drivers/xhci_device.c drivers/xhci_hub.c drivers/usb_keyboard.c drivers/usb_descriptors.c drivers/ps2_decode.c
/* The xHCI driver against a controller written from the specification (tests/fake/xhc.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "xhc_world.h"

/* --- what works --- */

static void test_a_keyboard_of_each_speed(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        static const uint8_t packets[] = { 8, 16, 32, 64 };
        enum xhc_speed speed = i < 4 ? XHC_FULL : i % 2 ? XHC_LOW : XHC_HIGH;
        struct xhc_device d = keyboard(speed);
        setup(NULL);
        h.context_bytes = i % 2 ? 64 : 32;
        if (speed == XHC_FULL)
            d.packet_bytes = packets[i];
        xhc_plug(&h, &d, NULL, 1 + i % 6);
        assert_null(start());
        run_ms(2000);
        assert_int_equal(xhci_keyboards(&x), 1);
        assert_true(d.boot_protocol);
        assert_true(d.idle_set);
        press(&d, 0x04);
        press(&d, 0x05);
        assert_string_equal(typed(), "ab");
        assert_false(xhci_is_busy(&x));
        assert_null(x.dead);
    }
}

/* More than the rings hold, so that each wraps several times. */
static void test_many_reports(void **state)
{
    (void)state;
    struct xhc_device d = keyboard(XHC_FULL);
    xhc_plug(&h, &d, NULL, 2);
    assert_null(start());
    run_ms(2000);
    for (unsigned i = 0; i < 1000; i++) {
        char wanted[9] = { 0 };
        for (unsigned j = 0; j < 8; j++) {
            press(&d, (uint8_t)(4 + (i + j) % 26));
            wanted[j] = (char)('a' + (i + j) % 26);
        }
        assert_string_equal(typed(), wanted);
    }
    /* More than were asked for: the device keeps them until there is room. */
    for (unsigned i = 0; i < 14; i++)
        press(&d, 0x04);
    assert_string_equal(typed(), "aaaaaaaaaaaaaa");
}

static void test_an_idle_poll_is_cheap(void **state)
{
    (void)state;
    struct xhc_device d = keyboard(XHC_FULL);
    xhc_plug(&h, &d, NULL, 2);
    assert_null(start());
    run_ms(2000);
    h.register_reads = h.register_writes = 0;
    run_ms(2000);
    assert_int_equal(h.register_reads, 100);
    assert_int_equal(h.register_writes, 0);
}

static void test_repeat_comes_from_the_poll(void **state)
{
    (void)state;
    struct xhc_device d = keyboard(XHC_FULL);
    const uint8_t down[8] = { 0, 0, 0x04 };
    xhc_plug(&h, &d, NULL, 2);
    assert_null(start());
    run_ms(2000);
    xhc_report(&h, &d, down);
    run_ms(600);
    assert_in_range(strlen(typed()), 2, 5);
    xhc_unplug(&h, &d);
    run_ms(1000);
    (void)typed();
    run_ms(1000);
    assert_string_equal(typed(), "");
}

static void test_hubs(void **state)
{
    (void)state;
    struct xhc_device fast = hub(XHC_HIGH, 4), slow = hub(XHC_FULL, 7);
    struct xhc_device a = keyboard(XHC_LOW), b = keyboard(XHC_FULL), c = keyboard(XHC_HIGH),
                      e = keyboard(XHC_LOW);
    xhc_plug(&h, &fast, NULL, 3);
    xhc_plug(&h, &a, &fast, 1);
    xhc_plug(&h, &slow, &fast, 4);
    xhc_plug(&h, &b, &slow, 7);
    xhc_plug(&h, &c, &fast, 2);
    assert_null(start());
    run_ms(6000);
    assert_int_equal(xhci_keyboards(&x), 3);
    assert_string_equal(notes(), "3.0 a hub; 3.1 a keyboard; 3.2 a keyboard; 3.4 a hub; "
                                 "3.7 a keyboard; ");
    assert_int_equal(h.slot[b.slot].route, 0x74);
    press(&a, 0x04);
    press(&b, 0x05);
    press(&c, 0x06);
    assert_int_equal(strlen(typed()), 3);
    xhc_plug(&h, &e, &slow, 2); /* behind a hub behind a hub, later */
    run_ms(2000);
    assert_string_equal(notes(), "3.2 a keyboard; ");
    press(&e, 0x07);
    assert_string_equal(typed(), "d");
    xhc_unplug(&h, &a);
    run_ms(1000);
    assert_string_equal(notes(), "3.1 a keyboard has gone; ");
    assert_int_equal(xhci_keyboards(&x), 3);
    xhc_unplug(&h, &fast); /* and with it all that is left */
    run_ms(1000);
    assert_int_equal(xhci_keyboards(&x), 0);
    for (unsigned i = 1; i <= XHC_SLOTS; i++)
        assert_false(h.slot[i].enabled);
}

static void test_five_hubs_in_a_row(void **state)
{
    (void)state;
    struct xhc_device hubs[6], k = keyboard(XHC_FULL);
    for (unsigned i = 0; i < 6; i++) {
        hubs[i] = hub(XHC_HIGH, 15);
        xhc_plug(&h, &hubs[i], i ? &hubs[i - 1] : NULL, i ? 15 : 1);
    }
    xhc_plug(&h, &k, &hubs[4], 3);
    assert_null(start());
    run_ms(20000);
    assert_int_equal(xhci_keyboards(&x), 1);
    assert_int_equal(h.slot[k.slot].route, 0x3ffff);
    struct xhc_device late = keyboard(XHC_LOW); /* whose change stands in the report's second byte */
    xhc_plug(&h, &late, &hubs[0], 12);
    run_ms(2000);
    assert_int_equal(xhci_keyboards(&x), 2);
    assert_int_equal(hubs[5].slot, 0); /* the sixth can't have anything behind it */
    assert_false(xhci_is_busy(&x));
}

static void test_plugged_again_and_again(void **state)
{
    (void)state;
    struct xhc_device d = keyboard(XHC_LOW);
    assert_null(start());
    run_ms(1000);
    for (unsigned i = 0; i < 50; i++) {
        xhc_plug(&h, &d, NULL, 4);
        run_ms(1000);
        press(&d, 0x04);
        assert_string_equal(typed(), "a");
        xhc_unplug(&h, &d);
        run_ms(200);
    }
    assert_int_equal(xhci_keyboards(&x), 0);
}

/* Out and in again between two polls. */
static void test_swapped(void **state)
{
    (void)state;
    struct xhc_device first = keyboard(XHC_LOW), second = keyboard(XHC_FULL);
    xhc_plug(&h, &first, NULL, 4);
    assert_null(start());
    run_ms(1000);
    xhc_unplug(&h, &first);
    xhc_plug(&h, &second, NULL, 4);
    run_ms(2000);
    press(&second, 0x05);
    assert_string_equal(typed(), "b");
    assert_int_equal(xhci_keyboards(&x), 1);
}

/* Pulled at every moment of being set up. */
static void test_pulled_at_any_moment(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 800; ms += 20) {
        struct xhc_device outer = hub(XHC_HIGH, 4), d = keyboard(XHC_LOW), e = keyboard(XHC_FULL);
        setup(NULL);
        xhc_plug(&h, &outer, NULL, 2);
        xhc_plug(&h, &d, &outer, 1);
        assert_null(start());
        run_ms(ms);
        xhc_unplug(&h, ms % 40 ? &d : &outer);
        run_ms(20000);
        assert_null(x.dead);
        assert_int_equal(xhci_keyboards(&x), 0);
        xhc_plug(&h, &e, NULL, 3);
        run_ms(2000);
        assert_int_equal(xhci_keyboards(&x), 1);
    }
}

static void test_others_are_left_alone(void **state)
{
    (void)state;
    struct xhc_device stick = { .kind = XHC_OTHER, .speed = XHC_HIGH },
                      disk = { .kind = XHC_OTHER, .speed = XHC_SUPER }, k = keyboard(XHC_LOW);
    xhc_plug(&h, &stick, NULL, 1);
    xhc_plug(&h, &disk, NULL, 8);
    xhc_plug(&h, &k, NULL, 2);
    assert_null(start());
    run_ms(3000);
    assert_int_equal(xhci_keyboards(&x), 1);
    assert_false(xhci_is_busy(&x));
    assert_int_equal(stick.slot, 0); /* its slot is free for others */
    assert_string_equal(notes(), "2.0 a keyboard; ");
    xhc_unplug(&h, &stick);
    run_ms(200);
    struct xhc_device k2 = keyboard(XHC_FULL);
    xhc_plug(&h, &k2, NULL, 1);
    run_ms(2000);
    assert_int_equal(xhci_keyboards(&x), 2);
}

/* Without the list of protocols a port's speed alone tells. */
static void test_no_protocols(void **state)
{
    (void)state;
    struct xhc_device k = keyboard(XHC_LOW);
    h.no_protocols = true;
    xhc_plug(&h, &k, NULL, 2);
    assert_null(start());
    run_ms(2000);
    assert_int_equal(xhci_keyboards(&x), 1);
}

static void test_capabilities_that_lie(void **state)
{
    (void)state;
    static const struct { uint32_t dwords[16]; unsigned keyboards; } cases[] = {
        { { UINT32_MAX }, 1 },                             /* nothing there */
        { { 0x00000001, UINT32_MAX }, 1 },                 /* legacy alone, SMIs and all */
        { { 0x02000002, 0, 0x00000800 }, 0 },              /* ports from 0 on */
        { { 0x02000002, 0, 0x0000ff01 }, 1 },              /* more ports than there are */
        { { 0x03000002, 0, 0x00000801 }, 0 },              /* all of them USB 3 */
        { { 0x02000402, 0, 0x00000101, 0, 0x02000002, 0, 0x00000102 }, 1 },
        { { 0x0000ff0a }, 1 },                             /* far away */
        { { 0x0000040a, 0, 0, 0, 0x0000040a, 0, 0, 0, 0x0000040a, 0, 0, 0, 0x0000ff0a }, 1 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xhc_device k = keyboard(XHC_LOW);
        setup(NULL);
        h.extended = cases[i].dwords;
        h.powered = i % 2;
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        run_ms(2000);
        assert_int_equal(xhci_keyboards(&x), cases[i].keyboards);
    }
}

/* A report that is said to be longer than its buffer, or that comes from a wrong place. */
static void test_reports_that_lie(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct xhc_device k = keyboard(XHC_LOW);
        setup(NULL);
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        run_ms(2000);
        const struct xhci_device *d = &x.devices[k.slot];
        uint64_t next = (uint64_t)d->reports.trbs;
        xhc_event(&h, i == 1 ? next + 16 : next, (i == 2 ? 6u : 13u) << 24 | (i == 0 ? 9 : 8),
                  32u << 10 | 5u << 16 | (uint32_t)k.slot << 24);
        run_ms(100);
        assert_int_equal(xhci_keyboards(&x), 0);
        run_ms(2000); /* it is set up anew */
        assert_int_equal(xhci_keyboards(&x), 1);
    }
}

static void test_firmware_lets_go(void **state)
{
    (void)state;
    for (unsigned deaf = 0; deaf < 2; deaf++) {
        struct xhc_device k = keyboard(XHC_LOW);
        setup(NULL);
        h.bios_owned = true;
        h.bios_is_deaf = deaf;
        h.legacy = 1u << 16;
        h.legacy_control = 0xe011; /* SMIs */
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        assert_int_equal(h.legacy & (1u << 24), 1u << 24);
        assert_int_equal(h.legacy & (1u << 16), 0);
        assert_int_equal(h.legacy_control & 0xe011, 0);
        assert_true(h.now_us < 5000000);
        run_ms(2000);
        assert_int_equal(xhci_keyboards(&x), 1);
    }
}

static void test_scratchpads(void **state)
{
    (void)state;
    static const unsigned counts[] = { 0, 1, 31, 32, 600 };
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        setup(NULL);
        h.scratchpads = counts[i];
        assert_null(start());
    }
    setup(NULL);
    h.scratchpads = 1023; /* more than there is memory for */
    assert_string_equal(start(), "there is no memory for it");
}

/* --- what does not --- */

static void test_controllers_that_do_not_start(void **state)
{
    (void)state;
    static const struct { size_t flag; const char *why; } cases[] = {
        { offsetof(struct xhc, gone), "it does not answer" },
        { offsetof(struct xhc, never_halts), "it does not halt" },
        { offsetof(struct xhc, never_runs), "it does not start" },
        { offsetof(struct xhc, pages_of_8k), "its pages are not of 4 KB" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setup(NULL);
        *((bool *)&h + cases[i].flag) = true;
        assert_string_equal(start(), cases[i].why);
        assert_true(h.now_us < 10000000);
        run_ms(1000); /* polling what is dead does nothing */
        assert_int_equal(xhci_read_key(&x), -1);
        assert_int_equal(xhci_keyboards(&x), 0);
    }
    setup(NULL);
    assert_string_equal(xhci_start(&x, &h.access, XHC_BASE, 16, &h.memory), "it has no registers");
    assert_string_equal(xhci_start(&x, &h.access, XHC_BASE, 0x400, &h.memory),
                        "its registers make no sense");
    h.slots = 0;
    assert_string_equal(start(), "its registers make no sense");
    setup(NULL);
    h.version = 0x90;
    assert_string_equal(start(), "its registers make no sense");
}

static void test_gone_later(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 700; ms += 20) {
        struct xhc_device k = keyboard(XHC_LOW);
        setup(NULL);
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        run_ms(ms);
        h.gone = true;
        run_ms(200);
        assert_string_equal(x.dead, "it is gone");
        assert_int_equal(xhci_keyboards(&x), 0);
        assert_false(xhci_is_busy(&x));
    }
}

static void test_stopped_with_an_error(void **state)
{
    (void)state;
    static const uint32_t bits[] = { 1u << 0, 1u << 2, 1u << 12 };
    for (size_t i = 0; i < 3; i++) {
        setup(NULL);
        assert_null(start());
        h.usbsts |= bits[i];
        run_ms(20);
        assert_string_equal(x.dead, "it has stopped with an error");
        assert_string_equal(notes(), "0.0 it has stopped with an error; ");
    }
}

static void test_a_command_is_not_answered(void **state)
{
    (void)state;
    struct xhc_device k = keyboard(XHC_LOW);
    xhc_plug(&h, &k, NULL, 2);
    assert_null(start());
    h.deaf_to_commands = true;
    run_ms(15000);
    assert_string_equal(x.dead, "it does not answer a command");
}

static void test_no_slots(void **state)
{
    (void)state;
    struct xhc_device k = keyboard(XHC_LOW);
    xhc_plug(&h, &k, NULL, 2);
    h.no_slots = true;
    assert_null(start());
    run_ms(5000);
    assert_string_equal(notes(), "2.0 the controller has no slot for it; ");
    assert_false(xhci_is_busy(&x));
}

static void test_a_slot_that_it_does_not_have(void **state)
{
    (void)state;
    static const unsigned slots[] = { XHCI_MAX_DEVICES + 1, 33, 255 };
    for (size_t i = 0; i < 3; i++) {
        struct xhc_device k = keyboard(XHC_LOW);
        setup(NULL);
        xhc_plug(&h, &k, NULL, 2);
        h.bad_slot = slots[i];
        assert_null(start());
        run_ms(5000);
        assert_string_equal(x.dead, "it gives out a slot that it does not have");
    }
}

/* What fails is tried three times, and once more when it is plugged in anew. */
static void test_devices_that_fail(void **state)
{
    (void)state;
    struct xhc_device k = keyboard(XHC_FULL);
    k.address_failures = 2;
    xhc_plug(&h, &k, NULL, 2);
    assert_null(start());
    run_ms(5000);
    assert_int_equal(xhci_keyboards(&x), 1);

    for (unsigned i = 0; i < 3; i++) {
        struct xhc_device bad = keyboard(XHC_FULL);
        setup(NULL);
        bad.address_failures = i == 0 ? 1000 : 0;
        bad.bad_descriptors = i == 1 ? 1000 : 0;
        bad.mute = i == 2;
        xhc_plug(&h, &bad, NULL, 2);
        assert_null(start());
        run_ms(20000);
        assert_int_equal(xhci_keyboards(&x), 0);
        assert_false(xhci_is_busy(&x));
        assert_null(x.dead);
        assert_string_equal(notes(), i == 0 ? "2.0 it takes no address; "
                                            : "2.0 it does not say what it is; ");
        xhc_unplug(&h, &bad);
        run_ms(200);
        bad.address_failures = bad.bad_descriptors = 0;
        bad.mute = false;
        xhc_plug(&h, &bad, NULL, 2);
        run_ms(2000);
        assert_int_equal(xhci_keyboards(&x), 1);
    }
}

static void test_a_request_that_stalls(void **state)
{
    (void)state;
    struct xhc_device k = keyboard(XHC_LOW);
    k.stalls_set_idle = true;
    xhc_plug(&h, &k, NULL, 2);
    assert_null(start());
    run_ms(2000);
    assert_int_equal(xhci_keyboards(&x), 1);
    press(&k, 0x04);
    assert_string_equal(typed(), "a");
}

static void test_reports_that_fail(void **state)
{
    (void)state;
    struct xhc_device outer = hub(XHC_HIGH, 4);
    struct xhc_device near = keyboard(XHC_LOW), far = keyboard(XHC_LOW);
    xhc_plug(&h, &near, NULL, 2);
    xhc_plug(&h, &outer, NULL, 3);
    xhc_plug(&h, &far, &outer, 2);
    assert_null(start());
    run_ms(3000);
    assert_int_equal(xhci_keyboards(&x), 2);
    for (unsigned i = 0; i < 2; i++) { /* it is set up anew */
        near.babbles = far.babbles = true;
        press(&near, 0x04);
        press(&far, 0x04);
        xhci_poll(&x);
        near.babbles = far.babbles = false;
        near.report_count = far.report_count = 0;
        run_ms(4000);
        assert_int_equal(xhci_keyboards(&x), 2);
    }
    near.babbles = far.babbles = true; /* and after three times no more */
    press(&near, 0x04);
    press(&far, 0x04);
    run_ms(4000);
    assert_int_equal(xhci_keyboards(&x), 0);
    assert_false(xhci_is_busy(&x));
}

static void test_a_hub_that_falls_silent(void **state)
{
    (void)state;
    struct xhc_device outer = hub(XHC_HIGH, 4), k = keyboard(XHC_LOW), k2 = keyboard(XHC_LOW);
    xhc_plug(&h, &outer, NULL, 2);
    xhc_plug(&h, &k, &outer, 1);
    assert_null(start());
    run_ms(3000);
    assert_int_equal(xhci_keyboards(&x), 1);
    xhc_plug(&h, &k2, &outer, 2);
    outer.mute = true; /* after it has told of the change */
    run_ms(30000);
    assert_int_equal(xhci_keyboards(&x), 0);
    assert_false(xhci_is_busy(&x));
    assert_null(x.dead);
}

/* Each request, and each command, fails once: nothing hangs, and what is plugged in anew works. */
static void test_each_step_fails_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3 * 60; i++) {
        struct xhc_device outer = hub(XHC_HIGH, 3), near = keyboard(XHC_FULL), far = keyboard(XHC_LOW),
                          last = keyboard(XHC_FULL);
        setup(NULL);
        near.packet_bytes = 64;
        (i % 3 == 0 ? &h.stalled_request : i % 3 == 1 ? &h.lost_request : &h.failed_command)[0] = 1 + i / 3;
        xhc_plug(&h, &outer, NULL, 2);
        xhc_plug(&h, &near, NULL, 3);
        xhc_plug(&h, &far, &outer, 1);
        assert_null(start());
        run_ms(10000);
        xhc_plug(&h, &last, NULL, 4);
        run_ms(10000);
        assert_null(x.dead);
        assert_false(xhci_is_busy(&x));
        assert_in_range(xhci_keyboards(&x), 2, 3);
        press(&last, 0x04);
        assert_string_equal(typed(), "a");
    }
}

static void test_resets_that_fail(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct xhc_device outer = hub(XHC_HIGH, 3), near = keyboard(XHC_FULL), far = keyboard(XHC_LOW);
        setup(NULL);
        xhc_plug(&h, &outer, NULL, 2);
        assert_null(start());
        run_ms(2000);
        (void)notes();
        (i ? &h.nobody_after_reset : &h.resets_never_end)[0] = true;
        xhc_plug(&h, &near, NULL, 3);
        run_ms(10000);
        assert_string_equal(notes(), i ? "3.0 nobody answers after a reset; "
                                       : "3.0 its reset does not end; ");
        if (i == 0) {
            xhc_plug(&h, &far, &outer, 1);
            run_ms(10000);
            assert_string_equal(notes(), "2.1 its reset does not end; ");
        }
        assert_false(xhci_is_busy(&x));
        assert_int_equal(xhci_keyboards(&x), 0);
    }
}

/* More than the driver keeps: those that come first are served. */
static void test_more_devices_than_places(void **state)
{
    (void)state;
    struct xhc_device outer = hub(XHC_HIGH, 15), inner = hub(XHC_HIGH, 15), k[20];
    xhc_plug(&h, &outer, NULL, 1);
    xhc_plug(&h, &inner, &outer, 15);
    for (unsigned i = 0; i < 20; i++) {
        k[i] = keyboard(XHC_LOW);
        xhc_plug(&h, &k[i], i < 14 ? &outer : &inner, i < 14 ? i + 1 : i - 13);
    }
    assert_null(start());
    run_ms(60000);
    assert_in_range(xhci_keyboards(&x), 14, XHCI_MAX_DEVICES);
    assert_false(xhci_is_busy(&x));
    assert_null(x.dead);
}

/* Events that say nothing true are passed over. */
static void test_events_that_lie(void **state)
{
    (void)state;
    struct xhc_device k = keyboard(XHC_LOW);
    xhc_plug(&h, &k, NULL, 2);
    assert_null(start());
    run_ms(2000);
    for (unsigned type = 0; type < 64; type++) {
        for (unsigned slot = 0; slot < 256; slot += 15) {
            xhc_event(&h, UINT64_MAX, 1u << 24, type << 10 | (slot << 24) | 1u << 16);
            xhc_event(&h, (uint64_t)slot << 24, 6u << 24, type << 10 | (slot << 24) | 1u << 16);
        }
        run_ms(100);
    }
    run_ms(1000);
    assert_int_equal(xhci_keyboards(&x), 1);
    press(&k, 0x04);
    assert_string_equal(typed(), "a");
    /* A report that was never asked for: the device is set up anew. */
    xhc_event(&h, 0x1000, 1u << 24, 32u << 10 | 5u << 16 | (uint32_t)k.slot << 24);
    run_ms(3000);
    assert_int_equal(xhci_keyboards(&x), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_keyboard_of_each_speed, setup),
        cmocka_unit_test_setup(test_many_reports, setup),
        cmocka_unit_test_setup(test_an_idle_poll_is_cheap, setup),
        cmocka_unit_test_setup(test_repeat_comes_from_the_poll, setup),
        cmocka_unit_test_setup(test_hubs, setup),
        cmocka_unit_test_setup(test_five_hubs_in_a_row, setup),
        cmocka_unit_test_setup(test_plugged_again_and_again, setup),
        cmocka_unit_test_setup(test_swapped, setup),
        cmocka_unit_test_setup(test_pulled_at_any_moment, setup),
        cmocka_unit_test_setup(test_others_are_left_alone, setup),
        cmocka_unit_test_setup(test_no_protocols, setup),
        cmocka_unit_test_setup(test_capabilities_that_lie, setup),
        cmocka_unit_test_setup(test_reports_that_lie, setup),
        cmocka_unit_test_setup(test_firmware_lets_go, setup),
        cmocka_unit_test_setup(test_scratchpads, setup),
        cmocka_unit_test_setup(test_controllers_that_do_not_start, setup),
        cmocka_unit_test_setup(test_gone_later, setup),
        cmocka_unit_test_setup(test_stopped_with_an_error, setup),
        cmocka_unit_test_setup(test_a_command_is_not_answered, setup),
        cmocka_unit_test_setup(test_no_slots, setup),
        cmocka_unit_test_setup(test_a_slot_that_it_does_not_have, setup),
        cmocka_unit_test_setup(test_devices_that_fail, setup),
        cmocka_unit_test_setup(test_a_request_that_stalls, setup),
        cmocka_unit_test_setup(test_reports_that_fail, setup),
        cmocka_unit_test_setup(test_a_hub_that_falls_silent, setup),
        cmocka_unit_test_setup(test_each_step_fails_once, setup),
        cmocka_unit_test_setup(test_resets_that_fail, setup),
        cmocka_unit_test_setup(test_more_devices_than_places, setup),
        cmocka_unit_test_setup(test_events_that_lie, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(h.arena);
    return failed;
}
