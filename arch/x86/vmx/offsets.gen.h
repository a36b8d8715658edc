/*
 * Offsets for entry.asm: each is the size of an array, which the build reads from the object file,
 * so that no number is typed by hand. Not compiled into the program.
 */
#include "arch/x86/vmx/vcpu.h"

#define OFFSET(name, value) char name[(value) + 1]

#define GPR_OFFSET(reg)                                                                            \
    OFFSET(VCPU_##reg, offsetof(struct vmx_vcpu, gprs) + 8 * X86_##reg)
GPR_OFFSET(RAX);
GPR_OFFSET(RCX);
GPR_OFFSET(RDX);
GPR_OFFSET(RBX);
GPR_OFFSET(RBP);
GPR_OFFSET(RSI);
GPR_OFFSET(RDI);
GPR_OFFSET(R8);
GPR_OFFSET(R9);
GPR_OFFSET(R10);
GPR_OFFSET(R11);
GPR_OFFSET(R12);
GPR_OFFSET(R13);
GPR_OFFSET(R14);
GPR_OFFSET(R15);
OFFSET(VCPU_LAUNCHED, offsetof(struct vmx_vcpu, launched));
OFFSET(VCPU_ENTRY_STATUS, offsetof(struct vmx_vcpu, entry_status));
OFFSET(VCPU_HOST_RSP, offsetof(struct vmx_vcpu, host_rsp));
OFFSET(FIELD_HOST_RSP, VMCS_HOST_RSP);
OFFSET(RESULT_ENTRY_FAILED, VMX_ENTRY_FAILED);
