// SRCS: arch/x86/vmx/pvclock.c
/*
 * The paravirtual clock's page, read as the documentation "KVM-specific MSRs" tells a guest to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "x86/pvclock.h"

/* As documented. */
struct __attribute__((packed)) vcpu_time_info {
    uint32_t version, pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags, pad[2];
};

struct __attribute__((packed)) wall_clock {
    uint32_t version, sec, nsec;
};

_Static_assert(sizeof(struct vcpu_time_info) == PVCLOCK_TIME_BYTES, "documented");
_Static_assert(sizeof(struct wall_clock) == PVCLOCK_WALL_BYTES, "documented");

static uint64_t guest_ns(const struct vcpu_time_info *page, uint64_t current_tsc)
{
    uint64_t time = current_tsc - page->tsc_timestamp;

    if (page->tsc_shift >= 0)
        time <<= page->tsc_shift;
    else
        time >>= -page->tsc_shift;
    return (uint64_t)((unsigned __int128)time * page->tsc_to_system_mul >> 32) + page->system_time;
}

static struct vcpu_time_info page_of(const struct pvclock_time *time)
{
    _Alignas(4) uint8_t memory[PVCLOCK_TIME_BYTES];
    struct vcpu_time_info page;

    memset(memory, 0xcc, sizeof(memory));
    pvclock_write_time(memory, time);
    memcpy(&page, memory, sizeof(page));
    return page;
}

static void seconds_of_any_tsc_are_seconds(void **state)
{
    static const uint64_t rates[] = { 1000000,   99998601,   100000000,  500000000,   999999999,
                                      1000000000, 1000000001, 2000000000, 2112000000, 3500000000,
                                      8000000000, 100000000000 };

    (void)state;
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct pvclock_time time = { .tsc_timestamp = 12345, .system_ns = 77 };
        pvclock_set_rate(&time, rates[i]);
        assert_true(time.tsc_to_system_mul >> 31);
        struct vcpu_time_info page = page_of(&time);
        assert_int_equal(guest_ns(&page, 12345), 77);
        for (uint64_t seconds = 1; seconds < 4000000; seconds *= 7) {
            uint64_t ns = guest_ns(&page, 12345 + seconds * rates[i]) - 77;
            uint64_t right = seconds * 1000000000;
            uint64_t off = ns > right ? ns - right : right - ns;
            assert_true(off <= 2 + right / (UINT64_C(1) << 31)); /* the multiplier's last bit */
        }
    }
}

/* Time does not go back while the counter goes forward. */
static void time_is_monotonic(void **state)
{
    struct pvclock_time time = { 0 };
    uint64_t before = 0;

    (void)state;
    pvclock_set_rate(&time, 3700000001);
    struct vcpu_time_info page = page_of(&time);
    for (uint64_t tsc = 0; tsc < 10000; tsc++) {
        uint64_t now = guest_ns(&page, tsc);
        assert_true(now >= before);
        before = now;
    }
    assert_int_equal(before, 9999 * UINT64_C(1000000000) / 3700000001);
}

static void every_field_is_where_the_documentation_says(void **state)
{
    const struct pvclock_time time = { .tsc_timestamp = UINT64_C(0x1122334455667788),
                                       .system_ns = UINT64_C(0x99aabbccddeeff00),
                                       .tsc_to_system_mul = 0x80000001,
                                       .tsc_shift = -3,
                                       .flags = PVCLOCK_TSC_STABLE };
    struct vcpu_time_info page = page_of(&time);

    (void)state;
    assert_true(page.tsc_timestamp == time.tsc_timestamp);
    assert_true(page.system_time == time.system_ns);
    assert_int_equal(page.tsc_to_system_mul, 0x80000001);
    assert_int_equal(page.tsc_shift, -3);
    assert_int_equal(page.flags, 1);
    assert_int_equal(page.pad0, 0);
    assert_int_equal(page.pad[0] | page.pad[1], 0);
}

static void the_version_is_even_and_moves_on(void **state)
{
    static const uint32_t found[] = { 0, 1, 2, 0xcccccccc, 0xfffffffe, 0xffffffff };
    const struct pvclock_time time = { .tsc_to_system_mul = 1 };

    (void)state;
    for (unsigned i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        struct vcpu_time_info page = { .version = found[i] };
        struct wall_clock wall = { .version = found[i] };
        pvclock_write_time(&page, &time);
        assert_int_equal(page.version & 1, 0);
        assert_int_not_equal(page.version, found[i]);
        pvclock_write_wall(&wall, 1, 2);
        assert_int_equal(wall.version & 1, 0);
        assert_int_not_equal(wall.version, found[i]);
    }
}

/* Nothing behind the structures is touched. */
static void structures_end_where_they_end(void **state)
{
    _Alignas(4) uint8_t memory[PVCLOCK_TIME_BYTES + 8];
    const struct pvclock_time time = { .tsc_to_system_mul = 1 };

    (void)state;
    memset(memory, 0x5a, sizeof(memory));
    pvclock_write_wall(memory, 0, 0);
    for (unsigned i = PVCLOCK_WALL_BYTES; i < sizeof(memory); i++)
        assert_int_equal(memory[i], 0x5a);
    pvclock_write_time(memory, &time);
    for (unsigned i = PVCLOCK_TIME_BYTES; i < sizeof(memory); i++)
        assert_int_equal(memory[i], 0x5a);
}

static void the_wall_clock_is_of_boot(void **state)
{
    struct wall_clock wall;

    (void)state;
    pvclock_write_wall(&wall, 1762300800, 999999999);
    assert_int_equal(wall.sec, 1762300800);
    assert_int_equal(wall.nsec, 999999999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_of_any_tsc_are_seconds),
        cmocka_unit_test(time_is_monotonic),
        cmocka_unit_test(every_field_is_where_the_documentation_says),
        cmocka_unit_test(the_version_is_even_and_moves_on),
        cmocka_unit_test(structures_end_where_they_end),
        cmocka_unit_test(the_wall_clock_is_of_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
