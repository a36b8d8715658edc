// SRCS: drivers/xhci_start.c drivers/xhci_ring.c drivers/xhci_port.c drivers/xhci_device.c drivers/xhci_hub.c drivers/usb_keyboard.c drivers/usb_descriptors.c drivers/ps2_decode.c
/*
 * The xHCI driver against controllers, hubs and devices that do what real ones do, or lie: time that
 * passes, noise, over-current, commands that hang, descriptors, registers and events without sense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "xhc_world.h"

/* --- what real ones do --- */

/* "Controller Not Ready": nothing but its status may be touched until it is: after power-up, and after
 * its reset. */
static void test_not_ready_for_a_while(void **state)
{
    (void)state;
    static const uint64_t waits[] = { 1, 900, 400000, 900000 };
    for (size_t i = 0; i < 4; i++) {
        struct xhc_device k = keyboard(XHC_LOW);
        setup(NULL);
        h.ready_at_us = h.now_us + waits[i];
        h.ready_after_us = waits[3 - i];
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        run_ms(2000);
        assert_int_equal(xhci_keyboards(&x), 1);
    }
    setup(NULL);
    h.ready_at_us = UINT64_MAX; /* from the beginning */
    assert_string_equal(start(), "it is never ready");
    assert_true(h.now_us < 10000000);
    assert_int_equal(h.usbcmd, 5);
    setup(NULL);
    h.ready_after_us = UINT64_MAX / 2; /* any more */
    assert_string_equal(start(), "it does not come out of its reset");
    assert_true(h.now_us < 10000000);
}

/* "Port Error", C_PORT_ENABLE: a port that is disabled by noise is set up anew; one that always is,
 * three times, and then when something else is plugged in. */
static void test_ports_that_are_disabled_by_noise(void **state)
{
    (void)state;
    for (unsigned behind = 0; behind < 2; behind++) {
        struct xhc_device outer = hub(XHC_HIGH, 4), k = keyboard(XHC_LOW), other = keyboard(XHC_LOW);
        setup(NULL);
        xhc_plug(&h, &outer, NULL, 3);
        xhc_plug(&h, &k, behind ? &outer : NULL, 2);
        xhc_plug(&h, &other, behind ? &outer : NULL, 1);
        assert_null(start());
        run_ms(3000);
        assert_int_equal(xhci_keyboards(&x), 2);
        for (unsigned i = 0; i < 20; i++) { /* now and then, and it works again each time */
            xhc_disable_port(&h, &k);
            run_ms(2000);
            assert_int_equal(xhci_keyboards(&x), 2);
            press(&k, 0x04);
            press(&other, 0x05);
            assert_int_equal(strlen(typed()), 2);
        }
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(xhci_keyboards(&x), 2);
            xhc_disable_port(&h, &k);
            run_ms(2000);
        }
        assert_int_equal(xhci_keyboards(&x), 1);
        assert_false(xhci_is_busy(&x));
        xhc_unplug(&h, &k);
        run_ms(200);
        xhc_plug(&h, &k, behind ? &outer : NULL, 2);
        run_ms(2000);
        assert_int_equal(xhci_keyboards(&x), 2);
    }
}

/* "Over-current": the port has lost its power. It gets it again when no more flows than may. */
static void test_over_current(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct xhc_device outer = hub(XHC_HIGH, 4), k = keyboard(XHC_LOW);
        setup(NULL);
        h.no_power_switches = i == 2;
        xhc_plug(&h, &outer, NULL, 3);
        xhc_plug(&h, &k, i == 1 ? &outer : NULL, 2);
        assert_null(start());
        run_ms(3000);
        assert_int_equal(xhci_keyboards(&x), 1);
        for (unsigned times = 0; times < 5; times++) {
            xhc_over_current(&h, &k, true);
            run_ms(2000);
            assert_int_equal(xhci_keyboards(&x), 0);
            assert_false(xhci_is_busy(&x));
            xhc_over_current(&h, &k, false);
            run_ms(2000);
            assert_int_equal(xhci_keyboards(&x), 1);
            press(&k, 0x04);
            assert_string_equal(typed(), "a");
        }
    }
}

/* "Hub and Port Status Change Bitmap", bit 0: the hub itself has lost its own supply, or too much
 * current has flown through all of it; its ports have lost their power. */
