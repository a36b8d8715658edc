/*
 * The contents of a VMCS: controls from the policy, the host's state, and the guest's state after
 * power-on, INIT and a start-up message.
 * SDM volume 3 "VMCS Data", "Processor State After Power-Up, Reset, or INIT" (table "IA-32 and Intel
 * 64 Processor States Following Power-up, Reset, or INIT"), "Wait-for-SIPI State".
 */
#include "arch/x86/vmx/code_path.h"
#include "hv/string.h"
#include "x86/descriptors.h"
#include "x86/host_paging.h"
#include "x86/msr.h"
#include "x86/percpu.h"
#include "x86/speculation.h"

extern const char vmx_exit_point[], vmx_exit_point_guarded[];

static void write_controls(struct vmx_vcpu *v)
{
    const struct vmx_controls *c = v->controls;

    vmcs_write(VMCS_PIN_BASED_CONTROLS, c->pin);
    v->cpu_controls = c->cpu;
    vmcs_write(VMCS_PRIMARY_PROC_BASED_CONTROLS, c->cpu);
    if (c->cpu & CPU_ACTIVATE_SECONDARY_CONTROLS)
        vmcs_write(VMCS_SECONDARY_PROC_BASED_CONTROLS, c->cpu2);
    if (c->cpu & CPU_ACTIVATE_TERTIARY_CONTROLS)
        vmcs_write(VMCS_TERTIARY_PROC_BASED_CONTROLS, c->cpu3);
    vmcs_write(VMCS_EXIT_CONTROLS, c->exit);
    if (c->exit & EXIT_ACTIVATE_SECONDARY_CONTROLS)
        vmcs_write(VMCS_SECONDARY_EXIT_CONTROLS, c->exit2);
    vmcs_write(VMCS_ENTRY_CONTROLS, c->entry);
    vmcs_write(VMCS_EXCEPTION_BITMAP, c->exception_bitmap);
    vmcs_write(VMCS_PAGE_FAULT_ERROR_CODE_MASK, c->page_fault_mask);
    vmcs_write(VMCS_PAGE_FAULT_ERROR_CODE_MATCH, c->page_fault_match);
    vmcs_write(VMCS_CR3_TARGET_COUNT, c->cr3_target_count);
    vmcs_write(VMCS_EXIT_MSR_STORE_COUNT, 0);
    vmcs_write(VMCS_EXIT_MSR_LOAD_COUNT, 0);
    vmcs_write(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
    vmcs_write(VMCS_ENTRY_INTERRUPTION_INFORMATION, 0);
    vmcs_write(VMCS_CR0_GUEST_HOST_MASK, c->cr0_mask);
    vmcs_write(VMCS_CR4_GUEST_HOST_MASK, c->cr4_mask);
    if (c->cpu2 & CPU2_PAUSE_LOOP_EXITING) {
        vmcs_write(VMCS_PLE_GAP, c->ple_gap);
        vmcs_write(VMCS_PLE_WINDOW, c->ple_window);
    }
}

static void write_addresses(struct vmx_vcpu *v)
{
    const struct vmx_controls *c = v->controls;

    vmcs_write(VMCS_VMCS_LINK_POINTER, UINT64_MAX);
    if (c->cpu & CPU_USE_MSR_BITMAPS)
        vmcs_write(VMCS_MSR_BITMAP_ADDRESS, v->vm->msr_bitmap.v);
    if (c->cpu & CPU_USE_IO_BITMAPS) {
        vmcs_write(VMCS_IO_BITMAP_A_ADDRESS, v->vm->io_bitmaps.v);
        vmcs_write(VMCS_IO_BITMAP_B_ADDRESS, v->vm->io_bitmaps.v + HV_PAGE_BYTES);
    }
    if (c->cpu & CPU_USE_TSC_OFFSETTING)
        vmcs_write(VMCS_TSC_OFFSET, v->tsc_offset);
    if (c->cpu2 & CPU2_ENABLE_EPT)
        vmcs_write(VMCS_EPT_POINTER, v->vm->eptp);
    if (c->cpu2 & CPU2_ENABLE_VPID)
        vmcs_write(VMCS_VPID, v->vpid);
    if (c->cpu2 & CPU2_ENABLE_XSAVES_XRSTORS)
        vmcs_write(VMCS_XSS_EXITING_BITMAP, 0);
    if (c->cpu2 & CPU2_ENABLE_ENCLS_EXITING)
        vmcs_write(VMCS_ENCLS_EXITING_BITMAP, UINT64_MAX);
    if (c->cpu2 & CPU2_ENABLE_PCONFIG)
        vmcs_write(VMCS_PCONFIG_EXITING_BITMAP, 0);
}

/* Selectors, bases and tables are this core's; control registers are the same on all. */
void vmx_host_state_write(struct vmx_vcpu *v)
{
    const struct vmx_controls *c = v->controls;
    struct percpu *cpu = this_cpu();
    struct x86_table_register gdt = sgdt(), idt = sidt();

    vmcs_write(VMCS_HOST_CR0, read_cr0());
    vmcs_write(VMCS_HOST_CR3, read_cr3());
    vmcs_write(VMCS_HOST_CR4, read_cr4());
    vmcs_write(VMCS_HOST_CS_SELECTOR, HOST_CS);
    vmcs_write(VMCS_HOST_SS_SELECTOR, HOST_DS);
    vmcs_write(VMCS_HOST_DS_SELECTOR, 0);
    vmcs_write(VMCS_HOST_ES_SELECTOR, 0);
    vmcs_write(VMCS_HOST_FS_SELECTOR, 0);
    vmcs_write(VMCS_HOST_GS_SELECTOR, 0);
    vmcs_write(VMCS_HOST_TR_SELECTOR, HOST_TR);
    vmcs_write(VMCS_HOST_FS_BASE, 0);
    vmcs_write(VMCS_HOST_GS_BASE, (uint64_t)cpu);
    vmcs_write(VMCS_HOST_TR_BASE, (uint64_t)&cpu->tss);
    vmcs_write(VMCS_HOST_GDTR_BASE, gdt.base);
    vmcs_write(VMCS_HOST_IDTR_BASE, idt.base);
    vmcs_write(VMCS_HOST_IA32_SYSENTER_CS, 0);
    vmcs_write(VMCS_HOST_IA32_SYSENTER_ESP, 0);
    vmcs_write(VMCS_HOST_IA32_SYSENTER_EIP, 0);
    v->guard.actions = cpu->spec_actions & SPEC_PATH_ACTIONS;
    v->guard.host_spec_ctrl = cpu->spec_ctrl;
    vmcs_write(VMCS_HOST_RIP,
               (uint64_t)(v->guard.actions ? vmx_exit_point_guarded : vmx_exit_point));
    v->host_rsp = 0; /* entry.asm writes it */
    if (c->exit & EXIT_LOAD_PAT)
        vmcs_write(VMCS_HOST_IA32_PAT, rdmsr(MSR_IA32_PAT));
    if (c->exit & EXIT_LOAD_EFER)
        vmcs_write(VMCS_HOST_IA32_EFER, rdmsr(MSR_IA32_EFER));
    if (c->exit & EXIT_LOAD_PERF_GLOBAL_CTRL)
        vmcs_write(VMCS_HOST_IA32_PERF_GLOBAL_CTRL, 0);
}

/* The fields of the eight segment registers stand two apart, in one order. */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR };

