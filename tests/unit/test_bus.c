// SRCS: vmm/core/bus.c vmm/lib/range_map.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hv/device.h"

/* Records the last access, and answers as told. */
struct probe {
    struct device device;
    struct bus *bus;
    enum bus_answer answer;
    uint64_t reply;
    unsigned calls;
    unsigned tag;
    struct bus_access access;
    bool was_locked;
    bool moves; /* takes itself off the bus while it is accessed */
};

static enum bus_answer probe_access(struct device *device, unsigned tag, struct bus_access *access)
{
    struct probe *probe = (struct probe *)device;
    probe->calls++;
    probe->tag = tag;
    probe->access = *access;
    probe->was_locked = spin_is_locked(&probe->bus->lock);
    if (probe->moves) {
        assert_int_equal(bus_remove_locked(probe->bus, BUS_PORT, 0x10), HV_OK);
        assert_int_equal(bus_add_locked(probe->bus, BUS_PORT, 0x20, 4, device, 9), HV_OK);
        probe->moves = false;
    }
    if (!access->write)
        access->value = probe->reply;
    return probe->answer;
}

static const struct device_ops probe_ops = { .name = "probe", .access = probe_access };
static struct bus bus;
static struct probe a, b;

static int setup(void **state)
{
    (void)state;
    bus_init(&bus);
    a = (struct probe){ .device.ops = &probe_ops, .bus = &bus, .answer = BUS_DONE };
    b = a;
    return 0;
}

static void add(enum bus_space space, uint64_t start, uint64_t bytes, struct probe *probe,
                unsigned tag)
{
    assert_int_equal(bus_add(&bus, space, start, bytes, &probe->device, tag), HV_OK);
}

static uint64_t read_ok(enum bus_space space, uint64_t address, unsigned size)
{
    uint64_t value = 0x5555555555555555;
    assert_int_equal(bus_dispatch(&bus, space, address, size, false, &value), BUS_DONE);
    assert_false(spin_is_locked(&bus.lock));
    return value;
}

static void write_ok(enum bus_space space, uint64_t address, unsigned size, uint64_t value)
{
    assert_int_equal(bus_dispatch(&bus, space, address, size, true, &value), BUS_DONE);
}

static void expect_unclaimed(enum bus_space space, uint64_t address, unsigned size)
{
    struct bus_unclaimed before = bus.unclaimed[space];
    uint64_t value = 0;
    assert_int_equal(bus_dispatch(&bus, space, address, size, false, &value), BUS_UNCLAIMED);
    assert_true(value == bus_size_mask(size));
    value = 1;
    assert_int_equal(bus_dispatch(&bus, space, address, size, true, &value), BUS_UNCLAIMED);
    assert_int_equal(value, 1);
    assert_int_equal(bus.unclaimed[space].reads, before.reads + 1);
    assert_int_equal(bus.unclaimed[space].writes, before.writes + 1);
    assert_true(bus.unclaimed[space].last_address == address);
    assert_false(spin_is_locked(&bus.lock));
}

static void test_port_reaches_device(void **state)
{
    (void)state;
    add(BUS_PORT, 0x3f8, 8, &a, 3);
    a.reply = 0x1122334455667788;
    assert_true(read_ok(BUS_PORT, 0x3f9, 1) == 0x88);
    assert_int_equal(a.tag, 3);
    assert_int_equal(a.access.offset, 1);
    assert_int_equal(a.access.size, 1);
    assert_int_equal(a.access.space, BUS_PORT);
    assert_false(a.access.write);
    assert_int_equal(a.access.value, 0);
    assert_true(a.was_locked);
    assert_true(read_ok(BUS_PORT, 0x3f8, 2) == 0x7788);
    assert_true(read_ok(BUS_PORT, 0x3fc, 4) == 0x55667788);
    write_ok(BUS_PORT, 0x3ff, 1, 0xabcd);
    assert_int_equal(a.access.value, 0xcd);
    assert_int_equal(a.access.offset, 7);
    assert_true(a.access.write);
    write_ok(BUS_PORT, 0x3fe, 2, 0xfffabcd);
    assert_int_equal(a.access.value, 0xabcd);
    assert_int_equal(a.calls, 5);
}

