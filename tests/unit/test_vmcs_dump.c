// SRCS: arch/x86/vmx/vmcs_dump.c arch/x86/vmx/policy.c arch/x86/vmx/caps.c arch/x86/vmx/vmcs_fields.c vmm/lib/format.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmx_profiles.h"
#include "x86/vmcs_dump.h"

struct lines {
    char *text;
    size_t length, count;
};

static void take_line(void *context, const char *line)
{
    struct lines *lines = context;
    assert_in_range(strlen(line), 1, 100);
    lines->text = realloc(lines->text, lines->length + strlen(line) + 2);
    lines->length += (size_t)sprintf(lines->text + lines->length, "%s\n", line);
    lines->count++;
}

struct vmcs {
    const struct vmx_caps *caps;
    unsigned reads;
    uint32_t unreadable;
};

static bool read_field(void *context, uint32_t encoding, uint64_t *value)
{
    struct vmcs *vmcs = context;
    assert_true(vmcs_field_exists(vmcs->caps, encoding));
    vmcs->reads++;
    switch (encoding) {
    case VMCS_GUEST_RIP:
        *value = 0xffffffff81000000;
        break;
    case VMCS_GUEST_CS_SELECTOR:
        *value = 0x10;
        break;
    case VMCS_PIN_BASED_CONTROLS:
        *value = 0x7f;
        break;
    case VMCS_PRIMARY_PROC_BASED_CONTROLS:
        *value = 0xffffffff;
        break;
    default:
        *value = 0;
    }
    return encoding != vmcs->unreadable;
}

static void only_what_exists_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < VMX_PROFILE_COUNT; i++) {
        struct vmx_caps caps = vmx_profile_caps(vmx_profiles[i].name);
        struct vmcs vmcs = { .caps = &caps };
        struct lines lines = { 0 };
        vmcs_dump(&caps, read_field, &vmcs, take_line, &lines);
        unsigned exist = 0;
        for (size_t f = 0; f < VMCS_FIELD_COUNT; f++)
            exist += vmcs_field_exists(&caps, vmcs_fields[f].encoding);
        assert_int_equal(vmcs.reads, exist);
        assert_true(lines.count >= exist + 4);
        free(lines.text);
    }
}

static void values_are_lined_up_and_controls_named(void **state)
{
    (void)state;
    struct vmx_caps caps = vmx_profile_caps("Haswell");
    struct vmcs vmcs = { .caps = &caps, .unreadable = VMCS_GUEST_RSP };
    struct lines lines = { 0 };
    vmcs_dump(&caps, read_field, &vmcs, take_line, &lines);
    assert_non_null(strstr(lines.text,
        "  GUEST_RIP                             ffffffff81000000\n"));
    assert_non_null(strstr(lines.text,
        "  GUEST_CS_SELECTOR                                 0010\n"));
    assert_non_null(strstr(lines.text,
        "  PIN_BASED_CONTROLS                            0000007f\n"
        "      external-interrupt exiting, NMI exiting, virtual NMIs, activate VMX-preemption timer\n"));
    assert_non_null(strstr(lines.text, "GUEST_RSP                             (can't be read)"));
    assert_null(strstr(lines.text, "TSC_MULTIPLIER"));
    const char *groups[] = { "guest state\n", "host state\n", "controls\n", "exit information\n" };
    const char *at = lines.text;
    for (size_t i = 0; i < 4; i++) {
        at = strstr(at, groups[i]);
        assert_non_null(at);
    }
    free(lines.text);
}

static void long_control_lists_wrap(void **state)
{
    (void)state;
    struct lines lines = { 0 };
    vmcs_dump_controls(VMX_WORD_CPU, 0xffffffff, 4, take_line, &lines);
    assert_true(lines.count > 2);
    assert_non_null(strstr(lines.text, "interrupt-window exiting, use TSC offsetting"));
    assert_non_null(strstr(lines.text, "activate secondary controls\n"));
    size_t count = lines.count;
    vmcs_dump_controls(VMX_WORD_CPU, 0, 4, take_line, &lines);
    vmcs_dump_controls(VMX_WORD_PIN, 0x16, 4, take_line, &lines); /* only unnamed bits */
    assert_int_equal(lines.count, count);
    free(lines.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_exists_is_read),
        cmocka_unit_test(values_are_lined_up_and_controls_named),
        cmocka_unit_test(long_control_lists_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
