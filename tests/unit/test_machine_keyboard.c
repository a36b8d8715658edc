// SRCS: drivers/machine_keyboard.c drivers/pci_scan.c drivers/xhci_start.c drivers/xhci_ring.c drivers/xhci_port.c drivers/xhci_device.c drivers/xhci_hub.c drivers/usb_keyboard.c drivers/usb_descriptors.c drivers/ps2_decode.c
/*
 * Which USB controllers are taken, and what is said of them. A machine keeps what it has found: each
 * is a process of its own. The controllers are those of tests/fake/xhc.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/drv_console.h"
#include "hv/log.h"
#include "xhc.h"

#define FUNCTIONS 16u
#define BAR(i) ((uint32_t)XHC_BASE + (i) * 0x10000u)
#define XHCI 0x0c0330u

/* What stands at 0:1.0 and the devices after it, each a controller if it is one. */
static struct function {
    uint32_t id, class;
    uint32_t bar;
    uint32_t command;
    uint32_t power; /* its state; above 3: it stays in it */
    uint32_t routing, routing_mask;
    bool sizing, unmappable;
    struct xhc h;
} functions[FUNCTIONS];
static struct boot_info info;
static bool screen_there;
static char logged[4096];
static unsigned pci_reads;
static struct xhc *last_mapped;

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

static struct function *at_address(uint64_t address)
{
    assert_true(address >= BAR(0) && address < BAR(FUNCTIONS));
    return &functions[(address - BAR(0)) / 0x10000];
}

/* Its registers answer to nobody who has not switched their addresses on. */
static uint32_t forward_read(void *ctx, enum hv_space space, uint64_t address, unsigned bytes)
{
    struct function *f = at_address(address);
    (void)ctx;
    return f->command & 2 ? xhc_read(&f->h, space, XHC_BASE + address % 0x10000, bytes) : UINT32_MAX;
}

static void forward_write(void *ctx, enum hv_space space, uint64_t address, unsigned bytes,
                          uint32_t value)
{
    struct function *f = at_address(address);
    (void)ctx;
    assert_int_equal(f->command & 2, 2);
    xhc_write(&f->h, space, XHC_BASE + address % 0x10000, bytes, value);
}

static bool forward_map(void *ctx, uint64_t address, uint64_t bytes)
{
    struct function *f = at_address(address);
    (void)ctx;
    assert_int_equal(bytes, XHC_BYTES);
    last_mapped = &f->h;
    return !f->unmappable;
}

/* All have the same time. */
static void pass(uint64_t us)
{
    for (unsigned i = 0; i < FUNCTIONS; i++)
        functions[i].h.now_us += us;
}

static void forward_pause(void *ctx)
{
    (void)ctx;
    pass(10);
}

static uint64_t forward_now(void *ctx)
{
    (void)ctx;
    return functions[0].h.now_us;
}

const struct hv_access hv_machine_access = { forward_read, forward_write, forward_map,
                                             forward_pause, forward_now, NULL };

static uint32_t pci_register_read(void *ctx, struct pci_address at, unsigned offset)
{
    const struct function *f = &functions[(at.device - 1u) % FUNCTIONS];

    (void)ctx;
    pci_reads++;
    if (at.bus || at.function || at.device < 1 || at.device > FUNCTIONS || !f->class)
        return UINT32_MAX;
    switch (offset) {
    case 0x00:
        return f->id;
    case 0x04:
        return f->command | (f->power ? 1u << 20 : 0);
    case 0x08:
        return f->class << 8;
    case 0x10:
        return f->sizing ? ~(XHC_BYTES - 1) | (f->bar & 1) : f->bar;
    case 0x34:
        return 0x50;
    case 0x50:
        return 1;
    case 0x54:
        return f->power & 3;
    case 0xd0:
        return f->routing;
    case 0xd4:
        return f->routing_mask;
    default:
        return 0;
    }
}

static void pci_register_write(void *ctx, struct pci_address at, unsigned offset, uint32_t value)
{
    struct function *f = &functions[(at.device - 1u) % FUNCTIONS];

    (void)ctx;
    if (at.bus || at.device < 1 || at.device > FUNCTIONS)
        return;
    if (offset == 0x04)
        f->command = value & 0xffff;
    if (offset == 0x54 && f->power <= 3)
        f->power = value & 3;
    if (offset == 0xd0)
        f->routing = value;
    if (offset == 0x10)
        f->sizing = value == UINT32_MAX;
}

static const struct hv_pci pci = { pci_register_read, pci_register_write, NULL, 1, { { 0, 0, 255 } } };

/* Each controller its own piece. */
static void *take(void *ctx, uint64_t bytes)
{
    (void)ctx;
    return xhc_take(last_mapped, bytes);
}

static const struct xhci_memory memory = { take, NULL };
static const struct console_hardware hardware = { &pci, NULL, NULL, &memory };

static struct function *add(unsigned i, uint32_t class, uint32_t bar)
{
    struct function *f = &functions[i];

    f->id = 0x00021b36;
    f->class = class;
    f->bar = bar;
    xhc_init(&f->h);
    return f;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FUNCTIONS; i++)
        free(functions[i].h.arena);
    return 0;
}

static void run_ms(unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 20) {
        pass(20000);
        assert_int_equal(usb_keyboards_read(), -1);
    }
}

static const char *logged_since(void)
{
    static char text[sizeof(logged)];

    memcpy(text, logged, sizeof(text));
    logged[0] = 0;
    return text;
}

static void press(struct function *f, struct xhc_device *k, uint8_t usage)
{
    const uint8_t down[8] = { 0, 0, usage }, up[8] = { 0 };

    xhc_report(&f->h, k, down);
    xhc_report(&f->h, k, up);
}

