// SRCS: vmm/devices/ioapic.c
/*
 * I/O APIC against the 82093AA data sheet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake.h"
#include "fields.h"
#include "hv/dev_ioapic.h"

#define LEVEL 0x8000u
#define MASKED 0x10000u
#define REMOTE_IRR 0x4000u

static struct ioapic ioapic;
static struct irq_message got[256];
static unsigned count;

static void deliver(void *context, const struct irq_message *message)
{
    assert_ptr_equal(context, &ioapic);
    got[count++ % 256] = *message;
}

static int setup(void **state)
{
    (void)state;
    struct irq_sink sink = { deliver, &ioapic };
    count = 0;
    ioapic_init(&ioapic, &sink, IOAPIC_PINS);
    return 0;
}

static uint64_t mem(uint64_t offset, unsigned size, bool write, uint64_t value)
{
    enum bus_answer answer;
    uint64_t result =
        fake_access(&ioapic.device, 0, BUS_MMIO, offset, size, write, value, &answer);
    assert_int_equal(answer, BUS_DONE);
    return result;
}

static uint32_t get(uint32_t index)
{
    mem(0x00, 4, true, index);
    return (uint32_t)mem(0x10, 4, false, 0);
}

static void put(uint32_t index, uint32_t value)
{
    mem(0x00, 4, true, index);
    mem(0x10, 4, true, value);
}

static void entry(unsigned pin, uint32_t low, uint32_t high)
{
    put(0x11 + pin * 2, high);
    put(0x10 + pin * 2, low);
}

static void line(unsigned pin, bool level)
{
    ioapic_set_line(&ioapic, pin, level);
}

static void test_power_up(void **state)
{
    (void)state;
    assert_int_equal(get(0), 0);
    assert_int_equal(get(1), 0x00170020);
    assert_int_equal(get(2), 0);
    for (unsigned i = 0; i < 48; i++)
        assert_int_equal(get(0x10 + i), i % 2 ? 0 : MASKED);
    for (unsigned index = 3; index < 256; index++) {
        if (index < 0x10 || index >= 0x40) {
            put(index, 0xFFFFFFFF);
            assert_int_equal(get(index), 0);
        }
    }
}

static void test_writable_bits(void **state)
{
    (void)state;
    put(0, 0xFFFFFFFF);
    assert_int_equal(get(0), 0x0F000000);
    assert_int_equal(get(2), 0x0F000000);
    put(1, 0xFFFFFFFF);
    assert_int_equal(get(1), 0x00170020);
    for (unsigned pin = 0; pin < 24; pin++) {
        entry(pin, 0xFFFFFFFF, 0xFFFFFFFF);
        assert_int_equal(get(0x10 + pin * 2), 0x1AFFF);
        assert_int_equal(get(0x11 + pin * 2), 0xFF000000);
    }
    mem(0, 4, true, 0xFFFFFF12);
    assert_int_equal(mem(0, 4, false, 0), 0x12);
}

static void test_edge(void **state)
{
    (void)state;
    entry(4, 0x0931, 0x05000000); /* lowest priority, logical */
    line(4, true);
    assert_int_equal(count, 1);
    assert_int_equal(got[0].vector, 0x31);
    assert_int_equal(got[0].delivery, IRQ_LOWEST);
    assert_true(got[0].logical);
    assert_false(got[0].level_triggered);
    assert_int_equal(got[0].destination, 5);
    line(4, true);
    assert_int_equal(count, 1);
    line(4, false);
    assert_int_equal(count, 1);
    line(4, true);
    assert_int_equal(count, 2);
    assert_int_equal(get(0x18) & REMOTE_IRR, 0);
}

static void test_masked_edge_is_ignored(void **state)
{
    (void)state;
    entry(4, MASKED | 0x31, 0);
    line(4, true);
    entry(4, 0x31, 0);
    assert_int_equal(count, 0);
    line(4, false);
    line(4, true);
    assert_int_equal(count, 1);
}

static void test_level_until_eoi(void **state)
{
    (void)state;
    entry(9, LEVEL | 0x41, 0x02000000);
    line(9, true);
    assert_int_equal(count, 1);
    assert_true(got[0].level_triggered);
    assert_int_equal(get(0x22), LEVEL | REMOTE_IRR | 0x41);
    line(9, false);
    line(9, true); /* not before its EOI */
    assert_int_equal(count, 1);
    ioapic_eoi(&ioapic, 0x42); /* somebody else's */
    assert_int_equal(count, 1);
    ioapic_eoi(&ioapic, 0x41); /* still active: again */
    assert_int_equal(count, 2);
    line(9, false);
    ioapic_eoi(&ioapic, 0x41);
    assert_int_equal(count, 2);
    assert_int_equal(get(0x22), LEVEL | 0x41);
}

