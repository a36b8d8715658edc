// SRCS: arch/x86/vmx/explain_select.c
/*
 * Which values `explain = ...` chooses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "arch/x86/vmx/explain.h"

static bool takes(const char *selection, unsigned number)
{
    return explain_selects(selection, "vpid_not_zero.1.bad", number);
}

static void ranges(void **state)
{
    (void)state;
    assert_true(takes("all", 7));
    assert_true(takes("7", 7));
    assert_false(takes("7", 8));
    assert_true(takes("5-9", 5) && takes("5-9", 9));
    assert_false(takes("5-9", 4) || takes("5-9", 10));
    assert_true(takes("2-2000/7", 2) && takes("2-2000/7", 9));
    assert_false(takes("2-2000/7", 8) || takes("2-8/7", 16));
    assert_true(takes("1-99999999999999999999", 1008));
    assert_true(takes("9/3", 9));
}

static void names(void **state)
{
    (void)state;
    assert_true(takes("vpid_not_zero", 1) && takes("vpid_not_zero.1", 1));
    assert_true(takes("vpid_not_zero.1.bad", 1));
    assert_false(takes("vpid_not_zero.1.good", 1) || takes("vpid_not_zero.2", 1));
    assert_false(takes("vpid", 1) || takes("vpid_not_zero.1.bad.x", 1));
}

static void what_chooses_nothing(void **state)
{
    (void)state;
    const char *const wrong[] = { "", "9-5", "1-9/0", "1-9x", "1-9/", "7.", "-", "5-", "all.", "al" };
    for (size_t i = 0; i < HV_ARRAY_COUNT(wrong); i++)
        for (unsigned number = 1; number <= 10; number++)
            assert_false(takes(wrong[i], number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
        cmocka_unit_test(names),
        cmocka_unit_test(what_chooses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
