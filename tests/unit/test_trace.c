// SRCS: arch/x86/vmx/trace_text.c arch/x86/vmx/stats.c arch/x86/vmx/errors.c vmm/lib/format.c
/*
 * Ticks by reason, the ring's arithmetic, and records as text. Qualifications are written from the
 * SDM's tables ("Exit Qualification for ..."), not by the code that decodes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "x86/trace.h"

/* --- statistics --- */

static void buckets_are_powers_of_two(void **state)
{
    (void)state;
    assert_int_equal(vmx_stats_bucket(0), 0);
    assert_int_equal(vmx_stats_bucket(1), 0);
    for (unsigned n = 1; n < VMX_STATS_BUCKETS; n++) {
        assert_int_equal(vmx_stats_bucket((UINT64_C(1) << n) - 1), n - 1);
        assert_int_equal(vmx_stats_bucket(UINT64_C(1) << n), n);
    }
    assert_int_equal(vmx_stats_bucket(UINT64_MAX), VMX_STATS_BUCKETS - 1);
}

static void counts_sum_least_most(void **state)
{
    struct vmx_stats_row row = { 0 };

    (void)state;
    assert_int_equal(vmx_stats_count(&row), 0);
    vmx_stats_add(&row, 100);
    assert_int_equal(row.least, 100);
    assert_int_equal(row.most, 100);
    vmx_stats_add(&row, 90);
    vmx_stats_add(&row, 4000);
    vmx_stats_add(&row, 95);
    assert_int_equal(row.sum, 4285);
    assert_int_equal(row.least, 90);
    assert_int_equal(row.most, 4000);
    assert_int_equal(row.bucket[6], 3);
    assert_int_equal(row.bucket[11], 1);
    assert_int_equal(vmx_stats_count(&row), 4);
}

static void an_exit_is_never_free(void **state)
{
    struct vmx_stats_row row = { 0 };

    (void)state;
    vmx_stats_add(&row, 0);
    assert_int_equal(row.least, 1);
    assert_int_equal(row.sum, 1);
    vmx_stats_add(&row, 7);
    assert_int_equal(row.least, 1);
}

static void merges_as_if_counted_together(void **state)
{
    const uint64_t values[] = { 5, 1, 900, 77, 78, 1u << 20, 3, UINT64_C(1) << 40 };
    struct vmx_stats_row all = { 0 }, a = { 0 }, b = { 0 }, empty = { 0 };

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        vmx_stats_add(&all, values[i]);
        vmx_stats_add(i & 1 ? &a : &b, values[i]);
    }
    struct vmx_stats_row other_way = b;
    vmx_stats_merge(&other_way, &a);
    assert_memory_equal(&other_way, &all, sizeof(all));
    vmx_stats_merge(&a, &b);
    vmx_stats_merge(&a, &empty);
    assert_memory_equal(&a, &all, sizeof(all));
    vmx_stats_merge(&empty, &all);
    assert_memory_equal(&empty, &all, sizeof(all));
}

static void percentiles_are_the_bucket_s_end(void **state)
{
    struct vmx_stats_row row = { 0 };

    (void)state;
    assert_int_equal(vmx_stats_below(&row, 50), 0);
    for (unsigned i = 0; i < 99; i++)
        vmx_stats_add(&row, 100);
    vmx_stats_add(&row, 5000);
    assert_int_equal(vmx_stats_below(&row, 50), 128);
    assert_int_equal(vmx_stats_below(&row, 99), 128);
    assert_int_equal(vmx_stats_below(&row, 100), 8192);
}

static void a_row_as_text(void **state)
{
    struct vmx_stats_row row = { 0 };
    char text[200], *small = malloc(12);

    (void)state;
    vmx_stats_add(&row, 90);
    vmx_stats_add(&row, 100);
    vmx_stats_add(&row, 200);
    int length = vmx_stats_text(text, sizeof(text), &row);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "count=3 sum=390 least=90 most=200 log2=6:2,7:1");
    assert_int_equal(vmx_stats_text(small, 12, &row), length);
    assert_string_equal(small, "count=3 sum");
    free(small);
}

/* --- the ring --- */

