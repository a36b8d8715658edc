/*
 * For each rule of the entry checks a value that just passes and one that just fails: as data, for
 * the unit test and for whoever enters them for real. They start from the VMCS of
 * vmx_check_world.h. Header-only.
 */
#ifndef VMX_CHECK_CASES_H
#define VMX_CHECK_CASES_H

#include "vmx_check_world.h"

enum check_operation { CHECK_SET, CHECK_ON, CHECK_OFF };

struct check_set {
    bool used;
    uint8_t operation;
    uint16_t field;     /* index */
    uint64_t value;
};

#define CHECK_SETS 5
#define CHECK_TWEAKS 2

struct check_case {
    const char *rule;
    const char *also;   /* a second rule that the bad value can't help breaking */
    uint16_t field;     /* index; unless the values go into memory */
    uint64_t good, bad;
    struct check_set setup[CHECK_SETS];
    void (*tweak[CHECK_TWEAKS])(struct world *w);
    bool on_memory;
    uint16_t memory_offset;
    uint8_t memory_bytes;
};

static const struct check_case check_cases[] = {
    /* VM-Execution Control Fields */
    { .rule = "pin_allowed", .field = VMCS_INDEX_PIN_BASED_CONTROLS, .good = BASE_PIN, .bad =
      BASE_PIN & ~2u },
    { .rule = "pin_allowed", .field = VMCS_INDEX_PIN_BASED_CONTROLS, .good = BASE_PIN |
      PIN_ACTIVATE_PREEMPTION_TIMER, .bad = BASE_PIN | 0x100 },
    { .rule = "cpu_allowed", .field = VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, .good = BASE_CPU,
      .bad = BASE_CPU & ~0x4000000u },
    { .rule = "cpu_allowed", .field = VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, .good = BASE_CPU |
      CPU_MONITOR_TRAP_FLAG, .bad = BASE_CPU | 1 },
    { .rule = "cpu2_allowed", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good = BASE_CPU2,
      .bad = BASE_CPU2 | CPU2_VMM_BUS_LOCK_DETECTION, .tweak = { tweak_no_bus_lock } },
    { .rule = "cpu3_allowed", .field = VMCS_INDEX_TERTIARY_PROC_BASED_CONTROLS, .good =
      CPU3_LOADIWKEY_EXITING, .bad = 0x200, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_ACTIVATE_TERTIARY_CONTROLS } } },
    { .rule = "cr3_target_count", .field = VMCS_INDEX_CR3_TARGET_COUNT, .good = 4, .bad = 5 },
    { .rule = "io_bitmap_a_aligned", .field = VMCS_INDEX_IO_BITMAP_A_ADDRESS, .good = 0x1000, .bad
      = 0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS,
      CPU_USE_IO_BITMAPS } } },
    { .rule = "io_bitmap_a_width", .field = VMCS_INDEX_IO_BITMAP_A_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true,
      CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_IO_BITMAPS } } },
    { .rule = "io_bitmap_b_aligned", .field = VMCS_INDEX_IO_BITMAP_B_ADDRESS, .good = 0x1000, .bad
      = 0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS,
      CPU_USE_IO_BITMAPS } } },
    { .rule = "io_bitmap_b_width", .field = VMCS_INDEX_IO_BITMAP_B_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true,
      CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_IO_BITMAPS } } },
    { .rule = "msr_bitmap_aligned", .field = VMCS_INDEX_MSR_BITMAP_ADDRESS, .good = 0x1000, .bad =
      0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS,
      CPU_USE_MSR_BITMAPS } } },
    { .rule = "msr_bitmap_width", .field = VMCS_INDEX_MSR_BITMAP_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true,
      CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_MSR_BITMAPS } } },
    { .rule = "virtual_apic_aligned", .field = VMCS_INDEX_VIRTUAL_APIC_ADDRESS, .good = 0x1000,
      .bad = 0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS,
      CPU_USE_TPR_SHADOW } } },
    { .rule = "virtual_apic_width", .field = VMCS_INDEX_VIRTUAL_APIC_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true,
      CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_TPR_SHADOW } } },
    { .rule = "tpr_threshold_reserved", .field = VMCS_INDEX_TPR_THRESHOLD, .good = 0xf, .bad =
      0x10, .setup = { { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_TPR_SHADOW
      } } },
    { .rule = "tpr_threshold_vtpr", .field = VMCS_INDEX_TPR_THRESHOLD, .good = 5, .bad = 6, .setup
      = { { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_TPR_SHADOW }, { true,
      CHECK_SET, VMCS_INDEX_VIRTUAL_APIC_ADDRESS, WORLD_MEMORY } }, .tweak = { tweak_vtpr } },
    { .rule = "virtual_nmis_need_exiting", .field = VMCS_INDEX_PIN_BASED_CONTROLS, .good = BASE_PIN
      & ~(PIN_NMI_EXITING | PIN_VIRTUAL_NMIS), .bad = BASE_PIN & ~PIN_NMI_EXITING },
    { .rule = "nmi_window_needs_virtual", .field = VMCS_INDEX_PIN_BASED_CONTROLS, .good = BASE_PIN,
      .bad = BASE_PIN & ~PIN_VIRTUAL_NMIS, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_NMI_WINDOW_EXITING } } },
    { .rule = "apic_access_aligned", .field = VMCS_INDEX_APIC_ACCESS_ADDRESS, .good = 0x1000, .bad
      = 0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_VIRTUALIZE_APIC_ACCESSES } } },
    { .rule = "apic_access_width", .field = VMCS_INDEX_APIC_ACCESS_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true,
      CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_VIRTUALIZE_APIC_ACCESSES } } },
    { .rule = "x2apic_needs_tpr_shadow", .field = VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, .good =
      BASE_CPU | CPU_USE_TPR_SHADOW, .bad = BASE_CPU, .setup = { { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_VIRTUALIZE_X2APIC_MODE } } },
    { .rule = "apic_registers_need_tpr_shadow", .field = VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS,
      .good = BASE_CPU | CPU_USE_TPR_SHADOW, .bad = BASE_CPU, .setup = { { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_APIC_REGISTER_VIRTUALIZATION } } },
    { .rule = "vid_needs_tpr_shadow", .field = VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, .good =
      BASE_CPU | CPU_USE_TPR_SHADOW, .bad = BASE_CPU, .setup = { { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_VIRTUAL_INTERRUPT_DELIVERY } } },
    { .rule = "ipi_needs_tpr_shadow", .field = VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, .good =
      BASE_CPU | CPU_USE_TPR_SHADOW | CPU_ACTIVATE_TERTIARY_CONTROLS, .bad = BASE_CPU |
      CPU_ACTIVATE_TERTIARY_CONTROLS, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_ACTIVATE_TERTIARY_CONTROLS }, { true, CHECK_ON,
      VMCS_INDEX_TERTIARY_PROC_BASED_CONTROLS, CPU3_IPI_VIRTUALIZATION } } },
    { .rule = "x2apic_excludes_apic_access", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      .good = BASE_CPU2 | CPU2_VIRTUALIZE_X2APIC_MODE, .bad = BASE_CPU2 |
      CPU2_VIRTUALIZE_X2APIC_MODE | CPU2_VIRTUALIZE_APIC_ACCESSES, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_TPR_SHADOW } } },
    { .rule = "vid_needs_external_exiting", .field = VMCS_INDEX_PIN_BASED_CONTROLS, .good =
      BASE_PIN, .bad = BASE_PIN & ~PIN_EXTERNAL_INTERRUPT_EXITING, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_TPR_SHADOW }, { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_VIRTUAL_INTERRUPT_DELIVERY } } },
    { .rule = "posted_needs_vid", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good =
      BASE_CPU2 | CPU2_VIRTUAL_INTERRUPT_DELIVERY, .bad = BASE_CPU2, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_TPR_SHADOW }, { true, CHECK_ON,
      VMCS_INDEX_PIN_BASED_CONTROLS, PIN_PROCESS_POSTED_INTERRUPTS } } },
    { .rule = "posted_needs_acknowledge", .field = VMCS_INDEX_EXIT_CONTROLS, .good = BASE_EXIT,
      .bad = BASE_EXIT & ~EXIT_ACKNOWLEDGE_INTERRUPT, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_TPR_SHADOW }, { true, CHECK_ON,
      VMCS_INDEX_PIN_BASED_CONTROLS, PIN_PROCESS_POSTED_INTERRUPTS }, { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_VIRTUAL_INTERRUPT_DELIVERY } } },
    { .rule = "posted_vector", .field = VMCS_INDEX_POSTED_INTERRUPT_NOTIFICATION_VECTOR, .good =
      255, .bad = 256, .setup = { { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS,
      CPU_USE_TPR_SHADOW }, { true, CHECK_ON, VMCS_INDEX_PIN_BASED_CONTROLS,
      PIN_PROCESS_POSTED_INTERRUPTS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_VIRTUAL_INTERRUPT_DELIVERY } } },
    { .rule = "posted_descriptor_aligned", .field = VMCS_INDEX_POSTED_INTERRUPT_DESCRIPTOR_ADDRESS,
      .good = 0x40, .bad = 0x60, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_TPR_SHADOW }, { true, CHECK_ON,
      VMCS_INDEX_PIN_BASED_CONTROLS, PIN_PROCESS_POSTED_INTERRUPTS }, { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_VIRTUAL_INTERRUPT_DELIVERY } } },
    { .rule = "posted_descriptor_width", .field = VMCS_INDEX_POSTED_INTERRUPT_DESCRIPTOR_ADDRESS,
      .good = (1ull << WORLD_PHYSICAL_BITS) - 0x40, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = {
      { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_TPR_SHADOW }, { true,
      CHECK_ON, VMCS_INDEX_PIN_BASED_CONTROLS, PIN_PROCESS_POSTED_INTERRUPTS }, { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_VIRTUAL_INTERRUPT_DELIVERY } } },
    { .rule = "vpid_not_zero", .field = VMCS_INDEX_VPID, .good = 1, .bad = 0 },
    { .rule = "eptp_type", .field = VMCS_INDEX_EPT_POINTER, .good = BASE_EPTP | 0x1e, .bad =
      BASE_EPTP | 0x18 },
    { .rule = "eptp_type", .field = VMCS_INDEX_EPT_POINTER, .good = BASE_EPTP | 0x20, .bad =
      BASE_EPTP | 0x24, .tweak = { tweak_walk_5_and_uc } },
    { .rule = "eptp_walk_length", .field = VMCS_INDEX_EPT_POINTER, .good = BASE_EPTP | 0x1e, .bad =
      BASE_EPTP | 0x26 },
    { .rule = "eptp_walk_length", .field = VMCS_INDEX_EPT_POINTER, .good = BASE_EPTP | 0x26, .bad =
      BASE_EPTP | 0x1e, .tweak = { tweak_walk_5_and_uc } },
    { .rule = "eptp_walk_length", .field = VMCS_INDEX_EPT_POINTER, .good = BASE_EPTP | 0x1e, .bad =
      BASE_EPTP | 0x16 },
    { .rule = "eptp_accessed_dirty", .field = VMCS_INDEX_EPT_POINTER, .good = BASE_EPTP | 0x1e,
      .bad = BASE_EPTP | 0x5e, .tweak = { tweak_no_ept_flags } },
    { .rule = "eptp_shadow_stack", .field = VMCS_INDEX_EPT_POINTER, .good = BASE_EPTP | 0x1e, .bad
      = BASE_EPTP | 0x9e, .tweak = { tweak_no_ept_flags } },
    { .rule = "eptp_reserved", .field = VMCS_INDEX_EPT_POINTER, .good = BASE_EPTP | 0xde, .bad =
      BASE_EPTP | 0x11e },
    { .rule = "eptp_reserved", .field = VMCS_INDEX_EPT_POINTER, .good = ((1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000) | 0x1e, .bad = (1ull << WORLD_PHYSICAL_BITS) | 0x1e },
    { .rule = "pml_needs_ept", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good = BASE_CPU2
      | CPU2_ENABLE_PML, .bad = CPU2_ENABLE_VPID | CPU2_ENABLE_PML },
    { .rule = "pml_aligned", .field = VMCS_INDEX_PML_ADDRESS, .good = 0x1000, .bad = 0x1800, .setup
      = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_ENABLE_PML } } },
    { .rule = "pml_width", .field = VMCS_INDEX_PML_ADDRESS, .good = (1ull << WORLD_PHYSICAL_BITS) -
      0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_ENABLE_PML } } },
    { .rule = "unrestricted_needs_ept", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good =
      BASE_CPU2 | CPU2_UNRESTRICTED_GUEST, .bad = CPU2_ENABLE_VPID | CPU2_UNRESTRICTED_GUEST },
    { .rule = "mode_based_needs_ept", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good =
      BASE_CPU2 | CPU2_MODE_BASED_EXECUTE_CONTROL, .bad = CPU2_ENABLE_VPID |
      CPU2_MODE_BASED_EXECUTE_CONTROL },
    { .rule = "sub_page_needs_ept", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good =
      BASE_CPU2 | CPU2_SUB_PAGE_WRITE_PERMISSIONS, .bad = CPU2_ENABLE_VPID |
      CPU2_SUB_PAGE_WRITE_PERMISSIONS },
    { .rule = "sppt_aligned", .field = VMCS_INDEX_SPPT_POINTER, .good = 0x1000, .bad = 0x1800,
      .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_SUB_PAGE_WRITE_PERMISSIONS } } },
    { .rule = "sppt_width", .field = VMCS_INDEX_SPPT_POINTER, .good = (1ull << WORLD_PHYSICAL_BITS)
      - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_SUB_PAGE_WRITE_PERMISSIONS } } },
    { .rule = "vm_functions_allowed", .field = VMCS_INDEX_VM_FUNCTION_CONTROLS, .good = 1, .bad =
      2, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_ENABLE_VM_FUNCTIONS } } },
    { .rule = "eptp_switching_needs_ept", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good
      = BASE_CPU2 | CPU2_ENABLE_VM_FUNCTIONS, .bad = CPU2_ENABLE_VPID | CPU2_ENABLE_VM_FUNCTIONS,
      .setup = { { true, CHECK_SET, VMCS_INDEX_VM_FUNCTION_CONTROLS, 1 } } },
    { .rule = "eptp_list_aligned", .field = VMCS_INDEX_EPTP_LIST_ADDRESS, .good = 0x1000, .bad =
      0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_ENABLE_VM_FUNCTIONS }, { true, CHECK_SET, VMCS_INDEX_VM_FUNCTION_CONTROLS, 1 } } },
    { .rule = "eptp_list_width", .field = VMCS_INDEX_EPTP_LIST_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true,
      CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_ENABLE_VM_FUNCTIONS }, { true,
      CHECK_SET, VMCS_INDEX_VM_FUNCTION_CONTROLS, 1 } } },
    { .rule = "vmread_bitmap_aligned", .field = VMCS_INDEX_VMREAD_BITMAP_ADDRESS, .good = 0x1000,
      .bad = 0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_VMCS_SHADOWING } } },
    { .rule = "vmread_bitmap_width", .field = VMCS_INDEX_VMREAD_BITMAP_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true,
      CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_VMCS_SHADOWING } } },
    { .rule = "vmwrite_bitmap_aligned", .field = VMCS_INDEX_VMWRITE_BITMAP_ADDRESS, .good = 0x1000,
      .bad = 0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_VMCS_SHADOWING } } },
    { .rule = "vmwrite_bitmap_width", .field = VMCS_INDEX_VMWRITE_BITMAP_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true,
      CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_VMCS_SHADOWING } } },
    { .rule = "ve_information_aligned", .field = VMCS_INDEX_VE_INFORMATION_ADDRESS, .good = 0x1000,
      .bad = 0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_EPT_VIOLATION_VE } } },
    { .rule = "ve_information_width", .field = VMCS_INDEX_VE_INFORMATION_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true,
      CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_EPT_VIOLATION_VE } } },
    { .rule = "pt_gpa_needs_ept", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good =
      BASE_CPU2 | CPU2_PT_USES_GUEST_PHYSICAL_ADDRESSES, .bad = CPU2_ENABLE_VPID |
      CPU2_PT_USES_GUEST_PHYSICAL_ADDRESSES, .setup = { { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_PT_USES_GUEST_PHYSICAL_ADDRESSES }, { true,
      CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_CLEAR_RTIT_CTL }, { true, CHECK_ON,
      VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_RTIT_CTL } } },
    { .rule = "pt_gpa_needs_load", .field = VMCS_INDEX_ENTRY_CONTROLS, .good = BASE_ENTRY |
      ENTRY_LOAD_RTIT_CTL, .bad = BASE_ENTRY, .setup = { { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_PT_USES_GUEST_PHYSICAL_ADDRESSES }, { true,
      CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_CLEAR_RTIT_CTL }, { true, CHECK_ON,
      VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_RTIT_CTL } } },
    { .rule = "pt_gpa_needs_clear", .field = VMCS_INDEX_EXIT_CONTROLS, .good = BASE_EXIT |
      EXIT_CLEAR_RTIT_CTL, .bad = BASE_EXIT, .setup = { { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_PT_USES_GUEST_PHYSICAL_ADDRESSES }, { true,
      CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_CLEAR_RTIT_CTL }, { true, CHECK_ON,
      VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_RTIT_CTL } } },
    { .rule = "tsc_multiplier_not_zero", .field = VMCS_INDEX_TSC_MULTIPLIER, .good = 1, .bad = 0,
      .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_USE_TSC_SCALING }
      } },
    { .rule = "hlat_needs_ept", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good =
      BASE_CPU2, .bad = CPU2_ENABLE_VPID, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_ACTIVATE_TERTIARY_CONTROLS }, { true, CHECK_ON,
      VMCS_INDEX_TERTIARY_PROC_BASED_CONTROLS, CPU3_ENABLE_HLAT } } },
    { .rule = "hlat_pointer_reserved", .field = VMCS_INDEX_HLAT_POINTER, .good = 0x1018, .bad =
      0x1020, .setup = { { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS,
      CPU_ACTIVATE_TERTIARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_TERTIARY_PROC_BASED_CONTROLS,
      CPU3_ENABLE_HLAT } } },
    { .rule = "hlat_pointer_reserved", .field = VMCS_INDEX_HLAT_POINTER, .good = 0x1018, .bad =
      0x1001, .setup = { { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS,
      CPU_ACTIVATE_TERTIARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_TERTIARY_PROC_BASED_CONTROLS,
      CPU3_ENABLE_HLAT } } },
    { .rule = "hlat_pointer_reserved", .field = VMCS_INDEX_HLAT_POINTER, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true,
      CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_ACTIVATE_TERTIARY_CONTROLS }, { true,
      CHECK_ON, VMCS_INDEX_TERTIARY_PROC_BASED_CONTROLS, CPU3_ENABLE_HLAT } } },
    { .rule = "paging_write_needs_ept", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good =
      BASE_CPU2, .bad = CPU2_ENABLE_VPID, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_ACTIVATE_TERTIARY_CONTROLS }, { true, CHECK_ON,
      VMCS_INDEX_TERTIARY_PROC_BASED_CONTROLS, CPU3_EPT_PAGING_WRITE_CONTROL } } },
    { .rule = "paging_verification_needs_ept", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      .good = BASE_CPU2, .bad = CPU2_ENABLE_VPID, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_ACTIVATE_TERTIARY_CONTROLS }, { true, CHECK_ON,
      VMCS_INDEX_TERTIARY_PROC_BASED_CONTROLS, CPU3_GUEST_PAGING_VERIFICATION } } },
    { .rule = "pasid_low_reserved", .field = VMCS_INDEX_LOW_PASID_DIRECTORY_ADDRESS, .good =
      0x1000, .bad = 0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_PASID_TRANSLATION } } },
    { .rule = "pasid_low_reserved", .field = VMCS_INDEX_LOW_PASID_DIRECTORY_ADDRESS, .good = (1ull
      << WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true,
      CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_PASID_TRANSLATION } } },
    { .rule = "pasid_high_reserved", .field = VMCS_INDEX_HIGH_PASID_DIRECTORY_ADDRESS, .good =
      0x1000, .bad = 0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_PASID_TRANSLATION } } },
    { .rule = "pasid_high_reserved", .field = VMCS_INDEX_HIGH_PASID_DIRECTORY_ADDRESS, .good =
      (1ull << WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { {
      true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_PASID_TRANSLATION } } },
    { .rule = "pid_table_aligned", .field = VMCS_INDEX_PID_POINTER_TABLE_ADDRESS, .good = 0x8, .bad
      = 0xc, .setup = { { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS,
      CPU_USE_TPR_SHADOW }, { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS,
      CPU_ACTIVATE_TERTIARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_TERTIARY_PROC_BASED_CONTROLS,
      CPU3_IPI_VIRTUALIZATION } } },
    { .rule = "pid_table_width", .field = VMCS_INDEX_PID_POINTER_TABLE_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 8, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_TPR_SHADOW }, { true, CHECK_ON,
      VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_ACTIVATE_TERTIARY_CONTROLS }, { true, CHECK_ON,
      VMCS_INDEX_TERTIARY_PROC_BASED_CONTROLS, CPU3_IPI_VIRTUALIZATION } } },
    { .rule = "pid_table_width", .field = VMCS_INDEX_LAST_PID_POINTER_INDEX, .good = 1, .bad = 2,
      .setup = { { true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_USE_TPR_SHADOW }, {
      true, CHECK_ON, VMCS_INDEX_PRIMARY_PROC_BASED_CONTROLS, CPU_ACTIVATE_TERTIARY_CONTROLS }, {
      true, CHECK_ON, VMCS_INDEX_TERTIARY_PROC_BASED_CONTROLS, CPU3_IPI_VIRTUALIZATION }, { true,
      CHECK_SET, VMCS_INDEX_PID_POINTER_TABLE_ADDRESS, (1ull << WORLD_PHYSICAL_BITS) - 16 } } },
    /* VM-Exit Control Fields */
    { .rule = "exit_allowed", .field = VMCS_INDEX_EXIT_CONTROLS, .good = BASE_EXIT, .bad =
      BASE_EXIT & ~1u },
    { .rule = "exit2_allowed", .field = VMCS_INDEX_SECONDARY_EXIT_CONTROLS, .good = 8, .bad = 0x10,
      .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_ACTIVATE_SECONDARY_CONTROLS } } },
    { .rule = "save_timer_needs_timer", .field = VMCS_INDEX_PIN_BASED_CONTROLS, .good = BASE_PIN |
      PIN_ACTIVATE_PREEMPTION_TIMER, .bad = BASE_PIN, .setup = { { true, CHECK_ON,
      VMCS_INDEX_EXIT_CONTROLS, EXIT_SAVE_PREEMPTION_TIMER } } },
    { .rule = "exit_store_aligned", .field = VMCS_INDEX_EXIT_MSR_STORE_ADDRESS, .good = 0x10, .bad
      = 0x18, .setup = { { true, CHECK_SET, VMCS_INDEX_EXIT_MSR_STORE_COUNT, 1 } } },
    { .rule = "exit_store_width", .field = VMCS_INDEX_EXIT_MSR_STORE_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 16, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true, CHECK_SET,
      VMCS_INDEX_EXIT_MSR_STORE_COUNT, 1 } } },
    { .rule = "exit_store_width", .field = VMCS_INDEX_EXIT_MSR_STORE_COUNT, .good = 2, .bad = 3,
      .setup = { { true, CHECK_SET, VMCS_INDEX_EXIT_MSR_STORE_ADDRESS, (1ull <<
      WORLD_PHYSICAL_BITS) - 32 } } },
    { .rule = "exit_load_aligned", .field = VMCS_INDEX_EXIT_MSR_LOAD_ADDRESS, .good = 0x10, .bad =
      0x18, .setup = { { true, CHECK_SET, VMCS_INDEX_EXIT_MSR_LOAD_COUNT, 1 } } },
    { .rule = "exit_load_width", .field = VMCS_INDEX_EXIT_MSR_LOAD_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 16, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true, CHECK_SET,
      VMCS_INDEX_EXIT_MSR_LOAD_COUNT, 1 } } },
    { .rule = "exit_load_width", .field = VMCS_INDEX_EXIT_MSR_LOAD_COUNT, .good = 2, .bad = 3,
      .setup = { { true, CHECK_SET, VMCS_INDEX_EXIT_MSR_LOAD_ADDRESS, (1ull << WORLD_PHYSICAL_BITS)
      - 32 } } },
    /* VM-Entry Control Fields */
    { .rule = "entry_allowed", .field = VMCS_INDEX_ENTRY_CONTROLS, .good = BASE_ENTRY, .bad =
      BASE_ENTRY & ~1u },
    { .rule = "entry_allowed", .field = VMCS_INDEX_ENTRY_CONTROLS, .good = BASE_ENTRY, .bad =
      BASE_ENTRY | 1u << 25 },
    { .rule = "injection_type", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000020, .bad = 0x80000120 },
    { .rule = "injection_other_event", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x00000700, .bad = 0x80000700, .tweak = { tweak_no_mtf } },
    { .rule = "injection_nmi_vector", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000202, .bad = 0x80000203 },
    { .rule = "injection_exception_vector", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION,
      .good = 0x8000031f, .bad = 0x80000320 },
    { .rule = "injection_other_vector", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000700, .bad = 0x80000701 },
    { .rule = "injection_other_vector", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000702, .bad = 0x80000703, .tweak = { tweak_fred } },
    { .rule = "injection_error_missing", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good
      = 0x80000b08, .bad = 0x80000308 },
    { .rule = "injection_error_missing", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good
      = 0x80000b0a, .bad = 0x8000030a },
    { .rule = "injection_error_missing", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good
      = 0x80000b0b, .bad = 0x8000030b },
    { .rule = "injection_error_missing", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good
      = 0x80000b0c, .bad = 0x8000030c },
    { .rule = "injection_error_missing", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good
      = 0x80000b0d, .bad = 0x8000030d },
    { .rule = "injection_error_missing", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good
      = 0x80000b0e, .bad = 0x8000030e },
    { .rule = "injection_error_missing", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good
      = 0x80000b11, .bad = 0x80000311 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000300, .bad = 0x80000b00 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000301, .bad = 0x80000b01 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000303, .bad = 0x80000b03 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000306, .bad = 0x80000b06 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000307, .bad = 0x80000b07 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000309, .bad = 0x80000b09 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000310, .bad = 0x80000b10 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000312, .bad = 0x80000b12 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000313, .bad = 0x80000b13 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000314, .bad = 0x80000b14 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000315, .bad = 0x80000b15 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000020, .bad = 0x80000820 },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x8000030d, .bad = 0x80000b0d, .tweak = { tweak_real_guest } },
    { .rule = "injection_error_extra", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000b15, .bad = 0x80000c80, .tweak = { tweak_no_vector_check } },
    { .rule = "injection_reserved", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000020, .bad = 0x80001020 },
    { .rule = "injection_reserved", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000306, .bad = 0x80002306 },
    { .rule = "injection_reserved", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80002306, .bad = 0x80002020, .tweak = { tweak_fred } },
    { .rule = "injection_reserved", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000020, .bad = 0xc0000020 },
    { .rule = "injection_error_reserved", .field = VMCS_INDEX_ENTRY_EXCEPTION_ERROR_CODE, .good =
      0xffff, .bad = 0x10000, .setup = { { true, CHECK_SET,
      VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, 0x80000b0d } } },
    { .rule = "injection_length", .field = VMCS_INDEX_ENTRY_INSTRUCTION_LENGTH, .good = 15, .bad =
      16, .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, 0x80000480 } } },
    { .rule = "injection_length", .field = VMCS_INDEX_ENTRY_INSTRUCTION_LENGTH, .good = 15, .bad =
      16, .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, 0x80000501 } } },
    { .rule = "injection_length", .field = VMCS_INDEX_ENTRY_INSTRUCTION_LENGTH, .good = 15, .bad =
      16, .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, 0x80000603 } } },
    { .rule = "injection_length_zero", .field = VMCS_INDEX_ENTRY_INSTRUCTION_LENGTH, .good = 1,
      .bad = 0, .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, 0x80000480
      } }, .tweak = { tweak_no_zero_length } },
    { .rule = "entry_load_aligned", .field = VMCS_INDEX_ENTRY_MSR_LOAD_ADDRESS, .good = 0x10, .bad
      = 0x18, .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_MSR_LOAD_COUNT, 1 } } },
    { .rule = "entry_load_width", .field = VMCS_INDEX_ENTRY_MSR_LOAD_ADDRESS, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 16, .bad = 1ull << WORLD_PHYSICAL_BITS, .setup = { { true, CHECK_SET,
      VMCS_INDEX_ENTRY_MSR_LOAD_COUNT, 1 } } },
    { .rule = "entry_load_width", .field = VMCS_INDEX_ENTRY_MSR_LOAD_COUNT, .good = 2, .bad = 3,
      .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_MSR_LOAD_ADDRESS, (1ull <<
      WORLD_PHYSICAL_BITS) - 32 } } },
    { .rule = "entry_to_smm", .field = VMCS_INDEX_ENTRY_CONTROLS, .good = BASE_ENTRY, .bad =
      BASE_ENTRY | ENTRY_ENTRY_TO_SMM, .setup = { { true, CHECK_SET,
      VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, 0 } }, .also = "blocking_smi_entry" },
    { .rule = "deactivate_dual_monitor", .field = VMCS_INDEX_ENTRY_CONTROLS, .good = BASE_ENTRY,
      .bad = BASE_ENTRY | ENTRY_DEACTIVATE_DUAL_MONITOR },
    { .rule = "smm_controls_exclude", .field = VMCS_INDEX_ENTRY_CONTROLS, .good = BASE_ENTRY |
      ENTRY_ENTRY_TO_SMM, .bad = BASE_ENTRY | ENTRY_ENTRY_TO_SMM | ENTRY_DEACTIVATE_DUAL_MONITOR,
      .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, VMX_BLOCKING_BY_SMI }
      }, .tweak = { tweak_in_smm } },
    { .rule = "rtit_load_while_tracing", .field = VMCS_INDEX_ENTRY_CONTROLS, .good = BASE_ENTRY,
      .bad = BASE_ENTRY | ENTRY_LOAD_RTIT_CTL, .tweak = { tweak_tracing } },
    /* Checks on Host Control Registers, MSRs, and SSP */
    { .rule = "host_cr0_fixed", .field = VMCS_INDEX_HOST_CR0, .good = BASE_CR0, .bad = BASE_CR0 &
      ~CR0_NE },
    { .rule = "host_cr0_fixed", .field = VMCS_INDEX_HOST_CR0, .good = BASE_CR0, .bad = BASE_CR0 |
      CR0_AM, .tweak = { tweak_cr0_bit } },
    { .rule = "host_cr4_fixed", .field = VMCS_INDEX_HOST_CR4, .good = BASE_CR4, .bad = BASE_CR4 &
      ~CR4_VMXE },
    { .rule = "host_cr4_fixed", .field = VMCS_INDEX_HOST_CR4, .good = BASE_CR4, .bad = BASE_CR4 |
      0x8000 },
    { .rule = "host_cet_needs_wp", .field = VMCS_INDEX_HOST_CR0, .good = BASE_CR0, .bad = BASE_CR0
      & ~CR0_WP, .setup = { { true, CHECK_ON, VMCS_INDEX_HOST_CR4, CR4_CET } } },
    { .rule = "host_cr3_width", .field = VMCS_INDEX_HOST_CR3, .good = (1ull << WORLD_PHYSICAL_BITS)
      - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS },
    { .rule = "host_cr3_width", .field = VMCS_INDEX_HOST_CR3, .good = CR3_LAM_U48 | CR3_LAM_U57 |
      0x1000, .bad = (1ull << 63) | 0x1000, .tweak = { tweak_lam } },
    { .rule = "host_cr3_width", .field = VMCS_INDEX_HOST_CR3, .good = 0x1000, .bad = CR3_LAM_U48 |
      0x1000 },
    { .rule = "host_sysenter_esp", .field = VMCS_INDEX_HOST_IA32_SYSENTER_ESP, .good =
      0x7fffffffffffull, .bad = 0x800000000000ull },
    { .rule = "host_sysenter_esp", .field = VMCS_INDEX_HOST_IA32_SYSENTER_ESP, .good =
      0xffff800000000000ull, .bad = 0xffff000000000000ull },
    { .rule = "host_sysenter_eip", .field = VMCS_INDEX_HOST_IA32_SYSENTER_EIP, .good =
      0x7fffffffffffull, .bad = 0x800000000000ull },
    { .rule = "host_sysenter_eip", .field = VMCS_INDEX_HOST_IA32_SYSENTER_EIP, .good =
      0xffff800000000000ull, .bad = 0xffff000000000000ull },
    { .rule = "host_perf_global", .field = VMCS_INDEX_HOST_IA32_PERF_GLOBAL_CTRL, .good =
      0x70000000full, .bad = 0x700000010ull, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_LOAD_PERF_GLOBAL_CTRL } }, .tweak = { tweak_masks } },
    { .rule = "host_pat", .field = VMCS_INDEX_HOST_IA32_PAT, .good = 0x0706050401000606ull, .bad =
      0x0206050401000606ull },
    { .rule = "host_pat", .field = VMCS_INDEX_HOST_IA32_PAT, .good = 0x07ull, .bad = 0x03ull },
    { .rule = "host_pat", .field = VMCS_INDEX_HOST_IA32_PAT, .good = 0x0700ull, .bad = 0x0800ull },
    { .rule = "host_efer_reserved", .field = VMCS_INDEX_HOST_IA32_EFER, .good = BASE_EFER, .bad =
      BASE_EFER | 2, .tweak = { tweak_masks } },
    { .rule = "host_efer_lma", .field = VMCS_INDEX_HOST_IA32_EFER, .good = BASE_EFER, .bad =
      BASE_EFER & ~EFER_LMA },
    { .rule = "host_efer_lme", .field = VMCS_INDEX_HOST_IA32_EFER, .good = BASE_EFER, .bad =
      BASE_EFER & ~EFER_LME },
    { .rule = "host_s_cet_reserved", .field = VMCS_INDEX_HOST_IA32_S_CET, .good = 0x83f, .bad =
      0x40, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_LOAD_CET_STATE } } },
    { .rule = "host_s_cet_reserved", .field = VMCS_INDEX_HOST_IA32_S_CET, .good = 0x400, .bad =
      0xc00, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_LOAD_CET_STATE } } },
    { .rule = "host_s_cet_canonical", .field = VMCS_INDEX_HOST_IA32_S_CET, .good =
      0x7ffffffff000ull, .bad = 0x800000000000ull, .setup = { { true, CHECK_ON,
      VMCS_INDEX_EXIT_CONTROLS, EXIT_LOAD_CET_STATE } } },
    { .rule = "host_ssp_aligned", .field = VMCS_INDEX_HOST_SSP, .good = 4, .bad = 2, .setup = { {
      true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_LOAD_CET_STATE } } },
    { .rule = "host_ssp_table", .field = VMCS_INDEX_HOST_IA32_INTERRUPT_SSP_TABLE_ADDR, .good =
      0x7fffffffffffull, .bad = 0x800000000000ull, .setup = { { true, CHECK_ON,
      VMCS_INDEX_EXIT_CONTROLS, EXIT_LOAD_CET_STATE } } },
    { .rule = "host_ssp_table", .field = VMCS_INDEX_HOST_IA32_INTERRUPT_SSP_TABLE_ADDR, .good =
      0xffff800000000000ull, .bad = 0xffff000000000000ull, .setup = { { true, CHECK_ON,
      VMCS_INDEX_EXIT_CONTROLS, EXIT_LOAD_CET_STATE } } },
    { .rule = "host_pkrs", .field = VMCS_INDEX_HOST_IA32_PKRS, .good = 0xffffffffull, .bad =
      0x100000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_LOAD_PKRS } } },
    { .rule = "host_spec_ctrl", .field = VMCS_INDEX_HOST_IA32_SPEC_CTRL, .good = 7, .bad = 8,
      .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_ACTIVATE_SECONDARY_CONTROLS }, {
      true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS, EXIT2_LOAD_SPEC_CTRL } }, .tweak = {
      tweak_masks } },
    { .rule = "host_fred_config", .field = VMCS_INDEX_HOST_IA32_FRED_CONFIG, .good = 0x1203, .bad =
      0x4, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_ACTIVATE_SECONDARY_CONTROLS
      }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS, EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_config", .field = VMCS_INDEX_HOST_IA32_FRED_CONFIG, .good = 0x1203, .bad =
      0x10, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_ACTIVATE_SECONDARY_CONTROLS
      }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS, EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_config", .field = VMCS_INDEX_HOST_IA32_FRED_CONFIG, .good = 0x1203, .bad =
      0x20, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_ACTIVATE_SECONDARY_CONTROLS
      }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS, EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_config", .field = VMCS_INDEX_HOST_IA32_FRED_CONFIG, .good = 0x1203, .bad =
      0x800, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_config", .field = VMCS_INDEX_HOST_IA32_FRED_CONFIG, .good =
      0x7ffffffff000ull, .bad = 0x800000000000ull, .setup = { { true, CHECK_ON,
      VMCS_INDEX_EXIT_CONTROLS, EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_EXIT_CONTROLS, EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_rsp1", .field = VMCS_INDEX_HOST_IA32_FRED_RSP1, .good = 0x7fffffffffc0ull,
      .bad = 0x20, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_rsp1", .field = VMCS_INDEX_HOST_IA32_FRED_RSP1, .good = 0x40, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_ssp1", .field = VMCS_INDEX_HOST_IA32_FRED_SSP1, .good = 0x7ffffffffff8ull,
      .bad = 4, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_ssp1", .field = VMCS_INDEX_HOST_IA32_FRED_SSP1, .good = 8, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_rsp2", .field = VMCS_INDEX_HOST_IA32_FRED_RSP2, .good = 0x7fffffffffc0ull,
      .bad = 0x20, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_rsp2", .field = VMCS_INDEX_HOST_IA32_FRED_RSP2, .good = 0x40, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_ssp2", .field = VMCS_INDEX_HOST_IA32_FRED_SSP2, .good = 0x7ffffffffff8ull,
      .bad = 4, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_ssp2", .field = VMCS_INDEX_HOST_IA32_FRED_SSP2, .good = 8, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_rsp3", .field = VMCS_INDEX_HOST_IA32_FRED_RSP3, .good = 0x7fffffffffc0ull,
      .bad = 0x20, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_rsp3", .field = VMCS_INDEX_HOST_IA32_FRED_RSP3, .good = 0x40, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_ssp3", .field = VMCS_INDEX_HOST_IA32_FRED_SSP3, .good = 0x7ffffffffff8ull,
      .bad = 4, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    { .rule = "host_fred_ssp3", .field = VMCS_INDEX_HOST_IA32_FRED_SSP3, .good = 8, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_ACTIVATE_SECONDARY_CONTROLS }, { true, CHECK_ON, VMCS_INDEX_SECONDARY_EXIT_CONTROLS,
      EXIT2_LOAD_FRED } } },
    /* Checks on Host Segment and Descriptor-Table Registers */
    { .rule = "host_es_selector", .field = VMCS_INDEX_HOST_ES_SELECTOR, .good = 0x18, .bad = 0x1b },
    { .rule = "host_es_selector", .field = VMCS_INDEX_HOST_ES_SELECTOR, .good = 0x18, .bad = 0x1c },
    { .rule = "host_cs_selector", .field = VMCS_INDEX_HOST_CS_SELECTOR, .good = 0x18, .bad = 0x1b },
    { .rule = "host_cs_selector", .field = VMCS_INDEX_HOST_CS_SELECTOR, .good = 0x18, .bad = 0x1c },
    { .rule = "host_ss_selector", .field = VMCS_INDEX_HOST_SS_SELECTOR, .good = 0x18, .bad = 0x1b },
    { .rule = "host_ss_selector", .field = VMCS_INDEX_HOST_SS_SELECTOR, .good = 0x18, .bad = 0x1c },
    { .rule = "host_ds_selector", .field = VMCS_INDEX_HOST_DS_SELECTOR, .good = 0x18, .bad = 0x1b },
    { .rule = "host_ds_selector", .field = VMCS_INDEX_HOST_DS_SELECTOR, .good = 0x18, .bad = 0x1c },
    { .rule = "host_fs_selector", .field = VMCS_INDEX_HOST_FS_SELECTOR, .good = 0x18, .bad = 0x1b },
    { .rule = "host_fs_selector", .field = VMCS_INDEX_HOST_FS_SELECTOR, .good = 0x18, .bad = 0x1c },
    { .rule = "host_gs_selector", .field = VMCS_INDEX_HOST_GS_SELECTOR, .good = 0x18, .bad = 0x1b },
    { .rule = "host_gs_selector", .field = VMCS_INDEX_HOST_GS_SELECTOR, .good = 0x18, .bad = 0x1c },
    { .rule = "host_tr_selector", .field = VMCS_INDEX_HOST_TR_SELECTOR, .good = 0x18, .bad = 0x1b },
    { .rule = "host_tr_selector", .field = VMCS_INDEX_HOST_TR_SELECTOR, .good = 0x18, .bad = 0x1c },
    { .rule = "host_cs_not_null", .field = VMCS_INDEX_HOST_CS_SELECTOR, .good = 8, .bad = 0 },
    { .rule = "host_tr_not_null", .field = VMCS_INDEX_HOST_TR_SELECTOR, .good = 8, .bad = 0 },
    { .rule = "host_ss_not_null", .field = VMCS_INDEX_HOST_SS_SELECTOR, .good = 8, .bad = 0, .tweak
      = { tweak_legacy_host } },
    { .rule = "host_fs_base", .field = VMCS_INDEX_HOST_FS_BASE, .good = 0x7fffffffffffull, .bad =
      0x800000000000ull },
    { .rule = "host_fs_base", .field = VMCS_INDEX_HOST_FS_BASE, .good = 0xffff800000000000ull, .bad
      = 0xffff000000000000ull },
    { .rule = "host_gs_base", .field = VMCS_INDEX_HOST_GS_BASE, .good = 0x7fffffffffffull, .bad =
      0x800000000000ull },
    { .rule = "host_gs_base", .field = VMCS_INDEX_HOST_GS_BASE, .good = 0xffff800000000000ull, .bad
      = 0xffff000000000000ull },
    { .rule = "host_gdtr_base", .field = VMCS_INDEX_HOST_GDTR_BASE, .good = 0x7fffffffffffull, .bad
      = 0x800000000000ull },
    { .rule = "host_gdtr_base", .field = VMCS_INDEX_HOST_GDTR_BASE, .good = 0xffff800000000000ull,
      .bad = 0xffff000000000000ull },
    { .rule = "host_idtr_base", .field = VMCS_INDEX_HOST_IDTR_BASE, .good = 0x7fffffffffffull, .bad
      = 0x800000000000ull },
    { .rule = "host_idtr_base", .field = VMCS_INDEX_HOST_IDTR_BASE, .good = 0xffff800000000000ull,
      .bad = 0xffff000000000000ull },
    { .rule = "host_tr_base", .field = VMCS_INDEX_HOST_TR_BASE, .good = 0x7fffffffffffull, .bad =
      0x800000000000ull },
    { .rule = "host_tr_base", .field = VMCS_INDEX_HOST_TR_BASE, .good = 0xffff800000000000ull, .bad
      = 0xffff000000000000ull },
    /* Checks Related to Address-Space Size */
    { .rule = "size_host_in_ia32e", .field = VMCS_INDEX_EXIT_CONTROLS, .good = BASE_EXIT &
      ~EXIT_LOAD_EFER, .bad = BASE_EXIT & ~(EXIT_LOAD_EFER | EXIT_HOST_ADDRESS_SPACE_SIZE), .tweak
      = { tweak_pae_guest } },
    { .rule = "size_host_outside_ia32e", .field = VMCS_INDEX_EXIT_CONTROLS, .good = BASE_EXIT &
      ~(EXIT_LOAD_EFER | EXIT_HOST_ADDRESS_SPACE_SIZE), .bad = BASE_EXIT & ~EXIT_LOAD_EFER, .tweak
      = { tweak_legacy_host } },
    { .rule = "size_guest_outside_ia32e", .field = VMCS_INDEX_ENTRY_CONTROLS, .good = 0x11ff, .bad
      = 0x11ff | ENTRY_IA32E_MODE_GUEST, .tweak = { tweak_legacy_host } },
    { .rule = "size_host_pcide", .field = VMCS_INDEX_HOST_CR4, .good = BASE_CR4, .bad = BASE_CR4 |
      CR4_PCIDE, .tweak = { tweak_legacy_host } },
    { .rule = "size_host_fred", .field = VMCS_INDEX_HOST_CR4, .good = BASE_CR4, .bad = BASE_CR4 |
      CR4_FRED, .tweak = { tweak_legacy_host } },
    { .rule = "size_host_rip_high", .field = VMCS_INDEX_HOST_RIP, .good = 0xffffffffull, .bad =
      0x100000000ull, .tweak = { tweak_legacy_host } },
    { .rule = "size_host_s_cet_high", .field = VMCS_INDEX_HOST_IA32_S_CET, .good = 0xfffff000ull,
      .bad = 0x100000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_LOAD_CET_STATE } }, .tweak = { tweak_legacy_host } },
    { .rule = "size_host_ssp_high", .field = VMCS_INDEX_HOST_SSP, .good = 0xfffffffcull, .bad =
      0x100000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS, EXIT_LOAD_CET_STATE }
      }, .tweak = { tweak_legacy_host } },
    { .rule = "size_host_pae", .field = VMCS_INDEX_HOST_CR4, .good = BASE_CR4, .bad = BASE_CR4 &
      ~CR4_PAE },
    { .rule = "size_host_rip_canonical", .field = VMCS_INDEX_HOST_RIP, .good = 0x7fffffffffffull,
      .bad = 0x800000000000ull },
    { .rule = "size_host_rip_canonical", .field = VMCS_INDEX_HOST_RIP, .good =
      0xffff800000000000ull, .bad = 0xffff000000000000ull },
    { .rule = "size_host_ssp_canonical", .field = VMCS_INDEX_HOST_SSP, .good = 0x7ffffffffffcull,
      .bad = 0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_EXIT_CONTROLS,
      EXIT_LOAD_CET_STATE } } },
    /* Checks on Guest Control Registers, Debug Registers, and MSRs */
    { .rule = "guest_cr0_fixed", .field = VMCS_INDEX_GUEST_CR0, .good = BASE_CR0, .bad = BASE_CR0 &
      ~CR0_NE },
    { .rule = "guest_cr0_fixed", .field = VMCS_INDEX_GUEST_CR0, .good = BASE_CR0 | CR0_CD | CR0_NW,
      .bad = BASE_CR0 | CR0_AM, .tweak = { tweak_cr0_bit } },
    { .rule = "guest_cr0_fixed", .field = VMCS_INDEX_GUEST_CR0, .good = BASE_CR0, .bad = BASE_CR0 &
      ~CR0_PG, .tweak = { tweak_pae_guest } },
    { .rule = "guest_cr0_fixed", .field = VMCS_INDEX_GUEST_CR0, .good = CR0_NE | CR0_ET, .bad =
      CR0_ET, .tweak = { tweak_real_guest } },
    { .rule = "guest_pg_needs_pe", .field = VMCS_INDEX_GUEST_CR0, .good = CR0_NE | CR0_PG | CR0_PE,
      .bad = CR0_NE | CR0_PG, .setup = { { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_UNRESTRICTED_GUEST } }, .tweak = {
      tweak_pae_guest } },
    { .rule = "guest_cr4_fixed", .field = VMCS_INDEX_GUEST_CR4, .good = BASE_CR4, .bad = BASE_CR4 &
      ~CR4_VMXE },
    { .rule = "guest_cr4_fixed", .field = VMCS_INDEX_GUEST_CR4, .good = BASE_CR4, .bad = BASE_CR4 |
      0x8000 },
    { .rule = "guest_cet_needs_wp", .field = VMCS_INDEX_GUEST_CR0, .good = BASE_CR0, .bad =
      BASE_CR0 & ~CR0_WP, .setup = { { true, CHECK_ON, VMCS_INDEX_GUEST_CR4, CR4_CET } } },
    { .rule = "guest_debugctl", .field = VMCS_INDEX_GUEST_IA32_DEBUGCTL, .good = 1, .bad = 4,
      .tweak = { tweak_masks } },
    { .rule = "guest_ia32e_needs_paging", .field = VMCS_INDEX_GUEST_CR0, .good = BASE_CR0, .bad =
      BASE_CR0 & ~CR0_PG, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_UNRESTRICTED_GUEST } } },
    { .rule = "guest_ia32e_needs_pae", .field = VMCS_INDEX_GUEST_CR4, .good = BASE_CR4, .bad =
      BASE_CR4 & ~CR4_PAE },
    { .rule = "guest_pcide_needs_ia32e", .field = VMCS_INDEX_GUEST_CR4, .good = BASE_CR4, .bad =
      BASE_CR4 | CR4_PCIDE, .tweak = { tweak_pae_guest } },
    { .rule = "guest_fred_needs_ia32e", .field = VMCS_INDEX_GUEST_CR4, .good = BASE_CR4, .bad =
      BASE_CR4 | CR4_FRED, .tweak = { tweak_pae_guest } },
    { .rule = "guest_cr3_width", .field = VMCS_INDEX_GUEST_CR3, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0x1000, .bad = 1ull << WORLD_PHYSICAL_BITS },
    { .rule = "guest_dr7", .field = VMCS_INDEX_GUEST_DR7, .good = 0xffffffffull, .bad =
      0x100000000ull },
    { .rule = "guest_sysenter_esp", .field = VMCS_INDEX_GUEST_IA32_SYSENTER_ESP, .good =
      0x7fffffffffffull, .bad = 0x800000000000ull },
    { .rule = "guest_sysenter_esp", .field = VMCS_INDEX_GUEST_IA32_SYSENTER_ESP, .good =
      0xffff800000000000ull, .bad = 0xffff000000000000ull },
    { .rule = "guest_sysenter_eip", .field = VMCS_INDEX_GUEST_IA32_SYSENTER_EIP, .good =
      0x7fffffffffffull, .bad = 0x800000000000ull },
    { .rule = "guest_sysenter_eip", .field = VMCS_INDEX_GUEST_IA32_SYSENTER_EIP, .good =
      0xffff800000000000ull, .bad = 0xffff000000000000ull },
    { .rule = "guest_s_cet_reserved", .field = VMCS_INDEX_GUEST_IA32_S_CET, .good = 0x83f, .bad =
      0x200, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_CET_STATE } } },
    { .rule = "guest_s_cet_reserved", .field = VMCS_INDEX_GUEST_IA32_S_CET, .good = 0x800, .bad =
      0xc00, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_CET_STATE } } },
    { .rule = "guest_s_cet_canonical", .field = VMCS_INDEX_GUEST_IA32_S_CET, .good =
      0x7ffffffff000ull, .bad = 0x800000000000ull, .setup = { { true, CHECK_ON,
      VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_CET_STATE } } },
    { .rule = "guest_ssp_table", .field = VMCS_INDEX_GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR, .good =
      0x7fffffffffffull, .bad = 0x800000000000ull, .setup = { { true, CHECK_ON,
      VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_CET_STATE } } },
    { .rule = "guest_ssp_table", .field = VMCS_INDEX_GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR, .good =
      0xffff800000000000ull, .bad = 0xffff000000000000ull, .setup = { { true, CHECK_ON,
      VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_CET_STATE } } },
    { .rule = "guest_perf_global", .field = VMCS_INDEX_GUEST_IA32_PERF_GLOBAL_CTRL, .good =
      0x70000000full, .bad = 0x800000000ull, .setup = { { true, CHECK_ON,
      VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_PERF_GLOBAL_CTRL } }, .tweak = { tweak_masks } },
    { .rule = "guest_pat", .field = VMCS_INDEX_GUEST_IA32_PAT, .good = 0x0706050401000606ull, .bad
      = 0x0706050401000206ull },
    { .rule = "guest_efer_reserved", .field = VMCS_INDEX_GUEST_IA32_EFER, .good = BASE_EFER, .bad =
      BASE_EFER | 1ull << 63, .tweak = { tweak_masks } },
    { .rule = "guest_efer_lma", .field = VMCS_INDEX_GUEST_IA32_EFER, .good = 0, .bad = EFER_LMA |
      EFER_LME, .tweak = { tweak_pae_guest } },
    { .rule = "guest_efer_lme", .field = VMCS_INDEX_GUEST_IA32_EFER, .good = BASE_EFER, .bad =
      BASE_EFER & ~EFER_LME },
    { .rule = "guest_bndcfgs_reserved", .field = VMCS_INDEX_GUEST_IA32_BNDCFGS, .good = 0x1003,
      .bad = 0x1004, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_BNDCFGS } }
      },
    { .rule = "guest_bndcfgs_reserved", .field = VMCS_INDEX_GUEST_IA32_BNDCFGS, .good = 0x1003,
      .bad = 0x1800, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_BNDCFGS } }
      },
    { .rule = "guest_bndcfgs_canonical", .field = VMCS_INDEX_GUEST_IA32_BNDCFGS, .good =
      0x7ffffffff003ull, .bad = 0x800000000000ull, .setup = { { true, CHECK_ON,
      VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_BNDCFGS } } },
    { .rule = "guest_rtit_ctl", .field = VMCS_INDEX_GUEST_IA32_RTIT_CTL, .good = 0x2fff, .bad =
      0x1000, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_RTIT_CTL } },
      .tweak = { tweak_masks } },
    { .rule = "guest_lbr_ctl", .field = VMCS_INDEX_GUEST_IA32_LBR_CTL, .good = 0x7f000f, .bad =
      0x10, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_LBR_CTL } }, .tweak
      = { tweak_masks } },
    { .rule = "guest_pkrs", .field = VMCS_INDEX_GUEST_IA32_PKRS, .good = 0xffffffffull, .bad =
      0x100000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_PKRS } } },
    { .rule = "guest_uinv", .field = VMCS_INDEX_GUEST_UINV, .good = 0xff, .bad = 0x100, .setup = {
      { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_UINV } } },
    { .rule = "guest_spec_ctrl", .field = VMCS_INDEX_GUEST_IA32_SPEC_CTRL, .good = 7, .bad = 8,
      .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_SPEC_CTRL } }, .tweak = {
      tweak_masks } },
    { .rule = "guest_fred_config", .field = VMCS_INDEX_GUEST_IA32_FRED_CONFIG, .good = 0x1203, .bad
      = 0x4, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_FRED } } },
    { .rule = "guest_fred_config", .field = VMCS_INDEX_GUEST_IA32_FRED_CONFIG, .good = 0x1203, .bad
      = 0x10, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_FRED } } },
    { .rule = "guest_fred_config", .field = VMCS_INDEX_GUEST_IA32_FRED_CONFIG, .good = 0x1203, .bad
      = 0x20, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_FRED } } },
    { .rule = "guest_fred_config", .field = VMCS_INDEX_GUEST_IA32_FRED_CONFIG, .good = 0x1203, .bad
      = 0x800, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_FRED } } },
    { .rule = "guest_fred_config", .field = VMCS_INDEX_GUEST_IA32_FRED_CONFIG, .good =
      0x7ffffffff000ull, .bad = 0x800000000000ull, .setup = { { true, CHECK_ON,
      VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_FRED } } },
    { .rule = "guest_fred_rsp1", .field = VMCS_INDEX_GUEST_IA32_FRED_RSP1, .good =
      0x7fffffffffc0ull, .bad = 0x20, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS,
      ENTRY_LOAD_FRED } } },
    { .rule = "guest_fred_rsp1", .field = VMCS_INDEX_GUEST_IA32_FRED_RSP1, .good = 0x40, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_FRED }
      } },
    { .rule = "guest_fred_ssp1", .field = VMCS_INDEX_GUEST_IA32_FRED_SSP1, .good =
      0x7ffffffffff8ull, .bad = 4, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS,
      ENTRY_LOAD_FRED } } },
    { .rule = "guest_fred_ssp1", .field = VMCS_INDEX_GUEST_IA32_FRED_SSP1, .good = 8, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_FRED }
      } },
    { .rule = "guest_fred_rsp2", .field = VMCS_INDEX_GUEST_IA32_FRED_RSP2, .good =
      0x7fffffffffc0ull, .bad = 0x20, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS,
      ENTRY_LOAD_FRED } } },
    { .rule = "guest_fred_rsp2", .field = VMCS_INDEX_GUEST_IA32_FRED_RSP2, .good = 0x40, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_FRED }
      } },
    { .rule = "guest_fred_ssp2", .field = VMCS_INDEX_GUEST_IA32_FRED_SSP2, .good =
      0x7ffffffffff8ull, .bad = 4, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS,
      ENTRY_LOAD_FRED } } },
    { .rule = "guest_fred_ssp2", .field = VMCS_INDEX_GUEST_IA32_FRED_SSP2, .good = 8, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_FRED }
      } },
    { .rule = "guest_fred_rsp3", .field = VMCS_INDEX_GUEST_IA32_FRED_RSP3, .good =
      0x7fffffffffc0ull, .bad = 0x20, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS,
      ENTRY_LOAD_FRED } } },
    { .rule = "guest_fred_rsp3", .field = VMCS_INDEX_GUEST_IA32_FRED_RSP3, .good = 0x40, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_FRED }
      } },
    { .rule = "guest_fred_ssp3", .field = VMCS_INDEX_GUEST_IA32_FRED_SSP3, .good =
      0x7ffffffffff8ull, .bad = 4, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS,
      ENTRY_LOAD_FRED } } },
    { .rule = "guest_fred_ssp3", .field = VMCS_INDEX_GUEST_IA32_FRED_SSP3, .good = 8, .bad =
      0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_FRED }
      } },
    /* Checks on Guest Segment Registers */
    { .rule = "guest_tr_ti", .field = VMCS_INDEX_GUEST_TR_SELECTOR, .good = 0x23, .bad = 0x24 },
    { .rule = "guest_ldtr_ti", .field = VMCS_INDEX_GUEST_LDTR_SELECTOR, .good = 0x1b, .bad = 0x1c },
    { .rule = "guest_ldtr_ti", .field = VMCS_INDEX_GUEST_LDTR_ACCESS_RIGHTS, .good = AR_UNUSABLE,
      .bad = AR_LDT, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_LDTR_SELECTOR, 0x1c } } },
    { .rule = "guest_ss_rpl", .field = VMCS_INDEX_GUEST_CS_SELECTOR, .good = 0x08, .bad = 0x0b },
    { .rule = "v86_es_base", .field = VMCS_INDEX_GUEST_ES_BASE, .good = 0x10000, .bad = 0x10010,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_es_limit", .field = VMCS_INDEX_GUEST_ES_LIMIT, .good = 0xffff, .bad = 0xfffff,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_es_rights", .field = VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, .good = 0xf3, .bad =
      0x93, .tweak = { tweak_v86_guest } },
    { .rule = "v86_cs_base", .field = VMCS_INDEX_GUEST_CS_BASE, .good = 0x10000, .bad = 0x10010,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_cs_limit", .field = VMCS_INDEX_GUEST_CS_LIMIT, .good = 0xffff, .bad = 0xfffff,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_cs_rights", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = 0xf3, .bad =
      0x93, .tweak = { tweak_v86_guest } },
    { .rule = "v86_ss_base", .field = VMCS_INDEX_GUEST_SS_BASE, .good = 0x10000, .bad = 0x10010,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_ss_limit", .field = VMCS_INDEX_GUEST_SS_LIMIT, .good = 0xffff, .bad = 0xfffff,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_ss_rights", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = 0xf3, .bad =
      0x93, .tweak = { tweak_v86_guest } },
    { .rule = "v86_ds_base", .field = VMCS_INDEX_GUEST_DS_BASE, .good = 0x10000, .bad = 0x10010,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_ds_limit", .field = VMCS_INDEX_GUEST_DS_LIMIT, .good = 0xffff, .bad = 0xfffff,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_ds_rights", .field = VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, .good = 0xf3, .bad =
      0x93, .tweak = { tweak_v86_guest } },
    { .rule = "v86_fs_base", .field = VMCS_INDEX_GUEST_FS_BASE, .good = 0x10000, .bad = 0x10010,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_fs_limit", .field = VMCS_INDEX_GUEST_FS_LIMIT, .good = 0xffff, .bad = 0xfffff,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_fs_rights", .field = VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, .good = 0xf3, .bad =
      0x93, .tweak = { tweak_v86_guest } },
    { .rule = "v86_gs_base", .field = VMCS_INDEX_GUEST_GS_BASE, .good = 0x10000, .bad = 0x10010,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_gs_limit", .field = VMCS_INDEX_GUEST_GS_LIMIT, .good = 0xffff, .bad = 0xfffff,
      .tweak = { tweak_v86_guest } },
    { .rule = "v86_gs_rights", .field = VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, .good = 0xf3, .bad =
      0x93, .tweak = { tweak_v86_guest } },
    { .rule = "guest_tr_base", .field = VMCS_INDEX_GUEST_TR_BASE, .good = 0x7fffffffffffull, .bad =
      0x800000000000ull },
    { .rule = "guest_tr_base", .field = VMCS_INDEX_GUEST_TR_BASE, .good = 0xffff800000000000ull,
      .bad = 0xffff000000000000ull },
    { .rule = "guest_fs_base", .field = VMCS_INDEX_GUEST_FS_BASE, .good = 0x7fffffffffffull, .bad =
      0x800000000000ull },
    { .rule = "guest_fs_base", .field = VMCS_INDEX_GUEST_FS_BASE, .good = 0xffff800000000000ull,
      .bad = 0xffff000000000000ull },
    { .rule = "guest_gs_base", .field = VMCS_INDEX_GUEST_GS_BASE, .good = 0x7fffffffffffull, .bad =
      0x800000000000ull },
    { .rule = "guest_gs_base", .field = VMCS_INDEX_GUEST_GS_BASE, .good = 0xffff800000000000ull,
      .bad = 0xffff000000000000ull },
    { .rule = "guest_ldtr_base", .field = VMCS_INDEX_GUEST_LDTR_BASE, .good = 0x7fffffffffffull,
      .bad = 0x800000000000ull },
    { .rule = "guest_ldtr_base", .field = VMCS_INDEX_GUEST_LDTR_BASE, .good =
      0xffff800000000000ull, .bad = 0xffff000000000000ull },
    { .rule = "guest_ldtr_base", .field = VMCS_INDEX_GUEST_LDTR_ACCESS_RIGHTS, .good = AR_UNUSABLE,
      .bad = AR_LDT, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_LDTR_BASE, 0x800000000000ull }
      } },
    { .rule = "guest_cs_base", .field = VMCS_INDEX_GUEST_CS_BASE, .good = 0xffffffffull, .bad =
      0x100000000ull },
    { .rule = "guest_ss_base", .field = VMCS_INDEX_GUEST_SS_BASE, .good = 0xffffffffull, .bad =
      0x100000000ull },
    { .rule = "guest_ss_base", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = AR_UNUSABLE,
      .bad = AR_DATA, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_SS_BASE, 0x100000000ull } } },
    { .rule = "guest_ds_base", .field = VMCS_INDEX_GUEST_DS_BASE, .good = 0xffffffffull, .bad =
      0x100000000ull },
    { .rule = "guest_ds_base", .field = VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, .good = AR_UNUSABLE,
      .bad = AR_DATA, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_DS_BASE, 0x100000000ull } } },
    { .rule = "guest_es_base", .field = VMCS_INDEX_GUEST_ES_BASE, .good = 0xffffffffull, .bad =
      0x100000000ull },
    { .rule = "guest_es_base", .field = VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, .good = AR_UNUSABLE,
      .bad = AR_DATA, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ES_BASE, 0x100000000ull } } },
    { .rule = "guest_cs_type", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = 0xa099, .bad =
      0xa091 },
    { .rule = "guest_cs_type", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = 0xa09d, .bad =
      0xa09c },
    { .rule = "guest_cs_type", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = 0xa09f, .bad =
      0xa098 },
    { .rule = "guest_cs_type", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = 0xa09b, .bad =
      0xa093 },
    { .rule = "guest_cs_type", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = 0xc093, .bad =
      0xc097, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_UNRESTRICTED_GUEST } }, .tweak = { tweak_pae_guest } },
    { .rule = "guest_cs_s", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = AR_CODE64, .bad =
      AR_CODE64 & ~VMX_AR_S },
    { .rule = "guest_cs_dpl_data", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = 0xc093, .bad
      = 0xc0f3, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_UNRESTRICTED_GUEST } }, .tweak = { tweak_pae_guest } },
    { .rule = "guest_cs_dpl_nonconforming", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good =
      0xa09b, .bad = 0xa0fb },
    { .rule = "guest_cs_dpl_nonconforming", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good =
      0xa099, .bad = 0xa0b9 },
    { .rule = "guest_cs_dpl_conforming", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good =
      0xa09f, .bad = 0xa0bf },
    { .rule = "guest_cs_dpl_conforming", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good =
      0xa0bd, .bad = 0xa0dd, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS,
      0xc0b3 }, { true, CHECK_SET, VMCS_INDEX_GUEST_SS_SELECTOR, 0x11 }, { true, CHECK_SET,
      VMCS_INDEX_GUEST_CS_SELECTOR, 0x09 } } },
    { .rule = "guest_cs_p", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = AR_CODE64, .bad =
      AR_CODE64 & ~VMX_AR_P },
    { .rule = "guest_cs_reserved", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = AR_CODE64 |
      VMX_AR_AVL, .bad = AR_CODE64 | 0x100 },
    { .rule = "guest_cs_reserved", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = AR_CODE64,
      .bad = AR_CODE64 | 0x80000000ull },
    { .rule = "guest_cs_l_db", .field = VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, .good = AR_CODE64, .bad
      = AR_CODE64 | VMX_AR_DB },
    { .rule = "guest_ss_type", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = 0xc093, .bad =
      0xc091 },
    { .rule = "guest_ss_type", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = 0xc097, .bad =
      0xc095 },
    { .rule = "guest_ss_type", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = 0xc093, .bad =
      0xc09b },
    { .rule = "guest_ss_type", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = AR_UNUSABLE,
      .bad = 0xc092 },
    { .rule = "guest_ss_s", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = AR_DATA, .bad =
      AR_DATA & ~VMX_AR_S },
    { .rule = "guest_ss_dpl_rpl", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = 0xc0b3, .bad
      = 0xc0d3, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_SS_SELECTOR, 0x11 }, { true,
      CHECK_SET, VMCS_INDEX_GUEST_CS_SELECTOR, 0x09 }, { true, CHECK_SET,
      VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, 0xa09f } } },
    { .rule = "guest_ss_dpl_zero", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = 0xc093, .bad
      = 0xc0f3, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, 0xc093 }, { true,
      CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_UNRESTRICTED_GUEST } }, .tweak = {
      tweak_pae_guest } },
    { .rule = "guest_ss_dpl_zero", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = 0xc093, .bad
      = 0xc0f3, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, 0xc09f } }, .tweak
      = { tweak_real_guest } },
    { .rule = "guest_ss_p", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = AR_DATA, .bad =
      AR_DATA & ~VMX_AR_P },
    { .rule = "guest_ss_reserved", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = AR_DATA |
      VMX_AR_AVL, .bad = AR_DATA | 0x800 },
    { .rule = "guest_ss_reserved", .field = VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, .good = AR_DATA,
      .bad = AR_DATA | 0x20000 },
    { .rule = "guest_es_p", .field = VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, .good = AR_DATA, .bad =
      AR_DATA & ~VMX_AR_P },
    { .rule = "guest_es_reserved", .field = VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, .good = AR_DATA |
      VMX_AR_AVL, .bad = AR_DATA | 0x800 },
    { .rule = "guest_es_reserved", .field = VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, .good = AR_DATA,
      .bad = AR_DATA | 0x20000 },
    { .rule = "guest_ds_p", .field = VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, .good = AR_DATA, .bad =
      AR_DATA & ~VMX_AR_P },
    { .rule = "guest_ds_reserved", .field = VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, .good = AR_DATA |
      VMX_AR_AVL, .bad = AR_DATA | 0x800 },
    { .rule = "guest_ds_reserved", .field = VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, .good = AR_DATA,
      .bad = AR_DATA | 0x20000 },
    { .rule = "guest_fs_p", .field = VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, .good = AR_DATA, .bad =
      AR_DATA & ~VMX_AR_P },
    { .rule = "guest_fs_reserved", .field = VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, .good = AR_DATA |
      VMX_AR_AVL, .bad = AR_DATA | 0x800 },
    { .rule = "guest_fs_reserved", .field = VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, .good = AR_DATA,
      .bad = AR_DATA | 0x20000 },
    { .rule = "guest_gs_p", .field = VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, .good = AR_DATA, .bad =
      AR_DATA & ~VMX_AR_P },
    { .rule = "guest_gs_reserved", .field = VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, .good = AR_DATA |
      VMX_AR_AVL, .bad = AR_DATA | 0x800 },
    { .rule = "guest_gs_reserved", .field = VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, .good = AR_DATA,
      .bad = AR_DATA | 0x20000 },
    { .rule = "guest_cs_g_low", .field = VMCS_INDEX_GUEST_CS_LIMIT, .good = 0xfffff, .bad =
      0xfffef, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, 0xc09bull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_cs_g_high", .field = VMCS_INDEX_GUEST_CS_LIMIT, .good = 0xfffff, .bad =
      0x1fffff, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, 0x409bull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_ss_g_low", .field = VMCS_INDEX_GUEST_SS_LIMIT, .good = 0xfffff, .bad =
      0xfffef, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, 0xc093ull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_ss_g_high", .field = VMCS_INDEX_GUEST_SS_LIMIT, .good = 0xfffff, .bad =
      0x1fffff, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, 0x4093ull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_es_g_low", .field = VMCS_INDEX_GUEST_ES_LIMIT, .good = 0xfffff, .bad =
      0xfffef, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, 0xc093ull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_es_g_high", .field = VMCS_INDEX_GUEST_ES_LIMIT, .good = 0xfffff, .bad =
      0x1fffff, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, 0x4093ull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_ds_g_low", .field = VMCS_INDEX_GUEST_DS_LIMIT, .good = 0xfffff, .bad =
      0xfffef, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, 0xc093ull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_ds_g_high", .field = VMCS_INDEX_GUEST_DS_LIMIT, .good = 0xfffff, .bad =
      0x1fffff, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, 0x4093ull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_fs_g_low", .field = VMCS_INDEX_GUEST_FS_LIMIT, .good = 0xfffff, .bad =
      0xfffef, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, 0xc093ull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_fs_g_high", .field = VMCS_INDEX_GUEST_FS_LIMIT, .good = 0xfffff, .bad =
      0x1fffff, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, 0x4093ull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_gs_g_low", .field = VMCS_INDEX_GUEST_GS_LIMIT, .good = 0xfffff, .bad =
      0xfffef, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, 0xc093ull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_gs_g_high", .field = VMCS_INDEX_GUEST_GS_LIMIT, .good = 0xfffff, .bad =
      0x1fffff, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, 0x4093ull } },
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_es_accessed", .field = VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, .good = 0xc093, .bad
      = 0xc092 },
    { .rule = "guest_es_accessed", .field = VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, .good = AR_UNUSABLE,
      .bad = 0xc090 },
    { .rule = "guest_es_readable", .field = VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, .good = 0xc09b, .bad
      = 0xc099 },
    { .rule = "guest_es_s", .field = VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, .good = AR_DATA, .bad =
      AR_DATA & ~VMX_AR_S },
    { .rule = "guest_es_dpl", .field = VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, .good = 0xc0d3, .bad =
      0xc0b3, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ES_SELECTOR, 0x12 } } },
    { .rule = "guest_es_dpl", .field = VMCS_INDEX_GUEST_ES_ACCESS_RIGHTS, .good = 0xc09f, .bad =
      0xc09b, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ES_SELECTOR, 0x12 } } },
    { .rule = "guest_es_dpl", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good = BASE_CPU2
      | CPU2_UNRESTRICTED_GUEST, .bad = BASE_CPU2, .setup = { { true, CHECK_SET,
      VMCS_INDEX_GUEST_ES_SELECTOR, 0x12 } } },
    { .rule = "guest_ds_accessed", .field = VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, .good = 0xc093, .bad
      = 0xc092 },
    { .rule = "guest_ds_accessed", .field = VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, .good = AR_UNUSABLE,
      .bad = 0xc090 },
    { .rule = "guest_ds_readable", .field = VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, .good = 0xc09b, .bad
      = 0xc099 },
    { .rule = "guest_ds_s", .field = VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, .good = AR_DATA, .bad =
      AR_DATA & ~VMX_AR_S },
    { .rule = "guest_ds_dpl", .field = VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, .good = 0xc0d3, .bad =
      0xc0b3, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_DS_SELECTOR, 0x12 } } },
    { .rule = "guest_ds_dpl", .field = VMCS_INDEX_GUEST_DS_ACCESS_RIGHTS, .good = 0xc09f, .bad =
      0xc09b, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_DS_SELECTOR, 0x12 } } },
    { .rule = "guest_ds_dpl", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good = BASE_CPU2
      | CPU2_UNRESTRICTED_GUEST, .bad = BASE_CPU2, .setup = { { true, CHECK_SET,
      VMCS_INDEX_GUEST_DS_SELECTOR, 0x12 } } },
    { .rule = "guest_fs_accessed", .field = VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, .good = 0xc093, .bad
      = 0xc092 },
    { .rule = "guest_fs_accessed", .field = VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, .good = AR_UNUSABLE,
      .bad = 0xc090 },
    { .rule = "guest_fs_readable", .field = VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, .good = 0xc09b, .bad
      = 0xc099 },
    { .rule = "guest_fs_s", .field = VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, .good = AR_DATA, .bad =
      AR_DATA & ~VMX_AR_S },
    { .rule = "guest_fs_dpl", .field = VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, .good = 0xc0d3, .bad =
      0xc0b3, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_FS_SELECTOR, 0x12 } } },
    { .rule = "guest_fs_dpl", .field = VMCS_INDEX_GUEST_FS_ACCESS_RIGHTS, .good = 0xc09f, .bad =
      0xc09b, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_FS_SELECTOR, 0x12 } } },
    { .rule = "guest_fs_dpl", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good = BASE_CPU2
      | CPU2_UNRESTRICTED_GUEST, .bad = BASE_CPU2, .setup = { { true, CHECK_SET,
      VMCS_INDEX_GUEST_FS_SELECTOR, 0x12 } } },
    { .rule = "guest_gs_accessed", .field = VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, .good = 0xc093, .bad
      = 0xc092 },
    { .rule = "guest_gs_accessed", .field = VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, .good = AR_UNUSABLE,
      .bad = 0xc090 },
    { .rule = "guest_gs_readable", .field = VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, .good = 0xc09b, .bad
      = 0xc099 },
    { .rule = "guest_gs_s", .field = VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, .good = AR_DATA, .bad =
      AR_DATA & ~VMX_AR_S },
    { .rule = "guest_gs_dpl", .field = VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, .good = 0xc0d3, .bad =
      0xc0b3, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_GS_SELECTOR, 0x12 } } },
    { .rule = "guest_gs_dpl", .field = VMCS_INDEX_GUEST_GS_ACCESS_RIGHTS, .good = 0xc09f, .bad =
      0xc09b, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_GS_SELECTOR, 0x12 } } },
    { .rule = "guest_gs_dpl", .field = VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, .good = BASE_CPU2
      | CPU2_UNRESTRICTED_GUEST, .bad = BASE_CPU2, .setup = { { true, CHECK_SET,
      VMCS_INDEX_GUEST_GS_SELECTOR, 0x12 } } },
    { .rule = "guest_tr_type", .field = VMCS_INDEX_GUEST_TR_ACCESS_RIGHTS, .good = 0x8b, .bad =
      0x83 },
    { .rule = "guest_tr_type", .field = VMCS_INDEX_GUEST_TR_ACCESS_RIGHTS, .good = 0x83, .bad =
      0x89, .tweak = { tweak_pae_guest } },
    { .rule = "guest_tr_type", .field = VMCS_INDEX_GUEST_TR_ACCESS_RIGHTS, .good = 0x8b, .bad =
      0x81, .tweak = { tweak_pae_guest } },
    { .rule = "guest_tr_s", .field = VMCS_INDEX_GUEST_TR_ACCESS_RIGHTS, .good = AR_TSS, .bad =
      AR_TSS | VMX_AR_S },
    { .rule = "guest_tr_p", .field = VMCS_INDEX_GUEST_TR_ACCESS_RIGHTS, .good = AR_TSS, .bad =
      AR_TSS & ~VMX_AR_P },
    { .rule = "guest_tr_reserved", .field = VMCS_INDEX_GUEST_TR_ACCESS_RIGHTS, .good = AR_TSS |
      VMX_AR_AVL, .bad = AR_TSS | 0x800 },
    { .rule = "guest_tr_reserved", .field = VMCS_INDEX_GUEST_TR_ACCESS_RIGHTS, .good = AR_TSS, .bad
      = AR_TSS | 0x20000 },
    { .rule = "guest_tr_usable", .field = VMCS_INDEX_GUEST_TR_ACCESS_RIGHTS, .good = AR_TSS, .bad =
      AR_TSS | VMX_AR_UNUSABLE },
    { .rule = "guest_tr_g_low", .field = VMCS_INDEX_GUEST_TR_LIMIT, .good = 0xfffff, .bad = 0x67,
      .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_TR_ACCESS_RIGHTS, 0x808b } } },
    { .rule = "guest_tr_g_high", .field = VMCS_INDEX_GUEST_TR_LIMIT, .good = 0xfffff, .bad =
      0x1fffff },
    { .rule = "guest_ldtr_type", .field = VMCS_INDEX_GUEST_LDTR_ACCESS_RIGHTS, .good = AR_LDT, .bad
      = 0x83 },
    { .rule = "guest_ldtr_type", .field = VMCS_INDEX_GUEST_LDTR_ACCESS_RIGHTS, .good = 0x10083,
      .bad = 0x83 },
    { .rule = "guest_ldtr_s", .field = VMCS_INDEX_GUEST_LDTR_ACCESS_RIGHTS, .good = AR_LDT, .bad =
      AR_LDT | VMX_AR_S },
    { .rule = "guest_ldtr_p", .field = VMCS_INDEX_GUEST_LDTR_ACCESS_RIGHTS, .good = AR_LDT, .bad =
      AR_LDT & ~VMX_AR_P },
    { .rule = "guest_ldtr_reserved", .field = VMCS_INDEX_GUEST_LDTR_ACCESS_RIGHTS, .good = AR_LDT |
      VMX_AR_AVL, .bad = AR_LDT | 0x800 },
    { .rule = "guest_ldtr_reserved", .field = VMCS_INDEX_GUEST_LDTR_ACCESS_RIGHTS, .good = AR_LDT,
      .bad = AR_LDT | 0x20000 },
    { .rule = "guest_ldtr_g_low", .field = VMCS_INDEX_GUEST_LDTR_LIMIT, .good = 0xfffff, .bad =
      0x67, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_LDTR_ACCESS_RIGHTS, 0x8082 } } },
    { .rule = "guest_ldtr_g_high", .field = VMCS_INDEX_GUEST_LDTR_LIMIT, .good = 0xfffff, .bad =
      0x1fffff },
    /* Checks on Guest Descriptor-Table Registers */
    { .rule = "guest_gdtr_base", .field = VMCS_INDEX_GUEST_GDTR_BASE, .good = 0x7fffffffffffull,
      .bad = 0x800000000000ull },
    { .rule = "guest_gdtr_base", .field = VMCS_INDEX_GUEST_GDTR_BASE, .good =
      0xffff800000000000ull, .bad = 0xffff000000000000ull },
    { .rule = "guest_idtr_base", .field = VMCS_INDEX_GUEST_IDTR_BASE, .good = 0x7fffffffffffull,
      .bad = 0x800000000000ull },
    { .rule = "guest_idtr_base", .field = VMCS_INDEX_GUEST_IDTR_BASE, .good =
      0xffff800000000000ull, .bad = 0xffff000000000000ull },
    { .rule = "guest_gdtr_limit", .field = VMCS_INDEX_GUEST_GDTR_LIMIT, .good = 0xffff, .bad =
      0x10000 },
    { .rule = "guest_idtr_limit", .field = VMCS_INDEX_GUEST_IDTR_LIMIT, .good = 0xffff, .bad =
      0x10000 },
    /* Checks on Guest RIP, RFLAGS, and SSP */
    { .rule = "guest_rip_high", .field = VMCS_INDEX_GUEST_RIP, .good = 0xffffffffull, .bad =
      0x100000000ull, .tweak = { tweak_pae_guest } },
    { .rule = "guest_rip_high", .field = VMCS_INDEX_GUEST_RIP, .good = 0xffffffffull, .bad =
      0x100000000ull, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, AR_CODE32 }
      } },
    { .rule = "guest_rip_width", .field = VMCS_INDEX_GUEST_RIP, .good = 0x800000000000ull, .bad =
      0x1000000000000ull },
    { .rule = "guest_rip_width", .field = VMCS_INDEX_GUEST_RIP, .good = 0xffff000000000000ull, .bad
      = 0xfffe000000000000ull },
    { .rule = "guest_rflags_reserved", .field = VMCS_INDEX_GUEST_RFLAGS, .good = 2, .bad = 0 },
    { .rule = "guest_rflags_reserved", .field = VMCS_INDEX_GUEST_RFLAGS, .good = 2, .bad = 0xa },
    { .rule = "guest_rflags_reserved", .field = VMCS_INDEX_GUEST_RFLAGS, .good = 2, .bad = 0x22 },
    { .rule = "guest_rflags_reserved", .field = VMCS_INDEX_GUEST_RFLAGS, .good = 2, .bad = 0x8002 },
    { .rule = "guest_rflags_reserved", .field = VMCS_INDEX_GUEST_RFLAGS, .good = 2, .bad = 0x400002
      },
    { .rule = "guest_rflags_reserved", .field = VMCS_INDEX_GUEST_RFLAGS, .good = 2, .bad =
      0x8000000000000002ull },
    { .rule = "guest_vm_flag", .field = VMCS_INDEX_ENTRY_CONTROLS, .good = BASE_ENTRY &
      ~(ENTRY_LOAD_EFER | ENTRY_IA32E_MODE_GUEST), .bad = BASE_ENTRY & ~ENTRY_LOAD_EFER, .tweak = {
      tweak_v86_guest } },
    { .rule = "guest_vm_flag", .field = VMCS_INDEX_GUEST_CR0, .good = BASE_CR0, .bad = CR0_NE |
      CR0_ET, .setup = { { true, CHECK_ON, VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS,
      CPU2_UNRESTRICTED_GUEST } }, .tweak = { tweak_v86_guest } },
    { .rule = "guest_if_for_interrupt", .field = VMCS_INDEX_GUEST_RFLAGS, .good = RFLAGS_IF | 2,
      .bad = 2, .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, 0x80000020
      } } },
    { .rule = "guest_ssp_aligned", .field = VMCS_INDEX_GUEST_SSP, .good = 4, .bad = 1, .setup = { {
      true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_CET_STATE } } },
    { .rule = "guest_ssp_canonical", .field = VMCS_INDEX_GUEST_SSP, .good = 0x7ffffffffffcull, .bad
      = 0x800000000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS,
      ENTRY_LOAD_CET_STATE } } },
    { .rule = "guest_ssp_canonical", .field = VMCS_INDEX_GUEST_SSP, .good = 0xfffffffcull, .bad =
      0x100000000ull, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_LOAD_CET_STATE
      } }, .tweak = { tweak_pae_guest } },
    /* Checks on Guest Non-Register State */
    { .rule = "activity_supported", .field = VMCS_INDEX_GUEST_ACTIVITY_STATE, .good = 3, .bad = 4 },
    { .rule = "activity_supported", .field = VMCS_INDEX_GUEST_ACTIVITY_STATE, .good = 0, .bad = 1,
      .tweak = { tweak_no_hlt_state } },
    { .rule = "activity_supported", .field = VMCS_INDEX_GUEST_ACTIVITY_STATE, .good = 1, .bad = 2,
      .tweak = { tweak_no_shutdown_state } },
    { .rule = "activity_supported", .field = VMCS_INDEX_GUEST_ACTIVITY_STATE, .good = 2, .bad = 3,
      .tweak = { tweak_no_sipi_state } },
    { .rule = "activity_hlt_dpl", .field = VMCS_INDEX_GUEST_ACTIVITY_STATE, .good = 0, .bad = 1,
      .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_SS_ACCESS_RIGHTS, 0xc0b3 }, { true, CHECK_SET,
      VMCS_INDEX_GUEST_SS_SELECTOR, 0x11 }, { true, CHECK_SET, VMCS_INDEX_GUEST_CS_SELECTOR, 0x09
      }, { true, CHECK_SET, VMCS_INDEX_GUEST_CS_ACCESS_RIGHTS, 0xa09f } } },
    { .rule = "activity_with_blocking", .field = VMCS_INDEX_GUEST_ACTIVITY_STATE, .good = 0, .bad =
      2, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, VMX_BLOCKING_BY_STI
      } } },
    { .rule = "activity_with_blocking", .field = VMCS_INDEX_GUEST_ACTIVITY_STATE, .good = 0, .bad =
      1, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE,
      VMX_BLOCKING_BY_MOV_SS } } },
    { .rule = "activity_hlt_injection", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000020, .bad = 0x80000480, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ACTIVITY_STATE,
      1 }, { true, CHECK_SET, VMCS_INDEX_ENTRY_INSTRUCTION_LENGTH, 1 } } },
    { .rule = "activity_hlt_injection", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000202, .bad = 0x80000b0d, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ACTIVITY_STATE,
      1 }, { true, CHECK_SET, VMCS_INDEX_ENTRY_INSTRUCTION_LENGTH, 1 } } },
    { .rule = "activity_hlt_injection", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000301, .bad = 0x80000306, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ACTIVITY_STATE,
      1 }, { true, CHECK_SET, VMCS_INDEX_ENTRY_INSTRUCTION_LENGTH, 1 } } },
    { .rule = "activity_hlt_injection", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000312, .bad = 0x80000603, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ACTIVITY_STATE,
      1 }, { true, CHECK_SET, VMCS_INDEX_ENTRY_INSTRUCTION_LENGTH, 1 } } },
    { .rule = "activity_hlt_injection", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good =
      0x80000700, .bad = 0x80000501, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ACTIVITY_STATE,
      1 }, { true, CHECK_SET, VMCS_INDEX_ENTRY_INSTRUCTION_LENGTH, 1 } } },
    { .rule = "activity_shutdown_injection", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION,
      .good = 0x80000202, .bad = 0x80000020, .setup = { { true, CHECK_SET,
      VMCS_INDEX_GUEST_ACTIVITY_STATE, 2 } } },
    { .rule = "activity_shutdown_injection", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION,
      .good = 0x80000312, .bad = 0x80000301, .setup = { { true, CHECK_SET,
      VMCS_INDEX_GUEST_ACTIVITY_STATE, 2 } } },
    { .rule = "activity_sipi_injection", .field = VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, .good
      = 0, .bad = 0x80000202, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ACTIVITY_STATE, 3 } }
      },
    { .rule = "activity_smm", .field = VMCS_INDEX_GUEST_ACTIVITY_STATE, .good = 0, .bad = 3, .setup
      = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_ENTRY_TO_SMM }, { true, CHECK_SET,
      VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, VMX_BLOCKING_BY_SMI } }, .tweak = { tweak_in_smm } },
    { .rule = "blocking_reserved", .field = VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, .good = 0x18,
      .bad = 0x20 },
    { .rule = "blocking_both", .field = VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, .good = 1, .bad =
      3 },
    { .rule = "blocking_sti_if", .field = VMCS_INDEX_GUEST_RFLAGS, .good = RFLAGS_IF | 2, .bad = 2,
      .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, 1 } } },
    { .rule = "blocking_interrupt", .field = VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, .good = 0,
      .bad = 1, .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, 0x80000020
      } } },
    { .rule = "blocking_interrupt", .field = VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, .good = 8,
      .bad = 2, .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, 0x80000020
      } } },
    { .rule = "blocking_mov_ss_nmi", .field = VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, .good = 0,
      .bad = 2, .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, 0x80000202
      } } },
    { .rule = "blocking_sti_nmi", .field = VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, .good = 0, .bad
      = 1, .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, 0x80000202 } }
      },
    { .rule = "blocking_smi_outside", .field = VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, .good = 0,
      .bad = 4 },
    { .rule = "blocking_smi_entry", .field = VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, .good = 4,
      .bad = 0, .setup = { { true, CHECK_ON, VMCS_INDEX_ENTRY_CONTROLS, ENTRY_ENTRY_TO_SMM } },
      .tweak = { tweak_in_smm } },
    { .rule = "blocking_nmi", .field = VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, .good = 0, .bad =
      8, .setup = { { true, CHECK_SET, VMCS_INDEX_ENTRY_INTERRUPTION_INFORMATION, 0x80000202 } } },
    { .rule = "blocking_enclave", .field = VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, .good = 0x11,
      .bad = 0x12 },
    { .rule = "pending_debug_reserved", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0x500f, .bad = 0x10, .tweak = { tweak_no_bus_lock } },
    { .rule = "pending_debug_reserved", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0x500f, .bad = 0x800, .tweak = { tweak_no_bus_lock } },
    { .rule = "pending_debug_reserved", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0x500f, .bad = 0x2000, .tweak = { tweak_no_bus_lock } },
    { .rule = "pending_debug_reserved", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0x500f, .bad = 0x8000, .tweak = { tweak_no_bus_lock } },
    { .rule = "pending_debug_reserved", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0x500f, .bad = 0x20000, .tweak = { tweak_no_bus_lock } },
    { .rule = "pending_debug_reserved", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0x500f, .bad = 0x8000000000000000ull, .tweak = { tweak_no_bus_lock } },
    { .rule = "pending_debug_reserved", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0x800, .bad = 0x400 },
    { .rule = "pending_debug_bs_missing", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good
      = 0x4000, .bad = 0, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, 1
      }, { true, CHECK_ON, VMCS_INDEX_GUEST_RFLAGS, RFLAGS_TF } } },
    { .rule = "pending_debug_bs_extra", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0, .bad = 0x4000, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, 1 }
      } },
    { .rule = "pending_debug_bs_missing", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good
      = 0x4000, .bad = 0, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, 2
      }, { true, CHECK_ON, VMCS_INDEX_GUEST_RFLAGS, RFLAGS_TF } } },
    { .rule = "pending_debug_bs_extra", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0, .bad = 0x4000, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, 2 }
      } },
    { .rule = "pending_debug_bs_missing", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good
      = 0x4000, .bad = 0, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ACTIVITY_STATE, 1 }, {
      true, CHECK_ON, VMCS_INDEX_GUEST_RFLAGS, RFLAGS_TF } } },
    { .rule = "pending_debug_bs_extra", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0, .bad = 0x4000, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_ACTIVITY_STATE, 1 } } },
    { .rule = "pending_debug_bs_extra", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0, .bad = 0x4000, .setup = { { true, CHECK_SET, VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, 1 },
      { true, CHECK_ON, VMCS_INDEX_GUEST_RFLAGS, RFLAGS_TF }, { true, CHECK_SET,
      VMCS_INDEX_GUEST_IA32_DEBUGCTL, 2 } } },
    { .rule = "pending_debug_rtm", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0x11000, .bad = 0x10000 },
    { .rule = "pending_debug_rtm", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0x11000, .bad = 0x11001 },
    { .rule = "pending_debug_rtm", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0x1000, .bad = 0x11000, .tweak = { tweak_no_rtm } },
    { .rule = "pending_debug_rtm", .field = VMCS_INDEX_GUEST_PENDING_DEBUG_EXCEPTIONS, .good =
      0x1000, .bad = 0x11000, .setup = { { true, CHECK_SET,
      VMCS_INDEX_GUEST_INTERRUPTIBILITY_STATE, 2 } } },
    { .rule = "link_aligned", .field = VMCS_INDEX_VMCS_LINK_POINTER, .good = WORLD_MEMORY, .bad =
      WORLD_MEMORY + 0x800, .tweak = { tweak_linked } },
    { .rule = "link_width", .field = VMCS_INDEX_VMCS_LINK_POINTER, .good = WORLD_MEMORY, .bad =
      1ull << WORLD_PHYSICAL_BITS, .tweak = { tweak_linked } },
    { .rule = "link_revision", .on_memory = true, .memory_offset = 0, .memory_bytes = 4, .good =
      0x12, .bad = 0x13, .tweak = { tweak_linked } },
    { .rule = "link_shadow", .on_memory = true, .memory_offset = 0, .memory_bytes = 4, .good =
      0x12, .bad = 0x80000012, .tweak = { tweak_linked } },
    { .rule = "link_shadow", .on_memory = true, .memory_offset = 0, .memory_bytes = 4, .good =
      0x80000012, .bad = 0x12, .setup = { { true, CHECK_ON,
      VMCS_INDEX_SECONDARY_PROC_BASED_CONTROLS, CPU2_VMCS_SHADOWING } }, .tweak = { tweak_linked }
      },
    { .rule = "link_not_current", .field = VMCS_INDEX_VMCS_LINK_POINTER, .good = UINT64_MAX, .bad =
      0x5000 },
    /* Checks on Guest Page-Directory-Pointer-Table Entries */
    { .rule = "guest_pdpte0", .field = VMCS_INDEX_GUEST_PDPTE0, .good = 0x1019, .bad = 0x1003,
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_pdpte0", .field = VMCS_INDEX_GUEST_PDPTE0, .good = 0x1fe, .bad = 0x1021,
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_pdpte0", .field = VMCS_INDEX_GUEST_PDPTE0, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0xfff, .bad = (1ull << WORLD_PHYSICAL_BITS) | 1, .tweak = {
      tweak_pae_guest } },
    { .rule = "guest_pdpte1", .field = VMCS_INDEX_GUEST_PDPTE1, .good = 0x1019, .bad = 0x1003,
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_pdpte1", .field = VMCS_INDEX_GUEST_PDPTE1, .good = 0x1fe, .bad = 0x1021,
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_pdpte1", .field = VMCS_INDEX_GUEST_PDPTE1, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0xfff, .bad = (1ull << WORLD_PHYSICAL_BITS) | 1, .tweak = {
      tweak_pae_guest } },
    { .rule = "guest_pdpte2", .field = VMCS_INDEX_GUEST_PDPTE2, .good = 0x1019, .bad = 0x1003,
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_pdpte2", .field = VMCS_INDEX_GUEST_PDPTE2, .good = 0x1fe, .bad = 0x1021,
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_pdpte2", .field = VMCS_INDEX_GUEST_PDPTE2, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0xfff, .bad = (1ull << WORLD_PHYSICAL_BITS) | 1, .tweak = {
      tweak_pae_guest } },
    { .rule = "guest_pdpte3", .field = VMCS_INDEX_GUEST_PDPTE3, .good = 0x1019, .bad = 0x1003,
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_pdpte3", .field = VMCS_INDEX_GUEST_PDPTE3, .good = 0x1fe, .bad = 0x1021,
      .tweak = { tweak_pae_guest } },
    { .rule = "guest_pdpte3", .field = VMCS_INDEX_GUEST_PDPTE3, .good = (1ull <<
      WORLD_PHYSICAL_BITS) - 0xfff, .bad = (1ull << WORLD_PHYSICAL_BITS) | 1, .tweak = {
      tweak_pae_guest } },
    /* Loading MSRs */
    { .rule = "msr_load_base", .on_memory = true, .memory_offset = 0, .memory_bytes = 4, .good =
      0xc0000102, .bad = 0xc0000100, .tweak = { tweak_msr_entry } },
    { .rule = "msr_load_base", .on_memory = true, .memory_offset = 0, .memory_bytes = 4, .good =
      0xc0000102, .bad = 0xc0000101, .tweak = { tweak_msr_entry } },
    { .rule = "msr_load_x2apic", .on_memory = true, .memory_offset = 0, .memory_bytes = 4, .good =
      0x900, .bad = 0x800, .tweak = { tweak_msr_entry } },
    { .rule = "msr_load_x2apic", .on_memory = true, .memory_offset = 0, .memory_bytes = 4, .good =
      0x7ff, .bad = 0x8ff, .tweak = { tweak_msr_entry } },
    { .rule = "msr_load_smm", .on_memory = true, .memory_offset = 0, .memory_bytes = 4, .good =
      0x9a, .bad = 0x9b, .tweak = { tweak_msr_entry } },
    { .rule = "msr_load_microcode", .on_memory = true, .memory_offset = 0, .memory_bytes = 4, .good
      = 0x7a, .bad = 0x79, .tweak = { tweak_msr_entry } },
    { .rule = "msr_load_microcode", .on_memory = true, .memory_offset = 0, .memory_bytes = 4, .good
      = 0x7a, .bad = 0x8b, .tweak = { tweak_msr_entry } },
    { .rule = "msr_load_reserved", .on_memory = true, .memory_offset = 4, .memory_bytes = 4, .good
      = 0, .bad = 1, .tweak = { tweak_msr_entry } },
};

static const size_t check_cases_count = HV_ARRAY_COUNT(check_cases);

#endif
