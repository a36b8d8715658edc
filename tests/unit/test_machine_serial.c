// SRCS: drivers/machine_serial.c drivers/uart16550_host.c drivers/pci_scan.c
/*
 * Which serial ports become the console. There is one machine, which keeps them: the tests run in
 * order. Ports are fakes that loop back and take any text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/drv_console.h"
#include "hv/log.h"

struct fake_port {
    enum hv_space space;
    uint64_t base;
    unsigned stride;
    bool present;
    uint8_t lcr, mcr, dll, rx;
    bool rx_full;
};

static struct fake_port ports[] = {
    { HV_SPACE_PORT, 0x2f8, 1, false, 0, 0, 0, 0, false },
    { HV_SPACE_MEMORY, 0xfe032000, 4, false, 0, 0, 0x1a, 0, false },
    { HV_SPACE_PORT, 0xc008, 1, false, 0, 0, 0, 0, false },
};
static unsigned backends;
static unsigned pci_reads;
static bool mapped;
static uint32_t card_command;
static bool card_there;
static struct boot_info info;

enum hv_err console_add(const struct hv_console_backend *backend)
{
    assert_non_null(backend->read);
    backends++;
    return HV_OK;
}

void hv_log(enum hv_log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
}

static struct fake_port *find(enum hv_space space, uint64_t address, unsigned *reg)
{
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        struct fake_port *p = &ports[i];
        if (!p->present || p->space != space || address < p->base || address >= p->base + 8 * p->stride)
            continue;
        *reg = (unsigned)((address - p->base) / p->stride);
        return p;
    }
    return NULL;
}

static uint32_t port_read(void *ctx, enum hv_space space, uint64_t address, unsigned bytes)
{
    unsigned reg;
    struct fake_port *p = find(space, address, &reg);
    (void)ctx;
    assert_true(space == HV_SPACE_PORT || mapped);
    if (!p)
        return UINT32_MAX;
    assert_int_equal(bytes, p->stride);
    switch (reg) {
    case 0:
        if (p->lcr & 0x80)
            return p->dll;
        p->rx_full = false;
        return p->rx;
    case 3:
        return p->lcr;
    case 4:
        return p->mcr;
    case 5:
        return 0x60 | p->rx_full;
    case 6:
        return (p->mcr & 2 ? 0x10 : 0) | (p->mcr & 1 ? 0x20 : 0) | (p->mcr & 4 ? 0x40 : 0) |
               (p->mcr & 8 ? 0x80 : 0);
    default:
        return 0;
    }
}

static void port_write(void *ctx, enum hv_space space, uint64_t address, unsigned bytes,
                       uint32_t value)
{
    unsigned reg;
    struct fake_port *p = find(space, address, &reg);
    (void)ctx;
    (void)bytes;
    if (!p)
        return;
    if (reg == 0 && (p->lcr & 0x80)) {
        p->dll = (uint8_t)value;
    } else if (reg == 0 && (p->mcr & 0x10)) {
        p->rx = (uint8_t)value;
        p->rx_full = true;
    } else if (reg == 3) {
        p->lcr = (uint8_t)value;
    } else if (reg == 4) {
        p->mcr = (uint8_t)value;
    }
}

static bool port_map(void *ctx, uint64_t address, uint64_t bytes)
{
    (void)ctx;
    mapped = address == 0xfe032000 && bytes == 28;
    return mapped;
}

static void port_pause(void *ctx)
{
    (void)ctx;
}

static uint64_t port_now(void *ctx)
{
    (void)ctx;
    return 0;
}

const struct hv_access hv_machine_access = { port_read, port_write, port_map, port_pause, port_now,
                                             NULL };

/* One card at 0:4.0: its second BAR is the port. */
static uint32_t pci_reg_read(void *ctx, struct pci_address at, unsigned offset)
{
    (void)ctx;
    pci_reads++;
    if (at.bus || at.device != 4 || at.function || !card_there)
        return UINT32_MAX;
    switch (offset) {
    case 0x00:
        return 0x00021b36;
    case 0x04:
        return card_command;
    case 0x08:
        return 0x07000201;
    case 0x14:
        return card_command & 0x10000 ? 0 : 0xc009;
    default:
        return 0;
    }
}

