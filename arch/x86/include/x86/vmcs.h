/*
 * The fields of the VMCS as names, generated from vmcs_fields.def, and what their encodings say.
 *
 * Not here: VMREAD and VMWRITE, the bits inside of fields (x86/vmx_bits.h), whether this processor
 * has a field (vmcs_field_exists, x86/vmx_caps.h).
 * Constants and pure functions; no lock.
 * SDM volume 3, "Field Encoding in VMCS" and "VMREAD, VMWRITE, and Encodings of VMCS Fields".
 */
#ifndef X86_VMCS_H
#define X86_VMCS_H

#include "hv/types.h"

enum vmcs_width { VMCS_WIDTH_16, VMCS_WIDTH_64, VMCS_WIDTH_32, VMCS_WIDTH_NATURAL };
enum vmcs_type { VMCS_TYPE_CONTROL, VMCS_TYPE_READ_ONLY, VMCS_TYPE_GUEST, VMCS_TYPE_HOST };

enum vmcs_field {
#define VMCS_FIELD(name, encoding, width, type, exists, section) VMCS_##name = (encoding),
#include "arch/x86/vmx/vmcs_fields.def"
#undef VMCS_FIELD
};

/* The same fields counted from 0, in the list's order: for arrays with a slot a field. */
enum vmcs_field_index {
#define VMCS_FIELD(name, encoding, width, type, exists, section) VMCS_INDEX_##name,
#include "arch/x86/vmx/vmcs_fields.def"
#undef VMCS_FIELD
    VMCS_FIELD_COUNT
};

/* When a field exists: the control whose 1-setting the processor must support, or a combination
 * that vmcs_field_exists() spells out. */
enum vmcs_exists {
    VMCS_EXISTS_ALWAYS,
    VMCS_EXISTS_SECONDARY_CONTROLS,
    VMCS_EXISTS_TERTIARY_CONTROLS,
    VMCS_EXISTS_SECONDARY_EXIT_CONTROLS,
    VMCS_EXISTS_PROCESS_POSTED_INTERRUPTS,
    VMCS_EXISTS_PREEMPTION_TIMER,
    VMCS_EXISTS_USE_MSR_BITMAPS,
    VMCS_EXISTS_USE_TPR_SHADOW,
    VMCS_EXISTS_VIRTUALIZE_APIC_ACCESSES,
    VMCS_EXISTS_ENABLE_EPT,
    VMCS_EXISTS_ENABLE_VPID,
    VMCS_EXISTS_VIRTUAL_INTERRUPT_DELIVERY,
    VMCS_EXISTS_PAUSE_LOOP_EXITING,
    VMCS_EXISTS_ENABLE_VM_FUNCTIONS,
    VMCS_EXISTS_EPTP_SWITCHING,
    VMCS_EXISTS_VMCS_SHADOWING,
    VMCS_EXISTS_ENABLE_ENCLS_EXITING,
    VMCS_EXISTS_ENABLE_PML,
    VMCS_EXISTS_EPT_VIOLATION_VE,
    VMCS_EXISTS_ENABLE_XSAVES,
    VMCS_EXISTS_PASID_TRANSLATION,
    VMCS_EXISTS_SUB_PAGE_WRITE_PERMISSIONS,
    VMCS_EXISTS_USE_TSC_SCALING,
    VMCS_EXISTS_ENABLE_PCONFIG,
    VMCS_EXISTS_ENABLE_ENCLV_EXITING,
    VMCS_EXISTS_INSTRUCTION_TIMEOUT,
    VMCS_EXISTS_ENABLE_HLAT,
    VMCS_EXISTS_IPI_VIRTUALIZATION,
    VMCS_EXISTS_ENABLE_MSR_LIST,
    VMCS_EXISTS_VIRTUALIZE_SPEC_CTRL,
    VMCS_EXISTS_APIC_TIMER_VIRTUALIZATION,
    VMCS_EXISTS_SEAM,
    VMCS_EXISTS_FRED,
    VMCS_EXISTS_APX,
    VMCS_EXISTS_UINV,
    VMCS_EXISTS_GUEST_PAT,
    VMCS_EXISTS_GUEST_EFER,
    VMCS_EXISTS_GUEST_PERF_GLOBAL_CTRL,
    VMCS_EXISTS_GUEST_BNDCFGS,
    VMCS_EXISTS_GUEST_RTIT_CTL,
    VMCS_EXISTS_GUEST_LBR_CTL,
    VMCS_EXISTS_GUEST_PKRS,
    VMCS_EXISTS_GUEST_FRED,
    VMCS_EXISTS_GUEST_SPEC_CTRL,
    VMCS_EXISTS_GUEST_CET,
    VMCS_EXISTS_HOST_PAT,
    VMCS_EXISTS_HOST_EFER,
    VMCS_EXISTS_HOST_PERF_GLOBAL_CTRL,
    VMCS_EXISTS_HOST_PKRS,
    VMCS_EXISTS_HOST_FRED,
    VMCS_EXISTS_HOST_SPEC_CTRL,
    VMCS_EXISTS_HOST_CET,
    VMCS_EXISTS_CR3_TARGET0,
    VMCS_EXISTS_CR3_TARGET1,
    VMCS_EXISTS_CR3_TARGET2,
    VMCS_EXISTS_CR3_TARGET3,
};

