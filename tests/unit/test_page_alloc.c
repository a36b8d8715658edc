// SRCS: vmm/lib/page_alloc.c
/* Addresses are only numbers, except where zeroing is tested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/page_alloc.h"

#define KB UINT64_C(1024)
#define MB (KB * 1024)
#define GB (MB * 1024)

static struct page_alloc alloc;

static int setup(void **state)
{
    (void)state;
    memset(&alloc, 0xa5, sizeof(alloc));
    page_alloc_init(&alloc);
    return 0;
}

static void add(uint64_t start, uint64_t bytes)
{
    assert_int_equal(page_alloc_add(&alloc, start, bytes), HV_OK);
}

static uint64_t take(uint64_t bytes, uint64_t align, unsigned flags)
{
    hpa_t start;
    assert_int_equal(page_alloc_take(&alloc, bytes / HV_PAGE_BYTES, align, flags, &start), HV_OK);
    assert_int_equal(start.v % align, 0);
    return start.v;
}

static void give(uint64_t start, uint64_t bytes)
{
    assert_int_equal(page_alloc_free(&alloc, HPA(start), bytes / HV_PAGE_BYTES), HV_OK);
}

static void test_add_rounds_to_whole_pages(void **state)
{
    (void)state;
    add(0x1001, 0x2fff); /* 0x2000-0x3fff */
    assert_int_equal(page_alloc_free_bytes(&alloc), 0x2000);
    add(0x10001, 0x1ffe); /* none whole */
    add(0x20010, 0x10);
    add(0x30000, 0);
    add(0, 0xfff);
    add(UINT64_MAX - 10, 5);
    assert_int_equal(page_alloc_free_bytes(&alloc), 0x2000);
    assert_int_equal(take(0x2000, PAGE_ALIGN_4K, 0), 0x2000);
}

static void test_page_zero_is_never_given_out(void **state)
{
    hpa_t start;
    (void)state;
    add(0, 0x1000);
    assert_int_equal(page_alloc_take(&alloc, 1, PAGE_ALIGN_4K, 0, &start), HV_ERR_NO_MEMORY);
    setup(state);
    add(0, 0x3000);
    assert_int_equal(take(0x2000, PAGE_ALIGN_4K, 0), 0x1000);
}

static void test_add_refuses(void **state)
{
    (void)state;
    add(0x10000, 0x4000);
    assert_int_equal(page_alloc_add(&alloc, 0x13000, 0x1000), HV_ERR_EXISTS);
    assert_int_equal(page_alloc_add(&alloc, 0xf000, 0x2000), HV_ERR_EXISTS);
    assert_int_equal(page_alloc_add(&alloc, 0x11000, 0x1000), HV_ERR_EXISTS);
    assert_int_equal(page_alloc_add(&alloc, UINT64_MAX, 2), HV_ERR_INVALID);
    take(0x4000, PAGE_ALIGN_4K, 0);
    /* Taken is not the same as unknown. */
    assert_int_equal(page_alloc_add(&alloc, 0x11000, 0x1000), HV_ERR_EXISTS);
    setup(state);
    for (unsigned i = 0; i < PAGE_ALLOC_MAX_RANGES; i++)
        add(0x10000 + i * 0x2000, 0x1000);
    assert_int_equal(page_alloc_add(&alloc, 0x10000000, 0x1000), HV_ERR_NO_MEMORY);
}

static void test_alignments(void **state)
{
    (void)state;
    add(0x100000, 5 * GB);
    uint64_t huge = take(GB, PAGE_ALIGN_1G, 0);
    uint64_t large = take(2 * MB, PAGE_ALIGN_2M, 0);
    assert_true(huge % GB == 0);
    assert_true(large % (2 * MB) == 0);
    give(huge, GB);
    give(large, 2 * MB);
    assert_int_equal(alloc.extent_count, 1);
    assert_true(page_alloc_free_bytes(&alloc) == 5 * GB);
}

static void test_small_runs_come_from_small_extents(void **state)
{
    (void)state;
    add(GB, GB);
    add(0x10000, 0x4000);
    add(0x20000, 0x2000);
    assert_int_equal(take(0x2000, PAGE_ALIGN_4K, 0), 0x20000);
    assert_int_equal(take(0x2000, PAGE_ALIGN_4K, 0), 0x10000);
    assert_int_equal(take(0x3000, PAGE_ALIGN_4K, 0), GB);
    assert_int_equal(take(0x1000, PAGE_ALIGN_4K, 0), 0x12000);
}

