/*
 * Inside of the entry checks: the VMCS as read, and the words in which rules are written.
 * Private to check*.c.
 */
#ifndef ARCH_X86_VMX_CHECK_H
#define ARCH_X86_VMX_CHECK_H

#include "x86/regs.h"
#include "x86/vmx_check.h"

struct vmx_check {
    const struct vmx_check_input *input;
    const struct vmx_caps *caps;
    uint64_t v[VMCS_FIELD_COUNT];       /* 0 where the field does not exist */
    uint64_t word[VMX_WORD_COUNT];      /* 0 where the word is not activated */
    bool has_vtpr;
    uint8_t vtpr;                       /* of the virtual-APIC page */
    bool has_link;
    uint32_t link_revision;             /* first word of the linked VMCS */
    bool has_pdpte;
    uint64_t pdpte[4];
    uint32_t msr_index, msr_reserved;   /* the entry of the MSR-load area that is looked at */
};

/* A list of rules is included twice: once for the predicates, once for the table. */
#define VMX_RULE_PREDICATE(id, area, field, text, expression)      \
    static bool holds_##id(const struct vmx_check *c)              \
    {                                                              \
        (void)c;                                                   \
        return (expression);                                       \
    }
#define VMX_RULE_ROW(id, area, field, text, expression) \
    { #id, text, VMCS_##field, VMX_CHECK_##area, holds_##id },

/* The words of the lists. */
#define V(name) (c->v[VMCS_INDEX_##name])
#define ON(word_name, name) (!!(c->word[VMX_WORD_##word_name] & word_name##_##name))
#define IMPLIES(condition, consequence) (!(condition) || (consequence))

extern const struct vmx_rule vmx_rules_controls[];
extern const size_t vmx_rules_controls_count;
extern const struct vmx_rule vmx_rules_host[];
extern const size_t vmx_rules_host_count;
extern const struct vmx_rule vmx_rules_guest[];
extern const size_t vmx_rules_guest_count;
extern const struct vmx_rule vmx_rules_segments[];
extern const size_t vmx_rules_segments_count;
extern const struct vmx_rule vmx_rules_msrs[];
extern const size_t vmx_rules_msrs_count;

/* --- what several lists ask --- */

static inline bool fits_physical(const struct vmx_check *c, uint64_t address)
{
    return !(address >> c->caps->physical_address_bits);
}

static inline bool page_aligned(uint64_t address)
{
    return !(address & HV_PAGE_MASK);
}

static inline bool canonical(const struct vmx_check *c, uint64_t address)
{
    unsigned unused = 64u - c->caps->linear_address_bits;
    return (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

/* Bits that VMX operation fixes have their value; `ignored` bits are not looked at. */
static inline bool fixed_bits_right(uint64_t value, uint64_t fixed0, uint64_t fixed1,
                                    uint64_t ignored)
{
    return !(((fixed0 & ~value) | (value & ~fixed1)) & ~ignored);
}

/* CR3 may hold address bits, flags, and the LAM bits where the processor has them. */
static inline bool cr3_valid(const struct vmx_check *c, uint64_t cr3)
{
    uint64_t lam = c->caps->lam ? CR3_LAM_U48 | CR3_LAM_U57 : 0;
    return fits_physical(c, cr3 & ~lam);
}

/* Eight memory types, none of them reserved. */
static inline bool pat_valid(uint64_t pat)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned type = pat >> (8 * i) & 0xff;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

static inline bool bits_known(uint64_t value, uint64_t valid)
{
    return !valid || !(value & ~valid);
}

/* IA32_S_CET: bits 9:6 are reserved; suppressed and waiting exclude each other. */
static inline bool s_cet_valid(uint64_t s_cet)
{
    return !(s_cet & 0x3c0) && (s_cet & 0xc00) != 0xc00;
}

static inline bool upper_half_zero(uint64_t value)
{
    return !(value >> 32);
}

/* IA32_FRED_CONFIG: bits 2, 5:4 and 11 are reserved, 63:12 an address. */
static inline bool fred_config_valid(const struct vmx_check *c, uint64_t config)
{
    return !(config & 0x834) && canonical(c, config & ~0xfffull);
}

static inline bool fred_stack_valid(const struct vmx_check *c, uint64_t pointer, uint64_t reserved)
{
    return !(pointer & reserved) && canonical(c, pointer);
}

static inline bool injecting(const struct vmx_check *c)
{
    return vmx_intr_valid((uint32_t)V(ENTRY_INTERRUPTION_INFORMATION));
}

static inline enum vmx_intr_type injected_type(const struct vmx_check *c)
{
    return vmx_intr_type((uint32_t)V(ENTRY_INTERRUPTION_INFORMATION));
}

static inline uint8_t injected_vector(const struct vmx_check *c)
{
    return vmx_intr_vector((uint32_t)V(ENTRY_INTERRUPTION_INFORMATION));
}

static inline bool injecting_type(const struct vmx_check *c, enum vmx_intr_type type)
{
    return injecting(c) && injected_type(c) == type;
}

#endif