static void test_a_hub_that_lost_its_power(void **state)
{
    (void)state;
    for (unsigned feature = 0; feature < 3; feature++) {
        struct xhc_device outer = hub(XHC_HIGH, 4), a = keyboard(XHC_LOW), b = keyboard(XHC_FULL);
        setup(NULL);
        xhc_plug(&h, &outer, NULL, 3);
        xhc_plug(&h, &a, &outer, 2);
        xhc_plug(&h, &b, &outer, 4);
        assert_null(start());
        run_ms(3000);
        assert_int_equal(xhci_keyboards(&x), 2);
        outer.hub_status = feature < 2 ? 0x10000u << feature : 0x30000u;
        for (unsigned port = 1; port <= 4; port++) {
            outer.port_status[port] = outer.children[port] ? 0x10000 : 0;
            outer.powered[port] = false;
        }
        run_ms(4000);
        assert_int_equal(outer.hub_status, 0); /* or it would be told again and again */
        assert_int_equal(xhci_keyboards(&x), 2);
        press(&a, 0x04);
        press(&b, 0x05);
        assert_int_equal(strlen(typed()), 2);
        assert_false(xhci_is_busy(&x));
        h.register_reads = h.register_writes = 0;
        run_ms(2000);
        assert_int_equal(h.register_reads, 100);
    }
}

/* "Aborting a Command": a device may never answer SET_ADDRESS; that is not the controller's fault. */
static void test_a_device_that_never_takes_its_address(void **state)
{
    (void)state;
    struct xhc_device bad = keyboard(XHC_LOW), good = keyboard(XHC_FULL);
    bad.naks_address = 1000;
    xhc_plug(&h, &bad, NULL, 2);
    xhc_plug(&h, &good, NULL, 3);
    assert_null(start());
    run_ms(60000);
    assert_null(x.dead);
    assert_int_equal(xhci_keyboards(&x), 1);
    press(&good, 0x04);
    assert_string_equal(typed(), "a");
    assert_false(xhci_is_busy(&x));
    assert_string_equal(notes(), "2.0 it takes no address; 3.0 a keyboard; ");
    xhc_unplug(&h, &bad);
    run_ms(200);
    bad.naks_address = 2;
    xhc_plug(&h, &bad, NULL, 2);
    run_ms(30000);
    assert_int_equal(xhci_keyboards(&x), 2);
    xhc_unplug(&h, &bad);
    run_ms(200);
    bad.naks_address = 1;
    h.abort_fails = true; /* now it is */
    xhc_plug(&h, &bad, NULL, 2);
    run_ms(30000);
    assert_string_equal(x.dead, "it does not answer a command");
}

/* What a device says of its packets may be more than its speed allows ("wMaxPacketSize"): it still is
 * a keyboard. */
static void test_packets_too_large_for_the_speed(void **state)
{
    (void)state;
    static const struct { enum xhc_speed speed; uint16_t packet; } cases[] = {
        { XHC_LOW, 64 }, { XHC_LOW, 16 }, { XHC_FULL, 512 }, { XHC_FULL, 64 }, { XHC_HIGH, 1024 },
        { XHC_HIGH, 64 }, { XHC_FULL, 9 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xhc_device k = keyboard(cases[i].speed);
        setup(NULL);
        k.report_packet = cases[i].packet;
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        run_ms(2000);
        assert_int_equal(xhci_keyboards(&x), 1);
        press(&k, 0x04);
        assert_string_equal(typed(), "a");
    }
}

/* USB 2.0 "Request Processing Timing": it may take a device five seconds. */
static void test_a_device_that_takes_its_time(void **state)
{
    (void)state;
    struct xhc_device k = keyboard(XHC_FULL);
    k.configures_in_us = 4900000;
    xhc_plug(&h, &k, NULL, 2);
    assert_null(start());
    run_ms(6000);
    assert_int_equal(xhci_keyboards(&x), 1);
    assert_int_equal(h.port_resets, 1);
}

/* A hub whose reports fail is set up anew with all behind it, at whatever moment they fail. */
static void test_a_hub_that_fails_at_any_moment(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 1600; ms += 20) {
        struct xhc_device outer = hub(XHC_HIGH, 4), a = keyboard(XHC_LOW), b = keyboard(XHC_FULL);
        setup(NULL);
        xhc_plug(&h, &outer, NULL, 2);
        xhc_plug(&h, &a, &outer, 1);
        xhc_plug(&h, &b, &outer, 3);
        assert_null(start());
        run_ms(ms);
        outer.babbles = true;
        outer.report_count = 1;
        xhc_send_reports(&h, &outer);
        outer.babbles = false;
        outer.report_count = 0;
        run_ms(10000);
        assert_null(x.dead);
        assert_int_equal(xhci_keyboards(&x), 2);
        press(&a, 0x04);
        press(&b, 0x05);
        assert_int_equal(strlen(typed()), 2);
        assert_false(xhci_is_busy(&x));
    }
}

