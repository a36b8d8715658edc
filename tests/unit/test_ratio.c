// SRCS:
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hv/ratio.h"

static uint64_t exact(uint64_t n, uint64_t numerator, uint64_t denominator)
{
    return (uint64_t)((unsigned __int128)n * numerator / denominator);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Clocks of processors against nanoseconds, both ways, the PM timer, and the ends of the range. */
static const uint64_t pairs[][2] = {
    { 1000000000, 100000000 },
    { 1000000000, 2893437512 },
    { 2893437512, 1000000000 },
    { 1000000000, 999999999 },
    { 999999999, 1000000000 },
    { 3579545, 1000000000 },
    { 1, 1 },
    { 0, 7 },
    { 1, 3 },
    { UINT64_MAX, 1 },
    { 1, INT64_MAX },
    { INT64_MAX - 1, INT64_MAX },
    { UINT64_MAX, INT64_MAX },
};

static void check(const struct hv_ratio *ratio, unsigned i, uint64_t n)
{
    assert_true(hv_ratio_apply(ratio, n) == exact(n, pairs[i][0], pairs[i][1]));
}

static void test_exact_everywhere(void **state)
{
    uint64_t seed = 88172645463325252;
    (void)state;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(pairs); i++) {
        struct hv_ratio ratio = hv_ratio_make(pairs[i][0], pairs[i][1]);
        for (uint64_t n = 0; n < 1000; n++) {
            check(&ratio, i, n);
            check(&ratio, i, UINT64_MAX - n);
            check(&ratio, i, pairs[i][1] * n);
            check(&ratio, i, pairs[i][1] * n - 1);
        }
        for (unsigned round = 0; round < 20000; round++)
            check(&ratio, i, next_random(&seed) >> (round & 63));
    }
}

static void test_constant_is_the_same(void **state)
{
    static const struct hv_ratio constant = HV_RATIO(UINT64_C(3579545), UINT64_C(1000000000));
    struct hv_ratio made = hv_ratio_make(3579545, 1000000000);
    (void)state;
    assert_true(constant.whole == made.whole && constant.rest == made.rest);
    assert_true(constant.denominator == made.denominator && constant.inverse == made.inverse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_everywhere),
        cmocka_unit_test(test_constant_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
