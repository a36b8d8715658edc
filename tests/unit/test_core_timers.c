// SRCS: vmm/core/core.c vmm/core/timer_queue.c
/*
 * A timer that can wait: never alone before its time is up, but with any other that fires, and as
 * soon as the core is idle.
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

static uint64_t tsc, idle_until;
static unsigned idles;

unsigned arch_this_core(void)
{
    return 1;
}

uint64_t arch_tsc(void)
{
    return tsc;
}

uint64_t arch_tsc_hz(void)
{
    return 1000;
}

void arch_kick_core(unsigned core)
{
    (void)core;
    fail();
}

bool arch_run_is_over(void)
{
    return false;
}

void arch_leave_run(void)
{
    abort();
}

void arch_idle(uint64_t deadline_tsc, const uint32_t *unless)
{
    assert_ptr_equal(unless, &hv_cores[1].kick);
    idle_until = deadline_tsc;
    idles++;
}

enum vcpu_next arch_vcpu_run(struct vcpu *vcpu, uint64_t slice_end_tsc)
{
    (void)vcpu;
    (void)slice_end_tsc;
    return VCPU_END;
}

void arch_vcpu_put(struct vcpu *vcpu)
{
    (void)vcpu;
}

bool arch_vcpu_has_event(struct vcpu *vcpu)
{
    (void)vcpu;
    return false;
}

bool vm_park(struct vcpu *vcpu)
{
    (void)vcpu;
    return false;
}

void vm_freeze(struct vcpu *vcpu)
{
    (void)vcpu;
}

void vm_thaw(struct vcpu *vcpu)
{
    (void)vcpu;
}

static struct tq_timer patient, tick;
static unsigned patient_fires, tick_fires;
static uint64_t again_tsc;

static void patient_fire(struct tq_timer *timer, uint64_t now)
{
    assert_ptr_equal(timer, &patient);
    assert_int_equal(now, tsc);
    patient_fires++;
    if (again_tsc)
        core_timer_arm_patient(&patient, again_tsc, again_tsc + 1000);
}

static void tick_fire(struct tq_timer *timer, uint64_t now)
{
    (void)timer;
    (void)now;
    tick_fires++;
}

static int setup(void **state)
{
    (void)state;
    memset(&hv_cores[1], 0, sizeof(hv_cores[1]));
    tq_init(&hv_cores[1].timers);
    tq_timer_init(&patient, patient_fire);
    tq_timer_init(&tick, tick_fire);
    patient_fires = tick_fires = idles = 0;
    tsc = again_tsc = 0;
    return 0;
}

static void at(uint64_t now)
{
    tsc = now;
    core_fire_timers(&hv_cores[1]);
}

/* The run loop looks at the first deadline alone: it is not the patient one's. */
static void guests_are_not_interrupted_for_it(void **state)
{
    (void)state;
    core_timer_arm_patient(&patient, 100, 500);
    assert_true(tq_first_tsc(&hv_cores[1].timers) == 500);
    core_timer_arm_here(&hv_cores[1], &tick, 90);
    at(90);
    assert_int_equal(tick_fires, 1);
    assert_int_equal(patient_fires, 0);
    core_timer_arm_here(&hv_cores[1], &tick, 150);
    at(150);
    assert_int_equal(tick_fires, 2);
    assert_int_equal(patient_fires, 1);
    assert_true(tq_first_tsc(&hv_cores[1].timers) == TQ_NEVER);
    at(501);
    assert_int_equal(patient_fires, 1);
}

static void it_does_not_wait_for_ever(void **state)
{
    (void)state;
    again_tsc = 600;
    core_timer_arm_patient(&patient, 100, 500);
    at(500);
    assert_int_equal(patient_fires, 1); /* once, though it is due by both */
    at(550);
    assert_int_equal(patient_fires, 1);
    assert_true(tq_first_tsc(&hv_cores[1].timers) == 1600);
}

/* One that fired by its latest deadline and was not armed again. */
static void what_is_over_does_not_fire(void **state)
{
    (void)state;
    core_timer_arm_patient(&patient, 100, 500);
    at(700);
    at(800);
    core_turn(1);
    assert_int_equal(patient_fires, 1);
    assert_true(idle_until == TQ_NEVER);
}

static void an_idle_core_wakes_for_it(void **state)
{
    (void)state;
    core_timer_arm_patient(&patient, 100, 500);
    core_turn(1);
    assert_int_equal(idles, 1);
    assert_true(idle_until == 100);
    core_timer_arm_here(&hv_cores[1], &tick, 60);
    core_turn(1);
    assert_true(idle_until == 60);
    tsc = 100;
    core_turn(1);
    assert_int_equal(patient_fires, 1);
    assert_true(idle_until == TQ_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(guests_are_not_interrupted_for_it, setup),
        cmocka_unit_test_setup(it_does_not_wait_for_ever, setup),
        cmocka_unit_test_setup(what_is_over_does_not_fire, setup),
        cmocka_unit_test_setup(an_idle_core_wakes_for_it, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