static bool sizing;

static uint32_t pci_reg_read_sizing(void *ctx, struct pci_address at, unsigned offset)
{
    if (offset == 0x14 && sizing && card_there)
        return 0xfff9;
    return pci_reg_read(ctx, at, offset);
}

static void pci_reg_write(void *ctx, struct pci_address at, unsigned offset, uint32_t value)
{
    (void)ctx;
    if (at.bus || at.device != 4 || !card_there)
        return;
    if (offset == 4)
        card_command = value;
    if (offset == 0x14)
        sizing = value == UINT32_MAX;
    if (offset == 4)
        ports[2].present = value & PCI_COMMAND_IO;
}

static const struct hv_pci pci = { pci_reg_read_sizing, pci_reg_write, NULL, 1, { { 0, 0, 255 } } };
static const struct pci_address card_at = { 0, 0, 4, 0 };
static const struct uart_place in_memory = { HV_SPACE_MEMORY, 4, 4, 0xfe032000, 0 };
static const struct uart_place com2_slow = { HV_SPACE_PORT, 1, 1, 0x2f8, 12 };

static void test_the_screen_alone_asks_nobody(void **state)
{
    (void)state;
    struct console_hardware hardware = { &pci, &in_memory, NULL, NULL };
    info.config.console = CONFIG_CONSOLE_SCREEN;
    assert_int_equal(console_start_serial(&info), 0);
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 0);
    assert_int_equal(pci_reads, 0);
    info.config.console = CONFIG_CONSOLE_AUTO;
}

static void test_nobody_is_there(void **state)
{
    (void)state;
    struct console_hardware hardware = { &pci, &in_memory, NULL, NULL };
    struct uart_place elsewhere = in_memory;
    assert_int_equal(console_start_serial(&info), 0);
    console_find_serial(&info, &hardware); /* SPCR promises a port that does not answer */
    assert_true(pci_reads >= 256 * 32);
    elsewhere.base = 0x1000; /* and one that can't be mapped */
    hardware.firmware_port = &elsewhere;
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 0);
}

static void test_a_card(void **state)
{
    (void)state;
    struct console_hardware hardware = { &pci, NULL, NULL, NULL };
    card_there = true;
    card_command = 0;
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 1);
    assert_int_equal(card_command & PCI_COMMAND_IO, PCI_COMMAND_IO);
    console_find_serial(&info, &hardware); /* there is a console now */
    assert_int_equal(backends, 1);
}

static void test_legacy(void **state)
{
    (void)state;
    ports[0].present = true;
    assert_int_equal(console_start_serial(&info), 0x2f8);
    assert_int_equal(backends, 2);
    assert_int_equal(ports[0].dll, 1);
}

static void test_firmwares_rate(void **state)
{
    (void)state;
    struct console_hardware hardware = { &pci, &com2_slow, NULL, NULL };
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 2);
    assert_int_equal(ports[0].dll, 12);
}

static void test_firmwares_port_in_memory(void **state)
{
    (void)state;
    struct console_hardware hardware = { &pci, &in_memory, &card_at, NULL };
    ports[1].present = true;
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 3);
    assert_int_equal(ports[1].dll, 0x1a); /* its rate stays */
    assert_int_equal(card_command & PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY);
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_screen_alone_asks_nobody),
        cmocka_unit_test(test_nobody_is_there),
        cmocka_unit_test(test_a_card),
        cmocka_unit_test(test_legacy),
        cmocka_unit_test(test_firmwares_rate),
        cmocka_unit_test(test_firmwares_port_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
