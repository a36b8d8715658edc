// SRCS: arch/x86/mm/ept.c arch/x86/mm/mtrr.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ept_arena.h"

static void pointer_names_root_type_and_walk(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(&all_features);
    assert_int_equal(ept_pointer(&f->ept) & 0xfff, 0x5e);    /* A/D, length 4, WB */
    assert_int_equal(ept_pointer(&f->ept) & ~0xfffull, f->ept.root_hpa.v);
    fixture_free(f);
    struct ept_features plain = all_features;
    plain.accessed_dirty = false;
    f = fixture_new(&plain);
    assert_int_equal(ept_pointer(&f->ept) & 0xfff, 0x1e);
    fixture_free(f);
}

static void init_without_memory(void **state)
{
    (void)state;
    struct arena arena = { .left = 0 };
    struct ept_memory memory = { arena_alloc, arena_free, arena_pointer, NULL, &arena };
    struct ept ept;
    assert_int_equal(ept_init(&ept, &memory, &all_features), HV_ERR_NO_MEMORY);
    ept_destroy(&ept);
}

static void largest_pages_that_fit(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(&all_features);
    /* 4K up to the first 2M boundary, 2M up to the first 1G, 1G, and down again. */
    uint64_t start = 1 * GB - 2 * MB - 4 * KB, bytes = 4 * KB + 2 * MB + 2 * GB + 2 * MB + 8 * KB;
    uint64_t delta = 8 * GB;
    assert_int_equal(ept_map(&f->ept, GPA(start), HPA(start + delta), bytes, EPT_RWX, MEMORY_WB),
                     HV_OK);
    assert_maps(f, start, start + delta, 4 * KB, EPT_RWX, 6);
    assert_maps(f, 1 * GB - 2 * MB, 9 * GB - 2 * MB, 2 * MB, EPT_RWX, 6);
    assert_maps(f, 1 * GB + 12345, 9 * GB + 12345, 1 * GB, EPT_RWX, 6);
    assert_maps(f, 2 * GB, 10 * GB, 1 * GB, EPT_RWX, 6);
    assert_maps(f, 3 * GB, 11 * GB, 2 * MB, EPT_RWX, 6);
    assert_maps(f, 3 * GB + 2 * MB + 4 * KB, 11 * GB + 2 * MB + 4 * KB, 4 * KB, EPT_RWX, 6);
    assert_hole(f, start - 1);
    assert_hole(f, start + bytes);
    assert_int_equal(f->ept.leaves[0], 3);
    assert_int_equal(f->ept.leaves[1], 2);
    assert_int_equal(f->ept.leaves[2], 2);
    fixture_free(f);
}

static void page_sizes_follow_capabilities_and_alignment(void **state)
{
    (void)state;
    struct ept_features features = all_features;
    features.page_1g = false;
    struct fixture *f = fixture_new(&features);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(0), 1 * GB, EPT_RWX, MEMORY_WB), HV_OK);
    assert_maps(f, 5 * MB, 5 * MB, 2 * MB, EPT_RWX, 6);
    fixture_free(f);
    features.page_2m = false;
    f = fixture_new(&features);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(0), 2 * MB, EPT_RWX, MEMORY_WB), HV_OK);
    assert_maps(f, 1 * MB, 1 * MB, 4 * KB, EPT_RWX, 6);
    fixture_free(f);
    /* Aligned in the guest but not in the host: small pages. */
    f = fixture_new(&all_features);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(4 * KB), 2 * MB, EPT_RWX, MEMORY_WB), HV_OK);
    assert_maps(f, 0, 4 * KB, 4 * KB, EPT_RWX, 6);
    fixture_free(f);
}