static void test_unclaimed_gives_ones_and_counts(void **state)
{
    static const unsigned sizes[] = { 1, 2, 4 };
    (void)state;
    add(BUS_PORT, 0x100, 4, &a, 0);
    add(BUS_MMIO, 0x1000, 0x1000, &a, 0);
    for (unsigned i = 0; i < 3; i++) {
        expect_unclaimed(BUS_PORT, 0, sizes[i]);
        expect_unclaimed(BUS_PORT, 0x104, sizes[i]);
        expect_unclaimed(BUS_PORT, 0xffff, sizes[i]);
        expect_unclaimed(BUS_PORT, 0x10000, sizes[i]);
        expect_unclaimed(BUS_PORT, UINT64_MAX, sizes[i]);
        expect_unclaimed(BUS_MMIO, 0x2000, sizes[i]);
        expect_unclaimed(BUS_PCI, 0, sizes[i]);
    }
    expect_unclaimed(BUS_MMIO, UINT64_MAX, 8);
    assert_int_equal(a.calls, 0);
}

static void test_bad_sizes_reach_nobody(void **state)
{
    static const unsigned sizes[] = { 0, 3, 5, 6, 7, 9, 16, 32, 33, UINT32_MAX };
    (void)state;
    add(BUS_PORT, 0, 0x10000, &a, 0);
    add(BUS_MMIO, 0, 0x10000, &a, 0);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (unsigned space = 0; space <= BUS_SPACES; space++) {
            uint64_t value = 7;
            assert_int_equal(bus_dispatch(&bus, space, 0x10, sizes[i], false, &value), BUS_FAULT);
            assert_true(value == UINT64_MAX);
            value = 7;
            assert_int_equal(bus_dispatch(&bus, space, 0x10, sizes[i], true, &value), BUS_FAULT);
            assert_true(value == 7);
        }
    }
    uint64_t value = 7;
    assert_int_equal(bus_dispatch(&bus, BUS_PORT, 0x10, 8, false, &value), BUS_FAULT);
    assert_int_equal(bus_dispatch(&bus, BUS_SPACES, 0x10, 4, false, &value), BUS_FAULT);
    assert_int_equal(a.calls, 0);
    assert_int_equal(bus_dispatch(&bus, BUS_MMIO, 0x10, 8, false, &value), BUS_DONE);
}

static void test_device_answers_are_passed_on(void **state)
{
    uint64_t value = 1;
    (void)state;
    add(BUS_PORT, 0x10, 4, &a, 0);
    a.reply = 0x12;
    a.answer = BUS_FAULT;
    assert_int_equal(bus_dispatch(&bus, BUS_PORT, 0x10, 2, false, &value), BUS_FAULT);
    assert_int_equal(value, 0xffff);
    value = 1;
    assert_int_equal(bus_dispatch(&bus, BUS_PORT, 0x10, 2, true, &value), BUS_FAULT);
    assert_int_equal(value, 1);
    a.answer = BUS_UNCLAIMED;
    expect_unclaimed(BUS_PORT, 0x10, 2);
}

/* ISA: a word to byte devices becomes byte cycles, lowest address first. */
static void test_port_access_across_regions_is_split(void **state)
{
    uint64_t value = 0;
    (void)state;
    add(BUS_PORT, 0x60, 1, &a, 1);
    add(BUS_PORT, 0x61, 1, &b, 2);
    add(BUS_PORT, 0x64, 1, &a, 4);
    a.reply = 0xaaa1;
    b.reply = 0xb2;
    assert_int_equal(read_ok(BUS_PORT, 0x60, 2), 0xb2a1);
    assert_int_equal(a.access.size, 1);
    assert_int_equal(read_ok(BUS_PORT, 0x61, 4), 0xa1ffffb2);
    assert_int_equal(bus.unclaimed[BUS_PORT].reads, 2);
    assert_int_equal(bus.unclaimed[BUS_PORT].last_address, 0x63);
    /* Begins where nobody is. */
    assert_int_equal(read_ok(BUS_PORT, 0x5f, 2), 0xa1ff);
    assert_int_equal(read_ok(BUS_PORT, 0x5d, 4), 0xa1ffffff);
    write_ok(BUS_PORT, 0x60, 2, 0x1234);
    assert_int_equal(a.access.value, 0x34);
    assert_int_equal(b.access.value, 0x12);
    b.answer = BUS_FAULT;
    assert_int_equal(bus_dispatch(&bus, BUS_PORT, 0x60, 2, false, &value), BUS_FAULT);
    assert_int_equal(value, 0xffff);
    /* A device that claims none of its bytes. */
    b.answer = BUS_UNCLAIMED;
    a.answer = BUS_UNCLAIMED;
    assert_int_equal(bus_dispatch(&bus, BUS_PORT, 0x60, 2, false, &value), BUS_UNCLAIMED);
    assert_int_equal(value, 0xffff);
}

