/*
 * Memory for the EPT builder whose "physical" addresses have nothing to do with its pointers, and
 * the processor's walk, written from the SDM and not from the code under test. Header-only, for a
 * cmocka test.
 */
#ifndef EPT_ARENA_H
#define EPT_ARENA_H

#include "x86/ept.h"

#define KB 1024ull
#define MB (1024 * KB)
#define GB (1024 * MB)

#define ARENA_PAGES 2048
#define ARENA_HPA 0x7000000000ull

struct arena {
    uint64_t (*pages)[512];
    bool used[ARENA_PAGES];
    unsigned in_use;
    int left;           /* allocations until failure; -1: no limit */
    unsigned writes;
    void (*check)(void *context);
    void *check_context;
};

static inline uint64_t *arena_alloc(void *context, hpa_t *hpa)
{
    struct arena *arena = context;
    if (!arena->left)
        return NULL;
    if (arena->left > 0)
        arena->left--;
    for (unsigned i = 0; i < ARENA_PAGES; i++) {
        if (arena->used[i])
            continue;
        arena->used[i] = true;
        arena->in_use++;
        memset(arena->pages[i], 0xa5, 4096);
        *hpa = HPA(ARENA_HPA + i * 4096);
        return arena->pages[i];
    }
    return NULL;
}

static inline uint64_t *arena_pointer(void *context, hpa_t hpa)
{
    struct arena *arena = context;
    uint64_t index = (hpa.v - ARENA_HPA) / 4096;
    assert_true(index < ARENA_PAGES && arena->used[index]);
    return arena->pages[index];
}

static inline void arena_free(void *context, uint64_t *page, hpa_t hpa)
{
    struct arena *arena = context;
    assert_ptr_equal(arena_pointer(arena, hpa), page);
    arena->used[(hpa.v - ARENA_HPA) / 4096] = false;
    arena->in_use--;
}

static inline void arena_wrote(void *context, const uint64_t *entry, uint64_t before,
                               uint64_t after)
{
    struct arena *arena = context;
    assert_int_equal(*entry, after);
    (void)before;
    arena->writes++;
    if (arena->check)
        arena->check(arena->check_context);
}

static const struct ept_features all_features = {
    .page_2m = true, .page_1g = true, .execute_only = true, .accessed_dirty = true,
    .physical_address_bits = 46,
};

struct fixture {
    struct arena arena;
    struct ept ept;
};

static inline struct fixture *fixture_new(const struct ept_features *features)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->arena.pages = aligned_alloc(4096, ARENA_PAGES * 4096ull);
    f->arena.left = -1;
    struct ept_memory memory = { arena_alloc, arena_free, arena_pointer, arena_wrote, &f->arena };
    assert_int_equal(ept_init(&f->ept, &memory, features), HV_OK);
    return f;
}

static inline void fixture_free(struct fixture *f)
{
    f->arena.check = NULL;
    ept_destroy(&f->ept);
    assert_int_equal(f->ept.tables, 0);
    assert_int_equal(f->arena.in_use, 0);
    free(f->arena.pages);
    free(f);
}

/* --- what a processor does, written from the SDM and not from the code under test --- */
struct translation {
    bool mapped;
    uint64_t hpa;
    uint64_t bytes;
    uint64_t rights;
    unsigned type;
};

static inline struct translation translate(struct fixture *f, uint64_t gpa)
{
    struct translation t = { false, 0, 0, 7, 0 };
    uint64_t table = ept_pointer(&f->ept) & 0x000ffffffffff000ull;
    for (int shift = 39; shift >= 12; shift -= 9) {
        uint64_t entry = arena_pointer(&f->arena, HPA(table))[gpa >> shift & 511];
        if (!(entry & 7))
            return t;
        if (ept_entry_misconfigured(&f->ept.features, entry, (unsigned)(shift - 3) / 9))
            fail_msg("misconfigured entry %llx", (unsigned long long)entry);
        t.rights &= entry;
        if (shift == 12 || (entry & 0x80)) {
            uint64_t mask = (1ull << shift) - 1;
            t.mapped = true;
            t.hpa = (entry & 0x000ffffffffff000ull & ~mask) | (gpa & mask);
            t.bytes = mask + 1;
            t.type = entry >> 3 & 7;
            return t;
        }
        table = entry & 0x000ffffffffff000ull;
    }
    return t;
}

static inline void assert_maps(struct fixture *f, uint64_t gpa, uint64_t hpa, uint64_t bytes,
                        uint64_t rights, unsigned type)
{
    struct translation t = translate(f, gpa);
    if (!t.mapped || t.hpa != hpa || t.bytes != bytes || t.rights != rights || t.type != type)
        fail_msg("%llx -> mapped %d hpa %llx bytes %llx rights %llx type %u",
                 (unsigned long long)gpa, t.mapped, (unsigned long long)t.hpa,
                 (unsigned long long)t.bytes, (unsigned long long)t.rights, t.type);
}

static inline void assert_hole(struct fixture *f, uint64_t gpa)
{
    assert_false(translate(f, gpa).mapped);
}

#endif
