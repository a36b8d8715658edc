// SRCS: arch/x86/cpu/host_paging.c
/*
 * The hypervisor's page tables, walked by a second implementation that knows only the SDM's tables
 * "Format of a ... Entry", not the builder's helpers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "x86/host_paging.h"

#define MiB UINT64_C(0x100000)
#define GiB UINT64_C(0x40000000)
#define POOL_PAGES 64
#define POOL_BASE UINT64_C(0x7000000)

struct pool {
    uint64_t pages[POOL_PAGES][512];
    unsigned used, limit;
};

static uint64_t pool_take(void *context)
{
    struct pool *pool = context;
    if (pool->used == pool->limit)
        return 0;
    memset(pool->pages[pool->used], 0, 4096);
    return POOL_BASE + 4096 * pool->used++;
}

static uint64_t *pool_pointer(void *context, uint64_t physical)
{
    struct pool *pool = context;
    assert_true(physical >= POOL_BASE && physical < POOL_BASE + 4096 * (uint64_t)pool->used);
    assert_int_equal(physical & 4095, 0);
    return pool->pages[(physical - POOL_BASE) / 4096];
}

static struct pool *pool;
static struct host_pt pt;

static void build(unsigned levels, bool pages_1g, unsigned limit)
{
    struct host_pt_memory memory = { pool, pool_take, pool_pointer };
    pool->used = 0;
    pool->limit = limit;
    assert_int_equal(host_pt_init(&pt, &memory, levels, pages_1g), HV_OK);
}

static int setup(void **state)
{
    (void)state;
    pool = calloc(1, sizeof(*pool));
    build(4, true, POOL_PAGES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(pool);
    return 0;
}

struct seen {
    bool present, writable, executable;
    uint64_t physical, page_bytes;
    unsigned pat; /* index into the PAT */
};

/* SDM "4-Level Paging": bits 51:12, R/W in every level, XD in any level, PS in levels 3 and 2. */
static struct seen walk(uint64_t linear)
{
    struct seen seen = { .present = false, .writable = true, .executable = true };
    uint64_t table = pt.root;
    unsigned shift = pt.levels == 5 ? 48 : 39;
    for (;; shift -= 9) {
        uint64_t entry = pool_pointer(pool, table)[linear >> shift & 511];
        if (!(entry & 1))
            return seen;
        seen.writable = seen.writable && (entry & 2);
        seen.executable = seen.executable && !(entry >> 63);
        if (shift == 12 || (entry >> 7 & 1)) {
            uint64_t size = UINT64_C(1) << shift;
            assert_true(shift <= 30);
            assert_int_equal(entry & 0xffffffffff000 & (size - 1), 0); /* reserved or PAT bits */
            seen.present = true;
            seen.page_bytes = size;
            seen.physical = (entry & 0xffffffffff000) + (linear & (size - 1));
            seen.pat = entry >> 3 & 3;
            return seen;
        }
        table = entry & 0xffffffffff000;
    }
}

static void expect(uint64_t linear, bool writable, bool executable, unsigned pat, uint64_t size)
{
    struct seen seen = walk(linear);
    assert_true(seen.present);
    assert_int_equal(seen.physical, linear);
    assert_int_equal(seen.writable, writable);
    assert_int_equal(seen.executable, executable);
    assert_int_equal(seen.pat, pat);
    assert_int_equal(seen.page_bytes, size);
}

static void test_largest_pages(void **state)
{
    (void)state;
    /* 4K up to 2M, 2M up to 1G, 1G, and back down. */
    uint64_t start = 2 * MiB - 4096, end = 2 * GiB + 2 * MiB + 4096;
    assert_int_equal(host_pt_set(&pt, start, end - start, HOST_PT_READ | HOST_PT_WRITE), HV_OK);
    assert_false(walk(start - 1).present);
    expect(start, true, false, 0, 4096);
    expect(2 * MiB, true, false, 0, 2 * MiB);
    expect(GiB - 1, true, false, 0, 2 * MiB);
    expect(GiB, true, false, 0, GiB);
    expect(2 * GiB, true, false, 0, 2 * MiB);
    expect(end - 1, true, false, 0, 4096);
    assert_false(walk(end).present);
}