static void bad_arguments(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(&all_features);
    struct ept *e = &f->ept;
    unsigned writes = f->arena.writes;
    assert_int_equal(ept_map(e, GPA(1), HPA(0), 4096, EPT_RWX, MEMORY_WB), HV_ERR_INVALID);
    assert_int_equal(ept_map(e, GPA(0), HPA(8), 4096, EPT_RWX, MEMORY_WB), HV_ERR_INVALID);
    assert_int_equal(ept_map(e, GPA(0), HPA(0), 4095, EPT_RWX, MEMORY_WB), HV_ERR_INVALID);
    assert_int_equal(ept_map(e, GPA(0), HPA(0), 0, EPT_RWX, MEMORY_WB), HV_ERR_INVALID);
    assert_int_equal(ept_map(e, GPA(1ull << 48), HPA(0), 4096, EPT_RWX, MEMORY_WB), HV_ERR_RANGE);
    assert_int_equal(ept_map(e, GPA((1ull << 48) - 4096), HPA(0), 8192, EPT_RWX, MEMORY_WB),
                     HV_ERR_RANGE);
    assert_int_equal(ept_map(e, GPA(0), HPA(1ull << 46), 4096, EPT_RWX, MEMORY_WB), HV_ERR_RANGE);
    assert_int_equal(ept_map(e, GPA(0), HPA((1ull << 46) - 4096), 8192, EPT_RWX, MEMORY_WB),
                     HV_ERR_RANGE);
    assert_int_equal(ept_map(e, GPA(0), HPA(0), ~0xfffull, EPT_RWX, MEMORY_WB), HV_ERR_RANGE);
    /* Writable but not readable; nothing at all; not a right; no such type. */
    assert_int_equal(ept_map(e, GPA(0), HPA(0), 4096, EPT_WRITE, MEMORY_WB), HV_ERR_INVALID);
    assert_int_equal(ept_map(e, GPA(0), HPA(0), 4096, EPT_WRITE | EPT_EXECUTE, MEMORY_WB),
                     HV_ERR_INVALID);
    assert_int_equal(ept_map(e, GPA(0), HPA(0), 4096, 0, MEMORY_WB), HV_ERR_INVALID);
    assert_int_equal(ept_map(e, GPA(0), HPA(0), 4096, EPT_RWX | EPT_LARGE, MEMORY_WB),
                     HV_ERR_INVALID);
    assert_int_equal(ept_map(e, GPA(0), HPA(0), 4096, EPT_RWX | EPT_USER_EXECUTE, MEMORY_WB),
                     HV_ERR_INVALID);
    for (unsigned type = 0; type < 9; type++) {
        bool good = type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
        enum hv_err err = ept_map(e, GPA(type * 4096ull), HPA(0), 4096, EPT_RWX,
                                  (enum memory_type)type);
        assert_int_equal(err, good ? HV_OK : HV_ERR_INVALID);
    }
    assert_int_equal(ept_unmap(e, GPA(1), 4096), HV_ERR_INVALID);
    assert_int_equal(ept_unmap(e, GPA(1ull << 50), 4096), HV_ERR_RANGE);
    assert_int_equal(ept_protect(e, GPA(0), 4095, EPT_RWX), HV_ERR_INVALID);
    assert_int_equal(ept_protect(e, GPA(0), 4096, EPT_WRITE), HV_ERR_INVALID);
    assert_true(f->arena.writes > writes);
    fixture_free(f);

    struct ept_features no_x = all_features;
    no_x.execute_only = false;
    f = fixture_new(&no_x);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(0), 4096, EPT_EXECUTE, MEMORY_WB),
                     HV_ERR_INVALID);
    fixture_free(f);
    f = fixture_new(&all_features);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(0), 4096, EPT_EXECUTE, MEMORY_WB), HV_OK);
    assert_maps(f, 0, 0, 4096, EPT_EXECUTE, 6);
    /* The last page of the guest's and of the host's space. */
    assert_int_equal(ept_map(&f->ept, GPA((1ull << 48) - 4096), HPA((1ull << 46) - 4096), 4096,
                             EPT_READ, MEMORY_UC), HV_OK);
    assert_int_equal(ept_unmap(&f->ept, GPA((1ull << 48) - 4096), 4096), HV_OK);
    fixture_free(f);
}

static void overlaps_are_refused(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(&all_features);
    assert_int_equal(ept_map(&f->ept, GPA(4 * MB), HPA(0), 2 * MB, EPT_RWX, MEMORY_WB), HV_OK);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(0), 16 * MB, EPT_RWX, MEMORY_WB), HV_ERR_EXISTS);
    assert_int_equal(ept_map(&f->ept, GPA(5 * MB), HPA(0), 4096, EPT_RWX, MEMORY_WB),
                     HV_ERR_EXISTS);
    assert_hole(f, 0);
    assert_maps(f, 4 * MB, 0, 2 * MB, EPT_RWX, 6);
    fixture_free(f);
}