/* And if it is pulled before it has been set up anew, nothing is left of what was behind it. */
static void test_a_hub_that_fails_and_goes(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 1600; ms += 20) {
        struct xhc_device outer = hub(XHC_HIGH, 4), a = keyboard(XHC_LOW);
        setup(NULL);
        xhc_plug(&h, &outer, NULL, 2);
        xhc_plug(&h, &a, &outer, 1);
        assert_null(start());
        run_ms(ms);
        outer.babbles = true;
        outer.report_count = 1;
        xhc_send_reports(&h, &outer);
        run_ms(140);
        xhc_unplug(&h, &outer);
        run_ms(20000);
        assert_null(x.dead);
        assert_int_equal(xhci_keyboards(&x), 0);
        for (unsigned i = 1; i <= XHC_SLOTS; i++)
            assert_false(h.slot[i].enabled);
        assert_false(xhci_is_busy(&x));
    }
}

/* Noise on the wire now and then, for months: only failures in a row count. */
static void test_a_report_fails_now_and_then(void **state)
{
    (void)state;
    for (unsigned behind = 0; behind < 2; behind++) {
        struct xhc_device outer = hub(XHC_HIGH, 4), k = keyboard(XHC_LOW);
        setup(NULL);
        xhc_plug(&h, &outer, NULL, 3);
        xhc_plug(&h, &k, behind ? &outer : NULL, 2);
        assert_null(start());
        run_ms(3000);
        for (unsigned i = 0; i < 10; i++) {
            k.babbles = true;
            press(&k, 0x05);
            xhci_poll(&x);
            k.babbles = false;
            k.report_count = 0;
            run_ms(2000);
            assert_int_equal(xhci_keyboards(&x), 1);
            press(&k, 0x04);
            assert_string_equal(typed(), "a");
        }
    }
}

/* --- registers, rings and events, as the specification lets them be --- */

/* Pulled out (a card on a cable) before any access of its registers. */
static void test_gone_at_any_read(void **state)
{
    (void)state;
    unsigned whole = 0;
    for (unsigned n = 0; n <= whole; n++) {
        struct xhc_device k = keyboard(XHC_LOW), outer = hub(XHC_HIGH, 2), k2 = keyboard(XHC_LOW);
        setup(NULL);
        h.gone_at_read = n;
        xhc_plug(&h, &k, NULL, 2);
        xhc_plug(&h, &outer, NULL, 3);
        xhc_plug(&h, &k2, &outer, 1);
        (void)start();
        for (unsigned i = 0; i < 20; i++) {
            run_ms(100);
            if (i == 10)
                xhc_disable_port(&h, &k);
            if (i == 15)
                xhc_unplug(&h, &k);
        }
        if (n == 0)
            whole = h.register_reads;
        else
            assert_non_null(x.dead);
        assert_int_equal(xhci_keyboards(&x), n ? 0 : 1);
        assert_false(xhci_is_busy(&x));
    }
    assert_true(whole > 100);
}

/* "Register Interface": blocks that do not lie in what the function decodes, or make no sense. */
static void test_registers_that_lie(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        setup(NULL);
        switch (i) {
        case 0: h.length = 0x1c; break;
        case 1: h.length = 0x42; break;
        case 2: h.ports = 0; break;
        case 3: h.doorbells_at = XHC_BYTES - 64; break;
        case 4: h.doorbells_at = 0xfffffffc; break;
        case 5: h.runtime_at = XHC_BYTES - 32; break;
        case 6: h.runtime_at = 0xffffffe0; break;
        case 7: h.gone_at_read = 2; break;
        default: h.ports = 255; break;
        }
        const char *why = xhci_start(&x, &h.access, XHC_BASE, i == 8 ? 0x1000 : XHC_BYTES, &h.memory);
        assert_string_equal(why, i == 7 ? "it does not answer" : "its registers make no sense");
        assert_int_equal(h.register_writes, 0);
    }
}