/* --- the machines --- */

static void test_nobody_asks(void **state)
{
    (void)state;
    add(0, XHCI, BAR(0));
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
    usb_keyboards_log();
    assert_string_equal(logged, "");
}

static void test_none_is_there(void **state)
{
    (void)state;
    screen_there = true;
    add(0, 0x0c0320, BAR(0)); /* EHCI */
    add(1, 0x0c0530, BAR(1)); /* SMBus */
    add(2, 0x070030, BAR(2));
    console_find_keyboards(&info, &hardware);
    assert_string_equal(logged, "");
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(functions[i].command, 0);
}

static void test_one(void **state)
{
    struct xhc_device k = { .kind = XHC_KEYBOARD, .speed = XHC_LOW };

    (void)state;
    screen_there = true;
    struct function *f = add(0, XHCI, BAR(0));
    f->power = 3; /* D3hot */
    xhc_plug(&f->h, &k, NULL, 3);
    console_find_keyboards(&info, &hardware);
    assert_string_equal(logged_since(), "USB: 1 controller; keyboards come as they are found; ");
    assert_int_equal(f->command & 6, 6);
    run_ms(2000);
    usb_keyboards_log();
    assert_string_equal(logged_since(), "USB: port 3: a keyboard; ");
    press(f, &k, 0x04);
    assert_int_equal(usb_keyboards_read(), 'a');
    unsigned reads = pci_reads;
    console_find_keyboards(&info, &hardware); /* once is enough */
    assert_int_equal(pci_reads, reads);
    press(f, &k, 0x05);
    press(f, &k, 0x06);
    assert_int_equal(usb_keyboards_read(), 'b'); /* and then it is gone, with a key still to be read */
    f->h.gone = true;
    assert_int_equal(usb_keyboards_read(), 'c');
    assert_int_equal(usb_keyboards_read(), -1);
    assert_int_equal(usb_keyboards_read(), -1);
    usb_keyboards_log();
    usb_keyboards_log();
    assert_string_equal(logged, "USB controller 0 is given up: it is gone; ");
}

/* What cannot be used is named and left; what was on its way is stopped from writing to memory. Ports
 * are switched over from EHCI on those chip sets that have one. */
static void test_many(void **state)
{
    struct xhc_device k = { .kind = XHC_KEYBOARD, .speed = XHC_LOW },
                      hub = { .kind = XHC_HUB, .speed = XHC_HIGH, .ports = 4 },
                      k2 = { .kind = XHC_KEYBOARD, .speed = XHC_FULL };

    (void)state;
    screen_there = true;
    add(0, XHCI, 0);          /* without an address */
    add(1, XHCI, 0xc001);     /* ports */
    add(2, XHCI, BAR(2))->power = 7;
    add(3, XHCI, BAR(3))->unmappable = true;
    add(4, XHCI, BAR(4))->h.never_halts = true;
    add(5, XHCI, BAR(5))->h.ready_at_us = UINT64_MAX;
    functions[3].command = functions[4].command = functions[5].command = 4; /* as firmware left them: at work */
    for (unsigned i = 6; i < 12; i++) {
        add(i, XHCI, BAR(i));
        functions[i].routing = 1;
        functions[i].routing_mask = 0x0e;
    }
    functions[6].id = 0x1e318086; /* Panther Point */
    functions[7].id = 0x1e311022; /* not Intel's */
    functions[8].id = 0xa12f8086; /* no EHCI */
    functions[9].id = 0x9cb18086;
    xhc_plug(&functions[6].h, &k, NULL, 2);
    xhc_plug(&functions[9].h, &hub, NULL, 5);
    xhc_plug(&functions[9].h, &k2, &hub, 3);
    console_find_keyboards(&info, &hardware);
    assert_string_equal(logged_since(),
                        "USB controller at 00:01.0: it has no registers; "
                        "USB controller at 00:02.0: it has no registers; "
                        "USB controller at 00:03.0: it stays asleep; "
                        "USB controller at 00:04.0: its registers cannot be mapped; "
                        "USB controller at 00:05.0: it does not halt; "
                        "USB controller at 00:06.0: it is never ready; "
                        "USB: 4 controllers; keyboards come as they are found; "
                        "USB: 2 controllers beyond 4 are left out; ");
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(functions[i].command & 4, i >= 6 && i < 10 ? 4 : 0);
        if (i >= 6)
            assert_int_equal(functions[i].routing, i == 6 || i == 9 ? 0x0f : 1);
    }
    run_ms(3000);
    usb_keyboards_log();
    assert_string_equal(logged_since(), "USB: port 2: a keyboard; USB: port 5: a hub; "
                                        "USB: port 5, port 3 of its hub: a keyboard; ");
    press(&functions[9], &k2, 0x05);
    press(&functions[6], &k, 0x04);
    assert_int_equal(usb_keyboards_read(), 'a');
    assert_int_equal(usb_keyboards_read(), 'b');
    run_ms(20);
}

/* Runs one machine; 0: its test passed. */
static int run(const struct CMUnitTest *test)
{
    const struct CMUnitTest tests[] = { *test };
    int status;
    pid_t child = fork();

    if (child == 0)
        exit(_cmocka_run_group_tests(test->name, tests, 1, NULL, NULL));
    return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_nobody_asks, teardown),
        cmocka_unit_test_teardown(test_none_is_there, teardown),
        cmocka_unit_test_teardown(test_one, teardown),
        cmocka_unit_test_teardown(test_many, teardown),
    };
    int failed = 0;

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        failed += run(&tests[i]);
    return failed;
}