static void test_port_zero_and_the_last_port(void **state)
{
    (void)state;
    add(BUS_PORT, 0, 1, &a, 0);
    add(BUS_PORT, 0xffff, 1, &b, 0);
    a.reply = 0x11;
    b.reply = 0x22;
    assert_int_equal(read_ok(BUS_PORT, 0, 1), 0x11);
    assert_int_equal(read_ok(BUS_PORT, 0, 2), 0xff11);
    assert_int_equal(read_ok(BUS_PORT, 0xffff, 1), 0x22);
    /* Does not wrap to port 0. */
    a.calls = 0;
    assert_int_equal(read_ok(BUS_PORT, 0xffff, 4), 0xffffff22);
    assert_int_equal(read_ok(BUS_PORT, 0xfffe, 2), 0x22ff);
    assert_int_equal(a.calls, 0);
}

static void test_mmio_bounds(void **state)
{
    (void)state;
    add(BUS_MMIO, 0xfec00000, 0x100, &a, 1);
    add(BUS_MMIO, 0xfec00100, 0x100, &b, 2);
    add(BUS_MMIO, 0xfffffffffffffff0, 0x10, &b, 3);
    a.reply = UINT64_MAX;
    assert_true(read_ok(BUS_MMIO, 0xfec000f8, 8) == UINT64_MAX);
    assert_int_equal(a.access.offset, 0xf8);
    assert_int_equal(a.access.space, BUS_MMIO);
    b.reply = 5;
    assert_int_equal(read_ok(BUS_MMIO, 0xfec00100, 4), 5);
    assert_int_equal(read_ok(BUS_MMIO, 0xfffffffffffffffc, 4), 5);
    assert_int_equal(b.tag, 3);
    a.calls = b.calls = 0;
    expect_unclaimed(BUS_MMIO, 0xfec000fd, 4);         /* two regions */
    expect_unclaimed(BUS_MMIO, 0xfec001fe, 4);         /* region, then nothing */
    expect_unclaimed(BUS_MMIO, 0xfebffffe, 4);         /* nothing, then region */
    expect_unclaimed(BUS_MMIO, 0xfffffffffffffffe, 4); /* past the last address */
    assert_int_equal(a.calls + b.calls, 0);
}

static void test_spaces_are_apart(void **state)
{
    (void)state;
    add(BUS_PORT, 0x10, 1, &a, 1);
    add(BUS_MMIO, 0x10, 1, &a, 2);
    add(BUS_PCI, 0x10, 1, &a, 3);
    read_ok(BUS_PORT, 0x10, 1);
    assert_int_equal(a.tag, 1);
    read_ok(BUS_MMIO, 0x10, 1);
    assert_int_equal(a.tag, 2);
    read_ok(BUS_PCI, 0x10, 1);
    assert_int_equal(a.tag, 3);
    assert_int_equal(bus_remove(&bus, BUS_MMIO, 0x10), HV_OK);
    expect_unclaimed(BUS_MMIO, 0x10, 1);
    read_ok(BUS_PORT, 0x10, 1);
    read_ok(BUS_PCI, 0x10, 1);
}