static void the_ring_keeps_the_last(void **state)
{
    struct vmx_trace trace = { calloc(VMX_TRACE_RECORDS, sizeof(struct vmx_trace_record)), 0 };

    (void)state;
    assert_int_equal(vmx_trace_first(&trace, 10), 0);
    for (uint64_t i = 0; i < VMX_TRACE_RECORDS + 5; i++) {
        vmx_trace_begin(&trace)->tsc = i;
        assert_int_equal(vmx_trace_last(&trace)->tsc, i);
    }
    assert_int_equal(trace.count, VMX_TRACE_RECORDS + 5);
    assert_int_equal(vmx_trace_first(&trace, UINT64_MAX), 5);
    assert_int_equal(vmx_trace_first(&trace, 3), VMX_TRACE_RECORDS + 2);
    assert_int_equal(vmx_trace_first(&trace, 0), trace.count);
    for (uint64_t i = vmx_trace_first(&trace, UINT64_MAX); i < trace.count; i++)
        assert_int_equal(vmx_trace_at(&trace, i)->tsc, i);
    free(trace.records);
}

/* --- text --- */

static void expect(const struct vmx_trace_record *record, const char *text)
{
    char out[400];
    int length = vmx_trace_describe(out, sizeof(out), record, 1000);

    assert_string_equal(out, text);
    assert_int_equal(length, strlen(text));
}

static void an_instruction_with_its_values(void **state)
{
    struct vmx_trace_record r = { .tsc = 3500, .rip = 0xffffffff81000000, .reason = 10, .ticks = 55,
                                  .detail = 0xb | UINT64_C(1) << 32, .flags = VMX_TRACE_ADVANCED };

    (void)state;
    expect(&r, "        2500       55  ffffffff81000000  CPUID (10): leaf 0xb.1");
    r.reason = 32;
    r.detail = 0x6e0;
    r.value = 0x123456789a;
    expect(&r, "        2500       55  ffffffff81000000  WRMSR (32): 0x6e0 = 0x123456789a");
    r.reason = 31;
    expect(&r, "        2500       55  ffffffff81000000  RDMSR (31): 0x6e0 = 0x123456789a");
}

static void ports_show_their_width(void **state)
{
    /* Size 1, IN, port 0x3fd. */
    struct vmx_trace_record r = { .tsc = 1000, .rip = 0x7c00, .reason = 30, .ticks = 1,
                                  .qualification = UINT64_C(0x3fd) << 16 | 8, .value = 0xdead60 };

    (void)state;
    expect(&r, "           0        1  0000000000007c00  "
               "IO_INSTRUCTION (30): in port 0x3fd, 1 byte, 0x60");
    r.qualification = UINT64_C(0xcf8) << 16 | 3;
    r.value = 0xffffffff80001000;
    expect(&r, "           0        1  0000000000007c00  "
               "IO_INSTRUCTION (30): out port 0xcf8, 4 bytes, 0x80001000");
    r.qualification = UINT64_C(0x1f0) << 16 | 1 | 8 | 16 | 32;
    r.value = 0x5000;
    expect(&r, "           0        1  0000000000007c00  "
               "IO_INSTRUCTION (30): rep ins port 0x1f0, 2 bytes, memory at 0x5000");
}

static void registers_and_memory(void **state)
{
    /* MOV to CR4 from RDX. */
    struct vmx_trace_record r = { .tsc = 1000, .reason = 28, .qualification = 4 | 2 << 8,
                                  .value = 0x6f0 };

    (void)state;
    expect(&r, "           0        0  0000000000000000  CR_ACCESS (28): mov cr4, rdx = 0x6f0");
    r.qualification = 2 << 4; /* CLTS: no register */
    expect(&r, "           0        0  0000000000000000  CR_ACCESS (28): clts");
    r.reason = 29;
    r.qualification = 7 | 1 << 4;
    r.value = 0x400;
    expect(&r, "           0        0  0000000000000000  MOV_DR (29): mov rax, dr7 = 0x400");
    r.reason = 48;
    r.qualification = 1 | 1 << 7 | 1 << 8;
    r.detail = 0xfee00020;
    r.value = 0xffffffffff5fd020;
    expect(&r, "           0        0  0000000000000000  EPT_VIOLATION (48): read at GPA 0xfee00020, "
               "allowed ---, GLA 0xffffffffff5fd020");
}

