// SRCS: boot/memory_map.c
/* UEFI specification, "EFI_BOOT_SERVICES.GetMemoryMap()". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "boot/memory_map.h"

#define STRIDE 48 /* as EDK2 reports it: larger than the descriptor */
#define WB 0xfu
#define RUNTIME (UINT64_C(1) << 63)

struct fixture {
    uint8_t room[STRIDE * 64];
    size_t used;
};

static void add(struct fixture *f, uint32_t type, uint64_t start, uint64_t pages, uint64_t attributes)
{
    uint64_t zero = 0;
    uint8_t *at = f->room + f->used;
    memset(at, 0xee, STRIDE);
    memcpy(at, &type, 4);
    memcpy(at + 8, &start, 8);
    memcpy(at + 16, &zero, 8);
    memcpy(at + 24, &pages, 8);
    memcpy(at + 32, &attributes, 8);
    f->used += STRIDE;
}

static uint32_t convert(const struct fixture *f, struct boot_memory *out, uint32_t most, bool *complete)
{
    struct firmware_map map = { f->room, f->used, STRIDE };
    return memory_map_convert(&map, out, most, complete);
}

static void expect(const struct boot_memory *m, uint64_t start, uint64_t bytes, enum boot_memory_kind kind)
{
    assert_int_equal(m->start, start);
    assert_int_equal(m->bytes, bytes);
    assert_int_equal(m->kind, kind);
}

static void test_page_zero_is_never_free(void **state)
{
    (void)state;
    struct fixture f = { .used = 0 };
    struct boot_memory out[8];
    bool complete;
    add(&f, 7, 0, 0xa0, WB);
    assert_int_equal(convert(&f, out, 8, &complete), 2);
    assert_true(complete);
    expect(&out[0], 0, 0x1000, BOOT_MEMORY_FIRMWARE);
    expect(&out[1], 0x1000, 0x9f000, BOOT_MEMORY_FREE);
}

static void test_kind_of_every_type(void **state)
{
    (void)state;
    static const enum boot_memory_kind kinds[] = {
        BOOT_MEMORY_FIRMWARE, BOOT_MEMORY_TRAPLINE, BOOT_MEMORY_TRAPLINE, BOOT_MEMORY_RECLAIM,
        BOOT_MEMORY_RECLAIM,  BOOT_MEMORY_FIRMWARE, BOOT_MEMORY_FIRMWARE, BOOT_MEMORY_FREE,
        BOOT_MEMORY_FIRMWARE, BOOT_MEMORY_ACPI,     BOOT_MEMORY_FIRMWARE, BOOT_MEMORY_MMIO,
        BOOT_MEMORY_MMIO,     BOOT_MEMORY_FIRMWARE, BOOT_MEMORY_FIRMWARE, BOOT_MEMORY_FIRMWARE,
    };
    for (uint32_t type = 0; type < 16; type++) {
        struct fixture f = { .used = 0 };
        struct boot_memory out[8];
        bool complete;
        add(&f, type, 0x200000, 16, WB);
        assert_int_equal(convert(&f, out, 8, &complete), 2);
        expect(&out[1], 0x200000, 0x10000, kinds[type]);
    }
}

static void test_attributes_take_memory_away(void **state)
{
    (void)state;
    static const uint64_t attributes[] = { 0x7, WB | RUNTIME, WB | 0x40000, 0 };
    static const uint32_t types[] = { 3, 4, 7 };
    for (unsigned i = 0; i < 12; i++) {
        struct fixture f = { .used = 0 };
        struct boot_memory out[8];
        bool complete;
        add(&f, types[i % 3], 0x200000, 16, attributes[i / 3]);
        assert_int_equal(convert(&f, out, 8, &complete), 2);
        expect(&out[1], 0x200000, 0x10000, BOOT_MEMORY_FIRMWARE);
    }
}

static void test_boot_services_are_a_kind_of_their_own(void **state)
{
    (void)state;
    struct fixture f = { .used = 0 };
    struct boot_memory out[8];
    bool complete;
    add(&f, 7, 0x200000, 0x10, WB);
    add(&f, 3, 0x210000, 0x10, WB);
    add(&f, 4, 0x220000, 0x10, WB);
    add(&f, 7, 0x22f000, 2, WB);    /* overlaps: it still is firmware's */
    add(&f, 2, 0x212000, 1, WB);    /* overlaps: it is Trapline's */
    assert_int_equal(convert(&f, out, 8, &complete), 6);
    expect(&out[1], 0x200000, 0x10000, BOOT_MEMORY_FREE);
    expect(&out[2], 0x210000, 0x2000, BOOT_MEMORY_RECLAIM);
    expect(&out[3], 0x212000, 0x1000, BOOT_MEMORY_TRAPLINE);
    expect(&out[4], 0x213000, 0x1d000, BOOT_MEMORY_RECLAIM);
    expect(&out[5], 0x230000, 0x1000, BOOT_MEMORY_FREE);
}

