// SRCS: vmm/devices/pci_host.c
/*
 * Configuration space by both ways, against the PCI Local Bus Specification 3.0.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake.h"
#include "fields.h"
#include "hv/dev_pci_host.h"

#define ECAM 0xE0000000u

struct card {
    struct pci_function function;
    uint8_t config[4096], writable[4096], clears[4096];
    unsigned reads, writes, last_offset, last_size;
};

static struct pci_host host;
static struct fake_lines lines;
static unsigned requests;
static struct card card, other;

static void request(void *context, enum vm_request what, unsigned status)
{
    (void)context;
    assert_int_equal(what, VM_REQUEST_RESET);
    assert_int_equal(status, 0);
    requests++;
}

static const struct vm_control control = { request, NULL };

static void before_read(struct pci_function *function, unsigned offset, unsigned size)
{
    (void)offset;
    (void)size;
    HV_CONTAINER_OF(function, struct card, function)->reads++;
}

static void written(struct pci_function *function, unsigned offset, unsigned size)
{
    struct card *c = HV_CONTAINER_OF(function, struct card, function);
    c->writes++;
    c->last_offset = offset;
    c->last_size = size;
}

static void make_card(struct card *c, uint8_t devfn, unsigned bytes)
{
    memset(c, 0, sizeof(*c));
    c->function = (struct pci_function){ .devfn = devfn, .config_bytes = (uint16_t)bytes,
                                         .config = c->config, .writable = c->writable,
                                         .write_1_clears = c->clears, .before_read = before_read,
                                         .written = written };
    pci_function_identify(&c->function, 0x1AF4, 0x1042, 0x010000, 1);
}

static int setup(void **state)
{
    (void)state;
    struct irq_line wires[4];
    for (unsigned i = 0; i < 4; i++)
        wires[i] = fake_line(&lines, 16 + i);
    memset(&lines, 0, sizeof(lines));
    requests = 0;
    pci_host_init(&host, ECAM, wires, &control);
    make_card(&card, PCI_DEVFN(3, 0), 256);
    assert_int_equal(pci_host_add(&host, &card.function), HV_OK);
    return 0;
}

static uint64_t in(uint64_t port, unsigned size)
{
    return fake_access(&host.device, PCI_HOST_PORTS, BUS_PORT, port - 0xCF8, size, false, 0, NULL);
}

static void out(uint64_t port, unsigned size, uint64_t value)
{
    fake_access(&host.device, PCI_HOST_PORTS, BUS_PORT, port - 0xCF8, size, true, value, NULL);
}

static uint64_t ecam(uint64_t offset, unsigned size)
{
    return fake_access(&host.device, PCI_HOST_ECAM, BUS_MMIO, offset, size, false, 0, NULL);
}

static void ecam_out(uint64_t offset, unsigned size, uint64_t value)
{
    fake_access(&host.device, PCI_HOST_ECAM, BUS_MMIO, offset, size, true, value, NULL);
}

static void select_register(unsigned device, unsigned function, unsigned offset)
{
    out(0xCF8, 4, 0x80000000u | device << 11 | function << 8 | offset);
}

static void test_host_bridge(void **state)
{
    (void)state;
    select_register(0, 0, 0);
    assert_int_equal(in(0xCFC, 4), 0x29C08086);
    select_register(0, 0, 8);
    assert_int_equal(in(0xCFC, 4), 0x06000002);
    select_register(0, 0, 0x0C);
    assert_int_equal(in(0xCFC, 4), 0);
    select_register(0, 0, 4);
    out(0xCFC, 2, 0xFFFF);
    assert_int_equal(in(0xCFC, 2), 6);
    select_register(0, 0, 0x60);
    assert_int_equal(in(0xCFC, 4), ECAM | 5);
    out(0xCFC, 4, 0);
    assert_int_equal(in(0xCFC, 4), ECAM | 5);
    select_register(0, 0, 0x10); /* no BAR */
    out(0xCFC, 4, 0xFFFFFFFF);
    assert_int_equal(in(0xCFC, 4), 0);
}

