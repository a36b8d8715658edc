// SRCS: arch/x86/vmx/errors.c vmm/lib/format.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "x86/regs.h"
#include "x86/vmx_bits.h"
#include "x86/vmx_errors.h"

/* SDM "VM Instruction Error Numbers": 1..28 without 14, 21 and 27. */
static void every_error_number_has_a_text(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 40; n++) {
        bool defined = n >= 1 && n <= 28 && n != 14 && n != 21 && n != 27;
        bool named = strcmp(vmx_instruction_error_text(n), "reserved error number") != 0;
        assert_int_equal(named, defined);
    }
    assert_string_equal(vmx_instruction_error_text(7), "VM entry: invalid control field");
    assert_string_equal(vmx_instruction_error_text(8), "VM entry: invalid host-state field");
    for (uint32_t n = 0; n < 10; n++)
        assert_int_equal(strcmp(vmx_abort_text(n), "reserved abort number") != 0, n >= 1 && n <= 6);
}

static void reasons_have_names(void **state)
{
    (void)state;
    assert_string_equal(vmx_exit_reason_name(10), "CPUID");
    assert_string_equal(vmx_exit_reason_name(48), "EPT_VIOLATION");
    assert_string_equal(vmx_exit_reason_name(0x80000021), vmx_exit_reason_name(33));
    assert_string_equal(vmx_exit_reason_name(35), "UNKNOWN");
    assert_string_equal(vmx_exit_reason_name(0xffff), "UNKNOWN");
    assert_string_equal(vmx_exit_reason_doc(12), "HLT");
    assert_non_null(strstr(vmx_exit_reason_doc(38), "does not define"));
    for (uint32_t reason = 0; reason < 100; reason++) {
        bool named = strcmp(vmx_exit_reason_name(reason), "UNKNOWN") != 0;
        assert_int_equal(named, !strstr(vmx_exit_reason_doc(reason), "does not define"));
    }
}

static const char *describe(struct vmx_exit_facts facts)
{
    static char text[512];
    int length = vmx_describe_exit(text, sizeof(text), &facts);
    assert_int_equal(length, strlen(text));
    return text;
}

#define IS(text, ...) assert_string_equal(describe((struct vmx_exit_facts){ __VA_ARGS__ }), text)

static void events(void **state)
{
    (void)state;
    IS("EXCEPTION_NMI (0): hardware exception 14 #PF, error code 0x2, address 0xcafe000",
       .reason = 0, .interruption = 0x80000b0e, .interruption_error = 2,
       .qualification = 0xcafe000);
    IS("EXCEPTION_NMI (0): hardware exception 1 #DB, DR6 bits 0x4000", .reason = 0,
       .interruption = 0x80000301, .qualification = 0x4000);
    IS("EXCEPTION_NMI (0): hardware exception 6 #UD", .interruption = 0x80000306);
    IS("EXCEPTION_NMI (0): hardware exception 9", .interruption = 0x80000309);
    IS("EXCEPTION_NMI (0): hardware exception 200", .interruption = 0x800003c8);
    IS("EXCEPTION_NMI (0): software exception 3 #BP", .interruption = 0x80000603);
    IS("EXCEPTION_NMI (0): privileged software exception 1 #DB", .interruption = 0x80000501);
    IS("EXCEPTION_NMI (0): NMI", .interruption = 0x80000202);
    IS("EXCEPTION_NMI (0)", .reason = 0);
    IS("EXTERNAL_INTERRUPT (1): vector 236", .reason = 1, .interruption = 0x800000ec);
    IS("EXTERNAL_INTERRUPT (1)", .reason = 1);
    IS("SIPI (4): vector 0x9f", .reason = 4, .qualification = 0x9f);
    IS("EPT_VIOLATION (48): read at GPA 0x1000, allowed ---; while delivering software interrupt "
       "128", .reason = 48, .qualification = 1, .guest_physical = 0x1000, .vectoring = 0x80000480);
    IS("CPUID (10); while delivering hardware exception 13 #GP, error code 0x18", .reason = 10,
       .vectoring = 0x80000b0d, .vectoring_error = 0x18);
    char text[64];
    vmx_describe_event(text, sizeof(text), 0x80000030, 0);
    assert_string_equal(text, "external interrupt 48");
    vmx_describe_event(text, sizeof(text), 0x80000700, 0);
    assert_string_equal(text, "other event 0");
    vmx_describe_event(text, sizeof(text), 0x30, 0);
    assert_string_equal(text, "no event");
}

static void registers_and_ports(void **state)
{
    (void)state;
    IS("CR_ACCESS (28): mov cr4, r10", .reason = 28, .qualification = 0xa04);
    IS("CR_ACCESS (28): mov rcx, cr3", .reason = 28, .qualification = 0x113);
    IS("CR_ACCESS (28): clts", .reason = 28, .qualification = 0x20);
    IS("CR_ACCESS (28): lmsw 0x31", .reason = 28, .qualification = 0x310030);
    IS("CR_ACCESS (28): lmsw 0x31 from memory", .reason = 28, .qualification = 0x310070);
    IS("MOV_DR (29): mov dr7, rdx", .reason = 29, .qualification = 0x207);
    IS("MOV_DR (29): mov r15, dr6", .reason = 29, .qualification = 0xf16);
    IS("IO_INSTRUCTION (30): in port 0x3f8, 1 byte", .reason = 30, .qualification = 0x3f80008);
    IS("IO_INSTRUCTION (30): out port 0x80, 4 bytes", .reason = 30, .qualification = 0x800003);
    IS("IO_INSTRUCTION (30): rep outs port 0x3f8, 1 byte, memory at 0x4000", .reason = 30,
       .qualification = 0x3f80030, .guest_linear = 0x4000);
    IS("TASK_SWITCH (9): to selector 0x28 by a task gate", .reason = 9,
       .qualification = 0xc0000028);
    IS("INVLPG (14): address 0xffff800000000000", .reason = 14,
       .qualification = 0xffff800000000000);
    IS("GDTR_IDTR_ACCESS (46): displacement 0x10", .reason = 46, .qualification = 0x10);
    IS("MWAIT (36): monitor armed", .reason = 36, .qualification = 1);
    IS("MWAIT (36): monitor not armed", .reason = 36);
    IS("RDMSRLIST (78): MSR 0x174", .reason = 78, .qualification = 0x174);
}

