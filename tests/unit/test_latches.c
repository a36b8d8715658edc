// SRCS: vmm/devices/latches.c
/* Latches of 4 bytes: what is written is read, byte by byte too, and each keeps its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hv/dev_latches.h"

static struct latches latches;

static uint64_t go(unsigned tag, uint64_t offset, uint8_t size, bool write, uint64_t value)
{
    struct bus_access access = { BUS_MMIO, size, write, offset, value };

    assert_int_equal(latches.device.ops->access(&latches.device, tag, &access), BUS_DONE);
    return access.value;
}

static void keeps_what_is_written(void **state)
{
    (void)state;
    latches_init(&latches);
    go(0, 0, 4, true, 0x11223344);
    go(LATCHES_MAX - 1, 0, 4, true, 0x55667788);
    assert_int_equal(go(0, 0, 4, false, 0), 0x11223344);
    assert_int_equal(go(LATCHES_MAX - 1, 0, 4, false, 0), 0x55667788);
    assert_int_equal(go(1, 0, 4, false, 0), 0);
    assert_int_equal(go(0, 1, 1, false, 0), 0x33);
    assert_int_equal(go(0, 2, 2, false, 0), 0x1122);
    go(0, 3, 1, true, 0xaa);
    go(0, 0, 2, true, 0xbbcc);
    assert_int_equal(go(0, 0, 4, false, 0), 0xaa22bbcc);
    /* What would reach beyond it is lost. */
    go(0, 3, 2, true, 0xffee);
    assert_int_equal(go(0, 0, 4, false, 0), 0xee22bbcc);
    assert_int_equal(go(0, 0, 8, false, 0), 0xee22bbcc);
    latches.device.ops->reset(&latches.device);
    assert_int_equal(go(0, 0, 4, false, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(keeps_what_is_written) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