static void test_no_1g_pages(void **state)
{
    (void)state;
    build(4, false, POOL_PAGES);
    assert_int_equal(host_pt_set(&pt, GiB, GiB, HOST_PT_READ), HV_OK);
    expect(GiB, false, false, 0, 2 * MiB);
    expect(2 * GiB - 1, false, false, 0, 2 * MiB);
}

static void test_five_levels(void **state)
{
    (void)state;
    build(5, true, POOL_PAGES);
    uint64_t high = UINT64_C(1) << 50;
    assert_int_equal(host_pt_set(&pt, high, 4096, HOST_PT_READ), HV_OK);
    expect(high, false, false, 0, 4096);
    assert_int_equal(host_pt_lookup(&pt, high).flags, HOST_PT_READ);
}

static void test_split_keeps_neighbours(void **state)
{
    (void)state;
    assert_int_equal(host_pt_set(&pt, 0, 2 * GiB, HOST_PT_READ | HOST_PT_WRITE), HV_OK);
    assert_int_equal(host_pt_set(&pt, 0x5000, 0x3000, HOST_PT_READ | HOST_PT_EXECUTE), HV_OK);
    assert_int_equal(host_pt_set(&pt, 0, 0x1000, HOST_PT_NONE), HV_OK);
    assert_false(walk(0).present);
    expect(0x4fff, true, false, 0, 4096);
    expect(0x5000, false, true, 0, 4096);
    expect(0x7fff, false, true, 0, 4096);
    expect(0x8000, true, false, 0, 4096);
    expect(2 * MiB, true, false, 0, 2 * MiB);
    expect(GiB, true, false, 0, GiB);
}

static void test_memory_types(void **state)
{
    (void)state;
    unsigned rw = HOST_PT_READ | HOST_PT_WRITE;
    assert_int_equal(host_pt_set(&pt, 0xfee00000, 4096, rw | HOST_PT_UC), HV_OK);
    assert_int_equal(host_pt_set(&pt, 0x80000000, 4 * MiB, rw | HOST_PT_WC), HV_OK);
    /* HOST_PAT: entry 1 is WC (1), entry 3 is UC (0), entry 0 is WB (6). */
    assert_int_equal(HOST_PAT >> 8 & 7, 1);
    assert_int_equal(HOST_PAT >> 24 & 7, 0);
    assert_int_equal(HOST_PAT & 7, 6);
    expect(0xfee00000, true, false, 3, 4096);
    expect(0x80000000, true, false, 1, 2 * MiB);
    assert_int_equal(host_pt_lookup(&pt, 0x80000000).flags, rw | HOST_PT_WC);
    assert_int_equal(host_pt_lookup(&pt, 0xfee00000).flags, rw | HOST_PT_UC);
    /* The type survives a split. */
    assert_int_equal(host_pt_set(&pt, 0x80001000, 4096, HOST_PT_READ | HOST_PT_WC), HV_OK);
    expect(0x80002000, true, false, 1, 4096);
}

static void test_lookup(void **state)
{
    (void)state;
    assert_int_equal(host_pt_set(&pt, 4 * MiB, 2 * MiB, HOST_PT_READ | HOST_PT_EXECUTE), HV_OK);
    struct host_pt_leaf leaf = host_pt_lookup(&pt, 5 * MiB + 5);
    assert_int_equal(leaf.start, 4 * MiB);
    assert_int_equal(leaf.bytes, 2 * MiB);
    assert_int_equal(leaf.flags, HOST_PT_READ | HOST_PT_EXECUTE);
    leaf = host_pt_lookup(&pt, 7 * MiB);
    assert_int_equal(leaf.flags, HOST_PT_NONE);
    assert_int_equal(leaf.start, 6 * MiB);
    assert_int_equal(leaf.bytes, 2 * MiB);
    assert_int_equal(host_pt_lookup(&pt, UINT64_C(1) << 40).flags, HOST_PT_NONE);
}

static void test_unmap_of_nothing_takes_no_table(void **state)
{
    (void)state;
    assert_int_equal(host_pt_set(&pt, 0x1000, 64 * GiB, HOST_PT_NONE), HV_OK);
    assert_int_equal(pt.table_pages, 1);
}

