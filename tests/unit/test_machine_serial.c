// SRCS: drivers/machine_serial.c drivers/uart16550_host.c drivers/pci_scan.c
/*
 * Which serial ports become the console. A machine keeps what it has found: each is a process of its
 * own. Ports are fakes that loop back and take any text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/drv_console.h"
#include "hv/log.h"

struct fake_port {
    enum hv_space space;
    uint64_t base;
    unsigned stride;
    bool present;
    unsigned card; /* whose command register must let its addresses through; 0: none */
    uint8_t lcr, mcr, dll, rx;
    bool rx_full;
};

static struct fake_port ports[] = {
    { .space = HV_SPACE_PORT, .base = 0x2f8, .stride = 1 },
    { .space = HV_SPACE_MEMORY, .base = 0xfe032000, .stride = 4, .dll = 0x1a },
    { .space = HV_SPACE_PORT, .base = 0xc008, .stride = 1, .card = 4, .present = true },
    { .space = HV_SPACE_MEMORY, .base = 0xfe040000, .stride = 1, .card = 20, .present = true },
    { .space = HV_SPACE_PORT, .base = 0x3f8, .stride = 1 },
};
static unsigned backends, refused;
static unsigned pci_reads;
static bool mapped;
static char logged[1024];
static struct boot_info info;

/* What stands at 0:0.0 and the devices after it. */
static struct fake_card {
    uint32_t class;
    uint32_t bars[6], sizes[6];
    uint32_t command;
    bool sleeps; /* and does not wake */
    unsigned sized; /* the register that is being sized, plus 1 */
} cards[32];

enum hv_err console_add(const struct hv_console_backend *backend)
{
    assert_non_null(backend->read);
    if (refused) {
        refused--;
        return HV_ERR_NO_MEMORY;
    }
    backends++;
    return HV_OK;
}

void hv_log(enum hv_log_level level, const char *format, ...)
{
    va_list args;
    size_t used = strlen(logged);

    (void)level;
    va_start(args, format);
    vsnprintf(logged + used, sizeof(logged) - used, format, args);
    va_end(args);
}

static bool decodes(const struct fake_port *p)
{
    uint32_t bit = p->space == HV_SPACE_PORT ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    return p->present && (!p->card || (cards[p->card].class && (cards[p->card].command & bit)));
}

static struct fake_port *find(enum hv_space space, uint64_t address, unsigned *reg)
{
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        struct fake_port *p = &ports[i];
        if (!decodes(p) || p->space != space || address < p->base || address >= p->base + 8 * p->stride)
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
    mapped = (address == 0xfe032000 && bytes == 28) || (address == 0xfe040000 && bytes == 7);
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

static uint32_t pci_reg_read(void *ctx, struct pci_address at, unsigned offset)
{
    struct fake_card *card = &cards[at.device];
    unsigned bar = (offset - 0x10) / 4;

    (void)ctx;
    pci_reads++;
    if (at.bus || at.function || !card->class)
        return UINT32_MAX;
    if (offset >= 0x10 && offset < 0x28)
        return card->sized == bar + 1 && card->sizes[bar] ? card->sizes[bar] : card->bars[bar];
    switch (offset) {
    case 0x00:
        return 0x00021b36;
    case 0x04:
        return card->command | (card->sleeps ? 1u << 20 : 0);
    case 0x08:
        return card->class << 8 | 1;
    case 0x34:
        return 0x50;
    case 0x50:
        return 1;
    case 0x54:
        return 3;
    default:
        return 0;
    }
}

static void pci_reg_write(void *ctx, struct pci_address at, unsigned offset, uint32_t value)
{
    struct fake_card *card = &cards[at.device];

    (void)ctx;
    if (at.bus || at.function || !card->class)
        return;
    if (offset == 4)
        card->command = value & 0xffff;
    if (offset >= 0x10 && offset < 0x28)
        card->sized = value == UINT32_MAX ? (offset - 0x10) / 4 + 1 : 0;
}

static const struct hv_pci pci = { pci_reg_read, pci_reg_write, NULL, 1, { { 0, 0, 255 } } };

/* A card whose second register is the port; the first is something else. */
static void plug_card(void)
{
    cards[4] = (struct fake_card){ .class = 0x070002, .bars = { 0, 0xc009 }, .sizes = { 0, 0xfff9 } };
}

static const struct pci_address card_at = { 0, 0, 4, 0 };
static const struct uart_place in_memory = { HV_SPACE_MEMORY, 4, 4, 0xfe032000, 0 };
static const struct uart_place com2_slow = { HV_SPACE_PORT, 1, 1, 0x2f8, 12 };

static void test_the_screen_alone_asks_nobody(void **state)
{
    (void)state;
    struct console_hardware hardware = { &pci, &in_memory, NULL, NULL };
    ports[0].present = ports[1].present = true;
    info.config.console = CONFIG_CONSOLE_SCREEN;
    assert_int_equal(console_start_serial(&info), 0);
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 0);
    assert_int_equal(pci_reads, 0);
    console_stop_serial();
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
    hardware.firmware_port = &com2_slow;
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 0);
    assert_string_equal(logged, "SPCR: no 16550 answers at address 0xfe032000"
                                "SPCR: no 16550 answers at address 0x1000"
                                "SPCR: no 16550 answers at port 0x2f8");
}