static void test_a_reset_that_does_not_end(void **state)
{
    (void)state;
    h.never_resets = true;
    assert_string_equal(start(), "it does not come out of its reset");
    assert_true(h.now_us < 10000000);
}

/* Before the clock's rate is known, or if it never is: every wait has an end. */
static void test_the_clock_stands(void **state)
{
    (void)state;
    h.clock_stands = true;
    h.never_halts = true;
    assert_string_equal(start(), "it does not halt");
    setup(NULL);
    h.clock_stands = true;
    assert_null(start());
}

/* "xHCI Extended Capabilities": a list longer than it may be, one that leaves the registers, and one
 * that lies at their end. */
static void test_lists_of_capabilities_that_lie(void **state)
{
    (void)state;
    static uint32_t chain[80];
    for (unsigned i = 0; i < 3; i++) {
        struct xhc_device k = keyboard(XHC_LOW);
        setup(NULL);
        for (unsigned j = 0; j < 80; j++)
            chain[j] = 0x0000010a; /* the next one lies 4 bytes on */
        h.extended = chain;
        h.extended_dwords = 80;
        if (i == 1)
            h.extended_at = 0x3ffc;
        if (i == 2)
            chain[0] = 0x0000ff0a, h.extended_at = XHC_DOORBELLS - 64;
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        run_ms(2000);
        assert_int_equal(xhci_keyboards(&x), 1);
    }
}

/* "Event Ring": more than the driver takes at once, round the ring's end several times. */
static void test_a_flood_of_events(void **state)
{
    (void)state;
    struct xhc_device k = keyboard(XHC_LOW);
    xhc_plug(&h, &k, NULL, 2);
    assert_null(start());
    run_ms(2000);
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned j = 0; j < 200; j++)
            xhc_event(&h, UINT64_C(1) << 24, 1u << 24, 34u << 10);
        press(&k, 0x04);
        run_ms(40);
        assert_string_equal(typed(), "a");
    }
}

/* "Port Reset": it takes the time that it takes; one that says too early that it is over still tells by
 * its change bit when it is. */
static void test_port_resets_take_their_time(void **state)
{
    (void)state;
    static const uint64_t times[] = { 0, 10000, 60000, 300000 };
    for (unsigned i = 0; i < 8; i++) {
        struct xhc_device k = keyboard(XHC_LOW), outer = hub(XHC_HIGH, 3), k2 = keyboard(XHC_FULL);
        setup(NULL);
        h.port_reset_us = times[i / 2];
        h.early_reset_end = i % 2;
        outer.reset_looks = i;
        xhc_plug(&h, &k, NULL, 2);
        xhc_plug(&h, &outer, NULL, 3);
        xhc_plug(&h, &k2, &outer, 3);
        assert_null(start());
        run_ms(4000);
        assert_int_equal(xhci_keyboards(&x), 2);
    }
}

/* A port whose device speaks at a speed that is none of USB 2's is left alone, and not reset again and
 * again. */
static void test_speeds_that_are_none(void **state)
{
    (void)state;
    static const enum xhc_speed speeds[] = { 0, XHC_SUPER, 15 };
    for (unsigned i = 0; i < 3; i++) {
        struct xhc_device d = { .kind = XHC_OTHER, .speed = speeds[i] };
        setup(NULL);
        h.no_protocols = true;
        xhc_plug(&h, &d, NULL, 2);
        assert_null(start());
        run_ms(5000);
        assert_false(xhci_is_busy(&x));
        assert_in_range(h.port_resets, 1, 3);
        assert_int_equal(xhci_keyboards(&x), 0);
    }
}

/* "Completion Codes", "Short Packet": told of without having been asked to; and events of what is not
 * awaited, between others. */
static void test_events_that_nobody_awaits(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 700; ms += 20) {
        struct xhc_device k = keyboard(XHC_LOW), other = keyboard(XHC_FULL);
        setup(NULL);
        k.tells_of_short_packets = true;
        xhc_plug(&h, &other, NULL, 1);
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        run_ms(ms);
        xhc_event(&h, 0x1000, 1u << 24, 33u << 10 | 1u << 24);  /* some command */
        xhc_event(&h, 0x1000, 24u << 24, 33u << 10);            /* that has not been taken back */
        xhc_event(&h, 0x1000, 6u << 24, 32u << 10 | 1u << 16 | 9u << 24); /* who is that? */
        xhc_event(&h, 0x1000, 1u << 24, 32u << 10 | 7u << 16 | 1u << 24); /* that endpoint is none */
        run_ms(4000);
        assert_int_equal(xhci_keyboards(&x), 2);
        press(&k, 0x04);
        assert_string_equal(typed(), "a");
    }
}

