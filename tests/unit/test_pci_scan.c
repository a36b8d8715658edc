// SRCS: drivers/pci_scan.c
/* PCI Local Bus specification 3.0, "Configuration Space Organization": a few functions on a fake bus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/drv_pci.h"

#define FUNCTIONS 12

/* One function: its 256 bytes, and which bits of them can be written. */
struct fake_function {
    struct pci_address at;
    uint32_t space[64];
    uint32_t writable[64];
    bool sized;   /* ones have been written there */
    bool forgets; /* No_Soft_Reset is 0 */
    uint32_t bar1_lie; /* what its second address says when it is sized; 0: the truth */
};

static struct fake_function functions[FUNCTIONS];
static unsigned count;
static unsigned decoding_while_sized;
static uint64_t clock_us;

static struct fake_function *find(struct pci_address at)
{
    for (unsigned i = 0; i < count; i++) {
        const struct pci_address *f = &functions[i].at;
        if (f->segment == at.segment && f->bus == at.bus && f->device == at.device &&
            f->function == at.function)
            return &functions[i];
    }
    return NULL;
}

static uint32_t fake_read(void *ctx, struct pci_address at, unsigned offset)
{
    struct fake_function *f = find(at);
    (void)ctx;
    assert_true(offset < 256 && offset % 4 == 0);
    if (f && offset == 0x14 && f->bar1_lie && f->sized)
        return f->bar1_lie;
    return f ? f->space[offset / 4] : UINT32_MAX;
}

static void fake_write(void *ctx, struct pci_address at, unsigned offset, uint32_t value)
{
    struct fake_function *f = find(at);
    (void)ctx;
    assert_true(offset < 256 && offset % 4 == 0);
    if (!f)
        return;
    if (offset >= 0x10 && offset < 0x28 && (f->space[1] & 3))
        decoding_while_sized++;
    uint32_t can = f->writable[offset / 4];
    if (offset == 0x14)
        f->sized = value == UINT32_MAX;
    if (offset == 0x64 && f->forgets && (f->space[0x19] & 3) && !(value & 3)) {
        memset(f->space + 4, 0, 24); /* "D0 uninitialized": as after a reset */
        f->space[1] &= 0xffff0000;
    }
    f->space[offset / 4] = (f->space[offset / 4] & ~can) | (value & can);
}

static struct hv_pci pci = { fake_read, fake_write, NULL, 1, { { 0, 0, 255 } } };

static struct fake_function *add(uint8_t bus, uint8_t device, uint8_t function, uint32_t class)
{
    struct fake_function *f = &functions[count++];
    assert_true(count <= FUNCTIONS);
    memset(f, 0, sizeof(*f));
    f->at = (struct pci_address){ 0, bus, device, function };
    f->space[0] = 0x00021234;
    f->space[1] = 0x00100007;
    f->writable[1] = 0x0407;
    f->space[2] = class << 8 | 1;
    return f;
}

static int setup(void **state)
{
    (void)state;
    count = decoding_while_sized = 0;
    clock_us = 0;
    pci.range_count = 1;
    pci.ranges[0] = (struct pci_range){ 0, 0, 255 };
    return 0;
}

static struct pci_function seen[FUNCTIONS];
static unsigned seen_count, seen_limit;

static bool see(void *ctx, const struct pci_function *function)
{
    (void)ctx;
    seen[seen_count++] = *function;
    return seen_count < seen_limit;
}

static void scan(unsigned limit)
{
    seen_count = 0;
    seen_limit = limit;
    pci_scan(&pci, see, NULL);
}

static void test_who_is_there(void **state)
{
    (void)state;
    add(0, 0, 0, 0x060000);
    add(0, 3, 0, 0x070002)->space[3] = 0x00800000;
    add(0, 3, 7, 0x0c0330); /* no function 1 to 6 */
    add(0, 4, 0, 0x060400)->space[3] = 0x00010000; /* a bridge */
    add(0, 5, 0, 0x070002);
    add(0, 5, 1, 0x070002); /* a ghost: the first does not say that there are more */
    add(200, 31, 0, 0x0c0330);
    add(0, 6, 1, 0x0c0330); /* nobody at function 0 */
    scan(99);
    assert_int_equal(seen_count, 5);
    assert_int_equal(seen[1].class_code, 7);
    assert_int_equal(seen[1].subclass, 0);
    assert_int_equal(seen[1].interface, 2);
    assert_int_equal(seen[1].vendor, 0x1234);
    assert_int_equal(seen[1].device, 2);
    assert_int_equal(seen[2].at.function, 7);
    assert_int_equal(seen[2].interface, 0x30);
    assert_int_equal(seen[4].at.bus, 200);
    assert_int_equal(seen[4].at.device, 31);
    scan(2);
    assert_int_equal(seen_count, 2);
}