static void test_add_refuses(void **state)
{
    (void)state;
    add(BUS_PORT, 0x10, 4, &a, 0);
    assert_int_equal(bus_add(&bus, BUS_PORT, 0x20, 0, &a.device, 0), HV_ERR_INVALID);
    assert_int_equal(bus_add(&bus, BUS_PORT, 0x20, 1, NULL, 0), HV_ERR_INVALID);
    assert_int_equal(bus_add(&bus, BUS_SPACES, 0x20, 1, &a.device, 0), HV_ERR_INVALID);
    assert_int_equal(bus_add(&bus, BUS_MMIO, UINT64_MAX, 2, &a.device, 0), HV_ERR_INVALID);
    assert_int_equal(bus_add(&bus, BUS_PORT, 0x13, 1, &a.device, 0), HV_ERR_EXISTS);
    assert_int_equal(bus_add(&bus, BUS_PORT, 0xe, 3, &a.device, 0), HV_ERR_EXISTS);
    assert_int_equal(bus_add(&bus, BUS_PORT, 0xffff, 2, &a.device, 0), HV_ERR_RANGE);
    assert_int_equal(bus_add(&bus, BUS_PORT, 0x10000, 1, &a.device, 0), HV_ERR_RANGE);
    assert_int_equal(bus_add(&bus, BUS_PORT, 1, UINT64_MAX, &a.device, 0), HV_ERR_RANGE);
    for (unsigned i = 2; i < BUS_MAX_REGIONS; i++)
        add(BUS_MMIO, i * 16, 16, &a, i);
    assert_int_equal(bus_add(&bus, BUS_MMIO, 0x100000, 16, &a.device, 0), HV_ERR_NO_MEMORY);
    assert_int_equal(bus_remove(&bus, BUS_PORT, 0x10), HV_OK);
    add(BUS_MMIO, 0x100000, 16, &a, 7);
    read_ok(BUS_MMIO, 0x100000, 1);
    assert_int_equal(a.tag, 7);
    read_ok(BUS_MMIO, 16 * 5, 1);
    assert_int_equal(a.tag, 5);
}

static void test_remove(void **state)
{
    (void)state;
    add(BUS_PORT, 0x10, 4, &a, 0);
    add(BUS_PORT, 0x14, 4, &b, 0);
    assert_int_equal(bus_remove(&bus, BUS_PORT, 0x11), HV_ERR_NOT_FOUND);
    assert_int_equal(bus_remove(&bus, BUS_PORT, 0xf), HV_ERR_NOT_FOUND);
    assert_int_equal(bus_remove(&bus, BUS_SPACES, 0x10), HV_ERR_NOT_FOUND);
    assert_int_equal(bus_remove(&bus, BUS_PORT, 0x10), HV_OK);
    assert_int_equal(bus_remove(&bus, BUS_PORT, 0x10), HV_ERR_NOT_FOUND);
    expect_unclaimed(BUS_PORT, 0x10, 4);
    read_ok(BUS_PORT, 0x14, 4);
    assert_int_equal(b.calls, 1);
}

static void test_device_moves_while_accessed(void **state)
{
    (void)state;
    add(BUS_PORT, 0x10, 4, &a, 8);
    a.moves = true;
    a.reply = 0x77;
    assert_int_equal(read_ok(BUS_PORT, 0x10, 1), 0x77);
    expect_unclaimed(BUS_PORT, 0x10, 1);
    assert_int_equal(read_ok(BUS_PORT, 0x20, 1), 0x77);
    assert_int_equal(a.tag, 9);
    a.answer = BUS_UNCLAIMED;
    expect_unclaimed(BUS_PORT, 0x20, 1);
}

static void test_access_from_inside_a_device(void **state)
{
    uint64_t value = 0;
    (void)state;
    add(BUS_PCI, 0x80000000, 0x1000, &b, 5);
    b.reply = 0x12348086;
    spin_lock(&bus.lock);
    assert_int_equal(bus_dispatch_locked(&bus, BUS_PCI, 0x80000000, 4, false, &value), BUS_DONE);
    assert_true(spin_is_locked(&bus.lock));
    spin_unlock(&bus.lock);
    assert_int_equal(value, 0x12348086);
}

/* --- the short ways --- */