static void unmapping_splits_at_the_edges(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(&all_features);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(4 * GB), 2 * GB, EPT_RX, MEMORY_WT), HV_OK);
    assert_int_equal(ept_unmap(&f->ept, GPA(1 * GB + 2 * MB + 4096), 4096), HV_OK);
    assert_maps(f, 0, 4 * GB, 1 * GB, EPT_RX, 4);
    assert_maps(f, 1 * GB, 5 * GB, 2 * MB, EPT_RX, 4);
    assert_maps(f, 1 * GB + 2 * MB, 5 * GB + 2 * MB, 4096, EPT_RX, 4);
    assert_hole(f, 1 * GB + 2 * MB + 4096);
    assert_maps(f, 1 * GB + 2 * MB + 8192, 5 * GB + 2 * MB + 8192, 4096, EPT_RX, 4);
    assert_maps(f, 1 * GB + 4 * MB, 5 * GB + 4 * MB, 2 * MB, EPT_RX, 4);
    assert_int_equal(f->ept.leaves[0], 511);
    assert_int_equal(f->ept.leaves[1], 511);
    assert_int_equal(f->ept.leaves[2], 1);
    /* The whole of it away: tables become garbage in one write and are given back later. */
    uint64_t tables = f->ept.tables;
    unsigned writes = f->arena.writes;
    assert_int_equal(ept_unmap(&f->ept, GPA(1 * GB), 1 * GB), HV_OK);
    assert_int_equal(f->arena.writes, writes + 1);
    assert_int_equal(f->ept.tables, tables);
    assert_int_equal(ept_reclaim(&f->ept), 2);
    assert_int_equal(f->ept.tables, tables - 2);
    assert_hole(f, 1 * GB);
    assert_int_equal(f->ept.leaves[0] + f->ept.leaves[1], 0);
    /* Unmapping what is not mapped does nothing; so does the rest of the guest's space. */
    assert_int_equal(ept_unmap(&f->ept, GPA(0), 1ull << 48), HV_OK);
    assert_hole(f, 0);
    assert_int_equal(f->ept.leaves[2], 0);
    fixture_free(f);
}

static void protect_changes_rights_only(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(&all_features);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(2 * GB), 4 * MB, EPT_RWX, MEMORY_WB), HV_OK);
    assert_int_equal(ept_protect(&f->ept, GPA(1 * MB), 2 * MB, EPT_RX), HV_OK);
    assert_maps(f, 0, 2 * GB, 4096, EPT_RWX, 6);
    assert_maps(f, 1 * MB, 2 * GB + 1 * MB, 4096, EPT_RX, 6);
    assert_maps(f, 3 * MB - 4096, 2 * GB + 3 * MB - 4096, 4096, EPT_RX, 6);
    assert_maps(f, 3 * MB, 2 * GB + 3 * MB, 4096, EPT_RWX, 6);
    assert_int_equal(ept_protect(&f->ept, GPA(0), 8 * MB, EPT_READ), HV_ERR_NOT_FOUND);
    assert_maps(f, 0, 2 * GB, 4096, EPT_RWX, 6);
    /* Aligned ranges split nothing. */
    struct fixture *g = fixture_new(&all_features);
    assert_int_equal(ept_map(&g->ept, GPA(0), HPA(0), 4 * MB, EPT_RWX, MEMORY_WB), HV_OK);
    assert_int_equal(ept_protect(&g->ept, GPA(2 * MB), 2 * MB, EPT_READ | EPT_IGNORE_PAT), HV_OK);
    assert_maps(g, 2 * MB, 2 * MB, 2 * MB, EPT_READ, 6);
    struct ept_walk walk;
    ept_walk(&g->ept, GPA(2 * MB), &walk);
    assert_true(walk.ignore_pat);
    fixture_free(f);
    fixture_free(g);
}

static void mode_based_execute(void **state)
{
    (void)state;
    struct ept_features features = all_features;
    features.mode_based_execute = true;
    struct fixture *f = fixture_new(&features);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(0), 2 * MB, EPT_READ | EPT_USER_EXECUTE,
                             MEMORY_WB), HV_OK);
    struct ept_walk walk;
    ept_walk(&f->ept, GPA(4096), &walk);
    assert_true(walk.mapped);
    assert_int_equal(walk.rights, EPT_READ | EPT_USER_EXECUTE);
    assert_int_equal(ept_protect(&f->ept, GPA(0), 4096, EPT_USER_EXECUTE), HV_OK);
    ept_walk(&f->ept, GPA(0), &walk);
    assert_true(walk.mapped);
    assert_int_equal(walk.rights, EPT_USER_EXECUTE);
    assert_true(ept_entry_misconfigured(&(struct ept_features){ .mode_based_execute = true,
                .physical_address_bits = 46 }, EPT_USER_EXECUTE, 1));
    fixture_free(f);
}