static void test_a_card_first_and_then_others(void **state)
{
    (void)state;
    struct console_hardware hardware = { &pci, NULL, NULL, NULL };
    plug_card();
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 1);
    assert_int_equal(cards[4].command & PCI_COMMAND_IO, PCI_COMMAND_IO);
    console_find_serial(&info, &hardware); /* there is a console now */
    assert_int_equal(backends, 1);
    ports[0].present = true;
    assert_int_equal(console_start_serial(&info), 0x2f8);
    assert_int_equal(backends, 2);
    assert_int_equal(ports[0].dll, 1);
    hardware.firmware_port = &com2_slow; /* the same port, at firmware's rate */
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 2);
    assert_int_equal(ports[0].dll, 12);
    ports[1].present = true;
    hardware.firmware_port = &in_memory;
    hardware.firmware_port_pci = &card_at;
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 3);
    assert_int_equal(ports[1].dll, 0x1a); /* its rate stays */
    assert_int_equal(cards[4].command & PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY);
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 3);
}

/* SPCR, "Serial Port Console Redirection": the port that COM1 is, at the rate that it has, or at one
 * that the table does not say; and as a function of PCI in I/O space. */
static void test_firmwares_port_is_the_one_that_there_is(void **state)
{
    (void)state;
    struct uart_place place = { HV_SPACE_PORT, 1, 1, 0x3f8, 1 };
    struct console_hardware hardware = { &pci, &place, NULL, NULL };
    ports[4].present = true;
    ports[4].dll = 6;
    plug_card();
    assert_int_equal(console_start_serial(&info), 0x3f8);
    assert_int_equal(ports[4].dll, 1);
    console_find_serial(&info, &hardware);
    place.divisor = 0;
    console_find_serial(&info, &hardware);
    assert_int_equal(ports[4].dll, 1);
    assert_int_equal(backends, 1);
    place = (struct uart_place){ HV_SPACE_PORT, 1, 1, 0xc008, 0 };
    ports[2].dll = 3;
    hardware.firmware_port_pci = &card_at;
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 2);
    assert_int_equal(ports[2].dll, 3);
    assert_int_equal(cards[4].command & 3, PCI_COMMAND_IO);
    console_stop_serial(); /* each as it was */
    assert_int_equal(ports[4].dll, 6);
    assert_int_equal(ports[4].lcr, 0);
    assert_int_equal(ports[4].mcr, 0);
    assert_int_equal(ports[2].dll, 3);
}

static void test_firmwares_port_alone(void **state)
{
    (void)state;
    struct console_hardware hardware = { &pci, &in_memory, NULL, NULL };
    ports[1].present = true;
    plug_card();
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 1);
    assert_int_equal(pci_reads, 0); /* then no card is looked for */
    assert_string_equal(logged, "serial console at address 0xfe032000 (firmware's: SPCR)");
}