static void test_take_refuses(void **state)
{
    hpa_t start = HPA(7);
    uint64_t bytes;
    (void)state;
    add(0x10000, 0x4000);
    assert_int_equal(page_alloc_take(&alloc, 0, PAGE_ALIGN_4K, 0, &start), HV_ERR_INVALID);
    assert_int_equal(page_alloc_take(&alloc, 1, 0, 0, &start), HV_ERR_INVALID);
    assert_int_equal(page_alloc_take(&alloc, 1, 0x800, 0, &start), HV_ERR_INVALID);
    assert_int_equal(page_alloc_take(&alloc, 1, 0x3000, 0, &start), HV_ERR_INVALID);
    assert_int_equal(page_alloc_take(&alloc, 5, PAGE_ALIGN_4K, 0, &start), HV_ERR_NO_MEMORY);
    assert_int_equal(page_alloc_take(&alloc, UINT64_MAX, PAGE_ALIGN_4K, 0, &start),
                     HV_ERR_NO_MEMORY);
    assert_int_equal(page_alloc_take(&alloc, UINT64_C(1) << 52, PAGE_ALIGN_4K, 0, &start),
                     HV_ERR_NO_MEMORY);
    assert_int_equal(page_alloc_take(&alloc, 1, UINT64_C(1) << 63, 0, &start), HV_ERR_NO_MEMORY);
    assert_int_equal(page_alloc_take_largest(&alloc, 0x1000, 3, 0, &start, &bytes), HV_ERR_INVALID);
    assert_int_equal(page_alloc_take_largest(&alloc, GB, PAGE_ALIGN_2M, 0, &start, &bytes),
                     HV_ERR_NO_MEMORY);
    assert_int_equal(page_alloc_take_largest(&alloc, 0xfff, PAGE_ALIGN_4K, 0, &start, &bytes),
                     HV_ERR_NO_MEMORY);
    assert_int_equal(page_alloc_free_bytes(&alloc), 0x4000);
}

static void test_aligning_up_does_not_wrap(void **state)
{
    hpa_t start;
    (void)state;
    add(UINT64_MAX - 64 * KB, 32 * KB);
    assert_int_equal(page_alloc_take(&alloc, 1, PAGE_ALIGN_1G, 0, &start), HV_ERR_NO_MEMORY);
}

static void test_below_4g(void **state)
{
    hpa_t start;
    uint64_t bytes;
    (void)state;
    add(6 * GB, 0x1000);
    add(4 * GB - 0x2000, 0x4000);
    assert_true(take(0x1000, PAGE_ALIGN_4K, PAGE_ALLOC_BELOW_4G) == 4 * GB - 0x2000);
    assert_int_equal(page_alloc_take_largest(&alloc, GB, PAGE_ALIGN_4K, PAGE_ALLOC_BELOW_4G, &start,
                                             &bytes), HV_OK);
    assert_true(start.v == 4 * GB - 0x1000 && bytes == 0x1000);
    assert_int_equal(page_alloc_take(&alloc, 1, PAGE_ALIGN_4K, PAGE_ALLOC_BELOW_4G, &start),
                     HV_ERR_NO_MEMORY);
    assert_int_equal(page_alloc_free_bytes(&alloc), 0x3000);
}

static void test_take_largest_for_a_guest(void **state)
{
    hpa_t start;
    uint64_t bytes;
    (void)state;
    add(MB, 700 * MB + 0x5000);
    add(4 * GB - 0x1000, 2 * GB + 3 * MB);
    assert_int_equal(page_alloc_take_largest(&alloc, 3 * GB, PAGE_ALIGN_1G, 0, &start, &bytes),
                     HV_OK);
    assert_true(start.v == 4 * GB && bytes == 2 * GB);
    assert_int_equal(page_alloc_take_largest(&alloc, GB, PAGE_ALIGN_1G, 0, &start, &bytes),
                     HV_ERR_NO_MEMORY);
    assert_int_equal(page_alloc_take_largest(&alloc, GB, PAGE_ALIGN_2M, 0, &start, &bytes), HV_OK);
    assert_true(start.v == 2 * MB && bytes == 698 * MB);
    assert_int_equal(page_alloc_take_largest(&alloc, 300 * MB, PAGE_ALIGN_2M, 0, &start, &bytes),
                     HV_OK);
    assert_true(start.v == 6 * GB && bytes == 2 * MB);
}

