/*
 * The walk through a guest's own page tables: from a linear to a guest-physical address, with the
 * permissions, page faults, and accessed and dirty flags of the processor.
 *
 * Not here: segmentation and canonical form (x86/emul.h), EPT, the TLB. Shadow stacks, HLAT, LAM
 * and LASS are not applied; a guest must not be shown them.
 *
 * No lock and no state: entries are changed by compare-exchange, as the processor does.
 * SDM volume 3 "Paging".
 */
#ifndef X86_GUEST_WALK_H
#define X86_GUEST_WALK_H

#include "hv/types.h"
#include "x86/regs.h"

/* What a translation depends on. */
struct guest_walk_state {
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t rflags;         /* AC, for SMAP */
    uint64_t pdptes[4];      /* PAE: those that the processor holds, loaded with CR3 */
    uint32_t pkru;           /* used if CR4.PKE */
    uint32_t pkrs;           /* used if CR4.PKS */
    uint8_t cpl;
    uint8_t maxphyaddr_bits; /* as the guest's CPUID says: 32 to 52 */
    bool has_1g_pages;       /* as the guest's CPUID says */
};

/* Kind of access: a data read if none of the first two is given. */
#define GUEST_ACCESS_READ 0x0u
#define GUEST_ACCESS_WRITE 0x1u
#define GUEST_ACCESS_FETCH 0x2u
/* "Implicit supervisor-mode access": descriptor tables and TSS, whatever the CPL. */
#define GUEST_ACCESS_IMPLICIT 0x4u
/* Only looks: changes no accessed or dirty flag. For dumps and traces. */
#define GUEST_ACCESS_PEEK 0x8u

enum guest_walk_status {
    GUEST_WALK_OK,
    GUEST_WALK_FAULT,    /* result.fault is a #PF */
    GUEST_WALK_RETRY,    /* the entries kept changing under the walk: run the guest, try again */
    GUEST_WALK_UNMAPPED, /* the paging-structure entry at result.gpa is not in the guest's memory */
};

/*
 * How entries are reached. `size_bytes` is 4 or 8, and the address is a multiple of it.
 * Each gives GUEST_WALK_OK or GUEST_WALK_UNMAPPED; `cmpxchg` also GUEST_WALK_RETRY, if the entry no
 * longer is `expected`.
 */
struct guest_walk_ops {
    enum guest_walk_status (*read)(void *ctx, gpa_t gpa, unsigned size_bytes, uint64_t *value);
    enum guest_walk_status (*cmpxchg)(void *ctx, gpa_t gpa, unsigned size_bytes, uint64_t expected,
                                      uint64_t desired);
};

struct guest_walk_result {
    gpa_t gpa;           /* of the byte that `gva` names */
    uint64_t page_bytes; /* size of the page that it lies in; 4 GiB without paging */
    uint8_t levels;      /* how many entries were read */
    bool user;           /* rights of the page, combined over all levels */
    bool writable;
    bool executable;
    struct x86_fault fault;
};

/*
 * Translates `gva` for an access. Everything is defined in `result` for GUEST_WALK_OK; otherwise
 * what the status says. The access must lie within the page; one that crosses into the next needs
 * two walks. In modes without 64-bit addresses the upper half of `gva` is not used.
 * SDM volume 3 "32-Bit Paging", "PAE Paging", "4-Level Paging and 5-Level Paging", "Access Rights",
 * "Page-Fault Exceptions", "Accessed and Dirty Flags", "Protection Keys".
 */
enum guest_walk_status guest_walk(const struct guest_walk_state *state, gva_t gva, unsigned access,
                                  const struct guest_walk_ops *ops, void *ctx,
                                  struct guest_walk_result *result);

#endif