static void test_level_masking(void **state)
{
    (void)state;
    entry(9, LEVEL | MASKED | 0x41, 0);
    line(9, true);
    assert_int_equal(count, 0);
    entry(9, LEVEL | 0x41, 0); /* unmasked while active */
    assert_int_equal(count, 1);
    entry(9, LEVEL | MASKED | 0x41, 0); /* masking leaves remote IRR */
    assert_int_equal(get(0x22), LEVEL | MASKED | REMOTE_IRR | 0x41);
    ioapic_eoi(&ioapic, 0x41);
    assert_int_equal(get(0x22), LEVEL | MASKED | 0x41);
    assert_int_equal(count, 1);
    entry(9, LEVEL | 0x41, 0);
    assert_int_equal(count, 2);
}

static void test_remote_irr_cleared_by_edge_mode(void **state)
{
    (void)state;
    entry(9, LEVEL | 0x41, 0);
    line(9, true);
    entry(9, MASKED | 0x41, 0);
    assert_int_equal(get(0x22), MASKED | 0x41);
    entry(9, LEVEL | 0x41, 0);
    assert_int_equal(count, 2);
}

static void test_eoi_register_and_shared_vector(void **state)
{
    (void)state;
    entry(16, LEVEL | 0x51, 0);
    entry(17, LEVEL | 0x51, 0);
    line(16, true);
    line(17, true);
    assert_int_equal(count, 2);
    mem(0x40, 4, true, 0x51); /* ends both; both are still active */
    assert_int_equal(count, 4);
    mem(0x40, 1, true, 0x51);
    assert_int_equal(count, 6);
    mem(0x41, 1, true, 0x51);
    assert_int_equal(count, 6);
    mem(0x40, 4, true, 0xFFFFFF51); /* the vector is the low byte */
    assert_int_equal(count, 8);
    assert_int_equal(mem(0x40, 4, false, 0), 0);
}

static void test_nmi_is_an_edge(void **state)
{
    (void)state;
    entry(3, LEVEL | 0x400, 0);
    line(3, true);
    assert_int_equal(count, 1);
    assert_int_equal(got[0].delivery, IRQ_NMI);
    assert_false(got[0].level_triggered);
    assert_int_equal(get(0x16) & REMOTE_IRR, 0);
    entry(0, 0x700, 0);
    line(0, true);
    assert_int_equal(got[1].delivery, IRQ_EXTINT);
}

static void test_polarity_is_only_kept(void **state)
{
    (void)state;
    entry(5, 0x2031, 0);
    assert_int_equal(get(0x1A), 0x2031);
    line(5, true);
    assert_int_equal(count, 1);
}

static void test_access_sizes(void **state)
{
    (void)state;
    mem(0x00, 1, true, 0x12);
    mem(0x10, 4, true, 0x1FF55);
    assert_int_equal(mem(0x10, 1, false, 0), 0x55);
    assert_int_equal(mem(0x11, 1, false, 0), 0xAF);
    assert_int_equal(mem(0x12, 2, false, 0), 0x0001);
    assert_int_equal(mem(0x10, 8, false, 0), 0x1AF55);
    assert_int_equal(mem(0x14, 4, false, 0), 0);
    assert_int_equal(mem(0x20, 4, false, 0), 0);
    mem(0x10, 1, true, 0x66);
    assert_int_equal(mem(0x10, 4, false, 0), 0x1AF66);
    mem(0x11, 1, true, 0x00);
    assert_int_equal(mem(0x10, 4, false, 0), 0x10066);
    mem(0x10, 8, true, UINT64_C(0xFFFFFFFF00010077));
    assert_int_equal(mem(0x10, 4, false, 0), 0x10077);
    mem(0x14, 4, true, 0xFFFFFFFF);
    mem(0x20, 4, true, 0xFFFFFFFF);
    assert_int_equal(mem(0x10, 4, false, 0), 0x10077);
}

static void test_bad_pins(void **state)
{
    (void)state;
    line(24, true);
    line(31, true);
    line(1000, true);
    assert_int_equal(ioapic.state.lines, 0);
}

static void test_reset_keeps_lines(void **state)
{
    (void)state;
    entry(9, LEVEL | 0x41, 0);
    line(9, true);
    ioapic.device.ops->reset(&ioapic.device);
    assert_int_equal(get(0x22), MASKED);
    entry(9, LEVEL | 0x42, 0);
    assert_int_equal(count, 2);
}