/* The parts of an encoding: bit 0 access type, 9:1 index, 11:10 type, 14:13 width, others 0. */
#define VMCS_ENCODING_HIGH       0x00000001u
#define VMCS_ENCODING_RESERVED   0xffff9000u

static inline enum vmcs_width vmcs_encoding_width(uint32_t encoding)
{
    return (enum vmcs_width)(encoding >> 13 & 3);
}

static inline enum vmcs_type vmcs_encoding_type(uint32_t encoding)
{
    return (enum vmcs_type)(encoding >> 10 & 3);
}

static inline uint32_t vmcs_encoding_index(uint32_t encoding)
{
    return encoding >> 1 & 0x1ff;
}

#define VMCS_FIELD(name, encoding, width, type, exists, section)                               \
    _Static_assert(((encoding) & (VMCS_ENCODING_RESERVED | VMCS_ENCODING_HIGH)) == 0, #name);  \
    _Static_assert(((encoding) >> 13 & 3) == VMCS_WIDTH_##width, #name ": width");             \
    _Static_assert(((encoding) >> 10 & 3) == VMCS_TYPE_##type, #name ": type");
#include "arch/x86/vmx/vmcs_fields.def"
#undef VMCS_FIELD

struct vmcs_field_info {
    uint32_t encoding;
    uint8_t width;       /* enum vmcs_width */
    uint8_t type;        /* enum vmcs_type */
    uint8_t exists;      /* enum vmcs_exists */
    const char *name;    /* without the VMCS_ in front */
    const char *section; /* title of the SDM section that describes it */
};

extern const struct vmcs_field_info vmcs_fields[VMCS_FIELD_COUNT];

/* The list's row of an encoding (the high half of a 64-bit field finds its field), or NULL. */
const struct vmcs_field_info *vmcs_field_find(uint32_t encoding);

/* The field's name, "unknown field" when the list has none. */
const char *vmcs_field_name(uint32_t encoding);

/* Bytes that VMREAD gives: 2, 4 or 8 (natural width is 8 in 64-bit mode). */
static inline unsigned vmcs_width_bytes(enum vmcs_width width)
{
    return width == VMCS_WIDTH_16 ? 2 : width == VMCS_WIDTH_32 ? 4 : 8;
}

/* The first word of every VMCS and VMXON region: SDM "Format of the VMCS Region". */
#define VMCS_REVISION_MASK       0x7fffffffu
#define VMCS_REVISION_SHADOW     0x80000000u

#endif