static void test_config_address(void **state)
{
    (void)state;
    assert_int_equal(in(0xCF8, 4), 0);
    out(0xCF8, 4, 0xFFFFFFFF);
    assert_int_equal(in(0xCF8, 4), 0x80FFFFFC);
    out(0xCFB, 1, 0x01); /* only a dword is this register */
    out(0xCF8, 2, 0);
    out(0xCF8, 1, 0);
    out(0xCFA, 2, 0);
    assert_int_equal(in(0xCF8, 4), 0x80FFFFFC);
    assert_int_equal(in(0xCF8, 2), 0xFFFF);
    assert_int_equal(in(0xCF8, 1), 0xFF);
    out(0xCF8, 4, 0x00001800); /* enable bit off: nobody at the data port */
    assert_int_equal(in(0xCFC, 4), 0xFFFFFFFF);
    out(0xCFC, 4, 0);
    assert_int_equal(card.writes, 0);
}

static void test_data_lanes(void **state)
{
    (void)state;
    select_register(3, 0, 0);
    assert_int_equal(in(0xCFC, 4), 0x10421AF4);
    assert_int_equal(in(0xCFC, 2), 0x1AF4);
    assert_int_equal(in(0xCFE, 2), 0x1042);
    assert_int_equal(in(0xCFD, 1), 0x1A);
    assert_int_equal(in(0xCFF, 1), 0x10);
    assert_int_equal(in(0xCFD, 2), 0x421A);
    assert_int_equal(in(0xCFD, 4), 0xFF10421A); /* what lies past the port is nobody's */
    out(0xCF8, 4, 0x80001803); /* the low two bits are not stored */
    assert_int_equal(in(0xCFC, 4), 0x10421AF4);
    select_register(3, 0, 0x3C);
    out(0xCFC, 1, 0x0B);
    assert_int_equal(in(0xCFC, 4), 0x0000000B);
    assert_int_equal(card.last_offset, 0x3C);
    assert_int_equal(card.last_size, 1);
    assert_true(card.reads > 0);
}

static void test_absent(void **state)
{
    (void)state;
    select_register(4, 0, 0);
    assert_int_equal(in(0xCFC, 4), 0xFFFFFFFF);
    assert_int_equal(in(0xCFC, 2), 0xFFFF);
    select_register(3, 1, 0);
    assert_int_equal(in(0xCFC, 4), 0xFFFFFFFF);
    out(0xCF8, 4, 0x80011800); /* bus 1 */
    assert_int_equal(in(0xCFC, 4), 0xFFFFFFFF);
    out(0xCFC, 4, 0);
    assert_int_equal(card.writes, 0);
}

static void test_masks(void **state)
{
    (void)state;
    card.writable[0x40] = 0x0F;
    card.clears[0x41] = 0xF0;
    card.config[0x40] = 0xA5;
    card.config[0x41] = 0xFF;
    select_register(3, 0, 0x40);
    out(0xCFC, 2, 0x300A);
    assert_int_equal(card.config[0x40], 0xAA);
    assert_int_equal(card.config[0x41], 0xCF);
    select_register(3, 0, 0);
    out(0xCFC, 4, 0);
    assert_int_equal(in(0xCFC, 4), 0x10421AF4);
    card.function.write_1_clears = NULL;
    select_register(3, 0, 0x40);
    out(0xCFC, 2, 0xFFFF);
    assert_int_equal(card.config[0x41], 0xCF);
}

static void test_ecam(void **state)
{
    (void)state;
    make_card(&other, PCI_DEVFN(31, 7), 4096);
    other.config[0xFFC] = 0x78;
    assert_int_equal(pci_host_add(&host, &other.function), HV_OK);
    assert_int_equal(ecam(0, 4), 0x29C08086);
    assert_int_equal(ecam(3 << 15, 4), 0x10421AF4);
    assert_int_equal(ecam(3 << 15, 8), UINT64_C(0x0000000010421AF4));
    assert_int_equal(ecam((3 << 15) + 2, 2), 0x1042);
    assert_int_equal(ecam((3 << 15) + 1, 4), 0x0010421A); /* unaligned: two transactions */
    assert_int_equal(ecam((3 << 15) + 0x100, 4), 0); /* no extended registers */
    assert_int_equal(ecam((31 << 15) + (7 << 12) + 0xFFC, 4), 0x78);
    assert_int_equal(ecam((31 << 15) + (7 << 12) + 0xFFE, 4), 0xFFFF0000);
    assert_int_equal(ecam(5 << 15, 8), UINT64_MAX);
    assert_int_equal(ecam((UINT64_C(1) << 20) + (3 << 15), 4), 0xFFFFFFFF);
    ecam_out((3 << 15) + 0x3C, 4, 0xFFFFFF0B);
    assert_int_equal(ecam((3 << 15) + 0x3C, 4), 0x0B);
    ecam_out((3 << 15) + 0x100, 4, 1);
    ecam_out((3 << 15) + 0x38, 8, UINT64_C(0x55) << 32);
    assert_int_equal(ecam((3 << 15) + 0x3C, 1), 0x55);
}