static void test_large_over_tables(void **state)
{
    (void)state;
    /* A range that holds 4K pages already is set without losing or freeing the table. */
    assert_int_equal(host_pt_set(&pt, 0x1000, 0x1000, HOST_PT_READ | HOST_PT_EXECUTE), HV_OK);
    assert_int_equal(host_pt_set(&pt, 0, 4 * MiB, HOST_PT_READ | HOST_PT_WRITE), HV_OK);
    expect(0x1000, true, false, 0, 4096);
    expect(2 * MiB, true, false, 0, 2 * MiB);
}

static void test_refusals(void **state)
{
    (void)state;
    unsigned r = HOST_PT_READ;
    assert_int_equal(host_pt_set(&pt, 1, 4096, r), HV_ERR_INVALID);
    assert_int_equal(host_pt_set(&pt, 4096, 1, r), HV_ERR_INVALID);
    assert_int_equal(host_pt_set(&pt, UINT64_MAX - 4095, 8192, r), HV_ERR_INVALID);
    assert_int_equal(host_pt_set(&pt, (UINT64_C(1) << 47) - 4096, 8192, r), HV_ERR_INVALID);
    assert_int_equal(host_pt_set(&pt, (UINT64_C(1) << 47) - 4096, 4096, r), HV_OK);
    assert_int_equal(host_pt_set(&pt, 4096, 4096, r | HOST_PT_WRITE | HOST_PT_EXECUTE),
                     HV_ERR_INVALID);
    assert_int_equal(host_pt_set(&pt, 4096, 0, r), HV_OK);
}

static void test_out_of_memory_at_every_step(void **state)
{
    (void)state;
    struct host_pt_memory memory = { pool, pool_take, pool_pointer };
    pool->used = pool->limit = 0;
    assert_int_equal(host_pt_init(&pt, &memory, 4, true), HV_ERR_NO_MEMORY);
    for (unsigned limit = 1; limit < 4; limit++) {
        build(4, true, limit);
        assert_int_equal(host_pt_set(&pt, 4096, 4096, HOST_PT_READ), HV_ERR_NO_MEMORY);
        assert_false(walk(4096).present);
    }
    /* A split without memory leaves the large page as it was. */
    build(4, true, 2);
    assert_int_equal(host_pt_set(&pt, 0, GiB, HOST_PT_READ | HOST_PT_WRITE), HV_OK);
    assert_int_equal(host_pt_set(&pt, 0, 4096, HOST_PT_NONE), HV_ERR_NO_MEMORY);
    expect(0, true, false, 0, GiB);
}

static void test_writable_executable_is_found(void **state)
{
    (void)state;
    uint64_t first = 0;
    assert_int_equal(host_pt_set(&pt, 0, 2 * GiB, HOST_PT_READ | HOST_PT_WRITE), HV_OK);
    assert_int_equal(host_pt_set(&pt, 3 * GiB + 4096, 8192, HOST_PT_READ | HOST_PT_EXECUTE), HV_OK);
    assert_int_equal(host_pt_set(&pt, 0x7000, 4096, HOST_PT_READ), HV_OK);
    assert_int_equal(host_pt_count_writable_executable(&pt, &first), 0);
    /* Break entries by hand: a 4K page, and a 1G page. */
    for (unsigned i = 0; i < pool->used; i++)
        for (unsigned j = 0; j < 512; j++)
            if ((pool->pages[i][j] & 0xffffffffff001) == (3 * GiB + 4096) + 1)
                pool->pages[i][j] |= 2;
    assert_int_equal(host_pt_count_writable_executable(&pt, &first), 1);
    assert_int_equal(first, 3 * GiB + 4096);
    uint64_t *pdpt = pool_pointer(pool, pool_pointer(pool, pt.root)[0] & 0xffffffffff000);
    pdpt[1] &= ~(UINT64_C(1) << 63);
    assert_int_equal(host_pt_count_writable_executable(&pt, &first), 2);
    assert_int_equal(first, GiB);
    /* An upper level that forbids writing makes both harmless. */
    pool_pointer(pool, pt.root)[0] &= ~UINT64_C(2);
    assert_int_equal(host_pt_count_writable_executable(&pt, &first), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_largest_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_1g_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_five_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_split_keeps_neighbours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lookup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unmap_of_nothing_takes_no_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_over_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory_at_every_step, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writable_executable_is_found, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