static void walk_reports_what_it_met(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(&all_features);
    assert_int_equal(ept_map(&f->ept, GPA(2 * MB), HPA(8 * MB), 2 * MB, EPT_RX, MEMORY_WC), HV_OK);
    struct ept_walk walk;
    ept_walk(&f->ept, GPA(2 * MB + 77), &walk);
    assert_true(walk.mapped);
    assert_int_equal(walk.depth, 3);
    assert_int_equal(walk.hpa.v, 8 * MB + 77);
    assert_int_equal(walk.page_bytes, 2 * MB);
    assert_int_equal(walk.rights, EPT_RX);
    assert_int_equal(walk.type, MEMORY_WC);
    assert_false(walk.ignore_pat);
    ept_walk(&f->ept, GPA(0), &walk);
    assert_false(walk.mapped);
    assert_int_equal(walk.depth, 3);
    assert_int_equal(walk.page_bytes, 2 * MB);
    ept_walk(&f->ept, GPA(512 * GB), &walk);
    assert_int_equal(walk.depth, 1);
    assert_int_equal(walk.page_bytes, 512 * GB);
    ept_walk(&f->ept, GPA(1ull << 48), &walk);
    assert_false(walk.mapped);
    assert_int_equal(walk.depth, 0);
    fixture_free(f);
}

/* "EPT Misconfigurations": each of its conditions. */
static void misconfigurations(void **state)
{
    (void)state;
    struct ept_features x = all_features, plain = { .physical_address_bits = 39 };
    assert_false(ept_entry_misconfigured(&x, 0, 1));
    assert_false(ept_entry_misconfigured(&x, 0xfffffffffffffff8ull & ~EPT_USER_EXECUTE, 1));
    assert_true(ept_entry_misconfigured(&x, 2, 1));             /* -W- */
    assert_true(ept_entry_misconfigured(&x, 6, 4));             /* -WX */
    assert_false(ept_entry_misconfigured(&x, 4 | 6 << 3, 1));   /* --X where it is allowed */
    assert_true(ept_entry_misconfigured(&plain, 4 | 6 << 3, 1));
    assert_true(ept_entry_misconfigured(&plain, 7 | 6 << 3 | 1ull << 39, 1));
    assert_false(ept_entry_misconfigured(&plain, 7 | 6 << 3 | 1ull << 38, 1));
    assert_true(ept_entry_misconfigured(&x, 7 | 1 << 3, 4));    /* reserved bits in tables */
    assert_true(ept_entry_misconfigured(&x, 7 | 1 << 7, 4));
    assert_true(ept_entry_misconfigured(&x, 7 | 1 << 6, 3));
    assert_false(ept_entry_misconfigured(&x, 7, 3));
    assert_false(ept_entry_misconfigured(&x, 7 | EPT_LARGE | 6 << 3, 3));
    assert_true(ept_entry_misconfigured(&plain, 7 | EPT_LARGE | 6 << 3, 3));
    assert_true(ept_entry_misconfigured(&plain, 7 | EPT_LARGE | 6 << 3, 2));
    assert_true(ept_entry_misconfigured(&x, 7 | EPT_LARGE | 6 << 3 | 1 << 13, 2));
    assert_true(ept_entry_misconfigured(&x, 7 | EPT_LARGE | 6 << 3 | 1 << 29, 3));
    for (unsigned type = 0; type < 8; type++)
        assert_int_equal(ept_entry_misconfigured(&x, 7 | type << 3, 1),
                         type == 2 || type == 3 || type == 7);
}