static void test_bar_sizing(void **state)
{
    (void)state;
    uint64_t base, size;
    struct pci_function *f = &card.function;
    assert_int_equal(pci_function_set_bar(f, 0, PCI_BAR_IO, 0x40, false), HV_OK);
    assert_int_equal(pci_function_set_bar(f, 1, PCI_BAR_MEMORY32, 0x1000, false), HV_OK);
    assert_int_equal(pci_function_set_bar(f, 4, PCI_BAR_MEMORY64, UINT64_C(1) << 33, true), HV_OK);
    select_register(3, 0, 0x10);
    out(0xCFC, 4, 0xFFFFFFFF);
    assert_int_equal(in(0xCFC, 4), 0xFFFFFFC1);
    assert_false(pci_function_bar(f, 0, &base, &size)); /* no decoding yet */
    out(0xCFC, 4, 0xC001);
    select_register(3, 0, 0x14);
    out(0xCFC, 4, 0xFFFFFFFF);
    assert_int_equal(in(0xCFC, 4), 0xFFFFF000);
    out(0xCFC, 4, 0xC0000FFF);
    assert_int_equal(in(0xCFC, 4), 0xC0000000);
    select_register(3, 0, 0x20);
    out(0xCFC, 4, 0xFFFFFFFF);
    assert_int_equal(in(0xCFC, 4), 0xC);
    select_register(3, 0, 0x24);
    out(0xCFC, 4, 0xFFFFFFFF);
    assert_int_equal(in(0xCFC, 4), 0xFFFFFFFE);
    select_register(3, 0, 4);
    out(0xCFC, 2, 7);
    assert_true(pci_function_bar(f, 0, &base, &size));
    assert_int_equal(base, 0xC000);
    assert_int_equal(size, 0x40);
    assert_true(pci_function_bar(f, 1, &base, &size));
    assert_int_equal(base, 0xC0000000);
    assert_int_equal(size, 0x1000);
    assert_false(pci_function_bar(f, 4, &base, &size)); /* all ones: it would wrap */
    select_register(3, 0, 0x24);
    out(0xCFC, 4, 4);
    assert_true(pci_function_bar(f, 4, &base, &size));
    assert_int_equal(base, UINT64_C(4) << 32);
    assert_int_equal(size, UINT64_C(1) << 33);
    assert_false(pci_function_bar(f, 2, &base, &size)); /* absent */
    assert_false(pci_function_bar(f, 6, &base, &size));
    select_register(3, 0, 0x10);
    out(0xCFC, 4, 0);
    assert_false(pci_function_bar(f, 0, &base, &size)); /* never placed */
    select_register(3, 0, 4);
    out(0xCFC, 2, 1);
    assert_false(pci_function_bar(f, 1, &base, &size)); /* memory decoding is off */
}

static void test_bar_refusals(void **state)
{
    (void)state;
    struct pci_function *f = &card.function;
    assert_int_equal(pci_function_set_bar(f, 6, PCI_BAR_IO, 4, false), HV_ERR_INVALID);
    assert_int_equal(pci_function_set_bar(f, 5, PCI_BAR_MEMORY64, 4096, false), HV_ERR_INVALID);
    assert_int_equal(pci_function_set_bar(f, 0, PCI_BAR_IO, 2, false), HV_ERR_INVALID);
    assert_int_equal(pci_function_set_bar(f, 0, PCI_BAR_IO, 0x20000, false), HV_ERR_INVALID);
    assert_int_equal(pci_function_set_bar(f, 0, PCI_BAR_IO, 4, true), HV_ERR_INVALID);
    assert_int_equal(pci_function_set_bar(f, 0, PCI_BAR_MEMORY32, 8, false), HV_ERR_INVALID);
    assert_int_equal(pci_function_set_bar(f, 0, PCI_BAR_MEMORY32, 48, false), HV_ERR_INVALID);
    assert_int_equal(pci_function_set_bar(f, 0, PCI_BAR_MEMORY32, UINT64_C(1) << 32, false),
                     HV_ERR_INVALID);
}

