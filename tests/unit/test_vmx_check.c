// SRCS: arch/x86/vmx/check.c arch/x86/vmx/check_controls.c arch/x86/vmx/check_host.c arch/x86/vmx/check_segments.c arch/x86/vmx/check_guest.c arch/x86/vmx/check_msrs.c arch/x86/vmx/check_cases.c arch/x86/vmx/caps.c arch/x86/vmx/vmcs_fields.c vmm/lib/format.c
/*
 * Every rule of the entry checks, with a value that just passes and one that just fails. A case
 * starts from a VMCS that enters; its setup brings the rule into play and keeps the VMCS good; then
 * one field takes the good and the bad value. The bad one must break this rule and no other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "x86/regs.h"
#include "x86/vmx_check.h"
#include "arch/x86/vmx/check_cases.h"

static uint64_t world_read(void *context, uint32_t encoding)
{
    struct world *w = context;
    const struct vmcs_field_info *info = vmcs_field_find(encoding);
    assert_non_null(info);
    if (!vmcs_field_exists(&w->caps, encoding))
        fail_msg("%s does not exist and was read", info->name);
    return w->v[info - vmcs_fields];
}

static bool world_read_memory(void *context, uint64_t hpa, void *to, size_t bytes)
{
    struct world *w = context;
    if (w->memory_broken || hpa < WORLD_MEMORY || hpa + bytes > WORLD_MEMORY + sizeof(w->memory))
        return false;
    memcpy(to, w->memory + (hpa - WORLD_MEMORY), bytes);
    return true;
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    world_base(w);
    w->input.caps = &w->caps;
    w->input.read = world_read;
    w->input.read_memory = world_read_memory;
    w->input.context = w;
    return w;
}

static size_t run(const struct check_case *test, bool good, struct vmx_violation *out, size_t most)
{
    struct world *w = world_new();
    check_case_apply(w, test, good);
    size_t count = vmx_check_entry(&w->input, out, most);
    free(w);
    return count;
}

static void report(const struct check_case *test, const char *what,
                   const struct vmx_violation *found, size_t count)
{
    char text[400];
    printf("%s: %s: %zu violations\n", test->rule, what, count);
    for (size_t i = 0; i < count && i < 8; i++) {
        vmx_violation_text(text, sizeof(text), &found[i]);
        printf("    %s: %s\n", found[i].rule->name, text);
    }
}

static unsigned wrong_values(const struct check_case *test)
{
    struct vmx_violation found[8];
    unsigned wrong = 0;
    size_t count = run(test, true, found, 8);
    if (count) {
        report(test, "the good value", found, count);
        wrong++;
    }
    count = run(test, false, found, 8);
    bool right = count == (test->also ? 2 : 1) && !strcmp(found[0].rule->name, test->rule) &&
                 (!test->also || !strcmp(found[1].rule->name, test->also));
    if (!right) {
        report(test, "the bad value", found, count);
        wrong++;
    }
    return wrong;
}

static void every_case(void **state)
{
    (void)state;
    struct world *base = world_new();
    struct check_case test;
    unsigned wrong = 0;
    for (size_t i = 0; check_case_get(base, i, &test); i++)
        wrong += wrong_values(&test);
    free(base);
    assert_int_equal(wrong, 0);
}

static bool has_case(const struct world *base, const char *rule)
{
    struct check_case test;
    for (size_t i = 0; check_case_get(base, i, &test); i++)
        if (!strcmp(test.rule, rule))
            return true;
    return false;
}

static size_t count_cases(const struct world *base)
{
    struct check_case test;
    size_t count = 0;
    while (check_case_get(base, count, &test))
        count++;
    assert_false(check_case_get(base, count + 1000, &test));
    return count;
}

static void every_rule_has_a_case(void **state)
{
    (void)state;
    struct world *base = world_new();
    const struct vmx_rule *rule;
    unsigned missing = 0;
    size_t rules = 0;
    for (; (rule = vmx_check_rule(rules)); rules++) {
        if (!has_case(base, rule->name)) {
            printf("no case for %s\n", rule->name);
            missing++;
        }
        assert_non_null(vmcs_field_find(rule->field));
        assert_true(strlen(rule->text) > 5);
        for (size_t other = 0; other < rules; other++)
            assert_string_not_equal(vmx_check_rule(other)->name, rule->name);
    }
    assert_int_equal(missing, 0);
    print_message("%zu rules, %zu cases\n", rules, count_cases(base));
    free(base);
}

static void the_base_enters(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct vmx_violation found[8];
    size_t count = vmx_check_entry(&w->input, found, 8);
    assert_int_equal(count, 0);
    /* Without memory nothing is read from there. */
    w->input.read_memory = NULL;
    w->v[VMCS_INDEX_ENTRY_MSR_LOAD_COUNT] = 3;
    w->v[VMCS_INDEX_VMCS_LINK_POINTER] = WORLD_MEMORY;
    assert_int_equal(vmx_check_entry(&w->input, found, 8), 0);
    w->input.read_memory = world_read_memory;
    w->memory_broken = true;
    assert_int_equal(vmx_check_entry(&w->input, found, 8), 0);
    free(w);
}

