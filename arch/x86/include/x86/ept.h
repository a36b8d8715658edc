/*
 * Extended page tables: a VM's guest-physical to host-physical translation.
 *
 * What can be built here is never an EPT misconfiguration: rights, types and addresses are checked
 * before an entry is made. Every entry is written whole, in an order in which each moment's tables
 * give for every address either what was there before, or what shall be there, or nothing.
 * Not here: INVEPT (the caller flushes after ept_unmap and ept_protect, and before ept_reclaim),
 * page-walk length 5, sub-page permissions.
 * Pure; memory comes through struct ept_memory. Lock: the caller's, one writer a time; processors
 * walk the tables and set accessed and dirty flags meanwhile.
 * SDM volume 3, "The Extended Page Table Mechanism (EPT)".
 */
#ifndef X86_EPT_H
#define X86_EPT_H

#include "hv/types.h"
#include "x86/mtrr.h"

/* Entry bits: SDM "Format of an EPT ... Entry". */
#define EPT_READ                 (1ull << 0)
#define EPT_WRITE                (1ull << 1)
#define EPT_EXECUTE              (1ull << 2)   /* with mode-based control: supervisor mode */
#define EPT_TYPE_SHIFT           3
#define EPT_TYPE_MASK            (7ull << EPT_TYPE_SHIFT)
#define EPT_IGNORE_PAT           (1ull << 6)
#define EPT_LARGE                (1ull << 7)
#define EPT_ACCESSED             (1ull << 8)
#define EPT_DIRTY                (1ull << 9)
#define EPT_USER_EXECUTE         (1ull << 10)  /* with mode-based control only */
#define EPT_ADDRESS_MASK         0x000ffffffffff000ull
#define EPT_SUPPRESS_VE          (1ull << 63)
#define EPT_RWX                  (EPT_READ | EPT_WRITE | EPT_EXECUTE)
#define EPT_RX                   (EPT_READ | EPT_EXECUTE)
/* What ept_map() and ept_protect() take as rights. */
#define EPT_RIGHTS \
    (EPT_RWX | EPT_USER_EXECUTE | EPT_IGNORE_PAT | EPT_SUPPRESS_VE)
/* Any of these makes an entry present. */
#define EPT_PRESENT              (EPT_RWX | EPT_USER_EXECUTE)

#define EPT_LEVELS               4
#define EPT_ENTRIES              512
#define EPT_GUEST_BITS           48

/* EPTP: SDM "Extended-Page-Table Pointer (EPTP)". */
#define EPTP_TYPE_WB             6ull
#define EPTP_WALK_SHIFT          3
#define EPTP_ACCESSED_DIRTY      (1ull << 6)

struct ept_memory {
    /* A page of 4 KBytes, 4-KByte aligned, contents undefined, not at host-physical address 0;
     * NULL when there is none. */
    uint64_t *(*alloc)(void *context, hpa_t *hpa);
    void (*free)(void *context, uint64_t *page, hpa_t hpa);
    /* Where a page of alloc() lies. */
    uint64_t *(*pointer)(void *context, hpa_t hpa);
    /* Told of every entry that becomes visible to a processor, once it is written; may be NULL. */
    void (*wrote)(void *context, const uint64_t *entry, uint64_t before, uint64_t after);
    void *context;
};

struct ept_features {
    bool page_2m, page_1g;
    bool execute_only;
    bool accessed_dirty;
    bool mode_based_execute;
    uint8_t physical_address_bits;
};

struct ept {
    struct ept_memory memory;
    struct ept_features features;
    uint64_t *root;
    hpa_t root_hpa;
    hpa_t retired;      /* tables out of use, waiting for a flush: linked by their entry 0 */
    uint64_t tables;    /* pages in use, the root and retired ones included */
    uint64_t leaves[3]; /* mapped pages of 4 KBytes, 2 MBytes, 1 GByte */
};

/* Makes an empty translation. HV_ERR_NO_MEMORY. */
HV_MUST_CHECK enum hv_err ept_init(struct ept *ept, const struct ept_memory *memory,
                                   const struct ept_features *features);

/* Gives all pages back. No processor may use the translation any more. */
void ept_destroy(struct ept *ept);

/* The value for VMCS_EPT_POINTER. */
uint64_t ept_pointer(const struct ept *ept);

/* Maps `bytes` from `gpa` to `hpa` with the largest pages that fit. `rights`: of EPT_RIGHTS. On an
 * error nothing is mapped that was not before.
 * HV_ERR_INVALID: not page-aligned, empty, rights that would be a misconfiguration, an unknown
 * type; HV_ERR_RANGE: outside of the guest's 48 bits or the processor's physical width;
 * HV_ERR_EXISTS: something is mapped there; HV_ERR_NO_MEMORY. */
HV_MUST_CHECK enum hv_err ept_map(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t bytes,
                                  uint64_t rights, enum memory_type type);

/* The same, with the type that the MTRRs give each part. */
HV_MUST_CHECK enum hv_err ept_map_by_mtrr(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t bytes,
                                          uint64_t rights, const struct mtrr_state *mtrr);

/* Takes away whatever is mapped in the range; large pages at its ends are split. Flush afterwards,
 * before the memory is used for something else. HV_ERR_INVALID, HV_ERR_RANGE as for ept_map();
 * HV_ERR_NO_MEMORY: no page for a split, nothing was changed beyond splits. */
HV_MUST_CHECK enum hv_err ept_unmap(struct ept *ept, gpa_t gpa, uint64_t bytes);

/* Changes the rights of a range that is mapped; flush afterwards. HV_ERR_NOT_FOUND: part of it is
 * not mapped, nothing was changed; otherwise as ept_unmap(). */
HV_MUST_CHECK enum hv_err ept_protect(struct ept *ept, gpa_t gpa, uint64_t bytes, uint64_t rights);

/* Gives back the tables that unmapping put out of use. Only after every processor that used the
 * translation has executed INVEPT. Returns how many. */
uint64_t ept_reclaim(struct ept *ept);

/* What the processor would find. */
struct ept_walk {
    uint64_t entry[EPT_LEVELS];     /* [0] is of the root (PML4E); read so far as `depth` says */
    unsigned depth;                 /* entries read: 1..4 */
    bool mapped;
    hpa_t hpa;                      /* of the byte asked for */
    uint64_t page_bytes;            /* of the page that maps it, or of the hole's entry */
    uint64_t rights;                /* what all levels allow: EPT_PRESENT bits */
    enum memory_type type;
    bool ignore_pat;
};
void ept_walk(const struct ept *ept, gpa_t gpa, struct ept_walk *out);

/* Calls `visit` for every page of the range with its dirty flag set, and clears the flag: needs
 * accessed and dirty flags, and a flush afterwards. Returns the number of pages. */
uint64_t ept_collect_dirty(struct ept *ept, gpa_t gpa, uint64_t bytes,
                           void (*visit)(void *context, gpa_t gpa, uint64_t page_bytes),
                           void *context);

/* Whether the processor would take an EPT misconfiguration on this entry: SDM "EPT
 * Misconfigurations". `level` 1 (PTE) to 4 (PML4E). For the monitor and the tests. */
bool ept_entry_misconfigured(const struct ept_features *features, uint64_t entry, unsigned level);

#endif
