// SRCS: vmm/core/core_plan.c
/*
 * Which cores a VM with interrupts = guest gets: as many as vCPUs, nobody else's, and never the last
 * one if there is somebody to share it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/arch_ops.h"
#include "hv/vm.h"

#define CORES 6

struct core hv_cores[HV_MAX_CORES];

unsigned arch_core_count(void)
{
    return CORES;
}

static struct config *config;
static bool online[CORES];
static unsigned owner[CORES];

static int setup(void **state)
{
    (void)state;
    config = calloc(1, sizeof(*config));
    memset(hv_cores, 0, sizeof(hv_cores));
    for (unsigned i = 0; i < CORES; i++)
        online[i] = hv_cores[i].online = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(config);
    return 0;
}

static void add(unsigned vcpus, enum config_interrupts interrupts)
{
    config->vms[config->vm_count].vcpus = vcpus;
    config->vms[config->vm_count++].interrupts = interrupts;
}

static void expect(unsigned cores, const unsigned *wanted)
{
    core_plan_make(config, online, cores, owner);
    for (unsigned i = 0; i < cores; i++)
        assert_int_equal(owner[i], wanted[i]);
}

#define EXPECT(cores, ...) expect(cores, (const unsigned[]){ __VA_ARGS__ })

static void shared_vms_own_nothing(void **state)
{
    (void)state;
    add(4, CONFIG_INTERRUPTS_VMM);
    EXPECT(2, 0, 0);
}

static void the_last_cores_go_first(void **state)
{
    (void)state;
    add(2, CONFIG_INTERRUPTS_GUEST);
    EXPECT(4, 0, 0, 1, 1);
    EXPECT(2, 1, 1); /* nobody else needs the boot core */
    EXPECT(1, 0);    /* too few */
}

static void one_core_is_kept_for_those_who_share(void **state)
{
    (void)state;
    add(2, CONFIG_INTERRUPTS_GUEST);
    add(7, CONFIG_INTERRUPTS_VMM);
    EXPECT(2, 0, 0);
    EXPECT(3, 0, 1, 1);
}

static void each_has_its_own(void **state)
{
    (void)state;
    add(2, CONFIG_INTERRUPTS_GUEST);
    add(1, CONFIG_INTERRUPTS_VMM);
    add(3, CONFIG_INTERRUPTS_GUEST);
    add(1, CONFIG_INTERRUPTS_GUEST);
    EXPECT(6, 0, 3, 3, 3, 1, 1);
    /* Who does not fit goes without; a smaller one behind it still may. */
    EXPECT(4, 0, 4, 1, 1);
}

static void cores_that_are_not_there_are_left_out(void **state)
{
    (void)state;
    add(2, CONFIG_INTERRUPTS_GUEST);
    online[3] = false;
    EXPECT(4, 0, 1, 1, 0);
    online[1] = false;
    EXPECT(4, 1, 0, 1, 0);
    online[2] = false;
    EXPECT(4, 0, 0, 0, 0);
}

static void the_plan_in_force(void **state)
{
    (void)state;
    add(1, CONFIG_INTERRUPTS_VMM);
    add(2, CONFIG_INTERRUPTS_GUEST);
    hv_cores[0].online = false;
    core_plan_apply(config);
    assert_int_equal(core_plan_count(0), 0);
    assert_int_equal(core_plan_count(1), 2);
    assert_int_equal(hv_cores[5].owner, 2);
    assert_int_equal(core_plan_housekeeper(), 1);
}

static void a_core_for_each_or_a_crowd(void **state)
{
    (void)state;
    add(2, CONFIG_INTERRUPTS_GUEST);
    core_plan_apply(config);
    assert_false(core_plan_is_crowded(config));
    add(CORES - 2, CONFIG_INTERRUPTS_VMM);
    assert_false(core_plan_is_crowded(config));
    add(1, CONFIG_INTERRUPTS_VMM);
    assert_true(core_plan_is_crowded(config));
    config->vms[2].interrupts = CONFIG_INTERRUPTS_GUEST;
    assert_false(core_plan_is_crowded(config));
    hv_cores[0].online = false;
    assert_true(core_plan_is_crowded(config));
}

static void without_a_free_core_the_first_keeps_house(void **state)
{
    (void)state;
    add(CORES, CONFIG_INTERRUPTS_GUEST);
    core_plan_apply(config);
    assert_int_equal(core_plan_count(0), CORES);
    assert_int_equal(core_plan_housekeeper(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shared_vms_own_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_cores_go_first, setup, teardown),
        cmocka_unit_test_setup_teardown(one_core_is_kept_for_those_who_share, setup, teardown),
        cmocka_unit_test_setup_teardown(each_has_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(cores_that_are_not_there_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(the_plan_in_force, setup, teardown),
        cmocka_unit_test_setup_teardown(a_core_for_each_or_a_crowd, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_free_core_the_first_keeps_house, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