static void test_check(void **state)
{
    (void)state;
    bool (*check)(const void *) = ioapic.device.ops->check;
    struct ioapic_state good, bad;
    entry(9, LEVEL | 0x41, 0x05000000);
    line(9, true);
    good = ioapic.state;
    assert_true(check(&good));
    bad = good, bad.id = 1;
    assert_false(check(&bad));
    bad = good, bad.select = 256;
    assert_false(check(&bad));
    bad = good, bad.lines = 1u << 24;
    assert_false(check(&bad));
    bad = good, bad.entry[3] = 1 << 12;
    assert_false(check(&bad));
    bad = good, bad.entry[9] &= ~(uint64_t)LEVEL;
    assert_false(check(&bad));
}

/* Whatever happens, the page shows at each offset what an access would read. */
static void mirror_is_true(const uint32_t *page)
{
    for (uint64_t offset = 0; offset < IOAPIC_REGION_BYTES; offset += 4)
        assert_int_equal(page[offset / 4], mem(offset, 4, false, 0));
}

static void test_mirror(void **state)
{
    static uint32_t page[IOAPIC_REGION_BYTES / 4];
    uint32_t random = 12345;

    (void)state;
    ioapic_set_mirror(&ioapic, page);
    mirror_is_true(page);
    for (unsigned i = 0; i < 5000; i++) {
        random = random * 1664525 + 1013904223;
        unsigned pin = random >> 8 & 31;
        switch (random >> 28 & 7) {
        case 0:
            line(pin, random >> 16 & 1);
            break;
        case 1:
            ioapic_eoi(&ioapic, (uint8_t)(0x30 + (pin & 3)));
            break;
        case 2:
            mem(0x40, 4, true, 0x30 + (pin & 3));
            break;
        case 3:
            put(0x10 + pin * 2, LEVEL | (0x30 + (pin & 3)) | (random >> 16 & 1) << 16);
            break;
        case 4:
            mem(0x00, 4, true, 0x10 + pin * 2);
            break;
        case 5:
            mem((random >> 12 & 0xff), 1u << (random >> 20 & 1), true, random);
            break;
        case 6:
            get(pin);
            break;
        default:
            if (random >> 16 & 1)
                ioapic.device.ops->reset(&ioapic.device);
            break;
        }
        mirror_is_true(page);
    }
    ioapic_set_mirror(&ioapic, NULL);
    put(0, 0x05000000);
    assert_int_equal(get(0), 0x05000000);
}

static void test_fields_cover_the_state(void **state)
{
    (void)state;
    assert_true(fake_fields_cover(ioapic.device.ops));
}

#define T(name) cmocka_unit_test_setup(test_##name, setup)

static void test_fewer_pins(void **state)
{
    (void)state;
    struct irq_sink sink = { deliver, &ioapic };
    ioapic_init(&ioapic, &sink, 8);
    assert_int_equal(get(1) >> 16 & 0xFF, 7);
    entry(7, 0x41, 0);
    entry(8, 0x42, 0);
    assert_int_equal(get(0x10 + 2 * 7), 0x41);
    assert_int_equal(get(0x10 + 2 * 8), 0);
    ioapic_set_line(&ioapic, 8, true);
    assert_int_equal(count, 0);
    ioapic_set_line(&ioapic, 7, true);
    assert_int_equal(count, 1);
    assert_int_equal(got[0].vector, 0x41);
}

/* The short way to write 4 bytes leaves what the long one leaves, or nothing. */
static void test_short_write(void **state)
{
    static const uint32_t values[] = { 0, 0x10, 0x21, 0x8050, 0x18050, 0xffffffff };
    enum bus_answer (*write32)(struct device *device, unsigned tag, uint64_t offset,
                               uint32_t value) = ioapic.device.ops->write32;
    unsigned taken = 0;

    (void)state;
    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        for (uint64_t offset = 0; offset < 0x1000; offset++) {
            struct ioapic_state before = ioapic.state, after;
            mem(offset, 4, true, values[i]);
            after = ioapic.state;
            ioapic.state = before;
            if (write32(&ioapic.device, 0, offset, values[i]) == BUS_DONE) {
                assert_memory_equal(&ioapic.state, &after, sizeof(after));
                taken++;
            } else {
                assert_memory_equal(&ioapic.state, &before, sizeof(before));
            }
        }
    }
    assert_int_equal(taken, 6 * 0x100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(power_up), T(writable_bits), T(edge), T(masked_edge_is_ignored), T(level_until_eoi),
        T(level_masking), T(remote_irr_cleared_by_edge_mode), T(eoi_register_and_shared_vector),
        T(nmi_is_an_edge), T(polarity_is_only_kept), T(access_sizes), T(short_write), T(bad_pins),
        T(reset_keeps_lines), T(check), T(mirror), T(fewer_pins),
        T(fields_cover_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
