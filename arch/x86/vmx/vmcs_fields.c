/*
 * The table of VMCS fields and the search in it. SDM volume 3, "Field Encoding in VMCS".
 * Constant data; no lock.
 */
#include "x86/vmcs.h"

const struct vmcs_field_info vmcs_fields[VMCS_FIELD_COUNT] = {
#define VMCS_FIELD(name, encoding, width, type, exists, section) \
    { (encoding), VMCS_WIDTH_##width, VMCS_TYPE_##type, VMCS_EXISTS_##exists, #name, section },
#include "arch/x86/vmx/vmcs_fields.def"
#undef VMCS_FIELD
};

const struct vmcs_field_info *vmcs_field_find(uint32_t encoding)
{
    uint32_t full = encoding;
    if (vmcs_encoding_width(encoding) == VMCS_WIDTH_64)
        full &= ~VMCS_ENCODING_HIGH;
    size_t low = 0;
    size_t high = VMCS_FIELD_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (vmcs_fields[middle].encoding == full)
            return &vmcs_fields[middle];
        if (vmcs_fields[middle].encoding < full)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *vmcs_field_name(uint32_t encoding)
{
    const struct vmcs_field_info *info = vmcs_field_find(encoding);
    return info ? info->name : "unknown field";
}