static void write_segment(unsigned segment, uint16_t selector, uint64_t base, uint32_t limit,
                          uint32_t rights)
{
    uint32_t step = 2 * segment;

    vmcs_write(VMCS_GUEST_ES_SELECTOR + step, selector);
    vmcs_write(VMCS_GUEST_ES_BASE + step, base);
    vmcs_write(VMCS_GUEST_ES_LIMIT + step, limit);
    vmcs_write(VMCS_GUEST_ES_ACCESS_RIGHTS + step, rights);
}

#define RIGHTS_DATA16 (VMX_AR_P | VMX_AR_S | VMX_AR_WRITABLE | VMX_AR_ACCESSED)
#define RIGHTS_CODE16 (RIGHTS_DATA16 | VMX_AR_CODE)
#define RIGHTS_DATA32 (RIGHTS_DATA16 | VMX_AR_G | VMX_AR_DB)
#define RIGHTS_CODE32 (RIGHTS_CODE16 | VMX_AR_G | VMX_AR_DB)
#define RIGHTS_CODE64 (RIGHTS_CODE16 | VMX_AR_G | VMX_AR_L)

static void write_cr0_cr4(struct vmx_vcpu *v, uint64_t cr0, uint64_t cr4)
{
    vmcs_write(VMCS_CR0_READ_SHADOW, cr0);
    vmcs_write(VMCS_GUEST_CR0, vmx_controls_cr0(v->controls, cr0 & ~(uint64_t)(CR0_CD | CR0_NW)));
    vmcs_write(VMCS_CR4_READ_SHADOW, cr4);
    vmcs_write(VMCS_GUEST_CR4, vmx_controls_cr4(v->controls, cr4));
    vmx_cpuid_follow(v);
}

