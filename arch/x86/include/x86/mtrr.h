/*
 * The memory type that the MTRRs give a host-physical address: EPT entries take theirs from it,
 * since the processor ignores the MTRRs for guest-physical accesses.
 *
 * Not here: PAT, writing MTRRs.
 * Pure, apart from mtrr_read() which reads through the function that it is given. A state is read
 * once on the boot core and then only looked at; no lock.
 * SDM volume 3, "Memory Type Range Registers (MTRRs)", "System-Management Range Register (SMRR)".
 */
#ifndef X86_MTRR_H
#define X86_MTRR_H

#include "hv/types.h"

/* Encodings shared by MTRRs, PAT and EPT. */
enum memory_type {
    MEMORY_UC = 0,
    MEMORY_WC = 1,
    MEMORY_WT = 4,
    MEMORY_WP = 5,
    MEMORY_WB = 6,
};

#define MTRR_MSR_CAP             0x0feu
#define MTRR_MSR_SMRR_PHYSBASE   0x1f2u
#define MTRR_MSR_SMRR_PHYSMASK   0x1f3u
#define MTRR_MSR_PHYSBASE0       0x200u /* base and mask alternate */
#define MTRR_MSR_FIX64K_00000    0x250u
#define MTRR_MSR_FIX16K_80000    0x258u
#define MTRR_MSR_FIX4K_C0000     0x268u
#define MTRR_MSR_DEF_TYPE        0x2ffu

#define MTRR_CAP_VCNT            0xffull
#define MTRR_CAP_FIX             (1ull << 8)
#define MTRR_CAP_WC              (1ull << 10)
#define MTRR_CAP_SMRR            (1ull << 11)
#define MTRR_DEF_TYPE_MASK       0xffull
#define MTRR_DEF_FIXED_ENABLE    (1ull << 10)
#define MTRR_DEF_ENABLE          (1ull << 11)
#define MTRR_MASK_VALID          (1ull << 11)

#define MTRR_FIXED_COUNT         11
#define MTRR_VARIABLE_MAX        32

struct mtrr_range {
    uint64_t base;
    uint64_t mask;
};

struct mtrr_state {
    uint64_t cap;
    uint64_t def_type;
    uint64_t fixed[MTRR_FIXED_COUNT];   /* 64K, 16K x2, 4K x8, in address order */
    struct mtrr_range variable[MTRR_VARIABLE_MAX];
    struct mtrr_range smrr;             /* mask without its valid bit: not used */
    uint8_t variable_count;
    uint8_t physical_address_bits;
};

/* Reads the registers. Without MTRRs (`present` false) the state answers UC for every address. The
 * SMRRs are read only where `read_smrr` says that this is safe outside of SMM, and the capability
 * says that they exist. HV_ERR_UNSUPPORTED: more variable ranges than we can hold. */
HV_MUST_CHECK enum hv_err mtrr_read(struct mtrr_state *state,
                                    uint64_t (*rdmsr)(void *context, uint32_t index),
                                    void *context, uint8_t physical_address_bits, bool present,
                                    bool read_smrr);

/* The type of the page at `hpa`. Where the SDM leaves an overlap undefined, and for reserved type
 * values: UC, which is never wrong, only slow. */
enum memory_type mtrr_type_of(const struct mtrr_state *state, hpa_t hpa);

/* For how many bytes from `hpa`, at most `most`, the type stays the same. A lower bound in the case
 * of many small ranges with holes in their masks. 0 only when `most` is 0. */
uint64_t mtrr_uniform_bytes(const struct mtrr_state *state, hpa_t hpa, uint64_t most);

/* "UC", "WC", "WT", "WP", "WB", or "?". */
const char *memory_type_name(enum memory_type type);

#endif
