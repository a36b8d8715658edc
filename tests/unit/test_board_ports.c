// SRCS: vmm/devices/isa_misc.c vmm/devices/debug_exit.c
/*
 * The board's small ports: 0x80, 0xED, 0x92, and the debug exit at 0xF4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake.h"
#include "fields.h"
#include "hv/dev_debug_exit.h"
#include "hv/dev_isa_misc.h"

static struct isa_misc misc;
static struct debug_exit debug_exit;
static struct fake_lines lines;
static unsigned requests, last_status;
static enum vm_request last_request;

static void request(void *context, enum vm_request what, unsigned status)
{
    (void)context;
    requests++;
    last_request = what;
    last_status = status;
}

static const struct vm_control control = { request, NULL };

static int setup(void **state)
{
    (void)state;
    struct irq_line a20 = fake_line(&lines, 20);
    memset(&lines, 0, sizeof(lines));
    requests = 0;
    isa_misc_init(&misc, &a20, &control);
    debug_exit_init(&debug_exit, &control);
    return 0;
}

static uint64_t in(unsigned tag, unsigned size)
{
    return fake_access(&misc.device, tag, BUS_PORT, 0, size, false, 0, NULL);
}

static void out(unsigned tag, unsigned size, uint64_t value)
{
    fake_access(&misc.device, tag, BUS_PORT, 0, size, true, value, NULL);
}

static void test_post_and_delay(void **state)
{
    (void)state;
    out(ISA_MISC_POST, 1, 0xAB);
    assert_int_equal(in(ISA_MISC_POST, 1), 0xAB);
    out(ISA_MISC_POST, 2, 0x1234);
    assert_int_equal(in(ISA_MISC_POST, 2), 0xFF34);
    out(ISA_MISC_DELAY, 1, 0xAB);
    assert_int_equal(in(ISA_MISC_DELAY, 1), 0xFF);
    assert_int_equal(requests, 0);
}

static void test_port92(void **state)
{
    (void)state;
    assert_int_equal(in(ISA_MISC_PORT92, 1), 2);
    assert_true(lines.level[20]);
    out(ISA_MISC_PORT92, 1, 0xFC);
    assert_int_equal(in(ISA_MISC_PORT92, 1), 0);
    assert_false(lines.level[20]);
    out(ISA_MISC_PORT92, 1, 2);
    assert_true(lines.level[20]);
    out(ISA_MISC_PORT92, 1, 3);
    assert_int_equal(requests, 1);
    assert_int_equal(last_request, VM_REQUEST_RESET);
    out(ISA_MISC_PORT92, 1, 3); /* only the rise counts */
    assert_int_equal(requests, 1);
}

static void test_misc_check_and_load(void **state)
{
    (void)state;
    struct isa_misc_state good, bad;
    out(ISA_MISC_PORT92, 1, 0);
    good = misc.state;
    bad = good, bad.port92 = 4;
    assert_true(misc.device.ops->check(&good));
    assert_false(misc.device.ops->check(&bad));
    misc.device.ops->reset(&misc.device);
    assert_true(lines.level[20]);
    misc.state = good;
    misc.device.ops->loaded(&misc.device);
    assert_false(lines.level[20]);
}

static void test_debug_exit(void **state)
{
    (void)state;
    fake_access(&debug_exit.device, 0, BUS_PORT, 0, 1, true, 0x2A, NULL);
    assert_int_equal(requests, 1);
    assert_int_equal(last_request, VM_REQUEST_EXIT);
    assert_int_equal(last_status, 0x2A);
    fake_access(&debug_exit.device, 0, BUS_PORT, 0, 4, true, 0x12345678, NULL);
    assert_int_equal(last_status, 0x12345678);
    assert_int_equal(fake_access(&debug_exit.device, 0, BUS_PORT, 0, 2, false, 0, NULL), 0xFFFF);
    debug_exit.device.ops->reset(&debug_exit.device);
    assert_int_equal(debug_exit.state.status, 0);
}

static void test_fields_cover_the_state(void **state)
{
    (void)state;
    assert_true(fake_fields_cover(misc.device.ops));
    assert_true(fake_fields_cover(debug_exit.device.ops));
}

#define T(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(post_and_delay), T(port92), T(misc_check_and_load), T(debug_exit),
        T(fields_cover_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
