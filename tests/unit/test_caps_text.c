// SRCS: arch/x86/vmx/caps_text.c arch/x86/vmx/caps.c arch/x86/vmx/policy.c arch/x86/vmx/vmcs_fields.c vmm/lib/format.c
/*
 * The capability report in the line format of course assignments: can set = the bit in the high word,
 * can clear = not the bit in the low word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "x86/caps_text.h"

static char text[20000];

static void line(void *context, const char *one)
{
    (void)context;
    assert_true(strlen(one) < 100);
    assert_true(strlen(text) + strlen(one) + 2 < sizeof(text));
    strcat(text, one);
    strcat(text, "\n");
}

static void report(const struct vmx_caps *caps, bool use_true)
{
    text[0] = '\0';
    vmx_caps_text(caps, use_true, line, NULL);
}

static void expect(const char *wanted)
{
    if (!strstr(text, wanted))
        fail_msg("no '%s' in:\n%s", wanted, text);
}

static void expect_not(const char *unwanted)
{
    if (strstr(text, unwanted))
        fail_msg("'%s' in:\n%s", unwanted, text);
}

/* Pin-based: bits 1, 2, 4 are always 1; NMI exiting may be set; the timer must not. */
static struct vmx_caps machine(void)
{
    return (struct vmx_caps){
        .pinbased = UINT64_C(0x0000003f) << 32 | 0x16,
        .procbased = UINT64_C(0xfff9fffe) << 32 | 0x0401e172,
        .procbased2 = UINT64_C(0x000000ff) << 32 | 0x2,
        .exit = UINT64_C(0x007fffff) << 32 | 0x36dff,
        .entry = UINT64_C(0x0000ffff) << 32 | 0x11ff,
        .true_pinbased = UINT64_C(0x0000007f) << 32 | 0x16,
    };
}

static void a_line_a_control(void **state)
{
    struct vmx_caps caps = machine();

    (void)state;
    report(&caps, false);
    static const char head[] = "Pin-based controls: IA32_VMX_PINBASED_CTLS (0x481) = "
                              "0x0000003f00000016\n"
                              "  external-interrupt exiting: Can set=Yes, Can clear=Yes\n"
                              "  NMI exiting: Can set=Yes, Can clear=Yes\n"
                              "  virtual NMIs: Can set=Yes, Can clear=Yes\n"
                              "  activate VMX-preemption timer: Can set=No, Can clear=Yes\n"
                              "  process posted interrupts: Can set=No, Can clear=Yes\n"
                              "Processor-based controls: ";
    assert_memory_equal(text, head, sizeof(head) - 1);
    expect("Processor-based controls: IA32_VMX_PROCBASED_CTLS (0x482) = 0xfff9fffe0401e172\n");
    expect("  CR3-load exiting: Can set=Yes, Can clear=No\n");
    expect("  HLT exiting: Can set=Yes, Can clear=Yes\n");
    expect("  activate tertiary controls: Can set=No, Can clear=Yes\n");
    expect("  enable EPT: Can set=Yes, Can clear=No\n");
    expect("Secondary processor-based controls: IA32_VMX_PROCBASED_CTLS2 (0x48b)");
    expect("Exit controls: IA32_VMX_EXIT_CTLS (0x483)");
    expect("Entry controls: IA32_VMX_ENTRY_CTLS (0x484)");
}

static void groups_that_are_not_there(void **state)
{
    struct vmx_caps caps = machine();

    (void)state;
    report(&caps, false);
    expect_not("PROCBASED_CTLS3");
    expect_not("EXIT_CTLS2");
    caps.procbased &= ~(UINT64_C(1) << 63);
    report(&caps, false);
    expect_not("PROCBASED_CTLS2");
}

static void words_of_64_bits(void **state)
{
    struct vmx_caps caps = machine();

    (void)state;
    caps.procbased |= UINT64_C(1) << (32 + 17);
    caps.procbased3 = 1u << 4 | UINT64_C(1) << 40;
    caps.exit |= UINT64_C(1) << 63;
    caps.exit2 = 1;
    report(&caps, false);
    expect("Tertiary processor-based controls: IA32_VMX_PROCBASED_CTLS3 (0x492) = "
           "0x0000010000000010\n");
    expect("  IPI virtualization: Can set=Yes, Can clear=Yes\n");
    expect("  LOADIWKEY exiting: Can set=No, Can clear=Yes\n");
    expect("  bit 40: Can set=Yes, Can clear=Yes\n");
    expect("Secondary exit controls: IA32_VMX_EXIT_CTLS2 (0x493) = 0x0000000000000001\n");
    expect("  save FRED: Can set=Yes, Can clear=Yes\n");
}

static void true_registers_where_there_are(void **state)
{
    struct vmx_caps caps = machine();

    (void)state;
    report(&caps, true);
    expect("IA32_VMX_PINBASED_CTLS (0x481)");
    caps.basic = VMX_BASIC_TRUE_CONTROLS;
    report(&caps, true);
    expect("IA32_VMX_TRUE_PINBASED_CTLS (0x48d) = 0x0000007f00000016\n");
    expect("  activate VMX-preemption timer: Can set=Yes, Can clear=Yes\n");
    report(&caps, false);
    expect("IA32_VMX_PINBASED_CTLS (0x481)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_a_control),
        cmocka_unit_test(groups_that_are_not_there),
        cmocka_unit_test(words_of_64_bits),
        cmocka_unit_test(true_registers_where_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