/* And what looks like the answer that is awaited, but is of another place. */
static void test_answers_of_others(void **state)
{
    (void)state;
    struct xhc_device k = keyboard(XHC_LOW), other = keyboard(XHC_FULL);
    k.naks_address = 1;
    xhc_plug(&h, &k, NULL, 2);
    assert_null(start());
    run_ms(500); /* its command hangs */
    assert_int_equal(x.operation, XHCI_COMMAND);
    xhc_event(&h, x.operation_trb + 16, 1u << 24, 33u << 10 | 1u << 24);
    run_ms(100);
    assert_int_equal(x.operation, XHCI_COMMAND);
    run_ms(8000);
    assert_int_equal(xhci_keyboards(&x), 1);
    other.mute = true;
    xhc_plug(&h, &other, NULL, 3);
    run_ms(500); /* it does not answer its first request */
    assert_int_equal(x.operation, XHCI_CONTROL);
    for (unsigned slot = 0; slot < 32; slot += slot == other.slot - 1u ? 2 : 1)
        xhc_event(&h, x.operation_trb, 1u << 24, 32u << 10 | 1u << 16 | slot << 24);
    xhc_event(&h, x.operation_trb - 16, 1u << 24, 32u << 10 | 1u << 16 | (uint32_t)other.slot << 24);
    run_ms(100);
    assert_int_equal(x.operation, XHCI_CONTROL);
    run_ms(20000);
    assert_string_equal(notes(), "2.0 a keyboard; 3.0 it does not say what it is; ");
}

static void test_a_slot_given_out_twice(void **state)
{
    (void)state;
    static const unsigned slots[] = { 1, 256 }; /* and 0 */
    for (size_t i = 0; i < 2; i++) {
        struct xhc_device k = keyboard(XHC_LOW), k2 = keyboard(XHC_LOW);
        setup(NULL);
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        run_ms(2000);
        h.bad_slot = slots[i];
        xhc_plug(&h, &k2, NULL, 3);
        run_ms(2000);
        assert_string_equal(x.dead, "it gives out a slot that it does not have");
    }
}

/* A slot that it does not give back is still its own: it may write there, and must find memory. */
static void test_a_slot_that_is_not_given_back(void **state)
{
    (void)state;
    struct xhc_device k = keyboard(XHC_LOW);
    xhc_plug(&h, &k, NULL, 2);
    assert_null(start());
    run_ms(2000);
    h.hangs_on_disable = true;
    xhc_unplug(&h, &k);
    run_ms(8000);
    assert_null(x.dead);
    uint64_t context;
    memcpy(&context, xhc_memory(&h, h.dcbaap + 8, 8), 8);
    assert_true(h.slot[1].enabled);
    (void)xhc_memory(&h, context, 4096);
    xhc_plug(&h, &k, NULL, 3);
    run_ms(2000);
    assert_int_equal(xhci_keyboards(&x), 1);
    assert_int_equal(k.slot, 2);
}

/* --- what devices say of themselves --- */

/* "Endpoint Context", "Interval": the fake knows what is right. */
static void test_intervals(void **state)
{
    (void)state;
    static const uint8_t intervals[] = { 0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 64, 127, 128, 255 };
    for (size_t i = 0; i < 3 * sizeof(intervals); i++) {
        static const enum xhc_speed speeds[] = { XHC_LOW, XHC_FULL, XHC_HIGH };
        struct xhc_device k = keyboard(speeds[i % 3]);
        setup(NULL);
        k.report_packet = 8;
        k.interval = intervals[i / 3];
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        run_ms(1000);
        assert_int_equal(xhci_keyboards(&x), 1);
    }
}