static void test_take_largest_spares_large_extents(void **state)
{
    hpa_t start;
    uint64_t bytes;
    (void)state;
    add(GB, 3 * GB);
    add(5 * GB, 64 * MB);
    add(6 * GB, 32 * MB);
    assert_int_equal(page_alloc_take_largest(&alloc, 32 * MB, PAGE_ALIGN_2M, 0, &start, &bytes),
                     HV_OK);
    assert_true(start.v == 6 * GB && bytes == 32 * MB);
    assert_int_equal(page_alloc_take_largest(&alloc, 32 * MB, PAGE_ALIGN_2M, 0, &start, &bytes),
                     HV_OK);
    assert_true(start.v == 5 * GB && bytes == 32 * MB);
}

static void test_free_refuses(void **state)
{
    (void)state;
    add(0x10000, 0x4000);
    add(0x14000, 0x1000);
    add(0x20000, 0x1000);
    uint64_t start = take(0x5000, PAGE_ALIGN_4K, 0); /* over two ranges that touch */
    assert_int_equal(start, 0x10000);
    assert_int_equal(page_alloc_free(&alloc, HPA(start + 1), 1), HV_ERR_INVALID);
    assert_int_equal(page_alloc_free(&alloc, HPA(start), 0), HV_ERR_INVALID);
    assert_int_equal(page_alloc_free(&alloc, HPA(start), UINT64_MAX), HV_ERR_INVALID);
    assert_int_equal(page_alloc_free(&alloc, HPA(UINT64_MAX - 0xfff), 1), HV_ERR_INVALID);
    assert_int_equal(page_alloc_free(&alloc, HPA(start), 6), HV_ERR_RANGE);
    assert_int_equal(page_alloc_free(&alloc, HPA(0xf000), 2), HV_ERR_RANGE);
    assert_int_equal(page_alloc_free(&alloc, HPA(0x50000), 1), HV_ERR_RANGE);
    assert_int_equal(page_alloc_free(&alloc, HPA(0x20000), 1), HV_ERR_EXISTS);
    assert_int_equal(page_alloc_free(&alloc, HPA(start + 0x1000), 2), HV_OK);
    assert_int_equal(page_alloc_free(&alloc, HPA(start), 3), HV_ERR_EXISTS);
    assert_int_equal(page_alloc_free(&alloc, HPA(start + 0x2000), 3), HV_ERR_EXISTS);
    assert_int_equal(page_alloc_free(&alloc, HPA(start), 1), HV_OK);
    assert_int_equal(page_alloc_free(&alloc, HPA(start + 0x3000), 2), HV_OK);
    assert_int_equal(alloc.extent_count, 2);
}

static void test_full_list_loses_nothing_silently(void **state)
{
    hpa_t start;
    uint64_t bytes;
    (void)state;
    /* Every second page of the area is free: the list is nearly full. */
    add(0x100000, 2 * PAGE_ALLOC_MAX_EXTENTS * UINT64_C(0x1000));
    take(2 * PAGE_ALLOC_MAX_EXTENTS * UINT64_C(0x1000), PAGE_ALIGN_4K, 0);
    for (unsigned i = 0; i < PAGE_ALLOC_MAX_EXTENTS - 1; i++)
        give(0x100000 + i * UINT64_C(0x2000), 0x1000);
    add(GB - 0x1000, 4 * MB); /* the last entry; an aligned run is in its middle */
    assert_int_equal(alloc.extent_count, PAGE_ALLOC_MAX_EXTENTS);
    assert_int_equal(page_alloc_add(&alloc, 8 * GB, 0x1000), HV_ERR_NO_MEMORY);
    assert_int_equal(page_alloc_take(&alloc, 512, PAGE_ALIGN_2M, 0, &start), HV_ERR_NO_MEMORY);
    assert_int_equal(page_alloc_take_largest(&alloc, 2 * MB, PAGE_ALIGN_2M, 0, &start, &bytes),
                     HV_ERR_NO_MEMORY);
    /* What needs no entry still works: the end and the start of an extent. */
    assert_int_equal(take(0x2000, PAGE_ALIGN_4K, 0), GB - 0x1000);
    /* No entry for a page that touches no other. */
    uint64_t before = page_alloc_free_bytes(&alloc);
    give(0x100000 + (2 * PAGE_ALLOC_MAX_EXTENTS - 1) * UINT64_C(0x1000), 0x1000);
    assert_int_equal(page_alloc_free_bytes(&alloc), before);
    assert_int_equal(alloc.lost_bytes, 0x1000);
    /* One that fills a gap is fine. */
    give(0x101000, 0x1000);
    assert_int_equal(page_alloc_free_bytes(&alloc), before + 0x1000);
    assert_int_equal(alloc.extent_count, PAGE_ALLOC_MAX_EXTENTS - 1);
}

