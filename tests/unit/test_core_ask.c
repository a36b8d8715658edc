// SRCS: vmm/core/core.c vmm/core/timer_queue.c
/*
 * Questions of one core to another: answered between two turns of its loop, withdrawn when it does
 * not come, never answered twice. Time passes with each look at the TSC, and the other core's turn
 * comes when the test says so.
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

/* --- the machine: two cores; `this_core` executes --- */

static unsigned this_core, kicks;
static uint64_t tsc, turn_at_tsc; /* when core 1 takes its turn; 0: never */

unsigned arch_this_core(void)
{
    return this_core;
}

static void other_core_turns(void)
{
    this_core = 1;
    core_turn(1);
    this_core = 0;
}

uint64_t arch_tsc(void)
{
    tsc += 10;
    if (this_core == 0 && turn_at_tsc && tsc >= turn_at_tsc) {
        turn_at_tsc = 0;
        other_core_turns();
    }
    return tsc;
}

uint64_t arch_tsc_hz(void)
{
    return 1000;
}

void arch_kick_core(unsigned core)
{
    assert_int_equal(core, 1);
    kicks++;
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
    (void)deadline_tsc;
    (void)unless;
}

/* Nothing runs here. */
enum vcpu_next arch_vcpu_run(struct vcpu *vcpu, uint64_t slice_end_tsc)
{
    (void)vcpu;
    (void)slice_end_tsc;
    fail();
    return VCPU_END;
}

void arch_vcpu_put(struct vcpu *vcpu)
{
    (void)vcpu;
    fail();
}

bool arch_vcpu_has_event(struct vcpu *vcpu)
{
    (void)vcpu;
    fail();
    return false;
}

bool vm_park(struct vcpu *vcpu)
{
    (void)vcpu;
    fail();
    return false;
}

void vm_freeze(struct vcpu *vcpu)
{
    (void)vcpu;
    fail();
}

void vm_thaw(struct vcpu *vcpu)
{
    (void)vcpu;
    fail();
}

/* --- the question --- */

static unsigned answers, answered_on;

static void answer(void *context)
{
    assert_ptr_equal(context, &answers);
    answers++;
    answered_on = this_core;
}

/* Takes longer than anybody waits for a core to come, but not for its answer. */
static void slow_answer(void *context)
{
    answer(context);
    tsc += 1500;
}

static int setup(void **state)
{
    (void)state;
    memset(hv_cores, 0, 2 * sizeof(hv_cores[0]));
    for (unsigned i = 0; i < 2; i++) {
        hv_cores[i].index = i;
        hv_cores[i].online = true;
        tq_init(&hv_cores[i].timers);
    }
    this_core = kicks = answers = 0;
    answered_on = 99;
    tsc = turn_at_tsc = 0;
    return 0;
}

static void a_core_asks_itself(void **state)
{
    (void)state;
    assert_true(core_ask(0, answer, &answers));
    assert_int_equal(answers, 1);
    assert_int_equal(answered_on, 0);
    assert_int_equal(kicks, 0);
}

static void another_core_answers_in_its_turn(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        turn_at_tsc = tsc + 300;
        assert_true(core_ask(1, answer, &answers));
        assert_int_equal(answers, i);
        assert_int_equal(answered_on, 1);
        assert_int_equal(kicks, i);
    }
    other_core_turns();
    assert_int_equal(answers, 3);
}

static void a_core_that_does_not_come(void **state)
{
    (void)state;
    assert_false(core_ask(1, answer, &answers));
    assert_in_range(tsc, 1000, 1100); /* a second */
    /* It comes after all: the question was withdrawn. */
    other_core_turns();
    assert_int_equal(answers, 0);
    turn_at_tsc = tsc + 100;
    assert_true(core_ask(1, answer, &answers));
    assert_int_equal(answers, 1);
}

static void an_answer_that_takes_long_is_waited_for(void **state)
{
    (void)state;
    turn_at_tsc = 900;
    assert_true(core_ask(1, slow_answer, &answers));
    assert_int_equal(answers, 1);
}

static void a_core_that_is_not_there(void **state)
{
    (void)state;
    hv_cores[1].online = false;
    assert_false(core_ask(1, answer, &answers));
    assert_int_equal(kicks, 0);
}

/* Taken by a core that never comes back from it: no further question goes there. */
static void a_core_that_is_lost(void **state)
{
    (void)state;
    hv_cores[1].question.state = QUESTION_TAKEN;
    assert_false(core_ask(1, answer, &answers));
    other_core_turns();
    assert_int_equal(answers, 0);
    /* It did come back. */
    hv_cores[1].question.state = QUESTION_ANSWERED;
    turn_at_tsc = tsc + 100;
    assert_true(core_ask(1, answer, &answers));
    assert_int_equal(answers, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_core_asks_itself, setup),
        cmocka_unit_test_setup(another_core_answers_in_its_turn, setup),
        cmocka_unit_test_setup(a_core_that_does_not_come, setup),
        cmocka_unit_test_setup(an_answer_that_takes_long_is_waited_for, setup),
        cmocka_unit_test_setup(a_core_that_is_not_there, setup),
        cmocka_unit_test_setup(a_core_that_is_lost, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