/* "Device", "Configuration": what does not hold is tried three times. */
static void test_descriptors_without_sense(void **state)
{
    (void)state;
    static const struct { enum xhc_speed speed; uint8_t descriptor[18]; unsigned total; } cases[] = {
        { XHC_LOW, { 18, 1, 0, 2, 0, 0, 0, 16 }, 0 },
        { XHC_FULL, { 18, 1, 0, 2, 0, 0, 0, 24 }, 0 },
        { XHC_FULL, { 18, 1, 0, 2, 0, 0, 0, 0 }, 0 },
        { XHC_HIGH, { 18, 1, 0, 2, 0, 0, 0, 8 }, 0 },
        { XHC_LOW, { 18, 2, 0, 2, 0, 0, 0, 8 }, 0 },
        { XHC_LOW, { 18, 1, 0, 2, 0, 0, 0, 8 }, 8 }, /* shorter than its head */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xhc_device k = keyboard(cases[i].speed);
        setup(NULL);
        k.device_descriptor = cases[i].descriptor;
        k.total_bytes = cases[i].total;
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        run_ms(5000);
        assert_string_equal(notes(), "2.0 it does not say what it is; ");
        assert_int_equal(h.port_resets, 3);
    }
    /* A total that is more than there is, or than is asked for, does no harm. */
    static const unsigned totals[] = { 60, 1024, 1025, 65535 };
    for (size_t i = 0; i < 4; i++) {
        struct xhc_device k = keyboard(XHC_LOW);
        setup(NULL);
        k.total_bytes = totals[i];
        xhc_plug(&h, &k, NULL, 2);
        assert_null(start());
        run_ms(1000);
        assert_int_equal(xhci_keyboards(&x), 1);
    }
}

static void test_hubs_that_lie(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct xhc_device outer = hub(XHC_HIGH, 4), k = keyboard(XHC_LOW), near = keyboard(XHC_LOW);
        setup(NULL);
        xhc_plug(&h, &outer, NULL, 2);
        xhc_plug(&h, &k, &outer, 1);
        xhc_plug(&h, &near, NULL, 3);
        outer.told_ports = i == 0 ? 256 : 0; /* none */
        outer.keeps_changes = i == 1;
        outer.short_status = i == 2;
        assert_null(start());
        run_ms(4000);
        if (i == 3) { /* changes of ports that there are not */
            outer.reports[0][0] = 0xe0;
            outer.report_count = 1;
            xhc_send_reports(&h, &outer);
        }
        if (i == 4) { /* a report of nothing: no packet, but an empty one */
            const struct xhci_device *d = &x.devices[outer.slot];
            xhc_event(&h, (uint64_t)d->reports.trbs + d->reports_done % 63 * 16, 13u << 24 | 1,
                      32u << 10 | 3u << 16 | (uint32_t)outer.slot << 24);
        }
        run_ms(4000);
        assert_null(x.dead);
        press(&near, 0x04);
        assert_string_equal(typed(), "a");
        if (i >= 2)
            assert_int_equal(xhci_keyboards(&x), 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_not_ready_for_a_while, setup),
        cmocka_unit_test_setup(test_ports_that_are_disabled_by_noise, setup),
        cmocka_unit_test_setup(test_over_current, setup),
        cmocka_unit_test_setup(test_a_hub_that_lost_its_power, setup),
        cmocka_unit_test_setup(test_a_device_that_never_takes_its_address, setup),
        cmocka_unit_test_setup(test_packets_too_large_for_the_speed, setup),
        cmocka_unit_test_setup(test_a_device_that_takes_its_time, setup),
        cmocka_unit_test_setup(test_a_hub_that_fails_at_any_moment, setup),
        cmocka_unit_test_setup(test_a_hub_that_fails_and_goes, setup),
        cmocka_unit_test_setup(test_a_report_fails_now_and_then, setup),
        cmocka_unit_test_setup(test_gone_at_any_read, setup),
        cmocka_unit_test_setup(test_registers_that_lie, setup),
        cmocka_unit_test_setup(test_a_reset_that_does_not_end, setup),
        cmocka_unit_test_setup(test_the_clock_stands, setup),
        cmocka_unit_test_setup(test_lists_of_capabilities_that_lie, setup),
        cmocka_unit_test_setup(test_a_flood_of_events, setup),
        cmocka_unit_test_setup(test_port_resets_take_their_time, setup),
        cmocka_unit_test_setup(test_speeds_that_are_none, setup),
        cmocka_unit_test_setup(test_events_that_nobody_awaits, setup),
        cmocka_unit_test_setup(test_answers_of_others, setup),
        cmocka_unit_test_setup(test_a_slot_given_out_twice, setup),
        cmocka_unit_test_setup(test_a_slot_that_is_not_given_back, setup),
        cmocka_unit_test_setup(test_intervals, setup),
        cmocka_unit_test_setup(test_descriptors_without_sense, setup),
        cmocka_unit_test_setup(test_hubs_that_lie, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(h.arena);
    return failed;
}