static void memory_and_apic(void **state)
{
    (void)state;
    IS("EPT_VIOLATION (48): read write fetch at GPA 0xfee00000, allowed rwx, GLA 0x7000, IRET had "
       "unblocked NMIs", .reason = 48, .qualification = 0x11bf, .guest_physical = 0xfee00000,
       .guest_linear = 0x7000);
    IS("EPT_VIOLATION (48): write at GPA 0x5000, allowed r--, GLA 0x7000 (in its page walk)",
       .reason = 48, .qualification = 0x8a, .guest_physical = 0x5000, .guest_linear = 0x7000);
    IS("EPT_MISCONFIG (49): GPA 0x1234", .reason = 49, .guest_physical = 0x1234);
    IS("APIC_ACCESS (44): write at offset 0xb0", .reason = 44, .qualification = 0x10b0);
    IS("APIC_ACCESS (44): reserved access type at offset 0x0", .reason = 44,
       .qualification = 0x7000);
    IS("APIC_ACCESS (44): guest-physical access at offset 0x20", .reason = 44,
       .qualification = 0xf020);
    IS("VIRTUALIZED_EOI (45): vector 0x31", .reason = 45, .qualification = 0x31);
    IS("APIC_WRITE (56): offset 0x300", .reason = 56, .qualification = 0x300);
    IS("SPP_EVENT (66): miss at GPA 0x5000", .reason = 66, .qualification = 0x800,
       .guest_physical = 0x5000);
    IS("SPP_EVENT (66): misconfiguration at GPA 0x5000", .reason = 66, .guest_physical = 0x5000);
    IS("INSTRUCTION_TIMEOUT (75): the guest's context is invalid", .reason = 75,
       .qualification = 1);
    IS("INSTRUCTION_TIMEOUT (75)", .reason = 75);
}

static void failed_entries(void **state)
{
    (void)state;
    IS("ENTRY_FAIL_GUEST_STATE (33) [VM entry failed]: a guest-state check (qualification 0)",
       .reason = 0x80000021);
    IS("ENTRY_FAIL_GUEST_STATE (33) [VM entry failed]: loading the PDPTEs (qualification 2)",
       .reason = 0x80000021, .qualification = 2);
    IS("ENTRY_FAIL_GUEST_STATE (33) [VM entry failed]: the VMCS link pointer (qualification 4)",
       .reason = 0x80000021, .qualification = 4);
    IS("ENTRY_FAIL_GUEST_STATE (33): no defined cause (qualification 1)", .reason = 33,
       .qualification = 1);
    IS("ENTRY_FAIL_GUEST_STATE (33): no defined cause (qualification 99)", .reason = 33,
       .qualification = 99);
    IS("ENTRY_FAIL_MSR_LOADING (34) [VM entry failed]: entry 3 of the MSR-load area",
       .reason = 0x80000022, .qualification = 3);
    IS("HLT (12) [from VMX root operation] [an MTF exit is pending] [in enclave mode] [after a bus "
       "lock] [shadow stack left busy]", .reason = 0x3e00000c);
    IS("UNKNOWN (1000)", .reason = 1000);
}

static void text_is_cut_never_overrun(void **state)
{
    (void)state;
    struct vmx_exit_facts facts = { .reason = 0x80000021, .vectoring = 0x80000b0d };
    char whole[300];
    int length = vmx_describe_exit(whole, sizeof(whole), &facts);
    for (size_t bytes = 0; bytes <= (size_t)length + 1; bytes++) {
        char *out = malloc(bytes ? bytes : 1);
        out[0] = 'x';
        assert_int_equal(vmx_describe_exit(out, bytes, &facts), length);
        if (bytes) {
            assert_int_equal(strlen(out), bytes - 1);
            assert_memory_equal(out, whole, bytes - 1);
        } else {
            assert_int_equal(out[0], 'x');
        }
        free(out);
    }
}

static void any_bits_are_described(void **state)
{
    (void)state;
    srandom(11);
    for (unsigned i = 0; i < 20000; i++) {
        struct vmx_exit_facts facts;
        uint8_t *byte = (uint8_t *)&facts;
        for (size_t j = 0; j < sizeof(facts); j++)
            byte[j] = (uint8_t)random();
        facts.reason = (facts.reason & 0xffff0000) | i % 90;
        assert_true(strlen(describe(facts)) > 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_number_has_a_text),
        cmocka_unit_test(reasons_have_names),
        cmocka_unit_test(events),
        cmocka_unit_test(registers_and_ports),
        cmocka_unit_test(memory_and_apic),
        cmocka_unit_test(failed_entries),
        cmocka_unit_test(text_is_cut_never_overrun),
        cmocka_unit_test(any_bits_are_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