static int short_read8(struct device *device, unsigned tag, uint64_t offset)
{
    struct probe *probe = (struct probe *)device;
    probe->calls++;
    probe->tag = tag;
    probe->was_locked = spin_is_locked(&probe->bus->lock);
    return offset < 2 ? 0x40 + (int)offset : BUS_READ_UNCLAIMED;
}

static int64_t short_read32(struct device *device, unsigned tag, uint64_t offset)
{
    struct probe *probe = (struct probe *)device;
    probe->calls++;
    probe->tag = tag;
    return offset == 4 ? INT64_C(0xfedcba98) : BUS_READ_UNCLAIMED;
}

static enum bus_answer short_write8(struct device *device, unsigned tag, uint64_t offset,
                                    uint8_t value)
{
    struct probe *probe = (struct probe *)device;
    probe->calls++;
    probe->tag = tag;
    probe->access.offset = offset;
    probe->reply = value;
    return BUS_DONE;
}

static const struct device_ops short_ops = {
    .name = "short", .access = probe_access, .read8 = short_read8, .read32 = short_read32,
    .write8 = short_write8,
};

static void test_short_ways_reach_device(void **state)
{
    (void)state;
    a.device.ops = &short_ops;
    add(BUS_PORT, 0x20, 8, &a, 5);
    for (unsigned shared = 0; shared < 2; shared++) {
        bus.shared = shared;
        assert_int_equal(bus_port_read8(&bus, 0x21), 0x41);
        assert_int_equal(a.tag, 5);
        assert_int_equal(a.was_locked, shared);
        assert_false(spin_is_locked(&bus.lock));
        assert_int_equal(bus_port_read8(&bus, 0x22), BUS_READ_UNCLAIMED);
        assert_int_equal(bus_port_write8(&bus, 0x23, 0x77), BUS_DONE);
        assert_int_equal(a.access.offset, 3);
        assert_int_equal(a.reply, 0x77);
        assert_false(spin_is_locked(&bus.lock));
    }
    bus.shared = false;
    assert_true(bus_port_read32(&bus, 0x24) == 0xfedcba98);
    assert_true(bus_port_read32(&bus, 0x20) == BUS_READ_UNCLAIMED);
    /* Not wholly in the region: the device is not asked. */
    a.calls = 0;
    assert_true(bus_port_read32(&bus, 0x25) == BUS_READ_UNCLAIMED);
    assert_int_equal(a.calls, 0);
    /* Shared: the long way has the lock. */
    bus.shared = true;
    assert_true(bus_port_read32(&bus, 0x24) == BUS_READ_UNCLAIMED);
}

static void test_short_ways_by_access(void **state)
{
    (void)state;
    bus_set_private(&bus);
    add(BUS_PORT, 0x20, 8, &a, 5);
    a.reply = 0x1122334455667788;
    assert_int_equal(bus_port_read8(&bus, 0x21), 0x88);
    assert_int_equal(a.access.offset, 1);
    assert_int_equal(a.access.size, 1);
    assert_false(a.was_locked);
    assert_true(bus_port_read32(&bus, 0x22) == 0x55667788);
    assert_int_equal(a.access.size, 4);
    assert_int_equal(a.access.space, BUS_PORT);
    assert_int_equal(bus_port_write8(&bus, 0x23, 0x99), BUS_DONE);
    assert_true(a.access.write);
    assert_int_equal(a.access.value, 0x99);
    a.answer = BUS_UNCLAIMED;
    assert_int_equal(bus_port_read8(&bus, 0x21), BUS_READ_UNCLAIMED);
    assert_int_equal(bus_port_write8(&bus, 0x21, 0), BUS_UNCLAIMED);
    a.answer = BUS_FAULT;
    assert_int_equal(bus_port_read8(&bus, 0x21), BUS_READ_FAULT);
    assert_int_equal(bus_port_write8(&bus, 0x21, 0), BUS_FAULT);
}