/* "Vendor ID": FFFFh is nobody, whatever the rest says; some bridges answer 0 instead. */
static void test_who_is_nobody(void **state)
{
    (void)state;
    add(0, 1, 0, 0x0c0330)->space[0] = 0x0002ffff;
    add(0, 2, 0, 0x0c0330)->space[0] = 0;
    add(0, 3, 0, 0x0c0330);
    scan(99);
    assert_int_equal(seen_count, 1);
    assert_int_equal(seen[0].at.device, 3);
    pci.range_count = HV_PCI_MAX_RANGES + 5; /* more than there is room for */
    for (unsigned i = 1; i < HV_PCI_MAX_RANGES; i++)
        pci.ranges[i] = (struct pci_range){ 1, 5, 4 }; /* none */
    scan(99);
    assert_int_equal(seen_count, 1);
}

static void test_only_the_ranges(void **state)
{
    (void)state;
    add(7, 0, 0, 0x0c0330);
    pci.ranges[0] = (struct pci_range){ 0, 0, 6 };
    scan(99);
    assert_int_equal(seen_count, 0);
    pci.ranges[0] = (struct pci_range){ 1, 0, 255 };
    scan(99);
    assert_int_equal(seen_count, 0);
    pci.range_count = 0;
    scan(99);
    assert_int_equal(seen_count, 0);
}

static struct pci_bar bar(struct fake_function *f, unsigned index)
{
    struct pci_function function = { .at = f->at };
    uint32_t before[6];
    memcpy(before, f->space + 4, sizeof(before));
    struct pci_bar found = pci_read_bar(&pci, &function, index);
    assert_memory_equal(before, f->space + 4, sizeof(before)); /* as it was */
    assert_int_equal(f->space[1] & 7, 7);
    assert_int_equal(decoding_while_sized, 0);
    return found;
}

static void test_bars(void **state)
{
    (void)state;
    struct fake_function *f = add(0, 1, 0, 0x0c0330);
    f->space[4] = 0xc001;
    f->writable[4] = 0xfff8;
    f->space[5] = 0xfebf0004;
    f->writable[5] = 0xffff0000;
    f->space[6] = 0x00000001;
    f->writable[6] = 0xffffffff;
    f->space[7] = 0xfe000000;
    f->writable[7] = 0xfffff000;
    f->space[9] = 0x00000004; /* 64 bits wide, and the last one */
    f->writable[9] = 0xfffff000;
    struct pci_bar b = bar(f, 0);
    assert_int_equal(b.space, HV_SPACE_PORT);
    assert_int_equal(b.address, 0xc000);
    assert_int_equal(b.bytes, 8);
    b = bar(f, 1);
    assert_int_equal(b.space, HV_SPACE_MEMORY);
    assert_int_equal(b.address, UINT64_C(0x1febf0000));
    assert_int_equal(b.bytes, 0x10000);
    b = bar(f, 3);
    assert_int_equal(b.address, 0xfe000000);
    assert_int_equal(b.bytes, 0x1000);
    f->space[6] = 0x00004000; /* its upper half is no address */
    assert_int_equal(bar(f, 1).address, UINT64_C(0x4000febf0000));
    assert_int_equal(bar(f, 2).bytes, 0);
    assert_int_equal(bar(f, 4).bytes, 0);
    assert_int_equal(bar(f, 5).bytes, 0);
    assert_int_equal(pci_read_bar(&pci, &(struct pci_function){ .at = f->at }, 6).bytes, 0);
    struct pci_function nobody = { .at = { 0, 9, 9, 0 } };
    assert_int_equal(pci_read_bar(&pci, &nobody, 0).bytes, 0);
}

static void test_bars_without_sense(void **state)
{
    (void)state;
    struct fake_function *f = add(0, 1, 0, 0x0c0330);
    f->space[4] = 0xfe001000; /* nothing can be written */
    f->space[5] = 0x00000001; /* a port without an address */
    f->writable[5] = 0xfff8;
    f->space[6] = 0xffff0001; /* ports beyond 64 K */
    f->space[7] = 0xfffffffc; /* wraps: the top of 64 bits */
    f->space[8] = 0xffffffff;
    f->writable[7] = 0x00001000;
    assert_int_equal(bar(f, 0).bytes, 0);
    assert_int_equal(bar(f, 1).bytes, 0);
    assert_int_equal(bar(f, 2).bytes, 0);
    assert_int_equal(bar(f, 3).bytes, 0);
}

/* "Base Addresses": what can be written must be one run of bits, and the address a multiple of it. */
static void test_bars_with_holes(void **state)
{
    (void)state;
    struct fake_function *f = add(0, 1, 0, 0x0c0330);
    f->space[4] = 0xfe000000;
    f->writable[4] = 0xfff0f000; /* a hole */
    f->space[5] = 0xfe001000;
    f->writable[5] = 0xfffff000;
    f->bar1_lie = 0xffffe000; /* its address would not be a multiple of its size */
    f->space[6] = 0x00000001;
    f->writable[6] = 0xffff0000; /* ports beyond 64 K alone */
    f->space[7] = 0x00000004;
    f->writable[7] = 0x00000000; /* 4 GB and more */
    f->writable[8] = 0xffffffff;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(bar(f, i).bytes, 0);
}

