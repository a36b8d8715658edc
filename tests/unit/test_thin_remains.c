// SRCS: arch/x86/vmx/thin_remains.c arch/x86/vmx/trace_text.c arch/x86/vmx/stats.c arch/x86/vmx/errors.c arch/x86/cpu/msr_names.c vmm/lib/format.c
/*
 * Thin mode's remains: what is valid, what is printed, and pointers that nobody may follow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "x86/thin_remains.h"
#include "x86/trace.h"

#define BLOCK_BYTES (256u * 1024)
#define REASONS 82u
#define CPUID 10u

static uint8_t *block;
static struct thin_remains *remains;
static char text[64 * 1024];

static int set_up(void **state)
{
    (void)state;
    block = aligned_alloc(4096, BLOCK_BYTES);
    memset(block, 0, BLOCK_BYTES);
    remains = (struct thin_remains *)block;
    uint64_t *exits = (uint64_t *)(block + 4096);
    struct vmx_trace *trace = (struct vmx_trace *)(block + 8192);
    exits[CPUID] = 1234;
    trace->records = (struct vmx_trace_record *)(block + 16384);
    trace->count = 2;
    trace->records[0] = (struct vmx_trace_record){ .tsc = 100, .rip = 0x1111, .reason = CPUID };
    trace->records[1] = (struct vmx_trace_record){ .tsc = 200, .rip = 0x2222, .reason = CPUID };
    *remains = (struct thin_remains){
        .magic = THIN_REMAINS_MAGIC, .version = THIN_REMAINS_VERSION, .core_count = 1,
        .block_start = (uint64_t)block, .block_bytes = BLOCK_BYTES, .reasons = REASONS,
        .core[0] = { (uint64_t)trace, (uint64_t)exits },
    };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(block);
    return 0;
}

static size_t render(void)
{
    return thin_remains_text(remains, text, sizeof(text));
}

static void test_what_is_valid(void **state)
{
    (void)state;
    assert_true(thin_remains_valid(remains, (uint64_t)block));
    assert_false(thin_remains_valid(remains, (uint64_t)block + 4096));
    struct thin_remains good = *remains;
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        remains->field = (value);                                                                  \
        assert_false(thin_remains_valid(remains, (uint64_t)block));                                \
        *remains = good;                                                                           \
    } while (0)
    REFUSED(magic, 0);
    REFUSED(version, 2);
    REFUSED(core_count, THIN_REMAINS_CORES + 1);
    REFUSED(reasons, VMX_STATS_REASONS + 1);
    REFUSED(block_bytes, 4095);
    REFUSED(block_bytes, UINT64_MAX);
    REFUSED(block_start, 0);
}

static void test_text(void **state)
{
    (void)state;
    size_t length = render();
    assert_int_equal(length, strlen(text));
    assert_non_null(strstr(text, "1 core\r\n"));
    assert_non_null(strstr(text, "CPUID"));
    assert_non_null(strstr(text, " 1234\r\n"));
    char *first = strstr(text, "1111"), *second = strstr(text, "2222");
    assert_true(first && second && first < second);
}

/* Firmware has written over parts of it. */
static void test_pointers_that_lead_elsewhere(void **state)
{
    (void)state;
    const uint64_t bad[] = { 0, 1, (uint64_t)block - 8, (uint64_t)block + BLOCK_BYTES - 8,
                             (uint64_t)block + BLOCK_BYTES, UINT64_MAX & ~7ull,
                             (uint64_t)block + 4097 };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct vmx_trace *trace = (struct vmx_trace *)(block + 8192);
        remains->core[0] = (struct thin_remains_core){ bad[i], bad[i] };
        render();
        assert_null(strstr(text, "1234"));
        assert_null(strstr(text, "2222"));
        remains->core[0].trace = (uint64_t)trace;
        trace->records = (struct vmx_trace_record *)bad[i];
        render();
        assert_null(strstr(text, "2222"));
    }
}

/* A block so small that a ring of records cannot lie in it, whatever is said. */
static void test_a_small_block(void **state)
{
    (void)state;
    remains->block_bytes = 4096;
    remains->core[0].exits = (uint64_t)block + 1024;
    remains->core[0].trace = (uint64_t)block + 2048;
    ((uint64_t *)(block + 1024))[CPUID] = 77;
    *(struct vmx_trace *)(block + 2048) =
        (struct vmx_trace){ .records = (struct vmx_trace_record *)block, .count = 2 };
    assert_true(thin_remains_valid(remains, (uint64_t)block));
    render();
    assert_non_null(strstr(text, " 77\r\n"));
    assert_null(strstr(text, "the last exits"));
    remains->core_count = 2; /* and the second core has left nothing */
    render();
    assert_non_null(strstr(text, "2 cores\r\n"));
}

static void test_any_record_and_any_room(void **state)
{
    (void)state;
    struct vmx_trace *trace = (struct vmx_trace *)(block + 8192);
    memset(trace->records, 0xff, VMX_TRACE_RECORDS * sizeof(*trace->records));
    trace->count = UINT64_MAX;
    assert_true(render() < sizeof(text));
    for (size_t room = 1; room < 400; room += 7) {
        text[room] = '#';
        assert_true(thin_remains_text(remains, text, room) < room);
        assert_int_equal(text[room], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_valid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pointers_that_lead_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_small_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_any_record_and_any_room, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