/* A VMCS of nothing but zeros, and one of nothing but ones: everything is reported, nothing breaks,
 * and what does not fit is still counted. */
static void hopeless_contents(void **state)
{
    (void)state;
    for (unsigned fill = 0; fill <= 0xff; fill += 0xff) {
        struct world *w = world_new();
        memset(w->v, (int)fill, sizeof(w->v));
        struct vmx_violation found[300], few[3];
        size_t count = vmx_check_entry(&w->input, found, 300);
        assert_in_range(count, 10, 299);
        assert_int_equal(vmx_check_entry(&w->input, few, 3), count);
        assert_memory_equal(few, found, sizeof(few));
        assert_int_equal(vmx_check_entry(&w->input, NULL, 0), count);
        free(w);
    }
}

static void outcomes(void **state)
{
    (void)state;
    for (enum vmx_check_area area = 0; area < VMX_CHECK_AREA_COUNT; area++) {
        struct vmx_check_outcome outcome = vmx_check_outcome(area);
        assert_true(strlen(vmx_check_section(area)) > 8);
        unsigned expected = area <= VMX_CHECK_ENTRY ? 7 : area <= VMX_CHECK_HOST_SIZE ? 8 : 0;
        assert_int_equal(outcome.instruction_error, expected);
        assert_int_equal(outcome.exit_reason, expected ? 0 : area == VMX_CHECK_MSR_LOAD ? 34 : 33);
    }
    assert_int_equal(vmx_check_outcome(VMX_CHECK_GUEST_LINK).qualification, 4);
    assert_int_equal(vmx_check_outcome(VMX_CHECK_GUEST_PDPTE).qualification, 2);
}

static void texts(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct vmx_violation found[4];
    char text[300];
    w->v[VMCS_INDEX_HOST_TR_SELECTOR] = 0;
    assert_int_equal(vmx_check_entry(&w->input, found, 4), 1);
    int length = vmx_violation_text(text, sizeof(text), &found[0]);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "HOST_TR_SELECTOR = 0x0; required: is not 0000H (SDM \"Checks on "
                              "Host Segment and Descriptor-Table Registers\")");
    world_base(w);
    w->v[VMCS_INDEX_ENTRY_MSR_LOAD_COUNT] = 2;
    w->v[VMCS_INDEX_ENTRY_MSR_LOAD_ADDRESS] = WORLD_MEMORY;
    uint64_t good = 0x174, bad = 0xc0000101;
    memcpy(w->memory, &good, 8);
    memcpy(w->memory + 16, &bad, 8);
    assert_int_equal(vmx_check_entry(&w->input, found, 4), 1);
    assert_int_equal(found[0].msr_entry, 2);
    vmx_violation_text(text, sizeof(text), &found[0]);
    assert_string_equal(text, "MSR 0xc0000101, entry 2; required: the MSR is not IA32_FS_BASE or "
                              "IA32_GS_BASE (SDM \"Loading MSRs\")");
    free(w);
}

/* PDPTEs of a guest without EPT come from memory; the report holds what was there. */
static void pdptes_from_memory(void **state)
{
    (void)state;
    struct world *w = world_new();
    tweak_pae_guest(w);
    w->v[VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS] &= ~(uint64_t)CPU2_ENABLE_EPT;
    w->v[VMCS_INDEX_GUEST_CR3] = WORLD_MEMORY + 0x40;
    uint64_t bad = 0x1003;
    memcpy(w->memory + 0x40 + 8, &bad, 8);
    struct vmx_violation found[4];
    assert_int_equal(vmx_check_entry(&w->input, found, 4), 1);
    assert_string_equal(found[0].rule->name, "guest_pdpte1");
    assert_int_equal(found[0].value, 0x1003);
    w->memory_broken = true;
    assert_int_equal(vmx_check_entry(&w->input, found, 4), 0);
    free(w);
}

static void list_ends(void **state)
{
    (void)state;
    assert_null(vmx_check_rule(100000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_base_enters),
        cmocka_unit_test(every_case),
        cmocka_unit_test(every_rule_has_a_case),
        cmocka_unit_test(hopeless_contents),
        cmocka_unit_test(outcomes),
        cmocka_unit_test(texts),
        cmocka_unit_test(pdptes_from_memory),
        cmocka_unit_test(list_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
