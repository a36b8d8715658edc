// SRCS: arch/x86/vmx/vmcs_fields.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "x86/regs.h"
#include "x86/vmcs.h"
#include "x86/vmx_bits.h"

/* Encodings that the SDM's appendix prints, one of every width and type. */
static void encodings_are_the_manuals(void **state)
{
    (void)state;
    assert_int_equal(VMCS_VPID, 0x0000);
    assert_int_equal(VMCS_GUEST_CS_SELECTOR, 0x0802);
    assert_int_equal(VMCS_PML_INDEX, 0x0812);
    assert_int_equal(VMCS_HOST_TR_SELECTOR, 0x0c0c);
    assert_int_equal(VMCS_MSR_BITMAP_ADDRESS, 0x2004);
    assert_int_equal(VMCS_EPT_POINTER, 0x201a);
    assert_int_equal(VMCS_EOI_EXIT_BITMAP3, 0x2022);
    assert_int_equal(VMCS_TSC_MULTIPLIER, 0x2032);
    assert_int_equal(VMCS_SECONDARY_EXIT_CONTROLS, 0x2044);
    assert_int_equal(VMCS_GUEST_PHYSICAL_ADDRESS, 0x2400);
    assert_int_equal(VMCS_VMCS_LINK_POINTER, 0x2800);
    assert_int_equal(VMCS_GUEST_PDPTE3, 0x2810);
    assert_int_equal(VMCS_GUEST_IA32_PKRS, 0x2818);
    assert_int_equal(VMCS_HOST_IA32_PKRS, 0x2c06);
    assert_int_equal(VMCS_PLE_WINDOW, 0x4022);
    assert_int_equal(VMCS_EXIT_INSTRUCTION_INFORMATION, 0x440e);
    assert_int_equal(VMCS_GUEST_TR_ACCESS_RIGHTS, 0x4822);
    assert_int_equal(VMCS_PREEMPTION_TIMER_VALUE, 0x482e);
    assert_int_equal(VMCS_HOST_IA32_SYSENTER_CS, 0x4c00);
    assert_int_equal(VMCS_CR3_TARGET_VALUE3, 0x600e);
    assert_int_equal(VMCS_GUEST_LINEAR_ADDRESS, 0x640a);
    assert_int_equal(VMCS_GUEST_RFLAGS, 0x6820);
    assert_int_equal(VMCS_GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR, 0x682c);
    assert_int_equal(VMCS_HOST_RIP, 0x6c16);
    assert_int_equal(VMCS_HOST_SSP, 0x6c1a);
}

static void list_is_sorted_without_duplicates(void **state)
{
    (void)state;
    for (size_t i = 1; i < VMCS_FIELD_COUNT; i++)
        assert_true(vmcs_fields[i - 1].encoding < vmcs_fields[i].encoding);
    for (size_t i = 0; i < VMCS_FIELD_COUNT; i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(vmcs_fields[i].name, vmcs_fields[j].name);
        assert_true(strlen(vmcs_fields[i].section) > 5);
    }
}

static void find_knows_each_field_and_no_other(void **state)
{
    (void)state;
    size_t found = 0;
    for (uint32_t encoding = 0; encoding < 0x10000; encoding++) {
        const struct vmcs_field_info *info = vmcs_field_find(encoding);
        if (!info)
            continue;
        assert_int_equal(info->width, vmcs_encoding_width(encoding));
        assert_int_equal(info->type, vmcs_encoding_type(encoding));
        if (encoding & VMCS_ENCODING_HIGH)
            assert_int_equal(info->width, VMCS_WIDTH_64);
        else
            found++;
    }
    assert_int_equal(found, VMCS_FIELD_COUNT);
    assert_ptr_equal(vmcs_field_find(0x201b), &vmcs_fields[VMCS_INDEX_EPT_POINTER]);
    assert_null(vmcs_field_find(0x4003));
    assert_string_equal(vmcs_field_name(VMCS_GUEST_RIP), "GUEST_RIP");
    assert_string_equal(vmcs_field_name(0x7ffe), "unknown field");
    assert_string_equal(vmcs_field_name(0xffffffff), "unknown field");
}

static void widths_in_bytes(void **state)
{
    (void)state;
    assert_int_equal(vmcs_width_bytes(VMCS_WIDTH_16), 2);
    assert_int_equal(vmcs_width_bytes(VMCS_WIDTH_32), 4);
    assert_int_equal(vmcs_width_bytes(VMCS_WIDTH_64), 8);
    assert_int_equal(vmcs_width_bytes(VMCS_WIDTH_NATURAL), 8);
    assert_int_equal(vmcs_encoding_index(VMCS_GUEST_RIP), 0xf);
}

