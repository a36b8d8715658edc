// SRCS: arch/x86/emul/breakpoint.c
/* SDM volume 3 "Debug Registers"; the table of "Breakpoint Field Recognition" is replayed whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "x86/breakpoint.h"

#define DE UINT64_C(8)

enum { RW_X, RW_W, RW_IO, RW_RW };
enum { LEN1, LEN2, LEN8, LEN4 };

static uint64_t fields(unsigned n, unsigned rw, unsigned len)
{
    return (uint64_t)(rw | len << 2) << (16 + 4 * n);
}

static uint64_t local(unsigned n)
{
    return UINT64_C(1) << 2 * n;
}

/* DR0 R/W 1 LEN 1, A0001; DR1 W LEN 1, A0002; DR2 R/W LEN 2, B0002; DR3 W LEN 4, C0000. */
static const struct breakpoint_registers example = {
    .dr = { 0xa0001, 0xa0002, 0xb0002, 0xc0000 },
    .dr7 = 0x55 | UINT64_C(0x3) << 16 | UINT64_C(0x1) << 20 | UINT64_C(0x7) << 24 |
           UINT64_C(0xd) << 28,
};

static void the_manuals_table(void **state)
{
    (void)state;
    static const struct {
        enum breakpoint_access access;
        uint64_t address;
        unsigned bytes, met;
    } rows[] = {
        { BREAKPOINT_READ, 0xa0001, 1, 1 },  { BREAKPOINT_WRITE, 0xa0001, 1, 1 },
        { BREAKPOINT_READ, 0xa0001, 2, 1 },  { BREAKPOINT_WRITE, 0xa0001, 2, 3 },
        { BREAKPOINT_WRITE, 0xa0002, 1, 2 }, { BREAKPOINT_WRITE, 0xa0002, 2, 2 },
        { BREAKPOINT_READ, 0xb0001, 4, 4 },  { BREAKPOINT_WRITE, 0xb0001, 4, 4 },
        { BREAKPOINT_READ, 0xb0002, 1, 4 },  { BREAKPOINT_READ, 0xb0002, 2, 4 },
        { BREAKPOINT_WRITE, 0xb0002, 2, 4 }, { BREAKPOINT_WRITE, 0xc0000, 4, 8 },
        { BREAKPOINT_WRITE, 0xc0001, 2, 8 }, { BREAKPOINT_WRITE, 0xc0003, 1, 8 },
        /* and those that do not trap */
        { BREAKPOINT_WRITE, 0xa0000, 1, 0 }, { BREAKPOINT_READ, 0xa0002, 1, 0 },
        { BREAKPOINT_WRITE, 0xa0003, 4, 0 }, { BREAKPOINT_READ, 0xb0000, 2, 0 },
        { BREAKPOINT_READ, 0xc0000, 2, 0 },  { BREAKPOINT_READ, 0xc0004, 4, 0 },
        { BREAKPOINT_WRITE, 0xc0004, 4, 0 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(
            breakpoint_match(&example, rows[i].access, rows[i].address, rows[i].bytes),
            rows[i].met);
}

static void kinds(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 4; n++) {
        for (unsigned rw = 0; rw < 4; rw++) {
            struct breakpoint_registers r = { .dr7 = local(n) | fields(n, rw, LEN1), .cr4 = DE };
            unsigned bit = 1u << n;
            for (unsigned i = 0; i < 4; i++)
                r.dr[i] = i == n ? 0x60 : 0x1000;
            assert_int_equal(breakpoint_match(&r, BREAKPOINT_READ, 0x60, 1), rw == RW_RW ? bit : 0);
            assert_int_equal(breakpoint_match(&r, BREAKPOINT_WRITE, 0x60, 1),
                             rw == RW_RW || rw == RW_W ? bit : 0);
            assert_int_equal(breakpoint_match(&r, BREAKPOINT_PORT, 0x60, 1), rw == RW_IO ? bit : 0);
            r.cr4 = 0;
            assert_int_equal(breakpoint_match(&r, BREAKPOINT_PORT, 0x60, 1), 0);
        }
    }
}

static void lengths_and_alignment(void **state)
{
    (void)state;
    static const unsigned bytes[4] = { [LEN1] = 1, [LEN2] = 2, [LEN8] = 8, [LEN4] = 4 };
    for (unsigned len = 0; len < 4; len++) {
        for (uint64_t at = 0x1000; at < 0x1010; at++) {
            struct breakpoint_registers r = { { at }, local(0) | fields(0, RW_W, len), 0 };
            uint64_t first = at & ~(uint64_t)(bytes[len] - 1);
            for (uint64_t address = 0xff0; address < 0x1020; address++) {
                for (unsigned size = 1; size <= 16; size *= 2) {
                    bool meet = address + size > first && address < first + bytes[len];
                    assert_int_equal(breakpoint_match(&r, BREAKPOINT_WRITE, address, size), meet);
                }
            }
        }
    }
}

static void enables(void **state)
{
    (void)state;
    struct breakpoint_registers r = {
        .dr = { 0x10, 0x10, 0x10, 0x20 },
        .dr7 = fields(0, RW_W, LEN1) | fields(1, RW_RW, LEN1) | fields(2, RW_X, LEN1),
    };
    assert_int_equal(breakpoint_match(&r, BREAKPOINT_WRITE, 0x10, 1), 0);
    r.dr7 |= 0x300; /* LE and GE enable nothing */
    assert_int_equal(breakpoint_match(&r, BREAKPOINT_WRITE, 0x10, 1), 0);
    r.dr7 |= local(1) << 1; /* G1: B0 is shown along with it, though it is off */
    assert_int_equal(breakpoint_match(&r, BREAKPOINT_WRITE, 0x10, 1), 3);
    assert_int_equal(breakpoint_match(&r, BREAKPOINT_READ, 0x10, 1), 2);
    r.dr7 |= local(2); /* met only by execution */
    assert_int_equal(breakpoint_match(&r, BREAKPOINT_READ, 0x10, 1), 2);
}

static void ends_of_the_address_space(void **state)
{
    (void)state;
    struct breakpoint_registers r = { { UINT64_MAX, 0 }, local(0) | local(1) |
        fields(0, RW_W, LEN1) | fields(1, RW_W, LEN1), 0 };
    assert_int_equal(breakpoint_match(&r, BREAKPOINT_WRITE, UINT64_MAX, 1), 1);
    assert_int_equal(breakpoint_match(&r, BREAKPOINT_WRITE, UINT64_MAX - 3, 4), 1);
    assert_int_equal(breakpoint_match(&r, BREAKPOINT_WRITE, UINT64_MAX - 3, 8), 1);
    assert_int_equal(breakpoint_match(&r, BREAKPOINT_WRITE, 0, 8), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manuals_table),
        cmocka_unit_test(kinds),
        cmocka_unit_test(lengths_and_alignment),
        cmocka_unit_test(enables),
        cmocka_unit_test(ends_of_the_address_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