static void test_short_ways_count_what_nobody_answers(void **state)
{
    (void)state;
    for (unsigned shared = 0; shared < 2; shared++) {
        struct bus_unclaimed before = bus.unclaimed[BUS_PORT];
        bus.shared = shared;
        assert_int_equal(bus_port_read8(&bus, 0x1234), 0xff);
        assert_int_equal(bus_port_write8(&bus, 0xffff, 1), BUS_DONE);
        assert_int_equal(bus.unclaimed[BUS_PORT].reads, before.reads + 1);
        assert_int_equal(bus.unclaimed[BUS_PORT].writes, before.writes + 1);
        assert_int_equal(bus.unclaimed[BUS_PORT].last_address, 0xffff);
        assert_false(spin_is_locked(&bus.lock));
    }
    bus.shared = false;
    assert_true(bus_port_read32(&bus, 0xffff) < 0);
    assert_true(bus_port_read32(&bus, 0) < 0);
}

/* The region that was hit last is found without a search, and forgotten when it goes. */
static void test_memory_read_twice(void **state)
{
    (void)state;
    a.device.ops = &short_ops;
    add(BUS_MMIO, 0x1000, 0x10, &a, 1);
    add(BUS_MMIO, 0x2000, 0x10, &b, 2);
    b.reply = 0x1234567890;
    for (unsigned i = 0; i < 2; i++)
        assert_true(read_ok(BUS_MMIO, 0x1004, 4) == 0xfedcba98);
    a.reply = 0x55;
    assert_true(read_ok(BUS_MMIO, 0x1008, 4) == 0x55); /* refused by read32, answered in full */
    for (unsigned i = 0; i < 2; i++) {
        assert_true(read_ok(BUS_MMIO, 0x2000, 4) == 0x34567890);
        assert_int_equal(b.access.space, BUS_MMIO);
        assert_true(read_ok(BUS_MMIO, 0x2000, 8) == 0x1234567890);
        expect_unclaimed(BUS_MMIO, 0x200d, 4);
        expect_unclaimed(BUS_MMIO, 0x1fff, 4);
        expect_unclaimed(BUS_MMIO, 0x2010, 1);
    }
    assert_int_equal(bus_remove(&bus, BUS_MMIO, 0x2000), HV_OK);
    expect_unclaimed(BUS_MMIO, 0x2000, 4);
}

/* A hole that is remembered must not outlive a region that comes into it. */
static void test_holes(void **state)
{
    (void)state;
    add(BUS_MMIO, 0x1000, 0x1000, &a, 0);
    add(BUS_MMIO, 0x8000, 0x1000, &a, 0);
    a.reply = 0x99887766;
    for (unsigned i = 0; i < 2; i++) {
        expect_unclaimed(BUS_MMIO, 0x2000, 4);
        expect_unclaimed(BUS_MMIO, 0x7fff, 1);
        expect_unclaimed(BUS_MMIO, 0x7ffc, 8); /* begins in the hole: nobody's as a whole */
        expect_unclaimed(BUS_MMIO, 0xfff, 2);
        expect_unclaimed(BUS_MMIO, UINT64_MAX, 8);
        expect_unclaimed(BUS_MMIO, 0, 8);
        assert_true(read_ok(BUS_MMIO, 0x1ffc, 4) == 0x99887766);
    }
    expect_unclaimed(BUS_MMIO, 0x4000, 4);
    add(BUS_MMIO, 0x4000, 0x1000, &b, 0);
    b.reply = 5;
    assert_int_equal(read_ok(BUS_MMIO, 0x4000, 4), 5);
    expect_unclaimed(BUS_MMIO, 0x5000, 4);
    assert_int_equal(bus_remove(&bus, BUS_MMIO, 0x4000), HV_OK);
    expect_unclaimed(BUS_MMIO, 0x4000, 4);
    assert_int_equal(read_ok(BUS_MMIO, 0x8000, 4), 0x99887766);
}