static void test_zeroing_only_where_asked(void **state)
{
    uint8_t *memory = aligned_alloc(0x1000, 0x4000);
    hpa_t start;
    uint64_t bytes;
    (void)state;
    memset(memory, 0x55, 0x4000);
    add((uintptr_t)memory, 0x4000);
    assert_int_equal(take(0x1000, PAGE_ALIGN_4K, 0), (uintptr_t)memory);
    assert_int_equal(take(0x1000, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO), (uintptr_t)memory + 0x1000);
    assert_int_equal(page_alloc_take_largest(&alloc, 0x1fff, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &start,
                                             &bytes), HV_OK);
    assert_int_equal(bytes, 0x1000);
    for (unsigned i = 0; i < 0x4000; i++)
        assert_int_equal(memory[i], i >= 0x1000 && i < 0x3000 ? 0 : 0x55);
    free(memory);
}

static void test_random_against_a_page_map(void **state)
{
    enum { PAGES = 600 };
    const uint64_t base = 7 * MB;
    bool used[PAGES] = { false };
    (void)state;
    srand(3);
    add(base, 300 * HV_PAGE_BYTES);
    add(base + 300 * HV_PAGE_BYTES, 300 * HV_PAGE_BYTES);
    for (unsigned round = 0; round < 30000; round++) {
        uint64_t pages = 1 + (uint64_t)rand() % 20;
        if (rand() % 2) {
            hpa_t start;
            uint64_t align = HV_PAGE_BYTES << rand() % 5;
            if (page_alloc_take(&alloc, pages, align, 0, &start) != HV_OK)
                continue;
            assert_int_equal(start.v % align, 0);
            for (uint64_t i = 0; i < pages; i++) {
                uint64_t page = (start.v - base) / HV_PAGE_BYTES + i;
                assert_true(page < PAGES && !used[page]);
                used[page] = true;
            }
        } else {
            uint64_t first = (uint64_t)rand() % PAGES;
            enum hv_err want = first + pages > PAGES ? HV_ERR_RANGE : HV_OK;
            for (uint64_t i = first; want == HV_OK && i < first + pages; i++)
                if (!used[i])
                    want = HV_ERR_EXISTS;
            assert_int_equal(page_alloc_free(&alloc, HPA(base + first * HV_PAGE_BYTES), pages),
                             want);
            for (uint64_t i = first; want == HV_OK && i < first + pages; i++)
                used[i] = false;
        }
        uint64_t free_pages = 0;
        for (unsigned i = 0; i < PAGES; i++)
            free_pages += !used[i];
        assert_int_equal(page_alloc_free_bytes(&alloc), free_pages * HV_PAGE_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_add_rounds_to_whole_pages, setup),
        cmocka_unit_test_setup(test_page_zero_is_never_given_out, setup),
        cmocka_unit_test_setup(test_add_refuses, setup),
        cmocka_unit_test_setup(test_alignments, setup),
        cmocka_unit_test_setup(test_small_runs_come_from_small_extents, setup),
        cmocka_unit_test_setup(test_take_refuses, setup),
        cmocka_unit_test_setup(test_aligning_up_does_not_wrap, setup),
        cmocka_unit_test_setup(test_below_4g, setup),
        cmocka_unit_test_setup(test_take_largest_for_a_guest, setup),
        cmocka_unit_test_setup(test_take_largest_spares_large_extents, setup),
        cmocka_unit_test_setup(test_free_refuses, setup),
        cmocka_unit_test_setup(test_full_list_loses_nothing_silently, setup),
        cmocka_unit_test_setup(test_zeroing_only_where_asked, setup),
        cmocka_unit_test_setup(test_random_against_a_page_map, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
