// SRCS: arch/x86/mm/ept.c arch/x86/mm/mtrr.c
/*
 * Random operations on EPT beside a plain array that says what must be true, with every state in
 * between looked at by a processor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ept_arena.h"

/* --- every intermediate state --- */
#define WINDOW_PAGES 2048ull       /* 8 MBytes of guest space, watched page by page */

struct watch {
    struct fixture *fixture;
    uint64_t base;
    struct translation before[WINDOW_PAGES];
    uint64_t first, end;           /* the pages that the operation may change */
    bool may_vanish;
};

static void watch_check(void *context)
{
    struct watch *w = context;
    for (uint64_t i = 0; i < WINDOW_PAGES; i += 37) {
        struct translation now = translate(w->fixture, w->base + i * 4096);
        bool inside = i >= w->first && i < w->end;
        const struct translation *was = &w->before[i];
        if (!inside) {
            if (now.mapped != was->mapped || now.hpa != was->hpa ||
                (now.mapped && (now.rights != was->rights || now.type != was->type)))
                fail_msg("page %llu outside of the operation changed", (unsigned long long)i);
        } else if (now.mapped && was->mapped && now.hpa != was->hpa) {
            fail_msg("page %llu is somewhere else in between", (unsigned long long)i);
        } else if (was->mapped && !now.mapped && !w->may_vanish) {
            fail_msg("page %llu vanished in between", (unsigned long long)i);
        }
    }
}

static void watch_start(struct watch *w, uint64_t first, uint64_t end, bool may_vanish)
{
    for (uint64_t i = 0; i < WINDOW_PAGES; i++)
        w->before[i] = translate(w->fixture, w->base + i * 4096);
    w->first = first;
    w->end = end;
    w->may_vanish = may_vanish;
    w->fixture->arena.check = watch_check;
    w->fixture->arena.check_context = w;
}

/* Random operations beside a plain array that says what must be true. */
struct model_page {
    bool mapped;
    uint64_t hpa;
    uint64_t rights;
    unsigned type;
};

static void random_operations_match_a_plain_array(void **state)
{
    (void)state;
    static const uint64_t rights[] = { EPT_RWX, EPT_RX, EPT_READ, EPT_READ | EPT_WRITE,
                                       EPT_EXECUTE };
    static const unsigned types[] = { 0, 1, 4, 5, 6 };
    struct fixture *f = fixture_new(&all_features);
    static struct model_page model[WINDOW_PAGES];
    memset(model, 0, sizeof(model));
    static struct watch watch;
    watch.fixture = f;
    watch.base = 1 * GB - 4 * MB;
    srandom(7);
    for (unsigned round = 0; round < 300; round++) {
        uint64_t granule = random() % 3 ? 1 : 512;
        uint64_t first = (uint64_t)random() % WINDOW_PAGES / granule * granule;
        uint64_t count = granule * (1 + (uint64_t)random() % 4);
        if (first + count > WINDOW_PAGES)
            count = WINDOW_PAGES - first;
        gpa_t gpa = GPA(watch.base + first * 4096);
        uint64_t right = rights[random() % 5];
        unsigned operation = (unsigned)random() % 4;
        watch_start(&watch, first, first + count, operation == 2);
        unsigned mapped = 0;
        for (uint64_t i = 0; i < count; i++)
            mapped += model[first + i].mapped;
        if (operation < 2) {
            uint64_t hpa = watch.base + first * 4096 + (random() % 2 ? 0 : 4096 * 3) + 16 * GB;
            unsigned type = types[random() % 5];
            enum hv_err err = ept_map(&f->ept, gpa, HPA(hpa), count * 4096, right,
                                      (enum memory_type)type);
            assert_int_equal(err, mapped ? HV_ERR_EXISTS : HV_OK);
            for (uint64_t i = 0; i < count && err == HV_OK; i++)
                model[first + i] = (struct model_page){ true, hpa + i * 4096, right, type };
        } else if (operation == 2) {
            assert_int_equal(ept_unmap(&f->ept, gpa, count * 4096), HV_OK);
            memset(&model[first], 0, count * sizeof(model[0]));
            if (random() % 4 == 0)
                ept_reclaim(&f->ept);
        } else {
            enum hv_err err = ept_protect(&f->ept, gpa, count * 4096, right);
            assert_int_equal(err, mapped == count ? HV_OK : HV_ERR_NOT_FOUND);
            for (uint64_t i = 0; i < count && err == HV_OK; i++)
                model[first + i].rights = right;
        }
        f->arena.check = NULL;
        for (uint64_t i = 0; i < WINDOW_PAGES; i++) {
            struct translation t = translate(f, watch.base + i * 4096);
            assert_int_equal(t.mapped, model[i].mapped);
            if (t.mapped) {
                assert_int_equal(t.hpa, model[i].hpa);
                assert_int_equal(t.rights, model[i].rights);
                assert_int_equal(t.type, model[i].type);
            }
        }
    }
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_match_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
