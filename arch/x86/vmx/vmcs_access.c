/*
 * VMREAD and VMWRITE of the debug build: a field that this processor lacks, or an access that
 * fails, is our bug and stops everything with the field's name. The release build compiles to the
 * bare instructions (vcpu.h).
 */
#include "arch/x86/vmx/vcpu.h"

#if HV_DEBUG

#include "hv/panic.h"
#include "x86/percpu.h"

static void check_exists(uint32_t field, bool write)
{
    struct vmx_vcpu *v = this_cpu()->vmx;

    if (v && v->accessed)
        v->accessed(v, field, write);
    if (!vmcs_field_exists(vmx_host_caps(), field))
        hv_panic("VMCS field %s (0x%x) does not exist on this processor", vmcs_field_name(field),
                 field);
}

uint64_t vmcs_read_checked(uint32_t field)
{
    uint64_t value;

    check_exists(field, false);
    if (vmread(field, &value) != VMX_OK)
        hv_panic("VMREAD of %s failed", vmcs_field_name(field));
    return value;
}

void vmcs_write_checked(uint32_t field, uint64_t value)
{
    check_exists(field, true);
    if (vmwrite(field, value) != VMX_OK)
        hv_panic("VMWRITE of 0x%llx to %s failed", (unsigned long long)value,
                 vmcs_field_name(field));
}

#endif