static void write_tables_and_segments(uint16_t cs, uint64_t cs_base)
{
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        write_segment(s, 0, 0, 0xffff, RIGHTS_DATA16);
    write_segment(SEG_CS, cs, cs_base, 0xffff, RIGHTS_CODE16);
    write_segment(SEG_LDTR, 0, 0, 0xffff, VMX_AR_P | VMX_AR_TYPE_LDT);
    write_segment(SEG_TR, 0, 0, 0xffff, VMX_AR_P | VMX_AR_TYPE_TSS_BUSY);
    vmcs_write(VMCS_GUEST_GDTR_BASE, 0);
    vmcs_write(VMCS_GUEST_GDTR_LIMIT, 0xffff);
    vmcs_write(VMCS_GUEST_IDTR_BASE, 0);
    vmcs_write(VMCS_GUEST_IDTR_LIMIT, 0xffff);
}

static void write_non_register(struct vmx_vcpu *v)
{
    vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE, 0);
    vmcs_write(VMCS_GUEST_ACTIVITY_STATE, VMX_ACTIVITY_ACTIVE);
    vmcs_write(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
    vmcs_write(VMCS_ENTRY_CONTROLS, v->controls->entry); /* "IA-32e mode guest" is off */
    vmx_set_cpu_controls(v, 0, CPU_INTERRUPT_WINDOW_EXITING | CPU_NMI_WINDOW_EXITING);
    vmcs_write(VMCS_ENTRY_INTERRUPTION_INFORMATION, 0);
    v->event.info = 0;
    v->deferred = 0;
    /* Translations from before are stale; and a vCPU that waits for a start-up message now must be
     * looked at before it is entered. */
    v->attention = VMX_ATTENTION_FLUSH;
    vmx_code_paths_clear(v);
}

/* What RESET and INIT set alike. */
void vmx_guest_registers_init(struct vmx_vcpu *v, uint64_t cr0, uint32_t signature)
{
    write_cr0_cr4(v, cr0, 0);
    vmcs_write(VMCS_GUEST_CR3, 0);
    write_tables_and_segments(0xf000, 0xffff0000);
    vmcs_write(VMCS_GUEST_RIP, 0xfff0);
    vmcs_write(VMCS_GUEST_RSP, 0);
    vmcs_write(VMCS_GUEST_RFLAGS, RFLAGS_FIXED1);
    vmcs_write(VMCS_GUEST_DR7, DR7_INIT);
    vmcs_write(VMCS_GUEST_IA32_EFER, 0);
    vmcs_write(VMCS_GUEST_IA32_SYSENTER_CS, 0);
    vmcs_write(VMCS_GUEST_IA32_SYSENTER_ESP, 0);
    vmcs_write(VMCS_GUEST_IA32_SYSENTER_EIP, 0);
    write_non_register(v);
    memset(&v->gprs, 0, sizeof(v->gprs));
    v->gprs.r[X86_RDX] = signature;
}

static void write_common_reset(struct vmx_vcpu *v, uint64_t cr0)
{
    vmx_guest_registers_init(v, cr0, cpuid_view_find(&v->cpuid, CPUID_LEAF_FEATURES, 0)->regs.eax);
    vmx_breakpoints_watch(v);
}

void vmx_guest_state_reset(struct vmx_vcpu *v)
{
    write_common_reset(v, CR0_CD | CR0_NW | CR0_ET);
    vmcs_write(VMCS_GUEST_IA32_DEBUGCTL, 0);
    if (v->controls->entry & ENTRY_LOAD_PAT)
        vmcs_write(VMCS_GUEST_IA32_PAT, UINT64_C(0x0007040600070406));
    if (v->controls->entry & ENTRY_LOAD_PERF_GLOBAL_CTRL)
        vmcs_write(VMCS_GUEST_IA32_PERF_GLOBAL_CTRL, 0);
    v->run_state = v->vcpu.index == 0 ? VMX_RUNNABLE : VMX_WAIT_FOR_SIPI;
}

