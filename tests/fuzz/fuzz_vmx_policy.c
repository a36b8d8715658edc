// SRCS: arch/x86/vmx/policy.c arch/x86/vmx/caps.c arch/x86/vmx/vmcs_fields.c arch/x86/vmx/errors.c vmm/lib/format.c
/*
 * Any policy on any capabilities: what is accepted, VM entry accepts; what is refused has a reason.
 * The rest of the input is an exit, which can be described.
 */
#include <stdlib.h>
#include <string.h>

#include "vmx_profiles.h"
#include "x86/vmx_errors.h"
#include "x86/vmx_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vm_policy policy = vm_policy_default(VM_INTERRUPTS_VMM);
    struct vmx_caps caps;
    struct vmx_controls controls;
    struct vmx_refusal why;
    char text[512];
    if (size < 4)
        return 0;
    caps = vmx_profile_caps(vmx_profiles[data[0] % VMX_PROFILE_COUNT].name);
    if (data[1] & 1)
        policy = vm_policy_default(VM_INTERRUPTS_GUEST);
    data += 2;
    size -= 2;
    if (size >= 12) {
        /* Damage one capability MSR. */
        ((uint8_t *)&caps)[data[0] % 160] ^= data[1];
        data += 2;
        size -= 2;
    }
    for (unsigned n = 0; size >= 2 && n < 32; n++, data += 2, size -= 2)
        *vm_policy_wish(&policy, vm_policy_wish_name(data[0] % vm_policy_wish_count())) =
            data[1] % 5;
    if (vmx_policy_to_controls(&policy, &caps, &controls, &why) == HV_OK) {
        for (enum vmx_word word = 0; word < VMX_WORD_COUNT; word++) {
            struct vmx_allowed allowed = vmx_caps_allowed(&caps, word);
            bool possible = !(allowed.must_be_1 & ~allowed.may_be_1);
            if (possible && !vmx_caps_accepts(&caps, word, vmx_controls_word(&controls, word)))
                abort();
        }
    } else if (vmx_refusal_text(text, sizeof(text), &why) < 10) {
        abort();
    }
    struct vmx_exit_facts facts = { 0 };
    memcpy(&facts, data, size < sizeof(facts) ? size : sizeof(facts));
    int length = vmx_describe_exit(text, sizeof(text), &facts);
    if (length < 4 || length >= (int)sizeof(text))
        abort();
    return 0;
}
