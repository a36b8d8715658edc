/*
 * Offsets for entry.asm: each is the size of an array, which the build reads from the object file,
 * so that no number is typed by hand. Not compiled into the program.
 */
#include "arch/x86/vmx/thin_internal.h"
#include "x86/descriptors.h"
#include "x86/speculation.h"

#define OFFSET(name, value) char name[(value) + 1]

/* VCPU_rax and so on: entry.asm makes the names from the registers'. */
#define GPR_OFFSET(reg, index) OFFSET(VCPU_##reg, offsetof(struct vmx_vcpu, gprs) + 8 * (index))
GPR_OFFSET(rax, X86_RAX);
GPR_OFFSET(rcx, X86_RCX);
GPR_OFFSET(rdx, X86_RDX);
GPR_OFFSET(rbx, X86_RBX);
GPR_OFFSET(rbp, X86_RBP);
GPR_OFFSET(rsi, X86_RSI);
GPR_OFFSET(rdi, X86_RDI);
GPR_OFFSET(r8, X86_R8);
GPR_OFFSET(r9, X86_R9);
GPR_OFFSET(r10, X86_R10);
GPR_OFFSET(r11, X86_R11);
GPR_OFFSET(r12, X86_R12);
GPR_OFFSET(r13, X86_R13);
GPR_OFFSET(r14, X86_R14);
GPR_OFFSET(r15, X86_R15);
OFFSET(VCPU_LAUNCHED, offsetof(struct vmx_vcpu, launched));
OFFSET(VCPU_ENTRY_STATUS, offsetof(struct vmx_vcpu, entry_status));
OFFSET(VCPU_HOST_RSP, offsetof(struct vmx_vcpu, host_rsp));
OFFSET(VCPU_HOT_CPUID, offsetof(struct vmx_vcpu, hot.cpuid));
OFFSET(VCPU_HOT_VMCALL, offsetof(struct vmx_vcpu, hot.vmcall));
OFFSET(VCPU_WARM, offsetof(struct vmx_vcpu, hot.warm));
OFFSET(VCPU_EXIT_REASON, offsetof(struct vmx_vcpu, exit.reason));
OFFSET(VCPU_GUARD_ACTIONS, offsetof(struct vmx_vcpu, guard.actions));
OFFSET(VCPU_GUARD_HOST, offsetof(struct vmx_vcpu, guard.host_spec_ctrl));
OFFSET(VCPU_SPEC_CTRL, offsetof(struct vmx_vcpu, switched.spec_ctrl));
OFFSET(LAUNCHED_PLAIN, VMX_LAUNCHED_PLAIN);
OFFSET(LAUNCHED_GUARDED, VMX_LAUNCHED_GUARDED);
OFFSET(HOST_DS_SELECTOR, HOST_DS);
#define ACTION_OFFSET(name) OFFSET(ACT_##name, SPEC_##name)
ACTION_OFFSET(EXIT_SPEC_CTRL);
ACTION_OFFSET(EXIT_RSB_FILL);
ACTION_OFFSET(EXIT_RSB_ONE);
ACTION_OFFSET(EXIT_HISTORY);
ACTION_OFFSET(EXIT_IBPB);
ACTION_OFFSET(ENTRY_VERW);
ACTION_OFFSET(ENTRY_L1D);
OFFSET(FIELD_HOST_RSP, VMCS_HOST_RSP);
OFFSET(FIELD_EXIT_REASON, VMCS_EXIT_REASON);
OFFSET(REASON_CPUID, VMEXIT_CPUID);
OFFSET(REASON_VMCALL, VMEXIT_VMCALL);
OFFSET(REASON_IO_INSTRUCTION, VMEXIT_IO_INSTRUCTION);
OFFSET(REASON_WRMSR, VMEXIT_WRMSR);
OFFSET(REASON_PREEMPTION_TIMER, VMEXIT_PREEMPTION_TIMER);
OFFSET(WARM_TIMER, 3);
OFFSET(WARM_REFUSED, VMX_WARM_REFUSED);
OFFSET(RESULT_ENTRY_FAILED, VMX_ENTRY_FAILED);

/* thin_leave.asm */
#define LEAVE_GPR_OFFSET(reg, index)                                                               \
    OFFSET(THIN_LEAVE_##reg, offsetof(struct thin_leave, gprs) + 8 * (index))
#define LEAVE_SELECTOR_OFFSET(reg, index)                                                          \
    OFFSET(THIN_LEAVE_##reg, offsetof(struct thin_leave, selector) + 4 * (index))
LEAVE_GPR_OFFSET(rcx, X86_RCX);
LEAVE_GPR_OFFSET(rbx, X86_RBX);
LEAVE_GPR_OFFSET(rsp, X86_RSP);
LEAVE_GPR_OFFSET(rbp, X86_RBP);
LEAVE_GPR_OFFSET(rsi, X86_RSI);
LEAVE_GPR_OFFSET(rdi, X86_RDI);
LEAVE_GPR_OFFSET(r8, X86_R8);
LEAVE_GPR_OFFSET(r9, X86_R9);
LEAVE_GPR_OFFSET(r10, X86_R10);
LEAVE_GPR_OFFSET(r11, X86_R11);
LEAVE_GPR_OFFSET(r12, X86_R12);
LEAVE_GPR_OFFSET(r13, X86_R13);
LEAVE_GPR_OFFSET(r14, X86_R14);
LEAVE_GPR_OFFSET(r15, X86_R15);
LEAVE_SELECTOR_OFFSET(ES, 0);
LEAVE_SELECTOR_OFFSET(CS, 1);
LEAVE_SELECTOR_OFFSET(SS, 2);
LEAVE_SELECTOR_OFFSET(DS, 3);
LEAVE_SELECTOR_OFFSET(FS, 4);
LEAVE_SELECTOR_OFFSET(GS, 5);
LEAVE_SELECTOR_OFFSET(LDTR, 6);
LEAVE_SELECTOR_OFFSET(TR, 7);
OFFSET(THIN_LEAVE_CR0, offsetof(struct thin_leave, cr0));
OFFSET(THIN_LEAVE_CR4, offsetof(struct thin_leave, cr4));
OFFSET(THIN_LEAVE_CR3, offsetof(struct thin_leave, cr3));
OFFSET(THIN_LEAVE_GUEST_CR3, offsetof(struct thin_leave, guest_cr3));
OFFSET(THIN_LEAVE_DR7, offsetof(struct thin_leave, dr7));
OFFSET(THIN_LEAVE_RFLAGS, offsetof(struct thin_leave, rflags));
OFFSET(THIN_LEAVE_FS_BASE, offsetof(struct thin_leave, fs_base));
OFFSET(THIN_LEAVE_GS_BASE, offsetof(struct thin_leave, gs_base));
OFFSET(THIN_LEAVE_TARGET, offsetof(struct thin_leave, target));
OFFSET(THIN_LEAVE_OWN_GDTR, offsetof(struct thin_leave, own_gdtr));
OFFSET(THIN_LEAVE_GDTR, offsetof(struct thin_leave, gdtr));
OFFSET(THIN_LEAVE_IDTR, offsetof(struct thin_leave, idtr));
OFFSET(CR4_PGE_BIT, CR4_PGE);