static void test_sorts_and_merges(void **state)
{
    (void)state;
    struct fixture f = { .used = 0 };
    struct boot_memory out[8];
    bool complete;
    add(&f, 7, 0x300000, 0x100, WB);
    add(&f, 2, 0x400000, 0x10, WB);
    add(&f, 1, 0x410000, 0x10, WB);
    add(&f, 7, 0x200000, 0x100, WB);
    add(&f, 9, 0x1000000, 1, WB);
    assert_int_equal(convert(&f, out, 8, &complete), 4);
    expect(&out[1], 0x200000, 0x200000, BOOT_MEMORY_FREE);
    expect(&out[2], 0x400000, 0x20000, BOOT_MEMORY_TRAPLINE);
    expect(&out[3], 0x1000000, 0x1000, BOOT_MEMORY_ACPI);
}

static void test_overlap_goes_to_the_more_careful_kind(void **state)
{
    (void)state;
    struct fixture f = { .used = 0 };
    struct boot_memory out[8];
    bool complete;
    add(&f, 7, 0x200000, 0x100, WB);
    add(&f, 0, 0x280000, 0x10, WB);
    add(&f, 2, 0x2c0000, 0x10, WB);
    add(&f, 9, 0x2c8000, 0x10, WB);
    add(&f, 11, 0x2d0000, 0x8, WB);
    assert_int_equal(convert(&f, out, 8, &complete), 8);
    expect(&out[1], 0x200000, 0x80000, BOOT_MEMORY_FREE);
    expect(&out[2], 0x280000, 0x10000, BOOT_MEMORY_FIRMWARE);
    expect(&out[3], 0x290000, 0x30000, BOOT_MEMORY_FREE);
    expect(&out[4], 0x2c0000, 0x8000, BOOT_MEMORY_TRAPLINE);
    expect(&out[5], 0x2c8000, 0x8000, BOOT_MEMORY_ACPI);
    expect(&out[6], 0x2d0000, 0x8000, BOOT_MEMORY_MMIO);
    expect(&out[7], 0x2d8000, 0x28000, BOOT_MEMORY_FREE);
    assert_true(complete);
}

static void test_nonsense_is_left_out(void **state)
{
    (void)state;
    struct fixture f = { .used = 0 };
    struct boot_memory out[8];
    bool complete;
    add(&f, 7, 0x200000, 0, WB);                            /* empty */
    add(&f, 7, UINT64_C(0xfffffffffffff000), 2, WB);        /* wraps */
    add(&f, 7, 0x1000, UINT64_MAX, WB);                     /* wraps in bytes */
    add(&f, 7, 0x300123, 1, WB);                            /* not aligned: whole page */
    assert_int_equal(convert(&f, out, 8, &complete), 2);
    expect(&out[1], 0x300000, 0x1000, BOOT_MEMORY_FREE);
}

static void test_a_full_table_is_said(void **state)
{
    (void)state;
    struct fixture f = { .used = 0 };
    struct boot_memory out[3];
    bool complete;
    for (unsigned i = 0; i < 5; i++)
        add(&f, 7, 0x200000 + i * 0x10000, 1, WB);
    assert_int_equal(convert(&f, out, 3, &complete), 3);
    assert_false(complete);
    expect(&out[2], 0x210000, 0x1000, BOOT_MEMORY_FREE);
    assert_int_equal(convert(&f, out, 0, &complete), 0);
    assert_false(complete);
}

static void test_a_stride_below_the_descriptor_is_refused(void **state)
{
    (void)state;
    struct boot_memory out[3];
    uint8_t bytes[40] = { 7 };
    bool complete;
    struct firmware_map map = { bytes, sizeof(bytes), 0 };
    assert_int_equal(memory_map_convert(&map, out, 3, &complete), 0);
    assert_false(complete);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_zero_is_never_free),
        cmocka_unit_test(test_kind_of_every_type),
        cmocka_unit_test(test_attributes_take_memory_away),
        cmocka_unit_test(test_boot_services_are_a_kind_of_their_own),
        cmocka_unit_test(test_sorts_and_merges),
        cmocka_unit_test(test_overlap_goes_to_the_more_careful_kind),
        cmocka_unit_test(test_nonsense_is_left_out),
        cmocka_unit_test(test_a_full_table_is_said),
        cmocka_unit_test(test_a_stride_below_the_descriptor_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