static void memory_runs_out_at_every_point(void **state)
{
    (void)state;
    for (int left = 0; left < 12; left++) {
        struct fixture *f = fixture_new(&all_features);
        assert_int_equal(ept_map(&f->ept, GPA(0), HPA(1 * GB), 1 * GB, EPT_RWX, MEMORY_WB), HV_OK);
        f->arena.left = left;
        uint64_t start = 2 * GB - 4096;
        enum hv_err err = ept_map(&f->ept, GPA(start), HPA(start), 2 * MB + 8192 + 1 * GB, EPT_RWX,
                                  MEMORY_WB);
        if (err == HV_OK) {
            assert_true(left > 2);
        } else {
            assert_int_equal(err, HV_ERR_NO_MEMORY);
            for (uint64_t at = start; at < start + 3 * MB; at += 4096)
                assert_hole(f, at);
        }
        f->arena.left = left;
        err = ept_protect(&f->ept, GPA(4096), 4096, EPT_READ);
        assert_int_equal(err, left < 2 ? HV_ERR_NO_MEMORY : HV_OK);
        assert_int_equal(translate(f, 8192).hpa, 1 * GB + 8192);
        assert_int_equal(translate(f, 4096).rights, left < 2 ? EPT_RWX : EPT_READ);
        f->arena.left = 0;
        err = ept_unmap(&f->ept, GPA(512 * MB + 4096), 4096);
        assert_int_equal(err, HV_ERR_NO_MEMORY);
        assert_true(translate(f, 512 * MB + 4096).mapped);
        fixture_free(f);
    }
}

/* --- accessed and dirty --- */
struct dirty {
    unsigned count;
    uint64_t gpa[16], bytes[16];
};

static void dirty_visit(void *context, gpa_t gpa, uint64_t page_bytes)
{
    struct dirty *d = context;
    assert_true(d->count < 16);
    d->gpa[d->count] = gpa.v;
    d->bytes[d->count++] = page_bytes;
}

/* What the processor does at a guest's write. */
static void processor_writes(struct fixture *f, uint64_t gpa)
{
    uint64_t *table = f->ept.root;
    for (int shift = 39;; shift -= 9) {
        uint64_t *entry = &table[gpa >> shift & 511];
        *entry |= EPT_ACCESSED;
        if (shift == 12 || (*entry & EPT_LARGE)) {
            *entry |= EPT_DIRTY;
            return;
        }
        table = arena_pointer(&f->arena, HPA(*entry & EPT_ADDRESS_MASK));
    }
}

static void dirty_pages_are_collected_once(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(&all_features);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(0), 6 * MB + 8192, EPT_RWX, MEMORY_WB), HV_OK);
    processor_writes(f, 2 * MB + 5);
    processor_writes(f, 6 * MB + 4096);
    struct dirty d = { 0 };
    assert_int_equal(ept_collect_dirty(&f->ept, GPA(0), 16 * MB, dirty_visit, &d), 2);
    assert_int_equal(d.gpa[0], 2 * MB);
    assert_int_equal(d.bytes[0], 2 * MB);
    assert_int_equal(d.gpa[1], 6 * MB + 4096);
    assert_int_equal(ept_collect_dirty(&f->ept, GPA(0), 16 * MB, dirty_visit, &d), 0);
    assert_int_equal(ept_collect_dirty(&f->ept, GPA(1), 16 * MB, dirty_visit, &d), 0);
    f->ept.features.accessed_dirty = false;
    processor_writes(f, 0);
    assert_int_equal(ept_collect_dirty(&f->ept, GPA(0), 16 * MB, dirty_visit, &d), 0);
    f->ept.features.accessed_dirty = true;
    fixture_free(f);
}

static void rights_change_keeps_the_dirty_flag(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(&all_features);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(0), 4 * MB, EPT_RWX, MEMORY_WB), HV_OK);
    processor_writes(f, 0);
    assert_int_equal(ept_protect(&f->ept, GPA(0), 2 * MB, EPT_RX), HV_OK);
    struct ept_walk walk;
    ept_walk(&f->ept, GPA(0), &walk);
    assert_true(walk.entry[2] & EPT_DIRTY);
    /* A split passes the flags on to every part. */
    assert_int_equal(ept_protect(&f->ept, GPA(4096), 4096, EPT_RWX), HV_OK);
    ept_walk(&f->ept, GPA(1 * MB), &walk);
    assert_int_equal(walk.depth, 4);
    assert_true(walk.entry[3] & EPT_DIRTY);
    assert_false(walk.entry[3] & EPT_LARGE);
    fixture_free(f);
}

/* A processor writes through the large page after it was read and before it is replaced: the
 * allocation of the table lies in between. */
static struct fixture *race_fixture;

static uint64_t *race_alloc(void *context, hpa_t *hpa)
{
    if (race_fixture)
        processor_writes(race_fixture, 0);
    return arena_alloc(context, hpa);
}