static void test_capabilities(void **state)
{
    (void)state;
    struct pci_function *f = &card.function;
    assert_int_equal(pci_function_add_capability(f, 9, 1), 0);
    assert_int_equal(pci_function_add_capability(f, 9, 0x11), 0x40);
    assert_int_equal(pci_function_add_capability(f, 0x11, 12), 0x54);
    assert_int_equal(card.config[0x34], 0x40);
    assert_int_equal(card.config[0x40], 9);
    assert_int_equal(card.config[0x41], 0x54);
    assert_int_equal(card.config[0x55], 0);
    assert_int_equal(card.config[6] & 0x10, 0x10);
    assert_int_equal(pci_function_add_capability(f, 5, 0xA1), 0); /* 0x60 to 0x100 has 0xA0 */
    assert_int_equal(pci_function_add_capability(f, 5, 0xA0), 0x60);
    assert_int_equal(pci_function_add_capability(f, 5, 2), 0);
}

static void test_add_refusals(void **state)
{
    (void)state;
    static struct card many[40];
    make_card(&other, PCI_DEVFN(3, 0), 256);
    assert_int_equal(pci_host_add(&host, &other.function), HV_ERR_EXISTS);
    make_card(&other, PCI_DEVFN(4, 0), 512);
    assert_int_equal(pci_host_add(&host, &other.function), HV_ERR_INVALID);
    make_card(&other, PCI_DEVFN(4, 0), 256);
    other.function.config = NULL;
    assert_int_equal(pci_host_add(&host, &other.function), HV_ERR_INVALID);
    other.function.config = other.config;
    other.function.writable = NULL;
    assert_int_equal(pci_host_add(&host, &other.function), HV_ERR_INVALID);
    for (unsigned i = 0; i < 40; i++) {
        make_card(&many[i], (uint8_t)(0x40 + i), 256);
        assert_int_equal(pci_host_add(&host, &many[i].function),
                         i < 30 ? HV_OK : HV_ERR_NO_MEMORY);
    }
}

static void test_multifunction(void **state)
{
    (void)state;
    make_card(&other, PCI_DEVFN(3, 5), 256);
    assert_int_equal(card.config[0x0E], 0);
    assert_int_equal(pci_host_add(&host, &other.function), HV_OK);
    assert_int_equal(card.config[0x0E], 0x80);
    assert_int_equal(other.config[0x0E], 0);
}

static void test_interrupt_wires(void **state)
{
    (void)state;
    make_card(&other, PCI_DEVFN(2, 0), 256);
    assert_int_equal(pci_host_add(&host, &other.function), HV_OK);
    pci_host_set_intx(&host, &card.function, true); /* it has no pin */
    for (unsigned i = 0; i < 4; i++)
        assert_false(lines.level[16 + i]);
    card.config[0x3D] = 1;  /* device 3, INTA: wire 3 */
    other.config[0x3D] = 2; /* device 2, INTB: wire 3, too */
    pci_host_set_intx(&host, &card.function, true);
    assert_true(lines.level[19]);
    pci_host_set_intx(&host, &other.function, true);
    pci_host_set_intx(&host, &card.function, false);
    assert_true(lines.level[19]); /* shared */
    pci_host_set_intx(&host, &other.function, false);
    assert_false(lines.level[19]);
    assert_int_equal(lines.rises[19], 1);
    card.config[0x3D] = 5;
    pci_host_set_intx(&host, &card.function, true);
    assert_int_equal(lines.rises[19] + lines.rises[16], 1);
}

static void test_reset_control(void **state)
{
    (void)state;
    assert_int_equal(in(0xCF9, 1), 0);
    out(0xCF9, 1, 0xF2);
    assert_int_equal(requests, 0);
    assert_int_equal(in(0xCF9, 1), 2);
    out(0xCF9, 1, 6);
    assert_int_equal(requests, 1);
    out(0xCF9, 1, 6); /* only the rise counts */
    assert_int_equal(requests, 1);
    host.device.ops->reset(&host.device);
    out(0xCF9, 1, 6); /* the way of the FADT */
    assert_int_equal(requests, 2);
    assert_int_equal(in(0xCF8, 4), 0);
}