/* The shortest way gives what the long one does. */
static void test_mmio_read32(void **state)
{
    (void)state;
    add(BUS_MMIO, 0x1000, 0x1000, &a, 0);
    a.reply = 0xfffffffe;
    for (unsigned private = 0; private < 2; private++) {
        for (unsigned i = 0; i < 2; i++) {
            assert_true(bus_mmio_read32(&bus, 0x1000) == 0xfffffffe);
            assert_true(bus_mmio_read32(&bus, 0x1ffc) == 0xfffffffe);
            assert_int_equal(a.access.offset, 0xffc);
            assert_true(bus_mmio_read32(&bus, 0x1ffd) == UINT32_MAX);
            assert_true(bus_mmio_read32(&bus, 0xffc) == UINT32_MAX);
            assert_true(bus_mmio_read32(&bus, 0) == UINT32_MAX);
            a.answer = BUS_UNCLAIMED;
            assert_true(bus_mmio_read32(&bus, 0x1000) == UINT32_MAX);
            a.answer = BUS_FAULT;
            assert_true(bus_mmio_read32(&bus, 0x1000) == BUS_READ_FAULT);
            a.answer = BUS_DONE;
        }
        bus_set_private(&bus);
    }
    assert_int_equal(bus.unclaimed[BUS_MMIO].reads, 16);
}

static enum bus_answer probe_write32(struct device *device, unsigned tag, uint64_t offset,
                                     uint32_t value)
{
    struct probe *probe = (struct probe *)device;

    probe->calls++;
    probe->tag = tag;
    probe->access.offset = offset;
    probe->access.value = value;
    probe->access.size = 4;
    return BUS_DONE;
}

static void test_mmio_write32(void **state)
{
    static const struct device_ops ops = { .name = "short", .access = probe_access,
                                           .write32 = probe_write32 };

    (void)state;
    b.device.ops = &ops;
    bus_set_private(&bus);
    add(BUS_MMIO, 0x1000, 0x1000, &a, 1);
    add(BUS_MMIO, 0x2000, 0x1000, &b, 2);
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(bus_mmio_write32(&bus, 0x1ffc, 0x89abcdef), BUS_DONE);
        assert_true(a.calls == i && a.access.write && a.access.value == 0x89abcdef);
        assert_int_equal(a.access.offset, 0xffc);
    }
    for (unsigned i = 1; i < 4; i++) { /* the first finds the region */
        assert_int_equal(bus_mmio_write32(&bus, 0x2004, i), BUS_DONE);
        assert_true(b.calls == i && b.tag == 2 && b.access.offset == 4 && b.access.value == i);
    }
    assert_int_equal(bus_mmio_write32(&bus, 0x2ffd, 1), BUS_UNCLAIMED);
    assert_int_equal(bus_mmio_write32(&bus, 0x5000, 1), BUS_UNCLAIMED);
    assert_int_equal(bus.unclaimed[BUS_MMIO].writes, 2);
    a.answer = BUS_FAULT;
    assert_int_equal(bus_mmio_write32(&bus, 0x1000, 1), BUS_FAULT);
    assert_int_equal(b.calls, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_port_reaches_device, setup),
        cmocka_unit_test_setup(test_short_ways_reach_device, setup),
        cmocka_unit_test_setup(test_short_ways_by_access, setup),
        cmocka_unit_test_setup(test_short_ways_count_what_nobody_answers, setup),
        cmocka_unit_test_setup(test_memory_read_twice, setup),
        cmocka_unit_test_setup(test_unclaimed_gives_ones_and_counts, setup),
        cmocka_unit_test_setup(test_bad_sizes_reach_nobody, setup),
        cmocka_unit_test_setup(test_device_answers_are_passed_on, setup),
        cmocka_unit_test_setup(test_port_access_across_regions_is_split, setup),
        cmocka_unit_test_setup(test_port_zero_and_the_last_port, setup),
        cmocka_unit_test_setup(test_mmio_bounds, setup),
        cmocka_unit_test_setup(test_spaces_are_apart, setup),
        cmocka_unit_test_setup(test_add_refuses, setup),
        cmocka_unit_test_setup(test_remove, setup),
        cmocka_unit_test_setup(test_holes, setup),
        cmocka_unit_test_setup(test_mmio_read32, setup),
        cmocka_unit_test_setup(test_mmio_write32, setup),
        cmocka_unit_test_setup(test_device_moves_while_accessed, setup),
        cmocka_unit_test_setup(test_access_from_inside_a_device, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