/* Memory at the address of a port is another place. */
static void test_memory_is_no_port(void **state)
{
    (void)state;
    const struct uart_place place = { HV_SPACE_MEMORY, 1, 1, 0x3f8, 12 };
    struct console_hardware hardware = { &pci, &place, NULL, NULL };
    ports[4].present = true;
    assert_int_equal(console_start_serial(&info), 0x3f8);
    console_find_serial(&info, &hardware);
    assert_int_equal(ports[4].dll, 1);
    assert_int_equal(backends, 1);
}

/* With on-exit = firmware cards are left alone. */
static void test_firmware_is_to_have_its_cards_back(void **state)
{
    (void)state;
    struct console_hardware hardware = { &pci, NULL, NULL, NULL };
    plug_card();
    info.config.on_exit = CONFIG_ON_EXIT_FIRMWARE;
    console_find_serial(&info, &hardware);
    assert_int_equal(pci_reads, 0);
    assert_int_equal(backends, 0);
    /* The one that it uses itself is used as it is. */
    const struct uart_place place = { HV_SPACE_PORT, 1, 1, 0xc008, 0 };
    hardware.firmware_port = &place;
    hardware.firmware_port_pci = &card_at;
    cards[4].command = PCI_COMMAND_IO;
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 1);
    assert_int_equal(cards[4].command, PCI_COMMAND_IO);
    assert_int_equal(pci_reads, 0);
}

/* "Base Class 07h": 16550 to 16950 compatible serial controllers; no modem, no parallel port, no older
 * chip. The first that answers is taken. */
static void test_which_cards(void **state)
{
    (void)state;
    static const uint32_t others[] = { 0x070001, 0x070007, 0x070102, 0x070302, 0x0c0302 };
    struct console_hardware hardware = { &pci, NULL, NULL, NULL };
    for (unsigned i = 0; i < 5; i++)
        cards[8 + i] = (struct fake_card){ .class = others[i], .bars = { 0xd001 }, .sizes = { 0xfff9 } };
    plug_card();
    cards[4].sleeps = true;
    cards[3] = (struct fake_card){ /* nobody answers at the first, the second is too small, and so on */
        .class = 0x070004, .bars = { 0xe001, 0xe101, 0xfe050000, 0, 0, 0xfe060000 },
        .sizes = { 0xfff9, 0xfffd, 0xfffff000, 0, 0, 0xfffffff0 } };
    cards[20] = (struct fake_card){ .class = 0x070006, .bars = { 0xfe040000 }, .sizes = { 0xfffff000 } };
    console_find_serial(&info, &hardware);
    assert_int_equal(backends, 1);
    assert_int_equal(cards[20].command & PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY);
    assert_int_equal(cards[4].command, 0);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(cards[8 + i].command, 0);
    assert_string_equal(logged, "serial console at address 0xfe040000 (PCI card)");
}

/* The console has no room for more: the port is not taken, and in the end all are as they were; each
 * try is remembered, and there is room for three. */
static void test_the_console_is_full(void **state)
{
    (void)state;
    struct console_hardware hardware = { &pci, NULL, NULL, NULL };
    ports[4].present = true;
    ports[4].dll = 9;
    refused = 99;
    assert_int_equal(console_start_serial(&info), 0);
    plug_card();
    for (unsigned i = 0; i < 4; i++)
        console_find_serial(&info, &hardware);
    assert_int_equal(backends, 0);
    assert_int_equal(refused, 96);
    assert_string_equal(logged, "");
    console_stop_serial();
    assert_int_equal(ports[4].dll, 9);
}

/* Runs one machine, which keeps what it has found: in a process of its own. 0: its test passed. */
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
        cmocka_unit_test(test_the_screen_alone_asks_nobody),
        cmocka_unit_test(test_nobody_is_there),
        cmocka_unit_test(test_a_card_first_and_then_others),
        cmocka_unit_test(test_firmwares_port_is_the_one_that_there_is),
        cmocka_unit_test(test_firmwares_port_alone),
        cmocka_unit_test(test_memory_is_no_port),
        cmocka_unit_test(test_firmware_is_to_have_its_cards_back),
        cmocka_unit_test(test_which_cards),
        cmocka_unit_test(test_the_console_is_full),
    };
    int failed = 0;

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        failed += run(&tests[i]);
    return failed;
}
