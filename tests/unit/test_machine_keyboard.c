// SRCS: drivers/machine_keyboard.c drivers/pci_scan.c drivers/xhci_start.c drivers/xhci_ring.c drivers/xhci_port.c drivers/xhci_device.c drivers/xhci_hub.c drivers/usb_keyboard.c drivers/usb_descriptors.c drivers/ps2_decode.c
/*
 * Which USB controllers are taken, and what is said of them. There is one machine, which keeps them:
 * the tests run in order. The controllers are those of tests/fake/xhc.h, all at the same registers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <string.h>

#include "hv/drv_console.h"
#include "hv/log.h"
#include "xhc.h"

static struct xhc h;
static struct boot_info info;
static bool screen_there, maps;
static char logged[4096];
static unsigned pci_reads;
static uint32_t routing = 0x00000001;
/* What stands at 0:1.0 and the devices after it. */
static struct { uint32_t class; uint32_t bar; uint32_t command; bool sizing; } functions[8];

bool console_has_screen(void)
{
    return screen_there;
}

void hv_log(enum hv_log_level level, const char *format, ...)
{
    size_t used = strlen(logged);
    va_list args;

    (void)level;
    va_start(args, format);
    vsnprintf(logged + used, sizeof(logged) - used, format, args);
    va_end(args);
    strncat(logged, "; ", sizeof(logged) - strlen(logged) - 1);
}

static uint32_t forward_read(void *ctx, enum hv_space space, uint64_t address, unsigned bytes)
{
    (void)ctx;
    return xhc_read(&h, space, address, bytes);
}

static void forward_write(void *ctx, enum hv_space space, uint64_t address, unsigned bytes,
                          uint32_t value)
{
    (void)ctx;
    xhc_write(&h, space, address, bytes, value);
}

static bool forward_map(void *ctx, uint64_t address, uint64_t bytes)
{
    (void)ctx;
    assert_int_equal(address, XHC_BASE);
    assert_int_equal(bytes, XHC_BYTES);
    return maps;
}

static void forward_pause(void *ctx)
{
    (void)ctx;
    xhc_pause(&h);
}

static uint64_t forward_now(void *ctx)
{
    (void)ctx;
    return h.now_us;
}

const struct hv_access hv_machine_access = { forward_read, forward_write, forward_map,
                                             forward_pause, forward_now, NULL };

static uint32_t pci_register_read(void *ctx, struct pci_address at, unsigned offset)
{
    unsigned i = at.device - 1u;

    (void)ctx;
    pci_reads++;
    if (at.bus || at.function || i >= 8 || !functions[i].class)
        return UINT32_MAX;
    switch (offset) {
    case 0x00:
        return i == 2 ? 0x1e318086 : 0x00021b36;
    case 0x04:
        return functions[i].command;
    case 0x08:
        return functions[i].class << 8;
    case 0x10:
        return functions[i].sizing ? ~(XHC_BYTES - 1) : functions[i].bar;
    case 0xd0:
        return routing;
    case 0xd4:
        return i == 2 ? 0x0000000e : 0;
    default:
        return 0;
    }
}

static void pci_register_write(void *ctx, struct pci_address at, unsigned offset, uint32_t value)
{
    unsigned i = at.device - 1u;

    (void)ctx;
    if (at.bus || at.function || i >= 8)
        return;
    if (offset == 0x04)
        functions[i].command = value & 0xffff;
    if (offset == 0xd0)
        routing = value;
    if (offset == 0x10)
        functions[i].sizing = value == UINT32_MAX;
}

static const struct hv_pci pci = { pci_register_read, pci_register_write, NULL, 1, { { 0, 0, 255 } } };

/* Each controller its own piece. */
static void *take(void *ctx, uint64_t bytes)
{
    (void)ctx;
    h.arena_used = 0;
    return xhc_take(&h, bytes);
}

static const struct xhci_memory memory = { take, NULL };
static const struct console_hardware hardware = { &pci, NULL, NULL, &memory };

static void test_nobody_asks(void **state)
{
    (void)state;
    functions[0].class = 0x0c0330;
    console_find_keyboards(&info, &hardware); /* no screen */
    screen_there = true;
    info.config.on_exit = CONFIG_ON_EXIT_FIRMWARE;
    console_find_keyboards(&info, &hardware);
    info.config.on_exit = CONFIG_ON_EXIT_POWEROFF;
    info.config.lab[0] = 'l';
    console_find_keyboards(&info, &hardware);
    info.config.lab[0] = 0;
    info.config.explain[0] = 'e';
    console_find_keyboards(&info, &hardware);
    info.config.explain[0] = 0;
    assert_int_equal(pci_reads, 0);
    assert_int_equal(usb_keyboards_read(), -1);
    assert_string_equal(logged, "");
}

static void test_what_is_found(void **state)
{
    struct xhc_device k = { .kind = XHC_KEYBOARD, .speed = XHC_LOW };
    const uint8_t report[8] = { 0, 0, 0x04 };

    (void)state;
    xhc_init(&h);
    xhc_plug(&h, &k, NULL, 3);
    maps = true;
    functions[0].class = 0x0c0320; /* EHCI */
    functions[1].class = 0x0c0330; /* without an address */
    functions[2] = (typeof(functions[2])){ .class = 0x0c0330, .bar = XHC_BASE };
    functions[3].class = 0x070002;
    console_find_keyboards(&info, &hardware);
    assert_string_equal(logged, "USB controller at 00:02.0: it has no registers; "
                                "USB: 1 controller; keyboards come as they are found; ");
    assert_int_equal(functions[2].command & 6, 6);
    assert_int_equal(functions[0].command, 0);
    assert_int_equal(routing, 0x0000000f); /* of a chip set that has an EHCI too */
    logged[0] = 0;
    for (unsigned i = 0; i < 100; i++) {
        h.now_us += 20000;
        assert_int_equal(usb_keyboards_read(), -1);
    }
    usb_keyboards_log();
    assert_string_equal(logged, "USB: port 3: a keyboard; ");
    xhc_report(&h, &k, report);
    assert_int_equal(usb_keyboards_read(), 'a');
    console_find_keyboards(&info, &hardware); /* once is enough */
    h.gone = true;
    logged[0] = 0;
    assert_int_equal(usb_keyboards_read(), -1);
    usb_keyboards_log();
    usb_keyboards_log();
    assert_string_equal(logged, "USB controller 0 is given up: it is gone; ");
    free(h.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_asks),
        cmocka_unit_test(test_what_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