static void qualifications_decode(void **state)
{
    (void)state;
    struct vmx_cr_access cr = vmx_cr_access_decode(0xabcd0a34);
    assert_int_equal(cr.cr, 4);
    assert_int_equal(cr.type, VMX_CR_LMSW);
    assert_false(cr.lmsw_memory);
    assert_int_equal(cr.gpr, X86_R10);
    assert_int_equal(cr.lmsw_source, 0xabcd);
    assert_true(vmx_cr_access_decode(0x70).lmsw_memory);

    struct vmx_dr_access dr = vmx_dr_access_decode(0x717);
    assert_int_equal(dr.dr, 7);
    assert_true(dr.from_dr);
    assert_int_equal(dr.gpr, X86_RDI);

    struct vmx_io_access io = vmx_io_access_decode(0x03f8003b);
    assert_int_equal(io.size, 4);
    assert_true(io.in && io.string && io.rep && !io.immediate);
    assert_int_equal(io.port, 0x3f8);
    assert_true(vmx_io_access_decode(0x40).immediate);
    assert_int_equal(vmx_io_access_decode(0x40).size, 1);

    struct vmx_ept_violation ept = vmx_ept_violation_decode(0x1182);
    assert_true(ept.write && !ept.read && !ept.fetch && ept.translated && ept.linear_valid);
    assert_true(ept.nmi_unblocked && !ept.readable);
    assert_false(vmx_ept_violation_decode(0x100).translated);

    struct vmx_apic_access apic = vmx_apic_access_decode(0x110b0);
    assert_int_equal(apic.offset, 0xb0);
    assert_int_equal(apic.type, VMX_APIC_LINEAR_WRITE);
    assert_true(apic.asynchronous);

    struct vmx_task_switch task = vmx_task_switch_decode(0xc0000028);
    assert_int_equal(task.selector, 0x28);
    assert_int_equal(task.source, VMX_TASK_GATE);
}

static void instruction_information_decodes(void **state)
{
    (void)state;
    /* LIDT [ds:rbx + rcx*4], 64-bit address */
    struct vmx_instruction insn = vmx_instruction_decode(
        2u | 2u << 7 | 1u << 11 | (uint32_t)X86_DS << 15 | (uint32_t)X86_RCX << 18 |
        (uint32_t)X86_RBX << 23 | (uint32_t)VMX_INSN_LIDT << 28);
    assert_int_equal(insn.scale, 4);
    assert_int_equal(insn.address_bytes, 8);
    assert_int_equal(insn.operand_bytes, 4);
    assert_int_equal(insn.segment, X86_DS);
    assert_true(insn.has_index && insn.has_base);
    assert_int_equal(insn.index, X86_RCX);
    assert_int_equal(insn.base, X86_RBX);
    assert_int_equal(insn.identity, VMX_INSN_LIDT);
    insn = vmx_instruction_decode(1u << 22 | 1u << 27 | 1u << 10 | 9u << 3 | 2u << 11 | 7u << 28);
    assert_true(!insn.has_index && !insn.has_base && insn.is_register);
    assert_int_equal(insn.reg1, X86_R9);
    assert_int_equal(insn.reg2, X86_RDI);
    assert_int_equal(insn.operand_size_field, 2);
    assert_int_equal(insn.operand_bytes, 2);
}

static void event_information(void **state)
{
    (void)state;
    uint32_t info = vmx_intr_make(VMX_INTR_HARDWARE_EXCEPTION, X86_EXC_PF, true);
    assert_int_equal(info, 0x80000b0e);
    assert_true(vmx_intr_valid(info));
    assert_int_equal(vmx_intr_vector(info), 14);
    assert_int_equal(vmx_intr_type(info), VMX_INTR_HARDWARE_EXCEPTION);
    assert_false(vmx_intr_is_software(info));
    assert_true(vmx_intr_is_software(vmx_intr_make(VMX_INTR_SOFTWARE_INTERRUPT, 0x80, false)));
    assert_true(vmx_intr_is_software(vmx_intr_make(VMX_INTR_SOFTWARE_EXCEPTION, 3, false)));
    assert_true(vmx_intr_is_software(
        vmx_intr_make(VMX_INTR_PRIVILEGED_SOFTWARE_EXCEPTION, 1, false)));
    assert_int_equal(vmx_intr_from_idt_vectoring(0x80001b0e), 0x80000b0e);
    assert_false(vmx_intr_valid(0x7fffffff));
}

static void access_rights(void **state)
{
    (void)state;
    assert_int_equal(vmx_ar_from_descriptor(0x00af9a12), 0xa09a);
    assert_int_equal(vmx_ar_dpl(0xf3), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodings_are_the_manuals),
        cmocka_unit_test(list_is_sorted_without_duplicates),
        cmocka_unit_test(find_knows_each_field_and_no_other),
        cmocka_unit_test(widths_in_bytes),
        cmocka_unit_test(qualifications_decode),
        cmocka_unit_test(instruction_information_decodes),
        cmocka_unit_test(event_information),
        cmocka_unit_test(access_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