static void test_check_and_reset(void **state)
{
    (void)state;
    bool (*check)(const void *) = host.device.ops->check;
    struct pci_host_state good, bad;
    out(0xCF8, 4, 0xFFFFFFFF);
    good = host.state;
    assert_true(check(&good));
    bad = good, bad.address |= 1;
    assert_false(check(&bad));
    bad = good, bad.reset_control = 0x10;
    assert_false(check(&bad));
    bad = good, bad.bridge_config[0] = 0;
    assert_false(check(&bad));
    bad = good, bad.bridge_config[1] = 0;
    assert_false(check(&bad));
    host.device.ops->reset(&host.device);
    assert_int_equal(in(0xCF8, 4), 0);
    select_register(3, 0, 0);
    assert_int_equal(in(0xCFC, 4), 0x10421AF4);
    enum bus_answer answer;
    fake_access(&host.device, PCI_HOST_PORTS, BUS_PORT, 8, 1, false, 0, &answer);
    assert_int_equal(answer, BUS_UNCLAIMED);
}

static void test_without_ecam(void **state)
{
    (void)state;
    struct irq_line wires[4] = { 0 };
    pci_host_init(&host, 0, wires, &control);
    select_register(0, 0, 0x60);
    assert_int_equal(in(0xCFC, 4), 0);
}

/* What the page shows is what a read of ECAM gives, for every register, at any time. */
static void expect_mirror(const uint8_t *page)
{
    for (unsigned offset = 0; offset < 4096; offset += 4) {
        uint32_t shown;
        memcpy(&shown, page + offset, 4);
        assert_int_equal(shown, ecam(offset, 4));
    }
}

static void test_mirror(void **state)
{
    (void)state;
    static uint8_t page[4096];
    memset(page, 0xCC, sizeof(page));
    pci_host_set_mirror(&host, page);
    expect_mirror(page);
    host.bridge_writable[0x50] = 0xFF;
    select_register(0, 0, 0x50);
    out(0xCFC, 1, 0xA5);
    assert_int_equal(page[0x50], 0xA5);
    expect_mirror(page);
    make_card(&other, PCI_DEVFN(0, 1), 256);
    assert_true(pci_host_is_vacant(&host, PCI_DEVFN(0, 1)));
    assert_int_equal(pci_host_add(&host, &other.function), HV_OK);
    assert_false(pci_host_is_vacant(&host, PCI_DEVFN(0, 1)));
    assert_int_equal(page[PCI_HEADER_TYPE], 0x80); /* a second function at its place */
    expect_mirror(page);
    host.device.ops->reset(&host.device);
    expect_mirror(page);
    pci_host_set_mirror(&host, NULL);
    page[0x50] = 0x11;
    out(0xCFC, 1, 0xA6);
    assert_int_equal(page[0x50], 0x11);
}

static void test_fields_cover_the_state(void **state)
{
    (void)state;
    assert_true(fake_fields_cover(host.device.ops));
}

#define T(name) cmocka_unit_test_setup(test_##name, setup)

/* The short way to a dword says what the long one says, or that it does not know. */
static void test_short_read(void **state)
{
    int64_t (*read32)(struct device *device, unsigned tag, uint64_t offset) =
        host.device.ops->read32;

    (void)state;
    for (uint64_t offset = 0; offset < UINT64_C(1) << 22; offset += 2) {
        int64_t got;
        if (offset >> 15 != 0 && (offset & 0xffc) != 0)
            continue; /* of other buses and devices a register each will do */
        got = read32(&host.device, PCI_HOST_ECAM, offset);
        if (got < 0)
            continue;
        assert_int_equal(offset & 3, 0);
        assert_true((uint64_t)got == fake_access(&host.device, PCI_HOST_ECAM, BUS_MMIO, offset, 4,
                                                 false, 0, NULL));
    }
    assert_true(read32(&host.device, PCI_HOST_ECAM, 0) == 0x29C08086);
    assert_true(read32(&host.device, PCI_HOST_ECAM, 1 << 12) == UINT32_MAX);
    assert_true(read32(&host.device, PCI_HOST_ECAM, 0x100) < 0);       /* no such register there */
    assert_true(read32(&host.device, PCI_HOST_ECAM, 1 << 20) < 0);     /* another bus */
    assert_true(read32(&host.device, PCI_HOST_PORTS, PCI_HOST_PORT_BYTES) < 0);
    assert_int_equal(card.reads, 0); /* who has a part in reads is not asked */
    assert_true(read32(&host.device, PCI_HOST_ECAM, PCI_DEVFN(3, 0) << 12) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(host_bridge), T(config_address), T(data_lanes), T(absent), T(masks), T(ecam), T(short_read),
        T(bar_sizing), T(bar_refusals), T(capabilities), T(add_refusals), T(multifunction),
        T(interrupt_wires), T(reset_control), T(check_and_reset), T(without_ecam),
        T(mirror),
        T(fields_cover_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