static void events_and_what_comes_next(void **state)
{
    struct vmx_trace_record r = { .tsc = 1000, .reason = 12, .next = 2,
                                  .injected = 0x800000ec, .ticks = 9 };

    (void)state;
    expect(&r, "           0        9  0000000000000000  "
               "HLT (12); entered with external interrupt 236; sleeps");
    r.injected = 0x236; /* not valid */
    r.queued = 0x80000b0d;
    r.next = 1;
    expect(&r, "           0        9  0000000000000000  "
               "HLT (12); queues hardware exception 13 #GP; yields");
    r.queued = 0;
    r.next = 3;
    expect(&r, "           0        9  0000000000000000  HLT (12); ends");
    r.next = 77;
    expect(&r, "           0        9  0000000000000000  HLT (12); ?");
    r.next = 0;
    r.reason = 0;
    r.detail = 0x80000b0e | UINT64_C(2) << 32;
    r.qualification = 0x1234;
    expect(&r, "           0        9  0000000000000000  EXCEPTION_NMI (0): hardware exception 14 "
               "#PF, error code 0x2, address 0x1234");
    r.reason = 1;
    r.detail = 0x800000f1;
    expect(&r, "           0        9  0000000000000000  EXTERNAL_INTERRUPT (1): vector 241");
}

static void an_exit_that_never_came_back(void **state)
{
    struct vmx_trace_record r = { .tsc = 1000, .reason = 2, .flags = VMX_TRACE_OPEN };

    (void)state;
    expect(&r, "           0        -  0000000000000000  TRIPLE_FAULT (2)");
    r.reason = 4000;
    expect(&r, "           0        -  0000000000000000  UNKNOWN (4000)");
}

static void text_is_cut_and_never_overrun(void **state)
{
    struct vmx_trace_record r = { .tsc = 1000, .reason = 48, .qualification = UINT64_MAX,
                                  .injected = 0x80000300, .queued = 0x80000300, .next = 3 };
    char whole[400];
    int length = vmx_trace_describe(whole, sizeof(whole), &r, 0);

    (void)state;
    for (size_t room = 1; room < (size_t)length + 2; room++) {
        char *out = malloc(room);
        assert_int_equal(vmx_trace_describe(out, room, &r, 0), length);
        assert_int_equal(strlen(out), room - 1 < (size_t)length ? room - 1 : (size_t)length);
        assert_memory_equal(out, whole, strlen(out));
        free(out);
    }
    assert_int_equal(vmx_trace_describe(NULL, 0, &r, 0), length);
}

static void a_line_for_the_tool(void **state)
{
    struct vmx_trace_record r = { .tsc = 0xabc, .rip = 0xffff, .qualification = 1, .detail = 2,
                                  .value = 3, .reason = 0x80000021, .ticks = 77,
                                  .injected = 0x800000ec, .queued = 0x80000b0d, .next = 2,
                                  .flags = 2 };
    char text[300];

    (void)state;
    vmx_trace_encode(text, sizeof(text), "debian", 1, 4096, &r);
    assert_string_equal(text, "TRACE debian 1 4096 abc 77 2147483681 ffff 1 2 3 800000ec 80000b0d "
                              "2 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_powers_of_two),
        cmocka_unit_test(counts_sum_least_most),
        cmocka_unit_test(an_exit_is_never_free),
        cmocka_unit_test(merges_as_if_counted_together),
        cmocka_unit_test(percentiles_are_the_bucket_s_end),
        cmocka_unit_test(a_row_as_text),
        cmocka_unit_test(the_ring_keeps_the_last),
        cmocka_unit_test(an_instruction_with_its_values),
        cmocka_unit_test(ports_show_their_width),
        cmocka_unit_test(registers_and_memory),
        cmocka_unit_test(events_and_what_comes_next),
        cmocka_unit_test(an_exit_that_never_came_back),
        cmocka_unit_test(text_is_cut_and_never_overrun),
        cmocka_unit_test(a_line_for_the_tool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