static void test_enable(void **state)
{
    (void)state;
    struct fake_function *f = add(0, 1, 0, 0x0c0330);
    f->space[1] = 0xf9000001; /* status bits that a written 1 would clear */
    f->writable[1] = 0xf9000407;
    pci_enable(&pci, f->at, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(f->space[1], 0x00000407);
}

/* --- power --- */
static uint64_t now_us(void *ctx)
{
    (void)ctx;
    return clock_us;
}

static void pause_a_while(void *ctx)
{
    (void)ctx;
    clock_us += 100;
}

static void stand_still(void *ctx)
{
    (void)ctx;
}

static struct hv_access access = { .now_us = now_us, .pause = pause_a_while };

static void test_wake(void **state)
{
    (void)state;
    struct fake_function *f = add(0, 1, 0, 0x0c0330);
    assert_true(pci_wake(&pci, f->at, &access)); /* the list is empty */
    f->space[0x34 / 4] = 0x53; /* its low bits are reserved */
    f->space[0x50 / 4] = 0x00006005;
    f->space[0x60 / 4] = 0x00030001;
    f->space[0x64 / 4] = 0x0000810b;
    f->writable[0x64 / 4] = 3;
    assert_true(pci_wake(&pci, f->at, &access));
    assert_int_equal(f->space[0x64 / 4] & 3, 0);
    assert_in_range(clock_us, 10000, 20000);
    clock_us = 0;
    assert_true(pci_wake(&pci, f->at, &access)); /* awake: no wait */
    assert_int_equal(clock_us, 0);
    f->space[0x64 / 4] = 3;
    f->writable[0x64 / 4] = 0;
    access.pause = stand_still; /* no clock yet: it still ends */
    assert_false(pci_wake(&pci, f->at, &access));
    access.pause = pause_a_while;
    f->space[1] = 7; /* no list */
    assert_true(pci_wake(&pci, f->at, &access));
}

/* "D3hot": most functions come out of it as out of a reset, and software writes anew what they had. */
static void test_wake_with_the_addresses_that_it_had(void **state)
{
    (void)state;
    struct fake_function *f = add(0, 1, 0, 0x0c0330);
    f->space[0x34 / 4] = 0x60;
    f->space[0x60 / 4] = 0x00030001;
    f->space[0x64 / 4] = 3;
    f->writable[0x64 / 4] = 3;
    f->forgets = true;
    f->space[4] = 0xfebf0004;
    f->space[5] = 0x00000001;
    f->space[9] = 0xc001;
    for (unsigned i = 4; i < 10; i++)
        f->writable[i] = 0xfffffff0;
    f->space[1] &= ~7u;
    assert_true(pci_wake(&pci, f->at, &access));
    assert_int_equal(f->space[0x64 / 4] & 3, 0);
    assert_int_equal(f->space[4] & ~15u, 0xfebf0000);
    assert_int_equal(f->space[9] & ~15u, 0xc000);
}

/* A function that is not wanted must not write to memory any more; the rest stays as it is. */
static void test_disable(void **state)
{
    (void)state;
    struct fake_function *f = add(0, 1, 0, 0x0c0330);
    f->space[1] = 0xf9000407;
    f->writable[1] = 0xf9000407;
    pci_disable(&pci, f->at, PCI_COMMAND_MASTER);
    assert_int_equal(f->space[1], 0x00000403);
}

static void test_a_list_that_is_a_ring(void **state)
{
    (void)state;
    struct fake_function *f = add(0, 1, 0, 0x0c0330);
    f->space[0x34 / 4] = 0x50;
    f->space[0x50 / 4] = 0x00006005;
    f->space[0x60 / 4] = 0x00005009;
    assert_true(pci_wake(&pci, f->at, &access));
    f->space[0x60 / 4] = 0x0000fc09;
    f->space[0xfc / 4] = 0x00000001; /* its control would lie beyond the end */
    assert_true(pci_wake(&pci, f->at, &access));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_who_is_there, setup),
        cmocka_unit_test_setup(test_who_is_nobody, setup),
        cmocka_unit_test_setup(test_only_the_ranges, setup),
        cmocka_unit_test_setup(test_bars, setup),
        cmocka_unit_test_setup(test_bars_without_sense, setup),
        cmocka_unit_test_setup(test_bars_with_holes, setup),
        cmocka_unit_test_setup(test_enable, setup),
        cmocka_unit_test_setup(test_wake, setup),
        cmocka_unit_test_setup(test_wake_with_the_addresses_that_it_had, setup),
        cmocka_unit_test_setup(test_disable, setup),
        cmocka_unit_test_setup(test_a_list_that_is_a_ring, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