static void split_loses_no_dirty_flag(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(&all_features);
    assert_int_equal(ept_map(&f->ept, GPA(0), HPA(0), 2 * MB, EPT_RWX, MEMORY_WB), HV_OK);
    f->ept.memory.alloc = race_alloc;
    f->ept.memory.wrote = NULL;
    race_fixture = f;
    assert_int_equal(ept_protect(&f->ept, GPA(4096), 4096, EPT_READ), HV_OK);
    race_fixture = NULL;
    struct dirty d = { 0 };
    assert_int_equal(ept_collect_dirty(&f->ept, GPA(0), 8 * 4096, dirty_visit, &d), 8);
    assert_maps(f, 4096, 4096, 4096, EPT_READ, 6);
    fixture_free(f);
}

static void types_come_from_the_mtrrs(void **state)
{
    (void)state;
    /* 64 GB of WB, except an UC hole at 3 GB..4 GB and the VGA window. */
    struct mtrr_state mtrr = {
        .cap = MTRR_CAP_FIX | 1, .def_type = MTRR_DEF_ENABLE | MTRR_DEF_FIXED_ENABLE | MEMORY_WB,
        .variable = { { 3 * GB | MEMORY_UC, (0x7fffffffffull & ~(1 * GB - 1)) | MTRR_MASK_VALID } },
        .variable_count = 1, .physical_address_bits = 39,
    };
    for (unsigned i = 0; i < MTRR_FIXED_COUNT; i++)
        mtrr.fixed[i] = 0x0606060606060606ull;
    mtrr.fixed[2] = 0;
    struct fixture *f = fixture_new(&all_features);
    assert_int_equal(ept_map_by_mtrr(&f->ept, GPA(0), HPA(0), 5 * GB + 4096, EPT_RWX, &mtrr),
                     HV_OK);
    assert_maps(f, 0x9f000, 0x9f000, 4096, EPT_RWX, MEMORY_WB);
    assert_maps(f, 0xa0000, 0xa0000, 4096, EPT_RWX, MEMORY_UC);
    assert_maps(f, 0xc0000, 0xc0000, 4096, EPT_RWX, MEMORY_WB);
    assert_maps(f, 2 * MB, 2 * MB, 2 * MB, EPT_RWX, MEMORY_WB);
    assert_maps(f, 2 * GB, 2 * GB, 1 * GB, EPT_RWX, MEMORY_WB);
    assert_maps(f, 3 * GB, 3 * GB, 1 * GB, EPT_RWX, MEMORY_UC);
    assert_maps(f, 4 * GB, 4 * GB, 1 * GB, EPT_RWX, MEMORY_WB);
    assert_int_equal(ept_map_by_mtrr(&f->ept, GPA(5 * GB), HPA(0), 8192, EPT_RWX, &mtrr),
                     HV_ERR_EXISTS);
    assert_int_equal(ept_map_by_mtrr(&f->ept, GPA(1), HPA(0), 4096, EPT_RWX, &mtrr),
                     HV_ERR_INVALID);
    assert_int_equal(ept_map_by_mtrr(&f->ept, GPA(64 * GB), HPA(1ull << 50), 4096, EPT_RWX, &mtrr),
                     HV_ERR_RANGE);
    assert_int_equal(ept_map_by_mtrr(&f->ept, GPA(64 * GB), HPA(0), 4096, EPT_WRITE, &mtrr),
                     HV_ERR_INVALID);
    /* Out of memory half way: nothing stays. */
    f->arena.left = 4;
    assert_int_equal(ept_map_by_mtrr(&f->ept, GPA(1100 * GB - 8192), HPA(2 * MB - 8192), 4 * GB,
                                     EPT_RWX, &mtrr), HV_ERR_NO_MEMORY);
    assert_hole(f, 1100 * GB - 8192);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pointer_names_root_type_and_walk),
        cmocka_unit_test(init_without_memory),
        cmocka_unit_test(largest_pages_that_fit),
        cmocka_unit_test(page_sizes_follow_capabilities_and_alignment),
        cmocka_unit_test(bad_arguments),
        cmocka_unit_test(overlaps_are_refused),
        cmocka_unit_test(unmapping_splits_at_the_edges),
        cmocka_unit_test(protect_changes_rights_only),
        cmocka_unit_test(mode_based_execute),
        cmocka_unit_test(walk_reports_what_it_met),
        cmocka_unit_test(misconfigurations),
        cmocka_unit_test(memory_runs_out_at_every_point),
        cmocka_unit_test(dirty_pages_are_collected_once),
        cmocka_unit_test(rights_change_keeps_the_dirty_flag),
        cmocka_unit_test(split_loses_no_dirty_flag),
        cmocka_unit_test(types_come_from_the_mtrrs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