/* INIT keeps CD and NW, the MTRRs, the x87/SSE state, XCR0, and most MSRs. */
void vmx_guest_state_init_ipi(struct vmx_vcpu *v)
{
    uint64_t cr0 = vmx_guest_cr0(v) & (CR0_CD | CR0_NW);

    write_common_reset(v, cr0 | CR0_ET);
    v->attention |= VMX_ATTENTION_FLUSH;
    v->switched.dr0 = v->switched.dr1 = v->switched.dr2 = v->switched.dr3 = 0;
    write_dr0(0);
    write_dr1(0);
    write_dr2(0);
    write_dr3(0);
    write_dr6(DR6_INIT);
    write_cr2(0);
    lapic_reset_init(v->lapic);
    vmx_apicv_clear(v);
    if (v->vm->owns_cores) {
        vmx_own_core_take_back(v);
        vmx_own_core_lend(v);
    }
    v->run_state = v->vcpu.index == 0 ? VMX_RUNNABLE : VMX_WAIT_FOR_SIPI;
}

void vmx_guest_state_sipi(struct vmx_vcpu *v, uint8_t vector)
{
    write_segment(SEG_CS, (uint16_t)(vector << 8), (uint64_t)vector << 12, 0xffff, RIGHTS_CODE16);
    vmcs_write(VMCS_GUEST_RIP, 0);
    v->run_state = VMX_RUNNABLE;
}

/* Where a loader's kernel starts: flat segments, and long mode with the loader's page tables for a
 * 64-bit entry. Linux "The Linux/x86 Boot Protocol", Multiboot "Machine state". */
static void write_flat(struct vmx_vcpu *v, const struct loader_result *at, bool long_mode)
{
    uint64_t cr0 = CR0_PE | CR0_ET | CR0_NE;

    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        write_segment(s, at->data_selector, 0, UINT32_MAX, RIGHTS_DATA32);
    write_segment(SEG_CS, at->code_selector, 0, UINT32_MAX, long_mode ? RIGHTS_CODE64 : RIGHTS_CODE32);
    vmcs_write(VMCS_GUEST_GDTR_BASE, at->gdt);
    vmcs_write(VMCS_GUEST_GDTR_LIMIT, at->gdt ? at->gdt_limit : 0);
    vmcs_write(VMCS_GUEST_IDTR_LIMIT, 0);
    if (long_mode) {
        write_cr0_cr4(v, cr0 | CR0_PG, CR4_PAE);
        vmcs_write(VMCS_GUEST_CR3, at->cr3);
        vmcs_write(VMCS_GUEST_IA32_EFER, EFER_LME | EFER_LMA);
        vmcs_write(VMCS_ENTRY_CONTROLS, v->controls->entry | ENTRY_IA32E_MODE_GUEST);
    } else {
        write_cr0_cr4(v, cr0, 0);
    }
}

void arch_vcpu_enter_at(struct vcpu *vcpu, const struct loader_result *at)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    vmx_vmcs_borrow(v);
    write_flat(v, at, at->entry == LOADER_ENTRY_LINUX64);
    vmcs_write(VMCS_GUEST_RIP, at->rip);
    vmcs_write(VMCS_GUEST_RSP, at->stack);
    memset(&v->gprs, 0, sizeof(v->gprs));
    if (at->entry == LOADER_ENTRY_MULTIBOOT1) {
        v->gprs.r[X86_RAX] = LOADER_MULTIBOOT1_EAX;
        v->gprs.r[X86_RBX] = at->boot_params;
    } else {
        v->gprs.r[X86_RSI] = at->boot_params;
    }
    v->run_state = VMX_RUNNABLE;
    vmx_vmcs_return(v);
}

void vmx_vmcs_fill_controls(struct vmx_vcpu *v)
{
    write_controls(v);
    write_addresses(v);
}

void vmx_vmcs_fill(struct vmx_vcpu *v)
{
    vmx_vmcs_fill_controls(v);
    vmx_guest_state_reset(v);
}
